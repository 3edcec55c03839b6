package attest

import (
	"fmt"
	"slices"
)

// onlyTagged writes an older pass into all lists, and a newer failure that only its own tag leads to.
func onlyTagged(w *world, ours *key) {
	w.t.Helper()
	passedBefore(w, ours)
	w.opts.WithoutViews = true
	w.write(ours, "scan", outcome(Failed, 0))
	staler(w)
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
}}
