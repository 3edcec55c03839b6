package scan_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
)

func ExampleConvert() {
	const report = `{
		"SchemaVersion": 2, "CreatedAt": "2026-11-24T12:00:00Z", "Trivy": {"Version": "0.69.0"},
		"Results": [{"Target": "app (debian 12)", "Class": "os-pkgs", "Vulnerabilities": [
			{"VulnerabilityID": "CVE-2026-1", "PkgName": "openssl", "InstalledVersion": "3.0.1", "FixedVersion": "3.0.2", "Severity": "HIGH"}
		]}]
	}`
	var opts scan.Options
	_, err := scan.Convert(strings.NewReader(report), opts)
	var lack *scan.LackError
	fmt.Println(errors.As(err, &lack))
	fmt.Println(err)

	opts.Started = time.Date(2026, 11, 24, 11, 59, 0, 0, time.UTC)
	opts.Scanner.DB.LastUpdate = time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	p, err := scan.Convert(strings.NewReader(report), opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	v := p.(intoto.Vulns)
	fmt.Println(v.Scanner.URI, v.Metadata.FinishedOn.Format(time.RFC3339))
	for _, f := range v.Scanner.Result {
		fmt.Println(f.ID, f.Severity, f.Annotations[0][intoto.FindingPackage], f.Annotations[0][intoto.FindingFix])
	}
	// Output:
	// true
	// scan: the trivy report does not say when the vulnerability database was last updated; give Options.Scanner.DB.LastUpdate
	// scan: the trivy report does not say when the scan began; give Options.Started
	// pkg:github/aquasecurity/trivy@v0.69.0 2026-11-24T12:00:00Z
	// CVE-2026-1 [{trivy high}] openssl 3.0.2
}
