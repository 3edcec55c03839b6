package scheduler

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// An Artifact is something that a run left, such as a statement about an image. What is known of it is the runner's word:
// the rules look at no artifact, and nobody here looks whether it is there. It tells who judges the evidence on an image
// what to look for, so that a run that passed and left nothing is seen.
//
// An artifact without a URI or a digest, with one of more than 512 and 256 bytes, or that is not UTF-8 is not kept.
type Artifact struct {
	URI    string `json:"uri"`    // the repository it is in: "quay.io/team/app"
	Digest string `json:"digest"` // of its OCI manifest: "sha256:..."
}

const (
	maxArtifacts   = 64 // of one run
	maxURIBytes    = 512
	maxDigestBytes = 256
)

// check says why the artifact cannot be kept.
func (a Artifact) check() error {
	for _, part := range []struct {
		name, text string
		limit      int
	}{{"URI", a.URI, maxURIBytes}, {"digest", a.Digest, maxDigestBytes}} {
		switch {
		case part.text == "":
			return fmt.Errorf("the %s is empty", part.name)
		case len(part.text) > part.limit:
			return fmt.Errorf("the %s has %d bytes; want at most %d", part.name, len(part.text), part.limit)
		case !utf8.ValidString(part.text):
			return fmt.Errorf("the %s is not UTF-8", part.name)
		}
	}
	return nil
}

func compareArtifacts(a, b Artifact) int {
	return cmp.Or(strings.Compare(a.URI, b.URI), strings.Compare(a.Digest, b.Digest))
}

// sortedArtifacts returns the artifacts in order, each once.
func sortedArtifacts(list []Artifact) []Artifact {
	return slices.Compact(slices.SortedFunc(slices.Values(list), compareArtifacts))
}

// unite returns what is in one of two lists: in order, each once, without what cannot be kept, and of too many the first.
// So it does not matter in which order lists are united, nor how often. The result is a list of its own.
func unite(known, more []Artifact) []Artifact {
	all := slices.DeleteFunc(slices.Concat(known, more), func(a Artifact) bool { return a.check() != nil })
	all = sortedArtifacts(all)
	return slices.Clone(all[:min(len(all), maxArtifacts)])
}

// checkArtifacts returns every mistake in what a run is said to have left.
func checkArtifacts(run int, list []Artifact) (found []error) {
	if len(list) > 0 && run == 0 {
		found = append(found, errors.New("there are artifacts, and no run"))
	}
	if len(list) > maxArtifacts {
		return append(found, fmt.Errorf(`"artifacts" has %d elements; want at most %d`, len(list), maxArtifacts))
	}
	for k, a := range list {
		if err := a.check(); err != nil {
			found = append(found, fmt.Errorf(`"artifacts", element %d: %w`, k, err))
		}
	}
	return found
}
