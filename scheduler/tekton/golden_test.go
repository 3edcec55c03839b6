package tekton_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
	"github.com/testdag/testdag/scheduler/tekton"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, object *unstructured.Unstructured) {
	t.Helper()
	for _, field := range []string{"uid", "resourceVersion"} {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	got, err := json.MarshalIndent(object.Object, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// Names, labels and annotations outlive a release: other ones would start everything again.
func TestGolden(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		plain := w.runner(options())
		c := start(t, plain, block)
		c.live(t)
		golden(t, "plain.json", w.get(pipelineRuns, plain.Name(block.Ref)))
		c.cancel()
		<-c.end
		golden(t, "stopped.json", withoutStatus(w.get(pipelineRuns, plain.Name(block.Ref))))
	})
	story(t, func(t *testing.T, w *world) {
		yes := true
		o := tekton.Options{
			Scope: "Build 4711 / ü", Skipped: pipelinerun.SkippedPasses, Prefix: "ci.example.com",
			Owner: &pipelinerun.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "graph", UID: "0c5b", Controller: &yes},
			PipelineRun: func(t scheduler.Task) (run pipelinerun.PipelineRun, err error) {
				run.Name, run.Namespace, run.Finalizers = "not", "taken", []string{"not/taken"}
				run.Labels = map[string]string{"kueue.x-k8s.io/queue-name": "tests", "ci.example.com/run": "not taken"}
				run.Annotations = map[string]string{"team": "a", "ci.example.com/scenario": "not taken"}
				err = json.Unmarshal([]byte(`{
					"params": [{"name": "IMAGE", "value": "quay.io/team/app"}, {"name": "LEVELS", "value": ["1", "2"]}],
					"pipelineRef": {"resolver": "git", "params": [{"name": "url", "value": "https://example.com/x.git"}]},
					"taskRunTemplate": {"serviceAccountName": "tests"},
					"timeouts": {"pipeline": "1h0m0s"},
					"workspaces": [{"name": "source", "emptyDir": {}}]}`), &run.Spec)
				return run, err
			},
		}
		r := w.runner(o)
		run := scheduler.Task{
			Ref:    scheduler.Ref{ID: dag.ID("Scan, and \"more\"\xff " + strings.Repeat("long ", 20)), Run: 12},
			Basis:  []scheduler.Ref{{ID: "a,b", Run: 2}, {ID: `"`, Run: 1}},
			Forced: true,
		}
		c := start(t, r, run)
		c.live(t)
		golden(t, "full.json", w.get(pipelineRuns, r.Name(run.Ref)))
		start(t, w.runner(o), run).live(t) // what was written is known again
		w.end(r.Name(run.Ref), "True", "Succeeded")
		c.returns(t, scheduler.PhasePassed, "")
		synctest.Wait()
	})
}

func withoutStatus(object *unstructured.Unstructured) *unstructured.Unstructured {
	unstructured.RemoveNestedField(object.Object, "status")
	return object
}

// Whatever an ID is, its labels are valid, and differ from those of another; so do the scopes'.
func TestLabels(t *testing.T) {
	odd := rapid.OneOf(rapid.String(), rapid.StringMatching(`[-_.A-Za-z0-9]{1,80}`), rapid.SampledFrom([]string{
		"a", "-", "--", ".", "a-", "\xff", "\xfe", "a b", "a/b", "A", strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 65),
		strings.Repeat("é", 40), strings.Repeat("-", 70),
	})).Filter(func(s string) bool { return s != "" })
	rapid.Check(t, func(t *rapid.T) {
		one, other := odd.Draw(t, "one"), odd.Draw(t, "other")
		a, b := tekton.LabelValue(one), tekton.LabelValue(other)
		if problems := validation.IsValidLabelValue(a); a == "" || len(problems) > 0 {
			t.Errorf("%q makes the label %q: %v", one, a, problems)
		}
		if (one == other) != (a == b) {
			t.Errorf("%q and %q make the labels %q and %q", one, other, a, b)
		}
		if len(one) <= 63 && len(validation.IsValidLabelValue(one)) == 0 && a != one {
			t.Errorf("%q is a label, but becomes %q", one, a)
		}
	})
}
