package tekton_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
	"github.com/testdag/testdag/scheduler/tekton"
)

// someRun is a PipelineRun as a plan has it.
func someRun(name string) pipelinerun.PipelineRun {
	return pipelinerun.PipelineRun{
		Meta: pipelinerun.Meta{Name: name, Namespace: "team", Finalizers: []string{"test.example.com/pipelinerun"},
			Labels: map[string]string{"test.example.com/scenario": "scan"}, Annotations: map[string]string{"own.example.com/basis": "build#1"}},
		Spec: pipelinerun.PipelineRunSpec{PipelineRef: &pipelinerun.ResolverRef{Name: "block"}},
	}
}

func bare(t *testing.T) (*world, *tekton.Client) {
	w := &world{apiServer: newAPIServer(t)}
	return w, w.client(tekton.Limits{})
}

// Each request may be made twice.
func TestTwice(t *testing.T) {
	w, c := bare(t)
	ctx := t.Context()
	cancel := pipelinerun.Cancellation{Name: "a", Annotations: map[string]string{"own.example.com/stopped": "true"}}
	for i := range 2 {
		if err := c.Create(ctx, someRun("a")); err != nil {
			t.Errorf("create, time %d: %v", i+1, err)
		}
	}
	isMade(t, w, "create pipelineruns a", "create pipelineruns a", "get pipelineruns a")
	for i := range 2 {
		if err := c.Cancel(ctx, cancel); err != nil {
			t.Errorf("cancel, time %d: %v", i+1, err)
		}
	}
	isMade(t, w, "get pipelineruns a", "patch pipelineruns a", "get pipelineruns a")
	w.delete(pipelineRuns, "a")
	for i := range 2 {
		if err := c.Release(ctx, "a", "test.example.com/pipelinerun"); err != nil {
			t.Errorf("release, time %d: %v", i+1, err)
		}
	}
	isMade(t, w, "get pipelineruns a", "patch pipelineruns a", "get pipelineruns a")
	if w.get(pipelineRuns, "a") != nil {
		t.Error("it is still there")
	}
	if err := c.Cancel(ctx, cancel); err != nil {
		t.Errorf("cancel of what is gone: %v", err)
	}
}

// An annotation that somebody changed is not the run's any more; one that is missing, as on a run that was created before it
// was to be stopped, tells nothing.
func TestSameRun(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*pipelinerun.PipelineRun)
		taken  string
	}{
		"more annotations": {func(r *pipelinerun.PipelineRun) { r.Annotations["own.example.com/stopped"] = "true" }, ""},
		"another spec":     {func(r *pipelinerun.PipelineRun) { r.Spec.Status = "Cancelled" }, ""},
		"another basis": {func(r *pipelinerun.PipelineRun) { r.Annotations["own.example.com/basis"] = "build#2" },
			`its annotation own.example.com/basis is "build#1", not "build#2"`},
		"another label": {func(r *pipelinerun.PipelineRun) { r.Labels["test.example.com/scenario"] = "lint" },
			`its label test.example.com/scenario is "scan", not "lint"`},
		"more labels": {func(r *pipelinerun.PipelineRun) { r.Labels["test.example.com/empty"] = "" },
			`its label test.example.com/empty is "", not ""`},
		"an owner": {func(r *pipelinerun.PipelineRun) {
			r.OwnerReferences = []pipelinerun.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "graph", UID: "4711"}}
		}, "it is not owned by ConfigMap graph (4711)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := bare(t)
			if err := c.Create(t.Context(), someRun("a")); err != nil {
				t.Fatal(err)
			}
			run := someRun("a")
			test.change(&run)
			err := c.Create(t.Context(), run)
			var taken *tekton.TakenError
			if test.taken == "" && err != nil || test.taken != "" && (!errors.As(err, &taken) || taken.Problem != test.taken) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A cancellation leaves what is over or ending as it is, says all in one write, and leaves other annotations alone.
