package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zapcore"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A faultyError panics in one of its methods, or does not come to an end when it is unwrapped.
type faultyError struct{ in string }

func (e *faultyError) do(method string) {
	if e.in == method { // with a nil *faultyError all of them panic
		panic("boom in " + method)
	}
}

func (e *faultyError) Error() string   { e.do("Error"); return "faulty" }
func (e *faultyError) Is(error) bool   { e.do("Is"); return false }
func (e *faultyError) As(any) bool     { e.do("As"); return false }
func (e *faultyError) Unwrap() []error { e.do("Unwrap"); return nil }

// A cycleError wraps itself.
type cycleError struct{}

func (e *cycleError) Error() string { return "round" }
func (e *cycleError) Unwrap() error { return e }

// A selfJoinedError wraps itself twice.
type selfJoinedError struct{}

func (e *selfJoinedError) Error() string   { return "self-joined" }
func (e *selfJoinedError) Unwrap() []error { return []error{e, e} }

// A selfPanicError panics with itself.
type selfPanicError struct{}

func (e selfPanicError) Error() string { panic(e) }

// An exitError ends the goroutine that asks for its text.
type exitError struct{}

func (e exitError) Error() string { runtime.Goexit(); return "" }

// faulty are errors of which some method does what it should not, with what is said of their text, and of their other
// methods if they are asked.
var faulty = []struct {
	name          string
	err           error
	text, methods string
}{
	{"Error", &faultyError{"Error"}, "method Error of a *scheduler_test.faultyError panicked: boom in Error", ""},
	{"Is", &faultyError{"Is"}, "faulty", "a method of a *scheduler_test.faultyError panicked: boom in Is"},
	{"As", &faultyError{"As"}, "faulty", ""},
	{"Unwrap", &faultyError{"Unwrap"}, "faulty", "a method of a *scheduler_test.faultyError panicked: boom in Unwrap"},
	{"nil pointer", (*faultyError)(nil), "method Error of a *scheduler_test.faultyError panicked: runtime error", "a method of a *scheduler_test.faultyError panicked: runtime error"},
	{"cycle", &cycleError{}, "round", ""},
	{"self-joined", &selfJoinedError{}, "self-joined", ""},
	{"panics with itself", selfPanicError{}, "method Error of a scheduler_test.selfPanicError panicked: a scheduler_test.selfPanicError that panics when it is printed", ""},
	{"wrapped", errors.Join(io.EOF, &faultyError{"Is"}), "EOF\nfaulty", "a method of a *errors.joinError panicked: boom in Is"},
}

// "Nothing a runner returns, whatever its methods do, takes the process down."
func TestRunTakesAnyErrorOfARunner(t *testing.T) {
	for _, test := range faulty {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, stopped := range []bool{false, true} {
					ctx, cancel := context.WithCancel(t.Context())
					runner := scheduler.RunnerFunc(func(context.Context, scheduler.Task) (scheduler.Result, error) {
						if stopped {
							cancel()
							synctest.Wait() // until Run has heard it
						}
						return scheduler.Result{Output: []byte("half a report")}, test.err
					})
					var result scheduler.Result
					s, err := scheduler.Run(ctx, graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{
						Attempts: 2, Observe: func(s scheduler.Step) { result = s.Result }, Logger: panicLogger{},
					})
					cancel()
					phase, reason := scheduler.PhaseFailed, "the runner could not tell, asked 2 times: "+test.text
					if stopped {
						phase, reason = scheduler.PhaseStopped, "stopped: "+test.text
					}
					if (err != nil) != stopped || s["scan"].Phase != phase || result.Phase != phase || string(result.Output) != "half a report" {
						t.Errorf("stopped: %t: %v, %+v, %+v", stopped, err, s, result)
					}
					if !strings.HasPrefix(result.Reason, reason) || stopped && !strings.Contains(result.Reason, test.methods) {
						t.Errorf("stopped: %t: the reason is %s", stopped, result.Reason)
					}
				}
			})
		})
	}
}

