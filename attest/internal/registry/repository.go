package registry

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
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/fault"
)

// A Registry hands out repositories.
type Registry struct {
	Options Options
	scope   string // transport.PullScope or PushScope
}

// New returns a Registry that is reached as opts say, for as much as scope allows: transport.PullScope or PushScope.
func New(opts Options, scope string) *Registry {
	opts = WithDefaults(opts)
	opts.Transport = resending{opts.Transport, opts}
	return &Registry{Options: opts, scope: scope}
}

// A Repository is one repository during one call.
type Repository struct {
	Name    name.Repository
	Options Options
	client  *http.Client
	Budget  *budget
	slots   chan struct{} // holds as many as there are requests in flight
}

// Connect connects to repo. Credentials are looked up each time, since many live for minutes only.
func (r *Registry) Connect(ctx context.Context, repo name.Repository) (*Repository, error) {
	ctx, done := Within(ctx, WhatRequest, r.Options.Limits.RequestTime)
	defer done()
	rt, err := r.connect(ctx, repo)
	if err != nil {
		return nil, Wrap("connect", repo.Name(), Overtime(ctx, err))
	}
	client := &http.Client{Transport: rt, CheckRedirect: checkRedirect}
	return &Repository{
		Name: repo, Options: r.Options, client: client,
		Budget: &budget{limit: r.Options.Limits.TotalBytes}, slots: make(chan struct{}, max(1, r.Options.Parallel)),
	}, nil
}

func (r *Registry) connect(ctx context.Context, repo name.Repository) (http.RoundTripper, error) {
	auth, err := authn.Resolve(ctx, r.Options.Keychain, repo)
	if err != nil {
		return nil, err
	}
	return transport.NewWithContext(ctx, repo.Registry, auth, r.Options.Transport, []string{repo.Scope(r.scope)})
}

var manifestTypes = strings.Join([]string{
	string(types.OCIManifestSchema1), string(types.OCIImageIndex),
	string(types.DockerManifestSchema2), string(types.DockerManifestList),
}, ", ")

// A Document is a manifest with what it was served as.
type Document struct {
	Bytes  []byte
	Media  types.MediaType // as the answer's header says; no digest covers it
	Digest v1.Hash
}

// Manifest reads the manifest with that tag or digest. Bytes that do not fit the digest are a [*fault.FieldError].
func (r *Repository) Manifest(ctx context.Context, identifier string) (Document, error) {
	body, header, err := r.Do(ctx, Request{
		Op: "read manifest", Ref: identifier, URL: r.URL("manifests/" + identifier),
		Header: http.Header{"Accept": {manifestTypes}},
		Counts: "manifest bytes", Limit: r.Options.Limits.ManifestBytes,
	})
	if err != nil {
		return Document{}, err
	}
	got := Describe(body, "").Digest
	if strings.Contains(identifier, ":") && identifier != got.String() {
		return Document{}, &fault.FieldError{Field: "manifest " + identifier, Problem: fmt.Sprintf("its bytes have digest %s", got)}
	}
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type")) // without one it is empty, and the bytes say it
	return Document{body, types.MediaType(media), got}, nil
}

// WhatEnvelope is LimitError.What of a statement with its signatures.
const WhatEnvelope = "envelope bytes"

// Blob reads a blob, as long as its descriptor says and with the digest that it says. Other bytes are a
// [*fault.FieldError].
func (r *Repository) Blob(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	digest := d.Digest.String()
	body, _, err := r.Do(ctx, Request{
		Op: "read blob", Ref: digest, URL: r.URL("blobs/" + digest), Counts: WhatEnvelope, Limit: d.Size,
	})
	var long *fault.LimitError
	if errors.As(err, &long) && long.What == WhatEnvelope {
		return nil, longer(d)
	}
	if err != nil {
		return nil, err
	}
	return body, checkBytes(body, d)
}

