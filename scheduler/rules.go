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

// A board holds what the rules look at and what they conclude, by index.
type board struct {
	g          *dag.Graph
	status     []Status
	conclusion []Conclusion
	action     []ActionKind
}

// newBoard applies the rules to every scenario, parents before children.
func newBoard(g *dag.Graph, s Snapshot) *board {
	n := g.Len()
	b := &board{g: g, status: make([]Status, n), conclusion: make([]Conclusion, n), action: make([]ActionKind, n)}
	for i := range n {
		b.status[i] = s[g.ID(i)]
		b.conclusion[i], b.action[i] = b.conclude(i)
	}
	return b
}

// conclude applies the rules to the scenario at index i. Those of its parents have been applied.
func (b *board) conclude(i int) (c Conclusion, do ActionKind) {
	st := &b.status[i]

	// Rule 2. A person canceled it: it is canceled, and a live run is stopped. A later request lifts it. A run that was
	// canceled from outside counts as this.
	if run, ok := st.canceled(); ok {
		return Conclusion{VerdictCanceled, Ref{b.g.ID(i), run}}, st.stopIfLive()
	}

	open, broken := b.edges(i)

	// Rule 3. An edge is broken: it is canceled at once, without waiting for other parents, whatever its last run said. A
	// live run is stopped. The cause is that of the first broken edge in declared order.
	if broken >= 0 {
		return Conclusion{VerdictCanceled, b.cause(broken)}, st.stopIfLive()
	}

	// Rule 4. An edge is open: it waits. A live run goes on, although a parent is being run again.
	if open {
		return Conclusion{Verdict: VerdictWaiting}, 0
	}

	// Rule 5. All edges are met. If the newest run is current, its phase is the verdict; otherwise it is started again on
	// the newest runs of its parents, after a live run was stopped.
	switch {
	case b.current(i):
		verdict, _ := verdictOf(st.Phase)
		return Conclusion{Verdict: verdict}, 0
	case st.live():
		return Conclusion{Verdict: VerdictRunning}, Stop
	default:
		return Conclusion{Verdict: VerdictReady}, Start
	}
}

// An edgeState is what an edge comes to by rule 1.
type edgeState uint8

const (
	edgeOpen edgeState = iota
	edgeMet
	edgeBroken
)

// edge applies rule 1. An edge is met when the parent's verdict is one that its condition asks for, and the parent has
// no live run. It is broken when the parent's verdict is final and cannot meet it without a new run. Otherwise it is
// open.
func (b *board) edge(p dag.Neighbor) edgeState {
	verdict := b.conclusion[p.Index].Verdict
	switch {
	case !verdict.Final():
		return edgeOpen
	case !meets(p.Condition, verdict):
		return edgeBroken
	case b.status[p.Index].live():
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

// edges reports whether an edge to a parent is open, and the index of the first parent in declared order to which the
// edge is broken, or -1. A forced run counts broken edges as met (rule 6); but no edge is met while the parent has a live
// run (rule 1).
func (b *board) edges(i int) (open bool, broken int) {
	broken = -1
	forced := b.forced(i)
	for _, p := range b.g.ParentsAt(i) {
		switch state := b.edge(p); {
		case state == edgeOpen:
			open = true
		case state == edgeBroken && forced:
			open = open || b.status[p.Index].live()
		case state == edgeBroken && broken < 0:
			broken = int(p.Index)
		}
	}
	return open, broken
}

// cause returns the root cause why edges to the scenario at index i are broken: the cause why it was canceled, or its own
// run that failed.
func (b *board) cause(i int) Ref {
	if b.conclusion[i].Verdict == VerdictCanceled {
		return b.conclusion[i].Cause
	}
	return b.ref(i)
}

// forced applies rule 6. A forced run counts its broken edges as met for as long as its basis holds the newest runs of
// the parents, no newer run was asked for and no plan stopped it. So does one that was asked for and has not started.
func (b *board) forced(i int) bool {
	st := &b.status[i]
	if st.asked() {
		return st.Force
	}
	return st.Forced && st.Phase != PhaseStopped && b.upToDate(i)
}

// current reports whether the newest run still counts: no newer one was asked for, no plan stopped it, and its basis
// holds the newest runs of the parents.
func (b *board) current(i int) bool {
	st := &b.status[i]
	if st.Run < 1 || st.asked() {
		return false
	}
	_, counts := verdictOf(st.Phase)
	return counts && b.upToDate(i)
}

// verdictOf returns the verdict that a current run in this phase leads to, and whether a run in this phase can be
// current: one that was stopped cannot, nor one of which nothing is known.
func verdictOf(p Phase) (v Verdict, counts bool) {
	switch p {
	case PhaseRunning:
		return VerdictRunning, true
	case PhasePassed:
		return VerdictPassed, true
	case PhaseFailed:
		return VerdictFailed, true
	}
	return VerdictReady, false
}

// upToDate reports whether the basis of the newest run holds the newest run of every parent. What it holds beside, of
// parents that are no longer there, does not matter.
func (b *board) upToDate(i int) bool {
	for _, p := range b.g.ParentsAt(i) {
		if r := b.ref(int(p.Index)); r.Run > 0 && !b.status[i].standsOn(r.ID, r.Run) {
			return false
		}
	}
	return true
}

func (st *Status) stopIfLive() ActionKind {
	if st.live() {
		return Stop
	}
	return 0
}

// ref names the newest run of the scenario at index i.
func (b *board) ref(i int) Ref { return Ref{b.g.ID(i), b.status[i].Run} }
