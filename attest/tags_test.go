package attest

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// How a registry answers for its tags.
type tagList struct {
	name       string
	unordered  bool // those that were written last come last
	deaf       bool // it ignores last, and returns everything, as docker-registry 2.8.2 does
	page       int  // the most that one answer holds, whatever is asked for; 0 is no limit
	strict     bool // last must be a tag that is there, as zot wants it
	positional bool // it lists nothing behind a last that is not there
	punctuated bool // it passes over punctuation when it sorts
	silent     bool // it does not link to the next page if it was asked for a number of tags
	versions   bool // all tags of other images are versions, which come behind those of records
}

var tagLists = []tagList{
	{name: "in order", page: 1000},
	{name: "in order, and does not link", page: 1000, silent: true},
	{name: "in order, never more than three, and does not link", page: 3, silent: true},
	{name: "in order, in small pages", page: 3},
	{name: "ignores last", deaf: true},
	{name: "ignores last, in pages", deaf: true, page: 1000},
	{name: "does not sort", unordered: true, page: 1000},
	{name: "does not sort, in one page", unordered: true},
	{name: "does not sort versions", unordered: true, page: 1000, versions: true},
	{name: "wants last to be there", strict: true, page: 1000},
	{name: "has nothing behind a last that is not there", positional: true, page: 1000},
	{name: "sorts without punctuation", punctuated: true, page: 1000},
}

// crowd adds tags of other images to those of the registry, and makes it answer for them as l says.
func (w *world) crowd(l tagList, n int) {
	var others []string
	for i := range n {
		switch {
		case l.versions:
			others = append(others, fmt.Sprintf("v%06d", i))
		case i%4 == 0:
			others = append(others, fmt.Sprintf("build-%06d", i))
		case i%4 == 1:
			others = append(others, fmt.Sprintf("v%06d", i))
		default:
			others = append(others, fmt.Sprintf("sha256-%x.att", sha256.Sum256(fmt.Append(nil, i))))
		}
	}
	w.among(l, others)
}

// among does the same with tags that are given.
func (w *world) among(l tagList, others []string) {
	others = slices.SortedFunc(slices.Values(others), l.compare)
	w.also(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/"+w.Image.Context().RepositoryStr()+"/tags/list" {
			return false
		}
		answer := httptest.NewRecorder()
		w.Inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, r.URL.Path, nil))
		var own struct{ Tags []string }
		_ = json.Unmarshal(answer.Body.Bytes(), &own)
		all := slices.Clone(others)
		for _, tag := range own.Tags {
			at, _ := slices.BinarySearchFunc(all, tag, l.compare)
			if l.unordered {
				at = len(all)
			}
			all = slices.Insert(all, at, tag)
		}
		l.answer(rw, r, all)
		return true
	})
}

// compare compares two tags as the registry does that sorts them.
func (l tagList) compare(a, b string) int {
	if !l.punctuated {
		return strings.Compare(a, b)
	}
	without := strings.NewReplacer("-", "", ".", "", "_", "")
	return cmp.Or(strings.Compare(without.Replace(a), without.Replace(b)), strings.Compare(a, b))
}

func (l tagList) answer(rw http.ResponseWriter, r *http.Request, tags []string) {
	if last := r.URL.Query().Get("last"); last != "" && !l.deaf {
		at := slices.Index(tags, last)
		switch {
		case at >= 0:
			tags = tags[at+1:]
		case l.strict:
			rw.WriteHeader(http.StatusNotFound)
			return
		case l.positional:
			tags = []string{}
		case !l.unordered:
			at, _ := slices.BinarySearchFunc(tags, last, l.compare)
			tags = tags[at:]
		}
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("from"))
	tags = tags[from:]
	n, asked := l.page, false
	if want, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil && !(l.deaf && l.page == 0) {
		asked = true
		if n == 0 || want < n {
			n = want
		}
	}
	if n > 0 && n < len(tags) {
		tags = tags[:n]
		if !asked || !l.silent {
			next := fmt.Sprintf("%s?n=%d&last=%s", r.URL.Path, n, tags[n-1])
			if l.deaf { // it has a way of its own
				next = fmt.Sprintf("%s?from=%d", r.URL.Path, from+n)
			}
			rw.Header().Set("Link", "<"+next+">; rel=next")
		}
	}
	_ = json.NewEncoder(rw).Encode(map[string]any{"name": "app", "tags": tags})
}

