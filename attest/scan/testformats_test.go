package scan

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

	// wide are limits that no sample reaches.
	wide = Limits{ReportBytes: 1 << 30, ValueBytes: 1 << 20, Findings: 1000}

	// asked is a caller that says what reports lack.
	asked = Options{Finished: noon, Limits: wide}
)

// A readFunc reads one format.
type readFunc func(io.Reader, Options) (intoto.Predicate, error)

var testFormats = map[Format]readFunc{ClamAV: clamAV, TestOutput: testOutput, JUnit: jUnit, GoTest: goTest}

func sample(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mustRead(t *testing.T, f Format, text string, opts Options) intoto.TestResult {
	t.Helper()
	p, err := testFormats[f](strings.NewReader(text), opts)
	if err != nil {
		t.Fatal(err)
	}
	return p.(intoto.TestResult)
}

// A refusal is a report that does not become a predicate.
type refusal struct {
	name, text string
	want       string // in the error
}

// wantRefused reads each report and wants an error of type E.
func wantRefused[E error](t *testing.T, f Format, tests []refusal) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := testFormats[f](strings.NewReader(tt.text), asked)
			var as E
			if p != nil || !errors.As(err, &as) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v and %v, want %T with %q", p, err, as, tt.want)
			}
		})
	}
}

// samples are reports whose cuts are all refused or no better than the whole.
var samples = map[Format][]string{
	ClamAV:     {"clamav/clean.log", "clamav/infected.log", "clamav/errors.log", "clamav/clamdscan.log"},
	TestOutput: {"testoutput/success.json", "testoutput/aggregated.json"},
	JUnit:      {"junit/surefire.xml", "junit/pytest.xml", "junit/nested.xml"},
	GoTest:     {"gotest/passed.json", "gotest/failed.json", "gotest/skipped.json", "gotest/benchmark.json", "gotest/empty.json"},
}

// badness of results. A report that is refused is as bad as an error, see Evidence.
var badness = map[intoto.Result]int{intoto.Passed: 0, intoto.Warned: 1, intoto.Skipped: 2, intoto.Failed: 3, intoto.Errored: 4}

func badnessOf(read readFunc, text string) int {
	p, err := read(strings.NewReader(text), asked)
	if err != nil {
		return badness[intoto.Errored]
	}
	return badness[p.(intoto.TestResult).Result]
}

func TestCutReportIsNeverBetter(t *testing.T) {
	for f, names := range samples {
		for _, name := range names {
			text := sample(t, name)
			whole := badnessOf(testFormats[f], text)
			for i := range len(text) {
				if got := badnessOf(testFormats[f], text[:i]); got < whole {
					t.Errorf("%s cut to %d bytes is %d, the whole is %d:\n%s", name, i, got, whole, text[:i])
				}
			}
		}
	}
}

