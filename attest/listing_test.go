package attest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

func TestPagesAreFollowedHoweverTheyAreLinked(t *testing.T) {
	for _, link := range []string{`<%s>; Rel="prev Next"`, `<%s>; title="a, b"; rel = next`, `garbage %s`} {
		for part, with := range map[string]bool{"/referrers/": true, "/tags/": false} {
			w := newWorld(t, with)
			k := newKey(t, "k")
			w.opts.WithoutViews = true
			w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
			w.write(k, "scan", outcome(intoto.Failed, 0))
			w.write(k, "scan", outcome(intoto.Passed, -2*time.Hour))
			w.listPages(part, func(next string) string { return fmt.Sprintf(link, next) })
			e, err := w.newest(k, testResultOf("scan"))
			if garbage := strings.HasPrefix(link, "garbage"); garbage != (err != nil) || !garbage && e.Result != intoto.Failed {
				t.Errorf("%s with %s: got %s, %v", part, link, e.Result, err)
			}
			if err != nil {
				attesttest.As[*RegistryError](t, err)
			}
		}
	}
}

// That a registry lacks a list can be said once, in the first answer. Later it would hide what is on that page.
func TestPageThatIsMissingIsAnError(t *testing.T) {
	for part, with := range map[string]bool{"/referrers/": true, "/tags/": false} {
		for _, status := range []int{400, 403, 404, 405, 406, 429, 500, 501} {
			w := newWorld(t, with)
			k := newKey(t, "k")
			w.opts.WithoutViews = true
			w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
			w.write(k, "scan", outcome(intoto.Failed, 0))
			w.opts.Attempts = 1
			w.listPages(part, func(next string) string { return "<" + next + `>; rel="next"` })
			pages := w.Fault
			w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("page") != "1" {
					return pages(rw, r)
				}
				rw.WriteHeader(status)
				return true
			})
			_, err := w.newest(k, testResultOf("scan"))
			if e := attesttest.As[*RegistryError](t, err); e.Status != status || errors.Is(err, ErrNotFound) {
				t.Errorf("%s %d: got %v", part, status, err)
			}
		}
	}
}

// Only these answers mean that there is no such API. The record is then found by its tag.
func TestRegistriesWithoutTheAPISayItInManyWays(t *testing.T) {
	for _, status := range []int{400, 404, 405, 406, 501} {
		w := newWorld(t, true)
		k := newKey(t, "k")
		w.opts.WithoutViews = true
		w.Answers(status, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/referrers/") })
		w.write(k, "scan", outcome(intoto.Failed, 0))
		if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
			t.Errorf("%d: got %+v", status, e)
		}
	}
}

// A page that holds no list is another document, however well it is served.
func TestAnswerWithoutAListIsAnError(t *testing.T) {
	for _, tt := range []struct {
		part   string
		body   string
		listed bool // an empty list
	}{
		{"/referrers/", `{}`, false}, {"/referrers/", `null`, false}, {"/referrers/", `{"errors":[{"code":"DENIED"}]}`, false},
		{"/referrers/", `<html>`, false}, {"/referrers/", ``, false}, {"/referrers/", `{"manifests":null}`, false},
		{"/referrers/", `{"layers":[]}`, false}, {"/referrers/", `{"layers":[],"manifests":[]}`, false},
		{"/tags/", `{}`, false}, {"/tags/", `null`, false}, {"/tags/", `{"errors":[{"code":"DENIED"}]}`, false},
		{"/tags/", ``, false},
		{"/tags/", `{"tags":"x"}`, false}, {"/tags/", `{"tags":[]}`, true}, {"/tags/", `{"tags":null}`, true},
		{"FALLBACK", `{}`, false}, {"FALLBACK", `{"manifests":null}`, false},
		{"FALLBACK", `{"layers":[],"manifests":[]}`, false},
	} {
		w := newWorld(t, tt.part == "/referrers/")
		k := newKey(t, "k")
		w.opts.WithoutViews = true
		w.write(k, "scan", outcome(intoto.Failed, 0))
		part := tt.part
		if part == "FALLBACK" {
			part = "/manifests/" + referrers.TagBase(w.Image)
		}
		w.Serves(part, types.OCIImageIndex, tt.body)
		_, err := w.newest(k, testResultOf("scan"))
		if err == nil || errors.Is(err, ErrNotFound) != tt.listed {
			t.Errorf("%s %s: got %v", tt.part, tt.body, err)
		}
		for _, line := range strings.Split(fmt.Sprint(err), "\n") {
			if err != nil && strings.Count(line, "attest:") != 1 {
				t.Errorf("%s says twice who speaks", line)
			}
		}
	}
}

