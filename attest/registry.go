package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A registry hands out repositories and keeps their connections.
type registry struct {
	opts  Options
	scope string // transport.PullScope or PushScope

	mu   sync.Mutex
	open map[name.Repository]*http.Client
}

func newRegistry(opts Options, scope string) *registry {
	opts = opts.withDefaults()
	opts.Transport = retrying{opts.Transport, opts.Attempts, opts.Backoff}
	return &registry{opts: opts, scope: scope, open: map[name.Repository]*http.Client{}}
}

// A repository is one repository during one call.
type repository struct {
	name   name.Repository
	opts   Options
	client *http.Client
	budget *budget
}

// repository connects to repo, with credentials.
func (r *registry) repository(ctx context.Context, repo name.Repository) (*repository, error) {
	client, err := r.connect(ctx, repo)
	if err != nil {
		return nil, registryError("connect", repo.Name(), err)
	}
	return &repository{name: repo, opts: r.opts, client: client, budget: &budget{limit: r.opts.Limits.TotalBytes}}, nil
}

func (r *registry) connect(ctx context.Context, repo name.Repository) (*http.Client, error) {
	r.mu.Lock()
	client, ok := r.open[repo]
	r.mu.Unlock()
	if ok {
		return client, nil
	}
	auth, err := authn.Resolve(ctx, r.opts.Keychain, repo)
	if err != nil {
		return nil, err
	}
	rt, err := transport.NewWithContext(ctx, repo.Registry, auth, r.opts.Transport, []string{repo.Scope(r.scope)})
	if err != nil {
		return nil, err
	}
	client = &http.Client{Transport: rt, CheckRedirect: checkRedirect}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[repo] = client
	return client, nil
}

// checkRedirect keeps a registry from sending this machine into its own network, or from https to http.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) >= 5 {
		return errors.New("too many redirects")
	}
	if first.Scheme == "https" && req.URL.Scheme != "https" {
		return errors.New("redirected from https to http")
	}
	ip := net.ParseIP(req.URL.Hostname())
	if ip == nil || req.URL.Hostname() == first.Hostname() {
		return nil
	}
	if ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() {
		return fmt.Errorf("redirected to %s", ip)
	}
	return nil
}

var readable = strings.Join([]string{
	string(types.OCIManifestSchema1), string(types.OCIImageIndex),
	string(types.DockerManifestSchema2), string(types.DockerManifestList),
}, ", ")

// A document is a manifest with what it was served as.
type document struct {
	bytes  []byte
	media  types.MediaType
	digest v1.Hash
}

// manifest reads the manifest with that tag or digest. Bytes that do not fit the digest are refused.
func (r *repository) manifest(ctx context.Context, identifier string) (document, error) {
	const op = "read manifest"
	body, header, err := r.get(ctx, op, identifier, r.url("manifests/"+identifier), readable)
	if err != nil {
		return document{}, err
	}
	digest, _, err := v1.SHA256(bytes.NewReader(body))
	if err != nil {
		return document{}, err
	}
	if want, err := v1.NewHash(identifier); err == nil && want != digest {
		return document{}, &FieldError{"manifest " + identifier, fmt.Sprintf("its bytes have digest %s", digest)}
	}
	media, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return document{body, types.MediaType(strings.TrimSpace(media)), digest}, nil
}

// blob reads a blob, as long as its descriptor says and with the digest that it says.
func (r *repository) blob(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	const op = "read blob"
	if limit := r.opts.Limits.EnvelopeBytes; d.Size > limit {
		return nil, &LimitError{What: "envelope bytes", Limit: limit, Got: d.Size}
	}
	u := r.url("blobs/" + d.Digest.String())
	resp, err := r.do(ctx, op, d.Digest.String(), http.MethodGet, u, nil, http.Header{})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := r.check(op, d.Digest.String(), resp, http.StatusOK); err != nil {
		return nil, err
	}
	body, err := r.slurp(resp.Body, "envelope bytes", d.Size)
	var long *LimitError
	if errors.As(err, &long) && long.What != whatTotal {
		return nil, &FieldError{"blob " + d.Digest.String(), fmt.Sprintf("longer than the %d bytes declared", d.Size)}
	}
	if err != nil {
		return nil, registryError(op, r.ref(d.Digest.String()), err)
	}
	if got, _, err := v1.SHA256(bytes.NewReader(body)); err != nil || got != d.Digest || int64(len(body)) != d.Size {
		return nil, &FieldError{"blob " + d.Digest.String(), fmt.Sprintf("%d bytes with digest %s instead of %d bytes", len(body), got, d.Size)}
	}
	return body, nil
}

// get reads one document of bounded size.
func (r *repository) get(ctx context.Context, op, what string, u *url.URL, accept string) ([]byte, http.Header, error) {
	resp, err := r.do(ctx, op, what, http.MethodGet, u, nil, http.Header{"Accept": {accept}})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if err := r.check(op, what, resp, http.StatusOK); err != nil {
		return nil, nil, err
	}
	body, err := r.slurp(resp.Body, "manifest bytes", r.opts.Limits.ManifestBytes)
	if err != nil {
		return nil, nil, registryError(op, r.ref(what), err)
	}
	return body, resp.Header, nil
}

