package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

var floors = []entry{
	onCSR(run, "pool of workers", func(c *csr, visit func(int)) job {
		open := make([]atomic.Int32, c.len())
		for i, w := range c.waits {
			open[i].Store(w)
		}
		return job{do: func() error { pool(c, open, visit); return nil }}
	}),
	onCSR(decide, "state machine", func(c *csr, visit func(int)) job {
		m := newMachine(c, 1)
		return job{do: func() error { m.drain(visit); return nil }}
	}),
	onCSR(cascade, "state machine", func(c *csr, _ func(int)) job {
		m := newMachine(c, 1)
		return job{
			do:       func() error { m.start(0); m.fail(0); return nil },
			canceled: func(i int) bool { return m.state[i] == canceled },
		}
	}),
	onCSR(wave, "state machine", func(c *csr, visit func(int)) job {
		m := newMachine(c, 2)
		m.drain(func(int) {})
		return job{do: func() error { m.again(0); m.drain(visit); return nil }}
	}),
	{work: build, name: "csr, names", role: floor, prepare: func(g *graph, _ func(int)) (job, error) {
		var c *csr
		return job{
			do:   func() (err error) { c, err = named(g); return err },
			size: func() (scenarios, edges int) { return c.len(), len(c.child) },
		}, nil
	}},
}

// onCSR makes the entry of a floor to which the graph is given as numbers.
func onCSR(w work, name string, prepare func(c *csr, visit func(int)) job) entry {
	return entry{work: w, name: name, role: floor, prepare: func(g *graph, visit func(int)) (job, error) {
		c, err := numbered(g)
		if err != nil {
			return job{}, err
		}
		return prepare(c, visit), nil
	}}
}

// pool runs a graph as people write it by hand around Kahn's algorithm: there is a worker for each processor, and they
// take what may begin from a channel that holds a whole graph. Open counts the parents that have not passed.
func pool(c *csr, open []atomic.Int32, visit func(int)) {
	ready := make(chan int32, c.len())
	for _, i := range c.roots() {
		ready <- i
	}
	var done atomic.Int32
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range ready {
				visit(int(i))
				for _, child := range c.children(i) {
					if open[child].Add(-1) == 0 {
						ready <- child
					}
				}
				if done.Add(1) == int32(c.len()) {
					close(ready)
				}
			}
		})
	}
	workers.Wait()
}
