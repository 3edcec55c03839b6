package scan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/testdag/testdag/attest/scan"
)

// big is a value that fills the window.
var big = `"` + strings.Repeat("x", 80<<10) + `"`

// A format is recognised by what no other tool writes, and by nothing else.
func TestRecognise(t *testing.T) {
	clean := strings.Repeat("/usr/bin/x: OK\n", 5000)
	for format, contents := range map[scan.Format][]string{
		scan.Trivy: {
			`{"SchemaVersion":2,"ArtifactName":`, `{"SchemaVersion":2,"Trivy":{`, `{"ReportID":"","CreatedAt":"","ArtifactName":"a","ArtifactType":"container_image","Metadata":` + big,
			`{"SchemaVersion":2,"Results":[`,
		},
		scan.Grype: {
			`{"matches":[{"vulnerability":{`, `{"matches":[],"source":{},"descriptor":{`, `{"ignoredMatches":[`, "\ufeff" + `{"matches":[{"vulnerability":`,
			`{"descriptor":{},"source":{},"matches":[]}`, `{"matches":[{"vulnerability":{"id":]`,
		},
		scan.Clair: {`{"manifest_hash":"`, `{"package_vulnerabilities":{`, `{"packages":{"1":{}},"manifest_hash":"`},
		scan.SARIF: {
			`{"$schema":"https://x.example/sarif-2.1.0.json","version":"2.1.0","runs":[`, `{"version":"2.1.0","runs":[`, `{"runs":[{"tool":{"driver":`,
			`{"$schema":"https://x.example/SARIF","version":"2.1.0","properties":{"a":` + big, `{"inlineExternalProperties":[`,
		},
		scan.Quay:       {`{"status":"scanned","data":{"Layer":{`, `{"data":{"Layer":null}}`, `{"data":{"x":1,"Layer":`},
		scan.OSVScanner: {`{"results":[],"experimental_config":{`, `{"experimental_config":{},"results":[]}`, `{"results":[{"source":{"path":"a","type":"b"},"packages":[{"package":{`},
		scan.GoTest: {
			`{"Time":"2026-11-01T10:00:00Z","Action":"start","Package":"p"}` + "\n", `{"ImportPath":"p","Action":"build-output","Output":"x"}`,
			"go: downloading x v1\n# p\n" + `{"Action":"run","Package":"p","Test":"T"}`, `{"Action":"skip","Package":"p","Elapsed":0}`,
		},
		scan.TestOutput: {
			`{"result":"SUCCESS","timestamp":"0","successes":1,"failures":0,"warnings":0}`, `{"failures":0,"warnings":0,"successes":1,"result":"ERROR"}`,
			`{"result":"FAILURE","successes":1,"failures":0,"warnings":0,"note":` + big,
		},
		scan.JUnit: {
			`<?xml version="1.0"?><!-- c --><testsuites>`, " \n<testsuite name='a'/>", `<?xml version="1.0" encoding="ISO-8859-1"?><testsuites/>`,
		},
		scan.ClamAV: {
			"LibClamAV Warning: old\n/bin/sh: OK\n", "/bin/x: Eicar-Signature FOUND\r\n\r\n----------- SCAN SUMMARY -----------\r\n", "\n----------- SCAN SUMMARY -----------\n",
			clean,
		},
		"": {
			// near Trivy
			`{"SchemaVersion":2}`, `{"schemaVersion":2,"results":[]}`, `{"CreatedAt":"","Metadata":{}}`, `{"SchemaVersion":"2018-10-08","Id":"a","ProductArn":"b","CreatedAt":"c"}`,
			`{"Results":[]}`, `{"x":{"SchemaVersion":2,"ArtifactName":"a"}}`,
			// near Grype
			`{"matches":[]}`, `{"matches":[{"artifact":{}}]}`, `{"source":{},"distro":{}}`, `{"descriptor":{"name":"grype"}}`,
			// near Clair
			`{"packages":{"1":{}},"distributions":{}}`, `{"vulnerabilities":{},"environments":{}}`, `{"repository":{},"enrichments":{}}`,
			// near SARIF
			`{"version":"2.1.0","properties":{}}`, `{"runs":[]}`, `{"version":"1.0","runs":[]}`, `{"version":"2.1.0","$schema":"https://x.example/openapi"}`,
			// near Quay
			`{"status":"ok","data":{},"code":0}`, `{"status":"scanned","data":null}`, `{"data":[{"Layer":1}]}`,
			// near OSV-Scanner
			`{"results":[]}`, `{"results":[{"packages":[]}]}`, `{"results":[{"source":{"path":"a"}}]}`, `{"experimental_config":{}}`,
			// near go test
			`{"Action":"created","Time":"2026-11-01T10:00:00Z","Package":"p"}`, `{"Time":"2026-11-01T10:00:00Z","Package":"p","Test":"T"}`, `{"Action":"pass","Test":"T"}`,
			`{"Action":"start","Package":"nginx"}`, `{"Action":"fail","Package":"nginx","Time":"2026-11-01T10:00:00Z"}`,
			"text\n" + `{"SchemaVersion":2,"ArtifactName":"a"}`,
			// near TEST_OUTPUT
			`{"result":"SUCCESS","timestamp":1772366331000}`, `{"result":"SUCCESS","note":"x","namespace":"y"}`, `{"successes":1,"failures":0,"warnings":0}`,
			// near JUnit
			`<testcase name="a"/>`, `<suite><testsuite/></suite>`, `<TestSuites/>`, `<!`,
			// near ClamAV
			"connection to the database: OK\n", "./a.txt: OK\n./b.txt: FAILED\n", "SCAN SUMMARY\n", "key FOUND\n",
			"hello", `[{"VulnerabilityID":"CVE-2026-0001"}]`, `{"`,
		},
	} {
		for _, content := range contents {
			_, err := scan.Convert(strings.NewReader(content), scan.Options{})
			var unknown *scan.UnknownFormatError
			isUnknown := errors.As(err, &unknown)
			if got := brief(err); isUnknown != (format == "") || !isUnknown && got != "converted" && !strings.Contains(got, string(format)) {
				t.Errorf("%.90q: got %.200q, want %q", content, got, format)
			}
			if isUnknown && !strings.Contains(err.Error(), "give its format if it is one of those that are read") {
				t.Errorf("%.90q: the format is not asked for: %v", content, err)
			}
		}
	}
}

