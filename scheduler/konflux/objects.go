package konflux

import (
	"encoding/json"
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

// An IntegrationTestScenario is a test of an image or a group of images, and a scenario of the graph: the kind of this
// name in the group appstudio.redhat.com, version v1beta2.
type IntegrationTestScenario struct {
	Meta   `json:"metadata"`
	Spec   IntegrationTestScenarioSpec `json:"spec"`
	Status struct {
		Conditions []Condition `json:"conditions,omitempty"`
	} `json:"status"`
}

// An IntegrationTestScenarioSpec says what to run, and for which Snapshots.
type IntegrationTestScenarioSpec struct {
	Application    string      `json:"application,omitempty"`
	ComponentGroup string      `json:"componentGroup,omitempty"`
	ResolverRef    ResolverRef `json:"resolverRef"`

	// Params are handed to each run.
	Params []struct {
		Name   string   `json:"name"`
		Value  string   `json:"value,omitempty"`
		Values []string `json:"values,omitempty"`
	} `json:"params,omitempty"`

	// Contexts tell for which Snapshots the scenario is: for those that any of them names, and for all if there is none.
	Contexts []struct {
		Name string `json:"name"`
	} `json:"contexts,omitempty"`

	// Dependents are the scenarios that wait for this one to pass: the opposite direction of testGraph.
	Dependents []string `json:"dependents,omitempty"`
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

// A ComponentGroup holds the graph of its tests.
type ComponentGroup struct {
	Meta `json:"metadata"`
	Spec struct {
		// TestGraph lists for a scenario the scenarios that it waits for.
		TestGraph map[string][]TestGraphNode `json:"testGraph,omitempty"`
	} `json:"spec"`
}

// A TestGraphNode is a parent: a scenario that the key of the list waits for. What happens if it fails is said by onFail
// ("run" or "skip") or, in newer objects, by failFast; if neither is given, by the profile in [Options].
type TestGraphNode struct {
	Name     string  `json:"name"`
	OnFail   *string `json:"onFail,omitempty"`
	FailFast *bool   `json:"failFast,omitempty"`
}

// A Snapshot is the set of images under test. What is known of its tests is kept in its annotations.
type Snapshot struct {
	Meta `json:"metadata"`
	Spec json.RawMessage `json:"spec,omitempty"` // handed to each run in the parameter SNAPSHOT
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

// Objects are what was found on the cluster.
type Objects struct {
	// Scenarios are those of the application or of the group, whatever their contexts.
	Scenarios []IntegrationTestScenario

	// Group has the graph; nil if there is none, as in an application.
	Group *ComponentGroup

	// Snapshot is what is tested. Its annotations hold what is known.
	Snapshot Snapshot

	// PipelineRuns and TaskRuns may be all in the namespace: those of other Snapshots are passed over. Who reads from a cache
	// leaves out TaskRuns that are not over: one that lags may lack the result that it has, and would count as one that says
	// nothing. One that is not there is waited for.
	PipelineRuns []PipelineRun
	TaskRuns     []TaskRun

	// Refused are runs that could not be created and never will, by name, with the API server's reason: it says that they
	// are invalid, or an admission webhook denied them. They count as failed. A fault that may pass is not told here: the
	// run is created at the next call.
	Refused map[string]string

	// Superseded says that a newer Snapshot took the place of this one: what is live is stopped, and nothing is started
	// until somebody asks for it.
	Superseded bool
}
