package scheduler

import "github.com/testdag/testdag/dag"

// Observe takes an event into account, and reports whether it changed what is known. A request about a scenario that is
// neither in the graph nor in the snapshot changes nothing. News of one is kept: it may be late news of a run that was
// started before the scenario was removed, and then must be stopped.
func (m *Machine) Observe(e Event) (changed bool) {
	i, ok := m.g.Index(e.Ref.ID)
	if !ok {
		return m.observeRemoved(e)
	}
	e.Basis = cleanBasis(e.Basis)
	n := &m.nodes[i]
	run := n.run
	c := n.observe(&e, n.flags&flagBased != 0)
	if c&changedRun != 0 {
		m.dropArtifacts(i)
	}
	more := len(e.Artifacts) > 0 && n.hears(&e) && m.addArtifacts(i, e.Artifacts)
	if c == 0 {
		return more
	}
	switch {
	case c&changedBasis != 0:
		m.standOn(i, e.Basis)
	case c&changedRun != 0:
		m.standOn(i, nil)
	}
	m.propagate(i, run)
	return true
}

func (m *Machine) observeRemoved(e Event) (changed bool) {
	before, known := m.removed[e.Ref.ID]
	if !known && e.Kind != EventNews {
		return false
	}
	st, changed := before.observe(e)
	if !changed {
		return false
	}
	m.removedRuns += bit(st.record().live()) - bit(before.record().live())
	if m.removed == nil {
		m.removed = map[dag.ID]Status{}
	}
	m.removed[e.Ref.ID] = st
	return true
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// StartedAt observes that the run which the plan starts was started: it is Observe of [Started] of [Machine.ActionAt],
// and changes nothing if there is no such action. It panics if i is not in [0, Graph().Len()).
func (m *Machine) StartedAt(i int) (changed bool) {
	n := &m.nodes[i]
	if n.action != Start {
		return false
	}
	run := n.run
	if run == maxNumber {
		return m.Observe(Started(m.ActionAt(i))) // there is no newer run
	}
	n.news(n.next(), PhaseRunning, n.asked() && n.force)
	m.dropArtifacts(i)
	m.standOnNewest(i)
	m.propagate(i, run)
	return true
}

// FinishedAt observes that the newest run of a scenario is over: it is Observe of [Finished], and says nothing of artifacts.
// It panics if i is not in [0, Graph().Len()).
func (m *Machine) FinishedAt(i int, phase Phase) (changed bool) {
	n := &m.nodes[i]
	if n.news(n.run, phase, false) == 0 {
		return false
	}
	m.propagate(i, n.run)
	return true
}
