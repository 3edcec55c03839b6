package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
)

// TestMain lets the test binary be the program that the task runs.
func TestMain(m *testing.M) {
	if os.Getenv("BE_ATTEST_REPORT") != "" {
		main()
	}
	os.Exit(m.Run())
}

const (
	trivyReport = `{"SchemaVersion":2,"Trivy":{"Version":"0.69.0"},"ArtifactName":"shop","ArtifactType":"container_image","Results":[
		{"Target":"shop (alpine 3.20)","Class":"os-pkgs","Type":"alpine","Vulnerabilities":[
			{"VulnerabilityID":"CVE-2026-1","PkgName":"zlib","InstalledVersion":"1.2","Severity":"HIGH"}]}]}`
	emptyTrivyReport = `{"SchemaVersion":2,"ArtifactName":"shop","ArtifactType":"container_image"}`
	jUnitReport      = `<testsuite><testcase name="a"/></testsuite>`
	failedOutput     = `{"result":"FAILURE","timestamp":"2026-03-01T11:58:51Z","successes":0,"failures":1,"warnings":0}`
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

	// noDigest is told of a report that may be of another image.
	noDigest = "the report names no image by its digest: it is taken to be of this one"

	// told are the flags that a report of Trivy needs.
	told = []string{"-started", "2026-03-01T11:00:00Z", "-finished", "2026-03-01T11:01:00Z", "-db-updated", "2026-03-01T06:00:00Z"}

	// vulns is what the report of Trivy says with them.
	vulns = intoto.Vulns{
		Test: "scan", Note: noDigest,
		Scanner: intoto.Scanner{
			URI: "pkg:github/aquasecurity/trivy@v0.69.0", Version: "0.69.0", DB: intoto.ScannerDB{LastUpdate: noon.Add(-6 * time.Hour)},
			Result: []intoto.Finding{{
				ID: "CVE-2026-1", Severity: []intoto.Severity{{Method: "trivy", Score: "high"}},
			}},
		},
		Metadata: intoto.ScanMetadata{StartedOn: noon.Add(-time.Hour), FinishedOn: noon.Add(-59 * time.Minute)},
	}
)

// A stage is a registry with an image, a folder with a key and reports, and what the program does there.
type stage struct {
	t        *testing.T
	dir      string
	image    name.Digest
	verifier attest.Verifier
	env      map[string]string
	in       io.Reader
	out, err bytes.Buffer
}

const password = "secret"

func newStage(t *testing.T, referrers bool) *stage {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrers), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	s := &stage{t: t, dir: t.TempDir(), env: map[string]string{}, in: strings.NewReader("")}
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	digest, err := img.Digest()
	s.must(err)
	repo, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/shop/operator")
	s.must(err)
	s.image = repo.Digest(digest.String())
	s.must(remote.Write(s.image, img))
	s.keys()
	s.file("trivy.json", trivyReport)
	s.file("empty.json", emptyTrivyReport)
	s.file("junit.xml", jUnitReport)
	s.file("failed.json", failedOutput)
	s.must(os.Mkdir(s.path("results"), 0o755))
	return s
}

