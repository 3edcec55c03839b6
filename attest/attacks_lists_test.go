package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/intoto"
)

// A hiding takes lists away from a reader. An older pass is signed in cosign's tag, and the newer failure is hidden.
type hiding struct {
	name   string
	before func(w *world) // the first write
	during func(w *world) // between pass and failure
	after  func(w *world) // both

	// What must be in the answer, if it is not the failure: by the form of the failure, without views, without the
	// referrers API. The first key that is there counts.
	answers map[string]string
	views   bool // without views there is nothing to find in what is left
}

const failedAtNoon = "FAILED at 2026-03-01T12:00:00Z"

// answer returns the key that counts.
func (h hiding) answer(form intoto.Encoding, without, referrers bool) string {
	name := map[intoto.Encoding]string{intoto.EncodingEnvelope: "envelope", intoto.EncodingBundle: "bundle", intoto.EncodingStatement: "unsigned"}[form]
	views, api := "views", "API"
	if without {
		views = "without views"
	}
	if !referrers {
		api = "no API"
	}
	for _, k := range []string{name + ", " + views + ", " + api, name + ", " + views, views + ", " + api, name, views, api,
		""} {
		if a, ok := h.answers[k]; ok {
			return a
		}
	}
	return failedAtNoon
}

// withoutAPI makes the referrers API answer with a status, as a registry or proxy that does not have it.
func withoutAPI(status int) func(w *world) {
	return func(w *world) {
		w.also(func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			rw.WriteHeader(status)
			return true
		})
	}
}

// also adds a fault to the one that there is.
func (w *world) also(more func(rw http.ResponseWriter, r *http.Request) bool) {
	before := w.Fault
	w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		return more(rw, r) || before != nil && before(rw, r)
	})
}

// stale makes the referrers API answer as it does now, for ever.
func stale(w *world) {
	if !w.Referrers {
		return
	}
	answer := httptest.NewRecorder()
	w.Inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet,
		"/v2/"+w.Image.Context().RepositoryStr()+"/referrers/"+w.Image.DigestStr(), nil))
	w.listing(answer.Body.String())
}

// staler makes the referrers API answer without its last manifest of the image.
func staler(w *world) {
	answer := httptest.NewRecorder()
	w.Inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet,
		"/v2/"+w.Image.Context().RepositoryStr()+"/referrers/"+w.Image.DigestStr(), nil))
	var index v1.IndexManifest
	if err := json.Unmarshal(answer.Body.Bytes(), &index); !w.Referrers || err != nil {
		return
	}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool {
		return d.Annotations[AnnotationCreated] == attesttest.Noon.Format(time.RFC3339)
	})
	b, err := json.Marshal(index)
	if err != nil {
		w.T.Fatal(err)
	}
	w.listing(string(b))
}

func listsNothing(w *world) {
	if w.Referrers {
		w.listing(`{"schemaVersion":2,"manifests":[]}`)
	}
}

func (w *world) listing(body string) {
	w.also(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		rw.Header().Set("Content-Type", string(types.OCIImageIndex))
		_, _ = rw.Write([]byte(body))
		return true
	})
}

// taken puts the image itself under the tag of the fallback index, as cosign copy does, and GitLab's registry shows it.
func taken(w *world) {
	image := w.get(w.Image.DigestStr())
	w.Retag(referrers.TagBase(w.Image), image.Media, image.Bytes)
}

// immutable makes the tags of the repository refuse a second write.
func immutable(w *world) {
	written := map[string]bool{}
	repo := "/v2/" + w.Image.Context().RepositoryStr() + "/manifests/"
	w.also(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.HasPrefix(r.URL.Path, repo) || strings.Contains(r.URL.Path, "sha256:") {
			return false
		}
		if !written[r.URL.Path] {
			written[r.URL.Path] = true
			return false
		}
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = rw.Write([]byte(`{"errors":[{"code":"TAG_INVALID","message":"the tag already exists and cannot be overwritten because it is immutable"}]}`))
		return true
	})
}

// unsorted makes the registry list tags in no order, in pages of ten.
func unsorted(w *world) { w.crowd(tagList{unordered: true, page: 10}, 25) }