// Content returns what a layer holds: its blob, unless the manifest holds it too.
func (r *Repository) Content(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if limit := r.Options.Limits.EnvelopeBytes; d.Size > limit {
		return nil, &fault.LimitError{What: WhatEnvelope, Limit: limit, Got: d.Size}
	}
	if len(d.Data) == 0 {
		return r.Blob(ctx, d)
	}
	return d.Data, checkBytes(d.Data, d)
}

// checkBytes compares bytes with what a descriptor says of them.
func checkBytes(b []byte, d v1.Descriptor) error {
	got := Describe(b, "")
	return described(d, got.Digest, got.Size)
}

// described compares a digest and a size with what a descriptor says.
func described(d v1.Descriptor, digest v1.Hash, size int64) error {
	if digest == d.Digest && size == d.Size {
		return nil
	}
	problem := fmt.Sprintf("%d bytes with digest %s instead of %d bytes", size, digest, d.Size)
	return &fault.FieldError{Field: "blob " + d.Digest.String(), Problem: problem}
}

func longer(d v1.Descriptor) error {
	return &fault.FieldError{Field: "blob " + d.Digest.String(), Problem: fmt.Sprintf("longer than the %d bytes declared", d.Size)}
}

// Put writes a manifest under a tag or its digest.
func (r *Repository) Put(ctx context.Context, identifier string, media types.MediaType, manifest []byte) error {
	if limit, got := r.Options.Limits.ManifestBytes, int64(len(manifest)); got > limit {
		return &fault.LimitError{What: "manifest bytes", Limit: limit, Got: got} // nobody could read it
	}
	_, _, err := r.Do(ctx, Request{
		Op: "write manifest", Ref: identifier, method: http.MethodPut, URL: r.URL("manifests/" + identifier),
		Header: http.Header{"Content-Type": {string(media)}}, body: manifest,
		Counts: "manifest bytes", Limit: r.Options.Limits.ManifestBytes,
	})
	return refusal(err, manifest)
}

// Remove deletes a manifest, or a tag.
func (r *Repository) Remove(ctx context.Context, identifier string) error {
	_, _, err := r.Do(ctx, Request{
		Op: "delete manifest", Ref: identifier, method: http.MethodDelete, URL: r.URL("manifests/" + identifier),
		Counts: "manifest bytes", Limit: r.Options.Limits.ManifestBytes,
	})
	return err
}

// A Request is a request and how much answer it may have.
type Request struct {
	Op, Ref string // for errors, see Error and Repository.Ref
	method  string // empty means GET
	URL     *url.URL
	Header  http.Header
	body    []byte
	Counts  string // LimitError.What of limit
	Limit   int64
}

// Do makes a request and reads the answer. An error is an [*Error], or names the request and wraps a
// [*fault.LimitError].
func (r *Repository) Do(ctx context.Context, a Request) (body []byte, header http.Header, err error) {
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
func (r *Repository) during(ctx context.Context, a Request, request func(context.Context) error) error {
	ctx, done := Within(ctx, WhatRequest, r.Options.Limits.RequestTime)
	defer done()
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return Wrap(a.Op, r.Ref(a.Ref), Overtime(ctx, ctx.Err()))
	}
	if err := request(ctx); err != nil {
		return Wrap(a.Op, r.Ref(a.Ref), Overtime(ctx, err))
	}
	return nil
}

func (r *Repository) exchange(ctx context.Context, a Request) ([]byte, http.Header, error) {
	// One byte more than the limit shows that there is more.
	resp, err := r.answer(context.WithValue(ctx, intakeKey{}, intake{a.Limit + 1, r.Budget}), a)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, a.Limit+1))
	if err == nil && int64(len(body)) > a.Limit {
		err = &fault.LimitError{What: a.Counts, Limit: a.Limit, Got: int64(len(body))}
	}
	return body, resp.Header, err
}

