package main

import (
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
	size    int
	image   name.Digest // with records, and with the .att tag
	bundled name.Digest // the same image in another repository, with bundles
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
	bundled, err := s.push(ctx, "team/bundles", tag)
	if err != nil {
		return shelf{}, err
	}
	all := shelf{size, image, bundled}
	if err := s.record(ctx, all); err != nil {
		return shelf{}, fmt.Errorf("records: %w", err)
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
		if err := s.attach(ctx, first, envelope, testOf(i)); err != nil {
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

// attach stores a record that is like another one, but for its statement.
func (s *stage) attach(ctx context.Context, like attest.Record, envelope []byte, test string) error {
	var m v1.Manifest
	if err := json.Unmarshal(like.Bytes, &m); err != nil {
		return err
	}
	if len(m.Layers) != 1 {
		return errors.New("a record has no longer one layer")
	}
	payload, err := (attest.Candidate{MediaType: attest.EnvelopeType, Bytes: envelope}).Payload()
	if err != nil {
		return err
	}
	layer := static.NewLayer(envelope, m.Layers[0].MediaType)
	m.Layers[0].Digest, _ = layer.Digest() // in memory, it does not fail
	m.Layers[0].Size = int64(len(envelope))
	said, _ := static.NewLayer(payload, attest.PayloadType).Digest()
	m.Annotations[attest.AnnotationTest] = test
	m.Annotations[attest.AnnotationEnvelope] = m.Layers[0].Digest.String()
	m.Annotations[attest.AnnotationPayload] = said.String()
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	digest, _ := static.NewLayer(b, types.OCIManifestSchema1).Digest()
	opts := s.remote(ctx)
	if err := remote.WriteLayer(like.Repository, layer, opts...); err != nil {
		return err
	}
	return remote.Put(like.Repository.Digest(digest.String()), rawManifest(b), opts...)
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
		err = ociremote.WriteAttestationNewBundleFormat(all.bundled, b, attest.TestResultType, ociremote.WithRemoteOptions(s.remote(ctx)...))
		if err != nil {
			return err
		}
	}
	return nil
}
