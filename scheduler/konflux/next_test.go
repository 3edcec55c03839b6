package konflux_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

const (
	statusKey = "test.appstudio.openshift.io/status"
	rerunKey  = "test.appstudio.openshift.io/run"
	stateKey  = "testdag.example.com/state"
	basisKey  = "testdag.example.com/basis"
	forcedKey = "testdag.example.com/forced"
	stopKey   = "testdag.example.com/stopped"
)

// world is one Snapshot whose scenarios wait for one another in a row.
func world(names ...string) konflux.Objects {
	return konflux.Objects{Scenarios: scenarios(names...), Group: chain(names...), Snapshot: snapshot()}
}

// copied returns objects that share nothing with the given ones.
func copied[T any](t interface{ Fatal(...any) }, v T) (c T) {
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// labeled returns the objects with a label on the Snapshot.
func labeled(in konflux.Objects, key, value string) konflux.Objects {
	in.Snapshot.Labels = maps.Clone(in.Snapshot.Labels)
	in.Snapshot.Labels[key] = value
	return in
}

// play carries out the plans of objects, and the changes in between, and returns what the plans did.
func play(t testing.TB, in konflux.Objects, changes ...func(konflux.Objects) konflux.Objects) (konflux.Objects, [][]string) {
	t.Helper()
	var done [][]string
	now := noon
	for i := -1; i < len(changes); i++ {
		if i >= 0 {
			in = changes[i](in)
		}
		p := next(t, in, options(), now)
		done = append(done, doing(p))
		in = obey(in, p)
		now = now.Add(time.Minute)
	}
	return in, done
}

// ends is a change that ends a run.
func ends(scenario string, run int, status, reason string) func(konflux.Objects) konflux.Objects {
	return func(in konflux.Objects) konflux.Objects {
		return changed(in, runName(scenario, run), ended(status, reason, noon))
	}
}

func asks(value string) func(konflux.Objects) konflux.Objects {
	return func(in konflux.Objects) konflux.Objects { return labeled(in, rerunKey, value) }
}

func same(in konflux.Objects) konflux.Objects { return in }

func TestNextStory(t *testing.T) {
	in, done := play(t, world("build", "scan", "deploy"), same, ends("build", 1, "True", ""), same,
		ends("scan", 1, "False", "Failed"), same, asks("scan"), ends("scan", 2, "True", ""), ends("deploy", 1, "True", ""))
	equal(t, "actions", done, [][]string{
		{"create build#1"}, {}, {"create scan#1"}, {"release build#1"}, {}, {"release scan#1"}, {"create scan#2"}, {"create deploy#1"}, {"release scan#2"},
	})
	p := next(t, in, options(), noon.Add(time.Hour))
	equal(t, "outcome", p.Outcome, scheduler.OutcomePassed)
	equal(t, "told", told(p), []string{"build TestPassed", "scan TestPassed", "deploy TestPassed"})
	equal(t, "basis of deploy", in.PipelineRuns[3].Annotations[basisKey], "scan#2")
	equal(t, "force of scan#2", in.PipelineRuns[2].Annotations[forcedKey], "true")
	in = obey(in, p)
	if p := next(t, in, options(), noon.Add(2*time.Hour)); !p.Update.IsZero() || len(doing(p)) > 0 || !p.Wake.IsZero() || p.Problems != nil {
		t.Errorf("at rest: %v, %v, %v, %v; want nothing", p.Update, doing(p), p.Wake, p.Problems)
	}
}

func TestNextOfNothing(t *testing.T) {
	p := next(t, konflux.Objects{}, options(), noon)
	if !p.Update.IsZero() || len(doing(p)) > 0 || len(p.Scenarios) > 0 || p.Outcome != scheduler.OutcomePassed || p.Problems != nil {
		t.Errorf("got %+v; want an empty plan", p)
	}
}

// What is in a PipelineRun comes from the scenario, the Snapshot and the plan, and nothing else does.
func TestCreatedPipelineRun(t *testing.T) {
	in := world("build", "scan")
	in.Snapshot = snapshot("type=component", "appstudio.openshift.io/component=web", "pac.test.appstudio.openshift.io/sha=abc", "other.example.com/x=1",
		"pac.test.appstudio.openshift.iox/y=1", "@pac.test.appstudio.openshift.io/branch=main", "@test.appstudio.openshift.io/source=no", "@other.example.com/z=2",
		"@testdag.example.com/mine=no")
	in.Snapshot.Spec = json.RawMessage(`{"components":[{"name":"web"}]}`)
	scan := &in.Scenarios[1]
	scan.Labels = map[string]string{"test.appstudio.openshift.io/optional": "maybe", "test.appstudio.openshift.io/x": "no"}
	scan.Annotations = map[string]string{"test.appstudio.openshift.io/pipeline_timeout": "2h", "other.example.com/t": "no"}
	scan.Spec.ResolverRef.Params = []pipelinerun.Param{{Name: "url", Value: output("https://git.example.com")}}
	scan.Spec.Params = copied(t, scan.Spec.Params)
	if err := json.Unmarshal([]byte(`[{"name":"one","value":"1"},{"name":"list","values":["a","b"]},{"name":"both","value":"v","values":["w"]},{"name":"none"}]`), &scan.Spec.Params); err != nil {
		t.Fatal(err)
	}
	in, _ = play(t, in)
	p := next(t, ends("build", 1, "True", "")(in), options(), noon)
	want := pipelinerun.PipelineRun{Meta: pipelinerun.Meta{
		Name: runName("scan", 1), Namespace: "team", Finalizers: []string{"test.appstudio.openshift.io/pipelinerun"},
		Labels: map[string]string{
			"pac.test.appstudio.openshift.io/sha": "abc", "pipelines.appstudio.openshift.io/type": "test", "test.appstudio.openshift.io/scenario": "scan",
			"appstudio.openshift.io/snapshot": "app-x1", "appstudio.openshift.io/component": "web", "test.appstudio.openshift.io/optional": "maybe",
		},
		Annotations: map[string]string{
			"pac.test.appstudio.openshift.io/branch": "main", "test.appstudio.openshift.io/pipeline_timeout": "2h", basisKey: "build#1",
		},
	}, Spec: pipelinerun.PipelineRunSpec{
		Params: []pipelinerun.Param{
			{Name: "SNAPSHOT", Value: output(`{"components":[{"name":"web"}]}`)}, {Name: "one", Value: output("1")},
			{Name: "list", Value: json.RawMessage(`["a","b"]`)}, {Name: "both", Value: output("v")}, {Name: "none", Value: output("")},
		},
		PipelineRef: &pipelinerun.ResolverRef{Resolver: "git", Params: []pipelinerun.Param{{Name: "url", Value: output("https://git.example.com")}}},
	}}
	equal(t, "created", p.Create, []pipelinerun.PipelineRun{want})

	for kind, ref := range map[string]bool{"": true, "pipeline": true, "pipelinerun": false, "PipelineRun": false} {
		in := world("scan")
		in.Scenarios[0].Spec.ResolverRef.ResourceKind = kind
		run := next(t, in, options(), noon).Create[0]
		if (run.Spec.PipelineRef != nil) != ref || ref && run.Spec.PipelineRef.ResourceKind != "" {
			t.Errorf("resourceKind %q: got the reference %v", kind, run.Spec.PipelineRef)
		}
		equal(t, "SNAPSHOT without a spec", string(run.Spec.Params[0].Value), `"{}"`)
		if len(run.Annotations) > 0 {
			t.Errorf("annotations of a run without a basis: %v", run.Annotations)
		}
	}
}

// What older keys say of a scenario and a Snapshot reaches the run with the prefix of today, where today's say nothing.
func TestCreatedWithOlderKeys(t *testing.T) {
	in := world("scan")
	in.Snapshot = snapshot("type=component", oldKeys.PAC+"/sha=abc", oldKeys.PAC+"/branch=old", newKeys.PAC+"/branch=main", "@"+oldKeys.PAC+"/repo=x")
	in.Scenarios[0].Annotations = map[string]string{oldKeys.Test + "/pipeline_timeout": "2h", oldKeys.Test + "/tasks_timeout": "1h", newKeys.Test + "/tasks_timeout": ""}
	o := options()
	o.Keys, o.LegacyKeys = newKeys, []konflux.Keys{oldKeys}
	run := next(t, in, o, noon).Create[0]
	equal(t, "annotations", run.Annotations, map[string]string{
		newKeys.Test + "/pipeline_timeout": "2h", newKeys.Test + "/tasks_timeout": "", newKeys.PAC + "/repo": "x"})
	equal(t, "labels", run.Labels, map[string]string{newKeys.PAC + "/sha": "abc", newKeys.PAC + "/branch": "main",
		newKeys.Pipelines + "/type": "test", newKeys.Test + "/scenario": "scan", newKeys.Resource + "/snapshot": "app-x1"})
}

// Only what changes is written, and what is of before is removed.
func TestUpdate(t *testing.T) {
	in := world("build", "scan")
	p := next(t, in, options(), noon)
	equal(t, "keys at first", slices.Sorted(maps.Keys(p.Update.Annotations)), []string{statusKey, stateKey})
	in = obey(in, p)
	equal(t, "at once again", next(t, in, options(), noon.Add(time.Hour)).Update.IsZero(), true)

	p = next(t, asks("scan")(in), options(), noon)
	equal(t, "labels to remove", p.Update.RemoveLabels, []string{rerunKey})
	equal(t, "alone is nothing of the graph", len(p.State.Alone), 0)
	equal(t, "only a label", pipelinerun.Update{RemoveLabels: []string{"x"}}.IsZero(), false)
	equal(t, "only an annotation to remove", pipelinerun.Update{RemoveAnnotations: []string{"x"}}.IsZero(), false)

	o := options()
	o.Keys, o.LegacyKeys = newKeys, []konflux.Keys{oldKeys, oldKeys}
	o.LegacyKeys[1].Own, o.LegacyKeys[1].Test = "older.example.com", "z.example.com"
	in.Snapshot.Annotations["older.example.com/state"] = "unread"
	in = labeled(labeled(in, rerunKey, "all"), newKeys.Test+"/run", "scan")
	p = next(t, in, o, noon)
	equal(t, "annotations to set", slices.Sorted(maps.Keys(p.Update.Annotations)), []string{newKeys.Test + "/status", stateKey})
	equal(t, "annotations to remove", p.Update.RemoveAnnotations, []string{"older.example.com/state", statusKey})
	equal(t, "labels to remove", p.Update.RemoveLabels, []string{newKeys.Test + "/run", rerunKey})
	equal(t, "the newer label counts", p.State.Runs["scan"], scheduler.Status{Want: 1, Force: true})
	equal(t, "the run of before is the run", p.State.Runs["build"].Run, 1)
	if again := next(t, obey(in, p), o, noon); !again.Update.IsZero() || len(doing(again)) > 0 {
		t.Errorf("after the migration: %v, %v; want nothing", again.Update, doing(again))
	}
}

// Everything on the Snapshot counts toward what Kubernetes allows, keys and values alike.
func TestSizeErrors(t *testing.T) {
	in := world("build")
	in = ends("build", 1, "True", "")(obey(in, next(t, in, options(), noon)))
	used := 0
	for key, value := range obey(in, next(t, in, options(), noon)).Snapshot.Annotations {
		used += len(key) + len(value)
	}
	fill := func(bytes int) konflux.Objects {
		in := copied(t, in)
		in.Snapshot.Annotations["k"] = strings.Repeat("x", bytes-1)
		return in
	}
	if _, err := konflux.Next(fill(256<<10-used), options(), noon); err != nil {
		t.Errorf("256 KiB: %v", err)
	}
	p, err := konflux.Next(fill(256<<10-used+1), options(), noon)
	var e *konflux.SizeError
	if !errors.As(err, &e) || p != nil {
		t.Fatalf("a byte more: got %v, %v; want a *SizeError and no plan", p, err)
	}
	equal(t, "mistake", e, &konflux.SizeError{Bytes: 256<<10 + 1, Limit: 256 << 10})
	o := options()
	o.StateBytes = 50
	_, err = konflux.Next(fill(256<<10), o, noon)
	got := mistakes(err)
	if len(got) != 2 || !strings.HasPrefix(got[0], "konflux: the annotation testdag.example.com/state would have ") || !strings.HasPrefix(got[1], "konflux: the annotations of the Snapshot would have ") {
		t.Errorf("both: got %q", got)
	}
	// What is removed makes room.
	in = world("build")
	o = options()
	o.Keys, o.LegacyKeys = newKeys, []konflux.Keys{oldKeys}
	moved := obey(in, next(t, in, options(), noon))
	moved.Snapshot.Annotations[statusKey] += strings.Repeat(" ", 200<<10)
	moved.Snapshot.Annotations["k"] = strings.Repeat("x", 50<<10)
	moved.Snapshot.Annotations["l"] = strings.Repeat("x", 10<<10)
	if _, err := konflux.Next(moved, o, noon); err != nil {
		t.Errorf("after a migration: %v", err)
	}
	delete(moved.Snapshot.Annotations, stateKey)
	moved.Snapshot.Annotations[statusKey] = "[]" + strings.Repeat(" ", 200<<10)
	if _, err := konflux.Next(moved, o, noon); err != nil {
		t.Errorf("before anything begins: %v", err)
	}
}

// A state that will outgrow its bound on the way, since more and more runs stand on others, is not begun.
func TestRoomForWhatRunsStandOn(t *testing.T) {
	in := wide(40)
	in.Group = group("{}")
	for i, child := range in.Scenarios {
		for _, parent := range in.Scenarios[:i] {
			in.Group.Spec.TestGraph[child.Name] = append(in.Group.Spec.TestGraph[child.Name], konflux.TestGraphNode{Name: parent.Name})
		}
	}
	o := options()
	o.StateBytes = 5000
	if p, err := konflux.Next(in, o, noon); !isSize(p, err) {
		t.Errorf("got %v, %v; want a *SizeError", p, err)
	}
	in.Group = nil
	next(t, in, o, noon)
}

// Where there is not enough room for the end, nothing begins; where there is, every end has room, however much there is to
// say: details are shortened.
func TestRoomForTheEnd(t *testing.T) {
	in := wide(200)
	in.Group = nil
	begins := func(room int) (*konflux.Plan, error) {
		in.Snapshot.Annotations = map[string]string{"k": strings.Repeat("x", 256<<10-room)}
		return konflux.Next(in, roomy(), noon)
	}
	least, most := 10_000, 200_000 // found by halving
	for most-least > 1 {
		if room := (least + most) / 2; isSize(begins(room)) {
			least = room
		} else {
			most = room
		}
	}
	p, err := begins(most)
	if err != nil {
		t.Fatal(err)
	}
	if first := len(p.Update.Annotations[statusKey]) + len(p.Update.Annotations[stateKey]); first > most-10_000 {
		t.Errorf("%d bytes are written first, and the room for the end is %d; want it to be more", first, most)
	}
	long := strings.Repeat("it could not be resolved, ", 10)
	for range 400 {
		in = obey(in, p)
		for i := range in.PipelineRuns {
			if r := &in.PipelineRuns[i]; r.Status.CompletionTime == nil {
				ended("False", long, noon)(r)
			}
		}
		if p, err = konflux.Next(in, roomy(), noon); err != nil {
			t.Fatal(err)
		}
		if p.Done() {
			break
		}
	}
	equal(t, "outcome", p.Outcome, scheduler.OutcomeFailed)
	for _, c := range p.Scenarios {
		if d := c.Status.Details; len(d) > 80 || !strings.HasPrefix(d, "failed: ") {
			t.Fatalf("details %q; want them shortened", d)
		}
	}
}

func isSize(_ *konflux.Plan, err error) bool {
	var e *konflux.SizeError
	return errors.As(err, &e)
}

// A PipelineRun with the name of a run that is not that run is told, and left alone.
func TestTakenName(t *testing.T) {
	in := world("scan")
	for name, labels := range map[string]map[string]string{
		"no labels":        nil,
		"another scenario": {"test.appstudio.openshift.io/scenario": "build", "appstudio.openshift.io/snapshot": "app-x1"},
		"another Snapshot": {"test.appstudio.openshift.io/scenario": "scan", "appstudio.openshift.io/snapshot": "app-x2"},
		"empty scenario":   {"test.appstudio.openshift.io/scenario": "", "appstudio.openshift.io/snapshot": "app-x1"},
	} {
		in.PipelineRuns = []pipelinerun.PipelineRun{{Meta: pipelinerun.Meta{Name: runName("scan", 1), Labels: labels}}}
		p := next(t, in, options(), noon)
		want := &konflux.TakenNameError{Name: runName("scan", 1), Run: scheduler.Ref{ID: "scan", Run: 1}}
		var e *konflux.TakenNameError
		if len(p.Problems) != 1 || !errors.As(p.Problems[0], &e) || len(p.Create) > 0 {
			t.Errorf("%s: problems %v, created %d", name, p.Problems, len(p.Create))
			continue
		}
		equal(t, name, e, want)
		equal(t, "message", e.Error(), "konflux: cannot create "+want.Name+" for scan#1: a PipelineRun of this name is there and has not its labels; delete it")
	}
}

// Problems come in one order, too.
func TestTakenNames(t *testing.T) {
	names := []string{"f", "b", "e", "a", "d", "c"}
	in := konflux.Objects{Scenarios: scenarios(names...), Snapshot: snapshot()}
	for _, name := range names {
		in.PipelineRuns = append(in.PipelineRuns, pipelinerun.PipelineRun{Meta: pipelinerun.Meta{Name: runName(name, 1)}})
	}
	got := ""
	for _, problem := range next(t, in, options(), noon).Problems {
		got += problem.(*konflux.TakenNameError).Run.String() + " "
	}
	equal(t, "problems", got, "a#1 b#1 c#1 d#1 e#1 f#1 ")
}

// Copies of a PipelineRun, with other names, and runs of other Snapshots are none of ours. What of this Snapshot is held
// with our finalizer is released all the same: nobody else would.
func TestStrangers(t *testing.T) {
	in, _ := play(t, world("scan"))
	released := map[string][]string{"a copy": {"release " + runName("scan", 1) + "-copy"}, "another Snapshot": {}}
	for name, change := range map[string]func(*pipelinerun.PipelineRun){
		"a copy":           func(r *pipelinerun.PipelineRun) { r.Name += "-copy" },
		"another Snapshot": func(r *pipelinerun.PipelineRun) { r.Labels["appstudio.openshift.io/snapshot"] = "app-x2" },
	} {
		stranger := copied(t, in.PipelineRuns[0])
		ended("False", "Failed", noon)(&stranger)
		change(&stranger)
		if name == "another Snapshot" {
			stranger.Name = "scan-x"
		}
		with := in
		with.PipelineRuns = append(slices.Clone(in.PipelineRuns), stranger)
		p := next(t, with, options(), noon)
		equal(t, name, told(p), []string{"scan InProgress"})
		equal(t, name, doing(p), released[name])
	}
}

func TestProblems(t *testing.T) {
	in, _ := play(t, world("scan"))
	for _, value := range []string{"", "gone", "All"} {
		p := next(t, asks(value)(in), options(), noon)
		var e *konflux.UnknownScenarioError
		if len(p.Problems) != 1 || !errors.As(p.Problems[0], &e) || e.Name != value || e.Within != "the label of a rerun" {
			t.Errorf("rerun %q: problems %v", value, p.Problems)
		}
		equal(t, "labels to remove", p.Update.RemoveLabels, []string{rerunKey})
		equal(t, "alone", len(p.State.Alone), 0)
	}

	in.Snapshot.Annotations[statusKey] = `[{"scenario":"scan"},null]`
	p := next(t, in, options(), noon)
	equal(t, "problems with an unreadable status annotation", len(p.Problems), 2)
	var e *konflux.StatusError
	for _, problem := range p.Problems {
		if !errors.As(problem, &e) {
			t.Errorf("got %T; want a *StatusError", problem)
		}
	}
	if list, err := konflux.ParseStatuses(p.Update.Annotations[statusKey]); err != nil || len(list) != 1 || list[0].Status != konflux.InProgress {
		t.Errorf("written anew: %v, %v", list, err)
	}
	delete(in.Snapshot.Annotations, stateKey)
	if p, err := konflux.Next(in, options(), noon); !errors.As(err, &e) || p != nil {
		t.Errorf("no state either: got %v, %v; want a *StatusError", p, err)
	}
	in.Snapshot.Annotations[stateKey] = "{"
	var bad *konflux.StateError
	if p, err := konflux.Next(in, options(), noon); !errors.As(err, &bad) || p != nil {
		t.Errorf("corrupt state: got %v, %v; want a *StateError", p, err)
	}
	in.Scenarios[0].Spec.Dependents = []string{"scan"}
	if p, err := konflux.Next(in, options(), noon); !errors.Is(err, dag.SelfEdge) || p != nil {
		t.Errorf("no graph: got %v, %v; want dag.SelfEdge", p, err)
	}
}

// What can never be created fails, with the reason, and what waits for it is canceled.
func TestNeverCreated(t *testing.T) {
	invalid := world("build", "scan")
	invalid.Scenarios[0].Status.Conditions = []pipelinerun.Condition{
		{Type: "Other", Status: "False"}, {Type: "IntegrationTestScenarioValid", Status: "False", Message: "no such application"},
	}
	refused, _ := play(t, world("build", "scan"))
	refused.PipelineRuns = nil
	refused.Refused = map[string]string{runName("build", 1): "denied"}
	for why, in := range map[string]konflux.Objects{
		"the IntegrationTestScenario is invalid: no such application": invalid,
		"its PipelineRun was refused: denied":                         refused,
	} {
		p := next(t, in, options(), noon)
		equal(t, why, doing(p), []string{})
		equal(t, why, told(p), []string{"build TestInvalid", "scan TestFail"})
		equal(t, why, p.Scenarios[0].Status, konflux.ScenarioStatus{
			Scenario: "build", Status: konflux.TestInvalid, Updated: noon, Details: why, Started: noon, Completed: noon, RunName: runName("build", 1),
		}, knownFields)
		equal(t, why, p.Scenarios[1].Status, konflux.ScenarioStatus{
			Scenario: "scan", Status: konflux.TestFail, Updated: noon, Details: "Canceled: build#1 failed", Completed: noon, RunAfter: []string{"build"},
		}, knownFields)
		in = obey(in, p)
		later := next(t, in, options(), noon.Add(time.Hour))
		equal(t, why+", later", later.Update.IsZero(), true)
		in.Refused = nil
		equal(t, why+", refused no more", next(t, in, options(), noon.Add(time.Hour)).Update.IsZero(), true)
	}
	valid := world("build")
	valid.Scenarios[0].Status.Conditions = []pipelinerun.Condition{{Type: "IntegrationTestScenarioValid", Status: "True"}, {Type: "IntegrationTestScenarioValid", Status: "Unknown"}}
	equal(t, "valid", doing(next(t, valid, options(), noon)), []string{"create build#1"})

	refused, _ = play(t, world("build"))
	refused.PipelineRuns = nil
	refused.Refused = map[string]string{runName("build", 1): strings.Repeat("x", 1000)}
	why := "its PipelineRun was refused: " + strings.Repeat("x", 1000)
	equal(t, "200 bytes of the reason", next(t, refused, options(), noon).Scenarios[0].Status.Details, why[:197]+"...")

	// Each run that cannot be created is told with its own time.
	in := obey(invalid, next(t, invalid, options(), noon))
	p := next(t, asks("build")(in), options(), noon.Add(time.Hour))
	equal(t, "run again", p.State.Runs["build"].Run, 2)
	equal(t, "run again", p.Scenarios[0].Status.Completed, noon.Add(time.Hour))
}

// What only waits for the end of a run that cannot be created starts at once.
func TestNeverCreatedAndFinished(t *testing.T) {
	in := world("build", "scan")
	in.Group = group(`{"scan":[{"name":"build","onFail":"run"}]}`)
	in.Scenarios[0].Status.Conditions = []pipelinerun.Condition{{Type: "IntegrationTestScenarioValid", Status: "False"}}
	p := next(t, in, options(), noon)
	equal(t, "actions", doing(p), []string{"create scan#1"})
	equal(t, "then", doing(next(t, obey(in, p), options(), noon)), []string{})
}

func TestSuperseded(t *testing.T) {
	in, _ := play(t, world("build", "scan"))
	in.Scenarios = append(in.Scenarios, scenario("lint"))
	in.Superseded = true
	p := next(t, in, options(), noon)
	equal(t, "actions", doing(p), []string{"cancel build#1"})
	equal(t, "cancellation", p.Cancel, []pipelinerun.Cancellation{{Name: runName("build", 1), Status: "CancelledRunFinally", Annotations: map[string]string{stopKey: "true"}}})
	equal(t, "told", told(p), []string{"build TestFail", "lint TestFail", "scan TestFail"})
	for _, c := range p.Scenarios {
		equal(t, "details", c.Status.Details, "Canceled: a newer Snapshot took the place of this one")
		equal(t, "run", c.Status.RunName, "")
	}
	equal(t, "state", p.State.Superseded, 1)
	in = obey(in, p)
	equal(t, "once", doing(next(t, in, options(), noon)), []string{})

	in = ends("build", 1, "False", "CancelledRunFinally")(in)
	in = obey(in, next(t, in, options(), noon))
	revived := ends("build", 2, "True", "")(obey(in, next(t, asks("build")(in), options(), noon)))
	equal(t, "a rerun revives what was asked for", told(next(t, revived, options(), noon)), []string{"build TestPassed", "lint TestFail", "scan TestFail"})

	in.Scenarios = append(in.Scenarios, scenario("late"))
	p = next(t, in, options(), noon)
	equal(t, "what came new", told(p), []string{"build TestFail", "late TestFail", "lint TestFail", "scan TestFail"})

	in = obey(in, p)
	in.Superseded = false
	in.Scenarios = append(in.Scenarios, scenario("later"))
	p = next(t, in, options(), noon)
	equal(t, "no longer superseded: only what is new starts", doing(p), []string{"create later#1"})
	equal(t, "state", p.State.Superseded, 2)
	in = obey(in, p)
	equal(t, "state, later", next(t, in, options(), noon).State.Superseded, 2)
	in.Superseded = true
	p = next(t, in, options(), noon)
	equal(t, "superseded again", doing(p), []string{"cancel later#1"})
	equal(t, "state", p.State.Superseded, 3)
}

// Who asks for a run knows that the Snapshot is superseded, also when a plan sees both at once.
func TestSupersededAndAskedFor(t *testing.T) {
	in, _ := play(t, world("build", "scan"), ends("build", 1, "True", ""), ends("scan", 1, "True", ""), same)
	in.Superseded = true
	p := next(t, asks("scan")(in), options(), noon)
	equal(t, "actions", doing(p), []string{"create scan#2"})
	equal(t, "told", told(p), []string{"build TestFail", "scan InProgress"})

	in, _ = play(t, world("build"))
	in.Superseded = true
	in = obey(in, next(t, in, options(), noon))
	p = next(t, asks("build")(in), options(), noon)
	equal(t, "request while the run winds down", p.State.Runs["build"].Want, 2)
	equal(t, "problems", len(p.Problems), 0)
}

// A run that was refused to one controller and made by another is stopped, also when a newer one took its place.
func TestRefusedAndThere(t *testing.T) {
	in, _ := play(t, world("build"))
	there := in.PipelineRuns
	in.Refused = map[string]string{runName("build", 1): "denied"}
	equal(t, "seen in time", told(next(t, in, options(), noon)), []string{"build InProgress"})
	in.PipelineRuns, in.Refused = nil, map[string]string{runName("build", 1): "denied"}
	in = obey(in, next(t, in, options(), noon))
	late := in
	late.PipelineRuns = there
	equal(t, "the newest", doing(next(t, late, options(), noon)), []string{"cancel build#1"})
	untold := late
	untold.Snapshot = copied(t, late.Snapshot)
	delete(untold.Snapshot.Annotations, statusKey)
	equal(t, "told when the status annotation is lost", next(t, untold, options(), noon).Scenarios[0].Status, konflux.ScenarioStatus{
		Scenario: "build", Status: konflux.TestFail, Updated: noon, Details: "failed", Started: noon, Completed: noon, RunName: runName("build", 1),
	}, knownFields)
	in = obey(in, next(t, asks("build")(in), options(), noon))
	in.PipelineRuns = append(slices.Clone(there), in.PipelineRuns...)
	equal(t, "an older one", doing(next(t, in, options(), noon)), []string{"cancel build#1"})
}

// A scenario outside of the graph that is asked for by name stands alone, stays, and is optional.
func TestAlone(t *testing.T) {
	in := world("build", "scan")
	in.Scenarios = append(in.Scenarios, scenario("extra in group before build"))
	in, done := play(t, in, asks("extra"), ends("extra", 1, "False", "Failed"), ends("build", 1, "True", ""), ends("scan", 1, "True", ""), asks("all"))
	equal(t, "actions", done, [][]string{
		{"create build#1"}, {"create extra#1"}, {}, {"create scan#1", "release extra#1"}, {"release build#1"}, {"create build#2", "release scan#1"},
	})
	p := next(t, in, options(), noon)
	equal(t, "alone", p.State.Alone, []dag.ID{"extra"})
	equal(t, "told", told(p), []string{"build InProgress", "extra TestFail", "scan Pending"})
	equal(t, "optional", p.Scenarios[1].Status.Optional, true)

	in.Scenarios = in.Scenarios[:2] // extra is gone
	equal(t, "told when it is gone", told(next(t, in, options(), noon)), []string{"build InProgress", "scan Pending"})
}

// The value that asks for everything asks for no scenario of that name.
func TestAloneIsNotAll(t *testing.T) {
	in := konflux.Objects{Scenarios: scenarios("all in group", "build"), Snapshot: snapshot()}
	p := next(t, asks("all")(in), options(), noon)
	equal(t, "told", told(p), []string{"build InProgress"})
	equal(t, "alone", len(p.State.Alone), 0)
}

// What once stood alone and is in the graph now is like any other there.
func TestAloneNoMore(t *testing.T) {
	in := konflux.Objects{Scenarios: scenarios("extra in group", "build"), Snapshot: snapshot()}
	in, _ = play(t, in, asks("extra"), ends("extra", 1, "True", ""), ends("build", 1, "True", ""))
	in.Scenarios = scenarios("extra", "build")
	p := next(t, asks("all")(in), options(), noon)
	equal(t, "actions", doing(p)[:2], []string{"create build#2", "create extra#2"})
	equal(t, "optional", p.Scenarios[1].Status.Optional, false)

	in.Scenarios = scenarios("extra", "build", "other in group")
	p = next(t, asks("other")(in), options(), noon)
	equal(t, "another one", told(p), []string{"build TestPassed", "extra TestPassed", "other InProgress"})
}

// What stands alone is in the state in order, each once, however it is asked for.
func TestAloneInOrder(t *testing.T) {
	in := konflux.Objects{Scenarios: scenarios("y in group", "x in group"), Snapshot: snapshot()}
	in, _ = play(t, in, asks("y"))
	for value, want := range map[string][]dag.ID{"x": {"x", "y"}, "y": {"y"}} {
		equal(t, value, next(t, asks(value)(in), options(), noon).State.Alone, want)
	}
}

// A scenario that leaves the graph with a live run is stopped and told of until it is over.
func TestGone(t *testing.T) {
	in, _ := play(t, world("build", "scan"))
	whole := in
	in.Scenarios, in.Group = scenarios("scan"), nil
	p := next(t, in, options(), noon)
	equal(t, "actions", doing(p), []string{"create scan#1", "cancel build#1"})
	in = obey(in, p)
	list, err := konflux.ParseStatuses(in.Snapshot.Annotations[statusKey])
	if err != nil || len(list) != 2 || list[1].Scenario != "build" || list[1].Status != konflux.InProgress || list[1].RunName != runName("build", 1) {
		t.Errorf("told: %v, %v", list, err)
	}
	in = ends("build", 1, "False", "CancelledRunFinally")(in)
	p = next(t, in, options(), noon)
	equal(t, "told", strings.Contains(p.Update.Annotations[statusKey], "build"), false)

	// Its PipelineRun is not seen, whether or not it was made. Its name is taken by one that does nothing.
	whole.Scenarios, whole.Group, whole.PipelineRuns = scenarios("scan"), nil, nil
	p = next(t, whole, options(), noon)
	equal(t, "actions", doing(p), []string{"create build#1", "create scan#1"})
	equal(t, "canceled from the start", p.Create[0].Spec.Status, "Cancelled")
	whole = ends("build", 1, "False", "Cancelled")(obey(whole, p))
	equal(t, "phase", next(t, whole, options(), noon).State.Runs["build"].Phase, scheduler.PhaseStopped)
}

// A run that is to be stopped before it was made is made all the same, stopped from the start.
func TestCreatedStopped(t *testing.T) {
	in, _ := play(t, world("build"))
	in.PipelineRuns = nil
	in.Superseded = true
	p := next(t, in, options(), noon)
	equal(t, "actions", doing(p), []string{"create build#1"})
	equal(t, "status", p.Create[0].Spec.Status, "Cancelled")
	equal(t, "mark", p.Create[0].Annotations, map[string]string{stopKey: "true"})
}

// What waits for a run that was canceled is told so: nothing failed.
func TestCanceledWithItsParent(t *testing.T) {
	in, _ := play(t, world("build", "scan"), ends("build", 1, "False", "Cancelled"))
	p := next(t, in, options(), noon)
	equal(t, "details", p.Scenarios[1].Status.Details, "Canceled: build#1 was canceled")
	equal(t, "outcome", p.Outcome, scheduler.OutcomeCanceled)
}

// A run that a person canceled says nothing any more once another was asked for: that one is canceled for its own cause.
func TestCanceledTwice(t *testing.T) {
	in, _ := play(t, world("build", "scan"), ends("build", 1, "True", ""), ends("scan", 1, "False", "Cancelled"), asks("all"), ends("build", 2, "False", "Failed"))
	p := next(t, in, options(), noon)
	equal(t, "details", p.Scenarios[1].Status.Details, "Canceled: build#2 failed")
	equal(t, "run", p.Scenarios[1].Status.RunName, "")
}

// What is canceled for the sake of another was so from the time of the plan that saw it, or as it was told before. What
// was told of a run of its own does not count.
func TestCanceledSince(t *testing.T) {
	for name, tt := range map[string]struct {
		entry string
		want  time.Time
	}{
		"told before":       {`"details":"Cancelled on account of required build failing","completionTime":"2026-03-01T10:00:00Z"`, noon.Add(-2 * time.Hour)},
		"told with no time": {`"details":"Cancelled on account of required build failing"`, noon},
		"canceled by hand":  {`"details":"Canceled: by hand","completionTime":"2026-03-01T10:00:00Z","testPipelineRunName":"` + runName("scan", 1) + `"`, noon},
		"failed":            {`"details":"failed","completionTime":"2026-03-01T10:00:00Z"`, noon},
	} {
		in := world("build", "scan")
		in.Snapshot.Annotations[statusKey] = `[{"scenario":"build","status":"TestInvalid","lastUpdateTime":"2026-03-01T11:00:00Z"},` +
			`{"scenario":"scan","status":"TestFail","lastUpdateTime":"2026-03-01T11:00:00Z",` + tt.entry + `}]`
		in.Scenarios[0].Status.Conditions = []pipelinerun.Condition{{Type: "IntegrationTestScenarioValid", Status: "False"}}
		s := next(t, asks("all")(in), options(), noon).Scenarios[1].Status
		equal(t, name, s.Details, "Canceled: build#2 failed")
		equal(t, name, s.Completed, tt.want)
	}
}

// Creations come in canonical order, cancellations and releases by name, conclusions in canonical order.
func TestOrderOfPlan(t *testing.T) {
	in := konflux.Objects{Scenarios: scenarios("z", "m", "a before b", "b"), Snapshot: snapshot()}
	in, done := play(t, in)
	equal(t, "creations", done[0], []string{"create a#1", "create m#1", "create z#1"})
	late := ends("a", 1, "True", "")(in)
	late.Scenarios = append(slices.Clone(late.Scenarios), scenario("c"))
	equal(t, "creations, roots first", doing(next(t, late, options(), noon)), []string{"create c#1", "create b#1"})
	in.Superseded = true
	p := next(t, in, options(), noon)
	equal(t, "cancellations", doing(p), []string{"cancel a#1", "cancel m#1", "cancel z#1"})
	in = obey(in, p)
	for _, name := range []string{"z", "a", "m"} {
		in = ends(name, 1, "False", "CancelledRunFinally")(in)
	}
	in = obey(in, next(t, in, options(), noon))
	p = next(t, in, options(), noon)
	equal(t, "releases", doing(p), []string{"release a#1", "release m#1", "release z#1"})
	equal(t, "conclusions", told(p), []string{"a TestFail", "m TestFail", "z TestFail", "b TestFail"})
	for _, c := range p.Scenarios {
		if c.Verdict != scheduler.VerdictCanceled || c.Explanation == "" {
			t.Errorf("%s: %v, %q", c.Status.Scenario, c.Verdict, c.Explanation)
		}
	}
}

// An end is released only once it is written: when the state that was read has it.
func TestRelease(t *testing.T) {
	in, _ := play(t, world("build"))
	over := ends("build", 1, "True", "")(in)
	equal(t, "not yet written", doing(next(t, over, options(), noon)), []string{})
	over = obey(over, next(t, over, options(), noon))
	equal(t, "written", doing(next(t, over, options(), noon)), []string{"release build#1"})
	deleted := changed(in, runName("build", 1), func(r *pipelinerun.PipelineRun) { r.DeletionTimestamp = &noon })
	p := next(t, deleted, options(), noon)
	equal(t, "deleted", told(p), []string{"build Deleted"})
	equal(t, "deleted, not yet written", slices.Contains(doing(p), "release build#1"), false)
	again := next(t, asks("build")(ends("build", 1, "True", "")(in)), options(), noon)
	equal(t, "asked for again", doing(again), []string{"create build#2"})
	over = obey(ends("build", 1, "True", "")(in), again)
	equal(t, "written with the next run", doing(next(t, over, options(), noon)), []string{"release build#1"})
	equal(t, "deleted, written", slices.Contains(doing(next(t, obey(deleted, p), options(), noon)), "release build#1"), true)
}

// What is held with an older finalizer is released, too.
func TestReleaseOfOlder(t *testing.T) {
	in, _ := play(t, world("build"), ends("build", 1, "True", ""))
	o := options()
	o.Keys, o.LegacyKeys = newKeys, []konflux.Keys{oldKeys}
	finalizers := []string{"integration.konflux-ci.dev/pipelinerun", "test.appstudio.openshift.io/pipelinerun"}
	p := next(t, in, o, noon)
	equal(t, "actions", doing(p), []string{"release build#1"})
	equal(t, "finalizers", p.Finalizers, finalizers)
	in = obey(in, p)
	equal(t, "finalizers of nothing", len(next(t, in, o, noon).Finalizers), 0)
}

// Who asks for a run of what is running is told that it changes nothing.
func TestLabelOfLiveRun(t *testing.T) {
	in, _ := play(t, world("build", "scan"))
	p := next(t, asks("build")(in), options(), noon)
	equal(t, "problems", fmt.Sprint(p.Problems), "[konflux: the label of a rerun asks for build, and build#1 is live: nothing changes; ask again when it is over]")
	equal(t, "actions", doing(p), []string{})
	equal(t, "label", p.Update.RemoveLabels, []string{rerunKey})
	for name, label := range map[string]string{"all": "all", "not begun": "scan"} {
		equal(t, name, len(next(t, asks(label)(in), options(), noon).Problems), 0)
	}
	in = obey(in, next(t, asks("scan")(in), options(), noon))
	equal(t, "asked for already", len(next(t, asks("scan")(in), options(), noon).Problems), 0)
}

// What nobody else releases is released: PipelineRuns of this Snapshot that others created and that are no run, once they are
// over or deleted.
func TestReleaseOfOthers(t *testing.T) {
	other := func(name string, change func(*pipelinerun.PipelineRun)) pipelinerun.PipelineRun {
		run := pipelinerun.PipelineRun{Meta: pipelinerun.Meta{Name: name, Labels: map[string]string{
			"test.appstudio.openshift.io/scenario": "build", "appstudio.openshift.io/snapshot": "app-x1",
		}, Finalizers: []string{"test.appstudio.openshift.io/pipelinerun"}}}
		change(&run)
		return run
	}
	in := world("build")
	in.PipelineRuns = []pipelinerun.PipelineRun{
		other("build-over", ended("True", "", noon)), other("build-deleted", func(r *pipelinerun.PipelineRun) { r.DeletionTimestamp = &noon }),
		other("build-live", func(*pipelinerun.PipelineRun) {}),
		other("build-free", func(r *pipelinerun.PipelineRun) { ended("True", "", noon)(r); r.Finalizers = []string{"others"} }),
		other("build-elsewhere", func(r *pipelinerun.PipelineRun) {
			ended("True", "", noon)(r)
			delete(r.Labels, "test.appstudio.openshift.io/scenario")
		}),
	}
	p := next(t, in, options(), noon)
	equal(t, "actions", doing(p), []string{"create build#1", "release build-deleted", "release build-over"})
	equal(t, "once", doing(next(t, obey(in, p), options(), noon)), []string{})
}

// A queue holds a run back with the field that asks for its end. Such a run is canceled like any other, also one that was
// created canceled: the queue writes over that.
func TestQueuedRunIsCanceled(t *testing.T) {
	held := func(r *pipelinerun.PipelineRun) { r.Spec.Status = "PipelineRunPending" }
	in, _ := play(t, world("build"))
	in = changed(in, runName("build", 1), held)
	equal(t, "no end was asked for", doing(next(t, in, options(), noon)), []string{})
	in.Superseded = true
	equal(t, "queued", doing(next(t, in, options(), noon)), []string{"cancel build#1"})
	in.PipelineRuns = nil
	in = changed(obey(in, next(t, in, options(), noon)), runName("build", 1), held)
	equal(t, "created canceled, and queued", doing(next(t, in, options(), noon)), []string{"cancel build#1"})
}

// An empty state annotation is a lost one.
func TestEmptyState(t *testing.T) {
	in, _ := play(t, world("build"), ends("build", 1, "True", ""))
	in.Snapshot.Annotations[stateKey] = ""
	p := next(t, in, options(), noon)
	equal(t, "told", told(p), []string{"build TestPassed"})
	equal(t, "nothing is kept yet", doing(p), []string{})
	equal(t, "written anew", p.Update.Annotations[stateKey] != "", true)
}

// Nothing wakes a controller but what is waited for: the earliest.
func TestWake(t *testing.T) {
	in, _ := play(t, konflux.Objects{Scenarios: scenarios("a", "b", "c"), Snapshot: snapshot()})
	o := options()
	o.Signed = true
	equal(t, "nothing is over", next(t, in, o, noon).Wake, time.Time{})
	for i, name := range []string{"b", "a", "c"} {
		in = changed(in, runName(name, 1), ended("True", "", noon.Add(time.Duration(i)*time.Minute)))
	}
	equal(t, "three wait", next(t, in, o, noon).Wake, noon.Add(5*time.Minute))
	p := next(t, in, o, noon.Add(5*time.Minute))
	equal(t, "two wait", p.Wake, noon.Add(6*time.Minute))
	equal(t, "told", told(p), []string{"a InProgress", "b TestPassed", "c InProgress"})
	equal(t, "details", p.Scenarios[1].Status.Details, "passed; Tekton Chains did not sign it within 5m0s")
	live := changed(in, runName("c", 1), func(r *pipelinerun.PipelineRun) { r.Status = pipelinerun.PipelineRunStatus{} })
	equal(t, "two wait beside one that is live", next(t, live, o, noon).Wake, noon.Add(5*time.Minute))
	equal(t, "none waits", next(t, in, o, noon.Add(time.Hour)).Wake, time.Time{})
}

// Times are kept as they were read, and change only with what they tell of.
func TestTimes(t *testing.T) {
	in, _ := play(t, world("build", "scan"))
	started := noon.Add(10 * time.Second)
	in = changed(in, runName("build", 1), func(r *pipelinerun.PipelineRun) { r.Status.StartTime = &started })
	p := next(t, in, options(), noon.Add(time.Minute))
	equal(t, "one write for a start", p.Update.IsZero(), true)
	in = changed(in, runName("build", 1), ended("True", "", noon.Add(time.Hour)))
	p = next(t, in, options(), noon.Add(2*time.Hour))
	equal(t, "build", p.Scenarios[0].Status, konflux.ScenarioStatus{
		Scenario: "build", Status: konflux.TestPassed, Updated: noon.Add(2 * time.Hour), Details: "passed",
		Started: started, Completed: noon.Add(time.Hour), RunName: runName("build", 1),
	}, knownFields)
	equal(t, "scan", p.Scenarios[1].Status, konflux.ScenarioStatus{
		Scenario: "scan", Status: konflux.InProgress, Updated: noon.Add(2 * time.Hour), Details: "started",
		Started: noon.Add(2 * time.Hour), RunName: runName("scan", 1), RunAfter: []string{"build"},
	}, knownFields)
	in = obey(in, p)
	text := in.Snapshot.Annotations[statusKey]
	in.Snapshot.Annotations[statusKey] = strings.ReplaceAll(text, "T14:00:00Z", "T15:00:00+01:00")
	equal(t, "another zone is no change", next(t, in, options(), noon.Add(3*time.Hour)).Scenarios[0].Status.Updated.Equal(noon.Add(2*time.Hour)), true)
	in.Snapshot.Annotations[statusKey] = strings.Replace(text, runName("build", 1)+`"}`, runName("build", 1)+`","mine":{"a":1}}`, 1)
	equal(t, "unknown fields are no change", next(t, in, options(), noon.Add(3*time.Hour)).Update.IsZero(), true)
	p = next(t, asks("build")(in), options(), noon.Add(3*time.Hour))
	equal(t, "unknown fields stay", strings.Contains(p.Update.Annotations[statusKey], `"mine":{"a":1}`), true)
	in.PipelineRuns = nil
	p = next(t, in, options(), noon.Add(3*time.Hour))
	equal(t, "pruned", p.Scenarios[0].Status.Completed, noon.Add(time.Hour))
}

// What waits is told with its parents in declared order, and why it waits.
func TestPending(t *testing.T) {
	in := world("a", "b", "c")
	in.Group = group(`{"c":[{"name":"b"},{"name":"a"}]}`)
	p := next(t, in, options(), noon)
	equal(t, "c", p.Scenarios[2].Status, konflux.ScenarioStatus{
		Scenario: "c", Status: konflux.Pending, Updated: noon, Details: p.Scenarios[2].Explanation, RunAfter: []string{"b", "a"},
	}, knownFields)
	equal(t, "explained", p.Scenarios[2].Explanation != "", true)
}

// Times are written in UTC and in milliseconds, whatever clock the caller has.
func TestTimesOfCaller(t *testing.T) {
	p := next(t, world("build"), options(), noon.Add(time.Millisecond+1).In(time.FixedZone("", 3600)))
	equal(t, "times", strings.Count(p.Update.Annotations[statusKey], `Time":"2026-03-01T12:00:00.001Z"`), 2)
}

// What is told of scenarios that are gone is told no more; it is kept, so that nothing starts again when they are back.
func TestNothingIsTestedAnyMore(t *testing.T) {
	const entry = `[{"scenario":"scan","status":"%s","lastUpdateTime":"2026-03-01T11:00:00Z","details":""}]`
	for status, want := range map[konflux.Status]string{konflux.Pending: "create scan#1", konflux.TestPassed: ""} {
		in := konflux.Objects{Snapshot: snapshot()}
		in.Snapshot.Annotations[statusKey] = fmt.Sprintf(entry, status)
		in = obey(in, next(t, in, options(), noon))
		equal(t, string(status), in.Snapshot.Annotations[statusKey], "[]")
		in.Scenarios = scenarios("scan")
		equal(t, string(status)+", back", strings.Join(doing(next(t, in, options(), noon)), " "), want)
	}
}

// A PipelineRun that does not say when it started did so when its start was told, and one that was run again when that was.
func TestStartIsKept(t *testing.T) {
	in, _ := play(t, world("build"))
	in = ends("build", 1, "True", "")(in)
	p := next(t, in, options(), noon.Add(time.Hour))
	equal(t, "start", p.Scenarios[0].Status.Started, noon)
	in = obey(in, p)
	p = next(t, asks("build")(in), options(), noon.Add(2*time.Hour))
	equal(t, "start of the rerun", p.Scenarios[0].Status.Started, noon.Add(2*time.Hour))
}

// Next changes none of its arguments, and shares its answer with nobody.
func TestPure(t *testing.T) {
	in := world("build", "scan", "deploy")
	in.Scenarios = append(in.Scenarios, scenario("extra in group"))
	in, _ = play(t, in, ends("build", 1, "True", ""), asks("extra"), ends("scan", 1, "False", "Failed"))
	in = labeled(in, rerunKey, "all")
	in.Refused = map[string]string{runName("extra", 2): "no"}
	in.TaskRuns = []pipelinerun.TaskRun{{Meta: pipelinerun.Meta{Name: "x"}}}
	o := options()
	o.LegacyKeys = []konflux.Keys{newKeys}
	before := copied(t, in)
	first := copied(t, next(t, in, o, noon).Update)
	equal(t, "objects", in, before, emptyIsNil)
	equal(t, "options", o.LegacyKeys, []konflux.Keys{newKeys})
	equal(t, "the same again", next(t, in, o, noon).Update, first, emptyIsNil)
}

// spread draws objects on their way: what happens to a few scenarios, in any order, with plans carried out in part.
func spread(t *rapid.T) konflux.Objects {
	in := konflux.Objects{Snapshot: snapshot("type=component"), Group: group("{}")}
	names := []string{"a", "b", "c", "d"}
	for i, name := range names {
		in.Scenarios = append(in.Scenarios, scenario(name+rapid.SampledFrom([]string{"", "", " optional", " in group"}).Draw(t, "kind")))
		for _, parent := range names[:i] {
			if onFail := rapid.SampledFrom([]string{"", "", "run", "skip"}).Draw(t, "onFail"); onFail != "" {
				in.Group.Spec.TestGraph[name] = append(in.Group.Spec.TestGraph[name], konflux.TestGraphNode{Name: parent, OnFail: &onFail})
			}
		}
	}
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		p, err := konflux.Next(in, options(), noon)
		if err != nil {
			t.Fatal(err)
		}
		in = obey(in, p)
		switch rapid.IntRange(0, 3).Draw(t, "step") {
		case 0:
			value := rapid.SampledFrom([]string{"all", "a", "b", "c", "d"}).Draw(t, "rerun")
			in = labeled(in, rerunKey, value)
		default:
			if len(in.PipelineRuns) == 0 {
				continue
			}
			name := rapid.SampledFrom(in.PipelineRuns).Draw(t, "run").Name
			how := rapid.SampledFrom([]string{"True", "True", "Failed", "Cancelled"}).Draw(t, "end")
			in = changed(in, name, func(r *pipelinerun.PipelineRun) {
				if len(r.Status.Conditions) > 0 {
					return
				}
				if how == "True" {
					ended("True", "", noon)(r)
				} else {
					ended("False", how, noon)(r)
				}
			})
		}
	}
	return in
}

