package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/dag"
)

// Run carries out the plans for a graph in this process with a runner, until nothing is left to do, and returns what was
// observed. Whether the graph passed is told by [Next] of that snapshot; a scenario that failed is not an error.
//
// When the context is canceled, Run starts nothing more, stops what is live, waits for it, and returns what was observed
// with the cause of the cancellation; the snapshot can be gone on with. It returns every [*OptionError] before it starts
// anything, a [*StuckError] if a runner or Options.Save does not return, and an error that wraps the one of Options.Save.
//
// Run recovers from every panic of the runner and of the functions in the options, and from those of the methods of an
// error that they return. A runner that panics could not tell how its run ended, which fails when the attempts are used up.
// A panic of Options.Save counts as an error that it returns. A panic of Options.Observe, Timeout or Pool ends Run with an
// error in the same way: Run stops what is live, waits for it, saves, and returns what was observed. If Pool or Weight panics
// before Run begins, Run returns at once, with the snapshot as it was given. Such an error holds the stack.
func Run(ctx context.Context, g *dag.Graph, r Runner, o Options) (Snapshot, error) {
	if err := o.check(g, r); err != nil {
		return o.Snapshot, err
	}
	m := NewMachine(g, o.Snapshot)
	o.Snapshot = nil
	err := m.Run(ctx, r, o)
	return m.Snapshot(), err
}

// Run carries out the plans of the machine, as the function [Run] does, beginning with what the machine has observed;
// Options.Snapshot must be nil. The machine belongs to Run until it returns.
func (m *Machine) Run(ctx context.Context, r Runner, o Options) error {
	err := o.check(m.Graph(), r)
	if o.Snapshot != nil {
		err = errors.Join(err, &OptionError{"Options.Snapshot", "is given, but the machine has one"})
	}
	if err != nil {
		return err
	}
	e, err := newExecutor(ctx, m, r, o.complete())
	if err != nil {
		return err
	}
	defer e.leave()
	e.loop(ctx)
	e.shutDown()
	return e.err()
}

// A StuckError reports functions that did not return in time after their context was canceled: the runner of some runs,
// which are still running in the snapshot, or Options.Save.
type StuckError struct {
	Runs  []Ref
	Save  bool // Options.Save did not return: what it was to keep last may be lost
	Grace time.Duration
}

func (e *StuckError) Error() string {
	var stuck []string
	if len(e.Runs) > 0 {
		names := make([]string, len(e.Runs))
		for i, r := range e.Runs {
			names[i] = r.String()
		}
		stuck = append(stuck, "the runner was told to stop "+strings.Join(names, ", "))
	}
	if e.Save {
		stuck = append(stuck, "Options.Save was told to stop")
	}
	for i := range stuck {
		stuck[i] += " and did not return within " + e.Grace.String()
	}
	return "scheduler: " + strings.Join(stuck, "; ")
}

// An executor is one call of Run. One goroutine owns it; those of the worker pool only call the runner.
type executor struct {
	o       Options
	m       *Machine
	workers *workerPool
	queue   *queue
	context context.Context // of all runs: they outlive the context of the caller for as long as it takes to stop them

	live       []*liveRun // by index
	removed    map[dag.ID]*liveRun
	alive      int   // runs that are live
	stops      []int // scenarios about which the plan says stop, or said so
	unsaved    bool
	unobserved bool        // the observer panicked: it is told no more
	errs       []error     // why Run ends early
	stuck      *StuckError // likewise

	starts   []start    // room for what act starts
	launched []*liveRun // and for its runs
	runs     []liveRun  // room for the next runs
	refs     []Ref      // room for the bases of the next runs
}

// A start is a run that is to begin, of the scenario at an index.
type start struct {
	index   int
	timeout time.Duration
}

func newExecutor(ctx context.Context, m *Machine, r Runner, o Options) (*executor, error) {
	q, err := newQueue(m.Graph(), o)
	if err != nil {
		return nil, fmt.Errorf("scheduler: %w", err)
	}
	e := &executor{
		o:       o,
		m:       m,
		queue:   q,
		context: context.WithoutCancel(ctx),
		live:    make([]*liveRun, m.Graph().Len()),
		removed: map[dag.ID]*liveRun{},
	}
	e.workers = newWorkerPool(func(run *liveRun) Result { return e.attempt(run, r) })
	m.follow(o.Observe != nil)
	for i := range m.Todo() {
		e.notice(i)
	}
	return e, nil
}

// loop plans, acts and waits for news until nothing is left to do, or Run ends early.
func (e *executor) loop(ctx context.Context) {
	requests := e.o.Requests
	e.tellFirst()
	e.takeUp()
	for !e.canceled(ctx) {
		if !e.act(ctx) || e.alive == 0 && requests == nil {
			return
		}
		select {
		case <-e.workers.news:
			e.takeIn()
		case event, ok := <-requests:
			if !ok {
				requests = nil
				break
			}
			e.request(event)
		case <-ctx.Done():
		}
	}
}

// fail ends Run early.
func (e *executor) fail(err error) { e.errs = append(e.errs, fmt.Errorf("scheduler: %w", err)) }

// gaveUp returns the error about what does not return, which ends Run early.
func (e *executor) gaveUp() *StuckError {
	if e.stuck == nil {
		e.stuck = &StuckError{Grace: e.o.Grace}
	}
	return e.stuck
}

// halted reports whether Run ends early.
func (e *executor) halted() bool { return len(e.errs) > 0 || e.stuck != nil }

// canceled ends Run early if its context is canceled.
func (e *executor) canceled(ctx context.Context) bool {
	if ctx.Err() == nil {
		return false
	}
	e.fail(guarded(context.Cause(ctx)).in("ended early"))
	return true
}

// err returns why Run ended early, or nil.
func (e *executor) err() error {
	if e.stuck != nil {
		slices.SortFunc(e.stuck.Runs, func(a, b Ref) int { return cmp.Compare(a.ID, b.ID) })
		e.errs = append(e.errs, e.stuck)
	}
	return errors.Join(e.errs...)
}

// shutDown stops what is live, waits for it, and saves what came of it. The context of that save ends with the grace.
func (e *executor) shutDown() {
	e.interrupt()
	for e.alive > 0 {
		<-e.workers.news
		e.takeIn()
	}
	ctx, cancel := context.WithTimeout(e.context, e.o.Grace)
	defer cancel()
	e.save(ctx)
}

// interrupt tells all runs that are live to stop.
func (e *executor) interrupt() {
	if e.alive == 0 {
		return
	}
	for _, run := range e.live {
		if run != nil {
			run.interrupt(context.Canceled, e.workers.giveUp)
		}
	}
	for _, run := range e.removed {
		run.interrupt(context.Canceled, e.workers.giveUp)
	}
}

// leave leaves nothing behind, also when an option ended the goroutine.
func (e *executor) leave() {
	e.interrupt()
	e.workers.stop()
	e.m.unfollow()
}
