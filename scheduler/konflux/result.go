package konflux

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/internal/strictjson"
	"github.com/testdag/testdag/scheduler"
)

// A Result is what a PipelineRun comes to.
type Result struct {
	Phase   scheduler.Phase // PhaseRunning as long as it is not over, or cannot be judged yet
	Status  Status
	Details string
	Ended   time.Time // when it was over; zero as long as it is not
	Wake    time.Time // when the answer changes although nothing happens; zero if it does not
}

// Judge says what a PipelineRun comes to, as the integration-service does it: it passed if its condition Succeeded is True
// and each result TEST_OUTPUT (or HACBS_TEST_OUTPUT) of its tasks can be read and says SUCCESS, WARNING or, if that is
// chosen, SKIPPED. A warning makes it TestWarning. A run that is deleted before it is over is Deleted. The TaskRuns are
// those that the run's childReferences name.
//
// Unlike there, a canceled run is told from a failed one, and what is not there yet is waited for: TaskRuns that the run
// names, and with [Options.Signed] the mark of Tekton Chains, each for as long as [Options.Patience]. Several mistakes in
// results are told in the order of the tasks.
func Judge(run PipelineRun, tasks []TaskRun, o Options, now time.Time) (Result, error) {
	o, err := o.complete()
	if err != nil {
		return Result{}, err
	}
	return o.judge(&run, taskIndex(tasks), now), nil
}

func taskIndex(tasks []TaskRun) map[string]*TaskRun {
	index := make(map[string]*TaskRun, len(tasks))
	for i := range tasks {
		index[tasks[i].Name] = &tasks[i]
	}
	return index
}

// chainsSigned is the annotation that Tekton Chains adds when it has dealt with a run. Any value counts: "failed" is
// as final as "true".
const chainsSigned = "chains.tekton.dev/signed"

func (o *Options) judge(run *PipelineRun, tasks map[string]*TaskRun, now time.Time) Result {
	c := run.succeeded()
	if c.Status != "True" && c.Status != "False" {
		if run.DeletionTimestamp != nil {
			return o.over(run, Result{Phase: scheduler.PhaseCanceled, Status: Deleted, Details: "deleted before it was over"}, *run.DeletionTimestamp)
		}
		return Result{Phase: scheduler.PhaseRunning, Status: InProgress, Details: "started"}
	}
	ended := now
	if run.Status.CompletionTime != nil {
		ended = *run.Status.CompletionTime
	}
	until := ended.Add(o.Patience)
	r, missing := o.outcome(run, c, tasks)
	if missing > 0 && now.Before(until) && run.Status.CompletionTime != nil {
		return waitFor(fmt.Sprintf("%d of its %d TaskRuns", missing, len(run.Status.ChildReferences)), until)
	}
	if _, signed := run.Annotations[chainsSigned]; o.Signed && !signed {
		if now.Before(until) && run.Status.CompletionTime != nil {
			return waitFor("the signature of Tekton Chains", until)
		}
		r.Details += "; Tekton Chains did not sign it"
		if run.Status.CompletionTime != nil {
			r.Details += fmt.Sprintf(" within %v", o.Patience)
		}
	}
	return o.over(run, r, ended)
}

// waitFor is a run that is over and counts as running. One whose end has no time is not waited for: nobody could say for
// how long.
func waitFor(what string, until time.Time) Result {
	return Result{Phase: scheduler.PhaseRunning, Status: InProgress, Details: "over, and waits for " + what, Wake: until}
}

// over turns what was canceled by a plan into that.
func (o *Options) over(run *PipelineRun, r Result, ended time.Time) Result {
	if _, marked := o.find(run.Annotations, Keys.stopped); marked && r.Phase == scheduler.PhaseCanceled {
		r.Phase = scheduler.PhaseStopped
	}
	r.Ended = ended
	return r
}

func (run *PipelineRun) succeeded() Condition {
	i := slices.IndexFunc(run.Status.Conditions, func(c Condition) bool { return c.Type == "Succeeded" })
	if i < 0 {
		return Condition{}
	}
	return run.Status.Conditions[i]
}

// over reports whether Tekton is done with it.
func (run *PipelineRun) over() bool {
	c := run.succeeded()
	return c.Status == "True" || c.Status == "False"
}

// done reports whether it is over, or deleted: what nobody waits for can go.
func (run *PipelineRun) done() bool { return run.over() || run.DeletionTimestamp != nil }

// queued is the spec.status of a run that is held back before it starts. Konflux' queue sets it on every PipelineRun, also on
// one that is canceled from the start.
const queued = "PipelineRunPending"

// ending reports whether it is over, or somebody asked for its end.
func (run *PipelineRun) ending() bool {
	return run.done() || run.Spec.Status != "" && run.Spec.Status != queued
}

