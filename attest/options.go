package attest

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.uber.org/zap"
)

// Options are those of a [Writer] and of a [Resolver]. The zero value serves.
type Options struct {
	// Keychain finds credentials. Default: authn.DefaultKeychain, which reads the files that docker and podman log in
	// to.
	Keychain authn.Keychain

	// Transport carries requests. Default: remote.DefaultTransport with a guard, so that a registry cannot redirect a
	// read into this machine's own network.
	Transport http.RoundTripper

	// Attempts is how often a request is made when the answer is transient: 408, 429, 5xx, a broken connection, or a body
	// that breaks off. The upload of a blob counts as one request. Default 6: a program that reads and writes for minutes
	// makes thousands of requests, and if one answer in ten is broken, six attempts fail once in a million.
	Attempts int

	// Backoff is the wait before the second attempt; each further wait is twice as long. All vary by a half at random, so
	// that clients that failed together do not come back together. An answer with Retry-After, in seconds or as a date,
	// is waited for as long as it says. No wait is longer than the request may take, see Limits.RequestTime: a request
	// that would have to wait longer fails at once. Default 250 ms.
	Backoff time.Duration

	// Parallel is how many requests are in flight at once. Default 100, which is how many streams RFC 9113 asks a server
	// to allow at least.
	Parallel int

	// Limits bound what is read.
	Limits Limits

	// Logger hears of repairs and of what is passed over, never of payloads or credentials. Default: none.
	Logger *zap.Logger

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

	// Form is how a Writer stores statements. Default FormEnvelope.
	Form Form

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
	Checkpoint Checkpoint

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
func (o Options) check(c *checklist) {
	if !o.Form.valid() {
		c.add("Options.Form", fmt.Sprintf("%q is not one of FormEnvelope, FormStatement, FormBundle", o.Form))
	}
	for i, s := range o.UnsafeIgnoreStatements {
		if s.Algorithm != "sha256" || len(s.Hex) != 64 || !lowerHex.MatchString(s.Hex) {
			c.add(fmt.Sprintf("Options.UnsafeIgnoreStatements[%d]", i), fmt.Sprintf("%q is not a SHA-256 digest", s))
		}
	}
	l := o.Limits
	for _, n := range []struct {
		field string
		value int64
	}{
		{"Attempts", int64(o.Attempts)}, {"Parallel", int64(o.Parallel)},
		{"Backoff", int64(o.Backoff)}, {"Skew", int64(o.Skew)}, {"MaxAge", int64(o.MaxAge)},
		{"Limits.ManifestBytes", l.ManifestBytes}, {"Limits.PageBytes", l.PageBytes},
		{"Limits.EnvelopeBytes", l.EnvelopeBytes}, {"Limits.StatementBytes", l.StatementBytes},
		{"Limits.AttachedBytes", l.AttachedBytes}, {"Limits.TotalBytes", l.TotalBytes},
		{"Limits.ForeignBytes", l.ForeignBytes}, {"Limits.TotalForeignBytes", l.TotalForeignBytes},
		{"Limits.Statements", int64(l.Statements)},
		{"Limits.Signatures", int64(l.Signatures)}, {"Limits.Pages", int64(l.Pages)}, {"Limits.Depth", int64(l.Depth)},
		{"Limits.Values", int64(l.Values)}, {"Limits.TotalValues", l.TotalValues},
		{"Limits.RequestTime", int64(l.RequestTime)}, {"Limits.CallTime", int64(l.CallTime)},
	} {
		if n.value < 0 {
			c.add("Options."+n.field, "negative; 0 means the default")
		}
	}
}

const (
	defaultAttempts = 6
	defaultParallel = 100
	backoffFactor   = 2
)

func (o Options) withDefaults() Options {
	if o.Keychain == nil {
		o.Keychain = authn.DefaultKeychain
	}
	if o.Transport == nil {
		o.Transport = defaultTransport()
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Attempts = cmp.Or(o.Attempts, defaultAttempts)
	o.Backoff = cmp.Or(o.Backoff, 250*time.Millisecond)
	o.Parallel = cmp.Or(o.Parallel, defaultParallel)
	o.InlineBytes = cmp.Or(o.InlineBytes, 64<<10)
	o.Skew = cmp.Or(o.Skew, 5*time.Minute)
	if len(o.Clocks) == 0 {
		o.Clocks = []Clock{ClockProvenance, ClockPredicate}
	}
	o.Limits = o.Limits.withDefaults()
	return o
}

// oneMore is for a request that needs an attempt after the last.
func (o Options) oneMore() Options {
	o.Attempts++
	return o
}
