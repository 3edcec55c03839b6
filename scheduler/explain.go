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
	return newBoard(g, s).explain(s, id)
}

func (b *board) explain(s Snapshot, id dag.ID) string {
	i, ok := b.g.Index(id)
	if !ok {
		return explainUnknown(s, id)
	}
	st, c := &b.status[i], b.conclusion[i]
	switch c.Verdict {
	case VerdictWaiting:
		return fmt.Sprintf("%s waits for %s.%s", id, b.explainOpen(i), alive(id, st, "goes on meanwhile"))
	case VerdictReady:
		a := b.start(i)
		return fmt.Sprintf("%s is ready: %s can start%s.%s", id, a.Ref, on(a.Basis), forcedNote(a.Forced))
	case VerdictRunning:
		if b.action[i] == Stop {
			return fmt.Sprintf("%s is out of date: %s is being stopped, then %s starts.", id, b.ref(i), b.start(i).Ref)
		}
		return fmt.Sprintf("%s is running%s.%s", b.ref(i), on(st.Basis), forcedNote(st.Forced))
	case VerdictCanceled:
		return b.explainCanceled(i) + alive(id, st, "is being stopped")
	default:
		return fmt.Sprintf("%s %s%s.%s", b.ref(i), c.Verdict, on(st.Basis), forcedNote(st.Forced))
	}
}

func explainUnknown(s Snapshot, id dag.ID) string {
	st := s[id]
	text := fmt.Sprintf("%s is not a scenario of the graph.", id)
	return text + alive(id, &st, "is being stopped")
}

// explainOpen lists the parents that a waiting scenario waits for: those to which an edge is open, and of a forced run
// those that wind down.
func (b *board) explainOpen(i int) string {
	var parents []string
	for _, p := range b.g.ParentsAt(i) {
		state, live := b.edge(p), b.status[p.Index].live()
		if state == edgeMet || state == edgeBroken && !live {
			continue
		}
		parent, verdict := b.ref(int(p.Index)), b.conclusion[p.Index].Verdict
		if live {
			parents = append(parents, fmt.Sprintf("%s (%s)", parent, liveWord(verdict)))
		} else {
			parents = append(parents, fmt.Sprintf("%s (%s)", parent.ID, verdict))
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

func (b *board) explainCanceled(i int) string {
	id, cause := b.g.ID(i), b.conclusion[i].Cause
	if cause.ID == id {
		return fmt.Sprintf("%s is canceled: %s %s.", id, cause, b.explainCause(cause))
	}
	return fmt.Sprintf("%s is canceled because %s %s.", id, cause, b.explainCause(cause))
}

// explainCause says what befell a run that is a root cause.
func (b *board) explainCause(cause Ref) string {
	i, _ := b.g.Index(cause.ID)
	switch {
	case b.conclusion[i].Verdict == VerdictFailed:
		return "failed"
	case b.status[i].Cancel == cause.Run:
		return "was canceled by a person"
	default:
		return "was canceled from outside"
	}
}

func alive(id dag.ID, st *Status, what string) string {
	if !st.live() {
		return ""
	}
	return fmt.Sprintf(" %s %s.", Ref{id, st.Run}, what)
}

func forcedNote(forced bool) string {
	if forced {
		return " A person forced it."
	}
	return ""
}