// outcome judges a run that is over, and returns how many TaskRuns it lacks for that.
func (o *Options) outcome(run *PipelineRun, c Condition, tasks map[string]*TaskRun) (r Result, missing int) {
	if c.Status == "False" {
		return failed(run, c), 0
	}
	outputs := make([]taskOutput, 0, len(run.Status.ChildReferences))
	for _, child := range run.Status.ChildReferences {
		t := tasks[child.Name]
		if t == nil {
			missing++
			continue
		}
		if out, ok := readOutput(child, t); ok {
			outputs = append(outputs, out)
		}
	}
	if missing > 0 {
		return Result{Phase: scheduler.PhaseFailed, Status: TestInvalid,
			Details: fmt.Sprintf("%d TaskRuns are named, and %d of them are not there", len(run.Status.ChildReferences), missing)}, missing
	}
	return o.total(run, outputs), 0
}

// failed tells a run that was canceled from one that failed, by the reasons that Tekton gives.
func failed(run *PipelineRun, c Condition) Result {
	why := c.Reason
	if c.Message != "" {
		why = strings.TrimPrefix(why+": "+c.Message, ": ")
	}
	why = shorten(why, maxWhy)
	switch c.Reason {
	case "Cancelled", "CancelledRunFinally", "StoppedRunFinally":
		return Result{Phase: scheduler.PhaseCanceled, Status: TestFail, Details: canceledPrefix + why}
	}
	return Result{Phase: scheduler.PhaseFailed, Status: TestFail, Details: "failed: " + why}
}

const maxWhy = 200 // bytes of a reason in details

// shorten returns text of at most so many bytes, which are more than three.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-3], "") + "..."
}

// A taskOutput is what a task says of its test.
type taskOutput struct {
	task, result string
	mistake      error
}

// total judges a run that succeeded by what its tasks say: the worst counts.
func (o *Options) total(run *PipelineRun, outputs []taskOutput) Result {
	slices.SortStableFunc(outputs, func(a, b taskOutput) int { return cmp.Compare(a.task, b.task) })
	var bad, warned []string
	for _, out := range outputs {
		switch {
		case out.mistake != nil:
			bad = append(bad, fmt.Sprintf("the result of %s cannot be read: %v", out.task, out.mistake))
		case out.result == "WARNING":
			warned = append(warned, out.task)
		case out.result == "SUCCESS", out.result == "SKIPPED" && o.Skipped == SkippedPasses:
		default:
			bad = append(bad, out.task+" says "+out.result)
		}
	}
	switch {
	case len(bad) > 0:
		return Result{Phase: scheduler.PhaseFailed, Status: TestFail, Details: "failed: " + shorten(strings.Join(bad, "; "), maxWhy)}
	case len(warned) > 0 && !o.PlainPass:
		return Result{Phase: scheduler.PhasePassed, Status: TestWarning, Details: "passed with warnings: " + shorten(strings.Join(warned, ", "), maxWhy)}
	}
	return Result{Phase: scheduler.PhasePassed, Status: TestPassed, Details: "passed"}
}

// readOutput reads the first result of a task that tells of a test.
func readOutput(child ChildReference, t *TaskRun) (out taskOutput, ok bool) {
	out.task = cmp.Or(child.PipelineTaskName, child.Name)
	for _, r := range t.Status.Results {
		if r.Name == "TEST_OUTPUT" || r.Name == "HACBS_TEST_OUTPUT" {
			out.result, out.mistake = parseOutput(r.Value)
			return out, true
		}
	}
	return out, false
}

// A testOutput is the form of TEST_OUTPUT: decision record 30 of Konflux.
type testOutput struct {
	Result    *string `json:"result"`
	Timestamp *string `json:"timestamp"`
	Namespace string  `json:"namespace"`
	Note      string  `json:"note"`
	Successes *int    `json:"successes"`
	Failures  *int    `json:"failures"`
	Warnings  *int    `json:"warnings"`
}

var (
	outputLimits = strictjson.Limits{Depth: 16, Values: 10_000}
	results      = []string{"SUCCESS", "FAILURE", "WARNING", "SKIPPED", "ERROR"}

	// timestampPattern takes what the integration-service takes: seconds since 1970, or RFC 3339 with or without a zone.
	timestampPattern = regexp.MustCompile(`^([0-9]{10}|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})?)$`)
)

func parseOutput(value json.RawMessage) (result string, err error) {
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return "", errors.New("it is not text")
	}
	var form testOutput
	if err := strictjson.Decode([]byte(text), &form, outputLimits); err != nil {
		return "", err
	}
	switch {
	case form.Result == nil:
		return "", errors.New("result is missing")
	case !slices.Contains(results, *form.Result):
		return "", fmt.Errorf("unknown result %q; want one of %v", *form.Result, results)
	case form.Timestamp == nil || !timestampPattern.MatchString(*form.Timestamp):
		return "", errors.New("timestamp is missing, or neither seconds since 1970 nor RFC 3339")
	}
	for _, count := range []struct {
		name string
		n    *int
	}{{"successes", form.Successes}, {"failures", form.Failures}, {"warnings", form.Warnings}} {
		if count.n == nil || *count.n < 0 {
			return "", fmt.Errorf("%s is missing, or negative", count.name)
		}
	}
	return *form.Result, nil
}
