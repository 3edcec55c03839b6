package konflux

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/internal/strictjson"
	"github.com/testdag/testdag/scheduler"
)

// A State is what is known of the tests of one Snapshot, beside what its status annotation tells. It is kept in an
// annotation of its own, and only grows: [State.Merge] of two states is the one that knows what both know.
type State struct {
	// Runs is what was observed and asked for. A run that is to be created is in it before it is there.
	Runs scheduler.Snapshot

	// Alone are scenarios outside the graph that a person asked for by name, sorted. They wait for nothing, nothing waits for
	// them, and they are optional.
	Alone []dag.ID

	// Adopted are the names of PipelineRuns that others created, by the scenario whose first run they are.
	Adopted map[dag.ID]string

	// Superseded counts how often it changed whether a newer Snapshot took the place of this one. If it is odd, the
	// cancellation for that has been dealt with.
	Superseded int
}

// stateVersion rises when an older reader could misunderstand a newer form.
const stateVersion = 1

type stateJSON struct {
	Version    int               `json:"version"`
	Runs       json.RawMessage   `json:"runs"` // as scheduler.Snapshot has it
	Alone      []dag.ID          `json:"alone,omitempty"`
	Adopted    map[dag.ID]string `json:"adopted,omitempty"`
	Superseded int               `json:"superseded,omitempty"`
}

// A StateError reports a state annotation that cannot be read, or a state that cannot be written.
type StateError struct{ Err error }

func (e *StateError) Error() string { return fmt.Sprintf("konflux: state annotation: %v", e.Err) }

// Unwrap returns the mistake.
func (e *StateError) Unwrap() error { return e.Err }

var stateLimits = strictjson.Limits{Depth: 64, Values: math.MaxInt}

// ParseState reads a state annotation. Fields it does not know are ignored; anything else that is not a state, or one of
// another version, is a *[StateError]. What is missing, an empty annotation, is no state: see [Recover].
func ParseState(annotation string) (State, error) {
	if len(annotation) > maxAnnotations {
		return State{}, &StateError{fmt.Errorf("it has %d bytes; want at most %d", len(annotation), maxAnnotations)}
	}
	var raw stateJSON
	if err := strictjson.Decode([]byte(annotation), &raw, stateLimits); err != nil {
		return State{}, &StateError{err}
	}
	if raw.Version != stateVersion {
		return State{}, &StateError{fmt.Errorf("its version is %d; this release reads version %d", raw.Version, stateVersion)}
	}
	if len(raw.Runs) == 0 || string(raw.Runs) == "null" {
		return State{}, &StateError{errors.New("runs is missing")}
	}
	if raw.Superseded < 0 {
		return State{}, &StateError{fmt.Errorf("superseded is %d; want 0 or more", raw.Superseded)}
	}
	s := State{Alone: sortedIDs(raw.Alone), Adopted: raw.Adopted, Superseded: raw.Superseded}
	if err := s.Runs.UnmarshalJSON(raw.Runs); err != nil {
		return State{}, &StateError{err}
	}
	return s, nil
}

// Format writes a state annotation. Equal states give equal text. A state that could not be read back gives a *[StateError].
//
//	{"version":1,"runs":{"version":1,"scenarios":[{"id":"scan","run":1,"phase":"running"}]},"alone":["lint"]}
func (s State) Format() (string, error) {
	runs, err := s.Runs.MarshalJSON()
	if err != nil {
		return "", &StateError{err}
	}
	text, err := json.Marshal(stateJSON{stateVersion, runs, sortedIDs(s.Alone), s.Adopted, s.Superseded})
	if err != nil {
		return "", &StateError{err}
	}
	return string(text), nil
}

// superseded reports whether the cancellation for a newer Snapshot has been dealt with.
func (s State) superseded() bool { return s.Superseded%2 == 1 }

// sortedIDs returns the IDs sorted, each once, without the empty one.
func sortedIDs(ids []dag.ID) []dag.ID {
	sorted := slices.Compact(slices.Sorted(slices.Values(ids)))
	return slices.DeleteFunc(sorted, func(id dag.ID) bool { return id == "" })
}

// Merge returns a state that knows what both know: of each scenario the newest run, in its last phase, and the newest
// request. It is commutative, associative and idempotent, so that those who write without a lock come to the same state
// whatever the order. Whoever writes with a lock, as [Plan] tells, does not need it.
//
// What two controllers say differently of one run, which they do only if one is wrong, is decided alike by both: a failure
// counts before a pass, and a cancellation before a failure.
func (s State) Merge(t State) State {
	m := State{
		Runs:       maps.Clone(s.Runs),
		Alone:      sortedIDs(slices.Concat(s.Alone, t.Alone)),
		Adopted:    maps.Clone(s.Adopted),
		Superseded: max(s.Superseded, t.Superseded),
	}
	if m.Adopted == nil {
		m.Adopted = maps.Clone(t.Adopted)
	}
	for id, name := range t.Adopted {
		m.Adopted[id] = max(m.Adopted[id], name)
	}
	if m.Runs == nil {
		m.Runs = make(scheduler.Snapshot, len(t.Runs))
	}
	for id, b := range t.Runs {
		m.Runs[id] = merge(m.Runs[id], b)
	}
	for id, st := range m.Runs {
		m.Runs[id] = merge(st, st) // puts in order what only one of them knows
	}
	return m
}

