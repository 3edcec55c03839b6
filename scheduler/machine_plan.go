package scheduler

import (
	"iter"

	"github.com/testdag/testdag/dag"
)

// Plan returns what to do now. It takes time for each action, and while a live run is to be stopped of a scenario that is
// not in the graph, for all scenarios of that kind that were observed.
func (m *Machine) Plan() Plan {
	p := Plan{Actions: m.stopRemoved()}
	for i := range m.Todo() {
		p.Actions = append(p.Actions, m.ActionAt(i))
	}
	if len(p.Actions) == 0 {
		p.Outcome = m.final.outcome()
	}
	return p
}

// stopRemoved stops the live runs of scenarios that are not in the graph.
func (m *Machine) stopRemoved() []Action {
	if m.removedRuns == 0 {
		return nil
	}
	return stopRemoved(m.g, m.removed)
}

// Todo returns an iterator over the scenarios of the graph about which something is to be done now, by index in canonical
// order, and what. Events may be observed meanwhile: it goes on with what is to be done then about scenarios of higher
// index. Live runs of scenarios that are not in the graph, which are to be stopped, are told by [Machine.Plan] alone.
func (m *Machine) Todo() iter.Seq2[int, ActionKind] {
	return func(yield func(int, ActionKind) bool) {
		for i := m.todo.from(0); i >= 0; i = m.todo.from(i + 1) {
			if !yield(i, m.nodes[i].action) {
				return
			}
		}
	}
}

// ActionAt returns what to do now about the scenario at index i; its kind is 0 if that is nothing. It panics if i is not
// in [0, Graph().Len()).
func (m *Machine) ActionAt(i int) Action {
	n := &m.nodes[i]
	switch n.action {
	case Start:
		return Action{Kind: Start, Ref: Ref{m.g.ID(i), n.next()}, Basis: m.newest(i), Forced: n.asked() && n.force}
	case Stop:
		return Action{Kind: Stop, Ref: m.refAt(i)}
	}
	return Action{}
}

// actionKindAt returns the kind of ActionAt.
func (m *Machine) actionKindAt(i int) ActionKind { return m.nodes[i].action }

// A tally counts scenarios by verdict.
type tally struct {
	missing          int // the verdict is not final
	failed, canceled int // of those that are not optional
}

func (t *tally) outcome() Outcome {
	switch {
	case t.missing > 0:
		return OutcomePending
	case t.failed > 0:
		return OutcomeFailed
	case t.canceled > 0:
		return OutcomeCanceled
	}
	return OutcomePassed
}

// Conclusion returns what the rules conclude for a scenario, the zero Conclusion if it is not in the graph.
func (m *Machine) Conclusion(id dag.ID) Conclusion {
	i, ok := m.g.Index(id)
	if !ok {
		return Conclusion{}
	}
	return m.conclusionAt(i)
}

func (m *Machine) conclusionAt(i int) Conclusion {
	n := &m.nodes[i]
	if n.verdict != VerdictCanceled {
		return Conclusion{Verdict: n.verdict}
	}
	return Conclusion{n.verdict, Ref{m.g.ID(int(n.cause)), int(n.causeRun)}}
}

// Explain says in a sentence what the rules conclude for a scenario and why.
func (m *Machine) Explain(id dag.ID) string {
	i, ok := m.g.Index(id)
	if !ok {
		return explainUnknown(m.removed, id)
	}
	return explain(m, i)
}
