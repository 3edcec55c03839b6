package attest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
)

// maxResultBytes is what Tekton lets the results of one task have together.
const maxResultBytes = 4096

var resultName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// WriteResults writes the Tekton results that make Chains sign a provenance for the record: ARTIFACT_URI,
// ARTIFACT_DIGEST and the object <prefix>_ARTIFACT_OUTPUTS, or ARTIFACT_OUTPUTS if prefix is empty. dir is where the
// task's results go, $(results) of a step. The task must declare all three, the last with type object and the
// properties uri, digest and isBuildArtifact.
//
// Both forms are needed: Chains reads the two strings in its formats slsa/v1 and slsa/v2alpha3, in slsa/v2alpha4 only
// the object, and only if isBuildArtifact is "true". The URI is a bare repository, without scheme or tag, and the
// digest sha256 in lower case, since that is what Chains can store provenance for.
//
// The files appear whole or not at all. Errors: [*intoto.FieldError] for what Chains would not understand, [*intoto.LimitError] if
// the results are larger than Tekton carries, and those of the file system.
func WriteResults(dir, prefix string, r Record) error {
	files, err := results(prefix, r)
	if err != nil {
		return err
	}
	return writeAll(dir, files)
}

type result struct{ name, value string }

func results(prefix string, r Record) ([]result, error) {
	outputs := "ARTIFACT_OUTPUTS"
	if prefix != "" {
		outputs = prefix + "_" + outputs
	}
	var c fault.Checklist
	if !resultName.MatchString(outputs) {
		c.Add("prefix", fmt.Sprintf("%q is not a letter followed by letters, digits, - or _", prefix))
	}
	uri := r.Repository.Name()
	if bare, err := name.NewRepository(uri); r.Repository == (name.Repository{}) || err != nil || bare.Name() != uri {
		c.Add("repository", fmt.Sprintf("%q is not a repository", uri))
	}
	if !isSHA256(r.Digest) {
		c.Add("digest", fmt.Sprintf("%q is not a SHA-256 digest in lower case", r.Digest))
	}
	if len(c) > 0 {
		return nil, errors.Join(c...)
	}
	object, err := json.Marshal(struct {
		URI             string `json:"uri"`
		Digest          string `json:"digest"`
		IsBuildArtifact string `json:"isBuildArtifact"` // a string, since Tekton's objects hold nothing else
	}{uri, r.Digest.String(), "true"})
	if err != nil {
		return nil, err
	}
	files := []result{{"ARTIFACT_URI", uri}, {"ARTIFACT_DIGEST", r.Digest.String()}, {outputs, string(object)}}
	var total int64
	for _, f := range files {
		total += int64(len(f.value))
	}
	if total > maxResultBytes {
		return nil, &intoto.LimitError{What: "result bytes", Limit: maxResultBytes, Got: total}
	}
	return files, nil
}

// writeAll writes every file beside its place first and then moves all. If that fails midway, those already moved are
// taken away, and what had their names before is gone too: a result of another run would be worse than none.
func writeAll(dir string, files []result) (err error) {
	stage, err := os.MkdirTemp(dir, ".attest-")
	if err != nil {
		return fault.Wrap("results", err)
	}
	defer os.RemoveAll(stage)
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(stage, f.name), []byte(f.value), 0o644); err != nil {
			return fault.Wrap("results", err)
		}
	}
	for i, f := range files {
		if err := os.Rename(filepath.Join(stage, f.name), filepath.Join(dir, f.name)); err != nil {
			for _, moved := range files[:i] {
				_ = os.Remove(filepath.Join(dir, moved.name))
			}
			return fault.Wrap("results", err)
		}
	}
	return nil
}
