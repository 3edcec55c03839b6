package pipelinerun

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/testdag/testdag/scheduler"
)

// maxResultBytes is what Tekton lets the results of one task have together.
const maxResultBytes = 4096

var resultName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// WriteArtifact writes the results by which a task names what it left, so that Tekton Chains signs a provenance for it:
// ARTIFACT_URI, ARTIFACT_DIGEST and the object <prefix>_ARTIFACT_OUTPUTS, or ARTIFACT_OUTPUTS if prefix is empty. dir is
// where the task's results go, $(results) of a step. The task must declare all three, the last with type object and the
// properties uri, digest and isBuildArtifact.
//
// Both forms are needed: Chains reads the two strings in its formats slsa/v1 and slsa/v2alpha3, in slsa/v2alpha4 only
// the object, and only if isBuildArtifact is "true". The URI is a bare repository, without scheme or tag, and the
// digest sha256 in lower case, since that is what Chains can store provenance for.
//
// The files appear whole or not at all. Errors: a *[FieldError] for each mistake that Chains would not understand, one
// that says that the results are larger than Tekton carries, and those of the file system.
func WriteArtifact(dir, prefix string, a scheduler.Artifact) error {
	files, err := artifactFiles(prefix, a)
	if err == nil {
		err = writeAll(dir, files)
	}
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	return nil
}

type file struct{ name, value string }

func artifactFiles(prefix string, a scheduler.Artifact) ([]file, error) {
	outputs := "ARTIFACT_OUTPUTS"
	if prefix != "" {
		outputs = prefix + "_" + outputs
	}
	var mistakes []error
	if !resultName.MatchString(outputs) {
		mistakes = append(mistakes, &FieldError{"prefix", fmt.Sprintf("%q is not a letter followed by letters, digits, - or _", prefix)})
	}
	if !isRepository(a.URI) || !namesRegistry(a.URI) {
		mistakes = append(mistakes, &FieldError{"uri", fmt.Sprintf("%.100q is not a repository like quay.io/team/app", a.URI)})
	}
	if !digestForm.MatchString(a.Digest) {
		mistakes = append(mistakes, &FieldError{"digest", fmt.Sprintf("%.100q is not a SHA-256 digest in lower case", a.Digest)})
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	object, err := json.Marshal(struct {
		URI             string `json:"uri"`
		Digest          string `json:"digest"`
		IsBuildArtifact string `json:"isBuildArtifact"` // a string, since Tekton's objects hold nothing else
	}{a.URI, a.Digest, "true"})
	if err != nil {
		return nil, err
	}
	files := []file{{artifactURI, a.URI}, {artifactDigest, a.Digest}, {outputs, string(object)}}
	total := 0
	for _, f := range files {
		total += len(f.value)
	}
	if total > maxResultBytes {
		return nil, fmt.Errorf("%d bytes; Tekton carries %d of one task", total, maxResultBytes)
	}
	return files, nil
}

// namesRegistry reports whether the first part of a repository is a registry. Chains takes another one, as in team/app,
// for a part of the name, and the repository for one of Docker Hub.
func namesRegistry(repository string) bool {
	host, _, _ := strings.Cut(repository, "/")
	return strings.ContainsAny(host, ".:")
}

// writeAll writes every file beside its place first and then moves all. If that fails midway, those already moved are
// taken away, and what had their names before is gone too: a result of another run would be worse than none.
func writeAll(dir string, files []file) (err error) {
	stage, err := os.MkdirTemp(dir, ".results-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(stage, f.name), []byte(f.value), 0o644); err != nil {
			return err
		}
	}
	for i, f := range files {
		if err := os.Rename(filepath.Join(stage, f.name), filepath.Join(dir, f.name)); err != nil {
			for _, moved := range files[:i] {
				_ = os.Remove(filepath.Join(dir, moved.name))
			}
			return err
		}
	}
	return nil
}