// dropped empties the fallback index, if there is one, as a tool does that rewrites it from an old copy.
func dropped(w *world) {
	if w.tags(func(tag string) bool { return tag == referrers.TagBase(w.Image) }) != nil {
		w.Retag(referrers.TagBase(w.Image), types.OCIImageIndex,
			[]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`))
	}
}

// keepIndex copies the fallback index to a tag of another name, and putBack puts the copy back.
func keepIndex(w *world) {
	index := w.get(referrers.TagBase(w.Image))
	w.Retag("kept", index.Media, index.Bytes)
}

func putBack(w *world) {
	index := w.get("kept")
	w.Retag(referrers.TagBase(w.Image), index.Media, index.Bytes)
	staler(w)
}

// tags returns the tags of the repository that match.
func (w *world) tags(match func(tag string) bool) []string {
	w.T.Helper()
	all, err := remote.List(w.Image.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	var tags []string
	for _, tag := range all {
		if match(tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// collected deletes every manifest that has no tag, but the image, as a registry that collects those does.
func collected(w *world) {
	w.T.Helper()
	keep := map[string]bool{w.Image.DigestStr(): true}
	for _, tag := range w.tags(func(string) bool { return true }) {
		keep[w.get(tag).Digest.String()] = true
	}
	for _, r := range w.records() {
		digest := r.Descriptor.Digest.String()
		if keep[digest] {
			continue
		}
		answer := httptest.NewRecorder()
		w.Inner.ServeHTTP(answer, httptest.NewRequest(http.MethodDelete,
			"/v2/"+w.Image.Context().RepositoryStr()+"/manifests/"+digest, nil))
	}
}

// copied copies the image and those of its tags to another repository, as tools do that know tags only, and reads
// there.
func copied(match func(image name.Digest, tag string) bool) func(w *world) {
	return func(w *world) {
		w.T.Helper()
		from := w.Image.Context()
		to := from.Registry.Repo("team", "copy")
		check := func(err error) {
			if err != nil {
				w.T.Fatal(err)
			}
		}
		image, err := remote.Image(w.Image)
		check(err)
		check(remote.Write(to.Digest(w.Image.DigestStr()), image))
		for _, tag := range w.tags(func(tag string) bool { return match(w.Image, tag) }) {
			got, err := remote.Get(from.Tag(tag))
			check(err)
			if got.MediaType.IsIndex() {
				index, err := got.ImageIndex()
				check(err)
				check(remote.WriteIndex(to.Tag(tag), index))
				continue
			}
			image, err := got.Image()
			check(err)
			check(remote.Write(to.Tag(tag), image))
		}
		w.Image = to.Digest(w.Image.DigestStr())
	}
}

var (
	byTag     = copied(func(image name.Digest, tag string) bool { return tag == viewTag(image) })
	byAllTags = copied(func(image name.Digest, tag string) bool { return strings.HasPrefix(tag, referrers.TagBase(image)) })
)

const (
	notWhole = "so this copy of the evidence is incomplete"
	isGone   = "lacks it, so this copy of the evidence is incomplete"
)

var hidings = []hiding{
	{name: "the API answers 404 after the write", after: withoutAPI(404)},
	{name: "the API answers 400 after the write", after: withoutAPI(400)},
	{name: "the API answers 405 after the write", after: withoutAPI(405)},
	{name: "the API answers 406 after the write", after: withoutAPI(406)},
	{name: "the API answers 501 after the write", after: withoutAPI(501)},
	{name: "the API serves the list from before", during: stale},
	{name: "another front end of the API serves the list from before", after: staler},
	{name: "the API lists nothing after the write", after: listsNothing},
	{name: "the API never lists anything", before: listsNothing},
	{
		name: "the registry collects manifests without a tag", after: collected,
		answers: map[string]string{"API": isGone}, // the pass is gone too
	},
	{
		name: "a copy of cosign's tag and the image", after: byTag, views: true,
		answers: map[string]string{"bundle": notWhole, "unsigned": notWhole},
	},
	{
		name: "a copy of all tags of the image", after: byAllTags,
		answers: map[string]string{"unsigned": "no provenance is attached"},
	},
	{name: "the index' tag is taken, and the API answers 404", before: taken, after: withoutAPI(404)},
	{name: "the index' tag is taken, and the API lists nothing", before: taken, after: listsNothing},
	{
		name: "the index' tag is taken, and manifests without a tag are collected", before: taken, after: collected,
	},
	{name: "tags are immutable, and the API answers 404", before: immutable, after: withoutAPI(404)},
	{name: "tags are immutable, and the API lists nothing", before: immutable, after: listsNothing},
	{
		name: "tags are immutable, and a copy of all tags of the image", before: immutable, after: byAllTags,
		answers: map[string]string{"unsigned": "no provenance is attached"},
	},
	{name: "tags do not sort, and the API serves the list from before", before: unsorted, after: staler},
	{name: "tags do not sort, and the API answers 404", before: unsorted, after: withoutAPI(404)},
	{name: "tags do not sort, and the API lists nothing", before: unsorted, after: listsNothing},
	{name: "tags do not sort, and another tool empties the index", before: unsorted, after: dropped},
	{
		name:   "tags are immutable and do not sort, and the API serves the list from before",
		before: func(w *world) { unsorted(w); immutable(w) }, after: staler,
	},
	{name: "another front end lists tags in no order, and the list from before",
		after: func(w *world) { unsorted(w); staler(w) }},
	{name: "an old index is put back, tags do not sort, and the API serves the list from before", before: unsorted,
		during: keepIndex, after: putBack},
	{name: "tags do not sort, another tool empties the index, and the API lists nothing", before: unsorted,
		after: func(w *world) { dropped(w); listsNothing(w) }},
	{name: "another tool empties the index", after: dropped},
	{name: "another tool empties the index, and the API answers 404",
		after: func(w *world) { dropped(w); withoutAPI(404)(w) }},
	{name: "another tool empties the index, and the API lists nothing",
		after: func(w *world) { dropped(w); listsNothing(w) }},
}

// fail writes the newer failure in a form.
func (w *world) fail(ours *key, form intoto.Encoding) {
	w.T.Helper()
	opts := w.opts
	opts.Encoding = form
	r, err := NewWriter(bundler{ours}, opts).Write(context.Background(), w.Image, "scan", outcome(intoto.Failed, 0))
	if view := new(ViewError); err != nil && !errors.As(err, &view) {
		w.T.Fatal(err)
	}
	if form == intoto.EncodingStatement {
		w.provenance(ours, r.Digest, pipelineRun(r.Digest, 0,
			pipelineTask{name: "scan", from: -5 * time.Minute, record: r.Digest}))
	}
}

// attack makes one attack of a hiding.
func (h hiding) attack(form intoto.Encoding, without bool) attack {
	a := attack{name: fmt.Sprintf("%s, failure in form %q", h.name, form)}
	if without {
		a.name += ", without views"
	}
	a.answer, a.listed = h.answer(form, without, true), h.answer(form, without, false)
	a.do = func(w *world, ours, _ *key) {
		step := func(f func(w *world)) {
			if f != nil {
				f(w)
			}
		}
		step(h.before)
		passedBefore(w, ours)
		step(h.during)
		w.opts.WithoutViews = without
		w.fail(ours, form)
		step(h.after)
	}
	a.ask = func(w *world, r *Resolver) *Resolver {
		k := r.verifier.(*key)
		if form == intoto.EncodingStatement {
			return NewResolver(AnyOf(bundler{k}, byChains(w.T, k)), w.opts)
		}
		return NewResolver(bundler{k}, w.opts)
	}
	return a
}

// listAttacks take lists away from a reader, so that an older pass in another list looks like the newest.
var listAttacks = func() []attack {
	var all []attack
	for _, h := range hidings {
		for _, form := range []intoto.Encoding{intoto.EncodingEnvelope, intoto.EncodingBundle, intoto.EncodingStatement} {
			all = append(all, h.attack(form, false))
			if !h.views {
				all = append(all, h.attack(form, true))
			}
		}
	}
	return all
}()
