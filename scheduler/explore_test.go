package scheduler

import (
	"flag"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/testdag/testdag/dag"
)

var exploreLong = flag.Bool("explore.long", false, "explore all graphs, which takes minutes")

// TestExplore looks at every state that a graph can come to with a bounded number of requests, whatever the runs report
// and in whatever order, and holds the rules against each. Graphs are taken up to isomorphism, but where an edit is a
// request too: it puts any other graph of some of the scenarios in the place of the graph. The short form takes seconds;
// -explore.long looks further.
func TestExplore(t *testing.T) {
	all := []dag.Condition{dag.OnPass, dag.OnFinish, dag.Always}
	pass := all[:1]
	type world struct {
		scenarios  int
		conditions []dag.Condition
		requests   int
		edits      bool
	}
	worlds := []world{
		{1, pass, 6, true}, {2, all, 2, true}, {3, pass, 1, true},
		{2, all, 3, false}, {3, pass, 2, false}, {3, all, 1, false}, {4, pass, 1, false}, {5, pass, 0, false},
	}
	if *exploreLong {
		worlds = []world{
			{2, all, 4, true}, {3, pass, 2, true},
			{2, all, 5, false}, {3, all, 2, false}, {3, pass, 3, false}, {4, pass, 2, false}, {4, all, 1, false}, {5, pass, 1, false},
		}
	}
	for _, w := range worlds {
		name := fmt.Sprintf("%d scenarios, %d conditions, %d requests", w.scenarios, len(w.conditions), w.requests)
		if w.edits {
			name += ", edits"
		}
		t.Run(name, func(t *testing.T) {
			graphs := graphsOf(w.scenarios, w.conditions)
			var edits []*dag.Graph
			if w.edits {
				edits = graphsOfSome(w.scenarios, w.conditions)
			}
			var states, steps, violations atomic.Int64
			work := make(chan *dag.Graph)
			var workers sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				workers.Go(func() {
					for g := range work {
						e := newExplorer(w.scenarios, g, edits)
						e.explore(state{requests: uint8(w.requests)})
						states.Add(int64(len(e.found)))
						steps.Add(int64(e.steps))
						if e.violation != "" {
							violations.Add(1)
							t.Errorf("%s\n%s", e.violation, e.history())
						}
					}
				})
			}
			for _, g := range graphs {
				work <- g
			}
			close(work)
			workers.Wait()
			t.Logf("%d graphs, %d to edit to, %d states, %d steps, %d violations", len(graphs), len(edits), states.Load(), steps.Load(), violations.Load())
		})
	}
}

const (
	mostScenarios = 5
	mostRuns      = 7 // what three bits hold
)

// A state is a snapshot of a few scenarios by name, the runs that a plan has asked to stop, how many requests may still
// come, and which graph it is, the first one or the one that an edit led to.
type state struct {
	scenario [mostScenarios]packed
	requests uint8
	graph    uint16
}

// packed is a Status and whether its run is being stopped, in bits.
type packed uint32

// A future is what a state can still come to without a request.
type future struct {
	starts starts
	end    ends
}

// starts tells how often each scenario can start: two bits each.
type starts uint16

// ends tells the verdicts at rest, three bits each, for each choice of which scenarios pass and which fail from now on.
// Whatever the order of the news, they are the same. They are not kept of five scenarios; nor where the graph is edited: if
// an edit takes back the reason why a forced run is being stopped, it matters whether the stop still comes in time.
type ends [1 << (mostScenarios - 1)]uint16

const (
	unfinished starts = 1 << 15 // the state is on the path that is being explored
	unknown    uint16 = 1 << 15 // no end was seen yet
)

type explorer struct {
	scenarios int
	graphs    []*dag.Graph
	machines  []*Machine
	found     map[state]future
	steps     int
	path      []happening
	violation string
}

type happening struct {
	what fmt.Stringer
	to   state
}

func newExplorer(scenarios int, g *dag.Graph, edits []*dag.Graph) *explorer {
	e := &explorer{scenarios: scenarios, graphs: append([]*dag.Graph{g}, edits...), found: map[state]future{}}
	for _, g := range e.graphs {
		e.machines = append(e.machines, NewMachine(g, nil))
	}
	return e
}

// scenarioName and scenarioNumber translate between names and places in a state.
func scenarioName(i int) dag.ID { return scenarioNames[i] }

var scenarioNames = [mostScenarios]dag.ID{"a", "b", "c", "d", "e"}

