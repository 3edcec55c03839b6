package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/internal/shapes"
	"github.com/testdag/testdag/scheduler"
)

// A recorder is a runner that takes the time it is told to, ends as it is told to, and writes down what happened.
type recorder struct {
	takes map[dag.ID]time.Duration
	ends  map[scheduler.Ref]scheduler.Phase // others pass

	mu     sync.Mutex
	log    []string
	live   int
	most   int
	starts map[scheduler.Ref]int
}

func (r *recorder) note(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

func (r *recorder) Run(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
	r.mu.Lock()
	r.note("start %s", t.Ref)
	r.live++
	r.most = max(r.most, r.live)
	if r.starts == nil {
		r.starts = map[scheduler.Ref]int{}
	}
	r.starts[t.Ref]++
	r.mu.Unlock()

	var err error
	select {
	case <-time.After(r.takes[t.Ref.ID]):
	case <-ctx.Done():
		err = ctx.Err()
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.live--
	if err != nil {
		r.note("stop %s", t.Ref)
		return scheduler.Result{}, err
	}
	phase := r.ends[t.Ref]
	if phase == scheduler.PhaseNone {
		phase = scheduler.PhasePassed
	}
	r.note("%s %s", t.Ref, phase)
	return scheduler.Result{Phase: phase}, nil
}

func graphOf(t testing.TB, list ...dag.Scenario) *dag.Graph {
	t.Helper()
	g, err := dag.New(list...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// diamond is build, then scan and lint, then deploy.
func diamond(t testing.TB) *dag.Graph {
	return graphOf(t,
		dag.Scenario{ID: "build"},
		dag.Scenario{ID: "lint", After: dag.After("build")},
		dag.Scenario{ID: "scan", After: dag.After("build")},
		dag.Scenario{ID: "deploy", After: dag.After("lint", "scan")},
	)
}

func outcome(g *dag.Graph, s scheduler.Snapshot) scheduler.Outcome {
	return scheduler.Next(g, s).Outcome
}

func TestRunInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, r := diamond(t), &recorder{takes: map[dag.ID]time.Duration{"build": 1, "lint": 2, "scan": 3, "deploy": 4}}
		s, err := scheduler.Run(t.Context(), g, r, scheduler.Options{Parallel: 2})
		if err != nil || outcome(g, s) != scheduler.OutcomePassed {
			t.Fatalf("%v, %v", outcome(g, s), err)
		}
		slices.Sort(r.log[2:4]) // lint and scan start at once
		want := []string{
			"start build#1", "build#1 passed", "start lint#1", "start scan#1",
			"lint#1 passed", "scan#1 passed", "start deploy#1", "deploy#1 passed",
		}
		if diff := cmp.Diff(want, r.log); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRunFailureAndRerun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, r := diamond(t), &recorder{ends: map[scheduler.Ref]scheduler.Phase{{ID: "scan", Run: 1}: scheduler.PhaseFailed}}
		s, err := scheduler.Run(t.Context(), g, r, scheduler.Options{})
		if err != nil || outcome(g, s) != scheduler.OutcomeFailed {
			t.Fatalf("%v, %v", outcome(g, s), err)
		}
		s = s.Observe(scheduler.Rerun(s.Newest("scan")))
		s, err = scheduler.Run(t.Context(), g, r, scheduler.Options{Snapshot: s})
		if err != nil || outcome(g, s) != scheduler.OutcomePassed {
			t.Fatalf("%v, %v", outcome(g, s), err)
		}
		want := map[scheduler.Ref]int{
			{ID: "build", Run: 1}: 1, {ID: "lint", Run: 1}: 1, {ID: "scan", Run: 1}: 1, {ID: "scan", Run: 2}: 1, {ID: "deploy", Run: 1}: 1,
		}
		if diff := cmp.Diff(want, r.starts); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestRunLimits(t *testing.T) {
	var list []dag.Scenario
	for i := range 12 {
		list = append(list, dag.Scenario{ID: dag.ID(fmt.Sprintf("s%02d", i))})
	}
	everything := func(dag.ID) string { return "" }
	odd := func(id dag.ID) string { return map[bool]string{true: "odd"}[id[2]%2 == 1] }
	tests := []struct {
		name string
		o    scheduler.Options
		most int
	}{
		{"by default the processors", scheduler.Options{}, min(runtime.GOMAXPROCS(0), 12)},
		{"in all", scheduler.Options{Parallel: 5}, 5},
		{"one", scheduler.Options{Parallel: 1}, 1},
		{"no more than there are", scheduler.Options{Parallel: 50}, 12},
		{"one pool for all", scheduler.Options{Parallel: 50, Pool: everything, Pools: map[string]int{"": 3}}, 3},
		{"a pool of six", scheduler.Options{Parallel: 50, Pool: odd, Pools: map[string]int{"odd": 2}}, 8},
		{"a pool without limit", scheduler.Options{Parallel: 50, Pool: odd}, 12},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, r := graphOf(t, list...), &recorder{takes: map[dag.ID]time.Duration{}}
				for _, s := range list {
					r.takes[s.ID] = time.Second
				}
				s, err := scheduler.Run(t.Context(), g, r, test.o)
				if err != nil || outcome(g, s) != scheduler.OutcomePassed || len(r.starts) != len(list) {
					t.Fatalf("%v, %v, %d runs", outcome(g, s), err, len(r.starts))
				}
				if r.most != test.most {
					t.Errorf("at most %d at once, want %d", r.most, test.most)
				}
			})
		})
	}
}

