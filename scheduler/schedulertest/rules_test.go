package schedulertest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// The rules are told twice, and both tellings agree on every snapshot: also on those that no history leads to.
func TestTellings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Graphs(mostScenarios).Draw(t, "graph")
		s := Snapshots(g).Draw(t, "snapshot")
		sameTelling(t, g, s)
	})
}

func TestTellingsOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Graphs(mostScenarios).Draw(t, "graph")
		s := Snapshots(g).Draw(t, "snapshot")
		for _, e := range Histories(g).Draw(t, "history") {
			want, changed := observe(s, e)
			got := s.Observe(e)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("after %s, %t (-here +scheduler):\n%s\nbefore: %+v", e, changed, diff, s)
			}
			s = got
			sameTelling(t, g, s)
		}
	})
}

func sameTelling(t *rapid.T, g *dag.Graph, s scheduler.Snapshot) {
	told := tell(g, s)
	if diff := cmp.Diff(told.plan, scheduler.Next(g, s), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the plan (-here +scheduler):\n%s\nscript:%s\nsnapshot: %+v", diff, story{}.script(), s)
	}
	for i, c := range scheduler.Conclude(g, s) {
		here := told.of[g.ID(i)]
		if c.Verdict != here.verdict || c.Cause != here.cause {
			t.Fatalf("%s is %v, here %v", g.ID(i), c, here)
		}
	}
}
