package scheduler

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/internal/strictjson"
)

// snapshotVersion is the version of the JSON form. It rises when an older reader could misunderstand a newer form; a
// field that an older reader may ignore does not make a new version.
const snapshotVersion = 1

// maxNumber bounds the numbers of runs in the JSON form: more than events may bring, so that what was observed can be
// written.
const maxNumber = 1<<31 - 1

// snapshotLimits leave the number of values alone: it grows with the snapshot, whose size the caller knows.
var snapshotLimits = strictjson.Limits{Depth: 64, Values: math.MaxInt}

// snapshotJSON is the JSON form of a Snapshot.
type snapshotJSON struct {
	Version   int          `json:"version"`
	Scenarios []statusJSON `json:"scenarios"`
}

type statusJSON struct {
	ID     dag.ID `json:"id"`
	Run    int    `json:"run,omitempty"`
	Phase  string `json:"phase,omitempty"`
	Forced bool   `json:"forced,omitempty"`
	Basis  []int  `json:"on,omitempty"` // pairs: position in the list of scenarios, run
	Want   int    `json:"want,omitempty"`
	Force  bool   `json:"force,omitempty"`
	Cancel int    `json:"cancel,omitempty"`

	Artifacts []Artifact `json:"artifacts,omitempty"`
}

// A SnapshotError reports JSON that is not a snapshot.
type SnapshotError struct {
	Entry int    // position in the list of scenarios, -1 if the mistake is elsewhere
	ID    dag.ID // scenario of that entry, if it is known
	Err   error
}

func (e *SnapshotError) Error() string {
	switch {
	case e.Entry < 0:
		return fmt.Sprintf("scheduler: not a snapshot: %v", e.Err)
	case e.ID == "":
		return fmt.Sprintf("scheduler: not a snapshot: entry %d: %v", e.Entry, e.Err)
	}
	return fmt.Sprintf("scheduler: not a snapshot: entry %d, %q: %v", e.Entry, e.ID, e.Err)
}

// Unwrap returns the mistake.
func (e *SnapshotError) Unwrap() error { return e.Err }

// MarshalJSON returns the snapshot in a form that is kept: every release reads what an earlier one wrote. Equal
// snapshots give equal bytes. A snapshot that could not be read back gives a [*SnapshotError] for each mistake.
//
//	{"version":1,"scenarios":[
//		{"id":"build","run":1,"phase":"passed"},
//		{"id":"scan","run":2,"phase":"failed","on":[0,1],"want":3}]}
//
// Scenarios are sorted by ID. "on" is the basis in pairs: the position of the parent in the list, and its run. A run that
// left something has "artifacts", a list of {"uri":"quay.io/team/app","digest":"sha256:..."}, which is sorted, too.
// Whatever is zero is left out; a scenario with the zero Status is left out altogether, unless a basis names it.
func (s Snapshot) MarshalJSON() ([]byte, error) {
	form := s.form()
	if err := form.check(); err != nil {
		return nil, err
	}
	return json.Marshal(form)
}

func (s Snapshot) form() *snapshotJSON {
	named := map[dag.ID]bool{}
	for id, st := range s {
		if st.isZero() {
			continue
		}
		named[id] = true
		for _, r := range st.Basis {
			named[r.ID] = true
		}
	}
	ids := slices.Sorted(maps.Keys(named))
	form := &snapshotJSON{Version: snapshotVersion, Scenarios: make([]statusJSON, len(ids))}
	for i, id := range ids {
		st := s[id]
		e := statusJSON{ID: id, Run: st.Run, Forced: st.Forced, Want: st.Want, Force: st.Force, Cancel: st.Cancel}
		if st.Phase != PhaseNone {
			e.Phase = st.Phase.String()
		}
		for _, r := range sortedBasis(st.Basis) {
			at, _ := slices.BinarySearch(ids, r.ID)
			e.Basis = append(e.Basis, at, r.Run)
		}
		e.Artifacts = sortedArtifacts(st.Artifacts)
		form.Scenarios[i] = e
	}
	return form
}

