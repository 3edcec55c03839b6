package tekton

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A session is one call of Run on its way.
type session struct {
	*Runner
	task scheduler.Task
	name string
	news <-chan struct{}
	log  logger

	run   *pipelinerun.PipelineRun // as it is known; nil as long as it is not
	tasks []pipelinerun.TaskRun    // of the run, when it is over
	gone  bool                     // it was deleted
	asked bool                     // we asked for its end
	pause time.Duration            // before the TaskRuns are read again
}

// begin finds the PipelineRun or creates it. If ctx has ended, it creates none, and may find none.
func (c *session) begin(ctx context.Context) error {
	if run, deleted := c.watcher.get(c.name); run != nil && !deleted {
		return c.takeUp(run)
	}
	if ctx.Err() != nil {
		return c.find(ctx)
	}
	want, err := c.wanted()
	if err != nil {
		return err
	}
	var before bool
	err = c.insist(ctx, "create", func(ctx context.Context) (err error) {
		c.run, before, err = c.client.create(ctx, want, c.meta())
		return err
	})
	switch {
	case err == nil && before:
		c.log.info("PipelineRun taken up", "pipelinerun", c.name)
		return nil
	case err == nil:
		c.log.info("PipelineRun created", "pipelinerun", c.name)
		return nil
	case ctx.Err() != nil && Retryable(err): // it may have been created all the same
		return c.find(ctx)
	}
	return err
}

// wanted returns the PipelineRun to be created.
func (c *session) wanted() (pipelinerun.PipelineRun, error) {
	given, err := c.o.PipelineRun(c.task)
	if err != nil {
		return given, &RefusedError{Name: c.name, Reason: err.Error(), Err: err}
	}
	run := pipelinerun.PipelineRun{Meta: c.meta(), Spec: given.Spec}
	run.Labels = with(given.Labels, run.Labels)
	run.Annotations = with(given.Annotations, run.Annotations)
	return run, nil
}

// meta is what tells this run from others.
func (c *session) meta() pipelinerun.Meta {
	m := pipelinerun.Meta{Name: c.name, Namespace: c.client.namespace}
	if c.o.Owner != nil {
		m.OwnerReferences = []pipelinerun.OwnerReference{*c.o.Owner}
	}
	c.prefix.mark(&m, c.o.Scope, c.task)
	return m
}

// takeUp goes on with a PipelineRun that is there.
func (c *session) takeUp(run *pipelinerun.PipelineRun) error {
	if err := same(c.meta(), run.Meta); err != nil {
		return err
	}
	c.run = run
	c.log.info("PipelineRun taken up", "pipelinerun", c.name)
	return nil
}

// find takes up a PipelineRun that may be there, and is to be stopped.
func (c *session) find(ctx context.Context) error {
	var run *pipelinerun.PipelineRun
	err := c.insist(context.WithoutCancel(ctx), "read", func(ctx context.Context) (err error) {
		run, err = c.client.read(ctx, c.name)
		return ignoreNotFound(err)
	})
	if err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if run == nil {
		return nil // there is nothing to be stopped
	}
	return c.takeUp(run)
}

const (
	firstPause = 250 * time.Millisecond
	maxPause   = 30 * time.Second
)

// follow follows the PipelineRun to its end, and stops it when ctx ends.
func (c *session) follow(ctx context.Context) (scheduler.Result, error) {
	resync := time.NewTicker(c.o.Resync)
	defer resync.Stop()
	ended := ctx.Done()
	for {
		result, err := c.judge(ctx)
		if err != nil {
			return scheduler.Result{}, errors.Join(ctx.Err(), err)
		}
		if result.Phase != scheduler.PhaseRunning {
			return c.conclude(ctx, result)
		}
		var wake <-chan time.Time
		if !result.Wake.IsZero() {
			wake = time.After(time.Until(result.Wake))
		}
		select {
		case <-c.news:
			c.hear(ctx)
		case <-resync.C:
			c.reread(ctx)
		case <-wake:
		case <-ended:
			ended = nil
			if err := c.stop(ctx); err != nil {
				return scheduler.Result{}, errors.Join(ctx.Err(), err)
			}
		}
	}
}

// hear takes news in.
func (c *session) hear(ctx context.Context) {
	run, deleted := c.watcher.get(c.name)
	if run == nil {
		c.reread(ctx)
		return
	}
	c.know(run)
	c.gone = c.gone || deleted
}

