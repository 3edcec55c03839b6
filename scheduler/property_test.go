package scheduler_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A world holds a graph, what was observed, and what a history did to get there.
type world struct {
	t        *rapid.T
	g        *dag.Graph
	s        scheduler.Snapshot
	m        *scheduler.Machine
	stopping map[scheduler.Ref]bool // runs that a plan asked to stop, as an adapter marks them
	past     []scheduler.Event      // all events until now
}

var conditions = []dag.Condition{dag.OnPass, dag.OnFinish, dag.Always}

// drawGraph draws a graph of some of the scenarios a to f.
func drawGraph(t *rapid.T) *dag.Graph {
	names := rapid.Permutation([]dag.ID{"a", "b", "c", "d", "e", "f"}).Draw(t, "names")
	names = names[:rapid.IntRange(1, len(names)).Draw(t, "scenarios")]
	list := make([]dag.Scenario, len(names))
	for i, id := range names {
		list[i] = dag.Scenario{ID: id, Optional: rapid.IntRange(0, 3).Draw(t, "optional") == 0}
		for _, p := range names[:i] {
			if rapid.IntRange(0, 2).Draw(t, "edge") == 0 {
				list[i].After = append(list[i].After, dag.Parent{ID: p, Condition: rapid.SampledFrom(conditions).Draw(t, "condition")})
			}
		}
	}
	return mustNew(t, list)
}

func mustNew(t interface{ Fatal(...any) }, list []dag.Scenario) *dag.Graph {
	g, err := dag.New(list...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func newWorld(t *rapid.T) *world {
	g := drawGraph(t)
	return &world{t: t, g: g, m: scheduler.NewMachine(g, nil), stopping: map[scheduler.Ref]bool{}}
}

func (w *world) observe(e scheduler.Event) {
	w.note(e)
	w.m.Observe(e)
}

func (w *world) plan() scheduler.Plan { return scheduler.Next(w.g, w.s) }

// live returns the live runs by ascending ID.
func (w *world) live() []scheduler.Ref {
	var refs []scheduler.Ref
	for _, id := range slices.Sorted(maps.Keys(w.s)) {
		if w.isLive(id) {
			refs = append(refs, scheduler.Ref{ID: id, Run: w.s[id].Run})
		}
	}
	return refs
}

func (w *world) isLive(id dag.ID) bool { return w.s[id].Phase == scheduler.PhaseRunning }

// obey carries out one action.
func (w *world) obey(a scheduler.Action) {
	if a.Kind == scheduler.Stop {
		w.stopping[a.Ref] = true
		return
	}
	if i, ok := w.g.Index(a.Ref.ID); ok && rapid.Bool().Draw(w.t, "by index") {
		w.note(scheduler.Started(a))
		if !w.m.StartedAt(i) {
			w.fail("%s: not observed", a)
		}
		return
	}
	w.observe(scheduler.Started(a))
}

// note observes an event, but for the machine.
func (w *world) note(e scheduler.Event) {
	w.past = append(w.past, e)
	w.s = w.s.Observe(e)
}

// finish ends a live run: one that is being stopped may have come to its own end before.
func (w *world) finish(run scheduler.Ref) {
	phases := []scheduler.Phase{scheduler.PhasePassed, scheduler.PhaseFailed, scheduler.PhaseCanceled}
	if w.stopping[run] {
		phases[2] = scheduler.PhaseStopped
	}
	e := scheduler.Finished(run, rapid.SampledFrom(phases).Draw(w.t, "phase"))
	if rapid.IntRange(0, 3).Draw(w.t, "leaves something") == 0 {
		e.Artifacts = drawArtifacts().Draw(w.t, "left")
	}
	i, ok := w.g.Index(run.ID)
	if !ok || len(e.Artifacts) > 0 || !rapid.Bool().Draw(w.t, "by index") {
		w.observe(e)
		return
	}
	w.note(e)
	if !w.m.FinishedAt(i, e.Phase) || w.m.FinishedAt(i, e.Phase) {
		w.fail("%s: not observed, or twice", e)
	}
}

func (w *world) drawScenario() dag.ID {
	return rapid.SampledFrom(slices.Collect(w.g.All())).Draw(w.t, "scenario")
}

// actions are what may happen in a history.
func (w *world) actions() map[string]func(*rapid.T) {
	request := func(make func(scheduler.Ref) scheduler.Event) func(*rapid.T) {
		return func(t *rapid.T) {
			w.t = t
			w.observe(make(w.s.Newest(w.drawScenario())))
		}
	}
	return map[string]func(*rapid.T){
		"": func(t *rapid.T) {
			w.t = t
			w.check()
		},
		"obey": func(t *rapid.T) {
			w.t = t
			if p := w.plan(); len(p.Actions) > 0 {
				w.obey(rapid.SampledFrom(p.Actions).Draw(t, "action"))
			}
		},
		"finish": func(t *rapid.T) {
			w.t = t
			if live := w.live(); len(live) > 0 {
				w.finish(rapid.SampledFrom(live).Draw(t, "run"))
			}
		},
		"rerun":  request(scheduler.Rerun),
		"force":  request(scheduler.Force),
		"cancel": request(scheduler.Cancel),
		"late news": func(t *rapid.T) {
			w.t = t
			w.checkLateNews()
		},
		"new graph": func(t *rapid.T) {
			w.t = t
			if rapid.IntRange(0, 4).Draw(t, "rarely") == 0 {
				w.g = drawGraph(t)
				w.m.SetGraph(w.g)
			}
		},
		"rest": func(t *rapid.T) {
			w.t = t
			w.checkRest()
		},
	}
}

// Whatever happens, in whatever order, the rules hold.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(w.actions())
		w.checkRest()
	})
}

