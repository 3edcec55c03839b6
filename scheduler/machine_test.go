package scheduler_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// "Plan always equals Next of its graph and its snapshot": also of snapshots that no history leads to, and after events
// in no order, of runs that nobody has asked for, on whatever.
func TestMachineTakesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		id := rapid.SampledFrom([]dag.ID{"a", "b", "c", "d", "e", "f", "g", "h"})
		run := drawRun()
		phase := rapid.SampledFrom([]scheduler.Phase{
			scheduler.PhaseNone, scheduler.PhaseRunning, scheduler.PhaseRunning, scheduler.PhasePassed, scheduler.PhasePassed,
			scheduler.PhaseFailed, scheduler.PhaseCanceled, scheduler.PhaseStopped, scheduler.PhaseStopped + 1, 77,
		})
		basis := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) scheduler.Ref {
			return scheduler.Ref{ID: rapid.OneOf(id, id, rapid.Just(dag.ID(""))).Draw(t, "on"), Run: run.Draw(t, "its run")}
		}), 0, 5)
		artifacts := drawArtifacts()
		begin := scheduler.Snapshot{}
		for range rapid.IntRange(0, 8).Draw(t, "known") {
			begin[id.Draw(t, "id")] = scheduler.Status{
				Run: run.Draw(t, "run"), Phase: phase.Draw(t, "phase"), Forced: rapid.Bool().Draw(t, "forced"), Basis: basis.Draw(t, "basis"),
				Want: run.Draw(t, "want"), Force: rapid.Bool().Draw(t, "force"), Cancel: run.Draw(t, "cancel"),
				Artifacts: artifacts.Draw(t, "left"),
			}
		}
		m := scheduler.NewMachine(g, begin)
		s := begin
		checkSame(t, g, s, m)
		checkSame(t, g, m.Snapshot(), m)
		checkSame(t, g, shuffleBases(t, s), m)
		for range rapid.IntRange(0, 12).Draw(t, "events") {
			if rapid.IntRange(0, 3).Draw(t, "obey") == 0 {
				s = obeyByIndex(t, g, s, m, phase)
				checkSame(t, g, s, m)
				continue
			}
			e := scheduler.Event{
				Kind: scheduler.EventKind(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 4}).Draw(t, "kind")),
				Ref:  scheduler.Ref{ID: id.Draw(t, "of"), Run: run.Draw(t, "its run")}, Phase: phase.Draw(t, "phase"),
				Basis: basis.Draw(t, "basis"), Forced: rapid.Bool().Draw(t, "forced"), Artifacts: artifacts.Draw(t, "left"),
			}
			given, left := slices.Clone(e.Basis), slices.Clone(e.Artifacts)
			_, known := s[e.Ref.ID]
			_, in := g.Index(e.Ref.ID)
			if !known && !in && e.Kind != scheduler.EventNews {
				if m.Observe(e) {
					t.Fatalf("%s about a stranger is kept", e)
				}
				continue
			}
			after := s.Observe(e)
			if changed := m.Observe(e); changed == same(s, after) {
				t.Fatalf("%s changed something: %t, from %v to %v", e, changed, s, after)
			}
			if !slices.Equal(e.Basis, given) || !slices.Equal(e.Artifacts, left) {
				t.Fatalf("the event became %+v, it had %v and %v", e, given, left)
			}
			s = after
			checkSame(t, g, s, m)
		}
	})
}

// drawRun draws a number that a run can have, or one that none can have.
func drawRun() *rapid.Generator[int] {
	const most = 1<<31 - 1
	small := rapid.IntRange(-1, 4)
	return rapid.OneOf(small, small, small, small, rapid.SampledFrom([]int{math.MinInt, -most, most - 1, most, most + 1, math.MaxInt}))
}

// shuffleBases returns the snapshot with each basis in another order, and some of it twice.
func shuffleBases(t *rapid.T, s scheduler.Snapshot) scheduler.Snapshot {
	s = maps.Clone(s)
	for _, id := range slices.Sorted(maps.Keys(s)) {
		st := s[id]
		twice := st.Basis[:rapid.IntRange(0, len(st.Basis)).Draw(t, "twice")]
		if st.Basis = slices.Concat(st.Basis, twice); len(st.Basis) > 0 {
			st.Basis = rapid.Permutation(st.Basis).Draw(t, "order")
		}
		s[id] = st
	}
	return s
}

