package scheduler

import (
	"maps"

	"github.com/testdag/testdag/dag"
)

// A Machine remembers a graph and a snapshot between events and adds no rule: Plan always equals [Next] of its graph and
// its snapshot. It is not safe for concurrent use; let one goroutine own it.
type Machine struct {
	g        *dag.Graph
	snapshot Snapshot
	board    *board // what the rules conclude, nil when it must be found anew
}

// NewMachine returns a Machine that begins with a snapshot, which may be nil.
func NewMachine(g *dag.Graph, s Snapshot) *Machine {
	m := &Machine{g: g, snapshot: maps.Clone(s)}
	if m.snapshot == nil {
		m.snapshot = Snapshot{}
	}
	return m
}

// Graph returns the graph.
func (m *Machine) Graph() *dag.Graph { return m.g }

// SetGraph replaces the graph. What was observed stays: scenarios that are in both graphs go on, and live runs of those
// that are gone are stopped.
func (m *Machine) SetGraph(g *dag.Graph) { m.g, m.board = g, nil }

// Snapshot returns what has been observed until now.
func (m *Machine) Snapshot() Snapshot { return maps.Clone(m.snapshot) }

// Newest names the newest run of a scenario, as [Snapshot.Newest] does.
func (m *Machine) Newest(id dag.ID) Ref { return m.snapshot.Newest(id) }

// Observe takes an event into account, and reports whether it changed what is known. A request about a scenario that is
// neither in the graph nor in the snapshot changes nothing. News of one is kept: it may be late news of a run that was
// started before the scenario was removed, and then must be stopped.
func (m *Machine) Observe(e Event) (changed bool) {
	st, known := m.snapshot[e.Ref.ID]
	if _, ok := m.g.Index(e.Ref.ID); !ok && !known && e.Kind != EventNews {
		return false
	}
	st, changed = st.observe(e)
	if changed {
		m.snapshot[e.Ref.ID], m.board = st, nil
	}
	return changed
}

// Plan returns what to do now.
func (m *Machine) Plan() Plan { return m.rules().plan(m.snapshot) }

// Conclusion returns what the rules conclude for a scenario, the zero Conclusion if it is not in the graph.
func (m *Machine) Conclusion(id dag.ID) Conclusion {
	i, ok := m.g.Index(id)
	if !ok {
		return Conclusion{}
	}
	return m.rules().conclusion[i]
}

// Explain says in a sentence what the rules conclude for a scenario and why.
func (m *Machine) Explain(id dag.ID) string { return m.rules().explain(m.snapshot, id) }

func (m *Machine) rules() *board {
	if m.board == nil {
		m.board = newBoard(m.g, m.snapshot)
	}
	return m.board
}
