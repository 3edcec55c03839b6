package scheduler_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// This form is kept: every release reads it.
const goldenJSON = `{"version":1,"scenarios":[` +
	`{"id":"build","run":1,"phase":"passed"},` +
	`{"id":"deploy","run":2,"phase":"stopped","forced":true,"on":[0,1,3,3],"want":3,"force":true},` +
	`{"id":"lint","cancel":1},` +
	`{"id":"scan","run":3,"phase":"canceled","on":[0,1],` +
	`"artifacts":[{"uri":"quay.io/team/app","digest":"sha256:01"},{"uri":"quay.io/team/lib","digest":"sha256:01"}]}]}`

var goldenSnapshot = scheduler.Snapshot{
	"build": {Run: 1, Phase: scheduler.PhasePassed},
	"scan": {
		Run: 3, Phase: scheduler.PhaseCanceled, Basis: []scheduler.Ref{{ID: "build", Run: 1}}, Artifacts: []scheduler.Artifact{app1, lib1},
	},
	"deploy": {
		Run: 2, Phase: scheduler.PhaseStopped, Forced: true, Want: 3, Force: true,
		Basis: []scheduler.Ref{{ID: "build", Run: 1}, {ID: "scan", Run: 3}},
	},
	"lint": {Cancel: 1},
}

