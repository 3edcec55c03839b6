package attest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/strictjson"
)

// The layout of a record outlives a release: other tools read it.
func TestRecordAsWritten(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		r := w.write(k, "clamav", outcome(intoto.Passed, 0))
		if registry.Describe(r.Bytes, "").Digest != r.Digest || int64(len(r.Bytes)) != r.Size || r.Repository != w.Image.Context() {
			t.Errorf("record %s of %d bytes in %s does not describe its bytes", r.Digest, r.Size, r.Repository)
		}
		var m v1.Manifest
		if err := json.Unmarshal(r.Bytes, &m); err != nil {
			t.Fatal(err)
		}
		envelope, err := w.repo().Blob(context.Background(), m.Layers[0])
		if err != nil {
			t.Fatal(err)
		}
		payload, err := intoto.Payload(intoto.EnvelopeType, envelope, strictjson.Default, registry.DefaultLimits.Signatures)
		if err != nil {
			t.Fatal(err)
		}
		wantPayload := attesttest.Compact(fmt.Sprintf(`{
			"_type": "https://in-toto.io/Statement/v1",
			"subject": [{"name": %q, "digest": {"sha256": %q}}],
			"predicateType": "https://in-toto.io/attestation/test-result/v0.1",
			"predicate": {"result": "PASSED", "configuration": [{"name": "clamav"}], "timestamp": "2026-03-01T12:00:00Z", "successes": 0, "failures": 0, "warnings": 0}
		}`, w.Image.Context().Name(), w.hash().Hex))
		if diff := cmp.Diff(wantPayload, string(payload)); diff != "" {
			t.Error(diff)
		}
		subject, err := w.repo().Manifest(context.Background(), w.Image.DigestStr())
		if err != nil {
			t.Fatal(err)
		}
		want := attesttest.Compact(fmt.Sprintf(`{
			"schemaVersion": 2,
			"mediaType": "application/vnd.oci.image.manifest.v1+json",
			"config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
			"layers": [{"mediaType": "application/vnd.dsse.envelope.v1+json", "size": %d, "digest": %q, "data": %q,
				"annotations": {"dev.cosignproject.cosign/signature": "", "io.github.testdag.test": "clamav", "org.opencontainers.image.created": "2026-03-01T12:00:00Z", "predicateType": "https://in-toto.io/attestation/test-result/v0.1"}}],
			"annotations": {"io.github.testdag.envelope": %q, "io.github.testdag.payload": %q, "io.github.testdag.test": "clamav", "org.opencontainers.image.created": "2026-03-01T12:00:00Z", "predicateType": "https://in-toto.io/attestation/test-result/v0.1"},
			"subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": %d, "digest": %q},
			"artifactType": "application/vnd.in-toto+json"
		}`, len(envelope), registry.Describe(envelope, "").Digest, base64.StdEncoding.EncodeToString(envelope), registry.Describe(envelope, "").Digest, registry.Describe(payload, "").Digest, len(subject.Bytes), w.Image.DigestStr()))
		if diff := cmp.Diff(want, string(r.Bytes)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{registry.Describe(envelope, "").Digest.String()}, w.attLayers()); diff != "" {
			t.Errorf("cosign's view: %s", diff)
		}
	})
}

func TestWhereTheRecordIsFound(t *testing.T) {
	tags := func(w *world) []string {
		return w.tags(func(tag string) bool { return strings.HasPrefix(tag, viewTag(w.Image)+".") })
	}
	with := newWorld(t, true)
	with.write(newKey(t, "k"), "scan", outcome(intoto.Passed, 0))
	if len(tags(with)) != 0 || len(with.fallback()) != 1 {
		t.Error("with the referrers API the fallback index is the second list, and a tag of its own not needed")
	}
	without := newWorld(t, false)
	r := without.write(newKey(t, "k"), "scan", outcome(intoto.Passed, 0))
	if diff := cmp.Diff([]string{referrers.RecordTag(without.Image, r.Digest)}, tags(without)); diff != "" {
		t.Errorf("tags of its own: %s", diff)
	}
	if got := without.fallback(); len(got) != 1 || got[0].Digest != r.Digest {
		t.Errorf("fallback index: %v", got)
	}
}