// Of what can start, the longest remaining path goes first: here c, before which everything waits.
func TestRunLongestPathFirst(t *testing.T) {
	list := []dag.Scenario{
		{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d", After: dag.After("c")}, {ID: "e", After: dag.After("d")},
	}
	for _, test := range []struct {
		weight func(dag.ID) time.Duration
		want   string
	}{
		{nil, "c#1 d#1 a#1 b#1 e#1"},
		{func(id dag.ID) time.Duration { return map[dag.ID]time.Duration{"b": 9, "e": 1}[id] }, "b#1 c#1 d#1 e#1 a#1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			if _, err := scheduler.Run(t.Context(), graphOf(t, list...), r, scheduler.Options{Parallel: 1, Weight: test.weight}); err != nil {
				t.Fatal(err)
			}
			var order []string
			for _, line := range r.log {
				if run, ok := strings.CutPrefix(line, "start "); ok {
					order = append(order, run)
				}
			}
			if got := strings.Join(order, " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestRunRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, r := diamond(t), &recorder{takes: map[dag.ID]time.Duration{"build": time.Hour, "scan": time.Hour, "lint": time.Second}}
		requests := make(chan scheduler.Event)
		var snapshot scheduler.Snapshot
		done := make(chan error)
		go func() {
			var err error
			snapshot, err = scheduler.Run(t.Context(), g, r, scheduler.Options{Requests: requests, Parallel: 4})
			done <- err
		}()
		ref := func(id dag.ID, run int) scheduler.Ref { return scheduler.Ref{ID: id, Run: run} }
		ask := func(after time.Duration, e scheduler.Event) {
			time.Sleep(after)
			requests <- e
			synctest.Wait()
		}
		ask(time.Minute, scheduler.Cancel(ref("build", 1)))
		ask(0, scheduler.Rerun(ref("build", 1)))
		ask(0, scheduler.Finished(ref("build", 2), scheduler.PhasePassed)) // news is the runner's to bring
		ask(0, scheduler.Rerun(ref("stranger", 1)))
		ask(90*time.Minute, scheduler.Cancel(ref("scan", 1)))
		ask(0, scheduler.Force(ref("deploy", 0)))
		close(requests)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want := []string{
			"start build#1", "stop build#1", "start build#2", "build#2 passed", "start lint#1", "start scan#1",
			"lint#1 passed", "stop scan#1", "start deploy#1", "deploy#1 passed",
		}
		slices.Sort(r.log[4:6])
		if diff := cmp.Diff(want, r.log); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if st := snapshot["deploy"]; !st.Forced || st.Phase != scheduler.PhasePassed {
			t.Errorf("deploy: %+v", st)
		}
		if st := snapshot["scan"]; st.Phase != scheduler.PhaseStopped || st.Cancel != 1 {
			t.Errorf("scan: %+v", st)
		}
		if _, ok := snapshot["stranger"]; ok {
			t.Error("the stranger is in the snapshot")
		}
	})
}

// "An error means the runner could not tell (retried with backoff within a budget, then failed with its reason)."
func TestRunAsksAgain(t *testing.T) {
	goexit := func() (scheduler.Result, error) { runtime.Goexit(); panic("unreachable") }
	tests := []struct {
		name    string
		asks    []func() (scheduler.Result, error)
		o       scheduler.Options
		phase   scheduler.Phase
		reason  string
		elapsed time.Duration
	}{
		{"then passes", []func() (scheduler.Result, error){fails("no node"), fails("no node"), ends(scheduler.PhasePassed)}, scheduler.Options{}, scheduler.PhasePassed, "", 3 * time.Second},
		{"then gives up", []func() (scheduler.Result, error){fails("a"), fails("b"), fails("no node")}, scheduler.Options{}, scheduler.PhaseFailed, "asked 3 times: no node", 3 * time.Second},
		{"once only", []func() (scheduler.Result, error){fails("no node")}, scheduler.Options{Attempts: 1}, scheduler.PhaseFailed, "asked 1 times: no node", 0},
		{"longer pauses", []func() (scheduler.Result, error){fails("a"), fails("b"), fails("c"), ends(scheduler.PhasePassed)}, scheduler.Options{Attempts: 4, Backoff: 40 * time.Second}, scheduler.PhasePassed, "", 160 * time.Second},
		{"panics", []func() (scheduler.Result, error){func() (scheduler.Result, error) { panic("boom") }}, scheduler.Options{Attempts: 1}, scheduler.PhaseFailed, "the runner panicked: boom", 0},
		{"ends its goroutine", []func() (scheduler.Result, error){goexit}, scheduler.Options{}, scheduler.PhaseFailed, "ended its goroutine", 0},
		{"no result", []func() (scheduler.Result, error){ends(scheduler.PhaseNone)}, scheduler.Options{Attempts: 1}, scheduler.PhaseFailed, "neither an error nor", 0},
		{"still running", []func() (scheduler.Result, error){ends(scheduler.PhaseRunning)}, scheduler.Options{Attempts: 1}, scheduler.PhaseFailed, "neither an error nor", 0},
		{"stopped, by no plan", []func() (scheduler.Result, error){ends(scheduler.PhaseStopped)}, scheduler.Options{Attempts: 1}, scheduler.PhaseFailed, "neither an error nor", 0},
		{"canceled from outside", []func() (scheduler.Result, error){ends(scheduler.PhaseCanceled)}, scheduler.Options{}, scheduler.PhaseCanceled, "", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				runner := scheduler.RunnerFunc(func(context.Context, scheduler.Task) (scheduler.Result, error) {
					asked++
					return test.asks[asked-1]()
				})
				var result scheduler.Result
				test.o.Observe = func(s scheduler.Step) {
					if s.Event.Phase.Over() {
						result = s.Result
					}
				}
				begin := time.Now()
				s, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "scan"}), runner, test.o)
				if err != nil {
					t.Fatal(err)
				}
				if s["scan"].Phase != test.phase || result.Phase != test.phase || !strings.Contains(result.Reason, test.reason) {
					t.Errorf("got %+v, %+v", s["scan"], result)
				}
				if asked != len(test.asks) || time.Since(begin) != test.elapsed {
					t.Errorf("asked %d times in %s, want %d in %s", asked, time.Since(begin), len(test.asks), test.elapsed)
				}
			})
		})
	}
}

