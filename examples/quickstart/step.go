package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/policy"
	"github.com/testdag/testdag/attest/scan"
	"github.com/testdag/testdag/examples/internal/expected"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// The tests of the scanners.
var (
	clamavScan = intoto.Test{Name: "clamav-scan", PredicateType: intoto.TestResultType}
	dastTests  = intoto.Test{Name: "dast-tests", PredicateType: intoto.VulnsType}
)

// step is the program that a scenario runs: it does its test, prints one line, leaves evidence on the image whichever
// way the test ended, and fails if the test failed.
func step(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("quickstart step", flag.ContinueOnError)
	dir := flags.String("dir", ".", "folder with cosign.key, cosign.pub and the reports")
	ref := flags.String("image", "", "image to test, as repository@digest")
	if err := flags.Parse(args); err != nil {
		return err
	}
	image, err := name.NewDigest(*ref)
	if err != nil {
		return fmt.Errorf("-image: %w", err)
	}
	s := stepper{dir: *dir, image: image, begin: time.Now(), out: out}
	switch scenario := flags.Arg(0); scenario {
	case clamavScan.Name:
		return s.clamav(ctx)
	case dastTests.Name:
		return s.dast(ctx)
	case "operator-deployment":
		return s.test(ctx, scenario, "the registry serves the image", s.deploy)
	case "operator-scorecard":
		return s.test(ctx, scenario, "name and version are labeled", s.scorecard)
	case "verify":
		return s.verify(ctx)
	case "e2e-test":
		return s.test(ctx, scenario, "every layer is what its digest says", s.endToEnd)
	default:
		return fmt.Errorf("unknown scenario %q", scenario)
	}
}

type stepper struct {
	dir   string
	image name.Digest
	begin time.Time
	out   io.Writer
}

// clamav turns what clamscan printed into a test result. It says when the scan ended, but not in which time zone.
func (s *stepper) clamav(ctx context.Context) error {
	f, err := os.Open(filepath.Join(s.dir, "clamav-scan.log"))
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := scan.Convert(f, scan.Options{Format: scan.ClamAV, Finished: time.Now()})
	if err != nil {
		return err
	}
	result := p.(intoto.TestResult)
	var failure error
	if result.Result != intoto.Passed {
		failure = fmt.Errorf("%s: %s", result.Result, strings.Join(result.FailedTests, ", "))
	}
	return s.leave(ctx, clamavScan.Name, result, failure, fmt.Sprintf("files scanned: %d, none infected", result.Successes))
}

// dast turns a report of a vulnerability scanner into a vulns predicate. Something critical fails the test.
func (s *stepper) dast(ctx context.Context) error {
	var report struct {
		Scanner  string `json:"scanner"`
		Version  string `json:"version"`
		Database struct {
			URI        string    `json:"uri"`
			Version    string    `json:"version"`
			LastUpdate time.Time `json:"lastUpdate"`
		} `json:"database"`
		Findings []struct {
			ID       string `json:"id"`
			Severity string `json:"severity"`
			Where    string `json:"where"`
		} `json:"findings"`
	}
	if err := s.read("dast-tests.json", &report); err != nil {
		return err
	}
	vulns := intoto.Vulns{
		Scanner: intoto.Scanner{
			URI: report.Scanner, Version: report.Version, Result: []intoto.Finding{},
			DB: intoto.ScannerDB{URI: report.Database.URI, Version: report.Database.Version, LastUpdate: report.Database.LastUpdate},
		},
		Metadata: intoto.ScanMetadata{StartedOn: s.begin, FinishedOn: time.Now()},
	}
	for _, f := range report.Findings {
		vulns.Scanner.Result = append(vulns.Scanner.Result, intoto.Finding{
			ID:          f.ID,
			Severity:    []intoto.Severity{{Method: "zap", Score: f.Severity}},
			Annotations: []map[string]any{{"where": f.Where}},
		})
	}
	return s.leave(ctx, dastTests.Name, vulns, critical(vulns), fmt.Sprintf("findings: %d, none critical", len(report.Findings)))
}

