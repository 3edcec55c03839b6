package intoto_test

import (
	"fmt"

	"github.com/testdag/testdag/attest/intoto"
)

// Every mistake is told at once, each by its field.
func ExampleVulns_Validate() {
	scan := intoto.Vulns{Scanner: intoto.Scanner{URI: "pkg:github/aquasecurity/trivy@v0.69.0"}}
	fmt.Println(scan.Validate())
	// Output:
	// attest: scanner.db.lastUpdate: required
	// attest: scanner.result: required
	// attest: metadata.scanStartedOn: required
	// attest: metadata.scanFinishedOn: required
}