// The order in which objects come does not matter.
func TestOrderOfObjectsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := spread(t)
		want, err := konflux.Next(in, options(), noon)
		if err != nil {
			t.Fatal(err)
		}
		in.Scenarios = rapid.Permutation(in.Scenarios).Draw(t, "scenarios")
		in.PipelineRuns = rapid.Permutation(in.PipelineRuns).Draw(t, "runs")
		got, err := konflux.Next(in, options(), noon)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "plan", summary(got), summary(want))
	})
}

// summary is all of a plan that can be compared.
func summary(p *konflux.Plan) string {
	text, err := json.MarshalIndent([]any{p.Update, p.Create, p.Cancel, p.Release, p.Outcome, p.Scenarios, p.State, p.Wake, fmt.Sprint(p.Problems), drawing(p.Graph)}, "", " ")
	return string(text) + fmt.Sprint(err)
}

// Once a plan is carried out, the next one is empty but for ends that are released.
func TestPlansComeToRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := spread(t)
		for range 2 {
			p, err := konflux.Next(in, options(), noon)
			if err != nil {
				t.Fatal(err)
			}
			in = obey(in, p)
		}
		p, err := konflux.Next(in, options(), noon.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "update", p.Update.IsZero(), true)
		equal(t, "actions", doing(p), []string{})
	})
}

