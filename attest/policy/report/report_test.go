package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/attest/policy"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// files are the golden files of a release of everything.
var files = map[Format]string{
	Table: "release.txt", Color: "release.color.txt", Markdown: "release.md", JSON: "release.json", JUnit: "release.xml",
	SARIF: "release.sarif", TestOutput: "release.test-output.json",
}

func TestGolden(t *testing.T) {
	if diff := cmp.Diff(slices.Sorted(maps.Keys(writers)), slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("formats without a golden file: %s", diff)
	}
	for format, file := range files {
		golden(t, file, write(t, format, everything()))
	}
	one := everything()
	one.Images = one.Images[:1] // an image alone has no line about all
	for _, format := range []Format{Table, Markdown} {
		golden(t, strings.Replace(files[format], "release", "image", 1), write(t, format, one))
	}
}

// Every violation, warning and waived note, every waiver and every error is in every format but the counts of TestOutput.
func TestEverythingIsInEveryFormat(t *testing.T) {
	r := everything()
	for format := range writers {
		if format == TestOutput {
			continue
		}
		// Escapes and line breaks stand between the words, not within them.
		got := words(write(t, format, r))
		for _, image := range r.Images {
			for _, p := range parts(image.Report) {
				for _, n := range p.notes {
					if p.name == "successes" && format == JUnit {
						continue // they pass, and need no words
					}
					if !strings.Contains(got, words(n.Msg)) {
						t.Errorf("%s: %q is not there", format, n.Msg)
					}
					if n.Waiver != nil && (!strings.Contains(got, n.Waiver.Who) || !strings.Contains(got, words(n.Waiver.Why))) {
						t.Errorf("%s: %q is not there", format, n.Waiver)
					}
				}
			}
			if !strings.Contains(got, words(image.Error)) || !strings.Contains(got, image.Component) {
				t.Errorf("%s: %q or %q is not there", format, image.Error, image.Component)
			}
		}
	}
}

var escapes = regexp.MustCompile(`\x1b\[\d+m|&#xA;`)

// words is text without colours and with one space between words.
func words(text string) string {
	return strings.Join(strings.Fields(escapes.ReplaceAllString(text, " ")), " ")
}

// Evidence stands once under notes in a row that were concluded from the same, but not if another waiver stands there too.
func TestDetailsStandOnce(t *testing.T) {
	one := waived(note(policy.CodeFailed, "a", "a failed", source("a")))
	two := waived(note(policy.CodeFailed, "b", "b failed", source("a")))
	other := waived(note(policy.CodeFailed, "c", "c failed", source("a")))
	other.Waiver.Who = "grace"
	elsewhere := waived(note(policy.CodeFailed, "d", "d failed", source("d")))
	elsewhere.Waiver.Who = "grace"
	image := judged("registry.example.com/shop/api@"+digest("a"), nil, nil, []policy.Note{one, two, other, elsewhere}, nil)
	for _, format := range []Format{Table, Markdown} {
		got := write(t, format, policy.Release{Images: []policy.Judged{image}})
		if by, evidence := strings.Count(got, "waived by"), strings.Count(got, "by the predicate"); by != 3 || evidence != 3 {
			t.Errorf("%s: %d waivers, %d sources\n%s", format, by, evidence, got)
		}
	}
}

