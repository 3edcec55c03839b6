package attest

import (
	"cmp"
	"context"
	"net/http"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The records of images in one repository, for one call.
type records struct {
	*repository
	layout

	seeks        atomic.Int32 // whether tags can be sought, see seek
	replaceViews bool         // a view that is none may be overwritten
}

// A layout is how records are written.
type layout struct {
	form         Form
	inlineBytes  int  // an envelope of that size goes into the manifest too
	withoutViews bool // the tags that all writers share are left alone
}

// openRecords connects to a repository.
func openRecords(ctx context.Context, r *registry, repo name.Repository, l layout) (*records, error) {
	connected, err := r.repository(ctx, repo)
	if err != nil {
		return nil, err
	}
	return &records{repository: connected, layout: l}, nil
}

// subject describes the image, which must exist.
func (r *records) subject(ctx context.Context, image name.Digest) (v1.Descriptor, error) {
	doc, err := r.imageManifest(ctx, image)
	if err != nil {
		return v1.Descriptor{}, err
	}
	m, _ := parseManifest(doc.bytes, r.opts.Limits) // an image of an old kind has the type that it is served as
	return v1.Descriptor{MediaType: cmp.Or(m.MediaType, doc.media), Digest: doc.digest, Size: int64(len(doc.bytes))}, nil
}

// imageManifest reads the manifest of the image itself.
func (r *records) imageManifest(ctx context.Context, image name.Digest) (document, error) {
	doc, err := r.manifest(ctx, image.DigestStr())
	if isNotFound(err) {
		err = &RegistryError{Op: "read manifest", Ref: r.ref(image.DigestStr()), Status: http.StatusNotFound, Err: ErrNoImage}
	}
	return doc, err
}
