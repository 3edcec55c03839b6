package main

import (
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/hashicorp/terraform/dag"
	"github.com/hashicorp/terraform/tfdiags"
)

// newAcyclic adds a root that waits for all leaves, as Terraform does, since a graph must have one. Edges to vertices
// that are not there are looked for here.
func newAcyclic(g *graph) (*dag.AcyclicGraph, error) {
	d := &dag.AcyclicGraph{}
	d.Add(terraformRoot)
	for _, name := range g.names {
		d.Add(name)
	}
	for i, name := range g.names {
		for _, p := range g.after[i] {
			if !d.HasVertex(p) {
				return nil, fmt.Errorf("%q is not a name", p)
			}
			d.Connect(dag.BasicEdge(name, p))
		}
	}
	for _, leaf := range g.leaves() {
		d.Connect(dag.BasicEdge(terraformRoot, g.names[leaf]))
	}
	return d, d.Validate()
}

const terraformRoot = "(root)"

// newWalk returns a walk that calls visit, and a way to let one scenario fail in it.
func newWalk(g *graph, visit func(int)) (walk func(fails string) tfdiags.Diagnostics, err error) {
	d, err := newAcyclic(g)
	if err != nil {
		return nil, err
	}
	log.SetOutput(io.Discard) // the walk logs every scenario that it skips
	return func(fails string) tfdiags.Diagnostics {
		return d.Walk(func(v dag.Vertex) tfdiags.Diagnostics {
			var diags tfdiags.Diagnostics
			if v != terraformRoot {
				visit(numberOf(v.(string)))
			}
			if v == fails {
				diags = diags.Append(errors.New("failed"))
			}
			return diags
		})
	}, nil
}

const terraformName = "terraform v0.15.3 dag"

var terraform = []entry{
	{work: build, name: terraformName, prepare: func(g *graph, _ func(int)) (job, error) {
		var d *dag.AcyclicGraph
		return job{
			do: func() (err error) { d, err = newAcyclic(g); return err },
			size: func() (scenarios, edges int) {
				return len(d.Vertices()) - 1, len(d.Edges()) - len(g.leaves())
			},
		}, nil
	}},
	{work: run, name: terraformName, late: true, prepare: func(g *graph, visit func(int)) (job, error) {
		walk, err := newWalk(g, visit)
		return job{do: func() error { return walk("").Err() }}, err
	}},
	// The walk tells no states: what was not visited is what it skipped.
	{work: cascade, name: terraformName, late: true, prepare: func(g *graph, visit func(int)) (job, error) {
		visited := make([]bool, g.len())
		walk, err := newWalk(g, func(i int) { visited[i] = true; visit(i) })
		return job{
			do: func() error {
				if walk(g.names[0]).Err() == nil {
					return errors.New("the walk did not fail")
				}
				return nil
			},
			canceled: func(i int) bool { return !visited[i] },
		}, err
	}},
}
