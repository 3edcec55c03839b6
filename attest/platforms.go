package attest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A Platform is an image for one kind of machine, as an image index lists it.
type Platform struct {
	Image name.Digest
	Name  string // "linux/arm64/v8"; empty if the index does not say
}

// Platforms returns the images that an image index lists, in its order, and nothing for an image that is no index. An index
// that it lists is one of them, and those that this lists come behind all others.
// Evidence is bound to one digest: that of an index says nothing about what it lists, nor the other way round, unless
// a statement names both as its subjects. So who judges an index asks about it and about each of these. Manifests that
// build tools list beside the images, as descriptions of them, are left out.
//
// Errors: [*FieldError] if image is not a SHA-256 digest, or the index lists something that has none; [ErrNoImage];
// [*RegistryError]; [*LimitError].
func (r *Resolver) Platforms(ctx context.Context, image name.Digest) ([]Platform, error) {
	if err := checkImage(image); err != nil {
		return nil, err
	}
	ctx, done := within(ctx, whatCall, r.opts.Limits.CallTime)
	defer done()
	repo, err := r.open(ctx, image)
	if err != nil {
		return nil, err
	}
	indexes := []name.Digest{image} // those to read, each once
	var all []Platform
	for i := 0; i < len(indexes); i++ {
		listed, nested, err := repo.platforms(ctx, indexes[i])
		if i > 0 && errors.Is(err, ErrNoImage) {
			continue // a copy of some platforms alone leaves out others
		}
		all = append(all, listed...)
		if err := cmp.Or(err, repo.tooMany(len(all))); err != nil {
			return nil, err
		}
		for _, one := range nested {
			if !slices.Contains(indexes, one) {
				indexes = append(indexes, one)
			}
		}
	}
	return all, nil
}

// platforms returns the images that one index lists, and which of them are indexes.
func (r *records) platforms(ctx context.Context, image name.Digest) (all []Platform, indexes []name.Digest, err error) {
	doc, err := r.imageManifest(ctx, image)
	if err != nil {
		return nil, nil, err
	}
	m, err := parseManifest(doc.bytes, r.opts.Limits)
	if err != nil {
		return nil, nil, registryError("read manifest", r.ref(image.DigestStr()), err)
	}
	for i, d := range m.Manifests {
		if d.describesAnother() {
			continue
		}
		if h, err := v1.NewHash(d.Digest); err != nil || h.Algorithm != "sha256" {
			return nil, nil, &FieldError{fmt.Sprintf("manifests[%d].digest", i), fmt.Sprintf("%q is not a SHA-256 digest", d.Digest)}
		}
		one := image.Context().Digest(d.Digest)
		all = append(all, Platform{Image: one, Name: d.Platform.String()})
		if types.MediaType(d.MediaType).IsIndex() {
			indexes = append(indexes, one)
		}
	}
	return all, indexes, nil
}

// describesAnother reports whether a manifest in an index is no image but what BuildKit says of one. It is for no platform
// then. What is for one, or does not say, is run as an image, whatever an annotation calls it.
func (d descriptor) describesAnother() bool {
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" && d.Platform.String() == "unknown/unknown"
}

func (p *platform) String() string {
	if p == nil {
		return ""
	}
	return strings.TrimRight(strings.Join([]string{p.OS, p.Architecture, p.Variant}, "/"), "/")
}
