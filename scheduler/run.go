package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	err := o.check(m.g, r)
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

// An executor is one call of Run. One goroutine owns it; those of the crew only call the runner.
type executor struct {
	o       Options
	m       *Machine
	crew    *crew
	queue   *queue
	context context.Context // of all runs: they outlive the context of the caller for as long as it takes to stop them

	live       []*liveRun // by index
	strangers  map[dag.ID]*liveRun
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
	q, err := newQueue(m.g, o)
	if err != nil {
		return nil, fmt.Errorf("scheduler: %w", err)
	}
	e := &executor{
		o:         o,
		m:         m,
		queue:     q,
		context:   context.WithoutCancel(ctx),
		live:      make([]*liveRun, m.g.Len()),
		strangers: map[dag.ID]*liveRun{},
	}
	e.crew = newCrew(func(run *liveRun) Result { return e.attempt(run, r) })
	e.m.following, e.m.noting = true, e.o.Observe != nil
	for i := range e.m.Todo() {
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
		case <-e.crew.news:
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
		<-e.crew.news
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
			run.interrupt(context.Canceled, e.crew.giveUp)
		}
	}
	for _, run := range e.strangers {
		run.interrupt(context.Canceled, e.crew.giveUp)
	}
}

// leave leaves nothing behind, also when an option ended the goroutine.
func (e *executor) leave() {
	e.interrupt()
	e.crew.dismiss()
	e.m.following, e.m.noting, e.m.fresh, e.m.notes = false, false, nil, nil
}

// takeUp calls the runner for what is live in the snapshot, and stops what is not in the graph any more.
func (e *executor) takeUp() {
	var runs []*liveRun
	for i := range e.m.nodes {
		if n := &e.m.nodes[i]; n.live() {
			e.queue.use(i, +1)
			task := Task{Ref: e.m.refAt(i), Basis: e.m.statusAt(i).Basis, Forced: n.forced}
			runs = append(runs, e.launch("run taken up", start{i, e.timeout(task.Ref.ID)}, task))
		}
	}
	for id, st := range e.m.strangers {
		if st.record().live() {
			run := e.launch("run taken up", start{index: stranger}, Task{Ref: Ref{id, st.Run}, Basis: slices.Clone(st.Basis), Forced: st.Forced})
			e.stop(run)
			runs = append(runs, run)
		}
	}
	e.crew.take(runs)
}

// act does what the plan says, as far as the limits allow. It saves before it acts. It reports whether Run goes on.
func (e *executor) act(ctx context.Context) bool {
	starts := e.admit()
	ok := !e.halted() && e.save(ctx)
	if e.canceled(ctx) || !ok {
		for _, s := range starts {
			e.ended(s.index, e.m.refAt(s.index), Result{Phase: PhaseStopped, Reason: "not started"})
		}
		return false
	}
	for _, i := range e.stops {
		if run := e.live[i]; run != nil && e.m.nodes[i].action == Stop {
			e.stop(run)
		}
	}
	e.stops = e.stops[:0]
	runs := e.launched[:0]
	for _, s := range starts {
		i := s.index
		runs = append(runs, e.launch("run started", s, Task{Ref: e.m.refAt(i), Basis: e.basis(i), Forced: e.m.nodes[i].forced}))
	}
	e.crew.take(runs)
	e.launched = runs
	return true
}

// admit observes that what may start within the limits was started, the longest remaining path first.
func (e *executor) admit() []start {
	e.starts = e.starts[:0]
	for e.alive+len(e.starts) < e.o.Parallel {
		i := e.queue.pop(func(i int) bool { return e.m.nodes[i].action == Start })
		if i < 0 {
			break
		}
		s := start{i, e.timeout(e.m.g.ID(i))}
		if e.halted() {
			break
		}
		e.queue.use(i, +1)
		e.started(i)
		e.starts = append(e.starts, s)
	}
	return e.starts
}

// timeout asks how long a run of a scenario may take.
func (e *executor) timeout(id dag.ID) (limit time.Duration) {
	if e.o.Timeout == nil {
		return 0
	}
	err := guard("Options.Timeout", func() error {
		limit = e.o.Timeout(id)
		return nil
	})
	if err != nil {
		e.fail(err)
	}
	return limit
}

