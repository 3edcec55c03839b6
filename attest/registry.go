package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A registry hands out repositories.
type registry struct {
	opts  Access
	scope string // transport.PullScope or PushScope
}

func newRegistry(opts Access, scope string) *registry {
	opts = opts.withDefaults()
	opts.Transport = resending{opts.Transport, opts}
	return &registry{opts: opts, scope: scope}
}

// A repository is one repository during one call.
type repository struct {
	name   name.Repository
	opts   Access
	client *http.Client
	budget *budget
	slots  chan struct{} // holds as many as there are requests in flight
}

// repository connects to repo. Credentials are looked up each time, since many live for minutes only.
func (r *registry) repository(ctx context.Context, repo name.Repository) (*repository, error) {
	ctx, done := within(ctx, whatRequest, r.opts.Limits.RequestTime)
	defer done()
	rt, err := r.connect(ctx, repo)
	if err != nil {
		return nil, registryError("connect", repo.Name(), overtime(ctx, err))
	}
	client := &http.Client{Transport: rt, CheckRedirect: checkRedirect}
	return &repository{
		name: repo, opts: r.opts, client: client,
		budget: &budget{limit: r.opts.Limits.TotalBytes}, slots: make(chan struct{}, max(1, r.opts.Parallel)),
	}, nil
}

func (r *registry) connect(ctx context.Context, repo name.Repository) (http.RoundTripper, error) {
	auth, err := authn.Resolve(ctx, r.opts.Keychain, repo)
	if err != nil {
		return nil, err
	}
	return transport.NewWithContext(ctx, repo.Registry, auth, r.opts.Transport, []string{repo.Scope(r.scope)})
}

var manifestTypes = strings.Join([]string{
	string(types.OCIManifestSchema1), string(types.OCIImageIndex),
	string(types.DockerManifestSchema2), string(types.DockerManifestList),
}, ", ")

// A document is a manifest with what it was served as.
type document struct {
	bytes  []byte
	media  types.MediaType // as the answer's header says; no digest covers it
	digest v1.Hash
}

// manifest reads the manifest with that tag or digest. Bytes that do not fit the digest are refused.
func (r *repository) manifest(ctx context.Context, identifier string) (document, error) {
	body, header, err := r.do(ctx, ask{
		op: "read manifest", ref: identifier, url: r.url("manifests/" + identifier),
		header: http.Header{"Accept": {manifestTypes}},
		counts: "manifest bytes", limit: r.opts.Limits.ManifestBytes,
	})
	if err != nil {
		return document{}, err
	}
	got := describe(body, "").Digest
	if strings.Contains(identifier, ":") && identifier != got.String() {
		return document{}, &FieldError{"manifest " + identifier, fmt.Sprintf("its bytes have digest %s", got)}
	}
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type")) // without one it is empty, and the bytes say it
	return document{body, types.MediaType(media), got}, nil
}

const whatEnvelope = "envelope bytes"

// blob reads a blob, as long as its descriptor says and with the digest that it says.
func (r *repository) blob(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	digest := d.Digest.String()
	body, _, err := r.do(ctx, ask{
		op: "read blob", ref: digest, url: r.url("blobs/" + digest), counts: whatEnvelope, limit: d.Size,
	})
	var long *LimitError
	if errors.As(err, &long) && long.What == whatEnvelope {
		return nil, longer(d)
	}
	if err != nil {
		return nil, err
	}
	return body, checkBytes(body, d)
}

// content returns what a layer holds: its blob, unless the manifest holds it too.
func (r *repository) content(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if limit := r.opts.Limits.EnvelopeBytes; d.Size > limit {
		return nil, &LimitError{What: whatEnvelope, Limit: limit, Got: d.Size}
	}
	if len(d.Data) == 0 {
		return r.blob(ctx, d)
	}
	return d.Data, checkBytes(d.Data, d)
}

// checkBytes compares bytes with what a descriptor says of them.
func checkBytes(b []byte, d v1.Descriptor) error {
	got := describe(b, "")
	return described(d, got.Digest, got.Size)
}

