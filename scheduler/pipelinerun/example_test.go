package pipelinerun_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A Tekton step hands what it has pushed to Chains.
func ExampleWriteArtifact() {
	dir, _ := os.MkdirTemp("", "results-")
	defer os.RemoveAll(dir)
	err := pipelinerun.WriteArtifact(dir, "CLAMAV", scheduler.Artifact{
		URI: "quay.io/team/app", Digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
	})
	if err != nil {
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