// check holds a state against the text of the rules.
func (w *world) check() {
	plan, conclusions := w.plan(), scheduler.Conclude(w.g, w.s)
	w.checkMachine(plan)
	w.equal("the plan after JSON", plan, scheduler.Next(w.g, roundTrip(w.t, w.s)))
	w.equal("the plan of a graph built in another order", plan, scheduler.Next(w.shuffled(), w.s))
	w.equal("the actions without optional scenarios", plan.Actions, scheduler.Next(w.allRequired(), w.s).Actions)

	actions := map[dag.ID]scheduler.Action{}
	for _, a := range plan.Actions {
		if _, twice := actions[a.Ref.ID]; twice {
			w.fail("two actions for %s", a.Ref.ID)
		}
		actions[a.Ref.ID] = a
		w.checkAction(a)
	}
	for i, c := range conclusions {
		w.checkConclusion(i, c, conclusions, actions[w.g.ID(i)])
	}
	w.checkOutcome(plan, conclusions)
}

// checkMachine: a Machine says what Next says, whatever was observed before, and however it came to know of it.
func (w *world) checkMachine(plan scheduler.Plan) {
	w.equal("the plan of the machine", plan, w.m.Plan())
	if diff := cmp.Diff(w.s, w.m.Snapshot(), cmpopts.EquateEmpty()); diff != "" {
		w.fail("the snapshot of the machine (-want +got):\n%s", diff)
	}
	w.equal("the plan of a machine that begins here", plan, scheduler.NewMachine(w.g, w.s).Plan())
	var todo []scheduler.Action
	for i, do := range w.m.Todo() {
		a := w.m.ActionAt(i)
		if a.Kind != do || a.Ref.ID != w.g.ID(i) {
			w.fail("to do: %s of %s, but the action is %s", do, w.g.ID(i), a)
		}
		todo = append(todo, a)
	}
	removed := len(plan.Actions) - len(todo)
	if removed < 0 || len(todo) > 0 && cmp.Diff(plan.Actions[removed:], todo) != "" {
		w.fail("to do: %v, but the plan is %v", todo, plan.Actions)
	}
}

