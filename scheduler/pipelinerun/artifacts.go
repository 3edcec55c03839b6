package pipelinerun

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
)

// The results that name an artifact, as tasks name them for Tekton Chains: two texts together, or an object alone.
const (
	artifactURI    = "ARTIFACT_URI"
	artifactDigest = "ARTIFACT_DIGEST"
)

var artifactOutputs = regexp.MustCompile(`^[A-Za-z0-9._-]*ARTIFACT_OUTPUTS$`)

const maxArtifacts = 64 // as many as scheduler keeps of one run

var artifactLimits = strictjson.Limits{Depth: 8, Values: 64}

// What [WriteArtifact] writes, and Chains reads: a repository with its registry, and SHA-256.
var (
	repositoryForm = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?(/[a-z0-9._-]+)+$`)
	digestForm     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

const maxRepositoryBytes = 255

// Artifacts returns what tasks say that they left, in the results that they name as Tekton Chains wants it: ARTIFACT_URI and
// ARTIFACT_DIGEST, or an object ARTIFACT_OUTPUTS, or any that ends so, with uri and digest. Each artifact is returned once,
// and at most 64, in the order of the tasks' names. The error tells of every result that cannot be read; it quotes none, as
// it may be a secret.
func Artifacts(tasks []TaskRun) ([]scheduler.Artifact, error) {
	var all artifacts
	ordered := slices.SortedStableFunc(slices.Values(tasks), func(a, b TaskRun) int { return cmp.Compare(a.Name, b.Name) })
	for _, task := range ordered {
		names := make([]string, len(task.Status.Results))
		values := make(map[string]json.RawMessage, len(names))
		for i, r := range task.Status.Results {
			names[i], values[r.Name] = r.Name, r.Value
		}
		all.add(" of "+task.Name, names, func(name string) (string, error) { return resultText(name, values[name]) })
	}
	if len(all.found) > maxArtifacts {
		all.mistakes = append(all.mistakes, fmt.Errorf("there are %d artifacts; %d are kept", len(all.found), maxArtifacts))
		all.found = all.found[:maxArtifacts]
	}
	return all.found, errors.Join(all.mistakes...)
}

// resultText returns a result of a TaskRun as a step writes it into a file.
func resultText(name string, value json.RawMessage) (text string, err error) {
	if artifactOutputs.MatchString(name) {
		return string(value), nil
	}
	if json.Unmarshal(value, &text) != nil {
		return "", errors.New("want text")
	}
	return text, nil
}

// NamesArtifact reports whether a result of this name is one that [Artifacts] reads.
func NamesArtifact(result string) bool {
	return result == artifactURI || result == artifactDigest || artifactOutputs.MatchString(result)
}

// ReadArtifacts does for one task what [Artifacts] does for many, from what a step has written: read returns what is
// under one of the names. Only what [NamesArtifact] is read.
func ReadArtifacts(names []string, read func(name string) (string, error)) ([]scheduler.Artifact, error) {
	var all artifacts
	all.add("", names, read)
	return all.found, errors.Join(all.mistakes...)
}

// An artifacts is what was read, and every mistake.
type artifacts struct {
	found    []scheduler.Artifact
	mistakes []error
}

// add reads the results of one task. of is added to their names where a mistake is told.
func (all *artifacts) add(of string, names []string, read func(name string) (string, error)) {
	if slices.Contains(names, artifactURI) || slices.Contains(names, artifactDigest) {
		a, err := readPair(names, read)
		all.keep(artifactURI+" and "+artifactDigest+of, a, err)
	}
	for _, name := range names {
		if artifactOutputs.MatchString(name) {
			a, err := readOutputs(name, read)
			all.keep(name+of, a, err)
		}
	}
}

// keep keeps an artifact, each once, or the mistake.
func (all *artifacts) keep(result string, a scheduler.Artifact, err error) {
	if err = cmp.Or(err, checkArtifact(a)); err != nil {
		all.mistakes = append(all.mistakes, fmt.Errorf("%s: %w", result, err))
		return
	}
	if !slices.Contains(all.found, a) {
		all.found = append(all.found, a)
	}
}

// readPair reads the two texts, without the space around them that shells like to write.
func readPair(names []string, read func(name string) (string, error)) (a scheduler.Artifact, err error) {
	for _, name := range []string{artifactURI, artifactDigest} {
		if !slices.Contains(names, name) {
			return a, fmt.Errorf("there is no %s", name)
		}
	}
	uri, err := read(artifactURI)
	digest, errDigest := read(artifactDigest)
	a = scheduler.Artifact{URI: strings.TrimSpace(uri), Digest: strings.TrimSpace(digest)}
	return a, cmp.Or(err, errDigest)
}

func readOutputs(name string, read func(name string) (string, error)) (a scheduler.Artifact, err error) {
	text, err := read(name)
	if err != nil {
		return a, err
	}
	if strictjson.Decode([]byte(text), &a, artifactLimits) != nil {
		return a, errors.New(`want a JSON object with the strings "uri" and "digest", each once`)
	}
	return a, nil
}

func isRepository(uri string) bool {
	return len(uri) <= maxRepositoryBytes && repositoryForm.MatchString(uri)
}

// checkArtifact says why nobody could find the artifact.
func checkArtifact(a scheduler.Artifact) error {
	switch {
	case !isRepository(a.URI):
		return errors.New("the URI is not a repository like quay.io/team/app, with a registry and without scheme, tag and digest")
	case !digestForm.MatchString(a.Digest):
		return errors.New("the digest is not sha256: and 64 hexadecimal digits in lower case")
	}
	return nil
}
