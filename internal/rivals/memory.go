package main

import (
	"math"
	"runtime"
	"time"

	"github.com/testdag/testdag/scheduler"
)

// A footprint is what a layered graph of ours takes in memory, in bytes per scenario.
type footprint struct {
	graph   float64 // of dag.New, without the text of the names
	machine float64 // of a new Machine, beyond the graph
	ran     float64 // of a Machine that has run everything, beyond the graph
	making  float64 // and the nanoseconds per scenario that a new Machine takes
}

// weigh makes a graph and a machine of n scenarios and looks at the heap.
func weigh(n int) (footprint, error) {
	g := layered(n)
	bytes := func(from uint64) (float64, uint64) {
		now := heap()
		return (float64(now) - float64(from)) / float64(n), now
	}
	var f footprint
	from := heap()
	d, err := newDAG(g)
	if err != nil {
		return f, err
	}
	var graph uint64
	f.graph, graph = bytes(from)
	begin := time.Now()
	m := scheduler.NewMachine(d, nil)
	f.making = float64(time.Since(begin)) / float64(n)
	f.machine, _ = bytes(graph)
	drain(m, func(int) {})
	f.ran, _ = bytes(graph)
	for _, alive := range []any{g, d, m} {
		runtime.KeepAlive(alive)
	}
	return f, outcome(m, scheduler.OutcomePassed)
}

// heap returns the bytes in use after garbage collections that find nothing more.
func heap() uint64 {
	var stats runtime.MemStats
	for last := uint64(math.MaxUint64); ; last = stats.HeapAlloc {
		runtime.GC()
		if runtime.ReadMemStats(&stats); stats.HeapAlloc >= last {
			return stats.HeapAlloc
		}
	}
}
