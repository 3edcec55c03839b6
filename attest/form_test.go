package attest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// A bundler signs bundles too.
type bundler struct{ *key }

func (b bundler) SignBundle(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	envelope, err := b.Sign(ctx, payloadType, payload)
	return fmt.Appendf(nil, `{"mediaType":%q,"dsseEnvelope":%s}`, intoto.BundleType, envelope), err
}

func (b bundler) Verify(ctx context.Context, c Candidate) ([]byte, Identity, error) {
	envelope, err := c.Envelope()
	if err != nil {
		return nil, Identity{}, err
	}
	c.MediaType, c.Bytes = intoto.EnvelopeType, envelope
	return b.key.Verify(ctx, c)
}

// Each form is found again, in the layers and with the annotations that other readers look for, and once only.
func TestForms(t *testing.T) {
	for _, tt := range []struct {
		form                    intoto.Encoding
		artifactType, mediaType string
		inView                  int
		annotations             map[string]string // beside those of every form
	}{
		{intoto.EncodingEnvelope, "application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json", 1, nil},
		{intoto.EncodingStatement, "application/vnd.in-toto+json", "application/vnd.in-toto+json", 0, nil},
		{intoto.EncodingBundle, "application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.dev.sigstore.bundle.v0.3+json", 0,
			map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": intoto.TestResultType}},
	} {
		t.Run(string(tt.form), func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				k := bundler{newKey(t, "k")}
				k.salted = true // so that a second one would show
				w.opts.Encoding = tt.form
				r := w.write(k, "scan", outcome(intoto.Failed, 0))
				if again := w.write(k, "scan", outcome(intoto.Failed, 0)); again.Digest != r.Digest {
					t.Errorf("written twice: %s and %s", r.Digest, again.Digest)
				}
				var m struct {
					ArtifactType string
					Annotations  map[string]string
					Layers       []v1.Descriptor
				}
				if err := json.Unmarshal(r.Bytes, &m); err != nil {
					t.Fatal(err)
				}
				if m.ArtifactType != tt.artifactType || string(m.Layers[0].MediaType) != tt.mediaType {
					t.Errorf("artifact type %s, layer %s", m.ArtifactType, m.Layers[0].MediaType)
				}
				for k, v := range tt.annotations {
					if m.Annotations[k] != v {
						t.Errorf("annotation %s is %q, want %q", k, m.Annotations[k], v)
					}
				}
				if got := len(w.attLayers()); got != tt.inView {
					t.Errorf("%d in cosign's tag, want %d", got, tt.inView)
				}
				e := w.mustNewest(k, testResultOf("scan"))
				if e.Manifest != r.Digest || (e.Problem == nil) != (tt.form != intoto.EncodingStatement) {
					t.Errorf("found in %s: %v", e.Manifest, e.Problem)
				}
				if tt.form == intoto.EncodingStatement && !strings.Contains(fmt.Sprint(e.Problem), "nobody vouches") {
					t.Errorf("an unsigned statement: %v", e.Problem)
				}
			})
		})
	}
}

// A manifest that says it holds our statement, and holds another, is not our record.
func TestForeignStatementUnderOurName(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.opts.Encoding = intoto.EncodingStatement
		ours, err := encode(w.Image, "scan", outcome(intoto.Failed, 0))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := encode(w.Image, "scan", outcome(intoto.Passed, 0))
		if err != nil {
			t.Fatal(err)
		}
		d := referrers.Draft{Image: w.Image, Test: "scan", PredicateType: intoto.TestResultType, Created: attesttest.Noon, Payload: ours}
		if d.Subject, err = w.repo().Subject(t.Context(), w.Image); err != nil {
			t.Fatal(err)
		}
		forged, err := referrers.BuildRecord(d, referrers.Layout{InlineBytes: 64 << 10}, registry.DefaultLimits.ManifestBytes, theirs)
		if err != nil {
			t.Fatal(err)
		}
		h := registry.Describe(forged, "").Digest
		if err := w.repo().Push(t.Context(), referrers.RecordTag(w.Image, h), types.OCIManifestSchema1, forged, theirs); err != nil {
			t.Fatal(err)
		}
		if r := w.unsigned("scan", outcome(intoto.Failed, 0)); r.Digest == h {
			t.Error("a foreign statement was taken for ours")
		}
	})
}

