package tekton_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
	"github.com/testdag/testdag/scheduler/tekton"
)

// A world is an API server with a Tekton: it ends PipelineRuns as the name of their pipeline says, soon, and those that are
// to be canceled.
type world struct {
	*apiServer
	events *watcher
}

func newWorld(t *testing.T) *world {
	w := &world{apiServer: newAPIServer(t)}
	w.events = &watcher{server: w.apiServer, resource: pipelineRuns, selector: labels.Everything(), channel: make(chan watch.Event, 10_000)}
	w.watchers = append(w.watchers, w.events)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range w.events.channel {
			if event.Type != watch.Deleted {
				w.reconcile(event.Object.(*unstructured.Unstructured))
			}
		}
	}()
	t.Cleanup(func() {
		w.events.Stop()
		<-done
	})
	return w
}

func (w *world) reconcile(run *unstructured.Unstructured) {
	if isOver(run) {
		return
	}
	pipeline, _, _ := unstructured.NestedString(run.Object, "spec", "pipelineRef", "name")
	status, _, _ := unstructured.NestedString(run.Object, "spec", "status")
	switch {
	case strings.HasPrefix(status, "Cancelled"):
		w.end(run.GetName(), "False", "Cancelled", "")
	case pipeline == "pass":
		w.task(run.GetName(), "test", `{"name":"TEST_OUTPUT","value":"{\"result\":\"SUCCESS\",\"timestamp\":\"1700000000\",\"successes\":1,\"failures\":0,\"warnings\":0}"}`)
		w.end(run.GetName(), "True", "Succeeded", "test")
	case pipeline == "fail":
		w.end(run.GetName(), "False", "Failed", "")
	}
}

func isOver(run *unstructured.Unstructured) bool {
	_, found, _ := unstructured.NestedString(run.Object, "status", "completionTime")
	return found
}

// task adds a TaskRun with results. It has the labels of its PipelineRun.
func (w *world) task(run, name string, results ...string) {
	w.add(taskRuns, fmt.Sprintf(`{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"%s-%s"},"status":{"results":[%s]}}`,
		run, name, strings.Join(results, ",")))
	labels := map[string]string{"tekton.dev/pipelineRun": run}
	if object := w.get(pipelineRuns, run); object != nil {
		maps.Copy(labels, object.GetLabels())
	}
	text, err := json.Marshal(labels)
	if err != nil {
		w.t.Fatal(err)
	}
	w.change(taskRuns, run+"-"+name, fmt.Sprintf(`{"metadata":{"labels":%s}}`, text))
}

// end ends a PipelineRun that has run these tasks.
func (w *world) end(run, status, reason string, tasks ...string) {
	var children []string
	for _, task := range tasks {
		if task != "" {
			children = append(children, fmt.Sprintf(`{"kind":"TaskRun","name":"%s-%s","pipelineTaskName":"%s"}`, run, task, task))
		}
	}
	w.change(pipelineRuns, run, fmt.Sprintf(`{"status":{"completionTime":"%s","childReferences":[%s],
		"conditions":[{"type":"Succeeded","status":"%s","reason":"%s"}]}}`,
		time.Now().UTC().Format(time.RFC3339), strings.Join(children, ","), status, reason))
}

// live returns the PipelineRuns that are not over.
func (w *world) live() (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(w.kept[pipelineRuns])) {
		if !isOver(w.kept[pipelineRuns][name]) {
			names = append(names, name)
		}
	}
	return names
}

// created returns how often a PipelineRun of this name was created.
func (w *world) created(name string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.apiServer.events {
		if e.kind == watch.Added && e.object.GetName() == name {
			n++
		}
	}
	return n
}

func (w *world) client(limits tekton.Limits) *tekton.Client {
	c, err := tekton.NewClient(w.apiServer, "team", limits)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// options are those of a Runner that knows scenarios named as their pipelines.
func options() tekton.Options {
	specs := map[dag.ID]pipelinerun.PipelineRunSpec{}
	for _, id := range []dag.ID{"pass", "fail", "block", "other"} {
		specs[id] = pipelinerun.PipelineRunSpec{PipelineRef: &pipelinerun.ResolverRef{Name: string(id)}}
	}
	return tekton.Options{Scope: "build-1", PipelineRun: tekton.PipelineRuns(specs), Skipped: pipelinerun.SkippedFails}
}

func (w *world) runner(o tekton.Options) *tekton.Runner {
	r, err := tekton.NewRunner(w.t.Context(), w.client(tekton.Limits{}), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func task(id dag.ID, run int) scheduler.Task {
	return scheduler.Task{Ref: scheduler.Ref{ID: id, Run: run}}
}
