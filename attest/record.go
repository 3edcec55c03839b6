package attest

import "github.com/testdag/testdag/attest/internal/referrers"

// A Record is one statement as stored: an immutable OCI manifest whose subject is the image. Tekton results point to
// it.
type Record = referrers.Record

// Annotations that a record carries. No signature covers them: see [Resolver.Newest] for what they may decide.
const (
	AnnotationPredicateType = referrers.AnnotationPredicateType
	AnnotationTest          = referrers.AnnotationTest
	AnnotationCreated       = referrers.AnnotationCreated
	AnnotationEnvelope      = referrers.AnnotationEnvelope
	AnnotationPayload       = referrers.AnnotationPayload
)

// AnnotationNotShown is an annotation of cosign's .att manifest. It names the records that cosign's tag cannot show.
const AnnotationNotShown = referrers.AnnotationNotShown

// Sources says which lists of an image's evidence answered.
type Sources = referrers.Sources

// What a list did when it was read.
const (
	// SourceAnswered: the list was read to its end.
	SourceAnswered = referrers.SourceAnswered

	// SourceAbsent: the registry has no such API, or nothing under the tag that is such a list.
	SourceAbsent = referrers.SourceAbsent
)
