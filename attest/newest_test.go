package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// What annotations show to be older, or of another test, is not read; neither is what is read twice.
func TestNewestReadsNoMoreThanItMust(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		for i := range 12 {
			w.write(k, fmt.Sprint("test-", i%3), outcome(intoto.Passed, -time.Duration(i)*time.Minute))
		}
		w.write(k, "test-0", vulns(0))
		r := NewResolver(k, w.opts)
		w.Gets()
		for _, tt := range []struct {
			name  string
			tests []intoto.Test
			want  int // manifests
		}{
			{"one", []intoto.Test{testResultOf("test-1")}, 1},
			{"three", []intoto.Test{testResultOf("test-0"), testResultOf("test-1"), testResultOf("test-2")}, 3},
			{"the newest of all", nil, 4},
			{"what is not there", []intoto.Test{testResultOf("test-3")}, 0},
		} {
			if _, err := r.NewestAll(t.Context(), w.Image, tt.tests...); err != nil {
				t.Fatal(err)
			}
			if !w.Referrers {
				tt.want = 13 // its lists can be rewritten, so nothing they say is believed
			}
			if manifests, blobs := w.Gets(); manifests != tt.want || blobs != 0 {
				t.Errorf("%s: read %d manifests and %d blobs, want %d and none", tt.name, manifests, blobs, tt.want)
			}
		}
		if got := len(w.all(k)); got != 13 {
			t.Errorf("found %d of 13", got)
		}
		if manifests, blobs := w.Gets(); manifests != 13 || blobs != 0 {
			t.Errorf("all: read %d manifests and %d blobs", manifests, blobs)
		}
	})
}

// Hints that name a predicate type without a reader rule a document out: it cannot be evidence. An SBOM is many megabytes,
// and one that the registry has lost must not block a test.
func TestHintsOfOtherTypesAreNotFollowed(t *testing.T) {
	const sbom = "https://spdx.dev/Document"
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.opts.WithoutViews = true
	w.write(k, "scan", outcome(intoto.Passed, 0))
	complete := map[string]string{AnnotationPredicateType: sbom, AnnotationTest: "scan", AnnotationCreated: attesttest.Noon.Format(time.RFC3339)}
	for i, annotations := range []map[string]string{{AnnotationPredicateType: sbom}, complete} {
		w.attach(fmt.Append(nil, i), func(m *v1.Manifest) { m.Annotations = annotations })
		lost := registry.Describe(fmt.Append(nil, "lost", i), intoto.EnvelopeType)
		lost.Annotations = annotations
		w.showOnly(lost)
		for _, tests := range [][]intoto.Test{nil, {testResultOf("scan")}} {
			w.Gets()
			all, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image, tests...)
			if err != nil || len(all) != 1 || all[0].Result != intoto.Passed {
				t.Errorf("%d: asked for %v: got %+v, %v", i, tests, all, err)
			}
			if manifests, blobs := w.Gets(); manifests != 1 || blobs != 0 {
				t.Errorf("%d: asked for %v: read %d manifests and %d blobs, want the record alone", i, tests, manifests, blobs)
			}
		}
	}
}

// showOnly makes cosign's tag list these layers, which the registry need not have.
func (w *world) showOnly(layers ...v1.Descriptor) {
	w.T.Helper()
	b, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: registry.Describe([]byte(registry.EmptyConfig), registry.EmptyConfigType), Layers: layers,
	})
	if err != nil {
		w.T.Fatal(err)
	}
	w.Retag(viewTag(w.Image), types.OCIManifestSchema1, b)
}

// Statements in cosign's tag are counted before any is fetched: any user who may push sets how many it lists, and the
// registry need not list one of them itself.
func TestStatementsInTheViewAreCounted(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		for i := range 3 {
			payload, err := encode(w.Image, fmt.Sprint("scan", i), outcome(intoto.Passed, 0))
			if err != nil {
				t.Fatal(err)
			}
			w.stock(w.sign(k, payload))
		}
		w.opts.Limits.Statements = 3
		if got := len(w.all(k)); got != 3 {
			t.Errorf("found %d, want as many as the limit allows", got)
		}
		w.opts.Limits.Statements = 2
		w.Gets()
		_, err := w.newest(k, testResultOf("scan0"))
		if l := attesttest.As[*intoto.LimitError](t, err); l.What != "statements" || l.Limit != 2 || l.Got != 3 {
			t.Errorf("got %v", l)
		}
		if _, blobs := w.Gets(); blobs != 0 {
			t.Errorf("fetched %d statements", blobs)
		}
	})
}

