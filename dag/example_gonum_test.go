package dag_test

import (
	"fmt"

	"gonum.org/v1/gonum/graph/flow"
	"gonum.org/v1/gonum/graph/network"
	"gonum.org/v1/gonum/graph/topo"
)

// A scenario dominates another if every way from the build leads through it: where it fails, no other way is left.
func ExampleGraph_Gonum_dominators() {
	g := pipeline()
	build, _ := g.Index("build")
	view := g.Gonum()
	tree := flow.Dominators(view.Node(int64(build)), view)
	for id := range g.Descendants("build") {
		i, _ := g.Index(id)
		fmt.Println(id, "is dominated by", g.ID(int(tree.DominatorOf(int64(i)).ID())))
	}
	// Output:
	// image is dominated by build
	// unit is dominated by build
	// e2e is dominated by image
	// scan is dominated by image
	// deploy is dominated by build
}

// Betweenness counts the shortest paths that lead through a scenario: the larger, the more hangs on it.
func ExampleGraph_Gonum_betweenness() {
	g := pipeline()
	betweenness := network.Betweenness(g.Gonum())
	for i := range g.Len() {
		if b := betweenness[int64(i)]; b > 0 {
			fmt.Println(g.ID(i), b)
		}
	}
	// Output:
	// image 2
	// unit 1
	// e2e 0.5
	// scan 0.5
}

// The transitive closure has an edge wherever a path leads from one scenario to another.
func ExampleGraph_Gonum_closure() {
	g := pipeline()
	view := g.Gonum()
	for from := range int64(g.Len()) {
		for to := range int64(g.Len()) {
			if from != to && !view.HasEdgeFromTo(from, to) && topo.PathExistsIn(view, view.Node(from), view.Node(to)) {
				fmt.Println(g.ID(int(to)), "waits for", g.ID(int(from)), "through others")
			}
		}
	}
	// Output:
	// e2e waits for build through others
	// scan waits for build through others
	// deploy waits for build through others
	// deploy waits for image through others
}