func TestWithoutViewsOnlyTheRecordIsWritten(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.opts.WithoutViews = true
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, 0))
		if got := w.attLayers(); len(got) != 0 {
			t.Errorf("the view holds %v", got)
		}
		if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Result != intoto.Passed {
			t.Errorf("got %+v", e)
		}
	})
}

// A writer that stops between record and view loses nothing: the next one repairs the view.
func TestNextWriterRepairsTheView(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		views := w.opts
		w.opts.WithoutViews = true
		for i := range 3 {
			w.write(k, "crashed", outcome(intoto.Failed, time.Duration(i)*time.Second))
		}
		w.opts = views
		w.write(k, "scan", outcome(intoto.Passed, 0))
		if got := w.attLayers(); len(got) != 4 {
			t.Errorf("the view holds %d statements, want 4", len(got))
		}
	})
}

func TestViewKeepsWhatOthersWrote(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		ctx := context.Background()
		foreign := w.sign(k, w.statementOf("https://example.com/other", `{}`))
		d := registry.Describe(foreign, intoto.EnvelopeType)
		d.Annotations = map[string]string{"dev.sigstore.cosign/certificate": "PEM", annotationSignature: ""}
		m := v1.Manifest{SchemaVersion: 2, MediaType: "application/vnd.oci.image.manifest.v1+json",
			Config: registry.Describe([]byte("{}"), "application/vnd.oci.image.config.v1+json"), Layers: []v1.Descriptor{d}}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.repo().Push(ctx, viewTag(w.Image), m.MediaType, b, foreign, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		w.write(k, "scan", outcome(intoto.Passed, 0))
		got := w.att()
		if len(got.Layers) != 2 {
			t.Fatalf("%d layers, want 2", len(got.Layers))
		}
		if diff := cmp.Diff(d, got.Layers[0]); diff != "" {
			t.Errorf("the layer that was there changed: %s", diff)
		}
	})
}

// cosign reads no layer of its tag without this annotation, and whoever wrote a record may have left it out.
func TestViewLayersCarryWhatCosignDemands(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		bare := w.sign(k, w.statementOf(intoto.TestResultType, `{"configuration":[{"name":"bare"}]}`))
		w.attach(bare, func(m *v1.Manifest) {
			m.Layers[0].Annotations = map[string]string{
				"dev.sigstore.cosign/bundle": "kept", "dev.sigstore.cosign/chain": strings.Repeat("x", 16<<10+1),
				"unknown": "dropped",
			}
		})
		w.write(k, "scan", outcome(intoto.Passed, 0))
		view := w.att()
		i := slices.IndexFunc(view.Layers, func(d v1.Descriptor) bool { return d.Digest == registry.Describe(bare, "").Digest })
		if i < 0 {
			t.Fatal("it is not in the view")
		}
		if diff := cmp.Diff(map[string]string{"dev.sigstore.cosign/bundle": "kept", annotationSignature: ""},
			view.Layers[i].Annotations); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSameStatementTwiceLeavesOne(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		for name, signer := range map[string]intoto.Signer{
			"signs otherwise each time, knows itself": &key{name: "a", private: newKey(t, "a").private, salted: true},
			"signs alike, cannot verify":              signerOnly{newKey(t, "b")},
		} {
			first := w.write(signer, name, vulns(0))
			second := w.write(signer, name, vulns(0))
			if diff := cmp.Diff(string(first.Bytes), string(second.Bytes)); diff != "" || first.Digest != second.Digest {
				t.Errorf("%s: another record: %s", name, diff)
			}
		}
		if got := w.attLayers(); len(got) != 2 {
			t.Errorf("%d statements in the view, want 2", len(got))
		}
		if got := len(w.records()); got != 2 {
			t.Errorf("%d records, want 2", got)
		}
	})
}

