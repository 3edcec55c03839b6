package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// luring makes a manifest say that it holds a statement of scan of one minute past noon.
func luring(m *v1.Manifest) {
	m.Annotations = map[string]string{
		AnnotationPredicateType: intoto.TestResultType, AnnotationTest: "scan", AnnotationCreated: "2026-03-01T12:01:00Z",
	}
}

// replay attaches an envelope that is there already in a manifest without annotations.
func (w *world) replay(envelope []byte) {
	w.attach(envelope, func(m *v1.Manifest) { m.Annotations, m.Layers[0].Annotations = nil, nil })
}

// A manifest whose annotations promise a newer statement, and that holds none, must not hide the newest failure. Who may
// only add can push it, and beside it the envelope of an older pass without annotations.
func TestAnnotationsThatPromiseWhatIsNotThere(t *testing.T) {
	for name, lure := range map[string]func(w *world, ours *key){
		"no layer": func(w *world, _ *key) {
			w.attach([]byte("x"), func(m *v1.Manifest) {
				luring(m)
				m.ArtifactType, m.Layers = "", []v1.Descriptor{}
			})
		},
		"a layer of another kind": func(w *world, _ *key) {
			w.attach([]byte("x"), func(m *v1.Manifest) {
				luring(m)
				m.ArtifactType, m.Layers[0].MediaType = "application/spdx+json", "text/plain"
			})
		},
		"an index": func(w *world, _ *key) {
			b := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[],"subject":{"mediaType":%q,"digest":%q,"size":1},
				"annotations":{"predicateType":%q,%q:"scan",%q:"2026-03-01T12:01:00Z"}}`, types.OCIImageIndex, types.OCIManifestSchema1,
				w.hash(), intoto.TestResultType, AnnotationTest, AnnotationCreated)
			w.Retag("lure", types.OCIImageIndex, b)
		},
		"a statement about another image": func(w *world, ours *key) {
			w.attach(w.sign(ours, fmt.Appendf(nil, `{"_type":%q,"subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`,
				intoto.StatementType, attesttest.Coffee.Hex, intoto.TestResultType)), luring)
		},
		"a statement of another kind": func(w *world, ours *key) {
			w.attach(w.sign(ours, w.statementOf("https://example.com/other", `{}`)), luring)
		},
		"signed, and no statement": func(w *world, _ *key) {
			w.attach([]byte(`{"payloadType":"text/plain","payload":"","signatures":[]}`), luring)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				ours := newKey(t, "ours")
				passed := passedBefore(w, ours)
				w.write(ours, "scan", outcome(intoto.Failed, 0))
				w.replay(statementIn(passed).Data)
				lure(w, ours)
				for _, tests := range [][]intoto.Test{{testResultOf("scan")}, nil} {
					got, err := NewResolver(ours, w.opts).NewestAll(context.Background(), w.Image, tests...)
					for _, e := range got {
						if e.Problem == nil && e.Result == intoto.Passed {
							t.Errorf("the failure at noon is hidden: %s", answerOf(e, err))
						}
					}
				}
			})
		})
	}
}

// chainsBy is provenance that Chains signed of a task of somebody who may run any task, but none that is trusted.
func (w *world) chainsBy(k *key, at v1.Hash, d time.Duration, replace ...string) {
	w.provenance(k, at, replaced(w.T, provenanceFor(w.T, at, d), replace...))
}

// replaced puts one text for another wherever it is, for each pair.
func replaced(t testing.TB, payload []byte, pairs ...string) []byte {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(payload), pairs[i]) {
			t.Fatalf("no %q in the provenance", pairs[i])
		}
		payload = []byte(strings.ReplaceAll(string(payload), pairs[i], pairs[i+1]))
	}
	return payload
}

// Whoever may run a task in the cluster gets its provenance signed. If nobody trusts the task, it must not move a failure,
// for which a key vouches, to another test.
func TestUntrustedProvenanceRenames(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		ours, chainsKey := newKey(t, "ours"), newKey(t, "chains")
		passedBefore(w, ours)
		failed := w.write(ours, "scan", outcome(intoto.Failed, 0))
		w.chainsBy(chainsKey, failed.Digest, 0, "quay.io/konflux-ci/", "quay.io/mallory/", "clamav-scan", "mine")
		e, err := w.newest(AnyOf(ours, byChains(t, chainsKey)), testResultOf("scan"))
		if e.Problem == nil && e.Result == intoto.Passed {
			t.Errorf("the failure at noon is hidden: %s", answerOf(e, err))
		}
	})
}

