package attest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
)

// An attack tries to make a failed test count as passed, or to do harm to whoever looks. It prepares a world in which
// ours is the key that is believed and theirs another one, and may change how it is asked.
type attack struct {
	name   string
	test   string // that is asked for, "scan" if empty
	vulns  bool   // vulns of it are asked for, not its test-result
	do     func(w *world, ours, theirs *key)
	ask    func(w *world, r *Resolver) *Resolver // nil asks as it is
	answer string                                // what must be in the answer
	listed string                                // the same where lists have no annotations to be believed, if it differs
}

// passedBefore puts an older pass there that must not count again.
func passedBefore(w *world, k *key) Record {
	return w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
}

var attacks = []attack{{
	name: "forged newer statement",
	do: func(w *world, ours, theirs *key) {
		w.write(ours, "scan", outcome(intoto.Failed, -time.Hour))
		w.write(theirs, "scan", outcome(intoto.Passed, 0))
	},
	answer: "nobody vouches for the statement",
}, {
	name: "forged newer statement, unverified ones ignored",
	do: func(w *world, ours, theirs *key) {
		w.opts.UnsafeIgnoreUnverified = true
		w.write(ours, "scan", outcome(intoto.Failed, -time.Hour))
		w.write(theirs, "scan", outcome(intoto.Passed, 0))
	},
	answer: "FAILED at 2026-03-01T11:00:00Z by predicate",
}, {
	name: "replayed from another image",
	do: func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(intoto.Failed, -time.Hour))
		payload := bytes.ReplaceAll(w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`),
			[]byte(w.hash().Hex), []byte(attesttest.Coffee.Hex))
		w.attach(w.sign(ours, payload), nil)
	},
	answer: "FAILED at 2026-03-01T11:00:00Z by predicate",
}, {
	name: "provenance copied to another statement", test: "clamav-scan",
	do: func(w *world, ours, _ *key) {
		good := w.unsigned("clamav-scan", outcome(intoto.Failed, -time.Hour))
		w.provenance(ours, good.Digest, provenanceFor(w.T, good.Digest, -time.Hour))
		forged := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
		w.provenance(ours, forged.Digest, provenanceFor(w.T, good.Digest, -time.Hour))
	},
	ask:    byProvenanceOnly,
	answer: "its subjects are not the statement's manifest",
}, {
	name: "provenance signed by another key", test: "clamav-scan",
	do: func(w *world, _, theirs *key) {
		forged := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
		w.provenance(theirs, forged.Digest, provenanceFor(w.T, forged.Digest, 0))
	},
	ask:    byProvenanceOnly,
	answer: "nobody vouches for the statement",
}, {
	name: "provenance of an untrusted task", test: "clamav-scan",
	do: func(w *world, ours, _ *key) {
		r := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
		payload := bytes.ReplaceAll(provenanceFor(w.T, r.Digest, 0), []byte("quay.io/konflux-ci/"), []byte("quay.io/mallory/"))
		w.provenance(ours, r.Digest, payload)
	},
	ask:    byProvenanceOnly,
	answer: `from oci://quay.io/mallory/tekton-catalog/task-clamav-scan`,
}, {
	name: "statement that calls itself another test", test: "clamav-scan",
	do: func(w *world, ours, _ *key) {
		passed := w.unsigned("clamav-scan", outcome(intoto.Passed, -time.Hour))
		w.provenance(ours, passed.Digest, provenanceFor(w.T, passed.Digest, -time.Hour))
		hidden := w.unsigned("another", outcome(intoto.Failed, 0))
		w.provenance(ours, hidden.Digest, provenanceFor(w.T, hidden.Digest, 0))
	},
	ask:    byProvenanceOnly,
	answer: `FAILED at 2026-03-01T12:00:00Z by provenance, declared "another"`,
}, {
	name: "the newest failure handed on by a task of another test",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		failed := w.write(ours, "scan", outcome(intoto.Failed, 0))
		w.provenance(ours, failed.Digest, provenanceFor(w.T, failed.Digest, 0)) // it is trusted, and names its input
	},
	ask:    byKeyOrProvenance,
	answer: `a statement that calls itself "scan" was made by the task "clamav-scan"`,
}, {
	name: "the newest failure handed on by a task that is not trusted",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		failed := w.write(ours, "scan", outcome(intoto.Failed, 0))
		payload := bytes.ReplaceAll(provenanceFor(w.T, failed.Digest, -time.Hour), []byte("quay.io/konflux-ci/"), []byte("quay.io/mallory/"))
		w.provenance(ours, failed.Digest, payload)
	},
	ask:    byKeyOrProvenance,
	answer: "FAILED at 2026-03-01T12:00:00Z by predicate, completeness unproven",
}, {
	name: "backdated rerun", test: "clamav-scan",
	do: func(w *world, ours, _ *key) {
		passed := w.unsigned("clamav-scan", outcome(intoto.Passed, -time.Hour))
		w.provenance(ours, passed.Digest, provenanceFor(w.T, passed.Digest, -time.Hour))
		failed := w.unsigned("clamav-scan", outcome(intoto.Failed, -2*time.Hour))
		w.provenance(ours, failed.Digest, provenanceFor(w.T, failed.Digest, 0))
	},
	ask:    byProvenanceOnly,
	answer: "time 2026-03-01T10:00:00Z is not within the run of its task from 2026-03-01T11:58:00Z to 2026-03-01T12:00:00Z",
}, {
	name: "postdated pass", test: "clamav-scan",
	do: func(w *world, ours, _ *key) {
		w.opts.Clocks = []Clock{ClockPredicate}
		failed := w.unsigned("clamav-scan", outcome(intoto.Failed, -time.Minute))
		w.provenance(ours, failed.Digest, provenanceFor(w.T, failed.Digest, -time.Minute))
		passed := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
		w.provenance(ours, passed.Digest, provenanceFor(w.T, passed.Digest, -time.Hour))
	},
	ask:    byProvenanceOnly,
	answer: "time 2026-03-01T12:00:00Z is not within the run of its task from 2026-03-01T10:58:00Z to 2026-03-01T11:00:00Z",
}, {
	name: "the provenance of the newest failure deleted", test: "clamav-scan",
	do: func(w *world, ours, _ *key) {
		passed := w.unsigned("clamav-scan", outcome(intoto.Passed, -time.Hour))
		w.provenance(ours, passed.Digest, provenanceFor(w.T, passed.Digest, -time.Hour))
		w.unsigned("clamav-scan", outcome(intoto.Failed, 0))
	},
	ask:    byProvenanceOnly,
	answer: "no provenance is attached to the statement's manifest",
}, {
	name: "future date",
	do: func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(intoto.Failed, 0))
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:05:00.000000001Z"}`)), nil)
	},
	answer: "later than 2026-03-01T12:00:00Z and a skew of 5m0s",
}, {
	name: "equal times, mixed verdicts",
	do: func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(intoto.Passed, 0))
		w.write(ours, "scan", outcome(intoto.Failed, 0))
		w.write(ours, "scan", outcome(intoto.Warned, 0))
	},
	answer: "FAILED at 2026-03-01T12:00:00Z by predicate, 3 tied",
}, {
	name: "an offset that sorts later as text",
	do: func(w *world, ours, _ *key) {
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T13:30:00+02:00"}`)), nil)
		w.write(ours, "scan", outcome(intoto.Failed, 0))
	},
	answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
}, {
	name: "a fraction that sorts earlier as text",
	do: func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(intoto.Passed, 0))
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00.5Z"}`)), nil)
	},
	answer: "FAILED at 2026-03-01T12:00:00.5Z by predicate",
}, {
	name: "missing time",
	do: func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(intoto.Failed, 0))
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}]}`)), nil)
	},
	answer: "timestamp: required",
}, {
	name: "newest deleted, nobody knows of it",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		w.remove(w.write(ours, "scan", outcome(intoto.Failed, 0)))
	},
	answer: "PASSED at 2026-03-01T11:00:00Z by predicate, completeness unproven",
}, {
	name: "newest deleted, its run is expected",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		w.remove(w.write(ours, "scan", outcome(intoto.Failed, 0)))
	},
	ask: func(_ *world, r *Resolver) *Resolver {
		return r.Expecting(Expect{Test: "scan", Run: "scan#2", NotBefore: attesttest.Noon.Add(-time.Minute)})
	},
	answer: "the evidence of scan#2 is missing: there is none since 2026-03-01T11:59:00Z",
}, {
	name: "newest deleted, a checkpoint has seen it",
	do: func(w *world, ours, _ *key) {
		w.opts.Checkpoint = checkpoint.Dir(w.T.(*testing.T).TempDir())
		passedBefore(w, ours)
		failed := w.write(ours, "scan", outcome(intoto.Failed, 0))
		if e := w.mustNewest(ours, testResultOf("scan")); e.Result != intoto.Failed {
			w.T.Errorf("at first: %v", e)
		}
		w.remove(failed)
	},
	answer: "evidence of 2026-03-01T12:00:00Z was seen before and is gone",
}, {
	name: "two stores that disagree: the newest is in cosign's tag only",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		envelope := w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`))
		w.stock(envelope)
	},
	answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
}, {
	name: "two stores that disagree: cosign's tag was overwritten",
	do: func(w *world, ours, _ *key) {
		passed := passedBefore(w, ours)
		w.write(ours, "scan", outcome(intoto.Failed, 0))
		var m v1.Manifest
		if err := json.Unmarshal(passed.Bytes, &m); err != nil {
			w.T.Fatal(err)
		}
		m.Layers[0].Annotations[AnnotationCreated] = "2026-03-01T12:04:00Z"
		m.Layers[0].Data = nil
		b, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: m.Config, Layers: m.Layers})
		if err != nil {
			w.T.Fatal(err)
		}
		w.Retag(viewTag(w.Image), types.OCIManifestSchema1, b)
	},
	answer: "annotations.org.opencontainers.image.created",
	listed: "FAILED at 2026-03-01T12:00:00Z by predicate",
}, {
	name: "the registry lists some of the annotations of one manifest alone",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		failed := w.write(ours, "scan", outcome(intoto.Failed, 0))
		if !w.Referrers {
			return
		}
		w.Serves("/referrers/", types.OCIImageIndex, fmt.Sprintf(`{"manifests":[{"digest":%q,"annotations":{"predicateType":%q,
			"io.github.testdag.test":"scan","org.opencontainers.image.created":"2026-03-01T12:00:00Z"}}]}`, failed.Digest, intoto.TestResultType))
	},
	answer: "FAILED at 2026-03-01T12:00:00Z by predicate", // those that it leaves out are no contradiction
}, {
	name: "wrong key",
	do:   func(w *world, _, theirs *key) { w.write(theirs, "scan", outcome(intoto.Passed, 0)) },

	answer: "nobody vouches for the statement",
}, {
	name: "signature stripped",
	do: func(w *world, ours, _ *key) {
		envelope := w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`))
		w.attach(bytes.Replace(envelope, []byte(`"sig":"`), []byte(`"sig":"","was":"`), 1), nil)
	},
	answer: "nobody vouches for the statement",
}, {
	name: "payload type swapped",
	do: func(w *world, ours, _ *key) {
		envelope := w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`))
		w.attach(bytes.Replace(envelope, []byte(intoto.PayloadType), []byte("application/vnd.in-toto.other+json"), 1), nil)
	},
	answer: `payloadType: "application/vnd.in-toto.other+json" is not`,
}, {
	name: "huge layer",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		w.attach(w.sign(ours, []byte(`{}`)), func(m *v1.Manifest) { m.Layers[0].Size, m.Layers[0].Data = 1<<40, nil })
	},
	answer: "foreign bytes: 1099511627776 is over the limit of 268435456",
}, {
	name: "100,000 referrers on one page",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		one := `{"digest":"` + attesttest.Coffee.String() + `"}`
		w.Serves("/referrers/", types.OCIImageIndex, `{"manifests":[`+strings.Repeat(one+",", 99_999)+one+`]}`)
	},
	answer: "is over the limit of",
}, {
	name: "pages in a circle",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			rw.Header().Set("Link", fmt.Sprintf("<%s?page=2>; rel=next", r.URL.Path))
			_, _ = rw.Write([]byte(`{"manifests":[]}`))
			return true
		})
	},
	answer: "pagination loop",
}, {
	name: "gzip that inflates a thousandfold",
	do: func(w *world, ours, _ *key) {
		w.opts.InlineBytes = -1
		w.write(ours, "scan", outcome(intoto.Passed, 0))
		var bomb bytes.Buffer
		z := gzip.NewWriter(&bomb)
		if _, err := z.Write(make([]byte, 64<<20)); err != nil {
			w.T.Fatal(err)
		}
		if err := z.Close(); err != nil {
			w.T.Fatal(err)
		}
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
				return false
			}
			rw.Header().Set("Content-Encoding", "gzip")
			_, _ = rw.Write(bomb.Bytes())
			return true
		})
	},
	answer: "longer than the",
}, {
	name: "a key twice in the envelope",
	do: func(w *world, ours, _ *key) {
		passed := w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)
		envelope := w.sign(ours, passed)
		w.attach(append([]byte(`{"payload":"e30=",`), envelope[1:]...), nil)
	},
	answer: `key "payload" in $: given twice`,
}, {
	name: "a key in another case in the envelope",
	do: func(w *world, ours, _ *key) {
		envelope := w.sign(ours, w.statementOf(intoto.TestResultType, `{}`))
		w.attach(append([]byte(`{"Payload":"`+base64.StdEncoding.EncodeToString([]byte(`{}`))+`",`), envelope[1:]...), nil)
	},
	answer: `key "Payload" in $: differs from "payload" in case only`,
}, {
	name: "a key twice in the statement",
	do: func(w *world, ours, _ *key) {
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"FAILED","result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)), nil)
	},
	answer: `key "result" in $.predicate: given twice`,
}, {
	name: "a key in another case in the statement",
	do: func(w *world, ours, _ *key) {
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"FAILED","Result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)), nil)
	},
	answer: `key "Result" in $: differs from "result" in case only`,
}, {
	name: "a number beyond float64",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z","failures":1e999}`)), nil)
	},
	answer: "cannot unmarshal number 1e999",
}, {
	name: "a registry that stalls",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		w.opts.Limits.RequestTime = 20 * time.Millisecond
		w.Breaks(func(_ http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			<-r.Context().Done()
			return true
		})
	},
	answer: "request milliseconds: 21 is over the limit of 20",
}, {
	name: "a redirect into this machine's own network",
	do: func(w *world, ours, _ *key) {
		w.opts.InlineBytes = -1
		passedBefore(w, ours)
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
				return false
			}
			http.Redirect(rw, r, "http://169.254.169.254/latest/meta-data", http.StatusTemporaryRedirect)
			return true
		})
	},
	answer: "redirected to 169.254.169.254",
}, {
	name: "an answer with another digest",
	do: func(w *world, ours, _ *key) {
		passed := passedBefore(w, ours)
		failed := w.write(ours, "scan", outcome(intoto.Failed, 0))
		w.Serves("/manifests/"+failed.Digest.String(), types.OCIManifestSchema1, string(passed.Bytes))
	},
	answer: "its bytes have digest sha256:",
}, {
	name: "data in the manifest that is not the blob's",
	do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		w.attach(w.sign(ours, []byte(`{}`)), func(m *v1.Manifest) { m.Layers[0].Data = []byte(`{"payload":""}`) })
	},
	answer: "14 bytes with digest sha256:",
}}