// No digest covers the header that says what a document is.
func TestContentTypeDecidesNothing(t *testing.T) {
	for _, media := range []string{
		"", "text/plain", "application/json", "application/vnd.oci.image.index.v1+json ; charset=utf-8",
		"Application/VND.oci.image.index.v1+json",
		string(types.DockerManifestList), string(types.OCIManifestSchema1),
	} {
		t.Run(media, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				k := newKey(t, "k")
				w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
				old := w.get(viewTag(w.Image))
				w.write(k, "scan", outcome(intoto.Failed, 0))
				w.Retag(viewTag(w.Image), old.Media, old.Bytes)
				w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
					if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "sha256") {
						return false
					}
					answer := httptest.NewRecorder()
					w.Inner.ServeHTTP(answer, r)
					rw.Header()["Content-Type"] = []string{media}
					rw.WriteHeader(answer.Code)
					_, _ = rw.Write(answer.Body.Bytes())
					return true
				})
				if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
					t.Errorf("got %s, %v", e.Result, e.Problem)
				}
			})
		})
	}
}

// A manifest that one reader takes for an index and another for an image, or nobody for either, blocks.
func TestManifestThatIsBothOrNeitherBlocks(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		r := w.write(k, "scan", outcome(intoto.Passed, 0))
		for _, more := range []string{`"manifests":[],`, ``} {
			b := strings.Replace(string(r.Bytes), `{`, `{`+more, 1)
			if more == "" {
				b = strings.Replace(b, `"layers"`, `"blobs"`, 1)
			}
			h := registry.Describe([]byte(b), "").Digest
			w.Retag(referrers.RecordTag(w.Image, h), types.OCIManifestSchema1, []byte(b))
			_, err := w.newest(k, testResultOf("scan"))
			if e := attesttest.As[*CandidateError](t, err); !strings.Contains(err.Error(), h.Hex) || e.Err == nil {
				t.Errorf("got %v", err)
			}
		}
	})
}

// Whoever moves tags, and deletes nothing, hides no record.
func TestMovedTagIsSeen(t *testing.T) {
	w := newWorld(t, false)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
	view, index, image := w.get(viewTag(w.Image)), w.get(referrers.TagBase(w.Image)), w.get(w.Image.DigestStr())
	r := w.write(k, "scan", outcome(intoto.Failed, 0))
	w.Retag(viewTag(w.Image), view.Media, view.Bytes)
	w.Retag(referrers.TagBase(w.Image), index.Media, index.Bytes)
	if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
		t.Errorf("its own tag shows %s", e.Result)
	}
	w.Retag(referrers.RecordTag(w.Image, r.Digest), image.Media, image.Bytes)
	_, err := w.newest(k, testResultOf("scan"))
	attesttest.As[*CandidateError](t, err)
	attesttest.Field(t, err, "tag "+referrers.RecordTag(w.Image, r.Digest))
}

