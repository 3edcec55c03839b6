package scan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
)

// summary is that of a log without viruses and errors, with some of its lines replaced, given as old and new.
func summary(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(`----------- SCAN SUMMARY -----------
Known viruses: 8
Scanned files: 3
Infected files: 0
Time: 4.218 sec (0 m 4 s)
`)
}

func TestClamAV(t *testing.T) {
	infected := []string{
		"/image/content/opt/eicar.com: Win.Test.EICAR_HDB-1", "/image/content/opt/eicar.com: Eicar-Signature",
		"/image/content/srv/note: readme.txt: Unix.Trojan.Mirai-7",
	}
	tests := []struct {
		name, text string
		want       intoto.TestResult
	}{
		{"clean", sample(t, "clamav/clean.log"), intoto.TestResult{Result: intoto.Passed, Successes: 2}},
		{"infected", sample(t, "clamav/infected.log"), intoto.TestResult{Result: intoto.Failed, Successes: 202, Failures: 2, FailedTests: infected}},
		{"errors", sample(t, "clamav/errors.log"), intoto.TestResult{
			Result: intoto.Errored, Successes: 8, Failures: 1, FailedTests: []string{"/image/content/opt/eicar.com: Win.Test.EICAR_HDB-1"},
		}},
		{"clamdscan", sample(t, "clamav/clamdscan.log"), intoto.TestResult{Result: intoto.Passed, Successes: 1}},
		{"two architectures", sample(t, "clamav/two-architectures.log"), intoto.TestResult{Result: intoto.Failed, Successes: 204, Failures: 2, FailedTests: infected}},
		{"the first is infected", sample(t, "clamav/infected.log") + sample(t, "clamav/clean.log"), intoto.TestResult{Result: intoto.Failed, Successes: 204, Failures: 2, FailedTests: infected}},
		{"the first has errors", sample(t, "clamav/errors.log") + sample(t, "clamav/clean.log"), intoto.TestResult{
			Result: intoto.Errored, Successes: 10, Failures: 1, FailedTests: []string{"/image/content/opt/eicar.com: Win.Test.EICAR_HDB-1"},
		}},
		{"summaries alone", summary() + summary("files: 0", "files: 1"), intoto.TestResult{Result: intoto.Failed, Successes: 5, Failures: 1}},
		{"no lines of infected files", summary("Infected files: 0", "Infected files: 2"), intoto.TestResult{Result: intoto.Failed, Successes: 1, Failures: 2}},
		{"one file twice", "a: V FOUND\na: V FOUND\n" + summary("Infected files: 0", "Infected files: 2"), intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 2, FailedTests: []string{"a: V", "a: V"},
		}},
		{"heuristics", "a: Heuristics.Broken.Executable FOUND\n" + summary("Infected files: 0", "Infected files: 1"), intoto.TestResult{
			Result: intoto.Warned, Successes: 2, Warnings: 1, WarnedTests: []string{"a: Heuristics.Broken.Executable"},
		}},
		{"heuristics and a virus", "a: Heuristics.Encrypted.Zip FOUND\nb: V FOUND\n" + summary("Infected files: 0", "Infected files: 2"), intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, Warnings: 1, FailedTests: []string{"b: V"}, WarnedTests: []string{"a: Heuristics.Encrypted.Zip"},
		}},
		{"heuristics and a virus in one file", "a: Heuristics.Encrypted.Zip FOUND\na: V FOUND\n" + summary("Infected files: 0", "Infected files: 1"), intoto.TestResult{
			Result: intoto.Failed, Successes: 2, Failures: 1, FailedTests: []string{"a: V"}, WarnedTests: []string{"a: Heuristics.Encrypted.Zip"},
		}},
		{"a virus and heuristics in one file", "a: V FOUND\na: Heuristics.Encrypted.Zip FOUND\n" + summary("Infected files: 0", "Infected files: 1"), intoto.TestResult{
			Result: intoto.Failed, Successes: 2, Failures: 1, FailedTests: []string{"a: V"}, WarnedTests: []string{"a: Heuristics.Encrypted.Zip"},
		}},
		{"heuristics in one architecture, a virus in the other", "a: Heuristics.Encrypted.Zip FOUND\n" + summary("Infected files: 0", "Infected files: 1") +
			"a: V FOUND\n" + summary("Infected files: 0", "Infected files: 1"), intoto.TestResult{
			Result: intoto.Failed, Successes: 4, Failures: 1, Warnings: 1, FailedTests: []string{"a: V"}, WarnedTests: []string{"a: Heuristics.Encrypted.Zip"},
		}},
		{"heuristics with an error", "a: Heuristics.Limits.Exceeded.MaxFileSize FOUND\nb: Can't open file ERROR\n" + summary("Infected files: 0", "Infected files: 1"), intoto.TestResult{
			Result: intoto.Errored, Successes: 2, Warnings: 1, WarnedTests: []string{"a: Heuristics.Limits.Exceeded.MaxFileSize"},
		}},
		{"a file that is called heuristics", "a: Heuristics.X FOUND: V FOUND\nHeuristics.b: V FOUND\n" + summary("Infected files: 0", "Infected files: 2"), intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 2, FailedTests: []string{"a: Heuristics.X FOUND: V", "Heuristics.b: V"},
		}},
		{"a signature that only contains the word", "a: Win.Heuristics.X FOUND\n" + summary("Infected files: 0", "Infected files: 1"), intoto.TestResult{
			Result: intoto.Failed, Successes: 2, Failures: 1, FailedTests: []string{"a: Win.Heuristics.X"},
		}},
		{"an error without a count", "a: Can't open file ERROR\n" + summary(), intoto.TestResult{Result: intoto.Errored, Successes: 3}},
		{"a file that may not be read", "a: Access denied\n" + summary(), intoto.TestResult{Result: intoto.Errored, Successes: 3}},
		{"an error of no file", "ERROR: Can't access file a\n" + summary(), intoto.TestResult{Result: intoto.Errored, Successes: 3}},
		{"an error is of its log", "a: Can't open file ERROR\n" + summary() + "b: OK\n" + summary(), intoto.TestResult{Result: intoto.Errored, Successes: 6}},
		{"errors that are only counted", summary("Time", "Total errors: 1\nTime"), intoto.TestResult{Result: intoto.Errored, Successes: 3}},
		{"lines end as on Windows", strings.ReplaceAll("a: V FOUND\n"+summary("Infected files: 0", "Infected files: 1"), "\n", "\r\n"), intoto.TestResult{
			Result: intoto.Failed, Successes: 2, Failures: 1, FailedTests: []string{"a: V"},
		}},
		{"not UTF-8", "a\xff: V FOUND\n" + summary("Infected files: 0", "Infected files: 1"), intoto.TestResult{
			Result: intoto.Failed, Successes: 2, Failures: 1, FailedTests: []string{"a\uFFFD: V"},
		}},
		{"a file whose name looks like a summary", "a\n" + summary("Scanned files: 3", "Scanned files: 1") + ": V FOUND\n" + summary("Infected files: 0", "Infected files: 1"), intoto.TestResult{
			Result: intoto.Failed, Successes: 3, Failures: 1, FailedTests: []string{": V"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Timestamp = noon
			if diff := cmp.Diff(tt.want, mustRead(t, ClamAV, tt.text, asked)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClamAVDidNotRun(t *testing.T) {
	wantRefused[*NotRunError](t, ClamAV, []refusal{
		{"empty", "", "cut off"},
		{"no summary", "a: OK\n", "cut off"},
		{"summary without an end", summary("Time", "Tim"), "cut off"},
		{"two summaries, the first without an end", summary("Time", "Tim") + summary(), "cut off"},
		{"the second log is cut off", summary() + "a: OK\n", "cut off"},
		{"no files", summary("Scanned files: 3", "Scanned files: 0"), "no file was scanned"},
		{"one architecture had no files", summary() + summary("Scanned files: 3", "Scanned files: 0"), "no file was scanned"},
		{"clamdscan with infected files only", summary("Scanned files: 3\n", ""), "no file was scanned"},
		{"clamdscan had files in the other log", "a: OK\n" + summary("Scanned files: 3\n", "") + summary("Scanned files: 3\n", ""), "no file was scanned"},
		{"no viruses", summary("Known viruses: 8", "Known viruses: 0"), "the scanner knew no virus"},
	})
}

func TestNoClamAV(t *testing.T) {
	wantRefused[*FormatError](t, ClamAV, []refusal{
		{"fewer lines than infected", "a: V FOUND\n" + summary("Infected files: 0", "Infected files: 2"), "lines name 1 infected files, the summary counts 2"},
		{"more lines than infected", "a: V FOUND\nb: V FOUND\n" + summary("Infected files: 0", "Infected files: 1"), "lines name 2"},
		{"heuristics in a name with a line end", "p\nfake: Heuristics.X FOUND\nq: V FOUND\n" + summary("Infected files: 0", "Infected files: 1"), "lines name 2 infected files"},
		{"heuristics and none infected", "a: Heuristics.X FOUND\n" + summary(), "lines name 1 infected files"},
		{"a virus and none infected", "a: V FOUND\n" + summary(), "lines name 1 infected files, the summary counts 0"},
		{"more infected than scanned", summary("Infected files: 0", "Infected files: 4"), "summary: 4 infected of 3 files"},
		{"no count of infected", summary("Infected", "Other"), "summary: it does not say"},
		{"no number", summary("Infected files: 0", "Infected files: none"), `line 4: Infected files: "none" is no count`},
		{"negative", summary("Scanned files: 3", "Scanned files: -3"), "line 3: Scanned files: "},
		{"a count twice", summary("Time", "Infected files: 0\nTime"), "line 5: Infected files: given twice"},
	})
}
