package main

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	kmeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/testdag/testdag/examples/controller/internal/stage"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

func configMap(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "operator", UID: "u1"}, Data: data}
}

func TestReadConfigMap(t *testing.T) {
	m := configMap(map[string]string{
		"scenarios.yaml": "kind: IntegrationTestScenario\nmetadata: {name: build}\n---\n---\nkind: IntegrationTestScenario\nmetadata: {name: scan}\nspec:\n  resolverRef: {resolver: git, params: [{name: url, value: u}]}\n",
		"group.yaml":     "kind: ComponentGroup\nspec: {testGraph: {scan: [{name: build, onFail: skip}]}}",
		"snapshot.yaml":  "image: i\n",
	})
	m.Labels = map[string]string{"testdag.dev/run": "all"}
	in, err := readConfigMap(m)
	if err != nil {
		t.Fatal(err)
	}
	skip := "skip"
	want := konflux.Objects{Snapshot: konflux.Snapshot{
		Meta: pipelinerun.Meta{Name: "operator", UID: "u1", Labels: m.Labels}, Spec: json.RawMessage(`{"image":"i"}`),
	}}
	want.Scenarios = make([]konflux.IntegrationTestScenario, 2)
	want.Scenarios[0].Name, want.Scenarios[1].Name = "build", "scan"
	want.Scenarios[1].Spec.ResolverRef = pipelinerun.ResolverRef{Resolver: "git", Params: []pipelinerun.Param{{Name: "url", Value: json.RawMessage(`"u"`)}}}
	want.Group = &konflux.ComponentGroup{}
	want.Group.Spec.TestGraph = map[string][]konflux.TestGraphNode{"scan": {{Name: "build", OnFail: &skip}}}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Error(diff)
	}
}

func TestReadConfigMapMistakes(t *testing.T) {
	for _, test := range []struct {
		data map[string]string
		want []string
	}{
		{nil, []string{"data: scenarios.yaml: there is no scenario in it"}},
		{map[string]string{"scenarios.yaml": "kind: Pod"}, []string{`data: scenarios.yaml: document 1: its kind is "Pod"; want IntegrationTestScenario`}},
		{
			map[string]string{"scenarios.yaml": "kind: IntegrationTestScenario", "group.yaml": "kind: ComponentGroup\nspec: {testGrahp: {a: []}}"},
			[]string{"data: group.yaml: it has no spec.testGraph; "},
		},
		{map[string]string{"scenarios.yaml": "7"}, []string{`data: scenarios.yaml: document 1: its kind is ""; want IntegrationTestScenario`}},
		{
			map[string]string{"scenarios.yaml": "kind: IntegrationTestScenario\nspec: 7", "group.yaml": "{", "snapshot.yaml": "{1: .nan}"},
			[]string{"data: scenarios.yaml: document 1: json: cannot unmarshal", "data: group.yaml: document 1: yaml: ", "data: snapshot.yaml: document 1: it has no form in JSON: "},
		},
		{
			map[string]string{"scenarios.yaml": "kind: IntegrationTestScenario", "group.yaml": "kind: ComponentGroup\n---\nkind: ComponentGroup", "snapshot.yaml": "1\n---\n2"},
			[]string{"data: group.yaml: it has 2 groups; keep one", "data: snapshot.yaml: it has 2 documents; keep one"},
		},
	} {
		_, err := readConfigMap(configMap(test.data))
		if input := new(InputError); !errors.As(err, &input) {
			t.Errorf("%v: got %v; want an InputError", test.data, err)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(test.want) {
			t.Errorf("%v: got %q; want %d mistakes", test.data, lines, len(test.want))
			continue
		}
		for i, want := range test.want {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("got %q; want %q", lines[i], want)
			}
		}
	}
}

