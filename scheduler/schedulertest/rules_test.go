package schedulertest

import (
	"slices"
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

// From wherever a history leads, without another request and whatever the runs report: no scenario starts more than once
// again, there is an end, and at the end nothing is pending. It is the telling of this package that is tested here.
func TestRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stories(kinds{most: mostScenarios, edits: true, odd: true}).Draw(t, "story")
		_, w := s.follow()
		before := w.told.status
		rest := w.rest(drawn(t))
		for id := range w.told.g.All() {
			st, was := w.told.status[id], before[id]
			if first := nextRun(was); st.Run > max(was.Run, first) {
				t.Fatalf("%s started more than once again: it was %+v, and is %+v", id, was, st)
			}
		}
		if len(w.live()) > 0 || len(w.told.plan.Actions) > 0 || w.told.plan.Outcome == scheduler.OutcomePending {
			t.Fatalf("no rest after %d steps:\n%s", len(rest), slices.Concat(s, rest).script())
		}
	})
}

// Events are told twice, too.
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
		t.Fatalf("the plan (-here +scheduler):\n%s\nsnapshot: %+v", diff, s)
	}
	if diff := cmp.Diff(told.conclusions(), scheduler.Conclude(g, s), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the conclusions (-here +scheduler):\n%s\nsnapshot: %+v", diff, s)
	}
}
