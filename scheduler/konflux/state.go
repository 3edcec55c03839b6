package konflux

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/internal/strictjson"
	"github.com/testdag/testdag/scheduler"
)

// A State is what is known of the tests of one Snapshot, beside what its status annotation tells. It is kept in an
// annotation of its own, and only grows.
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
