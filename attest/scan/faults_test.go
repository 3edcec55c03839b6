package scan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
)

// convertAs converts a report that a scanner with a URI has written.
func convertAs(t *testing.T, format scan.Format, report string) intoto.Vulns {
	t.Helper()
	opts := told
	opts.Format, opts.Scanner.URI = format, "https://scanner.example"
	return mustConvert(t, []byte(report), opts)
}

const (
	alert   = `{"package":{"name":"a"},"alerts":[{"type":"%s","message":"Package is from %s distro: %s"}]}`
	success = `"results":[],"invocations":[{"executionSuccessful":true,`
)

// grypeOf is a report with alerts.
func grypeOf(alerts string) string {
	return `{"matches":[],"alertsByPackage":` + alerts + `,"descriptor":{"name":"grype"}}`
}

// clairOf is a report of one package without vulnerabilities.
func clairOf(more string) string {
	return `{"manifest_hash":"a","packages":{"1":{"name":"p"}},"vulnerabilities":{},"package_vulnerabilities":{},` + more + `}`
}

// trivyOf is a report of an image.
func trivyOf(os, results string) string {
	return `{"SchemaVersion":2,"ArtifactType":"container_image","Metadata":{"OS":{` + os + `}},"Results":[` + results + `]}`
}

// runOf is a report of one run.
func runOf(tool, members string) string {
	return `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"` + tool + `"}},` + members + `}]}`
}