func TestCancel(t *testing.T) {
	for name, test := range map[string]struct {
		there  func(*world)
		cancel pipelinerun.Cancellation
		status string
		marked bool
	}{
		"live":                {func(*world) {}, pipelinerun.Cancellation{}, "CancelledRunFinally", true},
		"by another status":   {func(*world) {}, pipelinerun.Cancellation{Status: "Cancelled"}, "Cancelled", true},
		"over":                {func(w *world) { w.end("a", "True", "Succeeded") }, pipelinerun.Cancellation{}, "", false},
		"canceled by someone": {func(w *world) { w.change(pipelineRuns, "a", `{"spec":{"status":"StoppedRunFinally"}}`) }, pipelinerun.Cancellation{}, "StoppedRunFinally", false},
		"deleted and held":    {func(w *world) { w.delete(pipelineRuns, "a") }, pipelinerun.Cancellation{}, "CancelledRunFinally", true},
	} {
		t.Run(name, func(t *testing.T) {
			w, c := bare(t)
			if err := c.Create(t.Context(), someRun("a")); err != nil {
				t.Fatal(err)
			}
			test.there(w)
			test.cancel.Name, test.cancel.Annotations = "a", map[string]string{"own.example.com/stopped": "true"}
			if err := c.Cancel(t.Context(), test.cancel); err != nil {
				t.Error(err)
			}
			run := w.get(pipelineRuns, "a")
			status, _, _ := unstructured.NestedString(run.Object, "spec", "status")
			_, marked := run.GetAnnotations()["own.example.com/stopped"]
			if status != test.status || marked != test.marked || run.GetAnnotations()["own.example.com/basis"] != "build#1" {
				t.Errorf("status %q, annotations %v", status, run.GetAnnotations())
			}
		})
	}
	t.Run("without annotations", func(t *testing.T) {
		w, c := bare(t)
		if err := errors.Join(c.Create(t.Context(), someRun("a")), c.Cancel(t.Context(), pipelinerun.Cancellation{Name: "a"})); err != nil {
			t.Error(err)
		}
		if run := w.get(pipelineRuns, "a"); run.GetAnnotations()["own.example.com/basis"] != "build#1" {
			t.Errorf("annotations are %v", run.GetAnnotations())
		}
	})
}

// Somebody writes between what is read and what is written.
func TestConflicts(t *testing.T) {
	busy := func(w *world, times int) {
		w.fail(func(verb string, _ schema.GroupVersionResource, name string) error {
			if verb == "patch" && times > 0 {
				times--
				w.change(pipelineRuns, name, fmt.Sprintf(`{"metadata":{"finalizers":["chains.tekton.dev/%d","test.example.com/pipelinerun"]}}`, times))
			}
			return nil
		})
	}
	w, c := bare(t)
	if err := c.Create(t.Context(), someRun("a")); err != nil {
		t.Fatal(err)
	}
	busy(w, 3)
	if err := c.Release(t.Context(), "a", "test.example.com/pipelinerun"); err != nil {
		t.Error(err)
	}
	if got := w.get(pipelineRuns, "a").GetFinalizers(); !slices.Equal(got, []string{"chains.tekton.dev/0"}) {
		t.Errorf("finalizers are %q", got)
	}
	busy(w, 1000)
	w.made()
	if err := c.Cancel(t.Context(), pipelinerun.Cancellation{Name: "a"}); !apierrors.IsConflict(err) || !tekton.Retryable(err) {
		t.Errorf("got %v", err)
	}
	if n := len(w.made()); n != 10 {
		t.Errorf("%d requests", n)
	}
}

// What is deleted between what is read and what is written is gone also if another one has its name then, which is left
// alone.
func TestAnotherOfTheName(t *testing.T) {
	w, c := bare(t)
	if err := c.Create(t.Context(), someRun("a")); err != nil {
		t.Fatal(err)
	}
	once := true
	w.fail(func(verb string, _ schema.GroupVersionResource, name string) error {
		if verb == "patch" && once {
			once = false
			w.change(pipelineRuns, name, `{"metadata":{"finalizers":null}}`)
			w.delete(pipelineRuns, name)
			return c.Create(t.Context(), someRun("a"))
		}
		return nil
	})
	if err := c.Cancel(t.Context(), pipelinerun.Cancellation{Name: "a", Annotations: map[string]string{"stopped": "true"}}); err != nil {
		t.Error(err)
	}
	if run := w.get(pipelineRuns, "a"); run.GetAnnotations()["stopped"] != "" {
		t.Errorf("a stranger was canceled: %v", run.GetAnnotations())
	}
}