// An error says that the run was told to stop, and no more, if errors.Is finds that in it.
func TestRunHearsStopInAnyError(t *testing.T) {
	for _, test := range []struct {
		err    error
		reason string
	}{
		{context.Canceled, "stopped"},
		{context.DeadlineExceeded, "stopped"},
		{fmt.Errorf("ask: %w", fmt.Errorf("wait: %w", context.Canceled)), "stopped"},
		{errors.Join(io.EOF, fmt.Errorf("wait: %w", context.Canceled)), "stopped"},
		{errors.Join(&selfJoinedError{}, context.Canceled), "stopped: self-joined\ncontext canceled"},
		{canceledError{context.Canceled}, "stopped"},
		{canceledError{context.DeadlineExceeded}, "stopped"},
		{errors.Join(io.EOF, io.ErrClosedPipe), "stopped: EOF\nio: read/write on closed pipe"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		runner := scheduler.RunnerFunc(func(ctx context.Context, _ scheduler.Task) (scheduler.Result, error) {
			cancel()
			<-ctx.Done()
			return scheduler.Result{}, test.err
		})
		var reason string
		_, _ = scheduler.Run(ctx, graphOf(t, dag.Scenario{ID: "scan"}), runner, scheduler.Options{
			Observe: func(s scheduler.Step) { reason = s.Result.Reason },
		})
		if reason != test.reason {
			t.Errorf("%v: the reason is %q, want %q", test.err, reason, test.reason)
		}
	}
}

// A canceledError is another one by its method.
type canceledError struct{ is error }

func (e canceledError) Error() string        { return "given up" }
func (e canceledError) Is(target error) bool { return target == e.is }

// What Save returns, and why the context was canceled, ends Run with an error that can be printed and wraps the other.
func TestRunTakesAnyErrorOfSave(t *testing.T) {
	for _, test := range faulty {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(test.err)
			save := func(context.Context, scheduler.Snapshot) error { return test.err }
			for step, run := range map[string]func() (scheduler.Snapshot, error){
				"saving the snapshot": func() (scheduler.Snapshot, error) {
					return scheduler.Run(t.Context(), diamond(t), &recorder{}, scheduler.Options{Save: save})
				},
				"ended early": func() (scheduler.Snapshot, error) {
					return scheduler.Run(ctx, diamond(t), &recorder{}, scheduler.Options{})
				},
			} {
				s, err := run()
				if err == nil || !strings.HasPrefix(err.Error(), "scheduler: "+step+": "+test.text) || !holds(err, test.err) {
					t.Errorf("%s: %v", step, err)
				}
				for id, st := range s {
					if st.Phase != scheduler.PhaseStopped {
						t.Errorf("%s: %+v", id, st)
					}
				}
			}
		})
	}
}

// holds reports whether an error wraps another one, of which it calls no method.
func holds(err, other error) bool {
	if err == other {
		return true
	}
	switch x := err.(type) {
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(x.Unwrap(), func(e error) bool { return holds(e, other) })
	case interface{ Unwrap() error }:
		return holds(x.Unwrap(), other)
	}
	return false
}

