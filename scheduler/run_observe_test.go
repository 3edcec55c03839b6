package scheduler_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A step tells exactly what followed from its event, and all steps together what Run returns: the scheduler is told again
// what it did, and comes to the same conclusions.
func TestRunTellsAllSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		ids := slices.Collect(g.All())
		ends := map[scheduler.Ref]scheduler.Phase{}
		for _, id := range ids {
			for run := range 3 {
				ends[scheduler.Ref{ID: id, Run: run + 1}] = rapid.SampledFrom([]scheduler.Phase{
					scheduler.PhasePassed, scheduler.PhasePassed, scheduler.PhaseFailed, scheduler.PhaseCanceled,
				}).Draw(t, "end")
			}
		}
		requests := make(chan scheduler.Event, 8)
		for range rapid.IntRange(0, 8).Draw(t, "requests") {
			make := rapid.SampledFrom([]func(scheduler.Ref) scheduler.Event{scheduler.Rerun, scheduler.Force, scheduler.Cancel}).Draw(t, "request")
			requests <- make(scheduler.Ref{ID: rapid.SampledFrom(ids).Draw(t, "of"), Run: rapid.IntRange(0, 3).Draw(t, "run")})
		}
		close(requests)
		begin := scheduler.Snapshot{"gone": {Run: 1, Phase: scheduler.PhaseRunning}}
		for _, id := range ids {
			if rapid.IntRange(0, 2).Draw(t, "known") == 0 {
				begin[id] = scheduler.Status{Run: 1, Phase: scheduler.Phase(rapid.IntRange(1, 5).Draw(t, "phase"))}
			}
		}
		s, told := begin, make([]scheduler.Conclusion, g.Len())
		returned, err := scheduler.Run(context.Background(), g, &recorder{ends: ends}, scheduler.Options{
			Snapshot: begin, Requests: requests, Parallel: rapid.IntRange(1, 4).Draw(t, "parallel"),
			Observe: func(step scheduler.Step) {
				s = s.Observe(step.Event)
				if e := step.Event; e.Phase.Over() != (step.Result.Phase == e.Phase && e.Phase != scheduler.PhaseNone) {
					t.Errorf("%s with the result %+v", e, step.Result)
				}
				var want []scheduler.Change
				for i, c := range scheduler.Conclude(g, s) {
					if c != told[i] {
						want = append(want, scheduler.Change{ID: g.ID(i), From: told[i], To: c})
					}
					told[i] = c
				}
				if diff := cmp.Diff(want, step.Changes); diff != "" {
					t.Errorf("what changed with %q (-want +got):\n%s", step.Event, diff)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, returned); diff != "" {
			t.Fatalf("the end (-told +returned):\n%s", diff)
		}
	})
}

// A machine that has run may be asked for more and run again. Steps tell what happened in that Run alone.
func TestMachineRunsAgain(t *testing.T) {
	g := graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b", After: dag.After("a")})
	m := scheduler.NewMachine(g, nil)
	var changes []scheduler.Change
	run := func() {
		t.Helper()
		changes = nil
		err := m.Run(t.Context(), &recorder{}, scheduler.Options{Observe: func(s scheduler.Step) { changes = append(changes, s.Changes...) }})
		if err != nil || m.Plan().Outcome != scheduler.OutcomePassed {
			t.Fatalf("%v, %+v", err, m.Plan())
		}
	}
	run()
	m.Observe(scheduler.Cancel(m.Newest("b")))
	m.Observe(scheduler.Rerun(m.Newest("b")))
	run()
	verdict := func(v scheduler.Verdict) scheduler.Conclusion { return scheduler.Conclusion{Verdict: v} }
	want := []scheduler.Change{
		{ID: "a", To: verdict(scheduler.VerdictPassed)}, {ID: "b", To: verdict(scheduler.VerdictReady)},
		{ID: "b", From: verdict(scheduler.VerdictReady), To: verdict(scheduler.VerdictRunning)},
		{ID: "b", From: verdict(scheduler.VerdictRunning), To: verdict(scheduler.VerdictPassed)},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// "Options.Snapshot must be nil."
func TestMachineRunRefusesASnapshot(t *testing.T) {
	r := &recorder{}
	m := scheduler.NewMachine(graphOf(t, dag.Scenario{ID: "a"}), nil)
	err := m.Run(t.Context(), r, scheduler.Options{Snapshot: scheduler.Snapshot{}})
	var typed *scheduler.OptionError
	if !errors.As(err, &typed) || typed.Option != "Options.Snapshot" || len(r.starts) != 0 {
		t.Errorf("%v, %v", err, r.starts)
	}
}

// What came of the runs that were stopped is saved although the context is canceled.
func TestRunSavesWhenCanceled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the machine goes down")
	runner := scheduler.RunnerFunc(func(ctx context.Context, _ scheduler.Task) (scheduler.Result, error) {
		cancel(cause)
		<-ctx.Done()
		return scheduler.Result{}, ctx.Err()
	})
	var saved scheduler.Snapshot
	s, err := scheduler.Run(ctx, graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{
		Save: func(ctx context.Context, s scheduler.Snapshot) error {
			saved = s
			return ctx.Err()
		},
	})
	if !errors.Is(err, cause) || errors.Is(err, context.Canceled) || saved["scan"].Phase != scheduler.PhaseStopped {
		t.Errorf("%v, saved %+v", err, saved)
	}
	if diff := cmp.Diff(s, saved); diff != "" {
		t.Errorf("saved (-returned +saved):\n%s", diff)
	}
}

// What is asked for while the old run winds down starts when that is over.
func TestRunRestartsWhatWindsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := make(chan scheduler.Event)
		runner := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
			if task.Ref.Run == 2 {
				return scheduler.Result{Phase: scheduler.PhasePassed}, nil
			}
			requests <- scheduler.Cancel(task.Ref)
			requests <- scheduler.Rerun(task.Ref)
			close(requests)
			<-ctx.Done()
			time.Sleep(time.Second)
			return scheduler.Result{}, ctx.Err()
		})
		s, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{Requests: requests})
		if err != nil || s["scan"].Run != 2 || s["scan"].Phase != scheduler.PhasePassed {
			t.Errorf("%v, %+v", err, s)
		}
	})
}

// "In canonical order": what is canceled and what can start, when a parent fails.
func TestRunTellsChangesInOrder(t *testing.T) {
	onFinish := []dag.Parent{{ID: "a", Condition: dag.OnFinish}}
	g := graphOf(t, dag.Scenario{ID: "a"},
		dag.Scenario{ID: "b", After: dag.After("a")}, dag.Scenario{ID: "c", After: onFinish},
		dag.Scenario{ID: "d", After: dag.After("a")}, dag.Scenario{ID: "e", After: onFinish},
	)
	failed := scheduler.Ref{ID: "a", Run: 1}
	var changed []dag.ID
	_, err := scheduler.Run(t.Context(), g, &recorder{ends: map[scheduler.Ref]scheduler.Phase{failed: scheduler.PhaseFailed}}, scheduler.Options{
		Observe: func(s scheduler.Step) {
			if s.Event.Ref == failed && s.Event.Phase == scheduler.PhaseFailed {
				for _, c := range s.Changes {
					changed = append(changed, c.ID)
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []dag.ID{"a", "b", "c", "d", "e"}; !slices.Equal(changed, want) {
		t.Errorf("got %v, want %v", changed, want)
	}
}
