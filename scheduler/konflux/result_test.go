package konflux_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
)

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
func aRun(status, reason string, values ...json.RawMessage) (konflux.PipelineRun, []konflux.TaskRun) {
	run := konflux.PipelineRun{Meta: konflux.Meta{Name: "scan-1"}}
	ended(status, reason, noon)(&run)
	var tasks []konflux.TaskRun
	for i, value := range values {
		task := konflux.TaskRun{Meta: konflux.Meta{Name: "scan-1-" + string(rune('a'+i))}}
		task.Status.Results = []konflux.TaskRunResult{{Name: "IMAGE", Value: output("x")}, {Name: "TEST_OUTPUT", Value: value}}
		tasks = append(tasks, task)
		run.Status.ChildReferences = append(run.Status.ChildReferences, konflux.ChildReference{Name: task.Name, PipelineTaskName: string(rune('a' + i))})
	}
	return run, tasks
}

func judge(t testing.TB, run konflux.PipelineRun, tasks []konflux.TaskRun, o konflux.Options, now time.Time) konflux.Result {
	t.Helper()
	r, err := konflux.Judge(run, tasks, o, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
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
		conditions []konflux.Condition
		want       konflux.Result
	}{
		"none":             {nil, konflux.Result{Phase: running, Status: konflux.InProgress, Details: "started"}},
		"another":          {[]konflux.Condition{{Type: "Ready", Status: "True"}}, konflux.Result{Phase: running, Status: konflux.InProgress, Details: "started"}},
		"Unknown":          {[]konflux.Condition{{Type: "Succeeded", Status: "Unknown", Reason: "Running"}}, konflux.Result{Phase: running, Status: konflux.InProgress, Details: "started"}},
		"being stopped":    {[]konflux.Condition{{Type: "Succeeded", Status: "Unknown", Reason: "CancelledRunFinally"}}, konflux.Result{Phase: running, Status: konflux.InProgress, Details: "started"}},
		"True":             {[]konflux.Condition{{Type: "Ready", Status: "False"}, {Type: "Succeeded", Status: "True", Reason: "Completed"}}, konflux.Result{Phase: passed, Status: konflux.TestPassed, Details: "passed", Ended: noon}},
		"Cancelled":        {[]konflux.Condition{{Type: "Succeeded", Status: "False", Reason: "Cancelled", Message: "by hand"}}, konflux.Result{Phase: canceled, Status: konflux.TestFail, Details: "Canceled: Cancelled: by hand", Ended: noon}},
		"CancelledFinally": {[]konflux.Condition{{Type: "Succeeded", Status: "False", Reason: "CancelledRunFinally"}}, konflux.Result{Phase: canceled, Status: konflux.TestFail, Details: "Canceled: CancelledRunFinally", Ended: noon}},
		"StoppedFinally":   {[]konflux.Condition{{Type: "Succeeded", Status: "False", Reason: "StoppedRunFinally"}}, konflux.Result{Phase: canceled, Status: konflux.TestFail, Details: "Canceled: StoppedRunFinally", Ended: noon}},
		"timeout":          {[]konflux.Condition{{Type: "Succeeded", Status: "False", Reason: "PipelineRunTimeout", Message: "1h"}}, konflux.Result{Phase: failed, Status: konflux.TestFail, Details: "failed: PipelineRunTimeout: 1h", Ended: noon}},
		"Failed":           {[]konflux.Condition{{Type: "Succeeded", Status: "False", Reason: "Failed"}}, konflux.Result{Phase: failed, Status: konflux.TestFail, Details: "failed: Failed", Ended: noon}},
		"no pipeline":      {[]konflux.Condition{{Type: "Succeeded", Status: "False", Reason: "CouldntGetPipeline"}}, konflux.Result{Phase: failed, Status: konflux.TestFail, Details: "failed: CouldntGetPipeline", Ended: noon}},
		"no reason":        {[]konflux.Condition{{Type: "Succeeded", Status: "False", Message: "who knows"}}, konflux.Result{Phase: failed, Status: konflux.TestFail, Details: "failed: who knows", Ended: noon}},
		"200 bytes":        {[]konflux.Condition{{Type: "Succeeded", Status: "False", Message: strings.Repeat("x", 200)}}, konflux.Result{Phase: failed, Status: konflux.TestFail, Details: "failed: " + strings.Repeat("x", 200), Ended: noon}},
		"long":             {[]konflux.Condition{{Type: "Succeeded", Status: "False", Message: strings.Repeat("é", 101)}}, konflux.Result{Phase: failed, Status: konflux.TestFail, Details: "failed: " + strings.Repeat("é", 98) + "...", Ended: noon}},
	} {
		run, _ := aRun("", "")
		run.Status.Conditions = tt.conditions
		equal(t, name, judge(t, run, nil, options(), noon.Add(time.Hour)), tt.want)
	}
}

