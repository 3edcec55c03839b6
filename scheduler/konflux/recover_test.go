package konflux_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

func TestRecover(t *testing.T) {
	g, err := dag.New(dag.Scenario{ID: "b"}, dag.Scenario{ID: "a"}, dag.Scenario{ID: "scan", After: dag.After("b", "a")}, dag.Scenario{ID: "new", After: dag.After("scan", "b")})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := runName("scan", 3), "scan-x7k4m"
	there := []pipelinerun.PipelineRun{{Meta: pipelinerun.Meta{Name: ours}}, {Meta: pipelinerun.Meta{Name: theirs}}}
	for name, tt := range map[string]struct {
		entry konflux.ScenarioStatus
		runs  []pipelinerun.PipelineRun
		want  scheduler.Status
	}{
		"pending":              {konflux.ScenarioStatus{Status: konflux.Pending}, there, scheduler.Status{}},
		"pending, named":       {konflux.ScenarioStatus{Status: konflux.Pending, RunName: ours}, there, scheduler.Status{}},
		"in progress, ours":    {konflux.ScenarioStatus{Status: konflux.InProgress, RunName: ours}, there, scheduler.Status{Run: 3, Phase: running}},
		"in progress, theirs":  {konflux.ScenarioStatus{Status: konflux.InProgress, RunName: theirs}, there, scheduler.Status{Run: 1, Phase: running}},
		"in progress, gone":    {konflux.ScenarioStatus{Status: konflux.InProgress, RunName: ours}, nil, scheduler.Status{Want: 3}},
		"in progress, no name": {konflux.ScenarioStatus{Status: konflux.InProgress}, there, scheduler.Status{}},
		"passed":               {konflux.ScenarioStatus{Status: konflux.TestPassed, RunName: ours}, nil, scheduler.Status{Run: 3, Phase: passed}},
		"passed, theirs":       {konflux.ScenarioStatus{Status: konflux.TestPassed, RunName: theirs}, nil, scheduler.Status{Run: 1, Phase: passed}},
		"passed, of another":   {konflux.ScenarioStatus{Status: konflux.TestPassed, RunName: runName("a", 3)}, nil, scheduler.Status{Run: 1, Phase: passed}},
		"warning":              {konflux.ScenarioStatus{Status: konflux.TestWarning, RunName: ours}, nil, scheduler.Status{Run: 3, Phase: passed}},
		"failed":               {konflux.ScenarioStatus{Status: konflux.TestFail, RunName: ours, Details: "failed"}, nil, scheduler.Status{Run: 3, Phase: failed}},
		"failed, no name":      {konflux.ScenarioStatus{Status: konflux.TestFail}, nil, scheduler.Status{Run: 1, Phase: failed}},
		"canceled":             {konflux.ScenarioStatus{Status: konflux.TestFail, Details: "Canceled: b#1 failed"}, nil, scheduler.Status{}},
		"canceled by theirs":   {konflux.ScenarioStatus{Status: konflux.TestFail, Details: "Cancelled on account of required b failing"}, nil, scheduler.Status{}},
		"canceled run":         {konflux.ScenarioStatus{Status: konflux.TestFail, RunName: ours, Details: "Canceled: by hand"}, nil, scheduler.Status{Run: 3, Phase: canceled}},
		"invalid":              {konflux.ScenarioStatus{Status: konflux.TestInvalid}, nil, scheduler.Status{Run: 1, Phase: failed}},
		"deleted":              {konflux.ScenarioStatus{Status: konflux.Deleted, RunName: ours}, nil, scheduler.Status{Run: 3, Phase: canceled}},
		"deployment":           {konflux.ScenarioStatus{Status: konflux.DeploymentError}, nil, scheduler.Status{Run: 1, Phase: failed}},
		"environment":          {konflux.ScenarioStatus{Status: konflux.EnvironmentProvisionError}, nil, scheduler.Status{Run: 1, Phase: failed}},
		"nothing is tested":    {konflux.ScenarioStatus{Status: konflux.BuildPLRFailed}, there, scheduler.Status{}},
		"nor here":             {konflux.ScenarioStatus{Status: konflux.GroupSnapshotCreationFailed}, there, scheduler.Status{}},
	} {
		tt.entry.Scenario = "scan"
		list := []konflux.ScenarioStatus{
			{Scenario: "b", Status: konflux.TestPassed, RunName: runName("b", 2)}, tt.entry, {Scenario: "a", Status: konflux.TestFail},
			{Scenario: "gone", Status: konflux.TestPassed}, {Scenario: "new", Status: konflux.TestPassed},
		}
		want := scheduler.Snapshot{
			"a": {Run: 1, Phase: failed}, "b": {Run: 2, Phase: passed}, "gone": {Run: 1, Phase: passed},
		}
		onScan := []scheduler.Ref{{ID: "b", Run: 2}}
		if tt.want.Run > 0 {
			tt.want.Basis = []scheduler.Ref{{ID: "a", Run: 1}, {ID: "b", Run: 2}}
			want["scan"] = tt.want
			onScan = append(onScan, scheduler.Ref{ID: "scan", Run: tt.want.Run})
		}
		if tt.want.Want > 0 {
			want["scan"] = tt.want
		}
		want["new"] = scheduler.Status{Run: 1, Phase: passed, Basis: onScan}
		equal(t, name, konflux.Recover(g, snapshot().Meta, list, tt.runs), konflux.State{Runs: want})
	}
}