// A runner that cannot tell is asked as often as the budget says, by default three times.
func TestRunAsksWithinTheBudget(t *testing.T) {
	for attempts, want := range []int{3, 1, 2, 3, 4, 5, 6, 7} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			runner := scheduler.RunnerFunc(func(context.Context, scheduler.Task) (scheduler.Result, error) {
				if asked++; asked > want {
					return scheduler.Result{Phase: scheduler.PhasePassed}, nil
				}
				return scheduler.Result{}, errors.New("no node")
			})
			s, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{Attempts: attempts})
			if err != nil || asked != want || s["scan"].Phase != scheduler.PhaseFailed {
				t.Errorf("Attempts: %d: asked %d times, want %d; %v, %+v", attempts, asked, want, err, s)
			}
		})
	}
}

func fails(text string) func() (scheduler.Result, error) {
	return func() (scheduler.Result, error) { return scheduler.Result{}, errors.New(text) }
}

func ends(p scheduler.Phase) func() (scheduler.Result, error) {
	return func() (scheduler.Result, error) { return scheduler.Result{Phase: p}, nil }
}

func TestRunTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := graphOf(t, dag.Scenario{ID: "scan"}, dag.Scenario{ID: "quick"}, dag.Scenario{ID: "late"}, dag.Scenario{ID: "unlimited"})
		const limit = time.Minute
		runner := scheduler.RunnerFunc(func(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
			switch t.Ref.ID {
			case "scan": // never ends by itself, and cannot tell
				<-ctx.Done()
				return scheduler.Result{Output: []byte("half a report")}, ctx.Err()
			case "late": // comes to its own end after it was told to stop
				<-ctx.Done()
				return scheduler.Result{Phase: scheduler.PhasePassed}, nil
			case "unlimited":
				time.Sleep(10 * limit)
			}
			return scheduler.Result{Phase: scheduler.PhasePassed}, nil
		})
		results := map[dag.ID]scheduler.Result{}
		s, err := scheduler.Run(t.Context(), g, runner, scheduler.Options{
			Parallel: 4,
			Timeout: func(id dag.ID) time.Duration {
				if id == "unlimited" {
					return 0
				}
				return limit
			},
			Observe: func(s scheduler.Step) { results[s.Event.Ref.ID] = s.Result },
		})
		if err != nil {
			t.Fatal(err)
		}
		got := map[dag.ID]scheduler.Phase{}
		for id, st := range s {
			got[id] = st.Phase
		}
		want := map[dag.ID]scheduler.Phase{
			"scan": scheduler.PhaseFailed, "quick": scheduler.PhasePassed, "late": scheduler.PhasePassed, "unlimited": scheduler.PhasePassed,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if r := results["scan"]; r.Reason != "timed out after 1m0s" || string(r.Output) != "half a report" {
			t.Errorf("scan: %+v", r)
		}
	})
}

