package report_test

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/policy"
	"github.com/testdag/testdag/attest/policy/report"
)

// The release comes from Policy.GateAll; here it is made by hand.
func Example() {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	waiver := policy.Waiver{
		Task: "snyk-check", Until: now.AddDate(0, 0, 30), Who: "ada@example.com", Why: "the service is down", Place: "waivers[0], line 9",
	}
	image := policy.Report{
		Image: "quay.io/shop/api@sha256:" + strings.Repeat("0a", 32), Component: "api", Time: now,
		Violations: []policy.Note{{Msg: "unit-tests failed", Metadata: policy.Metadata{Code: policy.CodeFailed}}},
		Waived: []policy.Note{{
			Msg: "snyk-check could not tell", Metadata: policy.Metadata{Code: policy.CodeErrored}, Waiver: &waiver,
		}},
	}
	release := policy.Release{Time: now, Images: []policy.Judged{{Report: image}}}
	if err := report.Write(os.Stdout, report.Table, release); err != nil {
		fmt.Println(err)
	}
	// Output:
	// quay.io/shop/api@sha256:0a0a0a0a0a0a (api) is denied at 2026-11-24T12:00:00Z:
	//   violations 1, warnings 0, waived 1, successes 0
	// ✘ test.failed   unit-tests failed
	// ~ test.errored  snyk-check could not tell
	//                   waived by ada@example.com until 2026-12-24T12:00:00Z: the service is down
	//                     (waivers[0], line 9)
}