// What is deleted between what is read and what is written is gone; what lacks nothing is not written.
func TestGone(t *testing.T) {
	w, c := bare(t)
	w.fail(func(verb string, _ schema.GroupVersionResource, name string) error {
		if verb == "patch" {
			w.change(pipelineRuns, name, `{"metadata":{"finalizers":null}}`)
			w.delete(pipelineRuns, name)
		}
		return nil
	})
	for name, request := range map[string]func() error{
		"cancel":  func() error { return c.Cancel(t.Context(), pipelinerun.Cancellation{Name: "cancel"}) },
		"release": func() error { return c.Release(t.Context(), "release", "test.example.com/pipelinerun") },
	} {
		if err := c.Create(t.Context(), someRun(name)); err != nil {
			t.Fatal(err)
		}
		w.made()
		if err := request(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		isMade(t, w, "get pipelineruns "+name, "patch pipelineruns "+name)
	}
	if err := errors.Join(c.Create(t.Context(), someRun("a")), c.Release(t.Context(), "a", "another.example.com/pipelinerun")); err != nil {
		t.Error(err)
	}
	isMade(t, w, "create pipelineruns a", "get pipelineruns a")
}

// Tekton's webhook lets nobody change what is over: if that was not known, it is looked at again, and is no error.
func TestRefusedChange(t *testing.T) {
	w, c := bare(t)
	if err := c.Create(t.Context(), someRun("a")); err != nil {
		t.Fatal(err)
	}
	over := webhook(400, "")
	first := true
	w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
		if verb != "patch" {
			return nil
		}
		if first {
			w.end("a", "True", "Succeeded")
		}
		return over
	})
	if err := c.Cancel(t.Context(), pipelinerun.Cancellation{Name: "a"}); err != nil {
		t.Error(err)
	}
	first = false
	if err := c.Create(t.Context(), someRun("b")); err != nil {
		t.Fatal(err)
	}
	w.made()
	var refused *tekton.RefusedError
	if err := c.Cancel(t.Context(), pipelinerun.Cancellation{Name: "b"}); !errors.As(err, &refused) || refused.Name != "b" {
		t.Errorf("got %v", err)
	}
	if n := len(w.made()); n != 4 {
		t.Errorf("%d requests for what is refused", n)
	}
}