// keys makes a key pair whose private key is not encrypted, since to decrypt one takes long on purpose.
func (s *stage) keys() {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	s.must(err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	s.must(err)
	s.verifier, err = cosign.LoadVerifier(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	s.must(err)
	s.file("cosign.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// encryptedKeys makes a key pair as cosign does.
func (s *stage) encryptedKeys() {
	s.t.Helper()
	private, public, err := cosign.GenerateKey([]byte(password))
	s.must(err)
	s.verifier, err = cosign.LoadVerifier(public)
	s.must(err)
	s.file("cosign.key", string(private))
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) file(name, text string) {
	s.t.Helper()
	s.must(os.WriteFile(s.path(name), []byte(text), 0o600))
}

// run runs the program and wants an exit code.
func (s *stage) run(want int, args ...string) {
	s.t.Helper()
	s.runIn(s.t.Context(), want, args...)
}

func (s *stage) runIn(ctx context.Context, want int, args ...string) {
	s.t.Helper()
	s.out.Reset()
	s.err.Reset()
	p := program{
		env: func(key string) (string, bool) { v, ok := s.env[key]; return v, ok },
		in:  s.in, out: &s.out, errOut: &s.err, now: func() time.Time { return noon },
	}
	if got := p.run(ctx, args); got != want {
		s.t.Fatalf("exit code %d, want %d:\n%s%s", got, want, &s.out, &s.err)
	}
}

// args are the usual arguments for a report, and more, which go in the place of the usual ones.
func (s *stage) args(report string, more ...string) []string {
	var args []string
	for i, given := 0, slices.Concat([]string{"-image", s.image.String(), "-report", s.path(report), "-name", "scan", "-key", s.path("cosign.key")}, more); i < len(given); i++ {
		flag := given[i : i+1]
		if i+1 < len(given) && !strings.HasPrefix(given[i+1], "-") || slices.Contains([]string{"-report", "-key"}, given[i]) {
			i, flag = i+1, given[i:i+2]
		}
		if at := slices.Index(args, flag[0]); at >= 0 {
			args = slices.Delete(args, at, at+len(flag))
		}
		args = append(args, flag...)
	}
	return args
}

// newest is what a reader finds.
func (s *stage) newest(predicateType string) attest.Evidence {
	s.t.Helper()
	e, err := attest.NewResolver(s.verifier, attest.Options{}).Newest(s.t.Context(), s.image, intoto.Test{Name: "scan", PredicateType: predicateType})
	s.must(err)
	if err := e.Err(); err != nil {
		s.t.Fatal(err)
	}
	return e
}

// nothing wants no evidence on the image.
func (s *stage) nothing() {
	s.t.Helper()
	for e, err := range attest.NewResolver(s.verifier, attest.Options{}).All(s.t.Context(), s.image) {
		s.t.Errorf("%v, %v", e.Test, err)
	}
}

// said wants texts in what the program said of mistakes.
func (s *stage) said(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.err.String(), text) {
			s.t.Errorf("%q is not in:\n%s", text, &s.err)
		}
	}
}

func eachRegistry(t *testing.T, f func(t *testing.T, s *stage)) {
	for _, referrers := range []bool{true, false} {
		t.Run(fmt.Sprintf("referrers=%t", referrers), func(t *testing.T) { f(t, newStage(t, referrers)) })
	}
}

func TestEvidenceIsOnTheImage(t *testing.T) {
	eachRegistry(t, func(t *testing.T, s *stage) {
		s.run(exitWritten, s.args("trivy.json", told...)...)
		e := s.newest(intoto.VulnsType)
		got := e.Predicate.(intoto.Vulns)
		got.Scanner.Result[0].Annotations = nil // package scan tests those
		if diff := cmp.Diff(vulns, got); diff != "" {
			t.Error(diff)
		}
		want := fmt.Sprintf("scan: vulns, findings: 1, in %s@%s\n", s.image.Context(), e.Manifest)
		if diff := cmp.Diff(want, s.out.String()); diff != "" {
			t.Error(diff)
		}
		if got := s.err.String(); got != "attest-report: "+noDigest+"\n" || e.Predicate.(intoto.Vulns).Note != noDigest {
			t.Errorf("it is not told that the report may be of another image: %s", got)
		}
	})
}

func TestTestResult(t *testing.T) {
	s := newStage(t, true)
	s.run(exitWritten, s.args("failed.json")...)
	e := s.newest(intoto.TestResultType)
	if e.Result != intoto.Failed || !e.Time.Equal(noon.Add(-69*time.Second)) {
		t.Errorf("%s at %s", e.Result, e.Time)
	}
	if want := fmt.Sprintf("scan: FAILED, failures: 1, warnings: 0, in %s@%s\n", s.image.Context(), e.Manifest); s.out.String() != want {
		t.Errorf("%q, want %q", &s.out, want)
	}
}

func TestFlagsGiveWhatTheReportLacks(t *testing.T) {
	s := newStage(t, true)
	s.run(exitWritten, s.args("trivy.json", append(told, "-scanner", "pkg:oci/scanner@1", "-scanner-version", "9",
		"-db-uri", "https://example.com/db", "-db-version", "2", "-format", "trivy")...)...)
	got := s.newest(intoto.VulnsType).Predicate.(intoto.Vulns).Scanner
	got.Result = nil
	want := intoto.Scanner{
		URI: "pkg:oci/scanner@1", Version: "0.69.0", // the report goes first
		DB: intoto.ScannerDB{URI: "https://example.com/db", Version: "2", LastUpdate: noon.Add(-6 * time.Hour)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s.file("trivy.json", strings.Replace(trivyReport, `"0.69.0"`, `""`, 1))
	s.run(exitWritten, s.args("trivy.json", "-scanner-version", "9", "-started", "2026-03-01T11:30:00Z", "-finished", "2026-03-01T11:31:00Z", "-db-updated", "2026-03-01T06:00:00Z")...)
	if got := s.newest(intoto.VulnsType).Predicate.(intoto.Vulns).Scanner; got.Version != "9" {
		t.Errorf("version %q", got.Version)
	}
}

func TestWhatIsLackingIsNamed(t *testing.T) {
	s := newStage(t, true)
	s.run(exitFailed, s.args("trivy.json")...)
	want := `attest-report: -db-updated (or ATTEST_DB_UPDATED): required, since the trivy report does not say when the vulnerability database was last updated
attest-report: -started (or ATTEST_STARTED): required, since the trivy report does not say when the scan began
attest-report: -finished (or ATTEST_FINISHED): required, since the trivy report does not say when it ended
`
	if diff := cmp.Diff(want, s.err.String()); diff != "" {
		t.Error(diff)
	}
	s.file("sarif.json", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[],"invocations":[{"executionSuccessful":true}]}]}`)
	s.run(exitFailed, s.args("sarif.json", told...)...)
	s.said("-scanner (or ATTEST_SCANNER): required, since the sarif report does not say which scanner wrote it")
	s.run(exitFailed, s.args("junit.xml")...)
	s.said("-finished (or ATTEST_FINISHED): required, since the junit report does not say when it ended")
	s.nothing()
}

func TestEnvironment(t *testing.T) {
	s := newStage(t, true)
	maps.Copy(s.env, map[string]string{
		"ATTEST_IMAGE": s.image.String(), "ATTEST_REPORT": s.path("trivy.json"), "ATTEST_NAME": "other", "ATTEST_KEY": s.path("cosign.key"),
		"ATTEST_STARTED": told[1], "ATTEST_FINISHED": told[3], "ATTEST_DB_UPDATED": told[5], "ATTEST_DRY_RUN": "false",
		"ATTEST_RESULTS": s.path("results"), "ATTEST_PREFIX": "SCAN", "ATTEST_TIMEOUT": "1m", "ATTEST_FORM": "bundle", "ATTEST_FORMAT": "",
	})
	s.run(exitWritten, "-name", "scan")
	s.newest(intoto.VulnsType)
	if _, err := os.Stat(s.path("results/SCAN_ARTIFACT_OUTPUTS")); err != nil {
		t.Error(err)
	}
	s.run(exitWritten, "-dry-run", "-form", "envelope")
	if !strings.Contains(s.out.String(), `"other"`) {
		t.Errorf("the name is not from the environment:\n%s", &s.out)
	}
	s.env["ATTEST_DRY_RUN"], s.env["ATTEST_FINISHED"] = "perhaps", "noon"
	s.run(exitFailed)
	s.said(`-dry-run (or ATTEST_DRY_RUN): "perhaps" is neither`, `-finished (or ATTEST_FINISHED): "noon" is not RFC 3339`)
}

// Every flag has a variable, is told by -h, and stands in the package comment or the usage.
func TestHelp(t *testing.T) {
	s := newStage(t, true)
	s.run(exitFailed, "-h")
	for _, want := range []string{"usage: attest-report -image", "1  there is no report", "-failed REASON", "-require-digest", "-db-updated TIME", "-dry-run", "ATTEST_DB_UPDATED"} {
		if !strings.Contains(s.out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, &s.out)
		}
	}
	for _, f := range []scan.Format{scan.Trivy, scan.Grype, scan.Clair, scan.Quay, scan.OSVScanner, scan.SARIF, scan.ClamAV, scan.TestOutput, scan.JUnit, scan.GoTest} {
		if !strings.Contains(s.out.String(), string(f)) {
			t.Errorf("the help does not name the format %s", f)
		}
	}
}

func TestResults(t *testing.T) {
	eachRegistry(t, func(t *testing.T, s *stage) {
		s.run(exitWritten, s.args("failed.json", "-results", s.path("results"), "-prefix", "SCAN", "-form", "envelope")...)
		repo, digest := s.image.Context().Name(), s.newest(intoto.TestResultType).Manifest.String()
		got := map[string]string{}
		entries, err := os.ReadDir(s.path("results"))
		s.must(err)
		for _, e := range entries {
			text, err := os.ReadFile(s.path("results/" + e.Name()))
			s.must(err)
			got[e.Name()] = string(text)
		}
		want := map[string]string{
			"ARTIFACT_URI": repo, "ARTIFACT_DIGEST": digest,
			"SCAN_ARTIFACT_OUTPUTS": fmt.Sprintf(`{"uri":%q,"digest":%q,"isBuildArtifact":"true"}`, repo, digest),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestForms(t *testing.T) {
	eachRegistry(t, func(t *testing.T, s *stage) {
		s.run(exitWritten, s.args("failed.json", "-form", "bundle")...)
		s.newest(intoto.TestResultType)
	})
	eachRegistry(t, func(t *testing.T, s *stage) {
		args := s.args("failed.json", "-form", "statement")
		s.run(exitFailed, args...)
		s.said("-key (or ATTEST_KEY): nobody signs with -form statement; leave it out")
		s.nothing()
		s.run(exitWritten, s.args("failed.json", "-form", "statement", "-key", "")...)
		var found int
		for e, err := range attest.NewResolver(s.verifier, attest.Options{}).All(t.Context(), s.image) {
			s.must(err)
			if found++; e.Test.Name != "scan" || !errors.Is(e.Problem, attest.Unverified) {
				t.Errorf("%v: %v", e.Test, e.Problem)
			}
		}
		if found != 1 {
			t.Errorf("%d statements", found)
		}
	})
}

func TestStandardInput(t *testing.T) {
	s := newStage(t, true)
	s.in = strings.NewReader(trivyReport)
	s.run(exitWritten, s.args("trivy.json", append(told, "-report", "-")...)...)
	s.newest(intoto.VulnsType)
}

// What is printed is what would be stored, and neither key nor registry is needed for it.
func TestDryRun(t *testing.T) {
	s := newStage(t, true)
	args := append([]string{"-report", s.path("trivy.json"), "-name", "scan"}, told...)
	s.run(exitWritten, append(args, "-dry-run", "-image", s.image.String(), "-results", "/nowhere")...)
	got, err := intoto.ParseStatement(s.out.Bytes())
	s.must(err)
	s.nothing()
	s.run(exitWritten, append(args, "-image", s.image.String(), "-key", s.path("cosign.key"))...)
	want := s.newest(intoto.VulnsType).Statement
	indented := cmp.Transformer("JSON", func(raw []byte) string { return strings.Join(strings.Fields(string(raw)), "") })
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Predicate" }, indented)); diff != "" {
		t.Error(diff)
	}
	s.run(exitWritten, append(args, "-dry-run", "-image", "nowhere.invalid/x@"+s.image.DigestStr())...)
}

func TestScanDidNotRun(t *testing.T) {
	eachRegistry(t, func(t *testing.T, s *stage) {
		s.file("passed.json", `{"result":"SUCCESS","timestamp":"2026-03-01T11:58:51Z","successes":1,"failures":0,"warnings":0}`)
		s.run(exitWritten, s.args("passed.json")...)
		s.run(exitNotRun, s.args("empty.json", "-results", s.path("results"))...)
		s.said("the trivy report is of a scan that did not run")
		e := s.newest(intoto.TestResultType)
		want := intoto.TestResult{
			Result: intoto.Errored, Configuration: []intoto.ResourceDescriptor{{Name: "scan"}}, Timestamp: noon,
		}
		if want.Note = e.Predicate.(intoto.TestResult).Note; !strings.HasPrefix(want.Note, "the trivy report is of a scan that did not run: it has no Results") {
			t.Errorf("the note is %q", want.Note)
		}
		if diff := cmp.Diff(intoto.Predicate(want), e.Predicate); diff != "" {
			t.Error(diff)
		}
		digest, err := os.ReadFile(s.path("results/ARTIFACT_DIGEST"))
		if err != nil || string(digest) != e.Manifest.String() {
			t.Errorf("the results lead to %q, %v", digest, err)
		}
		s.run(exitNotRun, s.args("empty.json", "-finished", "2026-03-01T12:30:00Z")...)
		if e := s.newest(intoto.TestResultType); !e.Time.Equal(noon.Add(30 * time.Minute)) {
			t.Errorf("at %s", e.Time)
		}
		s.file("cut.json", trivyReport[:200])
		s.file("nothing", "")
		s.file("blank", "\n \r\n")
		s.file("text", "what")
		s.file("error.json", `{"result":"ERROR","timestamp":"2026-03-01T11:58:51Z","successes":0,"failures":0,"warnings":0}`)
		for report, why := range map[string]string{
			"cut.json": "not a trivy report", "nothing": "the report is empty", "blank": "the report is empty", "error.json": "the report says ERROR",
			"none.json": "there is no report: open ", "results": "is a directory", "text": "of no tool that is known",
		} {
			s.run(exitNotRun, s.args(report, told...)...)
			s.said(why)
		}
		s.run(exitNotRun, s.args("empty.json", "-dry-run")...)
		if !strings.Contains(s.out.String(), `"ERROR"`) {
			t.Errorf("%s", &s.out)
		}
	})
}

// otherReport is of another image.
var otherReport = strings.Replace(trivyReport, `"ArtifactName":"shop"`, `"ArtifactName":"quay.io/other/thing@sha256:`+strings.Repeat("1", 64)+`"`, 1)

func TestReportOfAnotherPlace(t *testing.T) {
	s := newStage(t, true)
	s.file("other.json", otherReport)
	s.run(exitWritten, s.args("other.json", append([]string{"-any-image"}, told...)...)...)
	s.file("this.json", strings.Replace(otherReport, "sha256:"+strings.Repeat("1", 64), s.image.DigestStr(), 1))
	s.run(exitWritten, s.args("this.json", told...)...)
}

func TestMistakes(t *testing.T) {
	s := newStage(t, true)
	s.file("other.json", otherReport)
	s.file("dated.json", strings.Replace(trivyReport, `"SchemaVersion":2,`, `"SchemaVersion":2,"CreatedAt":"2026-03-01T12:00:00Z",`, 1))
	s.file("plain.key", "no key")
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"nothing", nil, []string{"-image (or ATTEST_IMAGE): required", "-report (or ATTEST_REPORT): required", "-name (or ATTEST_NAME): required", "-key (or ATTEST_KEY): required"}},
		{"everything", []string{"-image", "x", "-format", "y", "-form", "z", "-timeout", "0s", "-started", "a", "-finished", "now", "-db-updated", "c", "more"}, []string{
			`-image (or ATTEST_IMAGE): "x" is not REPOSITORY@DIGEST`, `-format (or ATTEST_FORMAT): "y"`, `-form (or ATTEST_FORM): "z"`,
			`-timeout (or ATTEST_TIMEOUT): "0s"`, `-started (or ATTEST_STARTED): "a"`, `-finished (or ATTEST_FINISHED): "now"`,
			`-db-updated (or ATTEST_DB_UPDATED): "c"`, `unexpected argument "more"`,
		}},
		{"unknown flag", []string{"-nope"}, []string{"-nope", "-image (or ATTEST_IMAGE): required"}},
		{"behind mistakes", append([]string{"more", "-nope", "---"}, s.args("failed.json", "-form", "z", "-nor")...), []string{
			`unexpected argument "more"`, "not defined: -nope", "bad flag syntax: ---", `-form (or ATTEST_FORM): "z"`, "not defined: -nor",
		}},
		{"timeout that is none", s.args("trivy.json", "-timeout", "long"), []string{`-timeout (or ATTEST_TIMEOUT): "long"`}},
		{"a flag twice", append(s.args("failed.json"), "-name", "other", "-report", s.path("trivy.json"), "-dry-run", "-dry-run=false"), []string{
			`-name (or ATTEST_NAME): given twice, as "scan" and as "other"`, `-report (or ATTEST_REPORT): given twice, as "`, `-dry-run (or ATTEST_DRY_RUN): given twice, as "true" and as "false"`,
		}},
		{"the same twice", append(s.args("failed.json"), "-image", s.image.String()), []string{"-image (or ATTEST_IMAGE): given twice"}},
		{"a reason twice", append(s.args("failed.json"), "-failed", "", "-failed", "x"), []string{`-failed (or ATTEST_FAILED): given twice, as "" and as "x"`}},
		{"no image in the report", s.args("trivy.json", append(told, "-require-digest")...), []string{"-require-digest (or ATTEST_REQUIRE_DIGEST): scan: the trivy report names no image by its digest"}},
		{"no image in a test", s.args("failed.json", "-require-digest"), []string{"-require-digest (or ATTEST_REQUIRE_DIGEST): scan: the test-output report names no image"}},
		{"report of another image", s.args("other.json", told...), []string{"-report (or ATTEST_REPORT): scan: the trivy report is not of the image " + s.image.DigestStr() + ": it names sha256:1111"}},
		{"no key", s.args("trivy.json", "-key", s.path("none")), []string{"-key (or ATTEST_KEY): open "}},
		{"a key in place of its file", s.args("trivy.json", "-key", "-----BEGIN PRIVATE KEY-----\nsecret\n"), []string{"-key (or ATTEST_KEY): it is a key itself"}},
		{"not a key", s.args("trivy.json", "-key", s.path("plain.key")), []string{"-key (or ATTEST_KEY): ", "plain.key", "COSIGN_PASSWORD"}},
		{"key of a service that is not built in", s.args("trivy.json", "-key", "awskms:///alias/release"), []string{"-key (or ATTEST_KEY): ", "awskms"}},
		{"no directory for results", s.args("failed.json", "-results", s.path("none")), []string{"-results (or ATTEST_RESULTS): "}},
		{"prefix", s.args("failed.json", "-results", s.path("results"), "-prefix", "1"), []string{"-prefix (or ATTEST_PREFIX): "}},
		{"name", s.args("failed.json", "-name", " scan"), []string{"attest: test: "}},
		{"name in a dry run", s.args("failed.json", "-name", " scan", "-dry-run"), []string{"attest: test: "}},
		{"no image", s.args("failed.json", "-image", s.image.Context().Digest("sha256:"+strings.Repeat("0", 64)).String()), []string{"no such image"}},
		{"ends before it began", s.args("trivy.json", append(told, "-finished", "2026-03-01T10:00:00Z")...), []string{
			"-started (or ATTEST_STARTED): the scan ended before it began: -finished is 2026-03-01T10:00:00Z, and -started is 2026-03-01T11:00:00Z",
		}},
		{"ends before it began, by the report", s.args("dated.json", append(told, "-started", "2026-03-01T12:30:00Z")...), []string{
			"-started (or ATTEST_STARTED): the scan ended before it began: the trivy report says CreatedAt 2026-03-01T12:00:00Z, and -started is 2026-03-01T12:30:00Z",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			s.run(exitFailed, tt.args...)
			s.said(tt.want...)
		})
	}
	s.t = t
	s.nothing()
	entries, err := os.ReadDir(s.path("results"))
	if err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestPassword(t *testing.T) {
	s := newStage(t, true)
	s.encryptedKeys()
	s.env["COSIGN_PASSWORD"] = "wrong"
	s.run(exitFailed, s.args("failed.json")...)
	s.said("COSIGN_PASSWORD")
	s.nothing()
	s.env["COSIGN_PASSWORD"] = password
	s.run(exitWritten, s.args("failed.json")...)
	s.newest(intoto.TestResultType)
}

