package policy

import (
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A Waiver lets images pass although one thing speaks against them, from an instant until another. What it meets moves
// from the violations and the warnings of a report to [Report.Waived], and stays visible there.
//
// It names one of Task, Finding and Statement. It is for the images that Images or Components name, and names at least one.
type Waiver struct {
	// Task waives everything about a required task: that it did not run, that it failed, the findings of its scan, and that
	// its evidence does not count, since nobody vouches for it or for another reason. Of alternatives that are all missing it
	// is enough if one is waived. An alternative that ran and failed needs a waiver of its own.
	Task string `json:"task,omitempty"`

	// Finding waives a finding of scans, by its id or one of [attest.FindingAliases], and Package only in one package: by its
	// name, with or without the group (org.apache.logging.log4j:log4j-core, log4j-core), or by its package URL, which may
	// leave out the version and the qualifiers. It never waives evidence that does not count.
	Finding string `json:"finding,omitempty"`
	Package string `json:"package,omitempty"`

	// Statement is the SHA-256 digest of a statement that [Policy.Gate] passes over as if it were not there, whatever it
	// says. It is for a statement that blocks and can be neither understood nor deleted, see
	// [attest.Options.UnsafeIgnoreStatements].
	Statement v1.Hash `json:"statement,omitzero"`

	// Images are images by digest ("sha256:..."), by repository ("quay.io/shop/api"), or by both ("quay.io/shop/api@sha256:...").
	// A repository is a pattern by the rules of [attest.Trust]: a * behind the host stands for any text, and "*"
	// alone for every image. An image that an index lists has a digest of its own.
	Images []string `json:"images,omitempty"`

	// Components are names that the caller gives to images, see [Input.Component].
	Components []string `json:"components,omitempty"`

	From  time.Time `json:"from,omitzero"` // in force from this instant; zero: from ever
	Until time.Time `json:"until"`         // in force until before this instant; required
	Who   string    `json:"who"`           // who answers for it; required
	Why   string    `json:"why"`           // for people; required

	// Place is where the policy has it. [Parse] sets it: "waivers[0], line 12". Reports tell its index if it is empty.
	Place string `json:"place,omitempty"`
}

// String says who waives until when, why, and where the policy has it, in one line.
func (w Waiver) String() string {
	return fmt.Sprintf("waived by %s until %s: %s (%s)", shown(w.Who), w.Until.UTC().Format(time.RFC3339), shown(w.Why), shown(w.Place))
}

// An Effect says what becomes of an image.
type Effect string

// The effects, worst first.
const (
	Deny  Effect = "deny"
	Warn  Effect = "warn"
	Allow Effect = "allow"
)
