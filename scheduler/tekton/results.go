package tekton

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/testdag/testdag/internal/strictjson"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
)

// The results that are read, as tasks name them for Tekton Chains.
const (
	resultURI    = "ARTIFACT_URI"
	resultDigest = "ARTIFACT_DIGEST"
)

var outputsName = regexp.MustCompile(`^[A-Za-z0-9._-]*ARTIFACT_OUTPUTS$`)

const maxArtifacts = 64 // as many as scheduler keeps of one run

var outputsLimits = strictjson.Limits{Depth: 8, Values: 64}

// What package attest writes, and Chains reads: a repository with its registry, and SHA-256.
var (
	repositoryForm = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?(/[a-z0-9._-]+)+$`)
	digestForm     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

const maxRepositoryBytes = 255

// Artifacts returns what tasks say that they left, in the results that they name as Tekton Chains wants it: ARTIFACT_URI and
// ARTIFACT_DIGEST, or an object ARTIFACT_OUTPUTS, or any that ends so, with uri and digest. Each artifact is returned once,
// and at most 64, in the order of the tasks' names. The error tells of every result that cannot be read; it quotes none, as
// it may be a secret.
func Artifacts(tasks []konflux.TaskRun) ([]scheduler.Artifact, error) {
	var all []scheduler.Artifact
	var mistakes []error
	ordered := slices.SortedStableFunc(slices.Values(tasks), func(a, b konflux.TaskRun) int { return cmp.Compare(a.Name, b.Name) })
	for _, task := range ordered {
		for _, left := range leftBy(task) {
			if err := cmp.Or(left.err, check(left.artifact)); err != nil {
				mistakes = append(mistakes, fmt.Errorf("%s of %s: %w", left.result, task.Name, err))
			} else if !slices.Contains(all, left.artifact) {
				all = append(all, left.artifact)
			}
		}
	}
	if len(all) > maxArtifacts {
		mistakes = append(mistakes, fmt.Errorf("there are %d artifacts; %d are kept", len(all), maxArtifacts))
		all = all[:maxArtifacts]
	}
	return all, errors.Join(mistakes...)
}

// A left is what a result says, or what is wrong with it.
type left struct {
	result   string
	artifact scheduler.Artifact
	err      error
}

func leftBy(task konflux.TaskRun) (all []left) {
	values := map[string]json.RawMessage{}
	for _, r := range task.Status.Results {
		values[r.Name] = r.Value
		if outputsName.MatchString(r.Name) {
			a, err := readOutputs(r.Value)
			all = append(all, left{r.Name, a, err})
		}
	}
	uri, hasURI := values[resultURI]
	digest, hasDigest := values[resultDigest]
	if !hasURI && !hasDigest {
		return all
	}
	var a scheduler.Artifact
	var err error
	switch {
	case !hasURI:
		err = fmt.Errorf("there is no %s", resultURI)
	case !hasDigest:
		err = fmt.Errorf("there is no %s", resultDigest)
	case json.Unmarshal(uri, &a.URI) != nil || json.Unmarshal(digest, &a.Digest) != nil:
		err = errors.New("want text")
	default: // shells like to end with a new line
		a.URI, a.Digest = strings.TrimSpace(a.URI), strings.TrimSpace(a.Digest)
	}
	return append(all, left{resultURI + " and " + resultDigest, a, err})
}

func readOutputs(value json.RawMessage) (a scheduler.Artifact, err error) {
	if strictjson.Decode(value, &a, outputsLimits) != nil {
		return a, errors.New(`want an object with the strings "uri" and "digest", each once`)
	}
	return a, nil
}

// check says why nobody could find the artifact.
func check(a scheduler.Artifact) error {
	switch {
	case len(a.URI) > maxRepositoryBytes || !repositoryForm.MatchString(a.URI):
		return errors.New("the URI is not a repository like quay.io/team/app, with a registry and without scheme, tag and digest")
	case !digestForm.MatchString(a.Digest):
		return errors.New("the digest is not sha256: and 64 hexadecimal digits in lower case")
	}
	return nil
}
