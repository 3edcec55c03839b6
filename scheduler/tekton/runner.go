package tekton

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A Runner is a [scheduler.Runner] whose scenarios are PipelineRuns in one namespace of a cluster.
type Runner struct {
	client  *Client
	o       Options
	prefix  prefix
	scope   pipelinerun.Meta // goes into names
	rules   pipelinerun.Rules
	watcher *watcher
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
	r := &Runner{client: c, o: o, prefix: prefix(o.Prefix), scope: pipelinerun.Meta{Name: o.Scope}}
	r.rules = pipelinerun.Rules{Skipped: o.Skipped, Signed: o.Signed, Patience: o.Patience, Stopped: []string{r.prefix.stopped()}}
	if o.Owner != nil {
		r.scope.UID = o.Owner.UID
	}
	r.watcher = watchFor(ctx, c, r.prefix.selector(o.Scope), logger{to: o.Logger})
	bounded, cancel := context.WithTimeoutCause(ctx, o.Retry, fmt.Errorf("tekton: the PipelineRuns could not be listed within %s", o.Retry))
	defer cancel()
	if err := r.watcher.sync(bounded); err != nil {
		r.watcher.close()
		return nil, err
	}
	return r, nil
}

// Name returns the name of the PipelineRun of a run.
func (r *Runner) Name(run scheduler.Ref) string { return pipelinerun.RunName(r.scope, run) }

// Run carries out one run as the package documentation tells.
func (r *Runner) Run(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
	name := r.Name(t.Ref)
	news, forget, ok := r.watcher.follow(name)
	if !ok {
		return scheduler.Result{}, errors.New("tekton: the context of NewRunner has ended; make another Runner")
	}
	defer forget()
	c := &session{Runner: r, task: t, name: name, news: news, log: logger{to: r.o.Logger, run: &t.Ref}}
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
	return pipelinerun.Shorten(strings.TrimPrefix(err.Error(), "tekton: "), maxReason)
}
