package dag

import (
	"maps"
	"slices"
)

// An Edge says that Child waits for Parent.
type Edge struct {
	Parent, Child ID
	Condition     Condition
}

// A Difference tells two graphs apart. An edge whose condition differs is both removed and added. What is removed is in
// the canonical order of the first graph, everything else in that of the second; edges go by child, then in declared
// order of the parents.
type Difference struct {
	Removed, Added           []ID
	RemovedEdges, AddedEdges []Edge
	Optional                 []ID // in both graphs, optional in one of them
	Reordered                []ID // in both graphs, with the same parents in another declared order
}

// Diff returns what must be removed from the first graph and added to it to get the second.
func Diff(from, to *Graph) Difference {
	var d Difference
	d.Removed, d.RemovedEdges = from.notIn(to)
	d.Added, d.AddedEdges = to.notIn(from)
	for s := range to.Scenarios() {
		old, ok := from.Scenario(s.ID)
		if !ok {
			continue
		}
		if old.Optional != s.Optional {
			d.Optional = append(d.Optional, s.ID)
		}
		if !slices.Equal(old.After, s.After) && maps.Equal(conditions(old), conditions(s)) {
			d.Reordered = append(d.Reordered, s.ID)
		}
	}
	return d
}

// Equal reports whether two graphs were made of the same scenarios with the same parents in the same declared order.
func (g *Graph) Equal(h *Graph) bool {
	return g.Len() == 0 && h.Len() == 0 || slices.Equal(g.ids, h.ids) && slices.Equal(g.optional, h.optional) &&
		slices.Equal(g.parents.start, h.parents.start) && slices.Equal(g.parents.list, h.parents.list)
}

// notIn returns the scenarios and the edges of g that h has not.
func (g *Graph) notIn(h *Graph) (ids []ID, edges []Edge) {
	for s := range g.Scenarios() {
		other, ok := h.Scenario(s.ID)
		if !ok {
			ids = append(ids, s.ID)
		}
		has := conditions(other)
		for _, p := range s.After {
			if c, ok := has[p.ID]; !ok || c != p.Condition {
				edges = append(edges, Edge{Parent: p.ID, Child: s.ID, Condition: p.Condition})
			}
		}
	}
	return ids, edges
}

func conditions(s Scenario) map[ID]Condition {
	m := make(map[ID]Condition, len(s.After))
	for _, p := range s.After {
		m[p.ID] = p.Condition
	}
	return m
}
