package dag_test

import (
	"fmt"

	"github.com/testdag/testdag/dag"
)

func Example() {
	g, err := dag.New(
		dag.Scenario{ID: "deploy", After: dag.After("scan", "e2e")},
		dag.Scenario{ID: "scan", After: dag.After("build")},
		dag.Scenario{ID: "e2e", After: []dag.Parent{{ID: "build", Condition: dag.OnFinish}}},
		dag.Scenario{ID: "build"},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	for layer := range g.Layers() {
		fmt.Println(layer)
	}
	for id := range g.Without("scan", "e2e").Children("build") {
		fmt.Println(id, "waits for build")
	}
	// Output:
	// [build]
	// [e2e scan]
	// [deploy]
	// deploy waits for build
}

// New tells every mistake at once.
func ExampleNew_mistakes() {
	_, err := dag.New(
		dag.Scenario{ID: "build", After: dag.After("scan")},
		dag.Scenario{ID: "scan", After: dag.After("build", "lint")},
	)
	fmt.Println(err)
	// Output:
	// dag: "scan" waits for "lint", which is not a scenario; add it or correct the name
	// dag: cycle: "build" waits for "scan" waits for "build"
}
