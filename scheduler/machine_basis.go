package scheduler

import (
	"slices"

	"github.com/testdag/testdag/dag"
)

// newest returns the newest runs of the parents of the scenario at index i, by ascending ID.
func (m *Machine) newest(i int) (basis []Ref) {
	for _, p := range m.g.ParentsAt(i) {
		if r := m.refAt(int(p.Index)); r.Run > 0 {
			basis = append(basis, r)
		}
	}
	return sortByID(basis)
}

// standsOn appends the runs of parents that the newest run of the scenario at index i stands on, by ascending ID.
func (m *Machine) standsOn(i int, basis []Ref) []Ref {
	at, first := len(basis), int(m.parents[i])
	for k, p := range m.g.ParentsAt(i) {
		if run := m.basis[first+k]; run > 0 {
			basis = append(basis, Ref{m.g.ID(int(p.Index)), int(run)})
		}
	}
	sortByID(basis[at:])
	return basis
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

// lacks returns 1 if a basis lacks the newest run of a parent.
func lacks(basis, newest int) int32 {
	if newest > 0 && basis != newest {
		return 1
	}
	return 0
}
