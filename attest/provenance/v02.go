package provenance

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
)

// runKindV02 tells the kind of run from a build type of v0.2, those of old Chains included.
func runKindV02(buildType string) string {
	switch buildType {
	case "tekton.dev/v1/TaskRun", "tekton.dev/v1beta1/TaskRun", "https://tekton.dev/attestations/chains@v2":
		return kindTask
	case "tekton.dev/v1/PipelineRun", "tekton.dev/v1beta1/PipelineRun", "https://tekton.dev/attestations/chains/pipelinerun@v2":
		return kindPipeline
	}
	return ""
}

func readProvenanceV02(raw json.RawMessage, limits intoto.Limits) (*Provenance, error) {
	var v struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		BuildType   string          `json:"buildType"`
		Invocation  json.RawMessage `json:"invocation"`
		BuildConfig json.RawMessage `json:"buildConfig"`
		Metadata    struct {
			StartedOn  intoto.Instant `json:"buildStartedOn"`
			FinishedOn intoto.Instant `json:"buildFinishedOn"`
		} `json:"metadata"`
	}
	if err := fault.Decode(raw, &v, limits); err != nil {
		return nil, err
	}
	p := &Provenance{
		Builder: v.Builder.ID, BuildType: v.BuildType, Kind: runKindV02(v.BuildType),
		Started: v.Metadata.StartedOn.Time, Finished: v.Metadata.FinishedOn.Time,
	}
	p.Complete = p.Kind != ""
	var err error
	switch p.Kind {
	case kindTask:
		err = p.readTaskV02(v.Invocation, limits)
	case kindPipeline:
		err = p.readTasksV02(v.BuildConfig, limits)
	}
	return p, err
}

// invocation is what v0.2 says of what was invoked.
type invocation struct {
	ConfigSource source `json:"configSource"`
	Environment  struct {
		Labels labels `json:"labels"`
	} `json:"environment"`
}

// readTaskV02 reads the only task of a TaskRun. The format tells neither its status nor its results.
func (p *Provenance) readTaskV02(raw json.RawMessage, limits intoto.Limits) error {
	var i invocation
	if err := decodePart(raw, &i, limits); err != nil {
		return err
	}
	task := newTask(i.Environment.Labels, taskRef{}, i.ConfigSource)
	task.Started, task.Finished = p.Started, p.Finished
	p.Tasks = []Task{task}
	return nil
}

func (p *Provenance) readTasksV02(raw json.RawMessage, limits intoto.Limits) error {
	var v struct {
		Tasks []struct {
			Name       string         `json:"name"`
			Ref        taskRef        `json:"ref"`
			StartedOn  intoto.Instant `json:"startedOn"`
			FinishedOn intoto.Instant `json:"finishedOn"`
			Status     string         `json:"status"`
			Invocation invocation     `json:"invocation"`
			Results    taskResults    `json:"results"`
		} `json:"tasks"`
	}
	if err := decodePart(raw, &v, limits); err != nil {
		return err
	}
	var c fault.Checklist
	for i, t := range v.Tasks {
		task := newTask(t.Invocation.Environment.Labels, t.Ref, t.Invocation.ConfigSource)
		task.PipelineTask, task.Status, task.Started, task.Finished = t.Name, t.Status, t.StartedOn.Time, t.FinishedOn.Time
		task.Results = t.Results.byName(&c, fmt.Sprintf("buildConfig.tasks[%d].results", i))
		p.Tasks = append(p.Tasks, task)
	}
	return errors.Join(c...)
}
