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

// AnnotationNotShown is an annotation of cosign's .att manifest. It names the records that cosign's tag cannot show:
// bundles, unsigned statements, and what is too large or one too many. Its value are the digests of their manifests, in
// ascending order, with a comma between two. One layer of each predicate type carries it too, since cosign attest
// --replace drops the annotations of the manifest and keeps those of the layers that it does not replace. A [Resolver]
// reads each record that any of the annotations names, so a copy of the tag without the records blocks.
const AnnotationNotShown = referrers.AnnotationNotShown

// Sources are the lists that lead to evidence about an image. A [Writer] enters each record into two of them, so that a
// record is still found if one of the two is switched off, cached, or not copied. A list that cannot be read is an error
// of the call; a list that is absent is part of the answer, since a copy or another front end may lack it.
type Sources = referrers.Sources

// What a list did when it was read.
const (
	// SourceAnswered: the list was read to its end.
	SourceAnswered = referrers.SourceAnswered

	// SourceAbsent: the registry has no such API, or nothing under the tag that is such a list.
	SourceAbsent = referrers.SourceAbsent
)
