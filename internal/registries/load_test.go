package registries

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// The most requests that a call may make, however many tags the repository has, if they are listed in order or at once.
const (
	writeMost  = 15
	newestMost = 25       // of ten tests
	bytesMost  = 32 << 10 // of tags, if the registry lists them in order
)

// A tagger gives an image, which has the tag v1, further ones.
type tagger func(image name.Digest, tags []string) error

// How a registry lists tags.
const (
	inOrder = "in order" // and behind a name that it is given
	atOnce  = "at once"
	noOrder = "in no order"
)

// crowds are registries without the referrers API, in which a repository is given many tags.
var crowds = []struct {
	name  string
	lists string
	start func(t *testing.T) (host string, tag tagger)
}{
	{"docker-registry", atOnce, func(t *testing.T) (string, tagger) { return linking(onDisk(t, docker(t), nil)) }},
	{"distribution", inOrder, func(t *testing.T) (string, tagger) { return linking(onDisk(t, distribution(t), nil)) }},
	{"go-containerregistry", inOrder, func(t *testing.T) (string, tagger) { return putting(t, false) }},
	{"go-containerregistry, shuffled", noOrder, func(t *testing.T) (string, tagger) { return putting(t, true) }},
}

// linking makes each tag a link to the folder of v1, where the registry keeps its files.
func linking(s *server) (string, tagger) {
	return s.host, func(image name.Digest, tags []string) error {
		dir := filepath.Join(filepath.Dir(s.config), "data/docker/registry/v2/repositories", image.Context().RepositoryStr(), "_manifests/tags")
		for _, tag := range tags {
			if err := os.Symlink("v1", filepath.Join(dir, tag)); err != nil {
				return err
			}
		}
		return nil
	}
}

// putting has go-containerregistry's registry serve requests that no network carries.
func putting(t *testing.T, shuffled bool) (string, tagger) {
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	handler := inner
	if shuffled {
		handler = &shuffle{inner: inner}
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), func(image name.Digest, tags []string) error {
		path, v1 := "/v2/"+image.Context().RepositoryStr()+"/manifests/", httptest.NewRecorder()
		inner.ServeHTTP(v1, httptest.NewRequest(http.MethodGet, path+"v1", nil))
		for _, tag := range tags {
			put, answer := httptest.NewRequest(http.MethodPut, path+tag, bytes.NewReader(v1.Body.Bytes())), httptest.NewRecorder()
			put.Header.Set("Content-Type", v1.Header().Get("Content-Type"))
			if inner.ServeHTTP(answer, put); answer.Code != http.StatusCreated {
				return fmt.Errorf("%s: status %d: %s", tag, answer.Code, answer.Body)
			}
		}
		return nil
	}
}

// A shuffle lists tags in no order, in pages of 1,000 with a cursor of its own. It ignores n and last.
type shuffle struct {
	inner http.Handler
	tags  []string
}

func (s *shuffle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/tags/list") {
		s.inner.ServeHTTP(w, r)
		return
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("from"))
	if from == 0 {
		answer, list := httptest.NewRecorder(), struct{ Tags []string }{}
		s.inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, r.URL.Path, nil))
		_ = json.Unmarshal(answer.Body.Bytes(), &list)
		s.tags = list.Tags
		rand.New(rand.NewPCG(1, 1)).Shuffle(len(s.tags), func(i, j int) { s.tags[i], s.tags[j] = s.tags[j], s.tags[i] })
	}
	to := min(from+1000, len(s.tags))
	if to < len(s.tags) {
		w.Header().Set("Link", fmt.Sprintf("<%s?from=%d>; rel=next", r.URL.Path, to))
	}
	_ = json.NewEncoder(w).Encode(map[string][]string{"tags": s.tags[from:to]})
}

// otherTags are those of a repository with other images and their signatures.
func otherTags(n int) []string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = fmt.Sprintf([]string{"build-%06d", "v%06d"}[i%2], i)
		if i%4 > 1 {
			tags[i] = fmt.Sprintf("sha256-%x.att", sha256.Sum256(fmt.Append(nil, i)))
		}
	}
	return tags
}

// A counter notes requests, and how many bytes of lists of tags were answered. It says in each request who makes it.
type counter struct {
	inner  http.RoundTripper
	caller string
	mu     sync.Mutex
	asked  []string
	bytes  int
}

