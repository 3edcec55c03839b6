package dag

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// New returns the graph of the given scenarios, which may come in any order.
//
// It reports every mistake it finds, joined in an order that depends neither on the order of the scenarios nor on that
// of their parents: an [*Error] for each mistake, first [EmptyID], then [DuplicateID], then the mistakes of edges by
// child and parent, and one [*CycleError] for each group of scenarios that wait for one another. A parent that is given
// twice with one condition counts once.
func New(scenarios ...Scenario) (*Graph, error) {
	b := newBuilder(scenarios)
	b.connect(scenarios)
	order, complete := b.layOut()
	if !complete {
		b.reportCycles()
	}
	if err := b.err(); err != nil {
		return nil, err
	}
	return b.graph(order), nil
}

// A builder numbers the scenarios in the order of their first mention.
type builder struct {
	ids      []ID
	index    map[ID]int32
	optional []bool
	edges    []edge // grouped by scenario as given, each group in declared order
	ordered  bool   // parents are mentioned before their children
	layer    []int32

	mistakes  []*Error
	cycles    []*CycleError
	conflicts map[int]bool // edges whose conditions are reported
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
		ordered:  true,
	}
	empty, given := 0, 0
	for i := range scenarios {
		s := &scenarios[i]
		if s.ID == "" {
			empty++
			continue
		}
		given++
		b.index[s.ID] = int32(len(b.ids))
		b.ids = append(b.ids, s.ID)
		b.optional = append(b.optional, s.Optional)
	}
	if empty > 0 {
		b.report(Error{Kind: EmptyID, Count: empty})
	}
	if len(b.index) < given {
		b.reportDuplicates()
	}
	return b
}

// reportDuplicates reports the IDs that are given more than once, and goes on with the first of each.
func (b *builder) reportDuplicates() {
	given := b.ids
	b.ids = b.ids[:0]
	clear(b.index)
	again := map[ID]int{}
	for _, id := range given {
		if _, ok := b.index[id]; ok {
			again[id]++
			continue
		}
		b.index[id] = int32(len(b.ids))
		b.ids = append(b.ids, id)
	}
	for id, n := range again {
		b.report(Error{Kind: DuplicateID, ID: id, Count: n + 1})
	}
}

// connect collects the edges, each once, and reports those that cannot be.
func (b *builder) connect(scenarios []Scenario) {
	total := 0
	for i := range scenarios {
		total += len(scenarios[i].After)
	}
	b.edges = make([]edge, 0, total)
	seen := seenEdges{b: b}
	for i := range scenarios {
		s := &scenarios[i]
		child, ok := b.index[s.ID]
		if !ok {
			continue
		}
		seen.begin(int32(i), len(s.After))
		for _, p := range s.After {
			parent, ok := b.index[p.ID]
			switch {
			case p.ID == s.ID:
				b.report(Error{Kind: SelfEdge, ID: s.ID, Parent: p.ID})
			case !ok:
				b.report(Error{Kind: UnknownParent, ID: s.ID, Parent: p.ID})
			case !p.Condition.valid():
				b.report(Error{Kind: UnknownCondition, ID: s.ID, Parent: p.ID, Given: []string{p.Condition.String()}})
			default:
				again := seen.edge(parent)
				if again < 0 {
					b.ordered = b.ordered && parent < child
					b.edges = append(b.edges, edge{parent, child, p.Condition})
				} else if b.edges[again].condition != p.Condition {
					b.reportConflict(s, p.ID, again)
				}
			}
		}
	}
}

// seenEdges finds the edges of one scenario as given that came before: a few by looking at them, more by number.
type seenEdges struct {
	b        *builder
	scenario int32
	first    int
	many     bool
	child    []int32 // by parent, the scenario as given, plus one, that named it last
	at       []int32 // by parent, the edge of that
}

func (s *seenEdges) begin(scenario int32, parents int) {
	s.scenario, s.first, s.many = scenario, len(s.b.edges), parents > 8
	if s.many && s.child == nil {
		s.child, s.at = make([]int32, len(s.b.ids)), make([]int32, len(s.b.ids))
	}
}