// Whatever a function of the options panics with, Run returns an error that names the option, stops what is live, saves,
// and can be gone on with.
func TestRunTakesAnyPanic(t *testing.T) {
	panics := []struct {
		value any
		text  string
	}{
		{"boom", "panicked: boom\n"},
		{nil, "panicked: panic called with nil argument"},
		{errors.New("boom"), "panicked: boom\n"},
		{(*faultyError)(nil), "panicked: a *scheduler_test.faultyError that panics when it is printed\n"},
		{selfPanicError{}, "panicked: a scheduler_test.selfPanicError that panics when it is printed\n"},
	}
	before := scheduler.Snapshot{
		"build": {Run: 1, Phase: scheduler.PhasePassed}, "gone": {Run: 4, Phase: scheduler.PhaseRunning},
		"lint": {Run: 1, Phase: scheduler.PhaseRunning, Basis: []scheduler.Ref{{ID: "build", Run: 1}}},
	}
	for _, test := range []struct {
		option string
		set    func(o *scheduler.Options, faulty func(at dag.ID))
	}{
		{"Options.Pool", func(o *scheduler.Options, faulty func(dag.ID)) {
			o.Pool, o.Pools = func(id dag.ID) string { faulty(id); return "" }, map[string]int{"": 9}
		}},
		{"Options.Weight", func(o *scheduler.Options, faulty func(dag.ID)) {
			o.Weight = func(id dag.ID) time.Duration { faulty(id); return 1 }
		}},
		{"Options.Timeout", func(o *scheduler.Options, faulty func(dag.ID)) {
			o.Timeout = func(id dag.ID) time.Duration { faulty(id); return 0 }
		}},
		{"Options.Observe", func(o *scheduler.Options, faulty func(dag.ID)) {
			o.Observe = func(s scheduler.Step) { faulty(s.Event.Ref.ID) }
		}},
		{"Options.Save", func(o *scheduler.Options, faulty func(dag.ID)) {
			save := o.Save
			o.Save = func(ctx context.Context, s scheduler.Snapshot) error {
				if s["scan"].Phase == scheduler.PhaseRunning {
					faulty("scan")
				}
				return save(ctx, s)
			}
		}},
	} {
		for _, p := range panics {
			for _, at := range []dag.ID{"", "scan", "lint", "gone"} {
				t.Run(fmt.Sprintf("%s panics with %T at %q", test.option, p.value, at), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						r := &recorder{takes: map[dag.ID]time.Duration{"lint": time.Hour, "gone": time.Hour}}
						var saved scheduler.Snapshot
						var faultyAt time.Time
						told := 0
						o := scheduler.Options{Parallel: 4, Snapshot: maps.Clone(before), Save: func(_ context.Context, s scheduler.Snapshot) error {
							saved = s
							return nil
						}}
						test.set(&o, func(id dag.ID) {
							if id == at {
								told++
								faultyAt = time.Now()
								panic(p.value)
							}
						})
						s, err := scheduler.Run(t.Context(), diamond(t), r, o)
						if told == 0 {
							if err != nil {
								t.Error(err)
							}
							return // it is not asked about that
						}
						if err == nil || !strings.Contains(err.Error(), test.option+" "+p.text) || !strings.Contains(err.Error(), "guard_test.go") {
							t.Fatalf("got %v", err)
						}
						if r.live != 0 || r.starts[scheduler.Ref{ID: "deploy", Run: 1}] > 0 || told > 1 && test.option == "Options.Observe" {
							t.Errorf("%d are live, of %v; told %d times", r.live, r.starts, told)
						}
						if time.Since(faultyAt) > 0 {
							t.Errorf("ended %s later: it waited for what is live", time.Since(faultyAt))
						}
						if test.option == "Options.Timeout" && s[at].Run != before[at].Run {
							t.Errorf("%s was started: %+v", at, s[at])
						}
						if saved == nil {
							saved = before // nothing began
						}
						if diff := cmp.Diff(saved, s); diff != "" {
							t.Errorf("the end (-saved +returned):\n%s", diff)
						}
						s, err = scheduler.Run(t.Context(), diamond(t), &recorder{}, scheduler.Options{Snapshot: s})
						if err != nil || outcome(diamond(t), s) != scheduler.OutcomePassed {
							t.Errorf("gone on with: %v, %v", outcome(diamond(t), s), err)
						}
					})
				})
			}
		}
	}
}

