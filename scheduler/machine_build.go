package scheduler

import (
	"slices"

	"github.com/testdag/testdag/dag"
)

// lay makes room for the graph of a Machine and finds the edge of each child.
func (m *Machine) lay() {
	n := m.g.Len()
	m.nodes = make([]node, n)
	m.parents, m.children = make([]int32, n+1), make([]int32, n+1)
	for i := range n {
		m.parents[i+1] = m.parents[i] + int32(len(m.g.ParentsAt(i)))
		m.children[i+1] = m.children[i] + int32(len(m.g.ChildrenAt(i)))
	}
	total := int(m.parents[n])
	m.edge, m.basis = make([]int32, total), make([]uint32, total)
	next := make([]int32, n)
	copy(next, m.children)
	for i := range n { // the children of each are by ascending index
		for k, p := range m.g.ParentsAt(i) {
			m.edge[next[p.Index]] = m.parents[i] + int32(k)
			next[p.Index]++
		}
	}
	m.queued, m.todo, m.cut = newSet(n), newSet(n), newSet(total)
}

// load takes over a snapshot.
func (m *Machine) load(s Snapshot) {
	for id, st := range s {
		m.loadStatus(id, st)
	}
}

func (m *Machine) loadStatus(id dag.ID, st Status) {
	r := st.record()
	if i, ok := m.g.Index(id); ok {
		m.nodes[i].record = *r
		m.standOn(i, cleanBasis(st.Basis))
		if len(st.Artifacts) > 0 {
			m.addArtifacts(i, st.Artifacts)
		}
		return
	}
	if m.removed == nil {
		m.removed = map[dag.ID]Status{}
	}
	st.setRecord(r)
	st.Basis, st.Artifacts = slices.Clone(cleanBasis(st.Basis)), unite(nil, st.Artifacts)
	m.removed[id] = st
	m.removedRuns += bit(r.live())
}

// concludeAll applies the rules to every scenario, parents before children.
func (m *Machine) concludeAll() {
	m.final.missing = len(m.nodes) // what the verdicts are to begin with
	for i := range m.nodes {
		m.gather(i)
		n := &m.nodes[i]
		n.own = n.record.facts()
		m.set(i, decisions[n.facts()])
	}
}

// gather counts the edges to the parents of the scenario at index i, and what its basis lacks.
func (m *Machine) gather(i int) {
	n := &m.nodes[i]
	first := int(m.parents[i])
	n.stale = 0
	var sum step
	for k, p := range m.g.ParentsAt(i) {
		parent := &m.nodes[p.Index]
		state := parent.view.edge(p.Condition)
		sum.add(state, +1)
		if state >= edgeBroken {
			m.cut.add(first + k)
		}
		if n.run > 0 {
			parent.flags |= flagUsed
			n.stale += lacks(int(m.basis[first+k]), parent.run)
		}
	}
	n.open, n.broken, n.winding = sum.open, sum.broken, sum.winding
}
