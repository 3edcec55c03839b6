package attest_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
)

// Every mistake is told at once, each by its field.
func ExampleVulns_Validate() {
	scan := attest.Vulns{Scanner: attest.Scanner{URI: "pkg:github/aquasecurity/trivy@v0.69.0"}}
	fmt.Println(scan.Validate())
	// Output:
	// attest: scanner.db.lastUpdate: required
	// attest: scanner.result: required
	// attest: metadata.scanStartedOn: required
	// attest: metadata.scanFinishedOn: required
}

// A Tekton step hands the record that a Writer returned to Chains.
func ExampleWriteResults() {
	repository, _ := name.NewRepository("quay.io/team/app")
	record := attest.Record{
		Repository: repository,
		Digest:     v1.Hash{Algorithm: "sha256", Hex: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
	}
	dir, _ := os.MkdirTemp("", "results-")
	defer os.RemoveAll(dir)
	if err := attest.WriteResults(dir, "CLAMAV", record); err != nil {
		fmt.Println(err)
	}
	for _, name := range []string{"ARTIFACT_URI", "ARTIFACT_DIGEST", "CLAMAV_ARTIFACT_OUTPUTS"} {
		value, _ := os.ReadFile(filepath.Join(dir, name))
		fmt.Println(string(value))
	}
	// Output:
	// quay.io/team/app
	// sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
	// {"uri":"quay.io/team/app","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","isBuildArtifact":"true"}
}
