package attest

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
)

// A Platform is an image for one kind of machine, as an image index lists it: Image is its digest, and Name the machine,
// "linux/arm64/v8", empty if the index does not say.
type Platform = referrers.Platform

// Platforms returns the images that an image index lists, in its order, and nothing for an image that is no index. An index
// that it lists is one of them, and those that this lists come behind all others.
// Evidence is bound to one digest: that of an index says nothing about what it lists, nor the other way round, unless
// a statement names both as its subjects. So who judges an index asks about it and about each of these. Manifests that
// build tools list beside the images, as descriptions of them, are left out.
//
// Errors: [*intoto.FieldError] if image is not a SHA-256 digest, or the index lists something that has none;
// [ErrNoImage]; [*RegistryError]; [*intoto.LimitError].
func (r *Resolver) Platforms(ctx context.Context, image name.Digest) ([]Platform, error) {
	if err := checkImage(image); err != nil {
		return nil, err
	}
	ctx, done := registry.Within(ctx, registry.WhatCall, r.opts.Limits.CallTime)
	defer done()
	repo, err := r.open(ctx, image)
	if err != nil {
		return nil, err
	}
	return repo.Platforms(ctx, image)
}
