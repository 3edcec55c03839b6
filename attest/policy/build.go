package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
	"github.com/testdag/testdag/internal/strictjson"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// takeBuilds keeps the builds that count and warns of the rest. Anybody who may run a task can have a provenance signed
// that names the image; that is no build, and nothing for a build to be compared with.
func (j *judge) takeBuilds() {
	for _, b := range j.in.Builds {
		switch {
		case b.Image.DigestStr() != j.in.Image.DigestStr():
		case b.Provenance != nil && errors.Is(b.Problem, attest.Future) && !isA[*provenance.UntrustedError](b.Problem):
			j.builds = append(j.builds, b) // it is one, and blocks
		case b.Problem != nil || b.Provenance == nil || b.VerifiedBy == (attest.Identity{}):
			j.passedOver.warn(Note{
				Msg:      "provenance at the image is not that of a build that counts: " + shownError(b.Problem),
				Metadata: Metadata{Code: CodeNotABuild}, Evidence: []Source{buildSource(b, "", time.Time{})},
			})
		default:
			j.builds = append(j.builds, b)
		}
	}
	for _, b := range j.builds {
		for _, t := range b.Provenance.Tasks {
			j.names[t.Name] = true
		}
	}
	j.newest = newestOf(j.builds, finished)
	// A pipeline tells of all its tasks, the provenance of the last of them, which may end in the same second, only of that.
	whole := slices.DeleteFunc(slices.Clone(j.newest), func(b attest.Build) bool { return b.Provenance.Kind == "TaskRun" })
	if len(whole) > 0 {
		j.newest = whole
	}
}

// finished is when a build ended. What does not say so, or says a time to come, may be the newest.
func finished(b attest.Build) time.Time {
	if b.Problem != nil || b.Provenance.Finished.IsZero() {
		return endOfTime
	}
	return b.Provenance.Finished
}

// inBuild judges a task by the newest build alone. If there are several of the same instant, as in two formats, each
// must have it.
func (j *judge) inBuild(task string) (v verdict, ok bool) {
	for _, b := range j.newest {
		tasks := tasksOf(b, task)
		if len(tasks) == 0 {
			return verdict{}, false
		}
		for _, t := range tasks {
			v.add(j.task(ran{b, t}))
		}
	}
	if v.met() {
		for i := range v.successes {
			v.successes[i].Metadata.Code = CodeFoundInBuild
		}
	}
	return v, len(j.newest) > 0
}

// ran is a task that ran in a build.
type ran struct {
	build attest.Build
	task  provenance.Task
}

// when is when the task ended: not after its build.
func (r ran) when() time.Time {
	end := finished(r.build)
	if t := r.task.Finished; !t.IsZero() && t.Before(end) && end != endOfTime {
		return t
	}
	return end
}

// tasksOf returns the runs of a task in a build: a pipeline may run one several times, for several platforms.
func tasksOf(b attest.Build, name string) []provenance.Task {
	var all []provenance.Task
	for _, t := range b.Provenance.Tasks {
		if t.Name == name && name != "" {
			all = append(all, t)
		}
	}
	return all
}

// byBuild judges a test by the builds that ran it: by the newest, in which each of its runs must do.
func (j *judge) byBuild(test string) (v verdict, newest time.Time, ok bool) {
	type turn struct {
		runs []ran
		when time.Time // the last of them
	}
	var turns []turn
	for _, b := range j.builds {
		var t turn
		for _, task := range tasksOf(b, test) {
			r := ran{b, task}
			t.runs = append(t.runs, r)
			if r.when().After(t.when) {
				t.when = r.when()
			}
		}
		if len(t.runs) > 0 {
			turns = append(turns, t)
		}
	}
	for _, t := range newestOf(turns, func(t turn) time.Time { return t.when }) {
		for _, r := range t.runs {
			v.add(j.task(r))
		}
		newest, ok = t.when, true
	}
	return v, newest, ok
}

// task judges one run of a task in a build: how it ended, and what its results say, see the package comment.
func (j *judge) task(r ran) verdict {
	t := inBuildTask{j, r.task, []Source{buildSource(r.build, r.task.Name, r.when())}}
	testOutput, tells := t.Results["TEST_OUTPUT"]
	var v, told verdict // whether it counts, and what it tells
	switch status := t.Status; {
	case status == "Succeeded":
	case status == "" && tells: // the provenance of a TaskRun never says how it ended
	case status == "":
		v.violate(t.note(CodeErrored, "the provenance does not say how it ended"))
	default:
		told.violate(t.note(CodeFailed, "it ended as "+shown(status)))
	}
	if err := r.build.Problem; err != nil {
		v.violate(t.note(CodeFuture, shownError(err)))
	} else if r.when() == endOfTime {
		v.violate(t.note(CodeInvalid, "the provenance does not say when the build ended"))
	}
	if raw, ok := t.Results["IMAGES_PROCESSED"]; ok && !processed(raw, j.in.Image.DigestStr()) {
		v.violate(t.note(CodeErrored, "IMAGES_PROCESSED does not list the image"))
	}
	told.add(t.scanned())
	switch {
	case tells:
		told.add(t.testOutput(testOutput))
	case v.met() && told.met():
		told.add(j.result(t.Name, intoto.Passed, " in the build", t.sources))
	}
	v.add(j.weighed(t.Name, told))
	return v
}

