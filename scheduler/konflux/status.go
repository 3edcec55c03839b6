package konflux

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/testdag/testdag/internal/strictjson"
)

// A Status is what the Snapshot's status annotation says of a scenario. The vocabulary is closed: readers refuse the whole
// annotation if it holds any other.
type Status string

// The statuses that [Next] writes. A canceled scenario is written as TestFail, with details that begin with "Canceled:".
const (
	Pending     Status = "Pending"     // it waits
	InProgress  Status = "InProgress"  // its run is live
	TestPassed  Status = "TestPassed"  // its run passed
	TestWarning Status = "TestWarning" // its run passed, with warnings
	TestFail    Status = "TestFail"    // its run failed, or it is canceled
	TestInvalid Status = "TestInvalid" // its run could not be created, or judged
	Deleted     Status = "Deleted"     // its run was deleted before it was over
)

// The statuses that others write.
const (
	EnvironmentProvisionError   Status = "EnvironmentProvisionError"   // a failure; not written any more
	DeploymentError             Status = "DeploymentError"             // a failure; not written any more
	BuildPLRInProgress          Status = "BuildPLRInProgress"          // nothing is tested yet
	BuildPLRFailed              Status = "BuildPLRFailed"              // nothing is tested
	SnapshotCreationFailed      Status = "SnapshotCreationFailed"      // nothing is tested
	GroupSnapshotCreationFailed Status = "GroupSnapshotCreationFailed" // nothing is tested
)

var vocabulary = []Status{
	Pending, InProgress, TestPassed, TestWarning, TestFail, TestInvalid, Deleted, EnvironmentProvisionError, DeploymentError,
	BuildPLRInProgress, BuildPLRFailed, SnapshotCreationFailed, GroupSnapshotCreationFailed,
}

// Final reports whether the status stays as it is without a request of a person.
func (s Status) Final() bool {
	switch s {
	case TestPassed, TestWarning, TestFail, TestInvalid, Deleted, EnvironmentProvisionError, DeploymentError:
		return true
	}
	return false
}

// A ScenarioStatus is one entry of the status annotation.
type ScenarioStatus struct {
	Scenario  string
	Status    Status
	Updated   time.Time // when anything else in the entry changed last
	Details   string    // why, for people
	Started   time.Time // of the run; zero if there is none
	Completed time.Time // zero as long as the status is not final
	RunName   string    // name of the PipelineRun; empty if there is none
	Optional  bool
	RunAfter  []string // the parents, in declared order
	unknown   map[string]json.RawMessage
}

// A StatusError reports a status annotation that cannot be read.
type StatusError struct {
	Entry    int    // position in the list, -1 if the mistake is elsewhere
	Scenario string // of that entry, if it is known
	Err      error
}

func (e *StatusError) Error() string {
	switch {
	case e.Entry < 0:
		return fmt.Sprintf("konflux: status annotation: %v", e.Err)
	case e.Scenario == "":
		return fmt.Sprintf("konflux: status annotation: entry %d: %v", e.Entry, e.Err)
	}
	return fmt.Sprintf("konflux: status annotation: entry %d, %q: %v", e.Entry, e.Scenario, e.Err)
}

// Unwrap returns the mistake.
func (e *StatusError) Unwrap() error { return e.Err }

const maxAnnotations = 256 << 10 // bytes of all annotations of an object, keys and values; Kubernetes refuses more

var statusLimits = strictjson.Limits{Depth: 32, Values: 128 << 10}

