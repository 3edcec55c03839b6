// Package stage sets the stage for the demonstration and for the tests: a cluster with Tekton, the controller as a
// process of its own, and graphs of six scenarios whose pipelines do what they are told.
//
//	stage.Build(ctx)       // before cluster.Isolate
//	s, err := stage.Open(ctx, cluster.Options{})
//	c, err := s.Start("controller", "-leader-election=false")
//	g, err := s.Graph(ctx, "shop")
//	err = g.Play(ctx)
package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/testdag/testdag/examples/controller/config"
	"github.com/testdag/testdag/internal/cluster"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A Stage is a cluster on which the controller runs.
type Stage struct {
	*cluster.Cluster
	Client dynamic.Interface // of the administrator
}

// Open starts a cluster.
func Open(ctx context.Context, o cluster.Options) (*Stage, error) {
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &Stage{c, client}, nil
}

// The resources that are looked at.
var (
	ConfigMaps   = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	Pipelines    = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelines"}
	PipelineRuns = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"}
	TaskRuns     = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "taskruns"}
	Events       = schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}
)

// Manifests returns the objects of manifests of package config.
func Manifests(file string) (objects []*unstructured.Unstructured, err error) {
	text, err := config.Files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if objects, err = decode(text); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return objects, nil
}

// decode returns the objects in a YAML text.
func decode(text []byte) (objects []*unstructured.Unstructured, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var o map[string]any
		switch err := decoder.Decode(&o); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		}
		text, err := json.Marshal(o)
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{} // with numbers as Kubernetes has them
		if err := json.Unmarshal(text, &object.Object); err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

// apply applies an object.
func (s *Stage) apply(ctx context.Context, r schema.GroupVersionResource, o *unstructured.Unstructured) error {
	_, err := s.Client.Resource(r).Namespace(o.GetNamespace()).Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: "stage", Force: true})
	return err
}

// A Graph is one of six scenarios, in a namespace of its own.
type Graph struct {
	stage     *Stage
	Namespace string
	Name      string
	resource  schema.GroupVersionResource // of what holds it
	keys      konflux.Keys
}

// Graph makes the graph of config/example in a namespace, where dast-tests fails and everything else passes.
func (s *Stage) Graph(ctx context.Context, namespace string) (*Graph, error) {
	return s.graphIn(ctx, namespace, func(*Graph) error { return nil })
}

// graphIn makes the graph when its pipelines are prepared.
func (s *Stage) graphIn(ctx context.Context, namespace string, prepare func(*Graph) error) (*Graph, error) {
	if err := s.Namespace(ctx, namespace); err != nil {
		return nil, err
	}
	g := &Graph{s, namespace, "operator", ConfigMaps, konflux.Keys{Test: "testdag.dev", Own: "own.testdag.dev"}}
	if err := errors.Join(g.pipelines(ctx), prepare(g)); err != nil {
		return nil, err
	}
	objects, err := Manifests("example/graph.yaml")
	if err != nil {
		return nil, err
	}
	objects[0].SetNamespace(namespace)
	return g, s.apply(ctx, ConfigMaps, objects[0])
}

// pipelines makes the pipelines as they are at the beginning.
func (g *Graph) pipelines(ctx context.Context) error {
	pipelines, err := Manifests("example/pipelines.yaml")
	if err != nil {
		return err
	}
	for _, p := range pipelines {
		if err := g.Let(ctx, p.GetName(), p.GetName() != "dast-tests", time.Second); err != nil {
			return err
		}
	}
	return nil
}

// Let has the next runs of a scenario pass or not, after a while.
func (g *Graph) Let(ctx context.Context, scenario string, pass bool, after time.Duration) error {
	pipelines, err := Manifests("example/pipelines.yaml")
	if err != nil {
		return err
	}
	for _, p := range pipelines {
		if p.GetName() != scenario {
			continue
		}
		p.SetNamespace(g.Namespace)
		if err := annotate(p, pass, after); err != nil {
			return err
		}
		return g.stage.apply(ctx, Pipelines, p)
	}
	return fmt.Errorf("no pipeline %s", scenario)
}

// annotate tells the stand-in kubelet how the one task of a pipeline ends.
func annotate(pipeline *unstructured.Unstructured, pass bool, after time.Duration) error {
	said := pipelinerun.TestOutput{Result: pipelinerun.ResultSuccess, Time: time.Unix(1767225600, 0), Successes: 1}
	if !pass {
		said = pipelinerun.TestOutput{Result: pipelinerun.ResultFailure, Time: said.Time, Failures: 1}
	}
	output, err := said.Format()
	if err != nil {
		return err
	}
	results, err := json.Marshal(map[string]string{"TEST_OUTPUT": output})
	if err != nil {
		return err
	}
	tasks, _, err := unstructured.NestedSlice(pipeline.Object, "spec", "tasks")
	if err != nil || len(tasks) != 1 {
		return fmt.Errorf("pipeline %s has %d tasks; want 1", pipeline.GetName(), len(tasks))
	}
	err = unstructured.SetNestedStringMap(tasks[0].(map[string]any), map[string]string{
		cluster.AnnotationResults: string(results), cluster.AnnotationAfter: after.String(),
	}, "taskSpec", "metadata", "annotations")
	if err != nil {
		return err
	}
	return unstructured.SetNestedSlice(pipeline.Object, tasks, "spec", "tasks")
}

// Rerun asks for a rerun of a scenario, as kubectl label does.
func (g *Graph) Rerun(ctx context.Context, scenario string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, g.keys.Test+"/run", scenario)
	_, err := g.stage.Client.Resource(g.resource).Namespace(g.Namespace).Patch(ctx, g.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