// Some registries, and proxies before them, answer for referrers and know none.
func TestAPIThatListsNothing(t *testing.T) {
	for _, without := range []bool{false, true} {
		w := newWorld(t, true)
		k := newKey(t, "k")
		w.opts.WithoutViews = without
		w.Serves("/referrers/", types.OCIImageIndex, `{"manifests":[]}`)
		r := w.write(k, "scan", outcome(intoto.Failed, 0))
		if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed || e.Manifest != r.Digest {
			t.Errorf("got %s in %s, %v", e.Result, e.Manifest, e.Problem)
		}
		w.write(k, "other", outcome(intoto.Passed, 0))
		w.Retag(referrers.TagBase(w.Image), types.OCIImageIndex,
			[]byte(`{"schemaVersion":2,"manifests":[]}`)) // undone by another writer
		if got := len(w.all(k)); got != 2 || !without && len(w.attLayers()) != 2 {
			t.Errorf("found %d of 2, %d in the view", got, len(w.attLayers()))
		}
	}
}

// If the API lists nothing, the fallback index shows that it does not list everything. The tags of single records are
// asked for then: a concurrent writer can undo both views, and only its own tag leads to the record.
func TestAPIThatListsNothingAndViewsThatAreUndone(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.Serves("/referrers/", types.OCIImageIndex, `{"manifests":[]}`)
	w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
	view, index := w.get(viewTag(w.Image)), w.get(referrers.TagBase(w.Image))
	w.write(k, "scan", outcome(intoto.Failed, 0))
	w.Retag(viewTag(w.Image), view.Media, view.Bytes)
	w.Retag(referrers.TagBase(w.Image), index.Media, index.Bytes)
	if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
		t.Errorf("got %s, %v", e.Result, e.Problem)
	}
}

func TestRecordThatCannotBeListedIsAnError(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			switch {
			case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/referrers/"):
				answer := httptest.NewRecorder()
				if w.Inner.ServeHTTP(answer, r); answer.Code != http.StatusOK {
					return false
				}
				_, _ = rw.Write([]byte(`{"manifests":[]}`))
			case strings.HasSuffix(r.URL.Path, "/tags/list"):
				_, _ = rw.Write([]byte(`{"tags":[]}`))
			case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, referrers.TagBase(w.Image)):
				rw.WriteHeader(http.StatusForbidden)
			default:
				return false
			}
			return true
		})
		_, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, 0))
		if e := attesttest.As[*RegistryError](t, err); e.Op != "list records" {
			t.Errorf("got %v", err)
		}
		if view := new(ViewError); errors.As(err, &view) {
			t.Error("a ViewError says that the statement can be found")
		}
		if got := w.attLayers(); len(got) != 1 {
			t.Errorf("the view holds %d, want the statement", len(got))
		}
	})
}

