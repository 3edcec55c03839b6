package attest

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// An Attachment is what a tool attached to an image that is no statement: the report of a scanner.
type Attachment struct {
	MediaType string
	Bytes     []byte

	// Problem is why it could not be read: a *RegistryError with status 404, a *FieldError if it does not fit a digest
	// or does not hold one layer, a *LimitError.
	Problem error
}

// Attached returns the one layer of a manifest in the repository of image. The Resolver verifies its digest and nothing
// else, so the caller must have the digest from a source that it trusts, such as a result in a signed provenance.
//
// Errors: [*FieldError] if image or manifest is not a SHA-256 digest; [*RegistryError]; [*LimitError] of the call; the
// end of ctx.
func (r *Resolver) Attached(ctx context.Context, image name.Digest, manifest v1.Hash) (Attachment, error) {
	if err := checkImage(image); err != nil {
		return Attachment{}, err
	}
	if !isSHA256(manifest) {
		return Attachment{}, &FieldError{"manifest", fmt.Sprintf("%q is not a SHA-256 digest", manifest)}
	}
	ctx, done := within(ctx, whatCall, r.opts.Limits.CallTime)
	defer done()
	repo, err := r.open(ctx, image)
	if err != nil {
		return Attachment{}, err
	}
	a, err := repo.attachment(ctx, manifest)
	if fatal := overtime(ctx, cmp.Or(grave(err), ctx.Err())); fatal != nil {
		return Attachment{}, wrap("attached", fatal)
	}
	a.Problem = err
	return a, nil
}

func (r *records) attachment(ctx context.Context, digest v1.Hash) (Attachment, error) {
	doc, err := r.manifest(ctx, digest.String())
	if err != nil {
		return Attachment{}, err
	}
	m, err := parseManifest(doc.bytes, r.opts.Limits)
	if err != nil {
		return Attachment{}, err
	}
	if len(m.Layers) != 1 {
		return Attachment{}, &FieldError{"layers", fmt.Sprintf("want one, got %d", len(m.Layers))}
	}
	layer := m.Layers[0]
	hash, err := v1.NewHash(layer.Digest)
	if err != nil {
		return Attachment{}, &FieldError{"layers", err.Error()}
	}
	if limit := r.opts.Limits.AttachedBytes; layer.Size > limit {
		return Attachment{}, &LimitError{What: "attached bytes", Limit: limit, Got: layer.Size}
	}
	b, err := r.blob(ctx, v1.Descriptor{Digest: hash, Size: layer.Size})
	if err != nil {
		return Attachment{}, err
	}
	return Attachment{MediaType: layer.MediaType, Bytes: b}, nil
}
