package attest

import (
	"bytes"
	"cmp"
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

// annotationSignature is what cosign demands of a layer in its .att tag. For attestations it is empty: the signature is
// in the envelope.
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

// shortHex is how much of a manifest's digest the tag of a record has room for: 71 + 5 + 32 characters of 128.
const shortHex = 32

// recordTag is the tag of one record alone, where there is no referrers API. It names the manifest, so no two writers
// share it, and a reader sees if it was moved.
func recordTag(image name.Digest, manifest v1.Hash) string {
	return viewTag(image) + "." + manifest.Hex[:shortHex]
}

// shortDigest returns what the tag of a record says of its manifest's digest.
func shortDigest(tag string) (string, bool) {
	_, short, ok := strings.Cut(tag, ".att.")
	return short, ok
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

// holds reports whether a manifest is in the listing.
func (l listing) holds(manifest v1.Hash) bool {
	return slices.ContainsFunc(l.entries, func(e entry) bool { return e.descriptor.Digest == manifest })
}

// A memory holds manifests already read in this call, by digest or by the tag that names their digest.
type memory map[string]entry

// list reads the record of image: what the referrers API says, the fallback index, and the tags of single records. Those
// are asked for where there is no such API, or where a fallback index shows that it does not list everything. Every
// manifest is fetched, since a list may say anything about it.
func (r *repository) list(ctx context.Context, image name.Digest, known memory) (listing, error) {
	refs, err := r.referrers(ctx, image)
	if err != nil && !errors.Is(err, errNoList) {
		return listing{}, err
	}
	l := listing{referrers: err == nil}
	more, err := r.fallback(ctx, image)
	if err != nil && !errors.Is(err, errNotIndex) {
		return listing{}, err
	}
	l.index = err == nil
	refs = append(refs, more...)
	if !l.referrers || !l.index || more != nil {
		tags, err := r.recordTags(ctx, image)
		if err != nil {
			return listing{}, err
		}
		refs = append(refs, unlisted(tags, refs)...)
	}
	l.entries, err = r.entries(ctx, refs, known)
	return l, err
}

// entries fetches the manifests behind tags and digests, and keeps those that hold statements and those that cannot be
// read.
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
	var keep []entry
	for i, e := range all {
		if e.err == nil {
			known[refs[i]] = e
		}
		if e.err != nil || len(e.statements) > 0 {
			keep = append(keep, e)
		}
	}
	return keep, nil
}

// entry fetches one manifest. Only an error that says nothing about the manifest is returned; others are part of the
// entry.
func (r *repository) entry(ctx context.Context, ref string) (entry, error) {
	doc, err := r.manifest(ctx, ref)
	if err != nil {
		digest, _ := v1.NewHash(ref)
		return entry{descriptor: v1.Descriptor{Digest: digest}, err: err}, grave(err)
	}
	e := parseEntry(doc, r.opts.Limits)
	if short, ok := shortDigest(ref); ok && !strings.HasPrefix(doc.digest.Hex, short) {
		e.err = &FieldError{"tag " + ref, fmt.Sprintf("was moved to %s", doc.digest)}
	}
	return e, nil
}

// grave returns err if it is about the registry or this call, nil if it is about the one thing that was asked for.
func grave(err error) error {
	var limit *LimitError
	if errors.As(err, &limit) && slices.Contains([]string{whatTotal, whatValues, whatRequest, whatCall}, limit.What) {
		return err
	}
	var registry *RegistryError
	if errors.As(err, &registry) && registry.Status != http.StatusNotFound {
		return err
	}
	return nil
}

// A manifest is what is looked at in an image manifest or in an index. Fields that are not needed are not even decoded.
type manifest struct {
	MediaType    types.MediaType   `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
	Layers       []descriptor      `json:"layers"`    // nil in an index
	Manifests    []descriptor      `json:"manifests"` // nil in an image manifest
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
}

// parseManifest decodes an image manifest or an index. Its bytes tell which it is: no digest covers the media type that
// a registry serves it as. One that may be either, or neither, is an error and never an empty list.
func parseManifest(b []byte, limits Limits) (manifest, error) {
	var m manifest
	if err := decode(b, &m, limits.json()); err != nil {
		return manifest{}, err
	}
	if (m.Layers == nil) == (m.Manifests == nil) {
		return manifest{}, &FieldError{"manifests", "there must be manifests or layers, and not both"}
	}
	return m, nil
}

func parseEntry(doc document, limits Limits) entry {
	e := entry{
		descriptor: v1.Descriptor{MediaType: doc.media, Digest: doc.digest, Size: int64(len(doc.bytes))},
		bytes:      doc.bytes,
	}
	var m manifest
	if m, e.err = parseManifest(doc.bytes, limits); e.err != nil {
		return e
	}
	e.descriptor.MediaType = cmp.Or(m.MediaType, doc.media)
	e.descriptor.ArtifactType, e.descriptor.Annotations = m.ArtifactType, m.Annotations
	e.statements, e.err = m.statements(limits.Statements)
	return e
}

// statements returns the layers that hold a statement. An index has no layers.
func (m manifest) statements(limit int) ([]v1.Descriptor, error) {
	var out []v1.Descriptor
	for _, l := range m.Layers {
		if formOf(l.MediaType) == "" {
			continue
		}
		digest, err := v1.NewHash(l.Digest)
		if err != nil {
			return nil, &FieldError{"layers", err.Error()}
		}
		if len(out) == limit {
			return nil, &LimitError{What: "statements", Limit: int64(limit), Got: int64(limit) + 1}
		}
		media := types.MediaType(l.MediaType)
		out = append(out, v1.Descriptor{MediaType: media, Digest: digest, Size: l.Size, Annotations: l.Annotations})
	}
	if len(out) == 0 && isInToto(m.ArtifactType) {
		return nil, &FieldError{"layers", "none holds a statement"}
	}
	return out, nil
}

// referrers lists the manifests that refer to image, over all pages.
func (r *repository) referrers(ctx context.Context, image name.Digest) ([]string, error) {
	var refs []string
	err := r.pages(ctx, ask{
		op: "list referrers", ref: image.DigestStr(), url: r.url("referrers/" + image.DigestStr()),
		header: http.Header{"Accept": {string(types.OCIImageIndex)}},
	}, lacksReferrers, func(body []byte) error {
		m, err := parseManifest(body, r.opts.Limits)
		if err == nil && m.Manifests == nil {
			err = errNotIndex
		}
		refs = append(refs, m.digests()...)
		return err
	})
	return refs, err
}

var errNotIndex = errors.New("not an image index")

// lacksReferrers reports whether a registry answers as those without the referrers API do. 403, 429 and 5xx say nothing
// about it.
func lacksReferrers(err error) bool {
	var e *RegistryError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed,
		http.StatusNotAcceptable, http.StatusNotImplemented:
		return true
	}
	return false
}

// fallback reads the index that clients keep where there is no referrers API, nil if there is none. Some registries
// answer with the image itself.
func (r *repository) fallback(ctx context.Context, image name.Digest) ([]string, error) {
	doc, err := r.manifest(ctx, tagBase(image))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if doc.digest.String() == image.DigestStr() {
		return nil, errNotIndex
	}
	m, err := parseManifest(doc.bytes, r.opts.Limits)
	if err != nil {
		return nil, registryError("read manifest", r.ref(tagBase(image)), err)
	}
	if m.Manifests == nil {
		return nil, errNotIndex
	}
	return m.digests(), nil
}

// digests returns those of the manifests in an index.
func (m manifest) digests() []string {
	refs := []string{}
	for _, d := range m.Manifests {
		refs = append(refs, d.Digest)
	}
	return refs
}

// recordTags lists the tags of single records. No number of tags is asked for, since what a registry then leaves out it
// does not always say.
func (r *repository) recordTags(ctx context.Context, image name.Digest) ([]string, error) {
	var refs []string
	err := r.pages(ctx, ask{op: "list tags", url: r.url("tags/list")}, isNotFound, func(body []byte) error {
		tags, err := parseTags(body, r.opts.Limits)
		for _, tag := range tags {
			if strings.HasPrefix(tag, viewTag(image)+".") {
				refs = append(refs, tag)
			}
		}
		return err
	})
	if errors.Is(err, errNoList) {
		_, err := r.subject(ctx, image) // a repository without tags has the image all the same
		return nil, err
	}
	return refs, err
}

// parseTags reads one page of tags. Some registries write null for none; what lacks the field is another document.
func parseTags(body []byte, limits Limits) ([]string, error) {
	var page map[string]json.RawMessage
	if err := decode(body, &page, limits.json()); err != nil {
		return nil, err
	}
	if page["tags"] == nil {
		return nil, &FieldError{"tags", "required"}
	}
	var tags []string
	return tags, json.Unmarshal(page["tags"], &tags)
}

// unlisted returns those tags of single records that are not of one of the digests.
func unlisted(tags, digests []string) []string {
	known := map[string]bool{}
	for _, d := range digests {
		if _, hex, ok := strings.Cut(d, ":"); ok && len(hex) >= shortHex {
			known[hex[:shortHex]] = true
		}
	}
	return slices.DeleteFunc(tags, func(tag string) bool {
		short, ok := shortDigest(tag)
		return ok && known[short]
	})
}
