package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A team is what people write by hand around Kahn's algorithm when the work is done by several goroutines.
type team struct {
	*csr
	open  []atomic.Int32 // parents that have not passed
	visit func(int)
}

func newTeam(g *graph, visit func(int)) (*team, error) {
	c, err := numbered(g)
	if err != nil {
		return nil, err
	}
	t := &team{csr: c, open: make([]atomic.Int32, c.len()), visit: visit}
	for i, w := range c.waits {
		t.open[i].Store(w)
	}
	return t, nil
}

// roots calls begin with every scenario without parents.
func (t *team) roots(begin func(int32)) {
	for i, w := range t.waits {
		if w == 0 {
			begin(int32(i))
		}
	}
}

// run runs a scenario and calls begin with every child whose last parent it was.
func (t *team) run(i int32, begin func(int32)) {
	t.visit(int(i))
	for _, c := range t.children(i) {
		if t.open[c].Add(-1) == 0 {
			begin(c)
		}
	}
}

// pool has a worker for each processor. They take what may begin from a channel that holds a whole graph.
func (t *team) pool() {
	ready := make(chan int32, t.len())
	begin := func(i int32) { ready <- i }
	t.roots(begin)
	var done atomic.Int32
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range ready {
				t.run(i, begin)
				if done.Add(1) == int32(t.len()) {
					close(ready)
				}
			}
		})
	}
	workers.Wait()
}

// goroutines has a goroutine for each scenario, from when it may begin.
func (t *team) goroutines() {
	var live sync.WaitGroup
	var begin func(int32)
	begin = func(i int32) { live.Go(func() { t.run(i, begin) }) }
	t.roots(begin)
	live.Wait()
}

func byHand(name string, role role, do func(*team)) entry {
	return entry{work: run, name: name, role: role, prepare: func(g *graph, visit func(int)) (job, error) {
		t, err := newTeam(g, visit)
		return job{do: func() error { do(t); return nil }}, err
	}}
}

var teams = []entry{
	byHand("pool of workers", floor, (*team).pool),
	byHand("goroutine each", baseline, (*team).goroutines),
}
