package pipelinerun

// Changes are requests to the cluster, about an object that holds a state and about its PipelineRuns. They are made in
// this order:
//
//  1. Update: write it in one request with the resourceVersion of the object that was read. If the API server answers
//     with a conflict, drop the changes and begin anew. Send it even if it changes nothing when something is to be created or
//     canceled: the answer tells whether what was read is still true.
//  2. Create and Cancel, in any order. That something exists already, is gone or is over, is success.
//  3. Release.
//
// Each may be made twice, so that a controller may die between any two of them.
type Changes struct {
	Update  Update
	Create  []PipelineRun
	Cancel  []Cancellation
	Release []string // names of PipelineRuns whose end is kept, so that the finalizers that hold them can go; sorted

	Finalizers []string // those to remove from what is released
}

// IsZero reports whether there is nothing to do.
func (c Changes) IsZero() bool {
	return c.Update.IsZero() && len(c.Create)+len(c.Cancel)+len(c.Release) == 0
}

// An Update is what to write into the metadata of the object. It is one request.
type Update struct {
	Annotations       map[string]string // to set
	RemoveAnnotations []string          // sorted
	RemoveLabels      []string          // sorted
}

// IsZero reports whether there is nothing to change.
func (u Update) IsZero() bool {
	return len(u.Annotations) == 0 && len(u.RemoveAnnotations) == 0 && len(u.RemoveLabels) == 0
}

// A Cancellation asks for the end of a PipelineRun. Status and annotations are to be written in one request: the annotation
// tells that a plan stopped the run, and not a person.
type Cancellation struct {
	Name        string
	Status      string            // for spec.status
	Annotations map[string]string // to set
}

// CancelStatus is the spec.status that lets the tasks under finally do their work, as the integration-service does.
const CancelStatus = "CancelledRunFinally"
