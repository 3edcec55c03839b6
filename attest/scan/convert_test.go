package scan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
)

func mustConvert(t testing.TB, content []byte, opts scan.Options) intoto.Vulns {
	t.Helper()
	return mustConvertFrom(t, bytes.NewReader(content), opts)
}

// brief is what an error of this package is, its kind first, so that tables of them read well.
func brief(err error) string {
	var format *scan.FormatError
	var notRun *scan.NotRunError
	var unknown *scan.UnknownFormatError
	var limit *intoto.LimitError
	var field *intoto.FieldError
	switch {
	case err == nil:
		return "converted"
	case errors.As(err, &format):
		return fmt.Sprintf("format %s: %s: %v", format.Format, format.Where, format.Err)
	case errors.As(err, &notRun):
		return fmt.Sprintf("not run %s: %s", notRun.Format, notRun.Reason)
	case errors.As(err, &unknown):
		return fmt.Sprintf("unknown %s%q", unknown.Format, unknown.Begin)
	case errors.As(err, &limit):
		return fmt.Sprintf("limit %s %d", limit.What, limit.Limit)
	case errors.As(err, &field):
		return fmt.Sprintf("field %s: %s", field.Field, field.Problem)
	}
	return "other: " + err.Error()
}

// What is no whole report, or one of a scan that did not run, must never be an empty list.
func TestRefused(t *testing.T) {
	edit := func(name, old, new string) string {
		content := string(sample(t, name))
		if !strings.Contains(content, old) {
			t.Fatalf("%s does not have %s", name, old)
		}
		return strings.Replace(content, old, new, 1)
	}
	clair := func(rest string) string { return `{"manifest_hash":"sha256:00",` + rest + `}` }
	run := func(rest string) string {
		return `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","informationUri":"https://t.example"}}` + rest + `}]}`
	}
	for _, test := range []struct{ name, content, want string }{
		{"Trivy: schema 1", `{"SchemaVersion":1,"Results":[{"Target":"a"}]}`, `format trivy: SchemaVersion: "1", want 2`},
		{"Trivy: no schema", `{"Results":[{"Target":"a"}]}`, `format trivy: SchemaVersion: "", want 2`},
		{"Trivy: no results", `{"SchemaVersion":2}`, `not run trivy: it has no Results`},
		{"Trivy: results null", `{"SchemaVersion":2,"Results":null}`, `not run trivy: it has no Results`},
		{"Trivy: results empty", `{"SchemaVersion":2,"Results":[]}`, `not run trivy: it has no Results`},
		{"Trivy: results of null", `{"SchemaVersion":2,"Results":[null]}`, `format trivy: Results[0]: null, want an object`},
		{"Trivy: results of nothing", `{"SchemaVersion":2,"Results":[{}]}`, `format trivy: Results[0]: a result of nothing`},
		{"Trivy: fewer misconfigurations than it counts", `{"SchemaVersion":2,"Results":[{"Class":"config","MisconfSummary":{"Failures":2},"Misconfigurations":[{"ID":"a"},{"ID":"b","Status":"PASS"}]}]}`,
			`format trivy: Results[0]: MisconfSummary counts 2 failures, and Misconfigurations has 1`},
		{"Trivy: finding null", `{"SchemaVersion":2,"Results":[{"Target":"a","Vulnerabilities":[null]}]}`, `format trivy: Results[0].Vulnerabilities[0]: null, want an object`},
		{"Trivy: no id", `{"SchemaVersion":2,"Results":[{"Target":"a","Secrets":[{"RuleID":""}]}]}`, `format trivy: Results[0].Secrets[0]: a finding without an id`},
		{"Trivy: number as text", edit("trivy.json", `"zlib@1.3",
          "PkgName": "zlib"`, `"zlib@1.3", "PkgName": 7`), `format trivy: Results[0].Vulnerabilities[0].PkgName: a number, want text`},
		{"Trivy: text as number", edit("trivy.json", `8.8`, `"8.8"`), `format trivy: Results[0].Vulnerabilities[0].CVSS.nvd.V3Score: text, want a number`},
		{"Trivy: too large a number", edit("trivy.json", `8.8`, `8e999`), `format trivy: Results[0].Vulnerabilities[0].CVSS.nvd.V3Score: 8e999 is too large a number`},
		{"Trivy: half a line", edit("trivy.json", `"StartLine": 3`, `"StartLine": 3.5`), `format trivy: Results[3].Secrets[0].StartLine: 3.5, want a whole number`},
		{"Trivy: object as list", `{"SchemaVersion":2,"Results":{}}`, `format trivy: Results: an object, want a list`},
		{"Trivy: twice the same name", `{"SchemaVersion":2,"Results":[{"Target":"a","Target":"b"}]}`, `format trivy: Results[0]`},
		{"Trivy: twice in what is skipped", `{"SchemaVersion":2,"Metadata":{"a":1,"a":2}}`, `format trivy: Metadata`},
		{"Trivy: bad UTF-8", "{\"SchemaVersion\":2,\"Results\":[{\"Target\":\"\xff\"}]}", `format trivy: Results[0]`},
		{"Trivy: something follows", `{"SchemaVersion":2,"Results":[{"Target":"a"}]} {}`, `format trivy: : something follows it`},
		{"Trivy: something else follows", `{"SchemaVersion":2,"Results":[{"Target":"a"}]} x`, `format trivy: `},
		{"Trivy: names in wild form", `{"SchemaVersion":2,"Results":[{"Target":"a","x.y":{"":{"0":{]`, `format trivy: Results[0]["x.y"][""][0]`},

		{"Grype: other tool", edit("grype.json", `"name": "grype"`, `"name": "other"`), `format grype: descriptor.name: "other", want "grype"`},
		{"Grype: no descriptor", `{"matches":[]}`, `format grype: descriptor.name: "", want "grype"`},
		{"Grype: no matches", `{"descriptor":{"name":"grype"}}`, `format grype: matches: missing`},
		{"Grype: matches null", `{"matches":null,"descriptor":{"name":"grype"}}`, `format grype: matches: missing`},
		{"Grype: no id", `{"matches":[{}]}`, `format grype: matches[0]: a finding without an id`},
		{"Grype: bad database", edit("grype.json", `"valid": true`, `"valid": false`), `not run grype: its database was not valid`},
		{"Grype: database with an error", edit("grype.json", `"error": ""`, `"error": "too old\nby far"`), `not run grype: its database: too old`},
		{"Grype: database with an old error", edit("grype-v5.json", `"error": null`, `"error": {}`), `not run grype: its database could not be used`},
		{"Grype: odd truth", edit("grype.json", `"valid": true`, `"valid": 1`), `format grype: descriptor.db.status.valid: a number, want true or false`},

		{"Clair: no manifest", edit("clair.json", `"manifest_hash"`, `"other"`), `format clair: manifest_hash: missing`},
		{"Clair: index report", clair(`"state":"IndexFinished","packages":{"1":{}},"success":true,"err":""`), `format clair: package_vulnerabilities: missing`},
		{"Clair: index failed", clair(`"state":"IndexError","packages":{},"err":"no layer\nat all"`), `not run clair: no layer`},
		{"Clair: index failed without reason", clair(`"state":"IndexError"`), `not run clair: IndexError`},
		{"Clair: pairs null", clair(`"packages":{"1":{}},"package_vulnerabilities":null`), `format clair: package_vulnerabilities: missing`},
		{"Clair: no packages", clair(`"packages":{},"package_vulnerabilities":{}`), `not run clair: it has no packages`},
		{"Clair: lost", clair(`"packages":{"1":{}},"package_vulnerabilities":{"2":["a"],"1":["b"]},"vulnerabilities":{"c":{"name":"x"}}`),
			`format clair: package_vulnerabilities: leads to what is not there: packages["2"], vulnerabilities["a"], vulnerabilities["b"]`},
		{"Clair: many lost", clair(`"packages":{"1":{}},"package_vulnerabilities":{"1":["a","b","c","d","e","f","g","h","i","j","k","l"]}`),
			`vulnerabilities["j"] and 2 more`},
		{"Clair: no name", clair(`"packages":{"1":{}},"package_vulnerabilities":{"1":["a"]},"vulnerabilities":{"a":{}}`), `format clair: vulnerabilities["a"]: without a name`},
		{"Clair: package null", clair(`"packages":{"1":null}`), `format clair: packages[1]: null, want an object`},

		{"Quay: queued", `{"status":"queued","data":null}`, `not run quay: its status is "queued"`},
		{"Quay: no data", `{"status":"scanned","data":null}`, `format quay: data.Layer: missing`},
		{"Quay: no layer", `{"status":"scanned","data":{"Layer":null}}`, `format quay: data.Layer: missing`},
		{"Quay: no features", `{"status":"scanned","data":{"Layer":{"Features":[]}}}`, `not run quay: data.Layer has no Features`},
		{"Quay: no name", `{"data":{"Layer":{"Features":[{"Version":"1"}]}}}`, `format quay: data.Layer.Features[0]: a feature without a name`},

		{"OSV-Scanner: no results", `{"experimental_config":{}}`, `format osv-scanner: results: missing`},
		{"OSV-Scanner: results null", `{"results":null}`, `format osv-scanner: results: missing`},
		{"OSV-Scanner: no packages", `{"results":[{"source":{"path":"a"}}]}`, `format osv-scanner: results[0]: without packages`},
		{"OSV-Scanner: no name", `{"results":[{"packages":[{}]}]}`, `format osv-scanner: results[0].packages[0]: a package without name and commit`},
		{"OSV-Scanner: no id", `{"results":[{"packages":[{"package":{"name":"a"},"vulnerabilities":[{}]}]}]}`, `format osv-scanner: results[0].packages[0]: a finding without an id`},

		{"SARIF: version", `{"version":"2.0.0","runs":[]}`, `format sarif: version: "2.0.0", want 2.1.0`},
		{"SARIF: no runs", `{"version":"2.1.0","runs":[]}`, `not run sarif: it has no runs`},
		{"SARIF: runs null", `{"version":"2.1.0","runs":null}`, `not run sarif: it has no runs`},
		{"SARIF: no tool", `{"version":"2.1.0","runs":[{"results":[]}]}`, `format sarif: runs[0].tool.driver.name: missing`},
		{"SARIF: no results", run(``), `not run sarif: runs[0] has no results`},
		{"SARIF: results null", run(`,"results":null`), `not run sarif: runs[0] has no results`},
		{"SARIF: no id", run(`,"results":[{"ruleId":"a"},{"ruleIndex":0}]`), `format sarif: runs[0].results[1]: neither ruleId nor a rule`},
		{"SARIF: an old version", `{"version":"1.0.0","runs":[{"tool":{"name":"t"},"results":[]}]}`, `format sarif: version: "1.0.0", want 2.1.0`},
		{"SARIF: it did not start", run(`,"results":[],"invocations":[{"executionSuccessful":true,"processStartFailureMessage":"no license"}]`),
			`not run sarif: executionSuccessful is true, and the tool did not start: no license`},
		{"SARIF: failed", run(`,"results":[],"invocations":[{"executionSuccessful":false}]`), `not run sarif: executionSuccessful is false`},
		{"SARIF: nobody says that it went well", run(`,"results":[],"invocations":[{"exitCode":2,"processStartFailureMessage":"no such file"}]`), `not run sarif: an invocation does not say executionSuccessful, exit code 2: no such file`},
		{"SARIF: null says nothing", run(`,"results":[],"invocations":[{"executionSuccessful":null}]`), `not run sarif: an invocation does not say executionSuccessful`},
		{"SARIF: parts in other files", run(`,"results":[],"externalPropertyFileReferences":{"results":[{"location":{"uri":"r"},"itemCount":7}]}`), `format sarif: runs[0].externalPropertyFileReferences`},
		{"SARIF: parts elsewhere in the file", `{"version":"2.1.0","inlineExternalProperties":[{"results":[{"ruleId":"CVE-1"}]}],"runs":[{"tool":{"driver":{"name":"t"}},"results":[]}]}`, `format sarif: inlineExternalProperties`},
		{"SARIF: a suppression that is none", run(`,"results":[{"ruleId":"a","suppressions":[null]}]`), `format sarif: runs[0].results[0].suppressions[0]`},
		{"SARIF: many extensions", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t"},"extensions":[` + strings.TrimSuffix(strings.Repeat("{},", 101), ",") + `]},"results":[]}]}`, `limit tool extensions 100`},
		{"OSV-Scanner: findings of detectors", `{"results":[],"experimental_config":{},"experimental_generic_findings":[{"Adv":{"ID":{"Reference":"weak"}}}]}`, `format osv-scanner: experimental_generic_findings`},
		{"OSV-Scanner: groups alone", `{"results":[{"packages":[{"package":{"name":"a"},"groups":[{"ids":["GHSA-1"],"max_severity":"9.8"}]}]}]}`, `format osv-scanner: results[0].packages[0]`},
		{"Trivy: only something else was looked at", `{"SchemaVersion":2,"Results":[{"Target":"Dockerfile","Class":"config","MisconfSummary":{"Successes":20}},{"Target":"x","Class":"secret"}]}`, `not run trivy: no Results are of class os-pkgs or lang-pkgs`},
		{"SARIF: failed with reasons", run(`,"results":[],"invocations":[{"executionSuccessful":false,"exitCode":2,"exitCodeDescription":"no license"}]`),
			`not run sarif: executionSuccessful is false, exit code 2: no license`},
		{"SARIF: two tools", edit("sarif.sarif", `{"driver": {"name": "CodeCheck"`, `{"driver": {"name": "Other"`), `format sarif: runs[1].tool.driver: "Other" in version "1.2.3 (build 4)" is not the tool`},
		{"SARIF: two versions", edit("sarif.sarif", `"1.2.3 (build 4)", "semanticVersion": "1.2.3"}`, `"1.3", "semanticVersion": "1.2.3"}`), `format sarif: runs[1].tool.driver: "CodeCheck" in version "1.3"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := told
			opts.Scanner.URI = "https://scanner.example"
			tool, _, _ := strings.Cut(test.name, ":")
			opts.Format = scan.Format(strings.ToLower(tool))
			_, err := scan.Convert(strings.NewReader(test.content), opts)
			if got := brief(err); !strings.Contains(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// A scan that found nothing says so with an empty list.
func TestNothingFound(t *testing.T) {
	for _, content := range []string{
		`{"SchemaVersion":2,"Results":[{"Target":"a"}]}`,
		`{"SchemaVersion":2,"Results":[{"Target":"a","Class":"os-pkgs"},{"Target":"b","Class":"secret"}]}`,
		`{"SchemaVersion":2,"Results":[{"Target":"a","Class":"lang-pkgs"}]}`,
		`{"SchemaVersion":2,"Results":[{"Target":"a","Class":"odd","Vulnerabilities":[]}]}`,
		`{"matches":[],"descriptor":{"name":"grype"}}`,
		`{"manifest_hash":"sha256:00","packages":{"1":{}},"vulnerabilities":{},"package_vulnerabilities":{}}`,
		`{"data":{"Layer":{"Features":[{"Name":"a"}]}}}`,
		`{"results":[],"experimental_config":{}}`,
		`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","informationUri":"https://t.example"}},"results":[]}]}`,
	} {
		got := mustConvert(t, []byte(content), told)
		if got.Scanner.Result == nil || len(got.Scanner.Result) > 0 {
			t.Errorf("%s\ngot %v, want an empty list", content, got.Scanner.Result)
		}
	}
}

// A version of OSV-Scanner may write more than is known now. Beside findings of its form, it does no harm.
func TestMoreMembers(t *testing.T) {
	const more = `{"new":1,"results":[{"packages":[{"package":{"name":"a"},"vulnerabilities":[{"id":"x"}]}]}]}`
	opts := told
	opts.Format = scan.OSVScanner
	if got := mustConvert(t, []byte(more), opts); len(got.Scanner.Result) != 1 {
		t.Errorf("got %v, want one finding", got.Scanner.Result)
	}
	_, err := scan.Convert(strings.NewReader(`{"errors":[],"results":[]}`), opts)
	if got, want := brief(err), `format osv-scanner: : it has no results, and "errors", which is not of this format`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// All that is lacking is asked for at once, and nothing that is there.
func TestLacks(t *testing.T) {
	const tool = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","informationUri":"docs/index.html"}},"results":[],"invocations":[{"executionSuccessful":true,"startTimeUtc":"soon"}]}]}`
	for _, test := range []struct {
		name, content string
		want          []string
	}{
		{"SARIF", tool, []string{"scanner.uri Scanner.URI", "scanner.db.lastUpdate Scanner.DB.LastUpdate", "metadata.scanStartedOn Started", "metadata.scanFinishedOn Finished"}},
		{"Trivy", string(sample(t, "trivy.json")), []string{"scanner.db.lastUpdate Scanner.DB.LastUpdate", "metadata.scanStartedOn Started"}},
		{"Grype", string(sample(t, "grype.json")), []string{"metadata.scanStartedOn Started"}},
		{"Grype without a time", string(sample(t, "grype-v5.json")), []string{"metadata.scanStartedOn Started", "metadata.scanFinishedOn Finished"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := scan.Convert(strings.NewReader(test.content), scan.Options{})
			joined, ok := err.(interface{ Unwrap() []error })
			if !ok {
				t.Fatalf("got %v, want a joined error", err)
			}
			var got []string
			for _, err := range joined.Unwrap() {
				var lack *scan.LackError
				if !errors.As(err, &lack) || !strings.Contains(lack.Error(), "Options."+lack.Option) {
					t.Fatalf("got %v, want a LackError that says what to give", err)
				}
				got = append(got, lack.Field+" "+lack.Option)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	t.Run("URI goes before what the format says", func(t *testing.T) {
		opts := told
		opts.Scanner.URI = "https://mirror.example/trivy"
		if got := mustConvert(t, sample(t, "trivy.json"), opts).Scanner.URI; got != opts.Scanner.URI {
			t.Errorf("got %q", got)
		}
	})
	t.Run("versions", func(t *testing.T) {
		for version, want := range map[string]string{
			"0.69.0": "@v0.69.0", "v0.69.0": "@v0.69.0", "dev": "", "": "", "1.0#x": "", "1 0": "", "v": "",
		} {
			opts := told
			opts.Scanner.Version = version
			content := strings.Replace(string(sample(t, "trivy.json")), `"0.69.0"`, `""`, 1)
			if got := mustConvert(t, []byte(content), opts).Scanner.URI; got != "pkg:github/aquasecurity/trivy"+want {
				t.Errorf("%q: got %q", version, got)
			}
		}
	})
	t.Run("a result", func(t *testing.T) {
		_, err := scan.Convert(strings.NewReader("{}"), scan.Options{Scanner: intoto.Scanner{Result: []intoto.Finding{}}})
		if got, want := brief(err), "field opts.Scanner.Result: must be nil: the report says what was found"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("no such format", func(t *testing.T) {
		_, err := scan.Convert(bytes.NewReader(sample(t, "trivy.json")), scan.Options{Format: "Trivy"})
		if got := brief(err); !strings.HasPrefix(got, "unknown Trivy") || !strings.Contains(err.Error(), `no format is called "Trivy"`) {
			t.Errorf("got %s: %v", got, err)
		}
	})
	t.Run("another format", func(t *testing.T) {
		opts := told
		opts.Format = scan.Grype
		_, err := scan.Convert(bytes.NewReader(sample(t, "trivy.json")), opts)
		if got, want := brief(err), "format grype: : it looks like a report of the format trivy"; !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("started after it ended", func(t *testing.T) {
		opts := told
		opts.Started = ended.Add(time.Hour)
		_, err := scan.Convert(bytes.NewReader(sample(t, "trivy.json")), opts)
		want := "other: scan: the scan ended before it began: the trivy report says CreatedAt 2026-11-01T10:05:00.5Z, and Options.Started is 2026-11-01T11:05:00Z"
		if got := brief(err); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestErrorOfReader(t *testing.T) {
	broken := errors.New("broken pipe")
	content := sample(t, "trivy.json")
	for _, early := range [][]byte{nil, content[:100], slices.Concat(content[:100], bytes.Repeat([]byte(" "), 100<<10))} {
		_, err := scan.Convert(io.MultiReader(bytes.NewReader(early), iotest.ErrReader(broken)), told)
		var format *scan.FormatError
		if !errors.Is(err, broken) || errors.As(err, &format) {
			t.Errorf("after %d bytes: got %v, want the error of the reader", len(early), err)
		}
	}
	slow := mustConvertFrom(t, iotest.OneByteReader(bytes.NewReader(content)), told)
	if diff := cmp.Diff(mustConvert(t, content, told), slow); diff != "" {
		t.Errorf("byte by byte (-want +got):\n%s", diff)
	}
}

func mustConvertFrom(t testing.TB, r io.Reader, opts scan.Options) intoto.Vulns {
	t.Helper()
	p, err := scan.Convert(r, opts)
	if err != nil {
		t.Fatal(err)
	}
	v := p.(intoto.Vulns)
	v.Note = "" // TestNote is about it
	return v
}

// Wherever a report is cut off, it is no report; a format that is given, in place of recognised, is tried at every
// third byte.
func TestTruncated(t *testing.T) {
	for name, s := range samples {
		t.Run(name, func(t *testing.T) {
			content := bytes.TrimSpace(sample(t, name))
			cut := func(n int, opts scan.Options) {
				_, err := scan.Convert(bytes.NewReader(content[:n]), opts)
				if got := brief(err); !strings.HasPrefix(got, "format") && (opts.Format != "" || !strings.HasPrefix(got, "unknown")) {
					t.Fatalf("first %d bytes of %d: %s", n, len(content), got)
				}
			}
			for n := range content {
				cut(n, told)
				if n%3 == 0 {
					cut(n, scan.Options{Format: s.format, Scanner: told.Scanner, Started: began, Finished: ended})
				}
			}
		})
	}
}

// shuffled writes JSON anew, the members of every object in an order of its own.
func shuffled(random *rand.Rand, v any) string {
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		members := make([]string, len(names))
		for i, name := range names {
			members[i] = shuffled(random, name) + ":" + shuffled(random, v[name])
		}
		return "{" + strings.Join(members, ",") + "}"
	case []any:
		elements := make([]string, len(v))
		for i, e := range v {
			elements[i] = shuffled(random, e)
		}
		return "[" + strings.Join(elements, ",") + "]"
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Objects have no order.
func TestShuffled(t *testing.T) {
	for name, s := range samples {
		t.Run(name, func(t *testing.T) {
			var v any
			if err := json.Unmarshal(sample(t, name), &v); err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(50) {
				content := shuffled(rand.New(rand.NewPCG(seed, 1)), v)
				if diff := cmp.Diff(s.want, mustConvert(t, []byte(content), told)); diff != "" {
					t.Fatalf("%s\n(-want +got):\n%s", content, diff)
				}
			}
		})
	}
}
