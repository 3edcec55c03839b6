package policy

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// shortReport has one note of each kind, and text that wants to be more than text.
func shortReport(t *testing.T) Report {
	p := Policy{
		RequiredInBuild: entries([]string{"init"}),
		Required:        []Entry{since(time.Time{}, "scan", "lint|vet"), since(noon.AddDate(0, 0, 1), "scan", "lint|vet", "e2e")},
	}
	scan := scanned("scan", -time.Minute, []intoto.Finding{
		finding("CVE-1", "critical", intoto.FindingPackage, "x\n\x1b[31m", intoto.FindingFix, "2.0"),
	}, func(e *attest.Evidence) { e.Completeness = attest.Remembered })
	return judged(t, p, []attest.Evidence{scan}, built(-time.Hour, task("init", -2*time.Hour)))
}

// The JSON is what other programs read: its names and codes outlive a release.
func TestJSON(t *testing.T) {
	r := shortReport(t)
	got, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
	"success": false,
	"image": "` + image.String() + `",
	"effective-time": "2026-03-01T12:00:00Z",
	"violations": [
		{
			"msg": "nothing tells of any of the required tests lint or vet",
			"metadata": {
				"code": "required.missing",
				"term": [
					"lint",
					"vet"
				]
			}
		},
		{
			"msg": "scan: CVE-1 in \"x\\n\\x1b[31m\": critical, fixed in 2.0",
			"metadata": {
				"code": "vulnerability.denied",
				"term": "CVE-1"
			},
			"evidence": [
				{
					"test": "scan",
					"origin": "integration",
					"predicateType": "https://in-toto.io/attestation/vulns/v0.2",
					"manifest": "` + r.Violations[1].Evidence[0].Manifest + `",
					"time": "2026-03-01T11:59:00Z",
					"clock": "predicate",
					"by": "key ours",
					"completeness": "checkpoint"
				}
			]
		}
	],
	"warnings": [
		{
			"msg": "nothing tells of the required test e2e; this will be a violation from 2026-03-02T12:00:00Z on",
			"metadata": {
				"code": "required.missing",
				"term": "e2e",
				"effective_on": "2026-03-02T12:00:00Z"
			}
		}
	],
	"waived": [],
	"successes": [
		{
			"msg": "init passed in the build",
			"metadata": {
				"code": "required_in_build.found",
				"term": "init"
			},
			"evidence": [
				{
					"test": "init",
					"origin": "build",
					"manifest": "` + hash("build-1h0m0s").String() + `",
					"time": "2026-03-01T10:00:00Z",
					"clock": "provenance",
					"by": "key chains",
					"completeness": ""
				}
			]
		}
	]
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// Other programs in Go read the JSON as what it was.
func TestJSONIsReadBack(t *testing.T) {
	want := shortReport(t)
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var term Term
	if err := json.Unmarshal([]byte("7"), &term); err == nil {
		t.Errorf("7 was read as %v", term)
	}
}

// Text that others wrote is one printable line of bounded length.
func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                        "plain",
		"größer · 高":                   "größer · 高",
		"a\nb":                         `"a\nb"`,
		"\x1b[2J":                      `"\x1b[2J"`,
		"\xff":                         `"\xff"`,
		"\u202e":                       `"\u202e"`,
		strings.Repeat("x", 300):       strings.Repeat("x", 300),
		strings.Repeat("x", 301):       strings.Repeat("x", 300) + "…",
		strings.Repeat("x", 299) + "é": strings.Repeat("x", 299) + "…",
	} {
		if got := shown(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := shownError(errors.Join(errBroken, errBroken)); got != "broken; broken" {
		t.Errorf("got %q", got)
	}
}

func TestSourceString(t *testing.T) {
	for want, s := range map[string]Source{
		"integration, https://example.com/x, no time, sha256:a, completeness unproven": {Origin: InIntegration, PredicateType: "https://example.com/x", Manifest: "sha256:a"},
		"integration, test-result/v0.1, no time, sha256:a, complete by expected":       {Origin: InIntegration, PredicateType: intoto.TestResultType, Manifest: "sha256:a", Completeness: attest.Expected},
		"build, no time, sha256:a": {Origin: InBuild, Manifest: "sha256:a"},
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What is said twice is said once: a test can be required in several ways.
func TestNotesAreSaidOnce(t *testing.T) {
	scan := tested("scan", intoto.Passed, 0)
	if got := brief(judged(t, requires("scan", "scan|lint"), []attest.Evidence{scan, scan})); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// A waiver is in the JSON of what it waives, with the names that the file has for its fields.
func TestJSONOfWaivers(t *testing.T) {
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("b", 64)}
	p := requires("scan")
	p.Waivers = []Waiver{{
		Task: "scan", Images: []string{"registry.example/*"}, Components: []string{"app"}, From: noon.AddDate(0, -1, 0),
		Until: noon.AddDate(0, 1, 0).In(time.FixedZone("",
			3600)), Who: "ada", Why: "it is down", Place: "waivers[0], line 4",
	}}
	for want, w := range map[string]Waiver{
		`{"task":"scan","images":["registry.example/*"],"components":["app"],"from":"2026-02-01T12:00:00Z",` +
			`"until":"2026-04-01T12:00:00Z","who":"ada","why":"it is down","place":"waivers[0], line 4"}`: *judged(t, p,
			nil).Waived[0].Waiver,
		`{"finding":"CVE-1","package":"tar","until":"2026-03-01T12:00:00Z","who":"ada","why":"x"}`: {
			Finding: "CVE-1", Package: "tar", Until: noon, Who: "ada", Why: "x",
		},
		`{"statement":"` + digest.String() + `","until":"2026-03-01T12:00:00Z","who":"ada","why":"x"}`: {
			Statement: digest, Until: noon, Who: "ada", Why: "x",
		},
	} {
		b, err := json.Marshal(w)
		if err != nil || string(b) != want {
			t.Errorf("got %s, %v\nwant %s", b, err, want)
		}
		var back Waiver
		if err := json.Unmarshal(b, &back); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(w, back); diff != "" {
			t.Error(diff)
		}
	}
}