// RoundTrip makes the request, and reads all of the answer.
func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Caller", c.caller)
	resp, err := c.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(cmp.Or(err, io.EOF))))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, req.Method+" "+req.URL.Path)
	if strings.HasSuffix(req.URL.Path, "/tags/list") {
		c.bytes += len(body)
	}
	return resp, nil
}

// A call makes no more requests in a repository of many tags than in one of a few, if the registry lists them in order or
// all at once. If not, the answers are right all the same.
func TestManyTags(t *testing.T) {
	report := "| registry | tags | a write | bytes of tags | newest of 10 | bytes of tags |\n|---|--:|--:|--:|--:|--:|\n"
	for _, c := range crowds {
		t.Run(c.name, func(t *testing.T) {
			host, tag := c.start(t)
			for _, n := range []int{10_000, 100_100} {
				write, read := callsAmong(t, host, n, tag)
				report += fmt.Sprintf("| %s | %d | %d | %d | %d | %d |\n", c.name, n, len(write.asked), write.bytes, len(read.asked), read.bytes)
				for call, most := range map[*counter]int{write: writeMost, read: newestMost} {
					if got := call.asked; c.lists != noOrder && len(got) > most {
						t.Errorf("%d tags: %d requests, want at most %d:\n%s", n, len(got), most, strings.Join(got, "\n"))
					}
					if c.lists == inOrder && call.bytes > bytesMost {
						t.Errorf("%d tags: %d bytes of tags were read", n, call.bytes)
					}
				}
			}
		})
	}
	t.Logf("\n%s", report)
}

// callsAmong writes a statement of each of ten tests and reads them. It returns the requests of the last write, which is
// made among n tags of other images, and of the reader.
func callsAmong(t *testing.T, host string, n int, tag tagger) (write, read *counter) {
	repo := must(name.NewRepository(fmt.Sprintf("%s/team/app-%d", host, n)))(t)
	image, p, inner := must(PushImage(t.Context(), repo, "v1"))(t), must(keys())(t), NewTransport()
	defer inner.CloseIdleConnections()
	var of []intoto.Test
	for i := range tests {
		if i == tests-1 {
			need(t, tag(image, otherTags(n)))
		}
		write = &counter{inner: inner}
		must(attest.NewWriter(p.signer, attest.Options{Access: attest.Access{Transport: write}}).Write(t.Context(), image, testOf(i), resultOf(i)))(t)
		of = append(of, intoto.Test{Name: testOf(i), PredicateType: intoto.TestResultType})
	}
	read = &counter{inner: inner}
	var found []intoto.TestResult
	for _, e := range must(attest.NewResolver(p.verifier, attest.Options{Access: attest.Access{Transport: read}}).NewestAll(t.Context(), image, of...))(t) {
		need(t, e.Err())
		found = append(found, e.Predicate.(intoto.TestResult))
	}
	need(t, reader{most: tests, base: len(read.asked)}.check(found, float64(len(read.asked)), tests))
	return write, read
}

// A cutter breaks off one body in ten. Six attempts in vain would be one request in a million, so that a test of ten
// thousands would fail now and then: no caller sees more than three in a row of one request.
type cutter struct {
	mu          sync.Mutex
	random      *rand.Rand
	row         map[string]int
	bodies, cut int
}

func (c *cutter) modify(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil || len(body) == 0 {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies++
	request := resp.Request.Header.Get("Caller") + " " + resp.Request.Method + " " + resp.Request.URL.Path
	if c.random.IntN(10) > 0 || c.row[request] == 3 {
		c.row[request] = 0
		return nil
	}
	c.row[request]++
	c.cut++
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	return nil
}

// "A broken connection, or a body that breaks off" is an answer to ask again for, see Options.Attempts.
func TestAnswersThatBreakOff(t *testing.T) {
	s := onDisk(t, docker(t), nil)
	c := &cutter{random: rand.New(rand.NewPCG(1, 1)), row: map[string]int{}}
	quiet, to := log.New(io.Discard, "", 0), &url.URL{Scheme: "http", Host: s.host}
	front := httptest.NewServer(&httputil.ReverseProxy{ErrorLog: quiet, FlushInterval: -1, ModifyResponse: c.modify,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }})
	t.Cleanup(front.Close)
	direct := newBench(t, s, 0)
	image := direct.push("v1")
	through := must(name.NewRepository(front.Listener.Addr().String() + "/" + image.Context().RepositoryStr()))(t).Digest(image.DigestStr())
	want := set{}
	for i := range 4 * writers {
		want[testName(i)] = true
	}
	direct.together("writes", 4, func(b bench, i int) error { return b.write(through, testName(i)) })
	direct.same("in the record", want, direct.recorded(image))
	direct.together("reads", 10, func(b bench, i int) error {
		found, err := b.resolve(through, b.transport)
		if diff := gocmp.Diff(want.names(), found.names()); err == nil && diff != "" {
			err = fmt.Errorf("read %d (-want +got):\n%s", i, diff)
		}
		return err
	})
	t.Logf("%d of %d bodies broke off", c.cut, c.bodies)
}

