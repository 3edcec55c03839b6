package tekton_test

import (
	"testing"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/schedulertest"
)

// A Runner keeps the contract of runners. PipelineRuns are found again after a crash.
func TestContract(t *testing.T) {
	schedulertest.TestRunner(t, func(t *testing.T) schedulertest.Subject {
		w := newWorld(t)
		first := w.runner(options())
		return schedulertest.Subject{
			Runner: first,
			Pass:   "pass", Fail: "fail", Block: "block", Other: "other",
			Again:      func() scheduler.Runner { return w.runner(options()) },
			Executions: func(run scheduler.Ref) int { return w.created(first.Name(run)) },
			Left:       w.live,
		}
	})
}