// The same with statements that nobody signed: the newest failure waits for its provenance, which is late, and meanwhile
// that of an untrusted task takes it away from the test.
func TestUntrustedProvenanceRenamesWhatWaits(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "chains")
		passed := w.unsigned("clamav-scan", outcome(intoto.Passed, -time.Hour))
		w.provenance(k, passed.Digest, provenanceFor(t, passed.Digest, -time.Hour))
		failed := w.unsigned("clamav-scan", outcome(intoto.Failed, 0))
		w.chainsBy(k, failed.Digest, 0, "quay.io/konflux-ci/", "quay.io/mallory/", `"clamav-scan"`, `"mine"`)
		e, err := w.newest(byChains(t, k), testResultOf("clamav-scan"))
		if e.Problem == nil && e.Result == intoto.Passed {
			t.Errorf("the failure at noon is hidden: %s", answerOf(e, err))
		}
	})
}

// Nor must it make an older pass, for which a key vouches, the newest.
func TestUntrustedProvenanceDates(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		ours, chainsKey := newKey(t, "ours"), newKey(t, "chains")
		passed := w.write(ours, "clamav-scan", outcome(intoto.Passed, -3*time.Minute))
		w.write(ours, "clamav-scan", outcome(intoto.Failed, -time.Minute))
		w.chainsBy(chainsKey, passed.Digest, 0, "quay.io/konflux-ci/", "quay.io/mallory/")
		e, err := w.newest(AnyOf(ours, byChains(t, chainsKey)), testResultOf("clamav-scan"))
		if e.Problem == nil && e.Result == intoto.Passed {
			t.Errorf("the newer failure is hidden: %s", answerOf(e, err))
		}
	})
}

// AnyOf believes what any of several believes.
func TestTwoTrustsOfOneSigner(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "chains")
	r := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
	w.provenance(k, r.Digest, provenanceFor(t, r.Digest, 0))
	other, err := ByProvenance(k, provenance.Trust{Builders: chains.Builders, Tasks: []provenance.TaskRule{{Pattern: "oci://quay.io/others/*"}}})
	if err != nil {
		t.Fatal(err)
	}
	if e := w.mustNewest(AnyOf(byChains(t, k), other), testResultOf("clamav-scan")); e.Problem != nil {
		t.Errorf("the first believes: %v", e.Problem)
	}
	if e := w.mustNewest(AnyOf(other, byChains(t, k)), testResultOf("clamav-scan")); e.Problem != nil {
		t.Errorf("the second believes: %v", e.Problem)
	}
}

// Rules of trust are in force at the time of the question, not at that of the run: a task that is found to be bad today is
// no longer trusted with what it did yesterday, and one that is trusted from today on is.
func TestTrustIsOfTheTimeOfTheQuestion(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "chains")
	r := w.unsigned("clamav-scan", outcome(intoto.Passed, -time.Hour))
	w.provenance(k, r.Digest, provenanceFor(t, r.Digest, -time.Hour))
	for _, tt := range []struct {
		name              string
		effective, expire time.Time
		trusted           bool
	}{
		{"since after the run", attesttest.Noon.Add(-time.Minute), time.Time{}, true},
		{"until after the run", time.Time{}, attesttest.Noon.Add(-time.Minute), false},
	} {
		rule := chains.Tasks[0]
		rule.EffectiveOn, rule.ExpiresOn = tt.effective, tt.expire
		v, err := ByProvenance(k, provenance.Trust{Builders: chains.Builders, Tasks: []provenance.TaskRule{rule}})
		if err != nil {
			t.Fatal(err)
		}
		if e := w.mustNewest(v, testResultOf("clamav-scan")); (e.Problem == nil) != tt.trusted {
			t.Errorf("in force %s: %v", tt.name, e.Problem)
		}
	}
}

