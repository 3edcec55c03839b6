package attest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// An Expect is a run of a test that is known to be over, so its evidence must be there. Without knowing the runs nobody
// can see that the newest failure was deleted, or never written.
//
// It is met if every record is at the image with evidence of the test, and the newest evidence is not older than
// NotBefore. A run of which neither is known has left nothing that could be looked for, and is never met. Of a test
// with predicates of two types, records say something about the types that they are of.
//
// Elsewhere is for images that were copied with their evidence: a record has the same digest in every repository. But
// what a run left in another repository may be no record of this image at all, say an SBOM, and then is never here. So
// these artifacts count by repository: if one of a repository is at the image as evidence, that is where the evidence
// was copied from, and all of that repository must be here like Records. A repository of which none is at the image
// says nothing. A run with nothing else, neither Records nor NotBefore, is then not met.
type Expect struct {
	Test      string     // name of the test
	Run       string     // name of the run, for messages: "scan#2"
	Records   []v1.Hash  // manifests that the run said it left in the image's repository
	Elsewhere []Artifact // what it said it left in other repositories
	NotBefore time.Time  // when the run began; zero if that is not known
}

// An Artifact is what a run says it left: a manifest in a registry.
type Artifact struct {
	URI    string // repository
	Digest string // "sha256:..."
}

// A Run is a run of a test that is over and has a verdict, as a scheduler tells of it. Runs that were canceled or
// stopped leave no evidence, so nothing is expected of them.
type Run struct {
	Test      string // name of the test
	Name      string // of the run, for messages: "scan#2"
	Artifacts []Artifact
}

// ExpectRuns returns what runs tell of evidence at image: one Expect for each, by test. Those of the run's artifacts
// that are in the image's repository are its Records, others are Elsewhere.
//
// A Run holds no times, so NotBefore is zero. A caller that knows when a run began, from its store or its cluster,
// finds the run by Expect.Run and sets it: then older evidence is not taken for that of a run which left no artifacts.
func ExpectRuns(image name.Digest, runs ...Run) []Expect {
	var expected []Expect
	for _, run := range runs {
		x := Expect{Test: run.Test, Run: run.Name}
		for _, a := range run.Artifacts {
			digest, err := v1.NewHash(a.Digest)
			switch {
			case err != nil: // it names no manifest
			case a.URI == image.Context().Name():
				x.Records = append(x.Records, digest)
			case digest.Algorithm == "sha256":
				x.Elsewhere = append(x.Elsewhere, a)
			}
		}
		expected = append(expected, x)
	}
	slices.SortStableFunc(expected, func(a, b Expect) int { return cmp.Compare(a.Test, b.Test) })
	return expected
}

// sha256Of returns the digest of an artifact, which must be a SHA-256: records have no others.
func sha256Of(a Artifact) (v1.Hash, error) {
	digest, err := v1.NewHash(a.Digest)
	if err == nil && digest.Algorithm != "sha256" {
		err = fmt.Errorf("%q is not a SHA-256 digest", a.Digest)
	}
	return digest, err
}

// records returns the manifests that must be at the image: Records, and all of those repositories that the evidence at
// the image was copied from.
func (x Expect) records(all []Evidence) []v1.Hash {
	digests := make([]v1.Hash, len(x.Elsewhere))
	from := map[string]bool{}
	for i, a := range x.Elsewhere {
		digest, err := sha256Of(a)
		if err != nil {
			continue
		}
		digests[i] = digest
		here := func(e Evidence) bool { return e.in(digest) }
		from[a.URI] = from[a.URI] || slices.ContainsFunc(all, here)
	}
	records := slices.Clone(x.Records)
	for i, digest := range digests {
		if digest != (v1.Hash{}) && from[x.Elsewhere[i].URI] && !slices.Contains(records, digest) {
			records = append(records, digest)
		}
	}
	return records
}

// expected blames the newest evidence of a test for what is missing of it, and says so if nothing is.
func (r *Resolver) expected(newest *Evidence, all []Evidence) {
	var errs []error
	var shown bool
	for _, x := range r.expect {
		if x.Test == newest.Test.Name {
			errs = append(errs, x.unmet(*newest, all))
			shown = shown || x.shows(*newest, all)
		}
	}
	if err := errors.Join(errs...); err != nil {
		newest.addProblem(err)
	} else if shown {
		newest.Completeness = Expected
	}
}

// shows reports whether the run says anything about this type of predicate: a run may leave several.
func (x Expect) shows(newest Evidence, all []Evidence) bool {
	return !x.NotBefore.IsZero() || slices.ContainsFunc(x.records(all), func(record v1.Hash) bool {
		return slices.ContainsFunc(all, func(e Evidence) bool { return e.Test == newest.Test && e.in(record) })
	})
}

// unmet returns a [Missing] problem if the evidence of the run is not there. Evidence that was passed over for older
// one is as good as not there.
func (x Expect) unmet(newest Evidence, all []Evidence) error {
	var missing []v1.Hash
	records := x.records(all)
	for _, record := range records {
		counts := func(e Evidence) bool {
			passedOver := e.Test == newest.Test && e.Time.After(newest.latest())
			return e.Test.Name == x.Test && e.in(record) && !passedOver
		}
		if !slices.ContainsFunc(all, counts) {
			missing = append(missing, record)
		}
	}
	silent := len(records) == 0 && x.NotBefore.IsZero()
	old := !x.NotBefore.IsZero() && newest.Time.Before(x.NotBefore)
	if !silent && !old && len(missing) == 0 {
		return nil
	}
	return &Problem{Kind: Missing, Expect: x, Records: missing, Time: newest.Time}
}

// in reports whether a manifest holds the statement.
func (e Evidence) in(manifest v1.Hash) bool {
	return slices.ContainsFunc(e.envelopes, func(c Candidate) bool { return c.Manifest == manifest })
}