func scenarioNumber(id dag.ID) int { return int(id[0] - 'a') }

// An edit puts another graph in the place of the graph.
type edit struct{ g *dag.Graph }

func (e edit) String() string { return "edit: " + describeGraph(e.g) }

func describeGraph(g *dag.Graph) string {
	var b strings.Builder
	for s := range g.Scenarios() {
		fmt.Fprintf(&b, "%v ", s)
	}
	return b.String()
}

// A follower explores what follows from one state.
type follower struct {
	*explorer
	from     state
	snapshot Snapshot
	stopping [mostScenarios]bool
	future   future
}

// explore looks at a state and at everything that may come of it, and returns what it can come to without a request. That
// there is such a thing shows that no history goes on for ever.
func (e *explorer) explore(s state) future {
	if known, ok := e.found[s]; ok {
		if known.starts == unfinished {
			e.fail("the same state again, without end")
		}
		return known
	}
	e.found[s] = future{starts: unfinished}
	f := &follower{explorer: e, from: s}
	f.snapshot, f.stopping = e.unpack(s)
	for i := range f.future.end {
		f.future.end[i] = unknown
	}
	g := e.graphs[s.graph]
	b := evaluate(g, f.snapshot)
	e.check(b, f.snapshot)
	e.checkMachine(b, s)

	rest := true
	for _, a := range b.plan(f.snapshot).Actions {
		rest = false
		if a.Kind == Start {
			f.observe(Started(a), 1, false)
		} else if i := scenarioNumber(a.Ref.ID); !f.stopping[i] {
			f.follow(a, i, f.snapshot[a.Ref.ID], true, 0, false, bothWays)
		}
	}
	for i := range e.scenarios {
		st := f.snapshot[scenarioName(i)]
		ref := Ref{scenarioName(i), st.Run}
		if st.record().live() {
			rest = false
			f.finish(i, ref)
		}
		if _, ok := g.Index(ref.ID); ok && s.requests > 0 {
			newest := Ref{ref.ID, st.record().newest()}
			for _, event := range []Event{Rerun(newest), Force(newest), Cancel(newest)} {
				f.observe(event, 0, true)
			}
		}
	}
	if s.requests > 0 {
		for k, to := range e.graphs[1:] {
			f.edit(k+1, to)
		}
	}
	if rest {
		f.future.end = f.verdicts(b)
	}
	for i := range e.scenarios {
		if n := f.future.starts >> (2 * i) & 3; n > 1 {
			e.fail("%s can start %d times without a request", scenarioName(i), n)
		}
	}
	e.found[s] = f.future
	return f.future
}

// bothWays is the choice of scenarios for events that say nothing about how runs end.
func bothWays(int) bool { return true }

// finish follows each end that a live run may come to.
func (f *follower) finish(i int, ref Ref) {
	for _, phase := range []Phase{PhasePassed, PhaseFailed, PhaseCanceled, PhaseStopped} {
		if phase == PhaseStopped && !f.stopping[i] {
			continue
		}
		event := Finished(ref, phase)
		after, _ := f.snapshot[ref.ID].observe(event)
		f.follow(event, i, after, false, 0, false, func(choice int) bool {
			passes := choice>>i&1 == 1
			switch phase {
			case PhasePassed:
				return passes
			case PhaseFailed:
				return !passes
			}
			return phase == PhaseStopped
		})
	}
}

// observe follows an event that says nothing about how a run ends, if it changes anything.
func (f *follower) observe(event Event, started starts, request bool) {
	i := scenarioNumber(event.Ref.ID)
	if after, changed := f.snapshot[event.Ref.ID].observe(event); changed {
		f.follow(event, i, after, f.stopping[i] && request, started, request, bothWays)
	}
}

// follow goes on to the state in which scenario i is another one. The future counts unless it is a request; ends count
// for the choices given.
func (f *follower) follow(what fmt.Stringer, i int, st Status, stopping bool, started starts, request bool, choices func(int) bool) {
	next := f.from
	next.scenario[i] = f.pack(i, st, stopping)
	if event, ok := what.(Event); ok {
		f.checkStep(f.from, event, next)
	}
	after, ok := f.goOn(what, next, request)
	if !ok || request {
		return
	}
	after.starts += started << (2 * i)
	f.future.starts = f.larger(f.future.starts, after.starts)
	if f.scenarios == mostScenarios || len(f.graphs) > 1 {
		return
	}
	for choice := range 1 << f.scenarios {
		if !choices(choice) || after.end[choice] == unknown {
			continue
		}
		if known := f.future.end[choice]; known != unknown && known != after.end[choice] {
			f.fail("the verdicts at rest depend on the order of news: %o or %o where those pass: %b", known, after.end[choice], choice)
		}
		f.future.end[choice] = after.end[choice]
	}
}