func (r *repository) slurp(body io.Reader, what string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, &LimitError{What: what, Limit: limit, Got: int64(len(b))}
	}
	return b, r.budget.spend(int64(len(b)))
}

// put writes a manifest under a tag or its digest.
func (r *repository) put(ctx context.Context, identifier string, media types.MediaType, manifest []byte) error {
	const op = "write manifest"
	header := http.Header{"Content-Type": {string(media)}}
	resp, err := r.do(ctx, op, identifier, http.MethodPut, r.url("manifests/"+identifier), bytes.NewReader(manifest), header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return r.check(op, identifier, resp, http.StatusCreated, http.StatusOK, http.StatusAccepted)
}

// upload writes blobs, with a pusher of its own, since a pusher that has once failed remembers it.
func (r *repository) upload(ctx context.Context, blobs ...v1.Layer) error {
	pusher, err := remote.NewPusher(remote.WithAuthFromKeychain(r.opts.Keychain), remote.WithTransport(r.opts.Transport),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryStatusCodes())
	if err != nil {
		return err
	}
	for _, blob := range blobs {
		if err := pusher.Upload(ctx, r.name, blob); err != nil {
			return registryError("write blob", r.name.Name(), err)
		}
	}
	return nil
}

func (r *repository) do(ctx context.Context, op, what, method string, u *url.URL, body io.Reader, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, registryError(op, r.ref(what), err)
	}
	return resp, nil
}

func (r *repository) check(op, what string, resp *http.Response, want ...int) error {
	if err := transport.CheckError(resp, want...); err != nil {
		return &RegistryError{Op: op, Ref: r.ref(what), Status: resp.StatusCode, Err: err}
	}
	return nil
}

func (r *repository) url(path string) *url.URL {
	return &url.URL{Scheme: r.name.Scheme(), Host: r.name.RegistryStr(), Path: "/v2/" + r.name.RepositoryStr() + "/" + path}
}

// ref spells a tag or digest of this repository, or the repository itself if that is empty.
func (r *repository) ref(identifier string) string {
	switch {
	case identifier == "":
		return r.name.Name()
	case strings.Contains(identifier, ":"):
		return r.name.Name() + "@" + identifier
	}
	return r.name.Name() + ":" + identifier
}

// pages reads a list page by page and hands each body to visit.
func (r *repository) pages(ctx context.Context, op, what string, u *url.URL, accept string, visit func([]byte, http.Header) error) error {
	for page := 1; u != nil; page++ {
		if limit := r.opts.Limits.Pages; page > limit {
			return &LimitError{What: "pages", Limit: int64(limit), Got: int64(page)}
		}
		body, header, err := r.get(ctx, op, what, u, accept)
		if err != nil {
			return err
		}
		if err := visit(body, header); err != nil {
			return err
		}
		if u, err = nextPage(u, header); err != nil {
			return &RegistryError{Op: op, Ref: r.ref(what), Err: err}
		}
	}
	return nil
}

var linkNext = regexp.MustCompile(`<([^>]*)>\s*;[^,]*\brel="?next"?`)

// nextPage returns what the Link header calls next, nil if nothing. Another host is refused: credentials would go there.
func nextPage(u *url.URL, header http.Header) (*url.URL, error) {
	m := linkNext.FindStringSubmatch(strings.Join(header.Values("Link"), ", "))
	if m == nil {
		return nil, nil
	}
	next, err := u.Parse(m[1])
	if err != nil {
		return nil, fmt.Errorf("next page: %w", err)
	}
	if next.Host != u.Host {
		return nil, fmt.Errorf("next page is on another host, %s", next.Host)
	}
	next.Scheme = u.Scheme
	return next, nil
}

// retrying repeats requests whose answer is transient. It stops waiting when the request's context ends.
type retrying struct {
	inner    http.RoundTripper
	attempts int
	backoff  time.Duration
}

// RoundTrip makes the request until the answer is final or attempts are used up.
func (t retrying) RoundTrip(req *http.Request) (*http.Response, error) {
	wait := t.backoff
	for attempt := 1; ; attempt++ {
		resp, err := t.inner.RoundTrip(req)
		again := transientStatus(resp) || transientFault(err)
		if !again || attempt >= t.attempts || !rewind(req) {
			return resp, err
		}
		if resp != nil {
			resp.Body.Close()
		}
		if err := sleep(req.Context(), wait); err != nil {
			return nil, err
		}
		wait *= 4
	}
}

// rewind makes the request's body ready to be sent once more.
func rewind(req *http.Request) bool {
	if req.Body == nil || req.Body == http.NoBody {
		return true
	}
	if req.GetBody == nil {
		return false
	}
	body, err := req.GetBody()
	req.Body = body
	return err == nil
}

func transientStatus(resp *http.Response) bool {
	if resp == nil {
		return false
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func transientFault(err error) bool {
	for _, fault := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, fault) {
			return true
		}
	}
	return false
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// parallel calls f(0) to f(n-1), at most limit at once, and returns the first error. After an error or the end of ctx
// it starts no more.
func parallel(ctx context.Context, n, limit int, f func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, limit)
	var wg sync.WaitGroup
	for i := range n {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		}()
	}
	wg.Wait()
	return context.Cause(ctx)
}
