package schedulertest

import (
	"flag"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// Each of these schedulers breaks a rule, on purpose. What is reported of them stands in testdata/wrong;
// go test ./scheduler/schedulertest -run Wrong -rewrite writes it there.
var wrong = map[string]func(*dag.Graph) Scheduler{
	"starts a child while a parent is being rerun": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		asBefore := maps.Clone(s)
		for id, st := range s {
			if st.Run > 1 && live(st) {
				st.Run, st.Phase, st.Want = st.Run-1, scheduler.PhasePassed, 0
				asBefore[id] = st
			}
		}
		p := scheduler.Next(g, s)
		for _, a := range scheduler.Next(g, asBefore).Actions {
			if a.Kind == scheduler.Start && s[a.Ref.ID].Run == 0 && !slices.ContainsFunc(p.Actions, about(a.Ref.ID)) {
				p.Actions = append(p.Actions, a)
			}
		}
		return p
	}),

	"forgets the wave": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		return leave(scheduler.Next(g, s), func(a scheduler.Action) bool {
			st := s[a.Ref.ID]
			return a.Kind == scheduler.Start && st.Phase == scheduler.PhasePassed && st.Want <= st.Run
		})
	}),

	"cancels only direct children": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		conclusions := scheduler.Conclude(g, s)
		return leave(scheduler.Next(g, s), func(a scheduler.Action) bool {
			i, there := g.Index(a.Ref.ID)
			if a.Kind != scheduler.Stop || !there || conclusions[i].Verdict != scheduler.VerdictCanceled {
				return false
			}
			cause := conclusions[i].Cause.ID
			direct := slices.ContainsFunc(g.ParentsAt(i), func(p dag.Neighbor) bool { return g.ID(int(p.Index)) == cause })
			return !direct && cause != a.Ref.ID
		})
	}),

	"never stops anything": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		return leave(scheduler.Next(g, s), func(a scheduler.Action) bool { return a.Kind == scheduler.Stop })
	}),

	"counts a stopped run as failed": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		s = maps.Clone(s)
		for id, st := range s {
			if st.Phase == scheduler.PhaseStopped {
				st.Phase = scheduler.PhaseFailed
				s[id] = st
			}
		}
		return scheduler.Next(g, s)
	}),

	"takes late news": func(g *dag.Graph) Scheduler {
		return &credulous{Scheduler: scheduler.NewMachine(g, nil), phases: map[dag.ID]scheduler.Phase{}}
	},

	"starts on the basis of the run before": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		for i, a := range p.Actions {
			if st := s[a.Ref.ID]; a.Kind == scheduler.Start && len(st.Basis) > 0 {
				p.Actions[i].Basis = st.Basis
			}
		}
		return p
	}),

	"starts beside a live run": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		over := maps.Clone(s)
		for id, st := range s {
			if _, there := g.Index(id); there && live(st) {
				st.Phase = scheduler.PhaseStopped
				over[id] = st
			}
		}
		p := scheduler.Next(g, s)
		for i, a := range p.Actions {
			if a.Kind == scheduler.Stop {
				for _, b := range scheduler.Next(g, over).Actions {
					if b.Ref.ID == a.Ref.ID {
						p.Actions[i] = b
					}
				}
			}
		}
		return p
	}),

	"does not wait for what is optional": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		var list []dag.Scenario
		for sc := range g.Scenarios() {
			sc.After = slices.DeleteFunc(sc.After, func(p dag.Parent) bool {
				parent, _ := g.Scenario(p.ID)
				return parent.Optional
			})
			list = append(list, sc)
		}
		return scheduler.Next(build(list), s)
	}),

	"forces through open edges": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		for id, st := range s {
			_, there := g.Index(id)
			wanted := st.Force && asked(st) && !live(st) && canceledByPerson(st) == 0
			if there && wanted && !slices.ContainsFunc(p.Actions, about(id)) {
				p.Actions = append(p.Actions, tell(g, s).start(id))
			}
		}
		return p
	}),

	"forgets a rerun while parents are unfinished": func(g *dag.Graph) Scheduler {
		return &forgetful{m: scheduler.NewMachine(g, nil)}
	},

	"fails what left something": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		s = maps.Clone(s)
		for id, st := range s {
			if st.Phase == scheduler.PhasePassed && len(st.Artifacts) > 0 {
				st.Phase = scheduler.PhaseFailed
				s[id] = st
			}
		}
		return scheduler.Next(g, s)
	}),

	"outcome too early": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		for i, c := range scheduler.Conclude(g, s) {
			if c.Verdict == scheduler.VerdictFailed && !g.OptionalAt(i) {
				p.Outcome = scheduler.OutcomeFailed
			}
		}
		return p
	}),

	"stops what waits": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		for i, c := range scheduler.Conclude(g, s) {
			if id := g.ID(i); c.Verdict == scheduler.VerdictWaiting && live(s[id]) {
				p.Actions = append(p.Actions, scheduler.Action{Kind: scheduler.Stop, Ref: scheduler.Ref{ID: id, Run: s[id].Run}})
			}
		}
		return p
	}),

	"starts again what a person canceled": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		s = maps.Clone(s)
		for id, st := range s {
			if st.Phase == scheduler.PhaseCanceled {
				st.Phase = scheduler.PhaseStopped
				s[id] = st
			}
		}
		return scheduler.Next(g, s)
	}),

	"lists actions by ID": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		slices.SortStableFunc(p.Actions, func(a, b scheduler.Action) int { return byID(a.Ref, b.Ref) })
		return p
	}),

	"waits for all parents before it cancels": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		conclusions := scheduler.Conclude(g, s)
		return leave(scheduler.Next(g, s), func(a scheduler.Action) bool {
			i, there := g.Index(a.Ref.ID)
			unfinished := func(p dag.Neighbor) bool { return !conclusions[p.Index].Verdict.Final() }
			return there && a.Kind == scheduler.Stop && conclusions[i].Cause.ID != a.Ref.ID &&
				slices.ContainsFunc(g.ParentsAt(i), unfinished)
		})
	}),

	"runs descendants along with what is run again": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		for _, a := range p.Actions {
			for id := range g.Descendants(a.Ref.ID) {
				st := s[id]
				rerun := a.Kind == scheduler.Start && a.Ref.Run > 1
				if rerun && st.Phase == scheduler.PhasePassed && !slices.ContainsFunc(p.Actions, about(id)) {
					p.Actions = append(p.Actions, tell(g, s).start(id))
				}
			}
		}
		return p
	}),

	"runs again what passed": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		for i, c := range scheduler.Conclude(g, s) {
			if id := g.ID(i); c.Verdict == scheduler.VerdictPassed && s[id].Run == 1 {
				p.Actions = append(p.Actions, tell(g, s).start(id))
				p.Outcome = scheduler.OutcomePending
			}
		}
		return p
	}),

	"wants nothing else in a basis": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		s = maps.Clone(s)
		for id, st := range s {
			parents := maps.Collect(g.Parents(id))
			isNoParent := func(r scheduler.Ref) bool { _, ok := parents[r.ID]; return !ok }
			if _, there := g.Index(id); there && slices.ContainsFunc(st.Basis, isNoParent) {
				st.Phase = scheduler.PhaseStopped
				s[id] = st
			}
		}
		return scheduler.Next(g, s)
	}),

	"uses the number of a run again": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		for i, a := range p.Actions {
			if a.Kind == scheduler.Start {
				p.Actions[i].Ref.Run = max(1, s[a.Ref.ID].Run)
			}
		}
		return p
	}),

	"ignores force": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		unforced := maps.Clone(s)
		for id, st := range s {
			st.Force = false
			unforced[id] = st
		}
		without := scheduler.Next(g, unforced)
		return leave(scheduler.Next(g, s), func(a scheduler.Action) bool {
			return a.Forced && !slices.ContainsFunc(without.Actions, about(a.Ref.ID))
		})
	}),

	"does not say that a run was forced": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		for i := range p.Actions {
			p.Actions[i].Forced = false
		}
		return p
	}),

	"forgets what is no longer in the graph": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		return leave(scheduler.Next(g, s), func(a scheduler.Action) bool { _, there := g.Index(a.Ref.ID); return !there })
	}),

	"plans everything twice": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		p.Actions = slices.Repeat(p.Actions, 2)
		return p
	}),

	"is never done with what was canceled": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		if p.Outcome == scheduler.OutcomeCanceled {
			p.Outcome = scheduler.OutcomePending
		}
		return p
	}),

	"counts canceled for more than failed": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		for _, c := range scheduler.Conclude(g, s) {
			if c.Verdict == scheduler.VerdictCanceled && p.Outcome == scheduler.OutcomeFailed {
				p.Outcome = scheduler.OutcomeCanceled
			}
		}
		return p
	}),

	"fails when an optional scenario fails": Pure(func(g *dag.Graph, s scheduler.Snapshot) scheduler.Plan {
		p := scheduler.Next(g, s)
		for _, c := range scheduler.Conclude(g, s) {
			if c.Verdict == scheduler.VerdictFailed && p.Outcome == scheduler.OutcomePassed {
				p.Outcome = scheduler.OutcomeFailed
			}
		}
		return p
	}),

	"remembers a plan too long": func(g *dag.Graph) Scheduler { return &stale{Machine: scheduler.NewMachine(g, nil)} },

	"learns no basis late": func(g *dag.Graph) Scheduler {
		return &picky{scheduler.NewMachine(g, nil), func(e *scheduler.Event, st scheduler.Status) {
			if e.Ref.Run == st.Run {
				e.Basis = nil
			}
		}}
	},

	"learns no force late": func(g *dag.Graph) Scheduler {
		return &picky{scheduler.NewMachine(g, nil), func(e *scheduler.Event, st scheduler.Status) {
			if e.Ref.Run == st.Run {
				e.Forced = false
			}
		}}
	},

	"wants a basis in order": func(g *dag.Graph) Scheduler {
		return &picky{scheduler.NewMachine(g, nil), func(e *scheduler.Event, _ scheduler.Status) {
			if !slices.IsSortedFunc(e.Basis, byID) {
				e.Basis = nil
			}
		}}
	},

	"takes the first of several runs in a basis": func(g *dag.Graph) Scheduler {
		return &picky{scheduler.NewMachine(g, nil), func(e *scheduler.Event, _ scheduler.Status) {
			e.Basis = slices.CompactFunc(slices.SortedStableFunc(slices.Values(e.Basis), byID),
				func(a, b scheduler.Ref) bool { return a.ID == b.ID })
		}}
	},

	"refuses a basis with what names no run": func(g *dag.Graph) Scheduler {
		return &picky{scheduler.NewMachine(g, nil), func(e *scheduler.Event, _ scheduler.Status) {
			if slices.ContainsFunc(e.Basis, func(r scheduler.Ref) bool { return r.ID == "" || r.Run < 1 }) {
				e.Basis = nil
			}
		}}
	},

	"compares runs as text": func(g *dag.Graph) Scheduler {
		return &picky{scheduler.NewMachine(g, nil), func(e *scheduler.Event, st scheduler.Status) {
			if strconv.Itoa(e.Ref.Run) < strconv.Itoa(st.Run) {
				e.Phase = scheduler.PhaseNone
			}
		}}
	},

	"blames the last parent": func(g *dag.Graph) Scheduler { return &unjust{Machine: scheduler.NewMachine(g, nil)} },

	"panics when a request is about a live run": func(g *dag.Graph) Scheduler {
		return &fragile{Machine: scheduler.NewMachine(g, nil)}
	},
}

