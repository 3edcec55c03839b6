package pipelinerun_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rules are those that most tests work with.
func rules() pipelinerun.Rules {
	return pipelinerun.Rules{
		Skipped: pipelinerun.SkippedPasses, Patience: pipelinerun.DefaultPatience,
		Stopped: []string{"testdag.example.com/stopped", "older.example.com/stopped"},
	}
}

// ended is a change that ends a run.
func ended(status, reason string, at time.Time) func(*pipelinerun.PipelineRun) {
	return func(r *pipelinerun.PipelineRun) {
		r.Status.Conditions = []pipelinerun.Condition{{Type: "Succeeded", Status: status, Reason: reason}}
		r.Status.CompletionTime = &at
	}
}

// A reporter is a *testing.T or a *rapid.T.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

func equal(t reporter, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// output is text as the value of a result.
func output(text string) json.RawMessage {
	value, _ := json.Marshal(text)
	return value
}

// says is a TEST_OUTPUT that is in order.
func says(result string) json.RawMessage {
	return output(`{"result":"` + result + `","timestamp":"2026-03-01T12:00:00Z","successes":1,"failures":0,"warnings":0}`)
}

// aRun is a PipelineRun that ended at noon, whose tasks a, b and so on wrote one result each.
func aRun(status, reason string, values ...json.RawMessage) (pipelinerun.PipelineRun, []pipelinerun.TaskRun) {
	run := pipelinerun.PipelineRun{Meta: pipelinerun.Meta{Name: "scan-1"}}
	ended(status, reason, noon)(&run)
	var tasks []pipelinerun.TaskRun
	for i, value := range values {
		task := pipelinerun.TaskRun{Meta: pipelinerun.Meta{Name: "scan-1-" + string(rune('a'+i))}}
		task.Status.Results = []pipelinerun.TaskRunResult{{Name: "IMAGE", Value: output("x")}, {Name: "TEST_OUTPUT", Value: value}}
		tasks = append(tasks, task)
		run.Status.ChildReferences = append(run.Status.ChildReferences, pipelinerun.ChildReference{Name: task.Name, PipelineTaskName: string(rune('a' + i))})
	}
	return run, tasks
}

func judge(t testing.TB, run pipelinerun.PipelineRun, tasks []pipelinerun.TaskRun, rules pipelinerun.Rules, now time.Time) pipelinerun.Result {
	t.Helper()
	return pipelinerun.Judge(&run, pipelinerun.ByName(tasks), rules, now)
}

// Shorthands for the tables here.
const (
	running  = scheduler.PhaseRunning
	passed   = scheduler.PhasePassed
	failed   = scheduler.PhaseFailed
	canceled = scheduler.PhaseCanceled
	stopped  = scheduler.PhaseStopped
)

func TestJudgeConditions(t *testing.T) {
	for name, tt := range map[string]struct {
		conditions []pipelinerun.Condition
		want       pipelinerun.Result
	}{
		"none":             {nil, pipelinerun.Result{Phase: running, Details: "started"}},
		"another":          {[]pipelinerun.Condition{{Type: "Ready", Status: "True"}}, pipelinerun.Result{Phase: running, Details: "started"}},
		"Unknown":          {[]pipelinerun.Condition{{Type: "Succeeded", Status: "Unknown", Reason: "Running"}}, pipelinerun.Result{Phase: running, Details: "started"}},
		"being stopped":    {[]pipelinerun.Condition{{Type: "Succeeded", Status: "Unknown", Reason: "CancelledRunFinally"}}, pipelinerun.Result{Phase: running, Details: "started"}},
		"True":             {[]pipelinerun.Condition{{Type: "Ready", Status: "False"}, {Type: "Succeeded", Status: "True", Reason: "Completed"}}, pipelinerun.Result{Phase: passed, End: pipelinerun.EndPassed, Details: "passed", Ended: noon}},
		"Cancelled":        {[]pipelinerun.Condition{{Type: "Succeeded", Status: "False", Reason: "Cancelled", Message: "by hand"}}, pipelinerun.Result{Phase: canceled, End: pipelinerun.EndCanceled, Details: "Canceled: Cancelled: by hand", Ended: noon}},
		"CancelledFinally": {[]pipelinerun.Condition{{Type: "Succeeded", Status: "False", Reason: "CancelledRunFinally"}}, pipelinerun.Result{Phase: canceled, End: pipelinerun.EndCanceled, Details: "Canceled: CancelledRunFinally", Ended: noon}},
		"StoppedFinally":   {[]pipelinerun.Condition{{Type: "Succeeded", Status: "False", Reason: "StoppedRunFinally"}}, pipelinerun.Result{Phase: canceled, End: pipelinerun.EndCanceled, Details: "Canceled: StoppedRunFinally", Ended: noon}},
		"timeout":          {[]pipelinerun.Condition{{Type: "Succeeded", Status: "False", Reason: "PipelineRunTimeout", Message: "1h"}}, pipelinerun.Result{Phase: failed, End: pipelinerun.EndFailed, Details: "failed: PipelineRunTimeout: 1h", Ended: noon}},
		"Failed":           {[]pipelinerun.Condition{{Type: "Succeeded", Status: "False", Reason: "Failed"}}, pipelinerun.Result{Phase: failed, End: pipelinerun.EndFailed, Details: "failed: Failed", Ended: noon}},
		"no pipeline":      {[]pipelinerun.Condition{{Type: "Succeeded", Status: "False", Reason: "CouldntGetPipeline"}}, pipelinerun.Result{Phase: failed, End: pipelinerun.EndFailed, Details: "failed: CouldntGetPipeline", Ended: noon}},
		"no reason":        {[]pipelinerun.Condition{{Type: "Succeeded", Status: "False", Message: "who knows"}}, pipelinerun.Result{Phase: failed, End: pipelinerun.EndFailed, Details: "failed: who knows", Ended: noon}},
		"200 bytes":        {[]pipelinerun.Condition{{Type: "Succeeded", Status: "False", Message: strings.Repeat("x", 200)}}, pipelinerun.Result{Phase: failed, End: pipelinerun.EndFailed, Details: "failed: " + strings.Repeat("x", 200), Ended: noon}},
		"long":             {[]pipelinerun.Condition{{Type: "Succeeded", Status: "False", Message: strings.Repeat("é", 101)}}, pipelinerun.Result{Phase: failed, End: pipelinerun.EndFailed, Details: "failed: " + strings.Repeat("é", 98) + "...", Ended: noon}},
	} {
		run, _ := aRun("", "")
		run.Status.Conditions = tt.conditions
		equal(t, name, judge(t, run, nil, rules(), noon.Add(time.Hour)), tt.want)
	}
}

func TestJudgeDeleted(t *testing.T) {
	late := noon.Add(time.Minute)
	run, _ := aRun("Unknown", "Running")
	run.DeletionTimestamp = &late
	equal(t, "live", judge(t, run, nil, rules(), noon), pipelinerun.Result{Phase: canceled, End: pipelinerun.EndDeleted, Details: "deleted before it was over", Ended: late})
	run.Annotations = map[string]string{"testdag.example.com/stopped": "true"}
	equal(t, "live, stopped by a plan", judge(t, run, nil, rules(), noon), pipelinerun.Result{Phase: stopped, End: pipelinerun.EndDeleted, Details: "deleted before it was over", Ended: late})
	ended("True", "", noon)(&run)
	equal(t, "over", judge(t, run, nil, rules(), noon), pipelinerun.Result{Phase: passed, End: pipelinerun.EndPassed, Details: "passed", Ended: noon})
}

// The mark of a plan tells what it stopped; what ended otherwise before it could be stopped keeps its end.
func TestJudgeStopped(t *testing.T) {
	for _, tt := range []struct {
		status, reason string
		want           scheduler.Phase
	}{
		{"False", "CancelledRunFinally", stopped}, {"False", "Cancelled", stopped}, {"False", "Failed", failed}, {"True", "", passed}, {"Unknown", "Running", running},
	} {
		run, _ := aRun(tt.status, tt.reason)
		run.Annotations = map[string]string{"testdag.example.com/stopped": ""}
		if got := judge(t, run, nil, rules(), noon); got.Phase != tt.want {
			t.Errorf("%s, %s: got %v; want %v", tt.status, tt.reason, got.Phase, tt.want)
		}
	}
}

func TestJudgeOutputs(t *testing.T) {
	const rest = `,"successes":1,"failures":0,"warnings":0}`
	for name, tt := range map[string]struct {
		change  func(*pipelinerun.Rules)
		values  []json.RawMessage
		phase   scheduler.Phase
		end     pipelinerun.End
		details string
	}{
		"none":            {nil, nil, passed, pipelinerun.EndPassed, "passed"},
		"success":         {nil, []json.RawMessage{says("SUCCESS"), says("SUCCESS")}, passed, pipelinerun.EndPassed, "passed"},
		"failure":         {nil, []json.RawMessage{says("SUCCESS"), says("FAILURE")}, failed, pipelinerun.EndFailed, "failed: b says FAILURE"},
		"error":           {nil, []json.RawMessage{says("ERROR"), says("WARNING"), says("FAILURE")}, failed, pipelinerun.EndFailed, "failed: a says ERROR; c says FAILURE"},
		"warning":         {nil, []json.RawMessage{says("WARNING"), says("SUCCESS"), says("WARNING")}, passed, pipelinerun.EndWarned, "passed with warnings: a, c"},
		"plain":           {func(o *pipelinerun.Rules) { o.PlainPass = true }, []json.RawMessage{says("WARNING")}, passed, pipelinerun.EndPassed, "passed"},
		"plain failure":   {func(o *pipelinerun.Rules) { o.PlainPass = true }, []json.RawMessage{says("FAILURE")}, failed, pipelinerun.EndFailed, "failed: a says FAILURE"},
		"skipped":         {nil, []json.RawMessage{says("SKIPPED")}, passed, pipelinerun.EndPassed, "passed"},
		"skipped, fails":  {func(o *pipelinerun.Rules) { o.Skipped = pipelinerun.SkippedFails }, []json.RawMessage{says("SKIPPED")}, failed, pipelinerun.EndFailed, "failed: a says SKIPPED"},
		"seconds":         {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400"` + rest)}, passed, pipelinerun.EndPassed, "passed"},
		"without a zone":  {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"2026-03-01T12:00:00.5"` + rest)}, passed, pipelinerun.EndPassed, "passed"},
		"with a zone":     {nil, []json.RawMessage{output(`{"result":"SUCCESS","note":"x","namespace":"y","new":1,"timestamp":"2026-03-01T12:00:00+01:00"` + rest)}, passed, pipelinerun.EndPassed, "passed"},
		"a list":          {nil, []json.RawMessage{json.RawMessage(`["SUCCESS"]`)}, failed, pipelinerun.EndFailed, "failed: the result of a cannot be read: it is not text"},
		"no value":        {nil, []json.RawMessage{nil}, failed, pipelinerun.EndFailed, "failed: the result of a cannot be read: it is not text"},
		"empty":           {nil, []json.RawMessage{output("")}, failed, pipelinerun.EndFailed, "failed: the result of a cannot be read: unexpected EOF"},
		"no JSON":         {nil, []json.RawMessage{says("SUCCESS"), output("SUCCESS")}, failed, pipelinerun.EndFailed, "failed: the result of b cannot be read: "},
		"null":            {nil, []json.RawMessage{output("null")}, failed, pipelinerun.EndFailed, `failed: the result of a cannot be read: result: "" is not one of`},
		"twice":           {nil, []json.RawMessage{output(`{"result":"FAILURE","result":"SUCCESS","timestamp":"1772366400"` + rest)}, failed, pipelinerun.EndFailed, "given twice"},
		"no result":       {nil, []json.RawMessage{output(`{"timestamp":"1772366400"` + rest)}, failed, pipelinerun.EndFailed, `result: "" is not one of`},
		"PASSED":          {nil, []json.RawMessage{says("PASSED")}, failed, pipelinerun.EndFailed, `result: "PASSED" is not one of SUCCESS, FAILURE, WARNING, SKIPPED, ERROR`},
		"no time":         {nil, []json.RawMessage{output(`{"result":"SUCCESS"` + rest)}, failed, pipelinerun.EndFailed, "timestamp: missing, or neither"},
		"odd time":        {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"2026-03-01"` + rest)}, failed, pipelinerun.EndFailed, "timestamp: missing, or neither"},
		"time in a text":  {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"x 1772366400 y"` + rest)}, failed, pipelinerun.EndFailed, "timestamp: missing, or neither"},
		"time in the end": {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"x 1772366400"` + rest)}, failed, pipelinerun.EndFailed, "timestamp: missing, or neither"},
		"number as time":  {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":1772366400` + rest)}, failed, pipelinerun.EndFailed, "cannot unmarshal number"},
		"no successes":    {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400","failures":0,"warnings":0}`)}, failed, pipelinerun.EndFailed, "successes: required"},
		"negative":        {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400","successes":0,"failures":-1,"warnings":0}`)}, failed, pipelinerun.EndFailed, "failures: negative"},
		"no warnings":     {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400","successes":0,"failures":0}`)}, failed, pipelinerun.EndFailed, "warnings: required"},
		"all zero":        {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400","successes":0,"failures":0,"warnings":0}`)}, passed, pipelinerun.EndPassed, "passed"},
		"fraction":        {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400","successes":1.5,"failures":0,"warnings":0}`)}, failed, pipelinerun.EndFailed, "cannot unmarshal number"},
		"too deep":        {nil, []json.RawMessage{output(`{"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`)}, failed, pipelinerun.EndFailed, "depth over the limit of 16"},
		"too many values": {nil, []json.RawMessage{output(`{"x":[1` + strings.Repeat(",1", 10_000) + `]}`)}, failed, pipelinerun.EndFailed, "values over the limit of 10000"},
		"both, worst":     {nil, []json.RawMessage{output("{}"), says("FAILURE"), says("WARNING")}, failed, pipelinerun.EndFailed, `failed: the result of a cannot be read: result: "" is not one of SUCCESS, FAILURE, WARNING, SKIPPED, ERROR; b says FAILURE`},
	} {
		o := rules()
		if tt.change != nil {
			tt.change(&o)
		}
		run, tasks := aRun("True", "Succeeded", tt.values...)
		got := judge(t, run, tasks, o, noon)
		if got.Phase != tt.phase || got.End != tt.end || !strings.Contains(got.Details, tt.details) || !got.Ended.Equal(noon) {
			t.Errorf("%s: got %v, %v, %q, over at %v; want %v, %v, %q", name, got.Phase, got.End, got.Details, got.Ended, tt.phase, tt.end, tt.details)
		}
		if strings.HasPrefix(tt.details, "scan-1") && !strings.HasPrefix(got.Details, tt.details) || tt.phase == passed && got.Details != tt.details {
			t.Errorf("%s: got details %q; want %q", name, got.Details, tt.details)
		}
	}
}

// Of the results of a task, the first that tells of a test counts, under either name.
func TestJudgeFindsTheResult(t *testing.T) {
	run, tasks := aRun("True", "", says("SUCCESS"))
	for name, tt := range map[string]struct {
		results []pipelinerun.TaskRunResult
		want    scheduler.Phase
	}{
		"older name":        {[]pipelinerun.TaskRunResult{{Name: "HACBS_TEST_OUTPUT", Value: says("FAILURE")}}, failed},
		"two, first passes": {[]pipelinerun.TaskRunResult{{Name: "TEST_OUTPUT", Value: says("SUCCESS")}, {Name: "HACBS_TEST_OUTPUT", Value: says("FAILURE")}}, passed},
		"two, first fails":  {[]pipelinerun.TaskRunResult{{Name: "HACBS_TEST_OUTPUT", Value: says("FAILURE")}, {Name: "TEST_OUTPUT", Value: says("SUCCESS")}}, failed},
		"others":            {[]pipelinerun.TaskRunResult{{Name: "SCAN_OUTPUT", Value: says("FAILURE")}, {Name: "test_output", Value: says("FAILURE")}}, passed},
	} {
		tasks[0].Status.Results = tt.results
		if got := judge(t, run, tasks, rules(), noon); got.Phase != tt.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	run.Status.ChildReferences[0].PipelineTaskName = ""
	tasks[0].Status.Results = []pipelinerun.TaskRunResult{{Name: "TEST_OUTPUT", Value: says("FAILURE")}}
	equal(t, "details of a task without a name", judge(t, run, tasks, rules(), noon).Details, "failed: scan-1-a says FAILURE")
}

// What a run names is waited for, for as long as Patience and no longer.
func TestJudgeWaits(t *testing.T) {
	const forgiven = "; Tekton Chains did not sign it within 1m0s"
	until := noon.Add(time.Minute)
	run, tasks := aRun("True", "", says("SUCCESS"), says("FAILURE"))
	signed := run
	signed.Annotations = map[string]string{"chains.tekton.dev/signed": "failed"}
	timeless, stoppedRun := run, run
	timeless.Status.CompletionTime = nil
	ended("False", "Failed", noon)(&stoppedRun)
	waits := func(what string) pipelinerun.Result {
		return pipelinerun.Result{Phase: running, Details: "over, and waits for " + what, Wake: until}
	}
	over := func(p scheduler.Phase, e pipelinerun.End, details string, at time.Time) pipelinerun.Result {
		return pipelinerun.Result{Phase: p, End: e, Details: details, Ended: at}
	}
	late := noon.Add(time.Hour)
	for name, tt := range map[string]struct {
		run   pipelinerun.PipelineRun
		tasks []pipelinerun.TaskRun
		sign  bool
		now   time.Time
		want  pipelinerun.Result
	}{
		"tasks missing":           {run, tasks[:1], false, until.Add(-1), waits("1 of its 2 TaskRuns")},
		"all tasks missing":       {run, nil, false, noon, waits("2 of its 2 TaskRuns")},
		"given up":                {run, tasks[:1], false, until, over(failed, pipelinerun.EndUnknown, "2 TaskRuns are named, and 1 of them are not there", noon)},
		"tasks missing, timeless": {timeless, nil, false, late, over(failed, pipelinerun.EndUnknown, "2 TaskRuns are named, and 2 of them are not there", late)},
		"failed, tasks missing":   {stoppedRun, nil, false, noon, over(failed, pipelinerun.EndFailed, "failed: Failed", noon)},
		"not signed":              {run, tasks, true, until.Add(-1), waits("the signature of Tekton Chains")},
		"forgiven":                {run, tasks, true, until, over(failed, pipelinerun.EndFailed, "failed: b says FAILURE"+forgiven, noon)},
		"signed":                  {signed, tasks, true, noon, over(failed, pipelinerun.EndFailed, "failed: b says FAILURE", noon)},
		"signed, tasks missing":   {signed, nil, true, noon, waits("2 of its 2 TaskRuns")},
		"failed, not signed":      {stoppedRun, nil, true, noon, waits("the signature of Tekton Chains")},
		"not signed, timeless":    {timeless, tasks, true, late, over(failed, pipelinerun.EndFailed, "failed: b says FAILURE; Tekton Chains did not sign it", late)},
		"nobody asks":             {run, tasks, false, noon, over(failed, pipelinerun.EndFailed, "failed: b says FAILURE", noon)},
	} {
		o := rules()
		o.Signed, o.Patience = tt.sign, time.Minute
		equal(t, name, judge(t, tt.run, tt.tasks, o, tt.now), tt.want)
	}
}

// Neither the order of the TaskRuns nor that of the references matters.
func TestJudgeOrderDoesNotMatter(t *testing.T) {
	values := []json.RawMessage{says("SUCCESS"), says("FAILURE"), says("WARNING"), says("ERROR"), output("x")}
	rapid.Check(t, func(rt *rapid.T) {
		run, tasks := aRun("True", "", rapid.SliceOfN(rapid.SampledFrom(values), 0, 4).Draw(rt, "values")...)
		want := judge(t, run, tasks, rules(), noon)
		run.Status.ChildReferences = rapid.Permutation(run.Status.ChildReferences).Draw(rt, "references")
		equal(rt, "result", judge(t, run, rapid.Permutation(tasks).Draw(rt, "tasks"), rules(), noon), want)
	})
}
