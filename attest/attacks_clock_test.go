package attest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
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
	at := func(d time.Duration) string { return attesttest.Noon.Add(d).Format(time.RFC3339) }
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
func (w *world) scanned(k *key, r intoto.Result, at, end time.Duration, others ...pipelineTask) Record {
	w.T.Helper()
	record := w.unsigned("scan", outcome(r, at))
	tasks := append([]pipelineTask{{name: "scan", from: at - 5*time.Minute, to: at, record: record.Digest}}, others...)
	w.provenance(k, record.Digest, pipelineRun(record.Digest, end, tasks...))
	return record
}

// clockAttacks make an old pass look newer than a failure by the clock of something else than the task that made it.
var clockAttacks = []attack{{
	name: "an old pass in a pipeline that ended after the failure",
	do: func(w *world, ours, _ *key) {
		w.scanned(ours, intoto.Passed, -4*time.Hour, -30*time.Minute)
		w.scanned(ours, intoto.Failed, -2*time.Hour, -2*time.Hour)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T10:00:00Z by provenance",
}, {
	name: "an old pass in a pipeline that ended after a failure signed with a key",
	do: func(w *world, ours, _ *key) {
		w.scanned(ours, intoto.Passed, -4*time.Hour, -30*time.Minute)
		w.write(ours, "scan", outcome(intoto.Failed, -2*time.Hour))
	},
	ask:    byKeyOrProvenance,
	answer: "FAILED at 2026-03-01T10:00:00Z by predicate",
}, {
	name: "an old pass signed with a key, a failure in a pipeline that is said to have ended before",
	do: func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(intoto.Passed, -3*time.Hour))
		w.scanned(ours, intoto.Failed, -2*time.Hour, -4*time.Hour)
	},
	ask:    byKeyOrProvenance,
	answer: "FAILED at 2026-03-01T10:00:00Z by provenance",
}, {
	name: "a failure and a pass of one pipeline, the pass first",
	do: func(w *world, ours, _ *key) {
		w.scanned(ours, intoto.Passed, -2*time.Hour, 0)
		w.scanned(ours, intoto.Failed, -time.Hour, 0)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T11:00:00Z by provenance, completeness unproven",
}, {
	name: "a task that failed and passed when it was retried in one pipeline",
	do: func(w *world, ours, _ *key) {
		w.scanned(ours, intoto.Failed, -2*time.Hour, 0)
		w.scanned(ours, intoto.Passed, -time.Hour, 0)
	},
	ask:    byProvenanceOnly,
	answer: "PASSED at 2026-03-01T11:00:00Z by provenance, completeness unproven",
}, {
	name: "an old pass named by a later task of its pipeline",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(intoto.Passed, -2*time.Hour))
		w.provenance(ours, pass.Digest, pipelineRun(pass.Digest, 0,
			pipelineTask{name: "summary", from: -10 * time.Minute, to: 0, record: pass.Digest},
			pipelineTask{name: "scan", from: -125 * time.Minute, to: -2 * time.Hour, record: pass.Digest}))
		w.scanned(ours, intoto.Failed, -time.Hour, -time.Hour)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T11:00:00Z by provenance",
}, {
	name: "an old pass named by a later run again",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(intoto.Passed, -2*time.Hour))
		made := pipelineRun(pass.Digest, -90*time.Minute, pipelineTask{name: "scan", from: -125 * time.Minute, to: -2 * time.Hour, record: pass.Digest})
		again := pipelineRun(pass.Digest, 0, pipelineTask{name: "scan", from: -10 * time.Minute, to: 0, record: pass.Digest})
		w.provenances(ours, pass.Digest, again, made)
		w.scanned(ours, intoto.Failed, -time.Hour, -time.Hour)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T11:00:00Z by provenance",
}, {
	name: "an old pass whose task has no times, in a pipeline that ended after the failure",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(intoto.Passed, -2*time.Hour))
		w.provenance(ours, pass.Digest, pipelineRun(pass.Digest, 0, pipelineTask{name: "scan", timeless: true, record: pass.Digest}))
		w.scanned(ours, intoto.Failed, -time.Hour, -time.Hour)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T11:00:00Z by provenance",
}, {
	name: "an old pass whose task has no times, named again by a task of a later run",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(intoto.Passed, -4*time.Hour))
		w.provenances(ours, pass.Digest,
			pipelineRun(pass.Digest, -4*time.Hour, pipelineTask{name: "scan", timeless: true, record: pass.Digest}),
			pipelineRun(pass.Digest, 0, pipelineTask{name: "scan", from: -5 * time.Hour, to: -10 * time.Minute, record: pass.Digest}))
		w.scanned(ours, intoto.Failed, -2*time.Hour, -2*time.Hour)
	},
	ask:    byProvenanceOnly,
	answer: "FAILED at 2026-03-01T10:00:00Z by provenance",
}, {
	name: "a task without times is dated by its statement",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(intoto.Passed, -2*time.Hour))
		w.provenance(ours, pass.Digest, pipelineRun(pass.Digest, 0,
			pipelineTask{name: "scan", timeless: true, record: pass.Digest},
			pipelineTask{name: "summary", from: -10 * time.Minute, to: 0, record: pass.Digest}))
	},
	ask:    byProvenanceOnly,
	answer: "PASSED at 2026-03-01T10:00:00Z by predicate",
}, {
	name: "an old pass that no task named, in a pipeline that ended after the failure",
	do: func(w *world, ours, _ *key) {
		pass := w.write(ours, "scan", outcome(intoto.Passed, -2*time.Hour))
		w.provenance(ours, pass.Digest, pipelineRun(pass.Digest, 0, pipelineTask{name: "scan", from: -10 * time.Minute, to: 0}))
		w.write(ours, "scan", outcome(intoto.Failed, -time.Hour))
	},
	ask:    byKeyOrProvenance,
	answer: "FAILED at 2026-03-01T11:00:00Z by predicate",
}, {
	name: "a pass that gives a time after its task, within its pipeline",
	do: func(w *world, ours, _ *key) {
		pass := w.unsigned("scan", outcome(intoto.Passed, -time.Minute))
		w.provenance(ours, pass.Digest, pipelineRun(pass.Digest, 0,
			pipelineTask{name: "scan", from: -125 * time.Minute, to: -2 * time.Hour, record: pass.Digest}))
		w.opts.Clocks = []Clock{ClockPredicate}
	},
	ask:    byProvenanceOnly,
	answer: "time 2026-03-01T11:59:00Z is not within the run of its task from 2026-03-01T09:55:00Z to 2026-03-01T10:00:00Z",
}, {
	name: "a failure that gives a time before its task, within its pipeline",
	do: func(w *world, ours, _ *key) {
		w.scanned(ours, intoto.Passed, -3*time.Hour, -3*time.Hour)
		failed := w.unsigned("scan", outcome(intoto.Failed, -20*time.Hour))
		w.provenance(ours, failed.Digest, pipelineRun(failed.Digest, 0,
			pipelineTask{name: "scan", from: -125 * time.Minute, to: -2 * time.Hour, record: failed.Digest}))
	},
	ask:    byProvenanceOnly,
	answer: "time 2026-02-28T16:00:00Z is not within the run of its task from 2026-03-01T09:55:00Z to 2026-03-01T10:00:00Z",
}}

