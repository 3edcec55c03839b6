package referrers

// A Source says whether a list of evidence could be read.
type Source string

// What a list did when it was read.
const (
	SourceAnswered Source = "answered"
	SourceAbsent   Source = "absent"
)

// Sources is attest.Sources.
type Sources struct {
	Referrers Source // the referrers API
	Index     Source // the fallback index, under the tag sha256-<image>
	View      Source // cosign's tag sha256-<image>.att
	Tags      Source // tags of single records; absent if the repository has no list of tags
}
