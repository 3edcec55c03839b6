package expected

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A run leaves evidence if it passed or failed. Of any other, nothing is expected.
func TestRuns(t *testing.T) {
	left := scheduler.Artifact{URI: "quay.io/team/app", Digest: "sha256:" + strings.Repeat("0", 64)}
	for phase, want := range map[scheduler.Phase][]attest.Run{
		scheduler.PhaseNone:     nil,
		scheduler.PhaseRunning:  nil,
		scheduler.PhaseCanceled: nil,
		scheduler.PhaseStopped:  nil,
		scheduler.PhasePassed:   {{Test: "scan", Name: "scan#2", Artifacts: []attest.Artifact{attest.Artifact(left)}}},
		scheduler.PhaseFailed:   {{Test: "scan", Name: "scan#2", Artifacts: []attest.Artifact{attest.Artifact(left)}}},
	} {
		s := scheduler.Snapshot{"scan": {Run: 2, Phase: phase, Artifacts: []scheduler.Artifact{left}}}
		if diff := cmp.Diff(want, Runs(s)); diff != "" {
			t.Errorf("%s: %s", phase, diff)
		}
	}
}

// Each scenario has its own newest run.
func TestRunsOfSeveralScenarios(t *testing.T) {
	s := scheduler.Snapshot{}
	var want []attest.Run
	for id, run := range map[dag.ID]int{"build": 1, "scan": 3, "deploy": 2} {
		s[id] = scheduler.Status{Run: run, Phase: scheduler.PhasePassed}
		want = append(want, attest.Run{Test: string(id), Name: scheduler.Ref{ID: id, Run: run}.String()})
	}
	byTest := cmpopts.SortSlices(func(a, b attest.Run) bool { return a.Test < b.Test })
	if diff := cmp.Diff(want, Runs(s), byTest); diff != "" {
		t.Error(diff)
	}
}