func TestSuperseded(t *testing.T) {
	m := configMap(map[string]string{"scenarios.yaml": "kind: IntegrationTestScenario"})
	for value, want := range map[string]bool{"": false, "false": false, "true": true} {
		m.Annotations = map[string]string{supersededAnnotation: value}
		if in, err := readConfigMap(m); err != nil || in.Superseded != want {
			t.Errorf("%q: got %v, %v; want %v", value, in.Superseded, err, want)
		}
	}
}

// The graph of config/example is one that Validate has nothing to say against.
func TestExample(t *testing.T) {
	objects, err := stage.Manifests("example/graph.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := objects[0].MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var m corev1.ConfigMap
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	in, err := readConfigMap(&m)
	if err != nil {
		t.Fatal(err)
	}
	if err := konflux.Validate(in.Scenarios, in.Group, konflux.Options{Keys: configMaps{}.keys()}); err != nil {
		t.Error(err)
	}
	if len(in.Scenarios) != 6 || m.Labels[graphLabel] != "true" {
		t.Errorf("%d scenarios, labels %v", len(in.Scenarios), m.Labels)
	}
}

// What the API server sends is read into the forms of package konflux, and what is large and not looked at is dropped.
func TestObjects(t *testing.T) {
	var run pipelineRun
	decode(t, `{"metadata":{"name":"scan-1","namespace":"shop","uid":"u","resourceVersion":"7","labels":{"l":"1"},"annotations":{"a":"2"},
		"finalizers":["f"],"deletionTimestamp":"2026-11-24T08:00:00Z","managedFields":[{}],"ownerReferences":[{"kind":"ConfigMap","name":"operator","uid":"o","apiVersion":"v1"}]},
		"spec":{"status":"Cancelled","pipelineSpec":{"tasks":[]},"params":[{"name":"SNAPSHOT","value":"{}"}]},
		"status":{"conditions":[{"type":"Succeeded","status":"True","reason":"Completed"}],"startTime":"2026-11-24T07:00:00Z",
		"childReferences":[{"name":"t","kind":"TaskRun","pipelineTaskName":"test"},{"name":"c","kind":"CustomRun"}]}}`, &run)
	kept, err := slim(&run)
	if err != nil {
		t.Fatal(err)
	}
	gone := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	begun := gone.Add(-time.Hour)
	want := pipelinerun.PipelineRun{
		Meta: pipelinerun.Meta{
			Name: "scan-1", Namespace: "shop", UID: "u", ResourceVersion: "7", Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "2"},
			Finalizers: []string{"f"}, DeletionTimestamp: &gone,
		},
		Spec: pipelinerun.PipelineRunSpec{Status: "Cancelled"},
		Status: pipelinerun.PipelineRunStatus{
			Conditions: []pipelinerun.Condition{{Type: "Succeeded", Status: "True", Reason: "Completed"}}, StartTime: &begun,
			ChildReferences: []pipelinerun.ChildReference{{Kind: "TaskRun", Name: "t", PipelineTaskName: "test"}},
		},
	}
	if diff := cmp.Diff(want, toPipelineRun(kept.(*pipelineRun)), cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Error(diff)
	}
	var task taskRun
	decode(t, `{"metadata":{"name":"t"},"status":{"results":[{"name":"TEST_OUTPUT","type":"string","value":"x"}],"conditions":[{"type":"Succeeded","status":"Unknown"}]}}`, &task)
	wantTask := pipelinerun.TaskRun{Meta: pipelinerun.Meta{Name: "t"}}
	wantTask.Status.Results = []pipelinerun.TaskRunResult{{Name: "TEST_OUTPUT", Value: json.RawMessage(`"x"`)}}
	if diff := cmp.Diff(wantTask, toTaskRun(&task)); diff != "" {
		t.Error(diff)
	}
	if over(task.Status.Conditions) {
		t.Error("a task whose end is unknown is over")
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

// A copy shares what nobody changes, and nothing else.
func TestDeepCopy(t *testing.T) {
	all := &pipelineRunList{Items: []pipelineRun{{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"l": "1"}}}}}
	c := all.DeepCopyObject().(*pipelineRunList)
	if diff := cmp.Diff(all, c); diff != "" {
		t.Error(diff)
	}
	c.Items[0].Labels["l"] = "2"
	if all.Items[0].Labels["l"] != "1" {
		t.Error("the labels are shared")
	}
}

