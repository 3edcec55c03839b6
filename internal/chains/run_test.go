package chains

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/tektoncd/chains/pkg/chains/formats"
	_ "github.com/tektoncd/chains/pkg/chains/formats/all" // registers every format
	"github.com/tektoncd/chains/pkg/chains/objects"
	"github.com/tektoncd/chains/pkg/config"
	pipeline "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"google.golang.org/protobuf/encoding/protojson"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	duck "knative.dev/pkg/apis/duck/v1"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

const (
	builder = "https://tekton.dev/chains/v2"

	bundleRepo = "quay.io/konflux-ci/tekton-catalog/task-clamav-scan"
	bundleHex  = "63eb4a4c0cfb491276bff86fdad1c96bf238506388848e79001058450a8e843a"
	gitURL     = "https://example.com/org/tasks"
	gitCommit  = "48df630394794f28142224295851a45eea5c63ae"

	buildTypeSLSA   = "https://tekton.dev/chains/v2/slsa"
	buildTypeTekton = "https://tekton.dev/chains/v2/slsa-tekton"
)

// someRecord is a record that need not exist.
var someRecord = attest.Record{
	Repository: name.MustParseReference("quay.io/team/app").Context(),
	Digest:     v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("c0ffee00", 8)},
}

// A format is a way in which Chains is configured to write provenance.
type format struct{ payload, buildType string }

var allFormats = []format{
	{"slsa/v1", ""}, {"in-toto", ""},
	{"slsa/v2alpha3", buildTypeSLSA}, {"slsa/v2alpha3", buildTypeTekton},
	{"slsa/v2alpha4", buildTypeSLSA}, {"slsa/v2alpha4", buildTypeTekton},
}

func (f format) String() string {
	return strings.TrimSuffix(strings.ReplaceAll(strings.TrimPrefix(f.payload, "slsa/"), "/", "-")+"-"+filepath.Base(f.buildType), "-.")
}

func (f format) isV02() bool { return f.buildType == "" }

func (f format) config() config.Config {
	var c config.Config
	c.Builder.ID = builder
	c.BuildDefinition.BuildType = f.buildType
	return c
}

// write has Chains write the statement about a run, byte for byte as it would sign it but for the whitespace, which it
// varies.
func (f format) write(t *testing.T, run objects.TektonObject) []byte {
	t.Helper()
	p, err := formats.GetPayloader(config.PayloadType(f.payload), f.config())
	if err != nil {
		t.Fatal(err)
	}
	made, err := p.CreatePayload(context.Background(), run)
	if err != nil {
		t.Fatal(err)
	}
	var raw []byte
	switch made := made.(type) {
	case *intoto.Statement:
		raw, err = protojson.Marshal(made)
	case intoto.Statement:
		raw, err = protojson.Marshal(&made)
	}
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var (
	started  = metav1.NewTime(time.Date(2026, 3, 1, 11, 58, 0, 0, time.UTC))
	finished = metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
)

// results are what pipelinerun.WriteArtifact leaves for Tekton, as Tekton reads it, and one result more.
func results(t *testing.T, record attest.Record) []pipeline.TaskRunResult {
	t.Helper()
	dir := t.TempDir()
	if err := pipelinerun.WriteArtifact(dir, "CLAMAV", scheduler.Artifact{URI: record.Repository.Name(), Digest: record.Digest.String()}); err != nil {
		t.Fatal(err)
	}
	all := []pipeline.TaskRunResult{textResult("TEST_OUTPUT", `{"result":"SUCCESS"}`)}
	for _, name := range []string{"ARTIFACT_URI", "ARTIFACT_DIGEST"} {
		all = append(all, textResult(name, read(t, filepath.Join(dir, name))))
	}
	var object map[string]string
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "CLAMAV_ARTIFACT_OUTPUTS"))), &object); err != nil {
		t.Fatal(err)
	}
	return append(all, pipeline.TaskRunResult{
		Name: "CLAMAV_ARTIFACT_OUTPUTS", Type: pipeline.ResultsTypeObject, Value: *pipeline.NewObject(object),
	})
}

