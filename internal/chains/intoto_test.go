package chains

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	vulns "github.com/in-toto/attestation/go/predicates/vulns/v02"
	upstream "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
)

// written has attest write a predicate, and returns the statement that is in the registry.
func (b *bench) written(p intoto.Predicate) []byte {
	b.t.Helper()
	signer, err := taskSigner()
	if err != nil {
		b.t.Fatal(err)
	}
	record, err := attest.NewWriter(signer, attest.Options{}).Write(b.t.Context(), b.image, testName, p)
	if err != nil {
		b.t.Fatal(err)
	}
	img, err := remote.Image(record.Repository.Digest(record.Digest.String()))
	if err != nil {
		b.t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		b.t.Fatalf("layers %v, %v", layers, err)
	}
	var e struct{ Payload string }
	if err := json.Unmarshal(content(b.t, layers[0]), &e); err != nil {
		b.t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		b.t.Fatal(err)
	}
	return payload
}

// predicate has in-toto's own types read the statement, and its predicate into p.
func (b *bench) predicate(payload []byte, predicateType string, p proto.Message) {
	b.t.Helper()
	var s upstream.Statement
	if err := protojson.Unmarshal(payload, &s); err != nil { // strictly: the statement has no fields of ours
		b.t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		b.t.Error(err)
	}
	if s.Type != upstream.StatementTypeUri || s.PredicateType != predicateType {
		b.t.Errorf("got type %s, predicate type %s", s.Type, s.PredicateType)
	}
	if len(s.Subject) != 1 || s.Subject[0].Name != b.image.Context().Name() || "sha256:"+s.Subject[0].Digest["sha256"] != b.image.DigestStr() {
		b.t.Errorf("got subjects %v", s.Subject)
	}
	var raw struct{ Predicate json.RawMessage }
	if err := json.Unmarshal(payload, &raw); err != nil {
		b.t.Fatal(err)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw.Predicate, p); err != nil { // timestamp and TestField are unknown
		b.t.Fatal(err)
	}
}