// All pages are read, of what is selected; a list that expired half way begins anew; too much is an error.
func TestRuns(t *testing.T) {
	w, _ := bare(t)
	c := w.client(tekton.Limits{Page: 3, Objects: 10})
	for i := range 10 {
		run := someRun(fmt.Sprintf("run-%d", i))
		if err := c.Create(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		w.task(run.Name, "scan", output("SUCCESS"))
	}
	w.add(pipelineRuns, `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"a-stranger"}}`)
	w.made()
	expired, lists := 2, 0
	w.fail(func(verb string, r schema.GroupVersionResource, _ string) error {
		if lists++; verb == "list" && lists%3 == 0 && expired > 0 {
			expired--
			return apierrors.NewResourceExpired("the continue token is too old")
		}
		return nil
	})
	runs, tasks, err := c.Runs(t.Context(), "test.example.com/scenario=scan")
	if err != nil || len(runs) != 10 || runs[9].Name != "run-9" || runs[9].Annotations["own.example.com/basis"] != "build#1" || len(tasks) != 10 {
		t.Errorf("got %d PipelineRuns, %d TaskRuns, %v", len(runs), len(tasks), err)
	}
	isMade(t, w, slices.Concat(
		slices.Repeat([]string{"list pipelineruns test.example.com/scenario=scan"}, 3+3+4), // of which two expired
		slices.Repeat([]string{"list taskruns test.example.com/scenario=scan"}, 4))...)
	w.fail(nil)
	if _, _, err := c.Runs(t.Context(), ""); !cmp.Equal(err, &tekton.LimitError{What: "pipelineruns", Limit: 10}) {
		t.Errorf("got %v", err)
	}
	runs, tasks, err = w.client(tekton.Limits{}).Runs(t.Context(), "")
	if err != nil || len(runs) != 11 || len(tasks) != 10 || len(tasks[3].Status.Results) != 1 {
		t.Errorf("got %d PipelineRuns, %d TaskRuns, %v", len(runs), len(tasks), err)
	}
	w.fail(func(verb string, r schema.GroupVersionResource, _ string) error {
		return apierrors.NewResourceExpired("the continue token is too old")
	})
	w.made()
	if _, _, err := c.Runs(t.Context(), ""); !apierrors.IsResourceExpired(err) || !tekton.Retryable(err) {
		t.Errorf("got %v", err)
	}
	if n := len(w.made()); n != 3 {
		t.Errorf("a list that always expires was begun %d times", n)
	}
}

// snapshotWorld has a Snapshot.
func snapshotWorld(t *testing.T) (*world, *tekton.Client, tekton.Object) {
	w, c := bare(t)
	w.add(snapshots, `{"apiVersion":"appstudio.redhat.com/v1alpha1","kind":"Snapshot","metadata":{"name":"app-1","uid":"7e1f",
		"labels":{"test.appstudio.openshift.io/run":"all","keep":"1"},"annotations":{"old":"x","keep":"1"}},"spec":{"application":"app"}}`)
	return w, c, tekton.Object{Resource: snapshots, Name: "app-1", ResourceVersion: w.get(snapshots, "app-1").GetResourceVersion()}
}

// A plan is carried out in its order. What cannot be done keeps nothing else from being done.
func TestCarryOut(t *testing.T) {
	w, c, object := snapshotWorld(t)
	for _, name := range []string{"live", "live-too", "over", "over-too"} {
		if err := c.Create(t.Context(), someRun(name)); err != nil {
			t.Fatal(err)
		}
	}
	quota := forbidden("exceeded quota: runs")
	broken := errors.New("connection reset")
	w.fail(func(verb string, _ schema.GroupVersionResource, name string) error {
		switch verb + " " + name {
		case "create invalid":
			return webhook(400, "")
		case "create too-many":
			return quota
		case "get live", "get over":
			return broken
		}
		return nil
	})
	w.made()
	plan := pipelinerun.Changes{
		Update: pipelinerun.Update{Annotations: map[string]string{"state": "v1"}, RemoveAnnotations: []string{"old"}, RemoveLabels: []string{"test.appstudio.openshift.io/run"}},
		Create: []pipelinerun.PipelineRun{someRun("invalid"), someRun("too-many"), someRun("new")},
		Cancel: []pipelinerun.Cancellation{{Name: "live"}, {Name: "live-too"}}, Release: []string{"over", "over-too"}, Finalizers: []string{"test.example.com/pipelinerun"},
	}
	refused, err := c.CarryOut(t.Context(), object, plan)
	if diff := cmp.Diff(map[string]string{"invalid": webhook(400, "").Error()}, refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if !errors.Is(err, quota) || !errors.Is(err, broken) || strings.Count(err.Error(), "\n") != 2 || !tekton.Retryable(err) {
		t.Errorf("got %v", err)
	}
	isMade(t, w, "patch snapshots app-1", "create pipelineruns invalid", "create pipelineruns too-many", "create pipelineruns new",
		"get pipelineruns live", "get pipelineruns live-too", "patch pipelineruns live-too",
		"get pipelineruns over", "get pipelineruns over-too", "patch pipelineruns over-too")
	meta := w.get(snapshots, "app-1")
	want := []map[string]string{{"keep": "1"}, {"keep": "1", "state": "v1"}}
	if diff := cmp.Diff(want, []map[string]string{meta.GetLabels(), meta.GetAnnotations()}); diff != "" {
		t.Errorf("labels and annotations (-want +got):\n%s", diff)
	}
}

// A plan that is out of date is not carried out, and neither is one whose state cannot be written.
func TestCarryOutNothing(t *testing.T) {
	plan := pipelinerun.Changes{Create: []pipelinerun.PipelineRun{someRun("a")}, Cancel: []pipelinerun.Cancellation{{Name: "b"}}, Release: []string{"c"}}
	t.Run("changed", func(t *testing.T) {
		w, c, object := snapshotWorld(t)
		w.change(snapshots, "app-1", `{"metadata":{"annotations":{"other":"1"}}}`)
		_, err := c.CarryOut(t.Context(), object, plan)
		var conflict *tekton.ConflictError
		if !errors.As(err, &conflict) || conflict.Object != object || !apierrors.IsConflict(err) || !tekton.Retryable(err) {
			t.Errorf("got %v", err)
		}
		isMade(t, w, "patch snapshots app-1")
	})
	t.Run("gone", func(t *testing.T) {
		w, c, object := snapshotWorld(t)
		w.delete(snapshots, "app-1")
		if _, err := c.CarryOut(t.Context(), object, plan); !apierrors.IsNotFound(err) {
			t.Errorf("got %v", err)
		}
		isMade(t, w, "patch snapshots app-1")
	})
	t.Run("without a version", func(t *testing.T) {
		w, c, object := snapshotWorld(t)
		object.ResourceVersion = ""
		if _, err := c.CarryOut(t.Context(), object, plan); !cmp.Equal(err, error(&tekton.OptionError{Option: "Object.ResourceVersion", Problem: "is empty; give the one that was read"})) {
			t.Errorf("got %v", err)
		}
		isMade(t, w)
	})
	t.Run("nothing to do", func(t *testing.T) {
		w, c, object := snapshotWorld(t)
		if refused, err := c.CarryOut(t.Context(), object, pipelinerun.Changes{}); err != nil || refused != nil {
			t.Errorf("got %v, %v", refused, err)
		}
		isMade(t, w)
	})
	t.Run("only to release", func(t *testing.T) {
		w, c, object := snapshotWorld(t)
		if _, err := c.CarryOut(t.Context(), object, pipelinerun.Changes{Release: []string{"c"}}); err != nil {
			t.Error(err)
		}
		isMade(t, w, "get pipelineruns c")
	})
}

// A controller that dies at each of its requests comes to the same end as one that lives, and creates each run once.
func TestController(t *testing.T) {
	for dies := range 40 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.add(snapshots, `{"apiVersion":"appstudio.redhat.com/v1alpha1","kind":"Snapshot","metadata":{"name":"app-1","uid":"7e1f",
				"labels":{"test.appstudio.openshift.io/type":"component"}},"spec":{"application":"app"}}`)
			requests := 0
			w.fail(func(verb string, r schema.GroupVersionResource, _ string) error {
				if requests++; requests == dies {
					return errors.New("killed before")
				}
				return nil
			})
			w.after = func(string, schema.GroupVersionResource, string) error {
				if requests == dies+20 {
					return errors.New("killed after")
				}
				return nil
			}
			plan := reconcile(t, w)
			if plan.Outcome != scheduler.OutcomeFailed || len(w.live()) > 0 {
				t.Errorf("died at %d: the outcome is %s; there is %q", dies, plan.Outcome, w.live())
			}
			for id, want := range map[dag.ID]int{"pass": 1, "fail": 1, "last": 0} {
				name := pipelinerun.RunName(pipelinerun.Meta{Name: "app-1", UID: "7e1f"}, scheduler.Ref{ID: id, Run: 1})
				if n := w.created(name); n != want {
					t.Errorf("died at %d: %s was created %d times", dies, name, n)
				}
			}
			for _, run := range w.kept[pipelineRuns] {
				if len(run.GetFinalizers()) > 0 {
					t.Errorf("died at %d: %s is held by %q", dies, run.GetName(), run.GetFinalizers())
				}
			}
			if dies == 0 && requests > 25 {
				t.Errorf("%d requests for two runs", requests)
			}
		})
	}
}

