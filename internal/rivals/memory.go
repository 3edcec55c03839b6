package main

import (
	"math"
	"runtime"

	"github.com/testdag/testdag/scheduler"
)

// A footprint is what a layered graph of ours takes in memory, in bytes per scenario.
type footprint struct {
	graph   float64 // of dag.New, without the text of the names
	machine float64 // of a Machine beyond the graph, new or after everything has run, whichever is more
}

// weigh makes a graph and a machine of n scenarios and looks at the heap.
func weigh(n int) (footprint, error) {
	g := layered(n)
	before := heap()
	d, err := newDAG(g)
	if err != nil {
		return footprint{}, err
	}
	graph := heap()
	m := scheduler.NewMachine(d, nil)
	machine := heap()
	drain(m, func(int) {})
	machine = max(machine, heap())
	for _, alive := range []any{g, d, m} {
		runtime.KeepAlive(alive)
	}
	return footprint{(graph - before) / float64(n), (machine - graph) / float64(n)}, outcome(m, scheduler.OutcomePassed)
}

// heap returns the bytes in use after garbage collections that find nothing more.
func heap() float64 {
	var stats runtime.MemStats
	for last := uint64(math.MaxUint64); ; last = stats.HeapAlloc {
		runtime.GC()
		if runtime.ReadMemStats(&stats); stats.HeapAlloc >= last {
			return float64(stats.HeapAlloc)
		}
	}
}
