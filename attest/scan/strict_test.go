package scan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
)

// What a test did not come to is not passed, and what is no file of the test does not hide it.
func TestResultsAreNotBetterThanTheReport(t *testing.T) {
	const summary = "\n----------- SCAN SUMMARY -----------\nKnown viruses: 1\nScanned files: 1\nInfected files: 0\nTime: 1.0 sec (0 m 1 s)\n"
	for _, tt := range []struct {
		name, report string
		want         intoto.Result
	}{
		{"ClamAV: a file that was not scanned", "WARNING: /b: Can't access file\n/a: OK\n" + summary, intoto.Errored},
		{"ClamAV: a warning of something else", "WARNING: Ignoring deprecated option\n/a: OK\n" + summary, intoto.Passed},
		{"JUnit: a hundred tests, of which one is there", `<testsuite name="s" tests="100"><testcase name="a"/></testsuite>`, intoto.Errored},
		{"JUnit: as many as it says, in suites within", `<testsuites tests="2"><testsuite tests="1"><testcase name="a"/></testsuite><testsuite tests="1"><testcase name="b"/></testsuite></testsuites>`, intoto.Passed},
		{"JUnit: fewer in a suite within", `<testsuites tests="2"><testsuite tests="2"><testcase name="a"/></testsuite></testsuites>`, intoto.Errored},
		{"go test behind what go says", "go: downloading example.com/x v1.0.0\n# example.com/y\n" + `{"Action":"run","Package":"p","Test":"T"}` + "\n" +
			`{"Action":"fail","Package":"p","Test":"T"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n", intoto.Failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := scan.Convert(strings.NewReader(tt.report), scan.Options{Finished: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.(intoto.TestResult).Result; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// That there is no fix is kept only if the report says so: without a word on it a fix is assumed.
func TestFixIsKnownOnlyIfTheReportSaysSo(t *testing.T) {
	grype := func(fix string) string {
		return `{"matches":[{"vulnerability":{"id":"CVE-1","severity":"High"` + fix + `},"artifact":{"name":"a","version":"1"}}],"descriptor":{"name":"grype"}}`
	}
	trivy := func(more string) string {
		return `{"SchemaVersion":2,"Results":[{"Target":"a","Class":"os-pkgs","Vulnerabilities":[{"VulnerabilityID":"CVE-1","PkgName":"a","Severity":"HIGH"` + more + `}]}]}`
	}
	osv := func(events string) string {
		return `{"results":[{"packages":[{"package":{"name":"a","version":"1","ecosystem":"PyPI"},"vulnerabilities":[{"id":"CVE-1",` +
			`"affected":[{"package":{"name":"a","ecosystem":"PyPI"},"ranges":[{"type":"ECOSYSTEM","events":[` + events + `]}]}]}]}]}]}`
	}
	for report, want := range map[string]any{
		osv(`{"introduced":"0"}`):                                                        "",
		osv(`{"introduced":"0"},{"fixed":"2"}`):                                          "2",
		osv(`{"introduced":"0"},{"last_affected":"1"}`):                                  nil,
		osv(`{"introduced":"0"},{"last_affected":"1"},{"introduced":"3"}`):               nil,
		osv(`{"introduced":"0"},{"last_affected":"1"},{"introduced":"3"},{"fixed":"4"}`): "4",
		grype(``):            nil,
		grype(`,"fix":null`): nil,
		grype(`,"fix":{"versions":[],"state":""}`):               nil,
		grype(`,"fix":{"versions":[],"state":"unknown"}`):        nil,
		grype(`,"fix":{"versions":[],"state":"not-fixed"}`):      "",
		grype(`,"fix":{"versions":[],"state":"wont-fix"}`):       "",
		grype(`,"fix":{"state":"fixed","versions":["1.2","2"]}`): "1.2, 2",
		trivy(``):                                     nil,
		trivy(`,"Status":"unknown"`):                  nil,
		trivy(`,"Status":"under_investigation"`):      nil,
		trivy(`,"Status":"affected"`):                 "",
		trivy(`,"Status":"will_not_fix"`):             "",
		trivy(`,"Status":"fix_deferred"`):             "",
		trivy(`,"Status":"end_of_life"`):              "",
		trivy(`,"Status":"fixed","FixedVersion":"2"`): "2",
		trivy(`,"FixedVersion":"2"`):                  "2",
	} {
		got := mustConvert(t, []byte(report), told).Scanner.Result[0].Annotations[0][intoto.FindingFix]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", report, diff)
		}
	}
}

// Secrets of the scanner's own configuration are not signed.
func TestDatabaseAddressHasNoSecrets(t *testing.T) {
	for from, want := range map[string]string{
		"https://bot:hunter2@mirror.example/db.tar.zst?X-Signature=abc": "https://mirror.example/db.tar.zst",
		"https://mirror.example/db.tar.zst":                             "https://mirror.example/db.tar.zst",
		"manual import":                                                 "manual import",
		"https://bot:%zz@mirror.example":                                "https://told.example",
	} {
		report := fmt.Sprintf(`{"matches":[],"descriptor":{"name":"grype","db":{"status":{"from":%q}}}}`, from)
		if got := mustConvert(t, []byte(report), told).Scanner.DB.URI; got != want {
			t.Errorf("%s: got %s, want %s", from, got, want)
		}
	}
}

// Other ids are bounded, however many there are of one vulnerability in one package.
func TestAliasesAreBounded(t *testing.T) {
	const n = 1000
	var ids, vulnerabilities []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("%q", fmt.Sprintf("V-%d", i)))
		vulnerabilities = append(vulnerabilities, fmt.Sprintf(`{"id":"V-%d"}`, i))
	}
	report := fmt.Sprintf(`{"results":[{"packages":[{"package":{"name":"a"},"vulnerabilities":[%s],"groups":[{"ids":[%s]}]}]}]}`,
		strings.Join(vulnerabilities, ","), strings.Join(ids, ","))
	got := mustConvert(t, []byte(report), told).Scanner.Result
	if len(got) != n || len(got[0].Annotations[0][intoto.FindingAliases].([]any)) != 50 {
		t.Errorf("%d findings, the first with %v", len(got), got[0].Annotations)
	}
}

func TestClairWithoutPairs(t *testing.T) {
	_, err := scan.Convert(strings.NewReader(`{"manifest_hash":"sha256:a","packages":{"1":{"name":"p"}},`+
		`"vulnerabilities":{"9":{"name":"CVE-1","normalized_severity":"Critical"}},"package_vulnerabilities":{}}`), told)
	var format *scan.FormatError
	if !errors.As(err, &format) || format.Where != "package_vulnerabilities" {
		t.Errorf("got %v", err)
	}
}

// Where a report names its image by digest, it is evidence about no other.
func TestImage(t *testing.T) {
	const this, other = "sha256:" + thisHex, "sha256:" + otherHex
	trivy := func(more string) string {
		return `{` + more + `"SchemaVersion":2,"Results":[{"Target":"a","Class":"os-pkgs"}]}`
	}
	grype := func(source string) string {
		return `{"matches":[],"source":` + source + `,"descriptor":{"name":"grype"}}`
	}
	clair := func(hash string) string {
		return `{"manifest_hash":"` + hash + `","packages":{"1":{}},"vulnerabilities":{},"package_vulnerabilities":{}}`
	}
	for report, fits := range map[string]bool{
		trivy(``): true,
		trivy(`"ArtifactName":"quay.io/a/b:latest","Metadata":{"ImageID":"` + other + `"},`):                   true,
		trivy(`"ArtifactName":"quay.io/a/b@` + this + `",`):                                                    true,
		trivy(`"ArtifactName":"quay.io/a/b@` + other + `",`):                                                   false,
		trivy(`"Metadata":{"RepoDigests":["quay.io/a/b@` + other + `"]},`):                                     false,
		trivy(`"Metadata":{"RepoDigests":["quay.io/a/b@` + other + `","quay.io/c/d@` + this + `"]},`):          true,
		grype(`{"type":"image","target":{"userInput":"a:latest","manifestDigest":"` + other + `"}}`):           false,
		grype(`{"type":"image","target":{"manifestDigest":"` + other + `","repoDigests":["a@` + this + `"]}}`): true,
		grype(`{"type":"image","target":{"userInput":"quay.io/a/b@` + other + `"}}`):                           false,
		grype(`{"type":"directory","target":"."}`):                                                             true,
		clair(this):  true,
		clair(other): false,
	} {
		opts := told
		opts.Image = this
		_, err := scan.Convert(strings.NewReader(report), opts)
		var wrong *scan.ImageError
		if fits != (err == nil) || !fits && (!errors.As(err, &wrong) || wrong.Image != this || wrong.Named[0] != other) {
			t.Errorf("%s\ngot %v", report, err)
		}
		opts.Image = ""
		if _, err := scan.Convert(strings.NewReader(report), opts); err != nil {
			t.Errorf("of any image: %s\ngot %v", report, err)
		}
	}
}

const (
	thisHex  = "1111111111111111111111111111111111111111111111111111111111111111"
	otherHex = "2222222222222222222222222222222222222222222222222222222222222222"
)
