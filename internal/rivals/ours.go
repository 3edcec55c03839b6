package main

import (
	"context"
	"fmt"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// newDAG gives the graph to dag.New, as a program does that reads it from elsewhere.
func newDAG(g *graph) (*dag.Graph, error) {
	parents := make([]dag.Parent, 0, g.edges())
	scenarios := make([]dag.Scenario, g.len())
	for i, name := range g.names {
		from := len(parents)
		for _, p := range g.after[i] {
			parents = append(parents, dag.Parent{ID: dag.ID(p)})
		}
		scenarios[i] = dag.Scenario{ID: dag.ID(name), After: parents[from:]}
	}
	return dag.New(scenarios...)
}

// numbers tells for each index the number of the scenario.
func numbers(d *dag.Graph) []int32 {
	number := make([]int32, d.Len())
	for i := range number {
		number[i] = int32(numberOf(string(d.ID(i))))
	}
	return number
}

// machineOf returns a machine of ours, and the numbers of its scenarios.
func machineOf(g *graph) (m *scheduler.Machine, number []int32, err error) {
	d, err := newDAG(g)
	if err != nil {
		return nil, nil, err
	}
	return scheduler.NewMachine(d, nil), numbers(d), nil
}

// drain obeys the machine until there is nothing to do. Every run passes.
func drain(m *scheduler.Machine, visit func(index int)) {
	for i := range m.Todo() {
		m.StartedAt(i)
		visit(i)
		m.FinishedAt(i, scheduler.PhasePassed)
	}
}

// drainByName does the same with actions and events, which name scenarios and runs.
func drainByName(m *scheduler.Machine, visit func(index int)) {
	for i := range m.Todo() {
		a := m.ActionAt(i)
		m.Observe(scheduler.Started(a))
		visit(i)
		m.Observe(scheduler.Finished(m.Newest(a.Ref.ID), scheduler.PhasePassed))
	}
}

// outcome is an error unless the machine has come to the outcome.
func outcome(m *scheduler.Machine, want scheduler.Outcome) error {
	if got := m.Plan().Outcome; got != want {
		return fmt.Errorf("the outcome is %v, want %v", got, want)
	}
	return nil
}

// runWith makes the entry of a way to have a graph run. Run makes a machine and a snapshot too, Machine.Run does not.
func runWith(name string, prepare func(*dag.Graph, scheduler.Runner) (do func() error)) entry {
	return entry{work: run, name: name, role: ours, prepare: func(g *graph, visit func(int)) (job, error) {
		d, err := newDAG(g)
		if err != nil {
			return job{}, err
		}
		return job{do: prepare(d, scheduler.RunnerFunc(func(_ context.Context, t scheduler.Task) (scheduler.Result, error) {
			visit(numberOf(string(t.Ref.ID)))
			return scheduler.Result{Phase: scheduler.PhasePassed}, nil
		}))}, nil
	}}
}

// decideWith makes the entry of a way to drive a machine.
func decideWith(name string, drain func(*scheduler.Machine, func(int))) entry {
	return entry{work: decide, name: name, role: ours, prepare: func(g *graph, visit func(int)) (job, error) {
		m, number, err := machineOf(g)
		if err != nil {
			return job{}, err
		}
		return job{do: func() error {
			drain(m, func(i int) { visit(int(number[i])) })
			return outcome(m, scheduler.OutcomePassed)
		}}, nil
	}}
}

// manyAtOnce is how many runs may be live in our own executor, for those that have nothing to do: they are handed over in
// batches of no more than that. The limit of go-taskflow is one of goroutines, and holds back no hand-over; it is no
// faster with more of them.
const manyAtOnce = 1000

var testdag = []entry{
	{work: build, name: "testdag", role: ours, prepare: func(g *graph, _ func(int)) (job, error) {
		var d *dag.Graph
		return job{
			do: func() (err error) { d, err = newDAG(g); return err },
			size: func() (scenarios, edges int) {
				for i := range d.Len() {
					edges += len(d.ParentsAt(i))
				}
				return d.Len(), edges
			},
		}, nil
	}},
	runWith("testdag", func(d *dag.Graph, runner scheduler.Runner) func() error {
		return func() error {
			_, err := scheduler.Run(context.Background(), d, runner, scheduler.Options{Parallel: manyAtOnce})
			return err
		}
	}),
	runWith("testdag, Machine.Run", func(d *dag.Graph, runner scheduler.Runner) func() error {
		m := scheduler.NewMachine(d, nil)
		return func() error { return m.Run(context.Background(), runner, scheduler.Options{Parallel: manyAtOnce}) }
	}),
	decideWith("testdag", drain),
	decideWith("testdag, by name", drainByName),
	{work: cascade, name: "testdag", role: ours, prepare: func(g *graph, _ func(int)) (job, error) {
		m, _, err := machineOf(g)
		if err != nil {
			return job{}, err
		}
		root, _ := m.Graph().Index(dag.ID(g.names[0]))
		return job{
			do: func() error {
				m.StartedAt(root)
				m.FinishedAt(root, scheduler.PhaseFailed)
				return nil
			},
			canceled: func(i int) bool {
				return m.Conclusion(dag.ID(g.names[i])).Verdict == scheduler.VerdictCanceled
			},
		}, nil
	}},
	{work: wave, name: "testdag", role: ours, prepare: func(g *graph, visit func(int)) (job, error) {
		m, number, err := machineOf(g)
		if err != nil {
			return job{}, err
		}
		drain(m, func(int) {})
		root := dag.ID(g.names[0])
		return job{do: func() error {
			m.Observe(scheduler.Rerun(m.Newest(root)))
			drain(m, func(i int) { visit(int(number[i])) })
			return outcome(m, scheduler.OutcomePassed)
		}}, nil
	}},
}
