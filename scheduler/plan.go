package scheduler

// An ActionKind tells a start from a stop.
type ActionKind uint8

// The kinds of actions.
const (
	Start ActionKind = iota + 1
	Stop
)

var actionNames = [...]string{"nothing", Start: "start", Stop: "stop"}

// String returns the name of the kind in lower case.
func (k ActionKind) String() string { return name(k, actionNames[:], "ActionKind") }

// An Action is one thing to do now: to start a run or to stop one.
type Action struct {
	Kind   ActionKind
	Ref    Ref
	Basis  []Ref // of a start: the newest runs of the parents, by ascending ID; parents without a run are left out
	Forced bool  // of a start: a person forced it
}

// String returns the action as people say it: "start scan#2 on build#1", "stop scan#1".
func (a Action) String() string {
	text := a.Kind.String() + " " + a.Ref.String()
	if a.Forced {
		text += " by force"
	}
	return text + on(a.Basis)
}

// An Outcome is what the whole graph comes to.
type Outcome uint8

// The outcomes. OutcomePending stays as long as anything is live or could still start without a request; the others are
// about the scenarios that are not optional.
const (
	OutcomePending  Outcome = iota
	OutcomePassed           // all passed; also where there are none
	OutcomeFailed           // one failed
	OutcomeCanceled         // none failed, one was canceled
)

var outcomeNames = [...]string{
	OutcomePending: "pending", OutcomePassed: "passed", OutcomeFailed: "failed", OutcomeCanceled: "canceled",
}

// String returns the name of the outcome in lower case.
func (o Outcome) String() string { return name(o, outcomeNames[:], "Outcome") }

// A Plan is what to do now. Obeying it and observing what comes of it leads to the next plan; where nothing was done or
// observed, the plan stays the same.
type Plan struct {
	Actions []Action // at most one for each scenario: stops of scenarios no longer there by ID, then all in canonical order
	Outcome Outcome
}
