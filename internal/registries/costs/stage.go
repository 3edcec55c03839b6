package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/empty"
	"github.com/sigstore/cosign/v2/pkg/oci/mutate"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/internal/registries"
)

// A front counts and delays requests on their way to a registry.
type front struct {
	inner    http.Handler
	delay    atomic.Int64 // nanoseconds
	requests atomic.Int64
}

// ServeHTTP waits, and then has the registry answer.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.requests.Add(1)
	if d := time.Duration(f.delay.Load()); d > 0 {
		time.Sleep(d)
	}
	f.inner.ServeHTTP(w, r)
}

// A stage is a registry with a key pair.
type stage struct {
	front     *front
	server    *httptest.Server
	transport *http.Transport
	public    []byte
	signer    attest.Signer
	verifier  attest.Verifier
}

func newStage() (*stage, error) {
	private, public, err := cosign.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	s := &stage{public: public, transport: registries.NewTransport()}
	if s.signer, err = cosign.LoadSigner(private, nil); err != nil {
		return nil, err
	}
	if s.verifier, err = cosign.LoadVerifier(public); err != nil {
		return nil, err
	}
	quiet := log.New(io.Discard, "", 0)
	s.front = &front{inner: registry.New(registry.Logger(quiet), registry.WithReferrersSupport(true))}
	s.server = httptest.NewUnstartedServer(s.front)
	s.server.Config.ErrorLog = quiet
	s.server.Start()
	return s, nil
}

func (s *stage) close() {
	s.transport.CloseIdleConnections()
	s.server.Close()
}

// tests are what the statements are of, in turn.
const tests = 10

func testOf(i int) string { return fmt.Sprintf("test-%d", i%tests) }

// timeOf is when the test of a statement ended: later ones ended later.
func timeOf(i int) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
}

// A shelf is an image with statements.
type shelf struct {
	size  int
	image name.Digest // with what attest writes: records, and the .att tag that shows them
	stock name.Digest // the same image in another repository, with what stock cosign writes: an .att tag, and bundles
}

// tests are those that there are statements of.
func (s shelf) tests() []attest.Test {
	var all []attest.Test
	for i := range min(s.size, tests) {
		all = append(all, attest.Test{Name: testOf(i), PredicateType: attest.TestResultType})
	}
	return all
}

// fill makes a shelf.
func (s *stage) fill(ctx context.Context, size int) (shelf, error) {
	tag := fmt.Sprintf("of-%d", size)
	image, err := s.push(ctx, "team/records", tag)
	if err != nil {
		return shelf{}, err
	}
	stock, err := s.push(ctx, "team/stock", tag)
	if err != nil {
		return shelf{}, err
	}
	all := shelf{size, image, stock}
	if err := s.record(ctx, all); err != nil {
		return shelf{}, fmt.Errorf("records: %w", err)
	}
	if err := s.append(ctx, all); err != nil {
		return shelf{}, fmt.Errorf(".att: %w", err)
	}
	if err := s.bundle(ctx, all); err != nil {
		return shelf{}, fmt.Errorf("bundles: %w", err)
	}
	return all, nil
}

func (s *stage) push(ctx context.Context, repository, tag string) (name.Digest, error) {
	repo, err := name.NewRepository(s.server.Listener.Addr().String() + "/" + repository)
	if err != nil {
		return name.Digest{}, err
	}
	return registries.PushImage(ctx, repo, tag)
}

// record stores the statements as records. A Writer looks at all there is before it writes, so it has only the first and
// the last to write: the first is the pattern of those between, the last brings the .att tag up to all of them.
func (s *stage) record(ctx context.Context, all shelf) error {
	first, err := s.write(ctx, all, 0)
	if err != nil {
		return err
	}
	for i := 1; i < all.size-1; i++ {
		envelope, err := s.envelope(ctx, all.image, i)
		if err != nil {
			return err
		}
		if err := s.attach(ctx, first, envelope, i); err != nil {
			return err
		}
	}
	if all.size > 1 {
		_, err = s.write(ctx, all, all.size-1)
	}
	return err
}

func (s *stage) write(ctx context.Context, all shelf, i int) (attest.Record, error) {
	return attest.NewWriter(s.signer, attest.Options{Transport: s.transport}).Write(ctx, all.image, testOf(i),
		attest.TestResult{Result: attest.Passed, Timestamp: timeOf(i)})
}

