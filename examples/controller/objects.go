package main

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// An object is what the controller looks at of an object of Kubernetes: the form is that of package konflux, so that
// nothing needs to be converted, and the cache holds nothing else. Objects of the cache are shared and never changed.
type object[Spec, Status any] struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              Spec   `json:"spec"`
	Status            Status `json:"status"`
}

// A list is a list of objects.
type list[Spec, Status any] struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []object[Spec, Status] `json:"items"`
}

type (
	conditioned struct {
		Conditions []pipelinerun.Condition `json:"conditions,omitempty"`
	}
	concluded struct {
		Conditions []metav1.Condition `json:"conditions,omitempty"`
	}
	testGraph struct {
		TestGraph map[string][]konflux.TestGraphNode `json:"testGraph,omitempty"`
	}
	taskStatus struct {
		Conditions []pipelinerun.Condition     `json:"conditions,omitempty"`
		Results    []pipelinerun.TaskRunResult `json:"results,omitempty"`
	}

	pipelineRun     = object[pipelinerun.PipelineRunSpec, pipelinerun.PipelineRunStatus]
	pipelineRunList = list[pipelinerun.PipelineRunSpec, pipelinerun.PipelineRunStatus]
	taskRun         = object[struct{}, taskStatus]
	taskRunList     = list[struct{}, taskStatus]
	scenario        = object[konflux.IntegrationTestScenarioSpec, conditioned]
	scenarioList    = list[konflux.IntegrationTestScenarioSpec, conditioned]
	group           = object[testGraph, struct{}]
	groupList       = list[testGraph, struct{}]
	snapshot        = object[json.RawMessage, concluded]
	snapshotList    = list[json.RawMessage, concluded]
)

// DeepCopyObject copies the metadata. What an object says and is is shared: nobody writes into it.
func (o *object[Spec, Status]) DeepCopyObject() runtime.Object {
	c := *o
	c.ObjectMeta = *o.ObjectMeta.DeepCopy()
	return &c
}

// DeepCopyObject copies the list and the metadata of its objects.
func (l *list[Spec, Status]) DeepCopyObject() runtime.Object {
	c := *l
	c.ListMeta = *l.ListMeta.DeepCopy()
	c.Items = make([]object[Spec, Status], len(l.Items))
	for i := range l.Items {
		c.Items[i] = *l.Items[i].DeepCopyObject().(*object[Spec, Status])
	}
	return &c
}

var (
	tektonVersion   = schema.GroupVersion{Group: "tekton.dev", Version: "v1"}
	snapshotVersion = schema.GroupVersion{Group: "appstudio.redhat.com", Version: "v1alpha1"}
	scenarioVersion = schema.GroupVersion{Group: "appstudio.redhat.com", Version: "v1beta2"}
)

// addKinds tells a scheme which object is of which kind.
func addKinds(s *runtime.Scheme) {
	for _, k := range []struct {
		version schema.GroupVersion
		kind    string
		one     runtime.Object
		many    runtime.Object
	}{
		{tektonVersion, "PipelineRun", &pipelineRun{}, &pipelineRunList{}},
		{tektonVersion, "TaskRun", &taskRun{}, &taskRunList{}},
		{snapshotVersion, "Snapshot", &snapshot{}, &snapshotList{}},
		{scenarioVersion, "IntegrationTestScenario", &scenario{}, &scenarioList{}},
		{scenarioVersion, "ComponentGroup", &group{}, &groupList{}},
	} {
		s.AddKnownTypeWithName(k.version.WithKind(k.kind), k.one)
		s.AddKnownTypeWithName(k.version.WithKind(k.kind+"List"), k.many)
		metav1.AddToGroupVersion(s, k.version)
	}
}

// meta returns the metadata in the form of package konflux.
func meta(m *metav1.ObjectMeta) pipelinerun.Meta {
	return pipelinerun.Meta{
		Name: m.Name, Namespace: m.Namespace, UID: string(m.UID), ResourceVersion: m.ResourceVersion, Labels: m.Labels, Annotations: m.Annotations,
		Finalizers: m.Finalizers, DeletionTimestamp: instant(m.DeletionTimestamp),
	}
}

func instant(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return &t.Time
}

func toPipelineRun(o *pipelineRun) pipelinerun.PipelineRun {
	return pipelinerun.PipelineRun{Meta: meta(&o.ObjectMeta), Spec: o.Spec, Status: o.Status}
}

func toTaskRun(o *taskRun) pipelinerun.TaskRun {
	t := pipelinerun.TaskRun{Meta: meta(&o.ObjectMeta)}
	t.Status.Results = o.Status.Results
	return t
}

func toScenario(o *scenario) konflux.IntegrationTestScenario {
	t := konflux.IntegrationTestScenario{Meta: meta(&o.ObjectMeta), Spec: o.Spec}
	t.Status.Conditions = o.Status.Conditions
	return t
}

func toGroup(o *group) *konflux.ComponentGroup {
	g := &konflux.ComponentGroup{Meta: meta(&o.ObjectMeta)}
	g.Spec.TestGraph = o.Spec.TestGraph
	return g
}
