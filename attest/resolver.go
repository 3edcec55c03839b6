package attest

import (
	"context"
	"iter"
	"runtime"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
)

// A Resolver finds evidence about images. It is safe for concurrent use.
type Resolver struct {
	verifier   Verifier
	provenance []*byProvenance // parts of verifier
	registry   *registry.Registry
	opts       Options
	expect     []Expect
}

// NewResolver returns a Resolver that believes what v verifies. There is no default verifier on purpose.
func NewResolver(v Verifier, opts Options) *Resolver {
	opts = opts.withDefaults()
	return &Resolver{verifier: v, provenance: wantProvenance(v), registry: registry.New(opts.Access, transport.PullScope), opts: opts}
}

// Expecting returns a Resolver that also holds evidence against runs that are known to be over, see [Expect]. Their
// evidence must be there, or [Evidence.Problem] tells of a [Missing]. A call that names tests looks only at runs of
// those: that [Evidence.Completeness] is [Expected] says that there were any.
func (r *Resolver) Expecting(runs ...Expect) *Resolver {
	with := *r
	with.expect = slices.Concat(r.expect, runs)
	return &with
}

// UnsafeIgnoring returns a Resolver that also passes over these statements, as if Options.UnsafeIgnoreStatements named
// them. It is for what is to be passed over at one image alone.
func (r *Resolver) UnsafeIgnoring(statements ...v1.Hash) *Resolver {
	with := *r
	with.opts.UnsafeIgnoreStatements = slices.Concat(r.opts.UnsafeIgnoreStatements, statements)
	return &with
}

// All returns an iterator over all evidence about image, newest first; what has no readable time comes before, since it
// may be the newest. Evidence that must not be believed is there too, with its Problem. Statements about other images,
// and statements of predicates that are no version of [intoto.Vulns] and [intoto.TestResult], are left out.
//
// An error ends the iteration: [ErrNoImage] if there is not even a repository; [*RegistryError] if anything could not
// be listed or fetched, [*intoto.LimitError], [*intoto.FieldError] if image is not a SHA-256 digest or the Resolver was
// made without a verifier or with a clock that is none, or the end of ctx. Every walk reads the registry anew.
// Options.UnsafeIgnoreUnverified changes nothing here.
func (r *Resolver) All(ctx context.Context, image name.Digest) iter.Seq2[Evidence, error] {
	return func(yield func(Evidence, error) bool) {
		call, done := registry.Within(ctx, registry.WhatCall, r.opts.Limits.CallTime)
		defer done()
		all, _, err := r.collect(call, image, question{everyAge: true, noHints: r.ignoresHints()})
		if err == nil {
			err = r.verifyAll(call, all)
		}
		if err != nil {
			yield(Evidence{failed: true}, err)
			return
		}
		slices.SortFunc(all, compareAge)
		for _, e := range all {
			if err := ctx.Err(); err != nil {
				yield(Evidence{failed: true}, fault.Wrap("verify", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// verifyAll asks the verifier about each.
func (r *Resolver) verifyAll(ctx context.Context, all []Evidence) error {
	err := registry.Parallel(ctx, len(all), runtime.GOMAXPROCS(0), func(ctx context.Context, i int) error {
		all[i] = r.verifyOne(ctx, all[i])
		return nil
	})
	if err = registry.Overtime(ctx, err); err != nil {
		return fault.Wrap("verify", err)
	}
	return nil
}

// verifyOne asks the verifier about each envelope around the statement until one is vouched for. Only then, and if nothing
// else is wrong, the verdict counts.
func (r *Resolver) verifyOne(ctx context.Context, e Evidence) Evidence {
	if len(e.envelopes) == 0 || e.VerifiedBy != (Identity{}) {
		return e // it could not even be read, or was vouched for before
	}
	var errs []error
	for _, c := range e.envelopes {
		by, err := verify(ctx, r.verifier, c, e.payload)
		if err == nil {
			e.VerifiedBy, e.Manifest = by, c.Manifest
			if e.Problem == nil {
				e.Result, _ = e.Predicate.Outcome()
			}
			return e
		}
		errs = append(errs, &Problem{Kind: Unverified, Manifest: c.Manifest, Err: err})
	}
	for _, err := range errs {
		e.addProblem(err)
	}
	return e
}

// open connects to the repository of image.
func (r *Resolver) open(ctx context.Context, image name.Digest) (*referrers.Records, error) {
	return referrers.Open(ctx, r.registry, image.Context(), referrers.Layout{})
}

// isSHA256 reports whether a hash is what names an image or a manifest here.
func isSHA256(h v1.Hash) bool {
	read, err := v1.NewHash(h.String())
	return err == nil && read.Algorithm == "sha256"
}

func hexOf(image name.Digest) string {
	h, _ := v1.NewHash(image.DigestStr()) // checkImage has looked
	return h.Hex
}
