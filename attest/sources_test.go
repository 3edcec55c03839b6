package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// An answer says which lists it is from, whatever it is.
func TestSources(t *testing.T) {
	const yes, no = SourceAnswered, SourceAbsent
	api := func(w *world) referrers.Source {
		if w.Referrers {
			return yes
		}
		return no
	}
	for _, tt := range []struct {
		name  string
		do    func(w *world, k *key)
		index referrers.Source
		view  referrers.Source
		tags  referrers.Source
	}{
		{"nothing", func(*world, *key) {}, no, no, yes},
		{"written", func(w *world, k *key) { w.write(k, "scan", outcome(intoto.Passed, 0)) }, yes, yes, yes},
		{"without views", func(w *world, k *key) {
			w.opts.WithoutViews = true
			w.write(k, "scan", outcome(intoto.Passed, 0))
		}, no, no, yes},
		{"the tag of the index is taken", func(w *world, k *key) {
			taken(w)
			w.write(k, "scan", outcome(intoto.Passed, 0))
		}, no, yes, yes},
		{"tags that cannot be sought", func(w *world, k *key) {
			w.crowd(tagList{deaf: true, page: 10}, 50)
			w.write(k, "scan", outcome(intoto.Passed, 0))
		}, yes, yes, yes},
		{"rubbish under cosign's tag", func(w *world, k *key) {
			w.write(k, "scan", outcome(intoto.Passed, 0))
			w.Retag(viewTag(w.Image), types.OCIImageIndex, []byte(`{"manifests":[]}`))
		}, yes, yes, yes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				k := newKey(t, "k")
				tt.do(w, k)
				want := Sources{Referrers: api(w), Index: tt.index, View: tt.view, Tags: tt.tags}
				r := NewResolver(k, w.opts)
				newest, err := r.NewestAll(t.Context(), w.Image, testResultOf("scan"), testResultOf("missing"))
				if err != nil {
					t.Fatal(err)
				}
				for e, err := range r.All(t.Context(), w.Image) {
					if err != nil {
						t.Fatal(err)
					}
					newest = append(newest, e)
				}
				for _, e := range newest {
					if diff := cmp.Diff(want, e.Sources); diff != "" {
						t.Errorf("%s: %s", e.Test.Name, diff)
					}
				}
			})
		})
	}
}

// cosign's tag names what it cannot show, and what it names stays.
func TestViewNamesWhatItCannotShow(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := bundler{newKey(t, "k")}
		var want []string
		write := func(form intoto.Encoding, at time.Duration) {
			t.Helper()
			opts := w.opts
			opts.Encoding = form
			r, err := NewWriter(k, opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Passed, at))
			if err != nil {
				t.Fatal(err)
			}
			if form != intoto.EncodingEnvelope {
				want = append(want, r.Digest.String())
			}
		}
		named := func() []string {
			t.Helper()
			m := w.att()
			return strings.Split(m.Annotations[AnnotationNotShown], ",")
		}
		for i, form := range []intoto.Encoding{intoto.EncodingStatement, intoto.EncodingBundle, intoto.EncodingEnvelope, intoto.EncodingBundle} {
			write(form, -time.Duration(i)*time.Minute)
			slices.Sort(want)
			if diff := cmp.Diff(want, named()); diff != "" {
				t.Errorf("after %q: %s", form, diff)
			}
		}
		if got := len(w.attLayers()); got != 1 {
			t.Errorf("it shows %d", got)
		}
		large := w.attach([]byte(strings.Repeat("x", 100)), func(m *v1.Manifest) { m.Layers[0].Size = 500 << 20 })
		write(intoto.EncodingEnvelope, -time.Hour)
		want = append(want, large.String())
		slices.Sort(want)
		if diff := cmp.Diff(want, named()); diff != "" {
			t.Errorf("too large: %s", diff)
		}
		// Another tool rewrites the tag without its annotations, as cosign attest --replace does.
		w.name("")
		if err := NewWriter(nil, w.opts).Repair(t.Context(), w.Image); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, named()); diff != "" || len(w.attLayers()) != 2 {
			t.Errorf("repaired: %d layers, %s", len(w.attLayers()), diff)
		}
	})
}

