package scheduler

// propagate finds what follows from a change of the record of the scenario at index i. Its newest run before is given.
func (m *Machine) propagate(i, run int) {
	n := &m.nodes[i]
	n.own = n.record.facts()
	m.conclude(i, run)
	if !m.dirty {
		return
	}
	for i := m.queued.from(0); i >= 0; i = m.queued.from(i + 1) {
		m.queued.remove(i)
		m.conclude(i, m.nodes[i].run)
	}
	m.dirty = false
}

// conclude applies the rules to the scenario at index i and tells its children if they can see a difference. Its newest
// run before is given.
func (m *Machine) conclude(i, run int) {
	n := &m.nodes[i]
	was, is := n.decision, decisions[n.facts()]
	cause := m.set(i, is) || run != n.run
	s := &allSteps[was.view][is.view]
	rerun := run != n.run && n.flags&flagUsed != 0
	switch {
	case rerun, s.any && s.down, s.broken && cause:
		m.tell(i, s, rerun, run)
	case s.any:
		m.tellOpen(i, s)
	}
}

// set sets what is decided for the scenario at index i. It reports whether the cause is another one than before.
func (m *Machine) set(i int, d decision) (cause bool) {
	n := &m.nodes[i]
	if n.decision == d && d.verdict != VerdictCanceled {
		return false
	}
	if m.noting {
		m.notes = append(m.notes, note{int32(i), m.conclusionAt(i)})
	}
	if d.verdict == VerdictCanceled {
		cause = m.setCause(i)
	}
	if n.verdict != d.verdict && (n.verdict.Final() || d.verdict.Final()) {
		m.count(i, n.verdict, -1)
		m.count(i, d.verdict, +1)
	}
	if n.action != d.action {
		m.mark(i, d.action != 0)
	}
	n.decision = d
	return cause
}

// mark notes whether something is to be done about the scenario at index i.
func (m *Machine) mark(i int, something bool) {
	if !something {
		m.todo.remove(i)
		return
	}
	m.todo.add(i)
	if m.following {
		m.fresh = append(m.fresh, int32(i))
	}
}

func (m *Machine) count(i int, v Verdict, by int) {
	switch {
	case !v.Final():
		m.final.missing += by
	case m.g.OptionalAt(i):
	case v == VerdictFailed:
		m.final.failed += by
	case v == VerdictCanceled:
		m.final.canceled += by
	}
}

// setCause sets the root cause why the scenario at index i is canceled: its own run that was canceled, or that of the
// first parent to which the edge is broken, whose own run failed or which was canceled itself. It reports whether that is
// another one than before.
func (m *Machine) setCause(i int) (changed bool) {
	n := &m.nodes[i]
	root, run := n.cause, n.causeRun
	if own, ok := n.canceled(); ok {
		n.cause, n.causeRun = int32(i), uint32(own)
		return root != n.cause || run != n.causeRun
	}
	first := int(m.parents[i])
	p := m.g.ParentsAt(i)[m.cut.from(first)-first].Index
	n.cause, n.causeRun = p, uint32(m.nodes[p].run)
	if parent := &m.nodes[p]; parent.verdict == VerdictCanceled {
		n.cause, n.causeRun = parent.cause, parent.causeRun
	}
	return root != n.cause || run != n.causeRun
}

// tell tells the children of the scenario at index i what changed for them. If it has a newer run than before, what they
// stand on counts.
func (m *Machine) tell(i int, s *steps, rerun bool, before int) {
	newest := m.nodes[i].run
	place := int(m.children[i])
	for k, c := range m.g.ChildrenAt(i) {
		step, child := &s.by[c.Condition], &m.nodes[c.Index]
		seen := child.edges()
		child.open += step.open
		child.broken += step.broken
		child.winding += step.winding
		if step.broken != 0 {
			m.cutEdge(int(m.edge[place+k]), step.broken > 0)
		}
		if rerun && child.run > 0 {
			basis := int(m.basis[m.edge[place+k]])
			child.stale += lacks(basis, newest) - lacks(basis, before)
		}
		if child.edges() != seen || step.down && child.verdict == VerdictCanceled {
			m.enqueue(int(c.Index))
		}
	}
}

// tellOpen is tell where no edge is or was broken and nobody stands on an older run: edges are opened or met, no more.
func (m *Machine) tellOpen(i int, s *steps) {
	for _, c := range m.g.ChildrenAt(i) {
		child := &m.nodes[c.Index]
		before := child.open
		child.open += s.by[c.Condition].open
		if (before == 0) != (child.open == 0) {
			m.enqueue(int(c.Index))
		}
	}
}

// enqueue applies the rules to the scenario at index i, at once if its children will see no difference. Otherwise that
// waits until all that comes before it has been looked at, so that each is concluded once.
func (m *Machine) enqueue(i int) {
	n := &m.nodes[i]
	d := decisions[n.facts()]
	if d.view != n.view || d.verdict.Final() {
		m.queued.add(i)
		m.dirty = true
		return
	}
	m.set(i, d)
}

// cutEdge notes whether an edge is broken.
func (m *Machine) cutEdge(e int, broken bool) {
	if broken {
		m.cut.add(e)
	} else {
		m.cut.remove(e)
	}
}
