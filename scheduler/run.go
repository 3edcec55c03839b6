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
	o, err := o.complete(g, r)
	if err != nil {
		return o.Snapshot, err
	}
	runs, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(errStopped)
	e := newExecutor(runs, g, r, o)
	defer close(e.ended)
	err = e.loop(ctx)
	err = errors.Join(err, e.shutDown(ctx))
	return e.m.Snapshot(), err
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

// An executor is one call of Run. One goroutine owns it; each live run has another, which only calls the runner.
type executor struct {
	o         Options
	m         *Machine
	runner    Runner
	remaining []int64         // weight of the heaviest path from a scenario to the end, by index
	runs      context.Context // of all runs: they outlive the context of the caller for as long as it takes to stop them
	live      map[dag.ID]*liveRun
	used      map[string]int // live runs of each pool
	stuck     []Ref
	unsaved   bool
	over      chan finish
	ended     chan struct{} // closed when nobody receives from over any more
}

type liveRun struct {
	pool     string
	stop     context.CancelCauseFunc
	stopping bool
}

// A finish says that a run is over, or that its runner does not return.
type finish struct {
	ref    Ref
	result Result
	stuck  bool
}

// The causes why the context of a run is canceled.
var (
	errStopped  = errors.New("scheduler: stopped")
	errTimedOut = errors.New("scheduler: timed out")
)

func newExecutor(runs context.Context, g *dag.Graph, r Runner, o Options) *executor {
	return &executor{
		o:         o,
		m:         NewMachine(g, o.Snapshot),
		runner:    r,
		remaining: g.Remaining(func(id dag.ID) int64 { return int64(o.Weight(id)) }),
		runs:      runs,
		live:      map[dag.ID]*liveRun{},
		used:      map[string]int{},
		over:      make(chan finish),
		ended:     make(chan struct{}),
	}
}

