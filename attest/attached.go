package attest

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// An Attachment is what a tool attached to an image that is no statement: the report of a scanner. MediaType is that of
// the layer, and Bytes are what it holds. Problem is why it could not be read: a [*RegistryError] with status 404, an
// [*intoto.FieldError] if it does not fit a digest or does not hold one layer, an [*intoto.LimitError].
type Attachment = referrers.Attachment

// Attached returns the one layer of a manifest in the repository of image. The Resolver verifies its digest and nothing
// else, so the caller must have the digest from a source that it trusts, such as a result in a signed provenance.
//
// Errors: [*intoto.FieldError] if image or manifest is not a SHA-256 digest; [*RegistryError]; [*intoto.LimitError] of
// the call; the end of ctx.
func (r *Resolver) Attached(ctx context.Context, image name.Digest, manifest v1.Hash) (Attachment, error) {
	if err := checkImage(image); err != nil {
		return Attachment{}, err
	}
	if !isSHA256(manifest) {
		return Attachment{}, &intoto.FieldError{Field: "manifest", Problem: fmt.Sprintf("%q is not a SHA-256 digest", manifest)}
	}
	ctx, done := registry.Within(ctx, registry.WhatCall, r.opts.Limits.CallTime)
	defer done()
	repo, err := r.open(ctx, image)
	if err != nil {
		return Attachment{}, err
	}
	a, err := repo.Attachment(ctx, manifest)
	if fatal := registry.Overtime(ctx, cmp.Or(referrers.IsFatal(err), ctx.Err())); fatal != nil {
		return Attachment{}, fault.Wrap("attached", fatal)
	}
	a.Problem = err
	return a, nil
}
