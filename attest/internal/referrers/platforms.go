package referrers

import (
	"context"
	"fmt"
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

// Platforms returns the images that one index lists, and which of them are indexes.
func (r *Records) Platforms(ctx context.Context, image name.Digest) (all []Platform, indexes []name.Digest, err error) {
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