// That somebody else put the same payload there, badly signed, is no reason not to write.
func TestForeignCopyDoesNotStandForOurs(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		ours, theirs := newKey(t, "ours"), newKey(t, "theirs")
		w.write(theirs, "scan", outcome(intoto.Passed, 0))
		w.write(ours, "scan", outcome(intoto.Passed, 0))
		e := w.mustNewest(ours, testResultOf("scan"))
		if e.Problem != nil || e.VerifiedBy.Name != "ours" || e.Tied != nil {
			t.Errorf("got %v by %v, tied %d", e.Problem, e.VerifiedBy, len(e.Tied))
		}
		if got := w.attLayers(); len(got) != 2 {
			t.Errorf("%d statements in the view, want both", len(got))
		}
	})
}

func TestSixteenWritersLoseNothing(t *testing.T) {
	eachRegistry(t, sixteenWriters)
	t.Run("API that lists nothing", func(t *testing.T) {
		w := newWorld(t, true)
		w.Serves("/referrers/", types.OCIImageIndex, `{"manifests":[]}`)
		sixteenWriters(t, w)
	})
}

// What cosign's tag cannot show it names, and names are as easily lost as layers.
func TestSixteenWritersLoseNoName(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.opts.Encoding = intoto.EncodingStatement
		want := make([]string, 16)
		var wg sync.WaitGroup
		for i := range want {
			wg.Go(func() {
				r, err := NewWriter(nil, w.opts).Write(t.Context(), w.Image, fmt.Sprint("test-", i), outcome(intoto.Passed, 0))
				if want[i] = r.Digest.String(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		slices.Sort(want)
		if diff := cmp.Diff(want, w.named()); diff != "" {
			t.Error(diff)
		}
	})
}

func sixteenWriters(t *testing.T, w *world) {
	k := newKey(t, "k")
	const n = 16
	digests := make([]v1.Hash, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r, err := NewWriter(k, w.opts).Write(context.Background(), w.Image, fmt.Sprintf("test-%d", i), outcome(intoto.Passed, 0))
			digests[i], errs[i] = r.Digest, err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	entries := w.records()
	var envelopes []string
	for _, h := range digests {
		i := slices.IndexFunc(entries, func(e referrers.Entry) bool { return e.Descriptor.Digest == h })
		if i < 0 {
			t.Fatalf("record %s is lost", h)
		}
		envelopes = append(envelopes, entries[i].Statements[0].Digest.String())
	}
	slices.Sort(envelopes)
	if diff := cmp.Diff(envelopes, w.attLayers()); diff != "" {
		t.Errorf("cosign's view differs from the record: %s", diff)
	}
	if got := len(w.fallback()); got != n {
		t.Errorf("%d of %d in the fallback index", got, n)
	}
}

// A repository with immutable tags refuses to rewrite the view. The record is safe, and the caller is told both.
func TestViewThatCannotBeWritten(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.Answers(http.StatusConflict, func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".att")
		})
		r, err := NewWriter(k, w.opts).Write(context.Background(), w.Image, "scan", outcome(intoto.Failed, 0))
		if e := attesttest.As[*ViewError](t, err); e.Tag != viewTag(w.Image) {
			t.Errorf("view %s", e.Tag)
		}
		if e := attesttest.As[*RegistryError](t, err); e.Status != http.StatusConflict || e.Op != "write manifest" {
			t.Errorf("got %+v", e)
		}
		if e := w.mustNewest(k, testResultOf("scan")); e.Manifest != r.Digest || e.Result != intoto.Failed {
			t.Errorf("found %s %s, want the record %s", e.Manifest, e.Result, r.Digest)
		}
		if index := w.fallback(); len(index) != 1 {
			t.Errorf("the other view holds %v", index)
		}
	})
}

// Some registries answer the tag of the fallback index with the image itself. It must not be overwritten.
func TestFallbackTagThatIsTheImage(t *testing.T) {
	w := newWorld(t, false)
	k := newKey(t, "k")
	image, err := w.repo().Manifest(context.Background(), w.Image.DigestStr())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.repo().Put(context.Background(), referrers.TagBase(w.Image), image.Media, image.Bytes); err != nil {
		t.Fatal(err)
	}
	w.write(k, "scan", outcome(intoto.Passed, 0))
	if got, err := w.repo().Manifest(context.Background(), referrers.TagBase(w.Image)); err != nil || got.Digest != image.Digest {
		t.Errorf("the tag now is %s, %v", got.Digest, err)
	}
	if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil {
		t.Error(e.Problem)
	}
}

