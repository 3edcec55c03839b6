package konflux

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	compare "github.com/google/go-cmp/cmp"
	theirs "github.com/konflux-ci/integration-service/pkg/integrationteststatus"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

const statusKey = "test.appstudio.openshift.io/status"

var (
	noon    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	options = konflux.Options{Profile: dag.ADR48, Skipped: pipelinerun.SkippedPasses, PlainPass: true, Keys: konflux.Keys{
		Test: "test.appstudio.openshift.io", Pipelines: "pipelines.appstudio.openshift.io", Resource: "appstudio.openshift.io",
		PAC: "pac.test.appstudio.openshift.io", Own: "testdag.example.com"}}
)

// drawn returns scenarios that wait for one another, and a new Snapshot.
func drawn(t *rapid.T) konflux.Objects {
	in := konflux.Objects{Group: &konflux.ComponentGroup{}, Snapshot: konflux.Snapshot{Meta: pipelinerun.Meta{Name: "snapshot", UID: "6f2c"}}}
	in.Group.Spec.TestGraph = map[string][]konflux.TestGraphNode{}
	for i := range rapid.IntRange(1, 6).Draw(t, "scenarios") {
		s := konflux.IntegrationTestScenario{Meta: pipelinerun.Meta{Name: fmt.Sprintf("scenario-%d", i)}}
		for j := range i {
			if rapid.Bool().Draw(t, "edge") {
				in.Group.Spec.TestGraph[s.Name] = append(in.Group.Spec.TestGraph[s.Name], konflux.TestGraphNode{Name: fmt.Sprintf("scenario-%d", j)})
			}
		}
		in.Scenarios = append(in.Scenarios, s)
	}
	return in
}

// obey returns the objects after a plan was carried out.
func obey(in konflux.Objects, p *konflux.Plan) konflux.Objects {
	in.Snapshot.Annotations = maps.Clone(in.Snapshot.Annotations)
	if in.Snapshot.Annotations == nil {
		in.Snapshot.Annotations = map[string]string{}
	}
	maps.Copy(in.Snapshot.Annotations, p.Update.Annotations)
	in.PipelineRuns = append(slices.Clone(in.PipelineRuns), p.Create...)
	return in
}

// end ends some runs: passed, failed, canceled or deleted.
func end(t *rapid.T, in konflux.Objects, at time.Time) {
	for i := range in.PipelineRuns {
		run := &in.PipelineRuns[i]
		if len(run.Status.Conditions) > 0 || run.DeletionTimestamp != nil {
			continue
		}
		switch rapid.IntRange(0, 5).Draw(t, "end") {
		case 0, 1:
			run.Status.Conditions = []pipelinerun.Condition{{Type: "Succeeded", Status: "True"}}
		case 2:
			run.Status.Conditions = []pipelinerun.Condition{{Type: "Succeeded", Status: "False", Reason: "Failed", Message: "Tasks \"Completed\": 1 <Failed>\n"}}
		case 3:
			run.Status.Conditions = []pipelinerun.Condition{{Type: "Succeeded", Status: "False", Reason: "Cancelled"}}
		case 4:
			run.DeletionTimestamp = &at
		}
	}
}

// read returns what their parser makes of an annotation, by scenario.
func read(t interface{ Fatalf(string, ...any) }, annotation string) map[string]*theirs.IntegrationTestStatusDetail {
	s, err := theirs.NewSnapshotIntegrationTestStatuses(annotation)
	if err != nil {
		t.Fatalf("%v: %s", err, annotation)
	}
	byName := map[string]*theirs.IntegrationTestStatusDetail{}
	for _, d := range s.GetStatuses() {
		byName[d.ScenarioName] = d
	}
	return byName
}

