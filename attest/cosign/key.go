package cosign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/testdag/testdag/attest"
)

// GenerateKey returns a new key pair as cosign generate-key-pair makes it: ECDSA on P-256, the private key encrypted
// with password, both as PEM.
func GenerateKey(password []byte) (private, public []byte, err error) {
	keys, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return password, nil })
	if err != nil {
		return nil, nil, fmt.Errorf("attest: generate key: %w", err)
	}
	return keys.PrivateBytes, keys.PublicBytes, nil
}

// LoadSigner returns a Signer that signs with a private key as cosign stores it: PEM, encrypted with password. It is an
// [attest.Verifier] for its own key too, so a Writer knows its own statements again.
func LoadSigner(pem, password []byte) (attest.Signer, error) {
	private, err := cosign.LoadPrivateKey(pem, password, nil)
	if err != nil {
		return nil, fmt.Errorf("attest: load private key: %w", err)
	}
	public, err := private.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("attest: load private key: %w", err)
	}
	own, err := newVerifier(public, private)
	if err != nil {
		return nil, err
	}
	return &signer{verifier: own, private: private}, nil
}

type signer struct {
	*verifier
	private signature.Signer
}

// Sign returns payload in a DSSE envelope with one signature.
func (s *signer) Sign(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	return dsse.WrapSigner(s.private, payloadType).SignMessage(bytes.NewReader(payload), options.WithContext(ctx))
}

// LoadVerifier returns a Verifier that believes what was signed with the private key of a public one, given as PEM. The
// transparency log is not asked: a signature then counts whenever it was made, also after the key was stolen.
func LoadVerifier(publicPEM []byte) (attest.Verifier, error) {
	public, err := cryptoutils.UnmarshalPEMToPublicKey(publicPEM)
	if err != nil {
		return nil, fmt.Errorf("attest: load public key: %w", err)
	}
	check, err := signature.LoadVerifierWithOpts(public, *cosign.GetDefaultLoadOptions(nil)...)
	if err != nil {
		return nil, fmt.Errorf("attest: load public key: %w", err)
	}
	return newVerifier(public, check)
}

func newVerifier(public crypto.PublicKey, check signature.Verifier) (*verifier, error) {
	der, err := cryptoutils.MarshalPublicKeyToDER(public)
	if err != nil {
		return nil, fmt.Errorf("attest: load public key: %w", err)
	}
	id := sha256.Sum256(der)
	return &verifier{
		key: attest.Voucher{Kind: "key", Name: hex.EncodeToString(id[:])},
		opts: cosign.CheckOpts{
			SigVerifier:   check,
			ClaimVerifier: cosign.IntotoSubjectClaimVerifier, // without it cosign accepts statements about other images
			IgnoreTlog:    true,
			Offline:       true,
			MaxWorkers:    1,
		},
	}, nil
}

type verifier struct {
	key  attest.Voucher
	opts cosign.CheckOpts
}

// Verify has cosign check the signature and that the image is a subject.
func (v *verifier) Verify(ctx context.Context, c attest.Candidate) ([]byte, attest.Voucher, error) {
	envelope, err := c.Envelope()
	if err != nil {
		return nil, attest.Voucher{}, err
	}
	// The strict reading comes first. Of what passes it cosign's decoder cannot see anything else.
	payload, err := c.Payload()
	if err != nil {
		return nil, attest.Voucher{}, err
	}
	image, err := v1.NewHash(c.Image.DigestStr())
	if err != nil {
		return nil, attest.Voucher{}, err
	}
	// Annotations stay behind: anybody can write them, and with a key they say nothing.
	statement, err := static.NewAttestation(envelope, static.WithLayerMediaType(attest.EnvelopeType))
	if err != nil {
		return nil, attest.Voucher{}, err
	}
	opts := v.opts
	good, _, err := cosign.VerifyImageAttestation(ctx, one{empty.Image, statement}, image, &opts)
	if err != nil {
		return nil, attest.Voucher{}, err
	}
	if len(good) != 1 {
		return nil, attest.Voucher{}, errors.New("cosign returned no statement")
	}
	return payload, v.key, nil
}

// one is a set of one statement, in the form in which cosign wants it.
type one struct {
	v1.Image
	statement oci.Signature
}

// Get returns the statement.
func (o one) Get() ([]oci.Signature, error) { return []oci.Signature{o.statement}, nil }
