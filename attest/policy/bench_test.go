package policy

import (
	"fmt"
	"testing"
	"time"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// What 10,000 statements about one image, or 10,000 findings in one of them, cost to judge.
func BenchmarkJudge(b *testing.B) {
	const n = 10_000
	many := make([]attest.Evidence, n) // a hundred of each of a hundred tests
	p := Policy{Required: []Entry{{}}}
	for i := range many {
		test := fmt.Sprintf("test-%d", i%100)
		many[i] = tested(test, intoto.Passed, -time.Duration(i)*time.Second)
		if i < 100 {
			p.Required[0].Tasks = append(p.Required[0].Tasks, AnyOf{test})
		}
	}
	each := make([]attest.Evidence, n) // one of each of ten thousand tests
	all := Policy{Required: []Entry{{}}}
	for i := range each {
		test := fmt.Sprintf("test-%d", i)
		each[i] = tested(test, intoto.Passed, -time.Minute)
		all.Required[0].Tasks = append(all.Required[0].Tasks, AnyOf{test})
	}
	found := make([]intoto.Finding, n)
	for i := range found {
		found[i] = finding(fmt.Sprintf("CVE-2026-%d", i), "high", intoto.FindingPackage, "openssl", intoto.FindingVersion, "1.1",
			intoto.FindingPURL, "pkg:deb/debian/openssl@1.1", intoto.FindingFix, "2.0", intoto.FindingPublished, "2026-02-20T12:00:00Z")
		found[i].Severity = append(found[i].Severity, intoto.Severity{Method: "cvss_v3:nvd", Score: "7.5"})
	}
	scan := []attest.Evidence{scanned("scan", -time.Minute, found)}
	waived := requires("scan")
	for _, f := range found[:1000] {
		waived.Waivers = append(waived.Waivers, waiverOf(Waiver{Finding: f.ID, Package: "pkg:deb/debian/openssl"}))
	}
	for _, bb := range []struct {
		name     string
		policy   Policy
		evidence []attest.Evidence
	}{
		{"10000 statements of 100 tests", p, many},
		{"10000 statements of 10000 tests", all, each},
		{"10000 findings denied", requires("scan"), scan},
		{"1000 findings waived by 1000 waivers", waived,
			[]attest.Evidence{scanned("scan", -time.Minute, found[:1000])}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := bb.policy.Judge(Input{Image: image, Evidence: bb.evidence, Now: noon})
				if err != nil || len(r.Violations)+len(r.Successes) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}
