package chains

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/tektoncd/chains/pkg/chains/objects"
	pipeline "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

var update = flag.Bool("update", false, "write the recordings in attest/provenance/testdata anew")

// recordings are the runs whose provenance the tests of attest read.
func recordings(t *testing.T) map[string]objects.TektonObject {
	scan := clamav(results(t, someRecord))
	return map[string]objects.TektonObject{
		"taskrun":     objects.NewTaskRunObjectV1(scan),
		"pipelinerun": pipelineRun(scan, lint(), notes("write")),
	}
}

// What attest is tested with is what Chains writes.
func TestRecordings(t *testing.T) {
	for name, run := range recordings(t) {
		for _, f := range allFormats {
			if f.payload == "in-toto" {
				continue // another name of slsa/v1
			}
			path := filepath.Join("../../attest/provenance/testdata", name+"-"+f.String()+".json")
			got := f.write(t, run)
			if *update {
				if err := os.WriteFile(path, append(sorted(t, got), '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(sorted(t, got))); diff != "" {
				t.Errorf("%s: -kept +written now\n%s", path, diff)
			}
		}
	}
}

// sorted puts the keys of JSON in order, which Chains does not.
func sorted(t *testing.T, b []byte) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func parse(t *testing.T, payload []byte) *provenance.Provenance {
	t.Helper()
	s, err := intoto.ParseStatement(payload)
	if err != nil {
		t.Fatal(err)
	}
	p, err := provenance.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Whatever the format, what attest writes for Chains becomes one subject, and that is the record.
func TestResultsBecomeOneSubject(t *testing.T) {
	want := []intoto.ResourceDescriptor{{
		Name: someRecord.Repository.Name(), Digest: map[string]string{"sha256": someRecord.Digest.Hex},
	}}
	for name, run := range recordings(t) {
		for _, f := range allFormats {
			p := parse(t, f.write(t, run))
			if diff := cmp.Diff(want, p.Subject); diff != "" {
				t.Errorf("%s in %s: %s", name, f, diff)
			}
		}
	}
}

// The strings alone are not enough in every format, the object is. That is why pipelinerun.WriteArtifact writes both.
func TestStringsAloneAreNoSubjectInV2alpha4(t *testing.T) {
	var texts []pipeline.TaskRunResult
	for _, r := range results(t, someRecord) {
		if r.Type == pipeline.ResultsTypeString {
			texts = append(texts, r)
		}
	}
	run := objects.NewTaskRunObjectV1(clamav(texts))
	for _, f := range allFormats {
		var s struct{ Subject []any }
		if err := json.Unmarshal(f.write(t, run), &s); err != nil {
			t.Fatal(err)
		}
		if want := f.payload != "slsa/v2alpha4"; (len(s.Subject) == 1) != want {
			t.Errorf("%s: subjects %v", f, s.Subject)
		}
	}
}

// Whoever writes the pipeline chooses what its results say, and with them what the provenance is about. So a task counts
// as the maker only if its own results name the digest.
func TestPipelineResultsMayBeAnyText(t *testing.T) {
	forged := strings.Repeat("bad0", 16)
	run := pipelineRun(clamav(results(t, someRecord)))
	run.Status.Results = []pipeline.PipelineRunResult{
		{Name: "IMAGE_URL", Value: *pipeline.NewStructuredValues("quay.io/team/app")},
		{Name: "IMAGE_DIGEST", Value: *pipeline.NewStructuredValues("sha256:" + forged)},
	}
	for _, f := range allFormats {
		p := parse(t, f.write(t, run))
		if len(p.Subject) != 1 || p.Subject[0].Digest["sha256"] != forged {
			t.Fatalf("%s: subjects %+v", f, p.Subject)
		}
		for _, hex := range []string{forged, someRecord.Digest.Hex} {
			if maker, ok := p.TaskOf(v1.Hash{Algorithm: "sha256", Hex: hex}); ok {
				t.Errorf("%s: %s is made by %+v", f, hex, maker)
			}
		}
	}
}

// What Chains leaves out cannot be judged. These are the gaps that are known; where the format has one, Complete is false,
// but for the last.
func TestTasksThatChainsLeavesOut(t *testing.T) {
	has := func(p *provenance.Provenance, name string) bool {
		return slices.ContainsFunc(p.Tasks, func(task provenance.Task) bool { return task.PipelineTask == name })
	}
	scan := clamav(results(t, someRecord))
	for _, f := range allFormats {
		inlined := parse(t, f.write(t, pipelineRun(scan, notes("write"))))
		if got := has(inlined, "notes"); got != inlined.Complete {
			t.Errorf("%s: lists a task written into the pipeline: %t, complete: %t", f, got, inlined.Complete)
		}
		// The pipeline and the task are in one commit.
		same := parse(t, f.write(t, pipelineRun(scan, lint())))
		if got := has(same, "lint"); got != same.Complete {
			t.Errorf("%s: lists a task of the pipeline's own commit: %t, complete: %t", f, got, same.Complete)
		}
		// Chains takes the name for one that Tekton has made up, and passes over the task.
		hidden := parse(t, f.write(t, pipelineRun(scan, notes("unnamed-1"))))
		if got := has(hidden, "notes"); got != (f.buildType == buildTypeTekton) {
			t.Errorf("%s: lists a task with a step called unnamed-1: %t", f, got)
		}
	}
}