// "What could not be scanned looks clean": each of these is told.
func TestWhatWasNotScannedIsTold(t *testing.T) {
	const python = `{"Target":"Python","Class":"lang-pkgs","Type":"python-pkg"}`
	system := func(name string) string {
		return fmt.Sprintf(`{"Target":"app (%s)","Class":"os-pkgs","Type":"%s"}`, name, name)
	}
	eol := fmt.Sprintf(alert, "distro-eol", "end-of-life", "debian 9")
	for _, test := range []struct {
		name                  string
		format                scan.Format
		report                string
		unscanned, incomplete []string
	}{
		{"Trivy, all of it", scan.Trivy, trivyOf(`"Family":"alpine","Name":"3.22"`, system("alpine")+`,`+python), nil, nil},
		{"Trivy, no OS", scan.Trivy, trivyOf(``, python), nil, nil},
		{"Trivy, an OS that is not supported", scan.Trivy, trivyOf(`"Family":"fedora","Name":"41"`, python),
			[]string{"the packages of the OS fedora 41: no Results are of class os-pkgs"}, nil},
		{"Trivy, no version of the OS", scan.Trivy, trivyOf(`"Family":"slackware"`, python),
			[]string{"the packages of the OS slackware: no Results are of class os-pkgs"}, nil},
		{"Trivy, secrets alone", scan.Trivy, trivyOf(`"Family":"nixos","Name":"25"`, `{"Target":"key","Class":"secret","Secrets":[{"RuleID":"key"}]}`),
			[]string{"the packages of the OS nixos 25: no Results are of class os-pkgs"}, nil},
		{"Trivy, a result of the OS in old form", scan.Trivy, trivyOf(`"Family":"alpine","Name":"3.10"`, `{"Target":"app (alpine 3.10)","Type":"alpine"}`), nil, nil},
		{"Trivy, out of support", scan.Trivy, trivyOf(`"Family":"debian","Name":"9.3","EOSL":true`, system("debian")),
			nil, []string{"the OS debian 9.3 is out of support, so vulnerabilities of its packages are not known"}},
		{"Trivy, out of support without a name", scan.Trivy, trivyOf(`"EOSL":true`, system("debian")),
			nil, []string{"the OS of the image is out of support, so vulnerabilities of its packages are not known"}},
		{"Trivy, in support", scan.Trivy, trivyOf(`"Family":"debian","Name":"13","EOSL":false`, system("debian")), nil, nil},
		{"Trivy, both", scan.Trivy, trivyOf(`"Family":"centos","Name":"6","EOSL":true`, python),
			[]string{"the packages of the OS centos 6: no Results are of class os-pkgs"},
			[]string{"the OS centos 6 is out of support, so vulnerabilities of its packages are not known"}},
		{"Trivy, a folder with nothing in it", scan.Trivy, `{"SchemaVersion":2,"ArtifactType":"filesystem"}`,
			[]string{"all of it: the report has no Results, not even empty ones of what was looked at"}, nil},
		{"Trivy, a repository with nothing in it", scan.Trivy, `{"SchemaVersion":2,"ArtifactType":"repository","Results":[]}`,
			[]string{"all of it: the report has no Results, not even empty ones of what was looked at"}, nil},

		{"Clair, a distribution", scan.Clair, clairOf(`"distributions":{"1":{"did":"debian"}},"repository":{}`), nil, nil},
		{"Clair, a repository", scan.Clair, clairOf(`"distributions":{},"repository":{"1":{"name":"go"}}`), nil, nil},
		{"Clair, neither", scan.Clair, clairOf(`"distributions":{},"repository":null`),
			[]string{"the packages: they are of no distribution and no repository that Clair knows"}, nil},
		{"Clair, it does not say", scan.Clair, clairOf(`"distributions":null,"repository":{}`), nil, nil},

		{"Grype, no alerts", scan.Grype, grypeOf(`[]`), nil, nil},
		{"Grype, null", scan.Grype, grypeOf(`null`), nil, nil},
		{"Grype, an object", scan.Grype, grypeOf(`{}`), nil, nil},
		{"Grype, out of support", scan.Grype, grypeOf(`[` + eol + `,` + eol + `]`), nil, []string{"distro-eol: Package is from end-of-life distro: debian 9"}},
		{"Grype, an unknown distro", scan.Grype, grypeOf(`[` + fmt.Sprintf(alert, "distro-unknown", "unrecognized", "plamo") + `,` + eol + `]`),
			[]string{"distro-unknown: Package is from unrecognized distro: plamo"}, []string{"distro-eol: Package is from end-of-life distro: debian 9"}},
		{"Grype, a distro that is not looked at", scan.Grype, grypeOf(`[` + fmt.Sprintf(alert, "distro-disabled", "disabled", "arch") + `]`),
			[]string{"distro-disabled: Package is from disabled distro: arch"}, nil},
		{"Grype, an alert of another type", scan.Grype, grypeOf(`[{"alerts":[{"type":"new"}]}]`), nil, []string{"new"}},

		{"SARIF, an error while it ran", scan.SARIF, runOf("t", success+`"toolExecutionNotifications":[{"level":"error","message":{"text":"a.c: parser crashed\nat 1"}}]}]`),
			nil, []string{"the tool says: a.c: parser crashed"}},
		{"SARIF, an error in capitals, and an exception", scan.SARIF, runOf("t", success+`"toolExecutionNotifications":[{"level":"Error","message":{"text":"a"}},`+
			`{"level":"note","message":{"text":"b"},"exception":{"kind":"Crash"}},{"level":"note","message":{"text":"c"},"exception":null},{"level":"None","message":{"text":"skipped"}}]}]`),
			nil, []string{"the tool says: a", "the tool says: b"}},
		{"SARIF, an error in its configuration", scan.SARIF, runOf("t", success+`"toolConfigurationNotifications":[{"level":"error","descriptor":{"id":"no-rules"}}]}]`),
			nil, []string{"the tool says: no-rules"}},
		{"SARIF, an error without words", scan.SARIF, runOf("t", success+`"toolExecutionNotifications":[{"level":"error"}]}]`),
			nil, []string{"the tool says: an error, without a message"}},
		{"SARIF, files that were skipped", scan.SARIF, runOf("t", success+`"toolExecutionNotifications":[{"message":{"text":"Skipped vendor/a.js: too large"}},`+
			`{"level":"warning","message":{"text":"could not parse b.ts"}},{"level":"warning","descriptor":{"id":"file-not-analyzed"}},{"message":{"text":"can't read c.py"}}]}]`),
			nil, []string{"the tool says: Skipped vendor/a.js: too large", "the tool says: could not parse b.ts", "the tool says: file-not-analyzed", "the tool says: can't read c.py"}},
		{"SARIF, files that were read in part", scan.SARIF, runOf("t", success+`"toolExecutionNotifications":[{"level":"warning","message":{"text":"Syntax error at line a.js:1"}},`+
			`{"level":"warning","message":{"text":"A parse error occurred"}},{"level":"warning","descriptor":{"id":"PartialParsing"}}]}]`),
			nil, []string{"the tool says: Syntax error at line a.js:1", "the tool says: A parse error occurred", "the tool says: PartialParsing"}},
		{"SARIF, other notifications", scan.SARIF, runOf("t", success+`"toolExecutionNotifications":[{"level":"note","message":{"text":"skipped nothing"}},`+
			`{"level":"warning","message":{"text":"a new version is there"}},{"level":"none"}]}]`), nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := convertAs(t, test.format, test.report)
			if diff := cmp.Diff(test.unscanned, got.Unscanned); diff != "" {
				t.Errorf("not scanned (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.incomplete, got.Incomplete); diff != "" {
				t.Errorf("incomplete (-want +got):\n%s", diff)
			}
		})
	}
}