func TestSnapshotJSON(t *testing.T) {
	text, err := json.Marshal(goldenSnapshot)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenJSON, string(text)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	var read scheduler.Snapshot
	if err := json.Unmarshal([]byte(goldenJSON), &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenSnapshot, read, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

// "Versioned, canonical, unknown fields tolerated, corrupt input a typed error."
func TestSnapshotJSONTolerates(t *testing.T) {
	tests := []struct {
		name, text string
		want       scheduler.Snapshot
	}{
		{"unknown fields", `{"version":1,"new":[1],"scenarios":[{"id":"a","run":1,"phase":"passed","color":"red"}]}`, scheduler.Snapshot{"a": {Run: 1, Phase: scheduler.PhasePassed}}},
		{"any order", `{"scenarios":[{"id":"b","run":1,"on":[1,1]},{"id":"a","run":1}],"version":1}`, scheduler.Snapshot{"a": {Run: 1}, "b": {Run: 1, Basis: []scheduler.Ref{{ID: "a", Run: 1}}}}},
		{"a scenario with nothing observed", `{"version":1,"scenarios":[{"id":"a"}]}`, scheduler.Snapshot{}},
		{"nothing", `{"version":1}`, scheduler.Snapshot{}},
		{"null", `null`, nil},
		{"an unsorted basis, a parent twice", `{"version":1,"scenarios":[{"id":"a"},{"id":"b"},{"id":"c","on":[1,1,0,1,0,2]}]}`, scheduler.Snapshot{"c": {Basis: []scheduler.Ref{{ID: "a", Run: 2}, {ID: "b", Run: 1}}}}},
		{
			"unsorted artifacts, one twice", `{"version":1,"scenarios":[{"id":"a","run":1,"artifacts":[` +
				`{"uri":"quay.io/team/lib","digest":"sha256:01"},{"digest":"sha256:01","uri":"quay.io/team/app","size":7},{"uri":"quay.io/team/lib","digest":"sha256:01"}]}]}`,
			scheduler.Snapshot{"a": {Run: 1, Artifacts: []scheduler.Artifact{app1, lib1}}},
		},
		{"no artifacts", `{"version":1,"scenarios":[{"id":"a","run":1,"artifacts":[]},{"id":"b","artifacts":null}]}`, scheduler.Snapshot{"a": {Run: 1}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got scheduler.Snapshot
			if err := json.Unmarshal([]byte(test.text), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSnapshotJSONRefuses(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"no JSON", `{"version":1`, []string{"unexpected EOF"}},
		{"nothing", ``, []string{"EOF"}},
		{"something after it", `{"version":1} {}`, []string{"more than one JSON value"}},
		{"not UTF-8", "{\"version\":1,\"scenarios\":[{\"id\":\"a\xff\",\"run\":1}]}", []string{"not valid UTF-8"}},
		{"a field twice", `{"version":1,"scenarios":[{"id":"a","run":1,"run":2}]}`, []string{`key "run"`, "given twice"}},
		{"a field in another case", `{"version":1,"scenarios":[{"id":"a","run":1,"Run":2}]}`, []string{`key "Run"`}},
		{"two lists", `{"version":1,"scenarios":[{"id":"a"}],"scenarios":[{"run":7}]}`, []string{`key "scenarios"`}},
		{"deep", `{"version":1,"new":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, []string{"depth"}},
		{"no version", `{"scenarios":[]}`, []string{"its version is 0; this release reads version 1"}},
		{"a newer version", `{"version":2}`, []string{"its version is 2; this release reads version 1"}},
		{"another type", `{"version":1,"scenarios":[{"id":"a","run":"one"}]}`, []string{"cannot unmarshal string"}},
		{"no fraction", `{"version":1,"scenarios":[{"id":"a","run":1.5}]}`, []string{"cannot unmarshal number 1.5"}},
		{
			"a basis that cannot be", `{"version":1,"scenarios":[{"id":"a","on":[0,1,0]},{"id":"b","on":[-1,1]},{"id":"c","on":[0,2147483648]}]}`,
			[]string{
				`entry 0, "a": "on" has 3 elements`, `entry 1, "b": "on" names run 1 of entry -1`, `entry 2, "c": "on" names run 2147483648 of entry 0`,
			},
		},
		{"artifacts that could be read in two ways", `{"version":1,"scenarios":[{"id":"a","run":1,"artifacts":[{"uri":"x","URI":"y","digest":"z"}]}]}`, []string{`key "URI"`}},
		{
			"artifacts that cannot be kept", `{"version":1,"scenarios":[{"id":"a","artifacts":[{"uri":"x","digest":"y"}]},` +
				`{"id":"b","run":1,"artifacts":[{"uri":"x","digest":"y"},{"uri":"x"},{"digest":"y"},{"uri":"` + strings.Repeat("x", 513) + `","digest":"y"}],"on":[1]},` +
				`{"id":"c","run":1,"artifacts":[` + strings.Repeat(`{"uri":"x","digest":"y"},`, 64) + `{}]}]}`,
			[]string{
				`entry 0, "a": there are artifacts, and no run`, `entry 1, "b": "artifacts", element 1: the digest is empty`,
				`"artifacts", element 2: the URI is empty`, `"artifacts", element 3: the URI has 513 bytes; want at most 512`, `"on" has 1 elements`,
				`entry 2, "c": "artifacts" has 65 elements; want at most 64`,
			},
		},
		{
			"every mistake", `{"version":1,"scenarios":[{"run":-1},{"id":"a","phase":"done","want":2147483648},{"id":"a","cancel":-2},{"id":"b","on":[0]},{"id":"c","on":[7,1]},{"id":"d","on":[0,-1]},{"id":"e","phase":"none"}]}`,
			[]string{
				`entry 0: the ID is empty`, `"run" is -1`, `entry 1, "a": "want" is 2147483648; runs are counted from 1 to 2147483647`, `there is a phase, "done", and no run`, `the phase "done" is unknown`,
				`entry 2, "a": "cancel" is -2`, `the ID has two entries`, `entry 3, "b": "on" has 1 elements, which are not pairs`,
				`entry 4, "c": "on" names run 1 of entry 7; there are 7 entries`, `entry 5, "d": "on" names run -1 of entry 0`, `the phase "none" is unknown`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := scheduler.Snapshot{"kept": {Run: 1}}
			err := got.UnmarshalJSON([]byte(test.text))
			var typed *scheduler.SnapshotError
			if !errors.As(err, &typed) {
				t.Fatalf("got %v, want a *SnapshotError", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %v", want, err)
				}
			}
			if _, ok := got["kept"]; !ok || len(got) != 1 {
				t.Errorf("the snapshot was changed to %v", got)
			}
		})
	}
}

// What could not be read back is not written.
func TestSnapshotJSONWritesOnlyWhatItReads(t *testing.T) {
	tooMany := math.MaxInt32
	tooMany++ // which is negative where an int has 32 bits
	for name, s := range map[string]scheduler.Snapshot{
		"no ID":             {"": {Run: 1}},
		"not UTF-8":         {"\xff": {Run: 1}},
		"basis not UTF-8":   {"a": {Run: 1, Basis: []scheduler.Ref{{ID: "\xff", Run: 1}}}},
		"negative run":      {"a": {Run: -1}},
		"too many runs":     {"a": {Want: tooMany}},
		"phase without run": {"a": {Phase: scheduler.PhasePassed}},
		"unknown phase":     {"a": {Run: 1, Phase: 9}},
		"negative in basis": {"a": {Run: 1, Basis: []scheduler.Ref{{ID: "b", Run: -1}}}},
		"left by no run":    {"a": {Artifacts: []scheduler.Artifact{app1}}},
		"nowhere":           {"a": {Run: 1, Artifacts: []scheduler.Artifact{{Digest: "sha256:01"}}}},
		"not UTF-8 either":  {"a": {Run: 1, Artifacts: []scheduler.Artifact{{URI: "quay.io/team/app", Digest: "sha256:\xff"}}}},
		"too many left":     {"a": {Run: 1, Artifacts: many(65)}},
	} {
		var typed *scheduler.SnapshotError
		if text, err := json.Marshal(s); !errors.As(err, &typed) {
			t.Errorf("%s: got %s, %v", name, text, err)
		}
	}
}

// What says the same is written alike: with or without scenarios of which nothing was observed, in whatever order a basis is.
func TestSnapshotJSONSaysItOneWay(t *testing.T) {
	a, c := scheduler.Ref{ID: "a", Run: 1}, scheduler.Ref{ID: "c", Run: 2}
	want := `{"version":1,"scenarios":[{"id":"a"},{"id":"b","run":1,"on":[0,1,2,2]},{"id":"c"}]}`
	for _, s := range []scheduler.Snapshot{
		{"b": {Run: 1, Basis: []scheduler.Ref{a, c}}},
		{"b": {Run: 1, Basis: []scheduler.Ref{c, a}}},
		{"a": {}, "b": {Run: 1, Basis: []scheduler.Ref{c, {ID: "a"}, a}}, "d": {}, "e": {Basis: []scheduler.Ref{}}},
	} {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(text)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", s, diff)
		}
	}
	backwards := append(many(64), many(2)...)
	slices.Reverse(backwards)
	s := scheduler.Snapshot{"a": {Run: 1, Artifacts: backwards}, "b": {Artifacts: []scheduler.Artifact{}}}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), `"uri"`); n != 64 || !strings.HasPrefix(string(text), `{"version":1,"scenarios":[{"id":"a","run":1,"artifacts":[{"uri":"quay.io/team/00"`) {
		t.Errorf("%d artifacts in %s", n, text)
	}
}

// A basis may name a scenario of which nothing else was observed.
func TestSnapshotJSONNamesParents(t *testing.T) {
	s := scheduler.Snapshot{"b": {Run: 1, Phase: scheduler.PhasePassed, Basis: []scheduler.Ref{{ID: "a", Run: 1}, {ID: "c", Run: 2}}}}
	if back := roundTrip(t, s); len(back) != 1 {
		t.Errorf("read back as %v", back)
	}
}

// Any snapshot that is written reads back equal, and equal snapshots are written equally.
func TestSnapshotJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := rapid.OneOf(rapid.IntRange(0, 3), rapid.Just(1<<31-1))
		ids := rapid.SliceOfNDistinct(rapid.StringN(1, 8, -1), 1, 6, rapid.ID[string]).Draw(t, "ids")
		s := scheduler.Snapshot{}
		for _, id := range ids {
			st := scheduler.Status{
				Run: run.Draw(t, "run"), Phase: scheduler.Phase(rapid.IntRange(0, 5).Draw(t, "phase")),
				Forced: rapid.Bool().Draw(t, "forced"), Want: run.Draw(t, "want"), Force: rapid.Bool().Draw(t, "force"),
				Cancel: run.Draw(t, "cancel"),
			}
			news := scheduler.Event{Ref: scheduler.Ref{ID: dag.ID(id), Run: max(1, st.Run)}, Phase: scheduler.PhaseRunning}
			for _, p := range ids {
				if rapid.Bool().Draw(t, "parent") {
					news.Basis = append(news.Basis, scheduler.Ref{ID: dag.ID(p), Run: run.Draw(t, "basis")})
				}
			}
			st.Basis = scheduler.Snapshot{}.Observe(news)[dag.ID(id)].Basis
			news.Artifacts = drawArtifacts().Draw(t, "left")
			st.Artifacts = scheduler.Snapshot{}.Observe(news)[dag.ID(id)].Artifacts
			if st.Run == 0 {
				st.Phase, st.Artifacts = scheduler.PhaseNone, nil
			}
			if !cmp.Equal(st, scheduler.Status{}, cmpopts.EquateEmpty()) {
				s[dag.ID(id)] = st
			}
		}
		back := roundTrip(t, s)
		first, _ := json.Marshal(s)
		if again, _ := json.Marshal(back); string(again) != string(first) {
			t.Fatalf("%s and %s", first, again)
		}
	})
}

// "At most 100 bytes a scenario for graphs with 3 parents each", with names of 20 bytes, at any size.
func TestSnapshotJSONSize(t *testing.T) {
	for _, n := range []int{50, 1_000, 100_000} {
		s := scheduler.Snapshot{}
		name := func(i int) dag.ID { return dag.ID(fmt.Sprintf("team-a-scan-%08d", i)) }
		for i := range n {
			st := scheduler.Status{Run: 2, Phase: scheduler.PhasePassed}
			for p := max(0, i-3); p < i; p++ {
				st.Basis = append(st.Basis, scheduler.Ref{ID: name(p), Run: 2})
			}
			s[name(i)] = st
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d scenarios: %d bytes each", n, len(text)/n)
		if len(text) > 100*n {
			t.Errorf("%d scenarios take %d bytes, %d each", n, len(text), len(text)/n)
		}
	}
}

func TestRef(t *testing.T) {
	for _, r := range []scheduler.Ref{{ID: "scan", Run: 2}, {ID: "a#b", Run: 10}, {ID: "x", Run: 0}} {
		if back, err := scheduler.ParseRef(r.String()); err != nil || back != r {
			t.Errorf("%s reads back as %v, %v", r, back, err)
		}
	}
	for _, text := range []string{"", "scan", "#1", "scan#", "scan#x", "scan#-1", "scan#01", "scan#2147483648", "scan# 1"} {
		if r, err := scheduler.ParseRef(text); err == nil {
			t.Errorf("%q is read as %v", text, r)
		}
	}
}