func about(id dag.ID) func(scheduler.Action) bool {
	return func(a scheduler.Action) bool { return a.Ref.ID == id }
}

func leave(p scheduler.Plan, out func(scheduler.Action) bool) scheduler.Plan {
	p.Actions = slices.DeleteFunc(p.Actions, out)
	return p
}

// credulous believes the news that came last, of whatever run.
type credulous struct {
	Scheduler
	phases map[dag.ID]scheduler.Phase
}

func (c *credulous) Observe(e scheduler.Event) bool {
	m := c.Scheduler.(*scheduler.Machine)
	m.Observe(e)
	if s := m.Snapshot(); e.Kind == scheduler.EventNews && e.Phase.Over() && e.Ref.Run > 0 && s[e.Ref.ID].Run > e.Ref.Run {
		st := s[e.Ref.ID]
		st.Phase = e.Phase
		s[e.Ref.ID] = st
		c.Scheduler = scheduler.NewMachine(m.Graph(), s)
	}
	return true
}

// forgetful drops requests that cannot be met at once.
type forgetful struct{ m *scheduler.Machine }

func (f *forgetful) Observe(e scheduler.Event) bool {
	for p := range f.m.Graph().Parents(e.Ref.ID) {
		if e.Kind == scheduler.EventRerun && !f.m.Conclusion(p).Verdict.Final() {
			return false
		}
	}
	return f.m.Observe(e)
}