// poolOf asks for the pool of a scenario that is not in the graph.
func (e *executor) poolOf(id dag.ID) (pool int32) {
	err := guard("Options.Pool", func() error {
		pool = e.queue.poolOf(id)
		return nil
	})
	if err != nil {
		e.fail(err)
	}
	return pool
}

// basis returns what the newest run of the scenario at index i stands on. Room is made for many at once.
func (e *executor) basis(i int) []Ref {
	if need := len(e.m.g.ParentsAt(i)); cap(e.refs)-len(e.refs) < need {
		e.refs = make([]Ref, 0, max(need, 512))
	}
	at := len(e.refs)
	e.refs = e.m.standsOn(i, e.refs)
	return slices.Clip(e.refs[at:])
}

// stop stops a run because the plan says so.
func (e *executor) stop(run *liveRun) {
	if run.stopping {
		return
	}
	run.stopping = true
	e.log(func(l Logger) { l.Info("run to be stopped", field("run", run.task.Ref)) })
	run.interrupt(context.Canceled, e.crew.giveUp)
}

// save saves what has changed, and reports whether Run goes on. If the context ends meanwhile, Options.Save has the grace
// to return. It is not called again while it has not returned.
func (e *executor) save(ctx context.Context) bool {
	if e.o.Save == nil || !e.unsaved {
		return true
	}
	if e.stuck != nil && e.stuck.Save {
		return false
	}
	done := e.callSave(ctx, e.m.Snapshot())
	select {
	case failed := <-done:
		return e.saved(failed)
	case <-ctx.Done():
	}
	e.interrupt() // the runs need not wait for the save
	select {
	case failed := <-done:
		return e.saved(failed)
	case <-time.After(e.o.Grace):
	}
	select {
	case failed := <-done: // in the last moment
		return e.saved(failed)
	default:
		e.gaveUp().Save = true
		return false
	}
}

// callSave calls Options.Save in a goroutine of its own, since it may not return.
func (e *executor) callSave(ctx context.Context, s Snapshot) <-chan *guardedError {
	done := make(chan *guardedError, 1)
	go func() {
		failed := guarded(errGone)
		defer func() { done <- failed }()
		if err := guard("Options.Save", func() error { return e.o.Save(ctx, s) }); err != nil {
			failed = guarded(err)
			return
		}
		failed = nil
	}()
	return done
}

func (e *executor) saved(failed *guardedError) bool {
	if failed != nil {
		e.fail(failed.in("saving the snapshot"))
		return false
	}
	e.unsaved = false
	return true
}

// launch counts a run as live. The crew is to take it.
func (e *executor) launch(why string, s start, t Task) *liveRun {
	e.log(func(l Logger) { l.Info(why, field("run", t.Ref), text("forced", strconv.FormatBool(t.Forced))) })
	run := e.newRun()
	run.index, run.task, run.timeout, run.grace = s.index, t, s.timeout, e.o.Grace
	e.alive++
	if s.index == stranger {
		run.pool = e.poolOf(t.Ref.ID)
		e.strangers[t.Ref.ID] = run
		e.queue.usePool(run.pool, +1)
		return run
	}
	e.live[s.index] = run
	return run
}

// takeIn takes in what came of runs.
func (e *executor) takeIn() {
	for _, f := range e.crew.takeIn() {
		e.finished(f)
	}
}

func (e *executor) finished(f finish) {
	run := f.run
	if run.over {
		return // it was given up before
	}
	run.over = true
	e.alive--
	if run.index == stranger {
		delete(e.strangers, run.task.Ref.ID)
		e.queue.usePool(run.pool, -1)
	} else {
		e.live[run.index] = nil
		e.queue.use(run.index, -1)
	}
	if f.stuck {
		e.log(func(l Logger) { l.Error("runner does not return", field("run", run.task.Ref)) })
		e.gaveUp().Runs = append(e.stuck.Runs, run.task.Ref)
		return
	}
	e.log(func(l Logger) {
		l.Info("run over", field("run", run.task.Ref), field("phase", run.result.Phase), text("reason", run.result.Reason))
	})
	e.log(func(l Logger) {
		if err := errors.Join(checkArtifacts(run.task.Ref.Run, run.result.Artifacts)...); err != nil {
			l.Warn("not all artifacts are kept", field("run", run.task.Ref), text("error", err.Error()))
		}
	})
	e.ended(run.index, run.task.Ref, run.result)
	run.result, run.task = Result{}, Task{} // a runner may keep the context, and so the room for many runs
}