// merge joins what is known of one scenario: of the run, of the request and of the cancellation, each on its own. Each is
// the greater in an order, or where both are about the same the least that is as great as both, so that merge is a join.
func merge(a, b scheduler.Status) scheduler.Status {
	if c := cmp.Compare(a.Run, b.Run); c < 0 {
		a.Run, a.Phase, a.Forced, a.Basis, a.Artifacts = b.Run, b.Phase, b.Forced, b.Basis, b.Artifacts
	} else if c == 0 {
		a.Phase, a.Forced = max(a.Phase, b.Phase), a.Forced || b.Forced
		if compareBases(a.Basis, b.Basis) < 0 {
			a.Basis = b.Basis
		}
		a.Artifacts = mergeArtifacts(a.Artifacts, b.Artifacts)
	}
	if c := cmp.Compare(a.Want, b.Want); c < 0 {
		a.Want, a.Force = b.Want, b.Force
	} else if c == 0 {
		a.Force = a.Force || b.Force
	}
	a.Force = a.Force && a.Want > a.Run // once the run is there, it says so itself
	a.Cancel = max(a.Cancel, b.Cancel)
	return a
}

// compareBases orders bases: those that hold more of the parents are greater.
func compareBases(a, b []scheduler.Ref) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), slices.CompareFunc(a, b, func(x, y scheduler.Ref) int {
		return cmp.Or(strings.Compare(string(x.ID), string(y.ID)), cmp.Compare(x.Run, y.Run))
	}))
}

const maxArtifacts = 64 // of one run, as scheduler.Status has it

func mergeArtifacts(a, b []scheduler.Artifact) []scheduler.Artifact {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := slices.SortedFunc(slices.Values(slices.Concat(a, b)), func(x, y scheduler.Artifact) int {
		return cmp.Or(strings.Compare(x.URI, y.URI), strings.Compare(x.Digest, y.Digest))
	})
	all = slices.Compact(all)
	return all[:min(len(all), maxArtifacts)]
}

// Recover rebuilds a state from a status annotation alone, for a Snapshot whose tests somebody else has ordered until now,
// or whose state was lost. What is final has one run, or the run that its name stands for, on the newest runs of its
// parents; so nothing that is over starts again. What was canceled, and what is pending, has none. What is in progress has
// one if its PipelineRun is among those given, and is started anew if it is not.
//
// An entry of no scenario of the graph that is marked as optional stood alone, as [State] has it.
//
// What the annotation cannot tell is lost: requests that were not yet honoured, which runs were forced, and which runs stood
// on which.
func Recover(g *dag.Graph, snapshot Meta, statuses []ScenarioStatus, runs []PipelineRun) State {
	names := make(map[string]bool, len(runs))
	for i := range runs {
		names[runs[i].Name] = true
	}
	s := State{Runs: make(scheduler.Snapshot, len(statuses))}
	for _, entry := range statuses {
		run, ours := numberOf(snapshot, entry.Scenario, entry.RunName)
		if id := dag.ID(entry.Scenario); entry.Optional && !has(g, id) {
			s.Alone = append(s.Alone, id)
		}
		switch phase := entry.recovered(names); {
		case phase != scheduler.PhaseNone:
			s.Runs[dag.ID(entry.Scenario)] = scheduler.Status{Run: max(run, 1), Phase: phase}
		case entry.Status == InProgress && ours:
			s.Runs[dag.ID(entry.Scenario)] = scheduler.Status{Want: run} // whatever an older run says
		}
	}
	for id := range g.All() {
		st := s.Runs[id]
		if st.Run == 0 {
			continue
		}
		for parent := range g.Parents(id) {
			if p := s.Runs[parent]; p.Run > 0 {
				st.Basis = append(st.Basis, scheduler.Ref{ID: parent, Run: p.Run})
			}
		}
		slices.SortFunc(st.Basis, func(a, b scheduler.Ref) int { return strings.Compare(string(a.ID), string(b.ID)) })
		s.Runs[id] = st
	}
	s.Alone = sortedIDs(s.Alone)
	return s
}

// recovered returns the phase of the run that an entry tells of, PhaseNone if it tells of none.
func (s *ScenarioStatus) recovered(runs map[string]bool) scheduler.Phase {
	switch s.Status {
	case InProgress:
		if runs[s.RunName] {
			return scheduler.PhaseRunning
		}
	case TestPassed, TestWarning:
		return scheduler.PhasePassed
	case Deleted:
		return scheduler.PhaseCanceled
	case TestFail:
		if s.canceled() && s.RunName == "" {
			return scheduler.PhaseNone
		}
		if s.canceled() {
			return scheduler.PhaseCanceled
		}
		return scheduler.PhaseFailed
	case TestInvalid, EnvironmentProvisionError, DeploymentError:
		return scheduler.PhaseFailed
	}
	return scheduler.PhaseNone
}

// canceledPrefix begins the details of what was canceled; the second form is that of the integration-service.
const (
	canceledPrefix  = "Canceled: "
	cancelledPrefix = "Cancelled on account of "
)

func (s *ScenarioStatus) canceled() bool {
	return strings.HasPrefix(s.Details, canceledPrefix) || strings.HasPrefix(s.Details, cancelledPrefix)
}