// A run that nobody tells of any more, since its PipelineRun and the status annotation are gone, is told by its phase.
func TestToldByPhase(t *testing.T) {
	for phase, want := range map[scheduler.Phase]konflux.ScenarioStatus{
		running:  {Status: konflux.InProgress, Details: "started", Started: noon},
		passed:   {Status: konflux.TestPassed, Details: "passed", Started: noon, Completed: noon},
		failed:   {Status: konflux.TestFail, Details: "failed", Started: noon, Completed: noon},
		canceled: {Status: konflux.TestFail, Details: "Canceled: from outside", Started: noon, Completed: noon},
	} {
		text, err := konflux.State{Runs: scheduler.Snapshot{"scan": {Run: 1, Phase: phase}}}.Format()
		if err != nil {
			t.Fatal(err)
		}
		in := world("scan")
		in.Snapshot.Annotations[stateKey] = text
		want.Scenario, want.Updated, want.RunName = "scan", noon, runName("scan", 1)
		equal(t, phase.String(), next(t, in, options(), noon).Scenarios[0].Status, want, knownFields)
	}
}

// What cannot be written makes no plan.
func TestNotWritten(t *testing.T) {
	p, err := konflux.Next(world("scan"), options(), noon.AddDate(10000, 0, 0))
	var status *konflux.StatusError
	if p != nil || !errors.As(err, &status) {
		t.Errorf("year 12026: got %v, %v; want a *StatusError", p, err)
	}
	p, err = konflux.Next(world("\xff"), options(), noon)
	var state *konflux.StateError
	if p != nil || !errors.As(err, &state) {
		t.Errorf("a name that is not UTF-8: got %v, %v; want a *StateError", p, err)
	}
}