// obeyByIndex starts or finishes one scenario, and tells the machine by index.
func obeyByIndex(
	t *rapid.T, g *dag.Graph, s scheduler.Snapshot, m *scheduler.Machine, phase *rapid.Generator[scheduler.Phase],
) scheduler.Snapshot {
	i := rapid.IntRange(0, g.Len()-1).Draw(t, "index")
	if rapid.Bool().Draw(t, "finish") {
		end := phase.Draw(t, "end")
		after := s.Observe(scheduler.Finished(scheduler.Ref{ID: g.ID(i), Run: m.Snapshot()[g.ID(i)].Run}, end))
		if changed := m.FinishedAt(i, end); changed == same(s, after) {
			t.Fatalf("%s of %s changed something: %t, from %v to %v", end, g.ID(i), changed, s, after)
		}
		return after
	}
	a := m.ActionAt(i)
	after := s.Observe(scheduler.Started(a))
	if changed := m.StartedAt(i); changed == same(s, after) {
		t.Fatalf("%s changed something: %t, from %v to %v", a, changed, s, after)
	}
	return after
}

func same(a, b scheduler.Snapshot) bool { return cmp.Equal(a, b, cmpopts.EquateEmpty()) }

// checkSame: a machine knows what a snapshot holds, and says of it what Next and the other functions say, however odd the
// snapshot is.
func checkSame(t interface{ Fatalf(string, ...any) }, g *dag.Graph, s scheduler.Snapshot, m *scheduler.Machine) {
	equal := func(what string, want, got any) {
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s (-want +got):\n%s\nsnapshot: %+v", what, diff, s)
		}
	}
	equal("the snapshot", scheduler.NewMachine(g, s).Snapshot(), m.Snapshot())
	equal("the plan", scheduler.Next(g, s), m.Plan())
	for i, c := range scheduler.Conclude(g, s) {
		equal("the conclusion", c, m.Conclusion(g.ID(i)))
	}
	for _, id := range []dag.ID{"a", "b", "c", "d", "e", "f", "g", "h"} {
		equal("the explanation", scheduler.Explain(g, s, id), m.Explain(id))
		equal("the newest run", s.Newest(id), m.Newest(id))
	}
}

