package intoto

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/internal/strictjson"
)

func TestParseStatement(t *testing.T) {
	subject := `[{"name":"app","digest":{"sha256":"` + attesttest.SomeHex + `"}}]`
	for _, tt := range []struct {
		name, in string
		want     []string // fields with mistakes; nil if it is accepted
		text     string   // part of an error that has no field
	}{
		{name: "v1", in: `{"_type":"https://in-toto.io/Statement/v1","subject":` + subject + `,"predicateType":"p","predicate":{}}`},
		{name: "v0.1", in: `{"_type":"https://in-toto.io/Statement/v0.1","subject":` + subject + `,"predicateType":"p","predicate":{}}`},
		{name: "unknown fields are ignored", in: `{"_type":"https://in-toto.io/Statement/v1","subject":` + subject + `,"predicateType":"p","new":{"Type":1}}`},
		{name: "everything missing", in: `{}`, want: []string{"_type", "predicateType", "subject"}},
		{name: "other type", in: `{"_type":"https://in-toto.io/Statement/v2","subject":` + subject + `,"predicateType":"p"}`, want: []string{"_type"}},
		{name: "every subject needs a digest", in: `{"_type":"https://in-toto.io/Statement/v1","predicateType":"p","subject":[{"name":"a"},{"digest":{}}]}`,
			want: []string{"subject[0].digest", "subject[1].digest"}},
		{name: "upper-case hex", in: `{"_type":"https://in-toto.io/Statement/v1","predicateType":"p","subject":[{"digest":{"sha256":"` + strings.ToUpper(attesttest.SomeHex) + `","sha1":"AB"}}]}`,
			want: []string{"subject[0].digest.sha1", "subject[0].digest.sha256"}},
		{name: "short, odd, empty", in: `{"_type":"https://in-toto.io/Statement/v1","predicateType":"p","subject":[{"digest":{"sha256":"ab","x":"abc","y":"","":"ab"}}]}`,
			want: []string{"subject[0].digest.", "subject[0].digest.sha256", "subject[0].digest.x", "subject[0].digest.y"}},
		{name: "key twice", in: `{"predicateType":"p","predicateType":"q"}`, text: "given twice"},
		{name: "key twice in the predicate", in: `{"predicate":{"a":{"b":1,"b":2}}}`, text: "given twice"},
		{name: "case variant", in: `{"predicatetype":"p"}`, text: "in case only"},
		{name: "case variant in a subject", in: `{"subject":[{"Digest":{}}]}`, text: "in case only"},
		{name: "too deep", in: `{"predicate":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`, text: "JSON depth: 65 is over the limit of 64"},
		{name: "not an object", in: `[]`, text: "cannot unmarshal array"},
		{name: "nothing", in: ``, text: "unexpected EOF"},
		{name: "null", in: `null`, want: []string{"_type", "predicateType", "subject"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseStatement([]byte(tt.in))
			switch {
			case tt.text != "":
				if err == nil || !strings.Contains(err.Error(), tt.text) || !strings.HasPrefix(err.Error(), "attest: ") {
					t.Errorf("got %v, want an error of this package with %q", err, tt.text)
				}
			case tt.want == nil && err != nil:
				t.Error(err)
			default:
				attesttest.Field(t, err, tt.want...)
			}
		})
	}
}

func TestVulnsAsWritten(t *testing.T) {
	v := vulns(1500*time.Millisecond, "CVE-2026-1")
	v.Test, v.Unscanned, v.Incomplete = "trivy", []string{"the OS"}, []string{"a file was skipped"}
	v.Scanner.Result[0].Annotations = []map[string]any{{"fixed": "1.2"}, {"package": "zlib"}}
	v.Metadata.FinishedOn = v.Metadata.FinishedOn.In(time.FixedZone("", 2*3600))
	got, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	want := attesttest.Compact(`{
		"https://github.com/testdag/testdag/test": "trivy",
		"scanner": {
			"uri": "pkg:github/aquasecurity/trivy@v0.69.0",
			"version": "0.69.0",
			"db": {"uri": "https://example.com/db", "lastUpdate": "2026-03-01T11:00:00Z"},
			"result": [{"id": "CVE-2026-1", "severity": [{"method": "nvd", "score": "high"}], "annotations": [{"fixed": "1.2"}, {"package": "zlib"}]}]
		},
		"metadata": {"scanStartedOn": "2026-03-01T11:59:01.5Z", "scanFinishedOn": "2026-03-01T12:00:01.5Z"},
		"https://github.com/testdag/testdag/unscanned": ["the OS"],
		"https://github.com/testdag/testdag/incomplete": ["a file was skipped"]
	}`)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if err := v.Validate(); err != nil {
		t.Error(err)
	}
}