// reconcile decides and acts until all is done, whatever goes wrong. The last scenario waits for the one that fails.
func reconcile(t *testing.T, w *world) *konflux.Plan {
	c := w.client(tekton.Limits{})
	o := konflux.Options{
		Keys: konflux.Keys{Test: "test.appstudio.openshift.io", Pipelines: "pipelines.appstudio.openshift.io",
			Resource: "appstudio.openshift.io", PAC: "pac.test.appstudio.openshift.io", Own: "testdag.example.com"},
		Profile: dag.ADR48, Skipped: pipelinerun.SkippedPasses,
	}
	in := konflux.Objects{Group: &konflux.ComponentGroup{}}
	in.Group.Spec.TestGraph = map[string][]konflux.TestGraphNode{"fail": {{Name: "pass"}}, "last": {{Name: "fail"}}}
	for _, name := range []string{"pass", "fail", "last"} {
		s := konflux.IntegrationTestScenario{Meta: pipelinerun.Meta{Name: name}}
		s.Spec.ResolverRef.Name = name
		in.Scenarios = append(in.Scenarios, s)
	}
	for range 100 {
		synctest.Wait()
		object := w.get(snapshots, "app-1")
		text, err := json.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		in.Snapshot = konflux.Snapshot{}
		if err := json.Unmarshal(text, &in.Snapshot); err != nil {
			t.Fatal(err)
		}
		if in.PipelineRuns, in.TaskRuns, err = c.Runs(t.Context(), "appstudio.openshift.io/snapshot=app-1"); err != nil {
			continue
		}
		plan, err := konflux.Next(in, o, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if plan.Done() {
			return plan
		}
		in.Refused, _ = c.CarryOut(t.Context(), tekton.Object{Resource: snapshots, Name: "app-1", ResourceVersion: object.GetResourceVersion()}, plan.Changes)
	}
	t.Fatalf("it does not come to an end; there is %q; the last requests were %q", w.live(), w.requests[max(0, len(w.requests)-12):])
	return nil
}