// edge returns the edge to a parent that is there, or -1 and expects that it is added.
func (s *seenEdges) edge(parent int32) int {
	if !s.many {
		for k := s.first; k < len(s.b.edges); k++ {
			if s.b.edges[k].parent == parent {
				return k
			}
		}
		return -1
	}
	if s.child[parent] == s.scenario+1 {
		return int(s.at[parent])
	}
	s.child[parent], s.at[parent] = s.scenario+1, int32(len(s.b.edges))
	return -1
}

// reportConflict reports the conditions that s gives for one parent, once for each edge.
func (b *builder) reportConflict(s *Scenario, parent ID, edge int) {
	if b.conflicts[edge] {
		return
	}
	if b.conflicts == nil {
		b.conflicts = map[int]bool{}
	}
	b.conflicts[edge] = true
	var conditions []Condition
	for _, p := range s.After {
		if p.ID == parent && p.Condition.valid() {
			conditions = append(conditions, p.Condition)
		}
	}
	slices.Sort(conditions)
	var given []string
	for _, c := range slices.Compact(conditions) {
		given = append(given, c.String())
	}
	b.report(Error{Kind: ConflictingConditions, ID: s.ID, Parent: parent, Given: given})
}

// layOut finds the layer of each scenario and returns the canonical order. It is complete unless there is a cycle.
func (b *builder) layOut() (order []int32, complete bool) {
	b.layer = make([]int32, len(b.ids))
	if !b.ordered && !b.layByKahn() {
		return nil, false
	}
	if b.ordered {
		for _, e := range b.edges {
			b.layer[e.child] = max(b.layer[e.child], b.layer[e.parent]+1)
		}
	}
	return b.canonical(), true
}

// layByKahn finds the layers by Kahn's algorithm. It reports whether it came to all scenarios.
func (b *builder) layByKahn() (all bool) {
	n := len(b.ids)
	children := adjacent(n, b.edges, func(e edge) (int32, Neighbor) { return e.parent, Neighbor{e.child, e.condition} })
	open := make([]int32, n) // parents not yet placed
	for _, e := range b.edges {
		open[e.child]++
	}
	placed := make([]int32, 0, n)
	for i := range n {
		if open[i] == 0 {
			placed = append(placed, int32(i))
		}
	}
	for at := 0; at < len(placed); at++ {
		i := placed[at]
		for _, c := range children.of(int(i)) {
			b.layer[c.Index] = max(b.layer[c.Index], b.layer[i]+1)
			if open[c.Index]--; open[c.Index] == 0 {
				placed = append(placed, c.Index)
			}
		}
	}
	return len(placed) == n
}

// canonical returns the scenarios by layer, then by ID.
func (b *builder) canonical() []int32 {
	deepest := int32(-1)
	for _, layer := range b.layer {
		deepest = max(deepest, layer)
	}
	start := make([]int32, deepest+2) // of each layer
	for _, layer := range b.layer {
		start[layer+1]++
	}
	for k := range start[1:] {
		start[k+1] += start[k]
	}
	keys, next := make([]sortKey, len(b.ids)), slices.Clone(start)
	shared := sharedPrefix(b.ids)
	for i, layer := range b.layer {
		keys[next[layer]] = sortKey{eightBytes(b.ids[i][shared:]), int32(i)}
		next[layer]++
	}
	for k := range start[1:] {
		slices.SortFunc(keys[start[k]:start[k+1]], func(x, y sortKey) int {
			if x.first != y.first {
				return cmp.Compare(x.first, y.first)
			}
			return strings.Compare(string(b.ids[x.number]), string(b.ids[y.number]))
		})
	}
	order := make([]int32, len(b.ids))
	for at, k := range keys {
		order[at] = k.number
	}
	return order
}

// A sortKey stands for an ID when sorting: mostly its first bytes decide.
type sortKey struct {
	first  uint64
	number int32
}

// sharedPrefix returns how many bytes all IDs have in common at their beginning.
func sharedPrefix(ids []ID) int {
	if len(ids) == 0 {
		return 0
	}
	shared := len(ids[0])
	for _, id := range ids[1:] {
		same := 0
		for same < min(shared, len(id)) && id[same] == ids[0][same] {
			same++
		}
		shared = same
	}
	return shared
}

