package main

import (
	"context"
	"fmt"

	flow "github.com/Azure/go-workflow"
)

// newWorkflow looks names up itself, since go-workflow connects steps and not names.
func newWorkflow(g *graph, visit func(int)) (*flow.Workflow, error) {
	steps := make(map[string]flow.Steper, g.len())
	for i, name := range g.names {
		steps[name] = flow.Func(name, func(context.Context) error { visit(i); return nil })
	}
	w := new(flow.Workflow)
	for i, name := range g.names {
		parents := make([]flow.Steper, len(g.after[i]))
		for k, p := range g.after[i] {
			var ok bool
			if parents[k], ok = steps[p]; !ok {
				return nil, fmt.Errorf("%q is not a name", p)
			}
		}
		w.Add(flow.Steps(steps[name]).DependsOn(parents...))
	}
	return w, nil
}

const azureName = "Azure/go-workflow v0.1.13"

// Do looks for cycles, so that is not in the time of the build.
var azure = []entry{
	{work: build, name: azureName, blind: cycle, prepare: func(g *graph, visit func(int)) (job, error) {
		var w *flow.Workflow
		return job{
			do: func() (err error) { w, err = newWorkflow(g, visit); return err },
			size: func() (scenarios, edges int) {
				for _, s := range w.Steps() {
					edges += len(w.StateOf(s).Upstreams())
				}
				return len(w.Steps()), edges
			},
		}, nil
	}},
	{work: run, name: azureName, late: true, prepare: func(g *graph, visit func(int)) (job, error) {
		w, err := newWorkflow(g, visit)
		return job{do: func() error { return w.Do(context.Background()) }}, err
	}},
}
