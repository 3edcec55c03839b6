package attest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// howToReplace is what each error about rubbish says to do.
const howToReplace = "Writer.Repair with Options.ReplaceViews replaces it"

// rubbish is what may be found under cosign's tag.
var rubbish = []struct {
	name    string
	media   types.MediaType
	bytes   string
	problem string // that is told of it
}{
	{"no manifest", types.OCIManifestSchema1, "\x89PNG\r\n\x1a\n", "not valid UTF-8"},
	{"nothing", types.OCIManifestSchema1, "", "unexpected EOF"},
	{"a list", types.OCIManifestSchema1, `[]`, "cannot unmarshal"},
	{"an object of something else", types.OCIManifestSchema1, `{"kind":"Pod"}`, "there must be manifests or layers"},
	{"a key given twice", types.OCIManifestSchema1, `{"layers":[],"layers":[]}`, "given twice"},
	{"an index", types.OCIImageIndex, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`, "not an image manifest"},
	{"an index that says it is an image", types.OCIManifestSchema1,
		`{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}`, "not an image manifest"},
	{"an image that says it is an index", types.OCIManifestSchema1,
		`{"mediaType":"application/vnd.oci.image.index.v1+json","layers":[]}`, "not an image manifest"},
	{"an image of something else", types.OCIManifestSchema1, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
		"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
		"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}]}`,
		"an image of something else: no layer holds a statement"},
	{"a descriptor without a digest", types.OCIManifestSchema1,
		`{"layers":[{"mediaType":"application/vnd.dsse.envelope.v1+json","digest":"x"}]}`, "cannot parse hash"},
	{"more than a manifest may have", types.OCIManifestSchema1,
		`{"layers":[],"annotations":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`, "manifest bytes"},
}

// Anything under cosign's tag blocks, since it may hide what was there before, and is replaced on request alone.
func TestRubbishUnderTheTagOfCosign(t *testing.T) {
	for _, tt := range rubbish {
		t.Run(tt.name, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				w.opts.Limits.ManifestBytes = 1 << 20
				k := newKey(t, "k")
				passedBefore(w, k)
				w.write(k, "scan", outcome(intoto.Failed, 0))
				want := w.attLayers()
				w.rubbish(viewTag(w.Image), tt.media, tt.bytes)

				_, err := w.newest(k, testResultOf("scan"))
				c := attesttest.As[*CandidateError](t, err)
				for _, part := range []string{"tag " + viewTag(w.Image), tt.problem, howToReplace} {
					if !strings.Contains(c.Error(), part) {
						t.Errorf("%q is not in %v", part, c)
					}
				}
				if got, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan",
					outcome(intoto.Failed, 0)); got.Digest == (v1.Hash{}) {
					t.Error("not even recorded")
				} else {
					w.refused(viewTag(w.Image), err, tt.problem)
				}
				w.refused(viewTag(w.Image), NewWriter(k, w.opts).Repair(t.Context(), w.Image), tt.problem)

				w.opts.ReplaceViews = true
				_, err = NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, 0))
				w.refused(viewTag(w.Image), err, tt.problem)
				if err := NewWriter(k, w.opts).Repair(t.Context(), w.Image); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, w.attLayers()); diff != "" {
					t.Error(diff)
				}
				if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Result != intoto.Failed {
					t.Errorf("afterwards: %s", answerOf(e, nil))
				}
			})
		})
	}
}

// rubbishIndex is what may be found under the tag of the fallback index, and is neither an index nor an image.
var rubbishIndex = []struct{ name, bytes, problem string }{
	{"no manifest", "\x89PNG\r\n\x1a\n", "not valid UTF-8"},
	{"nothing", "", "unexpected EOF"},
	{"a list", `[]`, "cannot unmarshal"},
	{"an object of something else", `{"kind":"Pod"}`, "there must be manifests or layers"},
	{"an index that is an image too", `{"manifests":[],"layers":[]}`, "there must be manifests or layers"},
	{"a key given twice", `{"manifests":[],"manifests":[]}`, "given twice"},
	{"an entry without a digest", `{"manifests":[{"size":1}]}`, "cannot parse hash"},
	{"an entry with half a digest", `{"manifests":[{"digest":"sha256:12","size":1}]}`, "wrong number of hex digits"},
	{"more than a manifest may have", `{"manifests":[],"annotations":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`,
		"manifest bytes"},
}

