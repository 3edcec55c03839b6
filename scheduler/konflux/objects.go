package konflux

import (
	"encoding/json"

	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// An IntegrationTestScenario is a test of an image or a group of images, and a scenario of the graph: the kind of this
// name in the group appstudio.redhat.com, version v1beta2.
type IntegrationTestScenario struct {
	pipelinerun.Meta `json:"metadata"`
	Spec             IntegrationTestScenarioSpec `json:"spec"`
	Status           struct {
		Conditions []pipelinerun.Condition `json:"conditions,omitempty"`
	} `json:"status"`
}

// An IntegrationTestScenarioSpec says what to run, and for which Snapshots.
type IntegrationTestScenarioSpec struct {
	Application    string                  `json:"application,omitempty"`
	ComponentGroup string                  `json:"componentGroup,omitempty"`
	ResolverRef    pipelinerun.ResolverRef `json:"resolverRef"`

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

// A ComponentGroup holds the graph of its tests.
type ComponentGroup struct {
	pipelinerun.Meta `json:"metadata"`
	Spec             struct {
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
	pipelinerun.Meta `json:"metadata"`
	Spec             json.RawMessage `json:"spec,omitempty"` // handed to each run in the parameter SNAPSHOT
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
	PipelineRuns []pipelinerun.PipelineRun
	TaskRuns     []pipelinerun.TaskRun

	// Refused are runs that could not be created and never will, by name, with the API server's reason: it says that they
	// are invalid, or an admission webhook denied them. They count as failed. A fault that may pass is not told here: the
	// run is created at the next call.
	Refused map[string]string

	// Superseded says that a newer Snapshot took the place of this one: what is live is stopped, and nothing is started
	// until somebody asks for it.
	Superseded bool
}
