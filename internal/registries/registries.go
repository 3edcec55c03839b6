package registries

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// NewTransport returns a transport that keeps as many connections as there are requests at once. Those of 16 writers are
// more than the default keeps, and a connection for each request would be what is measured.
func NewTransport() *http.Transport {
	t := remote.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 1024
	return t
}

// PushImage puts an image into repo, under a tag, so that no registry takes it for garbage. Images differ by tag.
func PushImage(ctx context.Context, repo name.Repository, tag string, opts ...remote.Option) (name.Digest, error) {
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	img, err := mutate.Config(img, v1.Config{Labels: map[string]string{"name": tag}})
	if err != nil {
		return name.Digest{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return name.Digest{}, err
	}
	return repo.Digest(digest.String()), remote.Write(repo.Tag(tag), img, append(opts, remote.WithContext(ctx))...)
}

// Statement returns an in-toto statement that test passed on image, for those that write without attest.
func Statement(image name.Digest, test string, finished time.Time) ([]byte, error) {
	digest, err := v1.NewHash(image.DigestStr())
	if err != nil {
		return nil, err
	}
	predicate, err := json.Marshal(intoto.TestResult{
		Result:        intoto.Passed,
		Configuration: []intoto.ResourceDescriptor{{Name: test}},
		Timestamp:     finished.UTC(),
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(intoto.Statement{
		Type:          intoto.StatementType,
		Subject:       []intoto.ResourceDescriptor{{Name: image.Context().Name(), Digest: map[string]string{"sha256": digest.Hex}}},
		PredicateType: intoto.TestResultType,
		Predicate:     predicate,
	})
}

// StockAttestation returns an envelope in the form in which cosign attest adds it to an .att tag.
func StockAttestation(envelope []byte, predicateType string) (oci.Signature, error) {
	return static.NewAttestation(envelope, static.WithLayerMediaType(intoto.EnvelopeType),
		static.WithAnnotations(map[string]string{attest.AnnotationPredicateType: predicateType}))
}

// Outcome returns what a DSSE envelope around a test-result says, for those that read with stock cosign, which verifies
// envelopes and leaves it to its user to look inside.
func Outcome(envelope []byte) (intoto.TestResult, error) {
	var e struct{ Payload []byte }
	if err := json.Unmarshal(envelope, &e); err != nil {
		return intoto.TestResult{}, err
	}
	statement, err := intoto.ParseStatement(e.Payload)
	if err != nil {
		return intoto.TestResult{}, err
	}
	var r intoto.TestResult
	if err := json.Unmarshal(statement.Predicate, &r); err != nil {
		return intoto.TestResult{}, err
	}
	if len(r.Configuration) == 0 {
		return intoto.TestResult{}, errors.New("it does not say which test it is of")
	}
	return r, nil
}

// Checks returns what stock cosign needs to verify attestations with a public key, as its command does it with
// --key and --insecure-ignore-tlog.
func Checks(publicPEM []byte, opts ...ociremote.Option) (*cosign.CheckOpts, error) {
	public, err := cryptoutils.UnmarshalPEMToPublicKey(publicPEM)
	if err != nil {
		return nil, err
	}
	verifier, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return &cosign.CheckOpts{
		SigVerifier:        verifier,
		ClaimVerifier:      cosign.IntotoSubjectClaimVerifier,
		IgnoreTlog:         true,
		RegistryClientOpts: opts,
	}, nil
}
