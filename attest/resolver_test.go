package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/strictjson"
)

// "If there are multiple attestations for a given test, Conforma will always use the newest attestation when
// determining if a test has passed."
func TestNewestDecides(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Failed, -2*time.Hour))
		newest := w.write(k, "scan", outcome(intoto.Passed, -time.Minute))
		w.write(k, "scan", outcome(intoto.Failed, -time.Hour))
		w.write(k, "other", outcome(intoto.Failed, 0))
		e := w.mustNewest(k, testResultOf("scan"))
		if e.Problem != nil || e.Tied != nil {
			t.Errorf("problem %v, tied %d", e.Problem, len(e.Tied))
		}
		if e.Result != intoto.Passed || e.Manifest != newest.Digest || e.VerifiedBy != (Identity{"key", "k"}) || e.Clock != ClockPredicate ||
			!e.Time.Equal(attesttest.Noon.Add(-time.Minute)) || e.Image != w.Image || e.Test != testResultOf("scan") {
			t.Errorf("got %+v", e)
		}
		if p, ok := e.Predicate.(intoto.TestResult); !ok || p.Configuration[0].Name != "scan" {
			t.Errorf("predicate %+v", e.Predicate)
		}
	})
}

func TestOlderPassDoesNotReplaceNewerFailure(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Failed, 0))
		w.write(k, "scan", outcome(intoto.Passed, -time.Nanosecond))
		if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed || e.Problem != nil {
			t.Errorf("got %s, %v", e.Result, e.Problem)
		}
	})
}

func TestNewestByAnotherKeyBlocks(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		ours, theirs := newKey(t, "ours"), newKey(t, "theirs")
		w.write(ours, "scan", outcome(intoto.Passed, -time.Hour))
		w.write(theirs, "scan", outcome(intoto.Passed, 0))
		e := w.mustNewest(ours, testResultOf("scan"))
		if v := wantProblem(t, Unverified, e.Problem); v.Manifest != e.Manifest {
			t.Errorf("reason names %s, evidence is in %s", v.Manifest, e.Manifest)
		}
		if e.VerifiedBy != (Identity{}) || e.Result != intoto.Unknown || !e.Time.Equal(attesttest.Noon) {
			t.Errorf("%s by %v at %s", e.Result, e.VerifiedBy, e.Time)
		}
	})
}

// Whoever copies a good statement and signs it with a key of their own takes nothing away from it.
func TestCopyUnderAnotherKeyDoesNotBlock(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		ours, theirs := newKey(t, "ours"), newKey(t, "theirs")
		r := w.write(ours, "scan", outcome(intoto.Passed, 0))
		for range 3 {
			w.write(&key{name: "x", private: theirs.private, salted: true}, "scan", outcome(intoto.Passed, 0))
		}
		w.write(newKey(t, "x"), "scan", outcome(intoto.Passed, 0))
		e := w.mustNewest(ours, testResultOf("scan"))
		if e.Problem != nil || e.Tied != nil || e.VerifiedBy.Name != "ours" || e.Manifest != r.Digest {
			t.Errorf("problem %v, tied %d, by %v, manifest %s", e.Problem, len(e.Tied), e.VerifiedBy, e.Manifest)
		}
	})
}

// Conforma's present practice is a statement that nobody signed. It is seen, so it blocks, but a key does not vouch for
// it.
func TestUnsignedStatementBlocks(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
		raw := w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)
		w.attach(raw, func(m *v1.Manifest) { m.Layers[0].MediaType = intoto.PayloadType })
		e := w.mustNewest(k, testResultOf("scan"))
		wantProblem(t, Unverified, e.Problem)
		if e.Result != intoto.Unknown || !e.Time.Equal(attesttest.Noon) {
			t.Errorf("got %q at %s", e.Result, e.Time)
		}
		if p, ok := e.Predicate.(intoto.TestResult); !ok || p.Result != intoto.Passed {
			t.Errorf("the predicate does not say what it said: %+v", e.Predicate)
		}
	})
}

func TestNoEvidence(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		check := func(why string) {
			if _, err := w.newest(k, testResultOf("scan")); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: got %v", why, err)
			}
		}
		check("nothing there")
		w.write(k, "other", outcome(intoto.Passed, 0))
		check("another test")
		v := vulns(0)
		w.write(k, "scan", v)
		check("another predicate type")
		w.attach(w.sign(k, w.statementOf("https://slsa.dev/provenance/v1", `{"configuration":[{"name":"scan"}]}`)), nil)
		check("a predicate that is no test")
		foreign := strings.ReplaceAll(string(w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)), w.hash().Hex, attesttest.SomeHex)
		w.attach(w.sign(k, []byte(foreign)), nil)
		check("about another image")
		if got := len(w.all(k)); got != 2 {
			t.Errorf("All returns %d, want the two tests", got)
		}
	})
}

