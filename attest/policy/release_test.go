package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// A shop is a registry with images.
type shop struct {
	testing.TB
	host  string
	inner http.Handler
	front http.HandlerFunc // sees each request first
}

func newShop(t testing.TB) *shop {
	s := &shop{TB: t, inner: registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))}
	s.front = func(http.ResponseWriter, *http.Request) {}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.front(w, r)
		s.inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

// image pushes an image of that label to a repository, and leaves a result of each test.
func (s *shop) image(repository, label string, results map[string]intoto.Result) name.Digest {
	s.Helper()
	img, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"name": label}})
	s.need(err)
	digest, err := img.Digest()
	s.need(err)
	ref := imageOf(s.host + "/" + repository + "@" + digest.String())
	s.need(remote.Write(ref, img))
	s.leave(ref, results)
	return ref
}

func (s *shop) leave(image name.Digest, results map[string]intoto.Result) {
	s.Helper()
	w := attest.NewWriter(nil, attest.Options{Access: attest.Access{Transport: plain}, Encoding: intoto.EncodingStatement, WithoutViews: true})
	for test, result := range results {
		_, err := w.Write(s.Context(), image, test, intoto.TestResult{Result: result, Timestamp: noon})
		s.need(err)
	}
}

func (s *shop) need(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *shop) resolver() *attest.Resolver {
	return attest.NewResolver(believer{}, attest.Options{Access: attest.Access{Transport: plain}})
}

// plain speaks HTTP at once, where go-containerregistry tries TLS first, and keeps as many connections as GateAll uses.
var plain = &plainTransport{remote.DefaultTransport.(*http.Transport).Clone()}

func init() { plain.MaxIdleConns, plain.MaxIdleConnsPerHost = 0, 1024 }

type plainTransport struct{ *http.Transport }

// RoundTrip refuses TLS.
func (t *plainTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return nil, http.ErrSchemeMismatch
	}
	return t.Transport.RoundTrip(r)
}

func passed(tests ...string) map[string]intoto.Result {
	all := map[string]intoto.Result{}
	for _, test := range tests {
		all[test] = intoto.Passed
	}
	return all
}