// eightBytes returns the first eight bytes as a number, as if zeros followed the end.
func eightBytes(id ID) (first uint64) {
	for k := range min(8, len(id)) {
		first |= uint64(id[k]) << (56 - 8*k)
	}
	return first
}

// graph renumbers everything from order of mention to canonical order. There are no mistakes, so that the edges are
// grouped by child.
func (b *builder) graph(order []int32) *Graph {
	n := len(order)
	g := &Graph{ids: make([]ID, n), mention: b.index, position: make([]int32, n), optional: make([]bool, n)}
	for at, i := range order {
		g.position[i] = int32(at)
		g.ids[at], g.optional[at] = b.ids[i], b.optional[i]
		if at == 0 || b.layer[i] != b.layer[order[at-1]] {
			g.layers = append(g.layers, int32(at))
		}
	}
	g.layers = append(g.layers, int32(n))
	g.parents, g.children = b.adjacencies(order, g.position)
	return g
}

// adjacencies returns parents and children by position. Going through the children in order, each parent gets them in
// order.
func (b *builder) adjacencies(order, position []int32) (parents, children adjacency) {
	n := len(order)
	first := make([]int32, n+1) // edge of each scenario by mention
	parents, children = newAdjacency(n, len(b.edges)), newAdjacency(n, len(b.edges))
	for _, e := range b.edges {
		first[e.child+1]++
		children.start[position[e.parent]+1]++
	}
	children.sum()
	for i := range n {
		first[i+1] += first[i]
	}
	next := slices.Clone(children.start[:n])
	for at, i := range order {
		edges := b.edges[first[i]:first[i+1]]
		parents.start[at+1] = parents.start[at] + int32(len(edges))
		for k, e := range edges {
			parent := position[e.parent]
			parents.list[int(parents.start[at])+k] = Neighbor{parent, e.condition}
			children.list[next[parent]] = Neighbor{int32(at), e.condition}
			next[parent]++
		}
	}
	return parents, children
}

func newAdjacency(n, edges int) adjacency {
	return adjacency{start: make([]int32, n+1), list: make([]Neighbor, edges)}
}

// sum turns counts that stand one place higher into the places where the lists begin.
func (a adjacency) sum() {
	for i := range a.start[1:] {
		a.start[i+1] += a.start[i]
	}
}

// adjacent groups edges by the scenario that split returns first, keeping their order within a group.
func adjacent(n int, edges []edge, split func(edge) (at int32, to Neighbor)) adjacency {
	a := newAdjacency(n, len(edges))
	for _, e := range edges {
		at, _ := split(e)
		a.start[at+1]++
	}
	a.sum()
	next := slices.Clone(a.start[:n])
	for _, e := range edges {
		at, to := split(e)
		a.list[next[at]] = to
		next[at]++
	}
	return a
}

func (b *builder) report(e Error) { b.mistakes = append(b.mistakes, &e) }

// reportOrder ranks the kinds. Those of edges, from edgeKinds on, are reported together, child by child.
var reportOrder = []Kind{EmptyID, DuplicateID, SelfEdge, UnknownParent, UnknownCondition, ConflictingConditions}

const edgeKinds = 2

func compareMistakes(x, y *Error) int {
	rankX, rankY := slices.Index(reportOrder, x.Kind), slices.Index(reportOrder, y.Kind)
	return cmp.Or(
		cmp.Compare(min(rankX, edgeKinds), min(rankY, edgeKinds)),
		cmp.Compare(x.ID, y.ID),
		cmp.Compare(x.Parent, y.Parent),
		cmp.Compare(rankX, rankY),
		slices.Compare(x.Given, y.Given),
	)
}

// err joins the mistakes, each once, or returns nil if there is none.
func (b *builder) err() error {
	slices.SortFunc(b.mistakes, compareMistakes)
	slices.SortFunc(b.cycles, func(x, y *CycleError) int { return cmp.Compare(x.Path[0], y.Path[0]) })
	var errs []error
	for _, e := range slices.CompactFunc(b.mistakes, func(x, y *Error) bool { return compareMistakes(x, y) == 0 }) {
		errs = append(errs, e)
	}
	for _, e := range b.cycles {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}
