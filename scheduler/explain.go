package scheduler

import (
	"fmt"
	"strings"

	"github.com/testdag/testdag/dag"
)

// Explain says in a sentence what the rules conclude for a scenario and why: what it waits for, what it stands on, or
// which run is the root cause of its cancellation. The text is for people and may change between releases. To explain
// many scenarios, ask a [Machine]: this applies the rules anew each time.
func Explain(g *dag.Graph, s Snapshot, id dag.ID) string {
	i, ok := g.Index(id)
	if !ok {
		return explainUnknown(s, id)
	}
	return explain(evaluate(g, s), i)
}

// A judged is a graph to which the rules have been applied.
type judged interface {
	Graph() *dag.Graph
	ActionAt(i int) Action
	conclusionAt(i int) Conclusion
	recordAt(i int) *record
	statusAt(i int) Status
	refAt(i int) Ref
}

func explain(j judged, i int) string {
	id, st, c, a := j.Graph().ID(i), j.statusAt(i), j.conclusionAt(i), j.ActionAt(i)
	switch c.Verdict {
	case VerdictWaiting:
		return fmt.Sprintf("%s waits for %s.%s", id, explainOpen(j, i), alive(id, st, "goes on meanwhile"))
	case VerdictReady:
		return fmt.Sprintf("%s is ready: %s can start%s.%s", id, a.Ref, on(a.Basis), forcedNote(a.Forced))
	case VerdictRunning:
		if a.Kind == Stop {
			return fmt.Sprintf("%s is out of date: %s is being stopped, then %s starts.", id, a.Ref, Ref{id, st.record().next()})
		}
		return fmt.Sprintf("%s is running%s.%s", j.refAt(i), on(st.Basis), forcedNote(st.Forced))
	case VerdictCanceled:
		return explainCanceled(j, id, c.Cause) + alive(id, st, "is being stopped")
	default:
		return fmt.Sprintf("%s %s%s.%s", j.refAt(i), c.Verdict, on(st.Basis), forcedNote(st.Forced))
	}
}

func explainUnknown(s Snapshot, id dag.ID) string {
	text := fmt.Sprintf("%s is not a scenario of the graph.", id)
	return text + alive(id, s[id], "is being stopped")
}

// explainOpen lists the parents that a waiting scenario waits for: those to which an edge is open, and of a forced run
// those that wind down.
func explainOpen(j judged, i int) string {
	var parents []string
	for _, p := range j.Graph().ParentsAt(i) {
		at := int(p.Index)
		live, verdict := j.recordAt(at).live(), j.conclusionAt(at).Verdict
		switch edge(p.Condition, verdict, live) {
		case edgeMet, edgeBroken:
			continue
		}
		if live {
			parents = append(parents, fmt.Sprintf("%s (%s)", j.refAt(at), liveWord(verdict)))
		} else {
			parents = append(parents, fmt.Sprintf("%s (%s)", j.refAt(at).ID, verdict))
		}
	}
	return strings.Join(parents, ", ")
}

func liveWord(v Verdict) string {
	if v.Final() {
		return "winding down"
	}
	return "running"
}

func explainCanceled(j judged, id dag.ID, cause Ref) string {
	if cause.ID == id {
		return fmt.Sprintf("%s is canceled: %s %s.", id, cause, explainCause(j, cause))
	}
	return fmt.Sprintf("%s is canceled because %s %s.", id, cause, explainCause(j, cause))
}

// explainCause says what befell a run that is a root cause.
func explainCause(j judged, cause Ref) string {
	i, _ := j.Graph().Index(cause.ID)
	switch {
	case j.conclusionAt(i).Verdict == VerdictFailed:
		return "failed"
	case j.recordAt(i).cancel == cause.Run:
		return "was canceled by a person"
	default:
		return "was canceled from outside"
	}
}

func alive(id dag.ID, st Status, what string) string {
	r := st.record()
	if !r.live() {
		return ""
	}
	return fmt.Sprintf(" %s %s.", Ref{id, r.run}, what)
}

func forcedNote(forced bool) string {
	if forced {
		return " A person forced it."
	}
	return ""
}
