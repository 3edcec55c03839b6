package cosign_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	sigstore "github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
)

var password = []byte("correct horse")

type pair struct {
	private, public []byte
	loaded          intoto.Signer
}

// Encrypting and decrypting a private key is slow on purpose, so all tests share two pairs.
var (
	ours   = sync.OnceValue(newPair)
	theirs = sync.OnceValue(newPair)
)

func newPair() pair {
	private, public, err := cosign.GenerateKey(password)
	if err != nil {
		panic(err)
	}
	loaded, err := cosign.LoadSigner(private, password)
	if err != nil {
		panic(err)
	}
	return pair{private, public, loaded}
}

func (p pair) verifier(t *testing.T) attest.Verifier {
	t.Helper()
	v, err := cosign.LoadVerifier(p.public)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const imageHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func image(t testing.TB) name.Digest {
	t.Helper()
	d, err := name.NewDigest("registry.example.com/app@sha256:" + imageHex)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func statement(hex string) []byte {
	return []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + hex + `"}}],"predicateType":"p","predicate":{}}`)
}

func sign(t *testing.T, s intoto.Signer, payloadType string, payload []byte) []byte {
	t.Helper()
	b, err := s.Sign(context.Background(), payloadType, payload)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

func bundle(envelope []byte) []byte {
	return []byte(`{"mediaType":"` + bundleType + `","verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":` + string(envelope) + `}`)
}

func TestVerify(t *testing.T) {
	v := ours().verifier(t)
	good := sign(t, ours().loaded, intoto.PayloadType, statement(imageHex))
	edit := func(f func(e map[string]any)) []byte {
		var e map[string]any
		if err := json.Unmarshal(good, &e); err != nil {
			t.Fatal(err)
		}
		f(e)
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(ours().public)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := dsse.SHA256KeyID(public)
	if err != nil {
		t.Fatal(err)
	}
	theirSigned := sign(t, theirs().loaded, intoto.PayloadType, statement(imageHex))
	// claiming is signed by another key, whatever it says.
	claiming := func(id string) []byte {
		return edit(func(e map[string]any) {
			var o struct{ Signatures []map[string]any }
			if err := json.Unmarshal(theirSigned, &o); err != nil {
				t.Fatal(err)
			}
			o.Signatures[0]["keyid"] = id
			e["signatures"] = o.Signatures
		})
	}
	const unnamed = "signed by a key that the signature does not name, and not by the trusted key "
	for _, tt := range []struct {
		name  string
		media string
		bytes []byte
		want  string
	}{
		{"good", intoto.EnvelopeType, good, ""},
		{"good, in a bundle", bundleType, bundle(good), ""},
		{"another key, in a bundle", bundleType, bundle(theirSigned), unnamed},
		{"a bundle that signs an image", bundleType, []byte(`{"messageSignature":{}}`), "no statement"},
		{"another key", intoto.EnvelopeType, theirSigned, unnamed},
		{"another key that names itself", intoto.EnvelopeType, claiming("SHA256:theirs"),
			`signed by key "SHA256:theirs", and not by the trusted key `},
		{"an id that holds more than an id", intoto.EnvelopeType, claiming("\x1b[2J\n"),
			`signed by key "\x1b[2J\n", and not by the trusted key `},
		{"a statement that was changed", intoto.EnvelopeType, claiming(fingerprint),
			"does not fit: the statement was changed after it was signed"},
		{"about another image", intoto.EnvelopeType, sign(t, ours().loaded, intoto.PayloadType, statement(strings.Repeat("00", 32))), "no matching subject digest"},
		{"another payload under the signature", intoto.EnvelopeType, edit(func(e map[string]any) {
			e["payload"] = base64.StdEncoding.EncodeToString(append(statement(imageHex), ' '))
		}), unnamed},
		{"no signature", intoto.EnvelopeType, edit(func(e map[string]any) { e["signatures"] = []any{} }), "no signature found"},
		{"signature is no base64", intoto.EnvelopeType, edit(func(e map[string]any) { e["signatures"] = []any{map[string]any{"sig": "?"}} }), "base64"},
		{"another payload type", intoto.EnvelopeType, sign(t, ours().loaded, "text/plain", statement(imageHex)), "payloadType"},
		{"payload twice", intoto.EnvelopeType, bytes.Replace(good, []byte(`"payload":`), []byte(`"payload":"e30=","payload":`), 1), "given twice"},
		{"payload in another case", intoto.EnvelopeType, bytes.Replace(good, []byte(`"payload":`), []byte(`"Payload":`), 1), "in case only"},
		{"unsigned", intoto.PayloadType, statement(imageHex), "nobody signed the statement"},
		{"nothing", intoto.EnvelopeType, nil, "unexpected EOF"},
		{"payload is a number", intoto.EnvelopeType, []byte(`{"payload":5}`), "cannot unmarshal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			payload, by, err := v.Verify(context.Background(), attest.Candidate{Image: image(t), MediaType: tt.media, Bytes: tt.bytes})
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || payload != nil || by != (attest.Identity{}) {
					t.Errorf("got %q by %v, error %v, want %q", payload, by, err, tt.want)
				}
				return
			}
			if err != nil || !bytes.Equal(payload, statement(imageHex)) || by.Kind != "key" || len(by.Name) != 64 {
				t.Errorf("got %q by %v, %v", payload, by, err)
			}
		})
	}
}

// One error names all keys that were tried, instead of one error for each.
func TestKeyErrorNamesAllKeys(t *testing.T) {
	_, stranger, err := cosign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	third, err := cosign.LoadVerifier(stranger)
	if err != nil {
		t.Fatal(err)
	}
	failure := func(v attest.Verifier) (*attest.KeyError, error) {
		signed := sign(t, theirs().loaded, intoto.PayloadType, statement(imageHex))
		c := attest.Candidate{Image: image(t), MediaType: intoto.EnvelopeType, Bytes: signed}
		_, _, err := v.Verify(context.Background(), c)
		var wrong *attest.KeyError
		if !errors.As(err, &wrong) || len(wrong.Claimed) > 0 {
			t.Fatalf("got %v", err)
		}
		return wrong, err
	}
	one, _ := failure(ours().verifier(t))
	other, _ := failure(third)
	both, err := failure(attest.AnyOf(ours().verifier(t), third))
	want := []string{one.Trusted[0], other.Trusted[0]}
	if diff := cmp.Diff(want, both.Trusted); diff != "" || len(one.Trusted) != 1 || want[0] == want[1] {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	text := "attest: signed by a key that the signature does not name, and none of the trusted keys " + strings.Join(want, ", ")
	if err.Error() != text {
		t.Errorf("got %q, want %q", err, text)
	}
}

// An annotation is written by whoever pushes. A certificate in one must not get in the way of a key.
func TestAnnotationsDoNotDisturb(t *testing.T) {
	_, _, err := ours().verifier(t).Verify(context.Background(), attest.Candidate{
		Image: image(t), MediaType: intoto.EnvelopeType, Bytes: sign(t, ours().loaded, intoto.PayloadType, statement(imageHex)),
		Annotations: map[string]string{"dev.sigstore.cosign/certificate": "garbage", "dev.sigstore.cosign/bundle": "{", "dev.sigstore.cosign/rfc3161timestamp": "{"},
	})
	if err != nil {
		t.Error(err)
	}
}

// A Writer knows its own statements again because its signer verifies.
func TestSignerVerifiesItsOwn(t *testing.T) {
	s := ours().loaded
	own, ok := s.(attest.Verifier)
	if !ok {
		t.Fatal("it does not verify")
	}
	_, by, err := own.Verify(context.Background(), attest.Candidate{Image: image(t), MediaType: intoto.EnvelopeType, Bytes: sign(t, s, intoto.PayloadType, statement(imageHex))})
	if err != nil {
		t.Fatal(err)
	}
	_, same, err := ours().verifier(t).Verify(context.Background(), attest.Candidate{Image: image(t), MediaType: intoto.EnvelopeType, Bytes: sign(t, s, intoto.PayloadType, statement(imageHex))})
	if err != nil || by != same {
		t.Errorf("the signer calls its key %v, the verifier %v, %v", by, same, err)
	}
}

func TestKeysThatCannotBeLoaded(t *testing.T) {
	for name, pem := range map[string][]byte{"nothing": nil, "garbage": []byte("x"), "the other half": ours().public} {
		if _, err := cosign.LoadSigner(pem, password); err == nil || !strings.HasPrefix(err.Error(), "attest: load private key: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := cosign.LoadSigner(ours().private, []byte("wrong")); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: got %v", err)
	}
	for name, pem := range map[string][]byte{"nothing": nil, "garbage": []byte("x"), "the other half": ours().private} {
		if _, err := cosign.LoadVerifier(pem); err == nil || !strings.HasPrefix(err.Error(), "attest: load public key: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Keys that cosign imported are of other kinds too.
func TestEd25519Key(t *testing.T) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/key.pem"
	writeFile(t, path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	keys, err := sigstore.ImportKeyPair(path, func(bool) ([]byte, error) { return password, nil })
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cosign.LoadSigner(keys.PrivateBytes, password)
	if err != nil {
		t.Fatal(err)
	}
	p := pair{public: keys.PublicBytes}
	b := sign(t, signer, intoto.PayloadType, statement(imageHex))
	if _, _, err := p.verifier(t).Verify(context.Background(), attest.Candidate{Image: image(t), MediaType: intoto.EnvelopeType, Bytes: b}); err != nil {
		t.Error(err)
	}
}

// newImage puts an image into a registry of its own.
func newImage(t testing.TB, referrers bool) name.Digest {
	t.Helper()
	server := httptest.NewUnstartedServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers)))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	d, err := pushImage(strings.TrimPrefix(server.URL, "http://") + "/team/app")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Stock cosign, as a library, reads what a Writer stores; with another key it does not.
func TestStockCosignReadsTheView(t *testing.T) {
	for name, referrers := range map[string]bool{"referrers API": true, "no referrers API": false} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			d := newImage(t, referrers)
			w := attest.NewWriter(ours().loaded, attest.Options{})
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
				good, _, err := sigstore.VerifyImageAttestations(ctx, d, &sigstore.CheckOpts{SigVerifier: key, IgnoreTlog: true, ClaimVerifier: sigstore.IntotoSubjectClaimVerifier})
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
