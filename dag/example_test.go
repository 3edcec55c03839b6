package dag_test

import (
	"errors"
	"fmt"
	"slices"

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
	fmt.Println(errors.Is(err, dag.UnknownParent), errors.Is(err, dag.SelfEdge))
	// Output:
	// dag: "scan" waits for "lint", which is not a scenario; add it or correct the name
	// dag: cycle: "build" waits for "scan" waits for "build"
	// true false
}

// pipeline is the graph of the examples that follow.
//
//	build ┬ unit ──────────┐
//	      └ image ┬ scan ──┼ deploy
//	              └ e2e ───┘
//	lint
func pipeline() *dag.Graph {
	g, err := dag.New(
		dag.Scenario{ID: "build"},
		dag.Scenario{ID: "lint"},
		dag.Scenario{ID: "unit", After: dag.After("build")},
		dag.Scenario{ID: "image", After: dag.After("build")},
		dag.Scenario{ID: "scan", After: dag.After("image")},
		dag.Scenario{ID: "e2e", After: dag.After("image")},
		dag.Scenario{ID: "deploy", After: dag.After("unit", "scan", "e2e")},
	)
	if err != nil {
		panic(err)
	}
	return g
}

func ExampleGraph_Ancestors() {
	fmt.Println(slices.Collect(pipeline().Ancestors("scan")))
	// Output: [build image]
}

func ExampleGraph_Descendants() {
	fmt.Println(slices.Collect(pipeline().Descendants("image")))
	// Output: [e2e scan deploy]
}

func ExampleGraph_Roots() {
	fmt.Println(slices.Collect(pipeline().Roots()))
	// Output: [build lint]
}

func ExampleGraph_Leaves() {
	fmt.Println(slices.Collect(pipeline().Leaves()))
	// Output: [lint deploy]
}

// The scenarios of a layer do not wait for one another.
func ExampleGraph_Layers() {
	for layer := range pipeline().Layers() {
		fmt.Println(layer)
	}
	// Output:
	// [build lint]
	// [image unit]
	// [e2e scan]
	// [deploy]
}

// All yields a topological order: parents before children.
func ExampleGraph_All() {
	fmt.Println(slices.Collect(pipeline().All()))
	// Output: [build lint image unit e2e scan deploy]
}

// With durations as weights, the longest path is the critical path: no number of workers finishes the graph sooner.
func ExampleGraph_LongestPath() {
	minutes := map[dag.ID]int64{"build": 5, "unit": 9, "image": 2, "scan": 4, "e2e": 20, "deploy": 1}
	path, total := pipeline().LongestPath(func(id dag.ID) int64 { return minutes[id] })
	fmt.Println(path, total)
	// Output: [build image e2e deploy] 28
}

// The edge from build to deploy is implied: deploy waits for scan, and scan for build.
func ExampleGraph_TransitiveReduction() {
	g, err := dag.New(
		dag.Scenario{ID: "build"},
		dag.Scenario{ID: "scan", After: dag.After("build")},
		dag.Scenario{ID: "deploy", After: dag.After("build", "scan")},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	for id := range g.TransitiveReduction().Parents("deploy") {
		fmt.Println("deploy waits for", id)
	}
	// Output: deploy waits for scan
}

func ExampleDiff() {
	before := pipeline()
	report := dag.Scenario{ID: "report", After: []dag.Parent{{ID: "deploy", Condition: dag.OnFinish}}}
	after, err := dag.New(append(slices.Collect(before.Scenarios()), report)...)
	if err != nil {
		fmt.Println(err)
		return
	}
	d := dag.Diff(before, after.Without("lint"))
	fmt.Println("removed", d.Removed, d.RemovedEdges)
	fmt.Println("added", d.Added, d.AddedEdges)
	// Output:
	// removed [lint] []
	// added [report] [{deploy report OnFinish}]
}

// What waited for a scenario that is left out waits for its parents instead.
func ExampleGraph_Without() {
	for id, condition := range pipeline().Without("image", "unit").Parents("scan") {
		fmt.Println("scan waits for", id, condition)
	}
	// Output: scan waits for build OnPass
}
