package pipelinerun

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/scheduler"
)

// Skipped says what a test that says SKIPPED comes to.
type Skipped uint8

// The integration-service lets a skipped test pass, Conforma denies the image later. There is no default.
const (
	SkippedPasses Skipped = iota + 1
	SkippedFails
)

// Rules are what a caller of [Judge] decides.
type Rules struct {
	Skipped   Skipped       // what SKIPPED comes to; it fails unless it is said to pass
	Signed    bool          // a run is over when Tekton Chains has annotated it with chains.tekton.dev/signed
	Patience  time.Duration // how long after the end of a run is waited for that, and for TaskRuns that it names
	PlainPass bool          // a run that passed with warnings has passed, and nothing is said of them
	Stopped   []string      // annotations, each of which says that a plan stopped the run
}

// DefaultPatience is what packages konflux and tekton wait for where nothing else is said.
const DefaultPatience = 5 * time.Minute

// An End is how a run ended. It tells more than a phase.
type End uint8

// The ends.
const (
	EndNone     End = iota // it is not over, or cannot be judged yet
	EndPassed              // it passed
	EndWarned              // it passed, with warnings
	EndFailed              // it failed
	EndCanceled            // somebody canceled it
	EndUnknown             // it succeeded, and TaskRuns that it names are not there
	EndDeleted             // it was deleted before it was over
)

// A Result is what a PipelineRun comes to.
type Result struct {
	Phase   scheduler.Phase // PhaseRunning as long as it is not over, or cannot be judged yet
	End     End
	Details string
	Ended   time.Time // when it was over; zero as long as it is not
	Wake    time.Time // when the answer changes although nothing happens; zero if it does not
}

// Judge says what a PipelineRun comes to, as the integration-service does it: it passed if its condition Succeeded is True
// and each result TEST_OUTPUT (or HACBS_TEST_OUTPUT) of its tasks can be read and says SUCCESS, WARNING or, if that is
// chosen, SKIPPED. A warning makes it EndWarned. A run that is deleted before it is over is EndDeleted. The TaskRuns are
// those that the run's childReferences name.
//
// Unlike there, a canceled run is told from a failed one, and what is not there yet is waited for: TaskRuns that the run
// names, and with Rules.Signed the mark of Tekton Chains, each for as long as Rules.Patience. Several mistakes in
// results are told in the order of the tasks.
func Judge(run *PipelineRun, tasks map[string]*TaskRun, rules Rules, now time.Time) Result {
	c := run.succeeded()
	if !run.Over() {
		if run.DeletionTimestamp != nil {
			return rules.over(run, Result{Phase: scheduler.PhaseCanceled, End: EndDeleted, Details: "deleted before it was over"}, *run.DeletionTimestamp)
		}
		return Result{Phase: scheduler.PhaseRunning, Details: "started"}
	}
	ended := now
	if run.Status.CompletionTime != nil {
		ended = *run.Status.CompletionTime
	}
	until := ended.Add(rules.Patience)
	r, missing := rules.outcome(run, c, tasks)
	if missing > 0 && now.Before(until) && run.Status.CompletionTime != nil {
		return waitFor(fmt.Sprintf("%d of its %d TaskRuns", missing, len(run.Status.ChildReferences)), until)
	}
	if _, signed := run.Annotations[chainsSigned]; rules.Signed && !signed {
		if now.Before(until) && run.Status.CompletionTime != nil {
			return waitFor("the signature of Tekton Chains", until)
		}
		r.Details += "; Tekton Chains did not sign it"
		if run.Status.CompletionTime != nil {
			r.Details += fmt.Sprintf(" within %v", rules.Patience)
		}
	}
	return rules.over(run, r, ended)
}

// ByName returns the TaskRuns by their names, as [Judge] looks them up.
func ByName(tasks []TaskRun) map[string]*TaskRun {
	index := make(map[string]*TaskRun, len(tasks))
	for i := range tasks {
		index[tasks[i].Name] = &tasks[i]
	}
	return index
}