// Where lists can be believed a writer reads no record but its own.
func TestWriteReadsNoOtherRecord(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	for i := range 5 {
		w.write(k, fmt.Sprint("t", i), outcome(intoto.Passed, 0))
	}
	w.Gets()
	r := w.write(k, "scan", outcome(intoto.Passed, 0))
	for _, request := range w.Requests {
		if strings.HasPrefix(request, "GET") && strings.Contains(request, "/manifests/sha256:") &&
			!strings.HasSuffix(request, r.Digest.String()) && !strings.HasSuffix(request, w.Image.DigestStr()) {
			t.Errorf("it made the request %s", request)
		}
	}
}

// Writing says at once all that is wrong with how it is set up.
func TestFormsThatCannotBeWritten(t *testing.T) {
	w := newWorld(t, true)
	for _, tt := range []struct {
		name   string
		form   intoto.Encoding
		signer intoto.Signer
		fields []string
	}{
		{"nobody signs", intoto.EncodingEnvelope, nil, []string{"signer"}},
		{"a key that makes no bundles", intoto.EncodingBundle, newKey(t, "k"), []string{"signer"}},
		{"a form that is none", "jws", newKey(t, "k"), []string{"Options.Encoding"}},
	} {
		w.opts.Encoding = tt.form
		_, err := NewWriter(tt.signer, w.opts).Write(t.Context(), w.Image, "", outcome(intoto.Passed, 0))
		attesttest.Field(t, err, append([]string{"test"}, tt.fields...)...)
	}
}

// What is small is in the manifest too, so that one request reads it; what is large is not.
func TestInline(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.opts.InlineBytes = 2000
		small := w.write(k, "small", outcome(intoto.Passed, 0))
		p := outcome(intoto.Passed, 0)
		p.URL = strings.Repeat("x", 2000)
		large := w.write(k, "large", p)
		for _, tt := range []struct {
			test   string
			record Record
			inline bool
		}{{"small", small, true}, {"large", large, false}} {
			var m v1.Manifest
			if err := json.Unmarshal(tt.record.Bytes, &m); err != nil {
				t.Fatal(err)
			}
			if (m.Layers[0].Data != nil) != tt.inline {
				t.Errorf("%s has %d bytes inline", tt.test, len(m.Layers[0].Data))
			}
			if _, err := w.repo().Blob(t.Context(), m.Layers[0]); err != nil {
				t.Errorf("%s: the blob must be there all the same: %v", tt.test, err)
			}
			if e := w.mustNewest(k, testResultOf(tt.test)); e.Problem != nil {
				t.Error(e.Problem)
			}
		}
		m := w.att()
		if len(m.Layers) != 2 || m.Layers[0].Data != nil || m.Layers[1].Data != nil {
			t.Errorf("cosign's tag: %d layers, with data", len(m.Layers))
		}
	})
}

// Repair does for the views what a writer would have done that was killed.
func TestRepair(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.opts.WithoutViews = true
		w.write(k, "a", outcome(intoto.Passed, 0))
		w.write(k, "b", outcome(intoto.Passed, 0))
		if got := len(w.attLayers()); got != 0 {
			t.Fatalf("%d in the view", got)
		}
		if err := NewWriter(nil, w.opts).Repair(t.Context(), w.Image); err != nil {
			t.Fatal(err)
		}
		index := w.fallback()
		if len(w.attLayers()) != 2 || !w.Referrers && len(index) != 2 {
			t.Errorf("%d in cosign's tag, %d in the index", len(w.attLayers()), len(index))
		}
		w.Requests = nil
		if err := NewWriter(nil, w.opts).Repair(t.Context(), w.Image); err != nil || w.Count("PUT", "") > 0 {
			t.Errorf("%v, wrote again: %q", err, w.Requests)
		}
		nowhere := w.Image.Context().Registry.Repo("no", "where").Digest(w.Image.DigestStr())
		if err := NewWriter(nil, w.opts).Repair(t.Context(), nowhere); !errors.Is(err, ErrNoImage) {
			t.Error("repaired what is not there")
		}
	})
}

// Repositories with immutable tags refuse the second write of a view. The record is there all the same.
func TestImmutableTags(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		written := map[string]bool{}
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") || strings.Contains(r.URL.Path, "sha256:") {
				return false
			}
			if before := written[r.URL.Path]; before {
				rw.WriteHeader(http.StatusConflict)
				return true
			}
			written[r.URL.Path] = true
			return false
		})
		w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
		second, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, 0))
		if view := attesttest.As[*ViewError](t, err); second.Digest == (v1.Hash{}) || view.Tag != viewTag(w.Image) {
			t.Errorf("record %s, %v", second.Digest, err)
		}
		if e := w.mustNewest(k, testResultOf("scan")); e.Manifest != second.Digest || e.Result != intoto.Failed {
			t.Errorf("found %s in %s", e.Result, e.Manifest)
		}
		w.opts.WithoutViews = true
		if _, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Passed, time.Second)); err != nil {
			t.Errorf("without views: %v", err)
		}
	})
}