// A run of others that is live stays the run, whatever becomes of the status annotation.
func TestAdoptedIsNotDoubled(t *testing.T) {
	for name, text := range map[string]string{"unreadable": `[{`, "emptied": ``} {
		in := world("build", "scan")
		in.Snapshot.Annotations[statusKey] = `[{"scenario":"build","status":"InProgress","lastUpdateTime":"2026-03-01T11:00:00Z","testPipelineRunName":"build-x7k4m"}]`
		in.PipelineRuns = []pipelinerun.PipelineRun{{Meta: pipelinerun.Meta{Name: "build-x7k4m", Labels: map[string]string{
			"test.appstudio.openshift.io/scenario": "build", "appstudio.openshift.io/snapshot": "app-x1"}}}}
		in = obey(in, next(t, in, options(), noon))
		in.Snapshot.Annotations[statusKey] = text
		p := next(t, in, options(), noon)
		equal(t, name, doing(p), []string{})
		equal(t, name, p.State.Adopted, map[dag.ID]string{"build": "build-x7k4m"})

		in = changed(obey(in, p), "build-x7k4m", ended("True", "Succeeded", noon))
		in.Snapshot.Annotations[statusKey] = text
		p = next(t, in, options(), noon)
		equal(t, name+", over", doing(p), []string{"create scan#1"})
		equal(t, name+", over", p.Scenarios[0].Status.RunName, "build-x7k4m")
		p = next(t, asks("build")(obey(in, p)), options(), noon)
		equal(t, name+", run again", doing(p), []string{"create build#2"})
	}
}