// However statements are written and annotated, by whom and in which order, passing over some of them by annotations
// gives the same answer as reading everything.
func TestAnnotationsChangeNoAnswer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rapid.Bool().Draw(rt, "referrers API"))
		ours, theirs := newKey(t, "ours"), newKey(t, "theirs")
		for i := range rapid.IntRange(1, 6).Draw(rt, "statements") {
			label := fmt.Sprint(i)
			k := rapid.SampledFrom([]*key{ours, ours, theirs}).Draw(rt, "key"+label)
			test := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "test"+label)
			at := time.Duration(rapid.IntRange(-3, 0).Draw(rt, "time"+label)) * time.Second
			p := outcome(rapid.SampledFrom([]intoto.Result{intoto.Passed, intoto.Failed}).Draw(rt, "result"+label), at)
			switch rapid.SampledFrom([]string{"record", "cosign", "other"}).Draw(rt, "where"+label) {
			case "record":
				w.write(k, test, p)
			case "cosign":
				payload, err := encode(w.Image, test, p)
				if err != nil {
					rt.Fatal(err)
				}
				w.stock(w.sign(k, payload))
			case "other":
				payload, err := encode(w.Image, test, p)
				if err != nil {
					rt.Fatal(err)
				}
				w.attach(w.sign(k, payload), nil)
			}
		}
		r := NewResolver(ours, w.opts)
		for _, test := range []intoto.Test{testResultOf("a"), testResultOf("b")} {
			few, err := r.Newest(t.Context(), w.Image, test)
			every, everyErr := newestOfAll(r, w, test)
			if diff := cmp.Diff(answerOf(every, everyErr), answerOf(few, err)); diff != "" || every.Manifest != few.Manifest && every.Tied == nil && !errors.Is(err, ErrNotFound) {
				rt.Fatalf("%s: %s (in %s, want %s)", test.Name, diff, few.Manifest, every.Manifest)
			}
		}
	})
}

func newestOfAll(r *Resolver, w *world, test intoto.Test) (Evidence, error) {
	all, _, err := r.collect(context.Background(), w.Image, question{everyAge: true, noHints: true})
	if err != nil {
		return Evidence{}, err
	}
	slices.SortFunc(all, compareAge)
	e, err := r.answer(context.Background(), Evidence{Image: w.Image, Test: test}, all, nil)
	if err == nil && e.Statement == nil {
		err, e = e.Problem, Evidence{}
	}
	return e, err
}

// Each annotation that led to a statement must be true.
func TestAnnotationsThatLieBlock(t *testing.T) {
	for _, tt := range []struct{ annotation, lie string }{
		{AnnotationTest, "scan"},
		{AnnotationPredicateType, intoto.TestResultType},
		{AnnotationCreated, "2026-03-01T12:00:00.1Z"}, // others seem older than they are
		{AnnotationCreated, "2026-03-01T11:59:59Z"},   // it hides behind whatever is newer than that
	} {
		w := newWorld(t, true)
		k := newKey(t, "k")
		other := outcome(intoto.Passed, 0)
		payload, err := encode(w.Image, "scan", other)
		if tt.annotation == AnnotationTest {
			payload, err = encode(w.Image, "other", other)
		}
		if tt.annotation == AnnotationPredicateType {
			payload, err = encode(w.Image, "scan", vulns(0))
		}
		if err != nil {
			t.Fatal(err)
		}
		w.attach(w.sign(k, payload), func(m *v1.Manifest) {
			m.Annotations = map[string]string{
				AnnotationTest: "scan", AnnotationPredicateType: intoto.TestResultType, AnnotationCreated: "2026-03-01T12:00:00Z",
				AnnotationEnvelope: m.Layers[0].Digest.String(), AnnotationPayload: registry.Describe(payload, "").Digest.String(),
			}
			m.Annotations[tt.annotation] = tt.lie
		})
		_, err = w.newest(k, testResultOf("scan"))
		attesttest.Field(t, attesttest.As[*CandidateError](t, err), "annotations."+tt.annotation)
	}
}

// What other tools annotate is no hint about time: they write there when they pushed.
func TestAnnotationsOfOthers(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
		payload := w.statementOf(intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)
		w.attach(w.sign(k, payload), func(m *v1.Manifest) {
			m.Annotations = map[string]string{annotationBundleType: intoto.TestResultType, AnnotationCreated: "2020-01-01T00:00:00Z"}
		})
		if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
			t.Errorf("got %s, %v", e.Result, e.Problem)
		}
	})
}

