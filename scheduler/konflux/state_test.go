package konflux_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/schedulertest"
)

const goldenState = `{"version":1,"runs":{"version":1,"scenarios":[{"id":"build","run":1,"phase":"passed"},{"id":"scan","run":2,"phase":"running","on":[0,1]}]},"alone":["lint","unit"],"adopted":{"build":"build-x7k4m"},"superseded":1}`

var golden = konflux.State{
	Runs: scheduler.Snapshot{
		"build": {Run: 1, Phase: scheduler.PhasePassed},
		"scan":  {Run: 2, Phase: scheduler.PhaseRunning, Basis: []scheduler.Ref{{ID: "build", Run: 1}}},
	},
	Alone: []dag.ID{"lint", "unit"}, Adopted: map[dag.ID]string{"build": "build-x7k4m"}, Superseded: 1,
}

func TestState(t *testing.T) {
	got, err := konflux.ParseState(goldenState)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "state", got, golden)
	for name, s := range map[string]konflux.State{
		"as read":       got,
		"alone in mess": {Runs: golden.Runs, Alone: []dag.ID{"unit", "", "lint", "unit"}, Adopted: golden.Adopted, Superseded: 1},
	} {
		if text, err := s.Format(); err != nil || text != goldenState {
			t.Errorf("%s: got %s, %v", name, text, err)
		}
	}
	mess, err := konflux.ParseState(strings.Replace(goldenState, `["lint","unit"]`, `["unit","","lint","unit"]`, 1))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "read with alone in mess", mess, golden)
	for in, want := range map[string]string{
		`{"version":1,"runs":{"version":1,"scenarios":[]}}`:                                                       `{"version":1,"runs":{"version":1,"scenarios":[]}}`,
		`{"version":1,"runs":{"version":1,"scenarios":[],"x":1},"y":{},"alone":null,"superseded":0}`:              `{"version":1,"runs":{"version":1,"scenarios":[]}}`,
		` {"alone":["b","","a","b"],"runs":{"scenarios":[{"id":"a","zz":[]}],"version":1},"version":1,"new":[1]}`: `{"version":1,"runs":{"version":1,"scenarios":[]},"alone":["a","b"]}`,
	} {
		s, err := konflux.ParseState(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got, err := s.Format(); err != nil || got != want {
			t.Errorf("%s\ngot  %s, %v\nwant %s", in, got, err, want)
		}
	}
}