func TestOwners(t *testing.T) {
	for _, test := range []struct {
		a, b owner
		want bool
	}{
		{owner{}, owner{}, false},
		{owner{Application: "a"}, owner{Application: "a"}, true},
		{owner{Application: "a"}, owner{Application: "b"}, false},
		{owner{ComponentGroup: "a"}, owner{ComponentGroup: "a", Application: "b"}, true},
		{owner{Application: "a"}, owner{ComponentGroup: "a"}, false},
	} {
		if got := test.a.has(test.b); got != test.want {
			t.Errorf("%+v has %+v: got %v", test.a, test.b, got)
		}
	}
}

func plan(o scheduler.Outcome) *konflux.Plan { return &konflux.Plan{Outcome: o} }

func TestConditions(t *testing.T) {
	s := &snapshot{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "7"}}
	for _, test := range []struct {
		plan *konflux.Plan
		want string
	}{
		{plan(scheduler.OutcomePending), "AppStudioIntegrationStatus Unknown InProgress, AppStudioTestSucceeded Unknown InProgress"},
		{plan(scheduler.OutcomePassed), "AppStudioIntegrationStatus True Finished, AppStudioTestSucceeded True Passed"},
		{plan(scheduler.OutcomeFailed), "AppStudioIntegrationStatus True Finished, AppStudioTestSucceeded False Failed"},
		{plan(scheduler.OutcomeCanceled), "AppStudioIntegrationStatus True Finished, AppStudioTestSucceeded False Failed"},
	} {
		patch := snapshots{}.status(s, test.plan)
		var got snapshot
		decode(t, string(patch), &got)
		if got.ResourceVersion != "7" || told(got.Status.Conditions) != test.want {
			t.Errorf("%s: got %s; want %s", test.plan.Outcome, patch, test.want)
		}
		s.Status = got.Status
		if patch := (snapshots{}).status(s, test.plan); patch != nil {
			t.Errorf("%s: what is told is told again: %s", test.plan.Outcome, patch)
		}
	}
	// A condition of somebody else's stays, and so does that another Snapshot took the place of this one.
	s.Status.Conditions = []metav1.Condition{{Type: "Other", Status: "True"}, {Type: integrationStatus, Status: "True", Reason: "Canceled"}}
	var got snapshot
	decode(t, string(snapshots{}.status(s, plan(scheduler.OutcomeCanceled))), &got)
	if want := "Other True , AppStudioIntegrationStatus True Canceled, AppStudioTestSucceeded False Failed"; told(got.Status.Conditions) != want {
		t.Errorf("got %s; want %s", told(got.Status.Conditions), want)
	}
}

func told(conditions []metav1.Condition) string {
	var all []string
	for _, c := range conditions {
		all = append(all, c.Type+" "+string(c.Status)+" "+c.Reason)
	}
	return strings.Join(all, ", ")
}