// An inBuildTask is a task of a build, and the evidence that it is.
type inBuildTask struct {
	judge *judge
	provenance.Task
	sources []Source
}

func (t inBuildTask) note(code Code, what string) Note {
	return Note{
		Msg:      shown(t.Name) + " in the build: " + what,
		Metadata: Metadata{Code: code, Term: Term{t.Name}}, Evidence: t.sources,
	}
}

// testOutput judges the result that Konflux tasks give, by ADR 30 of konflux-ci/architecture. Failures deny whatever it
// says, as with Conforma. Counts that are missing are 0.
func (t inBuildTask) testOutput(raw json.RawMessage) verdict {
	var v verdict
	text, err := textOf(raw)
	o, doubts, errOutput := pipelinerun.ParseTestOutput([]byte(text))
	for _, d := range doubts {
		if d.Field == "result" {
			errOutput = d
		}
	}
	if err = cmp.Or(err, errOutput); err != nil {
		v.violate(t.note(CodeErrored, "TEST_OUTPUT cannot be read: "+shownError(err)))
		return v
	}
	var result intoto.Result
	_ = result.UnmarshalText([]byte(o.Counted())) // it takes any text
	return t.judge.result(t.Name, result, " in the build", t.sources)
}

// textOf returns a result of a task that is text.
func textOf(raw json.RawMessage) (text string, err error) {
	err = json.Unmarshal(raw, &text)
	return text, err
}

// unpack decodes a result of a task that is text which holds JSON.
func unpack(raw json.RawMessage, into any) error {
	text, err := textOf(raw)
	if err != nil {
		return err
	}
	return strictjson.Decode([]byte(text), into, strictjson.Limits{Depth: 16, Values: 10_000})
}

func processed(raw json.RawMessage, digest string) bool {
	var o struct {
		Image struct {
			Digests []string `json:"digests"`
		} `json:"image"`
	}
	return unpack(raw, &o) == nil && slices.ContainsFunc(o.Image.Digests, func(d string) bool { return strings.TrimSpace(d) == digest })
}

// scanOutput judges a scan by its counts. Leeway and waivers of findings are for single vulnerabilities.
func (t inBuildTask) scanOutput(raw json.RawMessage) verdict {
	var v verdict
	rules := t.judge.policy.Vulnerabilities
	var o struct {
		Fixed   map[string]*int `json:"vulnerabilities"`
		Unfixed map[string]*int `json:"unpatched_vulnerabilities"`
	}
	err := unpack(raw, &o)
	fixed, unfixed := byLevel(o.Fixed), byLevel(o.Unfixed)
	if err == nil && (o.Fixed == nil || fixed == nil || unfixed == nil) {
		err = errors.New("want counts of vulnerabilities by level")
	}
	if err != nil {
		v.violate(t.note(CodeErrored, "SCAN_OUTPUT cannot be read: "+shownError(err)))
		return v
	}
	t.count(&v, fixed, rules.WithFix, "with a fix")
	t.count(&v, unfixed, rules.WithoutFix, "without a fix")
	return v
}

// byLevel adds up counts whose words mean the same level, nil if one is no count.
func byLevel(counts map[string]*int) map[Level]int {
	sums := map[Level]int{}
	for word, n := range counts {
		if n == nil || *n < 0 {
			return nil
		}
		level, known := wordFor(word)
		if !known {
			level = Unknown
		}
		sums[level] += *n
	}
	return sums
}

// count judges how many vulnerabilities there are of each level.
func (t inBuildTask) count(v *verdict, counts map[Level]int, rules Levels, fix string) {
	for _, level := range levels {
		n := counts[level]
		if n == 0 {
			continue
		}
		what := fmt.Sprintf("%d %s vulnerabilities %s", n, level, fix)
		switch {
		case slices.Contains(rules.Deny, level):
			v.violate(t.note(CodeDenied, what))
		case slices.Contains(rules.Warn, level):
			v.warn(t.note(CodeWarnedOf, what))
		}
	}
}

func buildSource(b attest.Build, test string, when time.Time) Source {
	s := Source{Test: test, Origin: InBuild, Manifest: b.Manifest.String(), By: voucher(b.VerifiedBy)}
	if b.Provenance == nil {
		return s
	}
	if !b.Provenance.Finished.IsZero() && when.IsZero() {
		when = b.Provenance.Finished
	}
	if !when.IsZero() && when.Before(endOfTime) {
		t := when.UTC()
		s.Time, s.Clock = &t, attest.ClockProvenance
	}
	return s
}