// The PipelineRun of others that the status annotation names is taken for run 1, whatever became of it.
func TestAdopted(t *testing.T) {
	theirs := func(name string) pipelinerun.PipelineRun {
		return pipelinerun.PipelineRun{Meta: pipelinerun.Meta{Name: name, Labels: map[string]string{
			"test.appstudio.openshift.io/scenario": "build", "appstudio.openshift.io/snapshot": "app-x1",
		}, Finalizers: []string{"test.appstudio.openshift.io/pipelinerun"}}}
	}
	in := world("build", "scan")
	in.Snapshot.Annotations[statusKey] = `[{"scenario":"build","status":"InProgress","lastUpdateTime":"2026-03-01T11:00:00Z","testPipelineRunName":"build-x7k4m"}]`
	in.PipelineRuns = []pipelinerun.PipelineRun{theirs("build-other"), theirs("build-x7k4m")}
	p := next(t, in, options(), noon)
	equal(t, "actions", doing(p), []string{})
	equal(t, "told", told(p), []string{"build InProgress", "scan Pending"})
	equal(t, "name", p.Scenarios[0].Status.RunName, "build-x7k4m")
	in = changed(obey(in, p), "build-other", ended("False", "Failed", noon))
	in = changed(in, "build-x7k4m", ended("True", "", noon))
	p = next(t, in, options(), noon)
	equal(t, "passed", doing(p), []string{"create scan#1", "release build-other"})
	in = obey(in, p)
	equal(t, "released", doing(next(t, in, options(), noon)), []string{"release build-x7k4m"})
	in.PipelineRuns = in.PipelineRuns[2:] // pruned
	p = next(t, in, options(), noon)
	equal(t, "pruned", p.Update.IsZero(), true)
	equal(t, "name of what was pruned", p.Scenarios[0].Status.RunName, "build-x7k4m")
	in = obey(in, next(t, asks("build")(in), options(), noon))
	equal(t, "the next run is ours", in.PipelineRuns[len(in.PipelineRuns)-1].Name, runName("build", 2))
}

// What is over stays over when the state is lost, and is told as before.
func TestRecoverStartsNothing(t *testing.T) {
	now := noon
	rapid.Check(t, func(t *rapid.T) {
		in := spread(t)
		for range 20 { // all that is live ends, and all that can start does
			p, err := konflux.Next(in, options(), now)
			if err != nil {
				t.Fatal(err)
			}
			in = obey(in, p)
			for i := range in.PipelineRuns {
				if len(in.PipelineRuns[i].Status.Conditions) == 0 {
					ended(rapid.SampledFrom([]string{"True", "False"}).Draw(t, "end"), "", noon)(&in.PipelineRuns[i])
				}
			}
		}
		want, err := konflux.Next(in, options(), now)
		if err != nil {
			t.Fatal(err)
		}
		if want.Outcome == scheduler.OutcomePending || len(doing(want)) > 0 {
			t.Fatalf("not at rest: %v, %v", want.Outcome, doing(want))
		}
		// Whether the annotation tells all: it knows nothing of force, and of what was canceled neither run nor request.
		whole := len(want.State.Alone) == 0
		for id, st := range want.State.Runs {
			i, ok := want.Graph.Index(id)
			whole = whole && ok && !st.Forced && (want.Scenarios[i].Verdict != scheduler.VerdictCanceled || st.Run == 0 || st.Phase == canceled && st.Want <= st.Run)
		}
		delete(in.Snapshot.Annotations, stateKey)
		if rapid.Bool().Draw(t, "pruned") {
			in.PipelineRuns = nil
		}
		got, err := konflux.Next(in, options(), now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "actions", doing(got), []string{})
		if whole {
			equal(t, "told", told(got), told(want))
			equal(t, "outcome", got.Outcome, want.Outcome)
			equal(t, "written", got.Update.Annotations[statusKey], "")
		}
	})
}

