package main

import "github.com/heimdalr/dag"

func newHeimdalr(g *graph) (*dag.DAG, error) {
	d := dag.NewDAG()
	for i, name := range g.names {
		if err := d.AddVertexByID(name, i); err != nil {
			return nil, err
		}
	}
	for i, name := range g.names {
		for _, p := range g.after[i] {
			if err := d.AddEdge(p, name); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

var heimdalr = []entry{
	{work: build, name: "heimdalr/dag v1.5.0", most: 10_000, prepare: func(g *graph, _ func(int)) (job, error) {
		var d *dag.DAG
		return job{
			do:   func() (err error) { d, err = newHeimdalr(g); return err },
			size: func() (scenarios, edges int) { return d.GetOrder(), d.GetSize() },
		}, nil
	}},
}
