package scheduler

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A liveRun is a run that the runner is asked to carry out. It is not used again for another one: a timer may still know it.
type liveRun struct {
	ctx      runContext
	index    int   // of the scenario, or the constant removed
	pool     int32 // of a scenario that is not in the graph
	task     Task
	timeout  time.Duration
	grace    time.Duration // how long the runner may take to return when it was told to stop
	result   Result
	stopping bool // the plan said stop
	over     bool // it was taken in
}

// removed is the index of a scenario that is not in the graph.
const removed = -1

// begin starts the clock. A runner that takes too long to return is given up.
func (r *liveRun) begin(giveUp func(*liveRun)) {
	r.ctx.mu.Lock()
	defer r.ctx.mu.Unlock()
	r.ctx.begun = true
	if r.ctx.err != nil {
		r.startGrace(giveUp)
		return
	}
	if r.timeout > 0 {
		r.ctx.clock = &clock{
			deadline: time.Now().Add(r.timeout),
			timeout:  time.AfterFunc(r.timeout, func() { r.interrupt(context.DeadlineExceeded, giveUp) }),
		}
	}
}

// interrupt tells the runner to stop. From when it has begun, it may take no longer than its grace.
func (r *liveRun) interrupt(why error, giveUp func(*liveRun)) {
	r.ctx.mu.Lock()
	defer r.ctx.mu.Unlock()
	if r.ctx.err != nil {
		return
	}
	r.ctx.cancel(why)
	if r.ctx.begun {
		r.startGrace(giveUp)
	}
}

func (r *liveRun) startGrace(giveUp func(*liveRun)) {
	if r.ctx.clock == nil {
		r.ctx.clock = &clock{}
	}
	r.ctx.clock.grace = time.AfterFunc(r.grace, func() { giveUp(r) })
}

// interrupted is the result of a run that was told to stop: its own, if it came to an end of its own all the same.
func (r *liveRun) interrupted(res Result, failed *guardedError) Result {
	if failed == nil {
		return res
	}
	res.Phase, res.Reason = PhaseStopped, "stopped"
	if r.ctx.Err() == context.DeadlineExceeded {
		res.Phase, res.Reason = PhaseFailed, fmt.Sprintf("timed out after %s", r.timeout)
	}
	stop, err := failed.saysStop()
	if !stop {
		res.Reason += ": " + failed.text
	}
	if err != nil {
		res.Reason += "; " + err.Error()
	}
	return res
}

// A runContext is the context of one run. It has the values of the context of Run but not its end, and makes nothing
// before it is asked for: most runs never look at it.
type runContext struct {
	context.Context
	mu    sync.Mutex
	err   error // why the run was told to stop; context.Canceled when it is over
	done  chan struct{}
	begun bool
	clock *clock // of a run that has a timeout or was told to stop
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

// end says that the runner returned.
func (c *runContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clock != nil {
		c.clock.stop()
	}
	if c.err == nil {
		c.cancel(context.Canceled)
	}
}

func (c *clock) stop() {
	for _, timer := range []*time.Timer{c.timeout, c.grace} {
		if timer != nil {
			timer.Stop()
		}
	}
}
