package attest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/internal/strictjson"
)

const (
	// ProvenanceType is the predicate type of SLSA provenance v1: what Tekton Chains writes in its formats
	// slsa/v2alpha3 and slsa/v2alpha4.
	ProvenanceType = "https://slsa.dev/provenance/v1"

	// ProvenanceTypeV02 is that of SLSA provenance v0.2: what Chains writes in its formats slsa/v1 and in-toto.
	ProvenanceTypeV02 = "https://slsa.dev/provenance/v0.2"
)

// Kinds of run that a provenance can be of.
const (
	kindTask     = "TaskRun"
	kindPipeline = "PipelineRun"
)

// Provenance is what Tekton Chains says of how something was made. It says what the cluster saw; whether the builder and
// the tasks are any good is for a [Trust] to decide.
type Provenance struct {
	Subject   []ResourceDescriptor // what was made
	Builder   string               // id of the builder, empty if there is none
	BuildType string               // TypeURI that says how the build is described
	Kind      string               // of the run: "TaskRun", "PipelineRun", or empty if BuildType is not one of Chains'
	Started   time.Time            // as signed, in whole seconds; zero if absent
	Finished  time.Time            // as signed, in whole seconds; zero if absent

	// Tasks is what ran, in the order of the provenance: one for a TaskRun. Chains leaves out what did not run to an
	// end, custom tasks, and in v0.2 also a task with a step whose name begins with "unnamed-", which whoever writes the
	// pipeline chooses.
	Tasks []ProvenanceTask

	// Complete says that the format lists every task. That of a PipelineRun with build type .../chains/v2/slsa does not:
	// tasks that are written into the pipeline are not in it, and of several from one commit only one is.
	Complete bool
}

