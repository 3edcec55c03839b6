package scheduler

import (
	"github.com/testdag/testdag/dag"
)

// A Verdict is what the rules conclude for a scenario. It is never stored.
type Verdict uint8

// The verdicts. The last three are final: without a request, or other news of what the scenario waits for, they stay.
const (
	VerdictWaiting  Verdict = iota // a parent is not there yet
	VerdictReady                   // it can be started now
	VerdictRunning                 // its run is live and up to date, or an old one winds down before the next starts
	VerdictPassed                  // its newest run passed, on the newest runs of its parents
	VerdictFailed                  // its newest run failed, on the newest runs of its parents
	VerdictCanceled                // by a person, or because something it waits for failed or was canceled
)

var verdictNames = [...]string{
	VerdictWaiting: "waiting", VerdictReady: "ready", VerdictRunning: "running",
	VerdictPassed: "passed", VerdictFailed: "failed", VerdictCanceled: "canceled",
}

// String returns the name of the verdict in lower case.
func (v Verdict) String() string { return name(v, verdictNames[:], "Verdict") }

// Final reports whether nothing more is expected of the scenario: it passed, failed or was canceled.
func (v Verdict) Final() bool { return v >= VerdictPassed && v <= VerdictCanceled }

// A Conclusion is the verdict on one scenario and, of a canceled one, its root cause: the run that really failed or was
// canceled by a person, of this scenario or of one that it waits for.
type Conclusion struct {
	Verdict Verdict
	Cause   Ref
}

// Edges sum up the edges to the parents of one scenario, and what its newest run stands on.
type edges struct {
	open    bool // an edge is open
	broken  bool // an edge is broken
	winding bool // an edge is broken, and the parent has a live run
	stale   bool // there is a newest run of a parent that the basis does not hold
}

// An edgeState is what an edge comes to by rule 1.
type edgeState uint8

const (
	edgeOpen edgeState = iota
	edgeMet
	edgeBroken
	edgeWinding // broken, and the parent has a live run
)

// edge applies rule 1. An edge is met when the parent's verdict is one that its condition asks for, and the parent has
// no live run. It is broken when the parent's verdict is final and cannot meet it without a new run. Otherwise it is
// open.
func edge(c dag.Condition, parent Verdict, live bool) edgeState {
	switch {
	case !parent.Final():
		return edgeOpen
	case !meets(c, parent) && live:
		return edgeWinding
	case !meets(c, parent):
		return edgeBroken
	case live:
		return edgeOpen
	default:
		return edgeMet
	}
}

// meets reports whether a final verdict is one that the condition asks for.
func meets(c dag.Condition, v Verdict) bool {
	switch c {
	case dag.OnPass:
		return v == VerdictPassed
	case dag.OnFinish:
		return v == VerdictPassed || v == VerdictFailed
	default: // dag.Always
		return true
	}
}

// decide applies the other rules to one scenario. Those of its parents have been applied.
func decide(r record, e edges) (v Verdict, do ActionKind) {
	// Rule 2. A person canceled it: it is canceled, and a live run is stopped. A later request lifts it. A run that was
	// canceled from outside counts as this.
	if _, ok := r.canceled(); ok {
		return VerdictCanceled, r.stopIfLive()
	}

	// Rule 6. A forced run counts its broken edges as met; but no edge is met while the parent has a live run.
	if r.counts(e) {
		e.open, e.broken = e.open || e.winding, false
	}

	// Rule 3. An edge is broken: it is canceled at once, without waiting for other parents, whatever its last run said. A
	// live run is stopped. The cause is that of the first broken edge in declared order.
	if e.broken {
		return VerdictCanceled, r.stopIfLive()
	}

	// Rule 4. An edge is open: it waits. A live run goes on, although a parent is being run again.
	if e.open {
		return VerdictWaiting, 0
	}

	// Rule 5. All edges are met. If the newest run is current, its phase is the verdict; otherwise it is started again on
	// the newest runs of its parents, after a live run was stopped.
	if v, ok := r.current(e); ok {
		return v, 0
	}
	if r.live() {
		return VerdictRunning, Stop
	}
	return VerdictReady, Start
}

// counts reports whether a forced run counts its broken edges as met: for as long as its basis holds the newest runs of
// the parents, no newer run was asked for and no plan stopped it. So does one that was asked for and has not started.
func (r record) counts(e edges) bool {
	if r.asked() {
		return r.force
	}
	return r.forced && r.run > 0 && r.phase != PhaseStopped && !e.stale
}

// current returns the verdict that the newest run leads to if it still counts: no newer one was asked for, no plan
// stopped it, and its basis holds the newest runs of the parents.
func (r record) current(e edges) (v Verdict, ok bool) {
	if r.run < 1 || r.asked() || e.stale {
		return 0, false
	}
	switch r.phase {
	case PhaseRunning:
		return VerdictRunning, true
	case PhasePassed:
		return VerdictPassed, true
	case PhaseFailed:
		return VerdictFailed, true
	}
	return 0, false
}

func (r record) stopIfLive() ActionKind {
	if r.live() {
		return Stop
	}
	return 0
}
