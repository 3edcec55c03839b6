package tekton

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// Options tell a [Runner] what its runs are. Scope, PipelineRun and Skipped are required.
type Options struct {
	// Scope tells what the runs belong to, such as a build or an execution of a graph: a run of another scope is another
	// run. It may be any text. Together with the UID of Owner it goes into the names of PipelineRuns.
	Scope string

	// PipelineRun returns what a run does: the Spec, and the Labels and Annotations that are wanted beside those of the
	// runner. All else is the runner's. An error fails the run, with the error as its reason. It is not asked about a
	// run that is there already.
	PipelineRun func(scheduler.Task) (pipelinerun.PipelineRun, error)

	// Skipped says what a test that says SKIPPED comes to.
	Skipped pipelinerun.Skipped

	// Owner is what the PipelineRuns go with when it is deleted. The default, nil, is nothing.
	Owner *pipelinerun.OwnerReference

	// Prefix is what the keys of labels and annotations begin with, before the slash. The default is testdag.dev.
	Prefix string

	// Signed makes a run last until Tekton Chains has annotated it with chains.tekton.dev/signed, so that a child that
	// judges evidence does not start before its parent's is there. Patience bounds it.
	Signed bool

	// Patience is how long after the end of a run is waited for its signature, and for TaskRuns that it names and that
	// are not there yet. The default, 0, is 5 minutes.
	Patience time.Duration

	// CancelStatus is the spec.status that stops a run: CancelledRunFinally, the default, Cancelled or StoppedRunFinally.
	// scheduler.Options.Grace should be longer than what it leaves to be done, and than Retry.
	CancelStatus string

	// Retry is how long a request that fails and may succeed is tried again, before Run returns an error; also how long
	// the first look at the cluster may take. The default, 0, is 1 minute. Where a quota is expected to be full, give it
	// the time that it takes to become free.
	Retry time.Duration

	// Resync is how often a live run is read, in case that news of it was lost. The default, 0, is 5 minutes.
	Resync time.Duration

	// Logger, a *zap.Logger, hears of what is created and canceled, and of requests that fail. The default logs nothing.
	Logger scheduler.Logger
}

// PipelineRuns returns a function for [Options] that looks up what a scenario does. A scenario that is not there fails.
func PipelineRuns(specs map[dag.ID]pipelinerun.PipelineRunSpec) func(scheduler.Task) (pipelinerun.PipelineRun, error) {
	return func(t scheduler.Task) (run pipelinerun.PipelineRun, err error) {
		spec, ok := specs[t.Ref.ID]
		if !ok {
			return run, fmt.Errorf("there is no pipeline for scenario %q", t.Ref.ID)
		}
		run.Spec = spec
		return run, nil
	}
}

var cancelStatuses = []string{"", pipelinerun.CancelStatus, "Cancelled", "StoppedRunFinally"}

// complete returns the options with their defaults, or every mistake.
func (o Options) complete() (Options, error) {
	var mistakes []error
	refuse := func(bad bool, option, problem string, args ...any) {
		if bad {
			mistakes = append(mistakes, &OptionError{"Options." + option, fmt.Sprintf(problem, args...)})
		}
	}
	o.Prefix = cmp.Or(o.Prefix, defaultPrefix)
	refuse(o.Scope == "", "Scope", "is empty; give what tells these runs from those of others")
	refuse(o.PipelineRun == nil, "PipelineRun", "is nil; set it to what returns what a run does")
	refuse(o.Skipped != pipelinerun.SkippedPasses && o.Skipped != pipelinerun.SkippedFails, "Skipped",
		"is not given; want pipelinerun.SkippedPasses, as the integration-service has it, or pipelinerun.SkippedFails, as Conforma has it")
	refuse(o.Owner != nil && (o.Owner.APIVersion == "" || o.Owner.Kind == "" || o.Owner.Name == "" || o.Owner.UID == ""), "Owner",
		"lacks one of apiVersion, kind, name and uid")
	if problems := validation.IsDNS1123Subdomain(o.Prefix); len(problems) > 0 {
		refuse(true, "Prefix", "%q is no prefix of labels: %s", o.Prefix, strings.Join(problems, "; "))
	}
	refuse(o.Patience < 0, "Patience", "is %s; want 0 or more", o.Patience)
	refuse(!slices.Contains(cancelStatuses, o.CancelStatus), "CancelStatus", "is %q; want one of %s", o.CancelStatus,
		strings.Join(cancelStatuses[1:], ", "))
	refuse(o.Retry < 0, "Retry", "is %s; want 0 or more", o.Retry)
	refuse(o.Resync < 0, "Resync", "is %s; want 0 or more", o.Resync)
	o.Patience = cmp.Or(o.Patience, pipelinerun.DefaultPatience)
	o.CancelStatus = cmp.Or(o.CancelStatus, pipelinerun.CancelStatus)
	o.Retry = cmp.Or(o.Retry, time.Minute)
	o.Resync = cmp.Or(o.Resync, 5*time.Minute)
	return o, errors.Join(mistakes...)
}