// outline is a release in lines: "api registry/shop/api allowed".
func (s *shop) outline(r Release) []string {
	var lines []string
	for _, image := range r.Images {
		verdict := map[bool]string{true: "allowed", false: "denied"}[image.Success]
		if image.Error != "" {
			verdict = "failed"
		}
		repository, _, _ := strings.Cut(strings.TrimPrefix(image.Image, s.host+"/"), "@")
		line := fmt.Sprintf("%s %s %s %s", image.Component, repository, image.Platform, verdict)
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

// "The gate judges a release: many images in one call."
// Reports come in the order of the images. An image that cannot be judged has an error in its place, and the others are
// judged.
func TestGateAll(t *testing.T) {
	s := newShop(t)
	api := Image{Digest: s.image("api", "api", passed("scan")), Component: "api"}
	web := Image{Digest: s.image("web", "web", map[string]intoto.Result{"scan": intoto.Failed}), Component: "web"}
	gone := Image{Digest: imageOf(s.host + "/gone@sha256:" + strings.Repeat("0", 64))}
	lost := Image{Digest: imageOf(s.host + "/web@sha256:" + strings.Repeat("1", 64))}
	bare := Image{Digest: s.image("bare", "bare", nil)}
	again := Image{Digest: imageOf(s.host + "/api:v1@" + api.Digest.DigestStr()), Component: "api"}
	asOther := Image{Digest: api.Digest, Component: "other"}
	for _, tt := range []struct {
		name    string
		images  []Image
		success bool
		want    []string
		errs    []Image
	}{
		{"one", []Image{api}, true, []string{"api api allowed"}, nil},
		{"denied among others", []Image{web, api, bare}, false,
			[]string{"web web denied", "api api allowed", "bare denied"}, nil},
		{"denied first", []Image{web, api}, false, []string{"web web denied", "api api allowed"}, nil},
		{"no image", []Image{gone, api, lost, web}, false,
			[]string{"gone failed", "api api allowed", "web failed", "web web denied"}, []Image{gone, lost}},
		{"nothing but that", []Image{lost}, false, []string{"web failed"}, []Image{lost}},
		{"twice", []Image{api, api, again}, true, []string{"api api allowed"}, nil},
		{"as two components", []Image{api, asOther}, true, []string{"api api allowed", "other api allowed"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := requires("scan").GateAll(t.Context(), s.resolver(), tt.images, noon)
			if diff := cmp.Diff(tt.want, s.outline(got)); diff != "" || got.Success != tt.success || !got.Time.Equal(noon) {
				t.Errorf("success %v at %v: %s", got.Success, got.Time, diff)
			}
			var lines []string
			if err != nil {
				lines = strings.Split(err.Error(), "\n")
			}
			if len(lines) != len(tt.errs) {
				t.Fatalf("errors %q", lines)
			}
			for i, image := range tt.errs {
				if !strings.HasPrefix(lines[i], image.Digest.String()+": attest: ") || !errors.Is(err, attest.ErrNoImage) {
					t.Errorf("error %q", lines[i])
				}
			}
			for _, image := range got.Images {
				empty := len(image.Violations)+len(image.Successes) == 0
				if (image.Error != "") != empty || image.Violations == nil || image.Waived == nil {
					t.Errorf("got %+v", image)
				}
			}
		})
	}
}

// A mistake in the question is told before anything is asked.
func TestGateAllMistakes(t *testing.T) {
	long := imageOf("registry.example/app@sha512:" + strings.Repeat("a", 128))
	_, err := Policy{}.GateAll(t.Context(), nil, []Image{{Digest: image}, {Digest: long}, {}}, time.Time{})
	if diff := cmp.Diff([]string{"required", "images[1]", "images[2]", "now"}, fields(t, err)); diff != "" {
		t.Error(diff)
	}
	_, err = requires("scan").GateAll(t.Context(), nil, nil, noon)
	if diff := cmp.Diff([]string{"images"}, fields(t, err)); diff != "" {
		t.Error(diff)
	}
}

// Once the caller gives up, every image that is not judged yet has that as its error.
func TestGateAllEnds(t *testing.T) {
	s := newShop(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one, two := Image{Digest: s.image("one", "one", nil)}, Image{Digest: s.image("two", "two", nil)}
	got, err := requires("scan").GateAll(ctx, s.resolver(), []Image{one, two}, noon)
	if diff := cmp.Diff([]string{"one failed", "two failed"}, s.outline(got)); diff != "" || !errors.Is(err, context.Canceled) {
		t.Errorf("%v: %s", err, diff)
	}
}

// Images that an index lists come behind it, each with its platform. Runs are expected of the index alone.
func TestGateAllPlatforms(t *testing.T) {
	s := newShop(t)
	amd64, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"for": "amd64"}})
	s.need(err)
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: amd64, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: empty.Image},
	)
	digest, err := index.Digest()
	s.need(err)
	ref := imageOf(s.host + "/shop@" + digest.String())
	s.need(remote.WriteIndex(ref, index))
	s.leave(ref, passed("scan"))
	listed, err := amd64.Digest()
	s.need(err)
	s.leave(ref.Context().Digest(listed.String()), passed("scan"))

	alone := Image{Digest: ref, Component: "shop"}
	got, err := requires("scan").GateAll(t.Context(), s.resolver(), []Image{alone}, noon)
	s.need(err)
	if len(got.Images) != 1 || got.Images[0].Unjudged != 2 || !got.Success {
		t.Errorf("got %+v", got)
	}

	all := alone
	all.Platforms, all.Expect = true, []attest.Expect{{Test: "scan", Run: "scan#2", Records: []v1.Hash{hash("missing")}}}
	for name, images := range map[string][]Image{"once": {all}, "and not first": {alone, all}} {
		got, err := requires("scan").GateAll(t.Context(), s.resolver(), images, noon)
		s.need(err)
		want := []string{"shop shop denied", "shop shop linux/amd64 allowed", "shop shop denied"}
		if diff := cmp.Diff(want, s.outline(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if got.Images[0].Violations[0].Metadata.Code != CodeMissingRun || got.Images[0].Unjudged != 0 {
			t.Errorf("%s: got %+v", name, got.Images[0])
		}
		if first, last := got.Images[0].Index, got.Images[2].Index; first != "" || last != digest.String() {
			t.Errorf("%s: indexes %q and %q", name, first, last)
		}
	}
}

// As many images as are judged at the same time wait for one another here, and never one more.
func TestGateAllIsParallel(t *testing.T) {
	s := newShop(t)
	var images []Image
	for i := range imagesAtOnce + 3 {
		images = append(images, Image{Digest: s.image(fmt.Sprintf("app-%d", i), "app", passed("scan"))})
	}
	var mu sync.Mutex
	first := map[string]bool{}
	full := make(chan struct{})
	var most atomic.Int64
	s.front = func(_ http.ResponseWriter, r *http.Request) {
		repository, _, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
		if !found {
			return
		}
		mu.Lock()
		select {
		case <-full:
		default:
			first[repository] = true
			most.Store(int64(len(first)))
			if len(first) == imagesAtOnce {
				time.AfterFunc(50*time.Millisecond, func() { close(full) }) // one more would come
			}
		}
		mu.Unlock()
		select {
		case <-full:
		case <-r.Context().Done():
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := requires("scan").GateAll(ctx, s.resolver(), images, noon)
	if err != nil || !got.Success || most.Load() != imagesAtOnce {
		t.Errorf("%d at once: %v, %+v", most.Load(), err, got)
	}
}

// A waiver that meets something in one image is used; one that meets nothing anywhere is told once.
func TestUnusedWaiversOfARelease(t *testing.T) {
	about := func(code Code, place string) Note {
		return Note{Msg: place, Metadata: Metadata{Code: code}, Waiver: &Waiver{Place: place}}
	}
	without := Note{Msg: "no waiver", Metadata: Metadata{Code: CodeWaiverUnused}}
	of := func(waived []Note, warnings ...Note) Judged {
		return Judged{Report: Report{Waived: waived, Warnings: warnings}}
	}
	images := []Judged{
		of(nil, about(CodeWaiverUnused, "used"), about(CodeWaiverUnused, "unused"), about(CodeWaiverExpiring, "used")),
		of([]Note{about(CodeFailed, "used")}, about(CodeWaiverUnused, "unused"), about(CodeWaiverExpiring, "used")),
		of(nil, about(CodeWaiverUnused, "another"), without, about(CodeWarned, "used")),
		of(nil, about(CodeWaiverUnused, "expired")),
		of(nil, about(CodeWaiverExpired, "expired")),
	}
	tellUnusedOnce(images)
	var got [][]string
	for _, image := range images {
		var lines []string
		for _, n := range image.Warnings {
			lines = append(lines, fmt.Sprint(n.Metadata.Code, " ", n.Msg))
		}
		got = append(got, lines)
	}
	want := [][]string{
		{"waiver.unused unused", "waiver.expiring used"}, {"waiver.expiring used"},
		{"waiver.unused another", "waiver.unused no waiver", "test.warned used"},
		nil, {"waiver.expired expired"},
	}
	for i := range want {
		slices.Sort(want[i])
		slices.Sort(got[i])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkGateAll judges releases whose images have ten statements each, of ten tests, in repositories of their own. The
// registry is go-containerregistry's, with the referrers API, in memory; its allocations count too. With key a key vouches;
// with trust the provenance of builds and records is asked for as well, of which there is none. +20ms adds so much time to
// each request.
func BenchmarkGateAll(b *testing.B) {
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("test-%d", i))
	}
	trusting, err := attest.ByProvenance(believer{}, provenance.Trust{})
	if err != nil {
		b.Fatal(err)
	}
	s := newShop(b)
	var requests, delay atomic.Int64
	s.front = func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		time.Sleep(time.Duration(delay.Load()))
	}
	var images []Image
	for _, size := range []int{1, 10, 100, 1000} {
		for len(images) < size {
			images = append(images, Image{Digest: s.image(fmt.Sprintf("app-%d", len(images)), "app", passed(names...))})
		}
		for _, v := range []struct {
			name     string
			verifier attest.Verifier
		}{{"key", believer{}}, {"trust", attest.AnyOf(believer{}, trusting)}} {
			for _, by := range []time.Duration{0, 20 * time.Millisecond} {
				name := fmt.Sprintf("%s/images=%d%s", v.name, size, strings.TrimSuffix("+"+by.String(), "+0s"))
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					delay.Store(int64(by))
					defer delay.Store(0)
					requests.Store(0)
					r := attest.NewResolver(v.verifier, attest.Options{Access: attest.Access{Transport: plain}})
					for b.Loop() {
						got, err := requires(names...).GateAll(b.Context(), r, images, noon)
						if err != nil || !got.Success || len(got.Images) != size || len(got.Images[0].Successes) != len(names) {
							b.Fatalf("%v, %+v", err, got)
						}
					}
					b.ReportMetric(float64(requests.Load())/float64(b.N), "requests/op")
					b.ReportMetric(float64(requests.Load())/float64(b.N*size), "requests/image")
				})
			}
		}
	}
}
