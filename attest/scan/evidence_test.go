package scan_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
)

// cleanTrivy is a report of an image without findings, with what it says of the image.
func cleanTrivy(more string) string {
	return `{"SchemaVersion":2,"ArtifactName":"a","CreatedAt":"2026-11-01T10:05:00Z",` + more + `"Results":[{"Target":"a","Class":"os-pkgs"}]}`
}

const (
	passedOutput = `{"result":"SUCCESS","timestamp":"2026-11-01T10:05:00Z","successes":1,"failures":0,"warnings":0}`
	suites       = `<testsuites><testsuite timestamp="2026-11-01T10:00:00Z" time="300"><testcase name="a"/></testsuite></testsuites>`
)

// Whatever stands where a report should stand becomes evidence with the verdict ERROR, with the reason as its note.
func TestNoReportIsAnError(t *testing.T) {
	now := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	_, missing := os.Open(filepath.Join(t.TempDir(), "none.json"))
	folder, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	limited := scan.Limits{ReportBytes: 10}
	for name, test := range map[string]struct {
		content string
		failed  error
		opts    scan.Options
		note    string // begins with it
	}{
		"text":                {content: "hello", note: `the report is of no tool that is known: it begins with "hello"`},
		"HTML":                {content: "<!DOCTYPE html><title>Sign in</title>", note: "the report is an HTML page: "},
		"null":                {content: "null", note: "the report is null"},
		"an empty object":     {content: "{}", note: "the report is {}"},
		"an error":            {content: `{"error":"unauthorized"}`, note: "the report is an answer that tells of an error"},
		"empty":               {note: "the report is empty"},
		"blank":               {content: "\n\r\n", note: "the report is empty"},
		"missing":             {failed: missing, note: "there is no report: open "},
		"a log":               {content: "2026-11-01T10:00:00Z\tFATAL\tFatal error\tinit error: DB error\n", note: "the report is a log"},
		"another tool":        {content: `{"bomFormat":"CycloneDX"}`, note: "the report is an SBOM in CycloneDX"},
		"ambiguous":           {content: `{"results":[]}`, note: `the report is of no tool that is known: it has the names "results"`},
		"cut off":             {content: cleanTrivy("")[:80], note: "not a trivy report: "},
		"cut off at once":     {content: cleanTrivy("")[:20], note: "the report is of no tool that is known"},
		"cut off later":       {content: cleanTrivy("")[:110], note: "not a trivy report: Results[0]"},
		"of another format":   {content: suites, opts: scan.Options{Format: scan.Grype}, note: "not a grype report: it looks like a report of the format junit"},
		"a scan did not run":  {content: `{"SchemaVersion":2,"Results":[]}`, note: "the trivy report is of a scan that did not run: it has no Results"},
		"too large":           {content: passedOutput, opts: scan.Options{Limits: limited}, note: "attest: "},
		"the scanner crashed": {failed: errors.New("trivy ended\n with\tcode 1"), content: passedOutput, note: "there is no report: trivy ended with code 1"},
		"another tool's, with a format": {content: `{"results":[{"packages":[],"vulnerabilities":[{"id":"CVE-1"}]}],"consoleURL":"x"}`,
			opts: scan.Options{Format: scan.OSVScanner}, note: "not a osv-scanner report: it is JSON of twistcli"},
		"a log with a format": {content: "ERROR: no memory", opts: scan.Options{Format: scan.JUnit}, note: "not a junit report: it is a log"},
		"nothing of a log":    {content: "", opts: scan.Options{Format: scan.GoTest}, note: "not a go-test report: it is empty"},
		"text of go test":     {content: "ok  \tp\t0.1s\n", opts: scan.Options{Format: scan.GoTest}, note: "not a go-test report: it is the text of go test: run go test -json"},
		"an error, and not when": {content: strings.NewReplacer("SUCCESS", "ERROR", "2026-11-01T10:05:00Z", "0").Replace(passedOutput),
			note: "the test-output report is of a scan that did not run: it says that the test could not tell, and not when"},
		"an error of JUnit":    {content: `<testsuite><testcase><error/></testcase></testsuite>`, note: "the junit report is of a scan that did not run: it says"},
		"half of ClamAV's log": {content: "/a: OK\n", opts: scan.Options{Format: scan.ClamAV}, note: "the clamav report is of a scan that did not run: it ends without"},
	} {
		t.Run(name, func(t *testing.T) {
			test.opts.Now = func() time.Time { return now }
			p, why := scan.Evidence(strings.NewReader(test.content), test.failed, test.opts)
			got, ok := p.(intoto.TestResult)
			if !ok || why == nil || !strings.HasPrefix(got.Note, test.note) {
				t.Fatalf("got %+v and %v, want an ERROR: %s", p, why, test.note)
			}
			if diff := cmp.Diff(intoto.TestResult{Result: intoto.Errored, Timestamp: now, Note: got.Note}, got); diff != "" {
				t.Error(diff)
			}
			test.opts.Finished = ended
			p, _ = scan.Evidence(strings.NewReader(test.content), test.failed, test.opts)
			if got := p.(intoto.TestResult).Timestamp; !got.Equal(ended) {
				t.Errorf("it is of %s, want that of Finished", got)
			}
		})
	}
	for name, failing := range map[string]struct {
		r    interface{ Read([]byte) (int, error) }
		want error
	}{
		"a folder":                {folder, nil},
		"a disk that fails":       {iotest.ErrReader(fs.ErrPermission), fs.ErrPermission},
		"a disk that fails later": {iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(suites))), iotest.ErrTimeout},
	} {
		p, why := scan.Evidence(failing.r, nil, scan.Options{})
		got, ok := p.(intoto.TestResult)
		if !ok || got.Result != intoto.Errored || !strings.HasPrefix(got.Note, "the report cannot be read: ") || failing.want != nil && !errors.Is(why, failing.want) {
			t.Errorf("%s: got %+v and %v", name, p, why)
		}
	}
}