// A panic at any step loses nothing: the runs that were live are stopped and observed, and what is saved last is all.
func TestRunObserverPanics(t *testing.T) {
	for step := 0; ; step++ {
		steps := 0
		synctest.Test(t, func(t *testing.T) {
			g := diamond(t)
			r := &recorder{takes: map[dag.ID]time.Duration{"build": 1, "lint": 2, "scan": 3, "deploy": 4}}
			var saved scheduler.Snapshot
			told, begun := map[scheduler.Ref]bool{}, 0
			s, err := scheduler.Run(t.Context(), g, r, scheduler.Options{
				Parallel: 4,
				Save:     func(_ context.Context, s scheduler.Snapshot) error { saved = s; return nil },
				Observe: func(s scheduler.Step) {
					told[s.Event.Ref] = true
					if steps++; steps > step {
						synctest.Wait() // until what was started has begun
						begun = len(r.starts)
						panic(fmt.Sprint("boom at ", s.Event))
					}
				},
			})
			if steps <= step {
				if err != nil || outcome(g, s) != scheduler.OutcomePassed {
					t.Errorf("%v, %v", outcome(g, s), err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "scheduler: Options.Observe panicked: boom at ") {
				t.Errorf("step %d: %v", step, err)
			}
			if steps > step+1 || r.live > 0 {
				t.Errorf("step %d: told %d times, %d are live", step, steps, r.live)
			}
			if diff := cmp.Diff(saved, s); diff != "" && step > 0 {
				t.Errorf("step %d: the end (-saved +returned):\n%s", step, diff)
			}
			if len(r.starts) > begun {
				t.Errorf("step %d: after the panic, of %v more than %d were started", step, r.starts, begun)
			}
			for id, st := range s {
				run := scheduler.Ref{ID: id, Run: st.Run}
				if !told[run] {
					t.Errorf("step %d: %s was not told", step, run)
				}
				want := scheduler.PhaseStopped
				if slices.Contains(r.log, fmt.Sprint(run, " passed")) {
					want = scheduler.PhasePassed
				}
				if st.Phase != want {
					t.Errorf("step %d: %s is %s, want %s", step, run, st.Phase, want)
				}
			}
			s, err = scheduler.Run(t.Context(), g, r, scheduler.Options{Snapshot: s})
			if err != nil || outcome(g, s) != scheduler.OutcomePassed {
				t.Errorf("step %d: gone on with: %v, %v", step, outcome(g, s), err)
			}
			for run, n := range r.starts {
				if n > 1 {
					t.Errorf("step %d: %s was started %d times", step, run, n)
				}
			}
		})
		if steps <= step {
			if step < 9 {
				t.Errorf("there are %d steps", step)
			}
			return
		}
	}
}

// A panicLogger panics on every entry.
type panicLogger struct{ scheduler.Logger }

func (panicLogger) Info(string, ...zapcore.Field)  { panic(selfPanicError{}) }
func (panicLogger) Warn(string, ...zapcore.Field)  { panic(selfPanicError{}) }
func (panicLogger) Error(string, ...zapcore.Field) { panic(selfPanicError{}) }

// "An entry on which it panics is lost", no more.
func TestRunLoggerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := make(chan scheduler.Event, 2)
		requests <- scheduler.Cancel(scheduler.Ref{ID: "lint"})
		requests <- scheduler.Cancel(scheduler.Ref{ID: "lint"})
		close(requests)
		asked := 0
		runner := scheduler.RunnerFunc(func(context.Context, scheduler.Task) (scheduler.Result, error) {
			if asked++; asked == 1 {
				return scheduler.Result{}, errors.New("no node")
			}
			return scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{{}}}, nil
		})
		g := graphOf(t, dag.Scenario{ID: "scan"}, dag.Scenario{ID: "lint", After: dag.After("scan")})
		s, err := scheduler.Run(t.Context(), g, runner, scheduler.Options{Requests: requests, Logger: panicLogger{}})
		if err != nil || s["scan"].Phase != scheduler.PhasePassed || outcome(g, s) != scheduler.OutcomeCanceled {
			t.Errorf("%v, %+v", err, s)
		}
	})
}

// Save may end its goroutine, by itself or by the text of its error. Run returns all the same.
func TestRunSaveEndsItsGoroutine(t *testing.T) {
	for name, save := range map[string]func() error{
		"itself": func() error { runtime.Goexit(); return nil },
		"text":   func() error { return exitError{} },
	} {
		s, err := scheduler.Run(t.Context(), diamond(t), &recorder{}, scheduler.Options{
			Save: func(context.Context, scheduler.Snapshot) error { return save() },
		})
		if err == nil || !strings.Contains(err.Error(), "saving the snapshot: Options.Save ended its goroutine") || s["build"].Phase != scheduler.PhaseStopped {
			t.Errorf("%s: %v, %+v", name, err, s)
		}
	}
}