const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

func asBundle(m *v1.Manifest) { m.ArtifactType, m.Layers[0].MediaType = bundleType, bundleType }

// What cosign writes by default from version 3 on is found too, and does not spoil the view of those who read the tag.
func TestStatementInABundle(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		envelope := w.sign(k, w.statementOf(intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`))
		w.attach([]byte(`{"mediaType":"`+bundleType+`","dsseEnvelope":`+string(envelope)+`}`), asBundle)
		w.attach([]byte(`{"mediaType":"`+bundleType+`","messageSignature":{"messageDigest":{}}}`), asBundle)
		w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
		e := w.mustNewest(inBundle{k}, testResultOf("scan"))
		if e.Result != intoto.Failed || e.Problem != nil {
			t.Errorf("got %s, %v", e.Result, e.Problem)
		}
		if got := w.attLayers(); len(got) != 1 {
			t.Errorf("the view holds %d, want the envelope alone", len(got))
		}
	})
}

// inBundle verifies the envelope in a bundle.
type inBundle struct{ Verifier }

func (v inBundle) Verify(ctx context.Context, c Candidate) ([]byte, Identity, error) {
	envelope, err := c.Envelope()
	if err != nil {
		return nil, Identity{}, err
	}
	c.MediaType, c.Bytes = intoto.EnvelopeType, envelope
	return v.Verifier.Verify(ctx, c)
}

// Another referrer of the image, such as an SBOM, is nobody's evidence and no obstacle.
func TestOtherReferrersAreLeftAlone(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.attach([]byte("not even JSON"), func(m *v1.Manifest) {
			m.ArtifactType = "application/spdx+json"
			m.Layers[0].MediaType = "application/spdx+json"
		})
		w.Retag(referrers.RecordTag(w.Image, registry.Describe([]byte(sha512Layer), "").Digest), types.OCIManifestSchema1, []byte(sha512Layer))
		for _, payloadType := range []string{"application/vnd.cyclonedx+json", "text/plain"} {
			sbom, _ := k.Sign(t.Context(), payloadType, []byte("not even JSON"))
			w.attach(sbom, nil)
		}
		w.write(k, "scan", outcome(intoto.Passed, 0))
		if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil {
			t.Error(e.Problem)
		}
		if got := w.attLayers(); len(got) != 3 {
			t.Errorf("the view holds %d, want the three envelopes", len(got))
		}
	})
}

// sha512Layer is a manifest with a digest that is fine, only not for what is read here.
const sha512Layer = `{"schemaVersion":2,"layers":[{"mediaType":"application/spdx+json","size":3,"digest":"sha512:aa"}]}`

// in-toto has many names for the two forms of a statement. A newer failure is seen under each.
func TestEveryFormOfAStatementIsSeen(t *testing.T) {
	k := newKey(t, "k")
	const unreadable = "application/vnd.in-toto.bundle"
	for _, media := range []string{
		"application/vnd.in-toto.test-result+dsse", "application/vnd.in-toto+dsse", "application/vnd.in-toto+dsse; charset=utf-8",
		"Application/VND.dsse.envelope.v1+json; x=y", "application/vnd.in-toto+json; charset=utf-8",
		"application/vnd.in-toto.test-result+json", "application/vnd.dev.sigstore.bundle+json;version=0.3", unreadable,
	} {
		t.Run(media, func(t *testing.T) {
			w := newWorld(t, true)
			w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
			b := w.statementOf(intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)
			if !strings.Contains(media, "in-toto") || strings.Contains(media, "+dsse") {
				b = w.sign(k, b)
			}
			if strings.Contains(media, "bundle") {
				b = []byte(`{"dsseEnvelope":` + string(b) + `}`)
			}
			w.attach(b, func(m *v1.Manifest) {
				m.ArtifactType, m.Layers[0].MediaType = "application/example", types.MediaType(media)
			})
			e, err := w.newest(inBundle{k}, testResultOf("scan"))
			if (err != nil) != (media == unreadable) {
				t.Fatal(err)
			}
			if p, ok := e.Predicate.(intoto.TestResult); err == nil && (!ok || p.Result != intoto.Failed) {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// Whatever is there and cannot be read may be the newest failure of any test.
func TestUnreadableBlocks(t *testing.T) {
	k := newKey(t, "k")
	for _, tt := range []struct {
		name   string
		bytes  func(w *world) []byte
		change func(*v1.Manifest)
		limits Limits
		want   string
	}{
		{name: "truncated", bytes: func(w *world) []byte {
			b := w.sign(k, w.statementOf(intoto.TestResultType, `{}`))
			return b[:len(b)/2]
		}, want: "unexpected EOF"},
		{name: "no JSON", bytes: func(*world) []byte { return []byte("hello") }, want: "invalid character"},
		{name: "empty", bytes: func(*world) []byte { return nil }, want: "unexpected EOF"},
		{name: "payload is a number", bytes: func(*world) []byte { return []byte(`{"payload":5}`) }, want: "cannot unmarshal number"},
		{name: "payload twice", bytes: func(*world) []byte {
			return []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","payload":"e30="}`)
		}, want: "given twice"},
		{name: "other payload type", bytes: func(w *world) []byte {
			b, _ := k.Sign(context.Background(), "application/vnd.in-toto.test-result+json", w.statementOf(intoto.TestResultType, `{}`))
			return b
		}, want: "payloadType"},
		{name: "statement is no statement", bytes: func(w *world) []byte { return w.sign(k, []byte(`{}`)) }, want: "subject: required"},
		{name: "predicate type twice", bytes: func(w *world) []byte {
			return w.sign(k, []byte(strings.Replace(string(w.statementOf("a", `{}`)), `{`, `{"predicateType":"b",`, 1)))
		}, want: "given twice"},
		{name: "too deep", bytes: func(w *world) []byte {
			return w.sign(k, w.statementOf(intoto.TestResultType, `{"x":[[[[[[[[1]]]]]]]]}`))
		}, limits: Limits{Depth: 8}, want: "JSON depth: 9 is over the limit of 8"},
		{name: "names no test", bytes: func(w *world) []byte {
			return w.sign(k, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[],"timestamp":"2026-03-01T12:00:00Z"}`))
		}, want: "does not say which test"},
		{name: "name under a case variant", bytes: func(w *world) []byte {
			return w.sign(k, w.statementOf(intoto.TestResultType, `{"result":"PASSED","Configuration":[{"name":"other"}],"timestamp":"2026-03-01T12:00:00Z"}`))
		}, want: "in case only"},
		{name: "oversized", bytes: func(w *world) []byte {
			return w.sign(k, w.statementOf(intoto.TestResultType, `{"x":"`+strings.Repeat("a", 4000)+`"}`))
		}, limits: Limits{EnvelopeBytes: 4000}, want: "envelope bytes: "},
		{name: "declared shorter", bytes: func(w *world) []byte { return w.sign(k, w.statementOf(intoto.TestResultType, `{}`)) },
			change: func(m *v1.Manifest) { m.Layers[0].Size = 100 }, want: "longer than the 100 bytes declared"},
		{name: "declared longer", bytes: func(w *world) []byte { return w.sign(k, w.statementOf(intoto.TestResultType, `{}`)) },
			change: func(m *v1.Manifest) { m.Layers[0].Size++ }, want: "bytes with digest"},
		{name: "blob is gone", bytes: func(w *world) []byte { return nil },
			change: func(m *v1.Manifest) { m.Layers[0].Digest.Hex = attesttest.SomeHex[:62] + "00" }, want: "BLOB_UNKNOWN"},
		{name: "bundle of nothing", bytes: func(*world) []byte { return []byte(`{"dsse_envelope":{}}`) }, change: asBundle, want: "dsseEnvelope: required"},
		{name: "bundle cut off", bytes: func(*world) []byte { return []byte(`{"dsseEnvelope":{`) }, change: asBundle, want: "unexpected EOF"},
		{name: "no layer with a statement", bytes: func(w *world) []byte { return nil },
			change: func(m *v1.Manifest) { m.Layers[0].MediaType = "text/plain" }, want: "none holds a statement"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				w.write(k, "scan", outcome(intoto.Passed, 0))
				h := w.attach(tt.bytes(w), tt.change)
				w.opts.Limits = tt.limits
				_, err := w.newest(k, testResultOf("scan"))
				e := attesttest.As[*CandidateError](t, err)
				if !strings.Contains(err.Error(), tt.want) || e.Manifest != h {
					t.Errorf("got %v, want %q naming manifest %s", err, tt.want, h)
				}
				all := w.all(k)
				if len(all) != 2 || all[0].Problem == nil || all[1].Problem != nil {
					t.Errorf("All returns %d, want the unreadable one first and then the good one", len(all))
				}
				if _, err := w.newest(k, intoto.Test{Name: "scan", PredicateType: intoto.VulnsType}); errors.Is(err, ErrNotFound) != strings.Contains("names no test, name under a case variant", tt.name) {
					t.Errorf("another predicate type: %v", err)
				}
			})
		})
	}
}

// A registry that serves other bytes than were asked for does not get away with it, however well they are signed.
func TestBytesAreCheckedAgainstTheirDigests(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.opts.InlineBytes = -1 // so that blobs are read
		ctx := context.Background()
		k := newKey(t, "k")
		pass, fail := w.write(k, "scan", outcome(intoto.Passed, -time.Hour)), w.write(k, "scan", outcome(intoto.Failed, 0))
		blobs := map[v1.Hash]v1.Descriptor{}
		for _, e := range w.records() {
			blobs[e.Descriptor.Digest] = e.Statements[0]
		}
		good, err := w.repo().Blob(ctx, blobs[pass.Digest])
		if err != nil {
			t.Fatal(err)
		}
		if blobs[pass.Digest].Size != blobs[fail.Digest].Size {
			t.Fatal("the two must be of one size for this test")
		}
		for path, b := range map[string][]byte{
			"/blobs/" + blobs[fail.Digest].Digest.String(): good,
			"/manifests/" + fail.Digest.String():           pass.Bytes,
		} {
			w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, path) {
					return false
				}
				rw.Header().Set("Content-Type", string(types.OCIManifestSchema1))
				_, _ = rw.Write(b)
				return true
			})
			_, err := w.newest(k, testResultOf("scan"))
			if e := attesttest.As[*CandidateError](t, err); e.Manifest != fail.Digest {
				t.Errorf("%s: got %+v", path, e)
			}
		}
	})
}

// A malformed newest predicate whose test can be told blocks that test alone, with its reason.
func TestMalformedNewestBlocksItsTest(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.write(k, "good", outcome(intoto.Passed, 0))
		for name, predicate := range map[string]string{
			"timeless":  `{"result":"PASSED","configuration":[{"name":"timeless"}]}`,
			"garbled":   `{"result":"PASSED","configuration":[{"name":"garbled"}],"timestamp":"0"}`,
			"unknown":   `{"result":"FINE","configuration":[{"name":"unknown"}],"timestamp":"2026-03-01T12:00:00Z"}`,
			"mistyped":  `{"result":5,"configuration":[{"name":"mistyped"}],"timestamp":"2026-03-01T12:00:00Z"}`,
			"two-faced": `{"result":"PASSED","failures":3,"configuration":[{"name":"two-faced"}],"timestamp":"2026-03-01T12:00:00Z"}`,
		} {
			w.write(k, name, outcome(intoto.Passed, -time.Hour))
			w.attach(w.sign(k, w.statementOf(intoto.TestResultType, predicate)), nil)
			e := w.mustNewest(k, testResultOf(name))
			if e.Problem == nil || e.Result != intoto.Unknown || e.VerifiedBy.Name != "k" {
				t.Errorf("%s: %q, problem %v, by %v", name, e.Result, e.Problem, e.VerifiedBy)
			}
		}
		if e := w.mustNewest(k, testResultOf("good")); e.Problem != nil {
			t.Error(e.Problem)
		}
	})
}

func TestFutureIsRefused(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		now := w.opts.Now
		w.write(k, "edge", outcome(intoto.Passed, 5*time.Minute))
		if e := w.mustNewest(k, testResultOf("edge")); e.Problem != nil {
			t.Errorf("within the skew: %v", e.Problem)
		}
		w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
		w.opts.Now = func() time.Time { return attesttest.Noon.Add(time.Hour) } // a writer whose clock is wrong
		w.write(k, "scan", outcome(intoto.Passed, 5*time.Minute+time.Nanosecond))
		w.opts.Now = now
		e := w.mustNewest(k, testResultOf("scan"))
		f := wantProblem(t, Future, e.Problem)
		if !f.Now.Equal(attesttest.Noon) || f.Within != 5*time.Minute || !f.Time.Equal(e.Time) || e.Time.Before(attesttest.Noon) {
			t.Errorf("got %+v", f)
		}
		w.opts.Skew = time.Hour
		if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil {
			t.Error(e.Problem)
		}
	})
}

func TestOfTiedTheWorstCounts(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		at := `"configuration":[{"name":"scan"}],"timestamp":`
		var want []intoto.Result
		for _, r := range []intoto.Result{intoto.Passed, intoto.Warned, intoto.Skipped, intoto.Failed, intoto.Errored} {
			// The same instant, spelled in five ways.
			spelled := map[intoto.Result]string{intoto.Passed: "12:00:00Z", intoto.Warned: "12:00:00.000Z", intoto.Skipped: "13:00:00+01:00", intoto.Failed: "11:30:00-00:30", intoto.Errored: "12:00:00.0Z"}[r]
			w.attach(w.sign(k, w.statementOf(intoto.TestResultType, fmt.Sprintf(`{"result":%q,%s"2026-03-01T%s"}`, r, at, spelled))), nil)
			want = append([]intoto.Result{r}, want...)
			e := w.mustNewest(k, testResultOf("scan"))
			if e.Result != r || e.Problem != nil {
				t.Errorf("with %v: got %s, %v", want, e.Result, e.Problem)
			}
			var got []intoto.Result
			for _, tied := range e.Tied {
				got = append(got, tied.Result)
			}
			if len(want) > 1 && !slices.Equal(got, want) {
				t.Errorf("tied %v, want %v", got, want)
			}
		}
		other := newKey(t, "other")
		w.attach(w.sign(other, w.statementOf(intoto.TestResultType, `{"result":"PASSED",`+at+`"2026-03-01T12:00:00Z","url":"x"}`)), nil)
		if e := w.mustNewest(k, testResultOf("scan")); e.Problem == nil || e.Result != intoto.Unknown || len(e.Tied) != 6 {
			t.Errorf("nobody vouches for one of six: got %s, %v, tied %d", e.Result, e.Problem, len(e.Tied))
		}
	})
}

func TestOfTiedVulnsTheOneWithMoreFindingsLeads(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	for _, ids := range [][]string{{"A"}, {"A", "B", "C"}, {}} {
		w.write(k, "scan", vulns(0, ids...))
	}
	e := w.mustNewest(k, intoto.Test{Name: "scan", PredicateType: intoto.VulnsType})
	if got := e.Predicate.(intoto.Vulns).Scanner.Result; len(got) != 3 || len(e.Tied) != 3 || e.Result != intoto.Unknown {
		t.Errorf("%d findings, tied %d, result %q", len(got), len(e.Tied), e.Result)
	}
}

func TestVulnsWithoutAFieldForItsTestIsNamedAfterTheScanner(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	b, err := json.Marshal(vulns(0))
	if err != nil {
		t.Fatal(err)
	}
	w.attach(w.sign(k, w.statementOf(intoto.VulnsType, string(b))), nil)
	e := w.mustNewest(k, intoto.Test{Name: "pkg:github/aquasecurity/trivy@v0.69.0", PredicateType: intoto.VulnsType})
	if e.Problem != nil || e.Predicate.(intoto.Vulns).Scanner.Result == nil {
		t.Errorf("got %+v", e)
	}
}

// Times are instants: no spelling of them matters. What is written in any order, the newest is found.
func TestNewestIsTheLatestInstant(t *testing.T) {
	resolver := NewResolver(newKey(t, "k"), Options{Now: func() time.Time { return attesttest.Noon }})
	rapid.Check(t, func(rt *rapid.T) {
		offsets := rapid.SliceOfN(rapid.Int64Range(-3, 3), 1, 5).Draw(rt, "half seconds")
		latest := slices.Max(offsets)
		var evidence []Evidence
		for i, o := range offsets {
			at := attesttest.Noon.Add(time.Duration(o) * time.Second / 2).In(time.FixedZone("", rapid.IntRange(-14, 14).Draw(rt, "zone")*3600))
			raw := fmt.Sprintf(`{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":%q,"successes":%d}`, at.Format(time.RFC3339Nano), i)
			e := Evidence{Test: testResultOf("scan"), Statement: &intoto.Statement{}, payload: []byte(raw)}
			e.reading = intoto.ReadPredicate(intoto.TestResultType, json.RawMessage(raw), strictjson.Default)
			resolver.settle(&e)
			evidence = append(evidence, e)
		}
		slices.SortFunc(evidence, compareAge)
		of, _ := group(evidence, testResultOf("scan"))
		young, older := youngest(of)
		count := 0
		for _, o := range offsets {
			if o == latest {
				count++
			}
		}
		if len(young) != count || len(young)+len(older) != len(of) || !young[0].Time.Equal(attesttest.Noon.Add(time.Duration(latest)*time.Second/2)) {
			rt.Fatalf("youngest of %v are %d at %s", offsets, len(young), young[0].Time)
		}
	})
}

func TestAllIsNewestFirst(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		for _, minutes := range []int{3, 1, 4, 1, 5} {
			w.write(k, fmt.Sprint("t", minutes), outcome(intoto.Passed, -time.Duration(minutes)*time.Minute))
		}
		w.attach(w.sign(k, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"timeless"}]}`)), nil)
		var got []string
		for _, e := range w.all(k) {
			got = append(got, e.Test.Name)
			if (e.Problem == nil) != (e.Test.Name != "timeless") || e.VerifiedBy.Name != "k" {
				t.Errorf("%s: %v by %v", e.Test.Name, e.Problem, e.VerifiedBy)
			}
		}
		if diff := cmp.Diff([]string{"timeless", "t1", "t3", "t4", "t5"}, got); diff != "" {
			t.Error(diff)
		}
		for range NewResolver(k, w.opts).All(context.Background(), w.Image) {
			break // must not panic
		}
	})
}

// Each place alone is enough to be found: referrers API or own tag, fallback index, cosign's view.
func TestReaderTakesTheUnion(t *testing.T) {
	ctx := context.Background()
	k := newKey(t, "k")
	drop := func(t *testing.T, w *world, tag string) {
		t.Helper()
		if err := w.repo().Remove(ctx, tag); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		keep string
		find bool
	}{"own tag": {"own", true}, "fallback index": {"index", true}, "view": {"att", true}, "nothing": {"", false}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, false)
			r := w.write(k, "scan", outcome(intoto.Passed, 0))
			for kind, tag := range map[string]string{"own": referrers.RecordTag(w.Image, r.Digest), "index": referrers.TagBase(w.Image), "att": viewTag(w.Image)} {
				if kind != tt.keep {
					drop(t, w, tag)
				}
			}
			e, err := w.newest(k, testResultOf("scan"))
			if (err == nil) != tt.find || err == nil && e.Problem != nil {
				t.Errorf("got %v, %v", err, e.Problem)
			}
			if tt.find && (e.Manifest == r.Digest) != (tt.keep != "att") {
				t.Errorf("found in manifest %s", e.Manifest)
			}
		})
	}
}

// listPages serves the referrers or tags of a registry one at a time, with Link headers.
func (w *world) listPages(part string, link func(next string) string) {
	w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		answer := httptest.NewRecorder()
		w.Inner.ServeHTTP(answer, r)
		if answer.Code != http.StatusOK {
			return false
		}
		var doc map[string]json.RawMessage
		if err := json.NewDecoder(answer.Body).Decode(&doc); err != nil {
			w.T.Error(err)
		}
		field := "manifests"
		if doc[field] == nil {
			field = "tags"
		}
		var items []json.RawMessage
		_ = json.Unmarshal(doc[field], &items)
		slices.SortFunc(items, func(a, b json.RawMessage) int { return strings.Compare(string(a), string(b)) })
		page := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		if page+1 < len(items) {
			rw.Header().Set("Link", link(fmt.Sprintf("%s?page=%d", r.URL.Path, page+1)))
		}
		if page < len(items) {
			doc[field], _ = json.Marshal(items[page : page+1])
		}
		rw.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		_ = json.NewEncoder(rw).Encode(doc)
		return true
	})
}

func TestEveryPageIsRead(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.opts.WithoutViews = true
		for i := range 4 {
			w.write(k, fmt.Sprint("t", i), outcome(intoto.Passed, 0))
		}
		w.listPages("/referrers/", func(next string) string { return `</nowhere>; rel="first", <` + next + `>; rel="next"` })
		if _, err := w.repo().Read(t.Context(), w.Image, referrers.Listing{}, referrers.Lists{Referrers: true}); err != nil {
			t.Fatal(err)
		}
		if !w.Referrers {
			w.listPages("/tags/", func(next string) string { return "<" + next + ">; rel=next" })
		}
		if got := len(w.all(k)); got != 4 {
			t.Errorf("found %d of 4", got)
		}
		w.opts.Limits.Pages = 3
		_, err := w.newest(k, testResultOf("t1"))
		if !w.Referrers { // tags are those of all images, and only time bounds them
			if err != nil {
				t.Error(err)
			}
			return
		}
		if l := attesttest.As[*intoto.LimitError](t, err); l.What != "pages" || l.Limit != 3 {
			t.Errorf("got %+v", l)
		}
	})
}

func TestPageOnAnotherHostIsRefused(t *testing.T) {
	var asked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	defer other.Close()
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "a", outcome(intoto.Passed, 0))
	w.write(k, "b", outcome(intoto.Passed, 0))
	w.listPages("/referrers/", func(next string) string { return "<" + other.URL + next + `>; rel="next"` })
	_, err := w.newest(k, testResultOf("a"))
	if e := attesttest.As[*RegistryError](t, err); e.Op != "list referrers" || asked.Load() {
		t.Errorf("got %+v, other host asked: %v", e, asked.Load())
	}
}

// "A failed listing is an error, never an empty set."
func TestFailedListingIsAnError(t *testing.T) {
	for _, tt := range []struct {
		path string // part of what is asked
		op   string
		with bool // referrers API
	}{
		{"/v2/", "connect", true}, {"/referrers/", "list referrers", true}, {"/tags/list", "list tags", false},
		{"FALLBACK", "read manifest", true}, {"FALLBACK", "read manifest", false}, {".att", "read manifest", true}, {".att", "read manifest", false},
		{"/manifests/sha256:", "read manifest", true}, {".att.", "read manifest", false}, {"/blobs/", "read blob", true}, {"/blobs/", "read blob", false},
	} {
		for _, status := range []int{401, 403, 429, 500, 503} {
			if tt.path == "/v2/" && status < 429 {
				continue // as the answer to a ping they are no failure
			}
			t.Run(fmt.Sprint(tt.path, tt.with, status), func(t *testing.T) {
				w := newWorld(t, tt.with)
				w.opts.InlineBytes = -1 // so that blobs are read
				k := newKey(t, "k")
				w.opts.WithoutViews = tt.path == ".att." // an index would lead to the record without its tag
				w.write(k, "scan", outcome(intoto.Passed, 0))
				w.opts.Attempts = 1
				w.Answers(status, func(r *http.Request) bool {
					switch tt.path {
					case "/v2/":
						return r.URL.Path == tt.path
					case "FALLBACK":
						return strings.HasSuffix(r.URL.Path, referrers.TagBase(w.Image))
					case ".att":
						return strings.HasSuffix(r.URL.Path, ".att")
					}
					return strings.Contains(r.URL.Path, tt.path)
				})
				_, err := w.newest(k, testResultOf("scan"))
				e := attesttest.As[*RegistryError](t, err)
				if e.Status != status || e.Op != tt.op || !strings.HasPrefix(e.Ref, w.Image.Context().Name()) || e.Op == "list tags" && e.Ref != w.Image.Context().Name() || errors.Is(err, ErrNotFound) {
					t.Errorf("got %+v", e)
				}
				for _, err := range NewResolver(k, w.opts).All(context.Background(), w.Image) {
					if err == nil {
						t.Error("All returned evidence")
					}
				}
			})
		}
	}
}

// Some registries hide what a caller may not see behind 404. Then nothing was read, so nothing is known.
func TestHiddenRepositoryIsNotAnEmptyOne(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Failed, 0))
		w.Answers(http.StatusNotFound, func(r *http.Request) bool { return r.URL.Path != "/v2/" })
		if _, err := w.newest(k, testResultOf("scan")); !errors.Is(err, ErrNoImage) || errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRegistryIsDown(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	image, err := name.NewDigest(strings.TrimPrefix(server.URL, "http://") + "/app@sha256:" + attesttest.SomeHex)
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	k := newKey(t, "k")
	_, err = NewResolver(k, Options{}).Newest(context.Background(), image, testResultOf("scan"))
	if e := attesttest.As[*RegistryError](t, err); e.Op != "connect" || e.Status != 0 || e.Ref != image.Context().Name() {
		t.Errorf("got %+v", e)
	}
	_, err = NewWriter(k, Options{}).Write(context.Background(), image, "scan", outcome(intoto.Passed, 0))
	attesttest.As[*RegistryError](t, err)
}

func TestLimits(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		for i := range 4 {
			w.write(k, fmt.Sprint("t", i), outcome(intoto.Passed, 0))
		}
		for _, tt := range []struct {
			limits Limits
			what   string
		}{
			{Limits{Statements: 3}, "statements"},
			{Limits{TotalBytes: 3000}, "total bytes"},
			{Limits{ManifestBytes: 100}, "manifest bytes"},
			{Limits{EnvelopeBytes: 100}, "envelope bytes"},
			{Limits{PageBytes: 100}, "page bytes"},
			{Limits{Depth: 2}, "JSON depth"},
			{Limits{Values: 20}, "JSON values"},
		} {
			w.opts.Limits = tt.limits
			_, err := w.newest(k, testResultOf("t0"))
			if l := attesttest.As[*intoto.LimitError](t, err); l.What != tt.what || l.Got <= l.Limit {
				t.Errorf("%+v: got %v", tt.limits, err)
			}
		}
		w.opts.Limits = Limits{Statements: 4, TotalBytes: 100000, ManifestBytes: 5000, EnvelopeBytes: 1000, Depth: 8}
		if e := w.mustNewest(k, testResultOf("t0")); e.Problem != nil {
			t.Error(e.Problem)
		}
	})
}

// A body that goes on and on is not read to its end.
func TestEndlessBodiesAreCutOff(t *testing.T) {
	for _, part := range []string{"/referrers/", "/manifests/", "/blobs/", "/tags/"} {
		w := newWorld(t, part != "/tags/")
		w.opts.InlineBytes = -1 // so that blobs are read
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, 0))
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, part) {
				return false
			}
			rw.Header().Set("Content-Type", string(types.OCIImageIndex))
			for r.Context().Err() == nil {
				if _, err := io.WriteString(rw, strings.Repeat(" ", 1<<16)); err != nil {
					break
				}
			}
			return true
		})
		w.opts.Limits = Limits{ManifestBytes: 1 << 20, PageBytes: 1 << 20}
		if _, err := w.newest(k, testResultOf("scan")); err == nil {
			t.Errorf("%s: no error", part)
		}
	}
}

// A deadline ends every wait, wherever the registry hangs, even between attempts.
func TestDeadlineIsHonored(t *testing.T) {
	for _, part := range []string{"/v2/", "/referrers/", "/manifests/sha256-", "/manifests/sha256:", "/blobs/sha256:", "/tags/list", "RETRY"} {
		t.Run(part, func(t *testing.T) {
			w := newWorld(t, part != "/tags/list")
			w.opts.InlineBytes = -1 // so that blobs are read
			k := newKey(t, "k")
			w.write(k, "scan", outcome(intoto.Passed, 0))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			w.opts.Backoff = time.Hour
			w.opts.Limits.RequestTime, w.opts.Limits.CallTime = 4*time.Hour, 4*time.Hour // no shorter than the wait
			w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
				switch {
				case part == "RETRY" && strings.Contains(r.URL.Path, "/referrers/"):
					rw.WriteHeader(http.StatusServiceUnavailable)
					time.AfterFunc(10*time.Millisecond, cancel)
					return true
				case part == "/v2/" && r.URL.Path != part, !strings.Contains(r.URL.Path, part):
					return false
				}
				cancel()
				<-r.Context().Done()
				return true
			})
			if _, err := NewResolver(k, w.opts).Newest(ctx, w.Image, testResultOf("scan")); !errors.Is(err, context.Canceled) {
				t.Errorf("resolver: %v", err)
			}
			if _, err := NewWriter(k, w.opts).Write(ctx, w.Image, "scan", outcome(intoto.Failed, 0)); !errors.Is(err, context.Canceled) {
				t.Errorf("writer: %v", err)
			}
		})
	}
}

// slow is a verifier whose context ends while it works.
type slow struct{ cancel func() }

func (s slow) Verify(ctx context.Context, _ Candidate) ([]byte, Identity, error) {
	s.cancel()
	return nil, Identity{}, ctx.Err()
}

func TestDeadlineWhileVerifyingIsNotAVerdict(t *testing.T) {
	w := newWorld(t, true)
	w.write(newKey(t, "k"), "scan", outcome(intoto.Passed, 0))
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := NewResolver(slow{cancel}, w.opts).Newest(ctx, w.Image, testResultOf("scan")); !errors.Is(err, context.Canceled) {
		t.Errorf("Newest: %v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	for e, err := range NewResolver(slow{cancel}, w.opts).All(ctx, w.Image) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("All: %+v, %v", e, err)
		}
	}
}

func TestResolverRefusesOtherDigests(t *testing.T) {
	w := newWorld(t, true)
	_, err := NewResolver(newKey(t, "k"), w.opts).Newest(context.Background(), w.Image.Context().Digest("sha512:"+strings.Repeat("ab", 64)), testResultOf("scan"))
	attesttest.Field(t, err, "image")
}
