package dag

import (
	"cmp"
	"errors"
	"slices"
)

// New returns the graph of the given scenarios, which may come in any order.
//
// It reports every mistake it finds, joined in an order that depends neither on the order of the scenarios nor on that
// of their parents: [*EmptyIDError], [*DuplicateError], then by child and parent [*SelfEdgeError],
// [*UnknownParentError], [*ConditionError] and [*ConflictError], and one [*CycleError] for each group of scenarios that
// wait for one another. A parent that is given twice with one condition counts once.
func New(scenarios ...Scenario) (*Graph, error) {
	b := newBuilder(scenarios)
	b.connect(scenarios)
	order, complete := b.layOut()
	if !complete {
		b.reportCycles()
	}
	if len(b.mistakes) > 0 {
		return nil, b.err()
	}
	return b.graph(order), nil
}

// A builder numbers the scenarios in the order of their first mention.
type builder struct {
	ids      []ID
	index    map[ID]int32
	optional []bool
	edges    []edge // grouped by scenario as given, each group in declared order
	children adjacency
	layer    []int32

	mistakes  []mistake
	conflicts map[Edge]bool // edges reported as such
}

type edge struct {
	parent, child int32
	condition     Condition
}

func newBuilder(scenarios []Scenario) *builder {
	b := &builder{
		ids:      make([]ID, 0, len(scenarios)),
		index:    make(map[ID]int32, len(scenarios)),
		optional: make([]bool, 0, len(scenarios)),
	}
	empty, again := 0, map[ID]int{}
	for i := range scenarios {
		s := &scenarios[i]
		if s.ID == "" {
			empty++
			continue
		}
		if _, ok := b.index[s.ID]; ok {
			again[s.ID]++
			continue
		}
		b.index[s.ID] = int32(len(b.ids))
		b.ids = append(b.ids, s.ID)
		b.optional = append(b.optional, s.Optional)
	}
	if empty > 0 {
		b.report(rankEmpty, "", "", &EmptyIDError{Count: empty})
	}
	for id, n := range again {
		b.report(rankDuplicate, id, "", &DuplicateError{ID: id, Count: n + 1})
	}
	return b
}

// connect collects the edges, each once, and reports those that cannot be.
func (b *builder) connect(scenarios []Scenario) {
	total := 0
	for i := range scenarios {
		total += len(scenarios[i].After)
	}
	b.edges = make([]edge, 0, total)
	lastChild := make([]int32, len(b.ids)) // the scenario as given, plus one, that named this parent last
	lastEdge := make([]int32, len(b.ids))  // and the edge it made
	for i := range scenarios {
		s := &scenarios[i]
		child, ok := b.index[s.ID]
		if !ok {
			continue
		}
		for _, p := range s.After {
			parent, ok := b.index[p.ID]
			switch {
			case p.ID == s.ID:
				b.report(rankEdge, s.ID, p.ID, &SelfEdgeError{ID: s.ID})
			case !ok:
				b.report(rankEdge, s.ID, p.ID, &UnknownParentError{Parent: p.ID, Child: s.ID})
			case !p.Condition.valid():
				b.report(rankCondition, s.ID, p.ID, &ConditionError{Parent: p.ID, Child: s.ID, Condition: p.Condition.String()})
			case lastChild[parent] != int32(i)+1:
				lastChild[parent], lastEdge[parent] = int32(i)+1, int32(len(b.edges))
				b.edges = append(b.edges, edge{parent, child, p.Condition})
			case b.edges[lastEdge[parent]].condition != p.Condition:
				b.reportConflict(s, p.ID)
			}
		}
	}
}

// reportConflict reports the conditions that s gives for one parent, once.
func (b *builder) reportConflict(s *Scenario, parent ID) {
	if b.conflicts[Edge{Parent: parent, Child: s.ID}] {
		return
	}
	if b.conflicts == nil {
		b.conflicts = map[Edge]bool{}
	}
	b.conflicts[Edge{Parent: parent, Child: s.ID}] = true
	var conditions []Condition
	for _, p := range s.After {
		if p.ID == parent && p.Condition.valid() {
			conditions = append(conditions, p.Condition)
		}
	}
	slices.Sort(conditions)
	b.report(rankConflict, s.ID, parent, &ConflictError{Parent: parent, Child: s.ID, Conditions: slices.Compact(conditions)})
}

