package scheduler

import (
	"slices"

	"github.com/testdag/testdag/dag"
)

// facts returns what the rules look at.
func (n *node) facts() facts { return n.own | n.edges() }

// edges returns what the rules look at of the edges.
func (n *node) edges() facts {
	return some(n.open)*factOpen | some(n.broken)*factBroken | some(n.winding)*factWinding | some(n.stale)*factStale
}

// some returns 1 if a count is not 0.
func some(count int32) facts { return facts(uint32(-count) >> 31) }

// A decision is what the rules decide, and the face that the scenario shows with it.
type decision struct {
	verdict Verdict
	action  ActionKind
	face    face
}

// decisions holds what the rules decide for all facts.
var decisions = func() (all [factEnd]decision) {
	for at := range all {
		f := facts(at)
		verdict, do := decide(f)
		all[f] = decision{verdict, do, faceOf(verdict, f.live())}
	}
	return all
}()

// A face is what the children of a scenario see of it: its verdict, those that are not final looking alike, and whether it
// has a live run.
type face uint8

const (
	faceLive face = 1 << 3
	faceEnd       = faceLive << 1
)

func faceOf(v Verdict, live bool) (f face) {
	if v.Final() {
		f = face(v)
	}
	if live {
		f |= faceLive
	}
	return f
}

// edge returns what an edge of a condition comes to.
func (f face) edge(c dag.Condition) edgeState {
	return edge(c, Verdict(f&^faceLive), f&faceLive != 0)
}

// The steps are what becomes of the edges to the children when a scenario shows another face: one for each condition.
type steps struct {
	by     [dag.Always + 1]step
	any    bool // an edge changes
	down   bool // an edge is or was broken
	broken bool // an edge is broken
}

type step struct {
	open, broken, winding int32
	down                  bool // the edge is or was broken
}

func (s *step) add(state edgeState, by int32) {
	switch state {
	case edgeOpen:
		s.open += by
	case edgeWinding:
		s.winding += by
		s.broken += by
	case edgeBroken:
		s.broken += by
	}
}

// allSteps holds the steps from each face to each other.
var allSteps = func() (all [faceEnd][faceEnd]steps) {
	for was := range faceEnd {
		for is := range faceEnd {
			all[was][is] = stepsOf(was, is)
		}
	}
	return all
}()

func stepsOf(before, after face) (s steps) {
	for c := range s.by {
		was, is := before.edge(dag.Condition(c)), after.edge(dag.Condition(c))
		s.by[c].add(was, -1)
		s.by[c].add(is, +1)
		s.by[c].down = was >= edgeBroken || is >= edgeBroken
		s.any = s.any || was != is
		s.down = s.down || s.by[c].down
		s.broken = s.broken || is >= edgeBroken
	}
	return s
}

// settle finds what follows from a change of the record of the scenario at index i. Its newest run before is given.
func (m *Machine) settle(i, run int) {
	n := &m.nodes[i]
	n.own = n.record.facts()
	m.conclude(i, run)
	if !m.stir {
		return
	}
	for i := m.look.from(0); i >= 0; i = m.look.from(i + 1) {
		m.look.remove(i)
		m.conclude(i, m.nodes[i].run)
	}
	m.stir = false
}

// conclude applies the rules to the scenario at index i and tells its children if they can see a difference. Its newest
// run before is given.
func (m *Machine) conclude(i, run int) {
	n := &m.nodes[i]
	was, is := n.decision, decisions[n.facts()]
	cause := m.set(i, is) || run != n.run
	s := &allSteps[was.face][is.face]
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
			m.lookAt(int(c.Index))
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
			m.lookAt(int(c.Index))
		}
	}
}

// lookAt applies the rules to the scenario at index i, at once if its children will see no difference. Otherwise that
// waits until all that comes before it has been looked at, so that each is concluded once.
func (m *Machine) lookAt(i int) {
	n := &m.nodes[i]
	d := decisions[n.facts()]
	if d.face != n.face || d.verdict.Final() {
		m.look.add(i)
		m.stir = true
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

// lacks returns 1 if a basis lacks the newest run of a parent.
func lacks(basis, newest int) int32 {
	if newest > 0 && basis != newest {
		return 1
	}
	return 0
}

// standOn notes what the newest run of the scenario at index i stands on: clean, or nothing that is known.
func (m *Machine) standOn(i int, basis []Ref) {
	n := &m.nodes[i]
	m.forget(i)
	first := int(m.parents[i])
	parents := m.g.ParentsAt(i)
	clear(m.basis[first : first+len(parents)])
	for k, r := range basis {
		n.flags |= flagBased
		if at := m.parent(i, k, r.ID); at >= 0 {
			m.basis[first+at] = uint32(r.Run)
			continue
		}
		if m.beside == nil {
			m.beside = map[int][]Ref{}
		}
		m.beside[i] = append(m.beside[i], r)
	}
	n.stale = 0
	for k, p := range parents {
		parent := &m.nodes[p.Index]
		parent.flags |= flagUsed
		n.stale += lacks(int(m.basis[first+k]), parent.run)
	}
}

// standOnNewest notes that the newest run of the scenario at index i stands on the newest runs of its parents.
func (m *Machine) standOnNewest(i int) {
	n := &m.nodes[i]
	m.forget(i)
	first := int(m.parents[i])
	for k, p := range m.g.ParentsAt(i) {
		parent := &m.nodes[p.Index]
		parent.flags |= flagUsed
		m.basis[first+k] = uint32(parent.run)
		if parent.run > 0 {
			n.flags |= flagBased
		}
	}
	n.stale = 0
}

// forget forgets what the newest run of the scenario at index i stands on beside its parents.
func (m *Machine) forget(i int) {
	m.nodes[i].flags &^= flagBased
	if len(m.beside) > 0 {
		delete(m.beside, i)
	}
}

// parent returns where among the parents of the scenario at index i one is, which is likely to be at place k, or -1.
func (m *Machine) parent(i, k int, id dag.ID) int {
	parents := m.g.ParentsAt(i)
	if k < len(parents) && m.g.ID(int(parents[k].Index)) == id {
		return k
	}
	if len(parents) <= 8 {
		return slices.IndexFunc(parents, func(p dag.Neighbor) bool { return m.g.ID(int(p.Index)) == id })
	}
	p, ok := m.g.Index(id)
	if !ok {
		return -1
	}
	at, ok := slices.BinarySearchFunc(m.g.ChildrenAt(p), int32(i), func(c dag.Neighbor, i int32) int { return int(c.Index - i) })
	if !ok {
		return -1
	}
	return int(m.edge[int(m.children[p])+at] - m.parents[i])
}