// instant returns a time without its zone, and the zero time for none.
func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// What we write, on the way and at the end, their parser reads as it is meant.
func TestTheyReadOurs(t *testing.T) {
	seen := map[konflux.Status]int{}
	rapid.Check(t, func(t *rapid.T) {
		in := drawn(t)
		for i := range 6 {
			now := noon.Add(time.Duration(i) * time.Minute)
			p, err := konflux.Next(in, options, now)
			if err != nil {
				t.Fatal(err)
			}
			in = obey(in, p)
			got := read(t, in.Snapshot.Annotations[statusKey])
			if len(got) != len(p.Scenarios) {
				t.Fatalf("%d entries; want %d", len(got), len(p.Scenarios))
			}
			for _, c := range p.Scenarios {
				seen[c.Status.Status]++
				d := got[c.Status.Scenario]
				if final := d.Status.IsFinal(); final != c.Status.Status.Final() {
					t.Errorf("%s is final: %v", c.Status.Status, final)
				}
				read := konflux.ScenarioStatus{
					Scenario: d.ScenarioName, Status: konflux.Status(d.Status.String()), Updated: d.LastUpdateTime.UTC(), Details: d.Details,
					Started: instant(d.StartTime), Completed: instant(d.CompletionTime), RunName: d.TestPipelineRunName, RunAfter: c.Status.RunAfter,
				}
				if diff := compare.Diff(c.Status, read, compare.FilterPath(func(p compare.Path) bool { return p.Last().String() == ".unknown" }, compare.Ignore())); diff != "" {
					t.Errorf("(-ours +theirs)\n%s", diff)
				}
			}
			end(t, in, now)
		}
	})
	for _, s := range []konflux.Status{konflux.Pending, konflux.InProgress, konflux.TestPassed, konflux.TestFail, konflux.Deleted} {
		if seen[s] == 0 {
			t.Errorf("%s was never written", s)
		}
	}
	t.Log(seen)
}

