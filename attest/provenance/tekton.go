package provenance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
)

// A taskRun is a Tekton TaskRun as far as it matters here. Chains writes it whole.
type taskRun struct {
	Metadata struct {
		Labels labels `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		TaskRef *taskRef `json:"taskRef"`
	} `json:"spec"`
	Status struct {
		StartTime      intoto.Instant `json:"startTime"`
		CompletionTime intoto.Instant `json:"completionTime"`
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
func (r taskRun) task(from source, c *fault.Checklist, field string) Task {
	var ref taskRef
	if r.Spec.TaskRef != nil {
		ref = *r.Spec.TaskRef
	}
	if own := r.Status.Provenance.RefSource; own.URI == from.URI {
		from.EntryPoint = own.EntryPoint
	}
	task := newTask(r.Metadata.Labels, ref, from)
	task.Status, task.Started, task.Finished = r.status(), r.Status.StartTime.Time, r.Status.CompletionTime.Time
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
func decodePart(raw json.RawMessage, v any, limits intoto.Limits) error {
	if len(raw) == 0 {
		return nil
	}
	return fault.Decode(raw, v, limits)
}

// contents decodes the documents inside a provenance and collects their mistakes. They share one limit on values, told by
// their commas, since many small ones need as much memory as a large one.
type contents struct {
	limits   intoto.Limits
	values   int
	mistakes fault.Checklist
	over     *fault.LimitError
}

func (c *contents) read(field string, content []byte, v any) bool {
	c.values += bytes.Count(content, []byte(",")) + 1
	if c.over == nil && c.values > c.limits.Values {
		c.over = &fault.LimitError{What: "JSON values", Limit: int64(c.limits.Values), Got: int64(c.values)}
	}
	if c.over != nil {
		return false
	}
	err := fault.Decode(content, v, c.limits)
	if err != nil && !errors.As(err, &c.over) {
		c.mistakes.Add(field, fault.Cause(err))
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
func (r taskResults) byName(c *fault.Checklist, field string) map[string]json.RawMessage {
	var named map[string]json.RawMessage
	for _, result := range r {
		if _, ok := named[result.Name]; ok {
			c.Add(field, fmt.Sprintf("result %q is given twice", result.Name))
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
func newTask(l labels, ref taskRef, from source) Task {
	d := ref.definition().and(from.definition())
	if d.base == "" {
		d = definition{} // a digest of nobody knows what
	}
	return Task{
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
