package attest

import "github.com/testdag/testdag/attest/internal/referrers"

// A Record is one statement as stored: an immutable OCI manifest whose subject is the image. Tekton results point to
// it. Repository and Digest say where the manifest is, and String writes that as repository@digest. Size is how many
// bytes the manifest has, and Bytes are the manifest.
type Record = referrers.Record

// Annotations that a record carries. No signature covers them: see [Resolver.Newest] for what they may decide.
const (
	AnnotationPredicateType = referrers.AnnotationPredicateType // "predicateType", as cosign names it
	AnnotationTest          = referrers.AnnotationTest          // Name of the intoto.Test
	AnnotationCreated       = referrers.AnnotationCreated       // the statement's own time, RFC 3339 in UTC
	AnnotationEnvelope      = referrers.AnnotationEnvelope      // digest of the layer, which holds the envelope
	AnnotationPayload       = referrers.AnnotationPayload       // digest of the statement inside
)

// AnnotationNotShown is an annotation of cosign's .att manifest. It names the records that cosign's tag cannot show:
// bundles, unsigned statements, and what is too large or one too many. Its value are the digests of their manifests, in
// ascending order, with a comma between two. A layer can carry it too, so that cosign attest --replace does not drop it.
const AnnotationNotShown = referrers.AnnotationNotShown

// Sources says which lists of an image's evidence answered: [SourceAnswered] or [SourceAbsent] of each. Referrers is the
// referrers API, Index the fallback index under the tag sha256-<image>, View cosign's tag sha256-<image>.att. Tags are
// those of single records, absent if the repository has no list of tags.
//
// A [Writer] enters each record into two of the lists, so that a record is still found if one of the two is switched
// off, cached, or not copied. A list that cannot be read is an error of the call; a list that is absent is part of the
// answer, since a copy or another front end may lack it.
type Sources = referrers.Sources

// What a list did when it was read.
const (
	// SourceAnswered: the list was read to its end.
	SourceAnswered = referrers.SourceAnswered

	// SourceAbsent: the registry has no such API, or nothing under the tag that is such a list.
	SourceAbsent = referrers.SourceAbsent
)
