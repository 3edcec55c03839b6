package schedulertest

import (
	"testing"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

func TestNext(t *testing.T) { CheckRules(t, Pure(scheduler.Next)) }

func TestMachine(t *testing.T) {
	CheckRules(t, func(g *dag.Graph) Scheduler { return scheduler.NewMachine(g, nil) })
}
