package attest

import (
	"cmp"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/zap"
)

// Options are those of a [Writer] and of a [Resolver]. The zero value serves.
type Options struct {
	// Keychain finds credentials. Default: authn.DefaultKeychain, which reads the files that docker and podman log in
	// to.
	Keychain authn.Keychain

	// Transport carries requests. Default: remote.DefaultTransport.
	Transport http.RoundTripper

	// Attempts is how often a request is made when the answer is transient: 408, 429, 5xx or a broken connection.
	// Default 3.
	Attempts int

	// Backoff is the wait before the second attempt; each further one is four times longer. Default 250 ms.
	Backoff time.Duration

	// Parallel is how many requests are in flight at once. Default 32.
	Parallel int

	// Limits bound what is read.
	Limits Limits

	// Logger hears of repairs and of what is passed over, never of payloads or credentials. Default: none.
	Logger *zap.Logger

	// WithoutViews keeps a Writer from updating the tags that other tools read: cosign's .att tag, and the fallback
	// index of registries without the referrers API; unless the registry answers for referrers and lists none, since then
	// only they lead to the record. The record, which a Resolver reads, is complete without them. But
	// if such a registry has the API later, and does not list what is older, only a fallback index leads to it.
	WithoutViews bool

	// Skew is how far a statement's time may be ahead of Now. Default 5 minutes.
	Skew time.Duration

	// Now is the clock that tells which times are in the future. Default time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Keychain == nil {
		o.Keychain = authn.DefaultKeychain
	}
	if o.Transport == nil {
		o.Transport = remote.DefaultTransport
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Attempts = cmp.Or(o.Attempts, 3)
	o.Backoff = cmp.Or(o.Backoff, 250*time.Millisecond)
	o.Parallel = max(1, cmp.Or(o.Parallel, 32))
	o.Skew = cmp.Or(o.Skew, 5*time.Minute)
	o.Limits = o.Limits.withDefaults()
	return o
}
