package scheduler

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// A crew calls the runner for an executor. Its goroutines, the members, are handed batches of runs and work them off, one
// run after the other: runs that take no time need no goroutine each, no lock and no switch between goroutines.
//
// How long a run takes is not known before, and one that takes long must keep no other waiting. So everything goes to
// one member first, and as long as it has not begun with all of it the executor looks again and again: where nothing was
// begun for a while, it takes back the rest, and shares it out among a member more, then two, then four. Who has nothing
// to do looks around for a moment before it goes to sleep, since to be woken takes longer than most of what there is to do
// in between.
//
// All but the members' own goroutines belong to the executor.
type crew struct {
	m        *Machine
	carryOut func(*liveRun) Result
	news     chan struct{} // holds one when a member has worked off its batch, or a run is stuck
	told     atomic.Bool   // there are any
	looking  atomic.Bool   // a member looks around for work
	left     atomic.Bool   // the executor is gone

	mu    sync.Mutex
	done  []*member  // who worked off a batch
	stuck []*liveRun // runs whose runner does not return

	waiting []*liveRun
	all     []*member
	idle    []*member
	working []*member // who may have runs left to begin with
	over    []finish  // room for what takeIn returns
	stall   int       // looks in a row since when nothing was begun
	calls   int       // how many members to call next
	looks   int       // looks in a row that found nothing to take in
}

const (
	fewLooks  = 16  // looks before a batch is taken back
	manyLooks = 128 // looks before somebody goes to sleep
	manyOvers = 32  // runs to take in at once, while more are begun
)

// A finish says that a run is over, or that its runner does not return.
type finish struct {
	run   *liveRun
	stuck bool
}

// A member is one goroutine of a crew and what it was handed. While it works, only begun is shared.
type member struct {
	*crew
	runs  []*liveRun
	begun atomic.Int64 // how many of the runs it began with, plus takenBack if the others were taken back
	state atomic.Int32
	wake  chan struct{}
	ended bool // the runner ended the goroutine

	// Of the executor alone.
	seen, taken, mine int  // how many runs were begun when it looked last, are taken in, and were not taken back
	back              bool // the others were taken back
}

const takenBack = 1 << 32

// The states of a member.
const (
	awake int32 = iota
	called
	asleep
)

func newCrew(m *Machine, carryOut func(*liveRun) Result) *crew {
	return &crew{m: m, carryOut: carryOut, news: make(chan struct{}, 1)}
}

// take takes over runs that are to be carried out.
func (c *crew) take(runs []*liveRun) {
	if len(runs) == 0 {
		return
	}
	c.waiting = append(c.waiting, runs...)
	if len(c.working) == 0 {
		c.stall, c.calls = 0, 1
		c.share(1)
	}
}

// share shares out what waits among members.
func (c *crew) share(members int) {
	for ; members > 0 && len(c.waiting) > 0; members-- {
		some := (len(c.waiting) + members - 1) / members
		c.member().hand(c.waiting[:some])
		c.waiting = c.waiting[some:]
	}
	if len(c.waiting) == 0 {
		c.waiting = c.waiting[:0:0]
	}
}

// member returns a member that has nothing to do.
func (c *crew) member() *member {
	if last := len(c.idle) - 1; last >= 0 {
		m := c.idle[last]
		c.idle = c.idle[:last]
		return m
	}
	m := &member{crew: c, wake: make(chan struct{}, 1)}
	m.state.Store(called)
	c.all = append(c.all, m)
	return m
}

// hand hands runs to a member.
func (m *member) hand(runs []*liveRun) {
	fresh := m.runs == nil
	m.runs = append(m.runs[:0], runs...)
	m.seen, m.taken, m.mine, m.back = 0, 0, len(runs), false
	m.begun.Store(0)
	m.working = append(m.working, m)
	switch {
	case fresh:
		go m.work()
	case m.state.Swap(called) == asleep:
		m.wake <- struct{}{}
	}
}

// work works off what the member is handed, until the executor is gone.
func (m *member) work() {
	var run *liveRun
	var room []Ref // for the basis of the next runs
	defer func() {
		if run != nil { // the runner ended the goroutine
			run.result = Result{Phase: PhaseFailed, Reason: "the runner ended its goroutine"}
			run.end()
			m.ended = true
			m.report()
		}
	}()
	for {
		for k := m.begin(); k < int64(len(m.runs)); k = m.begin() {
			run = m.runs[k]
			if !run.takenUp {
				run.task.Basis, room = m.basis(run.index, room)
			}
			run.begin()
			run.result = m.carryOut(run)
			run.end()
			run = nil
		}
		m.state.Store(awake)
		m.report()
		m.wait()
		if m.left.Load() {
			return
		}
	}
}

