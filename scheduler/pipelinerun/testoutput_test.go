package pipelinerun_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// What is in doubt keeps nobody from the rest.
func TestParseTestOutput(t *testing.T) {
	const counts = `"successes":3,"failures":2,"warnings":1`
	full := func(o pipelinerun.TestOutput) pipelinerun.TestOutput {
		o.Successes, o.Failures, o.Warnings = 3, 2, 1
		return o
	}
	for name, tt := range map[string]struct {
		text   string
		want   pipelinerun.TestOutput
		doubts []string
	}{
		"all":           {`{"result":"SUCCESS","timestamp":"2026-03-01T13:00:00+01:00",` + counts + `,"note":1,"namespace":[]}`, full(pipelinerun.TestOutput{Result: "SUCCESS", Time: noon}), nil},
		"seconds":       {`{"result":"WARNING","timestamp":"1772366400\n",` + counts + `}`, full(pipelinerun.TestOutput{Result: "WARNING", Time: noon}), nil},
		"a number":      {`{"result":"FAILURE","timestamp":1772366400,` + counts + `}`, full(pipelinerun.TestOutput{Result: "FAILURE", Time: noon}), nil},
		"0":             {`{"result":"SKIPPED","timestamp":"0",` + counts + `}`, full(pipelinerun.TestOutput{Result: "SKIPPED"}), nil},
		"no time":       {`{"result":"ERROR","timestamp":null,` + counts + `}`, full(pipelinerun.TestOutput{Result: "ERROR"}), nil},
		"milliseconds":  {`{"result":"ERROR","timestamp":1772366400000,` + counts + `}`, full(pipelinerun.TestOutput{Result: "ERROR"}), []string{`timestamp: "1772366400000" is neither RFC 3339 nor seconds since 1970`}},
		"a day":         {`{"result":"ERROR","timestamp":"2026-03-01",` + counts + `}`, full(pipelinerun.TestOutput{Result: "ERROR"}), []string{`timestamp: "2026-03-01" is neither RFC 3339 nor seconds since 1970`}},
		"unknown":       {`{"result":"GREEN",` + counts + `}`, full(pipelinerun.TestOutput{Result: "GREEN"}), []string{`result: "GREEN" is not one of SUCCESS, FAILURE, WARNING, SKIPPED, ERROR`}},
		"nothing":       {`{}`, pipelinerun.TestOutput{}, []string{`result: "" is not one of SUCCESS, FAILURE, WARNING, SKIPPED, ERROR`, "successes: required", "failures: required", "warnings: required"}},
		"negative":      {`{"result":"SUCCESS","successes":-3,"failures":-2,"warnings":-1}`, pipelinerun.TestOutput{Result: "SUCCESS", Successes: -3, Failures: -2, Warnings: -1}, []string{"successes: negative", "failures: negative", "warnings: negative"}},
		"as deep as it": {`{"result":"SUCCESS","timestamp":"0",` + counts + `,"x":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`, full(pipelinerun.TestOutput{Result: "SUCCESS"}), nil},
	} {
		got, doubts, err := pipelinerun.ParseTestOutput([]byte(tt.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got.Time = got.Time.UTC()
		equal(t, name, got, tt.want)
		var told []string
		for _, d := range doubts {
			told = append(told, d.Error())
		}
		equal(t, name+": doubts", told, tt.doubts)
	}
	for name, text := range map[string]string{
		"no JSON": "SUCCESS", "a list": "[]", "a result that is none": `{"result":1}`, "half a failure": `{"failures":0.5}`,
		"a key twice": `{"result":"FAILURE","result":"SUCCESS"}`, "a key in another case": `{"Result":"SUCCESS"}`,
		"too deep":        `{"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`,
		"too many values": `{"x":[1` + strings.Repeat(",1", 10_000) + `]}`,
	} {
		if got, doubts, err := pipelinerun.ParseTestOutput([]byte(text)); err == nil || doubts != nil || got != (pipelinerun.TestOutput{}) {
			t.Errorf("%s: got %+v, %v, %v; want an error alone", name, got, doubts, err)
		}
	}
}

// Failures are no pass, whatever the result says, and warnings make a success one with warnings.
func TestCounted(t *testing.T) {
	for _, tt := range []struct{ result, clean, warned, failed string }{
		{"SUCCESS", "SUCCESS", "WARNING", "FAILURE"},
		{"WARNING", "WARNING", "WARNING", "FAILURE"},
		{"SKIPPED", "SKIPPED", "SKIPPED", "FAILURE"},
		{"FAILURE", "FAILURE", "FAILURE", "FAILURE"},
		{"ERROR", "ERROR", "ERROR", "ERROR"},
		{"GREEN", "GREEN", "GREEN", "GREEN"},
	} {
		for _, n := range []int{1, 2, -1} {
			got := []string{
				pipelinerun.TestOutput{Result: tt.result, Successes: n}.Counted(), pipelinerun.TestOutput{Result: tt.result, Warnings: n}.Counted(),
				pipelinerun.TestOutput{Result: tt.result, Failures: n}.Counted(), pipelinerun.TestOutput{Result: tt.result, Failures: n, Warnings: 2}.Counted(),
			}
			if diff := cmp.Diff([]string{tt.clean, tt.warned, tt.failed, tt.failed}, got); diff != "" {
				t.Errorf("%s, %d (-want +got):\n%s", tt.result, n, diff)
			}
		}
	}
}

// What is written is read back, by those who parse it and by Judge.
func TestFormat(t *testing.T) {
	text, err := pipelinerun.TestOutput{Result: "FAILURE", Time: noon.Add(time.Second / 2), Successes: 1, Failures: 2}.Format()
	if want := `{"result":"FAILURE","timestamp":"2026-03-01T12:00:00Z","successes":1,"failures":2,"warnings":0}`; text != want || err != nil {
		t.Errorf("got %s, %v; want %s", text, err, want)
	}
	for name, o := range map[string]pipelinerun.TestOutput{
		"no result": {Time: noon}, "unknown": {Result: "GREEN"}, "negative": {Result: "SUCCESS", Warnings: -1},
		"no year": {Result: "SUCCESS", Time: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if text, err := o.Format(); err == nil || text != "" {
			t.Errorf("%s: got %q, %v; want an error alone", name, text, err)
		}
	}
	count := rapid.IntRange(0, 1000)
	rapid.Check(t, func(t *rapid.T) {
		o := pipelinerun.TestOutput{
			Result: rapid.SampledFrom([]string{"SUCCESS", "FAILURE", "WARNING", "SKIPPED", "ERROR"}).Draw(t, "result"),
			Time:   time.Unix(rapid.Int64Range(0, 1<<37).Draw(t, "time"), 0).UTC(), Successes: count.Draw(t, "successes"),
			Failures: count.Draw(t, "failures"), Warnings: count.Draw(t, "warnings"),
		}
		text, err := o.Format()
		if err != nil {
			t.Fatal(err)
		}
		back, doubts, err := pipelinerun.ParseTestOutput([]byte(text))
		back.Time = back.Time.UTC()
		if err != nil || doubts != nil {
			t.Errorf("%s: %v, %v", text, doubts, err)
		}
		equal(t, "read back", back, o)
		run, tasks := aRun("True", "Succeeded", output(text))
		result := pipelinerun.Judge(&run, pipelinerun.ByName(tasks), rules(), noon)
		if pass := o.Result == "SUCCESS" || o.Result == "WARNING" || o.Result == "SKIPPED"; (result.Phase == passed) != pass || strings.Contains(result.Details, "cannot be read") {
			t.Errorf("%s comes to %+v", text, result)
		}
	})
}
