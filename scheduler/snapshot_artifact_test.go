package scheduler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

var (
	app1 = scheduler.Artifact{URI: "quay.io/team/app", Digest: "sha256:01"}
	app2 = scheduler.Artifact{URI: "quay.io/team/app", Digest: "sha256:02"}
	lib1 = scheduler.Artifact{URI: "quay.io/team/lib", Digest: "sha256:01"}
)

// many returns so many artifacts, in order.
func many(n int) (list []scheduler.Artifact) {
	for i := range n {
		list = append(list, scheduler.Artifact{URI: fmt.Sprintf("quay.io/team/%02d", i), Digest: "sha256:01"})
	}
	return list
}

// drawArtifacts draws what news may tell that a run left: in any order, also twice, also what cannot be kept, and sometimes
// too much of it.
func drawArtifacts() *rapid.Generator[[]scheduler.Artifact] {
	some := rapid.SampledFrom([]scheduler.Artifact{
		app1, app2, lib1, {URI: "ünïcode <&>\u2028\x00", Digest: "x"}, {URI: "quay.io/team/app"}, {Digest: "sha256:01"}, {URI: "\xff", Digest: "sha256:01"},
	})
	return rapid.OneOf(
		rapid.SliceOfN(some, 0, 4), rapid.SliceOfN(some, 0, 4),
		rapid.Map(rapid.Permutation(many(70)), func(list []scheduler.Artifact) []scheduler.Artifact { return list[:66] }),
	)
}

func leaves(run int, list ...scheduler.Artifact) scheduler.Event {
	return scheduler.Event{Ref: scheduler.Ref{ID: "a", Run: run}, Phase: scheduler.PhasePassed, Artifacts: list}
}

// What is kept of artifacts, of a scenario of the graph and of another: all that news of the newest run brought.
func TestObserveKeepsArtifacts(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct {
		name   string
		events []scheduler.Event
		want   []scheduler.Artifact
	}{
		{"in order, each once", []scheduler.Event{leaves(1, lib1, app2, app1, lib1)}, []scheduler.Artifact{app1, app2, lib1}},
		{"bit by bit", []scheduler.Event{leaves(1, lib1), leaves(1, app1), leaves(1)}, []scheduler.Artifact{app1, lib1}},
		{"later than the run", []scheduler.Event{leaves(1), leaves(1, app1)}, []scheduler.Artifact{app1}},
		{"of the newest run", []scheduler.Event{leaves(1, app1), leaves(2, app2), leaves(1, lib1)}, []scheduler.Artifact{app2}},
		{"nothing of the run before", []scheduler.Event{leaves(1, app1), leaves(2)}, nil},
		{"nothing of no run", []scheduler.Event{leaves(1), leaves(0, app1), leaves(-1, app1)}, nil},
		{"nothing of news without a phase", []scheduler.Event{leaves(1), {Ref: scheduler.Ref{ID: "a", Run: 1}, Artifacts: []scheduler.Artifact{app1}}}, nil},
		{"nothing of a request", []scheduler.Event{leaves(1), {
			Kind: scheduler.EventRerun, Ref: scheduler.Ref{ID: "a", Run: 1}, Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{app1},
		}}, nil},
		{
			"only what can be kept",
			[]scheduler.Event{leaves(1, scheduler.Artifact{URI: "x"}, scheduler.Artifact{Digest: "x"}, scheduler.Artifact{URI: "\xff", Digest: "x"},
				scheduler.Artifact{URI: "x", Digest: "\xff"}, scheduler.Artifact{URI: long(513), Digest: "x"}, scheduler.Artifact{URI: "x", Digest: long(257)},
				scheduler.Artifact{URI: long(512), Digest: long(256)})},
			[]scheduler.Artifact{{URI: long(512), Digest: long(256)}},
		},
		{"of too many the first", []scheduler.Event{leaves(1, many(70)[3:]...), leaves(1, many(3)...)}, many(64)},
	} {
		for _, g := range []*dag.Graph{graphOf(t, dag.Scenario{ID: "a"}), graphOf(t)} {
			m, s := scheduler.NewMachine(g, nil), scheduler.Snapshot{}
			for _, e := range test.events {
				after := s.Observe(e)
				if changed := m.Observe(e); changed == same(s, after) {
					t.Errorf("%s: %s changed something: %t, from %v to %v", test.name, e, changed, s, after)
				}
				if again := after.Observe(e); !same(after, again) && e.Kind == scheduler.EventNews || e.Kind == scheduler.EventNews && m.Observe(e) {
					t.Errorf("%s: %s changed something again", test.name, e)
				}
				s = after
			}
			if diff := cmp.Diff(test.want, s["a"].Artifacts); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.name, diff)
			}
			if g.Len() > 0 || test.name != "nothing of a request" {
				checkSame(t, g, s, m)
			}
		}
	}
}

