package scheduler

import (
	"runtime"
	"slices"
	"sync"
)

// A crew calls the runner for an executor. Goroutines are added to it as runs need them, and work off what waits: a run
// that takes no time needs no goroutine of its own, and one that takes long keeps no other waiting.
//
// How long a run takes is not known before. So a few goroutines are put to work first, and as long as anything still
// waits, the executor looks again and again: where nothing was taken meanwhile, there is a goroutine more, then two, then
// four.
type crew struct {
	m        *Machine
	carryOut func(*liveRun) Result
	news     chan struct{} // holds one when something is over

	mu        sync.Mutex
	work      sync.Cond // something waits, or the crew is dismissed
	waiting   []*liveRun
	head      int // of what waits
	over      []finish
	members   int
	idle      int // members that wait for work and were not called
	taken     int // runs that were taken in all
	dismissed bool

	// What the executor saw when it looked last.
	seen, patience, next int
	looks                int // looks in a row that found nothing
	room                 []finish
}

// A finish says that a run is over, or that its runner does not return.
type finish struct {
	run   *liveRun
	stuck bool
}

func newCrew(m *Machine, carryOut func(*liveRun) Result) *crew {
	c := &crew{m: m, carryOut: carryOut, news: make(chan struct{}, 1)}
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
	if c.waits() == 0 {
		c.waiting, c.head = c.waiting[:0], 0
	}
	c.waiting = append(c.waiting, runs...)
	c.call(runtime.GOMAXPROCS(0) - (c.members - c.idle))
}

func (c *crew) waits() int { return len(c.waiting) - c.head }

// call puts members to work, but not more than there is work for.
func (c *crew) call(members int) {
	for range min(members, c.waits()) {
		if c.idle > 0 {
			c.idle--
			c.work.Signal()
			continue
		}
		c.members++
		go c.member()
	}
}

// member carries out what waits until the crew is dismissed.
func (c *crew) member() {
	var run *liveRun
	var room []Ref // for the basis of the next runs
	defer func() { // the runner ended the goroutine
		if run != nil {
			run.result = Result{Phase: PhaseFailed, Reason: "the runner ended its goroutine"}
			run.end()
			c.mu.Lock()
			defer c.mu.Unlock()
			c.members--
			c.report(finish{run: run})
		}
	}()
	c.mu.Lock()
	for {
		for looks := 0; c.waits() == 0 && !c.dismissed; looks++ {
			if looks < while {
				c.mu.Unlock()
				runtime.Gosched()
				c.mu.Lock()
				continue
			}
			c.idle++
			c.work.Wait()
		}
		if c.dismissed {
			c.mu.Unlock()
			return
		}
		run = c.waiting[c.head]
		c.head++
		c.taken++
		c.mu.Unlock()
		if !run.takenUp {
			run.task.Basis, room = c.basis(run.index, room)
		}
		run.begin()
		run.result = c.carryOut(run)
		run.end()
		c.mu.Lock()
		c.report(finish{run: run})
		run = nil
	}
}

// basis returns what the live run of the scenario at index i stands on. Nobody changes that before it is over.
func (c *crew) basis(i int, room []Ref) (basis, rest []Ref) {
	if need := len(c.m.g.ParentsAt(i)); cap(room)-len(room) < need {
		room = make([]Ref, 0, max(need, 512))
	}
	at := len(room)
	room = c.m.standsOn(i, room)
	return slices.Clip(room[at:]), room
}

func (c *crew) report(f finish) {
	c.over = append(c.over, f)
	if len(c.over) == 1 {
		select {
		case c.news <- struct{}{}:
		default:
		}
	}
}

// giveUp reports that the runner of a run does not return.
func (c *crew) giveUp(run *liveRun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report(finish{run, true})
}

// always is a channel from which can be received at any time.
var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// ready returns a channel from which can be received when something is to be taken in, or may be soon.
func (c *crew) ready() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits() > 0 || len(c.over) > 0 || c.looks < while {
		return always
	}
	return c.news
}

// takeIn returns what is over since it was called last. The slice is good until it is called again.
func (c *crew) takeIn() []finish {
	c.mu.Lock()
	over := c.over
	c.over, c.room = c.room[:0], over
	c.look()
	c.mu.Unlock()
	c.looks++
	if len(over) == 0 {
		runtime.Gosched()
		return nil
	}
	c.looks = 0
	return over
}

// while is how many times it is looked again before something is done about it.
const while = 16

// look adds to the members at work if nothing was taken for a while although something waits.
func (c *crew) look() {
	switch {
	case c.taken != c.seen || c.waits() == 0:
		c.seen, c.patience, c.next = c.taken, 0, 1
	case c.patience < while:
		c.patience++
	default:
		c.call(c.next)
		c.patience, c.next = 0, 2*c.next
	}
}

// dismiss ends the members that wait for work, and others when their runner returns.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dismissed = true
	c.work.Broadcast()
}