// A graph of any size is as good as a small one: with more scenarios than fit in a word, and more parents than are looked
// through one after the other, which the bases do not name in the order in which they are declared.
func TestMachineOfManyScenarios(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{12, 40, 70, 200}).Draw(t, "scenarios")
		name := func(i int) dag.ID { return dag.ID(fmt.Sprintf("s%03d", i)) }
		list := make([]dag.Scenario, n)
		for i := range list {
			list[i].ID = name(i * 11 % n) // the order of the names is not that of the edges
			for _, p := range rapid.SliceOfNDistinct(rapid.IntRange(0, max(0, i-1)), 0, min(i, 20), rapid.ID[int]).Draw(t, "parents") {
				list[i].After = append(list[i].After, dag.Parent{ID: list[p].ID, Condition: rapid.SampledFrom(conditions).Draw(t, "condition")})
			}
		}
		g := mustNew(t, list)
		m := scheduler.NewMachine(g, nil)
		s := scheduler.Snapshot{}
		check := func() {
			if diff := cmp.Diff(scheduler.Next(g, s), m.Plan()); diff != "" {
				t.Fatalf("the plan of the machine (-Next +Machine):\n%s\nsnapshot: %+v", diff, s)
			}
		}
		for range rapid.IntRange(1, 8).Draw(t, "waves") {
			for i, do := range m.Todo() { // everything that is to be done, in one go
				if do == scheduler.Start {
					a := m.ActionAt(i)
					s = s.Observe(scheduler.Started(a))
					m.Observe(scheduler.Started(a))
				}
			}
			check()
			for i := range g.Len() {
				run := scheduler.Ref{ID: g.ID(i), Run: s[g.ID(i)].Run}
				if s[run.ID].Phase != scheduler.PhaseRunning {
					continue
				}
				e := scheduler.Finished(run, rapid.SampledFrom([]scheduler.Phase{
					scheduler.PhasePassed, scheduler.PhasePassed, scheduler.PhasePassed, scheduler.PhaseFailed,
				}).Draw(t, "phase"))
				s = s.Observe(e)
				m.Observe(e)
			}
			check()
			make := rapid.SampledFrom([]func(scheduler.Ref) scheduler.Event{scheduler.Rerun, scheduler.Force, scheduler.Cancel}).Draw(t, "request")
			e := make(s.Newest(g.ID(rapid.IntRange(0, n-1).Draw(t, "of"))))
			s = s.Observe(e)
			m.Observe(e)
			check()
		}
		// News of a run on a stranger and on any run of the parents, in any order.
		i := rapid.IntRange(0, n-1).Draw(t, "stands")
		e := scheduler.Event{Ref: s.Newest(g.ID(i)), Phase: scheduler.PhaseRunning, Basis: []scheduler.Ref{{ID: "stranger", Run: 1}}}
		e.Ref.Run++
		for p := range g.Parents(g.ID(i)) {
			if run := rapid.IntRange(-1, 1).Draw(t, "back") + s[p].Run; run > 0 {
				e.Basis = append(e.Basis, scheduler.Ref{ID: p, Run: run})
			}
		}
		if another := rapid.IntRange(0, n-1).Draw(t, "and on"); another != i {
			e.Basis = append(e.Basis, scheduler.Ref{ID: g.ID(another), Run: 1})
		}
		e.Basis = rapid.Permutation(e.Basis).Draw(t, "order")
		s = s.Observe(e)
		m.Observe(e)
		check()
		if diff := cmp.Diff(s, m.Snapshot(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the snapshot of the machine (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(scheduler.Next(g, s), scheduler.NewMachine(g, s).Plan()); diff != "" {
			t.Fatalf("the plan of a machine that begins here (-Next +Machine):\n%s", diff)
		}
	})
}

