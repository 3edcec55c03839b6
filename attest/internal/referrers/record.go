package referrers

import (
	"bytes"
	"context"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// Annotations that a record carries. No signature covers them.
const (
	AnnotationPredicateType = "predicateType"                    // as cosign names it
	AnnotationTest          = "io.github.testdag.test"           // Test.Name
	AnnotationCreated       = "org.opencontainers.image.created" // the statement's own time, RFC 3339 in UTC
	AnnotationEnvelope      = "io.github.testdag.envelope"       // digest of the layer, which holds the envelope
	AnnotationPayload       = "io.github.testdag.payload"        // digest of the statement inside
)

// AnnotationNotShown names the records that cosign's tag cannot show.
const AnnotationNotShown = "io.github.testdag.notshown"

// annotationSignature is what cosign demands of a layer in its .att tag. For attestations it is empty: the signature is
// in the envelope.
const annotationSignature = "dev.cosignproject.cosign/signature"

// What cosign writes at a manifest that holds a bundle.
const (
	annotationBundleContent = "dev.sigstore.bundle.content"
	annotationBundleType    = "dev.sigstore.bundle.predicateType"
)

// A Record is attest.Record.
type Record struct {
	Repository name.Repository
	Digest     v1.Hash // of the manifest
	Size       int64   // of the manifest, in bytes
	Bytes      []byte  // the manifest
}

// String returns where the record is: repository@digest.
func (r Record) String() string { return r.Repository.Name() + "@" + r.Digest.String() }

// NewRecord returns the Record whose manifest is b.
func NewRecord(repo name.Repository, b []byte) Record {
	digest, size, _ := v1.SHA256(bytes.NewReader(b)) // reading from memory does not fail
	return Record{Repository: repo, Digest: digest, Size: size, Bytes: b}
}

// TagBase is how tags about an image begin. It is also the tag of the fallback index.
func TagBase(image name.Digest) string { return strings.Replace(image.DigestStr(), ":", "-", 1) }

// viewTag returns the tag of image under which cosign looks for statements: sha256-<image>.att.
func viewTag(image name.Digest) string { return TagBase(image) + ".att" }

// shortHex is how much of a manifest's digest the tag of a record has room for: 71 + 5 + 32 characters of 128.
const shortHex = 32

// RecordTag is the tag of one record alone, for records that are not in two other lists. It names the manifest, so no
// two writers share it, and a reader sees if it was moved.
func RecordTag(image name.Digest, manifest v1.Hash) string {
	return viewTag(image) + "." + manifest.Hex[:shortHex]
}

// shortDigest returns what the tag of a record says of its manifest's digest.
func shortDigest(tag string) (string, bool) {
	_, short, ok := strings.Cut(tag, ".att.")
	return short, ok
}

// MayHold returns the layers that may hold the statement, told by annotations: those of records, and those in cosign's
// tag. A record of which no list says anything is read only if that tag would not show it.
func (r *Records) MayHold(ctx context.Context, d Draft, l Listing, known Memory) ([]v1.Descriptor, error) {
	hint := registry.Describe(d.Payload, intoto.PayloadType).Digest.String()
	shows := l.View.exists() && r.Encoding == intoto.EncodingEnvelope && !r.WithoutViews
	var perhaps []string
	l.Pointers = l.union(nil)
	for _, p := range l.hinted() {
		silent := p.Hints.Payload == "" && (p.Hints.PredicateType == "" || p.Hints.PredicateType == d.PredicateType)
		if p.Hints.Payload == hint || silent && !shows {
			perhaps = append(perhaps, p.Ref)
		}
	}
	entries, err := r.Entries(ctx, perhaps, known)
	if err != nil {
		return nil, err
	}
	var layers []v1.Descriptor
	for _, e := range entries {
		if e.Err == nil && e.Descriptor.Annotations[AnnotationPayload] == hint {
			layers = union(layers, e.Statements)
		}
	}
	for _, layer := range l.View.Layers {
		h := ReadHints(layer.Annotations)
		if string(layer.MediaType) == string(r.Encoding.MediaType()) && h.PredicateType == d.PredicateType &&
			h.Test == d.Test && h.Created.Equal(d.Created) {
			layers = union(layers, []v1.Descriptor{layer})
		}
	}
	return layers, nil
}