// chainsSigned is the annotation that Tekton Chains adds when it has dealt with a run. Any value counts: "failed" is
// as final as "true".
const chainsSigned = "chains.tekton.dev/signed"

// waitFor is a run that is over and counts as running. One whose end has no time is not waited for: nobody could say for
// how long.
func waitFor(what string, until time.Time) Result {
	return Result{Phase: scheduler.PhaseRunning, Details: "over, and waits for " + what, Wake: until}
}

// over turns what was canceled by a plan into that.
func (rules Rules) over(run *PipelineRun, r Result, ended time.Time) Result {
	marked := slices.ContainsFunc(rules.Stopped, func(key string) bool { _, ok := run.Annotations[key]; return ok })
	if marked && r.Phase == scheduler.PhaseCanceled {
		r.Phase = scheduler.PhaseStopped
	}
	r.Ended = ended
	return r
}

// outcome judges a run that is over, and returns how many TaskRuns it lacks for that.
func (rules Rules) outcome(run *PipelineRun, c Condition, tasks map[string]*TaskRun) (r Result, missing int) {
	if c.Status == "False" {
		return failed(c), 0
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
		return Result{Phase: scheduler.PhaseFailed, End: EndUnknown,
			Details: fmt.Sprintf("%d TaskRuns are named, and %d of them are not there", len(run.Status.ChildReferences), missing)}, missing
	}
	return rules.total(outputs), 0
}

// failed tells a run that was canceled from one that failed, by the reasons that Tekton gives.
func failed(c Condition) Result {
	why := c.Reason
	if c.Message != "" {
		why = strings.TrimPrefix(why+": "+c.Message, ": ")
	}
	why = Shorten(why, MaxWhy)
	switch c.Reason {
	case "Cancelled", "CancelledRunFinally", "StoppedRunFinally":
		return Result{Phase: scheduler.PhaseCanceled, End: EndCanceled, Details: CanceledPrefix + why}
	}
	return Result{Phase: scheduler.PhaseFailed, End: EndFailed, Details: "failed: " + why}
}

// CanceledPrefix begins the details of what was canceled.
const CanceledPrefix = "Canceled: "

// MaxWhy is how many bytes a reason has in details at most.
const MaxWhy = 200

// Shorten returns text of at most so many bytes, which are more than three.
func Shorten(text string, most int) string {
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
func (rules Rules) total(outputs []taskOutput) Result {
	slices.SortStableFunc(outputs, func(a, b taskOutput) int { return cmp.Compare(a.task, b.task) })
	var bad, warned []string
	for _, out := range outputs {
		switch {
		case out.mistake != nil:
			bad = append(bad, fmt.Sprintf("the result of %s cannot be read: %v", out.task, out.mistake))
		case out.result == ResultWarning:
			warned = append(warned, out.task)
		case out.result == ResultSuccess, out.result == ResultSkipped && rules.Skipped == SkippedPasses:
		default:
			bad = append(bad, out.task+" says "+out.result)
		}
	}
	switch {
	case len(bad) > 0:
		return Result{Phase: scheduler.PhaseFailed, End: EndFailed, Details: "failed: " + Shorten(strings.Join(bad, "; "), MaxWhy)}
	case len(warned) > 0 && !rules.PlainPass:
		return Result{Phase: scheduler.PhasePassed, End: EndWarned, Details: "passed with warnings: " + Shorten(strings.Join(warned, ", "), MaxWhy)}
	}
	return Result{Phase: scheduler.PhasePassed, End: EndPassed, Details: "passed"}
}

// readOutput reads the first result of a task that tells of a test.
func readOutput(child ChildReference, t *TaskRun) (out taskOutput, ok bool) {
	out.task = cmp.Or(child.PipelineTaskName, child.Name)
	for _, r := range t.Status.Results {
		if slices.Contains(testOutputNames, r.Name) {
			out.result, out.mistake = acceptedResult(r.Value)
			return out, true
		}
	}
	return out, false
}
