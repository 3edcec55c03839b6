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
// anything, a [*StuckError] if a runner does not return, and an error that wraps the one of Options.Save.
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
	e := newExecutor(ctx, m, r, o.complete())
	defer e.leave()
	err = e.loop(ctx)
	return errors.Join(err, e.shutDown(ctx))
}

// A StuckError reports runs whose runner did not return in time after its context was canceled. They are still running
// in the snapshot.
type StuckError struct {
	Runs  []Ref
	Grace time.Duration
}

func (e *StuckError) Error() string {
	names := make([]string, len(e.Runs))
	for i, r := range e.Runs {
		names[i] = r.String()
	}
	return fmt.Sprintf("scheduler: the runner was told to stop %s and did not return within %s", strings.Join(names, ", "), e.Grace)
}

// An executor is one call of Run. One goroutine owns it; those of the crew only call the runner.
type executor struct {
	o       Options
	m       *Machine
	crew    *crew
	queue   *queue
	context context.Context // of all runs: they outlive the context of the caller for as long as it takes to stop them

	live      []*liveRun // by index
	strangers map[dag.ID]*liveRun
	alive     int   // runs that are live
	stops     []int // scenarios about which the plan says stop, or said so
	stuck     []Ref
	unsaved   bool

	starts   []int        // room for what act starts
	launched []*liveRun   // and for its runs
	free     []*liveRun   // runs that are over: room for others
	contexts []runContext // room for the contexts of the next runs
	refs     []Ref        // room for the bases of the next runs
}

func newExecutor(ctx context.Context, m *Machine, r Runner, o Options) *executor {
	e := &executor{
		o:         o,
		m:         m,
		queue:     newQueue(m.g, o),
		context:   context.WithoutCancel(ctx),
		live:      make([]*liveRun, m.g.Len()),
		strangers: map[dag.ID]*liveRun{},
	}
	e.crew = newCrew(func(run *liveRun) Result { return e.attempt(run, r) })
	e.m.following, e.m.noting = true, e.o.Observe != nil
	for i := range e.m.Todo() {
		e.notice(i)
	}
	return e
}

// loop plans, acts and waits for news until nothing is left to do.
func (e *executor) loop(ctx context.Context) error {
	requests := e.o.Requests
	e.tellFirst()
	e.takeUp()
	for len(e.stuck) == 0 {
		if ctx.Err() != nil {
			return fmt.Errorf("scheduler: ended early: %w", context.Cause(ctx))
		}
		if err := e.act(ctx); err != nil {
			return err
		}
		if e.alive == 0 && requests == nil {
			return nil
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
	return nil
}

// shutDown stops what is live, waits for it, and saves what came of it.
func (e *executor) shutDown(ctx context.Context) error {
	e.interrupt()
	for e.alive > 0 {
		<-e.crew.news
		e.takeIn()
	}
	err := e.save(context.WithoutCancel(ctx))
	if len(e.stuck) > 0 {
		slices.SortFunc(e.stuck, func(a, b Ref) int { return cmp.Compare(a.ID, b.ID) })
		err = errors.Join(err, &StuckError{Runs: e.stuck, Grace: e.o.Grace})
	}
	return err
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

// leave leaves nothing behind, also when the observer panicked.
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
			runs = append(runs, e.launch("run taken up", i, Task{Ref: e.m.refAt(i), Basis: e.m.statusAt(i).Basis, Forced: n.forced}))
		}
	}
	for id, st := range e.m.strangers {
		if st.record().live() {
			run := e.launch("run taken up", stranger, Task{Ref: Ref{id, st.Run}, Basis: slices.Clone(st.Basis), Forced: st.Forced})
			e.stop(run)
			runs = append(runs, run)
		}
	}
	e.crew.take(runs)
}

// act does what the plan says, as far as the limits allow. It saves before it acts.
func (e *executor) act(ctx context.Context) error {
	starts := e.admit()
	if err := e.save(ctx); err != nil {
		for _, i := range starts {
			e.ended(i, e.m.refAt(i), Result{Phase: PhaseStopped, Reason: "not started"})
		}
		return err
	}
	for _, i := range e.stops {
		if run := e.live[i]; run != nil && e.m.nodes[i].action == Stop {
			e.stop(run)
		}
	}
	e.stops = e.stops[:0]
	runs := e.launched[:0]
	for _, i := range starts {
		runs = append(runs, e.launch("run started", i, Task{Ref: e.m.refAt(i), Basis: e.basis(i), Forced: e.m.nodes[i].forced}))
	}
	e.crew.take(runs)
	e.launched = runs
	return nil
}

