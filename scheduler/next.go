package scheduler

import (
	"cmp"
	"slices"

	"github.com/testdag/testdag/dag"
)

// Next returns what to do now. It is the whole truth: a pure function of its arguments, without clock, goroutine, log
// or memory. It is total: there is no snapshot it refuses, so a controller that missed news is never stuck. A basis may
// come in any order; refs that name no run and numbers that no run can have count as [NewMachine] says.
func Next(g *dag.Graph, s Snapshot) Plan {
	return evaluate(g, s).plan(s)
}

// Conclude returns what the rules conclude for each scenario: element i is about g.ID(i).
func Conclude(g *dag.Graph, s Snapshot) []Conclusion {
	return evaluate(g, s).conclusion
}

// An evaluation applies the rules to a whole graph at once. It holds what they look at and what they conclude, by index.
type evaluation struct {
	g          *dag.Graph
	seen       []seen
	conclusion []Conclusion
	action     []ActionKind
}

// A seen is what the rules look at of a [Status]. The evaluation of a large graph takes less time without the rest.
type seen struct {
	record
	basis []Ref
}

// evaluate applies the rules to every scenario, parents before children.
func evaluate(g *dag.Graph, s Snapshot) *evaluation {
	n := g.Len()
	e := &evaluation{g: g, seen: make([]seen, n), conclusion: make([]Conclusion, n), action: make([]ActionKind, n)}
	for i := range n {
		st := s[g.ID(i)]
		e.seen[i] = seen{*st.record(), cleanBasis(st.Basis)}
		e.conclude(i)
	}
	return e
}

// conclude applies the rules to the scenario at index i. Those of its parents have been applied.
func (e *evaluation) conclude(i int) {
	edges, broken := e.edges(i)
	verdict, do := decide(e.seen[i].facts() | edges)
	e.conclusion[i], e.action[i] = Conclusion{Verdict: verdict}, do
	if verdict == VerdictCanceled {
		e.conclusion[i].Cause = e.cause(i, broken)
	}
}

// edges sums up the edges to the parents of the scenario at index i. It returns the index of the first parent in declared
// order to which the edge is broken, or -1.
func (e *evaluation) edges(i int) (f facts, broken int) {
	broken = -1
	child := &e.seen[i]
	for _, p := range e.g.ParentsAt(i) {
		parent := &e.seen[p.Index]
		state := edge(p.Condition, e.conclusion[p.Index].Verdict, parent.live())
		f |= state.facts()
		if broken < 0 && state >= edgeBroken {
			broken = int(p.Index)
		}
		if child.run > 0 && parent.run > 0 && !child.standsOn(e.refAt(int(p.Index))) {
			f |= factStale
		}
	}
	return f, broken
}

// cause returns the root cause why the scenario at index i is canceled: its own run that was canceled, or that of the
// first parent to which the edge is broken, whose own run failed or which was canceled itself.
func (e *evaluation) cause(i, broken int) Ref {
	if run, ok := e.seen[i].canceled(); ok {
		return Ref{e.g.ID(i), run}
	}
	if e.conclusion[broken].Verdict == VerdictCanceled {
		return e.conclusion[broken].Cause
	}
	return e.refAt(broken)
}

// standsOn reports whether the basis holds a run.
func (s *seen) standsOn(r Ref) bool {
	at, ok := slices.BinarySearchFunc(s.basis, r.ID, compareID)
	return ok && s.basis[at].Run == r.Run
}

func (e *evaluation) plan(s Snapshot) Plan {
	p := Plan{Actions: stopRemoved(e.g, s), Outcome: e.outcome()}
	for i, kind := range e.action {
		if kind != 0 {
			p.Actions = append(p.Actions, e.ActionAt(i))
		}
	}
	if len(p.Actions) > 0 {
		p.Outcome = OutcomePending
	}
	return p
}

// stopRemoved stops the live runs of scenarios that are no longer in the graph.
func stopRemoved(g *dag.Graph, s Snapshot) []Action {
	var actions []Action
	for id, st := range s {
		if _, ok := g.Index(id); ok {
			continue
		}
		if r := st.record(); r.live() {
			actions = append(actions, Action{Kind: Stop, Ref: Ref{id, r.run}})
		}
	}
	slices.SortFunc(actions, func(x, y Action) int { return cmp.Compare(x.Ref.ID, y.Ref.ID) })
	return actions
}

// outcome looks at the verdicts alone. A live run is behind one that is not final, or the plan stops it.
func (e *evaluation) outcome() Outcome {
	outcome := OutcomePassed
	for i, c := range e.conclusion {
		switch {
		case !c.Verdict.Final():
			return OutcomePending
		case e.g.OptionalAt(i):
		case c.Verdict == VerdictFailed:
			outcome = OutcomeFailed
		case c.Verdict == VerdictCanceled && outcome == OutcomePassed:
			outcome = OutcomeCanceled
		}
	}
	return outcome
}

// Graph returns the graph.
func (e *evaluation) Graph() *dag.Graph { return e.g }

// ActionAt returns what to do about the scenario at index i, of kind 0 if that is nothing.
func (e *evaluation) ActionAt(i int) Action {
	r := &e.seen[i].record
	switch e.action[i] {
	case 0:
		return Action{}
	case Stop:
		return Action{Kind: Stop, Ref: e.refAt(i)}
	}
	a := Action{Kind: Start, Ref: Ref{e.g.ID(i), r.next()}, Forced: r.asked() && r.force}
	for _, p := range e.g.ParentsAt(i) {
		if parent := e.refAt(int(p.Index)); parent.Run > 0 {
			a.Basis = append(a.Basis, parent)
		}
	}
	sortByID(a.Basis)
	return a
}

// refAt names the newest run of the scenario at index i.
func (e *evaluation) refAt(i int) Ref { return Ref{e.g.ID(i), e.seen[i].run} }

func (e *evaluation) conclusionAt(i int) Conclusion { return e.conclusion[i] }

func (e *evaluation) recordAt(i int) *record { return &e.seen[i].record }

func (e *evaluation) statusAt(i int) Status {
	seen := &e.seen[i]
	return Status{
		Run: seen.run, Phase: seen.phase, Forced: seen.forced, Basis: seen.basis,
		Want: seen.want, Force: seen.force, Cancel: seen.cancel,
	}
}