// An image for several platforms is an index itself, and lists no records: a platform that the repository lacks is no
// evidence that cannot be read, and the image must not get entries.
func TestFallbackTagThatIsAnImageOfPlatforms(t *testing.T) {
	w := newWorld(t, false)
	k := newKey(t, "k")
	image := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"digest":%q,"size":1,"platform":{"os":"linux","architecture":"arm64"}}]}`,
		types.OCIImageIndex, attesttest.Coffee)
	w.Image = w.Image.Context().Digest(registry.Describe(image, "").Digest.String())
	w.Retag(w.Image.DigestStr(), types.OCIImageIndex, image)
	w.Retag(referrers.TagBase(w.Image), types.OCIImageIndex, image)
	w.write(k, "scan", outcome(intoto.Passed, 0))
	if got := w.get(referrers.TagBase(w.Image)); got.Digest != w.hash() {
		t.Errorf("the tag now is %s", got.Digest)
	}
	if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Result != intoto.Passed {
		t.Errorf("got %s, %v", e.Result, e.Problem)
	}
}

func TestWriteRefuses(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	write := func(test string, p intoto.Predicate) error {
		_, err := NewWriter(k, w.opts).Write(context.Background(), w.Image, test, p)
		return err
	}
	before := len(w.Requests)
	attesttest.Field(t, write("scan", nil), "predicate")
	attesttest.Field(t, write("scan", (*intoto.Vulns)(nil)), "predicate")
	attesttest.Field(t, write("", outcome(intoto.Passed, 0)), "test")
	attesttest.Field(t, write("scan", intoto.TestResult{}), "result", "timestamp")
	attesttest.Field(t, write("scan", intoto.Vulns{}), "scanner.uri", "scanner.db.lastUpdate", "scanner.result",
		"metadata.scanStartedOn", "metadata.scanFinishedOn")
	attesttest.Field(t, write("scan", intoto.TestResult{Configuration: []intoto.ResourceDescriptor{{Name: "other"}}}), "configuration[0].name")
	attesttest.Field(t, write("scan", intoto.Vulns{Test: "other"}), intoto.TestField)
	backwards := vulns(0)
	backwards.Metadata.StartedOn = attesttest.Noon.Add(time.Second)
	attesttest.Field(t, write("scan", backwards), "metadata.scanFinishedOn")
	if f := wantProblem(t, Future, write("scan", outcome(intoto.Passed, 5*time.Minute+1))); !f.Now.Equal(attesttest.Noon) {
		t.Errorf("got %v", f)
	}
	_, err := NewWriter(k, w.opts).Write(context.Background(),
		w.Image.Context().Digest("sha512:"+strings.Repeat("ab", 64)), "scan", outcome(intoto.Passed, 0))
	attesttest.Field(t, err, "image")
	if len(w.Requests) != before {
		t.Errorf("the registry was asked: %v", w.Requests[before:])
	}
}

func TestImageThatDoesNotExist(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		nowhere := w.Image.Context().Digest("sha256:" + attesttest.SomeHex)
		_, err := NewWriter(newKey(t, "k"), w.opts).Write(context.Background(), nowhere, "scan", outcome(intoto.Passed, 0))
		if !errors.Is(err, ErrNoImage) {
			t.Errorf("got %v", err)
		}
		if e := attesttest.As[*RegistryError](t, err); e.Status != http.StatusNotFound || e.Ref != nowhere.Name() {
			t.Errorf("got %+v", e)
		}
		if want := "attest: read manifest " + nowhere.Name() +
			": no such image: push it before its evidence, or correct its repository and digest"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		if w.Count("PUT", "") != 2 {
			t.Error("something was written") // the two are the image's own blob and manifest
		}
	})
}

// signer returns envelopes or errors as told.
type signer func([]byte) ([]byte, error)

func (s signer) Sign(_ context.Context, _ string, payload []byte) ([]byte, error) { return s(payload) }

func TestSignerThatMisbehaves(t *testing.T) {
	w := newWorld(t, true)
	w.opts.Limits.EnvelopeBytes = 2000
	k := newKey(t, "k")
	refused := errors.New("card removed")
	before := w.Count("PUT", "")
	for name, tt := range map[string]struct {
		sign signer
		want string
	}{
		"fails":           {func([]byte) ([]byte, error) { return nil, refused }, "card removed"},
		"returns nothing": {func([]byte) ([]byte, error) { return nil, nil }, "unexpected EOF"},
		"signs other bytes": {func(p []byte) ([]byte, error) { return k.Sign(t.Context(), intoto.PayloadType, append(p, ' ')) },
			"another payload"},
		"signs as other": {func(p []byte) ([]byte, error) { return k.Sign(t.Context(), "text/plain", p) }, "payloadType"},
		"blows up": {func(p []byte) ([]byte, error) {
			b, err := k.Sign(t.Context(), intoto.PayloadType, p)
			return append(b, make([]byte, 2000)...), err
		}, ""},
		"is too long": {func(p []byte) ([]byte, error) {
			b, err := k.Sign(t.Context(), intoto.PayloadType, p)
			return append(b, []byte(strings.Repeat(" ", 2000))...), err
		}, "envelope bytes"},
	} {
		_, err := NewWriter(tt.sign, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Passed, 0))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	if w.Count("PUT", "") != before {
		t.Error("something was written")
	}
}

// As cosign has it, of old and now: a view without a media type of its own is still an image manifest.
func TestViewWithoutAMediaType(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.write(k, "a", outcome(intoto.Passed, 0))
		view := w.get(viewTag(w.Image))
		w.Retag(viewTag(w.Image), view.Media, []byte(strings.Replace(string(view.Bytes),
			`"mediaType":"application/vnd.oci.image.manifest.v1+json",`, ``, 1)))
		w.write(k, "b", outcome(intoto.Passed, 0))
		if got := w.get(viewTag(w.Image)); got.Media != types.OCIManifestSchema1 || len(w.attLayers()) != 2 {
			t.Errorf("%d statements in a view of type %q", len(w.attLayers()), got.Media)
		}
	})
}

// What is no view is not overwritten, and not taken for an empty one.
func TestViewThatIsAnIndex(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		for _, index := range []string{
			`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`,
			`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"layers":[]}`,
			`{"schemaVersion":2,"manifests":[],"layers":[]}`,
		} {
			w.Retag(viewTag(w.Image), types.OCIImageIndex, []byte(index))
			_, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Passed, 0))
			attesttest.As[*ViewError](t, err)
			if got := w.get(viewTag(w.Image)); string(got.Bytes) != index {
				t.Errorf("the tag now holds %s", got.Bytes)
			}
			_, err = w.newest(k, testResultOf("scan"))
			if e := attesttest.As[*CandidateError](t, err); e.Manifest != registry.Describe([]byte(index), "").Digest {
				t.Errorf("got %v", err)
			}
		}
	})
}

// cosign reads a thousand statements, and of a thousand and one none.
func TestViewIsNotFilledBeyondWhatCosignReads(t *testing.T) {
	for before, want := range map[int]int{998: 1000, 1000: 1000, 1001: 1001} {
		w := newWorld(t, true)
		k := newKey(t, "k")
		var layers []v1.Descriptor
		for i := range before {
			layers = append(layers, registry.Describe(fmt.Append(nil, i), intoto.EnvelopeType))
		}
		b, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: layers[0],
			Layers: layers})
		if err != nil {
			t.Fatal(err)
		}
		w.Retag(viewTag(w.Image), types.OCIManifestSchema1, b)
		views := w.opts
		w.opts.WithoutViews = true
		w.write(k, "a", outcome(intoto.Passed, 0))
		w.write(k, "b", outcome(intoto.Passed, 0))
		_, err = NewWriter(k, views).Write(t.Context(), w.Image, "c", outcome(intoto.Passed, 0))
		attesttest.As[*ViewError](t, err)
		if l := attesttest.As[*intoto.LimitError](t, err); l.What != "view layers" || len(w.attLayers()) != want {
			t.Errorf("of %d: %d layers, want %d, %v", before, len(w.attLayers()), want, err)
		}
	}
}

// Of just a thousand cosign reads all, so a view of that many is whole, and that is no error.
func TestViewIsFilledUpToWhatCosignReads(t *testing.T) {
	w := newWorld(t, true)
	var layers []v1.Descriptor
	for i := range 999 {
		layers = append(layers, registry.Describe(fmt.Append(nil, i), intoto.EnvelopeType))
	}
	w.showOnly(layers...)
	if w.write(newKey(t, "k"), "scan", outcome(intoto.Passed, 0)); len(w.attLayers()) != 1000 {
		t.Errorf("the view holds %d", len(w.attLayers()))
	}
}

// One layer that says it is huge makes cosign fail as a whole.
func TestViewDoesNotCopyHugeLayers(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.attach([]byte("junk"), func(m *v1.Manifest) { m.Layers[0].Size = 500 << 20 })
		w.write(newKey(t, "k"), "scan", outcome(intoto.Passed, 0))
		if got := w.attLayers(); len(got) != 1 {
			t.Errorf("the view holds %d, want the statement alone", len(got))
		}
	})
}

// A manifest around our envelope that says more than we wrote is not our record.
func TestForeignManifestAroundOurEnvelope(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		k.salted = true // so that writing again shows
		payload, err := encode(w.Image, "scan", outcome(intoto.Passed, 0))
		if err != nil {
			t.Fatal(err)
		}
		h := w.attach(w.sign(k, payload), func(m *v1.Manifest) {
			m.Annotations[AnnotationPayload] = registry.Describe(payload, "").Digest.String()
			m.Layers = append(m.Layers, v1.Descriptor{MediaType: "application/example", Digest: m.Config.Digest, Size: 2})
		})
		r := w.write(k, "scan", outcome(intoto.Passed, 0))
		if got := w.get(r.Digest.String()); r.Digest == h || string(got.Bytes) != string(r.Bytes) {
			t.Errorf("got %s", r.Bytes)
		}
	})
}

// The tag is stored, the answer lost, and the tag cannot be written twice. What can be read back is written.
func TestLostAnswerOfAnImmutableTag(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		var stored atomic.Bool
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			if !stored.CompareAndSwap(false, true) {
				rw.WriteHeader(http.StatusConflict)
				return true
			}
			w.Inner.ServeHTTP(httptest.NewRecorder(), r)
			rw.WriteHeader(http.StatusBadGateway)
			return true
		})
		w.opts.WithoutViews = true
		w.write(k, "scan", outcome(intoto.Failed, 0))
		if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
			t.Errorf("got %+v", e)
		}
	})
}

// passwords hands out another one each time, as token helpers do.
type passwords struct{ n atomic.Int32 }

func (p *passwords) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig{Username: "u", Password: fmt.Sprint(p.n.Add(1))}), nil
}

// Credentials of clouds live for minutes, a Resolver for as long as its program.
func TestCredentialsAreLookedUpForEachCall(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, 0))
		var valid atomic.Value
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if _, got, ok := r.BasicAuth(); ok && got == valid.Load() {
				return false
			}
			rw.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return true
		})
		w.opts.Keychain = new(passwords)
		resolver := NewResolver(k, w.opts)
		for _, password := range []string{"1", "2", "3"} {
			valid.Store(password)
			if e, err := resolver.Newest(t.Context(), w.Image, testResultOf("scan")); err != nil || e.Result != intoto.Passed {
				t.Errorf("with password %s: %v", password, err)
			}
		}
	})
}

// Several clients that upload one blob at once make registries forget it. A fresh push cures that.
func TestLostUploadIsPushedAgain(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		for _, code := range []string{"DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"} {
			var failed atomic.Int32
			w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") || failed.Add(1) > 2 {
					return false
				}
				rw.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(rw, `{"errors":[{"code":%q,"message":"try again"}]}`, code)
				return true
			})
			k := newKey(t, "k")
			w.write(k, code, outcome(intoto.Passed, 0))
			if e := w.mustNewest(k, testResultOf(code)); e.Problem != nil {
				t.Error(e.Problem)
			}
		}
	})
}

func TestTransientAnswersAreAskedAgain(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.opts.Backoff = time.Microsecond
		for _, status := range []int{408, 429, 500, 502, 503, 504} {
			tries := map[string]int{}
			var mu sync.Mutex
			w.Answers(status, func(r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				at, _, _ := strings.Cut(r.Method+r.URL.Path, "/uploads/") // each upload has another name
				tries[at]++
				return tries[at]%3 != 0
			})
			k := newKey(t, "k")
			w.write(k, fmt.Sprint("scan", status), outcome(intoto.Passed, 0))
			if e := w.mustNewest(k, testResultOf(fmt.Sprint("scan", status))); e.Problem != nil {
				t.Error(e.Problem)
			}
		}
	})
}

// What has been reported as written can be read: a registry that accepts and forgets is found out.
func TestWriteReadsBack(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
				_, _ = io.Copy(io.Discard, r.Body)
				rw.WriteHeader(http.StatusCreated)
				return true
			}
			return false
		})
		_, err := NewWriter(newKey(t, "k"), w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Passed, 0))
		if e := attesttest.As[*RegistryError](t, err); e.Status != http.StatusNotFound || e.Op != "read manifest" {
			t.Errorf("got %+v", e)
		}
	})
}

// The tag of a record can lead to another manifest, since any user who may push can move it. A Writer that takes that
// for stored leaves a failure that no reader finds.
func TestTagThatLeadsElsewhereIsNotReadBack(t *testing.T) {
	w := newWorld(t, false)
	w.opts.WithoutViews = true
	image := w.get(w.Image.DigestStr())
	w.Serves(viewTag(w.Image)+".", image.Media, string(image.Bytes))
	r, err := NewWriter(newKey(t, "k"), w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, 0))
	if e := attesttest.As[*RegistryError](t, err); e.Op != "read back" || r.Bytes != nil {
		t.Errorf("got %s, %v", r, err)
	}
}

func TestLogNeverHoldsPayloads(t *testing.T) {
	w := newWorld(t, true)
	core, logs := observer.New(zap.DebugLevel)
	w.opts.Logger = zap.New(core)
	k := newKey(t, "k")
	w.write(k, "scan", vulns(0, "CVE-SECRET"))
	w.mustNewest(k, intoto.Test{Name: "scan", PredicateType: intoto.VulnsType})
	if logs.FilterMessage("rebuilding view").Len() != 1 {
		t.Errorf("the view's rebuilding was logged %d times", logs.FilterMessage("rebuilding view").Len())
	}
	for _, e := range logs.All() {
		if s := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(s, "SECRET") {
			t.Errorf("log holds %s", s)
		}
	}
}

// Where one repair is enough, one try is enough: the list is looked at once more after it.
func TestPublishLooksAgainAfterTheLastTry(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.Serves("/referrers/", types.OCIImageIndex, `{"manifests":[]}`)
	w.opts.Attempts = 1
	if _, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, 0)); err != nil {
		t.Error(err)
	}
	if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
		t.Errorf("got %s, %v", e.Result, e.Problem)
	}
}

// A statement that is stored comes with its record, also if the list cannot be read afterwards.
func TestStoredRecordIsReturned(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	var stored atomic.Bool
	w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			stored.Store(true)
		}
		if stored.Load() && strings.Contains(r.URL.Path, "/referrers/") {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	record, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, 0))
	attesttest.As[*RegistryError](t, err)
	w.Breaks(nil)
	if e := w.mustNewest(k, testResultOf("scan")); e.Manifest != record.Digest {
		t.Errorf("found %s, returned %s", e.Manifest, record.Digest)
	}
}

// A signer that takes too long is told apart from one that fails.
func TestSlowSigner(t *testing.T) {
	w := newWorld(t, true)
	w.opts.Limits.CallTime = 200 * time.Millisecond
	_, err := NewWriter(slowSigner{}, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Passed, 0))
	if l := attesttest.As[*intoto.LimitError](t, err); l.What != "call milliseconds" {
		t.Errorf("got %v", l)
	}
}

type slowSigner struct{}

func (slowSigner) Sign(ctx context.Context, _ string, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A rerun that did not run, or could not tell, is what the newest evidence says, and the pass before it does not count.
func TestRerunWithoutVerdictReplacesPass(t *testing.T) {
	for _, result := range []intoto.Result{intoto.Skipped, intoto.Errored} {
		t.Run(string(result), func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				k := newKey(t, "k")
				w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
				w.write(k, "scan", outcome(result, 0))
				if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Result != result {
					t.Errorf("result %q, problem %v", e.Result, e.Problem)
				}
			})
		})
	}
}

// What no Resolver would read is not written: it would block every test of the image.
func TestWriteRefusesWhatNobodyReads(t *testing.T) {
	w, k := newWorld(t, true), newKey(t, "ours")
	many := vulns(0)
	for range 60_000 {
		many.Scanner.Result = append(many.Scanner.Result, intoto.Finding{ID: "CVE-1", Severity: []intoto.Severity{{Method: "nvd", Score: "high"}}})
	}
	_, err := NewWriter(k, w.opts).Write(context.Background(), w.Image, "scan", many)
	if e := attesttest.As[*intoto.LimitError](t, err); e.What != "JSON values" {
		t.Errorf("got %+v", e)
	}
	large := vulns(0, strings.Repeat("x", 13<<20))
	_, err = NewWriter(k, w.opts).Write(context.Background(), w.Image, "scan", large)
	if e := attesttest.As[*intoto.LimitError](t, err); e.What != "statement bytes" {
		t.Errorf("got %+v", e)
	}
	if all := w.all(k); len(all) > 0 {
		t.Errorf("written: %+v", all)
	}
}

// The config that all records share is uploaded only if it is not there.
func TestConfigIsUploadedOnce(t *testing.T) {
	w := newWorld(t, false)
	for range 3 {
		if err := w.repo().StoreConfig(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Count(http.MethodPost, "/blobs/uploads/"); got != 2 { // one is of the image
		t.Errorf("%d uploads", got)
	}
}

// An upload that is not answered begins anew, as often as Options.Attempts says and no more. One that is refused does
// not.
func TestAttemptsOfAnUpload(t *testing.T) {
	for _, tt := range []struct {
		method string
		status int // 0 resets the connection
		want   int // requests of that method
		begun  int // uploads
	}{
		{http.MethodPost, 503, 4, 4}, {http.MethodPost, 429, 4, 4}, {http.MethodPost, 0, 4, 4}, {http.MethodPost, 403, 1, 1},
		{http.MethodPut, 503, 4, 4}, {http.MethodPut, 429, 4, 4}, {http.MethodPut, 0, 4, 4}, {http.MethodPut, 403, 1, 1},
	} {
		t.Run(fmt.Sprint(tt.method, tt.status), func(t *testing.T) {
			w := newWorld(t, true)
			w.opts.Attempts = 4
			var asked, begun atomic.Int32
			w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost {
					begun.Add(1)
				}
				if r.Method != tt.method || !strings.Contains(r.URL.Path, "/blobs/") {
					return false
				}
				asked.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				if tt.status == 0 {
					cut(rw, nil, reset)
				} else {
					rw.WriteHeader(tt.status)
				}
				return true
			})
			if err := w.repo().Upload(t.Context(), []byte("blob")); err == nil {
				t.Error("no error")
			}
			if got := int(asked.Load()); got != tt.want {
				t.Errorf("asked %d times, want %d", got, tt.want)
			}
			if got := int(begun.Load()); got != tt.begun {
				t.Errorf("%d uploads were begun, want %d", got, tt.begun)
			}
		})
	}
}