// The note of an ERROR is one line, and not long.
func TestNoteIsBounded(t *testing.T) {
	p, _ := scan.Evidence(nil, errors.New(strings.Repeat("ä\n", 5000)+"\xff"), scan.Options{Finished: ended})
	if note := p.(intoto.TestResult).Note; len(note) > 1010 || strings.Contains(note, "\n") || strings.Contains(note, "\uFFFD") {
		t.Errorf("%d bytes: %q", len(note), note)
	}
}

// A report that was read is the evidence, and the only thing to tell is that it says ERROR.
func TestEvidenceOfAReport(t *testing.T) {
	for _, tt := range []struct {
		content string
		want    intoto.Result
		tells   bool
	}{
		{passedOutput, intoto.Passed, false},
		{suites, intoto.Passed, false},
		{strings.Replace(suites, "/></testsuite>", "><failure/></testcase></testsuite>", 1), intoto.Failed, false},
		{strings.Replace(suites, "/></testsuite>", "><error/></testcase></testsuite>", 1), intoto.Errored, true},
		{strings.Replace(passedOutput, "SUCCESS", "ERROR", 1), intoto.Errored, true},
		{cleanTrivy(""), intoto.Unknown, false},
	} {
		p, err := scan.Evidence(strings.NewReader(tt.content), nil, full)
		result, _ := p.(intoto.TestResult)
		if p == nil || result.Result != tt.want || (err != nil) != tt.tells {
			t.Errorf("%s: got %+v and %v", tt.content, p, err)
		}
	}
}

// What the caller has to mend leaves nothing.
func TestMistakesOfTheCaller(t *testing.T) {
	const other = "sha256:" + otherHex
	late := full
	late.Started = ended.Add(time.Hour)
	for name, test := range map[string]struct {
		content string
		opts    scan.Options
		want    string
	}{
		"something is lacking":         {cleanTrivy(""), scan.Options{}, "the trivy report does not say when the vulnerability database was last updated; give Options.Scanner.DB.LastUpdate"},
		"the end is lacking":           {`<testsuite><testcase/></testsuite>`, scan.Options{}, "the junit report does not say when it ended; give Options.Finished"},
		"another image":                {cleanTrivy(`"Metadata":{"RepoDigests":["a@` + other + `"]},`), scan.Options{Image: "sha256:" + thisHex}, "is not of the image sha256:11"},
		"no image":                     {cleanTrivy(""), scan.Options{RequireDigest: true, Scanner: full.Scanner, Started: full.Started}, "the trivy report names no image by its digest"},
		"no image of a test":           {suites, scan.Options{RequireDigest: true}, "the junit report names no image by its digest"},
		"it ended before it began":     {cleanTrivy(""), late, "the trivy report says CreatedAt 2026-11-01T10:05:00Z, and Options.Started is 2026-11-01T11:05:00Z"},
		"it ended before it began too": {grypeAt("2026-11-01T10:05:00Z"), late, "the grype report says descriptor.timestamp 2026-11-01T10:05:00Z, and Options.Started is"},
		"by options alone":             {grypeAt(""), late, "Options.Finished is 2026-11-01T10:05:00Z, and Options.Started is 2026-11-01T11:05:00Z"},
		"no such format":               {suites, scan.Options{Format: "xunit"}, `no format is called "xunit"`},
		"a result in the options":      {suites, scan.Options{Scanner: intoto.Scanner{Result: []intoto.Finding{}}}, "opts.Scanner.Result"},
		"SARIF that began later": {`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","informationUri":"https://t.example"}},"results":[],"invocations":[{"executionSuccessful":true,"startTimeUtc":"2026-11-01T12:00:00Z"}]}]}`,
			full, "Options.Finished is 2026-11-01T10:05:00Z, and the sarif report says startTimeUtc 2026-11-01T12:00:00Z"},
	} {
		p, err := scan.Evidence(strings.NewReader(test.content), nil, test.opts)
		if p != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %+v and %v, want %s", name, p, err, test.want)
		}
	}
}