func textResult(name, value string) pipeline.TaskRunResult {
	return pipeline.TaskRunResult{Name: name, Type: pipeline.ResultsTypeString, Value: *pipeline.NewStructuredValues(value)}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// clamav is a TaskRun of a task from a bundle.
func clamav(r []pipeline.TaskRunResult) *pipeline.TaskRun {
	run := taskRun("clamav", "scan", r)
	run.Labels["tekton.dev/task"] = "clamav-scan"
	run.Spec.TaskRef = bundleRef(bundleRepo + ":0.3@sha256:" + bundleHex)
	run.Status.Provenance = &pipeline.Provenance{RefSource: &pipeline.RefSource{
		URI: bundleRepo, Digest: map[string]string{"sha256": bundleHex}, EntryPoint: "clamav-scan",
	}}
	return run
}

// lint is a TaskRun of a task from git, asked for by branch. It failed.
func lint() *pipeline.TaskRun {
	run := taskRun("lint", "lint", nil)
	run.Labels["tekton.dev/task"] = "go-lint"
	run.Spec.TaskRef = &pipeline.TaskRef{Kind: "Task", ResolverRef: pipeline.ResolverRef{Resolver: "git", Params: params(
		"url", gitURL, "revision", "main", "pathInRepo", "lint/lint.yaml",
	)}}
	run.Status.Provenance = &pipeline.Provenance{RefSource: &pipeline.RefSource{
		URI: "git+" + gitURL, Digest: map[string]string{"sha1": gitCommit}, EntryPoint: "lint/lint.yaml",
	}}
	run.Status.Conditions[0].Status = corev1.ConditionFalse
	return run
}

// notes is a TaskRun of a task that is written into the pipeline.
func notes(step string) *pipeline.TaskRun {
	run := taskRun("notes", step, nil)
	run.Spec.TaskSpec = run.Status.TaskSpec
	return run
}

func bundleRef(bundle string) *pipeline.TaskRef {
	return &pipeline.TaskRef{Kind: "Task", ResolverRef: pipeline.ResolverRef{Resolver: "bundles", Params: params(
		"bundle", bundle, "name", "clamav-scan", "kind", "task",
	)}}
}

func params(nameValue ...string) pipeline.Params {
	var all pipeline.Params
	for i := 0; i < len(nameValue); i += 2 {
		all = append(all, pipeline.Param{Name: nameValue[i], Value: *pipeline.NewStructuredValues(nameValue[i+1])})
	}
	return all
}

// taskRun is a TaskRun of a pipeline, with one step.
func taskRun(pipelineTask, step string, r []pipeline.TaskRunResult) *pipeline.TaskRun {
	return &pipeline.TaskRun{
		ObjectMeta: metav1.ObjectMeta{
			Name: "on-push-" + pipelineTask, Namespace: "team", UID: types.UID("uid-of-" + pipelineTask),
			Labels: map[string]string{"tekton.dev/pipelineTask": pipelineTask, "tekton.dev/pipelineRun": "on-push"},
		},
		Spec: pipeline.TaskRunSpec{ServiceAccountName: "default"},
		Status: pipeline.TaskRunStatus{
			Status: succeeded(),
			TaskRunStatusFields: pipeline.TaskRunStatusFields{
				StartTime: &started, CompletionTime: &finished, Results: r,
				TaskSpec: &pipeline.TaskSpec{Steps: []pipeline.Step{{Name: step, Image: "quay.io/x/tool", Script: "run"}}},
				Steps:    []pipeline.StepState{{Name: step, ImageID: "quay.io/x/tool@sha256:" + strings.Repeat("ab", 32)}},
			},
		},
	}
}

// pipelineRun is a PipelineRun over the given TaskRuns, with the results of the first as its own.
func pipelineRun(runs ...*pipeline.TaskRun) *objects.PipelineRunObjectV1 {
	p := objects.NewPipelineRunObjectV1(&pipeline.PipelineRun{
		ObjectMeta: metav1.ObjectMeta{Name: "on-push", Namespace: "team", UID: "uid-of-on-push"},
		Spec: pipeline.PipelineRunSpec{PipelineRef: &pipeline.PipelineRef{ResolverRef: pipeline.ResolverRef{
			Resolver: "git", Params: params("url", gitURL, "revision", "main", "pathInRepo", "its.yaml"),
		}}},
		Status: pipeline.PipelineRunStatus{
			Status: succeeded(),
			PipelineRunStatusFields: pipeline.PipelineRunStatusFields{
				StartTime: &started, CompletionTime: &finished, PipelineSpec: &pipeline.PipelineSpec{},
				Provenance: &pipeline.Provenance{RefSource: &pipeline.RefSource{
					URI: "git+" + gitURL, Digest: map[string]string{"sha1": gitCommit}, EntryPoint: "its.yaml",
				}},
			},
		},
	})
	for i, run := range runs {
		p.AppendTaskRun(run)
		task := pipeline.PipelineTask{Name: run.Labels["tekton.dev/pipelineTask"], TaskRef: run.Spec.TaskRef}
		if run.Spec.TaskSpec != nil {
			task.TaskSpec = &pipeline.EmbeddedTask{TaskSpec: *run.Spec.TaskSpec}
		}
		p.Status.PipelineSpec.Tasks = append(p.Status.PipelineSpec.Tasks, task)
		for _, r := range run.Status.Results {
			if i == 0 {
				p.Status.Results = append(p.Status.Results, pipeline.PipelineRunResult{Name: r.Name, Value: r.Value})
			}
		}
	}
	return p
}

func succeeded() (s duck.Status) {
	s.Conditions = append(s.Conditions, apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded"})
	return s
}
