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

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/internal/registrytest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// What cosign reads, spelled out as it is in its own sources.
const (
	annotationSignature  = "dev.cosignproject.cosign/signature"
	annotationBundleType = "dev.sigstore.bundle.predicateType"
)

const mib = 1 << 20

// A world is a registry with one image in it, and how it is asked.
type world struct {
	*registrytest.Host
	opts Options
}

func newWorld(t testing.TB, referrers bool) *world {
	t.Helper()
	w := &world{Host: registrytest.New(t, referrers)}
	w.opts = Options{Access: Access{Backoff: time.Millisecond, Transport: registrytest.Plain}, Now: func() time.Time { return attesttest.Noon }}
	return w
}

func (w *world) get(tag string) registry.Document {
	w.T.Helper()
	doc, err := w.repo().Manifest(context.Background(), tag)
	if err != nil {
		w.T.Fatal(err)
	}
	return doc
}

func (w *world) write(s intoto.Signer, test string, p intoto.Predicate) Record {
	w.T.Helper()
	r, err := NewWriter(s, w.opts).Write(context.Background(), w.Image, test, p)
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}

// repo gives access below the exported API.
func (w *world) repo() *referrers.Records {
	w.T.Helper()
	r, err := referrers.Open(context.Background(), registry.New(w.opts.Access, "push,pull"), w.Image.Context(), referrers.Layout{})
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}

// attach puts anything at the image as if it were a statement. change may spoil the manifest.
func (w *world) attach(b []byte, change func(*v1.Manifest)) v1.Hash {
	w.T.Helper()
	subject := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: w.hash(), Size: 1}
	raw, err := referrers.BuildRecord(referrers.Draft{Subject: subject}, referrers.Layout{}, registry.DefaultLimits.ManifestBytes, b)
	if err != nil {
		w.T.Fatal(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		w.T.Fatal(err)
	}
	if change != nil {
		change(&m)
	}
	if raw, err = json.Marshal(m); err != nil {
		w.T.Fatal(err)
	}
	h := registry.Describe(raw, "").Digest
	if err := w.repo().Push(context.Background(), referrers.RecordTag(w.Image, h), types.OCIManifestSchema1, raw, b); err != nil {
		w.T.Fatal(err)
	}
	return h
}

func (w *world) hash() v1.Hash {
	w.T.Helper()
	h, err := v1.NewHash(w.Image.DigestStr())
	if err != nil {
		w.T.Fatal(err)
	}
	return h
}

func (w *world) newest(v Verifier, test intoto.Test) (Evidence, error) {
	return NewResolver(v, w.opts).Newest(context.Background(), w.Image, test)
}

func (w *world) mustNewest(v Verifier, test intoto.Test) Evidence {
	w.T.Helper()
	e, err := w.newest(v, test)
	if err != nil {
		w.T.Fatal(err)
	}
	return e
}