// Standard input that does not end keeps neither a signal nor the time limit waiting.
func TestInterrupted(t *testing.T) {
	s := newStage(t, true)
	in, out := io.Pipe()
	defer out.Close()
	s.in = in
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	s.runIn(ctx, exitFailed, s.args("failed.json", "-report", "-")...)
	s.said("attest-report: interrupted: the report was not read")
	s.run(exitFailed, s.args("failed.json", "-report", "-", "-timeout", "50ms")...)
	s.said("attest-report: it took longer than -timeout 50ms: the report was not read")
	s.nothing()
}

func TestRegistryIsAway(t *testing.T) {
	s := newStage(t, true)
	server := httptest.NewServer(nil)
	server.Close()
	s.run(exitFailed, s.args("failed.json", "-image", strings.TrimPrefix(server.URL, "http://")+"/x@"+s.image.DigestStr())...)
	s.said("attest: connect")
}

// The evidence is there and its results are not: the message says so.
func TestResultsCannotBeWritten(t *testing.T) {
	s := newStage(t, true)
	s.must(os.MkdirAll(s.path("results/ARTIFACT_DIGEST/x"), 0o755))
	s.run(exitFailed, s.args("failed.json", "-results", s.path("results"))...)
	s.said("the evidence is on the image, as "+s.image.Context().Name()+"@"+s.newest(intoto.TestResultType).Manifest.String(), "results are not written")
}