// "It begins anew when a run is taken up again."
func TestRunTimesOutWhatItTakesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: map[dag.ID]time.Duration{"scan": time.Hour}}
		var reason string
		s, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "scan"}), r, scheduler.Options{
			Snapshot: scheduler.Snapshot{"scan": {Run: 3, Phase: scheduler.PhaseRunning}},
			Timeout:  func(dag.ID) time.Duration { return time.Minute },
			Observe:  func(s scheduler.Step) { reason = s.Result.Reason },
		})
		if err != nil || s["scan"].Run != 3 || s["scan"].Phase != scheduler.PhaseFailed || reason != "timed out after 1m0s" {
			t.Errorf("%v, %+v, %s", err, s, reason)
		}
	})
}

// A canceled context stops what is live, starts nothing more, and what was observed can be gone on with.
func TestRunCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, r := diamond(t), &recorder{takes: map[dag.ID]time.Duration{"scan": time.Hour}}
		var saved scheduler.Snapshot
		save := func(_ context.Context, s scheduler.Snapshot) error {
			saved = s
			return nil
		}
		cause := errors.New("the machine goes down")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(cause) })
		s, err := scheduler.Run(ctx, g, r, scheduler.Options{Save: save})
		if !errors.Is(err, cause) {
			t.Fatalf("got %v", err)
		}
		if diff := cmp.Diff(s, saved); diff != "" {
			t.Errorf("saved (-returned +saved):\n%s", diff)
		}
		if r.live != 0 || s["scan"].Phase != scheduler.PhaseStopped || s["deploy"].Run != 0 {
			t.Errorf("%d live, %+v", r.live, s)
		}
		r.takes = nil
		s, err = scheduler.Run(t.Context(), g, r, scheduler.Options{Snapshot: s})
		if err != nil || outcome(g, s) != scheduler.OutcomePassed || s["scan"].Run != 2 || s["lint"].Run != 1 {
			t.Errorf("%v, %+v", err, s)
		}
	})
}

func TestRunCanceledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &recorder{}
	s, err := scheduler.Run(ctx, diamond(t), r, scheduler.Options{})
	if !errors.Is(err, context.Canceled) || len(s) != 0 || len(r.log) != 0 {
		t.Errorf("%v, %v, %v", err, s, r.log)
	}
}

// "Saves before it acts": also before it stops a run. Killed right after the stop, the cancellation is not forgotten.
func TestRunSavesBeforeItStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var saved scheduler.Snapshot
		requests := make(chan scheduler.Event, 1)
		runner := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
			requests <- scheduler.Cancel(task.Ref)
			close(requests)
			<-ctx.Done()
			if saved["scan"].Cancel != 1 {
				t.Errorf("stopped while the last snapshot that was saved is %+v", saved)
			}
			return scheduler.Result{}, ctx.Err()
		})
		_, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{
			Requests: requests,
			Save:     func(_ context.Context, s scheduler.Snapshot) error { saved = s; return nil },
		})
		if err != nil || saved["scan"].Phase != scheduler.PhaseStopped {
			t.Errorf("%v, %+v", err, saved)
		}
	})
}

// What was to be started and was not, because saving failed, is not left as running.
func TestRunSaveFailsMidway(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := &recorder{}
	s, err := scheduler.Run(ctx, diamond(t), r, scheduler.Options{Save: func(ctx context.Context, s scheduler.Snapshot) error {
		if s["build"].Phase == scheduler.PhasePassed && ctx.Err() == nil {
			cancel()
			return context.Cause(ctx)
		}
		return ctx.Err()
	}})
	if !errors.Is(err, context.Canceled) || r.starts[scheduler.Ref{ID: "build", Run: 1}] != 1 || len(r.starts) != 1 {
		t.Errorf("%v, %v", err, r.starts)
	}
	for _, id := range []dag.ID{"lint", "scan"} { // a plan may start these again, so they are not canceled
		if st := s[id]; st.Run != 1 || st.Phase != scheduler.PhaseStopped {
			t.Errorf("%s: %+v", id, st)
		}
	}
	s, err = scheduler.Run(t.Context(), diamond(t), r, scheduler.Options{Snapshot: s})
	if err != nil || outcome(diamond(t), s) != scheduler.OutcomePassed || s["build"].Run != 1 || s["scan"].Run != 2 {
		t.Errorf("gone on with: %v, %+v", err, s)
	}
}