// However much was not looked at, the list stays short, and the statement can be written.
func TestReasonsAreBounded(t *testing.T) {
	var alerts []string
	for i := range 1000 {
		alerts = append(alerts, fmt.Sprintf(alert, "distro-eol", strings.Repeat("long ", 100), fmt.Sprint(i)), fmt.Sprintf(alert, "distro-eol", "end-of-life", fmt.Sprint(i)))
	}
	got := convertAs(t, scan.Grype, grypeOf(`[`+strings.Join(alerts, ",")+`]`))
	if n := len(got.Incomplete); n != 21 || got.Incomplete[20] != "and more" || len(got.Incomplete[0]) > 300 {
		t.Errorf("%d reasons, the first %q, the last %q", n, got.Incomplete[0], got.Incomplete[n-1])
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

// "Severity that is there and is not read": a vector, a level beside a score, an override, malware.
func TestSeverityIsRead(t *testing.T) {
	const (
		v2       = `AV:N/AC:L/Au:N/C:P/I:P/A:P`
		v30      = `CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:L/A:N`
		v31      = `CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H`
		v40      = `CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N`
		modified = `CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N/MVC:H/MVI:H/MVA:H`
		harmless = `CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N`
	)
	osv := func(vulnerability, group string) string {
		return `{"results":[{"packages":[{"package":{"name":"a","version":"1","ecosystem":"PyPI"},"vulnerabilities":[{"id":"V-1",` + vulnerability +
			`}],"groups":[{"ids":["V-1"]` + group + `}]}]}]}`
	}
	vectors := func(pairs ...string) string {
		var list []string
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, fmt.Sprintf(`{"type":%q,"score":%q}`, pairs[i], pairs[i+1]))
		}
		return `"severity":[` + strings.Join(list, ",") + `]`
	}
	trivy := func(cvss string) string {
		return `{"SchemaVersion":2,"Results":[{"Target":"a","Vulnerabilities":[{"VulnerabilityID":"V-1","CVSS":{"nvd":{` + cvss + `}}}]}]}`
	}
	grype := func(cvss string) string {
		return `{"matches":[{"vulnerability":{"id":"V-1","namespace":"nvd:cpe","cvss":[` + cvss + `]}}],"descriptor":{"name":"grype"}}`
	}
	clair := func(vulnerability, scores string) string {
		return `{"manifest_hash":"a","packages":{"1":{"name":"p"}},"vulnerabilities":{"1":{"name":"V-1",` + vulnerability + `}},` +
			`"package_vulnerabilities":{"1":["1"]},"enrichments":{"enricher=clair.cvss":[{"1":[` + scores + `]}]}}`
	}
	quay := func(nvd string) string {
		return `{"data":{"Layer":{"Features":[{"Name":"a","Vulnerabilities":[{"Name":"V-1","Metadata":{"NVD":{` + nvd + `}}}]}]}}}`
	}
	sarif := func(tool, rule, result, more string) string {
		return `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"` + tool + `","rules":[{"id":"V-1"` + rule + `}]}},` +
			`"results":[{"ruleId":"V-1"` + result + `}]` + more + `}]}`
	}
	score := func(s string) string { return `,"properties":{"security-severity":"` + s + `"}` }
	level := func(l string) string { return `,"defaultConfiguration":{"level":"` + l + `"}` }
	override := func(rule, level string) string {
		return `,"invocations":[{"executionSuccessful":true,"ruleConfigurationOverrides":[{"descriptor":{` + rule + `},"configuration":{"level":"` + level + `"}}]}]`
	}
	under := func(report string, parts int) string {
		return strings.Replace(report, `"ruleId":"V-1`, `"ruleId":"V-1`+strings.Repeat("/x", parts), 1)
	}
	malware := func(report string, id string) string { return strings.ReplaceAll(report, "V-1", id) }
	for _, test := range []struct {
		name   string
		format scan.Format
		report string
		want   []intoto.Severity
	}{
		{"OSV, version 2", scan.OSVScanner, osv(vectors("CVSS_V2", v2), ``), severity("cvss_v2:osv-scanner", "7.5")},
		{"OSV, version 3.0", scan.OSVScanner, osv(vectors("CVSS_V3", v30), ``), severity("cvss_v3:osv-scanner", "4.2")},
		{"OSV, version 3.1", scan.OSVScanner, osv(vectors("CVSS_V3", v31), `,"max_severity":""`), severity("cvss_v3:osv-scanner", "9.8")},
		{"OSV, version 4", scan.OSVScanner, osv(vectors("CVSS_V4", v40), ``), severity("cvss_v4:osv-scanner", "9.3")},
		{"OSV, version 4, modified", scan.OSVScanner, osv(vectors("CVSS_V4", modified), ``), severity("cvss_v4:osv-scanner", "9.3")},
		{"OSV, a score", scan.OSVScanner, osv(vectors("CVSS_V3", "8.1"), ``), severity("cvss_v3:osv-scanner", "8.1")},
		{"OSV, a word", scan.OSVScanner, osv(vectors("Ubuntu", "high", "CVSS_V3", v30), ``), severity("osv", "high", "cvss_v3:osv-scanner", "4.2")},
		{"OSV, several", scan.OSVScanner, osv(vectors("CVSS_V3", v30, "CVSS_V3", v31, "CVSS_V4", v40), ``), severity("cvss_v4:osv-scanner", "9.3", "cvss_v3:osv-scanner", "9.8")},
		{"OSV, of the package", scan.OSVScanner, osv(`"affected":[{"package":{"name":"a","ecosystem":"PyPI"},`+vectors("CVSS_V3", v31)+`}]`, ``), severity("cvss_v3:osv-scanner", "9.8")},
		{"OSV, of another package", scan.OSVScanner, osv(`"affected":[{"package":{"name":"b","ecosystem":"PyPI"},`+vectors("CVSS_V3", v31)+`}]`, ``), severity()},
		{"OSV, the group is beyond the scale", scan.OSVScanner, osv(vectors("CVSS_V3", v31), `,"max_severity":"-1"`), severity("cvss_v3:osv-scanner", "9.8")},
		{"OSV, a word of the group", scan.OSVScanner, osv(`"summary":"x"`, `,"max_severity":"HIGH"`), severity("osv", "high")},
		{"OSV, a score of 0", scan.OSVScanner, osv(vectors("CVSS_V3", "0"), ``), severity()},
		{"OSV, the group says it", scan.OSVScanner, osv(vectors("CVSS_V3", v30), `,"max_severity":"5.1"`), severity("cvss:osv-scanner", "5.1")},
		{"OSV, the group says less", scan.OSVScanner, osv(vectors("CVSS_V4", v40), `,"max_severity":"5.1"`), severity("cvss_v4:osv-scanner", "9.3", "cvss:osv-scanner", "5.1")},
		{"OSV, 0 by the group", scan.OSVScanner, osv(vectors("CVSS_V3", v31), `,"max_severity":"0.0"`), severity("cvss_v3:osv-scanner", "9.8")},
		{"OSV, 0 by the group as a number", scan.OSVScanner, osv(vectors("CVSS_V3", v31), `,"max_severity":0`), severity("cvss_v3:osv-scanner", "9.8")},
		{"OSV, 0 by the group alone", scan.OSVScanner, osv(`"summary":"x"`, `,"max_severity":"0"`), severity()},
		{"OSV, the group says no number", scan.OSVScanner, osv(vectors("CVSS_V3", v31), `,"max_severity":"NaN"`), severity("cvss_v3:osv-scanner", "9.8")},
		{"OSV, the group says too much", scan.OSVScanner, osv(vectors("CVSS_V3", v31), `,"max_severity":"98"`), severity("cvss_v3:osv-scanner", "9.8")},
		{"OSV, a word of the ecosystem", scan.OSVScanner, osv(`"affected":[{"package":{"name":"a","ecosystem":"PyPI"},"ecosystem_specific":{"severity":"High"}}]`, ``), severity("osv", "high")},
		{"OSV, a word of the database for the package", scan.OSVScanner, osv(`"affected":[{"package":{"name":"a","ecosystem":"PyPI"},"database_specific":{"severity":"Critical"}}]`, ``), severity("osv", "critical")},
		{"OSV, a number in place of a vector", scan.OSVScanner, osv(vectors("CVSS_V3", "7.5", "CVSS_V4", "8"), ``), severity("cvss_v4:osv-scanner", "8", "cvss_v3:osv-scanner", "7.5")},
		{"OSV, a license", scan.OSVScanner, `{"results":[{"packages":[{"package":{"name":"a"},"licenses":["GPL-3.0"],"license_violations":["GPL-3.0"]}]}]}`, severity("osv-scanner", "unknown")},
		{"OSV, no vector", scan.OSVScanner, osv(vectors("CVSS_V3", "CVSS:3.1/AV:N"), ``), severity()},
		{"OSV, no harm", scan.OSVScanner, osv(vectors("CVSS_V3", harmless), ``), severity("cvss_v3:osv-scanner", "0")},

		{"Trivy, vectors alone", scan.Trivy, trivy(`"V3Vector":"` + v31 + `","V40Vector":"` + v40 + `"`), severity("cvss_v4:nvd", "9.3", "cvss_v3:nvd", "9.8")},
		{"Trivy, version 2 alone", scan.Trivy, trivy(`"V2Vector":"` + v2 + `"`), severity("cvss_v2:nvd", "7.5")},
		{"Trivy, a score of 0 and no vector", scan.Trivy, trivy(`"V2Score":9.3,"V3Score":0`), severity("cvss_v2:nvd", "9.3")},
		{"Trivy, a score beside", scan.Trivy, trivy(`"V3Vector":"` + v31 + `","V3Score":5`), severity("cvss_v3:nvd", "5")},
		{"Grype, no score", scan.Grype, grype(`{"version":"3.1","vector":"` + v31 + `"}`), severity("cvss_v3:nvd", "9.8")},
		{"Grype, a score of 0", scan.Grype, grype(`{"version":"4.0","vector":"` + v40 + `","metrics":{"baseScore":0}}`), severity("cvss_v4:nvd", "9.3")},
		{"Grype, a score of 0 and no vector", scan.Grype, grype(`{"version":"2.0","metrics":{"baseScore":9.3}},{"version":"4.0","metrics":{"baseScore":0}}`), severity("cvss_v2:nvd", "9.3")},
		{"Grype, no harm", scan.Grype, grype(`{"version":"3.1","vector":"` + harmless + `","metrics":{"baseScore":0}}`), severity("cvss_v3:nvd", "0")},
		{"Grype, no version", scan.Grype, grype(`{"vector":"(` + v2 + `)","metrics":{}}`), severity("cvss_v2:nvd", "7.5")},
		{"Clair, an enrichment", scan.Clair, clair(`"normalized_severity":"Unknown"`, `{"version":"3.1","vectorString":"`+v31+`"}`), severity("clair", "unknown", "cvss_v3:nvd", "9.8")},
		{"Clair, an updater", scan.Clair, clair(`"normalized_severity":"Unknown","severity":"`+v40+`"`, ``), severity("clair", "unknown", "cvss_v4:nvd", "9.3")},
		{"Clair, an enrichment and an updater", scan.Clair, clair(`"severity":"`+v31+`"`, `{"version":"3.1","baseScore":5}`), severity("cvss_v3:nvd", "5")},
		{"Clair, 0 and no vector", scan.Clair, clair(`"normalized_severity":"Unknown"`, `{"version":"3.1","vectorString":"","baseScore":0}`), severity("clair", "unknown")},
		{"Clair, a word", scan.Clair, clair(`"normalized_severity":"Low","severity":"Minor"`, ``), severity("clair", "low")},
		{"Quay", scan.Quay, quay(`"CVSSv3":{"Vectors":"` + v31 + `","Score":""},"CVSSv2":{"Vectors":"` + v2 + `"}`), severity("cvss_v3:nvd", "9.8")},
		{"Quay, version 2", scan.Quay, quay(`"CVSSv3":{"Vectors":"","Score":""},"CVSSv2":{"Vectors":"` + v2 + `"}`), severity("cvss_v2:nvd", "7.5")},
		{"Quay, 0 of version 3 and no vector", scan.Quay, quay(`"CVSSv2":{"Score":9.3,"Vectors":""},"CVSSv3":{"ExploitabilityScore":0,"ImpactScore":0,"Score":0,"Vectors":""}`), severity("cvss_v2:nvd", "9.3")},
		{"Quay, beyond the scale", scan.Quay, quay(`"CVSSv2":{"Score":"NaN"},"CVSSv3":{"Score":-1,"Vectors":"` + v31 + `"}`), severity("cvss_v3:nvd", "9.8")},
		{"Quay, a score of 11", scan.Quay, quay(`"CVSSv3":{"Score":11,"Vectors":"` + v31 + `"}`), severity("cvss_v3:nvd", "9.8")},
		{"SARIF, a vector", scan.SARIF, sarif("t", ``, `,"properties":{"cvss":"`+v31+`","tags":["a"]}`, ``), severity("cvss_v3:t", "9.8")},
		{"SARIF, a vector of the rule", scan.SARIF, sarif("t", `,"properties":{"cvssV4_vector":"`+v40+`"}`, ``, ``), severity("cvss_v4:t", "9.3")},
		{"SARIF, a vector beside a score", scan.SARIF, sarif("t", `,"properties":{"cvss":"`+v31+`","security-severity":"5"}`, ``, ``), severity("cvss:t", "5")},

		{"SARIF, 0 and a note", scan.SARIF, sarif("Trivy", score("0.0"), `,"level":"note"`, ``), severity("trivy", "unknown")},
		{"SARIF, 0 as a number", scan.SARIF, sarif("Grype", `,"properties":{"security-severity":0}`, ``, ``), severity("grype", "unknown")},
		{"SARIF, 0 of the result", scan.SARIF, sarif("t", ``, score("0")+`,"level":"none"`, ``), severity("t", "unknown")},
		{"SARIF, 0 of the result and a score of the rule", scan.SARIF, sarif("t", score("9.8"), score("0.0"), ``), severity("cvss:t", "9.8")},

		{"SARIF, a word in place of a score", scan.SARIF, sarif("t", score("Critical"), `,"level":"note"`, ``), severity("t", "critical")},
		{"SARIF, a word in place of a score and an error", scan.SARIF, sarif("t", score("low"), `,"level":"error"`, ``), severity("t", "error", "t", "low")},
		{"SARIF, less than 0", scan.SARIF, sarif("t", score("-1"), `,"level":"note"`, ``), severity("t", "unknown")},
		{"SARIF, more than 10", scan.SARIF, sarif("t", score("100"), `,"level":"note"`, ``), severity("t", "unknown")},
		{"SARIF, no number", scan.SARIF, sarif("t", score("NaN"), `,"level":"note"`, ``), severity("t", "unknown")},
		{"SARIF, no text", scan.SARIF, sarif("t", score(""), `,"level":"note"`, ``), severity("t", "note")},
		{"SARIF, null", scan.SARIF, sarif("t", `,"properties":{"security-severity":null}`, `,"level":"note"`, ``), severity("t", "note")},
		{"SARIF, a level in capitals", scan.SARIF, sarif("t", score("2"), `,"level":"Error"`, ``), severity("t", "error", "cvss:t", "2")},
		{"SARIF, a level of the tool's own", scan.SARIF, sarif("t", score("2"), `,"level":"critical"`, ``), severity("t", "critical", "cvss:t", "2")},
		{"SARIF, an id of 20 parts more", scan.SARIF, under(sarif("t", level("note"), ``, ``), 20), severity("t", "note")},
		{"SARIF, an id of 21 parts more", scan.SARIF, under(sarif("t", level("note"), ``, ``), 21), severity("t", "warning")},
		{"SARIF, a rule by its reference", scan.SARIF, sarif("t", level("error"), `,"ruleIndex":-1,"rule":{"index":0}`, ``), severity("t", "error")},
		{"SARIF, 0 and an error", scan.SARIF, sarif("t", score("0.0"), `,"level":"error"`, ``), severity("t", "error")},

		{"SARIF, an error and a low score", scan.SARIF, sarif("t", score("5.5"), `,"level":"error"`, ``), severity("t", "error", "cvss:t", "5.5")},
		{"SARIF, an error by the rule", scan.SARIF, sarif("t", level("error")+score("6.9"), ``, ``), severity("t", "error", "cvss:t", "6.9")},
		{"SARIF, a warning and a low score", scan.SARIF, sarif("t", score("3.9"), `,"level":"warning"`, ``), severity("t", "warning", "cvss:t", "3.9")},
		{"SARIF, a warning and a high score", scan.SARIF, sarif("t", score("9.8"), `,"level":"warning"`, ``), severity("cvss:t", "9.8")},
		{"SARIF, an error and a score of 7", scan.SARIF, sarif("t", score("7.0"), `,"level":"error"`, ``), severity("cvss:t", "7")},
		{"SARIF, a low score and no level", scan.SARIF, sarif("t", score("2"), ``, ``), severity("cvss:t", "2")},
		{"SARIF, CodeQL's level is of quality", scan.SARIF, sarif("CodeQL", level("error")+score("4.3"), ``, ``), severity("cvss:codeql", "4.3")},

		{"SARIF, an override by id", scan.SARIF, sarif("t", ``, ``, override(`"id":"V-1"`, "error")), severity("t", "error")},
		{"SARIF, an override by index", scan.SARIF, sarif("t", level("note"), ``, override(`"index":0`, "error")), severity("t", "error")},
		{"SARIF, an override and a lesser one", scan.SARIF, sarif("t", ``, ``, strings.Replace(override(`"id":"V-1"`, "error"), `]}]`,
			`,{"descriptor":{"id":"V-1"},"configuration":{"level":"note"}}]}]`, 1)), severity("t", "error")},

		{"SARIF, an override in capitals", scan.SARIF, sarif("t", level("note"), ``, override(`"id":"V-1"`, "Error")), severity("t", "error")},
		{"SARIF, a review with the level None", scan.SARIF, sarif("t", ``, `,"kind":"review","level":"None"`, ``), severity("t", "unknown")},
		{"SARIF, an override by a word of the tool's own", scan.SARIF, sarif("t", level("note"), ``, override(`"id":"V-1"`, "critical")), severity("t", "critical")},
		{"SARIF, an override of another rule", scan.SARIF, sarif("t", level("note"), ``, override(`"id":"V-2"`, "error")), severity("t", "note")},
		{"SARIF, an override that is less", scan.SARIF, sarif("t", level("error"), ``, override(`"id":"V-1"`, "note")), severity("t", "error")},
		{"SARIF, an override that is less, by the invocation", scan.SARIF, sarif("t", level("error"), `,"provenance":{"invocationIndex":0}`, override(`"id":"V-1"`, "note")), severity("t", "note")},
		{"SARIF, an override of another invocation", scan.SARIF, sarif("t", level("warning"), `,"provenance":{"invocationIndex":1}`, override(`"id":"V-1"`, "note")), severity("t", "warning")},
		{"SARIF, an override beside a level", scan.SARIF, sarif("t", ``, `,"level":"note"`, override(`"id":"V-1"`, "error")), severity("t", "note")},
		{"SARIF, an override beside a score", scan.SARIF, sarif("t", score("5"), ``, override(`"id":"V-1"`, "error")), severity("t", "error", "cvss:t", "5")},

		{"OSV, malware", scan.OSVScanner, malware(osv(`"summary":"Malicious code"`, ``), "MAL-2026-1"), severity("malware", "critical")},
		{"OSV, malware by an alias", scan.OSVScanner, osv(`"aliases":["MAL-2026-1"],"database_specific":{"severity":"LOW"}`, ``), severity("malware", "critical", "osv", "low")},
		{"OSV, malware by the group", scan.OSVScanner, osv(`"summary":"x"`, `,"aliases":["CVE-1","MAL-2026-1"]`), severity("malware", "critical")},
		{"Trivy, malware", scan.Trivy, malware(trivy(``), "MAL-2026-1"), severity("malware", "critical")},
		{"Grype, malware", scan.Grype, malware(grype(``), "MAL-2026-1"), severity("malware", "critical")},
		{"SARIF, malware", scan.SARIF, malware(sarif("t", ``, `,"level":"note"`, ``), "MAL-2026-1"), severity("malware", "critical", "t", "note")},
		{"no malware", scan.OSVScanner, malware(osv(`"summary":"x"`, ``), "MALICE-1"), severity()},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := convertAs(t, test.format, test.report).Scanner.Result
			if len(got) != 1 {
				t.Fatalf("got %d findings", len(got))
			}
			if diff := cmp.Diff(test.want, got[0].Severity); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// "SARIF whose scan properties (and only those), guids or taxonomies stand apart" is read, "refuse only if results,
// invocations, the driver or extensions are elsewhere".
func TestWhatOfSARIFStandsApart(t *testing.T) {
	const result = `"results":[{"ruleId":"a"}]`
	for apart, refused := range map[string]bool{
		`"externalizedProperties":{"cov-scanned-files-total":"12"}`:                                      false,
		`"guid":"11111111-1111-4111-8111-111111111111","runGuid":"22222222-2222-4222-8222-222222222222"`: false,
		`"taxonomies":[{"name":"CWE","version":"4.4"}]`:                                                  false,
		`"artifacts":[],"graphs":[],"translations":[{"name":"x"}]`:                                       false,
		`"results":[]`:                           false,
		`"results":null,"driver":null`:           false,
		`"results":[{"ruleId":"b"}]`:             true,
		`"taxonomies":[],"results":[null]`:       true,
		`"invocations":[{}]`:                     true,
		`"driver":{"name":"x"}`:                  true,
		`"driver":{}`:                            true,
		`"extensions":[{"name":"x","rules":[]}]`: true,
		`"results":"r.sarif"`:                    true,
	} {
		for where, report := range map[string]string{
			"inlineExternalProperties[0].":            `{"inlineExternalProperties":[{` + apart + `}],` + runOf("t", result)[1:],
			"runs[0].externalPropertyFileReferences.": runOf("t", result+`,"externalPropertyFileReferences":{`+apart+`}`),
		} {
			opts := told
			opts.Scanner.URI = "https://scanner.example"
			_, err := scan.Convert(strings.NewReader(report), opts)
			if got := brief(err); refused != strings.HasPrefix(got, "format sarif: "+where) || !refused && err != nil {
				t.Errorf("%s%s: got %s", where, apart, got)
			}
		}
	}
	for _, nothing := range []string{`null`, `[]`, `[{}]`} {
		if got := convertAs(t, scan.SARIF, `{"inlineExternalProperties":`+nothing+`,`+runOf("t", result)[1:]); len(got.Scanner.Result) != 1 {
			t.Errorf("%s: got %v", nothing, got.Scanner.Result)
		}
	}
}

// "A clean trivy config report" is one without findings.
func TestCleanConfiguration(t *testing.T) {
	for _, report := range []string{
		`{"SchemaVersion":2,"ArtifactType":"filesystem","Results":[{"Target":"Dockerfile","Class":"config","Type":"dockerfile"}]}`,
		`{"SchemaVersion":2,"ArtifactType":"repository","Results":[{"Target":"main.tf","Class":"config","MisconfSummary":{"Successes":27,"Failures":0}},{"Target":"a.yaml","Class":"config"}]}`,
		`{"SchemaVersion":2,"ArtifactType":"filesystem","Results":[{"Target":"a","Class":"config","Misconfigurations":[{"ID":"DS001","Status":"PASS"},{"ID":"DS002","Status":"EXCEPTION"}]}]}`,
		`{"SchemaVersion":2,"ArtifactType":"filesystem","Results":[{"Target":"LICENSE","Class":"license-file"}]}`,
	} {
		if got := convertAs(t, scan.Trivy, report); len(got.Scanner.Result) > 0 || len(got.Unscanned)+len(got.Incomplete) > 0 {
			t.Errorf("%s\ngot %+v", report, got)
		}
	}
}

// "Clair's "0:0" is no fix; its Debian names ("CVE-2005-2541 tar") meet exceptions for the CVE."
func TestNamesAndFixesOfClair(t *testing.T) {
	for name, want := range map[string]string{
		"CVE-2005-2541 tar": "CVE-2005-2541 [CVE-2005-2541 tar]",
		"CVE-2009-5155 on Ubuntu 18.04 LTS (bionic) - low.": "CVE-2009-5155 [CVE-2009-5155 on Ubuntu 18.04 LTS (bionic) - low.]",
		"CVE-2024-123456: bash":                             "CVE-2024-123456 [CVE-2024-123456: bash]",
		"CVE-2024-1":                                        "CVE-2024-1 []",
		"CVE-2024-1x bash":                                  "CVE-2024-1x bash []",
		"TEMP-0841856-B18BAF bash":                          "TEMP-0841856-B18BAF bash []",
		"pyup.io-38 (CVE-2014-3007)":                        "pyup.io-38 (CVE-2014-3007) [CVE-2014-3007]",
		"RHSA-2021:4464: dnf security update (Moderate)":    "RHSA-2021:4464: dnf security update (Moderate) [RHSA-2021:4464]",
		"See CVE-2024-1 for more":                           "See CVE-2024-1 for more []",
	} {
		for fix, wantFix := range map[string]string{
			"0:0": "", "0": "", "0:0-0": "", "": "", " 0:0 ": "", "0:0+0": "", "fixed=&introduced=0": "", "1.29b-1.1": "1.29b-1.1", "0:1.0": "0:1.0", "0:0~rc1": "0:0~rc1",
			"introduced=0": "", "fixed=0&introduced=0": "", "fixed=1.2&introduced=0": "1.2",
		} {
			clair := fmt.Sprintf(`{"manifest_hash":"a","packages":{"1":{"name":"p"}},"vulnerabilities":{"1":{"name":%q,"fixed_in_version":%q}},"package_vulnerabilities":{"1":["1"]}}`, name, fix)
			quay := fmt.Sprintf(`{"data":{"Layer":{"Features":[{"Name":"p","Vulnerabilities":[{"Name":%q,"FixedBy":%q}]}]}}}`, name, fix)
			for format, report := range map[scan.Format]string{scan.Clair: clair, scan.Quay: quay} {
				f := convertAs(t, format, report).Scanner.Result[0]
				aliases, _ := f.Annotations[0][intoto.FindingAliases].([]any)
				if got := fmt.Sprint(f.ID, " ", aliases); got != want {
					t.Errorf("%s: got %s, want %s", format, got, want)
				}
				if place, there := f.Annotations[0][intoto.FindingLocation]; there {
					t.Errorf("%s: found in %q, which the report does not say", format, place)
				}
				if got := f.Annotations[0][intoto.FindingFix]; got != wantFix {
					t.Errorf("%s: %q is fixed in %q, want %q", format, fix, got, wantFix)
				}
			}
		}
	}
}

// FuzzReports reads anything in every format of vulnerabilities. What is read can be written, and what is refused is told in
// words that say where.
func FuzzReports(f *testing.F) {
	for name := range samples {
		f.Add(sample(f, name))
	}
	for _, format := range generatedFormats {
		f.Add(generated(format, 2))
	}
	f.Add([]byte(grypeOf(`[` + fmt.Sprintf(alert, "distro-eol", "end-of-life", "debian 9") + `]`)))
	f.Add([]byte(trivyOf(`"Family":"debian","Name":"9.3","EOSL":true`, `{"Class":"config"}`)))
	f.Add([]byte(runOf("t", success+`"ruleConfigurationOverrides":[{"descriptor":{"index":0},"configuration":{"level":"error"}}]}],"externalPropertyFileReferences":{"results":[]}`)))
	f.Fuzz(func(t *testing.T, report []byte) {
		opts := told
		opts.Scanner.URI, opts.Limits = "https://scanner.example", scan.Limits{ValueBytes: 1000, Findings: 10}
		for _, format := range []scan.Format{scan.Trivy, scan.Grype, scan.Clair, scan.Quay, scan.OSVScanner, scan.SARIF} {
			opts.Format = format
			p, err := scan.Convert(bytes.NewReader(report), opts)
			if err != nil {
				if got := brief(err); strings.HasPrefix(got, "other") || strings.Contains(got, "Go ") || strings.Contains(got, "jsontext") {
					t.Errorf("%s: got %v", format, err)
				}
				continue
			}
			v := p.(intoto.Vulns)
			if err := v.Validate(); err != nil || len(v.Scanner.Result) > 10 || !json.Valid(report) {
				t.Errorf("%s: %v, %d findings", format, err, len(v.Scanner.Result))
			}
		}
	})
}