func TestNewestOfNothingThatCanBeFound(t *testing.T) {
	w := newWorld(t, true)
	_, err := w.newest(newKey(t, "k"), intoto.Test{})
	attesttest.Field(t, err, "tests[0].Name", "tests[0].PredicateType")
	_, err = w.newest(newKey(t, "k"), intoto.Test{Name: "scan", PredicateType: "https://slsa.dev/provenance/v1"})
	attesttest.Field(t, err, "tests[0].PredicateType")
	if len(w.Requests) == 0 || errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// Few bytes that become a large value are cut off by their number.
func TestSmallObjectsAreCounted(t *testing.T) {
	w := newWorld(t, true)
	layers := strings.Repeat(`{},`, 1<<18) + `{}`
	raw := []byte(`{"schemaVersion":2,"subject":{"digest":"` + w.hash().String() + `"},"layers":[` + layers + `]}`)
	w.Retag(registry.Describe(raw, "").Digest.String(), types.OCIManifestSchema1, raw)
	_, err := w.newest(newKey(t, "k"), testResultOf("scan"))
	attesttest.As[*CandidateError](t, err)
	if l := attesttest.As[*intoto.LimitError](t, err); l.What != "JSON values" || l.Limit != 1<<18 {
		t.Errorf("got %v", l)
	}
}

// What is read at once is not over the limit together: reading stops where the limit is.
func TestTotalBytesAreChargedWhileReading(t *testing.T) {
	w := newWorld(t, true)
	w.Serves("/referrers/", types.OCIImageIndex, strings.Repeat(" ", 4<<20))
	w.opts.Limits.TotalBytes = 1000
	_, err := w.newest(newKey(t, "k"), testResultOf("scan"))
	if l := attesttest.As[*intoto.LimitError](t, err); l.What != "total bytes" || l.Got > 1<<20 {
		t.Errorf("got %v", l)
	}
}

// A registry that never answers does not hold a caller who gave no deadline.
func TestTimeIsBounded(t *testing.T) {
	for what, limits := range map[string]Limits{
		"request milliseconds": {RequestTime: 20 * time.Millisecond},
		"call milliseconds":    {CallTime: 20 * time.Millisecond},
	} {
		for _, part := range []string{"/v2/", "/referrers/", "/blobs/sha256:"} {
			w := newWorld(t, true)
			w.opts.InlineBytes = -1 // so that blobs are read
			k := newKey(t, "k")
			w.write(k, "scan", outcome(intoto.Passed, 0))
			w.opts.Limits = limits
			w.Breaks(func(_ http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, part) {
					return false
				}
				<-r.Context().Done()
				return true
			})
			_, err := w.newest(k, testResultOf("scan"))
			if l := attesttest.As[*intoto.LimitError](t, err); l.What != what || l.Limit != 20 {
				t.Errorf("%s: got %v", part, err)
			}
			_, err = NewWriter(k, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Failed, 0))
			if l := attesttest.As[*intoto.LimitError](t, err); l.What != what {
				t.Errorf("%s: writer: got %v", part, err)
			}
		}
	}
}

// A registry may redirect to an address that is a secret itself.
func TestErrorsHoldNoAddressOfARedirect(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	up := httptest.NewServer(http.NotFoundHandler())
	defer up.Close()
	for _, server := range []*httptest.Server{down, up} {
		w := newWorld(t, true)
		w.opts.InlineBytes = -1 // so that blobs are read
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, 0))
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				http.Redirect(rw, r, server.URL+"/SECRET?X-Amz-Signature=SECRET", http.StatusTemporaryRedirect)
				return true
			}
			return false
		})
		_, err := w.newest(k, testResultOf("scan"))
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("got %v", err)
		}
	}
}

// Equal statements are one, wherever their envelopes were found.
func TestEveryStatementOnceHoweverMany(t *testing.T) {
	var read []Evidence
	for i := range 2000 {
		b, err := json.Marshal(i / 2)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, Evidence{Statement: &intoto.Statement{}, payload: b, envelopes: []Candidate{{}}},
			Evidence{Problem: ErrNotFound})
	}
	all, envelopes := merge(read), 0
	for _, e := range all {
		envelopes += len(e.envelopes)
	}
	if len(all) != 3000 || envelopes != 2000 {
		t.Errorf("%d pieces of evidence with %d envelopes, want 3000 with 2000", len(all), envelopes)
	}
}