// The heading of an image says which one it is.
func TestName(t *testing.T) {
	for want, about := range map[string]policy.Judged{
		"i":                             {},
		"i (api)":                       {Report: policy.Report{Component: "api"}},
		"i (linux/arm64)":               {Index: "x", Platform: "linux/arm64"},
		"i (of no named platform)":      {Index: "x"},
		`i ("a\n", "\x1b")`:             {Report: policy.Report{Component: "a\n"}, Platform: "\x1b"},
		"i (api, of no named platform)": {Report: policy.Report{Component: "api"}, Index: "x"},
		"i (größe_1.2-rc:3)":            {Report: policy.Report{Component: "größe_1.2-rc:3"}},

		// Nothing that others name reads as more of the sentence.
		`i ("api) is allowed at ")`:             {Report: policy.Report{Component: "api) is allowed at "}},
		`i ("linux/arm64) is allowed")`:         {Index: "x", Platform: "linux/arm64) is allowed"},
		`i ("a, b", "c\"")`:                     {Report: policy.Report{Component: "a, b"}, Platform: `c"`},
		"i (" + strings.Repeat("x", 100) + "…)": {Report: policy.Report{Component: strings.Repeat("x", 1<<20)}},
	} {
		about.Image = "i"
		if got := name(about); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// However hostile the text, what is written is what it seems: lines that a terminal prints, in so many columns; documents
// that parse; JSON that reads back as the release; as many violations in each as there are.
func TestAnyRelease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRelease(t)
		violations, skipped, failed := 0, 0, 0
		for _, image := range r.Images {
			violations, skipped = violations+len(image.Violations), skipped+len(image.Waived)
			if image.Error != "" {
				failed++
			}
		}
		for format := range writers {
			out := write(t, format, r)
			plain := out
			if format == Color {
				plain = escapes.ReplaceAllString(out, "")
			}
			if at := strings.IndexFunc(plain, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); at >= 0 {
				t.Fatalf("%s: %q is written", format, plain[at:min(at+20, len(plain))])
			}
			switch format {
			case Table, Color:
				for line := range strings.Lines(plain) {
					if columnsOf(strings.TrimSuffix(line, "\n")) > widest {
						t.Fatalf("%d columns: %s", columnsOf(line), line)
					}
				}
				if got := strings.Count("\n"+plain, "\n✘ "); got != violations {
					t.Fatalf("%d violations are %d lines\n%s", violations, got, plain)
				}
			case JSON:
				var back policy.Release
				if err := json.Unmarshal([]byte(out), &back); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(r, back); diff != "" {
					t.Fatal(diff)
				}
			case JUnit:
				s := suites(t, out)
				if s.Failures != violations || s.Skipped != skipped || s.Errors != failed {
					t.Fatalf("%+v", s)
				}
			case SARIF:
				s := readSARIF(t, out)
				errors, notes := s.count("error", false), s.count("note", true)
				if errors != violations || notes != skipped || s.successful() != (failed == 0) {
					t.Fatalf("%d violations and %d waived notes are %d and %d in %s", violations, skipped, errors, notes, out)
				}
			case Markdown:
				checkMarkdown(t, out, violations)
			case TestOutput:
				o, doubts, err := pipelinerun.ParseTestOutput([]byte(out))
				if good := r.Success && len(r.Images) > 0; err != nil || doubts != nil || o.Failures != violations || (o.Result == "SUCCESS") != good {
					t.Fatalf("%v: %s", err, out)
				}
			}
		}
	})
}

// Each hostile text, in each place that takes text, by itself.
func TestHostileText(t *testing.T) {
	for _, text := range hostile {
		n := waived(note(policy.CodeDenied, text, text, source(text)))
		n.Waiver.Who, n.Waiver.Why, n.Waiver.Place = text, text, text
		one := judged(text, []policy.Note{n}, []policy.Note{n}, []policy.Note{n}, []policy.Note{n})
		one.Component, one.Platform, one.Index = text, text, text
		broken := judged(text, nil, nil, nil, nil)
		broken.Success, broken.Error = false, text+"!"
		r := policy.Release{Time: noon, Images: []policy.Judged{one, broken}}
		checkMarkdown(t, write(t, Markdown, r), 1)
		suites(t, write(t, JUnit, r))
		readSARIF(t, write(t, SARIF, r))
		for line := range strings.Lines(write(t, Table, r)) {
			line = strings.TrimSuffix(line, "\n")
			if columnsOf(line) > widest || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", line)
			}
		}
	}
}

// checkMarkdown takes off the code spans by the rule of CommonMark 0.31 section 6.1, and sees that only our own is left.
func checkMarkdown(t rapid.TB, text string, violations int) {
	t.Helper()
	got := 0
	for line := range strings.Lines(text) {
		line = withoutCode(strings.TrimSuffix(line, "\n"))
		if strings.HasPrefix(line, "- ✘ C C") {
			got++
		}
		if !ours.MatchString(line) {
			t.Fatalf("%q is left in\n%s", line, text)
		}
	}
	if got != violations {
		t.Fatalf("%d violations are %d lines\n%s", violations, got, text)
	}
}

const (
	atNoon   = `2026-03-01T12:00:00Z`
	verdicts = `(is allowed|is denied|could not be judged)`
	counted  = `violations \d+, warnings \d+, waived \d+, successes \d+`
)

// ours are the lines that are written around text of others, which is a C here.
var ours = regexp.MustCompile(`^(|` + strings.Join([]string{
	`## . Release ` + verdicts, `At ` + atNoon + `: images \d+, allowed \d+, denied \d+, not judged \d+`, `At ` + atNoon + `: ` + counted,
	`- . C ` + verdicts + `: ` + counted, `### . C ` + verdicts, `C`, `- . C C`, `  - C`,
	`<details><summary>successes: \d+</summary>`, `</details>`,
	`Beware, it is an index, and is judged alone: (the image that it lists is not|the \d+ images that it lists are not)\.`,
}, "|") + `)$`)

