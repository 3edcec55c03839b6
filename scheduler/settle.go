package scheduler

import (
	"slices"

	"github.com/testdag/testdag/dag"
)

// record returns what was observed of the scenario.
func (n *node) record() record {
	return record{
		run: int(n.run), want: int(n.want), cancel: int(n.cancel), phase: n.phase,
		forced: n.flags&flagForced != 0, force: n.flags&flagForce != 0,
	}
}

func (n *node) setRecord(r record) {
	n.run, n.want, n.cancel, n.phase = number(r.run), number(r.want), number(r.cancel), r.phase
	n.flags &^= flagForced | flagForce
	if r.forced {
		n.flags |= flagForced
	}
	if r.force {
		n.flags |= flagForce
	}
}

// number holds the number of a run in 32 bits. Events cannot bring one that does not fit: it would take two thousand
// million runs of one scenario.
func number(run int) uint32 { return uint32(max(0, run)) }

func (n *node) edges() edges {
	return edges{open: n.open > 0, broken: n.down > 0, winding: n.winding > 0, stale: n.stale > 0}
}

// A face is what the children of a scenario see of it. Verdicts that are not final look alike.
type face struct {
	run      uint32
	cause    int32
	causeRun uint32
	verdict  Verdict
	live     bool
}

func (n *node) face() face {
	f := face{run: n.run, live: n.run > 0 && n.phase == PhaseRunning}
	switch n.verdict {
	case VerdictCanceled:
		f.cause, f.causeRun = n.cause, n.causeRun
		fallthrough
	case VerdictPassed, VerdictFailed:
		f.verdict = n.verdict
	}
	return f
}

// edges returns what an edge of each condition comes to.
func (f face) edges() (by [3]edgeState) {
	for c := range by {
		by[c] = edge(dag.Condition(c), f.verdict, f.live)
	}
	return by
}

// fold takes an event into account in the record of the scenario at index i. The basis is left to the caller.
func (m *Machine) fold(i int, e *Event) change {
	n := &m.nodes[i]
	r := n.record()
	c := r.observe(e, n.flags&flagBased != 0)
	if c != 0 {
		n.setRecord(r)
	}
	return c
}

// settle finds what follows from a change of the scenario at index i, whose children saw the face before.
func (m *Machine) settle(i int, c change, before face) (changed bool) {
	if c == 0 {
		return false
	}
	m.conclude(i, before)
	for i := m.look.from(0); i >= 0; i = m.look.from(i + 1) {
		m.look.remove(i)
		m.conclude(i, m.nodes[i].face())
	}
	return true
}

// conclude applies the rules to the scenario at index i and tells its children if they can see a difference.
func (m *Machine) conclude(i int, before face) {
	n := &m.nodes[i]
	verdict, do := decide(n.record(), n.edges())
	m.set(i, verdict, do)
	if after := n.face(); after != before {
		m.tell(i, before, after)
	}
}

// set sets the conclusion and the action of the scenario at index i.
func (m *Machine) set(i int, verdict Verdict, do ActionKind) {
	n := &m.nodes[i]
	cause, run := m.cause(i, verdict)
	if n.verdict == verdict && n.action == do && n.cause == cause && n.causeRun == run {
		return
	}
	if m.noting {
		m.notes = append(m.notes, note{int32(i), m.conclusionAt(i)})
	}
	if n.verdict != verdict {
		m.count(i, n.verdict, -1)
		m.count(i, verdict, +1)
	}
	if (n.action == 0) != (do == 0) {
		m.mark(i, do != 0)
	}
	n.verdict, n.action, n.cause, n.causeRun = verdict, do, cause, run
}