// During a migration a Snapshot can have the labels of old and new keys. Each is honoured, since each is removed.
func TestLabelsOfOldAndNew(t *testing.T) {
	in, _ := play(t, world("build", "scan"), ends("build", 1, "True", ""), ends("scan", 1, "True", ""), same)
	o := options()
	o.Keys, o.LegacyKeys = newKeys, []konflux.Keys{oldKeys}
	p := next(t, labeled(labeled(in, rerunKey, "build"), newKeys.Test+"/run", "scan"), o, noon)
	equal(t, "build", p.State.Runs["build"].Run, 2)
	equal(t, "scan", p.State.Runs["scan"].Want, 2)
	equal(t, "labels", p.Update.RemoveLabels, []string{newKeys.Test + "/run", rerunKey})
	p = next(t, labeled(labeled(in, rerunKey, "build"), newKeys.Test+"/run", "build"), o, noon)
	equal(t, "the same twice", p.State.Runs["build"].Want, 2)
	p = next(t, labeled(labeled(in, rerunKey, "gone"), newKeys.Test+"/run", "gone"), o, noon)
	equal(t, "a name that is not there, twice", len(p.Problems), 1)
}

// Where several older keys share a prefix, each key is removed once; what is removed is in order, whichever keys are of today.
func TestRemovedOnce(t *testing.T) {
	in, _ := play(t, world("build"), ends("build", 1, "True", ""))
	in = labeled(labeled(in, rerunKey, "all"), newKeys.Test+"/run", "all")
	in.Snapshot.Annotations[newKeys.Test+"/status"] = "[]"
	o := options()
	o.Keys, o.LegacyKeys = newKeys, []konflux.Keys{oldKeys, oldKeys}
	p := next(t, in, o, noon)
	equal(t, "annotations", p.Update.RemoveAnnotations, []string{statusKey})
	equal(t, "labels", p.Update.RemoveLabels, []string{newKeys.Test + "/run", rerunKey})
	equal(t, "finalizers", p.Finalizers, []string{newKeys.Test + "/pipelinerun", oldKeys.Test + "/pipelinerun"})
	o.Keys, o.LegacyKeys = oldKeys, []konflux.Keys{newKeys}
	p = next(t, in, o, noon)
	equal(t, "annotations, the other way", p.Update.RemoveAnnotations, []string{newKeys.Test + "/status"})
	equal(t, "labels, the other way", p.Update.RemoveLabels, []string{newKeys.Test + "/run", rerunKey})
}