// What a token server answers says nothing about the list that was asked for: an older pass must not stand because a
// token could not be renewed.
func TestTokenServerSaysNothingAboutLists(t *testing.T) {
	for _, part := range []string{"/referrers/", ".att", "/tags/list"} {
		for _, status := range []int{http.StatusBadRequest, http.StatusNotFound} {
			w := newWorld(t, part == "/referrers/")
			k := newKey(t, "k")
			w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
			w.opts.WithoutViews = part != ".att"
			w.write(k, "scan", outcome(intoto.Failed, 0))
			tokens := 0
			w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" {
					if tokens++; tokens > 1 {
						rw.WriteHeader(status)
						return true
					}
					fmt.Fprint(rw, `{"token":"t1"}`)
					return true
				}
				if r.Header.Get("Authorization") == "Bearer t1" && !strings.Contains(r.URL.Path, part) {
					return false
				}
				rw.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="s"`)
				rw.WriteHeader(http.StatusUnauthorized)
				return true
			})
			e, err := w.newest(k, testResultOf("scan"))
			if err == nil {
				t.Errorf("%s, token server answers %d: got %q, problem %v", part, status, e.Result, e.Problem)
			}
		}
	}
}

// The values of all statements together are bounded: what is decoded is kept.
func TestValuesOfAllStatementsAreCounted(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	for n := range 4 {
		w.write(k, fmt.Sprint("scan", n), outcome(intoto.Passed, 0))
	}
	w.opts.Limits.TotalValues = 20
	_, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image)
	if l := attesttest.As[*intoto.LimitError](t, err); l.What != "total values" || l.Limit != 20 || l.Got <= 20 {
		t.Errorf("got %v", l)
	}
	w.opts.Limits.TotalValues = 200
	if _, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image); err != nil {
		t.Error(err)
	}
}

// What others wrote may be all mistakes; a thousand of them are told.
func TestMistakesAreBounded(t *testing.T) {
	findings := "[" + strings.Repeat("{},", 50_000) + "{}]"
	payload := `{"_type":"https://in-toto.io/Statement/v1","predicateType":"` + intoto.VulnsType + `","predicate":{},"subject":` +
		findings + `}`
	_, err := intoto.ParseStatement([]byte(payload))
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 1001 {
		t.Fatalf("got an error of %d bytes", len(fmt.Sprint(err)))
	}
	if last := joined.Unwrap()[1000].Error(); last != "attest: subject[1000].digest: wrong, and what follows is not looked at" {
		t.Error(last)
	}
}

// docker-registry and distribution list a tag a moment before they can read it. Who reads in that moment must not take
// the statement for one that is broken.
func TestTagThatIsListedBeforeItCanBeRead(t *testing.T) {
	w := newWorld(t, false)
	w.opts.WithoutViews = true
	k := newKey(t, "k")
	r := w.write(k, "scan", outcome(intoto.Passed, 0))
	missing := 0
	w.Answers(http.StatusNotFound, func(req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, referrers.RecordTag(w.Image, r.Digest)) {
			return false
		}
		missing++
		return missing < 3
	})
	if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Manifest != r.Digest {
		t.Errorf("got %+v", e)
	}

	// One that cannot be read for longer blocks, as before.
	w.Answers(http.StatusNotFound, func(req *http.Request) bool {
		return strings.HasSuffix(req.URL.Path, referrers.RecordTag(w.Image, r.Digest))
	})
	_, err := w.newest(k, testResultOf("scan"))
	attesttest.As[*CandidateError](t, err)
}

// The values of manifests are counted with those of statements: many manifests of small values take much memory.
func TestValuesOfAllManifestsAreCounted(t *testing.T) {
	w := newWorld(t, true)
	for i := range 3 {
		w.attach(fmt.Append(nil, i), func(m *v1.Manifest) {
			m.ArtifactType, m.Layers[0].MediaType = "application/example", "text/plain"
			m.Annotations = map[string]string{}
			for n := range 100 {
				m.Annotations[fmt.Sprint(n)] = ""
			}
		})
	}
	w.opts.Limits.TotalValues = 300
	_, err := w.newest(newKey(t, "k"), testResultOf("scan"))
	if l := attesttest.As[*intoto.LimitError](t, err); l.What != "total values" {
		t.Errorf("got %v", l)
	}
}

// What is listed must be a digest. A tag in its place is not followed.
func TestListedTagIsNoDigest(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Passed, 0))
	w.Serves("/referrers/", types.OCIImageIndex, `{"manifests":[{"digest":"latest"}]}`)
	_, err := w.newest(k, testResultOf("scan"))
	attesttest.Field(t, attesttest.As[*CandidateError](t, err), "manifests")
	if w.Count("GET", "latest") > 0 {
		t.Error("the tag was read")
	}
}
