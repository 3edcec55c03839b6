package referrers

// A Source says whether a list of evidence could be read.
type Source string

const (
	// SourceAnswered: the list was read to its end.
	SourceAnswered Source = "answered"

	// SourceAbsent: the registry has no such API, or nothing under the tag that is such a list.
	SourceAbsent Source = "absent"
)

// Sources are the lists that lead to evidence about an image. A writer enters each record into two of them, so that a
// record is still found if one of the two is switched off, cached, or not copied. A list that cannot be read is an error
// of the call; a list that is absent is part of the answer, since a copy or another front end may lack it.
type Sources struct {
	Referrers Source // the referrers API
	Index     Source // the fallback index, under the tag sha256-<image>
	View      Source // cosign's tag sha256-<image>.att
	Tags      Source // tags of single records; absent if the repository has no list of tags
}