// together has 16 callers do something at once, each so often, and counts failures.
func (b bench) together(what string, times int, do func(b bench, i int) error) {
	b.Helper()
	errs := make([]error, writers*times)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			b := b
			b.transport = &counter{inner: b.transport, caller: strconv.Itoa(w)}
			for i := w * times; i < (w+1)*times; i++ {
				errs[i] = do(b, i)
			}
		})
	}
	wg.Wait()
	failed := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	if b.Logf("%d of %d %s failed", len(failed), len(errs), what); len(failed) > 0 {
		b.Error(errors.Join(failed...))
	}
}

// An SBOM of 12,000 packages beside the evidence changes no answer, whoever is believed.
func TestSBOMBesideEvidence(t *testing.T) {
	b := newBench(t, onDisk(t, docker(t), nil), 0)
	image := b.push("v1")
	b.says(image, intoto.EncodingEnvelope, intoto.Passed, finished)
	unsigned := must(attest.NewWriter(nil, attest.Options{Access: attest.Access{Transport: b.transport}, Encoding: intoto.EncodingStatement}).
		Write(t.Context(), image, "clamav-scan", intoto.TestResult{Result: intoto.Failed, Timestamp: finished}))(t)
	hash := strings.Repeat(fmt.Sprintf(`,{"algorithm":"SHA256","checksumValue":"%064d"}`, 0), 3)[1:]
	purl := strings.Repeat(`,{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:rpm/app@1.0"}`, 3)[1:]
	one := fmt.Sprintf(`{"name":"app","versionInfo":"1.0","supplier":"NOASSERTION","checksums":[%s],"externalRefs":[%s]}`, hash, purl)
	const spdx = "https://spdx.dev/Document"
	sbom := fmt.Appendf(nil, `{"_type":%q,"predicateType":%q,"subject":[{"name":"app","digest":{"sha256":%q}}],"predicate":{"packages":[%s{}]}}`,
		intoto.StatementType, spdx, strings.TrimPrefix(image.DigestStr(), "sha256:"), strings.Repeat(one+",", 12_000))
	need(t, b.attach(image, spdx, sbom))
	made := must(os.ReadFile("../../attest/provenance/testdata/taskrun-v1.json"))(t)
	need(t, b.attach(unsigned.Repository.Digest(unsigned.Digest.String()), "https://slsa.dev/provenance/v0.2",
		bytes.ReplaceAll(made, bytes.Repeat([]byte("c0ffee00"), 8), []byte(unsigned.Digest.Hex))))
	b.says(image, intoto.EncodingEnvelope, intoto.Failed, finished.Add(time.Hour))

	byRun := must(attest.ByProvenance(b.verifier, provenance.Trust{
		Builders: []string{"https://tekton.dev/chains/v2"}, Tasks: []provenance.TaskRule{{Pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-*"}},
	}))(t)
	for _, tt := range []struct {
		believed string
		verifier attest.Verifier
		test     string
		at       time.Time
		clock    attest.Clock
	}{
		{"a key", b.verifier, copiedTest.Name, finished.Add(time.Hour), attest.ClockPredicate},
		{"provenance", byRun, "clamav-scan", finished, attest.ClockProvenance},
	} {
		e, err := attest.NewResolver(tt.verifier, attest.Options{Access: attest.Access{Transport: b.transport}}).
			Newest(t.Context(), image, intoto.Test{Name: tt.test, PredicateType: intoto.TestResultType})
		if err != nil || e.Err() != nil || e.Result != intoto.Failed || !e.Time.Equal(tt.at) || e.Clock != tt.clock {
			t.Errorf("%s: %s at %s by %s: %v, %v", tt.believed, e.Result, e.Time, e.Clock, err, e.Err())
		}
		t.Logf("beside an SBOM of %d bytes, by %s: %s at %s", len(sbom), tt.believed, e.Result, e.Time.Format(time.RFC3339))
	}
}
