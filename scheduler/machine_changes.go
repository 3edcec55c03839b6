package scheduler

import (
	"cmp"
	"slices"

	"github.com/testdag/testdag/dag"
)

// A Change is a conclusion on a scenario that changed.
type Change struct {
	ID       dag.ID
	From, To Conclusion
}

// A note says what a conclusion was before it changed.
type note struct {
	index      int32
	conclusion Conclusion
}

// follow keeps the scenarios about which something new is to be done, and on request the conclusions that change, until
// the caller takes them.
func (m *Machine) follow(conclusions bool) { m.following, m.noting = true, conclusions }

// unfollow keeps nothing more, and drops everything that was kept.
func (m *Machine) unfollow() { m.following, m.noting, m.fresh, m.notes = false, false, nil, nil }

// takeFresh returns the scenarios about which something new is to be done since the last call. The slice is good until
// the next event.
func (m *Machine) takeFresh() []int32 {
	fresh := m.fresh
	m.fresh = m.fresh[:0]
	return fresh
}

// takeChanges returns the conclusions that changed since the last call, in canonical order.
func (m *Machine) takeChanges() []Change {
	notes := m.notes
	m.notes = m.notes[:0]
	slices.SortStableFunc(notes, func(x, y note) int { return cmp.Compare(x.index, y.index) })
	var all []Change
	for k, n := range notes {
		if k > 0 && notes[k-1].index == n.index {
			continue // what it was before the event is what was noted first
		}
		i := int(n.index)
		if to := m.conclusionAt(i); to != n.conclusion {
			all = append(all, Change{ID: m.g.ID(i), From: n.conclusion, To: to})
		}
	}
	return all
}
