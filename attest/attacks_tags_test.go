package attest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/intoto"
)

// onlyTagged writes an older pass into all lists, and a newer failure that only its own tag leads to.
func onlyTagged(w *world, ours *key) {
	w.T.Helper()
	passedBefore(w, ours)
	w.opts.WithoutViews = true
	w.write(ours, "scan", outcome(intoto.Failed, 0))
	staler(w)
}

// agreeing makes the referrers API leave out its last manifest, and the fallback index name just what is left.
func agreeing(w *world) {
	w.T.Helper()
	staler(w)
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	listed, err := w.repo().Read(context.Background(), w.Image, referrers.Listing{}, referrers.Lists{Referrers: true})
	if err != nil {
		w.T.Fatal(err)
	}
	for _, p := range listed.Pointers {
		digest, err := v1.NewHash(p.Ref)
		if err != nil {
			w.T.Fatal(err)
		}
		index.Manifests = append(index.Manifests, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: 1})
	}
	b, err := json.Marshal(index)
	if err != nil {
		w.T.Fatal(err)
	}
	w.Retag(referrers.TagBase(w.Image), types.OCIImageIndex, b)
}

// untag takes a tag away, and leaves what it named.
func (w *world) untag(tag string) {
	path := "/v2/" + w.Image.Context().RepositoryStr() + "/manifests/" + tag
	w.Inner.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, path, nil))
}

// numbered returns n tags that begin with prefix.
func numbered(prefix string, n int) []string {
	var tags []string
	for i := range n {
		tags = append(tags, fmt.Sprintf("%s%06d", prefix, i))
	}
	return tags
}

// tagAttacks hide the tag of a newer failure from a reader that seeks it.
var tagAttacks = []attack{{
	name: "thousands of tags before those of records",
	do: func(w *world, ours, _ *key) {
		onlyTagged(w, ours)
		w.among(tagLists[0], slices.Concat(numbered(viewTag(w.Image)+"-", 2100), numbered("v", 10)))
	},
	answer: failedAtNoon,
}, {
	name: "thousands of tags of records of nothing",
	do: func(w *world, ours, _ *key) {
		onlyTagged(w, ours)
		w.among(tagLists[0], numbered(viewTag(w.Image)+".", 2100))
	},
	answer: "is over the limit of 2000",
}, {
	name: "an index that is made to name what a stale list names",
	do: func(w *world, ours, _ *key) {
		unsorted(w)
		w.opts.WithoutViews = true
		passedBefore(w, ours)
		w.write(ours, "scan", outcome(intoto.Failed, 0))
		agreeing(w)
	},
	answer: failedAtNoon,
}, {
	name: "a tag that comes behind in bytes only, in a registry that sorts without punctuation",
	do: func(w *world, ours, _ *key) {
		onlyTagged(w, ours)
		base := referrers.TagBase(w.Image)
		others := append(numbered(base+".att-", 97), strings.Replace(base, "-", ".", 1)+".att-000097") // the page ends here
		w.among(tagList{punctuated: true, page: 1000}, append(others, numbered("v", 10)...))
	},
	answer: failedAtNoon,
}, {
	name: "the only tag of all, in a registry that has nothing behind a name that is no tag",
	do: func(w *world, ours, _ *key) {
		pass := passedBefore(w, ours)
		w.opts.WithoutViews = true
		w.write(ours, "scan", outcome(intoto.Failed, 0))
		for _, tag := range []string{referrers.TagBase(w.Image), viewTag(w.Image), referrers.RecordTag(w.Image, pass.Digest)} {
			w.untag(tag)
		}
		staler(w)
		w.among(tagList{positional: true, page: 1000}, nil)
	},
	answer: failedAtNoon,
}, {
	name: "a registry that never gives more than fifty tags, and does not link",
	do: func(w *world, ours, _ *key) {
		onlyTagged(w, ours)
		w.among(tagList{page: 50, silent: true}, numbered(viewTag(w.Image)+"-", 120))
	},
	answer: failedAtNoon,
}}