// What their code writes we read, and go on with: nothing that is over starts again.
func TestWeReadTheirs(t *testing.T) {
	all := theirs.IntegrationTestStatusValues()
	names := make([]string, len(all))
	for i := range all {
		names[i] = fmt.Sprintf("scenario-%d", i)
	}
	s, err := theirs.NewSnapshotIntegrationTestStatuses("")
	if err != nil {
		t.Fatal(err)
	}
	s.InitStatuses(&names)
	for i, status := range all {
		s.UpdateTestStatusIfChanged(names[i], theirs.IntegrationTestStatusInProgress, "it runs")
		s.UpdateTestStatusIfChanged(names[i], status, "details of "+status.String())
		if status.IsFinal() {
			if err := s.UpdateTestPipelineRunName(names[i], names[i]+"-x7k2p"); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := konflux.ParseStatuses(string(text))
	if err != nil || len(got) != len(all) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	slices.SortFunc(got, func(a, b konflux.ScenarioStatus) int {
		return cmp.Or(cmp.Compare(len(a.Scenario), len(b.Scenario)), strings.Compare(a.Scenario, b.Scenario))
	})
	in := konflux.Objects{Snapshot: konflux.Snapshot{Meta: pipelinerun.Meta{Name: "snapshot", Annotations: map[string]string{statusKey: string(text)}}}}
	want := map[string]bool{}
	for i, status := range all {
		d, _ := s.GetScenarioStatus(names[i])
		if got[i].Status != konflux.Status(status.String()) || got[i].Details != d.Details || !got[i].Updated.Equal(d.LastUpdateTime) ||
			!got[i].Started.Equal(instant(d.StartTime)) || !got[i].Completed.Equal(instant(d.CompletionTime)) || got[i].RunName != d.TestPipelineRunName {
			t.Errorf("got %+v; want %+v", got[i], d)
		}
		in.Scenarios = append(in.Scenarios, konflux.IntegrationTestScenario{Meta: pipelinerun.Meta{Name: names[i]}})
		want[names[i]] = !status.IsFinal()
	}
	p, err := konflux.Next(in, options, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range p.Create {
		if scenario := run.Labels["test.appstudio.openshift.io/scenario"]; !want[scenario] {
			t.Errorf("%s is started again", scenario)
		} else {
			delete(want, scenario)
		}
	}
	for scenario, start := range want {
		if start {
			t.Errorf("%s is not started", scenario)
		}
	}
}

// This version does not know TestWarning, and reads nothing at all beside it. PlainPass is for that.
func TestWarning(t *testing.T) {
	in := konflux.Objects{Scenarios: []konflux.IntegrationTestScenario{{Meta: pipelinerun.Meta{Name: "scan"}}}, Snapshot: konflux.Snapshot{Meta: pipelinerun.Meta{Name: "snapshot"}}}
	p, err := konflux.Next(in, options, noon)
	if err != nil {
		t.Fatal(err)
	}
	in = obey(in, p)
	run := &in.PipelineRuns[0]
	run.Status = pipelinerun.PipelineRunStatus{Conditions: []pipelinerun.Condition{{Type: "Succeeded", Status: "True"}}, ChildReferences: []pipelinerun.ChildReference{{Name: "task"}}}
	task := pipelinerun.TaskRun{Meta: pipelinerun.Meta{Name: "task"}}
	value, _ := json.Marshal(`{"result":"WARNING","timestamp":"1795509890","successes":1,"failures":0,"warnings":1}`)
	task.Status.Results = []pipelinerun.TaskRunResult{{Name: "TEST_OUTPUT", Value: value}}
	in.TaskRuns = []pipelinerun.TaskRun{task}
	for plain, want := range map[bool]konflux.Status{false: konflux.TestWarning, true: konflux.TestPassed} {
		o := options
		o.PlainPass = plain
		p, err := konflux.Next(in, o, noon)
		if err != nil || p.Scenarios[0].Status.Status != want {
			t.Fatalf("%+v, %v; want %s", p.Scenarios, err, want)
		}
		_, err = theirs.NewSnapshotIntegrationTestStatuses(p.Update.Annotations[statusKey])
		if (err == nil) != plain {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// What only one of the two refuses. Ours is the stricter one, but for what came after this version.
func TestRefused(t *testing.T) {
	entry := func(fields string) string {
		return `[{"scenario":"scan","status":"TestPassed","lastUpdateTime":"2026-11-24T12:00:00Z"` + fields + `}]`
	}
	for name, tt := range map[string]struct {
		annotation   string
		ours, theirs bool // it is read
	}{
		"nothing":               {"", true, true},
		"no entry":              {"[]", true, true},
		"the least":             {entry(""), true, true},
		"an unknown field":      {entry(`,"later":[1]`), true, true},
		"what came later":       {entry(`,"isOptionalScenario":true,"runAfter":["build"]`), true, true},
		"TestWarning":           {strings.Replace(entry(""), "TestPassed", "TestWarning", 1), true, false},
		"an unknown status":     {strings.Replace(entry(""), "TestPassed", "Canceled", 1), false, false},
		"no scenario":           {strings.Replace(entry(""), `"scenario"`, `"name"`, 1), false, false},
		"no time":               {strings.Replace(entry(""), `"lastUpdateTime"`, `"time"`, 1), false, false},
		"no time of day":        {strings.Replace(entry(""), `T12:00:00Z`, ``, 1), false, false},
		"details of two types":  {entry(`,"details":1`), false, false},
		"a field given twice":   {entry(`,"details":"a","details":"b"`), false, true},
		"a scenario twice":      {`[` + strings.Trim(entry(""), "[]") + `,` + strings.Trim(entry(""), "[]") + `]`, false, true},
		"an empty scenario":     {strings.Replace(entry(""), `"scan"`, `""`, 1), false, true},
		"optional, as text":     {entry(`,"isOptionalScenario":"true"`), false, true},
		"a field in other case": {entry(`,"Details":"a"`), true, true},
		"an object":             {`{}`, false, false},
		"no JSON":               {`[`, false, false},
	} {
		_, err := konflux.ParseStatuses(tt.annotation)
		_, theirErr := theirs.NewSnapshotIntegrationTestStatuses(tt.annotation)
		if (err == nil) != tt.ours || (theirErr == nil) != tt.theirs {
			t.Errorf("%s: ours %v, theirs %v", name, err, theirErr)
		}
	}
}

// Their writer makes several texts of one state, ours one.
func TestOrder(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	s, _ := theirs.NewSnapshotIntegrationTestStatuses("")
	s.InitStatuses(&names)
	in := konflux.Objects{Snapshot: konflux.Snapshot{Meta: pipelinerun.Meta{Name: "snapshot"}}}
	for _, name := range names {
		in.Scenarios = append(in.Scenarios, konflux.IntegrationTestScenario{Meta: pipelinerun.Meta{Name: name}})
	}
	their, our := map[string]bool{}, map[string]bool{}
	for i := range 200 {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		their[string(text)] = true
		in.Scenarios = append(in.Scenarios[1+i%4:], in.Scenarios[:1+i%4]...)
		p, err := konflux.Next(in, options, noon)
		if err != nil {
			t.Fatal(err)
		}
		our[p.Update.Annotations[statusKey]] = true
	}
	if len(their) < 2 || len(our) != 1 {
		t.Errorf("theirs wrote %d texts, ours %d", len(their), len(our))
	}
	t.Logf("of 200 calls theirs wrote %d texts, ours %d", len(their), len(our))
}