// edit goes on to the state in which the graph is another one.
func (f *follower) edit(k int, g *dag.Graph) {
	if int(f.from.graph) == k {
		return
	}
	next := f.from
	next.graph = uint16(k)
	f.goOn(edit{g}, next, true)
}

// goOn explores the next state, unless there was a violation; then the path stays, which is its history.
func (f *follower) goOn(what fmt.Stringer, next state, request bool) (after future, ok bool) {
	if f.violation != "" {
		return after, false
	}
	if request {
		next.requests--
	}
	f.steps++
	f.path = append(f.path, happening{what, next})
	after = f.explore(next)
	if f.violation != "" {
		return after, false
	}
	f.path = f.path[:len(f.path)-1]
	return after, true
}

// verdicts returns what the verdicts are, for every choice.
func (f *follower) verdicts(b *evaluation) (end ends) {
	var all uint16
	for i, c := range b.conclusion {
		all |= uint16(c.Verdict) << (3 * scenarioNumber(b.g.ID(i)))
	}
	for i := range end {
		end[i] = all
	}
	return end
}

// larger takes the larger number of each scenario.
func (e *explorer) larger(x, y starts) starts {
	var n starts
	for i := range e.scenarios {
		mask := starts(3) << (2 * i)
		n |= max(x&mask, y&mask)
	}
	return n
}

// checkMachine: a Machine concludes what Next does.
func (e *explorer) checkMachine(b *evaluation, s state) {
	m := e.load(s)
	for i := range m.nodes {
		if m.conclusionAt(i) != b.conclusion[i] || m.nodes[i].action != b.action[i] {
			e.fail("the machine says %v, %s of %s, not %v, %s", m.conclusionAt(i), m.nodes[i].action, b.g.ID(i), b.conclusion[i], b.action[i])
		}
	}
	if m.final.outcome() != b.outcome() {
		e.fail("the machine's outcome is %s, not %s", m.final.outcome(), b.outcome())
	}
}

// checkStep: what a Machine that was just loaded makes of an event, told by name or by index, is what it would make of the
// next state from the beginning, to the last counter.
func (e *explorer) checkStep(from state, event Event, to state) {
	m := e.load(from)
	i, ok := m.g.Index(event.Ref.ID)
	if !ok {
		return
	}
	run := m.nodes[i].run
	switch {
	case e.steps%2 == 0 && event.Kind == EventNews && event.Phase == PhaseRunning:
		m.StartedAt(i)
	case e.steps%2 == 0 && event.Kind == EventNews && event.Ref.Run == run:
		m.FinishedAt(i, event.Phase)
	default:
		m.Observe(event)
	}
	var step [mostScenarios]node
	var basis [mostScenarios * mostScenarios]uint32
	copy(step[:], m.nodes)
	copy(basis[:], m.basis)
	beside := len(m.beside)
	todo, cut, final, dirty := wordOf(m.todo), wordOf(m.cut), m.final, m.dirty || wordOf(m.queued) != 0
	e.load(to)
	for k := range m.nodes {
		x, y := step[k], m.nodes[k]
		if x.verdict != VerdictCanceled {
			x.cause, x.causeRun, y.cause, y.causeRun = 0, 0, 0, 0
		}
		x.flags, y.flags = x.flags&flagBased, y.flags&flagBased
		if x != y {
			e.fail("%s of %s: the machine comes to %+v, not %+v", event, m.g.ID(i), x, y)
		}
	}
	if !slices.Equal(basis[:len(m.basis)], m.basis) || beside != len(m.beside) {
		e.fail("%s: the machine has the bases %v and %d, not %v and %d", event, basis[:len(m.basis)], beside, m.basis, len(m.beside))
	}
	if todo != wordOf(m.todo) || cut != wordOf(m.cut) || final != m.final || dirty {
		e.fail("%s: the machine has to do %b, cut %b, %+v, not %b, %b, %+v", event, todo, cut, final, wordOf(m.todo), wordOf(m.cut), m.final)
	}
}