// A runner is told all about its run, and hears the values of the caller's context. What it does to its task is its own.
func TestRunTellsTheTask(t *testing.T) {
	type key struct{}
	g := graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b", After: dag.After("a")}, dag.Scenario{ID: "c", After: dag.After("a")})
	basis := []scheduler.Ref{{ID: "a", Run: 1}}
	before := scheduler.Snapshot{
		"a": {Run: 1, Phase: scheduler.PhaseFailed},
		"b": {Run: 1, Phase: scheduler.PhaseRunning, Forced: true, Basis: slices.Clone(basis)},
	}
	before = before.Observe(scheduler.Force(before.Newest("c")))
	var mu sync.Mutex
	tasks := map[dag.ID]scheduler.Task{}
	runner := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
		if ctx.Value(key{}) != "value" {
			t.Error("the context has lost its values")
		}
		mu.Lock()
		defer mu.Unlock()
		tasks[task.Ref.ID] = scheduler.Task{Ref: task.Ref, Basis: slices.Clone(task.Basis), Forced: task.Forced}
		task.Basis[0].Run = 99
		return scheduler.Result{Phase: scheduler.PhasePassed}, nil
	})
	s, err := scheduler.Run(context.WithValue(t.Context(), key{}, "value"), g, runner, scheduler.Options{Snapshot: before})
	if err != nil {
		t.Fatal(err)
	}
	want := map[dag.ID]scheduler.Task{
		"b": {Ref: scheduler.Ref{ID: "b", Run: 1}, Basis: basis, Forced: true},
		"c": {Ref: scheduler.Ref{ID: "c", Run: 1}, Basis: basis, Forced: true},
	}
	if diff := cmp.Diff(want, tasks); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	for _, snapshot := range []scheduler.Snapshot{before, s} {
		if got := snapshot["b"].Basis; !slices.Equal(got, basis) {
			t.Errorf("the basis of b became %v", got)
		}
	}
}

// A run is not asked again while it is being stopped: the pause ends with its context.
func TestRunStopsInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		asked := 0
		runner := scheduler.RunnerFunc(func(context.Context, scheduler.Task) (scheduler.Result, error) {
			asked++
			return scheduler.Result{}, errors.New("no node")
		})
		begin := time.Now()
		s, err := scheduler.Run(ctx, graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{Backoff: time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) || asked != 1 || s["scan"].Phase != scheduler.PhaseStopped || time.Since(begin) != time.Minute {
			t.Errorf("%v, asked %d times, %+v, %s", err, asked, s, time.Since(begin))
		}
	})
}

// What a runner says when it could not stop cleanly is not lost.
func TestRunTellsWhyStoppingFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		runner := scheduler.RunnerFunc(func(ctx context.Context, _ scheduler.Task) (scheduler.Result, error) {
			cancel()
			<-ctx.Done()
			return scheduler.Result{}, errors.New("cannot delete the pod: forbidden")
		})
		var reason string
		_, _ = scheduler.Run(ctx, graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{
			Observe: func(s scheduler.Step) { reason = s.Result.Reason },
		})
		if reason != "stopped: cannot delete the pod: forbidden" {
			t.Errorf("reason: %s", reason)
		}
	})
}

// Numbers of runs may be large, but counting goes on.
func TestRunCountsOn(t *testing.T) {
	const most = 1 << 30
	s := scheduler.Snapshot{}.Observe(scheduler.Finished(scheduler.Ref{ID: "scan", Run: most}, scheduler.PhaseFailed))
	for n := most; n < most+3; n++ {
		s = s.Observe(scheduler.Rerun(s.Newest("scan")))
		r := &recorder{}
		var err error
		if s, err = scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "scan"}), r, scheduler.Options{Snapshot: roundTrip(t, s)}); err != nil {
			t.Fatal(err)
		}
		if s["scan"].Run != n+1 || len(r.starts) != 1 {
			t.Fatalf("%+v after %v", s, r.starts)
		}
	}
}

// Nothing is saved twice: here the start and the end.
func TestRunSavesWhatChanged(t *testing.T) {
	saves := 0
	_, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "scan"}), &recorder{}, scheduler.Options{
		Save: func(context.Context, scheduler.Snapshot) error { saves++; return nil },
	})
	if err != nil || saves != 2 {
		t.Errorf("%d saves, %v", saves, err)
	}
}

// A run that was canceled from outside in the moment in which it was told to stop stays canceled.
func TestRunStoppedRunSaysCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		runner := scheduler.RunnerFunc(func(ctx context.Context, _ scheduler.Task) (scheduler.Result, error) {
			cancel()
			<-ctx.Done()
			return scheduler.Result{Phase: scheduler.PhaseCanceled}, nil
		})
		s, _ := scheduler.Run(ctx, graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{})
		if s["scan"].Phase != scheduler.PhaseCanceled {
			t.Errorf("%+v", s)
		}
	})
}