// What is read is written: a Writer refuses only what it names itself.
func TestWhatIsReadCanBeWritten(t *testing.T) {
	for f, names := range samples {
		for _, name := range names {
			p, err := testFormats[f](strings.NewReader(sample(t, name)), asked)
			if err != nil {
				continue
			}
			r := p.(intoto.TestResult)
			r.Configuration = []intoto.ResourceDescriptor{{Name: "test"}}
			if err := r.Validate(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestTimeIsAskedFor(t *testing.T) {
	for f, text := range map[Format]string{
		ClamAV:     sample(t, "clamav/clean.log"),
		TestOutput: `{"result":"SUCCESS","timestamp":"0","successes":1,"failures":0,"warnings":0}`,
		JUnit:      `<testsuite><testcase><failure/></testcase></testsuite>`,
		GoTest:     `{"Action":"skip","Package":"p","Test":"T"}` + "\n" + `{"Action":"pass","Package":"p"}`,
	} {
		_, err := testFormats[f](strings.NewReader(text), Options{Limits: wide})
		var lack *LackError
		if !errors.As(err, &lack) {
			t.Errorf("%s: %v", f, err)
		} else if diff := cmp.Diff(&LackError{Format: f, Field: "timestamp", Option: "Finished"}, lack); diff != "" {
			t.Error(diff)
		}
		east := noon.In(time.FixedZone("", 3600))
		if got := mustRead(t, f, text, Options{Finished: east, Limits: wide}); got.Timestamp != noon {
			t.Errorf("%s: the time is %v", f, got.Timestamp)
		}
	}
}

// What the reader fails with comes back as it is, wherever it fails.
func TestReaderFails(t *testing.T) {
	broken := errors.New("broken")
	for f, names := range samples {
		for _, name := range names {
			text := sample(t, name)
			for i := 0; i < len(text); i += 7 {
				_, err := testFormats[f](io.MultiReader(strings.NewReader(text[:i]), iotest.ErrReader(broken)), asked)
				if err != broken { //nolint:errorlint // it is the very same
					t.Fatalf("%s fails after %d bytes: %v", name, i, err)
				}
			}
		}
	}
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("x", 200)
	few, short := asked, asked
	few.Limits.Findings, short.Limits.ValueBytes = 2, 150
	tests := []struct {
		name string
		f    Format
		text string
		opts Options
		want intoto.LimitError
	}{
		{"long line of ClamAV", ClamAV, long, short, intoto.LimitError{What: "value bytes", Limit: 150, Got: 151}},
		{"long TEST_OUTPUT", TestOutput, long, short, intoto.LimitError{What: "value bytes", Limit: 150, Got: 151}},
		{"long event", GoTest, long, short, intoto.LimitError{What: "value bytes", Limit: 150, Got: 151}},
		{"long text", JUnit, "<testsuite><testcase/><system-out>" + long, short, intoto.LimitError{What: "value bytes", Limit: 150, Got: 151}},
		{"long element", JUnit, "<testsuite name='" + long, short, intoto.LimitError{What: "value bytes", Limit: 150, Got: 151}},
		{"many viruses", ClamAV, "a: V FOUND\nb: V FOUND\nc: V FOUND\n", few, intoto.LimitError{What: "findings", Limit: 2, Got: 3}},
		{"many testcases", JUnit, "<testsuite><testcase/><testcase><failure/></testcase><testcase><flakyError/></testcase></testsuite>", few, intoto.LimitError{What: "findings", Limit: 2, Got: 3}},
		{"deep", JUnit, strings.Repeat("<testsuite>", 65), asked, intoto.LimitError{What: "XML depth", Limit: 64, Got: 65}},
		{"many tests", GoTest, strings.Repeat(`{"Action":"pass","Package":"p","Test":"T"}`+"\n", 3), few, intoto.LimitError{What: "findings", Limit: 2, Got: 3}},
		{"many tests at once", GoTest, events(`run p A`, `run p B`, `run p C`), few, intoto.LimitError{What: "findings", Limit: 2, Got: 3}},
		{"many that their package ends", GoTest, events(`run p A`, `run p B`, `pass p`, `run q A`, `pass q`), few, intoto.LimitError{What: "findings", Limit: 2, Got: 3}},
		{"many tests of two packages, before the log ends", GoTest, events(`run p A`, `run p B`, `run q A`, `pass q B`) + "{", few, intoto.LimitError{What: "findings", Limit: 2, Got: 3}},
		{"many packages", GoTest, events(`start p`, `start q`, `start r`), few, intoto.LimitError{What: "findings", Limit: 2, Got: 3}},
		{"many packages with tests", GoTest, events(`run p A`, `run q A`, `run r A`), few, intoto.LimitError{What: "findings", Limit: 2, Got: 3}},
		{"many builds", GoTest, builds("a", "b", "c"), few, intoto.LimitError{What: "findings", Limit: 2, Got: 3}},
		{"many builds that failed alone", GoTest, builds("a", "b") + events(`pass p A`, `pass p`), few, intoto.LimitError{What: "findings", Limit: 2, Got: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := testFormats[tt.f](strings.NewReader(tt.text), tt.opts)
			var limit *intoto.LimitError
			if p != nil || !errors.As(err, &limit) {
				t.Fatalf("%v, %v", p, err)
			}
			if diff := cmp.Diff(tt.want, *limit); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzTestFormats reads anything in every format.
func FuzzTestFormats(f *testing.F) {
	for _, names := range samples {
		for _, name := range names {
			f.Add(sample(f, name))
		}
	}
	f.Add(`{"result":"ERROR","timestamp":1,"successes":1,"failures":2,"warnings":3}`)
	f.Add(`<testsuites><testsuite failures="2" errors="1"><error/><testcase status="notrun"/></testsuite></testsuites>`)
	f.Fuzz(func(t *testing.T, text string) {
		opts := Options{Finished: noon, Limits: Limits{ValueBytes: 1000, Findings: 10}}
		for format, read := range testFormats {
			p, err := read(strings.NewReader(text), opts)
			if (p == nil) == (err == nil) {
				t.Fatalf("%s: %v and %v", format, p, err)
			}
			if err != nil {
				continue
			}
			r := p.(intoto.TestResult)
			if n := len(r.PassedTests) + len(r.WarnedTests) + len(r.FailedTests); n > 10 {
				t.Errorf("%s: %d names", format, n)
			}
			r.Configuration = []intoto.ResourceDescriptor{{Name: "test"}}
			if err := r.Validate(); err != nil {
				t.Errorf("%s: %v of %+v", format, err, r)
			}
		}
	})
}