// UnmarshalJSON reads what [Snapshot.MarshalJSON] wrote. Fields it does not know are ignored, and null changes nothing.
// Anything else that is not a snapshot, or could be read in two ways, gives a [*SnapshotError] for each mistake and leaves s as it was.
func (s *Snapshot) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil // as encoding/json has it
	}
	var form snapshotJSON
	if err := strictjson.Decode(data, &form, snapshotLimits); err != nil {
		return &SnapshotError{Entry: -1, Err: err}
	}
	read, err := form.snapshot()
	if err != nil {
		return err
	}
	*s = read
	return nil
}

func (f *snapshotJSON) snapshot() (Snapshot, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	s := make(Snapshot, len(f.Scenarios))
	for _, e := range f.Scenarios {
		if st := e.status(f.Scenarios); !st.isZero() {
			s[e.ID] = st
		}
	}
	return s, nil
}

// check returns every mistake.
func (f *snapshotJSON) check() error {
	if f.Version != snapshotVersion {
		return &SnapshotError{Entry: -1, Err: fmt.Errorf("its version is %d; this release reads version %d", f.Version, snapshotVersion)}
	}
	var mistakes []error
	seen := make(map[dag.ID]bool, len(f.Scenarios))
	for i, e := range f.Scenarios {
		found := e.mistakes(len(f.Scenarios))
		if seen[e.ID] {
			found = append(found, errors.New("the ID has two entries"))
		}
		seen[e.ID] = true
		if len(found) > 0 {
			mistakes = append(mistakes, &SnapshotError{Entry: i, ID: e.ID, Err: errors.Join(found...)})
		}
	}
	return errors.Join(mistakes...)
}

// mistakes checks one of n entries.
func (e *statusJSON) mistakes(n int) (found []error) {
	if e.ID == "" || !utf8.ValidString(string(e.ID)) {
		found = append(found, errors.New("the ID is empty, or not UTF-8"))
	}
	for _, v := range []struct {
		field string
		run   int
	}{{"run", e.Run}, {"want", e.Want}, {"cancel", e.Cancel}} {
		if v.run < 0 || v.run > maxNumber {
			found = append(found, fmt.Errorf("%q is %d; runs are counted from 1 to %d", v.field, v.run, maxNumber))
		}
	}
	if e.Phase != "" && e.Run == 0 {
		found = append(found, fmt.Errorf("there is a phase, %q, and no run", e.Phase))
	}
	if e.Phase != "" && slices.Index(phaseNames[:], e.Phase) <= 0 {
		found = append(found, fmt.Errorf("the phase %q is unknown", e.Phase))
	}
	found = append(found, checkArtifacts(e.Run, e.Artifacts)...)
	if len(e.Basis)%2 != 0 {
		return append(found, fmt.Errorf(`"on" has %d elements, which are not pairs`, len(e.Basis)))
	}
	for pair := range slices.Chunk(e.Basis, 2) {
		if at, run := pair[0], pair[1]; at < 0 || at >= n || run < 0 || run > maxNumber {
			found = append(found, fmt.Errorf(`"on" names run %d of entry %d; there are %d entries`, run, at, n))
		}
	}
	return found
}

// status returns what a checked entry of the list all says.
func (e *statusJSON) status(all []statusJSON) Status {
	st := Status{Run: e.Run, Forced: e.Forced, Want: e.Want, Force: e.Force, Cancel: e.Cancel}
	if e.Phase != "" {
		st.Phase = Phase(slices.Index(phaseNames[:], e.Phase))
	}
	for pair := range slices.Chunk(e.Basis, 2) {
		st.Basis = append(st.Basis, Ref{all[pair[0]].ID, pair[1]})
	}
	st.Basis = sortedBasis(st.Basis)
	st.Artifacts = sortedArtifacts(e.Artifacts)
	return st
}
