package policy_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/policy"
)

// The evidence comes from a Resolver; here it is made by hand.
func Example() {
	p, err := policy.Parse(strings.NewReader(`
required:
  - tasks: [clair-scan, [unit-tests, e2e-tests]]
waivers:
  - finding: CVE-2021-44228
    package: log4j-core
    images: ["quay.io/shop/*"]
    until: 2027-01-01
    who: ada
    why: lookups are off
`))
	if err != nil {
		fmt.Println(err) // every mistake, each with its place
		return
	}
	image, err := name.NewDigest("quay.io/shop/operator@sha256:" + strings.Repeat("0a", 32))
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	report, err := p.Judge(policy.Input{Image: image, Now: now, Evidence: []attest.Evidence{{
		Test: intoto.Test{Name: "clair-scan", PredicateType: intoto.VulnsType}, Image: image,
		Manifest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0b", 32)},
		Time:     now.Add(-time.Hour), Clock: attest.ClockPredicate, VerifiedBy: attest.Identity{Kind: "key", Name: "ours"},
		Predicate: intoto.Vulns{Scanner: intoto.Scanner{Result: []intoto.Finding{
			{ID: "CVE-2021-44228", Severity: []intoto.Severity{{Method: "clair", Score: "critical"}},
				Annotations: []map[string]any{{
					intoto.FindingPackage: "org.apache.logging.log4j:log4j-core",
					intoto.FindingVersion: "2.14.1", intoto.FindingFix: "2.15.0",
				}}},
			{ID: "CVE-2026-1", Severity: []intoto.Severity{{Method: "clair", Score: "high"}}, Annotations: []map[string]any{
				{intoto.FindingPackage: "openssl", intoto.FindingVersion: "3.0.1", intoto.FindingFix: "3.0.2"},
			}},
		}}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("allowed:", report.Success)
	for _, n := range report.Violations {
		fmt.Println(n.Metadata.Code, "-", n.Msg)
	}
	for _, n := range report.Waived {
		fmt.Println(n.Metadata.Term, n.Waiver)
	}
	// Output:
	// allowed: false
	// required.missing - nothing tells of any of the required tests unit-tests or e2e-tests
	// vulnerability.denied - clair-scan: CVE-2026-1 in openssl 3.0.1: high, fixed in 3.0.2
	// [CVE-2021-44228] waived by ada until 2027-01-01T00:00:00Z: lookups are off (waivers[0], line 5)
}
