package registries

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	sigstore "github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci/mutate"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
)

var (
	rounds     = flag.Int("rounds", 20, "how `often` 16 writers write at once, for each registry")
	slowRounds = flag.Int("slow-rounds", 5, "the same with a delay in each request")
)

const (
	writers = 16
	delay   = 20 * time.Millisecond
)

// finished is when every test ended. The set of statements counts here, and not their order.
var finished = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const password = "correct horse"

// A pair is a cosign key pair.
type pair struct {
	private, public []byte
	signer          intoto.Signer
	verifier        attest.Verifier
}

// Making and decrypting a private key is slow on purpose, so there is one.
var keys = sync.OnceValues(func() (p pair, err error) {
	if p.private, p.public, err = cosign.GenerateKey([]byte(password)); err != nil {
		return p, err
	}
	if p.signer, err = cosign.LoadSigner(p.private, []byte(password)); err != nil {
		return p, err
	}
	p.verifier, err = cosign.LoadVerifier(p.public)
	return p, err
})

// A bench is a registry, and how it is reached.
type bench struct {
	*testing.T
	pair
	server    *server
	transport http.RoundTripper
}

func newBench(t *testing.T, s *server, delay time.Duration) bench {
	p, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	inner := NewTransport()
	t.Cleanup(inner.CloseIdleConnections)
	b := bench{t, p, s, inner}
	if delay > 0 {
		b.transport = delayed{inner, delay}
	}
	return b
}

func (b bench) push(tag string) name.Digest {
	image, err := PushImage(b.Context(), b.server.repository(b.T, "team/app"), tag)
	if err != nil {
		b.Fatal(err)
	}
	return image
}

func (b bench) write(image name.Digest, test string) error {
	_, err := attest.NewWriter(b.signer, attest.Options{Access: attest.Access{Transport: b.transport}}).Write(b.Context(), image, test,
		intoto.TestResult{Result: intoto.Passed, Timestamp: finished})
	return err
}

// append has stock cosign show a test as passed.
func (b bench) append(image name.Digest, test string) error {
	payload, err := Statement(image, test, finished)
	if err != nil {
		return err
	}
	return b.attach(image, intoto.TestResultType, payload)
}

// attach does what cosign attest does: it reads the .att tag, adds one layer, and writes the tag.
func (b bench) attach(image name.Digest, predicateType string, payload []byte) error {
	envelope, err := b.signer.Sign(b.Context(), intoto.PayloadType, payload)
	if err != nil {
		return err
	}
	statement, err := StockAttestation(envelope, predicateType)
	if err != nil {
		return err
	}
	opts := b.stock()
	entity, err := mutate.AttachAttestationToEntity(ociremote.SignedUnknown(image, opts), statement)
	if err != nil {
		return err
	}
	return ociremote.WriteAttestations(image.Context(), entity, opts)
}

func (b bench) stock() ociremote.Option {
	return ociremote.WithRemoteOptions(remote.WithTransport(b.transport), remote.WithContext(b.Context()))
}

// atOnce has all writers write to one image, and returns the tests that were written.
func (b bench) atOnce(write func(name.Digest, string) error, image name.Digest) set {
	begin := make(chan struct{})
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			<-begin
			errs[i] = write(image, testName(i))
		})
	}
	close(begin)
	wg.Wait()
	written := set{}
	for i, err := range errs {
		if err != nil {
			b.Logf("%s: %v", testName(i), err)
			continue
		}
		written[testName(i)] = true
	}
	return written
}

func testName(i int) string { return fmt.Sprintf("scan-%02d", i) }

// everyone returns the tests that all writers together write.
func everyone() set {
	all := set{}
	for i := range writers {
		all[testName(i)] = true
	}
	return all
}

// A set holds names of tests.
type set map[string]bool

func (s set) names() []string { return slices.Sorted(maps.Keys(s)) }

// recorded reads the record of image, without the views.
func (b bench) recorded(image name.Digest) set {
	b.Helper()
	found, err := b.resolve(image, blind{b.transport, image})
	if err != nil {
		b.Fatal(err)
	}
	return found
}

// resolve reads everything about image. That somebody does not vouch for a statement is an error here.
func (b bench) resolve(image name.Digest, t http.RoundTripper) (set, error) {
	found := set{}
	for e, err := range attest.NewResolver(b.verifier, attest.Options{Access: attest.Access{Transport: t}}).All(b.Context(), image) {
		if err = errors.Join(err, e.Err()); err != nil {
			return nil, err
		}
		found[e.Test.Name] = true
	}
	return found, nil
}

// shown has stock cosign verify what is in the .att tag of image.
func (b bench) shown(image name.Digest) set {
	b.Helper()
	checks, err := Checks(b.public, b.stock())
	if err != nil {
		b.Fatal(err)
	}
	good, _, err := sigstore.VerifyImageAttestations(b.Context(), image, checks)
	var none *sigstore.ErrNoMatchingAttestations
	if err != nil && !errors.As(err, &none) {
		b.Fatal(err)
	}
	found := set{}
	for _, g := range good {
		envelope, err := g.Payload()
		if err != nil {
			b.Fatal(err)
		}
		r, err := Outcome(envelope)
		if err != nil {
			b.Fatal(err)
		}
		found[r.Configuration[0].Name] = true
	}
	return found
}

// A row is what was counted on one registry.
type row struct {
	registry              string
	delay                 time.Duration
	writes                int
	written, record, view int
	claimed, kept         int // by stock cosign
	took                  time.Duration
}

// Sixteen writers to one image at once lose nothing: not in the record, and not in the tag that stock cosign reads.
func TestConcurrentWritersLoseNothing(t *testing.T) {
	var rows []row
	each(t, func(t *testing.T, k kind) {
		s := k.start(t)
		rows = append(rows,
			newBench(t, s, 0).contend(row{registry: k.name}, *rounds),
			newBench(t, s, delay).contend(row{registry: k.name, delay: delay}, *slowRounds))
	})
	t.Logf("\n%s", table(rows))
}

// contend has ours and stock cosign write in so many rounds, each to an image of its own, and fills in the row.
func (b bench) contend(r row, rounds int) row {
	all := everyone()
	for i := range rounds {
		image := b.push(fmt.Sprintf("ours-%v-%d", r.delay, i))
		begin := time.Now()
		written := b.atOnce(b.write, image)
		r.took += time.Since(begin)
		record, view := b.recorded(image), b.shown(image)
		b.same("written", all, written)
		b.same("in the record", all, record)
		b.same("in the .att tag", all, view)
		r.writes += writers
		r.written, r.record, r.view = r.written+len(written), r.record+len(record), r.view+len(view)

		image = b.push(fmt.Sprintf("stock-%v-%d", r.delay, i))
		r.claimed += len(b.atOnce(b.append, image))
		r.kept += len(b.shown(image))
	}
	return r
}

func (b bench) same(what string, want, got set) {
	b.Helper()
	if diff := cmp.Diff(want.names(), got.names()); diff != "" {
		b.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| registry | delay | writes | written | in the record | in .att | ms for 16 | stock cosign: written | kept |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		mean := r.took.Milliseconds() * writers / int64(max(1, r.writes))
		fmt.Fprintf(&b, "| %s | %v | %d | %d | %d | %d | %d | %d | %d |\n",
			r.registry, r.delay, r.writes, r.written, r.record, r.view, mean, r.claimed, r.kept)
	}
	return b.String()
}
