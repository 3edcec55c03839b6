package registry

import (
	"cmp"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"go.uber.org/zap"

	"github.com/testdag/testdag/attest/internal/fault"
)

// Options is how a registry is reached, and how much is taken from it. The zero value serves.
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
}

// Check adds a mistake to c for each number that is negative. Prefix stands before the names of fields. Options are seen
// by users, so what only the packages of attest need is no method of theirs.
func Check(o Options, c *fault.Checklist, prefix string) {
	l := o.Limits
	for _, n := range []struct {
		field string
		value int64
	}{
		{"Attempts", int64(o.Attempts)}, {"Parallel", int64(o.Parallel)}, {"Backoff", int64(o.Backoff)},
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
			c.Add(prefix+n.field, "negative; 0 means the default")
		}
	}
}

const (
	defaultAttempts = 6
	defaultParallel = 100
	backoffFactor   = 2
)

// WithDefaults returns the options with each zero field at its default.
func WithDefaults(o Options) Options {
	if o.Keychain == nil {
		o.Keychain = authn.DefaultKeychain
	}
	if o.Transport == nil {
		o.Transport = DefaultTransport()
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.Attempts = cmp.Or(o.Attempts, defaultAttempts)
	o.Backoff = cmp.Or(o.Backoff, 250*time.Millisecond)
	o.Parallel = cmp.Or(o.Parallel, defaultParallel)
	o.Limits = o.Limits.withDefaults()
	return o
}

// OneMore returns the options with one attempt more, for a request that needs an attempt after the last.
func OneMore(o Options) Options {
	o.Attempts++
	return o
}