func TestStateRefused(t *testing.T) {
	for text, want := range map[string]string{
		``:                                 "unexpected EOF",
		`{`:                                "unexpected EOF",
		`null`:                             "its version is 0; this release reads version 1",
		`[]`:                               "cannot unmarshal array",
		`{}`:                               "its version is 0",
		`{"version":2,"runs":{}}`:          "its version is 2; this release reads version 1",
		`{"version":1}`:                    "runs is missing",
		`{"version":1,"runs":null}`:        "runs is missing",
		`{"version":1,"runs":{}}`:          "its version is 0",
		`{"version":1,"runs":[]}`:          "cannot unmarshal array",
		`{"version":1,"Version":1}`:        `key "Version"`,
		`{"version":1,"version":1}`:        "given twice",
		goldenState + "x":                  "more than one JSON value",
		strings.Repeat(" ", 256<<10) + "x": "it has 262145 bytes; want at most 262144",
		`{"version":1,"runs":{"version":1,"scenarios":[]},"superseded":"yes"}`:                                            "cannot unmarshal string",
		`{"version":1,"runs":{"version":1,"scenarios":[]},"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`: "depth over the limit of 64",
		`{"version":1,"runs":{"version":1,"scenarios":[{"id":"a","run":-1}]}}`:                                            `entry 0, "a"`,
		`{"version":1,"runs":{"version":1,"scenarios":[]},"superseded":-1}`:                                               "superseded is -1; want 0 or more",
		`{"version":1,"runs":{"version":3,"scenarios":[]}}`:                                                               "its version is 3",
	} {
		s, err := konflux.ParseState(text)
		var e *konflux.StateError
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "konflux: state annotation: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v; want a *StateError: %s", text, err, want)
		}
		equal(t, "the state beside the error", s, konflux.State{})
	}
	var e *scheduler.SnapshotError
	if _, err := konflux.ParseState(`{"version":1,"runs":{"version":1,"scenarios":[{"id":"a","run":-1}]}}`); !errors.As(err, &e) || e.ID != "a" {
		t.Errorf("got %v; want the *scheduler.SnapshotError about a in it", err)
	}
	for name, text := range map[string]string{
		"256 KiB":  strings.Repeat(" ", 256<<10-len(goldenState)) + goldenState,
		"depth 64": goldenState[:len(goldenState)-1] + `,"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + "}",
	} {
		if s, err := konflux.ParseState(text); err != nil {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func TestFormatStateRefuses(t *testing.T) {
	for name, runs := range map[string]scheduler.Snapshot{"no name": {"": {Run: 1}}, "negative": {"a": {Run: -1}}} {
		text, err := konflux.State{Runs: runs}.Format()
		var e *konflux.StateError
		if text != "" || !errors.As(err, &e) {
			t.Errorf("%s: got %q, %v; want a *StateError", name, text, err)
		}
	}
}

// aGraph is some graph; its scenarios are named a, b, c and so on.
func aGraph(t *rapid.T, most int) *dag.Graph { return schedulertest.Graphs(most).Draw(t, "graph") }

// states draws any states of a graph, also those that no history leads to.
func states(g *dag.Graph) *rapid.Generator[konflux.State] {
	return rapid.Custom(func(t *rapid.T) konflux.State {
		s := konflux.State{Runs: schedulertest.Snapshots(g).Draw(t, "runs"), Superseded: rapid.IntRange(0, 3).Draw(t, "superseded")}
		for id, st := range s.Runs { // leaves out what no event brings and no annotation holds
			st.Run, st.Want, st.Cancel = max(st.Run, 0), max(st.Want, 0), max(st.Cancel, 0)
			if st.Run == 0 {
				st.Phase, st.Artifacts = scheduler.PhaseNone, nil
			}
			st.Force = st.Force && st.Want > st.Run
			s.Runs[id] = st
		}
		for _, id := range []dag.ID{"a", "b", "z"} {
			if rapid.Bool().Draw(t, "alone") {
				s.Alone = append(s.Alone, id)
			}
			if name := rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "adopted"); name != "" {
				if s.Adopted == nil {
					s.Adopted = map[dag.ID]string{}
				}
				s.Adopted[id] = name
			}
		}
		return s
	})
}

// canonical returns the text of a state, which is the same for equal ones.
func canonical(t interface{ Fatal(...any) }, s konflux.State) string {
	text, err := s.Format()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestStateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := states(aGraph(t, 5)).Draw(t, "state")
		text := canonical(t, s)
		back, err := konflux.ParseState(text)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "written again", canonical(t, back), text)
		mixed := konflux.State{Runs: scheduler.Snapshot{}, Alone: rapid.Permutation(s.Alone).Draw(t, "alone"), Adopted: s.Adopted, Superseded: s.Superseded}
		for _, id := range rapid.Permutation(slices.Collect(maps.Keys(s.Runs))).Draw(t, "order") {
			mixed.Runs[id] = s.Runs[id]
		}
		equal(t, "an equal state", canonical(t, mixed), text)
	})
}

// Whatever is read as a state is written and read back equal.
func FuzzState(f *testing.F) {
	f.Add(goldenState)
	f.Add(`{"version":1,"runs":{"version":1,"scenarios":[{"id":"a","cancel":1,"want":3,"force":true}]},"alone":["\ud800","b"],"x":{}}`)
	f.Add(`{"version":2}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := konflux.ParseState(text)
		if err != nil {
			return
		}
		first, err := s.Format()
		if err != nil {
			t.Fatal(err)
		}
		back, err := konflux.ParseState(first)
		if err != nil {
			if len(first) > 256<<10 {
				return // escapes make it longer
			}
			t.Fatal(err)
		}
		equal(t, "read back", back, s, emptyIsNil)
	})
}
