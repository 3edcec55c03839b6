package referrers

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
)

// An Attachment is what a tool attached to an image that is no statement: the report of a scanner.
type Attachment struct {
	MediaType string
	Bytes     []byte

	// Problem is why it could not be read: a [*registry.Error] with status 404, a [*fault.FieldError] if it does not fit a
	// digest or does not hold one layer, a [*fault.LimitError].
	Problem error
}

// Attachment reads the one layer of the manifest with that digest. It returns a [*fault.FieldError] if bytes do not
// fit a digest or there is not one layer, a [*fault.LimitError] if the layer is larger than Limits.AttachedBytes or a
// limit of the call is reached, otherwise a [*registry.Error].
func (r *Records) Attachment(ctx context.Context, digest v1.Hash) (Attachment, error) {
	doc, err := r.Manifest(ctx, digest.String())
	if err != nil {
		return Attachment{}, err
	}
	m, err := ParseManifest(doc.Bytes, r.Options.Limits)
	if err != nil {
		return Attachment{}, err
	}
	if len(m.Layers) != 1 {
		return Attachment{}, &fault.FieldError{Field: "layers", Problem: fmt.Sprintf("want one, got %d", len(m.Layers))}
	}
	layer := m.Layers[0]
	hash, err := v1.NewHash(layer.Digest)
	if err != nil {
		return Attachment{}, &fault.FieldError{Field: "layers", Problem: err.Error()}
	}
	if limit := r.Options.Limits.AttachedBytes; layer.Size > limit {
		return Attachment{}, &fault.LimitError{What: "attached bytes", Limit: limit, Got: layer.Size}
	}
	b, err := r.Blob(ctx, v1.Descriptor{Digest: hash, Size: layer.Size})
	if err != nil {
		return Attachment{}, err
	}
	return Attachment{MediaType: layer.MediaType, Bytes: b}, nil
}
