package cosign_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sigstore "github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
)

// Every kind of key that can sign.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return k
	}
	ec := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		return must(k, err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	rs, rsErr := rsa.GenerateKey(rand.Reader, 2048)
	return map[string]crypto.Signer{
		"P-256": ec(elliptic.P256()), "P-384": ec(elliptic.P384()), "P-521": ec(elliptic.P521()),
		"Ed25519": must(ed, err), "RSA": must(rs, rsErr),
	}
})

func publicPEM(t *testing.T, public crypto.PublicKey) []byte {
	t.Helper()
	b, err := cryptoutils.MarshalPublicKeyToPEM(public)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func privatePEM(t *testing.T, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// A tokenKey is a key of which nothing can be had but its signature.
type tokenKey struct{ crypto.Signer }

// signers are all the ways to sign with one key.
func signers(t *testing.T, key crypto.Signer) map[string]intoto.Signer {
	t.Helper()
	all := make(map[string]intoto.Signer)
	add := func(name string, s intoto.Signer, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = s
	}
	s, err := cosign.NewSigner(tokenKey{key})
	add("token", s, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	s, err = cosign.LoadSigner(privatePEM(t, "PRIVATE KEY", der, err), nil)
	add("PKCS #8", s, err)
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(key)
		s, err = cosign.LoadSigner(privatePEM(t, "EC PRIVATE KEY", der, err), []byte("unused"))
		add("EC", s, err)
	case *rsa.PrivateKey:
		s, err = cosign.LoadSigner(privatePEM(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), nil), nil)
		add("PKCS #1", s, err)
	}
	return all
}

func eachSigner(t *testing.T, f func(t *testing.T, public crypto.PublicKey, s intoto.Signer)) {
	for kind, key := range keys() {
		for how, s := range signers(t, key) {
			t.Run(kind+"/"+how, func(t *testing.T) { f(t, key.Public(), s) })
		}
	}
}

func verifierOf(t *testing.T, public crypto.PublicKey) attest.Verifier {
	t.Helper()
	v, err := cosign.LoadVerifier(publicPEM(t, public))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEveryKeySigns(t *testing.T) {
	eachSigner(t, func(t *testing.T, public crypto.PublicKey, s intoto.Signer) {
		inBundle, err := s.(intoto.BundleSigner).SignBundle(context.Background(), intoto.PayloadType, statement(imageHex))
		if err != nil {
			t.Fatal(err)
		}
		for media, signed := range map[string][]byte{
			intoto.EnvelopeType: sign(t, s, intoto.PayloadType, statement(imageHex)),
			intoto.BundleType:   inBundle,
		} {
			c := attest.Candidate{Image: image(t), MediaType: media, Bytes: signed}
			payload, by, err := verifierOf(t, public).Verify(context.Background(), c)
			if err != nil || !bytes.Equal(payload, statement(imageHex)) {
				t.Errorf("%s: got %q, %v", media, payload, err)
			}
			if _, own, err := s.(attest.Verifier).Verify(context.Background(), c); err != nil || own != by {
				t.Errorf("%s: the signer calls its key %v, the verifier %v, %v", media, own, by, err)
			}
			if _, _, err := ours().verifier(t).Verify(context.Background(), c); err == nil {
				t.Errorf("%s: another key is believed", media)
			}
			c.Bytes = bytes.Replace(signed, encoded(statement(imageHex)), encoded(append(statement(imageHex), ' ')), 1)
			if _, _, err := verifierOf(t, public).Verify(context.Background(), c); !errors.As(err, new(*attest.KeyError)) {
				t.Errorf("%s: another payload under the signature: %v", media, err)
			}
		}
	})
}

func encoded(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }

// The hash of a key is that of sigstore's registry of algorithms: what cosign and sigstore-go take unless told otherwise.
func TestHashIsThatOfTheRegistry(t *testing.T) {
	eachSigner(t, func(t *testing.T, public crypto.PublicKey, s intoto.Signer) {
		v, err := signature.LoadDefaultVerifier(public)
		if err != nil {
			t.Fatal(err)
		}
		signed := bytes.NewReader(sign(t, s, intoto.PayloadType, statement(imageHex)))
		if err := dsse.WrapVerifier(v).VerifySignature(signed, nil); err != nil {
			t.Error(err)
		}
	})
}

// Signers of the same key differ in their hash. Whatever one of them has signed counts.
func TestOtherSchemesOfAKeyAreBelieved(t *testing.T) {
	for name, opts := range map[string][]signature.LoadOption{
		"P-384":   {options.WithHash(crypto.SHA256)},
		"P-521":   {options.WithHash(crypto.SHA256)},
		"Ed25519": {options.WithED25519ph()},
	} {
		t.Run(name, func(t *testing.T) {
			key := keys()[name]
			s, err := signature.LoadSignerWithOpts(key, opts...)
			if err != nil {
				t.Fatal(err)
			}
			b, err := dsse.WrapSigner(s, intoto.PayloadType).SignMessage(bytes.NewReader(statement(imageHex)))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := verifierOf(t, key.Public()).Verify(context.Background(), attest.Candidate{Image: image(t), MediaType: intoto.EnvelopeType, Bytes: b}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A bundle says nothing but the statement, the signature and which key.
func TestBundleIsAsCosignMakesIt(t *testing.T) {
	b, err := ours().loaded.(intoto.BundleSigner).SignBundle(context.Background(), intoto.PayloadType, statement(imageHex))
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, b); err != nil || !bytes.Equal(b, compact.Bytes()) {
		t.Errorf("the bundle has spaces, which are not the same in each build: %s, %v", b, err)
	}
	var got struct {
		MediaType string
		Material  map[string]map[string]string `json:"verificationMaterial"`
		Envelope  struct {
			PayloadType string
			Signatures  []map[string]string
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	hint, err := base64.StdEncoding.DecodeString(got.Material["publicKey"]["hint"])
	if err != nil {
		t.Fatal(err)
	}
	_, by, err := ours().verifier(t).Verify(context.Background(), attest.Candidate{Image: image(t), MediaType: intoto.BundleType, Bytes: b})
	if err != nil || by.Name != fmt.Sprintf("%x", hint) {
		t.Errorf("the bundle names key %x, the verifier %v, %v", hint, by, err)
	}
	if got.MediaType != intoto.BundleType || len(got.Material) != 1 || got.Envelope.PayloadType != intoto.PayloadType || len(got.Envelope.Signatures) != 1 {
		t.Errorf("got %s", b)
	}
}

// Stock cosign, as a library, reads a bundle that a Writer stores; with another key it does not.
func TestStockCosignReadsBundles(t *testing.T) {
	for name, referrers := range map[string]bool{"referrers API": true, "no referrers API": false} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			d := newImage(t, referrers)
			w := attest.NewWriter(ours().loaded, attest.Options{Encoding: intoto.EncodingBundle})
			p := intoto.TestResult{Result: intoto.Passed, Timestamp: time.Now()}
			for range 2 { // ECDSA signs otherwise each time; still there is one
				if _, err := w.Write(ctx, d, "scan", p); err != nil {
					t.Fatal(err)
				}
			}
			for _, tt := range []struct {
				keys pair
				want int
			}{{ours(), 1}, {theirs(), 0}} {
				public, err := cryptoutils.UnmarshalPEMToPublicKey(tt.keys.public)
				if err != nil {
					t.Fatal(err)
				}
				key, err := signature.LoadDefaultVerifier(public)
				if err != nil {
					t.Fatal(err)
				}
				good, _, err := sigstore.VerifyImageAttestations(ctx, d, &sigstore.CheckOpts{
					SigVerifier: key, IgnoreTlog: true, NewBundleFormat: true, TrustedMaterial: &root.BaseTrustedMaterial{},
				})
				if len(good) != tt.want || (err == nil) != (tt.want > 0) {
					t.Errorf("cosign found %d, %v, want %d", len(good), err, tt.want)
				}
				e, err := attest.NewResolver(tt.keys.verifier(t), attest.Options{}).Newest(ctx, d, intoto.Test{Name: "scan", PredicateType: intoto.TestResultType})
				if err != nil || (e.Problem == nil) != (tt.want > 0) {
					t.Errorf("we found %v, %v", e.Problem, err)
				}
			}
		})
	}
}

func TestKeysThatCannotSign(t *testing.T) {
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cosign.NewSigner(small); err == nil || !strings.Contains(err.Error(), "unsupported curve P-224") {
		t.Errorf("P-224: %v", err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cosign.NewSigner(short); err == nil || !strings.Contains(err.Error(), "weak key: ") {
		t.Errorf("RSA of 1024 bits: %v", err)
	}
	if _, err := cosign.LoadSigner(privatePEM(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(short), nil), nil); err == nil || !strings.Contains(err.Error(), "weak key: ") {
		t.Errorf("RSA of 1024 bits, as PEM: %v", err)
	}
	if _, err := cosign.LoadVerifier(publicPEM(t, short.Public())); err == nil || !strings.Contains(err.Error(), "weak key: ") {
		t.Errorf("RSA of 1024 bits, public: %v", err)
	}
	var field *intoto.FieldError
	if _, err := cosign.NewSigner(nil); !errors.As(err, &field) || field.Field != "key" {
		t.Errorf("no key: %v", err)
	}
	if _, err := cosign.NewSigner(strange{}); err == nil || !strings.Contains(err.Error(), "unsupported key type string") {
		t.Errorf("strange key: %v", err)
	}
	agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(agreement)
	if _, err := cosign.LoadSigner(privatePEM(t, "PRIVATE KEY", der, err), nil); err == nil || !strings.Contains(err.Error(), "cannot sign") {
		t.Errorf("key agreement: %v", err)
	}
	if _, err := cosign.LoadSigner(ours().private, nil); err == nil {
		t.Error("an encrypted key needs no password")
	}
}

// No password is an empty password.
func TestKeyWithoutAPassword(t *testing.T) {
	private, _, err := cosign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string][]byte{"none": nil, "empty": {}} {
		if _, err := cosign.LoadSigner(private, password); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := cosign.LoadSigner(private, []byte("x")); err == nil {
		t.Error("another password will do")
	}
}

type strange struct{ crypto.Signer }

func (strange) Public() crypto.PublicKey { return "strange" }

func TestSigningStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ours().loaded.Sign(ctx, intoto.PayloadType, statement(imageHex)); !errors.Is(err, context.Canceled) {
		t.Errorf("Sign: %v", err)
	}
	if _, err := ours().loaded.(intoto.BundleSigner).SignBundle(ctx, intoto.PayloadType, statement(imageHex)); !errors.Is(err, context.Canceled) {
		t.Errorf("SignBundle: %v", err)
	}
}

// A lostToken is a key that can no longer be reached.
type lostToken struct{ crypto.Signer }

var errLost = errors.New("no such token")

func (lostToken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errLost }

func TestKeyThatIsLost(t *testing.T) {
	s, err := cosign.NewSigner(lostToken{keys()["P-256"]})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := s.Sign(context.Background(), intoto.PayloadType, statement(imageHex)); !errors.Is(err, errLost) || b != nil {
		t.Errorf("Sign: %q, %v", b, err)
	}
	if b, err := s.(intoto.BundleSigner).SignBundle(context.Background(), intoto.PayloadType, statement(imageHex)); !errors.Is(err, errLost) || b != nil {
		t.Errorf("SignBundle: %q, %v", b, err)
	}
}

// A service stands for a key management service, and remembers which contexts it was asked with.
type service struct {
	signature.SignerVerifier
	mu    sync.Mutex
	asked []any
	down  error
}

type asker struct{}

func (s *service) note(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, ctx.Value(asker{}))
	return s.down
}

func (s *service) PublicKey(opts ...signature.PublicKeyOption) (crypto.PublicKey, error) {
	ctx := context.Background()
	for _, o := range opts {
		o.ApplyContext(&ctx)
	}
	if err := s.note(ctx); err != nil {
		return nil, err
	}
	return s.SignerVerifier.PublicKey(opts...)
}

func (s *service) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	ctx := context.Background()
	for _, o := range opts {
		o.ApplyContext(&ctx)
	}
	if err := s.note(ctx); err != nil {
		return nil, err
	}
	return s.SignerVerifier.SignMessage(message, opts...)
}

func (s *service) CreateKey(context.Context, string) (crypto.PublicKey, error) {
	return nil, errors.New("not asked for")
}

func (s *service) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, errors.New("not asked for")
}

func (s *service) SupportedAlgorithms() []string { return nil }
func (s *service) DefaultAlgorithm() string      { return "" }

// Sigstore would run a program for a service that nobody imported.
func TestKMSRunsNoProgram(t *testing.T) {
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	program := "#!/bin/sh\n: >" + ran + "\n"
	if err := os.WriteFile(filepath.Join(dir, "sigstore-kms-nobodyskms"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if _, err := cosign.LoadKMS(context.Background(), "nobodyskms://good"); err == nil || !strings.Contains(err.Error(), "no provider for it is imported") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(ran); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the program ran: %v", err)
	}
}

func TestKMS(t *testing.T) {
	sv, err := signature.LoadDefaultSignerVerifier(keys()["P-384"].(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	fake := &service{SignerVerifier: sv}
	kms.AddProvider("testkms://", func(ctx context.Context, uri string, _ crypto.Hash, _ ...signature.RPCOption) (kms.SignerVerifier, error) {
		if uri != "testkms://good" {
			return nil, fmt.Errorf("no key %s", uri)
		}
		return fake, nil
	})
	ctx := context.WithValue(context.Background(), asker{}, "loading")
	s, err := cosign.LoadKMS(ctx, "testkms://good")
	if err != nil {
		t.Fatal(err)
	}
	signing := context.WithValue(context.Background(), asker{}, "signing")
	b, err := s.(intoto.BundleSigner).SignBundle(signing, intoto.PayloadType, statement(imageHex))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"loading", "signing"}, fake.asked); diff != "" {
		t.Errorf("the service was asked with other contexts (-want +got):\n%s", diff)
	}
	v := verifierOf(t, keys()["P-384"].Public())
	if _, _, err := v.Verify(context.Background(), attest.Candidate{Image: image(t), MediaType: intoto.BundleType, Bytes: b}); err != nil {
		t.Error(err)
	}

	if _, err := cosign.LoadKMS(ctx, "testkms://other"); err == nil || !strings.Contains(err.Error(), "no key testkms://other") {
		t.Errorf("no such key: %v", err)
	}
	if _, err := cosign.LoadKMS(ctx, "nobodyskms://good"); err == nil || !strings.Contains(err.Error(), `only those for ["testkms://"]`) {
		t.Errorf("no such service: %v", err)
	}
	fake.down = errors.New("out of order")
	if _, err := cosign.LoadKMS(ctx, "testkms://good"); !errors.Is(err, fake.down) {
		t.Errorf("the service is down: %v", err)
	}
}
