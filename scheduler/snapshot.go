package scheduler

import (
	"fmt"

	"github.com/testdag/testdag/dag"
)

// A Phase is what has been observed of a run.
type Phase uint8

// The phases of a run. A run begins as PhaseRunning and ends as one of those after it.
const (
	PhaseNone     Phase = iota // nothing is known; not a phase of a run
	PhaseRunning               // it was started and is not known to be over
	PhasePassed                // over: the test passed
	PhaseFailed                // over: the test failed, or could not be told to have passed
	PhaseCanceled              // over: stopped by a person or from outside, past the plan
	PhaseStopped               // over: stopped by a plan; the plan's reason may be a request to cancel it
)

var phaseNames = [...]string{
	PhaseNone: "none", PhaseRunning: "running", PhasePassed: "passed", PhaseFailed: "failed",
	PhaseCanceled: "canceled", PhaseStopped: "stopped",
}

// String returns the name of the phase in lower case.
func (p Phase) String() string { return name(p, phaseNames[:], "Phase") }

// Over reports whether the run has ended.
func (p Phase) Over() bool { return p > PhaseRunning && p.valid() }

// known reports whether something is known of a run in this phase.
func (p Phase) known() bool { return p != PhaseNone && p.valid() }

func (p Phase) valid() bool { return int(p) < len(phaseNames) }

func name[T ~uint8](v T, names []string, kind string) string {
	if int(v) >= len(names) {
		return fmt.Sprintf("%s(%d)", kind, uint8(v))
	}
	return names[v]
}

// A Status is what has been observed of one scenario: of its newest run, and what people asked for. The zero Status is a
// scenario that nobody has started.
//
// The marks stand beside each other to save room: how long [Next] takes for a large graph depends on it.
type Status struct {
	Run   int   // newest run that was started, 0 if none
	Basis []Ref // newest runs of the parents when it was started, by ascending ID; parents without a run are left out

	// Artifacts are what that run left, by ascending URI and digest, each once and at most 64. No rule looks at them.
	Artifacts []Artifact

	Phase  Phase // phase of that run
	Forced bool  // that run was started although an edge was broken, on a person's request

	Force  bool // the run asked for is to start although an edge is broken
	Want   int  // newest run that a person asked for, 0 if none
	Cancel int  // newest run that a person canceled, 0 if none; it may never have started
}

// record returns all of it but the basis and the artifacts, with numbers that a run can have. It and cleanBasis are the
// only way from a Status to the rules, so that an odd Status means the same wherever it is read.
func (st *Status) record() *record {
	r := &record{run: st.Run, want: st.Want, cancel: st.Cancel, phase: st.Phase, forced: st.Forced, force: st.Force}
	r.fit()
	return r
}

// setRecord puts a record in the place of its own.
func (st *Status) setRecord(r *record) {
	st.Run, st.Want, st.Cancel, st.Phase, st.Forced, st.Force = r.run, r.want, r.cancel, r.phase, r.forced, r.force
}

func (st Status) isZero() bool {
	return st.Run == 0 && st.Phase == PhaseNone && !st.Forced && len(st.Basis) == 0 && st.Want == 0 && !st.Force && st.Cancel == 0 &&
		len(st.Artifacts) == 0
}

// A Snapshot is what has been observed of all scenarios. A scenario that is not in it has the zero Status. Scenarios that
// are no longer in the graph may be in it, and stay: their runs keep their names should they come back.
//
// A Snapshot is a value: [Snapshot.Observe] leaves it as it is and returns another. Its JSON form is described at
// [Snapshot.MarshalJSON].
type Snapshot map[dag.ID]Status

// Newest names the newest run of a scenario: started, asked for, or canceled before it started; run 0 if there is none.
// It is the run that a request made now is about.
func (s Snapshot) Newest(id dag.ID) Ref {
	st := s[id]
	return Ref{ID: id, Run: st.record().newest()}
}