// Hints that name a test and no time say nothing about age. The statement is read, since it may be the newest.
func TestHintsWithoutATime(t *testing.T) {
	for _, created := range []string{"", "yesterday"} {
		w := newWorld(t, true)
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
		payload, err := encode(w.Image, "scan", outcome(intoto.Failed, 0))
		if err != nil {
			t.Fatal(err)
		}
		w.attach(w.sign(k, payload), func(m *v1.Manifest) {
			m.Annotations = map[string]string{AnnotationPredicateType: intoto.TestResultType, AnnotationTest: "scan", AnnotationCreated: created}
		})
		for _, tests := range [][]intoto.Test{nil, {testResultOf("scan")}} {
			all, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image, tests...)
			if err != nil || len(all) != 1 || all[0].Result != intoto.Failed {
				t.Errorf("created %q, asked for %v: got %+v, %v", created, tests, all, err)
			}
		}
	}
}

func TestNewestsOfWhatCannotBeRead(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, 0))
		w.attach([]byte(`{`), nil)
		all, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image)
		if err != nil || len(all) != 2 {
			t.Fatalf("got %d, %v", len(all), err)
		}
		for _, e := range all {
			attesttest.As[*CandidateError](t, e.Problem)
			if e.Statement != nil || e.Result != intoto.Unknown {
				t.Errorf("got %+v", e)
			}
		}
		w.opts.UnsafeIgnoreUnverified = true
		if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Passed || e.Problem != nil {
			t.Errorf("ignored: %s, %v", e.Result, e.Problem)
		}
	})
}

// Ignoring the unverified goes back to the newest that is verified, and no further.
func TestUnsafeIgnoreUnverified(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		ours, theirs := newKey(t, "ours"), newKey(t, "theirs")
		w.opts.UnsafeIgnoreUnverified = true
		w.write(theirs, "scan", outcome(intoto.Passed, -time.Hour))
		if e := w.mustNewest(ours, testResultOf("scan")); e.Problem == nil {
			t.Error("nobody vouches for the only one")
		}
		w.write(ours, "scan", outcome(intoto.Passed, -3*time.Hour))
		w.write(ours, "scan", outcome(intoto.Failed, -2*time.Hour))
		w.write(theirs, "scan", outcome(intoto.Passed, -time.Minute))
		w.attach(w.sign(theirs, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2027-01-01T00:00:00Z"}`)), nil)
		if e := w.mustNewest(ours, testResultOf("scan")); e.Result != intoto.Failed || !e.Time.Equal(attesttest.Noon.Add(-2*time.Hour)) || e.Problem != nil {
			t.Errorf("got %s of %s, %v", e.Result, e.Time, e.Problem)
		}
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2027-01-01T00:00:00Z"}`)), nil)
		if e := w.mustNewest(ours, testResultOf("scan")); e.Result != intoto.Unknown {
			t.Errorf("a verified one of the future: %s", e.Result)
		}
	})
}

func TestMaxAge(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
	w.opts.MaxAge = time.Hour
	if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Result != intoto.Passed {
		t.Errorf("just as old as it may be: %v", e.Problem)
	}
	w.opts.MaxAge = time.Hour - 1
	e := w.mustNewest(k, testResultOf("scan"))
	if age := wantProblem(t, Aged, e.Problem); !age.Time.Equal(attesttest.Noon.Add(-time.Hour)) || e.Result != intoto.Unknown {
		t.Errorf("got %v, %s", age, e.Result)
	}
}

// The first clock that knows the time decides, and the answer says which it was.
func TestClocks(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	r := w.unsigned("clamav-scan", outcome(intoto.Passed, -time.Minute))
	w.provenance(k, r.Digest, provenanceFor(t, r.Digest, 0))
	for _, tt := range []struct {
		clocks []Clock
		want   Clock
		at     time.Time
	}{
		{nil, ClockProvenance, attesttest.Noon},
		{[]Clock{ClockPredicate, ClockProvenance}, ClockPredicate, attesttest.Noon.Add(-time.Minute)},
		{[]Clock{ClockPredicate}, ClockPredicate, attesttest.Noon.Add(-time.Minute)},
	} {
		w.opts.Clocks = tt.clocks
		e := w.mustNewest(byChains(t, k), testResultOf("clamav-scan"))
		if e.Clock != tt.want || !e.Time.Equal(tt.at) || e.Problem != nil || e.VerifiedBy != (Identity{"provenance", "k"}) || e.Provenance == nil {
			t.Errorf("%v: %s by %s, %v, by %v", tt.clocks, e.Time, e.Clock, e.Problem, e.VerifiedBy)
		}
	}
	w.opts.Clocks = []Clock{"sundial"}
	_, err := w.newest(k, testResultOf("clamav-scan"))
	attesttest.Field(t, err, "Options.Clocks[0]")
}

