package konflux_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

func TestOptionErrors(t *testing.T) {
	const skipped = "konflux: Skipped: want SkippedPasses, as the integration-service has it, or SkippedFails, as Conforma has it"
	for name, tt := range map[string]struct {
		change func(*konflux.Options)
		want   []string
	}{
		"right":     {func(*konflux.Options) {}, nil},
		"fails":     {func(o *konflux.Options) { o.Skipped = pipelinerun.SkippedFails }, nil},
		"no choice": {func(o *konflux.Options) { o.Skipped = 0 }, []string{skipped}},
		"odd":       {func(o *konflux.Options) { o.Skipped = 3 }, []string{skipped}},
		"negative": {func(o *konflux.Options) { o.Patience, o.StateBytes = -1, -2 }, []string{
			"konflux: Patience: -1ns is negative", "konflux: StateBytes: -2 is negative",
		}},
		"shared prefix": {func(o *konflux.Options) { o.Keys.Own = o.Keys.PAC }, []string{
			`konflux: Keys.Own: "pac.test.appstudio.openshift.io" is PAC too; want one of its own`,
		}},
		"longest": {func(o *konflux.Options) { o.Keys.Test = strings.Repeat("a", 253) }, nil},
		"prefixes": {func(o *konflux.Options) {
			o.Keys = konflux.Keys{Test: "a/b", Pipelines: "A", Resource: "", PAC: "a..b", Own: strings.Repeat("a", 254)}
		}, []string{
			`konflux: Keys.Test: "a/b" is not a prefix of labels; want a DNS name`,
			`konflux: Keys.Pipelines: "A" is not a prefix of labels; want a DNS name`,
			`konflux: Keys.Resource: "" is not a prefix of labels; want a DNS name`,
			`konflux: Keys.PAC: "a..b" is not a prefix of labels; want a DNS name`,
			`konflux: Keys.Own: "` + strings.Repeat("a", 254) + `" is not a prefix of labels; want a DNS name`,
		}},
		"all at once": {func(o *konflux.Options) {
			*o = konflux.Options{Keys: oldKeys, LegacyKeys: []konflux.Keys{newKeys, oldKeys, newKeys}, Patience: -time.Second, StateBytes: -1}
			o.Keys.Test, o.LegacyKeys[1].Own, o.LegacyKeys[2].Resource = "", o.LegacyKeys[1].Test, "-a"
		}, []string{
			`konflux: Keys.Test: "" is not a prefix of labels; want a DNS name`,
			`konflux: LegacyKeys[1].Own: "test.appstudio.openshift.io" is Test too; want one of its own`,
			`konflux: LegacyKeys[2].Resource: "-a" is not a prefix of labels; want a DNS name`,
			skipped, "konflux: Patience: -1s is negative", "konflux: StateBytes: -1 is negative",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			tt.change(&o)
			p, err := konflux.Next(konflux.Objects{Snapshot: snapshot()}, o, noon)
			equal(t, "mistakes of Next", mistakes(err), tt.want)
			if err != nil && p != nil {
				t.Errorf("a plan %v beside the error", p)
			}
		})
	}
}

func TestOptionErrorType(t *testing.T) {
	_, err := konflux.Next(konflux.Objects{}, konflux.Options{Keys: oldKeys}, noon)
	var e *konflux.OptionError
	if !errors.As(err, &e) || e.Option != "Skipped" || e.Problem == "" {
		t.Errorf("got %#v; want a *OptionError about Skipped", err)
	}
}

// What is left out has its default: 5 minutes for what is missing, 64 KiB of state.
func TestDefaults(t *testing.T) {
	in, _ := play(t, world("scan"), same)
	in = ends("scan", 1, "True", "")(in)
	o := options()
	o.Signed = true
	for _, patience := range []time.Duration{0, 5 * time.Minute} {
		o.Patience = patience
		got := next(t, in, o, noon)
		if want := noon.Add(5 * time.Minute); !got.Wake.Equal(want) {
			t.Errorf("Patience %v: got %v; want to wake at %v", patience, got.Wake, want)
		}
	}
	for _, tt := range []struct {
		more, bytes int
		refused     bool
	}{{0, 0, false}, {1, 0, true}, {1, 64<<10 + 1, false}, {1, 64 << 10, true}} {
		o := options()
		o.StateBytes = tt.bytes
		in := konflux.Objects{Snapshot: snapshot("@testdag.example.com/state=" + stateOf(t, 64<<10+tt.more))}
		_, err := konflux.Next(in, o, noon)
		var e *konflux.SizeError
		if errors.As(err, &e) != tt.refused {
			t.Errorf("a state of 64 KiB and %d bytes, StateBytes %d: %v", tt.more, tt.bytes, err)
			continue
		}
		if tt.refused {
			equal(t, "mistake", e, &konflux.SizeError{Annotation: "testdag.example.com/state", Bytes: 64<<10 + 1, Limit: 64 << 10})
		}
	}
}

// stateOf returns the annotation of a state of so many bytes, of scenarios that are gone.
func stateOf(t *testing.T, bytes int) string {
	t.Helper()
	s := konflux.State{Runs: scheduler.Snapshot{}}
	for i := range bytes / 100 {
		s.Runs[dag.ID(fmt.Sprintf("gone-%04d", i))] = scheduler.Status{Run: 1, Phase: scheduler.PhasePassed}
	}
	text, err := s.Format()
	if err != nil {
		t.Fatal(err)
	}
	s.Runs["long-"+dag.ID(strings.Repeat("g", bytes-len(text)-len(`,{"id":"long-","run":1,"phase":"passed"}`)))] = scheduler.Status{Run: 1, Phase: scheduler.PhasePassed}
	if text, err = s.Format(); err != nil || len(text) != bytes {
		t.Fatalf("%d bytes, %v; want %d", len(text), err, bytes)
	}
	return text
}