// loop plans, acts and waits for news until nothing is left to do.
func (e *executor) loop(ctx context.Context) error {
	requests := e.o.Requests
	e.tell(Step{}, make([]Conclusion, e.m.Graph().Len()))
	e.takeUp()
	for len(e.stuck) == 0 {
		if ctx.Err() != nil {
			return fmt.Errorf("scheduler: ended early: %w", context.Cause(ctx))
		}
		if err := e.act(ctx, e.m.Plan()); err != nil {
			return err
		}
		if len(e.live) == 0 && requests == nil {
			return nil
		}
		select {
		case f := <-e.over:
			e.finished(f)
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
	for _, run := range e.live {
		run.stop(errStopped)
	}
	for len(e.live) > 0 {
		e.finished(<-e.over)
	}
	err := e.save(context.WithoutCancel(ctx))
	if len(e.stuck) > 0 {
		slices.SortFunc(e.stuck, func(a, b Ref) int { return cmp.Compare(a.ID, b.ID) })
		err = errors.Join(err, &StuckError{Runs: e.stuck, Grace: e.o.Grace})
	}
	return err
}

// takeUp calls the runner for what is live in the snapshot.
func (e *executor) takeUp() {
	for id, st := range e.m.Snapshot() {
		if st.record().live() {
			e.launch("run taken up", Task{Ref: Ref{id, st.Run}, Basis: slices.Clone(st.Basis), Forced: st.Forced})
		}
	}
}

// act does what the plan says, as far as the limits allow. It saves before it acts.
func (e *executor) act(ctx context.Context, plan Plan) error {
	var starts []Action
	for _, a := range plan.Actions {
		if a.Kind == Start {
			starts = append(starts, a)
		}
	}
	starts = e.admit(starts)
	for _, a := range starts {
		e.observe(Started(a), Result{})
	}
	if err := e.save(ctx); err != nil {
		for _, a := range starts {
			e.observe(Finished(a.Ref, PhaseStopped), Result{Phase: PhaseStopped, Reason: "not started"})
		}
		return err
	}
	for _, a := range plan.Actions {
		if a.Kind == Stop {
			e.stop(a.Ref)
		}
	}
	for _, a := range starts {
		e.launch("run started", Task{Ref: a.Ref, Basis: a.Basis, Forced: a.Forced})
	}
	return nil
}

func (e *executor) stop(run Ref) {
	live := e.live[run.ID]
	if live.stopping {
		return
	}
	e.o.Logger.Info("run to be stopped", field("run", run))
	live.stopping = true
	live.stop(errStopped)
}

// admit returns what may start within the limits, the longest remaining path first.
func (e *executor) admit(starts []Action) []Action {
	weight := func(a Action) int64 {
		i, _ := e.m.Graph().Index(a.Ref.ID)
		return e.remaining[i]
	}
	slices.SortStableFunc(starts, func(a, b Action) int { return cmp.Compare(weight(b), weight(a)) })
	var admitted []Action
	taken := map[string]int{}
	for _, a := range starts {
		if len(e.live)+len(admitted) >= e.o.Parallel {
			break
		}
		pool := e.o.Pool(a.Ref.ID)
		if limit, ok := e.o.Pools[pool]; ok && e.used[pool]+taken[pool] >= limit {
			continue
		}
		taken[pool]++
		admitted = append(admitted, a)
	}
	return admitted
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

// launch calls the runner in a goroutine of its own.
func (e *executor) launch(why string, t Task) {
	e.o.Logger.Info(why, field("run", t.Ref), text("forced", strconv.FormatBool(t.Forced)))
	ctx, stop := context.WithCancelCause(e.runs)
	run := &liveRun{pool: e.o.Pool(t.Ref.ID), stop: stop}
	e.live[t.Ref.ID] = run
	e.used[run.pool]++
	timeout := e.o.Timeout(t.Ref.ID)
	go func() {
		defer stop(nil)
		if timeout > 0 {
			var release context.CancelFunc
			ctx, release = context.WithTimeoutCause(ctx, timeout, errTimedOut)
			defer release()
		}
		returned := make(chan struct{})
		defer context.AfterFunc(ctx, func() { e.watch(t.Ref, returned) })()
		f := finish{ref: t.Ref, result: Result{Phase: PhaseFailed, Reason: "the runner ended its goroutine"}}
		defer func() {
			close(returned)
			e.send(f)
		}()
		f.result = e.attempt(ctx, t, timeout)
	}()
}

// watch gives a runner whose context was canceled its time to return.
func (e *executor) watch(run Ref, returned <-chan struct{}) {
	grace := time.NewTimer(e.o.Grace)
	defer grace.Stop()
	select {
	case <-returned:
	case <-grace.C:
		e.send(finish{ref: run, stuck: true})
	}
}

func (e *executor) send(f finish) {
	select {
	case e.over <- f:
	case <-e.ended:
	}
}

// attempt asks the runner until it can tell, within the budget.
func (e *executor) attempt(ctx context.Context, t Task, timeout time.Duration) Result {
	pause := e.o.Backoff
	for n := 1; ; n++ {
		res, err := call(ctx, e.runner, t)
		if ctx.Err() != nil {
			return interrupted(ctx, timeout, res, err)
		}
		if err == nil {
			return res
		}
		e.o.Logger.Warn("runner could not tell", field("run", t.Ref), text("attempt", strconv.Itoa(n)), text("error", err.Error()))
		if n >= e.o.Attempts {
			res.Phase, res.Reason = PhaseFailed, fmt.Sprintf("the runner could not tell, asked %d times: %v", n, err)
			return res
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return interrupted(ctx, timeout, res, err)
		}
		pause = min(2*pause, time.Minute)
	}
}

// interrupted is the result of a run whose context was canceled: its own, if it came to an end of its own all the same.
func interrupted(ctx context.Context, timeout time.Duration, res Result, err error) Result {
	if err == nil {
		return res
	}
	res.Phase, res.Reason = PhaseStopped, "stopped"
	if context.Cause(ctx) == errTimedOut {
		res.Phase, res.Reason = PhaseFailed, fmt.Sprintf("timed out after %s", timeout)
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		res.Reason += ": " + err.Error()
	}
	return res
}

func (e *executor) finished(f finish) {
	run, ok := e.live[f.ref.ID]
	if !ok {
		return // it was given up before
	}
	delete(e.live, f.ref.ID)
	e.used[run.pool]--
	if f.stuck {
		e.o.Logger.Error("runner does not return", field("run", f.ref))
		e.stuck = append(e.stuck, f.ref)
		return
	}
	e.o.Logger.Info("run over", field("run", f.ref), field("phase", f.result.Phase), text("reason", f.result.Reason))
	e.observe(Finished(f.ref, f.result.Phase), f.result)
}

// request takes a request into account. News is the runner's to bring.
func (e *executor) request(event Event) {
	if event.Kind == EventNews || !e.observe(event, Result{}) {
		e.o.Logger.Warn("request changes nothing", field("request", event))
	}
}

func (e *executor) observe(event Event, result Result) (changed bool) {
	var before []Conclusion
	if e.o.Observe != nil {
		before = e.m.conclusions()
	}
	if !e.m.Observe(event) {
		return false
	}
	e.unsaved = true
	e.tell(Step{Event: event, Result: result}, before)
	return true
}

// tell tells the observer of a step and of the conclusions that it changed.
func (e *executor) tell(s Step, before []Conclusion) {
	if e.o.Observe == nil {
		return
	}
	for i, to := range e.m.conclusions() {
		if from := before[i]; from != to {
			s.Changes = append(s.Changes, Change{ID: e.m.Graph().ID(i), From: from, To: to})
		}
	}
	e.o.Observe(s)
}