// The same of the fallback index: the record gets a tag of its own meanwhile.
func TestRubbishUnderTheTagOfTheIndex(t *testing.T) {
	for _, tt := range rubbishIndex {
		t.Run(tt.name, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				w.opts.Limits.ManifestBytes = 1 << 20
				k, tag := newKey(t, "k"), referrers.TagBase(w.Image)
				passedBefore(w, k)
				w.rubbish(tag, types.OCIImageIndex, tt.bytes)

				r, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, 0))
				w.refused(tag, err, tt.problem)
				if got := w.tags(func(tag string) bool { return tag == referrers.RecordTag(w.Image, r.Digest) }); len(got) != 1 {
					t.Errorf("the record has %d tags of its own", len(got))
				}
				_, err = w.newest(k, testResultOf("scan"))
				c := attesttest.As[*CandidateError](t, err)
				for _, part := range []string{"tag " + tag, tt.problem, howToReplace} {
					if !strings.Contains(c.Error(), part) {
						t.Errorf("%q is not in %v", part, c)
					}
				}
				w.refused(tag, NewWriter(k, w.opts).Repair(t.Context(), w.Image), tt.problem)

				w.opts.ReplaceViews = true
				_, err = NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, 0))
				w.refused(tag, err, tt.problem)
				if err := NewWriter(k, w.opts).Repair(t.Context(), w.Image); err != nil {
					t.Fatal(err)
				}
				w.shows(2)
				if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Result != intoto.Failed {
					t.Errorf("afterwards: %s", answerOf(e, nil))
				}
			})
		})
	}
}

// An image under the tag of the index blocks nothing, since cosign copy puts the image itself there, and stays there.
// Another image is replaced on request.
func TestImageUnderTheTagOfTheIndex(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		other := w.Push(w.Image.Context(), "other")
		for _, image := range []string{w.Image.DigestStr(), other.DigestStr()} {
			doc := w.get(image)
			w.Retag(referrers.TagBase(w.Image), doc.Media, doc.Bytes)
			w.opts.ReplaceViews = false
			w.write(k, "scan", outcome(intoto.Passed, 0))
			if err := NewWriter(k, w.opts).Repair(t.Context(), w.Image); err != nil {
				t.Fatal(err)
			}
			if got := w.get(referrers.TagBase(w.Image)); got.Digest != doc.Digest {
				t.Errorf("the tag now is %s", got.Digest)
			}
			w.opts.ReplaceViews = true
			if err := NewWriter(k, w.opts).Repair(t.Context(), w.Image); err != nil {
				t.Fatal(err)
			}
			if got := w.get(referrers.TagBase(w.Image)); (got.Digest == doc.Digest) != (image == w.Image.DigestStr()) {
				t.Errorf("%s: the tag now is %s", image, got.Digest)
			}
		}
		w.shows(1)
	})
}

// Rubbish is replaced once, by an index of nothing if there is no record.
func TestRubbishIsReplacedByAnEmptyIndex(t *testing.T) {
	w := newWorld(t, true)
	w.rubbish(referrers.TagBase(w.Image), types.OCIImageIndex, `{}`)
	before := w.Count("PUT", "/manifests/")
	w.opts.ReplaceViews = true
	for range 2 {
		if err := NewWriter(newKey(t, "k"), w.opts).Repair(t.Context(), w.Image); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Count("PUT", "/manifests/") - before; got != 1 {
		t.Errorf("wrote %d manifests", got)
	}
	w.shows(0)
}

// Rubbish that another tool puts under cosign's tag while a writer works is not added to.
func TestRubbishThatComesMeanwhile(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		var once atomic.Bool
		w.Breaks(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/tags/list") && once.CompareAndSwap(false, true) {
				w.rubbish(viewTag(w.Image), types.OCIManifestSchema1, `{}`)
				w.attach(w.sign(k, w.statementOf(intoto.TestResultType, failedAs)), nil)
			}
			return false
		})
		_, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Passed, 0))
		w.refused(viewTag(w.Image), err, "there must be manifests or layers")
		if l, err := w.repo().Read(t.Context(), w.Image, referrers.Listing{}, referrers.Lists{View: true}); err != nil || l.View.Broken == nil {
			t.Errorf("the rubbish is gone, %v", err)
		}
	})
}

// rubbish puts anything under a tag. The registry of these tests refuses some of it, so it is served from outside
// until something else is written.
func (w *world) rubbish(tag string, media types.MediaType, body string) {
	there := true
	w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if !there || !strings.HasSuffix(r.URL.Path, "/manifests/"+tag) {
			return false
		}
		if r.Method == http.MethodPut {
			there = false
			return false
		}
		rw.Header().Set("Content-Type", string(media))
		_, _ = rw.Write([]byte(body))
		return true
	})
}

// refused wants that a writer left a tag alone, and said what to do.
func (w *world) refused(tag string, err error, problem string) {
	w.T.Helper()
	t := w.T.(*testing.T)
	v := attesttest.As[*ViewError](t, err)
	if v.Tag != tag || !strings.Contains(v.Error(), problem) || !strings.Contains(v.Error(), howToReplace) {
		t.Errorf("got %v", v)
	}
}

