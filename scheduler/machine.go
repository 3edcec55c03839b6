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

	look  set  // scenarios on which the conclusion may change
	stir  bool // there are any
	todo  set  // scenarios about which something is to be done
	final tally

	beside    map[int][]Ref      // what else the newest run stands on: scenarios that are not parents, or not any more
	artifacts map[int][]Artifact // what the newest run left, of those that left anything
	strangers map[dag.ID]Status  // what was observed of scenarios that are not in the graph
	stray     int                // live runs of those

	// For Run, as long as it goes on.
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

// A tally counts scenarios by verdict.
type tally struct {
	missing          int // the verdict is not final
	failed, canceled int // of those that are not optional
}

// A note says what a conclusion was before it changed.
type note struct {
	index      int32
	conclusion Conclusion
}

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
	s := make(Snapshot, len(m.nodes)+len(m.strangers))
	for id, st := range m.strangers {
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
		st := m.strangers[id]
		return Ref{id, st.record().newest()}
	}
	return Ref{id, m.nodes[i].newest()}
}

// Observe takes an event into account, and reports whether it changed what is known. A request about a scenario that is
// neither in the graph nor in the snapshot changes nothing. News of one is kept: it may be late news of a run that was
// started before the scenario was removed, and then must be stopped.
func (m *Machine) Observe(e Event) (changed bool) {
	i, ok := m.g.Index(e.Ref.ID)
	if !ok {
		return m.observeStranger(e)
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
	m.settle(i, run)
	return true
}

func (m *Machine) observeStranger(e Event) (changed bool) {
	before, known := m.strangers[e.Ref.ID]
	if !known && e.Kind != EventNews {
		return false
	}
	st, changed := before.observe(e)
	if !changed {
		return false
	}
	m.stray += bit(st.record().live()) - bit(before.record().live())
	if m.strangers == nil {
		m.strangers = map[dag.ID]Status{}
	}
	m.strangers[e.Ref.ID] = st
	return true
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
	m.settle(i, run)
	return true
}

// FinishedAt observes that the newest run of a scenario is over: it is Observe of [Finished], and says nothing of artifacts.
// It panics if i is not in [0, Graph().Len()).
func (m *Machine) FinishedAt(i int, phase Phase) (changed bool) {
	n := &m.nodes[i]
	if n.news(n.run, phase, false) == 0 {
		return false
	}
	m.settle(i, n.run)
	return true
}

// Plan returns what to do now. It takes time for each action, and while a live run is to be stopped of a scenario that is
// not in the graph, for all scenarios of that kind that were observed.
func (m *Machine) Plan() Plan {
	p := Plan{Actions: m.stopStrangers()}
	for i := range m.Todo() {
		p.Actions = append(p.Actions, m.ActionAt(i))
	}
	if len(p.Actions) == 0 {
		p.Outcome = m.final.outcome()
	}
	return p
}

// stopStrangers stops the live runs of scenarios that are not in the graph.
func (m *Machine) stopStrangers() []Action {
	if m.stray == 0 {
		return nil
	}
	return stopRemoved(m.g, m.strangers)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
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

// Conclusion returns what the rules conclude for a scenario, the zero Conclusion if it is not in the graph.
func (m *Machine) Conclusion(id dag.ID) Conclusion {
	i, ok := m.g.Index(id)
	if !ok {
		return Conclusion{}
	}
	return m.conclusionAt(i)
}

// Explain says in a sentence what the rules conclude for a scenario and why.
func (m *Machine) Explain(id dag.ID) string {
	i, ok := m.g.Index(id)
	if !ok {
		return explainUnknown(m.strangers, id)
	}
	return explain(m, i)
}

func (m *Machine) conclusionAt(i int) Conclusion {
	n := &m.nodes[i]
	if n.verdict != VerdictCanceled {
		return Conclusion{Verdict: n.verdict}
	}
	return Conclusion{n.verdict, Ref{m.g.ID(int(n.cause)), int(n.causeRun)}}
}

func (m *Machine) refAt(i int) Ref { return Ref{m.g.ID(i), m.nodes[i].run} }

// newest returns the newest runs of the parents of the scenario at index i, by ascending ID.
func (m *Machine) newest(i int) (basis []Ref) {
	for _, p := range m.g.ParentsAt(i) {
		if r := m.refAt(int(p.Index)); r.Run > 0 {
			basis = append(basis, r)
		}
	}
	return sortByID(basis)
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
