package attest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.uber.org/zap"
)

// A Writer signs statements about images and stores them beside the images. It is safe for concurrent use.
type Writer struct {
	signer   Signer
	registry *registry
	log      *zap.Logger
}

// NewWriter returns a Writer that signs with s.
func NewWriter(s Signer, opts Options) *Writer {
	r := newRegistry(opts, transport.PushScope)
	return &Writer{signer: s, registry: r, log: r.opts.Logger}
}

// Write states that test had the outcome p on image, signs that, and stores it in the image's repository as a manifest
// of its own whose subject is the image. When it returns without an error the record has been read back and is listed,
// and the views show it. The name of the test is written into the predicate, see [Test].
//
// Writing the same statement again leaves one, if the Signer can tell its own signature (see [Signer]) or signs alike
// each time.
//
// Errors: [*FieldError] for what the predicate or an argument lacks, all at once; [*FutureError], since no [Resolver]
// would believe it; [ErrNoImage]; [*RegistryError]; [*LimitError]; what the Signer returns. A Record that is not zero is
// stored, whatever the error: a [*ViewError] says that a [Resolver] finds it and only other tools do not see it yet,
// any other error that nobody can be sure to find it.
func (w *Writer) Write(ctx context.Context, image name.Digest, test string, p Predicate) (Record, error) {
	payload, err := encode(image, test, p)
	if err != nil {
		return Record{}, err
	}
	opts := w.registry.opts
	if now := opts.Now(); p.when().After(now.Add(opts.Skew)) {
		return Record{}, &FutureError{Time: p.when(), Now: now, Skew: opts.Skew}
	}
	ctx, done := within(ctx, whatCall, opts.Limits.CallTime)
	defer done()
	repo, err := w.registry.repository(ctx, image.Context())
	if err != nil {
		return Record{}, err
	}
	known := memory{}
	record, l, err := w.record(ctx, repo, image, Test{test, p.PredicateType()}, payload, known)
	if err != nil || opts.WithoutViews {
		return record, err
	}
	return record, repo.repair(ctx, image, known, l)
}

// record returns the record of payload, written before or now, and a list with it.
func (w *Writer) record(
	ctx context.Context, repo *repository, image name.Digest, test Test, payload []byte, known memory,
) (Record, listing, error) {
	subject, err := repo.subject(ctx, image)
	if err != nil {
		return Record{}, listing{}, err
	}
	l, err := repo.list(ctx, image, known)
	if err != nil {
		return Record{}, listing{}, err
	}
	d := draft{image, subject, test, payload}
	if record, ok := w.find(ctx, repo, d, l); ok {
		return record, l, nil
	}
	record, err := w.add(ctx, repo, d, l.referrers)
	if err != nil {
		return Record{}, listing{}, err
	}
	l, err = repo.publish(ctx, image, record, known)
	return record, l, err // it is stored, listed or not
}

// encode makes the statement's bytes. Equal arguments give equal bytes.
func encode(image name.Digest, test string, p Predicate) ([]byte, error) {
	if v := reflect.ValueOf(p); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, &FieldError{"predicate", "required"}
	}
	if test == "" {
		return nil, &FieldError{"test", "required"}
	}
	digest, err := v1.NewHash(image.DigestStr())
	if err != nil || digest.Algorithm != "sha256" {
		return nil, &FieldError{"image", fmt.Sprintf("%q is not a SHA-256 digest", image.DigestStr())}
	}
	p, err = p.named(test)
	if err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	predicate, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("attest: predicate: %w", err)
	}
	return json.Marshal(Statement{
		Type:          StatementType,
		Subject:       []ResourceDescriptor{{Name: image.Context().Name(), Digest: map[string]string{"sha256": digest.Hex}}},
		PredicateType: p.PredicateType(),
		Predicate:     predicate,
	})
}

// subject describes the image, which must exist.
func (r *repository) subject(ctx context.Context, image name.Digest) (v1.Descriptor, error) {
	doc, err := r.manifest(ctx, image.DigestStr())
	if isNotFound(err) {
		return v1.Descriptor{}, &RegistryError{
			Op: "read manifest", Ref: r.ref(image.DigestStr()), Status: http.StatusNotFound, Err: ErrNoImage,
		}
	}
	if err != nil {
		return v1.Descriptor{}, err
	}
	m, _ := parseManifest(doc.bytes, r.opts.Limits) // an image of an old kind has the type that it is served as
	return v1.Descriptor{MediaType: cmp.Or(m.MediaType, doc.media), Digest: doc.digest, Size: int64(len(doc.bytes))}, nil
}

// A draft is a statement that is to be recorded.
type draft struct {
	image   name.Digest
	subject v1.Descriptor
	test    Test
	payload []byte
}

// find returns the record that already holds the statement, if the signer vouches for it and the record is just as it
// would be written. That somebody has put the statement there is not enough: without a good signature it would count for
// nothing, and a manifest may hold more than it says.
func (w *Writer) find(ctx context.Context, repo *repository, d draft, l listing) (Record, bool) {
	v, ok := w.signer.(Verifier)
	if !ok {
		return Record{}, false
	}
	hint := describe(d.payload, PayloadType).Digest.String()
	for _, e := range l.entries {
		if e.err != nil || e.descriptor.Annotations[AnnotationPayload] != hint || len(e.statements) != 1 {
			continue
		}
		envelope, err := repo.blob(ctx, e.statements[0])
		if err != nil {
			continue
		}
		own, err := buildRecord(d.subject, d.test, envelope, d.payload)
		if err != nil || !bytes.Equal(own, e.bytes) {
			continue
		}
		c := Candidate{Image: d.image, Manifest: e.descriptor.Digest, MediaType: EnvelopeType, Bytes: envelope}
		if _, err := verify(ctx, v, c, d.payload); err != nil {
			continue
		}
		w.log.Debug("statement is already recorded", zap.Stringer("manifest", e.descriptor.Digest))
		return newRecord(repo.name, e.bytes), true
	}
	return Record{}, false
}