// What a stopped run reports of its own end is kept as its phase.
func TestRunStoppedRunEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := make(chan scheduler.Event, 1)
		runner := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
			requests <- scheduler.Cancel(task.Ref)
			close(requests)
			<-ctx.Done()
			return scheduler.Result{Phase: scheduler.PhaseFailed, Reason: "3 findings"}, nil
		})
		s, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{Requests: requests})
		if err != nil || s["scan"].Phase != scheduler.PhaseFailed || s["scan"].Cancel != 1 {
			t.Errorf("%v, %+v", err, s)
		}
	})
}

func TestRunStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := map[dag.ID]chan struct{}{"stuck": make(chan struct{}), "hung": make(chan struct{})}
		runner := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
			if blocked, ok := release[task.Ref.ID]; ok {
				<-blocked
			}
			<-ctx.Done()
			return scheduler.Result{}, ctx.Err()
		})
		g := graphOf(t, dag.Scenario{ID: "stuck"}, dag.Scenario{ID: "hung"}, dag.Scenario{ID: "polite"}, dag.Scenario{ID: "never", After: dag.After("polite")})
		begin := time.Now()
		time.AfterFunc(75*time.Second, func() { close(release["stuck"]) }) // it returns after all, given up and to nobody
		s, err := scheduler.Run(t.Context(), g, runner, scheduler.Options{
			Parallel: 4, Grace: 10 * time.Second,
			Timeout: func(id dag.ID) time.Duration { return map[dag.ID]time.Duration{"stuck": time.Minute}[id] },
		})
		var stuck *scheduler.StuckError
		if !errors.As(err, &stuck) {
			t.Fatalf("got %v", err)
		}
		want := &scheduler.StuckError{Runs: []scheduler.Ref{{ID: "hung", Run: 1}, {ID: "stuck", Run: 1}}, Grace: 10 * time.Second}
		if diff := cmp.Diff(want, stuck); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if !strings.Contains(err.Error(), "hung#1, stuck#1") {
			t.Errorf("text: %v", err)
		}
		if s["stuck"].Phase != scheduler.PhaseRunning || s["polite"].Phase != scheduler.PhaseStopped || s["never"].Run != 0 {
			t.Errorf("%+v", s)
		}
		if took := time.Since(begin); took != 80*time.Second {
			t.Errorf("gave up after %s", took)
		}
		close(release["hung"])
	})
}

// "Saves before it acts [...] and resumes after a kill without losing or repeating a finished run": killed at any save,
// with the snapshot saved last.
func TestRunResumesAfterKill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		ends := map[scheduler.Ref]scheduler.Phase{}
		for id := range g.All() {
			ends[scheduler.Ref{ID: id, Run: 1}] = rapid.SampledFrom([]scheduler.Phase{scheduler.PhasePassed, scheduler.PhaseFailed}).Draw(t, "end")
		}
		parallel := rapid.IntRange(1, 3).Draw(t, "parallel")
		var begin scheduler.Snapshot
		for id := range g.All() { // people have asked for things before
			make := rapid.SampledFrom([]func(scheduler.Ref) scheduler.Event{scheduler.Rerun, scheduler.Force, scheduler.Cancel, nil, nil, nil}).Draw(t, "request")
			if make != nil {
				begin = begin.Observe(make(begin.Newest(id)))
			}
		}
		whole, err := scheduler.Run(context.Background(), g, &recorder{ends: ends}, scheduler.Options{Parallel: parallel, Snapshot: begin})
		if err != nil {
			t.Fatal(err)
		}

		killed := errors.New("killed")
		saves := rapid.IntRange(0, 12).Draw(t, "saves before the kill")
		saved := begin
		r := &recorder{ends: ends}
		var mu sync.Mutex
		known := map[scheduler.Ref]bool{} // runs of which the save has been made
		guarded := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
			mu.Lock()
			ok := known[task.Ref]
			mu.Unlock()
			if !ok {
				return scheduler.Result{}, fmt.Errorf("%s was started before it was saved", task.Ref)
			}
			return r.Run(ctx, task)
		})
		save := func(_ context.Context, s scheduler.Snapshot) error {
			if saves == 0 {
				return killed
			}
			saves--
			saved = maps.Clone(s)
			mu.Lock()
			defer mu.Unlock()
			for id, st := range s {
				known[scheduler.Ref{ID: id, Run: st.Run}] = true
			}
			return nil
		}
		if _, err = scheduler.Run(context.Background(), g, guarded, scheduler.Options{Parallel: parallel, Snapshot: begin, Save: save, Attempts: 1}); err != nil && !errors.Is(err, killed) {
			t.Fatal(err)
		}
		finished := map[scheduler.Ref]bool{}
		for id, st := range saved {
			finished[scheduler.Ref{ID: id, Run: st.Run}] = st.Phase.Over()
		}
		r = &recorder{ends: ends}
		resumed, err := scheduler.Run(context.Background(), g, r, scheduler.Options{Parallel: parallel, Snapshot: roundTrip(t, saved)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(whole, resumed); diff != "" {
			t.Fatalf("the end (-without a kill +with):\n%s", diff)
		}
		for run, n := range r.starts {
			if finished[run] || n > 1 {
				t.Fatalf("%s was finished and started again, or %d times", run, n)
			}
		}
	})
}