// A ProvenanceTask is one task that ran.
type ProvenanceTask struct {
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

// ParseProvenance reads the predicate of s, which must be SLSA provenance v1 or v0.2, as Tekton Chains writes it for
// TaskRuns and PipelineRuns. Of what other builders wrote it reads builder, build type and times, and no tasks. Whoever
// calls it must have verified s.
//
// Errors: [*FieldError] for a predicate type that is not provenance, and for each task that cannot be read; [*LimitError];
// and what makes JSON ambiguous, as with [ParseStatement]. Unknown fields are ignored.
func ParseProvenance(s *Statement) (*Provenance, error) { return parseProvenance(s, defaultJSON) }

func parseProvenance(s *Statement, limits strictjson.Limits) (*Provenance, error) {
	var p *Provenance
	var err error
	switch s.PredicateType {
	case ProvenanceType:
		p, err = readProvenanceV1(s.Predicate, limits)
	case ProvenanceTypeV02:
		p, err = readProvenanceV02(s.Predicate, limits)
	default:
		err = &FieldError{"predicateType", fmt.Sprintf("%q is not SLSA provenance v1 or v0.2", s.PredicateType)}
	}
	if err != nil {
		return nil, fmt.Errorf("attest: provenance: %w", err)
	}
	p.Subject = s.Subject
	return p, nil
}

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

func readProvenanceV02(raw json.RawMessage, limits strictjson.Limits) (*Provenance, error) {
	var v struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		BuildType   string          `json:"buildType"`
		Invocation  json.RawMessage `json:"invocation"`
		BuildConfig json.RawMessage `json:"buildConfig"`
		Metadata    struct {
			StartedOn  time.Time `json:"buildStartedOn"`
			FinishedOn time.Time `json:"buildFinishedOn"`
		} `json:"metadata"`
	}
	if err := decode(raw, &v, limits); err != nil {
		return nil, err
	}
	p := &Provenance{
		Builder: v.Builder.ID, BuildType: v.BuildType, Kind: runKindV02(v.BuildType),
		Started: v.Metadata.StartedOn, Finished: v.Metadata.FinishedOn,
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
func (p *Provenance) readTaskV02(raw json.RawMessage, limits strictjson.Limits) error {
	var i invocation
	if err := decodePart(raw, &i, limits); err != nil {
		return err
	}
	task := newTask(i.Environment.Labels, taskRef{}, i.ConfigSource)
	task.Started, task.Finished = p.Started, p.Finished
	p.Tasks = []ProvenanceTask{task}
	return nil
}

func (p *Provenance) readTasksV02(raw json.RawMessage, limits strictjson.Limits) error {
	var v struct {
		Tasks []struct {
			Name       string      `json:"name"`
			Ref        taskRef     `json:"ref"`
			StartedOn  time.Time   `json:"startedOn"`
			FinishedOn time.Time   `json:"finishedOn"`
			Status     string      `json:"status"`
			Invocation invocation  `json:"invocation"`
			Results    taskResults `json:"results"`
		} `json:"tasks"`
	}
	if err := decodePart(raw, &v, limits); err != nil {
		return err
	}
	var c checklist
	for i, t := range v.Tasks {
		task := newTask(t.Invocation.Environment.Labels, t.Ref, t.Invocation.ConfigSource)
		task.PipelineTask, task.Status, task.Started, task.Finished = t.Name, t.Status, t.StartedOn, t.FinishedOn
		task.Results = t.Results.byName(&c, fmt.Sprintf("buildConfig.tasks[%d].results", i))
		p.Tasks = append(p.Tasks, task)
	}
	return errors.Join(c...)
}

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
			StartedOn  time.Time `json:"startedOn"`
			FinishedOn time.Time `json:"finishedOn"`
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

func readProvenanceV1(raw json.RawMessage, limits strictjson.Limits) (*Provenance, error) {
	var v provenanceV1
	if err := decode(raw, &v, limits); err != nil {
		return nil, err
	}
	p := &Provenance{
		Builder: v.RunDetails.Builder.ID, BuildType: v.BuildDefinition.BuildType,
		Started: v.RunDetails.Metadata.StartedOn, Finished: v.RunDetails.Metadata.FinishedOn,
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
	p.Tasks = []ProvenanceTask{task}
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

// A taskRun is a Tekton TaskRun as far as it matters here. Chains writes it whole.
type taskRun struct {
	Metadata struct {
		Labels labels `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		TaskRef *taskRef `json:"taskRef"`
	} `json:"spec"`
	Status struct {
		StartTime      time.Time `json:"startTime"`
		CompletionTime time.Time `json:"completionTime"`
		Conditions     []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
		Results     taskResults `json:"results"`
		TaskResults taskResults `json:"taskResults"` // before tekton.dev/v1
		Provenance  struct {
			RefSource source `json:"refSource"`
		} `json:"provenance"`
	} `json:"status"`
}

// task returns what ran. The signed dependency says where it is from; the run adds the path.
func (r taskRun) task(from source, c *checklist, field string) ProvenanceTask {
	var ref taskRef
	if r.Spec.TaskRef != nil {
		ref = *r.Spec.TaskRef
	}
	if own := r.Status.Provenance.RefSource; own.URI == from.URI {
		from.EntryPoint = own.EntryPoint
	}
	task := newTask(r.Metadata.Labels, ref, from)
	task.Status, task.Started, task.Finished = r.status(), r.Status.StartTime, r.Status.CompletionTime
	all := slices.Concat(r.Status.Results, r.Status.TaskResults)
	task.Results = all.byName(c, field)
	return task
}

// conditionNames are the names that Chains has in v0.2 for the status of the condition Succeeded.
var conditionNames = map[string]string{"True": "Succeeded", "False": "Failed", "Unknown": "Running"}

// status says of a TaskRun what Chains says of it in v0.2.
func (r taskRun) status() string {
	for _, c := range r.Status.Conditions {
		if c.Type == "Succeeded" {
			return conditionNames[c.Status]
		}
	}
	return ""
}

// decodePart decodes what may be absent.
func decodePart(raw json.RawMessage, v any, limits strictjson.Limits) error {
	if len(raw) == 0 {
		return nil
	}
	return decode(raw, v, limits)
}

// contents decodes the documents inside a provenance and collects their mistakes. They share one limit on values, told by
// their commas, since many small ones need as much memory as a large one.
type contents struct {
	limits   strictjson.Limits
	values   int
	mistakes checklist
	over     *LimitError
}

func (c *contents) read(field string, content []byte, v any) bool {
	c.values += bytes.Count(content, []byte(",")) + 1
	if c.over == nil && c.values > c.limits.Values {
		c.over = &LimitError{What: "JSON values", Limit: int64(c.limits.Values), Got: int64(c.values)}
	}
	if c.over != nil {
		return false
	}
	err := decode(content, v, c.limits)
	if err != nil && !errors.As(err, &c.over) {
		c.mistakes.add(field, cause(err))
	}
	return err == nil
}

func (c *contents) err() error {
	if c.over != nil {
		return c.over
	}
	return errors.Join(c.mistakes...)
}

type taskResult struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

type taskResults []taskResult

// byName refuses a result given twice: which one counts would depend on the reader.
func (r taskResults) byName(c *checklist, field string) map[string]json.RawMessage {
	var named map[string]json.RawMessage
	for _, result := range r {
		if _, ok := named[result.Name]; ok {
			c.add(field, fmt.Sprintf("result %q is given twice", result.Name))
		}
		if named == nil {
			named = map[string]json.RawMessage{}
		}
		named[result.Name] = result.Value
	}
	return named
}

type labels map[string]string

// A taskRef is how a run asks for the definition of a task. Format: Tekton, TaskRef, with the bundle of v1beta1.
type taskRef struct {
	Name     string       `json:"name"`
	Kind     string       `json:"kind"`
	Bundle   string       `json:"bundle"`
	Resolver string       `json:"resolver"`
	Params   []taskResult `json:"params"`
}

// param returns a parameter of the resolver that is text and is given once.
func (r taskRef) param(name string) string {
	var value string
	var given int
	for _, p := range r.Params {
		if p.Name == name {
			given++
			_ = json.Unmarshal(p.Value, &value) // what is not text is not one of those asked for
		}
	}
	if given != 1 {
		return ""
	}
	return value
}

// isTask reports whether a task is asked for, and not a pipeline or a task of another kind.
func (r taskRef) isTask() bool {
	for _, kind := range []string{r.Kind, r.param("kind")} {
		if kind != "" && !strings.EqualFold(kind, "task") {
			return false
		}
	}
	return true
}

// definition is where the definition was asked from.
func (r taskRef) definition() definition {
	switch {
	case r.Bundle != "":
		return fromBundle(r.Bundle)
	case r.Resolver == "bundles":
		return fromBundle(r.param("bundle"))
	case r.Resolver == "git":
		d := fromGit(r.param("url"), r.param("pathInRepo"))
		d.digest = pin(map[string]string{"sha1": r.param("revision")})
		return d
	}
	return definition{}
}

// A source is where a resolver found a definition. Format: Tekton, RefSource.
type source struct {
	URI        string            `json:"uri"`
	Digest     map[string]string `json:"digest"`
	EntryPoint string            `json:"entryPoint"`
}

// definition says the same in the form in which it was asked. A bundle is the only source that has no scheme.
func (s source) definition() definition {
	var d definition
	switch {
	case strings.HasPrefix(s.URI, "git+"):
		d = fromGit(s.URI, s.EntryPoint)
	case strings.HasPrefix(s.URI, "/"), strings.Contains(s.URI, "://") && !strings.HasPrefix(s.URI, bundleScheme):
		d = definition{base: s.URI}.plain()
	default:
		d = fromBundle(strings.TrimPrefix(s.URI, bundleScheme))
	}
	d.digest = cmp.Or(pin(s.Digest), d.digest)
	return d
}

// A definition is where a task is defined. The zero definition is one that nobody knows.
type definition struct {
	base   string // "oci://quay.io/org/task-scan", "git+https://example.com/org/tasks.git"
	at     string // ":0.3", "//scan.yaml"
	digest string // "sha256:..."
}

const bundleScheme = "oci://"

// fromBundle reads "quay.io/org/task-scan:0.3@sha256:...".
func fromBundle(ref string) definition {
	tagged, digest, pinned := strings.Cut(ref, "@")
	tag, err := name.NewTag(tagged)
	if err != nil || pinned && !pinnedDigest.MatchString(digest) {
		return definition{}
	}
	d := definition{base: bundleScheme + tag.Context().Name(), digest: digest}
	if at := ":" + tag.TagStr(); strings.HasSuffix(tagged, at) {
		d.at = at
	}
	return d.plain()
}

// fromGit spells a repository as Conforma does, with .git at its end. Tekton has added that in some versions and not in
// others.
func fromGit(url, file string) definition {
	url = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(url, "git+"), "/"), ".git")
	if url == "" {
		return definition{}
	}
	d := definition{base: "git+" + url + ".git"}
	if file != "" {
		d.at = "//" + file
	}
	return d.plain()
}

// plainRef leaves out what means something else once it is resolved: escapes, queries, blanks.
var plainRef = regexp.MustCompile(`^[A-Za-z0-9+.:/_~@-]+$`)

// plain returns d if it is written as it is resolved. "https://example.com/org/../other/tasks" looks like something of
// org to a pattern, and is of other to whoever fetches it.
func (d definition) plain() definition {
	_, rest, ok := strings.Cut(d.base, "://")
	if !ok {
		rest = strings.TrimPrefix(d.base, "/")
	}
	segments := append(strings.Split(rest, "/"), strings.Split(strings.TrimPrefix(d.at, "//"), "/")...)
	if d.at == "" {
		segments = segments[:len(segments)-1]
	}
	odd := slices.ContainsFunc(segments, func(s string) bool { return s == "" || s == "." || s == ".." })
	if odd || !plainRef.MatchString(d.base+d.at) {
		return definition{}
	}
	return d
}

// and returns what two accounts of one definition say together, and nothing if they contradict each other.
func (d definition) and(other definition) definition {
	switch {
	case d.base == "":
		return other
	case other.base == "":
		return d
	case d.base != other.base, contradict(d.at, other.at), contradict(d.digest, other.digest):
		return definition{}
	}
	return definition{d.base, cmp.Or(d.at, other.at), cmp.Or(d.digest, other.digest)}
}

func contradict(a, b string) bool { return a != "" && b != "" && a != b }

// pinnedDigest is a digest that pins a definition: that of a bundle, or a commit in git.
var pinnedDigest = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha1:[0-9a-f]{40})$`)

// pin returns the digest of a set that pins the definition.
func pin(digests map[string]string) string {
	for _, d := range []string{"sha256:" + digests["sha256"], "sha1:" + digests["sha1"], "sha1:" + digests["gitCommit"]} {
		if pinnedDigest.MatchString(d) {
			return d
		}
	}
	return ""
}

// newTask fills in what a task is called and where it is from.
func newTask(l labels, ref taskRef, from source) ProvenanceTask {
	d := ref.definition().and(from.definition())
	if d.base == "" {
		d = definition{} // a digest of nobody knows what
	}
	return ProvenanceTask{
		Name: taskName(l, ref), PipelineTask: l["tekton.dev/pipelineTask"],
		Ref: d.base + d.at, Digest: d.digest,
	}
}

// objectName is what Kubernetes allows in labels and names.
var objectName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

func taskName(l labels, ref taskRef) string {
	name := cmp.Or(l["tekton.dev/task"], ref.param("name"), ref.Name)
	if !ref.isTask() || !objectName.MatchString(name) {
		return ""
	}
	return name
}

// TaskOf returns the task that made the subject with this digest. A TaskRun's subjects are made by its only task. In a
// PipelineRun it is the task whose results name the digest as Chains' type hints have it: *ARTIFACT_OUTPUTS,
// *ARTIFACT_DIGEST, *IMAGE_DIGEST or IMAGES. That a pipeline has one task only is not enough there, since its own results,
// which make the subjects, may be any text. It is false if there is no such subject, no such task or more than one, and if
// the provenance does not list all tasks.
func (p *Provenance) TaskOf(digest v1.Hash) (ProvenanceTask, bool) {
	isSubject := slices.ContainsFunc(p.Subject, func(d ResourceDescriptor) bool {
		return digest.Hex != "" && d.Digest[digest.Algorithm] == digest.Hex
	})
	if !isSubject || !p.Complete {
		return ProvenanceTask{}, false
	}
	makers := p.Tasks
	if p.Kind != kindTask {
		makers = nil
		for _, t := range p.Tasks {
			if t.made(digest.String()) {
				makers = append(makers, t)
			}
		}
	}
	if len(makers) != 1 {
		return ProvenanceTask{}, false
	}
	return makers[0], true
}

// made reports whether a result of the task names an artifact with this digest.
func (t ProvenanceTask) made(digest string) bool {
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