// add signs the statement and stores it.
func (w *Writer) add(ctx context.Context, repo *repository, d draft, referrers bool) (Record, error) {
	envelope, err := w.sign(ctx, d.payload)
	if err != nil {
		return Record{}, err
	}
	b, err := buildRecord(d.subject, d.test, envelope, d.payload)
	if err != nil {
		return Record{}, err
	}
	record := newRecord(repo.name, b)
	at := record.Digest.String()
	if !referrers {
		at = recordTag(d.image, record.Digest)
	}
	config := layer([]byte(emptyConfig), emptyConfigType)
	pushed := repo.push(ctx, at, types.OCIManifestSchema1, b, layer(envelope, EnvelopeType), config)
	// What can be read back is stored, even if the answer that said so was lost and the tag cannot be written twice.
	if err := repo.readBack(ctx, at, record, describe(envelope, EnvelopeType)); err != nil {
		return Record{}, cmp.Or(pushed, err)
	}
	return record, nil
}

// sign returns an envelope that a reader will accept, whatever the signer makes.
func (w *Writer) sign(ctx context.Context, payload []byte) ([]byte, error) {
	limits := w.registry.opts.Limits
	envelope, err := w.signer.Sign(ctx, PayloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("attest: sign: %w", overtime(ctx, err))
	}
	signed, err := openEnvelope(envelope, limits.json())
	if err != nil {
		return nil, fmt.Errorf("attest: sign: %w", err)
	}
	if !bytes.Equal(signed, payload) {
		return nil, errors.New("attest: sign: the envelope holds another payload")
	}
	if got := int64(len(envelope)); got > limits.EnvelopeBytes {
		return nil, &LimitError{What: whatEnvelope, Limit: limits.EnvelopeBytes, Got: got}
	}
	return envelope, nil
}

// publish makes sure that a new record is listed, and returns the list. There are registries, and proxies before them,
// that answer for referrers and list none. With those a record gets the tag, and the views, of a registry without that
// API.
func (r *repository) publish(ctx context.Context, image name.Digest, record Record, known memory) (listing, error) {
	own := parseEntry(document{record.Bytes, types.OCIManifestSchema1, record.Digest}, r.opts.Limits)
	var last error
	wait := r.opts.Backoff
	for attempt := 0; ; attempt++ {
		l, err := r.list(ctx, image, known)
		if err != nil || l.holds(record.Digest) {
			return l, err
		}
		if attempt == r.opts.Attempts {
			break
		}
		if l.referrers {
			last = r.put(ctx, recordTag(image, record.Digest), types.OCIManifestSchema1, record.Bytes)
		}
		l.referrers, l.entries = false, append(l.entries, own)
		_, err = r.rebuild(ctx, image, l)
		last = errors.Join(last, err)
		if err := sleep(ctx, wait); err != nil {
			return listing{}, registryError("list records", r.name.Name(), overtime(ctx, err))
		}
		wait *= 4
	}
	err := errors.New("the record is stored, but the registry does not list it")
	if last != nil {
		err = fmt.Errorf("%w (%v)", err, last) // not wrapped, since a ViewError would say that all is well
	}
	return listing{}, &RegistryError{Op: "list records", Ref: r.ref(record.Digest.String()), Err: err}
}

// push uploads blobs and then the manifest that needs them. Registries lose blobs that several clients upload at once,
// and say so with the manifest, so both are tried again.
func (r *repository) push(
	ctx context.Context, identifier string, media types.MediaType, manifest []byte, blobs ...v1.Layer,
) error {
	wait := r.opts.Backoff
	for attempt := 1; ; attempt++ {
		err := r.upload(ctx, blobs...)
		if err == nil {
			err = r.put(ctx, identifier, media, manifest)
		}
		if err == nil || attempt >= r.opts.Attempts || !lostUpload(err) {
			return err
		}
		r.opts.Logger.Debug("pushing again", zap.String("tag or digest", identifier), zap.Int("attempt", attempt))
		if err := sleep(ctx, wait); err != nil {
			return registryError("write manifest", r.ref(identifier), overtime(ctx, err))
		}
		wait *= 4
	}
}

// lostUpload reports whether a push failed in a way that a fresh one can cure.
func lostUpload(err error) bool {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return false
	}
	for _, d := range answer.Errors {
		switch d.Code {
		case transport.DigestInvalidErrorCode, transport.ManifestBlobUnknownErrorCode, transport.BlobUnknownErrorCode,
			transport.BlobUploadUnknownErrorCode, transport.BlobUploadInvalidErrorCode:
			return true
		}
	}
	return answer.Temporary()
}

// readBack makes sure that what was written can be found and read.
func (r *repository) readBack(ctx context.Context, identifier string, want Record, envelope v1.Descriptor) error {
	doc, err := r.manifest(ctx, identifier)
	if err == nil && !bytes.Equal(doc.bytes, want.Bytes) {
		err = fmt.Errorf("the registry returns manifest %s", doc.digest)
	}
	if err == nil {
		_, err = r.blob(ctx, envelope)
	}
	if err != nil {
		return registryError("read back", r.ref(identifier), err)
	}
	return nil
}