// A signature may stand in for a provenance; both are asked, and the first that vouches is named.
func TestAnyOf(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		ours, builder := newKey(t, "ours"), newKey(t, "builder")
		v := AnyOf(ours, byChains(t, builder))
		w.write(ours, "clamav-scan", outcome(intoto.Passed, -time.Hour))
		if e := w.mustNewest(v, testResultOf("clamav-scan")); e.Problem != nil || e.VerifiedBy.Kind != "key" || e.Clock != ClockPredicate {
			t.Errorf("signed: %v, %v, %s", e.Problem, e.VerifiedBy, e.Clock)
		}
		r := w.unsigned("clamav-scan", outcome(intoto.Failed, 0))
		w.provenance(builder, r.Digest, provenanceFor(t, r.Digest, 0))
		if e := w.mustNewest(v, testResultOf("clamav-scan")); e.Problem != nil || e.VerifiedBy != (Identity{"provenance", "builder"}) || e.Result != intoto.Failed {
			t.Errorf("by provenance: %v, %v, %s", e.Problem, e.VerifiedBy, e.Result)
		}
		if e := w.mustNewest(AnyOf(), testResultOf("clamav-scan")); e.Problem == nil {
			t.Error("nobody is anybody")
		}
	})
}

// Of several provenances the trusted one whose task ended first says when the statement was made: what was made once can
// be handed on by later runs. One without times may be the first.
func TestFirstTrustedProvenanceDates(t *testing.T) {
	finished := func(d time.Duration, untrusted error) signedProvenance {
		return signedProvenance{Provenance: &provenance.Provenance{}, task: provenance.Task{Finished: attesttest.Noon.Add(d)}, untrusted: untrusted}
	}
	no := errors.New("untrusted")
	early, late := finished(-time.Hour, nil), finished(0, nil)
	first, undated := finished(-2*time.Hour, no), signedProvenance{Provenance: &provenance.Provenance{}}
	for _, tt := range []struct {
		have []signedProvenance
		want signedProvenance
	}{
		{[]signedProvenance{late, early}, early},
		{[]signedProvenance{first, late}, late},
		{[]signedProvenance{undated, late}, undated},
		{[]signedProvenance{early, undated}, undated},
		{[]signedProvenance{first}, first},
	} {
		var e Evidence
		for _, p := range tt.have {
			e.envelopes = append(e.envelopes, Candidate{provenance: []signedProvenance{p}})
		}
		if got, ok := e.bestProvenance(); !ok || got.Provenance != tt.want.Provenance {
			t.Errorf("got %+v, want %+v", got, tt.want)
		}
	}
}

// Chains' bundles refer to the record instead of being in cosign's tag; what else is there does no harm.
func TestProvenanceInABundle(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		r := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
		image := w.Image
		w.Image = image.Context().Digest(r.Digest.String())
		w.attach(w.sign(k, provenanceFor(t, r.Digest, 0)), func(m *v1.Manifest) { m.Annotations = nil })
		w.attach([]byte("an SBOM"), func(m *v1.Manifest) {
			m.Layers[0].Annotations = map[string]string{AnnotationPredicateType: "https://spdx.dev/Document"}
		})
		if !w.Referrers {
			w.index()
		}
		w.Image = image
		if e := w.mustNewest(byChains(t, k), testResultOf("clamav-scan")); e.Problem != nil || e.Clock != ClockProvenance {
			t.Errorf("got %v by %s", e.Problem, e.Clock)
		}
	})
}

// index puts what has a tag of its own into the fallback index.
func (w *world) index() {
	w.T.Helper()
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, e := range w.records() {
		index.Manifests = append(index.Manifests, e.Descriptor)
	}
	b, err := json.Marshal(index)
	if err != nil {
		w.T.Fatal(err)
	}
	w.Retag(referrers.TagBase(w.Image), types.OCIImageIndex, b)
}

