package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/policy"
)

var update = flag.Bool("update", false, "accept what is printed into testdata")

// A report of everything: what fails, what warns, what passes, what is missing.
func everything(t *testing.T) *world {
	w := newWorld(t)
	w.file("policy.yaml", `
required:
  - tasks: [unit-tests, trivy-scan, lint, [dast, fuzz]]
  - {effective_on: 2027-01-01, tasks: [unit-tests, trivy-scan, lint, [dast, fuzz], load-test]}
vulnerabilities:
  leeway_days: {high: 30}
  exceptions: [{id: CVE-2020-1, expires_on: 2026-12-31, reason: never reached}]
`)
	published := finding("CVE-2026-2", "high", "openssl")
	published.Annotations[0][attest.FindingPublished] = noon.Format(time.RFC3339)
	w.leave("unit-tests", ended(attest.Passed, noon))
	w.leave("trivy-scan", found(
		finding("CVE-2021-44228", "critical", "log4j-core"),
		finding("CVE-2021-44228", "critical", "log4j-api"),
		finding("CVE-2020-1", "high", "zlib"), published,
	))
	w.leave("lint", ended(attest.Warned, noon))
	return w
}

func TestGolden(t *testing.T) {
	w := everything(t)
	table := w.gate(w.args()...)
	for format, extension := range map[string]string{"table": "txt", "json": "json", "junit": "xml", "sarif": "sarif"} {
		c := w.gate(w.args("-output", format)...)
		w.wants(c, exitDenied)
		golden(t, "report."+extension, w.normal(c.stdout))

		path := filepath.Join(w.dir, "report")
		if again := w.gate(w.args("-output", format, "-output-file", path)...); again != table {
			t.Errorf("with a file it is %+v", again)
		}
		w.holds(path, c.stdout)
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s, see -update (-want +got):\n%s", file, diff)
	}
}

var (
	records  = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	vouchers = regexp.MustCompile(`key (SHA256:)?[0-9a-f]{64}`)
	prints   = regexp.MustCompile(`"testdagNote/v1": "[0-9a-f]{64}"`)
)

// normal puts names into the places of what differs from one time to the next.
func (w *world) normal(text string) string {
	text = strings.ReplaceAll(text, w.image.String(), "registry.example.com/shop/app@IMAGE")
	text = vouchers.ReplaceAllString(text, "key KEY")
	text = prints.ReplaceAllString(text, `"testdagNote/v1": "FINGERPRINT"`)
	return records.ReplaceAllString(text, "RECORD")
}

// What others wrote is shown, and does nothing.
func TestHostileText(t *testing.T) {
	const hostile = "a]]>\n<b>&\"'\x1b[2J\t\x00\u009b31m\u202e\ufffe\U000e0001" + `"}]`
	w := newWorld(t)
	w.leave("unit-tests", found(
		finding("CVE-1"+hostile, "critical", hostile),
		finding("CVE-2\xff", "critical", "broken\xff"),
	))
	for format := range formats {
		c := w.gate(w.args("-output", format)...)
		w.wants(c, exitDenied, "CVE-1a", "CVE-2")
		if at := strings.IndexFunc(c.stdout, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); at >= 0 {
			t.Errorf("%s: %q is printed", format, c.stdout[at:min(at+20, len(c.stdout))])
		}
	}

	var named []string
	text := w.gate(w.args("-output", "json")...).stdout
	type note struct{ Metadata struct{ Term string } }
	var terms struct{ Violations []note }
	if err := json.Unmarshal([]byte(text), &terms); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	for _, n := range terms.Violations {
		named = append(named, n.Metadata.Term)
	}
	if diff := cmp.Diff([]string{"CVE-1" + hostile, "CVE-2\ufffd"}, named); diff != "" {
		t.Errorf("JSON names (-want +got):\n%s", diff)
	}

	if text := w.gate(w.args("-output", "sarif")...).stdout; !json.Valid([]byte(text)) {
		t.Errorf("not JSON: %s", text)
	}
	s := suites(t, w.gate(w.args("-output", "junit")...).stdout)
	if n := len(s.Suites[0].Cases); n != 2 {
		t.Errorf("%d cases", n)
	}
}