// "Numbers of runs that the JSON form of a snapshot could not hold are taken as the nearest that it could", and a basis as
// news of it would be.
func TestNewMachineFitsNumbers(t *testing.T) {
	const most = 1<<31 - 1
	g := graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b"}, dag.Scenario{ID: "d", After: dag.After("b")})
	s := scheduler.Snapshot{
		"a": {Run: -1, Want: most + 1, Cancel: -2},
		"b": {Run: most + 2, Phase: scheduler.PhasePassed, Want: -3, Cancel: most + 3},
		"c": {
			Run: most + 1, Phase: scheduler.PhaseRunning, Want: -1,
			Basis: []scheduler.Ref{{ID: "b", Run: 2}, {ID: "a", Run: 3}, {ID: "x", Run: -1}},
		},
		"d": {
			Run: 1, Phase: scheduler.PhasePassed,
			Basis: []scheduler.Ref{{ID: "b", Run: 1}, {ID: "a", Run: most + 1}, {ID: "b", Run: 2}, {Run: 4}},
		},
	}
	m := scheduler.NewMachine(g, s)
	checkSame(t, g, s, m)
	want := scheduler.Snapshot{
		"a": {Want: most},
		"b": {Run: most, Phase: scheduler.PhasePassed, Cancel: most},
		"c": {Run: most, Phase: scheduler.PhaseRunning, Basis: []scheduler.Ref{{ID: "a", Run: 3}, {ID: "b", Run: 2}}},
		"d": {Run: 1, Phase: scheduler.PhasePassed, Basis: []scheduler.Ref{{ID: "b", Run: 2}}},
	}
	if diff := cmp.Diff(want, m.Snapshot(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a machine took and what it gave belongs to the caller, to the last element of a basis.
func TestMachineKeepsItsHandsOff(t *testing.T) {
	ref := func(id dag.ID, run int) scheduler.Ref { return scheduler.Ref{ID: id, Run: run} }
	g := graphOf(t,
		dag.Scenario{ID: "a"}, dag.Scenario{ID: "b", After: dag.After("a")},
		dag.Scenario{ID: "c", After: dag.After("a")}, dag.Scenario{ID: "d", After: dag.After("a")},
	)
	begin := func() scheduler.Snapshot {
		return scheduler.Snapshot{
			"a":    {Run: 1, Phase: scheduler.PhasePassed},
			"b":    {Run: 1, Phase: scheduler.PhasePassed, Basis: []scheduler.Ref{ref("a", 1)}},
			"c":    {Run: 1, Phase: scheduler.PhasePassed, Basis: []scheduler.Ref{ref("a", 1), ref("x", 4)}},
			"gone": {Run: 1, Phase: scheduler.PhasePassed, Basis: []scheduler.Ref{ref("a", 1)}, Artifacts: []scheduler.Artifact{app1}},
			"d":    {Run: 1, Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{app1, lib1}},
		}
	}
	spoil := func(s scheduler.Snapshot) {
		for id, st := range s {
			for k := range st.Basis {
				st.Basis[k].Run = 99
			}
			for k := range st.Artifacts {
				st.Artifacts[k].URI = "spoiled"
			}
			_ = append(st.Basis, ref("spoiled", 99))
			s[id] = scheduler.Status{}
		}
	}
	given := begin()
	m := scheduler.NewMachine(g, given)
	spoil(given)
	first, second := m.Snapshot(), m.Snapshot()
	spoil(first)
	for what, got := range map[string]scheduler.Snapshot{"another snapshot": second, "the machine": m.Snapshot()} {
		if diff := cmp.Diff(begin(), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	third := m.Snapshot()
	for _, st := range third { // whoever appends to one basis leaves the others alone
		_ = append(st.Basis, ref("spoiled", 99))
	}
	if diff := cmp.Diff(begin(), third); diff != "" {
		t.Errorf("after appending (-want +got):\n%s", diff)
	}
}

// Whoever has heard enough of what is to be done may stop listening.
func TestMachineTodoEndsEarly(t *testing.T) {
	m := scheduler.NewMachine(graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b"}), nil)
	var got []int
	for i := range m.Todo() {
		got = append(got, i)
		break
	}
	if !slices.Equal(got, []int{0}) {
		t.Errorf("got %v", got)
	}
}

// "Observe [...] reports whether it changed what is known": the same event once more changes nothing.
func TestMachineHearsOnce(t *testing.T) {
	a, gone := scheduler.Ref{ID: "a", Run: 1}, scheduler.Ref{ID: "gone", Run: 1}
	basis := []scheduler.Ref{{ID: "x", Run: 1}}
	m := scheduler.NewMachine(graphOf(t, dag.Scenario{ID: "a"}), nil)
	for _, e := range []scheduler.Event{
		{Ref: a, Phase: scheduler.PhaseRunning}, {Ref: a, Phase: scheduler.PhaseRunning, Basis: basis},
		{Ref: a, Phase: scheduler.PhaseRunning, Forced: true}, scheduler.Cancel(a), scheduler.Rerun(a), scheduler.Force(a),
		scheduler.Finished(a, scheduler.PhaseStopped), scheduler.Cancel(scheduler.Ref{ID: "a", Run: 2}),
		scheduler.Finished(gone, scheduler.PhaseRunning), scheduler.Cancel(gone), scheduler.Force(gone),
		scheduler.Finished(gone, scheduler.PhasePassed),
	} {
		if once, twice := m.Observe(e), m.Observe(e); !once || twice {
			t.Errorf("%s changed something: %t, then %t", e, once, twice)
		}
	}
}

// Of a parent only failures are heard, and no start: those below it are canceled for the newest.
func TestMachineHearsOfFailuresAlone(t *testing.T) {
	g := graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b", After: dag.After("a")}, dag.Scenario{ID: "c", After: dag.After("b")})
	m := scheduler.NewMachine(g, nil)
	for run := range 3 {
		cause := scheduler.Ref{ID: "a", Run: run + 1}
		m.Observe(scheduler.Finished(cause, scheduler.PhaseFailed))
		for _, id := range []dag.ID{"b", "c"} {
			if want := (scheduler.Conclusion{Verdict: scheduler.VerdictCanceled, Cause: cause}); m.Conclusion(id) != want {
				t.Errorf("%s is %v, want %v", id, m.Conclusion(id), want)
			}
		}
		checkSame(t, g, m.Snapshot(), m)
	}
}

// A basis may name a run of a parent of which nothing was heard, or will be.
func TestMachineStandsOnWhatIsNotKnown(t *testing.T) {
	g := graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b", After: []dag.Parent{{ID: "a", Condition: dag.Always}}})
	m := scheduler.NewMachine(g, nil)
	basis := []scheduler.Ref{{ID: "a", Run: 2}}
	for _, step := range []struct {
		e    scheduler.Event
		want scheduler.Verdict
	}{
		{scheduler.Cancel(scheduler.Ref{ID: "a"}), scheduler.VerdictReady},
		{scheduler.Event{Ref: scheduler.Ref{ID: "b", Run: 1}, Phase: scheduler.PhasePassed, Basis: basis}, scheduler.VerdictPassed},
		{scheduler.Finished(scheduler.Ref{ID: "a", Run: 1}, scheduler.PhasePassed), scheduler.VerdictReady},
		{scheduler.Finished(scheduler.Ref{ID: "a", Run: 2}, scheduler.PhasePassed), scheduler.VerdictPassed},
		{scheduler.Finished(scheduler.Ref{ID: "a", Run: 3}, scheduler.PhasePassed), scheduler.VerdictReady},
	} {
		m.Observe(step.e)
		if got := m.Conclusion("b").Verdict; got != step.want {
			t.Errorf("after %s b is %s, want %s", step.e, got, step.want)
		}
		checkSame(t, g, m.Snapshot(), m)
		checkSame(t, g, m.Snapshot(), scheduler.NewMachine(g, m.Snapshot()))
	}
}

// What a run stood on is not said of the next, however that is told.
func TestMachineForgetsWhatTheLastRunStoodOn(t *testing.T) {
	g := graphOf(t, dag.Scenario{ID: "a"}, dag.Scenario{ID: "b", After: dag.After("a")})
	on := func(run int) []scheduler.Ref { return []scheduler.Ref{{ID: "a", Run: run}} }
	b := func(run int, basis ...scheduler.Ref) scheduler.Event {
		return scheduler.Event{Ref: scheduler.Ref{ID: "b", Run: run}, Phase: scheduler.PhasePassed, Basis: basis}
	}
	beside := append(on(1), scheduler.Ref{ID: "x", Run: 1})
	for name, next := range map[string]func(m *scheduler.Machine){
		"news":           func(m *scheduler.Machine) { m.Observe(b(2, on(2)...)) },
		"news, then on":  func(m *scheduler.Machine) { m.Observe(b(2)); m.Observe(b(2, on(2)...)) },
		"on nothing new": func(m *scheduler.Machine) { m.Observe(b(2)); m.Observe(b(3, on(2)...)) },
		"by index":       func(m *scheduler.Machine) { m.StartedAt(1) },
	} {
		m := scheduler.NewMachine(g, nil)
		for _, e := range []scheduler.Event{
			scheduler.Finished(on(1)[0], scheduler.PhasePassed), b(1, beside...), scheduler.Finished(on(2)[0], scheduler.PhasePassed),
		} {
			m.Observe(e)
		}
		if diff := cmp.Diff(beside, m.Snapshot()["b"].Basis); diff != "" {
			t.Errorf("%s: before (-want +got):\n%s", name, diff)
		}
		next(m)
		if diff := cmp.Diff(on(2), m.Snapshot()["b"].Basis); diff != "" {
			t.Errorf("%s: after (-want +got):\n%s", name, diff)
		}
	}
}

// A mark of force without a request, which no history leads to, forces no run: neither by name nor by index.
func TestMachineForcesOnlyWhatWasAskedFor(t *testing.T) {
	g := graphOf(t, dag.Scenario{ID: "a"})
	m := scheduler.NewMachine(g, scheduler.Snapshot{"a": {Force: true}})
	if a := m.ActionAt(0); a.Kind != scheduler.Start || a.Forced {
		t.Errorf("the action is %s", a)
	}
	m.StartedAt(0)
	if st := m.Snapshot()["a"]; st.Run != 1 || st.Forced {
		t.Errorf("started: %+v", st)
	}
}