// A layer of cosign's tag that is read through a record must still be what its annotations say.
func TestAnnotationsInTheTagOfWhatIsReadElsewhere(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		ours := newKey(t, "ours")
		passed := passedBefore(w, ours)
		w.write(ours, "scan", outcome(intoto.Failed, 0))
		envelope := statementIn(passed).Data
		w.replay(envelope)
		m := w.att()
		for i := range m.Layers {
			if m.Layers[i].Digest == registry.Describe(envelope, "").Digest {
				m.Layers[i].Annotations[AnnotationCreated] = "2026-03-01T12:01:00Z" // nothing is left out
			}
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		w.Retag(viewTag(w.Image), types.OCIManifestSchema1, b)
		e, err := w.newest(ours, testResultOf("scan"))
		if e.Problem == nil && e.Result == intoto.Passed {
			t.Errorf("the failure at noon is hidden: %s", answerOf(e, err))
		}
	})
}

// What no clock tells the time of must not count as newer than a failure, nor as young enough.
func TestNoClockKnowsTheTime(t *testing.T) {
	w := newWorld(t, true)
	w.opts.Clocks = []Clock{ClockProvenance}
	ours, chainsKey := newKey(t, "ours"), newKey(t, "chains")
	w.write(ours, "clamav-scan", outcome(intoto.Passed, -1000*time.Hour))
	w.opts.MaxAge = time.Hour
	if e := w.mustNewest(ours, testResultOf("clamav-scan")); e.Problem == nil {
		t.Errorf("MaxAge is an hour: %s", answerOf(e, nil))
	}
	w.opts.MaxAge = 0
	failed := w.unsigned("clamav-scan", outcome(intoto.Failed, 0))
	w.provenance(chainsKey, failed.Digest, provenanceFor(t, failed.Digest, 0))
	e, err := w.newest(AnyOf(ours, byChains(t, chainsKey)), testResultOf("clamav-scan"))
	if e.Problem == nil && e.Result == intoto.Passed {
		t.Errorf("the failure at noon is hidden: %s", answerOf(e, err))
	}
}

// A pipeline of trusted tasks whose own results, which may be any text, name a record that none of its tasks made.
func TestProvenanceOfWhatNoTaskMade(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "chains")
	forged := w.unsigned("any-test", outcome(intoto.Passed, 0))
	w.provenance(k, forged.Digest, fmt.Appendf(nil, `{"_type":%q,"subject":[{"name":"x","digest":{"sha256":%q}}],"predicateType":%q,
		"predicate":{"builder":{"id":%q},"buildType":"tekton.dev/v1/PipelineRun","metadata":{"buildFinishedOn":"2026-03-01T12:00:00Z"},
		"buildConfig":{"tasks":[{"name":"init","status":"Succeeded",%s,%s}]}}}`,
		intoto.StatementType, forged.Digest.Hex, intoto.ProvenanceTypeV02, chains.Builders[0],
		bundleRef("quay.io/konflux-ci/tekton-catalog/task-init:0.2@sha256:"+strings.Repeat("ab", 32)),
		configSource("quay.io/konflux-ci/tekton-catalog/task-init", "sha256:"+strings.Repeat("ab", 32), "init")))
	e, err := w.newest(byChains(t, k), testResultOf("any-test"))
	if e.Problem == nil && e.Result == intoto.Passed {
		t.Errorf("believed as any-test, although no task made it: %s", answerOf(e, err))
	}
}

// Whoever may push must not be able to block where what is unverified is passed over.
func TestIgnoringUnverifiedOfTheSameInstant(t *testing.T) {
	w := newWorld(t, true)
	w.opts.UnsafeIgnoreUnverified = true
	ours, theirs := newKey(t, "ours"), newKey(t, "theirs")
	w.write(ours, "scan", outcome(intoto.Passed, 0))
	w.write(theirs, "scan", outcome(intoto.Failed, 0))
	if e := w.mustNewest(ours, testResultOf("scan")); e.Problem != nil {
		t.Errorf("the forged one is not passed over: %v", e.Problem)
	}
}

