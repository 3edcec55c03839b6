package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// Write states that test had the outcome p on image, signs that, and stores it in the image's repository as a manifest of its own whose
// subject is the image. When it returns without an error the record has been read back, and the views show it. The name of the
// test is written into the predicate, see [Test].
//
// Writing the same statement again leaves one, if the Signer can tell its own signature (see [Signer]) or signs alike each time.
//
// Errors: [*FieldError] for what the predicate or an argument lacks, all at once; [ErrNoImage]; [*RegistryError]; [*LimitError]; what the Signer
// returns. A [*ViewError] comes together with a good Record: the statement is stored and a [Resolver] finds it, only other tools do not
// see it yet.
func (w *Writer) Write(ctx context.Context, image name.Digest, test string, p Predicate) (Record, error) {
	payload, err := encode(image, test, p)
	if err != nil {
		return Record{}, err
	}
	repo, err := w.registry.repository(ctx, image.Context())
	if err != nil {
		return Record{}, err
	}
	subject, err := repo.subject(ctx, image)
	if err != nil {
		return Record{}, err
	}
	known := memory{}
	l, err := repo.list(ctx, image, known)
	if err != nil {
		return Record{}, err
	}
	record, ok := w.find(ctx, repo, image, l, payload)
	if !ok {
		record, err = w.add(ctx, repo, image, subject, Test{test, p.PredicateType()}, payload, l.referrers)
	}
	if err != nil {
		return Record{}, err
	}
	if w.registry.opts.WithoutViews {
		return record, nil
	}
	return record, repo.repair(ctx, image, known)
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
		return v1.Descriptor{}, fmt.Errorf("attest: %w: %w", ErrNoImage, err)
	}
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: doc.media, Digest: doc.digest, Size: int64(len(doc.bytes))}, nil
}

// find returns the record that already holds payload, if the signer vouches for it. That somebody has put the payload there is not
// enough: without a good signature it would count for nothing.
func (w *Writer) find(ctx context.Context, repo *repository, image name.Digest, l listing, payload []byte) (Record, bool) {
	v, ok := w.signer.(Verifier)
	if !ok {
		return Record{}, false
	}
	hint := describe(payload, PayloadType).Digest.String()
	for _, e := range l.entries {
		if e.err != nil || e.descriptor.Annotations[AnnotationPayload] != hint || len(e.statements) != 1 {
			continue
		}
		envelope, err := repo.blob(ctx, e.statements[0])
		if err != nil {
			continue
		}
		c := Candidate{Image: image, Manifest: e.descriptor.Digest, MediaType: string(e.statements[0].MediaType), Bytes: envelope}
		if _, err := verify(ctx, v, c, payload); err != nil {
			continue
		}
		w.log.Debug("statement is already recorded", zap.Stringer("manifest", e.descriptor.Digest))
		return newRecord(repo.name, e.bytes), true
	}
	return Record{}, false
}

// add signs payload and stores it.
func (w *Writer) add(ctx context.Context, repo *repository, image name.Digest, subject v1.Descriptor, test Test, payload []byte, referrers bool) (Record, error) {
	envelope, err := w.signer.Sign(ctx, PayloadType, payload)
	if err != nil {
		return Record{}, fmt.Errorf("attest: sign: %w", err)
	}
	signed, err := openEnvelope(envelope, repo.opts.Limits.Depth)
	if err != nil {
		return Record{}, fmt.Errorf("attest: sign: %w", err)
	}
	if !bytes.Equal(signed, payload) {
		return Record{}, errors.New("attest: sign: the envelope holds another payload")
	}
	if limit, got := repo.opts.Limits.EnvelopeBytes, int64(len(envelope)); got > limit {
		return Record{}, &LimitError{What: "envelope bytes", Limit: limit, Got: got}
	}
	b, err := buildRecord(subject, test, envelope, payload)
	if err != nil {
		return Record{}, err
	}
	record := newRecord(repo.name, b)
	at := record.Digest.String()
	if !referrers {
		at = recordTag(image, record.Digest)
	}
	if err := repo.push(ctx, at, types.OCIManifestSchema1, b, layer(envelope, EnvelopeType), layer([]byte(emptyConfig), emptyConfigType)); err != nil {
		return Record{}, err
	}
	return record, repo.readBack(ctx, at, record, describe(envelope, EnvelopeType))
}

// push uploads blobs and then the manifest that needs them. Registries lose blobs that several clients upload at once, and say so
// with the manifest, so both are tried again.
func (r *repository) push(ctx context.Context, identifier string, media types.MediaType, manifest []byte, blobs ...v1.Layer) error {
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
			return registryError("write manifest", r.ref(identifier), err)
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
