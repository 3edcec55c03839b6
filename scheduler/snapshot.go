package scheduler

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/testdag/testdag/dag"
)

// A Snapshot is what has been observed of all scenarios. A scenario that is not in it has the zero Status; nil is the
// snapshot before anything was observed. Scenarios that are no longer in the graph may be in it, and stay: their runs
// keep their names should they come back.
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

// A Ref names one run: scan#2 is the second run of the scenario scan. Runs are counted from 1. A run that was canceled
// before it started keeps its number.
type Ref struct {
	ID  dag.ID
	Run int
}

// String returns the ID, a number sign and the run.
func (r Ref) String() string { return string(r.ID) + "#" + strconv.Itoa(r.Run) }

// ParseRef reads what [Ref.String] writes. The ID may hold number signs itself; the last one counts.
func ParseRef(text string) (Ref, error) {
	at := strings.LastIndexByte(text, '#')
	if at <= 0 {
		return Ref{}, fmt.Errorf("scheduler: %q does not name a run; want one like scan#2", text)
	}
	run, err := strconv.Atoi(text[at+1:])
	if err != nil || run < 0 || run > maxNumber || strconv.Itoa(run) != text[at+1:] {
		return Ref{}, fmt.Errorf("scheduler: %q has no number of a run after the #; want one like scan#2", text)
	}
	return Ref{ID: dag.ID(text[:at]), Run: run}, nil
}

func compareID(r Ref, id dag.ID) int { return strings.Compare(string(r.ID), string(id)) }

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

// A record is a [Status] without the basis and the artifacts: what was observed of one scenario, and of it alone.
type record struct {
	run, want, cancel int
	phase             Phase
	forced, force     bool
}

// fit takes numbers that no run can have as the nearest ones, or as 0, which is no run.
func (r *record) fit() {
	for _, n := range []*int{&r.run, &r.want, &r.cancel} {
		*n = min(max(0, *n), maxNumber)
	}
}

// live reports whether the newest run is not known to be over.
func (r *record) live() bool { return r.run > 0 && r.phase == PhaseRunning }

// newest is the number of the newest run there is: started, asked for, or canceled before it started.
func (r *record) newest() int { return max(r.run, r.want, r.cancel) }

// next is the number of the run to start: the one that was asked for, or the one after the newest. Nothing comes after
// maxNumber.
func (r *record) next() int { return max(r.want, min(max(r.run, r.cancel), maxNumber-1)+1) }

// asked reports whether a person asked for a newer run than there is.
func (r *record) asked() bool { return r.want > r.run }

// canceled returns the run that a person canceled, unless a newer one was asked for.
func (r *record) canceled() (run int, ok bool) {
	switch {
	case r.cancel > 0 && r.cancel >= r.run && r.cancel >= r.want:
		return r.cancel, true
	case r.run > 0 && r.phase == PhaseCanceled && !r.asked():
		return r.run, true
	}
	return 0, false
}

// sortedBasis returns the basis by ascending ID, of several runs of one scenario the newest.
func sortedBasis(basis []Ref) []Ref {
	sorted := slices.SortedFunc(slices.Values(basis), func(a, b Ref) int {
		return cmp.Or(compareID(a, b.ID), cmp.Compare(b.Run, a.Run))
	})
	return slices.CompactFunc(sorted, func(a, b Ref) bool { return a.ID == b.ID })
}

// cleanBasis returns the basis sorted, without what names no run, and leaves the one given as it is. One that is clean
// costs no memory.
func cleanBasis(basis []Ref) []Ref {
	if isClean(basis) {
		return basis
	}
	return sortedBasis(slices.DeleteFunc(slices.Clone(basis), func(r Ref) bool { return !namesRun(r) }))
}

// isClean reports whether cleanBasis would change nothing.
func isClean(basis []Ref) bool {
	for k, r := range basis {
		if !namesRun(r) || k > 0 && basis[k-1].ID >= r.ID {
			return false
		}
	}
	return true
}

func sortByID(basis []Ref) []Ref {
	slices.SortFunc(basis, func(x, y Ref) int { return compareID(x, y.ID) })
	return basis
}

// namesRun reports whether a run can have this name.
func namesRun(r Ref) bool { return r.ID != "" && r.Run > 0 && r.Run <= maxNumber }

// An Artifact is something that a run left, such as a statement about an image. What is known of it is the runner's word:
// the rules look at no artifact, and nobody here looks whether it is there. It tells who judges the evidence on an image
// what to look for, so that a run that passed and left nothing is seen.
//
// An artifact without a URI or a digest, with one of more than 512 and 256 bytes, or that is not UTF-8 is not kept.
type Artifact struct {
	URI    string `json:"uri"`    // the repository it is in: "quay.io/team/app"
	Digest string `json:"digest"` // of its OCI manifest: "sha256:..."
}

const (
	maxArtifacts   = 64 // of one run
	maxURIBytes    = 512
	maxDigestBytes = 256
)

// check says why the artifact cannot be kept.
func (a Artifact) check() error {
	for _, part := range []struct {
		name, text string
		limit      int
	}{{"URI", a.URI, maxURIBytes}, {"digest", a.Digest, maxDigestBytes}} {
		switch {
		case part.text == "":
			return fmt.Errorf("the %s is empty", part.name)
		case len(part.text) > part.limit:
			return fmt.Errorf("the %s has %d bytes; want at most %d", part.name, len(part.text), part.limit)
		case !utf8.ValidString(part.text):
			return fmt.Errorf("the %s is not UTF-8", part.name)
		}
	}
	return nil
}

func compareArtifacts(a, b Artifact) int {
	return cmp.Or(strings.Compare(a.URI, b.URI), strings.Compare(a.Digest, b.Digest))
}

// sortedArtifacts returns the artifacts in order, each once.
func sortedArtifacts(list []Artifact) []Artifact {
	return slices.Compact(slices.SortedFunc(slices.Values(list), compareArtifacts))
}

// unite returns what is in one of two lists: in order, each once, without what cannot be kept, and of too many the first.
// So it does not matter in which order lists are united, nor how often. The result is a list of its own.
func unite(known, more []Artifact) []Artifact {
	all := slices.DeleteFunc(slices.Concat(known, more), func(a Artifact) bool { return a.check() != nil })
	all = sortedArtifacts(all)
	return slices.Clone(all[:min(len(all), maxArtifacts)])
}

// checkArtifacts returns every mistake in what a run is said to have left.
func checkArtifacts(run int, list []Artifact) (found []error) {
	if len(list) > 0 && run == 0 {
		found = append(found, errors.New("there are artifacts, and no run"))
	}
	if len(list) > maxArtifacts {
		return append(found, fmt.Errorf(`"artifacts" has %d elements; want at most %d`, len(list), maxArtifacts))
	}
	for k, a := range list {
		if err := a.check(); err != nil {
			found = append(found, fmt.Errorf(`"artifacts", element %d: %w`, k, err))
		}
	}
	return found
}