// put does what loadStatus does, without a detour where the scenario stands on its parents alone.
func (e *explorer) put(m *Machine, i int, p packed) {
	at, ok := m.g.Index(scenarioName(i))
	if !ok {
		m.loadStatus(scenarioName(i), e.status(i, p))
		return
	}
	beside := p >> 15 << 15
	for k, parent := range m.g.ParentsAt(at) {
		bit := basisBit(i, scenarioNumber(m.g.ID(int(parent.Index))))
		m.basis[int(m.parents[at])+k] = uint32(p >> bit & 7)
		beside &^= 7 << bit
	}
	if beside != 0 {
		m.loadStatus(scenarioName(i), e.status(i, p))
		return
	}
	n := &m.nodes[at]
	n.record = p.record()
	if p>>15 != 0 {
		n.flags |= flagBased
	}
}

// wordOf returns a set of small numbers.
func wordOf(s set) (word uint64) {
	for i := s.from(0); i >= 0; i = s.from(i + 1) {
		word |= 1 << i
	}
	return word
}

// load makes the machine of a state.
func (e *explorer) load(s state) *Machine {
	m := e.machines[s.graph]
	clear(m.nodes)
	clear(m.basis)
	clear(m.beside)
	clear(m.removed)
	for _, set := range []*set{&m.queued, &m.todo, &m.cut} {
		for _, level := range set.levels {
			clear(level)
		}
	}
	m.final, m.dirty = tally{}, false
	for i := range e.scenarios {
		if p := s.scenario[i]; p != 0 {
			e.put(m, i, p)
		}
	}
	m.concludeAll()
	return m
}

// check holds one state against the rules, told in other words than in rules.go.
func (e *explorer) check(b *evaluation, s Snapshot) {
	plan := b.plan(s)
	rest := len(plan.Actions) == 0
	for _, st := range s {
		rest = rest && !st.record().live()
	}
	seen := map[dag.ID]bool{}
	for _, a := range plan.Actions {
		if seen[a.Ref.ID] {
			e.fail("two actions for %s", a.Ref.ID)
		}
		seen[a.Ref.ID] = true
		if st := s[a.Ref.ID]; (a.Kind == Stop) != st.record().live() {
			e.fail("%s, live: %t", a, st.record().live())
		}
	}
	for id, st := range s {
		if _, ok := b.g.Index(id); !ok && st.record().live() != seen[id] {
			e.fail("%s is not in the graph and lives", id)
		}
	}
	for i := range b.seen {
		st, verdict := &b.seen[i], b.conclusion[i].Verdict
		id := b.g.ID(i)
		if rest && !verdict.Final() {
			e.fail("at rest %s is %s", id, verdict)
		}
		if st.live() && verdict == VerdictWaiting && b.action[i] != 0 {
			e.fail("%s waits, and its live run is not left alone", id)
		}
		forced := st.asked() && st.force || st.forced && !st.asked()
		for _, p := range b.g.ParentsAt(i) {
			e.checkEdge(b, i, p, forced)
		}
		e.checkCause(b, i)
		e.checkLateNews(b, i)
	}
	if rest != (plan.Outcome != OutcomePending) {
		e.fail("at rest: %t, outcome %s", rest, plan.Outcome)
	}
}

func (e *explorer) checkEdge(b *evaluation, i int, p dag.Neighbor, forced bool) {
	st, parent := &b.seen[i], &b.seen[p.Index]
	id, pid := b.g.ID(i), b.g.ID(int(p.Index))
	verdict, above := b.conclusion[i].Verdict, b.conclusion[p.Index].Verdict
	good := above == VerdictPassed || above == VerdictFailed && p.Condition >= dag.OnFinish || above == VerdictCanceled && p.Condition == dag.Always
	if b.action[i] == Start {
		switch {
		case parent.live():
			e.fail("%s starts while %s is live", id, pid)
		case !above.Final():
			e.fail("%s starts while %s is %s", id, pid, above)
		case !good && !forced:
			e.fail("%s starts although %s is %s (%s)", id, pid, above, p.Condition)
		}
	}
	if above.Final() && !good && !forced && verdict != VerdictCanceled {
		e.fail("%s is %s although %s is %s (%s)", id, verdict, pid, above, p.Condition)
	}
	if (verdict == VerdictPassed || verdict == VerdictFailed) && parent.run > 0 && !st.standsOn(Ref{pid, parent.run}) {
		e.fail("%s is %s and does not stand on %s#%d", id, verdict, pid, parent.run)
	}
}

