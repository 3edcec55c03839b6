package scheduler

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/testdag/testdag/dag"
)

// takeUp calls the runner for what is live in the snapshot, and stops what is not in the graph any more.
func (e *executor) takeUp() {
	var runs []*liveRun
	for i := range e.m.Graph().Len() {
		if e.m.liveAt(i) {
			e.queue.use(i, +1)
			task := Task{Ref: e.m.refAt(i), Basis: e.m.statusAt(i).Basis, Forced: e.m.forcedAt(i)}
			runs = append(runs, e.launch("run taken up", start{i, e.timeout(task.Ref.ID)}, task))
		}
	}
	for id, st := range e.m.liveRemoved() {
		run := e.launch("run taken up", start{index: removed}, Task{Ref: Ref{id, st.Run}, Basis: st.Basis, Forced: st.Forced})
		e.stop(run)
		runs = append(runs, run)
	}
	e.workers.take(runs)
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
		if run := e.live[i]; run != nil && e.m.actionKindAt(i) == Stop {
			e.stop(run)
		}
	}
	e.stops = e.stops[:0]
	runs := e.launched[:0]
	for _, s := range starts {
		i := s.index
		runs = append(runs, e.launch("run started", s, Task{Ref: e.m.refAt(i), Basis: e.basis(i), Forced: e.m.forcedAt(i)}))
	}
	e.workers.take(runs)
	e.launched = runs
	return true
}

// admit observes that what may start within the limits was started, the longest remaining path first.
func (e *executor) admit() []start {
	e.starts = e.starts[:0]
	for e.alive+len(e.starts) < e.o.Parallel {
		i := e.queue.pop(func(i int) bool { return e.m.actionKindAt(i) == Start })
		if i < 0 {
			break
		}
		s := start{i, e.timeout(e.m.Graph().ID(i))}
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
	if need := len(e.m.Graph().ParentsAt(i)); cap(e.refs)-len(e.refs) < need {
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
	run.interrupt(context.Canceled, e.workers.giveUp)
}

// launch counts a run as live. The worker pool is to take it.
func (e *executor) launch(why string, s start, t Task) *liveRun {
	e.log(func(l Logger) { l.Info(why, field("run", t.Ref), text("forced", strconv.FormatBool(t.Forced))) })
	run := e.newRun()
	run.index, run.task, run.timeout, run.grace = s.index, t, s.timeout, e.o.Grace
	e.alive++
	if s.index == removed {
		run.pool = e.poolOf(t.Ref.ID)
		e.removed[t.Ref.ID] = run
		e.queue.usePool(run.pool, +1)
		return run
	}
	e.live[s.index] = run
	return run
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
