package dag

// Without returns the graph without the given scenarios, and bridges: what waited for a scenario that is left out waits
// for its parents instead, so that order is never lost. Where a waits for nothing, b for a and c for b, leaving out b
// makes c wait for a, with the stricter of the two conditions. Where several ways lead from a to c, one edge with the
// strictest condition of all takes their place, at the position of the first in declared order. IDs that are not
// scenarios of the graph are ignored.
func (g *Graph) Without(ids ...ID) *Graph {
	gone := make([]bool, g.Len())
	for _, id := range ids {
		if i, ok := g.Index(id); ok {
			gone[i] = true
		}
	}
	var (
		kept    []Scenario
		bridges = make([][]Neighbor, g.Len()) // of what is left out: the parents that are kept
		at      = make([]int, g.Len())        // position in the list being made, plus one
	)
	for i, id := range g.ids {
		parents := g.keptParents(i, gone, bridges, at)
		if gone[i] {
			bridges[i] = parents
			continue
		}
		s := Scenario{ID: id, Optional: g.optional[i]}
		for _, p := range parents {
			s.After = append(s.After, Parent{g.ids[p.Index], p.Condition})
		}
		kept = append(kept, s)
	}
	return mustNew(kept)
}

// keptParents returns the parents of i, each that is left out replaced by its own kept parents.
func (g *Graph) keptParents(i int, gone []bool, bridges [][]Neighbor, at []int) []Neighbor {
	var parents []Neighbor
	add := func(p Neighbor) {
		if k := at[p.Index]; k > 0 {
			parents[k-1].Condition = min(parents[k-1].Condition, p.Condition)
			return
		}
		parents = append(parents, p)
		at[p.Index] = len(parents)
	}
	for _, p := range g.parents.of(i) {
		if !gone[p.Index] {
			add(p)
			continue
		}
		for _, q := range bridges[p.Index] {
			add(Neighbor{q.Index, min(q.Condition, p.Condition)})
		}
	}
	for _, p := range parents {
		at[p.Index] = 0
	}
	return parents
}
