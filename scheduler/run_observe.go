package scheduler

import "errors"

// A Step is one thing that [Run] saw and what followed from it. The first has a zero Event: it tells what was ready at the
// beginning.
type Step struct {
	Event   Event
	Result  Result   // of the run that is over, if the event is news of that
	Changes []Change // in canonical order
}

// takeIn takes in what came of runs.
func (e *executor) takeIn() {
	for _, f := range e.workers.takeIn() {
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
	if run.index == removed {
		delete(e.removed, run.task.Ref.ID)
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
	if i == removed || len(event.Artifacts) > 0 {
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
	for _, i := range e.m.takeFresh() {
		e.notice(int(i))
	}
}

// notice takes notice of what is to be done about the scenario at index i, if anything.
func (e *executor) notice(i int) {
	switch e.m.actionKindAt(i) {
	case Start:
		e.queue.push(i)
	case Stop:
		e.stops = append(e.stops, i)
	}
}

// tell tells the observer of an event.
func (e *executor) tell(event Event, result Result) {
	if e.o.Observe == nil || e.unobserved {
		return
	}
	e.observe(Step{Event: event, Result: result, Changes: e.m.takeChanges()})
}

// tellFirst tells the observer what was concluded at the beginning.
func (e *executor) tellFirst() {
	if e.o.Observe == nil {
		return
	}
	var s Step
	for i := range e.m.Graph().Len() {
		if to := e.m.conclusionAt(i); to != (Conclusion{}) {
			s.Changes = append(s.Changes, Change{ID: e.m.Graph().ID(i), To: to})
		}
	}
	e.observe(s)
}

// observe tells the observer of a step. One that panics is told no more.
func (e *executor) observe(s Step) {
	err := guard("Options.Observe", func() error {
		e.o.Observe(s)
		return nil
	})
	if err != nil {
		e.unobserved = true
		e.m.follow(false)
		e.fail(err)
	}
}
