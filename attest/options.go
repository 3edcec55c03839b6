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

// Access is how a registry is reached, and how much is taken from it. The zero value serves.
//
//   - Keychain, an authn.Keychain, finds credentials. Default: authn.DefaultKeychain, which reads the files that docker
//     and podman log in to.
//   - Transport, an http.RoundTripper, carries requests. Default: remote.DefaultTransport with a guard, so that a
//     registry cannot redirect a read into this machine's own network.
//   - Attempts, an int, is how often a request is made when the answer is transient: 408, 429, 5xx, a broken connection,
//     or a body that breaks off. Default 6.
//   - Backoff, a duration, is the wait before the second attempt; each further wait is twice as long. An answer with
//     Retry-After is waited for as long as it says. Default 250 ms.
//   - Parallel, an int, is how many requests are in flight at once. Default 100.
//   - Limits, of type [Limits], bound what is read.
//   - Logger, a *zap.Logger, hears of repairs and of what is passed over, never of payloads or credentials. Default:
//     none.
type Access = registry.Options

// Limits bound what is read from a registry, which may be hostile or broken. A zero field means its default. What is
// over a limit is an [*intoto.LimitError].
//
// In bytes, each an int64:
//
//   - ManifestBytes: one manifest or index, 4 MiB.
//   - PageBytes: one page of a list, 16 MiB.
//   - EnvelopeBytes: one statement with its signatures, 16 MiB.
//   - StatementBytes: one statement without them, predicate and all, 12 MiB.
//   - AttachedBytes: one report that is no statement, see [Resolver.Attached], 64 MiB.
//   - TotalBytes: all that one call reads, statements of other kinds left out, 256 MiB.
//   - ForeignBytes: one statement of another kind, such as an SBOM, which is read to its end and not kept, 256 MiB.
//   - TotalForeignBytes: all that one call reads of those, 1 GiB.
//
// In number, each an int, but for TotalValues, an int64:
//
//   - Statements: statements at one image, other referrers counted in, 2000.
//   - Signatures: signatures of one envelope, 32.
//   - Pages: pages of one list of referrers, 1000.
//   - Depth: nesting of JSON, 64.
//   - Values: values in one JSON document, 262144.
//   - TotalValues: values in all manifests and statements that one call reads, told by their commas, 4194304.
//
// In time, each a duration:
//
//   - RequestTime: one request, with the further attempts at it, 1 minute.
//   - CallTime: one call, its Signer or Verifier included, 10 minutes.
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

	// Form is how a Writer stores statements. Default intoto.EncodingEnvelope.
	Encoding intoto.Encoding

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
	if !o.Encoding.Valid() {
		c.Add("Options.Encoding", fmt.Sprintf("%q is not one of intoto.EncodingEnvelope, intoto.EncodingStatement, intoto.EncodingBundle", o.Encoding))
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