func TestInTotoReadsVulns(t *testing.T) {
	b := newBench(t, cosignKey)
	end := finished.Add(1500 * time.Millisecond)
	empty := intoto.Vulns{
		Scanner: intoto.Scanner{
			URI: "pkg:github/aquasecurity/trivy@v0.69.0", Version: "0.69.0",
			DB:     intoto.ScannerDB{URI: "https://example.com/db", Version: "2", LastUpdate: started.Time},
			Result: []intoto.Finding{},
		},
		Metadata: intoto.ScanMetadata{StartedOn: started.Time, FinishedOn: end},
	}
	full := empty
	full.Scanner.Result = []intoto.Finding{
		{ID: "CVE-2026-1", Severity: []intoto.Severity{{Method: "nvd", Score: "high"}, {Method: "cvss_score", Score: "5.2"}},
			Annotations: []map[string]any{{"fixed": "1.2"}, {"package": "zlib"}}},
		{ID: "GHSA-x", Severity: []intoto.Severity{}},
	}
	for name, want := range map[string]intoto.Vulns{"nothing found": empty, "findings": full} {
		t.Run(name, func(t *testing.T) {
			var p vulns.Vulns
			b.predicate(b.written(want), intoto.VulnsType, &p)
			s, m := p.GetScanner(), p.GetMetadata()
			got := intoto.Vulns{
				Scanner: intoto.Scanner{
					URI: s.GetUri(), Version: s.GetVersion(), Result: []intoto.Finding{},
					DB: intoto.ScannerDB{URI: s.GetDb().GetUri(), Version: s.GetDb().GetVersion(), LastUpdate: s.GetDb().GetLastUpdate().AsTime()},
				},
				Metadata: intoto.ScanMetadata{StartedOn: m.GetScanStartedOn().AsTime(), FinishedOn: m.GetScanFinishedOn().AsTime()},
			}
			for _, r := range s.GetResult() {
				f := intoto.Finding{ID: r.GetId(), Severity: []intoto.Severity{}}
				for _, severity := range r.GetSeverity() {
					f.Severity = append(f.Severity, intoto.Severity{Method: severity.GetMethod(), Score: severity.GetScore()})
				}
				for _, a := range r.GetAnnotations() {
					f.Annotations = append(f.Annotations, a.AsMap())
				}
				got.Scanner.Result = append(got.Scanner.Result, f)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInTotoReadsTestResults(t *testing.T) {
	b := newBench(t, cosignKey)
	for _, result := range []intoto.Result{intoto.Passed, intoto.Warned, intoto.Failed} {
		want := intoto.TestResult{
			Result: result, URL: "https://example.com/run/1", PassedTests: []string{"a"}, WarnedTests: []string{"b", "c"},
			Configuration: []intoto.ResourceDescriptor{
				{Name: testName, URI: "https://example.com/scan.yaml", Digest: map[string]string{"sha256": bundleHex}, MediaType: "text/yaml"},
				{Name: "more", Content: []byte("x"), DownloadLocation: "https://example.com/more", Annotations: map[string]any{"k": "v"}},
			},
		}
		if result == intoto.Failed {
			want.FailedTests = []string{"d"}
		}
		timed := want
		timed.Timestamp, timed.Successes, timed.Warnings = finished.Time, 1, 2
		var p testresult.TestResult
		b.predicate(b.written(timed), intoto.TestResultType, &p)
		got := intoto.TestResult{
			Result: intoto.Result(p.GetResult()), URL: p.GetUrl(),
			PassedTests: p.GetPassedTests(), WarnedTests: p.GetWarnedTests(), FailedTests: p.GetFailedTests(),
		}
		for _, c := range p.GetConfiguration() {
			got.Configuration = append(got.Configuration, descriptor(c))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func descriptor(d *upstream.ResourceDescriptor) intoto.ResourceDescriptor {
	out := intoto.ResourceDescriptor{
		Name: d.GetName(), URI: d.GetUri(), Digest: d.GetDigest(), Content: d.GetContent(),
		DownloadLocation: d.GetDownloadLocation(), MediaType: d.GetMediaType(),
	}
	if d.Annotations != nil {
		out.Annotations = d.GetAnnotations().AsMap()
	}
	return out
}

// samples are the reports that convert, as predicates by the path of the report: those in attest/scan/testdata, and those of
// other projects if TESTDAG_CORPUS names a folder with them.
func samples(t *testing.T) map[string]intoto.Predicate {
	t.Helper()
	opts := scan.Options{
		Scanner: intoto.Scanner{URI: "pkg:generic/scanner", DB: intoto.ScannerDB{LastUpdate: started.Time}},
		Started: started.Time.AddDate(-10, 0, 0), Finished: finished.Time,
	}
	all := map[string]intoto.Predicate{}
	walk := func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "/fuzz/") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if p, err := scan.Convert(f, opts); err == nil {
			all[path] = p
		} else if !refused(err) {
			t.Errorf("%s: %v", path, err)
		}
		return nil
	}
	dirs := []string{"../../attest/scan/testdata"}
	if corpus := os.Getenv("TESTDAG_CORPUS"); corpus != "" {
		dirs = append(dirs, filepath.Join(corpus, "scanners"))
	}
	for _, dir := range dirs {
		if err := filepath.WalkDir(dir, walk); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// refused reports whether a sample is one of those that show what is refused.
func refused(err error) bool {
	var format *scan.FormatError
	var notRun *scan.NotRunError
	var unknown *scan.UnknownFormatError
	return errors.As(err, &format) || errors.As(err, &notRun) || errors.As(err, &unknown)
}

// Whatever report a statement is made of, in-toto's types read it, and find in it what was put there.
func TestInTotoReadsReports(t *testing.T) {
	b := newBench(t, cosignKey)
	var scans, tests int
	for path, p := range samples(t) {
		payload := b.written(p)
		switch p := p.(type) {
		case intoto.Vulns:
			scans++
			var got vulns.Vulns
			b.predicate(payload, intoto.VulnsType, &got)
			if n := len(got.GetScanner().GetResult()); n != len(p.Scanner.Result) {
				t.Errorf("%s: %d findings, want %d", path, n, len(p.Scanner.Result))
			}
			for i, r := range got.GetScanner().GetResult() {
				want := p.Scanner.Result[i]
				if r.GetId() != want.ID || len(r.GetSeverity()) != len(want.Severity) || len(r.GetAnnotations()) != len(want.Annotations) {
					t.Errorf("%s: finding %d is %v, want %v", path, i, r, want)
				}
			}
			if s := got.GetScanner(); s.GetUri() == "" || !s.GetDb().GetLastUpdate().IsValid() || !strings.Contains(string(payload), `"result":[`) {
				t.Errorf("%s: scanner %v", path, s)
			}
			if m := got.GetMetadata(); !m.GetScanFinishedOn().AsTime().Equal(p.Metadata.FinishedOn) || !m.GetScanStartedOn().AsTime().Equal(p.Metadata.StartedOn) {
				t.Errorf("%s: metadata %v", path, m)
			}
		case intoto.TestResult:
			tests++
			var got testresult.TestResult
			b.predicate(payload, intoto.TestResultType, &got)
			if got.GetResult() != string(p.Result) || len(got.GetConfiguration()) != 1 || len(got.GetFailedTests()) != len(p.FailedTests) {
				t.Errorf("%s: %v", path, &got)
			}
		}
	}
	if scans < 6 || tests < 4 {
		t.Errorf("%d samples are of scanners, %d of tests", scans, tests)
	}
	t.Logf("%d samples of scanners, %d of tests", scans, tests)
}
