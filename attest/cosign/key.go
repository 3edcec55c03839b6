package cosign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/cryptoutils/goodkey"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
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

// LoadVerifier returns a Verifier that believes what was signed with the private key of a public one, given as PEM. The
// transparency log is not asked: a signature then counts whenever it was made, also after the key was stolen. See
// [NewSigner] for the kinds of keys.
func LoadVerifier(publicPEM []byte) (attest.Verifier, error) {
	public, err := cryptoutils.UnmarshalPEMToPublicKey(publicPEM)
	if err != nil {
		return nil, fmt.Errorf("attest: load public key: %w", err)
	}
	v, err := newVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("attest: load public key: %w", err)
	}
	return v, nil
}

func newVerifier(public crypto.PublicKey) (*verifier, error) {
	check, err := schemes(public)
	if err != nil {
		return nil, err
	}
	if err := goodkey.ValidatePubKey(public); err != nil {
		return nil, fmt.Errorf("weak key: %w", err)
	}
	der, err := cryptoutils.MarshalPublicKeyToDER(public)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(der)
	fingerprint, err := dsse.SHA256KeyID(public)
	if err != nil {
		fingerprint = "" // a kind of key that SSH does not have
	}
	return &verifier{
		fingerprint: fingerprint,
		key:         attest.Identity{Kind: "key", Name: hex.EncodeToString(id[:])},
		opts: cosign.CheckOpts{
			SigVerifier:   check,
			ClaimVerifier: cosign.IntotoSubjectClaimVerifier, // without it cosign accepts statements about other images
			IgnoreTlog:    true,
			Offline:       true,
			MaxWorkers:    1,
		},
	}, nil
}

// anyOf believes a signature that one of several schemes with one key accepts.
type anyOf []signature.Verifier

// schemes returns what signatures of a key may be. Signers differ: of a key on P-384 one hashes with SHA-384, as
// sigstore's registry of algorithms has it, and another with SHA-256, as cosign always did; of an Ed25519 key one signs
// the message, and cosign attest its hash (Ed25519ph).
func schemes(public crypto.PublicKey) (anyOf, error) {
	hash, err := hashOf(public)
	if err != nil {
		return nil, err
	}
	var all anyOf
	for _, opts := range schemeOptions(public, hash) {
		v, err := signature.LoadVerifierWithOpts(public, opts...)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func schemeOptions(public crypto.PublicKey, hash crypto.Hash) [][]signature.LoadOption {
	if _, ok := public.(ed25519.PublicKey); ok {
		return [][]signature.LoadOption{nil, {options.WithED25519ph()}}
	}
	all := [][]signature.LoadOption{{options.WithHash(hash)}}
	if hash != crypto.SHA256 {
		all = append(all, []signature.LoadOption{options.WithHash(crypto.SHA256)})
	}
	return all
}

// hashOf returns the hash that goes with a key, or 0 if the message itself is signed.
func hashOf(public crypto.PublicKey) (crypto.Hash, error) {
	switch key := public.(type) {
	case ed25519.PublicKey:
		return 0, nil
	case *rsa.PublicKey:
		return crypto.SHA256, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return crypto.SHA256, nil
		case elliptic.P384():
			return crypto.SHA384, nil
		case elliptic.P521():
			return crypto.SHA512, nil
		}
		return 0, fmt.Errorf("unsupported curve %s", key.Curve.Params().Name)
	}
	return 0, fmt.Errorf("unsupported key type %T", public)
}

// VerifySignature tries one scheme after the other and returns the first one's error.
func (a anyOf) VerifySignature(sig, message io.Reader, opts ...signature.VerifyOption) error {
	s, err := io.ReadAll(sig)
	if err != nil {
		return err
	}
	m, err := io.ReadAll(message)
	if err != nil {
		return err
	}
	var first error
	for _, v := range a {
		err := v.VerifySignature(bytes.NewReader(s), bytes.NewReader(m), opts...)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// PublicKey returns the one key.
func (a anyOf) PublicKey(opts ...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return a[0].PublicKey(opts...)
}

type verifier struct {
	key         attest.Identity
	fingerprint string // of the key as SSH has it, which signers may write as its id; empty if there is none
	opts        cosign.CheckOpts
}

// Verify has cosign check the signature and that the image is a subject.
func (v *verifier) Verify(ctx context.Context, c attest.Candidate) ([]byte, attest.Identity, error) {
	envelope, err := c.Envelope()
	if err != nil {
		return nil, attest.Identity{}, err
	}
	// The strict reading comes first. Of what passes it cosign's decoder cannot see anything else.
	payload, err := c.Payload()
	if err != nil {
		return nil, attest.Identity{}, err
	}
	image, err := v1.NewHash(c.Image.DigestStr())
	if err != nil {
		return nil, attest.Identity{}, err
	}
	// Annotations stay behind: anybody can write them, and with a key they say nothing.
	statement, err := static.NewAttestation(envelope, static.WithLayerMediaType(intoto.EnvelopeType))
	if err != nil {
		return nil, attest.Identity{}, err
	}
	opts := v.opts
	good, _, err := cosign.VerifyImageAttestation(ctx, one{empty.Image, statement}, image, &opts)
	if err != nil {
		return nil, attest.Identity{}, v.named(err, envelope)
	}
	if len(good) != 1 {
		return nil, attest.Identity{}, errors.New("cosign returned no statement")
	}
	return payload, v.key, nil
}

// threshold is how the library below cosign says that no signature fits a key. It has no type for that.
const threshold = "accepted signatures do not match threshold"

// named says which keys the signatures are of, if none is of this one.
func (v *verifier) named(err error, envelope []byte) error {
	var e dsse.Envelope
	if !strings.Contains(err.Error(), threshold) || json.Unmarshal(envelope, &e) != nil {
		return err
	}
	wrong := &attest.KeyError{Trusted: []string{v.key.Name}}
	for _, s := range e.Signatures {
		switch s.KeyID {
		case "":
		case v.fingerprint:
			return fmt.Errorf("attest: the signature names the trusted key %s and does not fit: "+
				"the statement was changed after it was signed", v.key.Name)
		default:
			wrong.Claimed = append(wrong.Claimed, s.KeyID)
		}
	}
	if len(wrong.Claimed) > 0 && v.fingerprint != "" {
		wrong.Trusted = []string{fmt.Sprintf("%s (%s)", v.key.Name, v.fingerprint)}
	}
	return wrong
}

// one is a set of one statement, in the form in which cosign wants it.
type one struct {
	v1.Image
	statement oci.Signature
}

// Get returns the statement.
func (o one) Get() ([]oci.Signature, error) { return []oci.Signature{o.statement}, nil }