// A report that contradicts itself is none.
func TestReportEndsBeforeItBegan(t *testing.T) {
	const times = `"startTimeUtc":"2026-11-01T12:00:00Z","endTimeUtc":"2026-11-01T11:00:00Z"`
	p, err := scan.Evidence(strings.NewReader(`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","informationUri":"https://t.example"}},"results":[],`+
		`"invocations":[{"executionSuccessful":true,`+times+`}]}]}`), nil, full)
	if result, _ := p.(intoto.TestResult); result.Result != intoto.Errored || !strings.Contains(result.Note, "the sarif report says endTimeUtc 2026-11-01T11:00:00Z") {
		t.Errorf("got %+v and %v", p, err)
	}
}

func grypeAt(timestamp string) string {
	return `{"matches":[],"descriptor":{"name":"grype","timestamp":"` + timestamp + `"}}`
}

// The predicate says if the report may be of another image.
func TestNote(t *testing.T) {
	const this = "sha256:" + thisHex
	const note = "the report names no image by its digest: it is taken to be of this one"
	opts := full
	opts.Image = this
	for content, want := range map[string]string{
		cleanTrivy(""): note,
		cleanTrivy(`"Metadata":{"RepoTags":["a:latest"]},`):                  note,
		cleanTrivy(`"Metadata":{"RepoDigests":["quay.io/a@` + this + `"]},`): "",
		grypeAt(""): note,
		`{"results":[],"experimental_config":{}}`: note,
		`{"manifest_hash":"` + this + `","packages":{"1":{}},"vulnerabilities":{},"package_vulnerabilities":{}}`: "",
		suites:       note,
		passedOutput: note,
	} {
		p, err := scan.Convert(strings.NewReader(content), opts)
		if err != nil {
			t.Errorf("%s: %v", content, err)
			continue
		}
		got := ""
		switch p := p.(type) {
		case intoto.Vulns:
			got = p.Note
		case intoto.TestResult:
			got = p.Note
		}
		if got != want {
			t.Errorf("%s: the note is %q, want %q", content, got, want)
		}
		opts := opts
		opts.RequireDigest = true
		if _, err := scan.Convert(strings.NewReader(content), opts); (err == nil) != (want == "") {
			t.Errorf("%s: with RequireDigest: %v", content, err)
		}
	}
}