func (m *Machine) mark(i int, something bool) {
	if something {
		m.todo.add(i)
	} else {
		m.todo.remove(i)
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

// cause returns the root cause why the scenario at index i is canceled, if it is: its own run that was canceled, or that
// of the first parent to which the edge is broken, whose own run failed or which was canceled itself.
func (m *Machine) cause(i int, v Verdict) (root int32, run uint32) {
	if v != VerdictCanceled {
		return 0, 0
	}
	if run, ok := m.nodes[i].record().canceled(); ok {
		return int32(i), number(run)
	}
	first := int(m.parents[i])
	p := m.g.ParentsAt(i)[m.broken.from(first)-first].Index
	parent := &m.nodes[p]
	if parent.verdict == VerdictCanceled {
		return parent.cause, parent.causeRun
	}
	return p, parent.run
}

// tell tells the children of the scenario at index i what changed for them.
func (m *Machine) tell(i int, before, after face) {
	was, is := before.edges(), after.edges()
	rerun := before.run != after.run && m.nodes[i].flags&flagUsed != 0
	cause := before != after && is[dag.OnPass] >= edgeBroken
	if was == is && !rerun && !cause {
		return
	}
	at := int(m.children[i])
	for k, c := range m.g.ChildrenAt(i) {
		child := &m.nodes[c.Index]
		seen := child.edges()
		child.move(was[c.Condition], -1)
		child.move(is[c.Condition], +1)
		if down := is[c.Condition] >= edgeBroken; down != (was[c.Condition] >= edgeBroken) {
			m.breakEdge(int(m.edge[at+k]), down)
		}
		if rerun && child.run > 0 {
			basis := m.basis[m.edge[at+k]]
			child.stale += lacks(basis, after.run) - lacks(basis, before.run)
		}
		if child.edges() != seen || child.verdict == VerdictCanceled && (was[c.Condition] >= edgeBroken || is[c.Condition] >= edgeBroken) {
			m.lookAt(int(c.Index))
		}
	}
}

// lookAt applies the rules to the scenario at index i, at once if its children will see no difference. Otherwise that
// waits until all that comes before it has been looked at, so that each is concluded once.
func (m *Machine) lookAt(i int) {
	n := &m.nodes[i]
	verdict, do := decide(n.record(), n.edges())
	if verdict.Final() || n.verdict.Final() {
		m.look.add(i)
		return
	}
	m.set(i, verdict, do)
}

// move counts an edge in or out.
func (n *node) move(state edgeState, by int32) {
	switch state {
	case edgeOpen:
		n.open += by
	case edgeWinding:
		n.winding += by
		n.down += by
	case edgeBroken:
		n.down += by
	}
}

func (m *Machine) breakEdge(e int, down bool) {
	if down {
		m.broken.add(e)
	} else {
		m.broken.remove(e)
	}
}

// lacks returns 1 if a basis lacks the newest run of a parent.
func lacks(basis, newest uint32) int32 {
	if newest > 0 && basis != newest {
		return 1
	}
	return 0
}

// standOn notes what the newest run of the scenario at index i stands on: clean, or nothing that is known.
func (m *Machine) standOn(i int, basis []Ref) {
	n := &m.nodes[i]
	n.flags &^= flagBased
	delete(m.beside, i)
	first := int(m.parents[i])
	parents := m.g.ParentsAt(i)
	clear(m.basis[first : first+len(parents)])
	for k, r := range basis {
		n.flags |= flagBased
		if at := m.parent(i, k, r.ID); at >= 0 {
			m.basis[first+at] = number(r.Run)
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
		n.stale += lacks(m.basis[first+k], parent.run)
	}
}

// standOnNewest notes that the newest run of the scenario at index i stands on the newest runs of its parents.
func (m *Machine) standOnNewest(i int) {
	n := &m.nodes[i]
	n.flags &^= flagBased
	delete(m.beside, i)
	first := int(m.parents[i])
	for k, p := range m.g.ParentsAt(i) {
		parent := &m.nodes[p.Index]
		parent.flags |= flagUsed
		m.basis[first+k] = parent.run
		if parent.run > 0 {
			n.flags |= flagBased
		}
	}
	n.stale = 0
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
