package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations that a record carries. They are hints for people and for other tools; nothing here believes them.
const (
	AnnotationPredicateType = "predicateType"              // as cosign names it
	AnnotationTest          = "io.github.testdag.test"     // Test.Name
	AnnotationEnvelope      = "io.github.testdag.envelope" // digest of the envelope
	AnnotationPayload       = "io.github.testdag.payload"  // digest of the statement inside
)

// annotationSignature is what cosign demands of a layer in its .att tag. For attestations it is empty: the signature is in the envelope.
const annotationSignature = "dev.cosignproject.cosign/signature"

// emptyConfig is OCI's config of a manifest that needs none.
const (
	emptyConfig     = "{}"
	emptyConfigType = "application/vnd.oci.empty.v1+json"
)

// A Record is one statement as stored: an immutable OCI manifest whose subject is the image. Tekton results point to it.
type Record struct {
	Repository name.Repository
	Digest     v1.Hash // of the manifest
	Size       int64   // of the manifest, in bytes
	Bytes      []byte  // the manifest
}

func newRecord(repo name.Repository, b []byte) Record {
	digest, size, _ := v1.SHA256(bytes.NewReader(b)) // reading from memory does not fail
	return Record{Repository: repo, Digest: digest, Size: size, Bytes: b}
}

// buildRecord makes the manifest for an envelope.
func buildRecord(subject v1.Descriptor, test Test, envelope, payload []byte) ([]byte, error) {
	layer := describe(envelope, EnvelopeType)
	layer.Annotations = map[string]string{AnnotationPredicateType: test.PredicateType, annotationSignature: ""}
	return json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  PayloadType,
		Config:        describe([]byte(emptyConfig), emptyConfigType),
		Layers:        []v1.Descriptor{layer},
		Subject:       &subject,
		Annotations: map[string]string{
			AnnotationPredicateType: test.PredicateType,
			AnnotationTest:          test.Name,
			AnnotationEnvelope:      layer.Digest.String(),
			AnnotationPayload:       describe(payload, PayloadType).Digest.String(),
		},
	})
}

func describe(b []byte, media types.MediaType) v1.Descriptor {
	digest, size, _ := v1.SHA256(bytes.NewReader(b)) // reading from memory does not fail
	return v1.Descriptor{MediaType: media, Digest: digest, Size: size}
}

func layer(b []byte, media types.MediaType) v1.Layer { return static.NewLayer(b, media) }

// tagBase is how tags about an image begin. It is also the tag of the fallback index.
func tagBase(image name.Digest) string { return strings.Replace(image.DigestStr(), ":", "-", 1) }

func viewTag(image name.Digest) string { return tagBase(image) + ".att" }

// recordTag is the tag of one record alone, where there is no referrers API. It names the manifest, so its content never changes
// and no two writers share it: 71 + 5 + 32 characters of 128.
func recordTag(image name.Digest, manifest v1.Hash) string {
	return viewTag(image) + "." + manifest.Hex[:32]
}

// An entry is one manifest of the record of an image, or its .att view.
type entry struct {
	descriptor v1.Descriptor
	bytes      []byte
	statements []v1.Descriptor // layers that hold a statement
	err        error           // why it could not be read
}

// A listing is the record of an image.
type listing struct {
	referrers bool // the registry has the referrers API
	index     bool // the tag of the fallback index is free, or is one
	entries   []entry
}

// A memory holds manifests already read in this call. They are immutable.
type memory map[string]entry

// list reads the record of image: what the referrers API says, and the fallback index; and where there is no such API the tags
// of single records. Every manifest is fetched, since a list may say anything about it.
func (r *repository) list(ctx context.Context, image name.Digest, known memory) (listing, error) {
	var l listing
	refs, err := r.referrers(ctx, image)
	switch {
	case err == nil:
		l.referrers = true
	case !lacksReferrers(err):
		return listing{}, err
	}
	more, err := r.fallback(ctx, image)
	l.index = !errors.Is(err, errNotIndex)
	if err != nil && l.index {
		return listing{}, err
	}
	refs = append(refs, more...)
	if !l.referrers {
		tags, err := r.recordTags(ctx, image)
		if err != nil {
			return listing{}, err
		}
		refs = append(refs, tags...)
	}
	l.entries, err = r.entries(ctx, refs, known)
	return l, err
}

// entries fetches the manifests behind tags and digests, and keeps those that hold statements and those that cannot be read.
func (r *repository) entries(ctx context.Context, refs []string, known memory) ([]entry, error) {
	slices.Sort(refs)
	refs = slices.Compact(refs)
	if limit := r.opts.Limits.Statements; len(refs) > limit {
		return nil, &LimitError{What: "statements", Limit: int64(limit), Got: int64(len(refs))}
	}
	all := make([]entry, len(refs))
	err := parallel(ctx, len(refs), r.opts.Parallel, func(ctx context.Context, i int) (err error) {
		e, ok := known[refs[i]]
		if !ok {
			e, err = r.entry(ctx, refs[i])
		}
		all[i] = e
		return err
	})
	if err != nil {
		return nil, err
	}
	seen := map[v1.Hash]bool{}
	var keep []entry
	for i, e := range all {
		if e.err == nil {
			known[refs[i]] = e
		}
		if e.err == nil && (len(e.statements) == 0 || seen[e.descriptor.Digest]) {
			continue
		}
		seen[e.descriptor.Digest] = true
		keep = append(keep, e)
	}
	return keep, nil
}