// A trusted task without a name leaves the statement its own.
func TestProvenanceOfATaskWithoutAName(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	r := w.unsigned("mine", outcome(intoto.Passed, 0))
	payload := strings.ReplaceAll(string(provenanceFor(t, r.Digest, 0)), `"clamav-scan"`, `"a[b]"`)
	w.provenance(k, r.Digest, []byte(payload))
	if e := w.mustNewest(byChains(t, k), testResultOf("mine")); e.Problem != nil || e.Declared != "" || e.Provenance == nil {
		t.Errorf("declared %q, %v", e.Declared, e.Problem)
	}
}

// Statements are counted wherever they are: one manifest may hold many.
func TestStatementsInOneManifestAreCounted(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		for i := range 3 {
			w.attach(w.sign(k, w.statementOf(intoto.TestResultType, fmt.Sprintf(`{"n":%d}`, i))), func(m *v1.Manifest) {
				m.Layers = append(m.Layers, m.Layers[0])
			})
		}
		w.opts.Limits.Statements = 6
		if _, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image); err != nil {
			t.Error(err)
		}
		w.opts.Limits.Statements = 5
		_, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image)
		if l := attesttest.As[*intoto.LimitError](t, err); l.What != "statements" || l.Limit != 5 || l.Got != 6 {
			t.Errorf("got %v", l)
		}
	})
}

// Who is told that nobody vouches is told what to do, since Chains says nothing when it attaches no provenance.
func TestNoProvenanceSaysWhatToDo(t *testing.T) {
	w := newWorld(t, true)
	r := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
	e := w.mustNewest(byChains(t, newKey(t, "k")), testResultOf("clamav-scan"))
	want := "no provenance is attached to " + r.Digest.String() + ": wait until Tekton Chains has signed the run; if it has, " +
		"let the task declare every result of pipelinerun.WriteArtifact (format slsa/v2alpha4 ignores ARTIFACT_URI and needs the object ARTIFACT_OUTPUTS), and run it again"
	if diff := cmp.Diff(want, wantProblem(t, Unverified, e.Problem).Err.Error()); diff != "" {
		t.Error(diff)
	}
}

// That a provenance cannot be fetched says nothing about who vouches.
func TestProvenanceThatCannotBeFetched(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		r := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
		w.provenance(k, r.Digest, provenanceFor(t, r.Digest, 0))
		w.Answers(http.StatusForbidden, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blobs/") })
		_, err := w.newest(byChains(t, k), testResultOf("clamav-scan"))
		if e := attesttest.As[*RegistryError](t, err); e.Status != http.StatusForbidden {
			t.Errorf("got %v", err)
		}
		w.Answers(http.StatusNotFound, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blobs/") })
		e, err := w.newest(byChains(t, k), testResultOf("clamav-scan"))
		if err != nil {
			t.Fatal(err)
		}
		attesttest.As[*CandidateError](t, wantProblem(t, Unverified, e.Problem))
	})
}

// What is attached to records is counted with the rest, and of what says that it is no provenance nothing is read.
func TestAttachmentsAreBounded(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	r := w.unsigned("clamav-scan", outcome(intoto.Passed, 0))
	image := w.Image
	w.Image = image.Context().Digest(r.Digest.String())
	for i := range 3 {
		w.attach(w.sign(k, fmt.Appendf(provenanceFor(t, r.Digest, 0), "%*s", i, "")), func(m *v1.Manifest) { m.Annotations = nil })
		w.attach(fmt.Appendf(nil, "SBOM %d", i), func(m *v1.Manifest) {
			m.Annotations = map[string]string{AnnotationPredicateType: "https://spdx.dev/Document"}
		})
	}
	w.Image = image
	w.opts.Limits.Statements = 6
	w.Gets()
	if e := w.mustNewest(byChains(t, k), testResultOf("clamav-scan")); e.Problem != nil {
		t.Error(e.Problem)
	}
	if manifests, _ := w.Gets(); manifests != 1+3 {
		t.Errorf("read %d manifests, want the record and three", manifests)
	}
	w.opts.Limits.Statements = 3
	_, err := w.newest(byChains(t, k), testResultOf("clamav-scan"))
	if l := attesttest.As[*intoto.LimitError](t, err); l.What != "statements" {
		t.Errorf("got %v", l)
	}
}

func TestByProvenanceRefusesBadTrust(t *testing.T) {
	_, err := ByProvenance(newKey(t, "k"), provenance.Trust{Builders: []string{""}, Tasks: []provenance.TaskRule{{Pattern: "oci://*"}}})
	attesttest.Field(t, err, "Builders[0]", "Tasks[0].Pattern")
}

