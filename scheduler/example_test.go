package scheduler_test

import (
	"context"
	"fmt"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

func Example() {
	g, err := dag.New(
		dag.Scenario{ID: "deploy", After: dag.After("scan")},
		dag.Scenario{ID: "scan", After: dag.After("build")},
		dag.Scenario{ID: "build"},
	)
	if err != nil {
		panic(err) // a cycle, a misspelled name: every mistake, by name
	}
	runner := scheduler.RunnerFunc(func(_ context.Context, t scheduler.Task) (scheduler.Result, error) {
		fmt.Println("run", t.Ref)
		if t.Ref.String() == "scan#1" {
			return scheduler.Result{Phase: scheduler.PhaseFailed, Reason: "1 critical vulnerability"}, nil
		}
		return scheduler.Result{Phase: scheduler.PhasePassed}, nil
	})
	s, err := scheduler.Run(context.Background(), g, runner, scheduler.Options{})
	fmt.Println(scheduler.Explain(g, s, "deploy"), err)

	s = s.Observe(scheduler.Rerun(s.Newest("scan"))) // the fix is in: once more
	s, err = scheduler.Run(context.Background(), g, runner, scheduler.Options{Snapshot: s})
	fmt.Println(scheduler.Next(g, s).Outcome, err)
	// Output:
	// run build#1
	// run scan#1
	// deploy is canceled because scan#1 failed. <nil>
	// run scan#2
	// run deploy#1
	// passed <nil>
}

// A controller needs no more than Next: it observes, asks what to do, and does it.
func ExampleNext() {
	g, err := dag.New(
		dag.Scenario{ID: "scan"},
		dag.Scenario{ID: "lint", Optional: true},
		dag.Scenario{ID: "deploy", After: dag.After("scan")},
	)
	if err != nil {
		panic(err)
	}
	s := scheduler.Snapshot{
		"scan":   {Run: 2, Phase: scheduler.PhasePassed},
		"lint":   {Run: 1, Phase: scheduler.PhaseRunning},
		"deploy": {Run: 1, Phase: scheduler.PhaseRunning, Basis: []scheduler.Ref{{ID: "scan", Run: 1}}},
	}
	for _, a := range scheduler.Next(g, s).Actions {
		fmt.Println(a)
	}
	fmt.Println(scheduler.Explain(g, s, "deploy"))
	// Output:
	// stop deploy#1
	// deploy is out of date: deploy#1 is being stopped, then deploy#2 starts.
}
