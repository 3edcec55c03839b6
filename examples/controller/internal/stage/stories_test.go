package stage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/testdag/testdag/scheduler/konflux"
)

const long = time.Hour // that a run takes which somebody ends

// What happens beside the play, each in a namespace of its own with one controller for all.
func TestStories(t *testing.T) {
	s := open(t)
	stories := map[string]func(t *testing.T, ctx context.Context, g *Graph){
		"refused": refused, "canceled": canceled, "deleted": deleted, "gone": gone, "superseded": superseded, "mistake": mistake,
	}
	namespaces := names(t, len(stories))
	start(t, s, "a", "-leader-election=false", "-namespaces="+strings.Join(namespaces, ","))
	t.Run("of", func(t *testing.T) {
		for i, name := range slices.Sorted(maps.Keys(stories)) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx := within(t, 3*time.Minute)
				stories[name](t, ctx, graphFor(t, ctx, s, namespaces[i], name))
			})
		}
	})
}

// graphFor makes a graph in which everything passes, and dast-tests only after a long while.
func graphFor(t *testing.T, ctx context.Context, s *Stage, namespace, story string) *Graph {
	t.Helper()
	if err := s.Namespace(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	if story == "refused" {
		forbid(t, s, namespace)
	}
	g, err := s.graphIn(ctx, namespace, func(g *Graph) error { return g.Let(ctx, "dast-tests", true, long) })
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// until looks until it is as it should be.
func until(t *testing.T, ctx context.Context, g *Graph, what string, as func(*Seen) bool) *Seen {
	t.Helper()
	seen, err := g.Until(ctx, what, as)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// works waits until dast-tests is at work, and returns the name of its run.
func works(t *testing.T, ctx context.Context, g *Graph) string {
	t.Helper()
	seen := until(t, ctx, g, "at work", func(s *Seen) bool {
		return s.Works("dast-tests") && s.Status("operator-scorecard").Status == konflux.TestPassed
	})
	return seen.Status("dast-tests").RunName
}

// said returns what is said of scenarios.
func said(seen *Seen) map[string]string {
	all := map[string]string{}
	for _, s := range seen.Statuses {
		all[s.Scenario] = strings.TrimPrefix(fmt.Sprintf("%s: %s", s.Status, s.Details), "TestPassed: ")
	}
	return all
}

func check(t *testing.T, seen *Seen, outcome string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, said(seen)); diff != "" || seen.Outcome != outcome {
		t.Errorf("outcome %s; want %s; said (-want +got):\n%s", seen.Outcome, outcome, diff)
	}
	for _, run := range seen.Runs {
		if len(run.Finalizers) > 0 {
			t.Errorf("%s is still held by %v", run.Name, run.Finalizers)
		}
	}
}

var (
	policies = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	bindings = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
)

// forbid has a policy deny the runs of dast-tests in a namespace, and returns when it does.
func forbid(t *testing.T, s *Stage, namespace string) {
	t.Helper()
	objects, err := decode(fmt.Appendf(nil, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [tekton.dev], apiVersions: ["*"], operations: [CREATE], resources: [pipelineruns]}
  validations:
  - expression: "!('testdag.dev/scenario' in object.metadata.labels) || object.metadata.labels['testdag.dev/scenario'] != 'dast-tests'"
    message: no dynamic tests on Fridays
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec:
  policyName: %[1]s
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}
`, namespace))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range []schema.GroupVersionResource{policies, bindings} {
		if _, err := s.Client.Resource(r).Create(t.Context(), objects[i], metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the policy denies", func() bool {
		run := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
			"metadata": map[string]any{"name": "try", "labels": map[string]any{"testdag.dev/scenario": "dast-tests"}},
		}}
		_, err := s.Client.Resource(PipelineRuns).Namespace(namespace).Create(t.Context(), run, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsInvalid(err)
	})
}

// A run that a policy denies has failed, and says why; what waits for it is canceled.
func refused(t *testing.T, ctx context.Context, g *Graph) {
	seen := until(t, ctx, g, "over", func(s *Seen) bool { return s.Outcome != "" })
	why := seen.Status("dast-tests").Details
	if !strings.Contains(why, "its PipelineRun was refused: ") || !strings.Contains(why, "denied request: no dynamic") { // it is cut
		t.Errorf("dast-tests: %s", why)
	}
	check(t, seen, "failed", map[string]string{
		"clamav-scan": "passed", "dast-tests": "TestInvalid: " + why, "operator-deployment": "passed", "operator-scorecard": "passed",
		"verify": "TestFail: Canceled: dast-tests#1 failed", "e2e-test": "TestFail: Canceled: dast-tests#1 failed",
	})
}

// A person cancels a run, and with it what waits for it. A rerun by its label goes on from there.
func canceled(t *testing.T, ctx context.Context, g *Graph) {
	g.patchRun(t, works(t, ctx, g), `{"spec":{"status":"CancelledRunFinally"}}`)
	seen := until(t, ctx, g, "over", func(s *Seen) bool { return s.Outcome != "" })
	why := seen.Status("dast-tests").Details
	if !strings.HasPrefix(why, "Canceled: ") {
		t.Errorf("dast-tests: %s", why)
	}
	check(t, seen, "canceled", map[string]string{
		"clamav-scan": "passed", "dast-tests": "TestFail: " + why, "operator-deployment": "passed", "operator-scorecard": "passed",
		"verify": "TestFail: Canceled: dast-tests#1 was canceled", "e2e-test": "TestFail: Canceled: dast-tests#1 was canceled",
	})
	if err := g.Let(ctx, "dast-tests", true, 0); err != nil {
		t.Fatal(err)
	}
	if err := g.Rerun(ctx, "all"); err != nil {
		t.Fatal(err)
	}
	seen = until(t, ctx, g, "passed", func(s *Seen) bool { return s.Outcome == "passed" })
	if len(seen.Runs) != 4+6 {
		t.Errorf("%d PipelineRuns; want 4 and then 6", len(seen.Runs))
	}
}

func (g *Graph) patchRun(t *testing.T, name, patch string) {
	t.Helper()
	runs := g.stage.Client.Resource(PipelineRuns).Namespace(g.Namespace)
	if _, err := runs.Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A run that somebody deletes before it is over counts as canceled, and is let go only when that is kept.
func deleted(t *testing.T, ctx context.Context, g *Graph) {
	name := works(t, ctx, g)
	if err := g.stage.Client.Resource(PipelineRuns).Namespace(g.Namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	seen := until(t, ctx, g, "over", func(s *Seen) bool { return s.Outcome != "" })
	check(t, seen, "canceled", map[string]string{
		"clamav-scan": "passed", "dast-tests": "Deleted: deleted before it was over", "operator-deployment": "passed", "operator-scorecard": "passed",
		"verify": "TestFail: Canceled: dast-tests#1 was canceled", "e2e-test": "TestFail: Canceled: dast-tests#1 was canceled",
	})
	if len(seen.Runs) != 3 {
		t.Errorf("%d PipelineRuns; want 3", len(seen.Runs))
	}
}

// The object is deleted: its runs go with it, and none stays because of its finalizer. The garbage collector, which is
// not part of this cluster, deletes what the object owns; here the test does.
func gone(t *testing.T, ctx context.Context, g *Graph) {
	works(t, ctx, g)
	object, err := g.stage.Client.Resource(g.resource).Namespace(g.Namespace).Get(ctx, g.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.stage.Client.Resource(g.resource).Namespace(g.Namespace).Delete(ctx, g.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	runs := g.stage.Client.Resource(PipelineRuns).Namespace(g.Namespace)
	list, err := runs.List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 4 {
		t.Fatalf("%d PipelineRuns, %v; want 4", len(list.Items), err)
	}
	yes := true
	want := []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: g.Name, UID: object.GetUID(), Controller: &yes}}
	for _, run := range list.Items {
		if diff := cmp.Diff(want, run.GetOwnerReferences()); diff != "" {
			t.Errorf("%s is owned (-want +got):\n%s", run.GetName(), diff)
		}
		if err := runs.Delete(ctx, run.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all runs are gone", func() bool {
		list, err := runs.List(ctx, metav1.ListOptions{})
		return err == nil && len(list.Items) == 0
	})
}

// A newer one takes the place of a graph: what is live is stopped, and nothing starts.
func superseded(t *testing.T, ctx context.Context, g *Graph) {
	works(t, ctx, g)
	patch := []byte(`{"metadata":{"annotations":{"testdag.dev/superseded":"true"}}}`)
	if _, err := g.stage.Client.Resource(g.resource).Namespace(g.Namespace).Patch(ctx, g.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	seen := until(t, ctx, g, "over", func(s *Seen) bool { return s.Outcome != "" })
	if seen.Outcome != "canceled" {
		t.Errorf("outcome %s", seen.Outcome)
	}
	for _, run := range seen.Runs {
		if strings.HasPrefix(run.Name, "dast-tests-1-") && how(run) != "Cancelled, stopped" {
			t.Errorf("dast-tests is %s", how(run))
		}
	}
}

// A graph that cannot be one is told to be so, and nothing is lost: mended, it goes on.
func mistake(t *testing.T, ctx context.Context, g *Graph) {
	works(t, ctx, g)
	events := g.stage.Follow(ctx, g)
	g.setGroup(t, "kind: ComponentGroup\nspec: {testGraph: {verify: [{name: e2e-test, onFail: skip}], e2e-test: [{name: verify, onFail: skip}]}}")
	if err := g.Let(ctx, "dast-tests", true, 0); err != nil { // for the rerun
		t.Fatal(err)
	}
	for problem := ""; !strings.Contains(problem, "cycle"); {
		select {
		case e := <-events:
			if e.Reason == "Problem" {
				problem = e.Note
			}
		case <-ctx.Done():
			t.Fatal(context.Cause(ctx))
		}
	}
	g.setGroup(t, "kind: ComponentGroup\nspec: {testGraph: {e2e-test: [{name: verify, onFail: skip}]}}") // nothing waits for dast-tests
	seen := until(t, ctx, g, "going on", func(s *Seen) bool { return s.Status("e2e-test").Status == konflux.TestPassed })
	if seen.Outcome != "" || seen.Status("dast-tests").Status != konflux.InProgress {
		t.Errorf("outcome %q, dast-tests %s", seen.Outcome, seen.Status("dast-tests").Status)
	}
}

func (g *Graph) setGroup(t *testing.T, text string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"data":{"group.yaml":%q}}`, text)
	if _, err := g.stage.Client.Resource(g.resource).Namespace(g.Namespace).Patch(t.Context(), g.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}
