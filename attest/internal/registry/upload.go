package registry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Push uploads blobs and then writes the manifest that needs them. Registries lose blobs that several clients upload at
// once, and say so with the manifest, so both are tried again.
func (r *Repository) Push(
	ctx context.Context, identifier string, media types.MediaType, manifest []byte, blobs ...[]byte,
) error {
	_, err := Retry(ctx, r.Options, LostBlob, func() (struct{}, error) {
		for _, blob := range blobs {
			if err := r.Upload(ctx, blob); err != nil {
				return struct{}{}, &uploadError{err}
			}
		}
		return struct{}{}, r.Put(ctx, identifier, media, manifest)
	})
	var failed *uploadError
	if errors.As(err, &failed) {
		return failed.error
	}
	return Unfinished(ctx, "write manifest", r.Ref(identifier), err)
}

// PutStored writes a manifest whose blobs are stored already. If the registry lacks one, blobs are uploaded again.
func (r *Repository) PutStored(
	ctx context.Context, identifier string, media types.MediaType, manifest []byte, blobs ...[]byte,
) error {
	err := r.Put(ctx, identifier, media, manifest)
	if LostBlob(err) {
		return r.Push(ctx, identifier, media, manifest, blobs...)
	}
	return err
}

// An uploadError reports a blob that was not stored, however often that was tried.
type uploadError struct{ error }

// LostBlob reports whether a registry says with a manifest that a blob of it is not there.
func LostBlob(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool {
		switch d.Code {
		case transport.DigestInvalidErrorCode, transport.ManifestBlobUnknownErrorCode, transport.BlobUnknownErrorCode,
			transport.BlobUploadUnknownErrorCode, transport.BlobUploadInvalidErrorCode:
			return true
		}
		return false
	})
}

// lostUpload reports whether an upload failed in a way that a fresh one can cure.
func lostUpload(err error) bool { return LostBlob(err) || transient(err) }

// has reports whether the registry has a blob.
func (r *Repository) has(ctx context.Context, digest v1.Hash) (bool, error) {
	_, _, err := r.Do(ctx, Request{
		Op: "read blob", Ref: digest.String(), method: http.MethodHead, URL: r.URL("blobs/" + digest.String()),
		Counts: WhatEnvelope, Limit: r.Options.Limits.EnvelopeBytes,
	})
	if IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// StoreConfig makes sure that the config is there that all records share. It is not uploaded without need: that is the
// one blob that many writers would upload at once.
func (r *Repository) StoreConfig(ctx context.Context) error {
	there, err := r.has(ctx, Describe([]byte(EmptyConfig), "").Digest)
	if err != nil || there {
		return err
	}
	return r.Upload(ctx, []byte(EmptyConfig))
}

// Upload stores a blob. The registry may have taken bytes that it did not answer, so they are not sent again to the
// same address: each attempt begins anew. A blob that is there already stays as it is.
func (r *Repository) Upload(ctx context.Context, blob []byte) error {
	return r.during(ctx, Request{Op: opUpload}, func(ctx context.Context) error {
		begun := false
		again := func(err error) bool { return begun && lostUpload(err) }
		_, err := Retry(ctx, r.Options, again, func() (struct{}, error) {
			ctx, to, err := r.beginUpload(ctx)
			if begun = err == nil; !begun {
				return struct{}{}, err
			}
			return struct{}{}, r.send(ctx, to, blob)
		})
		return err
	})
}

const opUpload = "write blob"

// beginUpload returns the address that the registry gives for the bytes of a blob.
func (r *Repository) beginUpload(ctx context.Context) (context.Context, *url.URL, error) {
	begin := r.URL("blobs/uploads/")
	_, header, err := r.exchange(ctx, r.uploading(http.MethodPost, begin))
	if err != nil {
		return nil, nil, err
	}
	return uploadAddress(ctx, begin, header.Get("Location"))
}

// send sends all of a blob to the address of its upload, once.
func (r *Repository) send(ctx context.Context, to *url.URL, blob []byte) error {
	digest := "digest=" + url.QueryEscape(Describe(blob, "").Digest.String())
	to.RawQuery = strings.TrimPrefix(to.RawQuery+"&"+digest, "&") // as the registry spells it, which may be signed
	a := r.uploading(http.MethodPut, to)
	a.body, a.Header = blob, http.Header{"Content-Type": {"application/octet-stream"}}
	_, _, err := r.exchange(context.WithValue(ctx, onceKey{}, true), a)
	return err
}

// uploading is a request of an upload. The answer may be as long as that to a manifest.
func (r *Repository) uploading(method string, to *url.URL) Request {
	return Request{Op: opUpload, method: method, URL: to, Counts: "manifest bytes", Limit: r.Options.Limits.ManifestBytes}
}

// uploadAddress returns where a registry wants the bytes of a blob: at an address of its own, relative or not, or at
// one of another host, under the same guard as a redirect. The scheme of its own is the one that it was reached by,
// since a registry behind a proxy does not know it.
func uploadAddress(ctx context.Context, begun *url.URL, location string) (context.Context, *url.URL, error) {
	to, err := begun.Parse(location)
	if location == "" || err != nil { // err quotes what may hold a signature
		return nil, nil, errors.New("the registry does not say where to send the blob")
	}
	to.User = nil
	if to.Host == begun.Host {
		to.Scheme = begun.Scheme
	}
	req := (&http.Request{URL: to}).WithContext(ctx)
	if err := checkRedirect(req, []*http.Request{{URL: begun}}); err != nil {
		return nil, nil, err
	}
	return req.Context(), to, nil
}

// EmptyConfig is OCI's config of a manifest that needs none.
const (
	EmptyConfig     = "{}"
	EmptyConfigType = "application/vnd.oci.empty.v1+json"
)
