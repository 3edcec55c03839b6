package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// call runs the program.
func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, &out, &errs)
	return out.String(), errs.String(), code
}

// golden compares with a file, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
}

func TestPlan(t *testing.T) {
	for name, flags := range map[string][]string{
		"first": nil, "running": nil, "rerun": nil, "newer": {"-keys", "konflux"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"plan", "-now", "2026-11-24T09:00:00Z"}, flags...)
			stdout, stderr, code := call(t, append(args, filepath.Join("testdata", name))...)
			if code != 0 {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			golden(t, name, stdout)
			if others := strings.Contains(stderr, "objects of other kinds, passed over: 1\n"); others != (name == "first") {
				t.Errorf("stderr: %s", stderr)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	stdout, stderr, code := call(t, "validate", "testdata/mistakes")
	if code != 1 || stderr != "" {
		t.Errorf("exit %d: %s", code, stderr)
	}
	golden(t, "mistakes", stdout)

	stdout, stderr, code = call(t, "validate", "testdata/good")
	if code != 0 || stdout != "6 scenarios, 5 edges, no mistakes\n" || stderr != "" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	// Contexts leave nothing out here.
	stdout, _, code = call(t, "validate", "testdata/first")
	if code != 0 || stdout != "5 scenarios, 3 edges, no mistakes\n" {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// write writes files into a folder of their own.
func write(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What cannot be read is told, each mistake with its file, and the exit code is 2.
func TestRefused(t *testing.T) {
	scenario := "kind: IntegrationTestScenario\nmetadata: {name: a}\n"
	for name, tt := range map[string]struct {
		args  []string // but for the folder
		files map[string]string
		want  []string
	}{
		"no file":         {[]string{"plan"}, map[string]string{"notes.txt": ""}, []string{"has no file *.yaml"}},
		"no YAML":         {[]string{"plan"}, map[string]string{"a.yaml": "a: [", "b.json": "{"}, []string{"a.yaml: document 1: ", "b.json: document 1: "}},
		"a key twice":     {[]string{"plan"}, map[string]string{"a.yaml": "kind: X\nkind: Y\n"}, []string{`a.yaml: document 1: `, `"kind" already defined`}},
		"a type":          {[]string{"plan"}, map[string]string{"a.yaml": scenario + "spec: {dependents: a}\n---\nkind: TaskRun\nstatus: 1\n"}, []string{`a.yaml: document 1: IntegrationTestScenario "a": `, `a.yaml: document 2: TaskRun "": `}},
		"no kind":         {[]string{"plan"}, map[string]string{"a.yaml": "metadata: {name: a}\n"}, []string{"it has no kind"}},
		"no object":       {[]string{"plan"}, map[string]string{"a.yaml": "- 1\n"}, []string{"no object of Kubernetes"}},
		"in a list":       {[]string{"plan"}, map[string]string{"a.yaml": "kind: List\nitems: [{}, {kind: X}, {kind: PipelineRun, spec: 1}]\n"}, []string{"items[0]: it has no kind", `items[2]: PipelineRun "": `}},
		"two Snapshots":   {[]string{"plan"}, map[string]string{"a.yaml": "kind: Snapshot\nmetadata: {name: x}\n", "b.yaml": "kind: Snapshot\n"}, []string{"2 objects are a Snapshot: a.yaml: x, b.yaml: without a name; keep one"}},
		"two groups":      {[]string{"validate"}, map[string]string{"a.yaml": "kind: ComponentGroup\n---\nkind: ComponentGroup\n"}, []string{"2 objects are a ComponentGroup"}},
		"a cycle":         {[]string{"plan"}, map[string]string{"a.yaml": scenario + "spec: {dependents: [a]}\n"}, []string{`dag: "a" waits for itself`}},
		"a status":        {[]string{"plan"}, map[string]string{"a.yaml": "kind: Snapshot\nmetadata: {name: x, annotations: {test.appstudio.openshift.io/status: '[{}]'}}\n"}, []string{"status annotation: entry 0: scenario is missing"}},
		"no command":      {nil, nil, []string{"konflux validate [flags] DIR"}},
		"another command": {[]string{"apply"}, nil, []string{"want a command: validate or plan"}},
		"no folder":       {[]string{"plan", "x"}, nil, []string{"want one folder after the flags, not 2"}},
		"flags": {[]string{"plan", "-profile", "x", "-skipped", "y", "-keys", "z", "-now", "noon"}, nil, []string{
			`-profile: unknown "x"; want ADR48 or ComponentGroup`, `-skipped: unknown "y"; want passes or fails`, `-keys: unknown "z"; want appstudio or konflux`, "-now: "}},
		"a prefix":     {[]string{"plan", "-own", "No Prefix"}, map[string]string{"a.yaml": scenario}, []string{`Keys.Own: "No Prefix" is not a prefix of labels`}},
		"unknown flag": {[]string{"plan", "-x"}, nil, []string{"flag provided but not defined: -x"}},
		"help":         {[]string{"-h"}, nil, []string{"Both exit with 2 if they cannot tell."}},
	} {
		t.Run(name, func(t *testing.T) {
			args := tt.args
			if len(args) > 0 {
				args = append(args, write(t, tt.files))
			}
			stdout, stderr, code := call(t, args...)
			if code != 2 || stdout != "" {
				t.Errorf("exit %d, %s", code, stdout)
			}
			for _, want := range tt.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("got %s; want %s", stderr, want)
				}
			}
		})
	}
	if _, stderr, code := call(t, "plan", "testdata/none"); code != 2 || !strings.Contains(stderr, "testdata/none") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var errs bytes.Buffer
	if code := run(ctx, []string{"plan", "testdata/first"}, &errs, &errs); code != 2 || !strings.Contains(errs.String(), "context canceled") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}

// Flags do what they say.
func TestFlags(t *testing.T) {
	output := func(result string) map[string]string {
		return map[string]string{"a.yaml": `
kind: List
items:
- {kind: IntegrationTestScenario, metadata: {name: a}}
- {kind: IntegrationTestScenario, metadata: {name: b}}
- {kind: ComponentGroup, spec: {testGraph: {b: [{name: a}]}}}
- {kind: Snapshot, metadata: {name: s, annotations: {test.appstudio.openshift.io/status: '[{"scenario":"a","status":"InProgress","lastUpdateTime":"2026-11-24T08:00:00Z","testPipelineRunName":"a-x"}]'}}}
- kind: PipelineRun
  metadata: {name: a-x, labels: {test.appstudio.openshift.io/scenario: a, appstudio.openshift.io/snapshot: s}}
  status: {completionTime: "2026-11-24T08:59:00Z", conditions: [{type: Succeeded, status: "True"}], childReferences: [{name: t}]}
- {kind: TaskRun, metadata: {name: t}, status: {results: [{name: TEST_OUTPUT, value: '{"result":"` + result + `","timestamp":"1795509890","successes":0,"failures":0,"warnings":0}'}]}}
`}
	}
	for name, tt := range map[string]struct {
		flags  []string
		result string
		want   string
	}{
		"skipped passes":   {nil, "SKIPPED", "passed   a "},
		"skipped fails":    {[]string{"-skipped", "fails"}, "SKIPPED", "failed   a "},
		"run all the same": {nil, "FAILURE", "create b-1-"},
		"the record":       {[]string{"-profile", "ADR48"}, "FAILURE", "canceled  b "},
		"signed":           {[]string{"-signed"}, "SUCCESS", "look again at 2026-11-24T09:04:00Z"},
		"own":              {[]string{"-own", "ci.example.org"}, "SUCCESS", "ci.example.org/state: "},
	} {
		args := append(append([]string{"plan", "-now", "2026-11-24T09:00:00Z"}, tt.flags...), write(t, output(tt.result)))
		stdout, stderr, code := call(t, args...)
		if code != 0 || !strings.Contains(stdout, tt.want) {
			t.Errorf("%s: exit %d, %s%s", name, code, stdout, stderr)
		}
	}
	superseded := write(t, map[string]string{"a.yml": "kind: IntegrationTestScenario\nmetadata: {name: a}\n---\nkind: Snapshot\nmetadata: {name: s}\nstatus: {conditions: [{type: AppStudioIntegrationStatus, status: \"True\", reason: Canceled}]}\n"})
	if stdout, _, _ := call(t, "plan", superseded); !strings.Contains(stdout, "Canceled: a newer Snapshot took the place of this one") {
		t.Errorf("superseded: %s", stdout)
	}
	empty := write(t, map[string]string{"a.yaml": "kind: Secret\n---\n"})
	if stdout, stderr, code := call(t, "plan", empty); code != 0 || !strings.Contains(stdout, "nothing to do") || !strings.Contains(stderr, "passed over: 1\n") {
		t.Errorf("nothing: exit %d, %s%s", code, stdout, stderr)
	}
}

// A namespace holds the scenarios of many applications. Those of others are none of the Snapshot.
func TestOtherApplications(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": `
kind: List
items:
- {kind: IntegrationTestScenario, metadata: {name: mine}, spec: {application: shop}}
- {kind: IntegrationTestScenario, metadata: {name: anyones}}
- {kind: IntegrationTestScenario, metadata: {name: theirs}, spec: {application: bank}}
- {kind: IntegrationTestScenario, metadata: {name: group-of-theirs}, spec: {componentGroup: bank}}
- {kind: Snapshot, metadata: {name: s}, spec: {application: shop}}
`})
	stdout, stderr, code := call(t, "plan", "-now", "2026-11-24T09:00:00Z", dir)
	if code != 0 || !strings.Contains(stdout, "Graph: 2 scenarios") || strings.Contains(stdout, "theirs") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if stderr != "konflux: scenarios of other applications, passed over: 2\n" {
		t.Errorf("stderr: %s", stderr)
	}
}
