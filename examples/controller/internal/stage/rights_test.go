package stage

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/examples/controller/config"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

const account = "system:serviceaccount:testdag:testdag-controller"

// overlay returns the objects that a folder of config stands for, as kubectl kustomize prints them but for the names of
// images. Every manifest of the folder is named in its kustomization.
func overlay(t *testing.T, folder string) (objects []*unstructured.Unstructured) {
	t.Helper()
	kustomization, err := Manifests(path.Join(folder, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	resources, _, err := unstructured.NestedStringSlice(kustomization[0].Object, "resources")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"kustomization.yaml"}
	for _, resource := range resources {
		if strings.HasPrefix(resource, "../") {
			objects = append(objects, overlay(t, path.Join(folder, resource))...)
			continue
		}
		files = append(files, resource)
		found, err := Manifests(path.Join(folder, resource))
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, found...)
	}
	there, err := config.Files.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range there {
		names = append(names, entry.Name())
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(files))); diff != "" {
		t.Errorf("%s/kustomization.yaml (-files +named):\n%s", folder, diff)
	}
	return objects
}

// An overlay gives the rights for one kind of objects, and has the controller take that kind whatever the cluster has.
func TestOverlaysNameTheKind(t *testing.T) {
	for folder, kind := range map[string]string{"default": "configmap", "konflux": "snapshot"} {
		found, err := Manifests(path.Join(folder, "kustomization.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		patches, _, err := unstructured.NestedSlice(found[0].Object, "patches")
		if err != nil || len(patches) != 1 {
			t.Fatalf("%s: %d patches, %v", folder, len(patches), err)
		}
		patch := patches[0].(map[string]any)["patch"].(string)
		want := "- op: add\n  path: /spec/template/spec/containers/0/args/-\n  value: -kind=" + kind
		if strings.TrimSpace(patch) != want {
			t.Errorf("%s: the patch is %q; want %q", folder, patch, want)
		}
	}
}

// applyAll applies manifests to a real API server, which refuses what it does not know.
func applyAll(t *testing.T, s *Stage, objects []*unstructured.Unstructured) {
	t.Helper()
	var all [][]byte
	for _, o := range objects {
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	if err := s.Apply(t.Context(), slices.Concat(all...)); err != nil {
		t.Fatal(err)
	}
}

// allowed returns what roles allow, in the form in which a proxy notes what is asked for.
func allowed(t *testing.T, objects []*unstructured.Unstructured) []string {
	t.Helper()
	set := map[string]bool{}
	for _, o := range objects {
		if o.GetKind() != "ClusterRole" && o.GetKind() != "Role" {
			continue
		}
		text, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var role rbacv1.ClusterRole
		if err := json.Unmarshal(text, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						set[strings.TrimSpace(group+" "+resource+" "+verb)] = true
					}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// The controller runs as the account of the manifests, bound by their roles. Everything that it asks for is allowed, and
// everything that is allowed it asks for.
func rights(t *testing.T, s *Stage, folder string, play func(t *testing.T) *Graph) {
	ctx := within(t, 5*time.Minute)
	objects := overlay(t, folder)
	applyAll(t, s, objects)
	if err := s.Namespace(ctx, "testdag"); err != nil { // the account of pods
		t.Fatal(err)
	}
	g := play(t)
	t.Cleanup(func() { g.remove(t) })
	give := g.take(t, "clamav-scan")
	p := proxyFor(t, s, account)
	t.Setenv("KUBE_FEATURE_WatchListClient", "false") // list, and then watch, as with an API server that cannot do both in one
	c := start(t, s, "a", "-kubeconfig="+p.kubeconfig, "-namespaces=testdag", "-leader-election-namespace=testdag")
	if err := c.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an event is told again", func() bool { return slices.Contains(p.list(p.requests), "events.k8s.io events patch") })
	give()
	seen, err := g.Play(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(theEnd, endOf(t, seen)); diff != "" {
		t.Errorf("ended otherwise (-want +got):\n%s", diff)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(allowed(t, objects), p.list(p.requests)); diff != "" {
		t.Errorf("-allowed +asked for:\n%s", diff)
	}
	if refused := p.list(p.refused); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
}

// remove removes a graph that is over, and its runs.
func (g *Graph) remove(t *testing.T) {
	ctx := context.Background()
	runs := g.stage.Client.Resource(PipelineRuns).Namespace(g.Namespace)
	if err := errors.Join(
		g.stage.Client.Resource(g.resource).Namespace(g.Namespace).Delete(ctx, g.Name, metav1.DeleteOptions{}),
		runs.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}),
	); err != nil {
		t.Error(err)
	}
}

// take takes the name of the first run of a scenario with another PipelineRun. That is a problem, and stays one until
// the function that is returned deletes it.
func (g *Graph) take(t *testing.T, scenario string) (give func()) {
	t.Helper()
	o, err := g.stage.Client.Resource(g.resource).Namespace(g.Namespace).Get(t.Context(), g.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	meta := pipelinerun.Meta{Name: o.GetName(), UID: string(o.GetUID())}
	name := pipelinerun.RunName(meta, scheduler.Ref{ID: dag.ID(scenario), Run: 1})
	runs := g.stage.Client.Resource(PipelineRuns).Namespace(g.Namespace)
	other := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"pipelineRef": map[string]any{"name": scenario}, "status": "PipelineRunPending"}, // which does nothing
	}}
	if _, err := runs.Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := runs.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx := within(t, time.Minute)
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("it does not come about that %s", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestRights(t *testing.T) {
	s := open(t)
	rights(t, s, "default", func(t *testing.T) *Graph {
		g, err := s.Graph(t.Context(), "testdag")
		if err != nil {
			t.Fatal(err)
		}
		return g
	})
}

// The example is one that the API server takes.
func TestExample(t *testing.T) {
	s := open(t)
	if err := s.Namespace(t.Context(), "testdag"); err != nil {
		t.Fatal(err)
	}
	applyAll(t, s, overlay(t, "example"))
}