// What a test has printed is one text of JUnit XML, and may be long.
func TestLongTextIsRead(t *testing.T) {
	s := newStage(t, true)
	s.file("junit.xml", `<testsuite><testcase name="a"><system-out>`+strings.Repeat("x", 2<<20)+`</system-out></testcase></testsuite>`)
	s.run(exitWritten, s.args("junit.xml", "-finished", "2026-03-01T11:59:00Z")...)
	if e := s.newest(intoto.TestResultType); e.Result != intoto.Passed {
		t.Errorf("%s", e.Result)
	}
}

// A step that knows that its scanner failed says so, whatever report is there.
func TestFailed(t *testing.T) {
	eachRegistry(t, func(t *testing.T, s *stage) {
		s.run(exitWritten, s.args("trivy.json", told...)...)
		for _, tt := range []struct {
			args []string
			env  string
			note string
		}{
			{s.args("trivy.json", "-failed", "trivy ended with exit code 1"), "", "there is no report: trivy ended with exit code 1"},
			{s.args("none.json", "-failed", " "), "", "there is no report: the step says that it failed, and gives no reason"},
			{s.args("trivy.json", told...), "no memory", "there is no report: no memory"},
			{[]string{"-image", s.image.String(), "-name", "scan", "-key", s.path("cosign.key"), "-failed", "no\nreport"}, "", "there is no report: no report"},
		} {
			s.env["ATTEST_FAILED"] = tt.env
			s.run(exitNotRun, append(tt.args, "-dry-run")...)
			statement, err := intoto.ParseStatement(s.out.Bytes())
			s.must(err)
			var got intoto.TestResult
			s.must(json.Unmarshal(statement.Predicate, &got))
			if got.Result != intoto.Errored || got.Note != tt.note || statement.PredicateType != intoto.TestResultType {
				t.Errorf("%v: got %+v, want %s", tt.args, got, tt.note)
			}
			s.env = map[string]string{}
		}
		s.run(exitNotRun, s.args("trivy.json", "-failed", "x")...)
		if e := s.newest(intoto.TestResultType); e.Result != intoto.Errored || !e.Time.Equal(noon) {
			t.Errorf("%s at %s", e.Result, e.Time)
		}
		s.run(exitFailed, "-failed", "x")
		s.said("-image (or ATTEST_IMAGE): required", "-name (or ATTEST_NAME): required", "-key (or ATTEST_KEY): required")
	})
}

