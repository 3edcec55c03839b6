package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimVariable); dir != "" {
		fmt.Fprintln(os.Stderr, victim(dir)) // it returns only if something is wrong
		os.Exit(1)
	}
	if !isolated() && !startedIsolated() {
		names, err := etcNames()
		if err != nil {
			log.Fatal(err)
		}
		if err := os.Setenv(etcVariable, strings.Join(names, "/")); err != nil {
			log.Fatal(err)
		}
	}
	Main(m)
}

var (
	pipelineRuns = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"}
	taskRuns     = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "taskruns"}
	pods         = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// A bench is a cluster with a namespace to work in.
type bench struct {
	*Cluster
	t         *testing.T
	namespace string
	client    dynamic.Interface
}

func newBench(t *testing.T, opts Options) *bench {
	t.Helper()
	begin := time.Now()
	c, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %s", time.Since(begin).Round(time.Millisecond))
	b := &bench{Cluster: c, t: t, namespace: "tests"}
	t.Cleanup(b.end)
	if err := c.Namespace(t.Context(), b.namespace); err != nil {
		t.Fatal(err)
	}
	if b.client, err = dynamic.NewForConfig(c.Config()); err != nil {
		t.Fatal(err)
	}
	return b
}

// end tells what a test that failed leaves in the logs, and closes the cluster.
func (b *bench) end() {
	for component, bytes := range b.Memory() {
		b.t.Logf("%s: at most %d MiB", component, bytes>>20)
	}
	if b.t.Failed() {
		logs, _ := filepath.Glob(filepath.Join(b.Dir(), "*.log"))
		for _, path := range logs {
			b.t.Logf("%s:\n%s", path, tail(path))
		}
	}
	begin := time.Now()
	if err := b.Close(); err != nil {
		b.t.Error(err)
	}
	b.t.Logf("closed in %s", time.Since(begin).Round(time.Millisecond))
}

// A task is one of a pipeline: its results, how it ends, and whom it waits for.
type task struct {
	name        string
	after       []string
	annotations map[string]string
	results     []string // that it declares
	params      map[string]string
}

func (k task) spec() map[string]any {
	spec := map[string]any{
		"metadata": map[string]any{"annotations": anyMap(k.annotations)},
		"steps":    []any{map[string]any{"name": "main", "image": "registry.test/tool", "script": "exit 0"}},
	}
	results, params, values := []any{}, []any{}, []any{}
	for _, name := range k.results {
		results = append(results, map[string]any{"name": name})
	}
	for name, value := range k.params {
		params = append(params, map[string]any{"name": name})
		values = append(values, map[string]any{"name": name, "value": value})
	}
	spec["results"], spec["params"] = results, params
	return map[string]any{"name": k.name, "runAfter": anySlice(k.after), "taskSpec": spec, "params": values}
}

