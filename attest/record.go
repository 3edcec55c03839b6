package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations that a record carries. No signature covers them: see [Resolver.Newest] for what they may decide.
const (
	AnnotationPredicateType = "predicateType"                    // as cosign names it
	AnnotationTest          = "io.github.testdag.test"           // Test.Name
	AnnotationCreated       = "org.opencontainers.image.created" // the statement's own time, RFC 3339 in UTC
	AnnotationEnvelope      = "io.github.testdag.envelope"       // digest of the layer, which holds the envelope
	AnnotationPayload       = "io.github.testdag.payload"        // digest of the statement inside
)

// AnnotationNotShown is an annotation of cosign's .att manifest. It names the records that cosign's tag cannot show:
// bundles, unsigned statements, and what is too large or one too many. Its value are the digests of their manifests, in
// ascending order, with a comma between two. One layer of each predicate type carries it too, since cosign attest
// --replace drops the annotations of the manifest and keeps those of the layers that it does not replace. A [Resolver]
// reads each record that any of the annotations names, so a copy of the tag without the records blocks.
const AnnotationNotShown = "io.github.testdag.notshown"

// annotationSignature is what cosign demands of a layer in its .att tag. For attestations it is empty: the signature is
// in the envelope.
const annotationSignature = "dev.cosignproject.cosign/signature"

// What cosign writes at a manifest that holds a bundle.
const (
	annotationBundleContent = "dev.sigstore.bundle.content"
	annotationBundleType    = "dev.sigstore.bundle.predicateType"
)

// A Record is one statement as stored: an immutable OCI manifest whose subject is the image. Tekton results point to
// it.
type Record struct {
	Repository name.Repository
	Digest     v1.Hash // of the manifest
	Size       int64   // of the manifest, in bytes
	Bytes      []byte  // the manifest
}

// String returns where the record is: repository@digest.
func (r Record) String() string { return r.Repository.Name() + "@" + r.Digest.String() }

func newRecord(repo name.Repository, b []byte) Record {
	digest, size, _ := v1.SHA256(bytes.NewReader(b)) // reading from memory does not fail
	return Record{Repository: repo, Digest: digest, Size: size, Bytes: b}
}

// A draft is a statement that is to be recorded.
type draft struct {
	image         name.Digest
	subject       v1.Descriptor
	test          string
	predicateType string
	created       time.Time
	payload       []byte
	stored        []byte // the payload in the form that is stored
}

// buildRecord makes the manifest for a statement that stored holds in the form that l says, of at most that many bytes.
func buildRecord(d draft, l layout, most int64, stored []byte) ([]byte, error) {
	form := l.form
	layer := describe(stored, form.mediaType())
	layer.Annotations = map[string]string{
		AnnotationPredicateType: d.predicateType,
		AnnotationTest:          d.test,
		AnnotationCreated:       d.created.UTC().Format(time.RFC3339Nano),
	}
	annotations := maps.Clone(layer.Annotations)
	annotations[AnnotationEnvelope] = layer.Digest.String()
	annotations[AnnotationPayload] = describe(d.payload, PayloadType).Digest.String()
	switch form {
	case FormEnvelope:
		layer.Annotations[annotationSignature] = ""
	case FormBundle:
		annotations[annotationBundleContent], annotations[annotationBundleType] = "dsse-envelope", d.predicateType
	}
	m := v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  form.artifactType(),
		Config:        describe([]byte(emptyConfig), emptyConfigType),
		Layers:        []v1.Descriptor{layer},
		Subject:       &d.subject,
		Annotations:   annotations,
	}
	if len(stored) > l.inlineBytes {
		return json.Marshal(m)
	}
	m.Layers[0].Data = stored
	b, err := json.Marshal(m)
	if err == nil && int64(len(b)) > most {
		m.Layers[0].Data = nil
		b, err = json.Marshal(m)
	}
	return b, err
}

func describe(b []byte, media types.MediaType) v1.Descriptor {
	digest, size, _ := v1.SHA256(bytes.NewReader(b)) // reading from memory does not fail
	return v1.Descriptor{MediaType: media, Digest: digest, Size: size}
}

// tagBase is how tags about an image begin. It is also the tag of the fallback index.
func tagBase(image name.Digest) string { return strings.Replace(image.DigestStr(), ":", "-", 1) }

func viewTag(image name.Digest) string { return tagBase(image) + ".att" }

// shortHex is how much of a manifest's digest the tag of a record has room for: 71 + 5 + 32 characters of 128.
const shortHex = 32

// recordTag is the tag of one record alone, for records that are not in two other lists. It names the manifest, so no
// two writers share it, and a reader sees if it was moved.
func recordTag(image name.Digest, manifest v1.Hash) string {
	return viewTag(image) + "." + manifest.Hex[:shortHex]
}

// shortDigest returns what the tag of a record says of its manifest's digest.
func shortDigest(tag string) (string, bool) {
	_, short, ok := strings.Cut(tag, ".att.")
	return short, ok
}

// mayHold returns the layers that may hold the statement, told by annotations: those of records, and those in cosign's
// tag. A record of which no list says anything is read only if that tag would not show it.
func (r *records) mayHold(ctx context.Context, d draft, l listing, known memory) ([]v1.Descriptor, error) {
	hint := describe(d.payload, PayloadType).Digest.String()
	shows := l.view.exists() && r.form == FormEnvelope && !r.withoutViews
	var perhaps []string
	l.pointers = l.union(nil)
	for _, p := range l.hinted() {
		silent := p.hints.payload == "" && (p.hints.predicateType == "" || p.hints.predicateType == d.predicateType)
		if p.hints.payload == hint || silent && !shows {
			perhaps = append(perhaps, p.ref)
		}
	}
	entries, err := r.entries(ctx, perhaps, known)
	if err != nil {
		return nil, err
	}
	var layers []v1.Descriptor
	for _, e := range entries {
		if e.err == nil && e.descriptor.Annotations[AnnotationPayload] == hint {
			layers = union(layers, e.statements)
		}
	}
	for _, layer := range l.view.layers {
		h := readHints(layer.Annotations)
		if string(layer.MediaType) == string(r.form.mediaType()) && h.predicateType == d.predicateType &&
			h.test == d.test && h.created.Equal(d.created) {
			layers = union(layers, []v1.Descriptor{layer})
		}
	}
	return layers, nil
}
