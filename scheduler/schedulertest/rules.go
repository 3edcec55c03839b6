package schedulertest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// This file tells the rules a second time, independently of package scheduler: from their text, one after the other, with
// no thought of speed. Of package scheduler it uses the types alone. What events mean is told in events.go.

// A telling is what the rules conclude for a graph and what was observed.
type telling struct {
	g      *dag.Graph
	status scheduler.Snapshot
	of     map[dag.ID]conclusion
	plan   scheduler.Plan
}

// A conclusion is what the rules say of one scenario, and which of them it was.
type conclusion struct {
	verdict scheduler.Verdict
	cause   scheduler.Ref        // of a canceled one
	do      scheduler.ActionKind // 0 for nothing
	because rule                 // what decided
}

// tell applies the rules, parents before children.
func tell(g *dag.Graph, s scheduler.Snapshot) *telling {
	t := &telling{g: g, status: scheduler.Snapshot{}, of: map[dag.ID]conclusion{}}
	for id, st := range s {
		t.status[id] = counted(st)
	}
	for id := range g.All() {
		t.of[id] = t.conclude(id)
	}
	t.plan = t.wholePlan()
	return t
}

// conclude tells rules 2 to 5 for one scenario.
func (t *telling) conclude(id dag.ID) conclusion {
	st := t.status[id]
	stopIfLive := scheduler.ActionKind(0)
	if live(st) {
		stopIfLive = scheduler.Stop
	}

	// Rule 2.
	if run := canceledByPerson(st); run > 0 {
		return conclusion{scheduler.VerdictCanceled, scheduler.Ref{ID: id, Run: run}, stopIfLive, rulePerson}
	}

	// Rule 3.
	for parent, condition := range t.g.Parents(id) {
		if t.edge(parent, condition) == broken && !t.forced(id) {
			return conclusion{scheduler.VerdictCanceled, t.rootCause(parent), stopIfLive, ruleBroken}
		}
	}

	// Rule 4; and rule 6, which counts a broken edge as met, but no edge is met while the parent has a live run.
	for parent, condition := range t.g.Parents(id) {
		switch edge := t.edge(parent, condition); {
		case live(t.status[parent]):
			return conclusion{verdict: scheduler.VerdictWaiting, because: ruleLiveParent}
		case edge == open:
			return conclusion{verdict: scheduler.VerdictWaiting, because: ruleOpen}
		}
	}

	// Rule 5.
	switch {
	case t.current(id) && st.Phase == scheduler.PhaseRunning:
		return conclusion{verdict: scheduler.VerdictRunning, because: ruleCurrent}
	case t.current(id) && st.Phase == scheduler.PhasePassed:
		return conclusion{verdict: scheduler.VerdictPassed, because: ruleCurrent}
	case t.current(id):
		return conclusion{verdict: scheduler.VerdictFailed, because: ruleCurrent}
	case live(st):
		return conclusion{verdict: scheduler.VerdictRunning, do: scheduler.Stop, because: ruleStopFirst}
	default:
		return conclusion{verdict: scheduler.VerdictReady, do: scheduler.Start, because: t.whyStart(id)}
	}
}

// What an edge comes to by rule 1.
type edge uint8

const (
	open edge = iota
	met
	broken
)

// asks lists the verdicts on the parent that an edge asks for.
var asks = map[dag.Condition][]scheduler.Verdict{
	dag.OnPass:   {scheduler.VerdictPassed},
	dag.OnFinish: {scheduler.VerdictPassed, scheduler.VerdictFailed},
	dag.Always:   {scheduler.VerdictPassed, scheduler.VerdictFailed, scheduler.VerdictCanceled},
}

// final lists the verdicts that take a new run to change.
var final = asks[dag.Always]

// edge tells rule 1. A verdict that is not one of those asked for breaks the edge if it is final: it takes a new run of
// the parent, or of what the parent waits for, to change it.
func (t *telling) edge(parent dag.ID, condition dag.Condition) edge {
	verdict := t.of[parent].verdict
	switch isAskedFor := slices.Contains(asks[condition], verdict); {
	case isAskedFor && live(t.status[parent]):
		return open
	case isAskedFor:
		return met
	case slices.Contains(final, verdict):
		return broken
	}
	return open
}

// rootCause finds, behind a broken edge, the run that really failed or was canceled by a person.
func (t *telling) rootCause(parent dag.ID) scheduler.Ref {
	if t.of[parent].verdict == scheduler.VerdictCanceled {
		return t.of[parent].cause
	}
	return scheduler.Ref{ID: parent, Run: t.status[parent].Run}
}

// counted takes numbers below 0 as no run.
func counted(st scheduler.Status) scheduler.Status {
	st.Run, st.Want, st.Cancel = max(0, st.Run), max(0, st.Want), max(0, st.Cancel)
	return st
}