// cosign attest --replace drops the annotations of cosign's tag, and its layers of one type of predicate. The names of
// what the tag does not show are still in it if there is a layer of another type, and a copy of the tag blocks. The
// next write completes the names.
func TestNamesSurviveReplace(t *testing.T) {
	const stockType = "https://example.com/review/v1"
	for _, tt := range []struct {
		replaced string
		with     bool // there is a layer of another type
		kept     bool
	}{
		{intoto.TestResultType, true, true}, {intoto.VulnsType, true, true}, {stockType, true, true},
		{intoto.TestResultType, false, false}, {stockType, false, true},
	} {
		t.Run(fmt.Sprintf("%s, with others %t", tt.replaced, tt.with), func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				k := bundler{newKey(t, "k")}
				passedBefore(w, k.key)
				if tt.with {
					w.write(k, "scan", vulns(-time.Hour))
					w.write(k, "other", outcome(intoto.Passed, -time.Hour))
				}
				w.opts.Encoding = intoto.EncodingBundle
				failed := w.write(k, "scan", outcome(intoto.Failed, 0)).Digest.String()
				w.replace(tt.replaced, w.sign(k.key, w.statementOf(tt.replaced, `{}`)))
				if got := w.named(); slices.Contains(got, failed) != tt.kept {
					t.Errorf("it names %q", got)
				}
				later := w.write(k, "later", outcome(intoto.Passed, 0)).Digest.String()
				want := []string{failed, later}
				slices.Sort(want)
				if diff := cmp.Diff(want, w.named()); diff != "" {
					t.Error(diff)
				}
				w.replace(stockType, w.sign(k.key, w.statementOf(stockType, `{"again":1}`)))
				if diff := cmp.Diff(want, w.named()); diff != "" {
					t.Errorf("after another: %s", diff)
				}
				byTag(w)
				if e, err := w.newest(k, testResultOf("scan")); err == nil && e.Problem == nil ||
					!strings.Contains(fmt.Sprint(err, e.Problem), notWhole) {
					t.Errorf("a copy: %s", answerOf(e, err))
				}
			})
		})
	}
}

// replace does what cosign attest --replace does with cosign's tag.
func (w *world) replace(predicateType string, envelope []byte) {
	w.T.Helper()
	m := w.att()
	l := registry.Describe(envelope, intoto.EnvelopeType)
	l.Annotations = map[string]string{annotationSignature: "", AnnotationPredicateType: predicateType}
	m.Annotations = nil
	m.Layers = append([]v1.Descriptor{l}, slices.DeleteFunc(m.Layers, func(l v1.Descriptor) bool {
		return l.Annotations[AnnotationPredicateType] == predicateType
	})...)
	b, err := json.Marshal(m)
	if err != nil {
		w.T.Fatal(err)
	}
	if err := w.repo().Push(context.Background(), viewTag(w.Image), m.MediaType, b, envelope); err != nil {
		w.T.Fatal(err)
	}
}

// named returns what cosign's tag names.
func (w *world) named() []string {
	w.T.Helper()
	l, err := w.repo().Read(context.Background(), w.Image, referrers.Listing{}, referrers.Lists{View: true})
	if err != nil {
		w.T.Fatal(err)
	}
	return slices.Sorted(maps.Keys(l.NamedBy(w.Image)))
}

// Any annotation that names no records blocks, and Repair drops it alone.
func TestRubbishInTheAnnotationOfALayer(t *testing.T) {
	w := newWorld(t, true)
	k := bundler{newKey(t, "k")}
	passedBefore(w, k.key)
	w.write(k, "scan", vulns(-time.Hour))
	w.opts.Encoding = intoto.EncodingBundle
	failed := w.write(k, "scan", outcome(intoto.Failed, 0)).Digest.String()
	m := w.att()
	delete(m.Annotations, AnnotationNotShown)
	m.Layers[0].Annotations[AnnotationNotShown] = "rubbish"
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	w.Retag(viewTag(w.Image), m.MediaType, b)
	_, err = w.newest(k, testResultOf("scan"))
	attesttest.Field(t, attesttest.As[*CandidateError](t, err), "layers[0].annotations."+AnnotationNotShown)
	w.opts.ReplaceViews = true
	w.Answers(http.StatusNotFound, func(r *http.Request) bool {
		return strings.Contains(r.URL.Path,
			failed)
	}) // only a name is left
	_ = NewWriter(k, w.opts).Repair(t.Context(), w.Image)
	if diff := cmp.Diff([]string{failed}, w.named()); diff != "" {
		t.Error(diff)
	}
}