func (s *stage) envelope(ctx context.Context, image name.Digest, i int) ([]byte, error) {
	payload, err := registries.Statement(image, testOf(i), timeOf(i))
	if err != nil {
		return nil, err
	}
	return s.signer.Sign(ctx, attest.PayloadType, payload)
}

// attach stores the i-th statement in a record like another one.
func (s *stage) attach(ctx context.Context, like attest.Record, envelope []byte, i int) error {
	b, err := alike(like.Bytes, envelope, i)
	if err != nil {
		return err
	}
	digest := digestOf(b)
	opts := s.remote(ctx)
	if err := remote.WriteLayer(like.Repository, static.NewLayer(envelope, attest.EnvelopeType), opts...); err != nil {
		return err
	}
	return remote.Put(like.Repository.Digest(digest.String()), rawManifest(b), opts...)
}

// alike returns the record of the i-th statement, made after that of another one.
func alike(record, envelope []byte, i int) ([]byte, error) {
	var m v1.Manifest
	if err := json.Unmarshal(record, &m); err != nil {
		return nil, err
	}
	payload, err := (attest.Candidate{MediaType: attest.EnvelopeType, Bytes: envelope}).Payload()
	if err != nil {
		return nil, err
	}
	if len(m.Layers) != 1 || m.Layers[0].Data == nil {
		return nil, errors.New("a record is no longer one layer, which is in the manifest too")
	}
	layer := &m.Layers[0]
	layer.Digest, layer.Size, layer.Data = digestOf(envelope), int64(len(envelope)), envelope
	for _, annotations := range []map[string]string{m.Annotations, layer.Annotations} {
		annotations[attest.AnnotationTest] = testOf(i)
		annotations[attest.AnnotationCreated] = timeOf(i).Format(time.RFC3339Nano)
	}
	m.Annotations[attest.AnnotationEnvelope] = layer.Digest.String()
	m.Annotations[attest.AnnotationPayload] = digestOf(payload).String()
	return json.Marshal(m)
}

func digestOf(b []byte) v1.Hash {
	digest, _, _ := v1.SHA256(bytes.NewReader(b)) // reading from memory does not fail
	return digest
}

// A rawManifest is pushed as it is.
type rawManifest []byte

// RawManifest returns the manifest.
func (m rawManifest) RawManifest() ([]byte, error) { return m, nil }

// MediaType says what it is.
func (rawManifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func (s *stage) remote(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithTransport(s.transport), remote.WithContext(ctx)}
}

// append stores the statements in an .att tag, with cosign's code, but all at once.
func (s *stage) append(ctx context.Context, all shelf) error {
	var statements []oci.Signature
	for i := range all.size {
		envelope, err := s.envelope(ctx, all.image, i)
		if err != nil {
			return err
		}
		statement, err := registries.StockAttestation(envelope)
		if err != nil {
			return err
		}
		statements = append(statements, statement)
	}
	att, err := mutate.AppendSignatures(empty.Signatures(), false, statements...)
	if err != nil {
		return err
	}
	tag, err := ociremote.AttestationTag(all.stock)
	if err != nil {
		return err
	}
	return remote.Write(tag, att, s.remote(ctx)...)
}

// bundle stores the statements as bundles, as cosign does it.
func (s *stage) bundle(ctx context.Context, all shelf) error {
	public, err := cryptoutils.UnmarshalPEMToPublicKey(s.public)
	if err != nil {
		return err
	}
	for i := range all.size {
		envelope, err := s.envelope(ctx, all.image, i)
		if err != nil {
			return err
		}
		payload, err := (attest.Candidate{MediaType: attest.EnvelopeType, Bytes: envelope}).Payload()
		if err != nil {
			return err
		}
		b, err := bundle.MakeNewBundle(public, nil, payload, envelope, s.public, nil)
		if err != nil {
			return err
		}
		err = ociremote.WriteAttestationNewBundleFormat(all.stock, b, attest.TestResultType, ociremote.WithRemoteOptions(s.remote(ctx)...))
		if err != nil {
			return err
		}
	}
	return nil
}