// What runs alone goes on when the state is lost.
func TestAloneWithoutState(t *testing.T) {
	in := world("build")
	in.Scenarios = append(in.Scenarios, scenario("extra in group"))
	in, _ = play(t, in, asks("extra"), same)
	delete(in.Snapshot.Annotations, stateKey)
	p := next(t, in, options(), noon)
	equal(t, "actions", doing(p), []string{})
	equal(t, "told", told(p), []string{"build InProgress", "extra InProgress"})
}

// A plan shares its answer with nobody.
func TestPlansShareNothing(t *testing.T) {
	in, _ := play(t, world("build"))
	in.PipelineRuns, in.Superseded = nil, true
	first := next(t, in, options(), noon)
	clear(first.Create[0].Spec.PipelineSpec)
	equal(t, "the next", json.Valid(next(t, in, options(), noon).Create[0].Spec.PipelineSpec), true)
}

// A controller marks a Snapshot as finished and leaves it alone, as the package page says, and dies after any request of the
// call in which its label asks for a rerun.
func TestFinishedMark(t *testing.T) {
	for dies := range 3 {
		in, finished := world("build"), false
		reconcile := func(requests int) {
			if _, asked := in.Snapshot.Labels[rerunKey]; finished && !asked {
				return
			}
			p := next(t, in, options(), noon)
			if finished = false; requests == 0 {
				return
			}
			if requests == 1 {
				p.Create, p.Cancel, p.Release = nil, nil, nil
			}
			in = obey(in, p)
			finished = p.Done()
		}
		for range 4 {
			reconcile(2)
			in = ends("build", 1, "True", "")(in)
		}
		equal(t, "finished", finished, true)
		in = asks("build")(in)
		reconcile(dies)
		for range 4 {
			reconcile(2)
		}
		equal(t, "runs", len(in.PipelineRuns), 2)
	}
}

