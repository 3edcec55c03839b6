package scheduler

import "sync"

// A workerPool calls the runner for an executor. Its workers, goroutines, take what waits one run after the other, and
// tell what is over at once: runs that take no time need no goroutine each, nor a switch between goroutines each.
//
// How long a run takes is not known before, and one that takes long must keep no other waiting. So as long as anything
// waits, one more worker is coming; when it has come and taken a run, it calls the next. While the others are busy
// without a pause there is no processor for it, and that is well: what waits is worked off. As soon as one of them
// blocks, it gets that processor.
type workerPool struct {
	carryOut func(*liveRun) Result
	news     chan struct{} // holds one when something is over

	mu      sync.Mutex
	work    sync.Cond // a worker is called, or the pool is stopped
	waiting []*liveRun
	head    int  // of what waits
	coming  bool // a worker was called and has not come
	idle    int  // workers that sleep and were not called
	over    []finish
	stopped bool

	room []finish // of the executor, for what is over next
}

// A finish says that a run is over, or that its runner does not return.
type finish struct {
	run   *liveRun
	stuck bool
}

func newWorkerPool(carryOut func(*liveRun) Result) *workerPool {
	p := &workerPool{carryOut: carryOut, news: make(chan struct{}, 1)}
	p.work.L = &p.mu
	return p
}

// take takes over runs that are to be carried out.
func (p *workerPool) take(runs []*liveRun) {
	if len(runs) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head == len(p.waiting) {
		p.waiting, p.head = p.waiting[:0], 0
	}
	p.waiting = append(p.waiting, runs...)
	p.call()
}

// call calls a worker if anything waits and none is coming.
func (p *workerPool) call() {
	if p.head == len(p.waiting) || p.coming {
		return
	}
	p.coming = true
	if p.idle == 0 {
		go p.worker()
		return
	}
	p.idle--
	p.work.Signal()
}

// worker carries out what waits until the pool is stopped.
func (p *workerPool) worker() {
	var run *liveRun
	defer func() {
		if run != nil { // the runner ended the goroutine
			run.result = Result{Phase: PhaseFailed, Reason: "the runner ended its goroutine"}
			run.ctx.end()
			p.report(finish{run: run})
		}
	}()
	p.come()
	giveUp := p.giveUp
	for {
		if run = p.next(run); run == nil {
			return
		}
		run.begin(giveUp)
		run.result = p.carryOut(run)
		run.ctx.end()
	}
}

func (p *workerPool) come() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.coming = false
}

// next reports the run that is over, if any, and returns the next one to carry out, or nil when the pool is stopped.
func (p *workerPool) next(over *liveRun) *liveRun {
	p.mu.Lock()
	defer p.mu.Unlock()
	if over != nil {
		p.add(finish{run: over})
	}
	for p.head == len(p.waiting) && !p.stopped {
		p.idle++
		p.work.Wait()
		p.coming = false
	}
	if p.stopped {
		return nil
	}
	run := p.waiting[p.head]
	p.head++
	p.call()
	return run
}

func (p *workerPool) report(f finish) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(f)
}

func (p *workerPool) add(f finish) {
	p.over = append(p.over, f)
	if len(p.over) == 1 {
		select {
		case p.news <- struct{}{}:
		default:
		}
	}
}

// giveUp reports that the runner of a run does not return.
func (p *workerPool) giveUp(run *liveRun) { p.report(finish{run, true}) }

// takeIn returns what is over since it was called last. The slice is good until it is called again.
func (p *workerPool) takeIn() []finish {
	p.mu.Lock()
	defer p.mu.Unlock()
	over := p.over
	p.over, p.room = p.room[:0], over
	return over
}

// stop lets the workers go: those that have nothing to do now, others when their runner returns.
func (p *workerPool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.work.Broadcast()
}
