package attest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A world is a registry with one image in it, and how it is asked.
type world struct {
	*host
	opts Options
}

func newWorld(t testing.TB, referrers bool) *world {
	t.Helper()
	w := &world{host: newHost(t, referrers)}
	w.opts = Options{Access: Access{Backoff: time.Millisecond, Transport: plain}, Now: func() time.Time { return noon }}
	return w
}

func (w *world) get(tag string) document {
	w.t.Helper()
	doc, err := w.repo().manifest(context.Background(), tag)
	if err != nil {
		w.t.Fatal(err)
	}
	return doc
}

func (w *world) write(s Signer, test string, p Predicate) Record {
	w.t.Helper()
	r, err := NewWriter(s, w.opts).Write(context.Background(), w.image, test, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// repo gives access below the exported API.
func (w *world) repo() *records {
	w.t.Helper()
	r, err := openRecords(context.Background(), newRegistry(w.opts.Access, "push,pull"), w.image.Context(), layout{})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// attach puts anything at the image as if it were a statement. change may spoil the manifest.
func (w *world) attach(b []byte, change func(*v1.Manifest)) v1.Hash {
	w.t.Helper()
	subject := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: w.hash(), Size: 1}
	raw, err := buildRecord(draft{subject: subject}, layout{}, defaultLimits.ManifestBytes, b)
	if err != nil {
		w.t.Fatal(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		w.t.Fatal(err)
	}
	if change != nil {
		change(&m)
	}
	if raw, err = json.Marshal(m); err != nil {
		w.t.Fatal(err)
	}
	h := describe(raw, "").Digest
	if err := w.repo().push(context.Background(), recordTag(w.image, h), types.OCIManifestSchema1, raw, b); err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w *world) hash() v1.Hash {
	w.t.Helper()
	h, err := v1.NewHash(w.image.DigestStr())
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w *world) newest(v Verifier, test Test) (Evidence, error) {
	return NewResolver(v, w.opts).Newest(context.Background(), w.image, test)
}

func (w *world) mustNewest(v Verifier, test Test) Evidence {
	w.t.Helper()
	e, err := w.newest(v, test)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) all(v Verifier) []Evidence {
	w.t.Helper()
	var all []Evidence
	for e, err := range NewResolver(v, w.opts).All(context.Background(), w.image) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// records returns the manifests of the record.
func (w *world) records() []entry {
	w.t.Helper()
	l, err := w.repo().list(context.Background(), w.image)
	if err != nil {
		w.t.Fatal(err)
	}
	entries, err := w.repo().entries(context.Background(), refs(l.pointers), memory{})
	if err != nil {
		w.t.Fatal(err)
	}
	return entries
}

// attLayers returns the digests of the statements in cosign's tag.
func (w *world) attLayers() []string {
	w.t.Helper()
	m, _, err := w.repo().att(context.Background(), w.image)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, l := range m.Layers {
		out = append(out, l.Digest.String())
	}
	slices.Sort(out)
	return out
}

// A key signs with Ed25519, so equal payloads get equal envelopes, unless salted.
type key struct {
	name    string
	private ed25519.PrivateKey
	salted  bool // adds a key ID that differs each time
}

func newKey(t testing.TB, name string) *key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &key{name: name, private: private}
}

func pae(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

func (k *key) Sign(_ context.Context, payloadType string, payload []byte) ([]byte, error) {
	id := k.name
	if k.salted {
		id = rand.Text()
	}
	return json.Marshal(map[string]any{
		"payloadType": payloadType,
		"payload":     base64.StdEncoding.EncodeToString(payload),
		"signatures": []map[string]string{{"keyid": id,
			"sig": base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, pae(payloadType, payload)))}},
	})
}

func (k *key) Verify(_ context.Context, c Candidate) ([]byte, Voucher, error) {
	payload, err := c.Payload()
	if err != nil {
		return nil, Voucher{}, err
	}
	var e struct {
		Signatures []struct{ Sig []byte }
	}
	if err := json.Unmarshal(c.Bytes, &e); err != nil {
		return nil, Voucher{}, err
	}
	for _, s := range e.Signatures {
		if ed25519.Verify(k.private.Public().(ed25519.PublicKey), pae(PayloadType, payload), s.Sig) {
			return payload, Voucher{"key", k.name}, nil
		}
	}
	return nil, Voucher{}, errors.New("no good signature")
}

// signerOnly hides that a key can verify.
type signerOnly struct{ Signer }

// outcome is a test-result at noon plus d.
func outcome(r Result, d time.Duration) TestResult {
	return TestResult{Result: r, Timestamp: noon.Add(d)}
}

// vulns is a valid predicate that finished at noon plus d.
func vulns(d time.Duration, ids ...string) Vulns {
	v := Vulns{
		Scanner: Scanner{
			URI: "pkg:github/aquasecurity/trivy@v0.69.0", Version: "0.69.0",
			DB:     ScannerDB{URI: "https://example.com/db", LastUpdate: noon.Add(-time.Hour)},
			Result: []Finding{},
		},
		Metadata: ScanMetadata{StartedOn: noon.Add(d - time.Minute), FinishedOn: noon.Add(d)},
	}
	for _, id := range ids {
		v.Scanner.Result = append(v.Scanner.Result, Finding{ID: id, Severity: []Severity{{"nvd", "high"}}})
	}
	return v
}

// statementOf is the payload for a predicate given as JSON.
func (w *world) statementOf(predicateType, predicate string) []byte {
	return fmt.Appendf(nil, `{"_type":%q,"subject":[{"name":"app","digest":{"sha256":%q}}],"predicateType":%q,"predicate":%s}`,
		StatementType, w.hash().Hex, predicateType, predicate)
}

func (w *world) sign(k *key, payload []byte) []byte {
	w.t.Helper()
	b, err := k.Sign(context.Background(), PayloadType, payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func testResultOf(test string) Test { return Test{test, TestResultType} }

// eachRegistry runs a test with the referrers API and without.
func eachRegistry(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("referrers API", func(t *testing.T) { f(t, newWorld(t, true)) })
	t.Run("no referrers API", func(t *testing.T) { f(t, newWorld(t, false)) })
}

// wantProblem wants a problem of that kind in an error, and returns it.
func wantProblem(t testing.TB, kind ProblemKind, err error) *Problem {
	t.Helper()
	found := findProblem(kind, err)
	if found == nil || !errors.Is(err, kind) {
		t.Fatalf("got error %v, want a problem that is %s", err, string(kind))
	}
	return found
}

func findProblem(kind ProblemKind, err error) *Problem {
	switch e := err.(type) {
	case *Problem:
		if e.Kind == kind {
			return e
		}
		return findProblem(kind, e.Err)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			if found := findProblem(kind, one); found != nil {
				return found
			}
		}
	case interface{ Unwrap() error }:
		return findProblem(kind, e.Unwrap())
	}
	return nil
}

// chains is a Trust in what the recordings in testdata/provenance say.
var chains = Trust{
	Builders: []string{"https://tekton.dev/chains/v2"},
	Tasks:    []TaskRule{{Pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-*"}},
}

// byChains believes a key's provenance by those rules.
func byChains(t testing.TB, k *key) Verifier {
	t.Helper()
	v, err := ByProvenance(k, chains)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// provenanceFor is what Chains writes about the record of a clamav-scan that ran for two minutes until noon plus d.
func provenanceFor(t testing.TB, record v1.Hash, d time.Duration) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/provenance/taskrun-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), coffee.Hex, record.Hex)
	for _, minutes := range []int{-2, 0} {
		at := noon.Add(time.Duration(minutes) * time.Minute)
		text = strings.ReplaceAll(text, at.Format(time.RFC3339), "@"+at.Add(d).Format(time.RFC3339))
	}
	return []byte(strings.ReplaceAll(text, `"@`, `"`))
}

// provenance attaches a provenance to a manifest as Chains does: in cosign's tag.
func (w *world) provenance(k *key, at v1.Hash, payload []byte) {
	w.t.Helper()
	w.provenances(k, at, payload)
}

// provenances attaches several.
func (w *world) provenances(k *key, at v1.Hash, payloads ...[]byte) {
	w.t.Helper()
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: describe([]byte(emptyConfig), emptyConfigType)}
	blobs := [][]byte{[]byte(emptyConfig)}
	for _, payload := range payloads {
		envelope := w.sign(k, payload)
		l := describe(envelope, EnvelopeType)
		l.Annotations = map[string]string{annotationSignature: ""}
		m.Layers, blobs = append(m.Layers, l), append(blobs, envelope)
	}
	b, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	tag := viewTag(w.image.Context().Digest(at.String()))
	if err := w.repo().push(context.Background(), tag, types.OCIManifestSchema1, b, blobs...); err != nil {
		w.t.Fatal(err)
	}
}

// unsigned writes a statement in the form that Conforma reads.
func (w *world) unsigned(test string, p Predicate) Record {
	w.t.Helper()
	opts := w.opts
	opts.Form = FormStatement
	r, err := NewWriter(nil, opts).Write(context.Background(), w.image, test, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// remove deletes a manifest, as somebody may who can, and what leads to it.
func (w *world) remove(r Record) {
	w.t.Helper()
	for _, ref := range []string{recordTag(w.image, r.Digest), r.Digest.String(), viewTag(w.image), tagBase(w.image)} {
		req := httptest.NewRequest(http.MethodDelete, "/v2/"+w.image.Context().RepositoryStr()+"/manifests/"+ref, nil)
		w.inner.ServeHTTP(httptest.NewRecorder(), req)
	}
}

// stock puts an envelope where stock cosign does: into its tag alone.
func (w *world) stock(envelope []byte) {
	w.t.Helper()
	m, _, err := w.repo().att(context.Background(), w.image)
	if err != nil {
		w.t.Fatal(err)
	}
	l := describe(envelope, EnvelopeType)
	l.Annotations = map[string]string{annotationSignature: "", AnnotationPredicateType: TestResultType}
	m.Layers = append(m.Layers, l)
	m.Config = describe([]byte(emptyConfig), emptyConfigType)
	b, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	err = w.repo().push(context.Background(), viewTag(w.image), types.OCIManifestSchema1, b, envelope, []byte(emptyConfig))
	if err != nil {
		w.t.Fatal(err)
	}
}
