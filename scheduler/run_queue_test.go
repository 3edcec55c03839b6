package scheduler_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// started returns what a recorder was asked to start, in order.
func started(r *recorder) []string {
	var order []string
	for _, line := range r.log {
		if run, ok := strings.CutPrefix(line, "start "); ok {
			order = append(order, run)
		}
	}
	return order
}

// The longest path starts first, and of equals the first in canonical order, whatever pools they are in.
func TestRunOrderAcrossPools(t *testing.T) {
	pools := map[string]int{}
	var list []dag.Scenario
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		pools[name] = 1
		list = append(list, dag.Scenario{ID: dag.ID(name)})
	}
	list = append(list, dag.Scenario{ID: "unlimited"})
	for _, test := range []struct {
		name   string
		weight func(dag.ID) time.Duration
		want   string
	}{
		{"equals", nil, "a#1 b#1 c#1 d#1 e#1 f#1 g#1 unlimited#1"},
		{"seconds", func(id dag.ID) time.Duration { return time.Duration(id[0]) * time.Second }, "unlimited#1 g#1 f#1 e#1 d#1 c#1 b#1 a#1"},
		{"halves", func(id dag.ID) time.Duration { return time.Duration(id[0] / 2) }, "unlimited#1 f#1 g#1 d#1 e#1 b#1 c#1 a#1"},
		{"negative weights", func(id dag.ID) time.Duration { return -time.Duration(id[0]) }, "a#1 b#1 c#1 d#1 e#1 f#1 g#1 unlimited#1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &recorder{}
			_, err := scheduler.Run(t.Context(), graphOf(t, list...), r, scheduler.Options{
				Parallel: 1, Weight: test.weight, Pool: func(id dag.ID) string { return string(id) }, Pools: pools,
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, strings.Join(started(r), " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A run that is taken up again counts in its pool, and makes room in it when it is over.
func TestRunTakesUpInPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: map[dag.ID]time.Duration{"live": time.Minute, "next": time.Minute, "last": time.Minute}}
		g := graphOf(t, dag.Scenario{ID: "last"}, dag.Scenario{ID: "live"}, dag.Scenario{ID: "next"})
		_, err := scheduler.Run(t.Context(), g, r, scheduler.Options{
			Parallel: 9, Pool: func(dag.ID) string { return "pool" }, Pools: map[string]int{"pool": 1},
			Snapshot: scheduler.Snapshot{"live": {Run: 1, Phase: scheduler.PhaseRunning}},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"start live#1", "live#1 passed", "start last#1", "last#1 passed", "start next#1", "next#1 passed"}
		if diff := cmp.Diff(want, r.log); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// What is canceled while it waits for room does not start.
func TestRunForgetsWhatIsCanceledInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: map[dag.ID]time.Duration{"a": time.Minute}}
		requests := make(chan scheduler.Event)
		go func() {
			time.Sleep(time.Second)
			requests <- scheduler.Cancel(scheduler.Ref{ID: "b"})
			close(requests)
		}()
		g := graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b"}, dag.Scenario{ID: "c"})
		s, err := scheduler.Run(t.Context(), g, r, scheduler.Options{Parallel: 1, Requests: requests})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a#1", "c#1"}, started(r)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(scheduler.Status{Cancel: 1}, s["b"]); diff != "" {
			t.Errorf("b (-want +got):\n%s", diff)
		}
	})
}
