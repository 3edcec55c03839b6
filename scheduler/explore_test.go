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
// and in whatever order, and holds the rules against each. Graphs are taken up to isomorphism. The short form takes
// seconds; -explore.long looks further.
func TestExplore(t *testing.T) {
	all := []dag.Condition{dag.OnPass, dag.OnFinish, dag.Always}
	pass := all[:1]
	type world struct {
		scenarios  int
		conditions []dag.Condition
		requests   int
	}
	worlds := []world{{1, pass, 6}, {2, all, 3}, {3, pass, 2}, {3, all, 1}, {4, pass, 1}, {5, pass, 0}}
	if *exploreLong {
		worlds = []world{{2, all, 5}, {3, all, 2}, {3, pass, 3}, {4, pass, 2}, {4, all, 1}, {5, pass, 1}}
	}
	for _, w := range worlds {
		t.Run(fmt.Sprintf("%d scenarios, %d conditions, %d requests", w.scenarios, len(w.conditions), w.requests), func(t *testing.T) {
			graphs := graphsOf(w.scenarios, w.conditions)
			var states atomic.Int64
			work := make(chan *dag.Graph)
			var workers sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				workers.Go(func() {
					for g := range work {
						e := &explorer{g: g, found: map[state]starts{}}
						e.explore(state{requests: uint8(w.requests)})
						states.Add(int64(len(e.found)))
						if e.violation != "" {
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
			t.Logf("%d graphs, %d states", len(graphs), states.Load())
		})
	}
}

const (
	mostScenarios = 5
	mostRuns      = 7 // what three bits hold
)

// A state is a snapshot of a few scenarios, the runs that a plan has asked to stop, and how many requests may still come.
type state struct {
	scenario [mostScenarios]packed
	requests uint8
}

// packed is a Status and whether its run is being stopped, in bits.
type packed uint32

// starts tells how often each scenario can still start without a request: two bits each.
type starts uint16

const unfinished starts = 1 << 15 // the state is on the path that is being explored

type explorer struct {
	g         *dag.Graph
	found     map[state]starts
	path      []happening
	violation string
}

type happening struct {
	what fmt.Stringer
	to   state
}

// explore looks at a state and at everything that may come of it, and returns how often each scenario can still start
// without a request. That there is such a number shows that no history goes on for ever.
func (e *explorer) explore(s state) starts {
	if n, ok := e.found[s]; ok {
		if n == unfinished {
			e.fail("the same state again, without end")
		}
		return n
	}
	e.found[s] = unfinished
	b, stopping := e.unpack(s)
	e.check(b)

	var most starts
	follow := func(what fmt.Stringer, i int, st Status, stop, started, asked bool) {
		if e.violation != "" {
			return
		}
		next := s
		next.scenario[i] = e.pack(i, st, stop)
		if asked {
			next.requests--
		}
		e.path = append(e.path, happening{what, next})
		n := e.explore(next)
		if e.violation != "" {
			return // the path is the history of the violation
		}
		e.path = e.path[:len(e.path)-1]
		if asked {
			return
		}
		if started {
			n += 1 << (2 * i)
		}
		most = e.larger(most, n)
	}
	for i := range b.status {
		st := b.status[i]
		ref := b.refAt(i)
		switch b.action[i] {
		case Start:
			event := Started(b.ActionAt(i))
			after, _ := st.observe(event)
			follow(event, i, after, false, true, false)
		case Stop:
			if !stopping[i] {
				follow(Action{Kind: Stop, Ref: ref}, i, st, true, false, false)
			}
		}
		if st.record().live() {
			for _, phase := range []Phase{PhasePassed, PhaseFailed, PhaseCanceled, PhaseStopped} {
				if phase == PhaseStopped && !stopping[i] {
					continue
				}
				event := Finished(ref, phase)
				after, _ := st.observe(event)
				follow(event, i, after, false, false, false)
			}
		}
		if s.requests == 0 {
			continue
		}
		newest := Ref{ref.ID, st.record().newest()}
		for _, event := range []Event{Rerun(newest), Force(newest), Cancel(newest)} {
			if after, changed := st.observe(event); changed {
				follow(event, i, after, stopping[i], false, true)
			}
		}
	}
	for i := range b.status {
		if n := most >> (2 * i) & 3; n > 1 {
			e.fail("%s can start %d times without a request", b.g.ID(i), n)
		}
	}
	e.found[s] = most
	return most
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// larger takes the larger number of each scenario.
func (e *explorer) larger(x, y starts) starts {
	var n starts
	for i := range e.g.Len() {
		mask := starts(3) << (2 * i)
		n |= max(x&mask, y&mask)
	}
	return n
}

// check holds one state against the rules, told in other words than in rules.go.
func (e *explorer) check(b *board) {
	rest := true
	for i := range b.status {
		rest = rest && b.action[i] == 0 && !b.status[i].record().live()
	}
	for i := range b.status {
		st, verdict := &b.status[i], b.conclusion[i].Verdict
		id := b.g.ID(i)
		if rest && !verdict.Final() {
			e.fail("at rest %s is %s", id, verdict)
		}
		if b.action[i] == Stop && !st.record().live() || b.action[i] == Start && st.record().live() {
			e.fail("%s %s, live: %t", b.action[i], id, st.record().live())
		}
		if st.record().live() && verdict == VerdictWaiting && b.action[i] != 0 {
			e.fail("%s waits, and its live run is not left alone", id)
		}
		forced := st.record().asked() && st.Force || st.Forced && !st.record().asked()
		for _, p := range b.g.ParentsAt(i) {
			e.checkEdge(b, i, p, forced)
		}
		e.checkCause(b, i)
		e.checkLateNews(b, i)
	}
	if outcome := b.plan(nil).Outcome; rest != (outcome != OutcomePending) {
		e.fail("at rest: %t, outcome %s", rest, outcome)
	}
}

func (e *explorer) checkEdge(b *board, i int, p dag.Neighbor, forced bool) {
	st, parent := &b.status[i], &b.status[p.Index]
	id, pid := b.g.ID(i), b.g.ID(int(p.Index))
	verdict, above := b.conclusion[i].Verdict, b.conclusion[p.Index].Verdict
	good := above == VerdictPassed || above == VerdictFailed && p.Condition >= dag.OnFinish || above == VerdictCanceled && p.Condition == dag.Always
	if b.action[i] == Start {
		switch {
		case parent.record().live():
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
	if (verdict == VerdictPassed || verdict == VerdictFailed) && parent.Run > 0 && !st.standsOn(Ref{pid, parent.Run}) {
		e.fail("%s is %s and does not stand on %s#%d", id, verdict, pid, parent.Run)
	}
}

// checkCause follows a cancellation to its root.
func (e *explorer) checkCause(b *board, i int) {
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
	root := &b.status[at]
	failed := b.conclusion[at].Verdict == VerdictFailed && root.Phase == PhaseFailed && root.Run == c.Cause.Run
	run, canceled := root.record().canceled()
	if !failed && (!canceled || run != c.Cause.Run) {
		e.fail("the cause of %s is %s, which neither failed nor was canceled", b.g.ID(i), c.Cause)
	}
}

// checkLateNews: news of an older run, repeated news, and older requests change nothing.
func (e *explorer) checkLateNews(b *board, i int) {
	st := b.status[i]
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
	for s := range e.g.Scenarios() {
		fmt.Fprintf(&b, "%+v\n", s)
	}
	for _, s := range e.path {
		fmt.Fprintln(&b, s.what)
	}
	return b.String()
}

// The layout of packed: run, phase, forced, want, force, cancel, stopping, and three bits of the run of each parent.
func (e *explorer) pack(i int, st Status, stopping bool) packed {
	if st.record().newest() > mostRuns {
		e.fail("%s has more runs than bits", e.g.ID(i))
	}
	p := packed(st.Run) | packed(st.Phase)<<3 | packed(b2i(st.Forced))<<6 | packed(st.Want)<<7 | packed(b2i(st.Force))<<10 |
		packed(st.Cancel)<<11 | packed(b2i(stopping && st.record().live()))<<14
	for k, parent := range e.g.ParentsAt(i) {
		if at := slices.IndexFunc(st.Basis, func(r Ref) bool { return r.ID == e.g.ID(int(parent.Index)) }); at >= 0 {
			p |= packed(st.Basis[at].Run) << (15 + 3*k)
		}
	}
	return p
}

func (e *explorer) unpack(s state) (b *board, stopping [mostScenarios]bool) {
	n := e.g.Len()
	b = &board{g: e.g, status: make([]Status, n), conclusion: make([]Conclusion, n), action: make([]ActionKind, n)}
	for i := range n {
		p := s.scenario[i]
		st := Status{
			Run: int(p & 7), Phase: Phase(p >> 3 & 7), Forced: p>>6&1 == 1,
			Want: int(p >> 7 & 7), Force: p>>10&1 == 1, Cancel: int(p >> 11 & 7),
		}
		stopping[i] = p>>14&1 == 1
		for k, parent := range e.g.ParentsAt(i) {
			if run := int(p >> (15 + 3*k) & 7); run > 0 {
				st.Basis = append(st.Basis, Ref{e.g.ID(int(parent.Index)), run})
			}
		}
		b.status[i] = st
		b.conclude(i)
	}
	return b, stopping
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
	name := func(i int) dag.ID { return dag.ID(rune('a' + i)) }
	for child := range edges {
		list[child].ID = name(child)
		for parent, c := range edges[child] {
			if c > 0 {
				list[child].After = append(list[child].After, dag.Parent{ID: name(parent), Condition: conditions[c-1]})
			}
		}
	}
	g, err := dag.New(list...)
	if err != nil {
		panic(err)
	}
	return g
}
