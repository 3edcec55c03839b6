package scan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
)

// events are lines of go test -json, each given as action, package and perhaps test. The first is at noon, and a second
// lies between two.
func events(short ...string) string {
	var b strings.Builder
	for i, s := range short {
		f := append(strings.Fields(s), "")
		fmt.Fprintf(&b, `{"Time":%q,"Action":%q,"Package":%q,"Test":%q}`+"\n", noon.Add(time.Duration(i)*time.Second).Format(time.RFC3339), f[0], f[1], f[2])
	}
	return b.String()
}

// builds are those that failed.
func builds(ids ...string) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, `{"ImportPath":%q,"Action":"build-fail"}`+"\n", id)
	}
	return b.String()
}

func TestGoTest(t *testing.T) {
	const cart = "example.com/shop/cart."
	second := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }
	ms := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Millisecond) }
	tests := []struct {
		name, text string
		want       intoto.TestResult
	}{
		{"passed", sample(t, "gotest/passed.json"), intoto.TestResult{
			Result: intoto.Passed, Successes: 2, PassedTests: []string{cart + "TestAdd/twice", cart + "TestAdd"}, Timestamp: ms(-8190),
		}},
		{"failed", sample(t, "gotest/failed.json"), intoto.TestResult{
			Result: intoto.Failed, Successes: 3, Failures: 3, Timestamp: ms(-7963),
			PassedTests: []string{cart + "TestAdd/twice", cart + "TestAdd", "example.com/shop/pay.TestCard"},
			FailedTests: []string{"example.com/shop/broken", "example.com/shop/pay.TestRefund", "example.com/shop/pay.TestLedger"},
		}},
		{"skipped", sample(t, "gotest/skipped.json"), intoto.TestResult{Result: intoto.Skipped, Timestamp: ms(-7770)}},
		{"benchmark", sample(t, "gotest/benchmark.json"), intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{cart + "BenchmarkAdd"}, Timestamp: ms(-7556),
		}},
		{"benchmark of an older Go", events(`run p BenchmarkA`, `bench p BenchmarkA`, `pass p`), intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"p.BenchmarkA"}, Timestamp: second(2),
		}},
		{"panic", events(`run p B`, `run p A`, `output p A`, `fail p`), intoto.TestResult{
			Result: intoto.Failed, Failures: 2, FailedTests: []string{"p.A", "p.B"}, Timestamp: second(3),
		}},
		{"no end of a test in a package that passed", events(`run p A`, `run p B`, `pass p B`, `pass p`), intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Failures: 1, PassedTests: []string{"p.B"}, FailedTests: []string{"p.A"}, Timestamp: second(3),
		}},
		{"no end of a subtest", events(`run p A`, `run p A/x`, `pass p A`, `pass p`), intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Failures: 1, PassedTests: []string{"p.A"}, FailedTests: []string{"p.A/x"}, Timestamp: second(3),
		}},
		{"no end of an example or a fuzz test", events(`run p ExampleA`, `run p FuzzBenchmark`, `skip p`), intoto.TestResult{
			Result: intoto.Errored, Failures: 2, FailedTests: []string{"p.ExampleA", "p.FuzzBenchmark"}, Timestamp: second(2),
		}},
		{"no end of a package", events(`pass p A`, `pass p`, `start q`, `pass q A`), intoto.TestResult{
			Result: intoto.Errored, Successes: 2, Failures: 1, PassedTests: []string{"p.A", "q.A"}, FailedTests: []string{"q"}, Timestamp: second(3),
		}},
		{"cut off within a test", events(`run p A`, `fail p A`, `run p B`), intoto.TestResult{
			Result: intoto.Errored, Failures: 3, FailedTests: []string{"p.A", "p.B", "p"}, Timestamp: second(2),
		}},
		{"cut off when run again", events(`pass p A`, `pass p`, `start p`), intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Failures: 1, PassedTests: []string{"p.A"}, FailedTests: []string{"p"}, Timestamp: second(2),
		}},
		{"cut off when run again without a start", events(`pass p A`, `pass p`, `run p A`), intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Failures: 2, PassedTests: []string{"p.A"}, FailedTests: []string{"p.A", "p"}, Timestamp: second(2),
		}},
		{"cut off before its first test", events(`pass p A`, `pass p`, `start q`), intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Failures: 1, PassedTests: []string{"p.A"}, FailedTests: []string{"q"}, Timestamp: second(2),
		}},
		{"exit between tests", events(`pass p A`, `fail p`), intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, PassedTests: []string{"p.A"}, FailedTests: []string{"p"}, Timestamp: second(1),
		}},
		{"a test failed and its package did not", events(`fail p A`, `pass p`), intoto.TestResult{
			Result: intoto.Failed, Failures: 1, FailedTests: []string{"p.A"}, Timestamp: second(1),
		}},
		{"a build for two packages", builds("lib") + events(`pass q A`, `pass q`) +
			`{"Action":"fail","Package":"p","FailedBuild":"lib"}` + "\n" + builds("lib") + `{"Action":"fail","Package":"r","FailedBuild":"lib"}`, intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 2, PassedTests: []string{"q.A"}, FailedTests: []string{"p", "r"}, Timestamp: second(1),
		}},
		{"a build for no package", builds("lib") + events(`pass p A`, `pass p`) + builds("lib"), intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, PassedTests: []string{"p.A"}, FailedTests: []string{"lib"}, Timestamp: second(1),
		}},
		{"twice, and the second time nothing ran", events(`fail p A`, `fail p`, `start p`, `fail p`), intoto.TestResult{
			Result: intoto.Failed, Failures: 2, FailedTests: []string{"p.A", "p"}, Timestamp: second(3),
		}},
		{"lines of go itself", "go: downloading x\n\n# p\nFAIL\tq [setup failed]\nFAIL\n" + events(`pass p A`, `pass p`), intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, PassedTests: []string{"p.A"}, FailedTests: []string{"q"}, Timestamp: second(1),
		}},
		{"go itself says it too", events(`fail q`) + "FAIL\tq [build failed]\n", intoto.TestResult{
			Result: intoto.Failed, Failures: 1, FailedTests: []string{"q"}, Timestamp: noon,
		}},
		{"the latest is not the last", events(`start p`, `pass p A`) + `{"Time":"2026-03-01T11:00:00Z","Action":"pass","Package":"p"}`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"p.A"}, Timestamp: second(1),
		}},
		{"no times", `{"Action":"pass","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p"}`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"p.A"}, Timestamp: noon,
		}},
		{"no package", `{"Action":"start"}` + "\n" + `{"Action":"run","Test":"A"}` + "\n" + `{"Action":"pass","Test":"A"}` + "\n" + `{"Action":"run","Test":"B"}` + "\n" + `{"Action":"fail"}`, intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, PassedTests: []string{"A"}, FailedTests: []string{"B"}, Timestamp: noon,
		}},
		{"no package beside one that passed", events(`pass p A`, `pass p`) + `{"Action":"fail","Test":"B"}` + "\n" + `{"Action":"fail"}`, intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, PassedTests: []string{"p.A"}, FailedTests: []string{"B"}, Timestamp: second(1),
		}},
		{"no package, cut off", events(`pass p A`, `pass p`) + `{"Action":"run","Test":"B"}`, intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Failures: 2, PassedTests: []string{"p.A"}, FailedTests: []string{"B", ""}, Timestamp: second(1),
		}},
		{"what is unknown", `{"Action":"attr","Package":"p","Test":"A","Key":"k","Value":"v"}` + "\n" + `{"Action":"new"}` + "\n" + events(`new p`, `pass p A`, `pass p`), intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"p.A"}, Timestamp: second(2),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mustRead(t, GoTest, tt.text, asked)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Tests that have ended make room for others to run.