// A view is never written larger than registries and readers take it.
func TestViewIsNoLargerThanAManifestMayBe(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.opts.InlineBytes = -1
		w.opts.Limits.ManifestBytes = 2400
		var last error
		for i := range 8 {
			_, last = NewWriter(k, w.opts).Write(t.Context(), w.Image, fmt.Sprint("t", i), outcome(intoto.Passed, 0))
			if last != nil {
				break
			}
		}
		attesttest.As[*ViewError](t, last)
		if l := attesttest.As[*intoto.LimitError](t, last); l.What != "manifest bytes" || l.Limit != 2400 {
			t.Errorf("got %v", l)
		}
		for i, e := range w.all(k) {
			if e.Problem != nil {
				t.Errorf("%d: %v", i, e.Problem)
			}
		}
	})
}

// A bundle's envelope is the one that counts, strictly read.
func TestBundleIsReadStrictly(t *testing.T) {
	payload := base64.StdEncoding.EncodeToString([]byte(`{}`))
	good := `{"payloadType":"application/vnd.in-toto+json","payload":"` + payload + `","signatures":[]}`
	c := Candidate{MediaType: intoto.BundleType, Bytes: []byte(`{"dsseEnvelope":` + good + `,"verificationMaterial":{}}`)}
	if got, err := c.Payload(); err != nil || string(got) != `{}` {
		t.Errorf("got %s, %v", got, err)
	}
	c.Bytes = []byte(`{"dsseEnvelope":` + good + `,"dsseEnvelope":` + good + `}`)
	if _, err := c.Payload(); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("got %v", err)
	}
}

func TestStatementBytesAreBounded(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Passed, 0))
	w.opts.Limits.StatementBytes = 100
	_, err := w.newest(k, testResultOf("scan"))
	if diff := cmp.Diff("statement bytes", attesttest.As[*intoto.LimitError](t, err).What); diff != "" {
		t.Error(diff)
	}
}

// A limit is the most that is allowed. A statement of just that size is written, read, and shown to cosign, as is a manifest
// of just as many statements; with one byte or one statement more it is not.
func TestLimitsAreTheMostThatIsAllowed(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	views := w.opts
	w.opts.WithoutViews = true
	envelope := statementIn(w.write(k, "scan", outcome(intoto.Passed, 0)))
	payload, err := encode(w.Image, "scan", outcome(intoto.Passed, 0))
	if err != nil {
		t.Fatal(err)
	}
	just := Limits{EnvelopeBytes: envelope.Size, StatementBytes: int64(len(payload))}
	w.opts.Limits, views.Limits = just, just
	if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil {
		t.Errorf("read: %v", e.Problem)
	}
	if _, err := NewWriter(k, views).Write(t.Context(), w.Image, "scan", outcome(intoto.Passed, 0)); err != nil || len(w.attLayers()) != 1 {
		t.Errorf("written: %v, and the view holds %d", err, len(w.attLayers()))
	}
	w.opts.Limits = Limits{StatementBytes: just.StatementBytes - 1}
	_, err = w.newest(k, testResultOf("scan"))
	if l := attesttest.As[*intoto.LimitError](t, err); l.What != "statement bytes" {
		t.Errorf("one byte more: %v", l)
	}

	w = newWorld(t, true)
	several := func(m *v1.Manifest) { m.Layers = append(m.Layers, m.Layers[0], m.Layers[0]) }
	h := w.attach(w.sign(k, w.statementOf(intoto.TestResultType, `{}`)), several)
	w.opts.Limits.Statements = 3
	for _, e := range w.all(k) {
		if unreadable := new(CandidateError); errors.As(e.Problem, &unreadable) && e.Statement == nil {
			t.Errorf("as many statements as may be: %v", e.Problem)
		}
	}
	w.opts.Limits.Statements = 2
	all := w.all(k) // the manifest blocks, and what else is there can still be listed
	if len(all) != 1 {
		t.Fatalf("found %d", len(all))
	}
	if c := attesttest.As[*CandidateError](t, all[0].Problem); c.Manifest != h {
		t.Errorf("got %v", c)
	}
}
