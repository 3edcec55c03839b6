package dag

import (
	"fmt"
	"strings"
)

// An EmptyIDError reports scenarios without an ID.
type EmptyIDError struct {
	Count int // how many there are
}

func (e *EmptyIDError) Error() string {
	if e.Count == 1 {
		return "dag: a scenario has an empty ID; give it a name"
	}
	return fmt.Sprintf("dag: %d scenarios have an empty ID; give each a name", e.Count)
}

// A DuplicateError reports an ID that several scenarios have.
type DuplicateError struct {
	ID    ID
	Count int // how many have it
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("dag: %d scenarios have the ID %q; keep one", e.Count, e.ID)
}

// An UnknownParentError reports a scenario that waits for something that is not a scenario of the graph.
type UnknownParentError struct {
	Parent, Child ID
}

func (e *UnknownParentError) Error() string {
	return fmt.Sprintf("dag: %q waits for %q, which is not a scenario; add it or correct the name", e.Child, e.Parent)
}

// A SelfEdgeError reports a scenario that waits for itself.
type SelfEdgeError struct {
	ID ID
}

func (e *SelfEdgeError) Error() string {
	return fmt.Sprintf("dag: %q waits for itself; remove the edge", e.ID)
}

// A ConflictError reports one edge that was given with different conditions.
type ConflictError struct {
	Parent, Child ID
	Conditions    []Condition // each once, strictest first
}

func (e *ConflictError) Error() string {
	names := make([]string, len(e.Conditions))
	for i, c := range e.Conditions {
		names[i] = c.String()
	}
	return fmt.Sprintf("dag: %q waits for %q with different conditions (%s); keep one", e.Child, e.Parent, strings.Join(names, ", "))
}

// A ConditionError reports a condition that is none of [OnPass], [OnFinish] and [Always].
type ConditionError struct {
	Parent, Child ID // the edge, empty if the condition stands alone
	Condition     string
}

func (e *ConditionError) Error() string {
	const want = "want OnPass, OnFinish or Always"
	if e.Child == "" {
		return fmt.Sprintf("dag: unknown condition %q; %s", e.Condition, want)
	}
	return fmt.Sprintf("dag: %q waits for %q with the unknown condition %q; %s", e.Child, e.Parent, e.Condition, want)
}

// A CycleError reports scenarios that wait for one another. Path starts at its smallest ID; each element waits for the
// next, and the last one for the first.
type CycleError struct {
	Path []ID
}

// Error tells the whole path, or of a very long one its beginning and its end.
func (e *CycleError) Error() string {
	const most = 20 // elements told on each side
	var b strings.Builder
	b.WriteString("dag: cycle: ")
	for i, id := range e.Path {
		if i == most && len(e.Path) > 2*most {
			fmt.Fprintf(&b, "… %d more … ", len(e.Path)-2*most)
		}
		if i < most || i >= len(e.Path)-most {
			fmt.Fprintf(&b, "%q waits for ", id)
		}
	}
	if len(e.Path) > 0 {
		fmt.Fprintf(&b, "%q", e.Path[0])
	}
	return b.String()
}
