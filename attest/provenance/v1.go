package provenance

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
)

// buildTypeTekton is the build type of v1 that holds each task of a pipeline in full, and buildTypeSLSA the one that
// names its definition alone.
const (
	buildTypeTekton = "https://tekton.dev/chains/v2/slsa-tekton"
	buildTypeSLSA   = "https://tekton.dev/chains/v2/slsa"
)

// provenanceV1 is the part of SLSA provenance v1 that Chains fills. That the id of the invocation has been spelled in two
// ways is no matter, since it is not read.
type provenanceV1 struct {
	BuildDefinition struct {
		BuildType            string             `json:"buildType"`
		ExternalParameters   json.RawMessage    `json:"externalParameters"`
		InternalParameters   json.RawMessage    `json:"internalParameters"`
		ResolvedDependencies []provenanceObject `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Metadata struct {
			StartedOn  intoto.Instant `json:"startedOn"`
			FinishedOn intoto.Instant `json:"finishedOn"`
		} `json:"metadata"`
		Byproducts []provenanceObject `json:"byproducts"`
	} `json:"runDetails"`
}

// A provenanceObject is a dependency or a byproduct.
type provenanceObject struct {
	Name    string            `json:"name"`
	URI     string            `json:"uri"`
	Digest  map[string]string `json:"digest"`
	Content []byte            `json:"content"`
}

// runParameters are the external parameters that Chains writes: the spec of the run, and where its definition is from.
type runParameters struct {
	RunSpec struct {
		TaskRef      *taskRef  `json:"taskRef"`
		TaskSpec     *struct{} `json:"taskSpec"`
		PipelineRef  *struct{} `json:"pipelineRef"`
		PipelineSpec *struct{} `json:"pipelineSpec"`
	} `json:"runSpec"`
	BuildConfigSource struct {
		Repository string `json:"repository"`
		Path       string `json:"path"`
	} `json:"buildConfigSource"`
}

// kind tells a TaskRun from a PipelineRun, which have their build types in common.
func (r runParameters) kind() string {
	task := r.RunSpec.TaskRef != nil || r.RunSpec.TaskSpec != nil
	pipeline := r.RunSpec.PipelineRef != nil || r.RunSpec.PipelineSpec != nil
	switch {
	case task && !pipeline:
		return kindTask
	case pipeline && !task:
		return kindPipeline
	}
	return ""
}

func readProvenanceV1(raw json.RawMessage, limits intoto.Limits) (*Provenance, error) {
	var v provenanceV1
	if err := fault.Decode(raw, &v, limits); err != nil {
		return nil, err
	}
	p := &Provenance{
		Builder: v.RunDetails.Builder.ID, BuildType: v.BuildDefinition.BuildType,
		Started: v.RunDetails.Metadata.StartedOn.Time, Finished: v.RunDetails.Metadata.FinishedOn.Time,
	}
	if p.BuildType != buildTypeSLSA && p.BuildType != buildTypeTekton {
		return p, nil
	}
	var run runParameters
	if err := decodePart(v.BuildDefinition.ExternalParameters, &run, limits); err != nil {
		return nil, err
	}
	p.Kind = run.kind()
	p.Complete = p.Kind == kindTask || p.Kind == kindPipeline && p.BuildType == buildTypeTekton
	content := &contents{limits: limits}
	var err error
	switch p.Kind {
	case kindTask:
		err = p.readTaskV1(v, run, content)
	case kindPipeline:
		err = p.readTasksV1(v, content)
	}
	return p, err
}

// readTaskV1 reads the only task of a TaskRun. The format does not tell its status, and slsa/v2alpha4 does not tell the
// results that became subjects.
func (p *Provenance) readTaskV1(v provenanceV1, run runParameters, content *contents) error {
	var internal struct {
		Labels labels `json:"labels"` // with buildTypeTekton only
	}
	if err := decodePart(v.BuildDefinition.InternalParameters, &internal, content.limits); err != nil {
		return err
	}
	var ref taskRef
	if run.RunSpec.TaskRef != nil {
		ref = *run.RunSpec.TaskRef
	}
	var from []source
	for _, d := range v.BuildDefinition.ResolvedDependencies {
		if d.Name == "task" {
			from = append(from, source{URI: d.URI, Digest: d.Digest})
		}
	}
	if len(from) != 1 {
		from = []source{{}} // of two nobody knows which one ran
	}
	if from[0].URI == run.BuildConfigSource.Repository {
		from[0].EntryPoint = run.BuildConfigSource.Path
	}
	task := newTask(internal.Labels, ref, from[0])
	task.Started, task.Finished = p.Started, p.Finished
	task.Results = byproductResults(v.RunDetails.Byproducts, content)
	p.Tasks = []Task{task}
	return content.err()
}

// byproductResults reads the results of a TaskRun, which are byproducts: "taskRunResults/NAME" in slsa/v2alpha3,
// "taskRunResults/RUN/NAME" in slsa/v2alpha4.
func byproductResults(byproducts []provenanceObject, content *contents) map[string]json.RawMessage {
	var found taskResults
	for i, b := range byproducts {
		if !strings.HasPrefix(b.Name, "taskRunResults/") {
			continue
		}
		var value json.RawMessage
		if content.read(fmt.Sprintf("runDetails.byproducts[%d].content", i), b.Content, &value) {
			found = append(found, taskResult{b.Name[strings.LastIndex(b.Name, "/")+1:], value})
		}
	}
	return found.byName(&content.mistakes, "runDetails.byproducts")
}

// readTasksV1 reads the tasks of a PipelineRun.
func (p *Provenance) readTasksV1(v provenanceV1, content *contents) error {
	for i, d := range v.BuildDefinition.ResolvedDependencies {
		if d.Name != "pipelineTask" {
			continue
		}
		field := fmt.Sprintf("buildDefinition.resolvedDependencies[%d].content", i)
		from := source{URI: d.URI, Digest: d.Digest}
		if len(d.Content) == 0 {
			p.Complete = false
			p.Tasks = append(p.Tasks, newTask(nil, taskRef{}, from))
			continue
		}
		var run taskRun
		if content.read(field, d.Content, &run) {
			p.Tasks = append(p.Tasks, run.task(from, &content.mistakes, field))
		}
	}
	return content.err()
}
