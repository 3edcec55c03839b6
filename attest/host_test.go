package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	registrypkg "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// noon is the time in every test.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A host is a registry with one image in it.
type host struct {
	t     testing.TB
	image name.Digest
	inner http.Handler // the registry itself

	referrers bool // it has the referrers API

	mu       sync.Mutex
	requests []string                                          // "GET /v2/app/manifests/..."
	fault    func(w http.ResponseWriter, r *http.Request) bool // true if it has answered
}

// newHost starts a registry, with the referrers API or without.
func newHost(t testing.TB, referrers bool) *host {
	t.Helper()
	h := &host{t: t, referrers: referrers, inner: registrypkg.New(registrypkg.Logger(log.New(io.Discard, "", 0)),
		registrypkg.WithReferrersSupport(referrers))}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.requests = append(h.requests, r.Method+" "+r.URL.Path)
		fault := h.fault
		h.mu.Unlock()
		if fault == nil || !fault(rw, r) {
			h.inner.ServeHTTP(rw, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Listener = lines.listen(server.Listener)
	server.Start()
	t.Cleanup(server.Close)
	repo, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/team/app")
	if err != nil {
		t.Fatal(err)
	}
	h.image = h.push(repo, "app")
	return h
}

// eachHost runs a test with the referrers API and without.
func eachHost(t *testing.T, f func(t *testing.T, h *host)) {
	t.Helper()
	t.Run("referrers API", func(t *testing.T) { f(t, newHost(t, true)) })
	t.Run("no referrers API", func(t *testing.T) { f(t, newHost(t, false)) })
}

// plain is the default transport without TLS, which go-containerregistry tries first everywhere.
var plain = plainHTTP{lines.transport()}

type plainHTTP struct{ http.RoundTripper }

func (p plainHTTP) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return nil, errors.New("no registry of these tests speaks TLS")
	}
	return p.RoundTripper.RoundTrip(r)
}

// push puts an image with OCI media types into the registry.
func (h *host) push(repo name.Repository, label string) name.Digest {
	h.t.Helper()
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	img, err := mutate.Config(img, v1.Config{Labels: map[string]string{"name": label}})
	if err != nil {
		h.t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		h.t.Fatal(err)
	}
	ref := repo.Digest(digest.String())
	if err := remote.Write(ref, img, remote.WithTransport(plain)); err != nil {
		h.t.Fatal(err)
	}
	return ref
}

func (h *host) breaks(f func(rw http.ResponseWriter, r *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault = f
}

// answers makes every request that f picks fail with status.
func (h *host) answers(status int, f func(r *http.Request) bool) {
	h.breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if f(r) {
			rw.WriteHeader(status)
			return true
		}
		return false
	})
}

// serves makes every request for a path with part in it return body.
func (h *host) serves(part string, media types.MediaType, body string) {
	h.breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, part) {
			return false
		}
		rw.Header().Set("Content-Type", string(media))
		_, _ = io.WriteString(rw, body)
		return true
	})
}

// retag puts a manifest under a tag, or under its digest.
func (h *host) retag(tag string, media types.MediaType, b []byte) {
	h.t.Helper()
	answer := httptest.NewRecorder()
	put := httptest.NewRequest(http.MethodPut, "/v2/"+h.image.Context().RepositoryStr()+"/manifests/"+tag, bytes.NewReader(b))
	put.Header.Set("Content-Type", string(media))
	if h.inner.ServeHTTP(answer, put); answer.Code != http.StatusCreated {
		h.t.Fatalf("%s: %d %s", tag, answer.Code, answer.Body)
	}
}

// manifestAt returns the bytes under a tag or a digest.
func (h *host) manifestAt(identifier string) string {
	h.t.Helper()
	answer := httptest.NewRecorder()
	h.inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/v2/"+h.image.Context().RepositoryStr()+"/manifests/"+identifier, nil))
	if answer.Code != http.StatusOK {
		h.t.Fatalf("%s: %d", identifier, answer.Code)
	}
	return answer.Body.String()
}

// gets returns what was read by digest since the last call, without the image and lists.
func (h *host) gets() (manifests, blobs int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.requests {
		switch {
		case strings.HasPrefix(r, "GET") && strings.Contains(r, "/manifests/sha256:"), strings.Contains(r, ".att."):
			manifests++
		case strings.HasPrefix(r, "GET") && strings.Contains(r, "/blobs/"):
			blobs++
		}
	}
	h.requests = nil
	return manifests, blobs
}

// count returns how many requests there were.
func (h *host) count(method, part string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, r := range h.requests {
		if strings.HasPrefix(r, method+" ") && strings.Contains(r, part) {
			n++
		}
	}
	return n
}

// needsSubjects makes the registry refuse a manifest whose subject is not there, and list none for such a subject.
func (h *host) needsSubjects() {
	h.breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if subject, ok := subjectOf(r); ok && !h.holds(r, subject) {
			rw.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
}

// subjectOf returns the digest of the subject that a request is about: of a manifest that is written, or of a list.
func subjectOf(r *http.Request) (string, bool) {
	if _, digest, ok := strings.Cut(r.URL.Path, "/referrers/"); ok {
		return digest, true
	}
	if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
		return "", false
	}
	b, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(b))
	var m v1.Manifest
	if err = errors.Join(err, json.Unmarshal(b, &m)); err != nil || m.Subject == nil {
		return "", false
	}
	return m.Subject.Digest.String(), true
}

// holds reports whether the repository that a request is about has a manifest.
func (h *host) holds(r *http.Request, digest string) bool {
	i := max(strings.LastIndex(r.URL.Path, "/manifests/"), strings.LastIndex(r.URL.Path, "/referrers/"))
	answer := httptest.NewRecorder()
	h.inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, r.URL.Path[:i]+"/manifests/"+digest, nil))
	return answer.Code == http.StatusOK
}

func compact(s string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		panic(err)
	}
	return b.String()
}

func wantField(t *testing.T, err error, fields ...string) {
	t.Helper()
	var got []string
	var walk func(error)
	walk = func(err error) {
		if f, ok := err.(*FieldError); ok {
			got = append(got, f.Field)
		}
		switch e := err.(type) {
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				walk(err)
			}
		case interface{ Unwrap() error }:
			walk(e.Unwrap())
		}
	}
	walk(err)
	if !slices.Equal(got, fields) {
		t.Errorf("mistakes in %q, want %q (%v)", got, fields, err)
	}
}

func wantAs[E error](t testing.TB, err error) E {
	t.Helper()
	var e E
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want a %T", err, e)
	}
	return e
}