// However a registry lists its tags, none of a record is missed.
func TestEveryWayToListTags(t *testing.T) {
	for _, l := range tagLists {
		for _, without := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, without views %t", l.name, without), func(t *testing.T) {
				eachRegistry(t, func(t *testing.T, w *world) {
					w.crowd(l, 1200)
					w.opts.WithoutViews = without
					k := newKey(t, "k")
					for i := range 5 {
						w.write(k, "scan", outcome(intoto.Failed, -time.Duration(i)*time.Second))
					}
					if got := len(w.all(k)); got != 5 {
						t.Errorf("found %d of 5", got)
					}
					withoutAPI(404)(w)
					if got := len(w.all(k)); got != 5 {
						t.Errorf("without the API found %d of 5", got)
					}
				})
			})
		}
	}
}

// Where tags come in order, neither the tags of the repository nor the records of the image make a write dearer: 15
// requests without the referrers API. These are one to connect and one for the image; two to upload the statement; the
// referrers API and cosign's tag; the record, and one to read it back; the fallback index, read and written; three to
// rewrite cosign's tag; the tags, and the index read back. With the API it is asked once more. The first write also
// uploads the empty config (3). A reader asks for the four lists and for each record that may decide.
func TestTagsOfOtherImagesCostNothing(t *testing.T) {
	for _, n := range []int{100, 10_000, 100_100} {
		eachRegistry(t, func(t *testing.T, w *world) {
			w.crowd(tagLists[0], n)
			k := newKey(t, "k")
			var tests []intoto.Test
			for i := range 10 {
				tests = append(tests, testResultOf(fmt.Sprint("scan-", i)))
				want := 15
				if w.Referrers {
					want++
				}
				if i == 0 {
					want += 3
				}
				w.Requests = nil
				if w.write(k, tests[i].Name, outcome(intoto.Passed, 0)); len(w.Requests) != want {
					t.Errorf("%d tags, write %d: %d requests, want %d: %q", n, i, len(w.Requests), want, w.Requests)
				}
			}
			w.Requests = nil
			all, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image, tests...)
			if err != nil || len(w.Requests) != 1+4+10 {
				t.Errorf("%d tags: read with %d requests: %v", n, len(w.Requests), err)
			}
			for _, e := range all {
				if e.Problem != nil {
					t.Error(e.Problem)
				}
			}
		})
	}
}

// Nor do records of which the referrers API gives no annotations: the index has them, and cosign's tag has those of
// layers.
func TestRecordsWithoutAnnotationsCostNothing(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	cost := func(test string) int {
		w.Requests = nil
		w.write(k, test, outcome(intoto.Passed, 0))
		return len(w.Requests)
	}
	for i := range 5 {
		cost(fmt.Sprint("scan-", i))
	}
	want := cost("with annotations")
	w.listsOtherwise(func(_ string, annotations map[string]string) { clear(annotations) })
	if got := cost("without"); got != want {
		t.Errorf("%d requests, want %d: %q", got, want, w.Requests)
	}
}

// Without views a write takes 15 requests: none for the shared tags, and two to find out whether the registry can seek,
// since no tag is known that must be there. It reads the tags before and after, and asks for the empty config. With the
// referrers API it asks for that twice. Without it the tag of the other record says nothing of it, so that is read too.
func TestWithoutViewsTagsOfOtherImagesCostNothing(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.crowd(tagLists[0], 10_000)
		w.opts.WithoutViews = true
		k := newKey(t, "k")
		w.write(k, "first", outcome(intoto.Passed, 0))
		w.Requests = nil
		if w.write(k, "scan", outcome(intoto.Passed, 0)); len(w.Requests) != 15 {
			t.Errorf("%d requests: %q", len(w.Requests), w.Requests)
		}
	})
}

// A registry may list for ever, and link to each page by an address that is long. Neither address nor page is free.
func TestAddressesOfPagesAreBounded(t *testing.T) {
	const longest = 8 << 10 // bytes of a Link header
	for _, part := range []string{"/referrers/", "/tags/list"} {
		for length, what := range map[int]string{longest / 2: registry.WhatTotal, longest: "link bytes"} {
			w := newWorld(t, true)
			page := 0
			w.also(func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, part) {
					return false
				}
				page++
				rw.Header().Set("Link", fmt.Sprintf("<%s?page=%0*d>; rel=next", r.URL.Path, length, page))
				_, _ = rw.Write([]byte(`{"tags":[],"manifests":[]}`))
				return true
			})
			w.opts.Limits.TotalBytes = 50 * longest
			_, err := w.newest(newKey(t, "k"), testResultOf("scan"))
			if l := attesttest.As[*intoto.LimitError](t, err); l.What != what || page > 110 {
				t.Errorf("%s, %d bytes: after %d pages %v", part, length, page, err)
			}
		}
	}
}