// Evidence of a scan that crashed, of whichever kind, overrules the older scan without findings.
func TestOlderPassDoesNotStand(t *testing.T) {
	contents := map[string]string{
		"text": "hello", "html": "<html/>", "null": "null", "object": "{}", "error": `{"error":"x"}`, "empty": "", "cut": trivyReport[:150],
		"log": "2026-03-01T11:59:00Z\tFATAL\tno database\n", "sbom": `{"bomFormat":"CycloneDX"}`,
	}
	for name, content := range contents {
		s := newStage(t, true)
		s.run(exitWritten, s.args("trivy.json", told...)...)
		s.file("report", content)
		s.run(exitNotRun, s.args("report", told[:2]...)...)
		e, err := attest.NewResolver(s.verifier, attest.Options{}).Newest(t.Context(), s.image, intoto.Test{Name: "scan", PredicateType: intoto.VulnsType})
		var newer *attest.Problem
		if err != nil || !errors.As(e.Err(), &newer) || newer.Kind != attest.Overruled || newer.Result != intoto.Errored || newer.Manifest != s.newest(intoto.TestResultType).Manifest {
			t.Errorf("%s: got %+v, %v", name, e, err)
		}
	}
}

// What was written and does not decide is told, with the digest and the time of what does.
func TestNewerEvidenceIsTold(t *testing.T) {
	output := func(result, at string) string {
		return `{"result":"` + result + `","timestamp":"` + at + `","successes":1,"failures":0,"warnings":0}`
	}
	vulnsAt := func(finished string) []string {
		return append(slices.Clone(told), "-started", "2026-03-01T09:00:00Z", "-finished", finished)
	}
	eachRegistry(t, func(t *testing.T, s *stage) {
		manifest := func(predicateType string) string {
			t.Helper()
			e, err := attest.NewResolver(s.verifier, attest.Options{}).Newest(t.Context(), s.image, intoto.Test{Name: "scan", PredicateType: predicateType})
			s.must(err)
			return e.Manifest.String()
		}
		decides := func() {
			t.Helper()
			if strings.Contains(s.err.String(), "does not decide") {
				t.Errorf("%s", &s.err)
			}
		}
		s.file("ten", output("SUCCESS", "2026-03-01T10:00:00Z"))
		s.file("eleven", output("SUCCESS", "2026-03-01T11:00:00Z"))
		s.file("noon", output("ERROR", "2026-03-01T12:00:00Z"))
		s.run(exitWritten, s.args("eleven")...)
		decides()
		s.run(exitWritten, s.args("ten")...)
		s.said("what was written does not decide: newer evidence of it, of 2026-03-01T11:00:00Z, is in " + s.image.Context().Name() + "@" + manifest(intoto.TestResultType))
		s.run(exitWritten, s.args("trivy.json", vulnsAt("2026-03-01T10:30:00Z")...)...) // a newer pass does not say what was found
		decides()
		s.run(exitWritten, s.args("trivy.json", vulnsAt("2026-03-01T11:30:00Z")...)...)
		decides()
		s.run(exitWritten, s.args("eleven")...)
		s.said("newer evidence of it, of 2026-03-01T11:30:00Z, is in " + s.image.Context().Name() + "@" + manifest(intoto.VulnsType))
		s.run(exitNotRun, s.args("noon")...)
		decides()
		s.run(exitWritten, s.args("trivy.json", vulnsAt("2026-03-01T11:45:00Z")...)...)
		s.said("what was written does not decide: attest: a test-result of 2026-03-01T12:00:00Z in manifest " + manifest(intoto.TestResultType) + " is not older and says ERROR")
		s.run(exitWritten, s.args("ten", "-name", "another")...)
		decides()
	})
}
