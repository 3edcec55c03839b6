package scheduler

import "github.com/testdag/testdag/dag"

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

// The facts are all that the rules look at of one scenario: of its record, of its edges, and of what its newest run stands on.
// One bit each, and the phase of the newest run above.
type facts uint16

const (
	factOpen     facts = 1 << iota // an edge is open
	factBroken                     // an edge is broken
	factWinding                    // an edge is broken, and the parent has a live run
	factStale                      // a parent has a newest run that the basis does not hold
	factCanceled                   // a person canceled it, or its newest run was canceled from outside, and no later run was asked for
	factAsked                      // a newer run was asked for than there is
	factForced                     // the run that was asked for is forced; or the newest, if none was asked for and no plan stopped it

	factPhase = iota // where the phase begins
	factEnd   = facts(PhaseStopped+1) << factPhase
)

// facts returns what the rules look at of a record.
func (r *record) facts() (f facts) {
	if r.run > 0 && r.phase.valid() {
		f = facts(r.phase) << factPhase
	}
	if _, ok := r.canceled(); ok {
		f |= factCanceled
	}
	if r.asked() {
		f |= factAsked
	}
	if r.asked() && r.force || !r.asked() && r.forced && r.run > 0 && r.phase != PhaseStopped {
		f |= factForced
	}
	return f
}

func (f facts) has(any facts) bool { return f&any != 0 }

func (f facts) phase() Phase { return Phase(f >> factPhase) }

func (f facts) live() bool { return f.phase() == PhaseRunning }

// An edgeState is what an edge comes to by rule 1.
type edgeState uint8

const (
	edgeOpen edgeState = iota
	edgeMet
	edgeBroken
	edgeWinding // broken, and the parent has a live run
)

// facts returns what such an edge is to the child.
func (s edgeState) facts() facts {
	return [...]facts{edgeOpen: factOpen, edgeMet: 0, edgeBroken: factBroken, edgeWinding: factBroken | factWinding}[s]
}

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
func decide(f facts) (v Verdict, do ActionKind) {
	// Rule 2. A person canceled it: it is canceled, and a live run is stopped. A later request lifts it. A run that was
	// canceled from outside counts as this, unless a newer one was asked for: it cancels itself, not the newer one.
	if f.has(factCanceled) {
		return VerdictCanceled, f.stopIfLive()
	}

	// Rule 6. A forced run counts its broken edges as met; but no edge is met while the parent has a live run.
	open, broken := f.has(factOpen), f.has(factBroken)
	if f.counts() {
		open, broken = open || f.has(factWinding), false
	}

	// Rule 3. An edge is broken: it is canceled at once, without waiting for other parents, whatever its last run said. A
	// live run is stopped. The cause is that of the first broken edge in declared order.
	if broken {
		return VerdictCanceled, f.stopIfLive()
	}

	// Rule 4. An edge is open: it waits. A live run goes on, although a parent is being run again.
	if open {
		return VerdictWaiting, 0
	}

	// Rule 5. All edges are met. If the newest run is current, its phase is the verdict; otherwise it is started again on
	// the newest runs of its parents, after a live run was stopped.
	if v, ok := f.current(); ok {
		return v, 0
	}
	if f.live() {
		return VerdictRunning, Stop
	}
	return VerdictReady, Start
}

// counts reports whether a forced run counts its broken edges as met: for as long as its basis holds the newest runs of
// the parents, no newer run was asked for and no plan stopped it. So does one that was asked for and has not started: it
// stays forced when a plain rerun is asked for before it starts.
func (f facts) counts() bool { return f.has(factForced) && (f.has(factAsked) || !f.has(factStale)) }

// current returns the verdict that the newest run leads to if it still counts: no newer one was asked for, no plan
// stopped it, and its basis holds the newest runs of the parents.
func (f facts) current() (v Verdict, ok bool) {
	if f.has(factAsked | factStale) {
		return 0, false
	}
	switch f.phase() {
	case PhaseRunning:
		return VerdictRunning, true
	case PhasePassed:
		return VerdictPassed, true
	case PhaseFailed:
		return VerdictFailed, true
	}
	return 0, false
}

func (f facts) stopIfLive() ActionKind {
	if f.live() {
		return Stop
	}
	return 0
}
