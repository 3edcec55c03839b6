package referrers

import (
	"cmp"
	"context"
	"net/http"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// The Records of images in one repository, for one call.
type Records struct {
	*registry.Repository
	Layout

	seeks        atomic.Int32 // whether tags can be sought, see seek
	ReplaceViews bool         // a view that is none may be overwritten
}

// A Layout is how records are written.
type Layout struct {
	Encoding     intoto.Encoding
	InlineBytes  int  // an envelope of that size goes into the manifest too
	WithoutViews bool // the tags that all writers share are left alone
}

// Open connects to a repository.
func Open(ctx context.Context, r *registry.Registry, repo name.Repository, l Layout) (*Records, error) {
	connected, err := r.Connect(ctx, repo)
	if err != nil {
		return nil, err
	}
	return &Records{Repository: connected, Layout: l}, nil
}

// Subject describes the image, which must exist.
func (r *Records) Subject(ctx context.Context, image name.Digest) (v1.Descriptor, error) {
	doc, err := r.ImageManifest(ctx, image)
	if err != nil {
		return v1.Descriptor{}, err
	}
	m, _ := ParseManifest(doc.Bytes, r.Options.Limits) // an image of an old kind has the type that it is served as
	return v1.Descriptor{MediaType: cmp.Or(m.MediaType, doc.Media), Digest: doc.Digest, Size: int64(len(doc.Bytes))}, nil
}

// ImageManifest reads the manifest of the image itself.
func (r *Records) ImageManifest(ctx context.Context, image name.Digest) (registry.Document, error) {
	doc, err := r.Manifest(ctx, image.DigestStr())
	if registry.IsNotFound(err) {
		err = &registry.Error{Op: "read manifest", Ref: r.Ref(image.DigestStr()), Status: http.StatusNotFound, Err: ErrNoImage}
	}
	return doc, err
}