// Small reports after public bug reports, and what each must become.
func TestCorpusOfFaults(t *testing.T) {
	root := os.Getenv("TESTDAG_CORPUS")
	if root == "" {
		t.Skip("TESTDAG_CORPUS is not set; it names a folder with faults/, small reports that were judged wrongly")
	}
	for name, want := range map[string]string{ // severities of each finding, and how much was not looked at
		"sarif-scan-props.sarif":         "[warning] 0 0",
		"sarif-taxonomy-elsewhere.sarif": "[error] 0 0",
		"trivy-os-not-scanned.json":      " 1 0",
		"trivy-eosl.json":                " 0 1",
		"trivy-config-clean.json":        " 0 0",
		"trivy-config-one-low.json":      "[low] 0 0",
		"osv-vector-only.json":           "[9.8] 0 0",
		"sarif-severity-0.sarif":         "[unknown] 0 0",
		"sarif-error-low-score.sarif":    "[error 5.5] 0 0",
		"clair-debian-no-fix.json":       "[high] 0 0",
	} {
		f, err := os.Open(filepath.Join(root, "faults", name))
		if err != nil {
			t.Fatal(err)
		}
		p, why := scan.Evidence(f, nil, full)
		f.Close()
		v, ok := p.(intoto.Vulns)
		if !ok {
			t.Errorf("%s: %v", name, why)
			continue
		}
		got := ""
		for _, found := range v.Scanner.Result {
			var scores []string
			for _, severity := range found.Severity {
				scores = append(scores, severity.Score)
			}
			got += fmt.Sprint(scores)
		}
		if got = fmt.Sprint(got, " ", len(v.Unscanned), " ", len(v.Incomplete)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]intoto.TestResult{
		"pytest-subtests.xml": {Result: intoto.Passed, Successes: 1, PassedTests: []string{"tests.test_shop.test_prices"}},
		"surefire-flaky.xml":  {Result: intoto.Warned, Successes: 1, Warnings: 1, PassedTests: []string{"shop.CartTest.adds"}, WarnedTests: []string{"shop.CartTest.pays"}},
		"trivy-fatal.txt": {Result: intoto.Errored, Note: "the report is a log with the line \"2026-11-01T10:00:00Z\\tFATAL\\tFatal error\\tinit error: DB error: " +
			"failed to download vulnerability DB: OCI artifact error\": the tool may have ended before it wrote its report"},
		"clamav-heuristics.log": {Result: intoto.Warned, Successes: 19, Warnings: 1, WarnedTests: []string{"/w/firmware.bin.xz: Heuristics.Broken.Executable"}},
	} {
		f, err := os.Open(filepath.Join(root, "faults", name))
		if err != nil {
			t.Fatal(err)
		}
		p, _ := scan.Evidence(f, nil, full)
		f.Close()
		got, _ := p.(intoto.TestResult)
		if want.Timestamp = got.Timestamp; want.Note == "" {
			want.Note = got.Note
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// FuzzEvidence reads anything, as the format that it looks like and as each of them: there is always evidence that can be
// written, or a mistake of the caller, and what is told is about the report and not about Go.
func FuzzEvidence(f *testing.F) {
	for name := range samples {
		f.Add(sample(f, name))
	}
	for _, content := range []string{
		passedOutput, suites, cleanTrivy(""), grypeAt("2026-11-01T10:05:00Z"), "null", "{}", `{"error":"x"}`, "<!DOCTYPE html>", "\xff\xfe{\x00",
		`{"bomFormat":"CycloneDX"}`, "2026-11-01T10:00:00Z\tFATAL\tx\n", "/a: Heuristics.X FOUND\n----------- SCAN SUMMARY -----------\n",
		`{"Time":"2026-11-01T10:00:00Z","Action":"run","Package":"p","Test":"T"}` + "\n" + `{"Action":"pass","Package":"p"}`,
		`{"result":"ERROR","timestamp":1,"successes":"1","failures":2,"warnings":3}`, `<testsuite tests="3" failures="1"><testcase><flakyError/></testcase></testsuite>`,
	} {
		f.Add([]byte(content))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, format := range []scan.Format{"", scan.Trivy, scan.Grype, scan.Clair, scan.Quay, scan.OSVScanner, scan.SARIF, scan.ClamAV, scan.TestOutput, scan.JUnit, scan.GoTest} {
			opts := full
			opts.Format, opts.Scanner.URI, opts.Limits = format, "https://scanner.example", scan.Limits{ValueBytes: 1000, Findings: 10}
			p, err := scan.Evidence(bytes.NewReader(content), nil, opts)
			if err != nil && strings.Contains(err.Error(), "Go struct") || err != nil && strings.Contains(err.Error(), "cannot unmarshal") {
				t.Errorf("%s: %v", format, err)
			}
			var times *scan.TimeError
			switch p := p.(type) {
			case nil:
				if !errors.As(err, &times) {
					t.Errorf("%s: no evidence, and %v", format, err)
				}
			case intoto.TestResult:
				p.Configuration = []intoto.ResourceDescriptor{{Name: "scan"}}
				if bad := p.Validate(); bad != nil || (err != nil) != (p.Result == intoto.Errored) {
					t.Errorf("%s: %+v with %v: %v", format, p, err, bad)
				}
			case intoto.Vulns:
				if bad := p.Validate(); bad != nil || err != nil {
					t.Errorf("%s: %+v with %v: %v", format, p, err, bad)
				}
			}
		}
	})
}
