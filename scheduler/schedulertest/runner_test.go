package schedulertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/testdag/testdag/scheduler"
)

// A place is a world in which scenarios are goroutines.
type place struct {
	mu    sync.Mutex
	begun map[scheduler.Ref]int
	left  map[scheduler.Ref]int
}

func newPlace() *place {
	return &place{begun: map[scheduler.Ref]int{}, left: map[scheduler.Ref]int{}}
}

// enter begins the work of a run, and returns how to end it.
func (p *place) enter(run scheduler.Ref) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun[run]++
	p.left[run]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.left[run]--
	}
}

func (p *place) executions(run scheduler.Ref) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun[run]
}

func (p *place) leftovers() (left []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for run, n := range p.left {
		if n > 0 {
			left = append(left, run.String())
		}
	}
	return left
}

// work carries out a run as it should be.
func (p *place) work(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
	if ctx.Err() != nil {
		return scheduler.Result{}, ctx.Err()
	}
	defer p.enter(t.Ref)()
	switch t.Ref.ID {
	case "pass":
		return scheduler.Result{Phase: scheduler.PhasePassed}, nil
	case "fail":
		return scheduler.Result{Phase: scheduler.PhaseFailed, Reason: "as asked"}, nil
	case "block", "other":
		<-ctx.Done()
		return scheduler.Result{}, ctx.Err()
	}
	return scheduler.Result{}, fmt.Errorf("there is no scenario %q", t.Ref.ID)
}

func subject(p *place, r scheduler.Runner) Subject {
	return Subject{Runner: r, Pass: "pass", Fail: "fail", Block: "block", Other: "other", Executions: p.executions, Left: p.leftovers}
}

func TestRunnerFunc(t *testing.T) {
	TestRunner(t, func(*testing.T) Subject {
		p := newPlace()
		return subject(p, scheduler.RunnerFunc(p.work))
	})
}

// A shelf is a world that remembers runs: one call does the work, others find it.
type shelf struct {
	*place
	runs map[scheduler.Ref]*entry
	once sync.Mutex
}

type entry struct {
	done   chan struct{}
	stop   context.CancelFunc
	result scheduler.Result
	err    error
}

func newShelf() *shelf { return &shelf{place: newPlace(), runs: map[scheduler.Ref]*entry{}} }

func (s *shelf) find(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
	if ctx.Err() != nil {
		return scheduler.Result{}, ctx.Err()
	}
	s.once.Lock()
	e, ok := s.runs[t.Ref]
	if !ok {
		inside, stop := context.WithCancel(context.Background())
		e = &entry{done: make(chan struct{}), stop: stop}
		s.runs[t.Ref] = e
		go func() {
			defer close(e.done)
			e.result, e.err = s.work(inside, t)
		}()
	}
	s.once.Unlock()
	select {
	case <-e.done:
	case <-ctx.Done():
		e.stop()
		<-e.done
	}
	return e.result, e.err
}

func TestRunnerOfAWorldThatRemembers(t *testing.T) {
	TestRunner(t, func(*testing.T) Subject {
		world := newShelf()
		s := subject(world.place, scheduler.RunnerFunc(world.find))
		s.Again = func() scheduler.Runner { return scheduler.RunnerFunc(world.find) }
		return s
	})
}

// A Subject that lacks something is reported once. The test that fails runs in a process of its own.
func TestSubjectThatLacksSomething(t *testing.T) {
	if os.Getenv("SCHEDULERTEST_LACKS") != "" {
		TestRunner(t, func(*testing.T) Subject { return Subject{} })
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSubjectThatLacksSomething$")
	cmd.Env = append(os.Environ(), "SCHEDULERTEST_LACKS=1")
	out, err := cmd.CombinedOutput()
	if n := strings.Count(string(out), "Subject.Runner is nil"); err == nil || n != 1 {
		t.Errorf("reported %d times (%v):\n%s", n, err, out)
	}
}

// After a clause that failed, no run goes on.
func TestClauseThatFailsLeavesNoRun(t *testing.T) {
	for _, c := range clauses {
		p := newPlace()
		s := subject(p, scheduler.RunnerFunc(p.work))
		s.Again = func() scheduler.Runner { return s.Runner }
		s.Executions = func(run scheduler.Ref) int {
			if run.ID == "block" {
				return 0 // nobody sees it begin, so nobody comes to stop it
			}
			return min(1, p.executions(run))
		}
		err := c.check(s, 50*time.Millisecond)
		fails := []string{"stops", "serves after a stop", "several at once", "finds a live run"}
		if (err != nil) != slices.Contains(fails, c.name) {
			t.Errorf("%s: got the error %v", c.name, err)
		}
		for deadline := time.Now().Add(5 * time.Second); len(p.leftovers()) > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %q goes on", c.name, p.leftovers())
			}
		}
	}
}

