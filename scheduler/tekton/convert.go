package tekton

import (
	"encoding/json"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// The resources that are spoken of.
var (
	pipelineRuns = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"}
	taskRuns     = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "taskruns"}
)

// toObject returns a PipelineRun in the form in which it is sent.
func toObject(run pipelinerun.PipelineRun) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		pipelinerun.PipelineRun
	}{pipelineRuns.GroupVersion().String(), "PipelineRun", run})
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(text)
}

// toRun returns what is looked at of a PipelineRun. Children that are no TaskRuns have no results, and are left out.
func toRun(object *unstructured.Unstructured) (*pipelinerun.PipelineRun, error) {
	run := &pipelinerun.PipelineRun{}
	if err := convert(object, run); err != nil {
		return nil, err
	}
	var children []pipelinerun.ChildReference
	for _, c := range run.Status.ChildReferences {
		if c.Kind == "" || c.Kind == "TaskRun" {
			children = append(children, c)
		}
	}
	run.Status.ChildReferences = children
	return run, nil
}

// convert converts by JSON. What is large and not looked at is dropped before.
func convert(object *unstructured.Unstructured, to any) error {
	slim := maps.Clone(object.Object)
	for section, drop := range map[string][]string{
		"metadata": {"managedFields"},
		"spec":     {"pipelineSpec", "taskSpec"},
		"status":   {"pipelineSpec", "taskSpec", "provenance", "steps", "skippedTasks"},
	} {
		if fields, ok := slim[section].(map[string]any); ok {
			fields = maps.Clone(fields)
			for _, name := range drop {
				delete(fields, name)
			}
			slim[section] = fields
		}
	}
	text, err := json.Marshal(slim)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}