// "The order of news does not matter": nor whether it comes again.
func TestArtifactsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var news []scheduler.Event
		for _, list := range rapid.SliceOfN(drawArtifacts(), 1, 4).Draw(t, "news") {
			news = append(news, leaves(rapid.IntRange(1, 2).Draw(t, "run"), list...))
		}
		again := slices.Concat(rapid.Permutation(news).Draw(t, "order"), news[:rapid.IntRange(0, len(news)).Draw(t, "again")])
		var s, other scheduler.Snapshot
		for _, e := range news {
			s = s.Observe(e)
		}
		for _, e := range again {
			other = other.Observe(e)
		}
		if diff := cmp.Diff(s, other, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("in another order (-want +got):\n%s", diff)
		}
		if left := s["a"].Artifacts; len(left) > 64 {
			t.Fatalf("%d artifacts are kept", len(left))
		}
	})
}

// "Artifacts are as news brings them": whatever a snapshot holds.
func TestNewMachineCleansArtifacts(t *testing.T) {
	dirty := scheduler.Status{Run: 1, Artifacts: append(many(70), app2, app1, app2, scheduler.Artifact{URI: "quay.io/team/0"})}
	want := scheduler.Status{Run: 1, Artifacts: many(64)}
	m := scheduler.NewMachine(graphOf(t, dag.Scenario{ID: "a"}), scheduler.Snapshot{"a": dirty, "gone": dirty})
	if diff := cmp.Diff(scheduler.Snapshot{"a": want, "gone": want}, m.Snapshot()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a run left stays where the graph changes, and goes with its run, however that is told.
func TestMachineForgetsWhatTheLastRunLeft(t *testing.T) {
	list := []dag.Scenario{{ID: "a"}, {ID: "b"}}
	m := scheduler.NewMachine(graphOf(t, list...), nil)
	m.Observe(leaves(1, app1))
	m.SetGraph(graphOf(t, list[1]))
	m.Observe(leaves(1, lib1))
	m.SetGraph(graphOf(t, list...))
	if diff := cmp.Diff([]scheduler.Artifact{app1, lib1}, m.Snapshot()["a"].Artifacts); diff != "" {
		t.Errorf("after edits (-want +got):\n%s", diff)
	}
	at, _ := m.Graph().Index("a")
	m.Observe(scheduler.Rerun(m.Newest("a")))
	if !m.StartedAt(at) || m.Snapshot()["a"].Artifacts != nil {
		t.Errorf("started by index: %+v", m.Snapshot()["a"])
	}
	m.FinishedAt(at, scheduler.PhasePassed)
	m.Observe(leaves(2, app2))
	if !m.Observe(leaves(3)) || m.Snapshot()["a"].Artifacts != nil {
		t.Errorf("started by name: %+v", m.Snapshot()["a"])
	}
	m.Observe(leaves(4, app2))
	checkSame(t, m.Graph(), scheduler.Snapshot{"a": {Run: 4, Phase: scheduler.PhasePassed, Want: 2, Artifacts: []scheduler.Artifact{app2}}}, m)
}

// The basis may come after what the run left.
func TestMachineKeepsArtifactsWhenTheBasisComes(t *testing.T) {
	g := graphOf(t, dag.Scenario{ID: "a", After: dag.After("b")}, dag.Scenario{ID: "b"})
	m, s := scheduler.NewMachine(g, nil), scheduler.Snapshot{}
	based := leaves(1)
	based.Basis = []scheduler.Ref{{ID: "b", Run: 1}}
	for _, e := range []scheduler.Event{leaves(1, app1), based} {
		m.Observe(e)
		s = s.Observe(e)
	}
	if diff := cmp.Diff([]scheduler.Artifact{app1}, s["a"].Artifacts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	checkSame(t, g, s, m)
}

// Observe takes nothing of what a caller may change later: neither the event's, nor the snapshot's.
func TestObserveKeepsItsHandsOffArtifacts(t *testing.T) {
	given := []scheduler.Artifact{app2, app1}
	before := scheduler.Snapshot{}.Observe(leaves(1, given...))
	after := before.Observe(leaves(1, lib1))
	given[0], given[1] = lib1, lib1
	for want, s := range map[int]scheduler.Snapshot{2: before, 3: after} {
		if diff := cmp.Diff([]scheduler.Artifact{app1, app2, lib1}[:want], s["a"].Artifacts); diff != "" {
			t.Errorf("%d artifacts (-want +got):\n%s", want, diff)
		}
	}
}

// Run takes what results say was left into what it saves, tells and returns: of runs that passed, failed or were stopped.
func TestRunKeepsArtifacts(t *testing.T) {
	g := graphOf(t, dag.Scenario{ID: "build"}, dag.Scenario{ID: "scan", After: dag.After("build")}, dag.Scenario{ID: "slow"})
	requests := make(chan scheduler.Event, 1)
	runner := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
		switch task.Ref.ID {
		case "scan":
			requests <- scheduler.Cancel(scheduler.Ref{ID: "slow", Run: 1})
			close(requests)
			return scheduler.Result{Phase: scheduler.PhaseFailed, Artifacts: []scheduler.Artifact{lib1, app1, {}}}, nil
		case "slow", "gone":
			<-ctx.Done()
			return scheduler.Result{Artifacts: []scheduler.Artifact{app2}}, ctx.Err()
		}
		return scheduler.Result{Phase: scheduler.PhasePassed}, nil
	})
	core, logs := observer.New(zap.WarnLevel)
	var saved []byte
	told := map[string][]scheduler.Artifact{}
	s, err := scheduler.Run(t.Context(), g, runner, scheduler.Options{
		Parallel: 3, Requests: requests, Logger: zap.New(core),
		Snapshot: scheduler.Snapshot{"gone": {Run: 1, Phase: scheduler.PhaseRunning}},
		Save: func(_ context.Context, s scheduler.Snapshot) (err error) {
			saved, err = json.Marshal(s)
			return err
		},
		Observe: func(s scheduler.Step) {
			if s.Event.Phase.Over() {
				told[s.Event.String()] = s.Event.Artifacts
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := scheduler.Snapshot{
		"build": {Run: 1, Phase: scheduler.PhasePassed},
		"scan": {
			Run: 1, Phase: scheduler.PhaseFailed, Basis: []scheduler.Ref{{ID: "build", Run: 1}}, Artifacts: []scheduler.Artifact{app1, lib1},
		},
		"slow": {Run: 1, Phase: scheduler.PhaseStopped, Cancel: 1, Artifacts: []scheduler.Artifact{app2}},
		"gone": {Run: 1, Phase: scheduler.PhaseStopped, Artifacts: []scheduler.Artifact{app2}},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("returned (-want +got):\n%s", diff)
	}
	var read scheduler.Snapshot
	if err := json.Unmarshal(saved, &read); err != nil || !same(want, read) {
		t.Errorf("saved, %v (-want +got):\n%s", err, cmp.Diff(want, read, cmpopts.EquateEmpty()))
	}
	refused := logs.FilterMessage("not all artifacts are kept").FilterField(zap.Stringer("run", scheduler.Ref{ID: "scan", Run: 1})).
		FilterField(zap.String("error", `"artifacts", element 2: the URI is empty`))
	if refused.Len() != 1 || logs.Len() != 1 {
		t.Errorf("logged %v", logs.All())
	}
	wantTold := map[string][]scheduler.Artifact{
		"build#1 passed": nil, "scan#1 failed": {lib1, app1, {}}, "slow#1 stopped": {app2}, "gone#1 stopped": {app2},
	}
	if diff := cmp.Diff(wantTold, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// "Of several attempts, those that the last one returns count."
func TestRunKeepsArtifactsOfTheLastAttempt(t *testing.T) {
	attempt := 0
	runner := scheduler.RunnerFunc(func(context.Context, scheduler.Task) (scheduler.Result, error) {
		if attempt++; attempt == 1 {
			return scheduler.Result{Artifacts: []scheduler.Artifact{app1}}, fmt.Errorf("not now")
		}
		return scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{app2}}, nil
	})
	s, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "a"}), runner, scheduler.Options{Backoff: 1})
	if diff := cmp.Diff([]scheduler.Artifact{app2}, s["a"].Artifacts); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// A snapshot whose artifacts could not be saved is refused before anything starts.
func TestRunRefusesArtifactsThatCannotBe(t *testing.T) {
	runner := scheduler.RunnerFunc(func(context.Context, scheduler.Task) (scheduler.Result, error) {
		t.Error("started")
		return scheduler.Result{Phase: scheduler.PhasePassed}, nil
	})
	_, err := scheduler.Run(t.Context(), graphOf(t, dag.Scenario{ID: "b"}), runner, scheduler.Options{
		Snapshot: scheduler.Snapshot{"a": {Run: 1, Artifacts: []scheduler.Artifact{{URI: "quay.io/team/app"}}}},
	})
	if err == nil || !strings.Contains(err.Error(), `"artifacts", element 0: the digest is empty`) {
		t.Errorf("got the error %v", err)
	}
}
