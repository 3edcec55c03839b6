// Package referrers lists, reads and writes the records of one image: the immutable manifests whose subject it is. It
// knows how evidence is laid out in a registry, and neither tests nor verdicts.
//
// Records are authoritative. Four lists lead to them, and a [Listing] is their union:
//
//   - the referrers API,
//   - the fallback index under the tag sha256-<image>,
//   - cosign's tag sha256-<image>.att, whose layers are statements, and whose annotations name the records that it cannot
//     show,
//   - a tag of a record's own, for what is not in two others.
//
// The index and cosign's tag are views: every writer rewrites them, so any write can undo another. A [Publication] adds
// what they lack until nothing is missing; its comment has the argument why no record is lost, however many write at
// once.
//
// [BuildRecord] makes the manifest of a statement. [Hints] are what its annotations say of it, and save reading it.
package referrers