// request takes a request into account. News is the runner's to bring.
func (e *executor) request(event Event) {
	if event.Kind != EventNews && e.m.Observe(event) {
		e.changed()
		e.tell(event, Result{})
		return
	}
	e.log(func(l Logger) { l.Warn("request changes nothing", field("request", event)) })
}

// started observes that the run which the plan starts at index i was started.
func (e *executor) started(i int) {
	var event Event
	if e.o.Observe != nil {
		event = Started(e.m.ActionAt(i))
	}
	e.m.StartedAt(i)
	e.changed()
	e.tell(event, Result{})
}

// ended observes that a run of the scenario at index i is over.
func (e *executor) ended(i int, run Ref, result Result) {
	event := Finished(run, result.Phase)
	event.Artifacts = result.Artifacts
	if i == stranger || len(event.Artifacts) > 0 {
		e.m.Observe(event)
	} else {
		e.m.FinishedAt(i, result.Phase)
	}
	e.changed()
	e.tell(event, result)
}

// changed takes notice of what is newly to be done after an event.
func (e *executor) changed() {
	e.unsaved = true
	for _, i := range e.m.fresh {
		e.notice(int(i))
	}
	e.m.fresh = e.m.fresh[:0]
}

// tell tells the observer of an event.
func (e *executor) tell(event Event, result Result) {
	if e.o.Observe == nil || e.unobserved {
		return
	}
	e.observe(Step{Event: event, Result: result, Changes: e.changes()})
	e.m.notes = e.m.notes[:0]
}

// observe tells the observer of a step. One that panics is told no more.
func (e *executor) observe(s Step) {
	err := guard("Options.Observe", func() error {
		e.o.Observe(s)
		return nil
	})
	if err != nil {
		e.unobserved, e.m.noting = true, false
		e.fail(err)
	}
}

// notice takes notice of what is to be done about the scenario at index i, if anything.
func (e *executor) notice(i int) {
	switch e.m.nodes[i].action {
	case Start:
		e.queue.push(i)
	case Stop:
		e.stops = append(e.stops, i)
	}
}

// changes returns the conclusions that changed, in canonical order.
func (e *executor) changes() []Change {
	notes := slices.Clone(e.m.notes)
	slices.SortStableFunc(notes, func(x, y note) int { return cmp.Compare(x.index, y.index) })
	var all []Change
	for k, n := range notes {
		if k > 0 && notes[k-1].index == n.index {
			continue // what it was before the event is what was noted first
		}
		i := int(n.index)
		if to := e.m.conclusionAt(i); to != n.conclusion {
			all = append(all, Change{ID: e.m.g.ID(i), From: n.conclusion, To: to})
		}
	}
	return all
}

// tellFirst tells the observer what was concluded at the beginning.
func (e *executor) tellFirst() {
	if e.o.Observe == nil {
		return
	}
	var s Step
	for i := range e.m.nodes {
		if to := e.m.conclusionAt(i); to != (Conclusion{}) {
			s.Changes = append(s.Changes, Change{ID: e.m.g.ID(i), To: to})
		}
	}
	e.observe(s)
}

// attempt asks the runner until it can tell, within the budget.
func (e *executor) attempt(run *liveRun, r Runner) Result {
	pause := e.o.Backoff
	for n := 1; ; n++ {
		res, failed := call(&run.ctx, r, run.task)
		if run.ctx.Err() != nil {
			return run.interrupted(res, failed)
		}
		if failed == nil {
			return res
		}
		e.log(func(l Logger) {
			l.Warn("runner could not tell", field("run", run.task.Ref), text("attempt", strconv.Itoa(n)), text("error", failed.text))
		})
		if n >= e.o.Attempts {
			res.Phase, res.Reason = PhaseFailed, fmt.Sprintf("the runner could not tell, asked %d times: %s", n, failed.text)
			return res
		}
		select {
		case <-time.After(pause):
		case <-run.ctx.Done():
			return run.interrupted(res, failed)
		}
		pause = min(2*pause, time.Minute)
	}
}

// newRun returns one more run, with its context. Many are made at once, which takes less time than to ask for the memory of
// each.
func (e *executor) newRun() *liveRun {
	if len(e.runs) == 0 {
		e.runs = make([]liveRun, min(max(8, e.alive), 256))
	}
	run := &e.runs[0]
	e.runs = e.runs[1:]
	run.ctx.Context = e.context
	return run
}
