package main

import "github.com/tektoncd/pipeline/pkg/reconciler/pipeline/dag"

// A pipelineTask is a scenario as package dag of Tekton wants it.
type pipelineTask struct {
	name string
	deps []string
}

func (t pipelineTask) HashKey() string { return t.name }
func (t pipelineTask) Deps() []string  { return t.deps }

type pipelineTasks []dag.Task

func (t pipelineTasks) Items() []dag.Task { return t }

func newPipeline(g *graph) (*dag.Graph, error) {
	tasks := make(pipelineTasks, g.len())
	deps := make(map[string][]string, g.len())
	for i, name := range g.names {
		tasks[i] = pipelineTask{name, g.after[i]}
		deps[name] = g.after[i]
	}
	return dag.Build(tasks, deps)
}

const tektonName = "tektoncd/pipeline v1.15.0 dag"

var tekton = []entry{
	{work: build, name: tektonName, prepare: func(g *graph, _ func(int)) (job, error) {
		var d *dag.Graph
		return job{
			do: func() (err error) { d, err = newPipeline(g); return err },
			size: func() (scenarios, edges int) {
				for _, n := range d.Nodes {
					edges += len(n.Prev)
				}
				return len(d.Nodes), edges
			},
		}, nil
	}},
	// The answer is asked for after each end, as its reconciler does. The entry remembers which have begun.
	{work: decide, name: tektonName, prepare: func(g *graph, visit func(int)) (job, error) {
		d, err := newPipeline(g)
		if err != nil {
			return job{}, err
		}
		return job{do: func() error {
			begun := make(map[string]bool, g.len())
			var ready, done []string
			for {
				candidates, err := dag.GetCandidateTasks(d, done...)
				if err != nil {
					return err
				}
				for name := range candidates {
					if !begun[name] {
						begun[name] = true
						ready = append(ready, name)
					}
				}
				if len(ready) == 0 {
					return nil
				}
				visit(numberOf(ready[0]))
				done, ready = append(done, ready[0]), ready[1:]
			}
		}}, nil
	}},
}
