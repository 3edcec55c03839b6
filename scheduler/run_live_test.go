package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A runner can see when its run times out, and why it was told to stop. When the run is over, so is its context, for
// those who were handed it, however the runner came to an end.
func TestRunContext(t *testing.T) {
	tests := []struct {
		name         string
		timeout      time.Duration
		cancel       time.Duration // when the context of Run is canceled
		end          func(ctx context.Context) error
		during, over error // of the context
		reason       string
	}{
		{"returns", 0, 0, func(context.Context) error { return nil }, nil, context.Canceled, ""},
		{"returns in time", time.Minute, 0, func(context.Context) error { return nil }, nil, context.Canceled, ""},
		{"ends its goroutine", 0, 0, func(context.Context) error { runtime.Goexit(); return nil }, nil, context.Canceled, "the runner ended its goroutine"},
		{"times out", time.Minute, 0, wait, context.DeadlineExceeded, context.DeadlineExceeded, "timed out after 1m0s"},
		{"is stopped", 0, time.Second, wait, context.Canceled, context.Canceled, "stopped"},
		{"is stopped in time", time.Minute, time.Second, wait, context.Canceled, context.Canceled, "stopped"},
		{"is stopped, and looks later", 0, time.Second, waitLater, context.Canceled, context.Canceled, "stopped"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, func() { cancel(errors.New("the machine goes down")) })
				}
				begin := time.Now()
				var kept, child context.Context
				release := func() {}
				defer func() { release() }()
				runner := scheduler.RunnerFunc(func(ctx context.Context, _ scheduler.Task) (scheduler.Result, error) {
					kept = ctx
					child, release = context.WithCancel(ctx)
					err := test.end(ctx)
					if ctx.Err() != test.during || context.Cause(ctx) != test.during {
						t.Errorf("meanwhile: %v, because of %v; want %v", ctx.Err(), context.Cause(ctx), test.during)
					}
					return scheduler.Result{Phase: scheduler.PhasePassed}, err
				})
				var reason string
				_, _ = scheduler.Run(ctx, graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{
					Attempts: 1, Timeout: func(dag.ID) time.Duration { return test.timeout },
					Observe: func(s scheduler.Step) { reason = s.Result.Reason },
				})
				deadline, ok := kept.Deadline()
				if ok != (test.timeout > 0) || ok && !deadline.Equal(begin.Add(test.timeout)) || !ok && !deadline.IsZero() {
					t.Errorf("deadline %s, %t", deadline.Sub(begin), ok)
				}
				for what, ctx := range map[string]context.Context{"the context": kept, "one made of it": child} {
					synctest.Wait()
					select {
					case <-ctx.Done():
					default:
						t.Errorf("%s is not done", what)
					}
					if ctx.Err() != test.over {
						t.Errorf("%s: %v, want %v", what, ctx.Err(), test.over)
					}
				}
				if reason != test.reason {
					t.Errorf("reason %q, want %q", reason, test.reason)
				}
			})
		})
	}
}

// wait waits until it is told to stop.
func wait(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// waitLater asks for the channel only when it is closed.
func waitLater(ctx context.Context) error {
	time.Sleep(time.Minute / 2)
	return wait(ctx)
}

// "The default is one minute."
func TestRunGraceByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		runner := scheduler.RunnerFunc(func(context.Context, scheduler.Task) (scheduler.Result, error) {
			<-release
			return scheduler.Result{Phase: scheduler.PhasePassed}, nil
		})
		begin := time.Now()
		_, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{
			Timeout: func(dag.ID) time.Duration { return time.Second },
		})
		var stuck *scheduler.StuckError
		if !errors.As(err, &stuck) || stuck.Grace != time.Minute || time.Since(begin) != time.Second+time.Minute {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

// A run that is taken up again is told all that it was started on, and a stranger too; one whose run is over is not.
// Whatever the runner does with what it was told, the snapshot stays.
func TestRunTellsTheTaskTakenUp(t *testing.T) {
	ref := func(id dag.ID, run int) scheduler.Ref { return scheduler.Ref{ID: id, Run: run} }
	basis := func() []scheduler.Ref { return []scheduler.Ref{ref("a", 1), ref("past", 2)} }
	before := func() scheduler.Snapshot {
		return scheduler.Snapshot{
			"a":    {Run: 1, Phase: scheduler.PhasePassed},
			"b":    {Run: 3, Phase: scheduler.PhaseRunning, Basis: basis()},
			"gone": {Run: 4, Phase: scheduler.PhaseRunning, Forced: true, Basis: basis()},
			"past": {Run: 2, Phase: scheduler.PhasePassed},
		}
	}
	var mu sync.Mutex
	tasks := map[dag.ID]scheduler.Task{}
	runner := scheduler.RunnerFunc(func(_ context.Context, task scheduler.Task) (scheduler.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		tasks[task.Ref.ID] = scheduler.Task{Ref: task.Ref, Basis: slices.Clone(task.Basis), Forced: task.Forced}
		for k := range task.Basis {
			task.Basis[k].Run = 99
		}
		return scheduler.Result{Phase: scheduler.PhasePassed}, nil
	})
	g := graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b", After: dag.After("a")})
	given := before()
	s, err := scheduler.Run(t.Context(), g, runner, scheduler.Options{Snapshot: given})
	if err != nil {
		t.Fatal(err)
	}
	want := map[dag.ID]scheduler.Task{
		"b":    {Ref: ref("b", 3), Basis: basis()},
		"gone": {Ref: ref("gone", 4), Basis: basis(), Forced: true},
	}
	if diff := cmp.Diff(want, tasks); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before(), given); diff != "" {
		t.Errorf("the snapshot that was given (-want +got):\n%s", diff)
	}
	for _, id := range []dag.ID{"b", "gone"} {
		if diff := cmp.Diff(basis(), s[id].Basis); diff != "" {
			t.Errorf("the basis of %s (-want +got):\n%s", id, diff)
		}
	}
}

