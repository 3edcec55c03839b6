package policy

import (
	"encoding/json"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
)

// A Report is what [Policy.Judge] says of an image. Its JSON has the field names of Conforma's reports, so that tools
// which read those read this.
type Report struct {
	Success    bool      `json:"success"`             // there are no violations
	Image      string    `json:"image"`               // repository@digest
	Component  string    `json:"component,omitempty"` // name of the image, if the caller gave one
	Time       time.Time `json:"effective-time"`
	Violations []Note    `json:"violations"`
	Warnings   []Note    `json:"warnings"`
	Waived     []Note    `json:"waived"` // would be violations or warnings without the Waiver of each
	Successes  []Note    `json:"successes"`
}

// A Note is one thing that a Report says.
type Note struct {
	Msg      string   `json:"msg"` // for people; text of reports is quoted where it is not printable
	Metadata Metadata `json:"metadata"`
	Evidence []Source `json:"evidence,omitempty"` // what it was concluded from; none if something is missing

	// Waiver is the one that waives a note in Report.Waived, and the one that a warning about a waiver is about.
	Waiver *Waiver `json:"waiver,omitempty"`
}

// Metadata is what programs read of a Note.
type Metadata struct {
	Code        Code       `json:"code"`
	Term        Term       `json:"term,omitempty"`
	EffectiveOn *time.Time `json:"effective_on,omitempty"` // when a warning becomes a violation, if it will
}

// A Term is what a Note is about: the task, the alternatives, or the vulnerability. In JSON one is text, several are a
// list.
type Term []string

// MarshalJSON writes one as text and several as a list.
func (t Term) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// UnmarshalJSON reads both.
func (t *Term) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '"' {
		return json.Unmarshal(b, (*[]string)(t))
	}
	*t = Term{""}
	return json.Unmarshal(b, &(*t)[0])
}

// A Code says what kind of Note it is. Codes outlive a release.
type Code string

// The codes of Notes.
const (
	CodeMissingInBuild Code = "required_in_build.missing" // no build ran the task
	CodeFoundInBuild   Code = "required_in_build.found"   // the build ran it, and it succeeded
	CodeMissing        Code = "required.missing"          // nothing tells of the test
	CodeNothing        Code = "required.nothing"          // no entry of the policy is in force yet
	CodeAlike          Code = "required.alike"            // another test's name differs only by letters of another script

	CodePassed  Code = "test.passed"
	CodeWarned  Code = "test.warned"
	CodeSkipped Code = "test.skipped"
	CodeFailed  Code = "test.failed"
	CodeErrored Code = "test.errored"

	CodeDenied   Code = "vulnerability.denied"
	CodeWarnedOf Code = "vulnerability.warned" // its level warns
	CodeLeeway   Code = "vulnerability.leeway" // it denies as soon as the leeway is over

	CodeUnverified Code = "evidence.unverified" // nobody vouches for the newest
	CodeUnreadable Code = "evidence.unreadable" // something that may be the newest could not be read, or is of an unknown version
	CodeFuture     Code = "evidence.future"     // the newest says that it was made later than now
	CodeMisnamed   Code = "evidence.misnamed"   // the newest calls itself another test than its provenance, or has a name that only looks like the test's
	CodeMissingRun Code = "evidence.missing"    // a run is over and its evidence is not there
	CodeRolledBack Code = "evidence.gone"       // what was the newest is gone
	CodeAged       Code = "evidence.aged"       // the newest is older than it may be
	CodeInvalid    Code = "evidence.invalid"    // the newest breaks the rules of its format, or has no time

	CodeOldDB      Code = "vulnerability.old_database" // the scanner's database was too old, or its age is not known
	CodeIncomplete Code = "vulnerability.incomplete"   // a scan could not look at everything

	CodeIgnored        Code = "evidence.ignored" // a statement that a waiver names, which was passed over
	CodeWaiverExpiring Code = "waiver.expiring"  // it ends within 14 days
	CodeWaiverExpired  Code = "waiver.expired"   // it has ended, and what it waived counts again
	CodeWaiverUnused   Code = "waiver.unused"    // it is for the image and meets nothing, in force or not

	CodeNotABuild Code = "build.passed_over" // something at the image is provenance, and not that of a trusted build
)

// An Origin says where a test ran.
type Origin string

const (
	InBuild       Origin = "build"       // by the provenance of the image
	InIntegration Origin = "integration" // by a statement about the image
)

// A Source is evidence that a Note was concluded from.
type Source struct {
	Test          string              `json:"test,omitempty"`
	Origin        Origin              `json:"origin"`
	PredicateType string              `json:"predicateType,omitempty"`
	Manifest      string              `json:"manifest"`            // digest of the manifest that holds it
	Statement     string              `json:"statement,omitempty"` // its digest, by which a Waiver names it
	Time          *time.Time          `json:"time,omitempty"`      // nil if nobody knows
	Clock         attest.Clock        `json:"clock,omitempty"`     // whose word Time is
	By            string              `json:"by,omitempty"`        // who vouches: "key SHA256:..."
	Completeness  attest.Completeness `json:"completeness"`        // what shows that nothing newer was deleted; empty: nothing
}

// Input is what [Policy.Judge] judges by.
type Input struct {
	Image name.Digest

	// Component is a name for the image, by which a Waiver may be for it: that of a component of a Snapshot. Optional.
	Component string

	// Evidence is what a Resolver found, in any order: NewestAll of [Policy.Tests], or All. What is about another image, or
	// of a test that is not required, is not looked at.
	Evidence []attest.Evidence

	// Builds is what [attest.Resolver.Builds] found.
	Builds []attest.Build

	// Reports are those that builds name by digest, see [BuildReport]. A scan whose reports are not here is judged by
	// its counts. Platforms are the images that Image lists if it is an index; the reports of all of them stand for one
	// of it.
	Reports   []BuildReport
	Platforms []v1.Hash

	Now time.Time // tells which entries, waivers and leeways are in force; required
}
