package attest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// onlyTagged writes an older pass into all lists, and a newer failure that only its own tag leads to.
func onlyTagged(w *world, ours *key) {
	w.t.Helper()
	passedBefore(w, ours)
	w.opts.WithoutViews = true
	w.write(ours, "scan", outcome(Failed, 0))
	staler(w)
}

// agreeing makes the fallback index name what the referrers API lists without its last manifest, and the API list just that.
func agreeing(w *world) {
	w.t.Helper()
	staler(w)
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	listed, err := w.repo().referrers(context.Background(), w.image)
	if unless(err, errNoList) != nil {
		w.t.Fatal(err)
	}
	for _, p := range listed {
		digest, err := v1.NewHash(p.ref)
		if err != nil {
			w.t.Fatal(err)
		}
		index.Manifests = append(index.Manifests, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: 1})
	}
	b, err := json.Marshal(index)
	if err != nil {
		w.t.Fatal(err)
	}
	w.retag(tagBase(w.image), types.OCIImageIndex, b)
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
		w.among(tagLists[0], slices.Concat(numbered(viewTag(w.image)+"-", 2100), numbered("v", 10)))
	},
	answer: failedAtNoon,
}, {
	name: "thousands of tags of records of nothing",
	do: func(w *world, ours, _ *key) {
		onlyTagged(w, ours)
		w.among(tagLists[0], numbered(viewTag(w.image)+".", 2100))
	},
	answer: "is over the limit of 2000",
}, {
	name: "an index that is made to name what a stale list names",
	do: func(w *world, ours, _ *key) {
		unsorted(w)
		w.opts.WithoutViews = true
		passedBefore(w, ours)
		w.write(ours, "scan", outcome(Failed, 0))
		agreeing(w)
	},
	answer: failedAtNoon,
}}
