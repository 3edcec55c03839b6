package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A liveRun is a run that the runner is asked to carry out.
type liveRun struct {
	*runContext
	index    int // of the scenario, or stranger
	task     Task
	timeout  time.Duration
	result   Result
	takenUp  bool // it was live before Run
	stopping bool // the plan said stop
	over     bool // it was taken in
}

// stranger is the index of a scenario that is not in the graph.
const stranger = -1

// A runContext is the context of one run. It has the values of the context of Run but not its end, and makes nothing
// before it is asked for: most runs never look at it.
type runContext struct {
	*shared
	mu    sync.Mutex
	err   error // why the run was told to stop; context.Canceled when it is over
	done  chan struct{}
	clock *clock // of a run that has a timeout or was told to stop
}

// What all runs of one call of Run share.
type shared struct {
	context.Context
	grace  time.Duration  // how long a runner may take to return when it was told to stop
	giveUp func(*liveRun) // is called when it takes longer
}

type clock struct {
	deadline       time.Time
	timeout, grace *time.Timer
}

// Deadline returns when the run times out.
func (c *runContext) Deadline() (deadline time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clock == nil {
		return time.Time{}, false
	}
	return c.clock.deadline, c.clock.timeout != nil
}

// Done returns a channel that is closed when the run is told to stop, or over.
func (c *runContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// Err returns why the run was told to stop.
func (c *runContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *runContext) cancel(why error) {
	c.err = why
	if c.done != nil {
		close(c.done)
	}
}

// begin starts the clock.
func (r *liveRun) begin() {
	if r.timeout <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	r.clock = &clock{
		deadline: time.Now().Add(r.timeout),
		timeout:  time.AfterFunc(r.timeout, func() { r.interrupt(context.DeadlineExceeded) }),
	}
}

// interrupt tells the runner to stop, and waits for it no longer than it may take.
func (r *liveRun) interrupt(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	r.cancel(why)
	if r.clock == nil {
		r.clock = &clock{}
	}
	r.clock.grace = time.AfterFunc(r.grace, func() { r.giveUp(r) })
}

// end says that the runner returned.
func (r *liveRun) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clock != nil {
		r.clock.stop()
	}
	if r.err == nil {
		r.cancel(context.Canceled)
	}
}

func (c *clock) stop() {
	for _, timer := range []*time.Timer{c.timeout, c.grace} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// interrupted is the result of a run that was told to stop: its own, if it came to an end of its own all the same.
func (r *liveRun) interrupted(res Result, err error) Result {
	if err == nil {
		return res
	}
	res.Phase, res.Reason = PhaseStopped, "stopped"
	if r.Err() == context.DeadlineExceeded {
		res.Phase, res.Reason = PhaseFailed, fmt.Sprintf("timed out after %s", r.timeout)
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		res.Reason += ": " + err.Error()
	}
	return res
}