func TestGoTestRoom(t *testing.T) {
	few := asked
	few.Limits.Findings = 2
	log := events(`run p A`, `skip p A`, `run q A`, `skip q A`, `run p B`, `run p B`, `run q B`, `skip q B`, `skip p B`, `run p C`, `run q C`, `pass p`, `pass q`)
	want := intoto.TestResult{Result: intoto.Errored, Failures: 2, FailedTests: []string{"p.C", "q.C"}, Timestamp: noon.Add(12 * time.Second)}
	if diff := cmp.Diff(want, mustRead(t, GoTest, log, few)); diff != "" {
		t.Error(diff)
	}
}

func TestGoTestDidNotRun(t *testing.T) {
	wantRefused[*NotRunError](t, GoTest, []refusal{
		{"empty", "", "no test ran"},
		{"no test files", sample(t, "gotest/empty.json"), "no test ran"},
		{"no tests", events(`start p`, `pass p`), "no test ran"},
		{"only words", "go: go.mod file not found\n", "no test ran"},
	})
}

func TestNoGoTest(t *testing.T) {
	wantRefused[*FormatError](t, GoTest, []refusal{
		{"half an event", events(`pass p A`) + `{"Action":"pa`, "line 2: "},
		{"a key twice", `{"Action":"pass","Action":"fail"}`, "line 1: "},
		{"a time that is none", `{"Time":"now","Action":"pass"}`, `line 1: the time "now" is not RFC 3339`},
		{"an action that is no text", `{"Action":1}`, "line 1: Action: a number, want text"},
		{"no JSON", `{"Action":}`, "line 1: "},
		{"deep", `{"x":` + strings.Repeat("[", 10), "line 1: depth"},
	})
}