// verify is the gate: the image must satisfy policy.yaml.
func (s *stepper) verify(ctx context.Context) error {
	release, err := judge(ctx, s.dir, s.image, nil)
	if err != nil {
		return err
	}
	if !release.Success {
		worst := release.Images[0].Violations[0]
		return fmt.Errorf("%s: %s", worst.Metadata.Code, worst.Msg)
	}
	fmt.Fprintln(s.out, "the newest evidence of clamav-scan and dast-tests is signed and good")
	return nil
}

// judge judges the image by policy.yaml. The evidence of the runs in the snapshot must be there.
func judge(ctx context.Context, dir string, image name.Digest, runs scheduler.Snapshot) (policy.Release, error) {
	f, err := files.Open("policy.yaml")
	if err != nil {
		return policy.Release{}, err
	}
	defer f.Close()
	rules, err := policy.Parse(f)
	if err != nil {
		return policy.Release{}, err
	}
	resolver, err := openResolver(dir)
	if err != nil {
		return policy.Release{}, err
	}
	one := policy.Image{Digest: image, Expect: attest.ExpectRuns(image, expected.Runs(runs)...)}
	return rules.GateAll(ctx, resolver, []policy.Image{one}, time.Now())
}

// critical returns an error that names the critical findings.
func critical(v intoto.Vulns) error {
	var ids []string
	for _, f := range v.Scanner.Result {
		for _, s := range f.Severity {
			if s.Score == "critical" {
				ids = append(ids, f.ID)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return fmt.Errorf("%d critical: %s", len(ids), strings.Join(ids, ", "))
}

func (s *stepper) deploy(ctx context.Context) error {
	_, err := remote.Head(s.image, remote.WithContext(ctx))
	return err
}

func (s *stepper) scorecard(ctx context.Context) error {
	image, err := remote.Image(s.image, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	for _, label := range []string{"name", "version"} {
		if config.Config.Labels[label] == "" {
			return fmt.Errorf("the label %s is missing", label)
		}
	}
	return nil
}

func (s *stepper) endToEnd(ctx context.Context) error {
	image, err := remote.Image(s.image, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	return validate.Image(image)
}

// test does a test and leaves its result.
func (s *stepper) test(ctx context.Context, scenario, good string, check func(context.Context) error) error {
	failure := check(ctx)
	return s.leave(ctx, scenario, testResult(scenario, failure), failure, good)
}

func testResult(name string, failure error) intoto.TestResult {
	r := intoto.TestResult{
		Result: intoto.Passed, Successes: 1, Timestamp: time.Now(),
		Configuration: []intoto.ResourceDescriptor{{Name: name}},
	}
	if failure != nil {
		r.Result, r.Successes, r.Failures = intoto.Failed, 0, 1
	}
	return r
}

// leave writes evidence of a test, good or bad, tells the scheduler of it, and then tells how the test ended.
func (s *stepper) leave(ctx context.Context, test string, p intoto.Predicate, failure error, good string) error {
	key, err := os.ReadFile(filepath.Join(s.dir, "cosign.key"))
	if err != nil {
		return err
	}
	signer, err := cosign.LoadSigner(key, []byte(os.Getenv("COSIGN_PASSWORD")))
	if err != nil {
		return err
	}
	record, err := attest.NewWriter(signer, attest.Options{}).Write(ctx, s.image, test, p)
	if err != nil {
		return err
	}
	if results := os.Getenv("TESTDAG_RESULTS"); results != "" {
		if err := pipelinerun.WriteArtifact(results, "", scheduler.Artifact{URI: record.Repository.Name(), Digest: record.Digest.String()}); err != nil {
			return err
		}
	}
	if failure != nil {
		return failure
	}
	fmt.Fprintln(s.out, good)
	return nil
}

// read decodes a report that is in no common format.
func (s *stepper) read(name string, report any) error {
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, report); err != nil {
		return fmt.Errorf("%s is not a report: %w", name, err)
	}
	return nil
}

func openResolver(dir string) (*attest.Resolver, error) {
	public, err := os.ReadFile(filepath.Join(dir, "cosign.pub"))
	if err != nil {
		return nil, err
	}
	verifier, err := cosign.LoadVerifier(public)
	if err != nil {
		return nil, err
	}
	return attest.NewResolver(verifier, attest.Options{}), nil
}