// described compares a digest and a size with what a descriptor says.
func described(d v1.Descriptor, digest v1.Hash, size int64) error {
	if digest == d.Digest && size == d.Size {
		return nil
	}
	problem := fmt.Sprintf("%d bytes with digest %s instead of %d bytes", size, digest, d.Size)
	return &FieldError{"blob " + d.Digest.String(), problem}
}

func longer(d v1.Descriptor) error {
	return &FieldError{"blob " + d.Digest.String(), fmt.Sprintf("longer than the %d bytes declared", d.Size)}
}

// put writes a manifest under a tag or its digest.
func (r *repository) put(ctx context.Context, identifier string, media types.MediaType, manifest []byte) error {
	if limit, got := r.opts.Limits.ManifestBytes, int64(len(manifest)); got > limit {
		return &LimitError{What: "manifest bytes", Limit: limit, Got: got} // nobody could read it
	}
	_, _, err := r.do(ctx, ask{
		op: "write manifest", ref: identifier, method: http.MethodPut, url: r.url("manifests/" + identifier),
		header: http.Header{"Content-Type": {string(media)}}, body: manifest,
		counts: "manifest bytes", limit: r.opts.Limits.ManifestBytes,
	})
	return refusal(err, manifest)
}

// remove deletes a manifest, or a tag.
func (r *repository) remove(ctx context.Context, identifier string) error {
	_, _, err := r.do(ctx, ask{
		op: "delete manifest", ref: identifier, method: http.MethodDelete, url: r.url("manifests/" + identifier),
		counts: "manifest bytes", limit: r.opts.Limits.ManifestBytes,
	})
	return err
}

// An ask is a request and how much answer it may have.
type ask struct {
	op, ref string // for errors, see RegistryError and ref
	method  string // empty means GET
	url     *url.URL
	header  http.Header
	body    []byte
	counts  string // LimitError.What of limit
	limit   int64
}

// do makes a request and reads the answer.
func (r *repository) do(ctx context.Context, a ask) (body []byte, header http.Header, err error) {
	err = r.during(ctx, a, func(ctx context.Context) (err error) {
		body, header, err = r.exchange(ctx, a)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return body, header, nil
}

// during bounds the time of a request, and how many there are at once.
func (r *repository) during(ctx context.Context, a ask, request func(context.Context) error) error {
	ctx, done := within(ctx, whatRequest, r.opts.Limits.RequestTime)
	defer done()
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return registryError(a.op, r.ref(a.ref), overtime(ctx, ctx.Err()))
	}
	if err := request(ctx); err != nil {
		return registryError(a.op, r.ref(a.ref), overtime(ctx, err))
	}
	return nil
}

func (r *repository) exchange(ctx context.Context, a ask) ([]byte, http.Header, error) {
	// One byte more than the limit shows that there is more.
	resp, err := r.answer(context.WithValue(ctx, intakeKey{}, intake{a.limit + 1, r.budget}), a)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, a.limit+1))
	if err == nil && int64(len(body)) > a.limit {
		err = &LimitError{What: a.counts, Limit: a.limit, Got: int64(len(body))}
	}
	return body, resp.Header, err
}