// What a runner appends to its basis is its own: it changes the task of no other, now or later.
func TestRunTasksAreApart(t *testing.T) {
	const n = 100
	list := []dag.Scenario{{ID: "s000"}}
	for i := 1; i < n; i++ {
		list = append(list, dag.Scenario{ID: dag.ID(fmt.Sprintf("s%03d", i)), After: dag.After(list[i-1].ID)})
	}
	var kept []scheduler.Task
	runner := scheduler.RunnerFunc(func(_ context.Context, task scheduler.Task) (scheduler.Result, error) {
		kept = append(kept, task) // one after the other
		for _, k := range kept {
			_ = append(k.Basis, scheduler.Ref{ID: "spoiled", Run: 99})
		}
		return scheduler.Result{Phase: scheduler.PhasePassed}, nil
	})
	if _, err := scheduler.Run(t.Context(), graphOf(t, list...), runner, scheduler.Options{}); err != nil {
		t.Fatal(err)
	}
	for i, task := range kept[1:] {
		if want := []scheduler.Ref{{ID: list[i].ID, Run: 1}}; !slices.Equal(task.Basis, want) {
			t.Fatalf("%s was told %v, want %v", task.Ref, task.Basis, want)
		}
	}
}

// A run is told to stop once: what the first reason was stays, and its grace counts from then.
func TestRunIsToldToStopOnce(t *testing.T) {
	for _, test := range []struct {
		name   string
		takes  time.Duration // to stop
		reason string
		stuck  bool
	}{
		{"stops in time", 8 * time.Second, "timed out after 1m0s", false},
		{"does not", 12 * time.Second, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute+5*time.Second)
				defer cancel()
				runner := scheduler.RunnerFunc(func(ctx context.Context, _ scheduler.Task) (scheduler.Result, error) {
					<-ctx.Done()
					time.Sleep(test.takes)
					if ctx.Err() != context.DeadlineExceeded {
						t.Errorf("the context says %v", ctx.Err())
					}
					return scheduler.Result{}, ctx.Err()
				})
				var reason string
				_, err := scheduler.Run(ctx, graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{
					Grace: 10 * time.Second, Timeout: func(dag.ID) time.Duration { return time.Minute },
					Observe: func(s scheduler.Step) { reason = s.Result.Reason },
				})
				var stuck *scheduler.StuckError
				if errors.As(err, &stuck) != test.stuck || reason != test.reason {
					t.Errorf("%v, reason %q", err, reason)
				}
				time.Sleep(time.Minute) // until the runner has returned in any case
			})
		})
	}
}

// A run that is told to stop before it begins, as that of a scenario that is not in the graph any more, has its grace too.
func TestRunGivesUpWhatIsStoppedBeforeItBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runner := scheduler.RunnerFunc(func(ctx context.Context, _ scheduler.Task) (scheduler.Result, error) {
			time.Sleep(time.Hour)
			return scheduler.Result{}, ctx.Err()
		})
		begin := time.Now()
		_, err := scheduler.Run(t.Context(), graphOf(t), runner, scheduler.Options{
			Grace: 10 * time.Second, Snapshot: scheduler.Snapshot{"gone": {Run: 4, Phase: scheduler.PhaseRunning}},
		})
		want := &scheduler.StuckError{Runs: []scheduler.Ref{{ID: "gone", Run: 4}}, Grace: 10 * time.Second}
		var stuck *scheduler.StuckError
		if !errors.As(err, &stuck) || time.Since(begin) != 10*time.Second {
			t.Fatalf("%v after %s", err, time.Since(begin))
		}
		if diff := cmp.Diff(want, stuck); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		time.Sleep(time.Hour) // until the runner has returned
	})
}
