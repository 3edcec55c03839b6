package main

import (
	"fmt"

	gonumgraph "gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gonum.org/v1/gonum/graph/topo"
	"gonum.org/v1/gonum/graph/traverse"
)

// newDirected numbers the names itself, since gonum knows numbers only, and sorts to see that there is no cycle.
func newDirected(g *graph) (*simple.DirectedGraph, error) {
	d := simple.NewDirectedGraph()
	number := make(map[string]int64, g.len())
	for i, name := range g.names {
		number[name] = int64(i)
		d.AddNode(simple.Node(i))
	}
	for i, list := range g.after {
		for _, p := range list {
			parent, ok := number[p]
			if !ok {
				return nil, fmt.Errorf("%q is not a name", p)
			}
			d.SetEdge(simple.Edge{F: simple.Node(parent), T: simple.Node(i)})
		}
	}
	_, err := topo.Sort(d)
	return d, err
}

const gonumName = "gonum v0.17.0"

var gonum = []entry{
	{work: build, name: gonumName, prepare: func(g *graph, _ func(int)) (job, error) {
		var d *simple.DirectedGraph
		return job{
			do:   func() (err error) { d, err = newDirected(g); return err },
			size: func() (scenarios, edges int) { return d.Nodes().Len(), d.Edges().Len() },
		}, nil
	}},
	// gonum has no states. What it can do is to walk to everything that would have to be canceled.
	{work: cascade, name: gonumName + " walk", prepare: func(g *graph, _ func(int)) (job, error) {
		d, err := newDirected(g)
		if err != nil {
			return job{}, err
		}
		var walk traverse.BreadthFirst
		return job{
			do: func() error {
				walk.Walk(d, simple.Node(0), func(gonumgraph.Node, int) bool { return false })
				return nil
			},
			canceled: func(i int) bool { return i != 0 && walk.Visited(simple.Node(i)) },
		}, nil
	}},
}