func TestChooseKind(t *testing.T) {
	all := []schema.GroupVersionKind{
		snapshotVersion.WithKind("Snapshot"), scenarioVersion.WithKind("IntegrationTestScenario"), scenarioVersion.WithKind("ComponentGroup"),
	}
	for _, test := range []struct {
		name  string
		there []schema.GroupVersionKind
		want  kind
	}{
		{"auto", all, snapshots{}},
		{"auto", nil, configMaps{}},
		{"configmap", all, configMaps{}},
		{"snapshot", nil, snapshots{}},
	} {
		mapper := kmeta.NewDefaultRESTMapper(nil)
		for _, k := range test.there {
			mapper.Add(k, kmeta.RESTScopeNamespace)
		}
		if got, err := chooseKind(test.name, mapper); err != nil || got != test.want {
			t.Errorf("%s of %v: got %T, %v; want %T", test.name, test.there, got, err, test.want)
		}
	}
	if _, err := chooseKind("pod", nil); err == nil {
		t.Error("a kind that nobody knows is taken")
	}
	some := kmeta.NewDefaultRESTMapper(nil)
	some.Add(all[0], kmeta.RESTScopeNamespace)
	some.Add(all[1], kmeta.RESTScopeNamespace)
	if _, err := chooseKind("auto", some); err == nil || !strings.Contains(err.Error(), `"ComponentGroup"`) {
		t.Errorf("some kinds of Konflux are there: got %v; want an error that names what is missing", err)
	}
}

