package provenance

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/strictjson"
)

// Kinds of run that a provenance can be of.
const (
	kindTask     = "TaskRun"
	kindPipeline = "PipelineRun"
)

// Provenance is what Tekton Chains says of how something was made. It says what the cluster saw; whether the builder
// and the tasks are any good is for a [Trust] to decide.
type Provenance struct {
	Subject   []intoto.ResourceDescriptor // what was made
	Builder   string                      // id of the builder, empty if there is none
	BuildType string                      // TypeURI that says how the build is described
	Kind      string                      // of the run: "TaskRun", "PipelineRun", or empty if BuildType is not one of Chains'
	Started   time.Time                   // as signed, in whole seconds; zero if absent
	Finished  time.Time                   // as signed, in whole seconds; zero if absent

	// Tasks is what ran, in the order of the provenance: one for a TaskRun. Chains leaves out what did not run to an
	// end, custom tasks, and in v0.2 also a task with a step whose name begins with "unnamed-", which whoever writes the
	// pipeline chooses.
	Tasks []Task

	// Complete says that the format lists every task. That of a PipelineRun with build type .../chains/v2/slsa does not:
	// tasks that are written into the pipeline are not in it, and of several from one commit only one is.
	Complete bool
}

// A Task is one task that ran.
type Task struct {
	// Name is that of the task's definition: the label tekton.dev/task, else the resolver's parameter "name", else the
	// name it was referred to by. It is empty if there is none of these, if the definition is not a task, or if the name
	// is not one that Kubernetes allows: "scan[a=b]" would be "scan" to other readers.
	Name string

	PipelineTask string // name in its pipeline, empty if it is in none or the format does not say

	// Ref is where the definition came from, without digest: "oci://quay.io/org/task-scan:0.3" for a bundle,
	// "git+https://example.com/org/tasks.git//scan.yaml" for a file in git, otherwise what the resolver said. It is empty
	// for a definition inlined into the run or the pipeline and for one taken from the cluster by name, if it is not
	// plain (a path with "..", anything escaped), and if what was asked for and what was resolved contradict each other.
	Ref string

	// Digest pins the definition: "sha256:..." of a bundle, "sha1:..." for a commit in git; empty if nothing does.
	Digest string

	Status            string                     // "Succeeded", "Failed" or "Running"; empty if the format does not say
	Started, Finished time.Time                  // zero if absent
	Results           map[string]json.RawMessage // by name, as JSON: text, list or object; nil if the format tells none
}

// Parse reads the predicate of s, which must be SLSA provenance v1 or v0.2, as Tekton Chains writes it for
// TaskRuns and PipelineRuns. Of what other builders wrote it reads builder, build type and times, and no tasks. Whoever
// calls it must have verified s.
//
// Errors: [*intoto.FieldError] for a predicate type that is not provenance, and for each task that cannot be read;
// [*intoto.LimitError]; and what makes JSON ambiguous, as with [intoto.ParseStatement]. Unknown fields are ignored.
func Parse(s *intoto.Statement) (*Provenance, error) {
	return ParseWithin(s, strictjson.Default)
}

// ParseWithin is [Parse] with other limits on the JSON. A 0 allows nothing.
func ParseWithin(s *intoto.Statement, limits intoto.Limits) (*Provenance, error) {
	var p *Provenance
	var err error
	switch s.PredicateType {
	case intoto.ProvenanceType:
		p, err = readProvenanceV1(s.Predicate, limits)
	case intoto.ProvenanceTypeV02:
		p, err = readProvenanceV02(s.Predicate, limits)
	default:
		err = &fault.FieldError{Field: "predicateType", Problem: fmt.Sprintf("%q is not SLSA provenance v1 or v0.2", s.PredicateType)}
	}
	if err != nil {
		return nil, fault.Wrap("provenance", err)
	}
	p.Subject = s.Subject
	return p, nil
}

// TaskOf returns the task that made the subject with this digest. A TaskRun's subjects are made by its only task. In a
// PipelineRun it is the task whose results name the digest as Chains' type hints have it: *ARTIFACT_OUTPUTS,
// *ARTIFACT_DIGEST, *IMAGE_DIGEST or IMAGES. That a pipeline has one task only is not enough there, since its own
// results, which make the subjects, may be any text. If several tasks named the digest, the first of them to end made
// it and the others handed it on; one without times comes before all, since it may be the first. It is false if there
// is no such subject or no such task, and if the provenance does not list all tasks.
func (p *Provenance) TaskOf(digest v1.Hash) (Task, bool) {
	makers := p.Makers(digest)
	if len(makers) == 0 {
		return Task{}, false
	}
	return slices.MinFunc(makers, CompareEnd), true
}

// CompareEnd orders tasks by their end, those without times first. Times are in whole seconds, so of two that ended at
// the same time the one that began first is the first.
func CompareEnd(a, b Task) int {
	return cmp.Or(a.Finished.Compare(b.Finished), a.Started.Compare(b.Started))
}

// Makers returns the tasks that made the subject with this digest: those that named it, or the only one of a TaskRun.
func (p *Provenance) Makers(digest v1.Hash) []Task {
	isSubject := slices.ContainsFunc(p.Subject, func(d intoto.ResourceDescriptor) bool {
		return digest.Hex != "" && d.Digest[digest.Algorithm] == digest.Hex
	})
	if !isSubject || !p.Complete {
		return nil
	}
	if p.Kind == kindTask {
		return p.Tasks
	}
	var makers []Task
	for _, t := range p.Tasks {
		if t.made(digest.String()) {
			makers = append(makers, t)
		}
	}
	return makers
}

// made reports whether a result of the task names an artifact with this digest.
func (t Task) made(digest string) bool {
	for name, value := range t.Results {
		var text string
		var object map[string]string
		switch {
		case strings.HasSuffix(name, "ARTIFACT_OUTPUTS"):
			_ = json.Unmarshal(value, &object) // what is no object names nothing
			text = object["digest"]
		case strings.HasSuffix(name, "ARTIFACT_DIGEST"), strings.HasSuffix(name, "IMAGE_DIGEST"):
			_ = json.Unmarshal(value, &text)
		case name == "IMAGES" && json.Unmarshal(value, &text) == nil:
			images := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' })
			if slices.ContainsFunc(images, func(ref string) bool { return strings.HasSuffix(strings.TrimSpace(ref), "@"+digest) }) {
				return true
			}
			continue
		}
		if strings.TrimSpace(text) == digest {
			return true
		}
	}
	return false
}

// Covers reports whether a time can be within the run of the task. What the provenance does not say excludes nothing.
func (t Task) Covers(at time.Time, skew time.Duration) bool {
	early := !t.Started.IsZero() && at.Before(t.Started.Add(-skew))
	late := !t.Finished.IsZero() && at.After(t.Finished.Add(skew))
	return !early && !late
}