func TestJudgeDeleted(t *testing.T) {
	late := noon.Add(time.Minute)
	run, _ := aRun("Unknown", "Running")
	run.DeletionTimestamp = &late
	equal(t, "live", judge(t, run, nil, options(), noon), konflux.Result{Phase: canceled, Status: konflux.Deleted, Details: "deleted before it was over", Ended: late})
	run.Annotations = map[string]string{"testdag.example.com/stopped": "true"}
	equal(t, "live, stopped by a plan", judge(t, run, nil, options(), noon), konflux.Result{Phase: stopped, Status: konflux.Deleted, Details: "deleted before it was over", Ended: late})
	ended("True", "", noon)(&run)
	equal(t, "over", judge(t, run, nil, options(), noon), konflux.Result{Phase: passed, Status: konflux.TestPassed, Details: "passed", Ended: noon})
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
		if got := judge(t, run, nil, options(), noon); got.Phase != tt.want {
			t.Errorf("%s, %s: got %v; want %v", tt.status, tt.reason, got.Phase, tt.want)
		}
	}
}

func TestJudgeOutputs(t *testing.T) {
	const rest = `,"successes":1,"failures":0,"warnings":0}`
	for name, tt := range map[string]struct {
		change  func(*konflux.Options)
		values  []json.RawMessage
		phase   scheduler.Phase
		status  konflux.Status
		details string
	}{
		"none":            {nil, nil, passed, konflux.TestPassed, "passed"},
		"success":         {nil, []json.RawMessage{says("SUCCESS"), says("SUCCESS")}, passed, konflux.TestPassed, "passed"},
		"failure":         {nil, []json.RawMessage{says("SUCCESS"), says("FAILURE")}, failed, konflux.TestFail, "failed: b says FAILURE"},
		"error":           {nil, []json.RawMessage{says("ERROR"), says("WARNING"), says("FAILURE")}, failed, konflux.TestFail, "failed: a says ERROR; c says FAILURE"},
		"warning":         {nil, []json.RawMessage{says("WARNING"), says("SUCCESS"), says("WARNING")}, passed, konflux.TestWarning, "passed with warnings: a, c"},
		"plain":           {func(o *konflux.Options) { o.PlainPass = true }, []json.RawMessage{says("WARNING")}, passed, konflux.TestPassed, "passed"},
		"plain failure":   {func(o *konflux.Options) { o.PlainPass = true }, []json.RawMessage{says("FAILURE")}, failed, konflux.TestFail, "failed: a says FAILURE"},
		"skipped":         {nil, []json.RawMessage{says("SKIPPED")}, passed, konflux.TestPassed, "passed"},
		"skipped, fails":  {func(o *konflux.Options) { o.Skipped = konflux.SkippedFails }, []json.RawMessage{says("SKIPPED")}, failed, konflux.TestFail, "failed: a says SKIPPED"},
		"seconds":         {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400"` + rest)}, passed, konflux.TestPassed, "passed"},
		"without a zone":  {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"2026-03-01T12:00:00.5"` + rest)}, passed, konflux.TestPassed, "passed"},
		"with a zone":     {nil, []json.RawMessage{output(`{"result":"SUCCESS","note":"x","namespace":"y","new":1,"timestamp":"2026-03-01T12:00:00+01:00"` + rest)}, passed, konflux.TestPassed, "passed"},
		"a list":          {nil, []json.RawMessage{json.RawMessage(`["SUCCESS"]`)}, failed, konflux.TestFail, "failed: the result of a cannot be read: it is not text"},
		"no value":        {nil, []json.RawMessage{nil}, failed, konflux.TestFail, "failed: the result of a cannot be read: it is not text"},
		"empty":           {nil, []json.RawMessage{output("")}, failed, konflux.TestFail, "failed: the result of a cannot be read: unexpected EOF"},
		"no JSON":         {nil, []json.RawMessage{says("SUCCESS"), output("SUCCESS")}, failed, konflux.TestFail, "failed: the result of b cannot be read: "},
		"null":            {nil, []json.RawMessage{output("null")}, failed, konflux.TestFail, "failed: the result of a cannot be read: result is missing"},
		"twice":           {nil, []json.RawMessage{output(`{"result":"FAILURE","result":"SUCCESS","timestamp":"1772366400"` + rest)}, failed, konflux.TestFail, "given twice"},
		"no result":       {nil, []json.RawMessage{output(`{"timestamp":"1772366400"` + rest)}, failed, konflux.TestFail, "result is missing"},
		"PASSED":          {nil, []json.RawMessage{says("PASSED")}, failed, konflux.TestFail, `unknown result "PASSED"; want one of [SUCCESS FAILURE WARNING SKIPPED ERROR]`},
		"no time":         {nil, []json.RawMessage{output(`{"result":"SUCCESS"` + rest)}, failed, konflux.TestFail, "timestamp is missing, or neither"},
		"odd time":        {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"2026-03-01"` + rest)}, failed, konflux.TestFail, "timestamp is missing, or neither"},
		"time in a text":  {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"x 1772366400 y"` + rest)}, failed, konflux.TestFail, "timestamp is missing, or neither"},
		"number as time":  {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":1772366400` + rest)}, failed, konflux.TestFail, "cannot unmarshal number"},
		"no successes":    {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400","failures":0,"warnings":0}`)}, failed, konflux.TestFail, "successes is missing, or negative"},
		"negative":        {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400","successes":0,"failures":-1,"warnings":0}`)}, failed, konflux.TestFail, "failures is missing, or negative"},
		"no warnings":     {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400","successes":0,"failures":0}`)}, failed, konflux.TestFail, "warnings is missing, or negative"},
		"all zero":        {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400","successes":0,"failures":0,"warnings":0}`)}, passed, konflux.TestPassed, "passed"},
		"fraction":        {nil, []json.RawMessage{output(`{"result":"SUCCESS","timestamp":"1772366400","successes":1.5,"failures":0,"warnings":0}`)}, failed, konflux.TestFail, "cannot unmarshal number"},
		"too deep":        {nil, []json.RawMessage{output(`{"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`)}, failed, konflux.TestFail, "depth over the limit of 16"},
		"too many values": {nil, []json.RawMessage{output(`{"x":[1` + strings.Repeat(",1", 10_000) + `]}`)}, failed, konflux.TestFail, "values over the limit of 10000"},
		"both, worst":     {nil, []json.RawMessage{output("{}"), says("FAILURE"), says("WARNING")}, failed, konflux.TestFail, "failed: the result of a cannot be read: result is missing; b says FAILURE"},
	} {
		o := options()
		if tt.change != nil {
			tt.change(&o)
		}
		run, tasks := aRun("True", "Succeeded", tt.values...)
		got := judge(t, run, tasks, o, noon)
		if got.Phase != tt.phase || got.Status != tt.status || !strings.Contains(got.Details, tt.details) || !got.Ended.Equal(noon) {
			t.Errorf("%s: got %v, %s, %q, over at %v; want %v, %s, %q", name, got.Phase, got.Status, got.Details, got.Ended, tt.phase, tt.status, tt.details)
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
		results []konflux.TaskRunResult
		want    scheduler.Phase
	}{
		"older name":        {[]konflux.TaskRunResult{{Name: "HACBS_TEST_OUTPUT", Value: says("FAILURE")}}, failed},
		"two, first passes": {[]konflux.TaskRunResult{{Name: "TEST_OUTPUT", Value: says("SUCCESS")}, {Name: "HACBS_TEST_OUTPUT", Value: says("FAILURE")}}, passed},
		"two, first fails":  {[]konflux.TaskRunResult{{Name: "HACBS_TEST_OUTPUT", Value: says("FAILURE")}, {Name: "TEST_OUTPUT", Value: says("SUCCESS")}}, failed},
		"others":            {[]konflux.TaskRunResult{{Name: "SCAN_OUTPUT", Value: says("FAILURE")}, {Name: "test_output", Value: says("FAILURE")}}, passed},
	} {
		tasks[0].Status.Results = tt.results
		if got := judge(t, run, tasks, options(), noon); got.Phase != tt.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	run.Status.ChildReferences[0].PipelineTaskName = ""
	tasks[0].Status.Results = []konflux.TaskRunResult{{Name: "TEST_OUTPUT", Value: says("FAILURE")}}
	equal(t, "details of a task without a name", judge(t, run, tasks, options(), noon).Details, "failed: scan-1-a says FAILURE")
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
	waits := func(what string) konflux.Result {
		return konflux.Result{Phase: running, Status: konflux.InProgress, Details: "over, and waits for " + what, Wake: until}
	}
	over := func(p scheduler.Phase, s konflux.Status, details string, at time.Time) konflux.Result {
		return konflux.Result{Phase: p, Status: s, Details: details, Ended: at}
	}
	late := noon.Add(time.Hour)
	for name, tt := range map[string]struct {
		run   konflux.PipelineRun
		tasks []konflux.TaskRun
		sign  bool
		now   time.Time
		want  konflux.Result
	}{
		"tasks missing":           {run, tasks[:1], false, until.Add(-1), waits("1 of its 2 TaskRuns")},
		"all tasks missing":       {run, nil, false, noon, waits("2 of its 2 TaskRuns")},
		"given up":                {run, tasks[:1], false, until, over(failed, konflux.TestInvalid, "2 TaskRuns are named, and 1 of them are not there", noon)},
		"tasks missing, timeless": {timeless, nil, false, late, over(failed, konflux.TestInvalid, "2 TaskRuns are named, and 2 of them are not there", late)},
		"failed, tasks missing":   {stoppedRun, nil, false, noon, over(failed, konflux.TestFail, "failed: Failed", noon)},
		"not signed":              {run, tasks, true, until.Add(-1), waits("the signature of Tekton Chains")},
		"forgiven":                {run, tasks, true, until, over(failed, konflux.TestFail, "failed: b says FAILURE"+forgiven, noon)},
		"signed":                  {signed, tasks, true, noon, over(failed, konflux.TestFail, "failed: b says FAILURE", noon)},
		"signed, tasks missing":   {signed, nil, true, noon, waits("2 of its 2 TaskRuns")},
		"failed, not signed":      {stoppedRun, nil, true, noon, waits("the signature of Tekton Chains")},
		"not signed, timeless":    {timeless, tasks, true, late, over(failed, konflux.TestFail, "failed: b says FAILURE; Tekton Chains did not sign it", late)},
		"nobody asks":             {run, tasks, false, noon, over(failed, konflux.TestFail, "failed: b says FAILURE", noon)},
	} {
		o := options()
		o.Signed, o.Patience = tt.sign, time.Minute
		equal(t, name, judge(t, tt.run, tt.tasks, o, tt.now), tt.want)
	}
}

// Neither the order of the TaskRuns nor that of the references matters.
func TestJudgeOrderDoesNotMatter(t *testing.T) {
	values := []json.RawMessage{says("SUCCESS"), says("FAILURE"), says("WARNING"), says("ERROR"), output("x")}
	rapid.Check(t, func(rt *rapid.T) {
		run, tasks := aRun("True", "", rapid.SliceOfN(rapid.SampledFrom(values), 0, 4).Draw(rt, "values")...)
		want := judge(t, run, tasks, options(), noon)
		run.Status.ChildReferences = rapid.Permutation(run.Status.ChildReferences).Draw(rt, "references")
		equal(rt, "result", judge(t, run, rapid.Permutation(tasks).Draw(rt, "tasks"), options(), noon), want)
	})
}