func TestSettings(t *testing.T) {
	environment := func(values map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) { value, ok := values[name]; return value, ok }
	}
	s, err := parse([]string{"-workers=7", "-namespaces=a, b,"}, environment(map[string]string{
		"TESTDAG_WORKERS": "9", "TESTDAG_TIMEOUT": "90m", "TESTDAG_SERVICE_ACCOUNT": "runner", "TESTDAG_PROFILE": "ADR48", "TESTDAG_KEY_OWN": "own.example.com",
	}), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if s.workers != 7 || s.options.Profile.String() != "ADR48" || s.qps != -1 {
		t.Errorf("got %+v", s)
	}
	if diff := cmp.Diff([]string{"a", "b"}, s.within()); diff != "" {
		t.Error(diff)
	}
	if got := string(s.template()) + string(s.timeouts()); got != `{"serviceAccountName":"runner"}{"pipeline":"1h30m0s"}` {
		t.Errorf("got %s", got)
	}
	keys := complete(s.keys, configMaps{}.keys())
	if keys.Own != "own.example.com" || keys.Test != "testdag.dev" {
		t.Errorf("got %+v", keys)
	}
	for _, args := range [][]string{{"x"}, {"-workers=0"}, {"-profile=x"}, {"-skipped=x"}, {"-qps=fast"}, {"-qps=5x"}, {"-qps=NaN"}, {"-nothing"}, {"-timeout=-1h"}, {"-grace=-1s"}, {"-request-timeout=0s"}} {
		if _, err := parse(args, environment(nil), io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	_, err = parse([]string{"-skipped=x", "-workers=0"}, environment(nil), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "-workers") || !strings.Contains(err.Error(), "-skipped") {
		t.Errorf("got %v; want both mistakes", err)
	}
	if _, err := parse(nil, environment(map[string]string{"TESTDAG_GRACE": "soon"}), io.Discard); err == nil || !strings.Contains(err.Error(), "TESTDAG_GRACE") {
		t.Errorf("got %v; want it to name the variable", err)
	}
}

func TestWhatChanges(t *testing.T) {
	c := func(v scheduler.Verdict, explanation string, s konflux.ScenarioStatus) konflux.Conclusion {
		return konflux.Conclusion{Verdict: v, Explanation: explanation, Status: s}
	}
	before, err := konflux.FormatStatuses([]konflux.ScenarioStatus{
		{Scenario: "old", Status: konflux.TestPassed, RunName: "old-1", Updated: time.Unix(1, 0), Completed: time.Unix(1, 0)},
		{Scenario: "live", Status: konflux.InProgress, RunName: "live-1", Updated: time.Unix(1, 0), Started: time.Unix(1, 0)},
		{Scenario: "victim", Status: konflux.Pending, Updated: time.Unix(1, 0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &konflux.Plan{
		Scenarios: []konflux.Conclusion{
			c(scheduler.VerdictPassed, "old#1 passed.", konflux.ScenarioStatus{Scenario: "old", Status: konflux.TestPassed, RunName: "old-1"}),
			c(scheduler.VerdictFailed, "live#1 failed.", konflux.ScenarioStatus{Scenario: "live", Status: konflux.TestFail, RunName: "live-1", Details: "failed: test says FAILURE"}),
			c(scheduler.VerdictCanceled, "victim is canceled because live#1 failed.", konflux.ScenarioStatus{Scenario: "victim", Status: konflux.TestFail}),
			c(scheduler.VerdictRunning, "new#1 is running.", konflux.ScenarioStatus{Scenario: "new", Status: konflux.InProgress, RunName: "new-1"}),
			c(scheduler.VerdictWaiting, "child waits for new#1.", konflux.ScenarioStatus{Scenario: "child", Status: konflux.Pending}),
		},
		Problems: []error{&konflux.UnknownScenarioError{Name: "x", Within: "the label"}},
	}
	want := []news{
		{true, "Failed", "Judge live", "live#1 failed. (test says FAILURE)"},
		{true, "Canceled", "Cancel victim", "victim is canceled because live#1 failed."},
		{false, "Started", "Start new", "new is started as new-1"},
		{true, "Problem", "Decide", `konflux: the label names "x", and there is no IntegrationTestScenario of this name`},
	}
	if diff := cmp.Diff(want, whatChanges(before, p)); diff != "" {
		t.Error(diff)
	}
	// Whoever sees none of it before tells of everything.
	if got := whatChanges("", p); len(got) != len(want)+3 {
		t.Errorf("got %v", got)
	}
}

// A run that is being deleted is let go if its object is, or is another one of the same name; not before.
func TestStrangers(t *testing.T) {
	r := &reconciler{options: konflux.Options{Keys: configMaps{}.keys()}}
	now := metav1.Now()
	run := func(name string, owner types.UID, deleted *metav1.Time, finalizers ...string) pipelineRun {
		return pipelineRun{ObjectMeta: metav1.ObjectMeta{
			Name: name, DeletionTimestamp: deleted, Finalizers: finalizers, OwnerReferences: []metav1.OwnerReference{{UID: owner}},
		}}
	}
	runs := []pipelineRun{
		run("ours", "u1", &now, r.finalizer()), run("older", "u0", &now, r.finalizer()),
		run("lives", "u0", nil, r.finalizer()), run("free", "u0", &now, "other"),
	}
	if diff := cmp.Diff([]string{"older"}, r.strangers(runs, configMap(nil), false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"ours", "older"}, r.strangers(runs, configMap(nil), true)); diff != "" {
		t.Error(diff)
	}
}

func TestRunChanges(t *testing.T) {
	base := func() *pipelineRun {
		return &pipelineRun{Status: pipelinerun.PipelineRunStatus{Conditions: []pipelinerun.Condition{{Type: "Succeeded", Status: "Unknown", Message: "0 of 1"}}}}
	}
	for name, test := range map[string]struct {
		change func(*pipelineRun)
		same   bool
	}{
		"message":   {func(r *pipelineRun) { r.Status.Conditions[0].Message = "1 of 1" }, true},
		"version":   {func(r *pipelineRun) { r.ResourceVersion = "2" }, true},
		"end":       {func(r *pipelineRun) { r.Status.Conditions[0].Status = "True" }, false},
		"start":     {func(r *pipelineRun) { now := time.Now(); r.Status.StartTime = &now }, false},
		"deletion":  {func(r *pipelineRun) { now := metav1.Now(); r.DeletionTimestamp = &now }, false},
		"signature": {func(r *pipelineRun) { r.Annotations = map[string]string{"chains.tekton.dev/signed": "true"} }, false},
		"finalizer": {func(r *pipelineRun) { r.Finalizers = []string{"f"} }, false},
		"cancel":    {func(r *pipelineRun) { r.Spec.Status = "Cancelled" }, false},
	} {
		changed := base()
		test.change(changed)
		if got := sameRun(base(), changed); got != test.same {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
