package attest

import (
	"cmp"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// Access is how a registry is reached, and how much is taken from it. The zero value serves. Its fields are Keychain,
// Transport, Attempts, Backoff, Parallel, [Limits] and Logger. Each with its default:
//
//	go doc github.com/testdag/testdag/attest/internal/registry.Options
type Access = registry.Options

// Limits bound what is read: bytes, statements, pages, depth, values, time. 0 means the default. Each
// field with its default:
//
//	go doc github.com/testdag/testdag/attest/internal/registry.Limits
type Limits = registry.Limits

// Options are those of a [Writer] and of a [Resolver]. The zero value serves.
type Options struct {
	// Access is how a registry is reached.
	Access

	// WithoutViews keeps a Writer from updating the tags that all writers share: cosign's .att tag, and the fallback
	// index. Each record gets a tag of its own instead, so that a registry with the referrers API still has it in two
	// lists; in a registry without that API the tag is the only list. A Resolver finds the record all the same. What is
	// given up is cosign's tag: stock tools do not see the statement, and a copy of that tag alone does not tell that it
	// lacks it.
	WithoutViews bool

	// ReplaceViews lets [Writer.Repair] replace what is under the tags that all writers share if that is something else:
	// no manifest, under cosign's .att tag an index, an image of something else. It takes layers that hold no statement
	// out of cosign's tag, and leaves the image itself under the tag of the fallback index. Without ReplaceViews, Repair
	// and Write leave rubbish alone and return a *ViewError, and a Resolver finds no test of the image certain. Write
	// never replaces. Beware: a statement that only the tag led to, before something else was put there, is then gone for
	// good; a Checkpoint that has seen it, or the Expect of its run, notices.
	ReplaceViews bool

	// Form is how a Writer stores statements. Default intoto.FormEnvelope.
	Form intoto.Form

	// InlineBytes is how large an envelope may be for a Writer to put it into the manifest of its record too, which saves
	// each reader a request. Default 64 KiB; negative for never.
	InlineBytes int

	// Clocks are those that a Resolver asks for the time of a statement: the first that knows it decides. Default
	// ClockProvenance, ClockPredicate.
	Clocks []Clock

	// Skew is how far a statement's time may be ahead of Now, and outside the run that made it. Default 5 minutes.
	Skew time.Duration

	// MaxAge is how old the newest evidence of a test may be. Default: of any age.
	MaxAge time.Duration

	// Checkpoint remembers what a Resolver has found to be the newest, so that its deletion is noticed. Default: none.
	Checkpoint checkpoint.Store

	// UnsafeIgnoreUnverified lets a Resolver pass over newer statements that nobody vouches for, and over what it cannot
	// read, as if they were not there. It is for registries where anybody may push. Unsafe: who deletes the signature of
	// the newest failure brings an older pass back, and so does a signature that is late.
	UnsafeIgnoreUnverified bool

	// UnsafeIgnoreStatements names statements, by the SHA-256 of their payload, that a Resolver passes over as if they
	// were not there. It is for one that blocks and can be neither understood nor deleted; its problem names the digest.
	// While there are any, everything at the image is read, and no annotation believed. Unsafe: to pass over the newest
	// failure brings an older pass back.
	UnsafeIgnoreStatements []v1.Hash

	// Now is the clock that tells which times are in the future. Default time.Now.
	Now func() time.Time
}

// check collects what is wrong with options that have their defaults.
func (o Options) check(c *fault.Checklist) {
	if !o.Form.Valid() {
		c.Add("Options.Form", fmt.Sprintf("%q is not one of intoto.FormEnvelope, intoto.FormStatement, intoto.FormBundle", o.Form))
	}
	for i, s := range o.UnsafeIgnoreStatements {
		if !isSHA256(s) {
			c.Add(fmt.Sprintf("Options.UnsafeIgnoreStatements[%d]", i), fmt.Sprintf("%q is not a SHA-256 digest", s))
		}
	}
	registry.Check(o.Access, c, "Options.")
	if o.Skew < 0 {
		c.Add("Options.Skew", "negative; 0 means the default")
	}
	if o.MaxAge < 0 {
		c.Add("Options.MaxAge", "negative; 0 means the default")
	}
}

func (o Options) withDefaults() Options {
	o.Access = registry.WithDefaults(o.Access)
	if o.Now == nil {
		o.Now = time.Now
	}
	o.InlineBytes = cmp.Or(o.InlineBytes, 64<<10)
	o.Skew = cmp.Or(o.Skew, 5*time.Minute)
	if len(o.Clocks) == 0 {
		o.Clocks = []Clock{ClockProvenance, ClockPredicate}
	}
	return o
}