// checkCause follows a cancellation to its root.
func (e *explorer) checkCause(b *evaluation, i int) {
	c := b.conclusion[i]
	if c.Verdict != VerdictCanceled {
		if c.Cause != (Ref{}) {
			e.fail("%s is %s and has a cause", b.g.ID(i), c.Verdict)
		}
		return
	}
	at, ok := b.g.Index(c.Cause.ID)
	if !ok || at > i {
		e.fail("the cause of %s is %s", b.g.ID(i), c.Cause)
		return
	}
	root := &b.seen[at]
	failed := b.conclusion[at].Verdict == VerdictFailed && root.phase == PhaseFailed && root.run == c.Cause.Run
	run, canceled := root.canceled()
	if !failed && (!canceled || run != c.Cause.Run) {
		e.fail("the cause of %s is %s, which neither failed nor was canceled", b.g.ID(i), c.Cause)
	}
}

// checkLateNews: news of an older run, repeated news, and older requests change nothing.
func (e *explorer) checkLateNews(b *evaluation, i int) {
	st := b.statusAt(i)
	ref := b.refAt(i)
	old := Ref{ref.ID, ref.Run - 1}
	late := []Event{Finished(old, PhaseFailed), Finished(old, PhaseRunning), Finished(ref, PhaseRunning), Finished(ref, st.Phase)}
	if len(st.Basis) > 0 {
		late = append(late, Event{Ref: ref, Phase: PhaseRunning, Basis: []Ref{{ref.ID, 7}}})
	}
	if st.Phase.Over() {
		late = append(late, Finished(ref, PhasePassed), Finished(ref, PhaseStopped))
	}
	if st.Cancel < st.Run && ref.Run > 0 {
		late = append(late, Rerun(old), Force(old), Cancel(old))
	}
	for _, event := range late {
		if after, changed := st.observe(event); changed || !slices.Equal(after.Basis, st.Basis) || after.Run != st.Run || after.Phase != st.Phase {
			e.fail("late news changes something: %s", event)
		}
	}
}

func (e *explorer) fail(format string, args ...any) {
	if e.violation == "" {
		e.violation = fmt.Sprintf(format, args...)
	}
}

// history tells how the violation came about.
func (e *explorer) history() string {
	var b strings.Builder
	fmt.Fprintln(&b, describeGraph(e.graphs[0]))
	for _, s := range e.path {
		fmt.Fprintln(&b, s.what)
	}
	return b.String()
}

// The layout of packed: run, phase, forced, want, force, cancel, stopping, and of each other scenario three bits of the
// run in the basis.
func (e *explorer) pack(i int, st Status, stopping bool) packed {
	if st.record().newest() > mostRuns {
		e.fail("%s has more runs than bits", scenarioName(i))
	}
	p := packed(st.Run) | packed(st.Phase)<<3 | packed(bit(st.Forced))<<6 | packed(st.Want)<<7 | packed(bit(st.Force))<<10 |
		packed(st.Cancel)<<11 | packed(bit(stopping && st.record().live()))<<14
	for _, r := range st.Basis {
		p |= packed(r.Run) << basisBit(i, scenarioNumber(r.ID))
	}
	return p
}

// basisBit returns where the run of scenario k stands in the packed status of scenario i.
func basisBit(i, k int) int {
	if k > i {
		k--
	}
	return 15 + 3*k
}

func (e *explorer) unpack(s state) (snapshot Snapshot, stopping [mostScenarios]bool) {
	snapshot = make(Snapshot, e.scenarios)
	for i := range e.scenarios {
		if p := s.scenario[i]; p != 0 {
			snapshot[scenarioName(i)] = e.status(i, p)
			stopping[i] = p>>14&1 == 1
		}
	}
	return snapshot, stopping
}

func (p packed) record() record {
	return record{
		run: int(p & 7), want: int(p >> 7 & 7), cancel: int(p >> 11 & 7),
		phase: Phase(p >> 3 & 7), forced: p>>6&1 == 1, force: p>>10&1 == 1,
	}
}

