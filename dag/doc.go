// Package dag models test scenarios that wait for one another.
//
// A [Graph] is built once, by [New], and never changes. New refuses what cannot be run and reports every mistake at
// once, each as an [*Error] or a [*CycleError] that names the scenarios involved:
//
//	g, err := dag.New(
//		dag.Scenario{ID: "build"},
//		dag.Scenario{ID: "scan", After: dag.After("build")},
//		dag.Scenario{ID: "deploy", After: []dag.Parent{{ID: "scan", Condition: dag.OnFinish}}},
//	)
//
// # Words
//
// A scenario is a node. A child waits for its parents. The [Condition] of an edge says what the child asks of that
// parent: that it passes ([OnPass], the zero value), that it runs to an end ([OnFinish]), or only that it is settled
// ([Always]). This package knows the conditions and which of two is stricter; what they do to a schedule is told in
// package scheduler. An edge of a testGraph may name none; a [Profile] says which it then has.
//
// # Order
//
// One graph has one canonical order, however it was built: layer by layer, where the layer of a scenario is the number
// of edges on the longest path that leads to it, and by ID within a layer. Parents come before children. Every method
// that yields scenarios does so in canonical order, but for [Graph.Parents], which keeps the order in which the parents
// were declared, because rules may depend on it.
//
// The position of a scenario in canonical order is its index, 0 to Len-1. Code that visits many scenarios works on
// indices ([Graph.Index], [Graph.ID], [Graph.ParentsAt], [Graph.ChildrenAt]): adjacency lies in flat slices, so a walk
// touches no map and allocates nothing.
//
// # Other graph libraries
//
// [Graph.Gonum] hands out a view that is gonum's graph.Directed, so that gonum's algorithms run on a graph without a
// copy. The examples run three: dominators, betweenness and the transitive closure.
//
// # What it leaves out
//
// A Graph holds no state of a run, no commands and no durations. Reading and writing text is the business of
// package dagfile.
package dag