func TestIgnoringUnreadableOfAllTests(t *testing.T) {
	w := newWorld(t, true)
	w.opts.UnsafeIgnoreUnverified = true
	ours := newKey(t, "ours")
	w.write(ours, "scan", outcome(intoto.Passed, 0))
	w.attach([]byte("junk"), nil)
	all, err := NewResolver(ours, w.opts).NewestAll(t.Context(), w.Image)
	for _, e := range all {
		if e.Problem != nil {
			t.Errorf("%+v: %v", e.Test, e.Problem)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// What says that it is a statement of another kind, as a later release may write, promises no evidence.
func TestAnnotationsOfOtherKinds(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		r := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
		w.provenance(k, r.Digest, provenanceFor(t, r.Digest, 0))
		w.attach(w.sign(k, w.statementOf("https://example.com/other", `{}`)), func(m *v1.Manifest) {
			luring(m)
			m.Annotations[AnnotationPredicateType] = "https://example.com/other"
		})
		if e := w.mustNewest(byChains(t, k), testResultOf("clamav-scan")); e.Problem != nil {
			t.Error(e.Problem)
		}
	})
}

// A Verifier that vouches and does not say how is not believed: what is vouched for is told from what is not by that.
type nameless struct{ *key }

func (n nameless) Verify(ctx context.Context, c Candidate) ([]byte, Identity, error) {
	b, _, err := n.key.Verify(ctx, c)
	return b, Identity{}, err
}

func TestVoucherWithoutAKind(t *testing.T) {
	w := newWorld(t, true)
	ours := newKey(t, "ours")
	w.write(ours, "scan", outcome(intoto.Passed, 0))
	e := w.mustNewest(nameless{ours}, testResultOf("scan"))
	wantProblem(t, Unverified, e.Problem)
}

// Without a verifier nothing can be believed, and that is said before anything is read.
func TestNoVerifier(t *testing.T) {
	w := newWorld(t, true)
	_, err := NewResolver(nil, w.opts).Newest(t.Context(), w.Image, testResultOf("scan"))
	attesttest.Field(t, err, "verifier")
	_, err = ByProvenance(nil, chains)
	attesttest.Field(t, err, "signer")
	w.write(newKey(t, "k"), "scan", outcome(intoto.Passed, 0))
	if e := w.mustNewest(AnyOf(nil), testResultOf("scan")); e.Problem == nil {
		t.Error("nobody is somebody")
	}
}

// What was expected of one predicate type says nothing about another.
func TestExpectedOfAnotherPredicateType(t *testing.T) {
	w := newWorld(t, true)
	ours := newKey(t, "ours")
	w.write(ours, "scan", vulns(-time.Hour))
	gone := w.write(ours, "scan", vulns(0, "CVE-1"))
	result := w.write(ours, "scan", outcome(intoto.Passed, 0))
	w.remove(gone)
	r := NewResolver(ours, w.opts).Expecting(Expect{Test: "scan", Records: []v1.Hash{result.Digest}})
	e, err := r.Newest(t.Context(), w.Image, intoto.Test{Name: "scan", PredicateType: intoto.VulnsType})
	if err != nil {
		t.Fatal(err)
	}
	if e.Problem == nil && e.Completeness == Expected {
		t.Errorf("vulns of %s are said to be complete", fault.Stamp(e.Time))
	}
}

// Marks are never removed, so a test that runs often on one image must not come to an end.
func TestCheckpointRepositoryAfterLongUse(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.opts.Limits.Statements = 5
		c := checkpoint.Repository(w.Image.Context(), w.opts.Access)
		for i := range 10 {
			m := checkpoint.Mark{Time: attesttest.Noon.Add(time.Duration(i) * time.Hour), Statements: []v1.Hash{attesttest.Coffee}}
			if err := c.Advance(t.Context(), w.Image, testResultOf("scan"), m); err != nil {
				t.Fatalf("mark %d: %v", i, err)
			}
		}
	})
}

// Chains signs late, and in whole seconds: what was seen by its own time first is not gone when its provenance comes.
func TestCheckpointWhenProvenanceIsLate(t *testing.T) {
	w := newWorld(t, true)
	w.opts.Checkpoint = checkpoint.Dir(t.TempDir())
	ours, chainsKey := newKey(t, "ours"), newKey(t, "chains")
	v := AnyOf(ours, byChains(t, chainsKey))
	passed := w.write(ours, "clamav-scan", outcome(intoto.Passed, 300*time.Millisecond))
	if e := w.mustNewest(v, testResultOf("clamav-scan")); e.Problem != nil {
		t.Fatal(e.Problem)
	}
	w.provenance(chainsKey, passed.Digest, provenanceFor(t, passed.Digest, 0)) // ended at noon and less than a second
	if e := w.mustNewest(v, testResultOf("clamav-scan")); e.Problem != nil {
		t.Errorf("nothing is gone: %v", e.Problem)
	}
}

