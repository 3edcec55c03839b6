package main

import (
	"errors"
	"fmt"
)

// A csr is a graph in compressed sparse rows: the children of i are child[start[i]:start[i+1]].
type csr struct {
	start, child []int32
	waits        []int32 // how many parents each scenario has
}

var errCycle = errors.New("there is a cycle")

// numbered makes a csr of numbers.
func numbered(g *graph) (*csr, error) {
	edges := 0
	for _, list := range g.parents {
		edges += len(list)
	}
	from := make([]int32, 0, edges)
	waits := make([]int32, g.len())
	for i, list := range g.parents {
		waits[i] = int32(len(list))
		from = append(from, list...)
	}
	return newCSR(waits, from)
}

// named makes a csr of names.
func named(g *graph) (*csr, error) {
	number := make(map[string]int32, g.len())
	for i, name := range g.names {
		number[name] = int32(i)
	}
	if len(number) != g.len() {
		return nil, errors.New("a name is given twice")
	}
	edges := 0
	for _, list := range g.after {
		edges += len(list)
	}
	from := make([]int32, 0, edges)
	waits := make([]int32, g.len())
	for i, list := range g.after {
		waits[i] = int32(len(list))
		for _, name := range list {
			p, ok := number[name]
			if !ok {
				return nil, fmt.Errorf("%q is not a name", name)
			}
			from = append(from, p)
		}
	}
	return newCSR(waits, from)
}

// newCSR takes the parents of all scenarios in one list, from, of which scenario i has the next waits[i]. It tries
// Kahn's algorithm to see that there is no cycle.
func newCSR(waits, from []int32) (*csr, error) {
	n := len(waits)
	c := &csr{start: make([]int32, n+2), child: make([]int32, len(from)), waits: waits}
	for _, p := range from {
		c.start[p+2]++
	}
	for i := range n {
		c.start[i+2] += c.start[i+1]
	}
	at := 0
	for i, k := range waits {
		for _, p := range from[at : at+int(k)] {
			c.child[c.start[p+1]] = int32(i)
			c.start[p+1]++
		}
		at += int(k)
	}
	c.start = c.start[:n+1]
	k := newKahn(c)
	for at := 0; at < len(k.ready); at++ {
		k.passed(k.ready[at])
	}
	if len(k.ready) < n {
		return nil, errCycle
	}
	return c, nil
}

func (c *csr) len() int                 { return len(c.waits) }
func (c *csr) children(i int32) []int32 { return c.child[c.start[i]:c.start[i+1]] }

// A kahn counts for each scenario the parents that have not passed, and lists what may begin in the order in which it
// came up. It is the least that a run needs.
type kahn struct {
	*csr
	open  []int32
	ready []int32
}

func newKahn(c *csr) *kahn {
	k := &kahn{csr: c, open: append([]int32(nil), c.waits...), ready: make([]int32, 0, c.len())}
	for i, w := range c.waits {
		if w == 0 {
			k.ready = append(k.ready, int32(i))
		}
	}
	return k
}

func (k *kahn) passed(i int32) {
	for _, c := range k.children(i) {
		if k.open[c]--; k.open[c] == 0 {
			k.ready = append(k.ready, c)
		}
	}
}

func buildCSR(name string, role role, blind mistake, from func(*graph) (*csr, error)) entry {
	return entry{work: build, name: name, role: role, blind: blind, prepare: func(g *graph, _ func(int)) (job, error) {
		var c *csr
		return job{
			do:   func() (err error) { c, err = from(g); return err },
			size: func() (scenarios, edges int) { return c.len(), len(c.child) },
		}, nil
	}}
}

var plain = []entry{
	buildCSR("csr, numbers", baseline, unknownName, numbered),
	buildCSR("csr, names", floor, 0, named),
	{work: decide, name: "csr", role: baseline, prepare: func(g *graph, visit func(int)) (job, error) {
		c, err := numbered(g)
		if err != nil {
			return job{}, err
		}
		k := newKahn(c)
		return job{do: func() error {
			for at := 0; at < len(k.ready); at++ {
				visit(int(k.ready[at]))
				k.passed(k.ready[at])
			}
			return nil
		}}, nil
	}},
	{work: cascade, name: "csr", role: baseline, prepare: func(g *graph, _ func(int)) (job, error) {
		c, err := numbered(g)
		if err != nil {
			return job{}, err
		}
		canceled, found := make([]bool, c.len()), make([]int32, 1, c.len())
		return job{
			do: func() error {
				for at := 0; at < len(found); at++ {
					for _, child := range c.children(found[at]) {
						if !canceled[child] {
							canceled[child] = true
							found = append(found, child)
						}
					}
				}
				return nil
			},
			canceled: func(i int) bool { return canceled[i] },
		}, nil
	}},
}