// Nothing waits for ever: a Save that was told to stop has its grace. The last one is told so after the grace.
func TestRunSaveIsBounded(t *testing.T) {
	const grace, told = 10 * time.Second, time.Minute
	stops := errors.New("told to stop")
	type saver func(ctx context.Context, hang <-chan struct{}) error
	var (
		hangs saver = func(_ context.Context, hang <-chan struct{}) error { <-hang; return nil }
		obeys saver = func(ctx context.Context, _ <-chan struct{}) error { <-ctx.Done(); return stops }
		late  saver = func(ctx context.Context, _ <-chan struct{}) error {
			<-ctx.Done()
			time.Sleep(grace / 2)
			return nil
		}
		done saver = func(context.Context, <-chan struct{}) error { return nil }
	)
	for _, test := range []struct {
		name    string
		saves   []saver // one after the other; the context of Run is canceled a minute after its beginning
		runner  time.Duration
		stuck   *scheduler.StuckError
		errs    []error
		elapsed time.Duration
		text    string
	}{
		{"the first hangs", []saver{hangs}, 0, &scheduler.StuckError{Save: true, Grace: grace}, []error{context.Canceled}, told + grace, "scheduler: Options.Save was told to stop and did not return within 10s"},
		{"one beside a run hangs", []saver{done, hangs}, 0, &scheduler.StuckError{Save: true, Grace: grace}, []error{context.Canceled}, told + grace, ""},
		{"one beside a run that hangs, hangs", []saver{done, hangs}, time.Hour, &scheduler.StuckError{Runs: []scheduler.Ref{{ID: "slow", Run: 1}}, Save: true, Grace: grace}, []error{context.Canceled}, told + grace, "the runner was told to stop slow#1 and did not return within 10s; Options.Save was told to stop and did not return within 10s"},
		{"one obeys, and so does the last", []saver{done, obeys, done}, 0, nil, []error{context.Canceled, stops}, told, ""},
		{"one takes half its grace", []saver{done, late, done}, 0, nil, []error{context.Canceled}, told + grace/2, ""},
		{"a run hangs", []saver{done, done, done}, time.Hour, &scheduler.StuckError{Runs: []scheduler.Ref{{ID: "slow", Run: 1}}, Grace: grace}, []error{context.Canceled}, told + grace, ""},
		{"the last hangs", []saver{done, done, hangs}, 0, &scheduler.StuckError{Save: true, Grace: grace}, []error{context.Canceled}, told + 2*grace, ""},
		{"the last obeys", []saver{done, done, obeys}, 0, nil, []error{context.Canceled, stops}, told + grace, "saving the snapshot: told to stop"},
		{"the last one fails", []saver{done, done, func(context.Context, <-chan struct{}) error { return stops }}, 0, nil, []error{context.Canceled, stops}, told, ""},
		{"the last one takes half its grace", []saver{done, done, func(ctx context.Context, _ <-chan struct{}) error {
			time.Sleep(grace / 2)
			return ctx.Err()
		}}, 0, nil, []error{context.Canceled}, told + grace/2, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), told, context.Canceled)
				defer cancel()
				g := graphOf(t, dag.Scenario{ID: "polite"}, dag.Scenario{ID: "quick"}, dag.Scenario{ID: "slow"})
				hang := make(chan struct{})
				runner := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
					if task.Ref.ID == "quick" {
						return scheduler.Result{Phase: scheduler.PhasePassed}, nil
					}
					<-ctx.Done()
					if task.Ref.ID == "slow" {
						time.Sleep(test.runner)
					}
					return scheduler.Result{}, ctx.Err()
				})
				begin := time.Now()
				var calls atomic.Int32 // also of one that hangs
				s, err := scheduler.Run(ctx, g, runner, scheduler.Options{
					Parallel: 3, Grace: grace,
					Save: func(ctx context.Context, _ scheduler.Snapshot) error {
						n := int(calls.Add(1))
						if n > len(test.saves) {
							t.Errorf("call %d of Save", n)
							return nil
						}
						return test.saves[n-1](ctx, hang)
					},
				})
				if elapsed := time.Since(begin); elapsed != test.elapsed {
					t.Errorf("took %s, want %s", elapsed, test.elapsed)
				}
				var stuck *scheduler.StuckError
				errors.As(err, &stuck)
				if diff := cmp.Diff(test.stuck, stuck); diff != "" {
					t.Errorf("stuck (-want +got):\n%s", diff)
				}
				for _, want := range test.errs {
					if !errors.Is(err, want) {
						t.Errorf("%v does not wrap %v", err, want)
					}
				}
				if !strings.Contains(err.Error(), test.text) {
					t.Errorf("got %v", err)
				}
				if n := int(calls.Load()); n != len(test.saves) {
					t.Errorf("%d calls of Save, want %d", n, len(test.saves))
				}
				if st := s["slow"]; test.runner == 0 && st.Phase != scheduler.PhaseStopped {
					t.Errorf("slow: %+v", st)
				}
				close(hang)
				time.Sleep(time.Hour) // until the runner has returned
			})
		})
	}
}

// An observer that ends the goroutine of Run, as t.FailNow does, leaves no run behind.
func TestRunLeftByItsObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := make(chan struct{})
		runner := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
			if task.Ref.ID == "quick" {
				time.Sleep(time.Second) // until the other runs too
				return scheduler.Result{Phase: scheduler.PhasePassed}, nil
			}
			<-ctx.Done()
			close(stopped)
			return scheduler.Result{}, ctx.Err()
		})
		go func() {
			_, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "quick"}, dag.Scenario{ID: "slow"}), runner, scheduler.Options{
				Parallel: 2,
				Observe: func(s scheduler.Step) {
					if s.Event.Phase.Over() {
						runtime.Goexit()
					}
				},
			})
			t.Errorf("Run returned %v", err)
		}()
		<-stopped
	})
}