// live reports whether the newest run is not known to be over.
func live(st scheduler.Status) bool { return st.Run > 0 && st.Phase == scheduler.PhaseRunning }

// asked reports whether a newer run was asked for.
func asked(st scheduler.Status) bool { return st.Want > st.Run }

// canceledByPerson returns the run that a person canceled, or that was canceled from outside, which counts as this. A
// later request lifts it; then it returns 0.
func canceledByPerson(st scheduler.Status) int {
	if st.Cancel > 0 && st.Cancel >= st.Run && st.Cancel >= st.Want {
		return st.Cancel
	}
	if st.Run > 0 && st.Phase == scheduler.PhaseCanceled && !asked(st) {
		return st.Run
	}
	return 0
}

// fresh reports whether the basis of the newest run holds every parent's newest run.
func (t *telling) fresh(id dag.ID) bool {
	for parent := range t.g.Parents(id) {
		newest := scheduler.Ref{ID: parent, Run: t.status[parent].Run}
		if newest.Run > 0 && !slices.Contains(t.status[id].Basis, newest) {
			return false
		}
	}
	return true
}

// current tells the word of rule 5. A run of which no phase is known is no run.
func (t *telling) current(id dag.ID) bool {
	st := t.status[id]
	counts := st.Phase == scheduler.PhaseRunning || st.Phase == scheduler.PhasePassed || st.Phase == scheduler.PhaseFailed
	return st.Run > 0 && counts && !asked(st) && t.fresh(id)
}

// forced tells rule 6, of the run that is to start next, or of the one that was started.
func (t *telling) forced(id dag.ID) bool {
	st := t.status[id]
	if asked(st) {
		return st.Force
	}
	return st.Run > 0 && st.Forced && st.Phase != scheduler.PhaseStopped && t.fresh(id)
}

// whyStart says which of the reasons of rule 5 it is.
func (t *telling) whyStart(id dag.ID) rule {
	switch st := t.status[id]; {
	case asked(st) && st.Force:
		return ruleForce
	case asked(st):
		return ruleAsked
	case st.Run == 0:
		return ruleNeverRun
	case st.Phase == scheduler.PhaseStopped:
		return ruleStopped
	default:
		return ruleOutOfDate
	}
}

// start is the action that starts the next run of a scenario: run n+1, or the one that was asked for, on the parents'
// newest runs.
func (t *telling) start(id dag.ID) scheduler.Action {
	st := t.status[id]
	a := scheduler.Action{Kind: scheduler.Start, Ref: scheduler.Ref{ID: id, Run: nextRun(st)}, Forced: asked(st) && st.Force}
	for parent := range t.g.Parents(id) {
		if run := t.status[parent].Run; run > 0 {
			a.Basis = append(a.Basis, scheduler.Ref{ID: parent, Run: run})
		}
	}
	slices.SortFunc(a.Basis, byID)
	return a
}

// stop is the action that stops the live run of a scenario.
func (t *telling) stop(id dag.ID) scheduler.Action {
	return scheduler.Action{Kind: scheduler.Stop, Ref: scheduler.Ref{ID: id, Run: t.status[id].Run}}
}

// nextRun is the number of the run that starts next. A run that was canceled before it started keeps its number.
func nextRun(st scheduler.Status) int { return max(st.Want, 1, st.Run+1, st.Cancel+1) }

func byID(a, b scheduler.Ref) int { return cmp.Compare(a.ID, b.ID) }

// wholePlan lists the actions: live runs of scenarios that were removed are stopped, by ID; then all in canonical order.
func (t *telling) wholePlan() scheduler.Plan {
	p := scheduler.Plan{Outcome: t.outcome()}
	for _, id := range slices.Sorted(maps.Keys(t.status)) {
		if _, there := t.of[id]; !there && live(t.status[id]) {
			p.Actions = append(p.Actions, t.stop(id))
		}
	}
	for id := range t.g.All() {
		switch t.of[id].do {
		case scheduler.Start:
			p.Actions = append(p.Actions, t.start(id))
		case scheduler.Stop:
			p.Actions = append(p.Actions, t.stop(id))
		}
	}
	return p
}

// outcome is pending while anything is live or could still start. Then what failed comes before what was canceled, and
// optional scenarios do not count.
func (t *telling) outcome() scheduler.Outcome {
	for _, st := range t.status {
		if live(st) {
			return scheduler.OutcomePending
		}
	}
	verdicts := map[scheduler.Verdict]int{}
	for id, c := range t.of {
		if !slices.Contains(final, c.verdict) {
			return scheduler.OutcomePending
		}
		if s, _ := t.g.Scenario(id); !s.Optional {
			verdicts[c.verdict]++
		}
	}
	switch {
	case verdicts[scheduler.VerdictFailed] > 0:
		return scheduler.OutcomeFailed
	case verdicts[scheduler.VerdictCanceled] > 0:
		return scheduler.OutcomeCanceled
	}
	return scheduler.OutcomePassed
}
