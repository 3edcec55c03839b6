package scheduler

import (
	"cmp"
	"math"
	"slices"

	"github.com/testdag/testdag/dag"
)

// A queue holds the scenarios that may start, and hands out first what has the longest path to the end of the graph, of
// equals the first in canonical order, as far as the pools have room.
type queue struct {
	number    map[string]int32 // of the pools that have a limit
	of        func(dag.ID) string
	remaining []int64 // weight of the heaviest path from a scenario to the end, by index
	pool      []int32 // by index
	place     []int32 // by index: its place in the order of its pool
	pools     []pool
}

type pool struct {
	room  int     // how many more may be live
	order []int32 // scenarios, the longest remaining path first
	ready set     // places in the order
}

// newQueue puts scenarios of pools without a limit into the first pool.
func newQueue(g *dag.Graph, o Options) (*queue, error) {
	n := g.Len()
	q := &queue{pool: make([]int32, n), place: make([]int32, n), pools: []pool{{room: math.MaxInt}}}
	q.number, q.of = map[string]int32{}, o.Pool
	for name, limit := range o.Pools {
		q.number[name] = int32(len(q.pools))
		q.pools = append(q.pools, pool{room: limit})
	}
	if err := q.ask(g, o); err != nil {
		return nil, err
	}
	for _, i := range longestFirst(q.remaining) {
		p := &q.pools[q.pool[i]]
		q.place[i] = int32(len(p.order))
		p.order = append(p.order, i)
	}
	for k := range q.pools {
		q.pools[k].ready = newSet(len(q.pools[k].order))
	}
	return q, nil
}

// ask asks for the pool and the weight of each scenario.
func (q *queue) ask(g *dag.Graph, o Options) error {
	err := guard("Options.Pool", func() error {
		for i := range q.pool {
			q.pool[i] = q.poolOf(g.ID(i))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return guard("Options.Weight", func() error {
		q.remaining = g.Remaining(func(id dag.ID) int64 { return weight(o, id) })
		return nil
	})
}

func weight(o Options, id dag.ID) int64 {
	if o.Weight == nil {
		return 1
	}
	return int64(o.Weight(id))
}

// longestFirst returns all indices by descending remaining path, then ascending. Where paths are counted in scenarios
// it counts too instead of comparing.
func longestFirst(remaining []int64) []int32 {
	order := make([]int32, len(remaining))
	longest := int64(0)
	for i, r := range remaining {
		order[i] = int32(i)
		longest = max(longest, r)
	}
	if longest > int64(len(remaining)) {
		slices.SortStableFunc(order, func(x, y int32) int { return cmp.Compare(remaining[y], remaining[x]) })
		return order
	}
	next := make([]int32, longest+2)
	for _, r := range remaining {
		next[longest-r+1]++
	}
	for k := range next[1:] {
		next[k+1] += next[k]
	}
	for i, r := range remaining {
		order[next[longest-r]] = int32(i)
		next[longest-r]++
	}
	return order
}

func (q *queue) push(i int) { q.pools[q.pool[i]].ready.add(int(q.place[i])) }

func (q *queue) poolOf(id dag.ID) int32 {
	if len(q.number) == 0 {
		return 0
	}
	return q.number[q.of(id)]
}

// use counts runs of the scenario at index i as live.
func (q *queue) use(i, by int) { q.pools[q.pool[i]].room -= by }

// usePool counts runs in a pool as live, of scenarios that are not in the graph.
func (q *queue) usePool(pool int32, by int) { q.pools[pool].room -= by }

// pop takes out the next scenario, or returns -1. It drops those that are not to be started any more.
func (q *queue) pop(wanted func(i int) bool) int {
	best := -1
	for k := range q.pools {
		i := q.pools[k].first(wanted)
		if i >= 0 && (best < 0 || q.before(i, best)) {
			best = i
		}
	}
	if best >= 0 {
		q.pools[q.pool[best]].ready.remove(int(q.place[best]))
	}
	return best
}

func (q *queue) before(x, y int) bool {
	return cmp.Or(cmp.Compare(q.remaining[y], q.remaining[x]), cmp.Compare(x, y)) < 0
}

func (p *pool) first(wanted func(i int) bool) int {
	for p.room > 0 {
		at := p.ready.from(0)
		if at < 0 {
			break
		}
		if i := int(p.order[at]); wanted(i) {
			return i
		}
		p.ready.remove(at)
	}
	return -1
}
