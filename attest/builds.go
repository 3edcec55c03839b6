package attest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/provenance"
)

// A Build is a SLSA provenance attached to an image whose subject is the image itself: what Tekton Chains says of the
// pipeline that built it. Evidence of a test is about the image too, but is a statement of its own.
type Build struct {
	Image      name.Digest
	Manifest   v1.Hash                // manifest that holds the provenance
	Provenance *provenance.Provenance // nil if it could not be read, or nobody vouches for it
	VerifiedBy Identity               // who signed it, zero if nobody does

	// Problem is why it does not count, several joined: a *CandidateError if it could not be read or nobody vouches for it,
	// a *provenance.UntrustedError for the builder and for each task that is not trusted, a *Problem of kind Future.
	Problem error
}

// Builds returns the provenance of builds of image, newest first; what does not count, with its Problem, is there too.
// The parts of the Resolver's verifier that [ByProvenance] made say who may sign provenance, and which builders and tasks
// are trusted; a Resolver without such a part believes nobody's provenance, and finds none.
//
// That the image is a subject is not enough, since whoever writes a pipeline can name any image in its results: a task
// must have named it in a result of its own. So only trusted tasks make a build, and a pipeline of tests that names the
// image it has tested is none, as long as [provenance.Trust] keeps apart what may build and what may test.
//
// Errors: [*intoto.FieldError] if image is not a SHA-256 digest; [*RegistryError]; [*intoto.LimitError]; the end of ctx.
func (r *Resolver) Builds(ctx context.Context, image name.Digest) ([]Build, error) {
	if err := errors.Join(checkImage(image), r.check()); err != nil || len(r.provenance) == 0 {
		return nil, err
	}
	ctx, done := registry.Within(ctx, registry.WhatCall, r.opts.Limits.CallTime)
	defer done()
	builds, err := r.builds(ctx, image)
	if err = registry.Overtime(ctx, err); err != nil {
		return nil, err
	}
	slices.SortStableFunc(builds, func(a, b Build) int {
		return cmp.Or(b.finished().Compare(a.finished()), cmp.Compare(a.Manifest.Hex, b.Manifest.Hex))
	})
	return builds, nil
}

func (r *Resolver) builds(ctx context.Context, image name.Digest) ([]Build, error) {
	repo, err := r.open(ctx, image)
	if err != nil {
		return nil, err
	}
	s := &search{Resolver: r, repo: repo, image: image, referrers: true}
	hash, err := v1.NewHash(image.DigestStr())
	if err != nil {
		return nil, err
	}
	signed, doubts, err := s.provenances(ctx, hash)
	if err != nil {
		return nil, err
	}
	var builds []Build
	at := map[[sha256.Size]byte]int{} // by statement: one may be in several places, and several may vouch for it
	for _, p := range signed {
		b := r.build(image, p)
		i, known := at[p.payload]
		switch {
		case !known:
			at[p.payload] = len(builds)
			builds = append(builds, b)
		case b.Problem == nil && builds[i].Problem != nil:
			builds[i] = b
		}
	}
	for _, doubt := range doubts {
		b := Build{Image: image, Problem: doubt}
		if e := (*CandidateError)(nil); errors.As(doubt, &e) {
			b.Manifest = e.Manifest
		}
		builds = append(builds, b)
	}
	return builds, nil
}

// build says whether a signed provenance is one of a build of image. Several tasks may have named the image, since one
// hands it on to the next.
func (r *Resolver) build(image name.Digest, p signedProvenance) Build {
	b := Build{Image: image, Manifest: p.held, Provenance: p.Provenance, VerifiedBy: p.by, Problem: p.distrust}
	if len(p.Makers(p.manifest)) == 0 {
		b.addProblem(&provenance.UntrustedError{Reason: "none of its tasks tells that it made " + p.manifest.String()})
	}
	if now, skew := r.opts.Now(), r.opts.Skew; p.Finished.After(now.Add(skew)) {
		b.addProblem(&Problem{Kind: Future, Time: p.Finished, Now: now, Within: skew})
	}
	return b
}

// addProblem adds a problem.
func (b *Build) addProblem(err error) { b.Problem = errors.Join(b.Problem, err) }

func (b Build) finished() time.Time {
	if b.Provenance == nil {
		return time.Time{}
	}
	return b.Provenance.Finished
}