// admit observes that what may start within the limits was started, the longest remaining path first.
func (e *executor) admit() []int {
	e.starts = e.starts[:0]
	for e.alive+len(e.starts) < e.o.Parallel {
		i := e.queue.pop(func(i int) bool { return e.m.nodes[i].action == Start })
		if i < 0 {
			break
		}
		e.queue.use(i, +1)
		e.started(i)
		e.starts = append(e.starts, i)
	}
	return e.starts
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
	if e.o.Logger != nil {
		e.o.Logger.Info("run to be stopped", field("run", run.task.Ref))
	}
	run.interrupt(context.Canceled, e.crew.giveUp)
}

func (e *executor) save(ctx context.Context) error {
	if e.o.Save == nil || !e.unsaved {
		return nil
	}
	if err := e.o.Save(ctx, e.m.Snapshot()); err != nil {
		return fmt.Errorf("scheduler: saving the snapshot: %w", err)
	}
	e.unsaved = false
	return nil
}

// launch counts a run as live. The crew is to take it.
func (e *executor) launch(why string, i int, t Task) *liveRun {
	if e.o.Logger != nil {
		e.o.Logger.Info(why, field("run", t.Ref), text("forced", strconv.FormatBool(t.Forced)))
	}
	run := e.room()
	*run = liveRun{ctx: e.newContext(), index: i, task: t, grace: e.o.Grace}
	if e.o.Timeout != nil {
		run.timeout = e.o.Timeout(t.Ref.ID)
	}
	e.alive++
	if i == stranger {
		e.strangers[t.Ref.ID] = run
		e.queue.useStranger(t.Ref.ID, +1)
		return run
	}
	e.live[i] = run
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
		e.queue.useStranger(run.task.Ref.ID, -1)
	} else {
		e.live[run.index] = nil
		e.queue.use(run.index, -1)
	}
	if f.stuck {
		if e.o.Logger != nil {
			e.o.Logger.Error("runner does not return", field("run", run.task.Ref))
		}
		e.stuck = append(e.stuck, run.task.Ref)
		return
	}
	if e.o.Logger != nil {
		e.o.Logger.Info("run over", field("run", run.task.Ref), field("phase", run.result.Phase), text("reason", run.result.Reason))
		if err := errors.Join(checkArtifacts(run.task.Ref.Run, run.result.Artifacts)...); err != nil {
			e.o.Logger.Warn("not all artifacts are kept", field("run", run.task.Ref), text("error", err.Error()))
		}
	}
	e.ended(run.index, run.task.Ref, run.result)
	e.release(run)
}

// request takes a request into account. News is the runner's to bring.
func (e *executor) request(event Event) {
	if event.Kind != EventNews && e.m.Observe(event) {
		e.changed()
		e.tell(event, Result{})
		return
	}
	if e.o.Logger != nil {
		e.o.Logger.Warn("request changes nothing", field("request", event))
	}
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
	if e.o.Observe == nil {
		return
	}
	e.o.Observe(Step{Event: event, Result: result, Changes: e.changes()})
	e.m.notes = e.m.notes[:0]
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
	e.o.Observe(s)
}

// attempt asks the runner until it can tell, within the budget.
func (e *executor) attempt(run *liveRun, r Runner) Result {
	pause := e.o.Backoff
	for n := 1; ; n++ {
		res, err := call(run.ctx, r, run.task)
		if run.ctx.Err() != nil {
			return run.interrupted(res, err)
		}
		if err == nil {
			return res
		}
		if e.o.Logger != nil {
			e.o.Logger.Warn("runner could not tell", field("run", run.task.Ref), text("attempt", strconv.Itoa(n)), text("error", err.Error()))
		}
		if n >= e.o.Attempts {
			res.Phase, res.Reason = PhaseFailed, fmt.Sprintf("the runner could not tell, asked %d times: %v", n, err)
			return res
		}
		select {
		case <-time.After(pause):
		case <-run.ctx.Done():
			return run.interrupted(res, err)
		}
		pause = min(2*pause, time.Minute)
	}
}

// room returns room for one more run.
func (e *executor) room() *liveRun {
	if last := len(e.free) - 1; last >= 0 {
		run := e.free[last]
		e.free = e.free[:last]
		return run
	}
	return new(liveRun)
}

// release makes room of a run that is over. Its context stays, since the runner may have kept it. A clock may still know
// the run.
func (e *executor) release(run *liveRun) {
	if run.ctx.clock == nil {
		e.free = append(e.free, run)
	}
}

// newContext returns a context for one more run. Many are made at once, which takes less time than to ask for the memory
// of each.
func (e *executor) newContext() *runContext {
	if len(e.contexts) == 0 {
		e.contexts = make([]runContext, min(max(8, e.alive), 256))
	}
	c := &e.contexts[0]
	e.contexts = e.contexts[1:]
	c.Context = e.context
	return c
}