// A refusal says what is there instead of a report, and what helps.
func TestForeign(t *testing.T) {
	for _, tt := range []struct {
		seen, help string
		contents   []string
	}{
		{"a report of Trivy of before schema 2", "later trivy", []string{`[{"Target":"a (alpine 3.10)","Type":"alpine","Vulnerabilities":null}]`, `[{"Target":"a","Type":"npm"}]`, `[{"Target":"a","Vulnerabilities":[{"VulnerabilityID":`}},
		{"a report of a cluster by Trivy", "trivy image", []string{`{"ClusterName":"a","Resources":[]}`, `{"ClusterName":"a","Findings":[{"Results":[]}]}`, `{"Resources":[],"ClusterName":""}`}},
		{"a report of the Trivy operator", "trivy image", []string{`{"apiVersion":"x","kind":"VulnerabilityReport","report":{"scanner":{},"vulnerabilities":[]}}`, `{"items":[{"report":{"vulnerabilities":[]}}]}`, `{"report":{"vulnerabilities":[],"scanner":{"name":"Trivy"}}}`}},
		{"govulncheck's JSON", "-format sarif", []string{`{"config":{"protocol_version":"v1.0.0","scanner_name":"govulncheck"}}`, "{\n  \"config\": {\n    \"protocol_version\": \"v1\"}}\n{\"progress\":{}}", `{"config":{"scanner_name":"govulncheck","protocol_version":`}},
		{"pip-audit's JSON", "osv-scanner", []string{`{"dependencies":[],"fixes":[]}`, `{"dependencies":[{"name":"a","vulns":[]}],"fixes":[]}`, `{"fixes":[],"dependencies":[]}`}},
		{"a report of GitLab", "--format json", []string{`{"version":"15.0.7","vulnerabilities":[],"scan":{"scanner":{"id":"trivy"}}}`, `{"scan":{"analyzer":{}}}`, `{"scan":{"scanner":{}},"vulnerabilities":[]}`}},
		{"findings of Amazon ECR", "trivy image", []string{`{"imageScanFindings":{}}`, `{"registryId":"1","imageScanFindings":{"findings":[]}}`, `{"imageScanFindings":null}`}},
		{"JSON of twistcli", "grype", []string{`{"results":[],"consoleURL":"x"}`, `{"results":[{"vulnerabilities":[]}],"consoleURL":""}`, `{"consoleURL":"","results":[]}`}},
		{"a VEX document", "--vex", []string{`{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}`, `{"document":{"category":"csaf_vex","csaf_version":"2.0"}}`, `{"document":{"csaf_version":"2.0"},"vulnerabilities":[]}`}},
		{"ESLint's JSON", "sarif", []string{`[{"filePath":"a.js","messages":[]}]`, `[{"messages":[],"filePath":"a"}]`, `[{"filePath":"a.js","messages":[{"ruleId":"x"}]},{}]`}},
		{"ShellCheck's JSON", "csgrep", []string{`{"comments":[{"file":"a","code":2086}]}`, `[{"file":"a","line":1,"endLine":1,"code":2086}]`, `{"comments":[{"code":1}]}`}},
		{"Playwright's JSON", "--reporter=junit", []string{`{"config":{},"suites":[],"errors":[],"stats":{}}`, `{"suites":[],"config":{},"stats":{}}`, `{"config":{},"suites":[{"specs":[]}],"stats":{"flaky":0}}`}},
		{"XML of Checkstyle", "SARIF", []string{`<checkstyle/>`, `<?xml version="1.0"?><checkstyle version="10">`, "\n<checkstyle>"}},
		{"XML of PMD", "sarif", []string{`<pmd/>`, `<?xml version="1.0"?><pmd version="7">`, "\n<pmd>"}},
		{"XML of SpotBugs", "-sarif", []string{`<BugCollection/>`, `<?xml version="1.0"?><BugCollection version="4">`, "\n<BugCollection>"}},
		{"a report of coverage", "JUnit", []string{`<coverage/>`, `<?xml version="1.0"?><coverage line-rate="1">`, "mode: set\na.go:1.1,2.2 1 1\n"}},
		{"Snyk's JSON", "--sarif", []string{
			`{"vulnerabilities":[],"ok":true,"dependencyCount":41,"org":"o","policy":"","isPrivate":true}`,
			`{"vulnerabilities":[{"id":"SNYK-1"}],"ok":false,"packageManager":"npm"}`, `[{"vulnerabilities":[],"ok":true,"dependencyCount":1},{}]`,
			`{"vulnerabilities":[{"id":"SNYK-1","title":"x","semver":{"vulnerable":["<1"]},"description":` + big}},
		{"roxctl's JSON", "--output sarif", []string{
			`{"result":{"summary":{"CRITICAL":0},"vulnerabilities":[{"cveId":"CVE-1"}]}}`, `{"results":[{"metadata":{},"summary":{},"violatedPolicies":[]}],"summary":{}}`,
			`{"id":"sha256:1","name":{},"scan":{"scannerVersion":"4","scanTime":"2026-01-01","components":[]}}`,
			`{"id":"sha256:1","name":{"registry":"quay.io","remote":"a/b","tag":"1"},"metadata":{"v1":` + big}},
		{"an SBOM in CycloneDX", "trivy sbom", []string{
			`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}`, `{"$schema":"http://cyclonedx.org/schema/bom-1.5.schema.json","bomFormat":"CycloneDX"}`,
			`<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.5"/>`}},
		{"an SBOM in SPDX", "grype sbom:FILE", []string{
			`{"spdxVersion":"SPDX-2.3","packages":[]}`, `{"SPDXID":"SPDXRef-DOCUMENT"}`, "SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\n",
			`{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}`}},
		{"an SBOM by Syft", "grype sbom:FILE", []string{`{"artifacts":[],"artifactRelationships":[]}`, `{"artifacts":[],"source":{},"descriptor":{"name":"syft"}}`, `{"descriptor":{},"artifacts":[]}`}},
		{"a result file of Visual Studio (.trx)", "trx2junit", []string{
			`<?xml version="1.0" encoding="utf-8"?><TestRun id="1" xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010"/>`, "\ufeff<TestRun/>", `<TestRun><Times/>`}},
		{"XML of xUnit.net", "--logger junit", []string{`<assemblies/>`, `<assemblies timestamp="x">`, `<assembly name="a"/>`}},
		{"XML of NUnit", "--logger junit", []string{`<test-run id="2"/>`, `<test-results name="a"/>`, `<?xml version="1.0"?><test-run>`}},
		{"XML of TestNG", "JUnitReportReporter", []string{`<testng-results skipped="0"/>`, `<?xml version="1.0"?><testng-results>`, "\n<testng-results/>"}},
		{"Jest's JSON", "jest-junit", []string{`{"numTotalTests":1,"testResults":[]}`, `{"success":true,"numTotalTests":0,"testResults":[]}`, `{"testResults":[],"numTotalTests":2}`}},
		{"Mocha's JSON", "mocha-junit-reporter", []string{`{"stats":{},"tests":[],"passes":[],"failures":[]}`, `{"stats":{},"tests":[],"pending":[],"failures":[],"passes":[]}`, `{"failures":[],"passes":[],"stats":{},"tests":[]}`}},
		{"Cucumber's JSON", "junit formatter", []string{`[{"keyword":"Feature","elements":[]}]`, `[{"uri":"a","elements":[{"steps":[]}]}]`, `[{"elements":[],"keyword":"Feature"}]`}},
		{"Bandit's JSON", "-f sarif", []string{`{"errors":[],"generated_at":"x","metrics":{},"results":[]}`, `{"results":[{"test_id":"B1"}]}`, `{"metrics":{},"generated_at":"x"}`}},
		{"gosec's JSON", "-fmt sarif", []string{`{"Stats":{},"Issues":[]}`, `{"Issues":[],"Stats":{}}`, `{"Golang errors":{},"Issues":[],"Stats":{}}`}},
		{"golangci-lint's JSON", "--output.sarif.path", []string{`{"Issues":[],"Report":{}}`, `{"Issues":null,"Report":{"Linters":[]}}`, `{"Report":{},"Issues":[]}`}},
		{"Checkov's JSON", "-o sarif", []string{`{"check_type":"dockerfile","results":{}}`, `[{"check_type":"a","results":{}},{}]`, `{"results":{},"check_type":"secrets"}`}},
		{"JSON of Dependency-Check", "--format SARIF", []string{`{"reportSchema":"1.1","scanInfo":{}}`, `{"reportSchema":"1.1","scanInfo":{},"dependencies":[]}`, `{"scanInfo":{},"reportSchema":"1"}`}},
		{"JSON of Gitleaks", "--report-format sarif", []string{`[{"RuleID":"a","Secret":"x"}]`, `[{"Description":"d","RuleID":"a","Secret":"x"},{}]`, `[{"Secret":"x","RuleID":"a"}]`}},
		{"JSON of npm audit", "lock file", []string{`{"auditReportVersion":2,"vulnerabilities":{}}`, `{"auditReportVersion":2}`, `{"vulnerabilities":{},"auditReportVersion":2}`}},
		{"TAP", "tap-xunit", []string{"TAP version 13\n1..2\n", "1..2\nok 1 - a\n", "1..1\nnot ok 1\n"}},
		{"an HTML page", "log in", []string{"<head><title>x</title>", "<body/>", `<?xml version="1.0"?><!DOCTYPE html PUBLIC "x" "y"><html>`, "<!DOCTYPE html><html><body>", "<html/>", "\n<!doctype HTML PUBLIC \"x\">", "<!-- x -->\n<html lang='en'>"}},
		{"a log with the line ", "before it wrote its report", []string{
			"2026-11-01T10:00:00Z\tFATAL\tFatal error\tinit error: DB error\n", "[2026-11-01 10:00:00] could not connect\n", "time=\"2026-11-01\" level=fatal msg=x\n",
			"Traceback (most recent call last):\n", "panic: runtime error\n", "trivy: command not found\n", "ERROR: no such image\n",
			`{"level":"fatal","ts":1,"msg":"x"}`, "2026/11/01 10:00:00 x\n",
			"FATA[0000] no database\n", "E1101 10:00:00.000000       1 main.go:1] x\n", "sh: 1: trivy: not found\n", "Killed\n", "[INFO] Scanning\n", "{\"severity\":\"ERROR\",\"message\":\"x\"}"}},
		{"an answer that tells of an error with the line ", "no scan ran", []string{`{"error":"unauthorized"}`, `{"errors":[{"code":"DENIED","message":"x"}]}`, `{"code":"not-found","message":"index report not found"}`,
			`{"message":"Not Found","documentation_url":"x"}`, `<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`, `[{"error":"x"}]`}},
		{"the text of go test", "go test -json", []string{"=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\nok  \tp\t0.1s\n", "ok  \tp\t(cached)\n", "FAIL\tp [build failed]\n", "?   \tp\t[no test files]\n"}},
		{"a template or table of Trivy", "--format json", []string{"\nalpine (alpine 3.20)\n====\nTotal: 3 (UNKNOWN: 0, LOW: 1)\n", "Total: 0 (UNKNOWN: 0, LOW: 0)\n", "\nReport Summary\n\n┌──┐\n"}},
		{"a table of Grype", "-o json", []string{"NAME  INSTALLED  FIXED-IN  TYPE  VULNERABILITY  SEVERITY\n", "NAME INSTALLED FIXED IN TYPE\n", "NAME  INSTALLED  VULNERABILITY\n"}},
		{"Semgrep's JSON", "--sarif", []string{`{"version":"1.0","results":[],"errors":[],"paths":{}}`, `{"results":[{"check_id":"a"}]}`, `{"errors":[],"paths":{"scanned":[]},"results":[]}`}},
		{"a compressed file", "unpack", []string{"\x1f\x8b\x08", "PK\x03\x04", "BZh9"}},
		{"text in UTF-16", "UTF-8", []string{"\xff\xfe{\x00\"\x00", "\xfe\xff\x00{\x00\"", "{\x00\"\x00S\x00"}},
		{"empty", "before it wrote anything", []string{"", strings.Repeat(" \r\n\t", 1000), "\ufeff\n"}},
		{"null", "nothing of a scan", []string{"null", " null\n", "\ufeffnull"}},
		{"{}", "nothing of a scan", []string{"{}", " {}\n", "\ufeff{}"}},
		{"[]", "nothing of a scan", []string{"[]", " []\n", "\ufeff[]"}},
		{`of no tool that is known: it begins with "hi"`, "give its format", []string{"hi", strings.Repeat("\n", 100) + "hi", "\ufeffhi\nthere"}},
		{`of no tool that is known: it has the names "a", "b"`, "give its format", []string{`{"b":1,"a":{"c":1}}`, ` {"a":1,"b":`, `{"a":[{"b":1}],"b":2}`}},
	} {
		for _, content := range tt.contents {
			_, err := scan.Convert(strings.NewReader(content), scan.Options{})
			var unknown *scan.UnknownFormatError
			if !errors.As(err, &unknown) || !strings.HasPrefix(unknown.Seen, tt.seen) || !strings.Contains(unknown.Help, tt.help) {
				t.Errorf("%.60q: got %v, want %s with %s", content, err, tt.seen, tt.help)
			}
			if _, err := scan.Convert(strings.NewReader(content), scan.Options{Format: scan.Trivy}); !strings.Contains(tt.seen, "of no tool") &&
				(err == nil || !strings.HasPrefix(err.Error(), "scan: not a trivy report: it is "+tt.seen)) {
				t.Errorf("%.60q: got %v, want %s", content, err, tt.seen)
			}
		}
	}
}

// What a log says of the reason is told.
func TestReasonIsQuoted(t *testing.T) {
	for content, want := range map[string]string{
		"2026-11-01 10:00:00 begins\n2026-11-01 10:00:01 FATAL no database\nthe error is old\n": `"2026-11-01 10:00:01 FATAL no database"`,
		"2026-11-01 10:00:00 killed\n":        `"2026-11-01 10:00:00 killed"`,
		`{"error":"unauthorized","code":401}`: `"{\"error\":\"unauthorized\",\"code\":401}"`,
	} {
		_, err := scan.Convert(strings.NewReader(content), scan.Options{})
		if err == nil || !strings.Contains(err.Error(), "with the line "+want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
