package attest

import "github.com/testdag/testdag/attest/internal/referrers"

// A Record is one statement as stored: an immutable OCI manifest whose subject is the image. Tekton results point to
// it. It has the Repository, the Digest, Size and Bytes of the manifest, and prints as repository@digest.
type Record = referrers.Record

// Annotations that a record carries. No signature covers them: see [Resolver.Newest] for what they may decide.
const (
	AnnotationPredicateType = referrers.AnnotationPredicateType
	AnnotationTest          = referrers.AnnotationTest
	AnnotationCreated       = referrers.AnnotationCreated
	AnnotationEnvelope      = referrers.AnnotationEnvelope
	AnnotationPayload       = referrers.AnnotationPayload
)

// AnnotationNotShown is an annotation of cosign's .att manifest. It names the records that cosign's tag cannot show:
// bundles, unsigned statements, and what is too large or one too many. Its value are the digests of their manifests, in
// ascending order, with a comma between two. One layer of each predicate type carries it too, since cosign attest
// --replace drops the annotations of the manifest and keeps those of the layers that it does not replace. A [Resolver]
// reads each record that any of the annotations names, so a copy of the tag without the records blocks.
const AnnotationNotShown = referrers.AnnotationNotShown

// Sources says which lists of an image's evidence answered: Referrers, the referrers API; Index, the fallback index; View,
// cosign's tag; Tags, the tags of single records. Each is [SourceAnswered] or [SourceAbsent].
type Sources = referrers.Sources

// What a list did when it was read.
const (
	// SourceAnswered: the list was read to its end.
	SourceAnswered = referrers.SourceAnswered

	// SourceAbsent: the registry has no such API, or nothing under the tag that is such a list.
	SourceAbsent = referrers.SourceAbsent
)
