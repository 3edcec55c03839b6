package main

import (
	"context"

	dag_go "github.com/HeaInSeo/dag-go"
)

// A visitor is a scenario as dag-go wants it.
type visitor func()

func (v visitor) RunE(context.Context, any) error { v(); return nil }

// newDagGo makes room for as many results as there are nodes, as the documentation advises.
func newDagGo(g *graph, visit func(int)) (*dag_go.Dag, error) {
	config := dag_go.DefaultDagConfig()
	config.ExpectedNodeCount = g.len() + 2
	config.MaxChannelBuffer = g.len() + 2
	d, err := dag_go.NewDagWithConfig(config).StartDag()
	if err != nil {
		return nil, err
	}
	for i, name := range g.names {
		d.CreateNode(name).SetRunner(visitor(func() { visit(i) }))
	}
	for i, name := range g.names {
		if len(g.after[i]) == 0 {
			if err := d.AddEdgeIfNodesExist(dag_go.StartNode, name); err != nil {
				return nil, err
			}
		}
		for _, p := range g.after[i] {
			if err := d.AddEdgeIfNodesExist(p, name); err != nil {
				return nil, err
			}
		}
	}
	return d, d.FinishDag()
}

func init() { dag_go.Log.SetLevel(0) } // it logs every step of every node

const dagGoName = "HeaInSeo/dag-go v1.2.0"

var dagGo = []entry{
	{work: build, name: dagGoName, prepare: func(g *graph, visit func(int)) (job, error) {
		return job{do: func() error { _, err := newDagGo(g, visit); return err }}, nil
	}},
	{work: run, name: dagGoName, most: 100_000, late: true, prepare: func(g *graph, visit func(int)) (job, error) {
		d, err := newDagGo(g, visit)
		if err != nil {
			return job{}, err
		}
		return job{do: func() error {
			ctx := context.Background()
			if err := d.ConnectRunnerE(); err != nil {
				return err
			}
			if err := d.GetReadyE(ctx); err != nil {
				return err
			}
			if err := d.StartE(); err != nil {
				return err
			}
			return d.WaitE(ctx)
		}}, nil
	}},
}