// A PipelineRun itself tells that its run was forced, and what it stands on.
func TestRecoverForced(t *testing.T) {
	in, _ := play(t, world("build", "scan", "deploy"), ends("build", 1, "False", "Failed"), asks("scan"), same)
	delete(in.Snapshot.Annotations, stateKey)
	p := next(t, in, options(), noon)
	equal(t, "actions", doing(p), []string{})
	equal(t, "told", told(p), []string{"build TestFail", "scan InProgress", "deploy Pending"})
	equal(t, "forced", p.State.Runs["scan"].Forced, true)
}

// Where both annotations are lost, the PipelineRuns tell what they stand on: what stands on the newest runs of its parents
// does not start again, and what stands on older ones does.
func TestRecoverBasis(t *testing.T) {
	in := konflux.Objects{Scenarios: scenarios("build", "lint", "scan"), Group: group(`{"scan":[{"name":"lint"},{"name":"build"}]}`), Snapshot: snapshot()}
	in, _ = play(t, in, ends("build", 1, "True", ""), ends("lint", 1, "True", ""), ends("scan", 1, "True", ""))
	equal(t, "basis on the PipelineRun", in.PipelineRuns[2].Annotations[basisKey], "build#1,lint#1")
	lost := in
	lost.Snapshot = snapshot()
	p := next(t, lost, options(), noon)
	equal(t, "actions", doing(p), []string{})
	equal(t, "basis", p.State.Runs["scan"].Basis, []scheduler.Ref{{ID: "build", Run: 1}, {ID: "lint", Run: 1}})

	in = obey(in, next(t, asks("build")(in), options(), noon))
	in = ends("build", 2, "True", "")(in)
	in.Snapshot = snapshot()
	equal(t, "actions after a rerun of a parent", doing(next(t, in, options(), noon)), []string{"create scan#2"})
}

// Only what is outside the graph stood alone.
func TestRecoverAlone(t *testing.T) {
	g, err := dag.New(dag.Scenario{ID: "in", Optional: true})
	if err != nil {
		t.Fatal(err)
	}
	var list []konflux.ScenarioStatus
	for _, name := range []string{"z", "in", "y", "z"} {
		list = append(list, konflux.ScenarioStatus{Scenario: name, Status: konflux.Pending, Optional: true})
	}
	list = append(list, konflux.ScenarioStatus{Scenario: "required", Status: konflux.Pending})
	equal(t, "alone", konflux.Recover(g, snapshot().Meta, list, nil).Alone, []dag.ID{"y", "z"})
}

// A run that others began has a start, also where they did not tell it.
func TestAdoptedStart(t *testing.T) {
	in := world("build")
	in.Snapshot.Annotations[statusKey] = `[{"scenario":"build","status":"InProgress","lastUpdateTime":"2026-03-01T11:00:00Z","testPipelineRunName":"build-x7k4m"}]`
	in.PipelineRuns = []pipelinerun.PipelineRun{{Meta: pipelinerun.Meta{Name: "build-x7k4m", Labels: map[string]string{
		"test.appstudio.openshift.io/scenario": "build", "appstudio.openshift.io/snapshot": "app-x1"}}}}
	equal(t, "live", next(t, in, options(), noon).Scenarios[0].Status.Started, noon)
	over := changed(in, "build-x7k4m", ended("True", "", noon))
	equal(t, "over", next(t, over, options(), noon).Scenarios[0].Status.Started, noon)
}

// A run of others that vanished while it was live is made again, with the name of ours; if theirs turns up once more, ours
// is the run.
func TestAdoptedVanishes(t *testing.T) {
	in := world("build")
	in.Snapshot.Annotations[statusKey] = `[{"scenario":"build","status":"InProgress","lastUpdateTime":"2026-03-01T11:00:00Z","testPipelineRunName":"build-x7k4m"}]`
	in.PipelineRuns = []pipelinerun.PipelineRun{{Meta: pipelinerun.Meta{Name: "build-x7k4m", Labels: map[string]string{
		"test.appstudio.openshift.io/scenario": "build", "appstudio.openshift.io/snapshot": "app-x1"}}}}
	in = obey(in, next(t, in, options(), noon))
	theirs := changed(in, "build-x7k4m", ended("False", "Failed", noon)).PipelineRuns[0]
	in.PipelineRuns = nil
	p := next(t, in, options(), noon)
	equal(t, "actions", doing(p), []string{"create build#1"})
	in = obey(in, p)
	ours := in.PipelineRuns[0]
	for name, runs := range map[string][]pipelinerun.PipelineRun{"theirs first": {theirs, ours}, "ours first": {ours, theirs}} {
		in.PipelineRuns = runs
		p := next(t, in, options(), noon)
		equal(t, name, told(p), []string{"build InProgress"})
		equal(t, name, p.Scenarios[0].Status.RunName, runName("build", 1))
	}
}
