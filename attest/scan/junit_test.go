package scan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
)

func TestJUnit(t *testing.T) {
	tests := []struct {
		name, text string
		want       intoto.TestResult
	}{
		{"surefire", sample(t, "junit/surefire.xml"), intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Failures: 3, Warnings: 1, Timestamp: noon,
			PassedTests: []string{"com.example.CartTest.adds"}, WarnedTests: []string{"com.example.CartTest.empties"},
			FailedTests: []string{"com.example.CartTest.removes", "com.example.CartTest.stores", "pays"},
		}},
		{"pytest", sample(t, "junit/pytest.xml"), intoto.TestResult{
			Result: intoto.Passed, Successes: 2, Timestamp: noon.Add(2750 * time.Millisecond),
			PassedTests: []string{"tests.test_cart.test_add", "tests.test_cart.test_sum[1 & 2]"},
		}},
		{"nested", sample(t, "junit/nested.xml"), intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, Timestamp: noon.Add(-30 * time.Second),
			PassedTests: []string{"c"}, FailedTests: []string{"a"},
		}},
		{"all skipped", `<testsuite><testcase><skipped/></testcase><testcase status="notrun"/></testsuite>`, intoto.TestResult{Result: intoto.Skipped, Timestamp: noon}},
		{"flaky", `<testsuite><testcase name="a"><flakyError/></testcase></testsuite>`, intoto.TestResult{Result: intoto.Warned, Warnings: 1, WarnedTests: []string{"a"}, Timestamp: noon}},
		{"flaky and skipped", `<testsuite><testcase name="a"><flakyError/><skipped/></testcase></testsuite>`, intoto.TestResult{Result: intoto.Skipped, Timestamp: noon}},
		{"a rerun failed", `<testsuite><testcase name="a"><rerunFailure/></testcase></testsuite>`, intoto.TestResult{Result: intoto.Failed, Failures: 1, FailedTests: []string{"a"}, Timestamp: noon}},
		{"a rerun could not tell", `<testsuite><testcase name="a"><rerunError/></testcase></testsuite>`, intoto.TestResult{Result: intoto.Errored, Failures: 1, FailedTests: []string{"a"}, Timestamp: noon}},
		{"a failure that is skipped too", `<testsuite><testcase name="a"><skipped/><failure/></testcase></testsuite>`, intoto.TestResult{Result: intoto.Failed, Failures: 1, FailedTests: []string{"a"}, Timestamp: noon}},
		{"a failure with two reasons", `<testsuite failures="1"><testcase name="a"><failure/><failure/></testcase></testsuite>`, intoto.TestResult{Result: intoto.Failed, Failures: 1, FailedTests: []string{"a"}, Timestamp: noon}},
		{"an error of a suite", `<testsuites><testsuite name="s"><error/><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Failures: 1, PassedTests: []string{"a"}, FailedTests: []string{"s"}, Timestamp: noon,
		}},
		{"a failure of a suite, which counts it", `<testsuite name="s" failures="1"><failure/><testcase name="a"/></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, PassedTests: []string{"a"}, FailedTests: []string{"s"}, Timestamp: noon,
		}},
		{"a suite that is skipped and flaky", `<testsuite name="s"><skipped/><flakyError/><testcase name="a"/></testsuite>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"a suite counts more failures", `<testsuite failures="2"><testcase name="a"><failure/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Failures: 2, FailedTests: []string{"a"}, Timestamp: noon,
		}},
		{"a suite counts a failure that nothing shows", `<testsuites><testsuite failures="1"><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"a suite counts an error that nothing shows", `<testsuites errors="1"><testsuite errors="1"><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Failures: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"the root counts a failure that no suite shows", `<testsuites failures="2"><testsuite failures="1"><testcase><failure/></testcase></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Failed, Failures: 2, FailedTests: []string{""}, Timestamp: noon,
		}},
		{"a suite counts an error as a failure", `<testsuite failures="1"><testcase name="a"><error/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Errored, Failures: 1, FailedTests: []string{"a"}, Timestamp: noon,
		}},
		{"a suite counts fewer", `<testsuite failures="0" errors=""><testcase name="a"><failure/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Failures: 1, FailedTests: []string{"a"}, Timestamp: noon,
		}},
		{"pytest with subtests", `<testsuites><testsuite name="pytest" tests="3" failures="0" errors="0"><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"pytest with subtests, its suite of another name", `<testsuites name="pytest tests"><testsuite name="unit" tests="3"><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"pytest with subtests that failed", `<testsuite name="pytest" tests="3" failures="2"><testcase name="a"><failure/><failure/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Failures: 1, FailedTests: []string{"a"}, Timestamp: noon,
		}},
		{"pytest counts a failure that nothing shows", `<testsuite name="pytest" tests="3" failures="1"><testcase name="a"/></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"pytest counts an error that nothing shows", `<testsuite name="pytest" tests="3" errors="1"><testcase name="a"/></testsuite>`, intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Failures: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"not pytest, and tests are missing", `<testsuite name="pytests" tests="3"><testcase name="a"/></testsuite>`, intoto.TestResult{
			Result: intoto.Errored, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"assertions of Catch2", `<testsuites><testsuite name="x" errors="0" failures="0" tests="40" hostname="tbd"><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"another suite beside that of Catch2", `<testsuites><testsuite tests="40" hostname="tbd"><testcase name="a"/></testsuite><testsuite tests="2"><testcase name="b"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Errored, Successes: 2, PassedTests: []string{"a", "b"}, Timestamp: noon,
		}},
		{"Surefire counts each run", `<testsuite tests="3" failures="1"><testcase name="a"/><testcase name="b"><flakyFailure/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Warned, Successes: 1, Warnings: 1, PassedTests: []string{"a"}, WarnedTests: []string{"b"}, Timestamp: noon,
		}},
		{"Surefire counts two errors of a flaky test", `<testsuites tests="3" errors="2"><testsuite tests="3" errors="2"><testcase name="b"><flakyError/><flakyError/></testcase></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Warned, Warnings: 1, WarnedTests: []string{"b"}, Timestamp: noon,
		}},
		{"Surefire counts each run of a test that failed", `<testsuite tests="3" failures="3"><testcase name="b"><failure/><rerunFailure/><rerunFailure/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Failures: 1, FailedTests: []string{"b"}, Timestamp: noon,
		}},
		{"a flaky test, and a failure that no run explains", `<testsuite tests="3" failures="2"><testcase name="a"/><testcase name="b"><flakyFailure/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, Warnings: 1, PassedTests: []string{"a"}, WarnedTests: []string{"b"}, Timestamp: noon,
		}},
		{"a flaky error, and a failure that no run explains", `<testsuite tests="3" failures="1" errors="1"><testcase name="a"/><testcase name="b"><flakyError/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, Warnings: 1, PassedTests: []string{"a"}, WarnedTests: []string{"b"}, Timestamp: noon,
		}},
		{"a flaky test, and a test that no run explains", `<testsuite tests="4" failures="1"><testcase name="a"/><testcase name="b"><flakyFailure/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Errored, Successes: 1, Warnings: 1, PassedTests: []string{"a"}, WarnedTests: []string{"b"}, Timestamp: noon,
		}},
		{"a failure and a test are missing, in a suite and around it", `<testsuites tests="3" failures="1"><testsuite tests="3" failures="1"><testcase name="a"/><testcase name="b"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Failed, Successes: 2, Failures: 1, PassedTests: []string{"a", "b"}, Timestamp: noon,
		}},
		{"a time without a zone", `<testsuites><testsuite timestamp="2026-03-01T11:00:00Z"><testcase name="a"/></testsuite><testsuite timestamp="2026-03-01T11:00:00"/></testsuites>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"words of status", `<testsuite tests="9"><testcase name="a" status="run" result="completed"/><testcase name="b" status="Failed"/>` +
			`<testcase name="c" status="run" result="skipped"/><testcase name="d" status="Inconclusive"/><testcase name="e" status="passed"/>` +
			`<testcase name="f" status="untested"/><testcase name="g" status="flaky"/><testcase name="h" status="disabled"/><testcase name="i" status="200"/></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Successes: 3, Failures: 1, Warnings: 1, PassedTests: []string{"a", "e", "i"}, FailedTests: []string{"b"}, WarnedTests: []string{"g"}, Timestamp: noon,
		}},
		{"a test that was interrupted", `<testsuite><testcase name="a" status="interrupted"/></testsuite>`, intoto.TestResult{
			Result: intoto.Errored, Failures: 1, FailedTests: []string{"a"}, Timestamp: noon,
		}},
		{"a suite counts what a status says", `<testsuite tests="1" failures="1"><testcase name="a" result="Failure"/></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Failures: 1, FailedTests: []string{"a"}, Timestamp: noon,
		}},
		{"the worse of elements and status, and failures before both", `<testsuite failures="1"><testcase name="a" status="error"><failure/></testcase><testcase name="b" status="failed"><flakyFailure/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Failures: 2, FailedTests: []string{"a", "b"}, Timestamp: noon,
		}},
		{"a suite counts more than a status says", `<testsuite failures="2"><testcase name="a" status="failed"/></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Failures: 2, FailedTests: []string{"a"}, Timestamp: noon,
		}},
		{"a warning of PHPUnit", `<testsuite tests="2" warnings="1" failures="0"><testcase name="a"><warning>no tests</warning></testcase><testcase name="b"/></testsuite>`, intoto.TestResult{
			Result: intoto.Warned, Successes: 1, Warnings: 1, PassedTests: []string{"b"}, WarnedTests: []string{"a"}, Timestamp: noon,
		}},
		{"a warning explains no failure", `<testsuite tests="1" failures="1"><testcase name="a"><warning/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Failed, Failures: 1, Warnings: 1, WarnedTests: []string{"a"}, Timestamp: noon,
		}},
		{"assertions of doctest", `<testsuites><testsuite name="cart_tests" errors="0" failures="0" tests="40" time="0.1" timestamp="2026-03-01T11:00:00Z"><testcase classname="a.cpp" name="a" status="run"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a.cpp.a"}, Timestamp: noon.Add(-time.Hour + 100*time.Millisecond),
		}},
		{"assertions of doctest without times", `<testsuites><testsuite name="cart_tests" errors="0" failures="0" tests="40"><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"nearly doctest, and tests are missing", `<testsuites><testsuite name="x" tests="40" errors="0" failures="0"><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Errored, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"doctest counts a failure that nothing shows", `<testsuites><testsuite name="x" errors="0" failures="1" tests="40"><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"a pending test of Mocha", `<testsuites name="Mocha Tests" tests="2" failures="0" skipped="1"><testsuite name="x" tests="2" failures="0"><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"a hook of Mocha that failed", `<testsuites name="Mocha Tests" tests="3" failures="1"><testsuite name="x" tests="3" failures="1"><testcase name="before all"><failure/></testcase></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Failed, Failures: 1, FailedTests: []string{"before all"}, Timestamp: noon,
		}},
		{"a failure of Mocha that nothing shows", `<testsuites name="Mocha Tests" tests="2" failures="1"><testsuite tests="2" failures="0"><testcase name="a"/></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Failed, Successes: 1, Failures: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"tests without a testcase were skipped and disabled", `<testsuites tests="4" disabled="1" skipped="2"><testsuite tests="4" disabled="1" skipped="2"><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite></testsuites>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"more tests are missing than were skipped", `<testsuite tests="4" skipped="2"><testcase name="a"/><testcase name="b" status="skipped"><skipped/></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Errored, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"in ASCII", `<?xml version='1.0' encoding='us-ascii'?><testsuite><testcase name="a&#228;"/></testsuite>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"aä"}, Timestamp: noon,
		}},
		{"a suite that takes no time", `<testsuite timestamp="2026-03-01T11:00:00Z" time=""><testcase name="a"/></testsuite>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon.Add(-time.Hour),
		}},
		{"attributes of another name space", `<testsuite xmlns:x="y" x:failures="1" failures="0"><testcase x:name="b" name="a"/></testsuite>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"byte order mark, comments and blanks", "\uFEFF<!-- a -->\n<testsuite><testcase name=\"a\"/></testsuite>\n<!-- b -->\n", intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
		{"a comment and CDATA with markup", `<testsuite><!-- <failure/> --><testcase name="a"><system-out><![CDATA[<failure/></testcase>]]></system-out></testcase></testsuite>`, intoto.TestResult{
			Result: intoto.Passed, Successes: 1, PassedTests: []string{"a"}, Timestamp: noon,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mustRead(t, JUnit, tt.text, asked)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJUnitDidNotRun(t *testing.T) {
	wantRefused[*NotRunError](t, JUnit, []refusal{
		{"no suites", `<testsuites/>`, "no test ran"},
		{"no testcases", `<testsuite tests="3"><properties/></testsuite>`, "no test ran"},
	})
}

func TestNoJUnit(t *testing.T) {
	wantRefused[*FormatError](t, JUnit, []refusal{
		{"empty", "", "it ends too early"},
		{"cut off", "<testsuite>\n<testcase/>", "line 2: "},
		{"another root", `<html/>`, `"html" where testsuites or testsuite is expected`},
		{"a testcase alone", `<testcase/>`, `"testcase" where`},
		{"test cases of TestLink", `<testsuite name="s"><testcase internalid="5" name="a"><summary/></testcase></testsuite>`, "by TestLink, which has no results"},
		{"two roots", `<testsuite><testcase/></testsuite><testsuite/>`, `"testsuite" where`},
		{"text behind", `<testsuite><testcase/></testsuite>cut`, "text outside"},
		{"a testcase in a testcase", `<testsuite><testcase><testcase/></testcase></testsuite>`, `a testcase in "testcase"`},
		{"a testcase in properties", `<testsuite><properties><testcase/></properties></testsuite>`, `a testcase in "properties"`},
		{"document type", `<!DOCTYPE x [<!ENTITY e "boom">]><testsuite/>`, "a document type is not read"},
		{"entity", `<testsuite><testcase name="&e;"/></testsuite>`, "invalid character entity"},
		{"another charset", `<?xml version="1.0" encoding="ISO-8859-1"?><testsuite/>`, `line 1: it is in "ISO-8859-1", and only UTF-8 is read; convert it`},
		{"ASCII that is none", "<?xml version='1.0' encoding='us-ascii'?><testsuite name='\xe4'/>", "invalid UTF-8"},
		{"not UTF-8", "<testsuite name='\xff'/>", "invalid UTF-8"},
		{"failures are no number", `<testsuite name="s" failures="some"/>`, `failures of suite "s": "some" is no count`},
		{"errors are no number", `<testsuite name="s" errors="-1"/>`, `errors of suite "s"`},
		{"skipped is no number", `<testsuite name="s" skipped="some"/>`, `skipped of suite "s": "some" is no count`},
		{"a time that is no number", `<testsuite timestamp="2026-03-01T11:00:00Z" time="long"/>`, `"long" is no time`},
		{"a time that is negative", `<testsuite timestamp="2026-03-01T11:00:00Z" time="-1"/>`, `"-1" is no time`},
		{"a time without end", `<testsuite timestamp="2026-03-01T11:00:00Z" time="1e9"/>`, `"1e9" is no time`},
		{"a time that is none", `<testsuite timestamp="2026-03-01T11:00:00Z" time="NaN"/>`, `"NaN" is no time`},
		{"an attribute twice", `<testsuite failures="0" failures="1"/>`, `attribute "failures" is given twice`},
	})
}
