package scheduler

import "sync"

// A crew calls the runner for an executor. Its goroutines, the members, take what waits one run after the other, and tell
// what is over at once: runs that take no time need no goroutine each, nor a switch between goroutines each.
//
// How long a run takes is not known before, and one that takes long must keep no other waiting. So as long as anything
// waits, one more member is coming; when it has come and taken a run, it calls the next. While the others are busy without
// a pause there is no processor for it, and that is well: what waits is worked off. As soon as one of them blocks, it gets
// that processor.
type crew struct {
	carryOut func(*liveRun) Result
	news     chan struct{} // holds one when something is over

	mu        sync.Mutex
	work      sync.Cond // a member is called, or the crew is dismissed
	waiting   []*liveRun
	head      int  // of what waits
	coming    bool // a member was called and has not come
	idle      int  // members that sleep and were not called
	over      []finish
	dismissed bool

	room []finish // of the executor, for what is over next
}

// A finish says that a run is over, or that its runner does not return.
type finish struct {
	run   *liveRun
	stuck bool
}

func newCrew(carryOut func(*liveRun) Result) *crew {
	c := &crew{carryOut: carryOut, news: make(chan struct{}, 1)}
	c.work.L = &c.mu
	return c
}

// take takes over runs that are to be carried out.
func (c *crew) take(runs []*liveRun) {
	if len(runs) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head == len(c.waiting) {
		c.waiting, c.head = c.waiting[:0], 0
	}
	c.waiting = append(c.waiting, runs...)
	c.call()
}

// call calls a member if anything waits and none is coming.
func (c *crew) call() {
	if c.head == len(c.waiting) || c.coming {
		return
	}
	c.coming = true
	if c.idle == 0 {
		go c.member()
		return
	}
	c.idle--
	c.work.Signal()
}

// member carries out what waits until the crew is dismissed.
func (c *crew) member() {
	var run *liveRun
	defer func() {
		if run != nil { // the runner ended the goroutine
			run.result = Result{Phase: PhaseFailed, Reason: "the runner ended its goroutine"}
			run.ctx.end()
			c.report(finish{run: run})
		}
	}()
	c.come()
	giveUp := c.giveUp
	for {
		if run = c.next(run); run == nil {
			return
		}
		run.begin(giveUp)
		run.result = c.carryOut(run)
		run.ctx.end()
	}
}

func (c *crew) come() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.coming = false
}

// next reports the run that is over, if any, and returns the next one to carry out, or nil when the crew is dismissed.
func (c *crew) next(over *liveRun) *liveRun {
	c.mu.Lock()
	defer c.mu.Unlock()
	if over != nil {
		c.add(finish{run: over})
	}
	for c.head == len(c.waiting) && !c.dismissed {
		c.idle++
		c.work.Wait()
		c.coming = false
	}
	if c.dismissed {
		return nil
	}
	run := c.waiting[c.head]
	c.head++
	c.call()
	return run
}

func (c *crew) report(f finish) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(f)
}

func (c *crew) add(f finish) {
	c.over = append(c.over, f)
	if len(c.over) == 1 {
		select {
		case c.news <- struct{}{}:
		default:
		}
	}
}

// giveUp reports that the runner of a run does not return.
func (c *crew) giveUp(run *liveRun) { c.report(finish{run, true}) }

// takeIn returns what is over since it was called last. The slice is good until it is called again.
func (c *crew) takeIn() []finish {
	c.mu.Lock()
	defer c.mu.Unlock()
	over := c.over
	c.over, c.room = c.room[:0], over
	return over
}

// dismiss lets the members go: those that have nothing to do now, others when their runner returns.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dismissed = true
	c.work.Broadcast()
}
