package dag

// TransitiveReduction returns the graph without the edges that other edges imply.
//
// An edge from a to c is implied when there is another path from a to c whose first edge asks at least as much of a, and
// whose other edges all ask that their parent ran: then c begins only after a did what the edge asks, and is canceled
// when a can no longer do it. A path over an edge with the condition [Always] implies nothing, since its child may begin
// when the parent was canceled, before a is over. In a graph with one condition other than Always this is the
// transitive reduction of graph theory.
//
// It takes time in proportion to scenarios times edges, and suits graphs that are shown to people.
func (g *Graph) TransitiveReduction() *Graph {
	ran := make([]int32, g.Len()) // the scenario, plus one, to which a path leads from here that asks only for runs
	var edges []edge
	for c := range g.ids {
		g.markRan(c, ran)
		for _, p := range g.parents.of(c) {
			if !g.implied(p, int32(c), ran) {
				edges = append(edges, edge{p.Index, int32(c), p.Condition})
			}
		}
	}
	return g.withEdges(edges)
}

// markRan stamps every scenario from which a path of one or more edges leads to c, none of them with condition Always.
func (g *Graph) markRan(c int, ran []int32) {
	todo := []int32{int32(c)}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, p := range g.parents.of(int(i)) {
			if p.Condition != Always && ran[p.Index] != int32(c)+1 {
				ran[p.Index] = int32(c) + 1
				todo = append(todo, p.Index)
			}
		}
	}
}

func (g *Graph) implied(p Neighbor, c int32, ran []int32) bool {
	for _, b := range g.children.of(int(p.Index)) {
		if b.Index != c && b.Condition <= p.Condition && ran[b.Index] == c+1 {
			return true
		}
	}
	return false
}

// withEdges returns a graph of the same scenarios with other edges, grouped by child in canonical order.
func (g *Graph) withEdges(edges []edge) *Graph {
	scenarios := make([]Scenario, g.Len())
	for i, id := range g.ids {
		scenarios[i] = Scenario{ID: id, Optional: g.optional[i]}
	}
	for _, e := range edges {
		s := &scenarios[e.child]
		s.After = append(s.After, Parent{g.ids[e.parent], e.condition})
	}
	return mustNew(scenarios)
}

// mustNew makes a graph of scenarios that were taken from one.
func mustNew(scenarios []Scenario) *Graph {
	g, err := New(scenarios...)
	if err != nil {
		panic("dag: a part of a graph is not a graph: " + err.Error())
	}
	return g
}
