package scheduler_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// "There is no snapshot it refuses": also none that no history leads to.
func TestNextIsTotal(t *testing.T) {
	tests := []struct {
		name string
		st   scheduler.Status
		want string
	}{
		{"a phase without a run", scheduler.Status{Phase: scheduler.PhaseRunning}, "start a#1\na ready\n"},
		{"a run without a phase", scheduler.Status{Run: 3}, "start a#4\na ready\n"},
		{"an unknown phase", scheduler.Status{Run: 3, Phase: 77}, "start a#4\na ready\n"},
		{"canceled before a run that nobody asked for", scheduler.Status{Run: 2, Phase: scheduler.PhasePassed, Cancel: 1}, "a passed\noutcome passed\n"},
		{"canceled in advance", scheduler.Status{Run: 2, Phase: scheduler.PhasePassed, Cancel: 5}, "a canceled (a#5)\noutcome canceled\n"},
		{"asked for in advance", scheduler.Status{Run: 2, Phase: scheduler.PhasePassed, Want: 5}, "start a#5\na ready\n"},
		{"negative numbers", scheduler.Status{Run: -1, Phase: scheduler.PhasePassed, Want: -2, Cancel: -3}, "start a#1\na ready\n"},
		{"a request by force that was honored", scheduler.Status{Run: 1, Phase: scheduler.PhaseStopped, Want: 1, Force: true}, "start a#2\na ready\n"},
		{"a cancellation from outside without a run", scheduler.Status{Phase: scheduler.PhaseCanceled}, "start a#1\na ready\n"},
		{"the first unknown phase", scheduler.Status{Run: 3, Phase: scheduler.PhaseStopped + 1}, "start a#4\na ready\n"},
		{"a basis of strangers", scheduler.Status{Run: 1, Phase: scheduler.PhasePassed, Basis: []scheduler.Ref{{ID: "x", Run: 1}, {ID: "a", Run: 9}}}, "a passed\noutcome passed\n"},
	}
	g := graphOf(t, dag.Scenario{ID: "a"})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := scheduler.Snapshot{"a": test.st}
			if diff := cmp.Diff(test.want, describe(g, s, scheduler.Next(g, s))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// "A basis may come in any order and counts the same for Next and Machine." It may name a run twice, or none.
func TestNextTakesABasisInAnyOrder(t *testing.T) {
	const most = 1<<31 - 1
	g := graphOf(t,
		dag.Scenario{ID: "a"}, dag.Scenario{ID: "b"}, dag.Scenario{ID: "c"},
		dag.Scenario{ID: "d", After: dag.After("b", "a", "c")},
	)
	ref := func(id dag.ID, run int) scheduler.Ref { return scheduler.Ref{ID: id, Run: run} }
	passed := "a passed, b passed, c passed, d passed\noutcome passed\n"
	again := "start d#2 on a#2, b#1, c#1\na passed, b passed, c passed, d ready\n"
	for _, test := range []struct {
		basis []scheduler.Ref
		want  string
	}{
		{[]scheduler.Ref{ref("a", 2), ref("b", 1), ref("c", 1)}, passed},
		{[]scheduler.Ref{ref("c", 1), ref("b", 1), ref("a", 2)}, passed},
		{[]scheduler.Ref{ref("b", 1), ref("c", 1), ref("a", 2)}, passed},
		{[]scheduler.Ref{ref("c", 1), ref("a", 1), ref("x", 9), ref("a", 2), ref("", 1), ref("b", 1), ref("c", 0), ref("a", most+1)}, passed},
		{[]scheduler.Ref{ref("c", 1), ref("b", 1), ref("a", 1)}, again},
		{[]scheduler.Ref{ref("a", 3), ref("b", 1), ref("c", 1), ref("a", 2)}, again}, // of several, the newest counts
	} {
		s := scheduler.Snapshot{
			"a": {Run: 2, Phase: scheduler.PhasePassed}, "b": {Run: 1, Phase: scheduler.PhasePassed}, "c": {Run: 1, Phase: scheduler.PhasePassed},
			"d": {Run: 1, Phase: scheduler.PhasePassed, Basis: slices.Clone(test.basis)},
		}
		for _, plan := range []scheduler.Plan{scheduler.Next(g, s), scheduler.NewMachine(g, s).Plan()} {
			if diff := cmp.Diff(test.want, describe(g, s, plan)); diff != "" {
				t.Errorf("%v (-want +got):\n%s", test.basis, diff)
			}
		}
		if !slices.Equal(s["d"].Basis, test.basis) {
			t.Errorf("%v became %v", test.basis, s["d"].Basis)
		}
	}
}

// "Nothing comes after" the last number: there is a plan all the same, and carrying it out changes nothing.
func TestNextAtTheLastNumber(t *testing.T) {
	const most = 1<<31 - 1
	g := graphOf(t, dag.Scenario{ID: "a"})
	for _, run := range []int{most, most + 1, math.MaxInt} {
		s := scheduler.Snapshot{"a": {Run: run, Phase: scheduler.PhaseStopped}}
		m := scheduler.NewMachine(g, s)
		want := scheduler.Action{Kind: scheduler.Start, Ref: scheduler.Ref{ID: "a", Run: most}}
		if diff := cmp.Diff(want, m.ActionAt(0)); diff != "" {
			t.Errorf("run %d (-want +got):\n%s", run, diff)
		}
		if m.StartedAt(0) {
			t.Errorf("run %d was started again", run)
		}
		checkSame(t, g, s, m)
	}
}

// The same below a parent that failed, at its second run.
func TestNextIsTotalBelowAFailure(t *testing.T) {
	canceled := "a failed, b canceled (a#2)\noutcome failed\n"
	on := func(run int) []scheduler.Ref { return []scheduler.Ref{{ID: "a", Run: run}} }
	tests := []struct {
		name string
		st   scheduler.Status
		want string
	}{
		{"forced", scheduler.Status{Run: 1, Phase: scheduler.PhasePassed, Forced: true, Basis: on(2)}, "a failed, b passed\noutcome failed\n"},
		{"forced, without a run", scheduler.Status{Forced: true}, canceled},
		{"forced, and on a run that has not come yet", scheduler.Status{Run: 1, Phase: scheduler.PhasePassed, Forced: true, Basis: on(3)}, canceled},
		{"forced, and asked for by force", scheduler.Status{Run: 1, Phase: scheduler.PhasePassed, Forced: true, Want: 2, Force: true}, "start b#2 by force on a#2\na failed, b ready\n"},
		{"a request by force that was honored", scheduler.Status{Run: 1, Phase: scheduler.PhasePassed, Basis: on(2), Want: 1, Force: true}, canceled},
		{"a request by force of no run", scheduler.Status{Force: true}, canceled},
		{"a request by force of no run, below none", scheduler.Status{Run: -1, Force: true}, canceled},
		{"forced, below no run", scheduler.Status{Run: math.MinInt, Phase: scheduler.PhaseRunning, Forced: true, Basis: on(2)}, canceled},
	}
	g := graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b", After: dag.After("a")})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := scheduler.Snapshot{"a": {Run: 2, Phase: scheduler.PhaseFailed}, "b": test.st}
			if diff := cmp.Diff(test.want, describe(g, s, scheduler.Next(g, s))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// "It is the run that a request made now is about."
func TestNewest(t *testing.T) {
	for _, test := range []struct {
		st   scheduler.Status
		want int
	}{
		{scheduler.Status{}, 0}, {scheduler.Status{Run: 3, Want: 2, Cancel: 1}, 3}, {scheduler.Status{Run: 3, Want: 4}, 4},
		{scheduler.Status{Run: 3, Want: 4, Cancel: 5}, 5},
	} {
		want := scheduler.Ref{ID: "a", Run: test.want}
		if got := (scheduler.Snapshot{"a": test.st}).Newest("a"); got != want {
			t.Errorf("%+v: got %s, want %s", test.st, got, want)
		}
	}
}

func TestSenselessEventsChangeNothing(t *testing.T) {
	ref := func(run int) scheduler.Ref { return scheduler.Ref{ID: "a", Run: run} }
	basis := []scheduler.Ref{{ID: "b", Run: 1}}
	events := []scheduler.Event{
		{},
		scheduler.Finished(scheduler.Ref{Run: 5}, scheduler.PhasePassed),
		scheduler.Finished(ref(5), scheduler.PhaseNone),
		scheduler.Finished(ref(5), 77),
		scheduler.Finished(ref(-1), scheduler.PhasePassed),
		scheduler.Finished(ref(math.MaxInt), scheduler.PhasePassed),
		{Ref: ref(0), Phase: scheduler.PhasePassed, Basis: basis, Forced: true},
		{Ref: ref(4), Basis: basis},
		{Ref: ref(4), Phase: 77, Basis: basis, Forced: true},
		{Kind: 77, Ref: ref(5), Phase: scheduler.PhasePassed},
		scheduler.Started(scheduler.Action{Kind: scheduler.Stop, Ref: ref(5), Basis: basis}),
		scheduler.Rerun(ref(-1)), scheduler.Force(ref(-1)), scheduler.Cancel(ref(-1)),
		scheduler.Rerun(ref(1<<30 + 1)), scheduler.Cancel(ref(1<<30 + 1)), scheduler.Finished(ref(1<<30+1), scheduler.PhasePassed),
	}
	for _, s := range []scheduler.Snapshot{
		nil, {}, {"a": {Run: 4, Phase: scheduler.PhaseRunning}}, {"a": {Run: 4, Phase: scheduler.PhaseFailed, Want: 5}}, {"a": {Run: -4, Cancel: -4}},
	} {
		for _, e := range events {
			if diff := cmp.Diff(s, s.Observe(e)); diff != "" {
				t.Errorf("%v after %+v (-want +got):\n%s", s, e, diff)
			}
		}
	}
}

// News means the same to a snapshot that no history leads to and to a machine that began with it.
func TestObserveTakesOddStatuses(t *testing.T) {
	g := graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b", After: dag.After("a")})
	run := scheduler.Ref{ID: "b", Run: 1}
	on := []scheduler.Ref{{ID: "a", Run: 1}}
	for _, test := range []struct {
		st      scheduler.Status
		e       scheduler.Event
		changed bool
	}{
		{scheduler.Status{Run: 1, Phase: scheduler.PhaseRunning, Basis: []scheduler.Ref{{ID: "a"}}}, scheduler.Event{Ref: run, Phase: scheduler.PhaseRunning, Basis: on}, true},
		{scheduler.Status{Run: 1, Phase: scheduler.PhaseRunning, Basis: []scheduler.Ref{{ID: "x", Run: 1}, {ID: "a", Run: 2}}}, scheduler.Event{Ref: run, Phase: scheduler.PhaseRunning, Basis: on}, false},
		{scheduler.Status{Run: 1, Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{lib1, app1, {}}}, scheduler.Event{Ref: run, Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{app1}}, false},
		{scheduler.Status{Run: 1, Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{lib1, {}}}, scheduler.Event{Ref: run, Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{app1}}, true},
		{scheduler.Status{Run: -7, Want: -8, Cancel: -9}, scheduler.Rerun(scheduler.Ref{ID: "b"}), true},
		{scheduler.Status{Run: -7, Want: -8, Cancel: -9, Force: true}, scheduler.Cancel(scheduler.Ref{ID: "b"}), true},
		{scheduler.Status{Cancel: math.MaxInt}, scheduler.Force(scheduler.Ref{ID: "b", Run: 1<<31 - 1}), true},
	} {
		s := scheduler.Snapshot{"a": {Run: 1, Phase: scheduler.PhasePassed}, "b": test.st}
		m := scheduler.NewMachine(g, s)
		after := s.Observe(test.e)
		if m.Observe(test.e) != test.changed || same(s, after) == test.changed {
			t.Errorf("%s changed something; want %t: from %+v to %+v", test.e, test.changed, s, after)
		}
		checkSame(t, g, after, m)
	}
}

// "News that follows on earlier news may leave it out": what the run was started on, and that it was forced, may come with
// any news of the run, but only once.
func TestObserveHearsLater(t *testing.T) {
	run := scheduler.Ref{ID: "b", Run: 2}
	on := func(n int) []scheduler.Ref { return []scheduler.Ref{{ID: "a", Run: n}} }
	s := scheduler.Snapshot{"b": {Run: 1, Phase: scheduler.PhasePassed, Basis: on(1), Forced: true}}
	for _, step := range []struct {
		e    scheduler.Event
		want scheduler.Status
	}{
		{scheduler.Event{Ref: run, Phase: scheduler.PhaseRunning}, scheduler.Status{Run: 2, Phase: scheduler.PhaseRunning}},
		{scheduler.Event{Ref: scheduler.Ref{ID: "b", Run: 1}, Phase: scheduler.PhasePassed, Basis: on(1), Forced: true}, scheduler.Status{Run: 2, Phase: scheduler.PhaseRunning}},
		{scheduler.Event{Ref: run, Phase: scheduler.PhaseRunning, Forced: true}, scheduler.Status{Run: 2, Phase: scheduler.PhaseRunning, Forced: true}},
		{scheduler.Event{Ref: run, Phase: scheduler.PhaseRunning, Basis: on(2)}, scheduler.Status{Run: 2, Phase: scheduler.PhaseRunning, Forced: true, Basis: on(2)}},
		{scheduler.Event{Ref: run, Phase: scheduler.PhaseFailed, Basis: on(3)}, scheduler.Status{Run: 2, Phase: scheduler.PhaseFailed, Forced: true, Basis: on(2)}},
	} {
		s = s.Observe(step.e)
		if diff := cmp.Diff(step.want, s["b"]); diff != "" {
			t.Fatalf("after %s (-want +got):\n%s", step.e, diff)
		}
	}
}

// A basis is kept by ascending ID, of a parent the newest run, and nothing that names no run.
func TestObserveCleansTheBasis(t *testing.T) {
	const most = 1<<31 - 1
	for _, test := range []struct{ given, want []scheduler.Ref }{
		{
			[]scheduler.Ref{
				{ID: "c", Run: most}, {ID: "b", Run: 2}, {ID: "", Run: 1}, {ID: "b", Run: 3}, {ID: "b", Run: 1}, {ID: "a", Run: 0},
				{ID: "d", Run: -1}, {ID: "e", Run: most + 1},
			},
			[]scheduler.Ref{{ID: "b", Run: 3}, {ID: "c", Run: most}},
		},
		{[]scheduler.Ref{{ID: "b", Run: 1}, {ID: "b", Run: 3}, {ID: "c", Run: 1}}, []scheduler.Ref{{ID: "b", Run: 3}, {ID: "c", Run: 1}}},
		{[]scheduler.Ref{{ID: "c", Run: 1}, {ID: "b", Run: 3}}, []scheduler.Ref{{ID: "b", Run: 3}, {ID: "c", Run: 1}}},
		{[]scheduler.Ref{{ID: "b", Run: 0}}, nil},
	} {
		s := scheduler.Snapshot{}.Observe(scheduler.Event{Ref: scheduler.Ref{ID: "z", Run: 1}, Phase: scheduler.PhaseRunning, Basis: test.given})
		if diff := cmp.Diff(test.want, s["z"].Basis, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.given, diff)
		}
	}
}

// Observe leaves the snapshot as it is, and whoever made an event may change its basis later.
func TestObserveKeepsItsHandsOff(t *testing.T) {
	before := scheduler.Snapshot{"a": {Run: 1, Phase: scheduler.PhaseRunning}}
	for _, basis := range [][]scheduler.Ref{{{ID: "c", Run: 1}, {ID: "b", Run: 1}}, {{ID: "b", Run: 1}, {ID: "c", Run: 1}}} {
		after := before.Observe(scheduler.Event{Ref: scheduler.Ref{ID: "a", Run: 2}, Phase: scheduler.PhaseRunning, Basis: basis})
		basis[0].Run, basis[1].Run = 9, 9
		want := scheduler.Snapshot{"a": {
			Run: 2, Phase: scheduler.PhaseRunning, Basis: []scheduler.Ref{{ID: "b", Run: 1}, {ID: "c", Run: 1}},
		}}
		if diff := cmp.Diff(want, after); diff != "" {
			t.Errorf("after (-want +got):\n%s", diff)
		}
	}
	if before["a"].Run != 1 {
		t.Errorf("before: %+v", before)
	}
	m := scheduler.NewMachine(graphOf(t, dag.Scenario{ID: "a"}), before)
	m.Observe(scheduler.Finished(scheduler.Ref{ID: "a", Run: 1}, scheduler.PhasePassed))
	m.Snapshot()["a"] = scheduler.Status{}
	if before["a"].Phase != scheduler.PhaseRunning || m.Snapshot()["a"].Phase != scheduler.PhasePassed {
		t.Errorf("before: %+v, in the machine: %+v", before, m.Snapshot())
	}
}

func TestNames(t *testing.T) {
	got := []string{
		scheduler.PhaseNone.String(), scheduler.PhaseStopped.String(), scheduler.Phase(9).String(),
		scheduler.VerdictReady.String(), scheduler.Verdict(9).String(), scheduler.OutcomePassed.String(), scheduler.Outcome(9).String(),
		scheduler.Start.String(), scheduler.Stop.String(), scheduler.ActionKind(9).String(), scheduler.EventKind(9).String(),
		scheduler.Rerun(scheduler.Ref{ID: "a", Run: 1}).String(),
		(scheduler.PhaseStopped + 1).String(), (scheduler.VerdictCanceled + 1).String(), (scheduler.EventCancel + 1).String(),
	}
	want := []string{
		"none", "stopped", "Phase(9)", "ready", "Verdict(9)", "passed", "Outcome(9)",
		"start", "stop", "ActionKind(9)", "EventKind(9)", "rerun a#1",
		"Phase(6)", "Verdict(6)", "EventKind(4)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOverAndFinal(t *testing.T) {
	var over, final []string
	for k := range uint8(10) {
		if p := scheduler.Phase(k); p.Over() {
			over = append(over, p.String())
		}
		if v := scheduler.Verdict(k); v.Final() {
			final = append(final, v.String())
		}
	}
	if diff := cmp.Diff([]string{"passed", "failed", "canceled", "stopped"}, over); diff != "" {
		t.Errorf("over (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"passed", "failed", "canceled"}, final); diff != "" {
		t.Errorf("final (-want +got):\n%s", diff)
	}
}

// Late news of a run that was started before its scenario was removed: the run must be stopped, by a Machine too.
func TestMachineHearsLateNewsOfARemovedScenario(t *testing.T) {
	g := graphOf(t, dag.Scenario{ID: "scan"})
	m := scheduler.NewMachine(g, nil)
	start := m.Plan().Actions[0]
	m.SetGraph(graphOf(t))
	if m.Observe(scheduler.Rerun(start.Ref)) {
		t.Error("a request about a stranger is kept")
	}
	m.Observe(scheduler.Started(start))
	want := scheduler.Plan{Actions: []scheduler.Action{{Kind: scheduler.Stop, Ref: start.Ref}}}
	if diff := cmp.Diff(want, m.Plan()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is no longer in the graph is stopped in the order of the IDs, before anything else.
func TestNextStopsRemovedScenariosInOrder(t *testing.T) {
	s := scheduler.Snapshot{}
	want := []string{}
	for _, id := range []dag.ID{"b", "c", "d", "e", "f", "g"} {
		s[id] = scheduler.Status{Run: 2, Phase: scheduler.PhaseRunning}
		want = append(want, "stop "+string(id)+"#2")
	}
	s["over"] = scheduler.Status{Run: 2, Phase: scheduler.PhasePassed}
	s["never"] = scheduler.Status{Phase: scheduler.PhaseRunning} // of no run
	want = append(want, "start a#1")
	for range 20 {
		var got []string
		for _, a := range scheduler.Next(graphOf(t, dag.Scenario{ID: "a"}), s).Actions {
			got = append(got, a.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}