func TestPlatforms(t *testing.T) {
	w := newWorld(t, true)
	arm, amd := w.Push(w.Image.Context(), "arm"), w.Push(w.Image.Context(), "amd")
	index := func(manifests string) string {
		b := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + manifests + `]}`)
		w.Retag(registry.Describe(b, "").Digest.String(), types.OCIImageIndex, b)
		return registry.Describe(b, "").Digest.String()
	}
	both := index(fmt.Sprintf(`{"digest":%q,"platform":{"os":"linux","architecture":"arm64","variant":"v8"}},{"digest":%q,"platform":{"os":"linux","architecture":"amd64"}},
		{"digest":%q,"platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}},{"digest":%q}`,
		arm.DigestStr(), amd.DigestStr(), attesttest.Coffee, attesttest.Coffee))
	r, repo := NewResolver(newKey(t, "k"), w.opts), w.Image.Context()
	got, err := r.Platforms(t.Context(), repo.Digest(both))
	want := []Platform{{Image: arm, Name: "linux/arm64/v8"}, {Image: amd, Name: "linux/amd64"}, {Image: repo.Digest(attesttest.Coffee.String()), Name: ""}}
	same := cmp.Comparer(func(a, b Platform) bool { return a.Name == b.Name && a.Image.Name() == b.Image.Name() })
	if diff := cmp.Diff(want, got, same); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := r.Platforms(t.Context(), w.Image); err != nil || got != nil {
		t.Errorf("an image is no index: %v, %v", got, err)
	}
	if _, err := r.Platforms(t.Context(), repo.Digest(attesttest.Coffee.String())); !errors.Is(err, ErrNoImage) {
		t.Errorf("got %v", err)
	}

	// Those of an index within it are images too. One of them that is gone lists nothing.
	const nested = `{"mediaType":"application/vnd.oci.image.index.v1+json","digest":%q}`
	text := fmt.Sprintf(`{"manifests":[`+nested+","+nested+","+nested+`,{"digest":%q}]}`, both, attesttest.Coffee, both, arm.DigestStr())
	outer := registry.Describe([]byte(text), "").Digest.String()
	w.Serves("/manifests/"+outer, types.OCIImageIndex, text)
	got, err = r.Platforms(t.Context(), repo.Digest(outer))
	want = append([]Platform{{Image: repo.Digest(both), Name: ""}, {Image: repo.Digest(attesttest.Coffee.String()), Name: ""}, {Image: repo.Digest(both), Name: ""}, {Image: arm, Name: ""}}, want...)
	if diff := cmp.Diff(want, got, same); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}

	bad := `{"manifests":[{"digest":"sha256:x"}]}`
	digest := registry.Describe([]byte(bad), "").Digest.String()
	w.Serves("/manifests/"+digest, types.OCIImageIndex, bad)
	_, err = r.Platforms(t.Context(), repo.Digest(digest))
	attesttest.Field(t, err, "manifests[0].digest")
}

// Evidence of an index says nothing of what it lists, nor the other way round.
func TestEvidenceIsBoundToOneDigest(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		b, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{
			{MediaType: types.OCIManifestSchema1, Digest: w.hash(), Size: 1, Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		digest := registry.Describe(b, "").Digest.String()
		w.Retag(digest, types.OCIImageIndex, b)
		index := w.Image.Context().Digest(digest)
		if _, err := NewWriter(k, w.opts).Write(t.Context(), index, "scan", outcome(intoto.Passed, 0)); err != nil {
			t.Fatal(err)
		}
		w.write(k, "scan", outcome(intoto.Failed, 0))
		r := NewResolver(k, w.opts)
		platforms, err := r.Platforms(t.Context(), index)
		if err != nil || len(platforms) != 1 {
			t.Fatal(platforms, err)
		}
		whole, err := r.Newest(t.Context(), index, testResultOf("scan"))
		if err != nil || whole.Result != intoto.Passed || whole.Image != index {
			t.Errorf("index: %s, %v", whole.Result, err)
		}
		one, err := r.Newest(t.Context(), platforms[0].Image, testResultOf("scan"))
		if err != nil || one.Result != intoto.Failed || one.Image.DigestStr() != w.Image.DigestStr() {
			t.Errorf("platform: %s, %v", one.Result, err)
		}
	})
}
