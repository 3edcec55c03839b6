package cosign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/testdag/testdag/attest/intoto"
)

// LoadSigner returns a Signer that signs with a private key given as PEM: as cosign stores it, encrypted with password,
// or plain (PKCS #8, EC or RSA), for which password is not looked at. See [NewSigner] for what it can do.
func LoadSigner(pem, password []byte) (intoto.Signer, error) {
	s, err := loadSigner(pem, password)
	if err != nil {
		return nil, fmt.Errorf("attest: load private key: %w", err)
	}
	return s, nil
}

func loadSigner(pem, password []byte) (*signer, error) {
	// What is not nil is used, so a missing password is an empty one.
	given := func(bool) ([]byte, error) { return append([]byte{}, password...), nil }
	private, err := cryptoutils.UnmarshalPEMToPrivateKey(pem, given)
	if err != nil {
		return nil, err
	}
	key, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", private)
	}
	return cryptoSigner(key)
}

// NewSigner returns a Signer that signs with a key that may be anywhere, in a hardware token for instance. The key is an
// ECDSA one on P-256, P-384 or P-521 (hashed with SHA-256, SHA-384 or SHA-512), an Ed25519 one, or an RSA one
// (PKCS #1 v1.5 with SHA-256). A weak one is refused: an RSA key must have 2048, 3072 or 4096 bits.
//
// What it returns, and what [LoadSigner] and [LoadKMS] return, is an [intoto.BundleSigner]. It is an [attest.Verifier]
// for its own key too, so a Writer knows its own statements again.
func NewSigner(key crypto.Signer) (intoto.Signer, error) {
	if key == nil {
		return nil, &intoto.FieldError{Field: "key", Problem: "required"}
	}
	s, err := cryptoSigner(key)
	if err != nil {
		return nil, fmt.Errorf("attest: use private key: %w", err)
	}
	return s, nil
}

func cryptoSigner(key crypto.Signer) (*signer, error) {
	hash, err := hashOf(key.Public())
	if err != nil {
		return nil, err
	}
	return newSigner(key.Public(), hashed{key, hash})
}

// LoadKMS returns a Signer that signs with a key that a key management service keeps, by its URI:
// "awskms:///alias/release". It finds the services whose packages below
// github.com/sigstore/sigstore/pkg/signature/kms the program imports; here none is. The URI of any other service is an
// error. No plugin, as sigstore would look for it in the PATH, is run.
//
// The public key is asked for at once, with ctx. Each signature is made with the context of the call that wants it. See
// [NewSigner] for what it can do.
func LoadKMS(ctx context.Context, uri string) (intoto.Signer, error) {
	s, err := loadKMS(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("attest: load key %s: %w", uri, err)
	}
	return s, nil
}

func loadKMS(ctx context.Context, uri string) (*signer, error) {
	if err := imported(uri); err != nil {
		return nil, err
	}
	remote, err := kms.Get(ctx, uri, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	if remote == nil {
		return nil, errors.New("the service returned no key")
	}
	public, err := remote.PublicKey(options.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	return newSigner(public, remote)
}

// imported refuses a URI for which [kms.Get] would run the program sigstore-kms-SCHEME.
func imported(uri string) error {
	schemes := kms.SupportedProviders()
	for _, scheme := range schemes {
		if strings.HasPrefix(uri, scheme) {
			return nil
		}
	}
	slices.Sort(schemes)
	return fmt.Errorf("no provider for it is imported, only those for %q", schemes)
}

func newSigner(public crypto.PublicKey, private signature.Signer) (*signer, error) {
	own, err := newVerifier(public)
	if err != nil {
		return nil, err
	}
	return &signer{verifier: own, public: public, private: private}, nil
}

type signer struct {
	*verifier
	public  crypto.PublicKey
	private signature.Signer
}

var _ intoto.BundleSigner = (*signer)(nil)

// Sign returns payload in a DSSE envelope with one signature.
func (s *signer) Sign(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return dsse.WrapSigner(s.private, payloadType).SignMessage(bytes.NewReader(payload), options.WithContext(ctx))
}

// SignBundle returns payload in a sigstore bundle v0.3. It names the key by a hint, the base64 of the SHA-256 of its DER
// form, as cosign does, and has no entry of a transparency log.
func (s *signer) SignBundle(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	envelope, err := s.Sign(ctx, payloadType, payload)
	if err != nil {
		return nil, err
	}
	spaced, err := bundle.MakeNewBundle(s.public, nil, payload, envelope, nil, nil)
	if err != nil {
		return nil, err
	}
	// The encoder of protocol buffers puts spaces in, and other ones in each build of a program.
	var b bytes.Buffer
	if err := json.Compact(&b, spaced); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// hashed has a key sign the hash of a message, or the message itself if hash is 0.
type hashed struct {
	key  crypto.Signer
	hash crypto.Hash
}

// SignMessage returns the key's signature.
func (h hashed) SignMessage(message io.Reader, _ ...signature.SignOption) ([]byte, error) {
	b, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	if h.hash != 0 {
		w := h.hash.New()
		w.Write(b)
		b = w.Sum(nil)
	}
	return h.key.Sign(rand.Reader, b, h.hash)
}

// PublicKey returns the key's public half.
func (h hashed) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return h.key.Public(), nil
}