// reread reads the PipelineRun, without the watch. If that fails, the watch or the next time will tell.
func (c *session) reread(ctx context.Context) {
	run, err := c.client.read(context.WithoutCancel(ctx), c.name)
	switch {
	case apierrors.IsNotFound(err):
		c.gone = true
	case err != nil:
		c.log.warn("request failed", "read", err)
	default:
		c.know(run)
	}
}

// know takes a PipelineRun as it is known now. Another one under its name tells that it is gone.
func (c *session) know(run *pipelinerun.PipelineRun) {
	if run.UID != c.run.UID {
		c.gone = true
		return
	}
	c.run = run
}

// stop asks for the end of the run.
func (c *session) stop(ctx context.Context) error {
	c.asked = true
	return c.insist(context.WithoutCancel(ctx), "cancel", func(ctx context.Context) error {
		run, err := c.client.cancel(ctx, pipelinerun.Cancellation{
			Name: c.name, Status: c.o.CancelStatus, Annotations: map[string]string{c.prefix.stopped(): "true"},
		}, c.run)
		switch {
		case err != nil:
			return err
		case run == nil:
			c.gone = true
		default:
			c.know(run)
			c.log.info("PipelineRun told to end", "pipelinerun", c.name)
		}
		return nil
	})
}

// judge says what the run comes to.
func (c *session) judge(ctx context.Context) (pipelinerun.Result, error) {
	switch {
	case !c.run.Over() && c.gone:
		return pipelinerun.Result{Phase: scheduler.PhaseCanceled, End: pipelinerun.EndDeleted, Details: "deleted before it was over"}, nil
	case c.run.Over() && c.missing() > 0:
		if err := c.readTasks(ctx); err != nil {
			return pipelinerun.Result{}, err
		}
	}
	rules := c.rules
	if c.gone || ctx.Err() != nil { // nothing more comes, or nobody waits for it
		rules.Signed, rules.Patience = false, 0
	}
	result := pipelinerun.Judge(c.run, pipelinerun.ByName(c.tasks), rules, time.Now())
	if c.missing() > 0 && !result.Wake.IsZero() {
		c.pause = min(max(firstPause, 2*c.pause), maxPause)
		if next := time.Now().Add(c.pause); next.Before(result.Wake) {
			result.Wake = next
		}
	}
	return result, nil
}

// missing returns how many TaskRuns the run names that were not read.
func (c *session) missing() int {
	return len(c.run.Status.ChildReferences) - len(c.tasks)
}

// readTasks reads the TaskRuns that the run names.
func (c *session) readTasks(ctx context.Context) error {
	if c.asked {
		ctx = context.WithoutCancel(ctx)
	}
	return c.insist(ctx, "list", func(ctx context.Context) error {
		all, err := c.client.tasks(ctx, "tekton.dev/pipelineRun="+c.name)
		if err != nil {
			return err
		}
		c.tasks = slices.DeleteFunc(all, func(t pipelinerun.TaskRun) bool {
			return !slices.ContainsFunc(c.run.Status.ChildReferences, func(r pipelinerun.ChildReference) bool { return r.Name == t.Name })
		})
		return nil
	})
}

// conclude turns what the run comes to into a result.
func (c *session) conclude(ctx context.Context, r pipelinerun.Result) (scheduler.Result, error) {
	artifacts, err := pipelinerun.Artifacts(c.tasks)
	result := scheduler.Result{Phase: r.Phase, Reason: r.Details, Artifacts: artifacts}
	if r.Phase == scheduler.PhasePassed && r.End == pipelinerun.EndPassed {
		result.Reason = strings.TrimPrefix(strings.TrimPrefix(r.Details, "passed"), "; ")
	}
	if err != nil {
		c.log.warn("results cannot be read", "error", err)
		result.Reason = strings.TrimPrefix(result.Reason+"; results: "+strings.ReplaceAll(err.Error(), "\n", "; "), "; ")
	}
	stopped := r.Phase == scheduler.PhaseStopped || c.gone && c.asked && !c.run.Over()
	switch {
	case stopped && ctx.Err() != nil:
		return result, ctx.Err()
	case stopped: // by an earlier process that did not live to say so
		result.Phase = scheduler.PhaseCanceled
		result.Reason = "stopped before this process began; ask for a rerun: " + result.Reason
	}
	return result, nil
}