func anyMap(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func anySlice(s []string) []any {
	out := []any{}
	for _, v := range s {
		out = append(out, v)
	}
	return out
}

// create creates a PipelineRun of tasks that hands on results.
func (b *bench) create(name string, tasks []task, results map[string]string) {
	b.t.Helper()
	specs, declared := []any{}, []any{}
	for _, k := range tasks {
		specs = append(specs, k.spec())
	}
	for name, value := range results {
		declared = append(declared, map[string]any{"name": name, "value": value})
	}
	run := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"pipelineSpec": map[string]any{"tasks": specs, "results": declared}},
	}}
	if _, err := b.client.Resource(pipelineRuns).Namespace(b.namespace).Create(b.t.Context(), run, metav1.CreateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// until waits until an object is as it should be, and returns it. That the API server is away, or gives old news, is no end.
func (b *bench) until(resource schema.GroupVersionResource, name, what string, as func(*unstructured.Unstructured) bool) *unstructured.Unstructured {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	var last *unstructured.Unstructured
	var problem error
	for {
		o, err := b.client.Resource(resource).Namespace(b.namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && as(o) {
			return o
		}
		last, problem = o, err
		if pause(ctx, 50*time.Millisecond) != nil {
			text, _ := json.MarshalIndent(last, "", "  ")
			b.t.Fatalf("%s %s is not %s: %v\n%s", resource.Resource, name, what, problem, text)
		}
	}
}

// condition returns the status and reason of the condition Succeeded.
func condition(o *unstructured.Unstructured) (status, reason string) {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == "Succeeded" {
			status, _ = c["status"].(string)
			reason, _ = c["reason"].(string)
		}
	}
	return status, reason
}

// ended waits for the end of a PipelineRun and returns its status and reason.
func (b *bench) ended(name string) (string, *unstructured.Unstructured) {
	b.t.Helper()
	o := b.until(pipelineRuns, name, "over", func(o *unstructured.Unstructured) bool {
		status, _ := condition(o)
		return status == "True" || status == "False"
	})
	status, reason := condition(o)
	return status + " " + reason, o
}

// results returns the results of a PipelineRun or of a TaskRun.
func results(o *unstructured.Unstructured) map[string]string {
	found := map[string]string{}
	for _, field := range []string{"results", "taskResults"} {
		list, _, _ := unstructured.NestedSlice(o.Object, "status", field)
		for _, r := range list {
			if r, ok := r.(map[string]any); ok {
				found[r["name"].(string)] = fmt.Sprint(r["value"])
			}
		}
	}
	return found
}

// taskRun returns the name of the TaskRun of a task.
func taskRun(run, task string) string { return run + "-" + task }

func chain(annotations map[string]string) []task {
	build := map[string]string{AnnotationResults: `{"digest":"sha256:1"}`}
	for k, v := range annotations {
		build[k] = v
	}
	return []task{
		{name: "build", annotations: build, results: []string{"digest"}},
		{name: "scan", params: map[string]string{"digest": "$(tasks.build.results.digest)"}},
		{name: "deploy", after: []string{"scan"}, annotations: map[string]string{AnnotationResults: `{"count":3}`}, results: []string{"count"}},
	}
}

func TestRuns(t *testing.T) {
	b := newBench(t, Options{})

	t.Run("passes", func(t *testing.T) {
		b := b.in(t)
		begin := time.Now()
		b.create("passes", chain(nil), map[string]string{"digest": "$(tasks.build.results.digest)", "count": "$(tasks.deploy.results.count)"})
		end, run := b.ended("passes")
		t.Logf("three tasks took %s", time.Since(begin).Round(time.Millisecond))
		if end != "True Succeeded" {
			t.Errorf("ended %s", end)
		}
		if diff := cmp.Diff(map[string]string{"digest": "sha256:1", "count": "3"}, results(run)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("fails", func(t *testing.T) {
		b := b.in(t)
		b.create("fails", chain(map[string]string{AnnotationExitCode: "7"}), nil)
		if end, _ := b.ended("fails"); end != "False Failed" {
			t.Errorf("ended %s", end)
		}
		build := b.until(taskRuns, taskRun("fails", "build"), "there", func(*unstructured.Unstructured) bool { return true })
		steps, _, _ := unstructured.NestedSlice(build.Object, "status", "steps")
		if len(steps) != 1 {
			t.Fatalf("steps %v", steps)
		}
		code, _, _ := unstructured.NestedInt64(steps[0].(map[string]any), "terminated", "exitCode")
		if code != 7 {
			t.Errorf("exit code %d", code)
		}
		b.absent(taskRuns, taskRun("fails", "scan"))
	})

	t.Run("is canceled", func(t *testing.T) {
		b := b.in(t)
		b.create("canceled", chain(map[string]string{AnnotationAfter: "1h"}), nil)
		b.runs("canceled", "build")
		b.cancel("canceled")
		b.vanishes(pods, taskRun("canceled", "build")+"-pod")
	})

	t.Run("says what is wrong with an annotation", func(t *testing.T) {
		b := b.in(t)
		b.create("wrong", chain(map[string]string{AnnotationResults: "digest", AnnotationAfter: "soon"}), nil)
		if end, _ := b.ended("wrong"); end != "False Failed" {
			t.Errorf("ended %s", end)
		}
		pod := b.until(pods, taskRun("wrong", "build")+"-pod", "there", func(*unstructured.Unstructured) bool { return true })
		message, _, _ := unstructured.NestedString(pod.Object, "status", "message")
		if !strings.Contains(message, AnnotationResults) || !strings.Contains(message, AnnotationAfter) {
			t.Errorf("pod says %q", message)
		}
	})

	t.Run("is canceled, and keeps its pod", func(t *testing.T) {
		b := b.in(t)
		if err := b.configure(t.Context(), "tekton-pipelines", "feature-flags", map[string]string{"keep-pod-on-cancel": "true"}); err != nil {
			t.Fatal(err)
		}
		b.create("kept", chain(map[string]string{AnnotationAfter: "1h"}), nil)
		b.runs("kept", "build")
		b.cancel("kept")
		b.until(pods, taskRun("kept", "build")+"-pod", "over", func(o *unstructured.Unstructured) bool {
			phase, _, _ := unstructured.NestedString(o.Object, "status", "phase")
			return phase == string(corev1.PodFailed)
		})
	})
}

// cancel cancels a PipelineRun and waits for its end.
func (b *bench) cancel(name string) {
	b.t.Helper()
	patch := []byte(`{"spec":{"status":"CancelledRunFinally"}}`)
	if _, err := b.client.Resource(pipelineRuns).Namespace(b.namespace).Patch(b.t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		b.t.Fatal(err)
	}
	if end, _ := b.ended(name); end != "False Cancelled" {
		b.t.Errorf("ended %s", end)
	}
}

// in returns the bench for a subtest.
func (b *bench) in(t *testing.T) *bench {
	t.Helper()
	c := *b
	c.t = t
	return &c
}

// runs waits until a task's pod runs.
func (b *bench) runs(run, task string) {
	b.t.Helper()
	b.until(pods, taskRun(run, task)+"-pod", "running", func(o *unstructured.Unstructured) bool {
		phase, _, _ := unstructured.NestedString(o.Object, "status", "phase")
		return phase == string(corev1.PodRunning)
	})
}

// absent checks that an object is not there.
func (b *bench) absent(resource schema.GroupVersionResource, name string) {
	b.t.Helper()
	if _, err := b.client.Resource(resource).Namespace(b.namespace).Get(b.t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		b.t.Errorf("%s %s: %v", resource.Resource, name, err)
	}
}

// vanishes waits until an object is gone.
func (b *bench) vanishes(resource schema.GroupVersionResource, name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := b.client.Resource(resource).Namespace(b.namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			b.t.Fatalf("%s %s is still there: %v", resource.Resource, name, err)
		}
	}
}

func TestKills(t *testing.T) {
	b := newBench(t, Options{})
	for _, components := range [][]Component{{Etcd}, {APIServer}, {Tekton}, {Etcd, APIServer, Tekton}} {
		name := strings.ToLower(fmt.Sprintf("kill-%d-%s", len(components), components[0]))
		t.Run(name, func(t *testing.T) {
			b := b.in(t)
			b.create(name, chain(map[string]string{AnnotationAfter: "3s"}), nil)
			b.runs(name, "build")
			for _, c := range components {
				if err := b.Kill(c); err != nil {
					t.Fatal(err)
				}
			}
			_ = pause(t.Context(), 4*time.Second) // so that the pod ends meanwhile
			begin := time.Now()
			for _, c := range components {
				if err := b.StartAgain(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("started again in %s", time.Since(begin).Round(time.Millisecond))
			begin = time.Now()
			end, run := b.ended(name)
			t.Logf("the run took %s more", time.Since(begin).Round(time.Millisecond))
			if end != "True Succeeded" {
				t.Errorf("ended %s", end)
			}
			children, _, _ := unstructured.NestedSlice(run.Object, "status", "childReferences")
			if len(children) != 3 {
				t.Errorf("children %v", children)
			}
		})
	}
}

// Options.Execute really does something, and knows when it is to stop.
func TestExecute(t *testing.T) {
	var mu sync.Mutex
	var ran []string
	stopped := make(chan string, 1)
	b := newBench(t, Options{Bare: true, Execute: func(ctx context.Context, pod *corev1.Pod) (map[string]string, int) {
		if pod.Name == "long" {
			<-ctx.Done()
			stopped <- pod.Name
			return nil, 0
		}
		mu.Lock()
		defer mu.Unlock()
		ran = append(ran, pod.Name)
		return map[string]string{"name": pod.Name}, 3
	}})
	if err := b.pod("short"); err != nil {
		t.Fatal(err)
	}
	pod := b.until(pods, "short", "over", func(o *unstructured.Unstructured) bool {
		phase, _, _ := unstructured.NestedString(o.Object, "status", "phase")
		return phase == string(corev1.PodFailed)
	})
	var typed corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(pod.Object, &typed); err != nil {
		t.Fatal(err)
	}
	end := typed.Status.ContainerStatuses[0].State.Terminated
	if end.ExitCode != 3 || !strings.Contains(end.Message, `{"key":"name","value":"short","type":1}`) {
		t.Errorf("ended %+v", end)
	}
	if err := b.pod("long"); err != nil {
		t.Fatal(err)
	}
	b.until(pods, "long", "running", func(o *unstructured.Unstructured) bool {
		phase, _, _ := unstructured.NestedString(o.Object, "status", "phase")
		return phase == string(corev1.PodRunning)
	})
	if err := b.client.Resource(pods).Namespace(b.namespace).Delete(t.Context(), "long", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.vanishes(pods, "long")
	<-stopped
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"short"}, ran); diff != "" {
		t.Error(diff)
	}
}

// pod creates a pod with one container.
func (b *bench) pod(name string) error {
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "step-main", "image": "registry.test/tool"}}},
	}}
	_, err := b.client.Resource(pods).Namespace(b.namespace).Create(b.t.Context(), pod, metav1.CreateOptions{})
	return err
}

// The stand-in kubelet must not be what is measured.
func TestManyPods(t *testing.T) {
	b := newBench(t, Options{Bare: true})
	const many = 500
	begin := time.Now()
	var wait sync.WaitGroup
	for i := range many {
		wait.Go(func() {
			if err := b.pod(fmt.Sprintf("pod-%03d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	created := time.Since(begin)
	for {
		list, err := b.client.Resource(pods).Namespace(b.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		over := 0
		for _, o := range list.Items {
			if phase, _, _ := unstructured.NestedString(o.Object, "status", "phase"); phase == string(corev1.PodSucceeded) {
				over++
			}
		}
		if over == many {
			break
		}
		if err := pause(t.Context(), 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d pods: created in %s, all over after %s", many, created.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
}