func TestInliningMoreThanAManifestHolds(t *testing.T) {
	w := newWorld(t, true)
	w.opts.InlineBytes = 16 << 20
	p := outcome(intoto.Passed, 0)
	p.PassedTests = []string{strings.Repeat("x", 3<<20)}
	if _, err := NewWriter(newKey(t, "ours"), w.opts).Write(t.Context(), w.Image, "scan", p); err != nil {
		t.Error(err)
	}
}

// Evidence that was passed over is not there, as far as completeness goes.
func TestExpectedAndIgnored(t *testing.T) {
	w := newWorld(t, true)
	w.opts.UnsafeIgnoreUnverified = true
	ours := newKey(t, "ours")
	passedBefore(w, ours)
	failed := w.unsigned("scan", outcome(intoto.Failed, 0)) // nobody vouches for it yet
	r := NewResolver(ours, w.opts).Expecting(Expect{Test: "scan", Run: "scan#2", Records: []v1.Hash{failed.Digest}})
	e, err := r.Newest(t.Context(), w.Image, testResultOf("scan"))
	if err != nil {
		t.Fatal(err)
	}
	if e.Problem == nil && e.Completeness == Expected {
		t.Errorf("the evidence of scan#2 was passed over: %s", answerOf(e, nil))
	}
}

// An image with a failure must not look like one that was never tested.
func TestAnnotationsThatEmptyTheAnswer(t *testing.T) {
	w := newWorld(t, true)
	ours := newKey(t, "ours")
	w.write(ours, "scan", outcome(intoto.Failed, 0))
	w.attach([]byte("x"), func(m *v1.Manifest) {
		luring(m)
		m.ArtifactType, m.Layers = "", []v1.Descriptor{}
	})
	all, err := NewResolver(ours, w.opts).NewestAll(t.Context(), w.Image)
	if err == nil && len(all) == 0 {
		t.Error("no evidence and no error")
	}
}

// Annotations that somebody else wrote must not make the views too large for everybody.
func TestViewsOfLargeAnnotations(t *testing.T) {
	one := map[string]string{"x": strings.Repeat("x", 3<<20)}
	many := map[string]string{}
	for i := range 200 {
		many[fmt.Sprint("dev.sigstore.", i)] = strings.Repeat("x", 16<<10)
	}
	for name, large := range map[string]map[string]string{"one": one, "many": many} {
		for _, place := range []string{"layer", "manifest"} {
			eachRegistry(t, func(t *testing.T, w *world) {
				ours := newKey(t, "ours")
				for i := range 2 {
					w.attach(w.sign(ours, w.statementOf("https://example.com/other", fmt.Sprintf(`{"i":%d}`, i))), func(m *v1.Manifest) {
						m.Layers[0].Data = nil
						if place == "layer" {
							m.Layers[0].Annotations = large
						} else {
							m.Annotations = large
						}
					})
				}
				if _, err := NewWriter(ours, w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Passed, 0)); err != nil {
					t.Errorf("%s in the %s: %v", name, place, err)
				}
			})
		}
	}
}

// Options.Parallel is how many requests are in flight at once.
func TestParallelWithProvenance(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "chains")
		for i := range 12 {
			w.unsigned("clamav-scan", outcome(intoto.Passed, -time.Duration(i)*time.Minute))
		}
		w.opts.Parallel = 4
		var mu sync.Mutex
		var now, most int
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(5 * time.Millisecond)
			w.Inner.ServeHTTP(rw, r)
			mu.Lock()
			now--
			mu.Unlock()
			return true
		})
		_, _ = w.newest(byChains(t, k), testResultOf("clamav-scan"))
		if most > 4 {
			t.Errorf("%d requests at once", most)
		}
	})
}

// Nor must it turn the pass of one test, for which a key vouches, into the pass of another.
func TestUntrustedProvenanceTurnsOneTestIntoAnother(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		ours, chainsKey := newKey(t, "ours"), newKey(t, "chains")
		w.write(ours, "clamav-scan", outcome(intoto.Failed, -time.Minute))
		lint := w.write(ours, "lint", outcome(intoto.Passed, -time.Minute))
		w.chainsBy(chainsKey, lint.Digest, 0, "quay.io/konflux-ci/", "quay.io/mallory/")
		e, err := w.newest(AnyOf(ours, byChains(t, chainsKey)), testResultOf("clamav-scan"))
		if e.Problem == nil && e.Result == intoto.Passed {
			t.Errorf("lint passed, clamav-scan failed: %s, vouched for by %v", answerOf(e, err), e.VerifiedBy)
		}
	})
}