// Whatever the text, JSON says it and is printable, and XML holds it.
func TestAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if bytes := rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "bytes"); rapid.Bool().Draw(t, "raw") {
			text += string(bytes)
		}
		notes := []policy.Note{{Msg: text, Metadata: policy.Metadata{Code: policy.CodeDenied, Term: policy.Term{text}}}}
		images := []judged{{platform: text, report: policy.Report{Image: "image", Violations: notes, Warnings: notes, Successes: notes}}}
		for format, write := range formats {
			if format == "table" {
				continue // Judge has made messages printable
			}
			var out bytes.Buffer
			if err := write(options{}, &out, images); err != nil {
				t.Fatal(err)
			}
			if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
				t.Fatalf("%s: %q", format, &out)
			}
			var back struct{ Violations []struct{ Msg string } }
			switch format {
			case "junit":
				suites(t, out.String())
			case "json":
				if err := json.Unmarshal(out.Bytes(), &back); err != nil || utf8.ValidString(text) && back.Violations[0].Msg != text {
					t.Fatalf("%v: %q is %q", err, text, back)
				}
			default:
				if !json.Valid(out.Bytes()) {
					t.Fatalf("not JSON: %s", &out)
				}
			}
		}
	})
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"CVE-1 in Größe": "CVE-1 in Größe", "": "", "a\nb": `"a\nb"`, "a\xff": `"a\xff"`, "\u009b": `"\u009b"`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is %s", text, got)
		}
	}
}

// An error shows what a registry answered.
func TestHostileError(t *testing.T) {
	got := told(fmt.Errorf("one\x1b[2J\ntwo"))
	if want := `"one\x1b[2J"` + "\ntwo"; got != want {
		t.Errorf("got %q", got)
	}
}

