package tekton

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
)

// A Runner is a [scheduler.Runner] whose scenarios are PipelineRuns in one namespace of a cluster.
type Runner struct {
	client  *Client
	o       Options
	prefix  prefix
	scope   konflux.Meta // goes into names
	rules   konflux.Options
	lookout *lookout
}

var _ scheduler.Runner = (*Runner)(nil)

// NewRunner returns a Runner, and begins to watch the PipelineRuns of its scope. The watch ends with ctx, or when the runs
// that are live then are over; from then on Run returns errors. NewRunner returns when it has seen what is there, and with
// an error if that takes longer than Options.Retry. Mistakes in the options are *[OptionError], all at once.
func NewRunner(ctx context.Context, c *Client, o Options) (*Runner, error) {
	o, err := o.complete()
	if c == nil {
		err = errors.Join(&OptionError{"the client", "is nil; make one with NewClient"}, err)
	}
	if err != nil {
		return nil, err
	}
	r := &Runner{client: c, o: o, prefix: prefix(o.Prefix), scope: konflux.Meta{Name: o.Scope}, rules: rules(o)}
	if o.Owner != nil {
		r.scope.UID = o.Owner.UID
	}
	r.lookout = watchFor(ctx, c, r.prefix.selector(o.Scope), logger{to: o.Logger})
	bounded, cancel := context.WithTimeoutCause(ctx, o.Retry, fmt.Errorf("tekton: the PipelineRuns could not be listed within %s", o.Retry))
	defer cancel()
	if err := r.lookout.sync(bounded); err != nil {
		r.lookout.close()
		return nil, err
	}
	return r, nil
}

// rules are those by which konflux.Judge judges a run. Of the keys it looks at the mark of what was stopped.
func rules(o Options) konflux.Options {
	const unused = "unused.invalid"
	return konflux.Options{
		Keys:    konflux.Keys{Test: unused, Pipelines: unused, Resource: unused, PAC: unused, Own: o.Prefix},
		Skipped: o.Skipped, Signed: o.Signed, Patience: o.Patience,
	}
}

// Name returns the name of the PipelineRun of a run.
func (r *Runner) Name(run scheduler.Ref) string { return konflux.RunName(r.scope, run) }

// Run carries out one run as the package documentation tells.
func (r *Runner) Run(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
	name := r.Name(t.Ref)
	news, forget, ok := r.lookout.follow(name)
	if !ok {
		return scheduler.Result{}, errors.New("tekton: the context of NewRunner has ended; make another Runner")
	}
	defer forget()
	c := &course{Runner: r, task: t, name: name, news: news, log: logger{to: r.o.Logger, run: &t.Ref}}
	err := c.begin(ctx)
	var refused *RefusedError
	var taken *TakenError
	switch {
	case errors.As(err, &refused), errors.As(err, &taken):
		return scheduler.Result{Phase: scheduler.PhaseFailed, Reason: reason(err)}, nil
	case err != nil:
		return scheduler.Result{}, err
	case c.run == nil:
		return scheduler.Result{}, ctx.Err()
	}
	return c.follow(ctx)
}

const maxReason = 1000 // bytes: what an admission webhook says may be long

// reason returns an error as the reason of a run.
func reason(err error) string {
	text := strings.TrimPrefix(err.Error(), "tekton: ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason-3], "") + "..."
	}
	return text
}
