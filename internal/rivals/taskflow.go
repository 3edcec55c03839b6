package main

import (
	"fmt"
	"runtime"

	gotaskflow "github.com/noneback/go-taskflow"
)

// newTaskFlow looks names up itself, since go-taskflow connects tasks and not names.
func newTaskFlow(g *graph, visit func(int)) (*gotaskflow.TaskFlow, error) {
	flow := gotaskflow.NewTaskFlow("tests")
	tasks := make(map[string]*gotaskflow.Task, g.len())
	for i, name := range g.names {
		tasks[name] = flow.NewTask(name, func() { visit(i) })
	}
	for i, name := range g.names {
		for _, p := range g.after[i] {
			parent, ok := tasks[p]
			if !ok {
				return nil, fmt.Errorf("%q is not a name", p)
			}
			parent.Precede(tasks[name])
		}
	}
	return flow, nil
}

const taskflowName = "go-taskflow v1.2.0"

var taskflow = []entry{
	{work: build, name: taskflowName, takesCycles: true, prepare: func(g *graph, visit func(int)) (job, error) {
		return job{do: func() error { _, err := newTaskFlow(g, visit); return err }}, nil
	}},
	{work: run, name: taskflowName, prepare: func(g *graph, visit func(int)) (job, error) {
		flow, err := newTaskFlow(g, visit)
		if err != nil {
			return job{}, err
		}
		executor := gotaskflow.NewExecutor(uint(2 * runtime.GOMAXPROCS(0))) // it wants more than there are processors
		return job{do: func() error { executor.Run(flow).Wait(); return nil }}, nil
	}},
}
