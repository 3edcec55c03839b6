// Package expected tells package attest which runs a scheduler knows to be over. It is the one place that knows both.
package expected

import (
	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/scheduler"
)

// Runs returns the newest run of each scenario that passed or failed, for [attest.ExpectRuns]. The ID of a scenario is
// the name of its test.
func Runs(s scheduler.Snapshot) []attest.Run {
	var runs []attest.Run
	for id, status := range s {
		if status.Phase != scheduler.PhasePassed && status.Phase != scheduler.PhaseFailed {
			continue
		}
		run := attest.Run{Test: string(id), Name: scheduler.Ref{ID: id, Run: status.Run}.String()}
		for _, a := range status.Artifacts {
			run.Artifacts = append(run.Artifacts, attest.Artifact(a))
		}
		runs = append(runs, run)
	}
	return runs
}