// What a run comes to, as the status annotation has it.
func TestStatusOfEnds(t *testing.T) {
	name := runName("scan", 1)
	says := func(result string) func(konflux.Objects) konflux.Objects {
		return func(in konflux.Objects) konflux.Objects {
			in = changed(in, name, func(r *pipelinerun.PipelineRun) {
				ended("True", "Succeeded", noon)(r)
				r.Status.ChildReferences = []pipelinerun.ChildReference{{Name: "task"}}
			})
			task := pipelinerun.TaskRun{Meta: pipelinerun.Meta{Name: "task"}}
			task.Status.Results = []pipelinerun.TaskRunResult{{Name: "TEST_OUTPUT", Value: output(`{"result":"` + result + `","timestamp":"1772366400","successes":1,"failures":0,"warnings":0}`)}}
			in.TaskRuns = []pipelinerun.TaskRun{task}
			return in
		}
	}
	marked := func(mark string, change func(*pipelinerun.PipelineRun)) func(konflux.Objects) konflux.Objects {
		return func(in konflux.Objects) konflux.Objects {
			return changed(in, name, func(r *pipelinerun.PipelineRun) {
				change(r)
				r.Annotations = maps.Clone(r.Annotations)
				if r.Annotations == nil {
					r.Annotations = map[string]string{}
				}
				r.Annotations[mark] = "true"
			})
		}
	}
	for what, tt := range map[string]struct {
		plain  bool
		change func(konflux.Objects) konflux.Objects
		want   konflux.Status
		phase  scheduler.Phase
	}{
		"nothing":        {false, same, konflux.InProgress, running},
		"success":        {false, says("SUCCESS"), konflux.TestPassed, passed},
		"warning":        {false, says("WARNING"), konflux.TestWarning, passed},
		"warning, plain": {true, says("WARNING"), konflux.TestPassed, passed},
		"failure":        {false, says("FAILURE"), konflux.TestFail, failed},
		"canceled":       {false, ends("scan", 1, "False", "Cancelled"), konflux.TestFail, canceled},
		"deleted": {false, func(in konflux.Objects) konflux.Objects {
			return changed(in, name, func(r *pipelinerun.PipelineRun) { r.DeletionTimestamp = &noon })
		}, konflux.Deleted, canceled},
		"without its task": {false, func(in konflux.Objects) konflux.Objects { in = says("SUCCESS")(in); in.TaskRuns = nil; return in }, konflux.TestInvalid, failed},
		"stopped":          {false, marked("testdag.example.com/stopped", ended("False", "Cancelled", noon)), konflux.InProgress, running},
		"stopped, of old":  {false, marked("older.example.com/stopped", ended("False", "Cancelled", noon)), konflux.InProgress, running},
		"another mark":     {false, marked("other.example.com/stopped", ended("False", "Cancelled", noon)), konflux.TestFail, canceled},
	} {
		o := options()
		o.PlainPass = tt.plain
		o.LegacyKeys = []konflux.Keys{oldKeys}
		o.LegacyKeys[0].Own = "older.example.com"
		in := world("scan")
		in = obey(in, next(t, in, o, noon))
		p := next(t, tt.change(in), o, noon.Add(time.Hour))
		equal(t, what, p.Scenarios[0].Status.Status, tt.want)
		equal(t, what, p.State.Runs["scan"].Phase, tt.phase)
	}
}