// entry fetches one manifest. Only an error that says nothing about the manifest is returned; others are part of the entry.
func (r *repository) entry(ctx context.Context, ref string) (entry, error) {
	doc, err := r.manifest(ctx, ref)
	if err != nil {
		digest, _ := v1.NewHash(ref)
		return entry{descriptor: v1.Descriptor{Digest: digest}, err: err}, grave(err)
	}
	return parseEntry(doc, r.opts.Limits.Depth), nil
}

// grave returns err if it is about the registry or this call, nil if it is about the one thing that was asked for.
func grave(err error) error {
	var limit *LimitError
	if errors.As(err, &limit) && limit.What == whatTotal {
		return err
	}
	var registry *RegistryError
	if errors.As(err, &registry) && registry.Status != http.StatusNotFound {
		return err
	}
	return nil
}

func parseEntry(doc document, depth int) entry {
	e := entry{
		descriptor: v1.Descriptor{MediaType: doc.media, Digest: doc.digest, Size: int64(len(doc.bytes))},
		bytes:      doc.bytes,
	}
	if doc.media.IsIndex() {
		return e // an index has no layers, so no statement
	}
	var m v1.Manifest
	if e.err = decode(doc.bytes, &m, depth); e.err != nil {
		return e
	}
	e.descriptor.ArtifactType, e.descriptor.Annotations = m.ArtifactType, m.Annotations
	for _, l := range m.Layers {
		if l.MediaType == EnvelopeType || l.MediaType == PayloadType || isBundle(string(l.MediaType)) {
			e.statements = append(e.statements, l)
		}
	}
	if m.ArtifactType == PayloadType && len(e.statements) == 0 {
		e.err = &FieldError{"layers", "none holds a statement"}
	}
	return e
}

// referrers lists the manifests that refer to image, over all pages.
func (r *repository) referrers(ctx context.Context, image name.Digest) ([]string, error) {
	var refs []string
	u := r.url("referrers/" + image.DigestStr())
	err := r.pages(ctx, "list referrers", image.DigestStr(), u, string(types.OCIImageIndex), func(body []byte, h http.Header) error {
		media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
		if len(refs) == 0 && media != string(types.OCIImageIndex) {
			return errNotIndex
		}
		page, err := r.indexed(body)
		refs = append(refs, page...)
		return err
	})
	return refs, err
}

var errNotIndex = errors.New("not an image index")

// lacksReferrers reports whether a registry answers as those without the referrers API do. 403, 429 and 5xx say nothing about it.
func lacksReferrers(err error) bool {
	if errors.Is(err, errNotIndex) {
		return true
	}
	var e *RegistryError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
		return true
	}
	return false
}

// fallback reads the index that clients keep where there is no referrers API. Some registries answer with the image itself.
func (r *repository) fallback(ctx context.Context, image name.Digest) ([]string, error) {
	doc, err := r.manifest(ctx, tagBase(image))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if doc.media != types.OCIImageIndex || doc.digest.String() == image.DigestStr() {
		return nil, errNotIndex
	}
	return r.indexed(doc.bytes)
}

// indexed returns the digests in an index.
func (r *repository) indexed(body []byte) ([]string, error) {
	var index v1.IndexManifest
	if err := decode(body, &index, r.opts.Limits.Depth); err != nil {
		return nil, fmt.Errorf("attest: list of referrers: %w", err)
	}
	var refs []string
	for _, d := range index.Manifests {
		refs = append(refs, d.Digest.String())
	}
	return refs, nil
}

// recordTags lists the tags of single records. No number of tags is asked for, since what a registry then leaves out it does not always say.
func (r *repository) recordTags(ctx context.Context, image name.Digest) ([]string, error) {
	var refs []string
	prefix := viewTag(image) + "."
	err := r.pages(ctx, "list tags", "", r.url("tags/list"), "application/json", func(body []byte, _ http.Header) error {
		var page struct {
			Tags []string `json:"tags"`
		}
		if err := decode(body, &page, r.opts.Limits.Depth); err != nil {
			return fmt.Errorf("attest: list of tags: %w", err)
		}
		for _, tag := range page.Tags {
			if strings.HasPrefix(tag, prefix) {
				refs = append(refs, tag)
			}
		}
		return nil
	})
	if isNotFound(err) {
		_, err := r.subject(ctx, image) // a repository without tags has the image all the same
		return nil, err
	}
	return refs, err
}