// cosign appends to an empty view, for which it needs a config of no layers, and layers that are there.
func TestViewThatOnlyNames(t *testing.T) {
	w := newWorld(t, true)
	r := w.unsigned("scan", outcome(intoto.Passed, 0))
	doc := w.get(viewTag(w.Image))
	var m v1.Manifest
	if err := json.Unmarshal(doc.Bytes, &m); err != nil {
		t.Fatal(err)
	}
	config, err := w.repo().Blob(t.Context(), m.Config)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"size":%d,"digest":%q},"layers":[],"annotations":{"io.github.testdag.notshown":%q}}`,
		types.OCIManifestSchema1, types.OCIConfigJSON, len(config), m.Config.Digest, r.Digest)
	if diff := cmp.Diff(want, string(doc.Bytes)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(string(config), `"rootfs":{"type":"layers","diff_ids":[]}`) {
		t.Errorf("config %s", config)
	}
}

// What cosign's tag names is read, although no other list leads to it.
func TestNamedRecordIsRead(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		passedBefore(w, k)
		failed := w.write(k, "scan", outcome(intoto.Failed, 0))
		if !w.Referrers {
			w.remove(failed)
			w.Retag(failed.Digest.String(), types.OCIManifestSchema1, failed.Bytes)
		}
		listsNothing(w)
		name := func(value string) {
			w.name(value)
			w.Retag(referrers.TagBase(w.Image), types.OCIImageIndex, []byte(`{"manifests":[]}`))
		}
		name("")
		if e, err := w.newest(k, testResultOf("scan")); e.Result == intoto.Failed {
			t.Fatalf("another list leads to it: %v", err)
		}
		name(failed.Digest.String())
		if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
			t.Errorf("got %s, %v", e.Result, e.Problem)
		}
		name(failed.Digest.String() + "," + attesttest.Coffee.String())
		_, err := w.newest(k, testResultOf("scan"))
		names := "tag " + viewTag(w.Image) + " names it"
		if e := attesttest.As[*CandidateError](t, err); e.Manifest != attesttest.Coffee || !strings.Contains(err.Error(), names) || !strings.Contains(err.Error(), notWhole) {
			t.Errorf("got %v", err)
		}
		for _, rubbish := range []string{"latest", ",", "sha256:12", failed.Digest.String() + ",",
			viewTag(w.Image) + "." + failed.Digest.Hex[:32]} {
			name(rubbish)
			_, err := w.newest(k, testResultOf("scan"))
			attesttest.Field(t, attesttest.As[*CandidateError](t, err), "annotations."+AnnotationNotShown)
		}
	})
}

// name makes cosign's tag show nothing and name a value.
func (w *world) name(value string) {
	w.T.Helper()
	b, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: registry.Describe([]byte(registry.EmptyConfig), registry.EmptyConfigType),
		Layers: []v1.Descriptor{}, Annotations: map[string]string{AnnotationNotShown: value},
	})
	if err != nil {
		w.T.Fatal(err)
	}
	w.Retag(viewTag(w.Image), types.OCIManifestSchema1, b)
}

// Without views no object is written that another writer writes too.
func TestWithoutViewsNothingSharedIsWritten(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.opts.WithoutViews = true
		r := w.write(newKey(t, "k"), "scan", outcome(intoto.Passed, 0))
		tags := w.tags(func(tag string) bool { return true })
		if diff := cmp.Diff([]string{referrers.RecordTag(w.Image, r.Digest)}, tags); diff != "" {
			t.Error(diff)
		}
	})
}

// A record that could only be entered into one list is stored, and the error says more than that a view is not whole.
func TestRecordInOneListOnly(t *testing.T) {
	w := newWorld(t, true)
	w.Answers(http.StatusForbidden, func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-")
	})
	for _, without := range []bool{false, true} {
		w.opts.WithoutViews = without
		k := newKey(t, "k")
		r, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, 0))
		var failed *RegistryError
		if !errors.As(err, &failed) || failed.Op != "write manifest" {
			t.Errorf("got %v", err)
		}
		if view := new(ViewError); errors.As(err, &view) {
			t.Error("a ViewError says that the statement can be found")
		}
		if !without && (r.Bytes == nil || !strings.Contains(err.Error(), "is in one list only")) {
			t.Errorf("got %s, %v", r, err)
		}
	}
}

// Where tags are immutable each record is in two lists all the same. The error says so, the log once.
func TestImmutableTagsAreToldFromAFailure(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		core, logs := observer.New(zap.WarnLevel)
		w.opts.Logger = zap.New(core)
		immutable(w)
		k := newKey(t, "k")
		writer := NewWriter(k, w.opts)
		for i := range 4 {
			r, err := writer.Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, -time.Duration(i)*time.Minute))
			if i == 0 {
				if err != nil {
					t.Fatal(err)
				}
				continue
			}
			if view := attesttest.As[*ViewError](t, err); !view.Immutable || view.Tag != viewTag(w.Image) {
				t.Errorf("write %d: %v", i, err)
			}
			if got := w.tags(func(tag string) bool { return tag == referrers.RecordTag(w.Image, r.Digest) }); len(got) != 1 {
				t.Errorf("write %d: its record has %d tags of its own", i, len(got))
			}
		}
		if view := attesttest.As[*ViewError](t, writer.Repair(t.Context(), w.Image)); !view.Immutable {
			t.Errorf("repair: %v", view)
		}
		if got := logs.FilterMessageSnippet("immutable").Len(); got != 1 {
			t.Errorf("logged %d times", got)
		}
		withoutAPI(404)(w)
		if got := len(w.all(k)); got != 4 {
			t.Errorf("found %d of 4", got)
		}
	})
}

// Repair gives a tag of its own to what another release has left in one list.
func TestRepairEntersIntoASecondList(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	taken(w)
	b := w.statementOf(intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)
	h := w.attach(w.sign(k, b), nil)
	w.deleteTag(referrers.RecordTag(w.Image, h))
	if err := NewWriter(nil, w.opts).Repair(t.Context(), w.Image); err != nil {
		t.Fatal(err)
	}
	w.deleteTag(viewTag(w.Image))
	withoutAPI(404)(w)
	if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
		t.Errorf("got %s, %v", e.Result, e.Problem)
	}
}

func (w *world) deleteTag(tag string) {
	w.T.Helper()
	if err := w.repo().Remove(w.T.Context(), tag); err != nil {
		w.T.Fatal(err)
	}
}

// Registries with immutable tags have many ways to say so, and other refusals are no such thing.
func TestRefusesRewriting(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		want   bool
	}{
		{400, "TAG_INVALID", true}, {403, "DENIED", true}, {405, "", true}, {409, "", true}, {412, "PRECONDITION", true},
		{423, "", true},
		{400, "", false}, {400, "MANIFEST_INVALID", false}, {413, "SIZE_INVALID", false}, {401, "UNAUTHORIZED", false},
		{404, "NAME_UNKNOWN", false},
		{429, "TOOMANYREQUESTS", false}, {500, "", false}, {507, "", false},
	} {
		w := newWorld(t, true)
		w.opts.Attempts = 1
		k := newKey(t, "k")
		refuse := func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, ".att") {
				return false
			}
			rw.WriteHeader(tt.status)
			fmt.Fprintf(rw, `{"errors":[{"code":%q}]}`, tt.code)
			return true
		}
		w.Breaks(refuse)
		_, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "first", outcome(intoto.Passed, 0))
		if view := attesttest.As[*ViewError](t, err); view.Immutable {
			t.Errorf("%d %s: a tag that is not there is not immutable", tt.status, tt.code)
		}
		w.Breaks(nil)
		w.write(k, "second", outcome(intoto.Passed, 0))
		w.Breaks(refuse)
		_, err = NewWriter(k, w.opts).Write(t.Context(), w.Image, "third", outcome(intoto.Passed, 0))
		if view := attesttest.As[*ViewError](t, err); view.Immutable != tt.want {
			t.Errorf("%d %s: immutable %t", tt.status, tt.code, view.Immutable)
		}
	}
}

// The referrers API alone leads to what another tool wrote. To switch it off hides that, and a checkpoint that has
// seen the API tells.
func TestReferrersThatWereThere(t *testing.T) {
	eachCheckpoint(t, func(t *testing.T, open func() checkpoint.Store) {
		w := newWorld(t, true)
		w.opts.Checkpoint = open()
		k := newKey(t, "k")
		passedBefore(w, k)
		for range 2 {
			if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Result != intoto.Passed {
				t.Fatalf("got %s, %v", e.Result, e.Problem)
			}
		}
		h := w.attach(w.sign(k, w.statementOf(intoto.TestResultType,
			`{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)), nil)
		w.deleteTag(referrers.RecordTag(w.Image, h))
		withoutAPI(404)(w)
		w.opts.Checkpoint = open()
		e := w.mustNewest(k, testResultOf("scan"))
		source := wantProblem(t, ListGone, e.Problem)
		if e.Result != intoto.Unknown || !source.Seen.Equal(attesttest.Noon.Add(-time.Hour)) ||
			!strings.Contains(source.Error(), "had a referrers API") {
			t.Errorf("got %s, %+v", e.Result, source)
		}
		w.write(k, "scan", outcome(intoto.Passed, time.Second)) // nor does something newer help
		if e := w.mustNewest(k, testResultOf("scan")); e.Problem == nil {
			t.Errorf("got %s", e.Result)
		}
		w.Breaks(nil)
		if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil {
			t.Error(e.Problem)
		}
	})
}

// A checkpoint that has never seen the API has nothing to miss.
func TestReferrersThatWereNeverThere(t *testing.T) {
	eachCheckpoint(t, func(t *testing.T, open func() checkpoint.Store) {
		w := newWorld(t, false)
		w.opts.Checkpoint = open()
		k := newKey(t, "k")
		for i := range 3 {
			w.write(k, "scan", outcome(intoto.Passed, time.Duration(i)*time.Second))
			if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil {
				t.Error(e.Problem)
			}
		}
		m, err := open().Seen(t.Context(), w.Image, testResultOf("scan"))
		if err != nil || m.Referrers {
			t.Errorf("%+v, %v", m, err)
		}
	})
}
