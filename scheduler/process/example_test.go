//go:build unix

package process_test

import (
	"context"
	"fmt"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/process"
)

func Example() {
	g, err := dag.New(
		dag.Scenario{ID: "build"},
		dag.Scenario{ID: "scan", After: dag.After("build")},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := process.Runner{Command: process.Commands(map[dag.ID]process.Command{
		"build": {Args: []string{"sh", "-c", "echo built"}},
		"scan":  {Args: []string{"sh", "-c", `echo "run $TESTDAG_RUN of $TESTDAG_SCENARIO, on $TESTDAG_BASIS"; exit 3`}},
	})}
	_, err = scheduler.Run(context.Background(), g, r, scheduler.Options{Observe: func(s scheduler.Step) {
		if s.Event.Phase.Over() {
			fmt.Printf("%s (%s)\n%s", s.Event, s.Result.Reason, s.Result.Output)
		}
	}})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// build#1 passed ()
	// built
	// scan#1 failed (exit status 3)
	// run 1 of scan, on build#1
}