func TestRunSaveFails(t *testing.T) {
	full := errors.New("no space left")
	r := &recorder{}
	s, err := scheduler.Run(t.Context(), diamond(t), r, scheduler.Options{Save: func(context.Context, scheduler.Snapshot) error { return full }})
	if !errors.Is(err, full) || len(r.starts) != 0 {
		t.Errorf("%v, %v, %+v", err, r.starts, s)
	}
}

// A live run of a scenario that is no longer in the graph is taken up to be stopped; others go on.
func TestRunTakesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: map[dag.ID]time.Duration{"gone": time.Hour, "scan": time.Second}}
		s, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "scan"}), r, scheduler.Options{Snapshot: scheduler.Snapshot{
			"gone": {Run: 4, Phase: scheduler.PhaseRunning}, "scan": {Run: 2, Phase: scheduler.PhaseRunning}, "past": {Run: 1, Phase: scheduler.PhasePassed},
		}})
		if err != nil {
			t.Fatal(err)
		}
		want := scheduler.Snapshot{
			"gone": {Run: 4, Phase: scheduler.PhaseStopped}, "scan": {Run: 2, Phase: scheduler.PhasePassed}, "past": {Run: 1, Phase: scheduler.PhasePassed},
		}
		if diff := cmp.Diff(want, s); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRunTellsSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, r := diamond(t), &recorder{ends: map[scheduler.Ref]scheduler.Phase{{ID: "build", Run: 1}: scheduler.PhaseFailed}}
		var told []string
		core, logs := observer.New(zap.InfoLevel)
		_, err := scheduler.Run(t.Context(), g, r, scheduler.Options{Logger: zap.New(core), Observe: func(s scheduler.Step) {
			line := "first"
			if s.Event.Ref.ID != "" {
				line = s.Event.String()
			}
			for _, c := range s.Changes {
				line += fmt.Sprintf("; %s %s to %s", c.ID, c.From.Verdict, c.To.Verdict)
			}
			told = append(told, line)
		}})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"first; build waiting to ready",
			"build#1 running; build ready to running",
			"build#1 failed; build running to failed; lint waiting to canceled; scan waiting to canceled; deploy waiting to canceled",
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		var logged []string
		for _, l := range logs.All() {
			logged = append(logged, fmt.Sprint(l.Message, " ", l.ContextMap()["run"]))
		}
		if diff := cmp.Diff([]string{"run started build#1", "run over build#1"}, logged); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestRunRefusesOptions(t *testing.T) {
	before := scheduler.Snapshot{"": {Run: 1, Phase: scheduler.PhaseRunning}}
	s, err := scheduler.Run(t.Context(), nil, nil, scheduler.Options{
		Snapshot: before, Parallel: -1, Attempts: -1, Backoff: -1, Grace: -1, Pools: map[string]int{"b": 0, "a": -2},
	})
	var typed *scheduler.OptionError
	if !errors.As(err, &typed) {
		t.Fatalf("got %v", err)
	}
	want := []string{
		"scheduler: the graph is nil; make one with dag.New", "scheduler: the runner is nil",
		"scheduler: Options.Parallel is -1; want 0 or more", "scheduler: Options.Attempts is -1; want 0 or more",
		"scheduler: Options.Backoff is -1ns; want 0 or more", "scheduler: Options.Grace is -1ns; want 0 or more",
		"scheduler: Options.Pools has limits, but Options.Pool is nil",
		`scheduler: Options.Snapshot cannot be: scheduler: not a snapshot: entry 0: the ID is empty, or not UTF-8`,
		`scheduler: Options.Pools limits "a" to -2; want 1 or more`, `scheduler: Options.Pools limits "b" to 0; want 1 or more`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, s); diff != "" {
		t.Errorf("the snapshot was changed (-want +got):\n%s", diff)
	}
}