func (w *world) checkAction(a scheduler.Action) {
	st := w.s[a.Ref.ID]
	if a.Kind == scheduler.Stop {
		if !w.isLive(a.Ref.ID) || st.Run != a.Ref.Run {
			w.fail("%s, which is not live", a)
		}
		return
	}
	if w.isLive(a.Ref.ID) {
		w.fail("%s beside a live run", a)
	}
	if a.Ref.Run <= max(st.Run, st.Cancel) {
		w.fail("%s, whose number was used", a)
	}
	var basis []scheduler.Ref
	for p := range w.g.Parents(a.Ref.ID) {
		if w.isLive(p) {
			w.fail("%s, but %s is live", a, p)
		}
		if run := w.s[p].Run; run > 0 {
			basis = append(basis, scheduler.Ref{ID: p, Run: run})
		}
	}
	slices.SortFunc(basis, func(a, b scheduler.Ref) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	w.equal("the basis of "+a.String(), basis, a.Basis)
	after := w.s.Observe(scheduler.Started(a))
	if st := after[a.Ref.ID]; st.Run != a.Ref.Run || st.Phase != scheduler.PhaseRunning || st.Forced != a.Forced {
		w.fail("%s leads to %+v", a, st)
	}
	if slices.ContainsFunc(scheduler.Next(w.g, after).Actions, func(b scheduler.Action) bool { return b.Ref.ID == a.Ref.ID }) {
		w.fail("%s was obeyed and leads to another action at once", a)
	}
}

// checkConclusion tells met, broken and open anew from the text: what the conditions ask for, and what a final verdict is.
func (w *world) checkConclusion(i int, c scheduler.Conclusion, all []scheduler.Conclusion, a scheduler.Action) {
	id := w.g.ID(i)
	st := w.s[id]
	var open, broken, brokenLive bool
	fresh, brokenCause := true, scheduler.Ref{}
	for p, condition := range w.g.Parents(id) {
		at, _ := w.g.Index(p)
		verdict, run := all[at].Verdict, w.s[p].Run
		ok := map[dag.Condition][]scheduler.Verdict{
			dag.OnPass:   {scheduler.VerdictPassed},
			dag.OnFinish: {scheduler.VerdictPassed, scheduler.VerdictFailed},
			dag.Always:   {scheduler.VerdictPassed, scheduler.VerdictFailed, scheduler.VerdictCanceled},
		}[condition]
		final := verdict == scheduler.VerdictPassed || verdict == scheduler.VerdictFailed || verdict == scheduler.VerdictCanceled
		switch meets := slices.Contains(ok, verdict); {
		case final && !meets:
			brokenLive = brokenLive || w.isLive(p)
			if broken {
				break
			}
			broken, brokenCause = true, scheduler.Ref{ID: p, Run: run}
			if verdict == scheduler.VerdictCanceled {
				brokenCause = all[at].Cause
			}
		case !final, meets && w.isLive(p):
			open = true
		}
		if run > 0 && !slices.Contains(st.Basis, scheduler.Ref{ID: p, Run: run}) {
			fresh = false
		}
	}
	byPerson := st.Cancel > 0 && st.Cancel >= max(st.Run, st.Want) ||
		st.Phase == scheduler.PhaseCanceled && st.Want <= st.Run
	asked := st.Want > st.Run
	forced := asked && st.Force || !asked && st.Forced && fresh && st.Phase != scheduler.PhaseStopped
	live := w.isLive(id)
	currentEnd := !asked && fresh && (st.Phase == scheduler.PhasePassed || st.Phase == scheduler.PhaseFailed)

	var verdict scheduler.Verdict
	var action scheduler.ActionKind
	stopIfLive := map[bool]scheduler.ActionKind{true: scheduler.Stop}[live]
	switch {
	case byPerson:
		verdict, action, brokenCause = scheduler.VerdictCanceled, stopIfLive, scheduler.Ref{ID: id, Run: max(st.Run, st.Cancel)}
	case broken && !forced:
		verdict, action = scheduler.VerdictCanceled, stopIfLive
	case open, brokenLive:
		verdict = scheduler.VerdictWaiting
	case live && fresh && !asked:
		verdict = scheduler.VerdictRunning
	case live:
		verdict, action = scheduler.VerdictRunning, scheduler.Stop
	case currentEnd && st.Phase == scheduler.PhasePassed:
		verdict = scheduler.VerdictPassed
	case currentEnd:
		verdict = scheduler.VerdictFailed
	default:
		verdict, action = scheduler.VerdictReady, scheduler.Start
	}
	want := scheduler.Conclusion{Verdict: verdict}
	if verdict == scheduler.VerdictCanceled {
		want.Cause = brokenCause
		w.checkCause(brokenCause, all)
	}
	if c != want || a.Kind != action {
		w.fail("%s is %v with action %v, want %v with action %v", id, c, a.Kind, want, action)
	}
	w.equal("conclusion of the machine", c, w.m.Conclusion(id))
	if text := scheduler.Explain(w.g, w.s, id); text == "" || strings.Contains(text, "waits for .") || text != w.m.Explain(id) {
		w.fail("%s is explained as %q and %q", id, text, w.m.Explain(id))
	}
}

// checkCause: the root cause is a run that really failed, or that a person canceled.
func (w *world) checkCause(cause scheduler.Ref, all []scheduler.Conclusion) {
	i, ok := w.g.Index(cause.ID)
	if !ok {
		w.fail("the cause %s is not in the graph", cause)
	}
	st := w.s[cause.ID]
	failed := all[i].Verdict == scheduler.VerdictFailed && st.Phase == scheduler.PhaseFailed && st.Run == cause.Run
	canceled := all[i].Verdict == scheduler.VerdictCanceled && all[i].Cause == cause &&
		(st.Cancel == cause.Run || st.Phase == scheduler.PhaseCanceled && st.Run == cause.Run)
	if !failed && !canceled {
		w.fail("the cause %s neither failed nor was canceled: %+v", cause, st)
	}
}

func (w *world) checkOutcome(plan scheduler.Plan, all []scheduler.Conclusion) {
	rest := len(plan.Actions) == 0 && len(w.live()) == 0
	want := scheduler.OutcomePending
	if rest {
		want = scheduler.OutcomePassed
		for i, c := range all {
			switch {
			case !c.Verdict.Final():
				w.fail("nothing is left to do, and %s is %s", w.g.ID(i), c.Verdict)
			case w.g.OptionalAt(i):
			case c.Verdict == scheduler.VerdictFailed:
				want = scheduler.OutcomeFailed
			case c.Verdict == scheduler.VerdictCanceled && want == scheduler.OutcomePassed:
				want = scheduler.OutcomeCanceled
			}
		}
	}
	if plan.Outcome != want {
		w.fail("the outcome is %s, want %s", plan.Outcome, want)
	}
}

// checkLateNews: news of older runs, repeated news and senseless events change nothing; nor does news of a stranger.
func (w *world) checkLateNews() {
	var events []scheduler.Event
	for _, e := range w.past {
		st := w.s[e.Ref.ID]
		if e.Kind == scheduler.EventNews && (e.Ref.Run < st.Run || e.Ref.Run == st.Run) {
			events = append(events, e)
		}
		if e.Kind != scheduler.EventNews && e.Ref.Run < max(st.Run, st.Cancel) {
			events = append(events, e)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.s)) {
		run := scheduler.Ref{ID: id, Run: w.s[id].Run}
		if w.s[id].Phase.Over() {
			events = append(events, scheduler.Finished(run, scheduler.PhaseRunning), scheduler.Finished(run, scheduler.PhasePassed))
		}
		if st := w.s[id]; w.isLive(id) && st.Cancel < run.Run && st.Want <= run.Run {
			events = append(events, scheduler.Rerun(run), scheduler.Force(run))
		}
		events = append(events, scheduler.Finished(run, scheduler.PhaseNone), scheduler.Finished(run, 99),
			scheduler.Finished(scheduler.Ref{ID: id}, scheduler.PhasePassed), scheduler.Event{Kind: 99, Ref: run})
	}
	events = append(events, scheduler.Finished(scheduler.Ref{Run: 1}, scheduler.PhasePassed))
	if len(events) == 0 {
		return
	}
	e := rapid.SampledFrom(events).Draw(w.t, "late news")
	w.equal("the snapshot after "+e.String(), w.s, w.s.Observe(e))
	if w.m.Observe(e) || w.m.Observe(scheduler.Rerun(scheduler.Ref{ID: "stranger", Run: 0})) {
		w.fail("the machine is changed by %s or by a stranger", e)
	}
}

// checkRest goes on without requests, whatever the runs report, until nothing is left to do: no scenario starts more than
// once, and at rest everything stands on what is newest.
func (w *world) checkRest() {
	w = &world{t: w.t, g: w.g, s: maps.Clone(w.s), m: scheduler.NewMachine(w.g, w.s), stopping: maps.Clone(w.stopping)}
	wanted := maps.Clone(w.s)
	started := map[dag.ID]int{}
	for range 1000 {
		plan := w.plan()
		choices := len(plan.Actions) + len(w.live())
		if choices == 0 {
			w.checkAtRest(wanted, started)
			return
		}
		k := rapid.IntRange(0, choices-1).Draw(w.t, "next")
		if k >= len(plan.Actions) {
			w.finish(w.live()[k-len(plan.Actions)])
			continue
		}
		a := plan.Actions[k]
		if a.Kind == scheduler.Start {
			started[a.Ref.ID]++
		}
		if started[a.Ref.ID] > 1 {
			w.fail("%s: the second start without a request", a)
		}
		w.obey(a)
	}
	w.fail("no rest after 1000 steps")
}

func (w *world) checkAtRest(wanted scheduler.Snapshot, started map[dag.ID]int) {
	w.check()
	for i, c := range scheduler.Conclude(w.g, w.s) {
		id := w.g.ID(i)
		st := w.s[id]
		if c.Verdict == scheduler.VerdictCanceled {
			continue
		}
		for p := range w.g.Parents(id) {
			if run := w.s[p].Run; run > 0 && !slices.Contains(st.Basis, scheduler.Ref{ID: p, Run: run}) {
				w.fail("at rest %s stands on %v, not on %s#%d", id, st.Basis, p, run)
			}
		}
		if st.Run < wanted[id].Want {
			w.fail("the request for %s#%d was forgotten", id, wanted[id].Want)
		}
		if _, ok := wanted[id]; ok && wanted[id].Phase == scheduler.PhaseStopped && started[id] == 0 {
			w.fail("%s was stopped and did not start again", id)
		}
	}
}

func (w *world) shuffled() *dag.Graph {
	list := slices.Collect(w.g.Scenarios())
	return mustNew(w.t, rapid.Permutation(list).Draw(w.t, "shuffled"))
}

func (w *world) allRequired() *dag.Graph {
	list := slices.Collect(w.g.Scenarios())
	for i := range list {
		list[i].Optional = false
	}
	return mustNew(w.t, list)
}

func (w *world) equal(what string, want, got any) {
	if diff := cmp.Diff(want, got); diff != "" {
		w.fail("%s (-want +got):\n%s", what, diff)
	}
}

func (w *world) fail(format string, args ...any) {
	var graph []string
	for s := range w.g.Scenarios() {
		graph = append(graph, fmt.Sprintf("%v", s))
	}
	w.t.Fatalf("%s\ngraph: %v\nhistory: %v\nsnapshot: %+v", fmt.Sprintf(format, args...), graph, w.past, w.s)
}

// ADR 48 in its own words, for graphs with no other condition than OnPass, on the way from nothing to rest.
func TestDecisionRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		list := slices.Collect(w.g.Scenarios())
		for i := range list {
			for k := range list[i].After {
				list[i].After[k].Condition = dag.OnPass
			}
		}
		w.g = mustNew(t, list)
		w.m.SetGraph(w.g)
		for len(w.plan().Actions)+len(w.live()) > 0 {
			for _, a := range w.plan().Actions {
				for p := range w.g.Parents(a.Ref.ID) {
					if a.Kind == scheduler.Start && w.s[p].Phase != scheduler.PhasePassed {
						w.fail("%s, but %s has not passed", a, p)
					}
				}
				w.obey(a)
			}
			if live := w.live(); len(live) > 0 {
				w.finish(rapid.SampledFrom(live).Draw(t, "run"))
			}
		}
		for i, c := range scheduler.Conclude(w.g, w.s) {
			id := w.g.ID(i)
			for p := range w.g.Parents(id) {
				if w.s[p].Phase != scheduler.PhasePassed && (c.Verdict != scheduler.VerdictCanceled || w.s[id].Run != 0) {
					w.fail("%s has not passed, but %s is %s", p, id, c.Verdict)
				}
			}
		}
		again := w.drawScenario()
		before := maps.Clone(w.s)
		w.observe(scheduler.Rerun(w.s.Newest(again)))
		for len(w.plan().Actions)+len(w.live()) > 0 {
			for _, a := range w.plan().Actions {
				w.obey(a)
			}
			for _, run := range w.live() {
				w.observe(scheduler.Finished(run, scheduler.PhasePassed))
			}
		}
		if w.s[again].Run == before[again].Run {
			return // a parent failed: the request is kept
		}
		for child := range w.g.Children(again) {
			blocked := false
			for p := range w.g.Ancestors(child) {
				blocked = blocked || w.s[p].Phase != scheduler.PhasePassed
			}
			canceled := before[child].Phase == scheduler.PhaseCanceled
			if !blocked && !canceled && w.s[child].Run != before[child].Run+1 {
				w.fail("%s was run again and passed, but %s is still at run %d", again, child, w.s[child].Run)
			}
		}
	})
}
