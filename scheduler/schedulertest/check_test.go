package schedulertest

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

func TestNext(t *testing.T) { CheckRules(t, Pure(scheduler.Next)) }

func TestMachine(t *testing.T) { CheckRules(t, machine) }

func machine(g *dag.Graph) Scheduler { return scheduler.NewMachine(g, nil) }

// A Machine keeps the rules whatever a fuzzer makes up.
func FuzzHistories(f *testing.F) {
	c := &checker{open: machine, patience: time.Minute}
	f.Fuzz(func(t *testing.T, text []byte) {
		choose := read(text)
		s := choose.story(choose.scenarios(mostScenarios), kinds{most: mostScenarios, edits: true, odd: true})
		if b := c.judge(s); b != nil {
			t.Fatal(c.shortest(b).report())
		}
	})
}

// A plan that does not come is reported with the script that leads there.
func TestPlanThatDoesNotCome(t *testing.T) {
	defer seeded(t, 100)()
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		defer letGo(over)
		c := &checker{patience: 10 * time.Second, open: Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
			for _, st := range s {
				if st.Phase == scheduler.PhaseFailed {
					<-over
				}
			}
			return scheduler.Next(g, s)
		})}
		report := c.check(t)
		parts := []string{string(ruleEnds), "graph\n", "observe\n", " failed\n----\n", "did not come back within 10s"}
		for _, part := range parts {
			if !strings.Contains(report, part) {
				t.Errorf("%q is not in the report:\n%s", part, report)
			}
		}
	})
}

// letGo lets hanging schedulers go on, and waits until all have come back.
func letGo(over chan struct{}) {
	close(over)
	time.Sleep(time.Hour)
}

// A scheduler may be slow, as long as each call comes back in time.
func TestSlowScheduler(t *testing.T) {
	defer seeded(t, 100)()
	synctest.Test(t, func(t *testing.T) {
		c := &checker{open: slow, patience: 10 * time.Second}
		if report := c.check(t); report != "" {
			t.Error(report)
		}
	})
}

func slow(g *dag.Graph) Scheduler { return sluggish{scheduler.NewMachine(g, nil)} }

type sluggish struct{ *scheduler.Machine }

func (s sluggish) Plan() scheduler.Plan {
	time.Sleep(4 * time.Second)
	return s.Machine.Plan()
}

func (s sluggish) Observe(e scheduler.Event) bool {
	time.Sleep(4 * time.Second)
	return s.Machine.Observe(e)
}

// What is reported of a slow scheduler is what it does wrong, not that it is slow.
func TestSlowSchedulerThatHangs(t *testing.T) {
	defer seeded(t, 100)()
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		defer letGo(over)
		c := &checker{patience: 10 * time.Second, open: func(g *dag.Graph) Scheduler { return hanging{slow(g), over} }}
		b, _ := c.find(t)
		if b == nil {
			t.Fatal("nothing found")
		}
		block := b.story[len(b.story)-1]
		last := len(block.events) - 1
		if !b.hangs() || last < 0 || block.events[last].Phase != scheduler.PhaseFailed {
			t.Errorf("got the report:\n%s", b.report())
		}
	})
}

type hanging struct {
	Scheduler
	over chan struct{}
}

func (h hanging) Observe(e scheduler.Event) bool {
	if e.Phase == scheduler.PhaseFailed {
		<-h.over
	}
	return h.Scheduler.Observe(e)
}

// A scheduler that ends its goroutine is reported.
func TestSchedulerThatEndsItsGoroutine(t *testing.T) {
	for name, open := range map[string]func(*dag.Graph) Scheduler{
		"at once":     func(*dag.Graph) Scheduler { runtime.Goexit(); return nil },
		"with a plan": Pure(func(*dag.Graph, scheduler.Snapshot) scheduler.Plan { runtime.Goexit(); return scheduler.Plan{} }),
	} {
		c := &checker{patience: time.Minute, open: open}
		if report := c.check(t); !strings.Contains(report, "It ended its goroutine") {
			t.Errorf("%s: got the report:\n%s", name, report)
		}
	}
}