// timed makes an attack of a failure whose time is spelled so that it looks older, to a parser that takes more than RFC 3339.
func timed(name, predicateType, time, problem string) attack {
	a := attack{name: "a failure at " + name, answer: problem}
	a.do = func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		failed := fmt.Sprintf(`{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":%q}`, time)
		w.attach(w.sign(ours, w.statementOf(predicateType, failed)), nil)
	}
	return a
}

// spellingAttacks make a failure old by the spelling of its time.
var spellingAttacks = []attack{
	timed("a time with a decimal comma", intoto.TestResultType, "2026-03-01T10:00:00,5Z", `"2026-03-01T10:00:00,5Z" is not a time of RFC 3339`),
	timed("an offset of 24 hours", intoto.TestResultType, "2026-03-01T12:00:00+24:00", `"2026-03-01T12:00:00+24:00" is not a time of RFC 3339`),
	timed("an offset of 60 minutes", intoto.TestResultType, "2026-03-01T12:00:00+01:60", `"2026-03-01T12:00:00+01:60" is not a time of RFC 3339`),
	timed("the year 0", intoto.TestResultType, "0000-03-01T12:00:00Z", `year 0 is not within 1970 and 9999`),
	timed("the year 1", intoto.TestResultType, "0001-01-01T00:00:01Z", `year 1 is not within 1970 and 9999`),
	timed("the year 1969, by its offset", intoto.TestResultType, "1970-01-01T00:30:00+01:00", `year 1969 is not within 1970 and 9999`),
	timed("an hour of one digit", intoto.TestResultType, "2026-03-01T9:00:00Z", `"2026-03-01T9:00:00Z" is not a time of RFC 3339`),
	timed("a time in lower case", intoto.TestResultType, "2026-03-01t12:00:00z", `"2026-03-01t12:00:00z" is not a time of RFC 3339`),
	timed("a time without offset", intoto.TestResultType, "2026-03-01T12:00:00", `"2026-03-01T12:00:00" is not a time of RFC 3339`),
	timed("a day that is not there", intoto.TestResultType, "2026-02-30T12:00:00Z", `there is no such day or hour`),
	{
		name: "a provenance whose task ended at a time with a decimal comma", test: "clamav-scan",
		do: func(w *world, ours, _ *key) {
			failed := w.unsigned("clamav-scan", outcome(intoto.Failed, 0))
			payload := strings.ReplaceAll(string(provenanceFor(w.T, failed.Digest, 0)), "12:00:00Z", "12:00:00,0Z")
			w.provenance(ours, failed.Digest, []byte(payload))
		},
		ask:    byProvenanceOnly,
		answer: `"2026-03-01T12:00:00,0Z" is not a time of RFC 3339`,
	}, {
		name: "a denied task asked for without its tag", test: "clamav-scan",
		do: func(w *world, ours, _ *key) {
			passed := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
			payload := strings.ReplaceAll(string(provenanceFor(w.T, passed.Digest, 0)), "task-clamav-scan:0.3", "task-clamav-scan")
			w.provenance(ours, passed.Digest, []byte(payload))
		},
		ask: func(w *world, r *Resolver) *Resolver {
			trust := chains
			trust.Tasks = append(trust.Tasks[:1:1], provenance.TaskRule{Pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-clamav-scan:0.3", Deny: true})
			v, err := ByProvenance(r.verifier.(*key), trust)
			if err != nil {
				w.T.Fatal(err)
			}
			return NewResolver(v, w.opts)
		},
		answer: "Trust.Tasks[1] denies some tags or paths of it, and nothing says which one this is",
	},
}

// The tests above need the pipelines that they make to be believed.
func TestPipelineRunIsTrusted(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.scanned(k, intoto.Passed, -2*time.Hour, 0)
	e := w.mustNewest(byChains(t, k), testResultOf("scan"))
	if e.Problem != nil || e.Provenance == nil || !e.Provenance.Finished.Equal(attesttest.Noon) || e.Clock != ClockProvenance || e.Result != intoto.Passed {
		t.Errorf("got %s at %s by %s, %v", e.Result, e.Time, e.Clock, e.Problem)
	}
}