func (f *forgetful) Plan() scheduler.Plan { return f.m.Plan() }

// stale makes no new plan for the end of a run of a scenario without children.
type stale struct {
	*scheduler.Machine
	plan  scheduler.Plan
	fresh bool
}

func (s *stale) Observe(e scheduler.Event) bool {
	changed := s.Machine.Observe(e)
	children := 0
	for range s.Graph().Children(e.Ref.ID) {
		children++
	}
	s.fresh = s.fresh && (!changed || children == 0 && e.Phase.Over())
	return changed
}

func (s *stale) SetGraph(g *dag.Graph) { s.Machine.SetGraph(g); s.fresh = false }

func (s *stale) Plan() scheduler.Plan {
	if !s.fresh {
		s.plan, s.fresh = s.Machine.Plan(), true
	}
	return s.plan
}

// unjust finds the cause of a cancellation through the last broken edge.
type unjust struct{ *scheduler.Machine }

func (u *unjust) Conclusion(id dag.ID) scheduler.Conclusion {
	c := u.Machine.Conclusion(id)
	if c.Verdict != scheduler.VerdictCanceled || c.Cause.ID == id {
		return c
	}
	for p := range u.Graph().Parents(id) {
		switch parent := u.Conclusion(p); parent.Verdict {
		case scheduler.VerdictFailed:
			c.Cause = scheduler.Ref{ID: p, Run: u.Snapshot()[p].Run}
		case scheduler.VerdictCanceled:
			c.Cause = parent.Cause
		}
	}
	return c
}