// Each of these runners breaks the contract, on purpose.
func TestWrongRunners(t *testing.T) {
	type run = func(context.Context, scheduler.Task) (scheduler.Result, error)
	runner := func(make func(*place) run) func() Subject {
		return func() Subject {
			p := newPlace()
			return subject(p, scheduler.RunnerFunc(make(p)))
		}
	}
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	for name, test := range map[string]struct {
		open func() Subject
		want map[string]string // by clause, a part of the report
	}{
		"ignores a canceled context": {
			open: runner(func(p *place) run {
				return func(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
					if t.Ref.ID == "block" {
						defer p.enter(t.Ref)()
						<-over
					}
					return p.work(context.WithoutCancel(ctx), t)
				}
			}),
			want: map[string]string{
				"stops": "the call of Run with block#1 did not return within", "canceled before it starts": "did not return",
				"serves after a stop": "did not return", "several at once": "did not return",
			},
		},
		"works twice": {
			open: runner(func(p *place) run {
				return func(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
					if res, err := p.work(ctx, t); err != nil {
						return res, err
					}
					return p.work(ctx, t)
				}
			}),
			want: map[string]string{
				"passes": "the work of pass#1 was begun 2 times, want 1", "fails": "the work of fail#1 was begun 2 times, want 1",
			},
		},
		"leaves something": {
			open: runner(func(p *place) run {
				return func(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
					res, err := p.work(ctx, t)
					if ctx.Err() != nil {
						p.enter(scheduler.Ref{ID: "child of " + t.Ref.ID, Run: t.Ref.Run})
					}
					return res, err
				}
			}),
			want: map[string]string{
				"stops":                     `leaves nothing behind; all calls of Run have returned, but there is ["child of block#`,
				"canceled before it starts": "leaves nothing behind",
				"serves after a stop":       "leaves nothing behind", "several at once": "leaves nothing behind",
			},
		},
		"claims to be stopped": {
			open: runner(func(p *place) run {
				return func(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
					if res, err := p.work(ctx, t); ctx.Err() == nil {
						return res, err
					}
					return scheduler.Result{Phase: scheduler.PhaseStopped}, nil
				}
			}),
			want: map[string]string{
				"stops": "block#1 is stopped", "canceled before it starts": "block#1 is stopped",
				"serves after a stop": "block#1 is stopped", "several at once": "block#1 is stopped",
			},
		},
		"claims that somebody else canceled it": {
			open: runner(func(p *place) run {
				return func(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
					if res, err := p.work(ctx, t); ctx.Err() == nil {
						return res, err
					}
					return scheduler.Result{Phase: scheduler.PhaseCanceled}, nil
				}
			}),
			want: map[string]string{
				"stops": "a canceled context means stop", "canceled before it starts": "a canceled context means stop",
				"several at once": "a canceled context means stop",
			},
		},
		"passes what it does not know, and panics at force": {
			open: runner(func(p *place) run {
				return func(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
					if t.Forced {
						panic("forced")
					}
					if res, err := p.work(ctx, t); err == nil || ctx.Err() != nil {
						return res, err
					}
					return scheduler.Result{Phase: scheduler.PhasePassed}, nil
				}
			}),
			want: map[string]string{
				"unknown scenario": "nobody knows passed", "task is left as it was": "the runner panicked at pass#1: forced",
			},
		},
		"leaves what cannot be kept": {
			open: runner(func(p *place) run {
				return func(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
					res, err := p.work(ctx, t)
					switch t.Ref.ID {
					case "pass":
						res.Artifacts = []scheduler.Artifact{someArtifacts[0], {URI: "quay.io/team/app"}}
					case "fail":
						res.Artifacts = []scheduler.Artifact{someArtifacts[1], someArtifacts[0], someArtifacts[1]}
					}
					return res, err
				}
			}),
			want: map[string]string{
				"passes":                 `what a run left can be kept: at most 64 artifacts with a URI and a digest; pass#1 left [{"quay.io/team/app" "sha256:01"} {"quay.io/team/app" ""}]`,
				"task is left as it was": "pass#1 left", "serves after a stop": "pass#1 left", "several at once": "pass#1 left",
			},
		},
		"stops all at once": {
			open: runner(func(p *place) run {
				all, stop := context.WithCancel(context.Background())
				return func(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
					if t.Ref.Run == 4 {
						defer context.AfterFunc(ctx, stop)()
						ctx = all
					}
					return p.work(ctx, t)
				}
			}),
			want: map[string]string{"several at once": "with block#4, other#4 ended, too"},
		},
		"changes the task": {
			open: runner(func(p *place) run {
				return func(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
					_ = append(t.Basis, t.Ref)
					return p.work(ctx, t)
				}
			}),
			want: map[string]string{"task is left as it was": "the basis of the task was changed"},
		},
		"begins again after a crash": {
			open: func() Subject {
				p := newPlace()
				s := subject(p, scheduler.RunnerFunc(p.work))
				s.Again = func() scheduler.Runner { return s.Runner }
				return s
			},
			want: map[string]string{
				"finds a run that is over": "1 was begun 3 times, want 1",
				"finds a live run":         "the work of pass#1 was begun 2 times, want 1",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range clauses {
				s := test.open()
				if c.needsAgain && s.Again == nil {
					continue
				}
				patience := time.Minute
				if strings.Contains(test.want[c.name], "did not return") {
					patience = 50 * time.Millisecond
				}
				err := c.check(s, patience)
				want := test.want[c.name]
				if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s: got %v, want %q", c.name, err, want)
				}
			}
		})
	}
}