// begin returns the place of the next run in the batch. If there is none, it is not below the length of the batch.
func (m *member) begin() int64 { return m.begun.Add(1) - 1 }

// report says that the batch is worked off.
func (m *member) report() {
	m.mu.Lock()
	m.done = append(m.done, m)
	m.mu.Unlock()
	m.tell()
}

// wait looks around for a moment, unless another member does so, and then sleeps until it is called.
func (m *member) wait() {
	if m.looking.CompareAndSwap(false, true) {
		defer m.looking.Store(false)
		for range manyLooks {
			if m.state.Load() == called || m.left.Load() {
				return
			}
			runtime.Gosched()
		}
	}
	if !m.left.Load() && m.state.CompareAndSwap(awake, asleep) {
		<-m.wake
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

func (c *crew) tell() {
	c.told.Store(true)
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// giveUp reports that the runner of a run does not return.
func (c *crew) giveUp(run *liveRun) {
	c.mu.Lock()
	c.stuck = append(c.stuck, run)
	c.mu.Unlock()
	c.tell()
}

// always is a channel from which can be received at any time.
var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// ready returns a channel from which can be received when it is time for takeIn.
func (c *crew) ready() <-chan struct{} {
	if len(c.working) > 0 || c.told.Load() || c.looks < manyLooks {
		return always
	}
	return c.news
}

// takeIn returns what is over since it was called last. The slice is good until it is called again.
func (c *crew) takeIn() []finish {
	c.over = c.over[:0]
	c.look()
	if c.told.Swap(false) {
		c.takeDone()
	}
	if len(c.working) == 0 {
		c.share(1)
	}
	c.looks++
	if len(c.over) > 0 {
		c.looks = 0
	} else {
		runtime.Gosched()
	}
	return c.over
}

// look takes in what the members at work have finished, if it is much. If nothing was begun for a while, it calls others.
func (c *crew) look() {
	moved := false
	c.working = slices.DeleteFunc(c.working, func(m *member) bool {
		begun := int(min(m.begun.Load(), int64(m.mine)))
		moved = moved || begun != m.seen
		m.seen = begun
		if over := begun - 1; over-m.taken >= manyOvers {
			c.takeFrom(m, over)
		}
		return begun == m.mine
	})
	c.stall++
	if moved || len(c.working) == 0 {
		c.stall = 0
	}
	if c.stall < fewLooks {
		return
	}
	c.stall = 0
	for _, m := range c.working {
		c.takeBack(m)
	}
	c.working = c.working[:0]
	c.share(c.calls)
	c.calls *= 2
}

// takeFrom takes in what a member has finished: so many runs of its batch.
func (c *crew) takeFrom(m *member, runs int) {
	for _, run := range m.runs[m.taken:runs] {
		c.over = append(c.over, finish{run: run})
	}
	m.taken = runs
}

// takeBack takes back the runs that a member has not begun with.
func (c *crew) takeBack(m *member) {
	if m.back {
		return
	}
	m.back = true
	begun := m.begun.Add(takenBack) - takenBack
	m.mine = int(min(begun, int64(m.mine)))
	c.waiting = append(c.waiting, m.runs[m.mine:]...)
}

// takeDone takes in what the members have finished that worked off their batch, and what is stuck.
func (c *crew) takeDone() {
	c.mu.Lock()
	done, stuck := c.done, c.stuck
	c.done, c.stuck = nil, nil
	c.mu.Unlock()
	for _, m := range done {
		c.working = slices.DeleteFunc(c.working, func(w *member) bool { return w == m })
		if m.ended {
			c.takeBack(m)
		} else {
			c.idle = append(c.idle, m)
		}
		c.takeFrom(m, m.mine)
	}
	for _, run := range stuck {
		c.over = append(c.over, finish{run, true})
	}
}

// dismiss lets the members go: those that have nothing to do now, others when their runner returns.
func (c *crew) dismiss() {
	c.left.Store(true)
	for _, m := range c.all {
		m.begun.Add(takenBack)
		if m.state.Swap(called) == asleep {
			m.wake <- struct{}{}
		}
	}
}