// Where there is nothing to test, that is said at once.
func TestNil(t *testing.T) {
	for want, open := range map[string]func(*dag.Graph) Scheduler{
		"or the one given to Pure, is nil":                 Pure(nil),
		"the function that opens a Scheduler returned nil": func(*dag.Graph) Scheduler { return nil },
	} {
		c := &checker{patience: time.Minute, open: open}
		if report := c.check(t); !strings.HasSuffix(report, want) || strings.Contains(report, "\n") {
			t.Errorf("got the report %q, want %q", report, want)
		}
	}
}

// A cause that is none is shown.
func TestCauseOfWhatIsNotCanceled(t *testing.T) {
	c := &checker{patience: time.Minute, open: func(g *dag.Graph) Scheduler { return accusing{scheduler.NewMachine(g, nil)} }}
	if report := c.check(t); !strings.Contains(report, "\n# - a ready\n# + a ready (a#7)\n") {
		t.Errorf("got the report:\n%s", report)
	}
}

type accusing struct{ *scheduler.Machine }

func (a accusing) Conclusion(id dag.ID) scheduler.Conclusion {
	c := a.Machine.Conclusion(id)
	if c.Verdict == scheduler.VerdictReady {
		c.Cause = scheduler.Ref{ID: id, Run: 7}
	}
	return c
}

// What a constructor does wrong is reported as well.
func TestSchedulerThatCannotBeOpened(t *testing.T) {
	c := &checker{patience: time.Minute, open: func(*dag.Graph) Scheduler { panic("no") }}
	if report := c.check(t); !strings.Contains(report, "It panicked: no\n") {
		t.Errorf("got the report:\n%s", report)
	}
}

// A scheduler that does not answer the same each time is reported, too.
func TestFickleScheduler(t *testing.T) {
	defer seeded(t, 100)()
	calls := 0
	c := &checker{patience: time.Minute, open: Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		if calls++; calls%7 == 0 && len(p.Actions) > 1 {
			p.Actions = p.Actions[1:]
		}
		return p
	})}
	if report := c.check(t); !strings.Contains(report, "# "+string(ruleSame)) {
		t.Errorf("got the report:\n%s", report)
	}
}

// What is told of a scenario that was never in the graph may be forgotten.
func TestSchedulerThatForgetsStrangers(t *testing.T) {
	defer seeded(t, 30)()
	CheckRules(t, func(g *dag.Graph) Scheduler {
		s := &forgetsStrangers{Machine: scheduler.NewMachine(g, nil), been: map[dag.ID]bool{}}
		s.SetGraph(g)
		return s
	})
}

type forgetsStrangers struct {
	*scheduler.Machine
	been map[dag.ID]bool
}

func (s *forgetsStrangers) SetGraph(g *dag.Graph) {
	s.Machine.SetGraph(g)
	for id := range g.All() {
		s.been[id] = true
	}
}

func (s *forgetsStrangers) Observe(e scheduler.Event) bool {
	return s.been[e.Ref.ID] && s.Machine.Observe(e)
}

// A scheduler may write into the events that it is told, and into the plans that it made.
func TestSchedulerThatUsesMemoryAgain(t *testing.T) {
	defer seeded(t, 30)()
	CheckRules(t, func(g *dag.Graph) Scheduler { return &thrifty{Machine: scheduler.NewMachine(g, nil)} })
}

type thrifty struct {
	*scheduler.Machine
	actions []scheduler.Action
	basis   []scheduler.Ref
}

func (s *thrifty) Observe(e scheduler.Event) bool {
	changed := s.Machine.Observe(e)
	clear(e.Basis)
	return changed
}

func (s *thrifty) Plan() scheduler.Plan {
	p := s.Machine.Plan()
	s.actions, s.basis = append(s.actions[:0], p.Actions...), s.basis[:0]
	for i, a := range s.actions {
		at := len(s.basis)
		s.basis = append(s.basis, a.Basis...)
		s.actions[i].Basis = s.basis[at:]
	}
	p.Actions = s.actions
	return p
}

// Without SetGraph the graph stays.
func TestSchedulerOfOneGraph(t *testing.T) {
	defer seeded(t, 30)()
	type noMore struct{ Scheduler }
	CheckRules(t, func(g *dag.Graph) Scheduler { return noMore{machine(g)} })
}