func (w *world) all(v Verifier) []Evidence {
	w.T.Helper()
	var all []Evidence
	for e, err := range NewResolver(v, w.opts).All(context.Background(), w.Image) {
		if err != nil {
			w.T.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// records returns the manifests of the record.
func (w *world) records() []referrers.Entry {
	w.T.Helper()
	l, err := w.repo().List(context.Background(), w.Image)
	if err != nil {
		w.T.Fatal(err)
	}
	refs := make([]string, len(l.Pointers))
	for i, p := range l.Pointers {
		refs[i] = p.Ref
	}
	entries, err := w.repo().Entries(context.Background(), refs, referrers.Memory{})
	if err != nil {
		w.T.Fatal(err)
	}
	return entries
}

// viewTag is the tag of image under which cosign looks for statements.
func viewTag(image name.Digest) string { return referrers.TagBase(image) + ".att" }

// att returns what is under cosign's tag, an empty manifest if nothing is.
func (w *world) att() v1.Manifest {
	w.T.Helper()
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{}}
	w.decode(viewTag(w.Image), &m)
	return m
}

// fallback returns what the fallback index names.
func (w *world) fallback() []v1.Descriptor {
	w.T.Helper()
	var index v1.IndexManifest
	w.decode(referrers.TagBase(w.Image), &index)
	return index.Manifests
}

// decode decodes what is under a tag, and leaves into as it is if nothing is.
func (w *world) decode(tag string, into any) {
	w.T.Helper()
	doc, err := w.repo().Manifest(context.Background(), tag)
	if registry.IsNotFound(err) {
		return
	}
	if err == nil {
		err = json.Unmarshal(doc.Bytes, into)
	}
	if err != nil {
		w.T.Fatal(err)
	}
}

// attLayers returns the digests of the statements in cosign's tag.
func (w *world) attLayers() []string {
	w.T.Helper()
	var out []string
	for _, l := range w.att().Layers {
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

func (k *key) Verify(_ context.Context, c Candidate) ([]byte, Identity, error) {
	payload, err := c.Payload()
	if err != nil {
		return nil, Identity{}, err
	}
	var e struct {
		Signatures []struct{ Sig []byte }
	}
	if err := json.Unmarshal(c.Bytes, &e); err != nil {
		return nil, Identity{}, err
	}
	for _, s := range e.Signatures {
		if ed25519.Verify(k.private.Public().(ed25519.PublicKey), pae(intoto.PayloadType, payload), s.Sig) {
			return payload, Identity{"key", k.name}, nil
		}
	}
	return nil, Identity{}, errors.New("no good signature")
}

// signerOnly hides that a key can verify.
type signerOnly struct{ intoto.Signer }

// outcome is a test-result at noon plus d.
func outcome(r intoto.Result, d time.Duration) intoto.TestResult {
	return intoto.TestResult{Result: r, Timestamp: attesttest.Noon.Add(d)}
}

// vulns is a valid predicate that finished at noon plus d.
func vulns(d time.Duration, ids ...string) intoto.Vulns {
	v := intoto.Vulns{
		Scanner: intoto.Scanner{
			URI: "pkg:github/aquasecurity/trivy@v0.69.0", Version: "0.69.0",
			DB:     intoto.ScannerDB{URI: "https://example.com/db", LastUpdate: attesttest.Noon.Add(-time.Hour)},
			Result: []intoto.Finding{},
		},
		Metadata: intoto.ScanMetadata{StartedOn: attesttest.Noon.Add(d - time.Minute), FinishedOn: attesttest.Noon.Add(d)},
	}
	for _, id := range ids {
		v.Scanner.Result = append(v.Scanner.Result, intoto.Finding{ID: id, Severity: []intoto.Severity{{Method: "nvd", Score: "high"}}})
	}
	return v
}

// statementOf is the payload for a predicate given as JSON.
func (w *world) statementOf(predicateType, predicate string) []byte {
	return fmt.Appendf(nil, `{"_type":%q,"subject":[{"name":"app","digest":{"sha256":%q}}],"predicateType":%q,"predicate":%s}`,
		intoto.StatementType, w.hash().Hex, predicateType, predicate)
}

func (w *world) sign(k *key, payload []byte) []byte {
	w.T.Helper()
	b, err := k.Sign(context.Background(), intoto.PayloadType, payload)
	if err != nil {
		w.T.Fatal(err)
	}
	return b
}

func testResultOf(test string) intoto.Test {
	return intoto.Test{Name: test, PredicateType: intoto.TestResultType}
}

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
var chains = provenance.Trust{
	Builders: []string{"https://tekton.dev/chains/v2"},
	Tasks:    []provenance.TaskRule{{Pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-*"}},
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
	b, err := os.ReadFile("provenance/testdata/taskrun-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), attesttest.Coffee.Hex, record.Hex)
	for _, minutes := range []int{-2, 0} {
		at := attesttest.Noon.Add(time.Duration(minutes) * time.Minute)
		text = strings.ReplaceAll(text, at.Format(time.RFC3339), "@"+at.Add(d).Format(time.RFC3339))
	}
	return []byte(strings.ReplaceAll(text, `"@`, `"`))
}

// provenance attaches a provenance to a manifest as Chains does: in cosign's tag.
func (w *world) provenance(k *key, at v1.Hash, payload []byte) {
	w.T.Helper()
	w.provenances(k, at, payload)
}

// provenances attaches several.
func (w *world) provenances(k *key, at v1.Hash, payloads ...[]byte) {
	w.T.Helper()
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: registry.Describe([]byte(registry.EmptyConfig), registry.EmptyConfigType)}
	blobs := [][]byte{[]byte(registry.EmptyConfig)}
	for _, payload := range payloads {
		envelope := w.sign(k, payload)
		l := registry.Describe(envelope, intoto.EnvelopeType)
		l.Annotations = map[string]string{annotationSignature: ""}
		m.Layers, blobs = append(m.Layers, l), append(blobs, envelope)
	}
	b, err := json.Marshal(m)
	if err != nil {
		w.T.Fatal(err)
	}
	tag := viewTag(w.Image.Context().Digest(at.String()))
	if err := w.repo().Push(context.Background(), tag, types.OCIManifestSchema1, b, blobs...); err != nil {
		w.T.Fatal(err)
	}
}

// unsigned writes a statement in the form that Conforma reads.
func (w *world) unsigned(test string, p intoto.Predicate) Record {
	w.T.Helper()
	opts := w.opts
	opts.Encoding = intoto.EncodingStatement
	r, err := NewWriter(nil, opts).Write(context.Background(), w.Image, test, p)
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}

// remove deletes a manifest, as somebody may who can, and what leads to it.
func (w *world) remove(r Record) {
	w.T.Helper()
	for _, ref := range []string{referrers.RecordTag(w.Image, r.Digest), r.Digest.String(), viewTag(w.Image), referrers.TagBase(w.Image)} {
		req := httptest.NewRequest(http.MethodDelete, "/v2/"+w.Image.Context().RepositoryStr()+"/manifests/"+ref, nil)
		w.Inner.ServeHTTP(httptest.NewRecorder(), req)
	}
}

// stock puts an envelope where stock cosign does: into its tag alone.
func (w *world) stock(envelope []byte) {
	w.T.Helper()
	m := w.att()
	l := registry.Describe(envelope, intoto.EnvelopeType)
	l.Annotations = map[string]string{annotationSignature: "", AnnotationPredicateType: intoto.TestResultType}
	m.Layers = append(m.Layers, l)
	m.Config = registry.Describe([]byte(registry.EmptyConfig), registry.EmptyConfigType)
	b, err := json.Marshal(m)
	if err != nil {
		w.T.Fatal(err)
	}
	err = w.repo().Push(context.Background(), viewTag(w.Image), types.OCIManifestSchema1, b, envelope, []byte(registry.EmptyConfig))
	if err != nil {
		w.T.Fatal(err)
	}
}
