package scheduler

import (
	"iter"
	"slices"

	"github.com/testdag/testdag/dag"
)

// A Machine remembers a graph and a snapshot between events and adds no rule: Plan always equals [Next] of its graph and
// its snapshot. It is not safe for concurrent use; let one goroutine own it.
//
// What an event costs grows with the scenarios whose verdict it changes and their edges, not with the graph. Those who
// drive millions of scenarios walk over [Machine.Todo] and tell what came of it by index, without names. A whole run in
// which everything passes at once:
//
//	for i, do := range m.Todo() {
//		if do == scheduler.Start { // Stop is repeated until the run is over
//			m.StartedAt(i)
//			m.FinishedAt(i, scheduler.PhasePassed)
//		}
//	}
//
// Beside the graph it keeps less than 100 bytes for a scenario with three parents.
type Machine struct {
	g     *dag.Graph
	nodes []node // by index

	parents  []int32  // the edges to the parents of scenario i, in declared order, are parents[i] to parents[i+1]
	children []int32  // in the same way, the places of the edges to its children
	edge     []int32  // by place, the edge
	basis    []uint32 // by edge, the run of the parent that the newest run of the child stands on, or 0
	cut      set      // edges that are broken

	queued set  // scenarios on which the conclusion may change
	dirty  bool // there are any
	todo   set  // scenarios about which something is to be done
	final  tally

	beside      map[int][]Ref      // what else the newest run stands on: scenarios that are not parents, or not any more
	artifacts   map[int][]Artifact // what the newest run left, of those that left anything
	removed     map[dag.ID]Status  // what was observed of scenarios that are not in the graph
	removedRuns int                // live runs of those

	// For a caller that follows the machine.
	following, noting bool
	fresh             []int32 // following, scenarios about which something new is to be done
	notes             []note  // noting, what changed
}

// A node is what a Machine knows of one scenario: its record, its edges summed up, and the conclusion. It fills a line of
// the cache.
type node struct {
	record
	open     int32 // edges that are open
	broken   int32 // edges that are broken
	winding  int32 // edges that are broken, and the parent has a live run
	stale    int32 // parents whose newest run the basis does not hold, if there is a run
	cause    int32 // the scenario that is the root cause
	causeRun uint32
	own      facts // of the record
	flags    flags
	decision
}

type flags uint8

const (
	flagBased flags = 1 << iota // the basis of the newest run is known
	flagUsed                    // a child has a run: its basis counts when this scenario has a new one
	flagLeft                    // the newest run left artifacts
)

// NewMachine returns a Machine that begins with a snapshot, which may be nil. It normalizes the snapshot: it sorts bases,
// drops refs that name no run, brings artifacts into the form in which news leaves them, and clamps run numbers to those
// that the JSON form can hold. [Next] reads every snapshot in the same way.
func NewMachine(g *dag.Graph, s Snapshot) *Machine {
	m := &Machine{g: g}
	m.lay()
	m.load(s)
	m.concludeAll()
	return m
}

// Graph returns the graph.
func (m *Machine) Graph() *dag.Graph { return m.g }

// SetGraph replaces the graph. What was observed stays: scenarios that are in both graphs go on, and live runs of those
// that are gone are stopped. It takes the time of NewMachine.
func (m *Machine) SetGraph(g *dag.Graph) { *m = *NewMachine(g, m.Snapshot()) }

// Snapshot returns what has been observed until now.
func (m *Machine) Snapshot() Snapshot {
	s := make(Snapshot, len(m.nodes)+len(m.removed))
	for id, st := range m.removed {
		st.Basis, st.Artifacts = slices.Clone(st.Basis), slices.Clone(st.Artifacts)
		s[id] = st
	}
	room := make([]Ref, 0, len(m.basis))
	for i := range m.nodes {
		var st Status
		if st, room = m.status(i, room); !st.isZero() {
			s[m.g.ID(i)] = st
		}
	}
	return s
}

// Newest names the newest run of a scenario, as [Snapshot.Newest] does.
func (m *Machine) Newest(id dag.ID) Ref {
	i, ok := m.g.Index(id)
	if !ok {
		st := m.removed[id]
		return Ref{id, st.record().newest()}
	}
	return Ref{id, m.nodes[i].newest()}
}

func (m *Machine) refAt(i int) Ref { return Ref{m.g.ID(i), m.nodes[i].run} }

// liveAt reports whether the newest run of the scenario at index i is live.
func (m *Machine) liveAt(i int) bool { return m.nodes[i].live() }

// forcedAt reports whether the newest run of the scenario at index i was forced.
func (m *Machine) forcedAt(i int) bool { return m.nodes[i].forced }

// liveRemoved returns an iterator over the scenarios that are not in the graph and have a live run, in any order, and
// what was observed of them.
func (m *Machine) liveRemoved() iter.Seq2[dag.ID, Status] {
	return func(yield func(dag.ID, Status) bool) {
		for id, st := range m.removed {
			if !st.record().live() {
				continue
			}
			st.Basis = slices.Clone(st.Basis)
			if !yield(id, st) {
				return
			}
		}
	}
}

func (m *Machine) recordAt(i int) *record { return &m.nodes[i].record }

func (m *Machine) statusAt(i int) Status {
	st, _ := m.status(i, nil)
	return st
}

// status returns what has been observed of the scenario at index i, with the basis in the room given, and the rest of it.
func (m *Machine) status(i int, room []Ref) (Status, []Ref) {
	n := &m.nodes[i]
	st := Status{Run: n.run, Phase: n.phase, Forced: n.forced, Want: n.want, Force: n.force, Cancel: n.cancel}
	if n.flags&flagLeft != 0 {
		st.Artifacts = slices.Clone(m.artifacts[i])
	}
	if n.flags&flagBased == 0 {
		return st, room
	}
	at := len(room)
	room = m.standsOn(i, room)
	if beside := m.beside[i]; len(beside) > 0 {
		room = append(room, beside...)
		sortByID(room[at:])
	}
	st.Basis = slices.Clip(room[at:])
	return st, room
}

// addArtifacts notes what else the newest run of the scenario at index i left. It reports whether it is more than was known.
func (m *Machine) addArtifacts(i int, more []Artifact) bool {
	known := m.artifacts[i]
	all := unite(known, more)
	if slices.Equal(all, known) {
		return false
	}
	if m.artifacts == nil {
		m.artifacts = map[int][]Artifact{}
	}
	m.artifacts[i] = all
	m.nodes[i].flags |= flagLeft
	return true
}

// dropArtifacts drops what the run before the newest of the scenario at index i left.
func (m *Machine) dropArtifacts(i int) {
	if n := &m.nodes[i]; n.flags&flagLeft != 0 {
		n.flags &^= flagLeft
		delete(m.artifacts, i)
	}
}
