// Package checkpoint remembers the newest evidence that was ever seen of each test at an image, so that its deletion is
// noticed. What is left after a deletion looks like all there ever was; only a memory outside the registry tells.
//
// A [Mark] is what is remembered of one test: the time of its newest statements, and their digests. A [Store] keeps the
// highest mark, whoever advances it and how many do. [Dir] keeps marks in a directory, [Repository] in a repository of a
// registry, best another one than the images are in. Marks belong to the digest of an image, so a copy of the image in
// another repository has those of the original.
//
// Marks outlive a release: their files and manifests are pinned by tests, and those of earlier releases are still read.
package checkpoint
