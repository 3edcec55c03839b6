package referrers

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

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
)

// A Platform is an image for one kind of machine, as an image index lists it.
type Platform struct {
	Image name.Digest
	Name  string // "linux/arm64/v8"; empty if the index does not say
}

// Platforms returns the images that an index lists, in its order, and nothing for an image that is no index. Those that
// an index among them lists come behind all others. A listed index that is missing is passed over.
func (r *Records) Platforms(ctx context.Context, image name.Digest) ([]Platform, error) {
	indexes := []name.Digest{image} // those to read, each once
	var all []Platform
	for i := 0; i < len(indexes); i++ {
		listed, nested, err := r.platformsOf(ctx, indexes[i])
		if i > 0 && errors.Is(err, ErrNoImage) {
			continue // a copy of some platforms alone leaves out others
		}
		all = append(all, listed...)
		if err := cmp.Or(err, r.TooMany(len(all))); err != nil {
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

// platformsOf returns the images that one index lists, and which of them are indexes.
func (r *Records) platformsOf(ctx context.Context, image name.Digest) (all []Platform, indexes []name.Digest, err error) {
	doc, err := r.ImageManifest(ctx, image)
	if err != nil {
		return nil, nil, err
	}
	m, err := ParseManifest(doc.Bytes, r.Options.Limits)
	if err != nil {
		return nil, nil, registry.Wrap("read manifest", r.Ref(image.DigestStr()), err)
	}
	for i, d := range m.Manifests {
		if d.describesAnother() {
			continue
		}
		if h, err := v1.NewHash(d.Digest); err != nil || h.Algorithm != "sha256" {
			return nil, nil, &fault.FieldError{Field: fmt.Sprintf("manifests[%d].digest", i), Problem: fmt.Sprintf("%q is not a SHA-256 digest", d.Digest)}
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
