package pipelinerun_test

import (
	"testing"

	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A run that is held in a queue has not been asked to end.
func TestOverDoneEnding(t *testing.T) {
	type run = pipelinerun.PipelineRun
	condition := func(kind, status string) func(*run) {
		return func(r *run) {
			r.Status.Conditions = append(r.Status.Conditions, pipelinerun.Condition{Type: "Ready", Status: "True"}, pipelinerun.Condition{Type: kind, Status: status})
		}
	}
	for name, tt := range map[string]struct {
		change             func(*run)
		over, done, ending bool
	}{
		"new":      {func(*run) {}, false, false, false},
		"live":     {condition("Succeeded", "Unknown"), false, false, false},
		"passed":   {condition("Succeeded", "True"), true, true, true},
		"failed":   {condition("Succeeded", "False"), true, true, true},
		"signed":   {condition("Signed", "True"), false, false, false},
		"deleted":  {func(r *run) { r.DeletionTimestamp = &noon }, false, true, true},
		"queued":   {func(r *run) { r.Spec.Status = "PipelineRunPending" }, false, false, false},
		"canceled": {func(r *run) { r.Spec.Status = "Cancelled" }, false, false, true},
	} {
		var r run
		tt.change(&r)
		if over, done, ending := r.Over(), r.Done(), r.Ending(); over != tt.over || done != tt.done || ending != tt.ending {
			t.Errorf("%s: over %v, done %v, ending %v; want %v, %v, %v", name, over, done, ending, tt.over, tt.done, tt.ending)
		}
	}
}

// There is something to do as soon as any of the lists has something in it.
func TestNoChanges(t *testing.T) {
	for name, tt := range map[string]struct {
		changes pipelinerun.Changes
		want    bool
	}{
		"nothing":           {pipelinerun.Changes{}, true},
		"finalizers alone":  {pipelinerun.Changes{Finalizers: []string{"x"}}, true},
		"an empty map":      {pipelinerun.Changes{Update: pipelinerun.Update{Annotations: map[string]string{}}}, true},
		"an annotation":     {pipelinerun.Changes{Update: pipelinerun.Update{Annotations: map[string]string{"x": ""}}}, false},
		"one to be removed": {pipelinerun.Changes{Update: pipelinerun.Update{RemoveAnnotations: []string{"x"}}}, false},
		"a label":           {pipelinerun.Changes{Update: pipelinerun.Update{RemoveLabels: []string{"x"}}}, false},
		"a creation":        {pipelinerun.Changes{Create: make([]pipelinerun.PipelineRun, 1)}, false},
		"a cancellation":    {pipelinerun.Changes{Cancel: make([]pipelinerun.Cancellation, 1)}, false},
		"a release":         {pipelinerun.Changes{Release: []string{"x"}}, false},
	} {
		if got := tt.changes.IsZero(); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