// answer makes a request and returns a good answer.
func (r *Repository) answer(ctx context.Context, a Request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, a.method, a.URL.String(), bytes.NewReader(a.body))
	if err != nil {
		return nil, err
	}
	if a.Header != nil {
		req.Header = a.Header.Clone()
	}
	resp, err := r.client.Do(req)
	var limit *fault.LimitError
	if errors.As(err, &limit) {
		return nil, limit
	}
	if err != nil {
		// No answer to what was asked: a status in err is that of a token server, and says nothing about the list.
		failed := &Error{Op: a.Op, Ref: r.Ref(a.Ref), Err: withoutURL(err)}
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

func (r *Repository) check(a Request, resp *http.Response) error {
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
	return &Error{Op: a.Op, Ref: r.Ref(a.Ref), Status: resp.StatusCode, Err: err}
}

// URL returns the address of a path below that of the repository: "manifests/latest".
func (r *Repository) URL(path string) *url.URL {
	return &url.URL{Scheme: r.Name.Scheme(), Host: r.Name.RegistryStr(), Path: "/v2/" + r.Name.RepositoryStr() + "/" + path}
}

// Ref spells a tag or digest of this repository, or the repository itself if that is empty.
func (r *Repository) Ref(identifier string) string {
	switch {
	case identifier == "":
		return r.Name.Name()
	case strings.Contains(identifier, ":"):
		return r.Name.Name() + "@" + identifier
	}
	return r.Name.Name() + ":" + identifier
}

// ErrNoList is what [Repository.Pages] wraps if the registry has no such list.
var ErrNoList = errors.New("no such list")

// Pages reads a list page by page and hands each body to visit. Whether the registry lacks the list altogether, only
// the answer to the first request can tell: once there was a page, whatever goes wrong is an error.
func (r *Repository) Pages(ctx context.Context, a Request, limit int, lacks func(error) bool,
	visit func([]byte) error) error {
	a.Counts, a.Limit = WhatPage, r.Options.Limits.PageBytes
	seen := map[string]bool{}
	for page := 1; a.URL != nil; page++ {
		if seen[a.URL.String()] {
			return Wrap(a.Op, r.Ref(a.Ref), errors.New("pagination loop"))
		}
		seen[a.URL.String()] = true
		if page > limit {
			return &fault.LimitError{What: "pages", Limit: int64(limit), Got: int64(page)}
		}
		if err := r.Budget.spend(len(a.URL.String())); err != nil { // it is kept
			return Wrap(a.Op, r.Ref(a.Ref), err)
		}
		body, header, err := r.Do(ctx, a)
		if page == 1 && lacks(err) {
			return fmt.Errorf("%w: %w", ErrNoList, err)
		}
		if err == nil {
			err = visit(body)
		}
		if err == nil {
			a.URL, err = NextPage(a.URL, header)
		}
		if err != nil {
			return Wrap(a.Op, r.Ref(a.Ref), err)
		}
	}
	return nil
}

// linkBytes bounds a Link header. Most servers take no longer address.
const linkBytes = 8 << 10

// NextPage returns what the Link header calls next, nil if nothing. Another host is refused: credentials would go
// there.
func NextPage(u *url.URL, header http.Header) (*url.URL, error) {
	link := strings.Join(header.Values("Link"), ", ")
	if len(link) > linkBytes {
		return nil, &fault.LimitError{What: "link bytes", Limit: linkBytes, Got: int64(len(link))}
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

// Parallel calls f(0) to f(n-1), at most limit at once, and returns the first error. After an error or the end of ctx
// it starts no more.
func Parallel(ctx context.Context, n, limit int, f func(context.Context, int) error) error {
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

// Gather calls f for each, at most limit at once, and returns all that it finds, in that order. Its error is that of
// [Parallel].
func Gather[T, F any](
	ctx context.Context, from []T, limit int, f func(context.Context, T) ([]F, error),
) ([]F, error) {
	each := make([][]F, len(from))
	err := Parallel(ctx, len(from), limit, func(ctx context.Context, i int) (err error) {
		each[i], err = f(ctx, from[i])
		return err
	})
	return slices.Concat(each...), err
}

// Describe returns the descriptor of bytes: their SHA-256, their number, and that media type.
func Describe(b []byte, media types.MediaType) v1.Descriptor {
	digest, size, _ := v1.SHA256(bytes.NewReader(b)) // reading from memory does not fail
	return v1.Descriptor{MediaType: media, Digest: digest, Size: size}
}
