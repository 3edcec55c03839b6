module github.com/testdag/testdag/internal/konflux

go 1.25.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/konflux-ci/integration-service v0.0.0-20260116151929-fade912467b4
	github.com/testdag/testdag v0.0.0
	pgregory.net/rapid v1.3.0
)

require (
	github.com/go-json-experiment/json v0.0.0-20251027170946-4849db3c2f7e // indirect
	github.com/santhosh-tekuri/jsonschema/v5 v5.3.1 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap v1.28.0 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
)

replace github.com/testdag/testdag => ../..
