package scan_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
)

// notes is the annotation of a finding, from keys and values.
func notes(pairs ...any) []map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return []map[string]any{m}
}

// severity is a list of severities, from methods and scores.
func severity(pairs ...string) []intoto.Severity {
	list := []intoto.Severity{}
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, intoto.Severity{Method: pairs[i], Score: pairs[i+1]})
	}
	return list
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// told is what the caller says in these tests, with the times of the scan where the reports lack them.
var told = scan.Options{
	Scanner:  intoto.Scanner{Version: "told", DB: intoto.ScannerDB{URI: "https://told.example", Version: "9", LastUpdate: updated}},
	Started:  began,
	Finished: ended,
}

var (
	toldDB       = intoto.ScannerDB{URI: "https://told.example", Version: "9", LastUpdate: updated}
	toldMetadata = intoto.ScanMetadata{StartedOn: began, FinishedOn: ended}
)

// samples is what each file of testdata that is a report of vulnerabilities says.
var samples = map[string]struct {
	format scan.Format
	want   intoto.Vulns
}{
	"trivy.json": {scan.Trivy, intoto.Vulns{
		Metadata: intoto.ScanMetadata{StartedOn: began, FinishedOn: ended.Add(500 * time.Millisecond)},
		Scanner: intoto.Scanner{URI: "pkg:github/aquasecurity/trivy@v0.69.0", Version: "0.69.0", DB: toldDB, Result: []intoto.Finding{
			{
				ID:       "CVE-2026-0001",
				Severity: severity("nvd", "high", "cvss_v4:nvd", "9", "cvss_v3:nvd", "8.8", "cvss_v2:old", "4", "cvss_v3:redhat", "5.5"),
				Annotations: notes("package", "zlib", "installedVersion", "1.3", "fixedVersion", "1.3.1, 1.4.0",
					"purl", "pkg:apk/alpine/zlib@1.3", "status", "fixed", "source", "https://avd.example/cve-2026-0001",
					"title", "zlib: “too long”", "vendorSeverity", "nvd=high redhat=medium", "published", "2026-01-02T03:04:05Z",
					"modified", "2026-01-03T02:04:05.25Z", "location", "registry.example/app:1 (alpine 3.20)"),
			},
			{
				ID: "CVE-2026-0002", Severity: severity("trivy", "unknown"),
				Annotations: notes("package", "zlib", "installedVersion", "1.3", "fixedVersion", "", "status", "will_not_fix",
					"location", "registry.example/app:1 (alpine 3.20)"),
			},
			{
				ID: "CVE-2026-0001", Severity: severity("trivy", "high"),
				Annotations: notes("package", "zlib", "installedVersion", "1.3", "location", "app/lib.jar"),
			},
			{
				ID: "DS-0002", Severity: severity("trivy", "high"),
				Annotations: notes("class", "misconfiguration", "title", "Root", "source", "https://avd.example/ds-0002", "location", "Dockerfile:7"),
			},
			{
				ID: "DS-0005", Severity: severity("trivy", "low"),
				Annotations: notes("class", "misconfiguration", "location", "Dockerfile"),
			},
			{
				ID: "aws-key", Severity: severity("trivy", "critical"),
				Annotations: notes("class", "secret", "title", "AWS key", "location", "deploy.sh:3"),
			},
			{
				ID: "GPL-3.0", Severity: severity("trivy", "high"),
				Annotations: notes("class", "license", "title", "restricted", "package", "bash", "source", "https://spdx.example/GPL-3.0", "location", "OS Packages"),
			},
			{
				ID: "MIT", Severity: severity("trivy", "low"),
				Annotations: notes("class", "license", "title", "notice", "location", "LICENSE"),
			},
		}},
	}},
	"grype.json": {scan.Grype, intoto.Vulns{
		Metadata: intoto.ScanMetadata{StartedOn: began, FinishedOn: ended.Add(250 * time.Millisecond)},
		Scanner: intoto.Scanner{
			URI: "pkg:github/anchore/grype@v0.111.0", Version: "0.111.0",
			DB: intoto.ScannerDB{URI: "https://db.example/v6.tar.zst", Version: "v6.1.4", LastUpdate: time.Date(2026, 10, 30, 6, 58, 16, 0, time.UTC)},
			Result: []intoto.Finding{
				{
					ID:       "GHSA-aaaa-bbbb-cccc",
					Severity: severity("grype", "critical", "cvss_v3:github", "9.8", "cvss_v3:nvd", "7.5"),
					Annotations: notes("package", "example.org/parser/v5", "installedVersion", "v5.8.0", "fixedVersion", "5.9.0, 4.8.1",
						"purl", "pkg:golang/example.org/parser/v5@v5.8.0", "status", "fixed", "location", "/go.mod", "title", "Panic in parser.",
						"source", "https://advisories.example/GHSA-aaaa-bbbb-cccc", "aliases", []any{"CVE-2026-0003"},
						"epss", "0.00056", "knownExploited", true),
				},
				{
					ID: "CVE-2026-0004", Severity: severity("grype", "negligible", "cvss_v2:grype", "2.1"),
					Annotations: notes("package", "libc", "installedVersion", "2.2", "fixedVersion", "", "status", "wont-fix"),
				},
			},
		},
	}},
	"grype-v5.json": {scan.Grype, intoto.Vulns{
		Metadata: toldMetadata,
		Scanner: intoto.Scanner{
			URI: "pkg:github/anchore/grype", Version: "told", Result: []intoto.Finding{},
			DB: intoto.ScannerDB{URI: "https://told.example", Version: "5", LastUpdate: time.Date(2026, 10, 30, 6, 58, 16, 0, time.UTC)},
		},
	}},
	"clair.json": {scan.Clair, intoto.Vulns{
		Metadata: toldMetadata,
		Scanner: intoto.Scanner{URI: "pkg:github/quay/clair", Version: "told", DB: toldDB, Result: []intoto.Finding{
			{
				ID:       "RHSA-2026:0001: dnf security update (Important)",
				Severity: severity("clair", "high", "cvss_v3:nvd", "7.5"),
				Annotations: notes("package", "dnf", "installedVersion", "4.2", "fixedVersion", "0:4.7.0-4.el8", "location", "sha256:11",
					"title", "dnf manages packages.", "source", "https://errata.example/RHSA-2026:0001", "published", "2026-02-03T00:00:00Z",
					"vendorSeverity", "RHEL8=important", "aliases", []any{"RHSA-2026:0001"}),
			},
			{
				ID: "pyup.io-42559 (CVE-2026-0007)", Severity: severity("clair", "unknown"),
				Annotations: notes("package", "pip", "installedVersion", "19.3.1", "fixedVersion", "", "location", "python:usr/lib/python3",
					"aliases", []any{"CVE-2026-0007"}),
			},
			{
				ID: "GHSA-dddd-eeee-ffff", Severity: severity("clair", "medium"),
				Annotations: notes("package", "pip", "installedVersion", "19.3.1", "fixedVersion", "21.1+1", "location", "python:usr/lib/python3"),
			},
		}},
	}},
	"quay.json": {scan.Quay, intoto.Vulns{
		Metadata: toldMetadata,
		Scanner: intoto.Scanner{URI: "pkg:github/quay/clair", Version: "told", DB: toldDB, Result: []intoto.Finding{
			{
				ID:       "RHSA-2026:0001: dnf security update (Important)",
				Severity: severity("quay", "high", "cvss_v3:nvd", "7.5"),
				Annotations: notes("package", "dnf", "installedVersion", "4.2", "fixedVersion", "0:4.7.0-4.el8", "location", "sha256:11",
					"title", "dnf manages packages.", "source", "https://errata.example/1", "aliases", []any{"RHSA-2026:0001"}),
			},
			{
				ID: "pyup.io-42559 (CVE-2026-0007)", Severity: severity("quay", "unknown"),
				Annotations: notes("package", "dnf", "installedVersion", "4.2", "fixedVersion", "", "location", "sha256:11", "aliases", []any{"CVE-2026-0007"}),
			},
		}},
	}},
	"osv-scanner.json": {scan.OSVScanner, intoto.Vulns{
		Metadata: toldMetadata,
		Scanner: intoto.Scanner{URI: "pkg:github/google/osv-scanner", Version: "told", DB: toldDB, Result: []intoto.Finding{
			{
				ID: "GHSA-1111-2222-3333", Severity: severity("osv", "moderate", "cvss:osv-scanner", "7.5"),
				Annotations: notes("package", "example.org/git", "installedVersion", "5.12.0", "fixedVersion", "5.13.0, 4.9.0", "location", "/src/go.mod",
					"title", "Panic in git", "source", "https://advisories.example/1", "published", "2026-03-03T05:06:07Z",
					"modified", "2026-03-04T05:06:07.5Z", "aliases", []any{"CVE-2026-0008", "GO-2026-0001"}),
			},
			{
				ID: "GO-2026-0001", Severity: severity("cvss:osv-scanner", "7.5"),
				Annotations: notes("package", "example.org/git", "installedVersion", "5.12.0", "fixedVersion", "", "location", "/src/go.mod",
					"aliases", []any{"GHSA-1111-2222-3333", "CVE-2026-0008"}),
			},
			{
				ID: "GO-2026-0002", Severity: severity(),
				Annotations: notes("package", "example.org/git", "installedVersion", "5.12.0", "location", "/src/go.mod"),
			},
			{
				ID: "OSV-2026-1", Severity: severity("osv", "low"),
				Annotations: notes("package", "0123abc", "installedVersion", "0123abc", "fixedVersion", "fedcba", "location", "/src/go.mod"),
			},
		}},
	}},
	"sarif.sarif": {scan.SARIF, intoto.Vulns{
		Metadata: toldMetadata,
		Scanner: intoto.Scanner{URI: "https://codecheck.example", Version: "1.2.3", DB: toldDB, Result: []intoto.Finding{
			{ID: "js/xss", Severity: severity("codecheck", "note"), Annotations: notes("title", "Cross-site scripting.", "location", "src/a.js:12")},
			{
				ID: "js/plain", Severity: severity("codecheck", "error"),
				Annotations: notes("title", "Plain", "source", "https://codecheck.example/plain", "location", "src/b.js"),
			},
			{ID: "js/danger/sub", Severity: severity("cvss:codecheck", "7.8"), Annotations: notes("title", "Danger.")},
			{ID: "js/danger", Severity: severity("cvss:codecheck", "9.9"), Annotations: notes("title", "Index of another.")},
			{ID: "ext/one", Severity: severity("codecheck", "note"), Annotations: notes("title", "By name.")},
			{ID: "ext/one", Severity: severity("codecheck", "note"), Annotations: notes("title", "By index.")},
			{ID: "ext/one", Severity: severity("codecheck", "note"), Annotations: notes("title", "By id alone.")},
			{ID: "unlisted", Severity: severity("codecheck", "warning"), Annotations: notes("title", "No rule.")},
			{ID: "js/open", Severity: severity("codecheck", "unknown"), Annotations: notes("title", "Not decided.")},
			{ID: "js/review", Severity: severity("codecheck", "unknown"), Annotations: notes("title", "To be looked at.")},
			{ID: "js/odd", Severity: severity("codecheck", "none")},
			{ID: "js/rejected", Severity: severity("codecheck", "warning")},
			{ID: "js/same", Severity: severity("codecheck", "warning")},
			{ID: "second", Severity: severity("codecheck", "warning")},
		}},
	}},
}

// The samples hold what the formats have of each kind. All of the predicate is compared, and all of it must be valid.
func TestSamples(t *testing.T) {
	for name, want := range samples {
		t.Run(name, func(t *testing.T) {
			got := mustConvert(t, sample(t, name), told)
			if diff := cmp.Diff(want.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}