// byProvenanceOnly asks with a verifier that believes what ours signed as Chains.
func byProvenanceOnly(w *world, r *Resolver) *Resolver {
	w.T.Helper()
	return NewResolver(byChains(w.T, r.verifier.(*key)), w.opts)
}

// byKeyOrProvenance asks with a verifier that also believes what ours signed itself.
func byKeyOrProvenance(w *world, r *Resolver) *Resolver {
	w.T.Helper()
	return NewResolver(AnyOf(r.verifier, byChains(w.T, r.verifier.(*key))), w.opts)
}

// answerOf tells an answer in a line.
func answerOf(e Evidence, err error) string {
	if err = errors.Join(err, e.Problem); err != nil {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	text := fmt.Sprintf("%s at %s by %s", e.Result, fault.Stamp(e.Time), e.Clock)
	if e.Declared != "" {
		text += fmt.Sprintf(", declared %q", e.Declared)
	}
	if len(e.Tied) > 0 {
		text += fmt.Sprintf(", %d tied", len(e.Tied))
	}
	if e.Completeness == Unproven {
		text += ", completeness unproven"
	}
	return text
}

// What is answered to each attack. Run it with -v to read them.
func TestAttacks(t *testing.T) {
	for _, a := range slices.Concat(attacks, clockAttacks, spellingAttacks, versionAttacks, nameAttacks, memoryAttacks, listAttacks,
		foreignAttacks, cutAttacks, waiverAttacks, formAttacks, tagAttacks, typeAttacks, seamAttacks) {
		t.Run(a.name, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				ours, theirs := newKey(t, "ours"), newKey(t, "theirs")
				a.do(w, ours, theirs)
				want := a.answer
				if a.listed != "" && !w.Referrers {
					want = a.listed
				}
				r := NewResolver(ours, w.opts)
				if a.ask != nil {
					r = a.ask(w, r)
				}
				test := testResultOf("scan")
				if a.test != "" {
					test = testResultOf(a.test)
				}
				if a.vulns {
					test.PredicateType = intoto.VulnsType
				}
				got := answerOf(r.Newest(context.Background(), w.Image, test))
				if !strings.Contains(got, want) {
					t.Errorf("got %s\nwant %s", got, want)
				}
				for _, line := range strings.Split(got, "; ") {
					if again := repeated(line); again != "" {
						t.Errorf("%q twice in %s", again, line)
					}
				}
				t.Log(got)
			})
		})
	}
}