// layOut finds the layer of each scenario by Kahn's algorithm and returns the canonical order. It is complete unless
// there is a cycle.
func (b *builder) layOut() (order []int32, complete bool) {
	n := len(b.ids)
	b.children = adjacent(n, b.edges, func(e edge) (int32, Neighbor) { return e.parent, Neighbor{e.child, e.condition} })
	b.layer = make([]int32, n)
	open := make([]int32, n) // parents not yet placed
	for _, e := range b.edges {
		open[e.child]++
	}
	order = make([]int32, 0, n)
	for i := range n {
		if open[i] == 0 {
			order = append(order, int32(i))
		}
	}
	for at := 0; at < len(order); at++ {
		i := order[at]
		for _, c := range b.children.of(int(i)) {
			b.layer[c.Index] = max(b.layer[c.Index], b.layer[i]+1)
			if open[c.Index]--; open[c.Index] == 0 {
				order = append(order, c.Index)
			}
		}
	}
	slices.SortFunc(order, func(x, y int32) int {
		return cmp.Or(cmp.Compare(b.layer[x], b.layer[y]), cmp.Compare(b.ids[x], b.ids[y]))
	})
	return order, len(order) == n
}

// graph renumbers everything from order of mention to canonical order.
func (b *builder) graph(order []int32) *Graph {
	n := len(order)
	g := &Graph{ids: make([]ID, n), index: b.index, optional: make([]bool, n)}
	position := make([]int32, n)
	for at, i := range order {
		position[i] = int32(at)
		g.ids[at], g.optional[at] = b.ids[i], b.optional[i]
		if at == 0 || b.layer[i] != b.layer[order[at-1]] {
			g.layers = append(g.layers, int32(at))
		}
		g.index[b.ids[i]] = int32(at)
	}
	g.layers = append(g.layers, int32(n))
	for k := range b.edges {
		b.edges[k].parent, b.edges[k].child = position[b.edges[k].parent], position[b.edges[k].child]
	}
	g.parents = adjacent(n, b.edges, func(e edge) (int32, Neighbor) { return e.child, Neighbor{e.parent, e.condition} })
	g.children = adjacent(n, b.edges, func(e edge) (int32, Neighbor) { return e.parent, Neighbor{e.child, e.condition} })
	for i := range n {
		slices.SortFunc(g.children.of(i), func(x, y Neighbor) int { return cmp.Compare(x.Index, y.Index) })
	}
	return g
}

// adjacent groups edges by the scenario that split returns first, keeping their order within a group.
func adjacent(n int, edges []edge, split func(edge) (at int32, to Neighbor)) adjacency {
	a := adjacency{start: make([]int32, n+1), list: make([]Neighbor, len(edges))}
	for _, e := range edges {
		at, _ := split(e)
		a.start[at+1]++
	}
	for i := range n {
		a.start[i+1] += a.start[i]
	}
	next := slices.Clone(a.start[:n])
	for _, e := range edges {
		at, to := split(e)
		a.list[next[at]] = to
		next[at]++
	}
	return a
}

// A mistake is an error with its place in the report.
type mistake struct {
	rank          int
	child, parent ID
	err           error
	text          string
}

// Edges are reported together, child by child; rankEdge, rankCondition and rankConflict only order one pair.
const (
	rankEmpty = iota
	rankDuplicate
	rankEdge
	rankCondition
	rankConflict
	rankCycle
)

func (m mistake) group() int {
	switch m.rank {
	case rankCondition, rankConflict:
		return rankEdge
	}
	return m.rank
}

func (b *builder) report(rank int, child, parent ID, err error) {
	b.mistakes = append(b.mistakes, mistake{rank, child, parent, err, err.Error()})
}

func (b *builder) err() error {
	slices.SortFunc(b.mistakes, func(x, y mistake) int {
		return cmp.Or(
			cmp.Compare(x.group(), y.group()),
			cmp.Compare(x.child, y.child),
			cmp.Compare(x.parent, y.parent),
			cmp.Compare(x.rank, y.rank),
			cmp.Compare(x.text, y.text),
		)
	})
	b.mistakes = slices.CompactFunc(b.mistakes, func(x, y mistake) bool { return x.text == y.text })
	errs := make([]error, len(b.mistakes))
	for i, m := range b.mistakes {
		errs[i] = m.err
	}
	return errors.Join(errs...)
}