// suites reads JUnit as strictly as XML can be read.
func suites(t rapid.TB, text string) junitSuites {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	var s junitSuites
	if err := xml.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJUnitCounts(t *testing.T) {
	w := everything(t)
	s := suites(t, w.gate(w.args("-output", "junit")...).stdout)
	for _, suite := range s.Suites {
		failed := 0
		for _, c := range suite.Cases {
			if c.Class == "" || c.Name == "" {
				t.Errorf("a case without a name: %+v", c)
			}
			if c.Failure != nil {
				failed++
			}
		}
		if suite.Tests != len(suite.Cases) || suite.Failures != failed || failed == 0 || suite.Tests == failed {
			t.Errorf("%d tests and %d failures are %d and %d", suite.Tests, suite.Failures, len(suite.Cases), failed)
		}
	}
	if len(s.Suites) != 1 || s.Tests != s.Suites[0].Tests || s.Failures != s.Suites[0].Failures {
		t.Errorf("sums: %+v", s)
	}
}

// The rules of SARIF 2.1.0 that a schema cannot say, and those that it can.
func TestSARIF(t *testing.T) {
	w := everything(t)
	allowed := newWorld(t)
	allowed.leave("unit-tests", found())
	for _, text := range []string{w.gate(w.args("-output", "sarif")...).stdout, allowed.gate(allowed.args("-output", "sarif")...).stdout} {
		var doc struct {
			Schema  string `json:"$schema"`
			Version string
			Runs    []struct {
				Tool struct {
					Driver struct {
						Name, InformationURI string
						Rules                []struct {
							ID               string
							ShortDescription struct{ Text string }
						}
					}
				}
				Invocations []struct{ ExecutionSuccessful *bool }
				Results     []struct {
					RuleID, Kind, Level string
					RuleIndex           *int
					Message             struct{ Text string }
					Locations           []struct {
						PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
						LogicalLocations []struct{ Name, Kind string }
					}
					PartialFingerprints map[string]string
					Properties          map[string]any
				}
			}
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&doc); err != nil {
			t.Fatal(err)
		}
		if doc.Version != "2.1.0" || len(doc.Runs) != 1 || len(doc.Runs[0].Results) == 0 || doc.Runs[0].Tool.Driver.Name == "" {
			t.Fatalf("got %s", text)
		}
		seen := map[string]bool{}
		rules := doc.Runs[0].Tool.Driver.Rules
		for _, rule := range rules {
			if rule.ID == "" || rule.ShortDescription.Text == "" || seen[rule.ID] {
				t.Errorf("rule %+v", rule)
			}
			seen[rule.ID] = true
		}
		for _, r := range doc.Runs[0].Results {
			if r.RuleIndex == nil || *r.RuleIndex < 0 || *r.RuleIndex >= len(rules) || rules[*r.RuleIndex].ID != r.RuleID {
				t.Errorf("%s is not the rule of its index", r.RuleID)
			}
			if passes := r.Kind == "pass"; passes != (r.Level == "none") || !passes && r.Kind != "fail" {
				t.Errorf("kind %s with level %s", r.Kind, r.Level)
			}
			if r.Message.Text == "" || len(r.Locations) != 1 || !strings.HasPrefix(r.Locations[0].PhysicalLocation.ArtifactLocation.URI, "oci://") {
				t.Errorf("result %+v", r)
			}
			if print := r.PartialFingerprints[fingerprint]; print == "" || seen[print] {
				t.Errorf("fingerprint %q", print)
			} else {
				seen[print] = true
			}
		}
	}
}

// A list that is absent would say that nothing was judged.
func TestSARIFOfNothing(t *testing.T) {
	var out bytes.Buffer
	if err := writeSARIF(&out, []judged{{}}); err != nil || !strings.Contains(out.String(), `"results": []`) || !strings.Contains(out.String(), `"rules": []`) {
		t.Errorf("%v: %s", err, &out)
	}
}

// The same note about the next image of the repository has the same fingerprint; another has another.
func TestFingerprint(t *testing.T) {
	of := func(repository, platform, digit string, n policy.Note) string {
		s := sarif{seen: map[string]int{}}
		return s.fingerprint(judged{platform: platform, report: policy.Report{Image: repository + "@sha256:" + strings.Repeat(digit, 64)}}, n)
	}
	note := policy.Note{
		Msg: "at noon", Metadata: policy.Metadata{Code: policy.CodeAged, Term: policy.Term{"scan"}},
		Evidence: []policy.Source{{Test: "scan", Manifest: "sha256:1", Time: &noon}},
	}
	later := note
	later.Msg, later.Evidence = "at one", []policy.Source{{Test: "scan", Manifest: "sha256:2", Time: &now}}
	first := of("quay.io/a/b", "", "0", note)
	if again := of("quay.io/a/b", "", "1", later); again != first {
		t.Error("the next image has another fingerprint")
	}
	other := note
	other.Metadata.Term = policy.Term{"lint"}
	elsewhere := note
	elsewhere.Evidence = []policy.Source{{Test: "other"}}
	for what, print := range map[string]string{
		"term": of("quay.io/a/b", "", "0", other), "repository": of("quay.io/a/c", "", "0", note),
		"platform": of("quay.io/a/b", "linux/arm64", "0", note), "test": of("quay.io/a/b", "", "0", elsewhere),
	} {
		if print == first {
			t.Errorf("another %s has the same fingerprint", what)
		}
	}
}

// A new code of the policy gets its meaning here too.
func TestMeanings(t *testing.T) {
	source, err := os.ReadFile("../../attest/policy/report.go")
	if err != nil {
		t.Fatal(err)
	}
	var codes []policy.Code
	for _, m := range regexp.MustCompile(`(?m)^\tCode\w+ +Code = "([^"]+)"`).FindAllSubmatch(source, -1) {
		codes = append(codes, policy.Code(m[1]))
	}
	slices.Sort(codes)
	if diff := cmp.Diff(codes, slices.Sorted(maps.Keys(meanings))); diff != "" || len(codes) < 10 {
		t.Errorf("codes (-in the policy +with a meaning):\n%s", diff)
	}
}

// TEST_OUTPUT tells all three ends apart.
func TestTestOutput(t *testing.T) {
	tests := []struct {
		name string
		do   func(w *world) []string
		code int
		want string
	}{
		{"allowed", func(w *world) []string { w.leave("unit-tests", ended(attest.Passed, noon)); return nil },
			exitAllowed, `{"result":"SUCCESS","timestamp":"2026-03-02T00:00:00Z","successes":1,"failures":0,"warnings":0}`},
		{"denied", func(*world) []string { return nil },
			exitDenied, `{"result":"FAILURE","timestamp":"2026-03-02T00:00:00Z","successes":0,"failures":1,"warnings":0}`},
		{"no policy", func(*world) []string { return []string{"-policy", "missing"} },
			exitNotKnown, `{"result":"ERROR","timestamp":"2026-03-02T00:00:00Z","successes":0,"failures":0,"warnings":0}`},
		{"bad arguments", func(*world) []string { return []string{"-nonsense"} },
			exitNotKnown, `{"result":"ERROR","timestamp":"2026-03-02T00:00:00Z","successes":0,"failures":0,"warnings":0}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			path := filepath.Join(w.dir, "TEST_OUTPUT")
			if c := w.gate(w.args(append([]string{"-test-output", path}, test.do(w)...)...)...); c.code != test.code {
				t.Errorf("%+v", c)
			}
			w.holds(path, test.want)
		})
	}
}

// What an earlier call left is gone if this one could not judge, and no half of a file is left.
func TestFilesAreWholeOrNotThere(t *testing.T) {
	w := newWorld(t)
	w.leave("unit-tests", ended(attest.Passed, noon))
	reports := filepath.Join(w.dir, "reports")
	if err := os.Mkdir(reports, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(reports, "report.json")
	file := func() (names []string) {
		entries, err := os.ReadDir(reports)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	args := w.args("-output", "json", "-output-file", path)
	for _, more := range [][]string{{"-policy", "missing"}, {"-nonsense"}} {
		w.wants(w.gate(args...), exitAllowed)
		if diff := cmp.Diff([]string{"report.json"}, file()); diff != "" {
			t.Fatal(diff)
		}
		w.wants(w.gate(append(slices.Clone(args), more...)...), exitNotKnown)
		if diff := cmp.Diff([]string(nil), file()); diff != "" {
			t.Errorf("after %v: %s", more, diff)
		}
	}

	var told bytes.Buffer // nobody reads what is printed
	if code := run(t.Context(), args, nothing, broken{}, &told); code != exitNotKnown || !strings.Contains(told.String(), "nobody listens") {
		t.Errorf("exit code %d: %s", code, &told)
	}
	if diff := cmp.Diff([]string(nil), file()); diff != "" {
		t.Error(diff)
	}
}

// A policy that is named as the place for the report is still there afterwards.
func TestWhatIsReadIsNotReplaced(t *testing.T) {
	for _, flag := range []string{"-output-file", "-test-output"} {
		for _, file := range []string{"policy.yaml", "cosign.pub", "root.json", "runs.json"} {
			w := newWorld(t)
			w.file("root.json", "root")
			w.file("runs.json", "runs")
			before, err := os.ReadFile(filepath.Join(w.dir, file))
			if err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(w.dir, "link") // the same file by another name
			if err := os.Link(filepath.Join(w.dir, file), link); err != nil {
				t.Fatal(err)
			}
			c := w.gate(w.args("-trusted-root", filepath.Join(w.dir, "root.json"), "-identity", "a", "-issuer", "b",
				"-expect", filepath.Join(w.dir, "runs.json"), flag, link)...)
			w.wants(c, exitNotKnown, "link is to be read")
			w.holds(link, string(before))
		}
	}
}

type broken struct{}

// Write fails.
func (broken) Write([]byte) (int, error) { return 0, errors.New("nobody listens") }
