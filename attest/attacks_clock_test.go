package attest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A pipelineTask is one task of a pipeline that Chains tells of. Its times are given from noon.
type pipelineTask struct {
	name     string
	from, to time.Duration
	timeless bool    // nothing says when it ran
	record   v1.Hash // that a result of it names, if any
}

// pipelineRun is the provenance of a pipeline of trusted tasks that ran until noon plus end. Its subject is the record.
func pipelineRun(record v1.Hash, end time.Duration, tasks ...pipelineTask) []byte {
	at := func(d time.Duration) string { return noon.Add(d).Format(time.RFC3339) }
	var all []string
	for _, task := range tasks {
		times, results := "", ""
		if !task.timeless {
			times = fmt.Sprintf(`"startedOn":%q,"finishedOn":%q,`, at(task.from), at(task.to))
		}
		if task.record != (v1.Hash{}) {
			results = fmt.Sprintf(`{"name":"ARTIFACT_DIGEST","value":%q}`, task.record)
		}
		all = append(all, fmt.Sprintf(`{"name":%[1]q,%[2]s"status":"Succeeded","results":[%[3]s],"ref":{"kind":"Task"},"invocation":{
			"configSource":{"uri":"quay.io/konflux-ci/tekton-catalog/task-%[1]s","digest":{"sha256":%[4]q},"entryPoint":%[1]q},
			"environment":{"labels":{"tekton.dev/task":%[1]q}}}}`, task.name, times, results, strings.Repeat("ab", 32)))
	}
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"quay.io/team/app","digest":{"sha256":%q}}],
		"predicateType":"https://slsa.dev/provenance/v0.2","predicate":{"builder":{"id":"https://tekton.dev/chains/v2"},
		"buildType":"tekton.dev/v1/PipelineRun","metadata":{"buildStartedOn":%q,"buildFinishedOn":%q},"buildConfig":{"tasks":[%s]}}}`,
		record.Hex, at(-24*time.Hour), at(end), strings.Join(all, ","))
}

// scanned writes an unsigned result of the test "scan", with the provenance of a pipeline in which the task scan made it,
// and which ended much later.
func (w *world) scanned(k *key, r Result, at, end time.Duration, others ...pipelineTask) Record {
	w.t.Helper()
	record := w.unsigned("scan", outcome(r, at))
	tasks := append([]pipelineTask{{name: "scan", from: at - 5*time.Minute, to: at, record: record.Digest}}, others...)
	w.provenance(k, record.Digest, pipelineRun(record.Digest, end, tasks...))
	return record
}

// clockAttacks make an old pass look newer than a failure by the clock of something else than the task that made it.
var clockAttacks = []attack{{
	name: "an old pass in a pipeline that ended after the failure",
	do: func(w *world, ours, _ *key) {
		w.scanned(ours, Passed, -4*time.Hour, -30*time.Minute)
		w.scanned(ours, Failed, -2*time.Hour, -2*time.Hour)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T10:00:00Z by provenance",
}, {
	name: "an old pass in a pipeline that ended after a failure signed with a key",
	do: func(w *world, ours, _ *key) {
		w.scanned(ours, Passed, -4*time.Hour, -30*time.Minute)
		w.write(ours, "scan", outcome(Failed, -2*time.Hour))
	},
	ask:    byKeyOrProvenance,
	answer: "FAILED at 2026-03-01T10:00:00Z by predicate",
}, {
	name: "an old pass signed with a key, a failure in a pipeline that is said to have ended before",
	do: func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(Passed, -3*time.Hour))
		w.scanned(ours, Failed, -2*time.Hour, -4*time.Hour)
	},
	ask:    byKeyOrProvenance,
	answer: "FAILED at 2026-03-01T10:00:00Z by provenance",
}, {
	name: "a failure and a pass of one pipeline, the pass first",
	do: func(w *world, ours, _ *key) {
		w.scanned(ours, Passed, -2*time.Hour, 0)
		w.scanned(ours, Failed, -time.Hour, 0)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T11:00:00Z by provenance, completeness unproven",
}, {
	name: "a task that failed and passed when it was retried in one pipeline",
	do: func(w *world, ours, _ *key) {
		w.scanned(ours, Failed, -2*time.Hour, 0)
		w.scanned(ours, Passed, -time.Hour, 0)
	},
	ask:    byProvenanceOnly,
	answer: "PASSED at 2026-03-01T11:00:00Z by provenance, completeness unproven",
}, {
	name: "an old pass named by a later task of its pipeline",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(Passed, -2*time.Hour))
		w.provenance(ours, pass.Digest, pipelineRun(pass.Digest, 0,
			pipelineTask{name: "summary", from: -10 * time.Minute, to: 0, record: pass.Digest},
			pipelineTask{name: "scan", from: -125 * time.Minute, to: -2 * time.Hour, record: pass.Digest}))
		w.scanned(ours, Failed, -time.Hour, -time.Hour)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T11:00:00Z by provenance",
}, {
	name: "an old pass named by a later run again",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(Passed, -2*time.Hour))
		made := pipelineRun(pass.Digest, -90*time.Minute, pipelineTask{name: "scan", from: -125 * time.Minute, to: -2 * time.Hour, record: pass.Digest})
		again := pipelineRun(pass.Digest, 0, pipelineTask{name: "scan", from: -10 * time.Minute, to: 0, record: pass.Digest})
		w.provenances(ours, pass.Digest, again, made)
		w.scanned(ours, Failed, -time.Hour, -time.Hour)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T11:00:00Z by provenance",
}, {
	name: "an old pass whose task has no times, in a pipeline that ended after the failure",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(Passed, -2*time.Hour))
		w.provenance(ours, pass.Digest, pipelineRun(pass.Digest, 0, pipelineTask{name: "scan", timeless: true, record: pass.Digest}))
		w.scanned(ours, Failed, -time.Hour, -time.Hour)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T11:00:00Z by provenance",
}, {
	name: "a task without times is dated by its statement",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(Passed, -2*time.Hour))
		w.provenance(ours, pass.Digest, pipelineRun(pass.Digest, 0,
			pipelineTask{name: "scan", timeless: true, record: pass.Digest},
			pipelineTask{name: "summary", from: -10 * time.Minute, to: 0, record: pass.Digest}))
	},
	ask:    byProvenanceOnly,
	answer: "PASSED at 2026-03-01T10:00:00Z by predicate",
}, {
	name: "an old pass that no task named, in a pipeline that ended after the failure",
	do: func(w *world, ours, _ *key) {
		pass := w.write(ours, "scan", outcome(Passed, -2*time.Hour))
		w.provenance(ours, pass.Digest, pipelineRun(pass.Digest, 0, pipelineTask{name: "scan", from: -10 * time.Minute, to: 0}))
		w.write(ours, "scan", outcome(Failed, -time.Hour))
	},
	ask:    byKeyOrProvenance,
	answer: "FAILED at 2026-03-01T11:00:00Z by predicate",
}, {
	name: "a pass that gives a time after its task, within its pipeline",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(Passed, -time.Minute))
		w.provenance(ours, pass.Digest, pipelineRun(pass.Digest, 0,
			pipelineTask{name: "scan", from: -125 * time.Minute, to: -2 * time.Hour, record: pass.Digest}))
		w.opts.Clocks = []Clock{ClockPredicate}
	},
	ask:    byProvenanceOnly,
	answer: "time 2026-03-01T11:59:00Z is not within the run of its task from 2026-03-01T09:55:00Z to 2026-03-01T10:00:00Z",
}, {
	name: "a failure that gives a time before its task, within its pipeline",
	do: func(w *world, ours, _ *key) {
		w.scanned(ours, Passed, -3*time.Hour, -3*time.Hour)
		failed := w.unsigned("scan", outcome(Failed, -20*time.Hour))
		w.provenance(ours, failed.Digest, pipelineRun(failed.Digest, 0,
			pipelineTask{name: "scan", from: -125 * time.Minute, to: -2 * time.Hour, record: failed.Digest}))
	},
	ask:    byProvenanceOnly,
	answer: "time 2026-02-28T16:00:00Z is not within the run of its task from 2026-03-01T09:55:00Z to 2026-03-01T10:00:00Z",
}}

// The tests above need the pipelines that they make to be believed.
func TestPipelineRunIsTrusted(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.scanned(k, Passed, -2*time.Hour, 0)
	e := w.mustNewest(byChains(t, k), testResultOf("scan"))
	if e.Problem != nil || e.Provenance == nil || !e.Provenance.Finished.Equal(noon) || e.Clock != ClockProvenance || e.Result != Passed {
		t.Errorf("got %s at %s by %s, %v", e.Result, e.Time, e.Clock, e.Problem)
	}
}