// picky understands events in its own way.
type picky struct {
	*scheduler.Machine
	take func(*scheduler.Event, scheduler.Status)
}

func (p *picky) Observe(e scheduler.Event) bool {
	p.take(&e, p.Snapshot()[e.Ref.ID])
	return p.Machine.Observe(e)
}

// fragile panics.
type fragile struct{ *scheduler.Machine }

func (f *fragile) Observe(e scheduler.Event) bool {
	if e.Kind != scheduler.EventNews && live(f.Snapshot()[e.Ref.ID]) {
		panic("this cannot be")
	}
	return f.Machine.Observe(e)
}

func TestWrongSchedulers(t *testing.T) {
	defer seeded(t, 300)()
	seen := map[string]bool{}
	datadriven.RunTest(t, "testdata/wrong", func(t *testing.T, d *datadriven.TestData) string {
		name := d.Input
		seen[name] = true
		open, ok := wrong[name]
		if !ok {
			d.Fatalf(t, "there is no scheduler that %q", name)
		}
		c := &checker{open: open, patience: time.Minute}
		b, _ := c.find(t)
		if b == nil {
			return "nothing found\n"
		}
		b.crash, _, _ = strings.Cut(b.crash, "\n") // without the stack
		report := b.report()
		for line := range strings.Lines(report) {
			if len(line) > 112 { // go test indents it by 8
				t.Errorf("this line of a report is too long: %s", line)
			}
		}
		return report
	})
	for name := range wrong {
		if !seen[name] {
			t.Errorf("testdata/wrong does not try the scheduler that %s", name)
		}
	}
}

// seeded lets rapid draw the same each time, for so many checks, until the function returned is called.
func seeded(t *testing.T, checks int) func() {
	set := func(name, value string) string {
		f := flag.Lookup(name)
		before := f.Value.String()
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
		return before
	}
	seed, files, most := set("rapid.seed", "1"), set("rapid.nofailfile", "true"), set("rapid.checks", strconv.Itoa(checks))
	return func() {
		set("rapid.seed", seed)
		set("rapid.nofailfile", files)
		set("rapid.checks", most)
	}
}