// Layers of something else among statements go, and the statements stay, also those that no record holds.
func TestRubbishAmongStatements(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		passedBefore(w, k)
		w.stock(w.sign(k, w.statementOf(intoto.TestResultType,
			`{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)))
		want := w.attLayers()
		m := w.att()
		m.Layers = append(m.Layers, registry.Describe([]byte(registry.EmptyConfig), types.OCILayer))
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		w.Retag(viewTag(w.Image), types.OCIManifestSchema1, b)
		if _, err := w.newest(k, testResultOf("scan")); err == nil {
			t.Error("it does not block")
		}
		w.opts.ReplaceViews = true
		if err := NewWriter(k, w.opts).Repair(t.Context(), w.Image); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, w.attLayers()); diff != "" {
			t.Error(diff)
		}
		if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Result != intoto.Failed {
			t.Errorf("afterwards: %s", answerOf(e, nil))
		}
	})
}

// An annotation that names no records is dropped, and the statements stay, also those that no record holds.
func TestRubbishInTheAnnotation(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		passedBefore(w, k)
		w.stock(w.sign(k, w.statementOf(intoto.TestResultType, failedAs)))
		want := w.attLayers()
		m := w.att()
		m.Annotations = map[string]string{AnnotationNotShown: "rubbish"}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		w.Retag(viewTag(w.Image), m.MediaType, b)
		if _, err := w.newest(k, testResultOf("scan")); err == nil || !strings.Contains(err.Error(), howToReplace) {
			t.Errorf("got %v", err)
		}
		w.refused(viewTag(w.Image), NewWriter(k, w.opts).Repair(t.Context(), w.Image), "annotations."+AnnotationNotShown)
		w.opts.ReplaceViews = true
		if err := NewWriter(k, w.opts).Repair(t.Context(), w.Image); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, w.attLayers()); diff != "" {
			t.Error(diff)
		}
		if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Result != intoto.Failed {
			t.Errorf("afterwards: %s", answerOf(e, nil))
		}
	})
}

// Without a statement that cosign can show, the view is empty and no rubbish. It is written once.
func TestRubbishIsReplacedByAnEmptyView(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.unsigned("scan", outcome(intoto.Passed, 0))
	w.rubbish(viewTag(w.Image), types.OCIManifestSchema1, `{}`)
	before := w.Count("PUT", ".att")
	w.opts.ReplaceViews = true
	for range 2 {
		if err := NewWriter(k, w.opts).Repair(t.Context(), w.Image); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Count("PUT", ".att") - before; got != 1 {
		t.Errorf("wrote the tag %d times", got)
	}
	if got := w.attLayers(); len(got) > 0 {
		t.Errorf("it shows %q", got)
	}
}

// A tag that cannot be read now may be a good view.
func TestUnreadableTagIsNotReplaced(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	passedBefore(w, k)
	w.opts.ReplaceViews = true
	w.Answers(http.StatusForbidden, func(r *http.Request) bool {
		return r.Method == http.MethodGet &&
			strings.HasSuffix(r.URL.Path, ".att")
	})
	before := w.Count("PUT", ".att")
	err := NewWriter(k, w.opts).Repair(t.Context(), w.Image)
	if e := attesttest.As[*RegistryError](t, err); strings.Contains(e.Error(), howToReplace) || w.Count("PUT", ".att") != before {
		t.Errorf("got %v", err)
	}
}

// What only the tag led to is gone with it. Who has seen it before still knows.
func TestReplacedTagIsRemembered(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.opts.Checkpoint, w.opts.ReplaceViews = inDir(w), true
		passedBefore(w, k)
		w.stock(w.sign(k, w.statementOf(intoto.TestResultType,
			`{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)))
		if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
			t.Fatal(answerOf(e, nil))
		}
		w.rubbish(viewTag(w.Image), types.OCIManifestSchema1, `{}`)
		if err := NewWriter(k, w.opts).Repair(context.Background(), w.Image); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, RolledBack, w.mustNewest(k, testResultOf("scan")).Problem)
	})
}

// Without Options.ReplaceViews a layer of cosign's tag that is no statement stays where it is.
func TestWriteKeepsLayersOfOthers(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, 0))
		m := w.att()
		note := registry.Describe([]byte("note"), "text/plain")
		m.Layers = append(m.Layers, note)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.repo().Push(t.Context(), viewTag(w.Image), m.MediaType, b, []byte("note")); err != nil {
			t.Fatal(err)
		}
		w.write(k, "other", outcome(intoto.Passed, 0))
		if got := w.attLayers(); len(got) != 3 || !slices.Contains(got, note.Digest.String()) {
			t.Errorf("it shows %q", got)
		}
	})
}
