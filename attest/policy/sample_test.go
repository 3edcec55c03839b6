package policy

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/scan"
)

// sample returns a part of a file: the lines from the first that holds one text until before the next that holds
// another, without what every line begins with.
func sample(t *testing.T, path, from, until, indent string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		switch {
		case len(lines) > 0 && strings.Contains(line, until):
			return strings.Join(lines, "")
		case len(lines) > 0 || strings.Contains(line, from):
			lines = append(lines, strings.TrimPrefix(line, indent))
		}
	}
	return strings.Join(lines, "")
}

// The policies that the documents show can be read, and their waivers meet the report of Trivy that they are about.
func TestSamplePolicies(t *testing.T) {
	report, err := os.ReadFile("testdata/trivy.json")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	opts := scan.Options{Started: now.Add(-time.Hour)}
	opts.Scanner.DB.LastUpdate = now.Add(-6 * time.Hour)
	found, err := scan.Convert(bytes.NewReader(report), opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text, image, waived string }{
		{"package comment", sample(t, "doc.go", "//	required_in_build:", "//\n", "//\t"), "quay.io/shop/operator",
			"CVE-2021-44228"},
		{"package comment, exceptions", "required: [{tasks: [trivy-scan]}]\nvulnerabilities:\n  exceptions:\n" + sample(t, "doc.go", "- {id: CVE", "//\n", "//\t"), "quay.io/any", "CVE-2021-44228"},
		{"README", sample(t, "../../README.md", "required:     ", "```", ""), "quay.io/shop/operator", "CVE-2022-42889"},
		{"gate", sample(t, "../../examples/gate/policy.yaml", "#", "\x00", ""), "registry.example.com/shop/app", "CVE-2021-44228"},
	} {
		p, err := Parse(strings.NewReader(tt.text))
		if err != nil {
			t.Errorf("%s: %v\n%s", tt.name, err, tt.text)
			continue
		}
		image := imageOf(tt.image + "@sha256:" + strings.Repeat("a", 64))
		e := evidence(found, "trivy-scan", 0, nil)
		e.Image, e.Time = image, now.Add(-20*time.Minute)
		r, err := p.Judge(Input{Image: image, Now: now, Evidence: []attest.Evidence{e}})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Waived) != 1 || r.Waived[0].Metadata.Term[0] != tt.waived || r.Waived[0].Metadata.Code != CodeDenied {
			t.Errorf("%s: %s is not all that is waived:\n%s", tt.name, tt.waived, lines(r))
		}
		for _, n := range r.Warnings {
			if n.Waiver != nil {
				t.Errorf("%s: %s", tt.name, n.Msg)
			}
		}
	}
}