func (e *explorer) status(i int, p packed) Status {
	r := p.record()
	st := Status{Run: r.run, Phase: r.phase, Forced: r.forced, Want: r.want, Force: r.force, Cancel: r.cancel}
	if p>>15 == 0 {
		return st
	}
	st.Basis = make([]Ref, 0, e.scenarios)
	for k := range e.scenarios {
		if k == i {
			continue
		}
		if run := int(p >> basisBit(i, k) & 7); run > 0 {
			st.Basis = append(st.Basis, Ref{scenarioName(k), run})
		}
	}
	return st
}

// graphsOf returns the graphs of n scenarios with every choice of edges and conditions, one for each class of isomorphic
// ones. Declared order of parents follows the IDs.
func graphsOf(n int, conditions []dag.Condition) []*dag.Graph {
	pairs := n * (n - 1) / 2
	choices := len(conditions) + 1
	total := 1
	for range pairs {
		total *= choices
	}
	permutations := permutationsOf(n)
	var graphs []*dag.Graph
	for code := range total {
		edges := make([][]int, n) // edges[child][parent]: 0 is none, otherwise a condition counted from 1
		rest := code
		for child := range n {
			edges[child] = make([]int, n)
			for parent := range child {
				edges[child][parent], rest = rest%choices, rest/choices
			}
		}
		if smallest(edges, permutations, choices) {
			graphs = append(graphs, graphOfEdges(edges, conditions))
		}
	}
	return graphs
}

// smallest reports whether no isomorphic graph with parents before children has a smaller code.
func smallest(edges [][]int, permutations [][]int, choices int) bool {
	n := len(edges)
	own := encode(edges, permutations[0], choices)
	for _, p := range permutations {
		valid := true
		for child := range n {
			for parent := range n {
				valid = valid && (edges[child][parent] == 0 || p[parent] < p[child])
			}
		}
		if valid && encode(edges, p, choices) < own {
			return false
		}
	}
	return true
}

func encode(edges [][]int, p []int, choices int) (code uint64) {
	n := len(edges)
	moved := make([][]int, n)
	for i := range n {
		moved[i] = make([]int, n)
	}
	for child := range n {
		for parent := range n {
			moved[p[child]][p[parent]] = edges[child][parent]
		}
	}
	for child := range n {
		for parent := range child {
			high, low := bits.Mul64(code, uint64(choices))
			if high != 0 {
				panic("too many edges")
			}
			code = low + uint64(moved[child][parent])
		}
	}
	return code
}

func permutationsOf(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, p := range permutationsOf(n - 1) {
		for at := n - 1; at >= 0; at-- {
			all = append(all, slices.Insert(slices.Clone(p), at, n-1))
		}
	}
	return all
}

func graphOfEdges(edges [][]int, conditions []dag.Condition) *dag.Graph {
	list := make([]dag.Scenario, len(edges))
	for child := range edges {
		list[child].ID = scenarioName(child)
		for parent, c := range edges[child] {
			if c > 0 {
				list[child].After = append(list[child].After, dag.Parent{ID: scenarioName(parent), Condition: conditions[c-1]})
			}
		}
	}
	g, err := dag.New(list...)
	if err != nil {
		panic(err)
	}
	return g
}

// graphsOfSome returns the graphs of some of n scenarios, or none, with every choice of edges and conditions.
func graphsOfSome(n int, conditions []dag.Condition) []*dag.Graph {
	var graphs []*dag.Graph
	for some := range 1 << n {
		var ids []dag.ID
		for i := range n {
			if some>>i&1 == 1 {
				ids = append(ids, scenarioName(i))
			}
		}
		graphs = append(graphs, graphsOfThese(ids, conditions)...)
	}
	return graphs
}

func graphsOfThese(ids []dag.ID, conditions []dag.Condition) []*dag.Graph {
	type pair struct{ child, parent int }
	var pairs []pair
	for child := range ids {
		for parent := range ids {
			if child != parent {
				pairs = append(pairs, pair{child, parent})
			}
		}
	}
	total := 1
	for range pairs {
		total *= len(conditions) + 1
	}
	var graphs []*dag.Graph
	for code := range total {
		list := make([]dag.Scenario, len(ids))
		for i, id := range ids {
			list[i].ID = id
		}
		rest := code
		for _, p := range pairs {
			if c := rest % (len(conditions) + 1); c > 0 {
				list[p.child].After = append(list[p.child].After, dag.Parent{ID: ids[p.parent], Condition: conditions[c-1]})
			}
			rest /= len(conditions) + 1
		}
		if g, err := dag.New(list...); err == nil { // otherwise it has a cycle
			graphs = append(graphs, g)
		}
	}
	return graphs
}