// ParseStatuses reads a status annotation, in the order in which it is written; an empty one has no entry. It reports a
// *[StatusError] for each entry without a scenario, status or lastUpdateTime, with a status that is not in the vocabulary,
// a value of another type, or a scenario that an earlier entry has. A field that it does not know is kept, and written again by
// [FormatStatuses].
func ParseStatuses(annotation string) ([]ScenarioStatus, error) {
	if annotation == "" {
		return nil, nil
	}
	if len(annotation) > maxAnnotations {
		return nil, &StatusError{Entry: -1, Err: fmt.Errorf("it has %d bytes; want at most %d", len(annotation), maxAnnotations)}
	}
	var entries []map[string]json.RawMessage
	if err := strictjson.Decode([]byte(annotation), &entries, statusLimits); err != nil {
		return nil, &StatusError{Entry: -1, Err: err}
	}
	list := make([]ScenarioStatus, len(entries))
	seen := make(map[string]bool, len(entries))
	var mistakes []error
	for i, fields := range entries {
		s, found := readStatus(fields)
		if s.Scenario != "" && seen[s.Scenario] {
			found = append(found, errors.New("an earlier entry has the same scenario"))
		}
		seen[s.Scenario] = true
		if len(found) > 0 {
			mistakes = append(mistakes, &StatusError{i, s.Scenario, errors.Join(found...)})
		}
		list[i] = s
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return list, nil
}

// A statusField is one field of an entry: what of a ScenarioStatus it holds.
type statusField struct {
	name     string
	required bool
	value    func(*ScenarioStatus) any
}

var statusFields = []statusField{
	{"scenario", true, func(s *ScenarioStatus) any { return &s.Scenario }},
	{"status", true, func(s *ScenarioStatus) any { return &s.Status }},
	{"lastUpdateTime", true, func(s *ScenarioStatus) any { return &s.Updated }},
	{"details", false, func(s *ScenarioStatus) any { return &s.Details }},
	{"startTime", false, func(s *ScenarioStatus) any { return &s.Started }},
	{"completionTime", false, func(s *ScenarioStatus) any { return &s.Completed }},
	{"testPipelineRunName", false, func(s *ScenarioStatus) any { return &s.RunName }},
	{"isOptionalScenario", false, func(s *ScenarioStatus) any { return &s.Optional }},
	{"runAfter", false, func(s *ScenarioStatus) any { return &s.RunAfter }},
}

func readStatus(fields map[string]json.RawMessage) (s ScenarioStatus, mistakes []error) {
	if fields == nil {
		return s, []error{errors.New("it is null; want an object")}
	}
	fields = maps.Clone(fields)
	for _, f := range statusFields {
		raw, ok := fields[f.name]
		delete(fields, f.name)
		switch {
		case !ok || string(raw) == "null":
			if f.required {
				mistakes = append(mistakes, fmt.Errorf("%s is missing", f.name))
			}
		default:
			if err := json.Unmarshal(raw, f.value(&s)); err != nil {
				mistakes = append(mistakes, fmt.Errorf("%s: %w", f.name, err))
			}
		}
	}
	if len(mistakes) == 0 && s.Scenario == "" {
		mistakes = append(mistakes, errors.New("scenario is empty"))
	}
	if len(mistakes) == 0 && !slices.Contains(vocabulary, s.Status) {
		mistakes = append(mistakes, fmt.Errorf("unknown status %q; want one of %v", s.Status, vocabulary))
	}
	if len(fields) > 0 {
		s.unknown = fields
	}
	return s, mistakes
}

// FormatStatuses writes a status annotation: one object for each entry, in the given order, fields always in the same
// order. It reports a *[StatusError] for each entry that [ParseStatuses] would refuse. The tests of a
// controller need it: they write annotations as [Next] would have left them.
func FormatStatuses(list []ScenarioStatus) (string, error) {
	text, err := writeStatuses(list)
	if err != nil {
		return "", err
	}
	if _, err := ParseStatuses(text); err != nil {
		return "", err
	}
	return text, nil
}

// writeStatuses writes entries without a look at whether they could be read.
func writeStatuses(list []ScenarioStatus) (string, error) {
	forms := make([]statusJSON, len(list))
	for i, s := range list {
		forms[i] = statusJSON{s}
	}
	text, err := json.Marshal(forms)
	if err != nil {
		return "", &StatusError{Entry: -1, Err: err}
	}
	return string(text), nil
}

// statusJSON writes an entry.
type statusJSON struct{ ScenarioStatus }

// MarshalJSON writes the fields in their order, then those that are not known, by name. What is zero is left out, but for
// details, which some readers want.
func (s statusJSON) MarshalJSON() ([]byte, error) {
	text := []byte{'{'}
	add := func(name string, v any) error {
		value, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		key, _ := json.Marshal(name)
		text = append(append(append(text, key...), ':'), value...)
		return nil
	}
	for _, f := range statusFields {
		v := f.value(&s.ScenarioStatus)
		if isZero(v) && f.name != "details" && !f.required {
			continue
		}
		if err := add(f.name, v); err != nil {
			return nil, fmt.Errorf("%s of %q: %w", f.name, s.Scenario, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.unknown)) {
		if err := add(name, s.unknown[name]); err != nil {
			return nil, fmt.Errorf("%s of %q: %w", name, s.Scenario, err)
		}
	}
	return append(text, '}'), nil
}

func isZero(v any) bool {
	switch v := v.(type) {
	case *string:
		return *v == ""
	case *bool:
		return !*v
	case *time.Time:
		return v.IsZero()
	case *[]string:
		return len(*v) == 0
	}
	return false
}
