package stage

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/testdag/testdag/internal/cluster"
	"github.com/testdag/testdag/scheduler/konflux"
)

//go:embed testdata/konflux.sum
var konfluxSum []byte

// definitions are where the modules of Konflux have the kinds that are looked at.
var definitions = map[string][]string{
	"github.com/konflux-ci/application-api@v0.0.0-20260603073049-dd8c9b1a64c2":     {"appstudio.redhat.com_snapshots.yaml"},
	"github.com/konflux-ci/integration-service@v0.0.0-20260116151929-fade912467b4": {"appstudio.redhat.com_integrationtestscenarios.yaml", "appstudio.redhat.com_componentgroups.yaml"},
}

const definitionsVariable = "TESTDAG_KONFLUX_DEFINITIONS"

// fetchDefinitions finds the definitions of Konflux' own kinds, and notes in the environment where they are for the
// isolated program, which has no network.
func fetchDefinitions() (err error) {
	if os.Getenv(definitionsVariable) != "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "testdag-konflux-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module konflux\n\ngo 1.26.0\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "go.sum"), konfluxSum, 0o644),
	); err != nil {
		return err
	}
	var paths []string
	for module, files := range definitions {
		cmd := exec.Command("go", "mod", "download", "-json", module)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("the kinds of Konflux: %w: %s", err, out)
		}
		var found struct{ Dir string }
		if err := json.Unmarshal(out, &found); err != nil {
			return err
		}
		for _, file := range files {
			paths = append(paths, filepath.Join(found.Dir, "config", "crd", "bases", file))
		}
	}
	return os.Setenv(definitionsVariable, strings.Join(paths, string(filepath.ListSeparator)))
}

var (
	snapshots = schema.GroupVersionResource{Group: "appstudio.redhat.com", Version: "v1alpha1", Resource: "snapshots"}
	scenarios = schema.GroupVersionResource{Group: "appstudio.redhat.com", Version: "v1beta2", Resource: "integrationtestscenarios"}
	groups    = schema.GroupVersionResource{Group: "appstudio.redhat.com", Version: "v1beta2", Resource: "componentgroups"}
)

// The same with Konflux' own kinds, as Konflux defines them: the controller finds that they are there.
func TestKonflux(t *testing.T) {
	s, err := Open(t.Context(), cluster.Options{Resolvers: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { logsOf(t, s); _ = s.Close() })
	for path := range strings.SplitSeq(os.Getenv(definitionsVariable), string(filepath.ListSeparator)) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	rights(t, s, "konflux", func(t *testing.T) *Graph { return konfluxGraph(t, s, "testdag") })
	conditions(t, s)
}

// konfluxGraph makes the graph of config/example as a Snapshot, with its group and its scenarios.
func konfluxGraph(t *testing.T, s *Stage, namespace string) *Graph {
	t.Helper()
	ctx := t.Context()
	g := &Graph{s, namespace, "operator", snapshots, konflux.Keys{Test: "test.appstudio.openshift.io", Own: "own.testdag.dev"}}
	if err := g.pipelines(ctx); err != nil {
		t.Fatal(err)
	}
	example, err := Manifests("example/graph.yaml")
	if err != nil {
		t.Fatal(err)
	}
	data, _, err := unstructured.NestedStringMap(example[0].Object, "data")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range parse(t, data["scenarios.yaml"]) {
		set(t, o, map[string]any{"resolver": "cluster", "params": []any{
			param("kind", "pipeline"), param("name", o.GetName()), param("namespace", namespace),
		}}, "spec", "resolverRef")
		set(t, o, "shop", "spec", "application") // newer ones may have componentGroup in its place
		create(t, s, scenarios, namespace, o)
	}
	for _, o := range parse(t, data["group.yaml"]) {
		set(t, o, []any{}, "spec", "components")
		create(t, s, groups, namespace, o)
	}
	snapshot := &unstructured.Unstructured{Object: map[string]any{"kind": "Snapshot", "metadata": map[string]any{"name": g.Name}}}
	set(t, snapshot, "shop", "spec", "application")
	set(t, snapshot, "shop", "spec", "componentGroup")
	create(t, s, snapshots, namespace, snapshot)
	return g
}

func param(name, value string) map[string]any { return map[string]any{"name": name, "value": value} }

func parse(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func set(t *testing.T, o *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(o.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, s *Stage, r schema.GroupVersionResource, namespace string, o *unstructured.Unstructured) {
	t.Helper()
	o.SetAPIVersion(r.GroupVersion().String())
	if _, err := s.Client.Resource(r).Namespace(namespace).Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// conditions checks that the Snapshot says in Konflux' own words that all is over.
func conditions(t *testing.T, s *Stage) {
	t.Helper()
	want := map[string]string{"AppStudioIntegrationStatus": "True Finished", "AppStudioTestSucceeded": "True Passed"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o, err := s.Client.Resource(snapshots).Namespace("testdag").Get(ctx, "operator", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	if err != nil || len(list) != len(want) {
		t.Fatalf("conditions %v, %v", list, err)
	}
	for _, c := range list {
		c := c.(map[string]any)
		if got := fmt.Sprint(c["status"], " ", c["reason"]); got != want[c["type"].(string)] {
			t.Errorf("%s is %s", c["type"], got)
		}
	}
}