// Runs that take long keep no other waiting, nor do those that end the goroutine: some here end only when all have begun.
func TestRunAllAtOnce(t *testing.T) {
	const n = 300
	for _, processors := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(processors, " processors"), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			list := make([]dag.Scenario, n)
			want := scheduler.Snapshot{}
			for i := range list {
				list[i].ID = dag.ID(fmt.Sprint(i))
				phase := scheduler.PhasePassed
				if i%7 == 3 {
					phase = scheduler.PhaseFailed
				}
				want[list[i].ID] = scheduler.Status{Run: 1, Phase: phase}
			}
			var begun [n]atomic.Int32
			var waiting sync.WaitGroup
			waiting.Add(n)
			runner := scheduler.RunnerFunc(func(_ context.Context, t scheduler.Task) (scheduler.Result, error) {
				i, _ := strconv.Atoi(string(t.Ref.ID))
				begun[i].Add(1)
				waiting.Done()
				if i%3 == 0 {
					waiting.Wait()
				}
				if i%7 == 3 {
					runtime.Goexit()
				}
				return scheduler.Result{Phase: scheduler.PhasePassed}, nil
			})
			s, err := scheduler.Run(t.Context(), graphOf(t, list...), runner, scheduler.Options{Parallel: n})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, s); diff != "" {
				t.Errorf("snapshot (-want +got):\n%s", diff)
			}
			for i := range begun {
				if times := begun[i].Load(); times != 1 {
					t.Errorf("%d was begun %d times", i, times)
				}
			}
		})
	}
}

// A run that takes long holds nothing up: not what comes of another that began with it, nor what is saved.
func TestRunHoldsNothingUp(t *testing.T) {
	for _, parallel := range []int{2, 10} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			g := graphOf(t, dag.Scenario{ID: "build"}, dag.Scenario{ID: "slow"}, dag.Scenario{ID: "deploy", After: dag.After("build")})
			r := &recorder{takes: map[dag.ID]time.Duration{"slow": time.Hour}}
			_, err := scheduler.Run(t.Context(), g, r, scheduler.Options{
				Parallel: parallel,
				Save: func(_ context.Context, s scheduler.Snapshot) error {
					if s["slow"].Phase == scheduler.PhaseRunning && time.Since(begin) > 0 {
						t.Errorf("saved after %s: %v", time.Since(begin), s)
					}
					return nil
				},
				Observe: func(s scheduler.Step) {
					if s.Event.Ref.ID == "deploy" && time.Since(begin) > 0 {
						t.Errorf("%s after %s", s.Event, time.Since(begin))
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Whatever the caller does meanwhile, what was admitted begins.
func TestRunBeginsWhileItSaves(t *testing.T) {
	const n = 20
	var begun sync.WaitGroup
	begun.Add(n)
	runner := scheduler.RunnerFunc(func(context.Context, scheduler.Task) (scheduler.Result, error) {
		begun.Done()
		begun.Wait()
		return scheduler.Result{Phase: scheduler.PhasePassed}, nil
	})
	list := []dag.Scenario{}
	for i := range n {
		list = append(list, dag.Scenario{ID: dag.ID(fmt.Sprint(i))})
	}
	requests := make(chan scheduler.Event, 1)
	requests <- scheduler.Cancel(scheduler.Ref{ID: "0", Run: 1})
	close(requests)
	saves := 0
	_, err := scheduler.Run(t.Context(), graphOf(t, list...), runner, scheduler.Options{
		Parallel: n, Requests: requests,
		Save: func(context.Context, scheduler.Snapshot) error {
			if saves++; saves == 2 {
				begun.Wait()
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A context that a runner kept stays over when other runs go on.
func TestRunKeptContext(t *testing.T) {
	var kept []context.Context
	var called atomic.Int32
	runner := scheduler.RunnerFunc(func(ctx context.Context, _ scheduler.Task) (scheduler.Result, error) {
		for i, old := range kept {
			if old.Err() != context.Canceled {
				t.Errorf("context %d is %v", i, old.Err())
			}
		}
		kept = append(kept, ctx)
		context.AfterFunc(ctx, func() { called.Add(1) })
		inner, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		return scheduler.Result{Phase: scheduler.PhasePassed}, inner.Err()
	})
	synctest.Test(t, func(t *testing.T) {
		if _, err := scheduler.Run(t.Context(), graphOf(t, shapes.Chain(50)...), runner, scheduler.Options{Parallel: 1}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if called.Load() != 50 {
			t.Errorf("%d functions were called after the ends of 50 runs", called.Load())
		}
	})
}

// A live run of a scenario that is not in the graph any more counts in its pool.
func TestRunCountsStrangersInPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: map[dag.ID]time.Duration{"new": time.Minute}}
		runner := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
			if task.Ref.ID != "old" {
				return r.Run(ctx, task)
			}
			<-ctx.Done()
			time.Sleep(time.Second)
			if r.most > 0 {
				t.Error("new began while old was there")
			}
			return scheduler.Result{}, ctx.Err()
		})
		s, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "new"}), runner, scheduler.Options{
			Snapshot: scheduler.Snapshot{"old": {Run: 1, Phase: scheduler.PhaseRunning}},
			Pool:     func(dag.ID) string { return "one" },
			Pools:    map[string]int{"one": 1},
		})
		if err != nil || s["new"].Phase != scheduler.PhasePassed {
			t.Fatal(s, err)
		}
	})
}
