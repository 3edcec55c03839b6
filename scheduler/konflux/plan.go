package konflux

import (
	"fmt"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A Plan is what to do now about one Snapshot, and what is to be said of it. [pipelinerun.Changes] tells in which order
// it is carried out. What fails is planned again by the next call; what can never be created is told to it in
// Objects.Refused. A controller may die between any two requests: the next call plans what is left.
type Plan struct {
	// Changes are made to the Snapshot. Creations are in canonical order of their scenarios, then by name; finalizers
	// are those of Options.Keys, then of Options.LegacyKeys.
	pipelinerun.Changes

	Outcome   scheduler.Outcome // of the scenarios that are not optional; pending as long as anything could still start
	Scenarios []Conclusion      // in canonical order
	Graph     *dag.Graph
	State     State

	// Wake is when to call again if nothing happens until then: a run is waited for, for so long and no longer. It is zero if
	// nothing is.
	Wake time.Time

	// Problems are what does not keep the rest from going on: a *UnknownScenarioError or a *LiveRunError for the label of a
	// rerun, a *TakenNameError, a *StatusError for a status annotation that could not be read and is written anew.
	Problems []error
}

// Done reports that the tests are over and nothing is left to do: the outcome is final, and what was found is written and
// released. A controller then marks the Snapshot as finished, and leaves it alone until somebody sets the label of a rerun.
// It does well to: Next looks at the graph of today, and would start on every old Snapshot a scenario that is new, and one
// that waits for a new parent.
func (p *Plan) Done() bool {
	return p.Outcome != scheduler.OutcomePending && p.Changes.IsZero()
}

// A Conclusion is what the rules conclude for a scenario, and what the status annotation says of it.
type Conclusion struct {
	Verdict     scheduler.Verdict
	Explanation string // a sentence for people
	Status      ScenarioStatus
}

// A TakenNameError reports a run that cannot be created, since a PipelineRun of its name is something else: it lacks the
// labels that tell its scenario and Snapshot. Delete it.
type TakenNameError struct {
	Name string
	Run  scheduler.Ref
}

func (e *TakenNameError) Error() string {
	return fmt.Sprintf("konflux: cannot create %s for %s: a PipelineRun of this name is there and has not its labels; delete it", e.Name, e.Run)
}

// A LiveRunError reports that the label of a rerun asks for a run of a scenario that has a live one. That changes nothing:
// if it is to run once more, ask again when the run is over.
type LiveRunError struct{ Run scheduler.Ref }

func (e *LiveRunError) Error() string {
	return fmt.Sprintf("konflux: the label of a rerun asks for %s, and %s is live: nothing changes; ask again when it is over", e.Run.ID, e.Run)
}

// A SizeError reports an annotation that would be too large. Nothing is planned then.
type SizeError struct {
	Annotation string // key; empty if it is about all of them together
	Bytes      int
	Limit      int
}

func (e *SizeError) Error() string {
	if e.Annotation == "" {
		return fmt.Sprintf("konflux: the annotations of the Snapshot would have %d bytes; Kubernetes allows %d: remove some, or test fewer scenarios with one Snapshot", e.Bytes, e.Limit)
	}
	return fmt.Sprintf("konflux: the annotation %s would have %d bytes; StateBytes allows %d: raise it, or test fewer scenarios with one Snapshot", e.Annotation, e.Bytes, e.Limit)
}
