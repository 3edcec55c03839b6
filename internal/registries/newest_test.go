package registries

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	sigstore "github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/empty"
	"github.com/sigstore/cosign/v2/pkg/oci/mutate"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// BenchmarkNewest finds and verifies the newest statement of each of ten tests, among 1 to 1,000 at an image. The
// registry is go-containerregistry's, with the referrers API, in memory; its allocations count too. Stock cosign has no
// question for the newest, so it verifies everything. A reader+20ms has so much more time added to each request.
func BenchmarkNewest(b *testing.B) {
	shelf := shelves(b)
	sameAnswers(b, shelf)
	for _, by := range []time.Duration{0, delay} {
		for _, r := range readers {
			label := r.name + strings.TrimSuffix("+"+by.String(), "+0s")
			for _, size := range []int{1, 10, 100, 1000} {
				b.Run(fmt.Sprintf("%s/%d", label, size), func(b *testing.B) { r.measure(b, shelf(b, size), by) })
			}
		}
	}
}

func (r reader) measure(b *testing.B, s shelf, by time.Duration) {
	b.ReportAllocs()
	s.delay.Store(int64(by))
	defer s.delay.Store(0)
	s.requests.Store(0)
	var found []intoto.TestResult
	for b.Loop() {
		found = r.read(s, b)
	}
	requests := float64(s.requests.Load()) / float64(b.N)
	need(b, r.check(found, requests, s.size))
	b.ReportMetric(requests, "requests/op")
}

func TestNewest(t *testing.T) { sameAnswers(t, shelves(t)) }

// Every reader gives the same answer, whether or not there are statements of all tests.
func sameAnswers(tb testing.TB, shelf func(tb testing.TB, size int) shelf) {
	for _, size := range []int{1, 2, 9, 10, 23} {
		s := shelf(tb, size)
		for _, r := range readers {
			s.requests.Store(0)
			found := r.read(s, tb)
			need(tb, r.check(found, float64(s.requests.Load()), size))
		}
	}
}

// A reader that leaves something out, or takes an older statement, does not do the work.
func TestWrongAnswersAreNoticed(t *testing.T) {
	for _, wrong := range [][]int{{}, {2}, {1}, {0, 1}, {1, 1}, {0, 1, 2}} {
		var found []intoto.TestResult
		for _, i := range wrong {
			found = append(found, resultOf(i))
		}
		if (reader{most: 2}).check(found, 0, 3) == nil {
			t.Errorf("statements %v are taken for the newest two of three", wrong)
		}
	}
}

// A reader is a row of the table in the README: a way to find the newest statements. It returns those that it verified.
type reader struct {
	name       string
	most       int // how many of the newest statements it verifies
	base, each int // requests, and those for each statement that it verifies
	read       func(s shelf, tb testing.TB) []intoto.TestResult
}

var readers = []reader{
	{"cosign", 1000, 2, 1, func(s shelf, b testing.TB) []intoto.TestResult { return s.cosign(b, s.stock, false) }},
	{"cosign-ours", 1000, 2, 1, func(s shelf, b testing.TB) []intoto.TestResult { return s.cosign(b, s.ours, false) }},
	{"cosign-bundles", 1000, 2, 3, func(s shelf, b testing.TB) []intoto.TestResult { return s.cosign(b, s.stock, true) }},
	{"testdag-all", 1000, 5, 1, shelf.all}, // a ping, and a request for each list: referrers, index, cosign's tag, tags
	{"testdag", tests, 5, 1, shelf.newest},
}

// cosign has stock cosign verify everything, as its command does it for --key.
func (s shelf) cosign(tb testing.TB, image name.Digest, bundles bool) (found []intoto.TestResult) {
	checks := must(Checks(s.public, s.remote(tb)))(tb)
	checks.NewBundleFormat = bundles
	checks.TrustedMaterial = &root.BaseTrustedMaterial{} // bundles need one, though with a key it is not looked at
	good, _, err := sigstore.VerifyImageAttestations(tb.Context(), image, checks)
	need(tb, err)
	for _, g := range good {
		envelope := must(g.Payload())(tb)
		found = append(found, must(Outcome(envelope))(tb))
	}
	return found
}

func (s shelf) all(tb testing.TB) (found []intoto.TestResult) {
	for e, err := range s.resolver.All(tb.Context(), s.ours) {
		need(tb, errors.Join(err, e.Err()))
		found = append(found, e.Predicate.(intoto.TestResult))
	}
	return found
}

func (s shelf) newest(tb testing.TB) (found []intoto.TestResult) {
	var of []intoto.Test
	for i := range min(s.size, tests) {
		of = append(of, intoto.Test{Name: testOf(i), PredicateType: intoto.TestResultType})
	}
	for _, e := range must(s.resolver.NewestAll(tb.Context(), s.ours, of...))(tb) {
		need(tb, e.Err())
		found = append(found, e.Predicate.(intoto.TestResult))
	}
	return found
}