// An index of one image, as most builds of one platform make it, is told of in the singular.
func TestIndexOfOneImage(t *testing.T) {
	for n, want := range map[int]string{
		0: "", 1: "it is an index, and is judged alone: the image that it lists is not",
		2: "it is an index, and is judged alone: the 2 images that it lists are not",
	} {
		if got := unjudged(policy.Judged{Unjudged: n}); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// withoutCode puts C in the place of each code span: it begins with a string of backticks and ends with the next of the
// same length. A string without an end is text.
func withoutCode(line string) string {
	var out strings.Builder
	for line != "" {
		before, rest, found := strings.Cut(line, "`")
		out.WriteString(before)
		if !found {
			break
		}
		n := len(rest) - len(strings.TrimLeft(rest, "`")) + 1
		rest = strings.TrimLeft(rest, "`")
		end := -1
		for _, run := range regexp.MustCompile("`+").FindAllStringIndex(rest, -1) {
			if run[1]-run[0] == n {
				end = run[1]
				break
			}
		}
		if end < 0 {
			out.WriteString(strings.Repeat("`", n))
			line = rest
			continue
		}
		out.WriteString("C")
		line = rest[end:]
	}
	return out.String()
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
	var sums [4]int
	for _, suite := range s.Suites {
		var own junitSuite
		for _, c := range suite.Cases {
			own.Failures += one(c.Failure != nil)
			own.Errors += one(c.Error != nil)
			own.Skipped += one(c.Skipped != nil)
		}
		counts := [...]int{suite.Tests, suite.Failures, suite.Errors, suite.Skipped}
		if counts != [...]int{len(suite.Cases), own.Failures, own.Errors, own.Skipped} {
			t.Fatalf("counts of a suite: %+v", suite)
		}
		for i, n := range counts {
			sums[i] += n
		}
	}
	if sums != [...]int{s.Tests, s.Failures, s.Errors, s.Skipped} {
		t.Fatalf("sums: %+v", s)
	}
	return s
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// A sarifDoc is what readSARIF read.
type sarifDoc struct {
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
		Invocations []struct {
			ExecutionSuccessful        *bool
			ToolExecutionNotifications []struct {
				Level     string
				Message   struct{ Text string }
				Locations []any
			}
		}
		Results []struct {
			RuleID, Kind, Level string
			RuleIndex           *int
			Message             struct{ Text string }
			Locations           []struct {
				PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
				LogicalLocations []struct{ Name, Kind string }
			}
			PartialFingerprints map[string]string
			Suppressions        []struct{ Kind, Status, Justification string }
			Properties          map[string]any
		}
	}
}

func (s sarifDoc) count(level string, suppressed bool) (n int) {
	for _, r := range s.Runs[0].Results {
		n += one(r.Level == level && (len(r.Suppressions) > 0) == suppressed)
	}
	return n
}

func (s sarifDoc) successful() bool { return *s.Runs[0].Invocations[0].ExecutionSuccessful }

// link is one in a message, by section 3.11.6 of SARIF.
var link = regexp.MustCompile(`(^|[^\\])\[[^\]]*\]\(`)

// readSARIF checks the rules of SARIF 2.1.0 that a schema cannot say, and those that it can.
func readSARIF(t rapid.TB, text string) (doc sarifDoc) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if doc.Version != "2.1.0" || len(doc.Runs) != 1 {
		t.Fatalf("got %s", text)
	}
	if run := doc.Runs[0]; run.Results == nil || run.Tool.Driver.Name == "" || len(run.Invocations) != 1 {
		t.Fatalf("got %s", text)
	}
	seen := map[string]bool{}
	rules := doc.Runs[0].Tool.Driver.Rules
	for _, rule := range rules {
		if seen["rule "+rule.ID] {
			t.Errorf("rule %+v", rule)
		}
		seen["rule "+rule.ID] = true
	}
	for _, r := range doc.Runs[0].Results {
		if r.RuleIndex == nil || *r.RuleIndex < 0 || *r.RuleIndex >= len(rules) || rules[*r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s is not the rule of its index", r.RuleID)
		}
		if passes := r.Kind == "pass"; passes != (r.Level == "none") || !passes && r.Kind != "fail" {
			t.Errorf("kind %s with level %s", r.Kind, r.Level)
		}
		if len(r.Locations) != 1 || !strings.HasPrefix(r.Locations[0].PhysicalLocation.ArtifactLocation.URI, "oci://") {
			t.Errorf("locations of %+v", r)
		}
		if link.MatchString(r.Message.Text) {
			t.Errorf("a link in %q", r.Message.Text)
		}
		if placeholder.MatchString(strings.NewReplacer("{{", "", "}}", "").Replace(r.Message.Text)) { // section 3.11.5
			t.Errorf("a placeholder in %q", r.Message.Text)
		}
		if print := r.PartialFingerprints[fingerprint]; print == "" || seen[print] {
			t.Errorf("fingerprint %q", print)
		} else {
			seen[print] = true
		}
	}
	return doc
}

// The same note about the next image of the repository has the same fingerprint; another has another.
func TestFingerprint(t *testing.T) {
	of := func(repository, component, platform, digit string, n policy.Note) string {
		s := sarif{seen: map[string]int{}}
		image := judged(repository+"@"+digest(digit), nil, nil, nil, nil)
		image.Component, image.Platform = component, platform
		return s.fingerprint(image, n)
	}
	aged := note(policy.CodeAged, "scan", "at noon", source("scan"))
	later := note(policy.CodeAged, "scan", "at one", source("scan"))
	at := noon.AddDate(0, 0, 1)
	later.Evidence[0].Manifest, later.Evidence[0].Time = digest("2"), &at
	first := of("quay.io/a/b", "", "", "0", aged)
	if again := of("quay.io/a/b", "", "", "1", later); again != first {
		t.Error("the next image has another fingerprint")
	}
	for what, print := range map[string]string{
		"term":       of("quay.io/a/b", "", "", "0", note(policy.CodeAged, "lint", "at noon", source("scan"))),
		"repository": of("quay.io/a/c", "", "", "0", aged),
		"platform":   of("quay.io/a/b", "", "linux/arm64", "0", aged),
		"component":  of("quay.io/a/b", "api", "", "0", aged),
		"test":       of("quay.io/a/b", "", "", "0", note(policy.CodeAged, "scan", "at noon", source("other"))),
	} {
		if print == first {
			t.Errorf("another %s has the same fingerprint", what)
		}
	}
}

// A new code of the policy gets its meaning here too.
func TestMeanings(t *testing.T) {
	source, err := os.ReadFile("../report.go")
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
	for code, meaning := range meanings {
		if meaning == "" {
			t.Errorf("%s means nothing", code)
		}
	}
}

// A list that is absent would say that nothing was judged. Nothing is no success.
func TestNothing(t *testing.T) {
	for format, want := range map[Format]string{
		Table: "release could not be judged", Color: "release could not be judged",
		Markdown: "## ❓ Release could not be judged",
		JSON:     `"components": []`, JUnit: `<testsuites tests="0"`, SARIF: `"results": []`, TestOutput: `"result":"ERROR"`,
	} {
		if got := write(t, format, policy.Release{Time: noon}); !strings.Contains(got, want) {
			t.Errorf("%s: %q is not in\n%s", format, want, got)
		}
	}
	if got := write(t, SARIF, policy.Release{}); !strings.Contains(got, `"rules": []`) {
		t.Errorf("got %s", got)
	}
}

func TestFormat(t *testing.T) {
	for format := range writers {
		var f Format
		if err := f.UnmarshalText([]byte(format)); err != nil || f != format {
			t.Errorf("%s: %q, %v", format, f, err)
		}
		if err := Write(broken{}, format, everything()); !errors.Is(err, errBroken) {
			t.Errorf("%s: got %v", format, err)
		}
	}
	const want = `report: "html" is no format; want one of color, json, junit, markdown, sarif, table, test-output`
	f := Table
	if err := f.UnmarshalText([]byte("html")); err == nil || err.Error() != want || f != Table {
		t.Errorf("%q, %v", f, err)
	}
	if err := Write(io.Discard, "html", everything()); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

// Write fails.
func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"CVE-1 in Größe": "CVE-1 in Größe", "": "", "a\nb": `"a\nb"`, "a\xff": `"a\xff"`, "\u009b": `"\u009b"`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestShort(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for text, want := range map[string]string{
		"quay.io/a@sha256:" + hex + ", key " + hex: "quay.io/a@sha256:0123456789ab, key 0123456789ab",
		hex + "0": hex + "0", "x" + hex: "x" + hex, hex[1:]: hex[1:], strings.ToUpper(hex): strings.ToUpper(hex),
	} {
		if got := short(text); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
}

func TestWrap(t *testing.T) {
	for text, want := range map[string][]string{
		"":                   {""},
		"one two three four": {"one two", "three", "four"},
		"abcdefghijklmnop q": {"abcdefgh", "ijklmnop", "q"},
		"高高高高高":              {"高高高高", "高"},
		"e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301": {"e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301"},
		"a  b": {"a  b"},
	} {
		if diff := cmp.Diff(want, wrap(text, 8)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		lines := wrap(text, 8)
		bare := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got := bare(strings.Join(lines, "")); got != bare(text) && utf8.ValidString(text) {
			t.Errorf("%q became %q", text, lines)
		}
	})
}