func TestVulnsWithNothingFoundSaysSo(t *testing.T) {
	got, err := json.Marshal(vulns(0))
	if err != nil || !strings.Contains(string(got), `"result":[]`) {
		t.Errorf("got %s, %v, want an empty result", got, err)
	}
}

func TestTestResultAsWritten(t *testing.T) {
	r := TestResult{
		Result: Warned, Configuration: []ResourceDescriptor{{Name: "clamav-scan", Digest: map[string]string{"sha256": attesttest.SomeHex}}},
		URL: "https://example.com/run/1", PassedTests: []string{"a"}, WarnedTests: []string{"b"},
		Timestamp: attesttest.Noon.In(time.FixedZone("", -3600)), Successes: 1, Warnings: 1,
	}
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := attesttest.Compact(`{
		"result": "WARNED",
		"configuration": [{"name": "clamav-scan", "digest": {"sha256": "` + attesttest.SomeHex + `"}}],
		"url": "https://example.com/run/1",
		"passedTests": ["a"], "warnedTests": ["b"],
		"timestamp": "2026-03-01T12:00:00Z",
		"successes": 1, "failures": 0, "warnings": 1
	}`)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateReportsEveryMistake(t *testing.T) {
	attesttest.Field(t, Vulns{}.Validate(), "scanner.uri", "scanner.db.lastUpdate", "scanner.result", "metadata.scanStartedOn", "metadata.scanFinishedOn")
	v := vulns(0, "", "CVE-1")
	v.Scanner.Result[0].Severity = nil
	v.Scanner.Result[1].Severity = []Severity{{"", ""}, {"nvd", "high"}}
	v.Metadata.FinishedOn = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	v.Unscanned, v.Incomplete = []string{"", "the OS"}, []string{"a file was skipped", ""}
	attesttest.Field(t, v.Validate(), "scanner.result[0].id", "scanner.result[0].severity",
		"scanner.result[1].severity[0].method", "scanner.result[1].severity[0].score", "metadata.scanFinishedOn",
		UnscannedField+"[0]", IncompleteField+"[1]")

	attesttest.Field(t, TestResult{}.Validate(), "result", "configuration", "timestamp")
	attesttest.Field(t, TestResult{Result: "GREAT", Configuration: []ResourceDescriptor{{}, {Digest: map[string]string{"sha256": "AB"}}}, Timestamp: attesttest.Noon, Successes: -1, Failures: -1, Warnings: -1}.Validate(),
		"result", "configuration[0]", "configuration[1].digest.sha256", "configuration[0].name", "successes", "failures", "warnings")
	named := []ResourceDescriptor{{Name: "t"}}
	for _, r := range []Result{Passed, Warned, Skipped, Failed, Errored} {
		if err := (TestResult{Result: r, Configuration: named, Timestamp: attesttest.Noon}).Validate(); err != nil {
			t.Errorf("%s: %v", r, err)
		}
	}
	for _, r := range []Result{Passed, Warned} {
		attesttest.Field(t, TestResult{Result: r, Configuration: named, Timestamp: attesttest.Noon, Failures: 1}.Validate(), "result")
		attesttest.Field(t, TestResult{Result: r, Configuration: named, Timestamp: attesttest.Noon, FailedTests: []string{"a"}}.Validate(), "result")
	}
	if err := (TestResult{Result: Failed, Configuration: named, Timestamp: attesttest.Noon, Failures: 1}).Validate(); err != nil {
		t.Error(err)
	}
}

// A scan can be over within one tick of the clock.
func TestScanOfAnInstant(t *testing.T) {
	v := vulns(0)
	v.Metadata.StartedOn = v.Metadata.FinishedOn
	if err := v.Validate(); err != nil {
		t.Error(err)
	}
	v.Metadata.StartedOn = v.Metadata.FinishedOn.Add(1)
	attesttest.Field(t, v.Validate(), "metadata.scanFinishedOn")
}

// What is valid and written is read back equal, whatever it holds.
func TestVulnsRoundTrip(t *testing.T) {
	text := rapid.StringMatching(`[ -~äß☃]{1,12}`)
	name := rapid.StringMatching(`[!-~äß☃]([ -~äß☃]{0,10}[!-~äß☃])?`)
	rapid.Check(t, func(t *rapid.T) {
		at := func(label string) time.Time {
			return time.Unix(rapid.Int64Range(1, 250000000000).Draw(t, label), rapid.Int64Range(0, 999999999).Draw(t, label+" ns")).UTC()
		}
		v := vulns(0)
		v.Test, v.Scanner.URI = name.Draw(t, "test"), text.Draw(t, "uri")
		v.Scanner.DB.LastUpdate, v.Metadata = at("db"), ScanMetadata{at("start"), at("finish")}
		if v.Metadata.FinishedOn.Before(v.Metadata.StartedOn) {
			v.Metadata.StartedOn, v.Metadata.FinishedOn = v.Metadata.FinishedOn, v.Metadata.StartedOn
		}
		for range rapid.IntRange(0, 2).Draw(t, "gaps") {
			v.Unscanned = append(v.Unscanned, text.Draw(t, "unscanned"))
			v.Incomplete = append(v.Incomplete, text.Draw(t, "incomplete"))
		}
		for range rapid.IntRange(0, 3).Draw(t, "findings") {
			v.Scanner.Result = append(v.Scanner.Result, Finding{
				ID:          text.Draw(t, "id"),
				Severity:    []Severity{{text.Draw(t, "method"), text.Draw(t, "score")}},
				Annotations: []map[string]any{{text.Draw(t, "key"): text.Draw(t, "value")}},
			})
		}
		if err := v.Validate(); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got := readVulns(b, strictjson.Default)
		if got.Problem != nil || got.Test != v.Test || !got.Time.Equal(v.Metadata.FinishedOn) {
			t.Fatalf("read %+v from %s", got, b)
		}
		if diff := cmp.Diff(Predicate(v), got.Predicate); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestReadVulns(t *testing.T) {
	const good = `{"scanner":{"uri":"pkg:x","db":{"lastUpdate":"2026-03-01T11:00:00Z"},"result":[]},"metadata":{"scanStartedOn":"2026-03-01T11:00:00Z","scanFinishedOn":"2026-03-01T12:00:00Z"}}`
	for _, tt := range []struct {
		name, old, new string // what is changed in good
		test           string
		time           time.Time
		problem        string
	}{
		{"as is", "", "", "pkg:x", attesttest.Noon, ""},
		{"named", `{"scanner"`, `{"https://github.com/testdag/testdag/test":"clamav","scanner"`, "clamav", attesttest.Noon, ""},
		{"name is no text", `{"scanner"`, `{"https://github.com/testdag/testdag/test":5,"scanner"`, "", attesttest.Noon, "cannot unmarshal number"},
		{"name is empty", `{"scanner"`, `{"https://github.com/testdag/testdag/test":"","scanner"`, "", attesttest.Noon, ""},
		{"no result", `,"result":[]`, ``, "pkg:x", attesttest.Noon, "scanner.result: required"},
		{"result null", `"result":[]`, `"result":null`, "pkg:x", attesttest.Noon, "scanner.result: required"},
		{"no database time", `"lastUpdate":"2026-03-01T11:00:00Z"`, ``, "pkg:x", attesttest.Noon, "scanner.db.lastUpdate: required"},
		{"unknown fields", `"result":[]`, `"result":[],"extra":{"a":[1]}`, "pkg:x", attesttest.Noon, ""},
		{"annotations must be a list", `"result":[]`, `"result":[{"id":"a","severity":[],"annotations":{"a":1}}]`, "pkg:x", attesttest.Noon, "cannot unmarshal object"},
		{"a severity must be a list", `"result":[]`, `"result":[{"id":"a","severity":{"method":"nvd","score":"high"}}]`, "pkg:x", attesttest.Noon, "cannot unmarshal object"},
		{"a score must be text", `"result":[]`, `"result":[{"id":"a","severity":[{"method":"cvss","score":5.2}]}]`, "pkg:x", attesttest.Noon, "cannot unmarshal number"},
		{"not all was scanned", `"metadata"`, `"https://github.com/testdag/testdag/unscanned":["a"],"https://github.com/testdag/testdag/incomplete":["b"],"metadata"`, "pkg:x", attesttest.Noon, ""},
		{"what was not scanned must be a list", `"metadata"`, `"https://github.com/testdag/testdag/unscanned":"all","metadata"`, "pkg:x", attesttest.Noon, "cannot unmarshal string"},
		{"a reason must be text", `"metadata"`, `"https://github.com/testdag/testdag/incomplete":[{}],"metadata"`, "pkg:x", attesttest.Noon, "cannot unmarshal object"},
		{"a reason must say something", `"metadata"`, `"https://github.com/testdag/testdag/incomplete":[""],"metadata"`, "pkg:x", attesttest.Noon, IncompleteField + "[0]: required"},
		{"no severity", `"result":[]`, `"result":[{"id":"a"}]`, "pkg:x", attesttest.Noon, "scanner.result[0].severity: required"},
		{"fraction", `T12:00:00Z"`, `T12:00:00.5Z"`, "pkg:x", attesttest.Noon.Add(time.Second / 2), ""},
		{"offset", `T12:00:00Z"`, `T14:00:00+02:00"`, "pkg:x", attesttest.Noon, ""},
		{"no finish", `,"scanFinishedOn":"2026-03-01T12:00:00Z"`, ``, "pkg:x", time.Time{}, "metadata.scanFinishedOn: required"},
		{"no zone", `T12:00:00Z"`, `T12:00:00"`, "pkg:x", time.Time{}, "not a time of RFC 3339"},
		{"leap second", `T12:00:00Z"`, `T12:00:60Z"`, "pkg:x", time.Time{}, "not a time of RFC 3339"},
		{"lower-case letters", `T12:00:00Z"`, `t12:00:00z"`, "pkg:x", time.Time{}, "not a time of RFC 3339"},
		{"a number for a time", `"2026-03-01T12:00:00Z"`, `0`, "pkg:x", time.Time{}, "Time.UnmarshalJSON"},
		{"year 0001", `2026-03-01T12:00:00Z"`, `0001-01-01T00:00:00Z"`, "pkg:x", time.Time{}, "year 1 is not within 1970 and 9999"},
		{"case variant of a field", `"uri"`, `"URI"`, "", time.Time{}, "in case only"},
		{"case variant of a field elsewhere", `"result"`, `"Result"`, "pkg:x", attesttest.Noon, "in case only"},
		{"scanner is no object", `"scanner":{`, `"scanner":"x","x":{`, "", attesttest.Noon, "cannot unmarshal string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := strings.Replace(good, tt.old, tt.new, 1)
			if tt.old != "" && in == good {
				t.Fatal("nothing changed")
			}
			check(t, readVulns(json.RawMessage(in), strictjson.Default), tt.test, tt.time, tt.problem)
		})
	}
}

func TestReadTestResult(t *testing.T) {
	const good = `{"result":"PASSED","configuration":[{"name":"clamav"}],"timestamp":"2026-03-01T12:00:00Z"}`
	for _, tt := range []struct {
		name, old, new string
		test           string
		time           time.Time
		problem        string
	}{
		{"as is", "", "", "clamav", attesttest.Noon, ""},
		{"Konflux output beside", `"timestamp"`, `"output":{"note":"x"},"successes":3,"failures":0,"warnings":0,"timestamp"`, "clamav", attesttest.Noon, ""},
		{"unknown verdict", `PASSED`, `passed`, "clamav", attesttest.Noon, "result: "},
		{"no verdict", `"result":"PASSED",`, ``, "clamav", attesttest.Noon, "result: required"},
		{"passed although it failed", `"timestamp"`, `"failures":2,"timestamp"`, "clamav", attesttest.Noon, "PASSED although tests failed"},
		{"no timestamp", `,"timestamp":"2026-03-01T12:00:00Z"`, ``, "clamav", time.Time{}, "timestamp: required"},
		{"timestamp 0", `2026-03-01T12:00:00Z`, `0`, "clamav", time.Time{}, "not a time of RFC 3339"},
		{"no name", `"name":"clamav"`, `"uri":"x"`, "", attesttest.Noon, "configuration[0].name: required"},
		{"no configuration", `{"name":"clamav"}`, ``, "", attesttest.Noon, "configuration: required"},
		{"second is not the name", `[{"name":"clamav"}]`, `[{"name":"clamav"},{"name":"other"}]`, "clamav", attesttest.Noon, ""},
		{"counts must be whole", `"timestamp"`, `"failures":"2","timestamp"`, "clamav", attesttest.Noon, "cannot unmarshal string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := strings.Replace(good, tt.old, tt.new, 1)
			if tt.old != "" && in == good {
				t.Fatal("nothing changed")
			}
			check(t, readTestResult(json.RawMessage(in), strictjson.Default), tt.test, tt.time, tt.problem)
		})
	}
}

func check(t *testing.T, got Reading, test string, at time.Time, problem string) {
	t.Helper()
	if got.Test != test || !got.Time.Equal(at) {
		t.Errorf("test %q at %s, want %q at %s", got.Test, got.Time, test, at)
	}
	if (got.Problem == nil) != (problem == "") || got.Problem != nil && !strings.Contains(got.Problem.Error(), problem) {
		t.Errorf("problem %v, want %q", got.Problem, problem)
	}
}

func TestResultSpellings(t *testing.T) {
	for in, want := range map[string]Result{
		"PASSED": Passed, "SUCCESS": Passed, "WARNED": Warned, "WARNING": Warned,
		"FAILED": Failed, "FAILURE": Failed, "ERROR": Errored, "SKIPPED": Skipped,
	} {
		got := readTestResult(json.RawMessage(`{"result":"`+in+`","configuration":[{"name":"t"}],"timestamp":"2026-03-01T12:00:00Z"}`), strictjson.Default)
		if got.Problem != nil || got.Predicate.(TestResult).Result != want {
			t.Errorf("%s was read as %+v, want %s", in, got, want)
		}
	}
}

// A note is what people read beside a verdict: in a test-result under the name that Konflux gives it, in vulns under a TypeURI.
func TestNoteAsWritten(t *testing.T) {
	v, r := vulns(0), outcome(Errored, 0)
	v.Note, r.Note = "of any image", "no report"
	for _, tt := range []struct {
		predicate Predicate
		field     string
	}{{v, `"https://github.com/testdag/testdag/note":"of any image"`}, {r, `"note":"no report"`}} {
		b, err := json.Marshal(tt.predicate)
		if err != nil || !strings.Contains(string(b), tt.field) {
			t.Errorf("%s, %v: want %s", b, err, tt.field)
		}
		read := readers[tt.predicate.PredicateType()](b, strictjson.Default)
		if got, ok := read.Predicate.(Vulns); ok && got.Note != v.Note {
			t.Errorf("read %q", got.Note)
		}
		if got, ok := read.Predicate.(TestResult); ok && got.Note != r.Note {
			t.Errorf("read %q", got.Note)
		}
	}
	for _, plain := range []Predicate{vulns(0), outcome(Passed, 0)} {
		if b, err := json.Marshal(plain); err != nil || strings.Contains(string(b), "note") {
			t.Errorf("%s, %v", b, err)
		}
	}
}

func outcome(r Result, d time.Duration) TestResult {
	return TestResult{Result: r, Configuration: []ResourceDescriptor{{Name: "scan"}}, Timestamp: attesttest.Noon.Add(d)}
}

func vulns(d time.Duration, ids ...string) Vulns {
	v := Vulns{
		Scanner: Scanner{
			URI: "pkg:github/aquasecurity/trivy@v0.69.0", Version: "0.69.0",
			DB:     ScannerDB{URI: "https://example.com/db", LastUpdate: attesttest.Noon.Add(-time.Hour)},
			Result: []Finding{},
		},
		Metadata: ScanMetadata{StartedOn: attesttest.Noon.Add(d - time.Minute), FinishedOn: attesttest.Noon.Add(d)},
	}
	for _, id := range ids {
		v.Scanner.Result = append(v.Scanner.Result, Finding{ID: id, Severity: []Severity{{"nvd", "high"}}})
	}
	return v
}

// A type that is not understood is a mistake, and no more.
func TestReadPredicateOfAnotherType(t *testing.T) {
	for _, other := range []string{"", "https://spdx.dev/Document", TestResultType + "1"} {
		r := ReadPredicate(other, json.RawMessage(`{}`), strictjson.Default)
		attesttest.Field(t, r.Problem, "predicateType")
		if r.Predicate != nil {
			t.Errorf("%q: read %v", other, r.Predicate)
		}
	}
}
