package scan_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
)

var (
	began   = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	ended   = time.Date(2026, 11, 1, 10, 5, 0, 0, time.UTC)
	updated = time.Date(2026, 10, 31, 6, 0, 0, 0, time.UTC)
)

// full says all that a report can lack. The start is older than all reports are.
var full = scan.Options{
	Scanner:  intoto.Scanner{DB: intoto.ScannerDB{LastUpdate: updated}},
	Started:  time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
	Finished: ended,
}

// corpus is what each file of the folder "scanners" is taken for, and why if it is refused.
var corpus = map[string]struct {
	format  scan.Format
	refused string
}{
	"clair-quay_v3_4.json":           {format: scan.Clair},
	"clair-report-with-vulns.json":   {format: scan.Clair},
	"grype-imgs.json":                {format: scan.Grype},
	"grype-v6.json":                  {format: scan.Grype},
	"osv-results-a.json":             {format: scan.OSVScanner},
	"osv-scanner.json":               {format: scan.OSVScanner},
	"sarif_failures.sarif":           {format: scan.SARIF, refused: "runs[0].tool.driver.name: missing"},
	"trivy-alpine-310.json":          {format: scan.Trivy},
	"trivy-alpine-310.sarif":         {format: scan.SARIF},
	"trivy-debian-stretch.json":      {format: scan.Trivy},
	"trivy-dockerfile.json":          {format: scan.Trivy},
	"trivy-gomod.json":               {format: scan.Trivy},
	"trivy-npm-with-suppressed.json": {format: scan.Trivy},
	"trivy-npm.json":                 {format: scan.Trivy},
	"trivy-secrets.json":             {format: scan.Trivy},
	"trivy-spring4shell-jre8.json":   {format: scan.Trivy},
	"trivy-ubi-7.json":               {format: scan.Trivy},
}

// Reports as the scanners' own projects keep them: as many findings, with the same ids, as another way to count them gives.
func TestCorpus(t *testing.T) {
	root := os.Getenv("TESTDAG_CORPUS")
	if root == "" {
		t.Skip("set TESTDAG_CORPUS to a folder with real reports in its folder scanners")
	}
	files, err := filepath.Glob(filepath.Join(root, "scanners", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s/scanners: %v", root, err)
	}
	var seen []string
	for _, file := range files {
		if name := filepath.Base(file); name != "SOURCES.txt" {
			seen = append(seen, name)
			t.Run(name, func(t *testing.T) { testCorpusFile(t, file) })
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(corpus)), seen); diff != "" {
		t.Errorf("files (-listed in this test +in the folder):\n%s", diff)
	}
}

func testCorpusFile(t *testing.T, file string) {
	want, listed := corpus[filepath.Base(file)]
	if !listed {
		t.Fatal("not listed: say what it converts to, or why it is refused")
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	opts := full
	if want.format == scan.SARIF {
		opts.Scanner.URI = "https://scanner.example"
	}
	got, err := scan.Convert(strings.NewReader(string(content)), opts)
	if want.refused != "" {
		var format *scan.FormatError
		if !errors.As(err, &format) || format.Format != want.format || !strings.Contains(err.Error(), want.refused) {
			t.Fatalf("got %v, want it refused as %s with %q", err, want.format, want.refused)
		}
		t.Logf("refused: %v", err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := got.(intoto.Vulns).Validate(); err != nil {
		t.Error(err)
	}
	ids := []string{}
	for _, f := range got.(intoto.Vulns).Scanner.Result {
		ids = append(ids, f.ID)
	}
	slices.Sort(ids)
	if diff := cmp.Diff(count(t, want.format, content), ids); diff != "" {
		t.Errorf("ids (-in the report +converted):\n%s", diff)
	}
	t.Logf("%s: %d findings", want.format, len(ids))
}

// count returns the ids in a report, sorted, found without any of the code that is tested.
func count(t *testing.T, format scan.Format, content []byte) []string {
	var root any
	if err := json.Unmarshal(content, &root); err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	add := func(values []any, path ...string) {
		for _, v := range values {
			for _, id := range at(v, path...) {
				ids = append(ids, id.(string))
			}
		}
	}
	switch format {
	case scan.Trivy:
		add(at(root, "Results", "Vulnerabilities"), "VulnerabilityID")
		add(at(root, "Results", "Misconfigurations"), "ID")
		add(at(root, "Results", "Secrets"), "RuleID")
		add(at(root, "Results", "Licenses"), "Name")
	case scan.Grype:
		add(at(root, "matches", "vulnerability"), "id")
	case scan.SARIF:
		add(at(root, "runs", "results"), "ruleId")
	case scan.OSVScanner:
		add(at(root, "results", "packages", "vulnerabilities"), "id")
	case scan.Clair:
		report := root.(map[string]any)
		for _, pairs := range report["package_vulnerabilities"].(map[string]any) {
			for _, id := range pairs.([]any) {
				name := report["vulnerabilities"].(map[string]any)[id.(string)].(map[string]any)["name"]
				ids = append(ids, name.(string))
			}
		}
	default:
		t.Fatalf("nobody counts %s", format)
	}
	slices.Sort(ids)
	return ids
}

// at returns what is at the end of a path in generic JSON. Lists on the way are gone through.
func at(v any, path ...string) []any {
	if list, ok := v.([]any); ok {
		var all []any
		for _, one := range list {
			all = append(all, at(one, path...)...)
		}
		return all
	}
	if len(path) == 0 {
		return []any{v}
	}
	next, there := v.(map[string]any)[path[0]]
	if !there || next == nil {
		return nil
	}
	return at(next, path[1:]...)
}
