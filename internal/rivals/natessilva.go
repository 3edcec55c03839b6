package main

import "github.com/natessilva/dag"

func newRunner(g *graph, visit func(int)) *dag.Runner {
	runner := &dag.Runner{}
	for i, name := range g.names {
		runner.AddVertex(name, func() error { visit(i); return nil })
	}
	for i, name := range g.names {
		for _, p := range g.after[i] {
			runner.AddEdge(p, name)
		}
	}
	return runner
}

const natessilvaName = "natessilva/dag"

// Run looks for cycles and unknown names, so that is not in the time of the build.
var natessilva = []entry{
	{work: build, name: natessilvaName, takesCycles: true, takesUnknown: true,
		prepare: func(g *graph, visit func(int)) (job, error) {
			return job{do: func() error { newRunner(g, visit); return nil }}, nil
		}},
	{work: run, name: natessilvaName, prepare: func(g *graph, visit func(int)) (job, error) {
		return job{do: newRunner(g, visit).Run}, nil
	}},
}
