package pipelinerun

import (
	"encoding/json"
	"slices"
	"time"
)

// Meta is what every object says of itself. Its JSON form is that of Kubernetes, as is that of all objects here; fields
// that nothing here looks at are left out, and a field that is not known is ignored.
type Meta struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace,omitempty"`
	UID               string            `json:"uid,omitempty"`
	ResourceVersion   string            `json:"resourceVersion,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	OwnerReferences   []OwnerReference  `json:"ownerReferences,omitempty"`
	Finalizers        []string          `json:"finalizers,omitempty"`
	DeletionTimestamp *time.Time        `json:"deletionTimestamp,omitempty"`
}

// An OwnerReference names an object with which another one goes: when all its owners are deleted, so is it.
type OwnerReference struct {
	APIVersion         string `json:"apiVersion"`
	Kind               string `json:"kind"`
	Name               string `json:"name"`
	UID                string `json:"uid"`
	Controller         *bool  `json:"controller,omitempty"`
	BlockOwnerDeletion *bool  `json:"blockOwnerDeletion,omitempty"`
}

// A PipelineRun is one run of a scenario, and whatever else carries its labels.
type PipelineRun struct {
	Meta   `json:"metadata"`
	Spec   PipelineRunSpec   `json:"spec"`
	Status PipelineRunStatus `json:"status,omitzero"`
}

// A PipelineRunSpec is what a PipelineRun is asked to do. Of those observed, only the status is looked at.
type PipelineRunSpec struct {
	Params       []Param         `json:"params,omitempty"`
	PipelineRef  *ResolverRef    `json:"pipelineRef,omitempty"`  // left out if the resolver gives a whole PipelineRun
	PipelineSpec json.RawMessage `json:"pipelineSpec,omitempty"` // in the place of PipelineRef; of a Plan, only of a run that takes its name
	Status       string          `json:"status,omitempty"`       // asks for the end of the run, or holds it in a queue

	// What a Plan leaves out. It is handed on to Tekton as it is.
	TaskRunTemplate json.RawMessage `json:"taskRunTemplate,omitempty"`
	Timeouts        json.RawMessage `json:"timeouts,omitempty"`
	Workspaces      json.RawMessage `json:"workspaces,omitempty"`
}

// succeeded returns the condition that tells whether Tekton is done with it.
func (run *PipelineRun) succeeded() Condition {
	i := slices.IndexFunc(run.Status.Conditions, func(c Condition) bool { return c.Type == "Succeeded" })
	if i < 0 {
		return Condition{}
	}
	return run.Status.Conditions[i]
}

// Over reports whether Tekton is done with it.
func (run *PipelineRun) Over() bool {
	c := run.succeeded()
	return c.Status == "True" || c.Status == "False"
}

// Done reports whether it is over, or deleted: what nobody waits for can go.
func (run *PipelineRun) Done() bool { return run.Over() || run.DeletionTimestamp != nil }

// queued is the spec.status of a run that is held back before it starts. Konflux' queue sets it on every PipelineRun, also on
// one that is canceled from the start.
const queued = "PipelineRunPending"

// Ending reports whether it is over, or somebody asked for its end.
func (run *PipelineRun) Ending() bool {
	return run.Done() || run.Spec.Status != "" && run.Spec.Status != queued
}

// A ResolverRef tells Tekton where the pipeline is: with a resolver, or in the same namespace, by its name.
type ResolverRef struct {
	Name         string  `json:"name,omitempty"`
	Resolver     string  `json:"resolver,omitempty"`
	Params       []Param `json:"params,omitempty"`
	ResourceKind string  `json:"resourceKind,omitempty"`
}

// A Param is a parameter of a PipelineRun or a resolver. Its value is JSON: text, a list of text, or an object.
type Param struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// A PipelineRunStatus is what Tekton says of a PipelineRun.
type PipelineRunStatus struct {
	Conditions      []Condition      `json:"conditions,omitempty"`
	StartTime       *time.Time       `json:"startTime,omitempty"`
	CompletionTime  *time.Time       `json:"completionTime,omitempty"`
	ChildReferences []ChildReference `json:"childReferences,omitempty"`
}

// A Condition is an observation of Kubernetes' form; a run is over when the one of type Succeeded is True or False.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"` // True, False or Unknown
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// A ChildReference names a TaskRun of a PipelineRun.
type ChildReference struct {
	Kind             string `json:"kind,omitempty"`
	Name             string `json:"name"`
	PipelineTaskName string `json:"pipelineTaskName,omitempty"`
}

// A TaskRun is one task of a PipelineRun, with the results that it wrote.
type TaskRun struct {
	Meta   `json:"metadata"`
	Status struct {
		Results []TaskRunResult `json:"results,omitempty"`
	} `json:"status"`
}

// A TaskRunResult is a result that a task wrote. Its value is JSON: text, a list of text, or an object.
type TaskRunResult struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}
