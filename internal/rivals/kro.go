package main

import "github.com/kubernetes-sigs/kro/pkg/graph/dag"

func newKro(g *graph) (*dag.DirectedAcyclicGraph[string], error) {
	d := dag.NewDirectedAcyclicGraph[string]()
	for i, name := range g.names {
		if err := d.AddVertex(name, i); err != nil {
			return nil, err
		}
	}
	for i, name := range g.names {
		if err := d.AddDependencies(name, g.after[i]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

var kro = []entry{
	{work: build, name: "kro v0.9.4", prepare: func(g *graph, _ func(int)) (job, error) {
		var d *dag.DirectedAcyclicGraph[string]
		return job{
			do: func() (err error) { d, err = newKro(g); return err },
			size: func() (scenarios, edges int) {
				for _, v := range d.Vertices {
					edges += len(v.DependsOn)
				}
				return len(d.Vertices), edges
			},
		}, nil
	}},
}
