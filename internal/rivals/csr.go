package main

import (
	"errors"
	"fmt"
	"slices"
)

// A csr is a graph in compressed sparse rows: the children of i are child[start[i]:start[i+1]].
type csr struct {
	start, child []int32
	waits        []int32 // how many parents each scenario has
}

// numbered makes a csr of numbers.
func numbered(g *graph) (*csr, error) {
	from := make([]int32, 0, g.edges())
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
	from := make([]int32, 0, g.edges())
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

// newCSR takes the parents of all scenarios in one list, from, of which scenario i has the next waits[i].
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
	if c.cyclic() {
		return nil, errors.New("there is a cycle")
	}
	return c, nil
}

// cyclic tries Kahn's algorithm.
func (c *csr) cyclic() bool {
	open := slices.Clone(c.waits) // parents that are not among the sorted
	sorted := c.roots()
	for at := 0; at < len(sorted); at++ {
		for _, child := range c.children(sorted[at]) {
			if open[child]--; open[child] == 0 {
				sorted = append(sorted, child)
			}
		}
	}
	return len(sorted) < c.len()
}

// roots returns the scenarios without parents, in a slice with room for all.
func (c *csr) roots() []int32 {
	roots := make([]int32, 0, c.len())
	for i, w := range c.waits {
		if w == 0 {
			roots = append(roots, int32(i))
		}
	}
	return roots
}

func (c *csr) len() int                 { return len(c.waits) }
func (c *csr) children(i int32) []int32 { return c.child[c.start[i]:c.start[i+1]] }