// answer makes a request and returns a good answer.
func (r *repository) answer(ctx context.Context, a ask) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, a.method, a.url.String(), bytes.NewReader(a.body))
	if err != nil {
		return nil, err
	}
	if a.header != nil {
		req.Header = a.header.Clone()
	}
	resp, err := r.client.Do(req)
	var limit *LimitError
	if errors.As(err, &limit) {
		return nil, limit
	}
	if err != nil {
		// No answer to what was asked: a status in err is that of a token server, and says nothing about the list.
		failed := &RegistryError{Op: a.op, Ref: r.ref(a.ref), Err: withoutURL(err)}
		if answer := (*answerError)(nil); errors.As(err, &answer) {
			failed.Status = answer.status
		}
		return nil, failed
	}
	if err := r.check(a, resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// withoutURL takes off what the HTTP client adds: Ref says what was asked for, and a URL that the registry redirected
// to may hold a signature.
func withoutURL(err error) error {
	for {
		asked, ok := err.(*url.Error)
		if !ok {
			return err
		}
		err = asked.Err
	}
}

func (r *repository) check(a ask, resp *http.Response) error {
	want := []int{http.StatusOK}
	if req := resp.Request; req.Method != http.MethodGet {
		want = append(want, http.StatusCreated, http.StatusAccepted)
	}
	err := transport.CheckError(resp, want...)
	if err == nil {
		return nil
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		answer.Request = nil // see withoutURL
	}
	return &RegistryError{Op: a.op, Ref: r.ref(a.ref), Status: resp.StatusCode, Err: err}
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

// errNoList is what pages wraps if the registry has no such list.
var errNoList = errors.New("no such list")

// pages reads a list page by page and hands each body to visit. Whether the registry lacks the list altogether, only
// the answer to the first request can tell: once there was a page, whatever goes wrong is an error.
func (r *repository) pages(ctx context.Context, a ask, limit int, lacks func(error) bool,
	visit func([]byte) error) error {
	a.counts, a.limit = whatPage, r.opts.Limits.PageBytes
	seen := map[string]bool{}
	for page := 1; a.url != nil; page++ {
		if seen[a.url.String()] {
			return registryError(a.op, r.ref(a.ref), errors.New("pagination loop"))
		}
		seen[a.url.String()] = true
		if page > limit {
			return &LimitError{What: "pages", Limit: int64(limit), Got: int64(page)}
		}
		if err := r.budget.spend(len(a.url.String())); err != nil { // it is kept
			return registryError(a.op, r.ref(a.ref), err)
		}
		body, header, err := r.do(ctx, a)
		if page == 1 && lacks(err) {
			return fmt.Errorf("%w: %w", errNoList, err)
		}
		if err == nil {
			err = visit(body)
		}
		if err == nil {
			a.url, err = nextPage(a.url, header)
		}
		if err != nil {
			return registryError(a.op, r.ref(a.ref), err)
		}
	}
	return nil
}

// linkBytes bounds a Link header. Most servers take no longer address.
const linkBytes = 8 << 10

// nextPage returns what the Link header calls next, nil if nothing. Another host is refused: credentials would go
// there.
func nextPage(u *url.URL, header http.Header) (*url.URL, error) {
	link := strings.Join(header.Values("Link"), ", ")
	if len(link) > linkBytes {
		return nil, &LimitError{What: "link bytes", Limit: linkBytes, Got: int64(len(link))}
	}
	target, err := nextLink(link)
	if err != nil || target == "" {
		return nil, err
	}
	next, err := u.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("next page: %w", err)
	}
	if next.Host != u.Host {
		return nil, fmt.Errorf("next page is on another host, %s", next.Host)
	}
	next.Scheme = u.Scheme
	return next, nil
}

// The forms of RFC 8288: one link with the parameters behind it, and the name of a relation, which may be a URI.
var (
	linkForm     = regexp.MustCompile(`^[\s,]*<([^<>]+)>((?:[^<>,"]|"(?:[^"\\]|\\.)*")*)(?:,|$)`)
	relationForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9.:/?#%&=_~+-]*$`)
)

// nextLink returns the target of the link whose relation is next, empty if there is none. What it cannot read is an
// error, since it may be the link to the next page.
func nextLink(header string) (next string, err error) {
	for rest := header; strings.Trim(rest, " \t,") != ""; {
		m := linkForm.FindStringSubmatch(rest)
		if m == nil {
			return "", fmt.Errorf("malformed Link header %q", header)
		}
		rest = rest[len(m[0]):]
		_, params, err := mime.ParseMediaType("link" + m[2]) // parameters are written as those of a media type
		if err != nil || strings.TrimSpace(params["rel"]) == "" {
			return "", fmt.Errorf("malformed Link header %q", header)
		}
		for _, relation := range strings.Fields(params["rel"]) {
			if !relationForm.MatchString(relation) || next != "" && strings.EqualFold(relation, "next") {
				return "", fmt.Errorf("malformed Link header %q", header)
			}
			if strings.EqualFold(relation, "next") {
				next = m[1]
			}
		}
	}
	return next, nil
}

// parallel calls f(0) to f(n-1), at most limit at once, and returns the first error. After an error or the end of ctx
// it starts no more.
func parallel(ctx context.Context, n, limit int, f func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, max(1, limit))
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
