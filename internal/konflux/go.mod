module github.com/testdag/testdag/internal/konflux

go 1.25.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/konflux-ci/integration-service v0.0.0-20260116151929-fade912467b4
	github.com/testdag/testdag v0.0.0
	golang.org/x/mod v0.39.0
	pgregory.net/rapid v1.3.0
)

require (
	github.com/go-json-experiment/json v0.0.0-20250725192818-e39067aee2d2 // indirect
	github.com/santhosh-tekuri/jsonschema/v5 v5.3.1 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap v1.27.1 // indirect
	golang.org/x/net v0.57.0 // indirect
	gonum.org/v1/gonum v0.16.0 // indirect
)

replace github.com/testdag/testdag => ../..
