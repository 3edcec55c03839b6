package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/policy"
)

var update = flag.Bool("update", false, "accept what is written into testdata")

// noon is when everything is judged.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

// source is a test-result of the day before.
func source(test string) policy.Source {
	at := noon.AddDate(0, 0, -1)
	return policy.Source{
		Test: test, Origin: policy.InIntegration, PredicateType: intoto.TestResultType, Manifest: digest("e"), Time: &at,
		Clock: attest.ClockPredicate, By: "key " + strings.Repeat("4f", 32), Completeness: attest.Remembered,
	}
}

func note(code policy.Code, term, msg string, evidence ...policy.Source) policy.Note {
	return policy.Note{Msg: msg, Metadata: policy.Metadata{Code: code, Term: policy.Term{term}}, Evidence: evidence}
}

// waived is a note with its waiver.
func waived(n policy.Note) policy.Note {
	n.Waiver = &policy.Waiver{
		Task: "snyk", Images: []string{"*"}, Until: noon.AddDate(0, 0, 7),
		Who: "ada", Why: "the service is down", Place: "waivers[0], line 12",
	}
	return n
}

// judged is an image with notes of each kind.
func judged(image string, violations, warnings, waived, successes []policy.Note) policy.Judged {
	some := func(notes []policy.Note) []policy.Note { return append([]policy.Note{}, notes...) }
	return policy.Judged{Report: policy.Report{
		Success: len(violations) == 0, Image: image, Time: noon,
		Violations: some(violations), Warnings: some(warnings), Waived: some(waived), Successes: some(successes),
	}}
}

// everything is a release of each kind of image and note: what fails, warns, is waived, passes, and could not be judged.
func everything() policy.Release {
	later := noon.AddDate(1, 0, 0)
	soon := note(policy.CodeMissing, "load-test",
		"nothing tells of the required test load-test; this will be a violation from 2027-03-01T12:00:00Z on")
	soon.Metadata.EffectiveOn = &later
	some := note(policy.CodeMissing, "dast", "nothing tells of any of the required tests dast or fuzz")
	some.Metadata.Term = policy.Term{"dast", "fuzz"}
	api := judged("registry.example.com/shop/api@"+digest("a"),
		[]policy.Note{
			some,
			note(policy.CodeDenied, "CVE-2021-44228",
				"trivy-scan: CVE-2021-44228 in log4j-api 2.14.1: critical, fixed in 2.15.0", source("trivy-scan")),
			note(policy.CodeDenied, "CVE-2021-44228",
				"trivy-scan: CVE-2021-44228 in org.apache.logging.log4j:log4j-core 2.14.1: critical, fixed in 2.15.0", source("trivy-scan")),
		},
		[]policy.Note{soon}, nil, []policy.Note{note(policy.CodePassed, "unit-tests", "unit-tests passed", source("unit-tests"))})
	api.Component, api.Unjudged = "api", 2
	web := judged("registry.example.com/shop/web@"+digest("b"), nil,
		[]policy.Note{
			waived(note(policy.CodeWaiverExpiring, "snyk", "the waiver of snyk ends on 2026-03-08T12:00:00Z")),
			waived(note(policy.CodeWaiverUnused, "lint", "the waiver of lint meets nothing")),
		},
		[]policy.Note{waived(note(policy.CodeFailed, "snyk", "snyk failed", source("snyk")))},
		[]policy.Note{note(policy.CodePassed, "unit-tests", "unit-tests passed", source("unit-tests"))})
	web.Component = "web"
	arm := judged("registry.example.com/shop/web@"+digest("c"), nil, nil, nil,
		[]policy.Note{note(policy.CodePassed, "unit-tests", "unit-tests passed", source("unit-tests"))})
	arm.Component, arm.Index, arm.Platform = "web", digest("b"), "linux/arm64"
	down := judged("registry.example.com/shop/worker@"+digest("d"), nil, nil, nil, nil)
	down.Success, down.Error = false, "attest: connect registry.example.com/shop/worker: connection refused"
	return policy.Release{Time: noon, Images: []policy.Judged{api, web, arm, down}}
}

func write(t rapid.TB, f Format, r policy.Release) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, f, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
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

// drawRelease is any release: text of all kinds, images of all kinds.
func drawRelease(t *rapid.T) policy.Release {
	two := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom(hostile).Draw(t, "a") + rapid.SampledFrom(hostile).Draw(t, "b")
	})
	text := rapid.OneOf(rapid.String(), rapid.StringN(90, 300, -1), rapid.SampledFrom(hostile), two)
	ours := rapid.SampledFrom([]policy.Code{policy.CodeDenied, policy.CodeMissingInBuild, policy.CodeFailed})
	code := rapid.OneOf(ours, rapid.Map(text, func(s string) policy.Code { return policy.Code(s) }))
	valid := func(s string) string { return strings.ToValidUTF8(s, "?") } // JSON holds no other
	notes := func(label string) []policy.Note {
		all := []policy.Note{}
		for range rapid.IntRange(0, 3).Draw(t, label) {
			n := note(policy.Code(valid(string(code.Draw(t, "code")))), valid(text.Draw(t, "term")), valid(text.Draw(t, "msg")))
			if rapid.Bool().Draw(t, "evidence") {
				s := source(valid(text.Draw(t, "test")))
				s.By = valid(text.Draw(t, "by"))
				n.Evidence = []policy.Source{s}
			}
			if label == "waived" || rapid.Bool().Draw(t, "about a waiver") {
				n = waived(n)
				n.Waiver.Why, n.Waiver.Who = valid(text.Draw(t, "why")), valid(text.Draw(t, "who"))
				n.Waiver.Statement = v1.Hash{}
			}
			all = append(all, n)
		}
		return all
	}
	r := policy.Release{Success: true, Time: noon, Images: []policy.Judged{}}
	for range rapid.IntRange(0, 3).Draw(t, "images") {
		image := rapid.OneOf(rapid.Just("registry.example.com/shop/api@"+digest("a")), rapid.Map(text, valid)).Draw(t, "image")
		one := judged(image, notes("violations"), notes("warnings"), notes("waived"), notes("successes"))
		one.Component, one.Platform = valid(text.Draw(t, "component")), valid(text.Draw(t, "platform"))
		one.Unjudged = rapid.IntRange(0, 2).Draw(t, "unjudged")
		if rapid.Bool().Draw(t, "fails") {
			one = judged(image, nil, nil, nil, nil)
			one.Success, one.Error = false, valid(text.Draw(t, "error"))+"."
		}
		r.Success = r.Success && one.Success
		r.Images = append(r.Images, one)
	}
	return r
}

// hostile is text that wants to be more than text, in one format or another.
var hostile = []string{
	"\x1b[2J\x1b]0;title\x07", "\u009b31m", "\u202e\u2066", "a\nb\r\nc", "\t\x00\ufffe\U000e0001", "]]>", "<b>&\"'",
	"<script>alert(1)</script>", "</details>", "`", "``", "` `` ```", "|", `\|`, "**bold** _a_ ~b~", "[x](https://evil.example)",
	"![x](https://evil.example/pixel)", "https://evil.example www.evil.example", "@octocat and #1", "# heading", "- item",
	"1. item", "    code", "```\nfence\n```", "&lt;b&gt;", "{0}{{}}", " ", "", "高高高高", "e\u0301",
	"registry.example.com/shop/api@sha256:" + strings.Repeat("0123456789abcdef", 4), strings.Repeat("x", 250),
	strings.Repeat("高", 120),
}
