package scan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
)

// outputOf is a TEST_OUTPUT.
func outputOf(result, timestamp, counts string) string {
	return `{"result":` + result + `,"timestamp":` + timestamp + `,` + counts + `,"namespace":"required_checks","note":"For details, check the log."}`
}

const noCounts = `"successes":0,"failures":0,"warnings":0`

func TestTestOutput(t *testing.T) {
	ended := time.Date(2026, 3, 1, 11, 58, 51, 0, time.UTC)
	tests := []struct {
		name, text string
		want       intoto.TestResult
	}{
		{"success", sample(t, "testoutput/success.json"), intoto.TestResult{Result: intoto.Passed, Successes: 2, Timestamp: ended}},
		{"put together", sample(t, "testoutput/aggregated.json"), intoto.TestResult{Result: intoto.Failed, Successes: 1, Failures: 1, Timestamp: ended}},
		{"warning", outputOf(`"WARNING"`, `"2026-03-01T12:58:51.5+01:00"`, `"successes":1,"failures":0,"warnings":2`), intoto.TestResult{
			Result: intoto.Warned, Successes: 1, Warnings: 2, Timestamp: ended.Add(time.Second / 2),
		}},
		{"seconds of date", outputOf(`"SKIPPED"`, `"1772366331\n"`, noCounts), intoto.TestResult{Result: intoto.Skipped, Timestamp: ended}},
		{"skipped", outputOf(`"SKIPPED"`, `1772366331`, noCounts), intoto.TestResult{Result: intoto.Skipped, Timestamp: ended}},
		{"error", outputOf(`"ERROR"`, `0`, noCounts), intoto.TestResult{Result: intoto.Errored, Timestamp: noon}},
		{"no time", outputOf(`"SUCCESS"`, `"0"`, noCounts), intoto.TestResult{Result: intoto.Passed, Timestamp: noon}},
		{"empty time", outputOf(`"SUCCESS"`, `""`, noCounts), intoto.TestResult{Result: intoto.Passed, Timestamp: noon}},
		{"null time", outputOf(`"SUCCESS"`, `null`, noCounts), intoto.TestResult{Result: intoto.Passed, Timestamp: noon}},
		{"time is absent", `{"result":"SUCCESS",` + noCounts + `}`, intoto.TestResult{Result: intoto.Passed, Timestamp: noon}},
		{"success with failures", outputOf(`"SUCCESS"`, `0`, `"successes":1,"failures":2,"warnings":0`), intoto.TestResult{Result: intoto.Failed, Successes: 1, Failures: 2, Timestamp: noon}},
		{"warning with failures", outputOf(`"WARNING"`, `0`, `"successes":1,"failures":2,"warnings":1`), intoto.TestResult{Result: intoto.Failed, Successes: 1, Failures: 2, Warnings: 1, Timestamp: noon}},
		{"skipped with failures", outputOf(`"SKIPPED"`, `0`, `"successes":0,"failures":2,"warnings":0`), intoto.TestResult{Result: intoto.Failed, Failures: 2, Timestamp: noon}},
		{"error with failures", outputOf(`"ERROR"`, `0`, `"successes":0,"failures":2,"warnings":0`), intoto.TestResult{Result: intoto.Errored, Failures: 2, Timestamp: noon}},
		{"success with warnings", outputOf(`"SUCCESS"`, `0`, `"successes":1,"failures":0,"warnings":3`), intoto.TestResult{Result: intoto.Warned, Successes: 1, Warnings: 3, Timestamp: noon}},
		{"failure with warnings", outputOf(`"FAILURE"`, `0`, `"successes":1,"failures":0,"warnings":3`), intoto.TestResult{Result: intoto.Failed, Successes: 1, Warnings: 3, Timestamp: noon}},
		{"skipped with warnings", outputOf(`"SKIPPED"`, `0`, `"successes":0,"failures":0,"warnings":3`), intoto.TestResult{Result: intoto.Skipped, Warnings: 3, Timestamp: noon}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mustRead(t, TestOutput, tt.text, asked)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNoTestOutput(t *testing.T) {
	wantRefused[*FormatError](t, TestOutput, []refusal{
		{"empty", "", "it ends too early"},
		{"no JSON", "SUCCESS", "no JSON at byte 1"},
		{"a list", "[]", "at its top: a list, want an object"},
		{"a key twice", `{"result":"FAILURE","result":"SUCCESS",` + noCounts + `}`, "given twice"},
		{"a key in another case", `{"result":"SUCCESS","Failures":1,` + noCounts + `}`, "differs from"},
		{"two values", outputOf(`"SUCCESS"`, `0`, noCounts) + "{}", "more than one"},
		{"unknown result", outputOf(`"GREAT"`, `0`, noCounts), `result: "GREAT" is not one of`},
		{"no result", `{` + noCounts + `}`, `result: "" is not one of`},
		{"our own word alone", outputOf(`"SCANNED"`, `0`, noCounts), "result"},
		{"no counts", outputOf(`"SUCCESS"`, `0`, `"x":0`), "successes: required"},
		{"half a failure", outputOf(`"SUCCESS"`, `0`, `"successes":0,"failures":0.5,"warnings":0`), "failures: a number, want a whole number"},
		{"negative", outputOf(`"SUCCESS"`, `0`, `"successes":0,"failures":-1,"warnings":0`), "failures: negative"},
		{"time in words", outputOf(`"SUCCESS"`, `"yesterday"`, noCounts), `timestamp: "yesterday" is neither`},
		{"time without a zone", outputOf(`"SUCCESS"`, `"2026-03-01T11:58:51"`, noCounts), "timestamp: "},
		{"time in milliseconds", outputOf(`"SUCCESS"`, `1772366331000`, noCounts), "timestamp: "},
		{"time is a list", outputOf(`"SUCCESS"`, `[]`, noCounts), "timestamp: "},
		{"several mistakes, the first", outputOf(`"GREAT"`, `[]`, `"successes":-1,"warnings":0`), `result: "GREAT"`},
		{"several mistakes, the second", outputOf(`"GREAT"`, `[]`, `"successes":-1,"warnings":0`), "successes: negative"},
		{"several mistakes, the third", outputOf(`"GREAT"`, `[]`, `"successes":-1,"warnings":0`), "failures: required"},
		{"several mistakes, the last", outputOf(`"GREAT"`, `[]`, `"successes":-1,"warnings":0`), "timestamp: "},
	})
}