// Repair says that there is no image, as it is documented to.
func TestRepairWithoutAnImage(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		err := NewWriter(newKey(t, "ours"), w.opts).Repair(t.Context(), w.Image.Context().Digest(attesttest.Coffee.String()))
		if !errors.Is(err, ErrNoImage) {
			t.Errorf("got %v", err)
		}
	})
}

// What is wrong with arguments and options is said at once, each by its name, and before anything is read.
func TestArgumentsAreChecked(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.Requests = nil
	for _, name := range []string{"", " scan", "scan\n", "a\x00b", "\xff", strings.Repeat("x", 513)} {
		_, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, name, outcome(intoto.Passed, 0))
		attesttest.Field(t, err, "test")
		_, err = NewResolver(k, w.opts).NewestAll(t.Context(), w.Image, testResultOf("scan"), testResultOf(name))
		attesttest.Field(t, err, "tests[1].Name")
		_, err = NewResolver(k, w.opts).Expecting(Expect{Test: name}).NewestAll(t.Context(), w.Image)
		attesttest.Field(t, err, "runs[0].Test")
	}
	_, err := NewResolver(k, w.opts).Expecting(Expect{Test: "scan", Records: []v1.Hash{attesttest.Coffee, {}}}).NewestAll(t.Context(), w.Image)
	attesttest.Field(t, err, "runs[0].Records[1]")
	w.opts.MaxAge, w.opts.Skew, w.opts.Parallel, w.opts.Limits.Statements = -1, -1, -1, -1
	want := []string{"Options.Parallel", "Options.Limits.Statements", "Options.Skew", "Options.MaxAge"}
	_, err = NewResolver(k, w.opts).Newest(t.Context(), w.Image, testResultOf("scan"))
	attesttest.Field(t, err, want...)
	_, err = NewWriter(k, w.opts).Write(t.Context(), w.Image, "", outcome(intoto.Passed, 0))
	attesttest.Field(t, err, append([]string{"test"}, want...)...)
	if _, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, strings.Repeat("ü", 256), outcome(intoto.Passed, 0)); err == nil {
		t.Error("negative options")
	}
	attesttest.Field(t, NewWriter(k, w.opts).Repair(t.Context(), name.Digest{}), "image")
	if len(w.Requests) > 0 {
		t.Errorf("asked the registry: %q", w.Requests)
	}
	if _, err := checkpoint.Dir("").Seen(t.Context(), w.Image, testResultOf("scan")); err == nil {
		t.Error("a checkpoint in no directory")
	}
}

// What only says that it is of a test is no step back in the test that it is of.
func TestDeclaredTestIsNotRemembered(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.opts.Checkpoint = checkpoint.Dir(t.TempDir())
	for i, test := range []string{"scan", "clamav-scan"} {
		at := time.Duration(i-1) * time.Hour
		r := w.unsigned(test, outcome(intoto.Passed, at))
		w.provenance(k, r.Digest, provenanceFor(t, r.Digest, at))
	}
	if e := w.mustNewest(byChains(t, k), testResultOf("clamav-scan")); e.Problem != nil || e.Result != intoto.Passed {
		t.Errorf("the test that both are of: %s, %v", e.Result, e.Problem)
	}
	e := w.mustNewest(byChains(t, k), testResultOf("scan"))
	wantProblem(t, Misnamed, e.Problem)
	if errors.Is(e.Problem, RolledBack) || e.Result != intoto.Unknown {
		t.Errorf("got %s, %v", e.Result, e.Problem)
	}
}

func bundleRef(bundle string) string {
	return `"ref":{"resolver":"bundles","params":[{"name":"bundle","value":"` + bundle + `"}]}`
}

func configSource(uri, digest, entryPoint string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return fmt.Sprintf(`"invocation":{"configSource":{"uri":%q,"digest":{%q:%q},"entryPoint":%q}}`, uri, algorithm, hex, entryPoint)
}
