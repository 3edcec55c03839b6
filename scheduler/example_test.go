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

// A controller needs no more than Next. This one has its objects in a map, and each time around takes in what happened,
// asks what to do, and does it.
func ExampleNext() {
	g, err := dag.New(
		dag.Scenario{ID: "scan"},
		dag.Scenario{ID: "deploy", After: dag.After("scan")},
	)
	if err != nil {
		panic(err)
	}
	var s scheduler.Snapshot
	objects := map[scheduler.Ref]string{} // what the cluster holds, by name
	reconcile := func(happened ...scheduler.Event) {
		for _, e := range happened {
			s = s.Observe(e)
		}
		plan := scheduler.Next(g, s)
		for _, a := range plan.Actions {
			fmt.Println(a)
			if a.Kind == scheduler.Stop {
				objects[a.Ref] = "stopping"
				continue
			}
			objects[a.Ref] = "running"
			s = s.Observe(scheduler.Started(a))
		}
		if plan.Outcome != scheduler.OutcomePending {
			fmt.Println("outcome", plan.Outcome)
		}
	}
	scan, deploy := scheduler.Ref{ID: "scan", Run: 1}, scheduler.Ref{ID: "deploy", Run: 1}

	reconcile()
	reconcile(scheduler.Finished(scan, scheduler.PhasePassed))
	reconcile(scheduler.Rerun(s.Newest("scan"))) // a person asks; deploy#1 goes on meanwhile
	reconcile(scheduler.Finished(s.Newest("scan"), scheduler.PhasePassed))
	fmt.Println(scheduler.Explain(g, s, "deploy"))
	reconcile(scheduler.Finished(deploy, scheduler.PhaseStopped)) // the object marked as stopping is gone
	reconcile(scheduler.Finished(s.Newest("deploy"), scheduler.PhasePassed))
	// Output:
	// start scan#1
	// start deploy#1 on scan#1
	// start scan#2
	// stop deploy#1
	// deploy is out of date: deploy#1 is being stopped, then deploy#2 starts.
	// start deploy#2 on scan#2
	// outcome passed
}
