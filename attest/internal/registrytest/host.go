package registrytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	registrypkg "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A Host is a registry with one image in it.
type Host struct {
	T     testing.TB
	Image name.Digest
	Inner http.Handler // the registry itself

	Referrers bool // it has the referrers API

	mu       sync.Mutex
	Requests []string                                          // "GET /v2/app/manifests/..."
	Fault    func(w http.ResponseWriter, r *http.Request) bool // true if it has answered
}

// New starts a registry, with the referrers API or without.
func New(t testing.TB, referrers bool) *Host {
	t.Helper()
	h := &Host{T: t, Referrers: referrers, Inner: registrypkg.New(registrypkg.Logger(log.New(io.Discard, "", 0)),
		registrypkg.WithReferrersSupport(referrers))}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.Requests = append(h.Requests, r.Method+" "+r.URL.Path)
		fault := h.Fault
		h.mu.Unlock()
		if fault == nil || !fault(rw, r) {
			h.Inner.ServeHTTP(rw, r)
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
	h.Image = h.Push(repo, "app")
	return h
}

// Each runs a test with the referrers API and without.
func Each(t *testing.T, f func(t *testing.T, h *Host)) {
	t.Helper()
	t.Run("referrers API", func(t *testing.T) { f(t, New(t, true)) })
	t.Run("no referrers API", func(t *testing.T) { f(t, New(t, false)) })
}

// Plain is the default transport without TLS, which go-containerregistry tries first everywhere.
var Plain = plainHTTP{lines.transport()}

type plainHTTP struct{ http.RoundTripper }

func (p plainHTTP) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return nil, errors.New("no registry of these tests speaks TLS")
	}
	return p.RoundTripper.RoundTrip(r)
}

// Push puts an image with OCI media types into the registry.
func (h *Host) Push(repo name.Repository, label string) name.Digest {
	h.T.Helper()
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	img, err := mutate.Config(img, v1.Config{Labels: map[string]string{"name": label}})
	if err != nil {
		h.T.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		h.T.Fatal(err)
	}
	ref := repo.Digest(digest.String())
	if err := remote.Write(ref, img, remote.WithTransport(Plain)); err != nil {
		h.T.Fatal(err)
	}
	return ref
}

// Breaks makes f look at each request first. If f returns true it has answered; nil looks at none.
func (h *Host) Breaks(f func(rw http.ResponseWriter, r *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Fault = f
}

// Answers makes every request that f picks fail with status.
func (h *Host) Answers(status int, f func(r *http.Request) bool) {
	h.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if f(r) {
			rw.WriteHeader(status)
			return true
		}
		return false
	})
}

// Serves makes every request for a path with part in it return body.
func (h *Host) Serves(part string, media types.MediaType, body string) {
	h.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, part) {
			return false
		}
		rw.Header().Set("Content-Type", string(media))
		_, _ = io.WriteString(rw, body)
		return true
	})
}

// Retag puts a manifest under a tag, or under its digest.
func (h *Host) Retag(tag string, media types.MediaType, b []byte) {
	h.T.Helper()
	answer := httptest.NewRecorder()
	put := httptest.NewRequest(http.MethodPut, "/v2/"+h.Image.Context().RepositoryStr()+"/manifests/"+tag, bytes.NewReader(b))
	put.Header.Set("Content-Type", string(media))
	if h.Inner.ServeHTTP(answer, put); answer.Code != http.StatusCreated {
		h.T.Fatalf("%s: %d %s", tag, answer.Code, answer.Body)
	}
}

// ManifestAt returns the bytes under a tag or a digest.
func (h *Host) ManifestAt(identifier string) string {
	h.T.Helper()
	answer := httptest.NewRecorder()
	h.Inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/v2/"+h.Image.Context().RepositoryStr()+"/manifests/"+identifier, nil))
	if answer.Code != http.StatusOK {
		h.T.Fatalf("%s: %d", identifier, answer.Code)
	}
	return answer.Body.String()
}

// Gets returns what was read by digest since the last call, without the image and lists.
func (h *Host) Gets() (manifests, blobs int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.Requests {
		switch {
		case strings.HasPrefix(r, "GET") && strings.Contains(r, "/manifests/sha256:"), strings.Contains(r, ".att."):
			manifests++
		case strings.HasPrefix(r, "GET") && strings.Contains(r, "/blobs/"):
			blobs++
		}
	}
	h.Requests = nil
	return manifests, blobs
}

// Count returns how many requests there were.
func (h *Host) Count(method, part string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, r := range h.Requests {
		if strings.HasPrefix(r, method+" ") && strings.Contains(r, part) {
			n++
		}
	}
	return n
}

// NeedsSubjects makes the registry refuse a manifest whose subject is not there, and list none for such a subject.
func (h *Host) NeedsSubjects() {
	h.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
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
func (h *Host) holds(r *http.Request, digest string) bool {
	i := max(strings.LastIndex(r.URL.Path, "/manifests/"), strings.LastIndex(r.URL.Path, "/referrers/"))
	answer := httptest.NewRecorder()
	h.Inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, r.URL.Path[:i]+"/manifests/"+digest, nil))
	return answer.Code == http.StatusOK
}
