package scheduler

import "github.com/testdag/testdag/dag"

// facts returns what the rules look at.
func (n *node) facts() facts { return n.own | n.edges() }

// edges returns what the rules look at of the edges.
func (n *node) edges() facts {
	return some(n.open)*factOpen | some(n.broken)*factBroken | some(n.winding)*factWinding | some(n.stale)*factStale
}

// some returns 1 if a count is not 0.
func some(count int32) facts { return facts(uint32(-count) >> 31) }

// A decision is what the rules decide, and what the children see with it.
type decision struct {
	verdict Verdict
	action  ActionKind
	view    childView
}

// decisions holds what the rules decide for all facts.
var decisions = func() (all [factEnd]decision) {
	for at := range all {
		f := facts(at)
		verdict, do := decide(f)
		all[f] = decision{verdict, do, viewOf(verdict, f.live())}
	}
	return all
}()

// A childView is what the children of a scenario see of it: its verdict, those that are not final looking alike, and
// whether it has a live run.
type childView uint8

const (
	viewLive childView = 1 << 3
	viewEnd            = viewLive << 1
)

func viewOf(v Verdict, live bool) (view childView) {
	if v.Final() {
		view = childView(v)
	}
	if live {
		view |= viewLive
	}
	return view
}

// edge returns what an edge of a condition comes to.
func (v childView) edge(c dag.Condition) edgeState {
	return edge(c, Verdict(v&^viewLive), v&viewLive != 0)
}

// The steps are what becomes of the edges to the children when these see another view: one for each condition.
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

// allSteps holds the steps from each view to each other.
var allSteps = func() (all [viewEnd][viewEnd]steps) {
	for was := range viewEnd {
		for is := range viewEnd {
			all[was][is] = stepsOf(was, is)
		}
	}
	return all
}()

func stepsOf(before, after childView) (s steps) {
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