// check makes sure that a reader verified the newest statement of each test, or all, with the requests that this needs.
func (r reader) check(found []intoto.TestResult, requests float64, size int) error {
	var want []intoto.TestResult
	for i := max(0, size-r.most); i < size; i++ {
		want = append(want, resultOf(i))
	}
	slices.SortFunc(found, func(x, y intoto.TestResult) int { return x.Timestamp.Compare(y.Timestamp) })
	if diff := cmp.Diff(want, found); diff != "" {
		return fmt.Errorf("%s, %d statements (-want +got):\n%s", r.name, size, diff)
	}
	if want := r.base + r.each*len(want); requests != float64(want) {
		return fmt.Errorf("%s, %d statements: %v requests, want %d", r.name, size, requests, want)
	}
	return nil
}

// tests is how many tests the statements are of, in turn.
const tests = 10

func testOf(i int) string { return fmt.Sprintf("test-%d", i%tests) }

// resultOf is what the i-th statement says. Later statements are of later runs.
func resultOf(i int) intoto.TestResult {
	return intoto.TestResult{Result: intoto.Passed, Timestamp: finished.Add(time.Duration(i) * time.Second),
		Configuration: []intoto.ResourceDescriptor{{Name: testOf(i)}}}
}

// A shelf is an image with statements, in two repositories of its own.
type shelf struct {
	pair
	requests, delay *atomic.Int64 // to the registry, and of each of them
	transport       http.RoundTripper
	resolver        *attest.Resolver
	size            int
	ours            name.Digest // as attest writes them: records, and the .att tag that shows them
	stock           name.Digest // as stock cosign writes them: an .att tag, and bundles
}

// shelves returns a function that returns the shelf of a size, filled the first time. All are in one registry.
func shelves(tb testing.TB) func(tb testing.TB, size int) shelf {
	p, t := must(keys())(tb), NewTransport()
	r := attest.NewResolver(p.verifier, attest.Options{Access: attest.Access{Transport: t}})
	base := shelf{pair: p, requests: new(atomic.Int64), delay: new(atomic.Int64), transport: t, resolver: r}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base.requests.Add(1)
		time.Sleep(time.Duration(base.delay.Load()))
		inner.ServeHTTP(w, r)
	}))
	tb.Cleanup(server.Close)
	filled := map[int]shelf{}
	return func(tb testing.TB, size int) shelf {
		if s, ok := filled[size]; ok {
			return s
		}
		s := base
		s.size = size
		for kind, image := range map[string]*name.Digest{"ours": &s.ours, "stock": &s.stock} {
			path := fmt.Sprintf("%v/%s-%d", server.Listener.Addr(), kind, size)                  // the registry searches all of a repository
			*image = must(PushImage(tb.Context(), must(name.NewRepository(path))(tb), "v1"))(tb) // a tag behind theirs ends a seek
		}
		s.fill(tb)
		filled[size] = s
		return s
	}
}

// fill writes the statements. The .att tags are written once, with the last of them.
func (s shelf) fill(tb testing.TB) {
	public := must(cryptoutils.UnmarshalPEMToPublicKey(s.public))(tb)
	var statements []oci.Signature
	for i := range s.size {
		w := attest.NewWriter(s.signer, attest.Options{Access: attest.Access{Transport: s.transport}, WithoutViews: i < s.size-1})
		must(w.Write(tb.Context(), s.ours, testOf(i), resultOf(i)))(tb)
		payload := must(Statement(s.stock, testOf(i), resultOf(i).Timestamp))(tb)
		envelope := must(s.signer.Sign(tb.Context(), intoto.PayloadType, payload))(tb)
		statements = append(statements, must(StockAttestation(envelope, intoto.TestResultType))(tb))
		b := must(bundle.MakeNewBundle(public, nil, payload, envelope, s.public, nil))(tb)
		need(tb, ociremote.WriteAttestationNewBundleFormat(s.stock, b, intoto.TestResultType, s.remote(tb)))
	}
	att := must(mutate.AppendSignatures(empty.Signatures(), false, statements...))(tb)
	tag := must(ociremote.AttestationTag(s.stock))(tb)
	need(tb, remote.Write(tag, att, remote.WithTransport(s.transport), remote.WithContext(tb.Context())))
}

func (s shelf) remote(tb testing.TB) ociremote.Option {
	return ociremote.WithRemoteOptions(remote.WithTransport(s.transport), remote.WithContext(tb.Context()))
}

// must returns v and fails the test if there is an error: must(f())(t).
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		need(tb, err)
		return v
	}
}

func need(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
