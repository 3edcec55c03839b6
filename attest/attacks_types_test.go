package attest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/intoto"
)

// typed makes an attack that asks for the vulns of "scan". A clean scan of an hour ago is there in any case.
func typed(name, answer string, do func(w *world, ours, theirs *key)) attack {
	return attack{name: "vulns: " + name, vulns: true, answer: answer, do: func(w *world, ours, theirs *key) {
		w.write(ours, "scan", vulns(-time.Hour))
		do(w, ours, theirs)
	}}
}

// left makes an attack in which a test-result is left after the clean scan, or before it if d is less than an hour ago.
func left(r intoto.Result, d time.Duration, answer string) attack {
	return typed(fmt.Sprintf("%s at %s", r, attesttest.Noon.Add(d).Format("15:04")), answer, func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(r, d))
	})
}

// withinTheSecond is an error that ended later in the second of a clean scan, by a clock of whole seconds.
func withinTheSecond() attack {
	a := typed("an error later in the same second", "is not older and says ERROR", func(w *world, ours, _ *key) {
		w.write(ours, "scan", vulns(-time.Hour+400*time.Millisecond))
		failed := w.unsigned("scan", outcome(intoto.Errored, -time.Hour+600*time.Millisecond))
		w.provenance(ours, failed.Digest, madeBy("scan", failed.Digest, -time.Hour))
	})
	a.ask = byKeyOrProvenance
	return a
}

const cleanScan = "at 2026-03-01T11:00:00Z by predicate"

// typeAttacks let an older scan without findings stand beside a test-result that says that the scan could not tell.
var typeAttacks = []attack{
	left(intoto.Errored, 0, "is not older and says ERROR: the scan has to run again"),
	left(intoto.Failed, 0, "a test-result of 2026-03-01T12:00:00Z in manifest sha256:"),
	left(intoto.Skipped, 0, "is not older and says SKIPPED"),
	left(intoto.Errored, -time.Hour, "a test-result of 2026-03-01T11:00:00Z in manifest"),
	left(intoto.Errored, -61*time.Minute, cleanScan),
	withinTheSecond(),
	left(intoto.Passed, 0, cleanScan),
	left(intoto.Warned, 0, cleanScan),
	typed("an error and a pass of the same instant", "is not older and says ERROR", func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(intoto.Passed, 0))
		w.write(ours, "scan", outcome(intoto.Errored, 0))
	}),
	typed("an error and then a pass", cleanScan, func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(intoto.Errored, -time.Minute))
		w.write(ours, "scan", outcome(intoto.Passed, 0))
	}),
	typed("newer vulns answer an error", "at 2026-03-01T12:00:00Z by predicate", func(w *world, ours, _ *key) {
		w.write(ours, "scan", outcome(intoto.Errored, -time.Minute))
		w.write(ours, "scan", vulns(0))
	}),
	typed("an error of another test", cleanScan, func(w *world, ours, _ *key) {
		w.write(ours, "scan2", outcome(intoto.Errored, 0))
	}),
	typed("an error that nobody vouches for", "does not count: nobody vouches for the statement", func(w *world, _, theirs *key) {
		w.write(theirs, "scan", outcome(intoto.Errored, 0))
	}),
	typed("a pass that nobody vouches for", "does not count: nobody vouches for the statement", func(w *world, _, theirs *key) {
		w.write(theirs, "scan", outcome(intoto.Passed, 0))
	}),
	typed("unverified ones ignored, an error of theirs", cleanScan, func(w *world, _, theirs *key) {
		w.opts.UnsafeIgnoreUnverified = true
		w.write(theirs, "scan", outcome(intoto.Errored, 0))
	}),
	typed("unverified ones ignored, an error of ours below", "is not older and says ERROR", func(w *world, ours, theirs *key) {
		w.opts.UnsafeIgnoreUnverified = true
		w.write(ours, "scan", outcome(intoto.Errored, -time.Minute))
		w.write(theirs, "scan", outcome(intoto.Passed, 0))
	}),
	typed("a test-result without a time", "does not count", func(w *world, ours, _ *key) {
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}]}`)), nil)
	}),
	typed("a test-result of another version", "does not count", func(w *world, ours, _ *key) {
		w.attach(w.sign(ours, w.statementOf(strings.Replace(intoto.TestResultType, "v0.1", "v0.9", 1),
			`{"result":"ERROR","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)), nil)
	}),
	typed("a test-result without a name", "configuration: required", func(w *world, ours, _ *key) {
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"ERROR","timestamp":"2026-03-01T12:00:00Z"}`)), nil)
	}),
	typed("an error whose annotations name no test", "is not older and says ERROR", func(w *world, ours, _ *key) {
		w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"ERROR","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)),
			func(m *v1.Manifest) {
				m.Annotations = map[string]string{AnnotationPredicateType: intoto.TestResultType}
			})
	}),
	typed("an error that was seen is deleted", "evidence of 2026-03-01T12:00:00Z was seen before and is gone", func(w *world, ours, _ *key) {
		w.opts.Checkpoint = inDir(w)
		record := w.write(ours, "scan", outcome(intoto.Errored, 0))
		wantNewer(w, ours, record, intoto.Errored)
		w.remove(record)
	}),
	typed("an error that was seen is still there", "is not older and says ERROR", func(w *world, ours, _ *key) {
		w.opts.Checkpoint = inDir(w)
		wantNewer(w, ours, w.write(ours, "scan", outcome(intoto.Errored, 0)), intoto.Errored)
	}),
}

// wantNewer wants the vulns of "scan" to be overruled by a record, as data.
func wantNewer(w *world, k *key, record Record, result intoto.Result) {
	w.T.Helper()
	e, err := w.newest(k, intoto.Test{Name: "scan", PredicateType: intoto.VulnsType})
	newer := wantProblem(w.T, Overruled, errors.Join(err, e.Err()))
	if newer.Manifest != record.Digest || newer.Result != result || !newer.Time.Equal(attesttest.Noon) || newer.Err != nil {
		w.T.Errorf("got %+v, want that of %s", newer, record.Digest)
	}
	if _, ok := e.Predicate.(intoto.Vulns); !ok || !e.Time.Equal(attesttest.Noon.Add(-time.Hour)) {
		w.T.Errorf("it is not the vulns that are answered: %+v", e)
	}
}

// A test-result is read for the vulns only if it may overrule them.
func TestVulnsReadNoMoreThanTheyMust(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", vulns(-time.Hour))
	w.write(k, "scan", outcome(intoto.Errored, -2*time.Hour))
	w.write(k, "other", outcome(intoto.Errored, 0))
	r := NewResolver(k, w.opts)
	count := func(tests ...intoto.Test) int {
		w.Gets()
		if _, err := r.NewestAll(t.Context(), w.Image, tests...); err != nil {
			t.Fatal(err)
		}
		manifests, _ := w.Gets()
		return manifests
	}
	scan, both := []intoto.Test{{Name: "scan", PredicateType: intoto.VulnsType}}, []intoto.Test{{Name: "scan", PredicateType: intoto.VulnsType}, {Name: "scan", PredicateType: intoto.TestResultType}}
	got := []int{count(scan...), count(both...)}
	w.write(k, "scan", outcome(intoto.Errored, 0))
	got = append(got, count(scan...), count(both...))
	if want := []int{1, 2, 2, 2}; !slices.Equal(got, want) {
		t.Errorf("read %v manifests, want %v", got, want)
	}
}
