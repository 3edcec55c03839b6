package dag

import (
	"fmt"
	"strings"
)

// An Error reports one mistake. Fields that its kind does not need are empty.
type Error struct {
	Kind   Kind
	ID     ID       // the scenario with the mistake; of an edge, the child; empty for text alone
	Parent ID       // of an edge, the parent
	Count  int      // EmptyID, DuplicateID: the number of such scenarios
	Given  []string // the texts in question: conditions, each once, strictest first; or onFail; or failFast and onFail
}

// A Kind names the mistake that an [Error] reports. It is an error too, so that errors.Is finds a kind among joined
// mistakes: errors.Is(err, dag.UnknownParent).
type Kind string

// The kinds, in the order in which [New] reports them.
const (
	EmptyID               Kind = "empty ID"               // scenarios have no ID
	DuplicateID           Kind = "duplicate ID"           // several scenarios have one ID
	SelfEdge              Kind = "self edge"              // a scenario waits for itself
	UnknownParent         Kind = "unknown parent"         // a parent is not a scenario of the graph
	UnknownCondition      Kind = "unknown condition"      // a condition is none of OnPass, OnFinish and Always
	ConflictingConditions Kind = "conflicting conditions" // one edge is given with different conditions
)

// The kinds that [Profile.Condition] reports.
const (
	UnknownOnFail Kind = "unknown onFail" // onFail is neither run nor skip
	Contradiction Kind = "contradiction"  // onFail and failFast state different conditions
	NoProfile     Kind = "no profile"     // neither is stated, and the profile says nothing
)

func (k Kind) Error() string { return string(k) }

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

func (e *Error) Error() string {
	given := strings.Join(e.Given, ", ")
	switch e.Kind {
	case EmptyID:
		if e.Count == 1 {
			return "dag: a scenario has an empty ID; give it a name"
		}
		return fmt.Sprintf("dag: %d scenarios have an empty ID; give each a name", e.Count)
	case DuplicateID:
		return fmt.Sprintf("dag: %d scenarios have the ID %q; keep one", e.Count, e.ID)
	case SelfEdge:
		return fmt.Sprintf("dag: %q waits for itself; remove the edge", e.ID)
	case UnknownParent:
		return fmt.Sprintf("dag: %q waits for %q, which is not a scenario; add it or correct the name", e.ID, e.Parent)
	case UnknownCondition:
		const want = "want OnPass, OnFinish or Always"
		if e.ID == "" {
			return fmt.Sprintf("dag: unknown condition %q; %s", given, want)
		}
		return fmt.Sprintf("dag: %q waits for %q with the unknown condition %q; %s", e.ID, e.Parent, given, want)
	case ConflictingConditions:
		return fmt.Sprintf("dag: %q waits for %q with different conditions (%s); keep one", e.ID, e.Parent, given)
	case UnknownOnFail:
		return fmt.Sprintf("unknown onFail %q; want run or skip", given)
	case Contradiction:
		return fmt.Sprintf("failFast: %s; keep one of them", strings.Join(e.Given, " contradicts onFail: "))
	case NoProfile:
		return "neither onFail nor failFast is given, and the program chose no profile; set one of them, or parse with ADR48 or ComponentGroup"
	}
	return "dag: " + string(e.Kind)
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
