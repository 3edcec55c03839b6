package dag

import (
	"iter"
	"slices"
)

// An ID names a scenario. It is opaque: any text but the empty one, compared byte by byte.
type ID string

// A Scenario is what [New] is told of one node of the graph.
type Scenario struct {
	ID       ID
	Optional bool     // its result does not count for the outcome of the whole; the order is the same
	After    []Parent // what it waits for, in declared order
}

// A Parent is one scenario that another one waits for.
type Parent struct {
	ID        ID
	Condition Condition
}

// After returns parents with the given IDs and the condition [OnPass].
func After(ids ...ID) []Parent {
	parents := make([]Parent, len(ids))
	for i, id := range ids {
		parents[i].ID = id
	}
	return parents
}

// A Neighbor is a parent or a child of a scenario: its index, and the condition of the edge between the two.
type Neighbor struct {
	Index     int32
	Condition Condition
}

// A Graph holds scenarios and what they wait for. It is made by [New], never changes, has no cycle, and may be used by
// several goroutines at once. The zero Graph has no scenario.
//
// Scenarios are held in canonical order; see the package documentation.
type Graph struct {
	ids      []ID
	mention  map[ID]int32 // the place of each scenario in what New was given
	position []int32      // and by that, its index
	optional []bool
	layers   []int32 // index of the first scenario of each layer, then Len
	parents  adjacency
	children adjacency
}

// An adjacency holds the neighbors of scenario i in list[start[i]:start[i+1]].
type adjacency struct {
	start []int32
	list  []Neighbor
}

func (a adjacency) of(i int) []Neighbor {
	from, to := a.start[i], a.start[i+1]
	return a.list[from:to:to]
}

// Len returns the number of scenarios.
func (g *Graph) Len() int { return len(g.ids) }

// Index returns the position of id in canonical order, and whether id is a scenario of the graph.
func (g *Graph) Index(id ID) (i int, ok bool) {
	n, ok := g.mention[id]
	if !ok {
		return 0, false
	}
	return int(g.position[n]), true
}

// ID returns the ID of the scenario at index i. It panics if i is not in [0, Len).
func (g *Graph) ID(i int) ID { return g.ids[i] }

// OptionalAt reports whether the scenario at index i is optional. It panics if i is not in [0, Len).
func (g *Graph) OptionalAt(i int) bool { return g.optional[i] }

// ParentsAt returns the parents of the scenario at index i in declared order; all have smaller indices. The slice
// belongs to the graph and must not be changed. It panics if i is not in [0, Len).
func (g *Graph) ParentsAt(i int) []Neighbor { return g.parents.of(i) }

// ChildrenAt returns the children of the scenario at index i by ascending index; all have larger indices. The slice
// belongs to the graph and must not be changed. It panics if i is not in [0, Len).
func (g *Graph) ChildrenAt(i int) []Neighbor { return g.children.of(i) }

// All returns an iterator over the scenarios in canonical order: parents before children.
func (g *Graph) All() iter.Seq[ID] { return slices.Values(g.ids) }

// Scenario returns what [New] was told of id, equal parents once, and whether id is a scenario of the graph.
func (g *Graph) Scenario(id ID) (s Scenario, ok bool) {
	i, ok := g.Index(id)
	if !ok {
		return Scenario{}, false
	}
	return g.scenarioAt(i), true
}

// Scenarios returns an iterator over what [New] was told, in canonical order. New makes an equal graph of them.
func (g *Graph) Scenarios() iter.Seq[Scenario] {
	return func(yield func(Scenario) bool) {
		for i := range g.ids {
			if !yield(g.scenarioAt(i)) {
				return
			}
		}
	}
}

func (g *Graph) scenarioAt(i int) Scenario {
	s := Scenario{ID: g.ids[i], Optional: g.optional[i]}
	for _, p := range g.parents.of(i) {
		s.After = append(s.After, Parent{ID: g.ids[p.Index], Condition: p.Condition})
	}
	return s
}

// Parents returns an iterator over what id waits for, in declared order. It is empty if id is not a scenario.
func (g *Graph) Parents(id ID) iter.Seq2[ID, Condition] { return g.neighbors(&g.parents, id) }

// Children returns an iterator over what waits for id, in canonical order. It is empty if id is not a scenario.
func (g *Graph) Children(id ID) iter.Seq2[ID, Condition] { return g.neighbors(&g.children, id) }

func (g *Graph) neighbors(a *adjacency, id ID) iter.Seq2[ID, Condition] {
	return func(yield func(ID, Condition) bool) {
		i, ok := g.Index(id)
		if !ok {
			return
		}
		for _, n := range a.of(i) {
			if !yield(g.ids[n.Index], n.Condition) {
				return
			}
		}
	}
}

// Ancestors returns an iterator over everything id waits for, directly or not, in canonical order. It is empty if id is
// not a scenario.
func (g *Graph) Ancestors(id ID) iter.Seq[ID] { return g.reachable(&g.parents, id) }

// Descendants returns an iterator over everything that waits for id, directly or not, in canonical order. It is empty
// if id is not a scenario.
func (g *Graph) Descendants(id ID) iter.Seq[ID] { return g.reachable(&g.children, id) }

func (g *Graph) reachable(a *adjacency, id ID) iter.Seq[ID] {
	return func(yield func(ID) bool) {
		start, ok := g.Index(id)
		if !ok {
			return
		}
		found := []int32{int32(start)}
		seen := make([]bool, g.Len())
		for at := 0; at < len(found); at++ {
			for _, n := range a.of(int(found[at])) {
				if !seen[n.Index] {
					seen[n.Index] = true
					found = append(found, n.Index)
				}
			}
		}
		found = found[1:]
		slices.Sort(found)
		for _, i := range found {
			if !yield(g.ids[i]) {
				return
			}
		}
	}
}

// Roots returns an iterator over the scenarios that wait for nothing, in canonical order.
func (g *Graph) Roots() iter.Seq[ID] { return g.lacking(&g.parents) }

// Leaves returns an iterator over the scenarios that nothing waits for, in canonical order.
func (g *Graph) Leaves() iter.Seq[ID] { return g.lacking(&g.children) }

func (g *Graph) lacking(a *adjacency) iter.Seq[ID] {
	return func(yield func(ID) bool) {
		for i, id := range g.ids {
			if len(a.of(i)) == 0 && !yield(id) {
				return
			}
		}
	}
}

// Layers returns an iterator over the layers, each in canonical order: the roots first, then those whose longest path
// from a root has one edge, and so on. The scenarios of a layer do not wait for one another.
func (g *Graph) Layers() iter.Seq[[]ID] {
	return func(yield func([]ID) bool) {
		for k := range max(0, len(g.layers)-1) {
			if !yield(slices.Clone(g.ids[g.layers[k]:g.layers[k+1]])) {
				return
			}
		}
	}
}
