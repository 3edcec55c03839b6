package referrers

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
)

// What a list says of a manifest is believed as far as it cannot be cut.
func TestListedHints(t *testing.T) {
	whole := map[string]string{
		AnnotationPredicateType: intoto.TestResultType, AnnotationTest: "scan", AnnotationCreated: "2026-03-01T12:00:00.5Z",
		AnnotationEnvelope: attesttest.Coffee.String(), AnnotationPayload: attesttest.Coffee.String(),
	}
	const all, some, none = "complete", "incomplete", "nothing"
	for _, tt := range []struct {
		name   string
		change map[string]string // empty: dropped
		want   string
	}{
		{"as written", nil, all},
		{"another predicate", map[string]string{AnnotationPredicateType: "https://spdx.dev/Document"}, some},
		{"a name one byte shorter than a digest", map[string]string{AnnotationTest: strings.Repeat("a", 70)}, all},
		{"a name as long as a digest", map[string]string{AnnotationTest: strings.Repeat("a", 71)}, some},
		{"no predicate", map[string]string{AnnotationPredicateType: ""}, some},
		{"half a predicate", map[string]string{AnnotationPredicateType: intoto.TestResultType[:30]}, some},
		{"half a predicate in another spelling", map[string]string{AnnotationPredicateType: "HTTP://in-toto.io/attestation/test_resu"}, some},
		{"no test", map[string]string{AnnotationTest: ""}, some},
		{"no time", map[string]string{AnnotationCreated: ""}, some},
		{"half a time", map[string]string{AnnotationCreated: "2026-03-01T12:00:00"}, some},
		{"no envelope", map[string]string{AnnotationEnvelope: ""}, some},
		{"no payload", map[string]string{AnnotationPayload: ""}, some},
		{"half an envelope", map[string]string{AnnotationEnvelope: attesttest.Coffee.String()[:70]}, none},
		{"half a payload", map[string]string{AnnotationPayload: attesttest.Coffee.String()[:70]}, none},
		{"three dots", map[string]string{AnnotationPayload: "sha256:c0ffee..."}, none},
	} {
		annotations := maps.Clone(whole)
		for key, value := range tt.change {
			annotations[key] = value
			if value == "" {
				delete(annotations, key)
			}
		}
		got := some
		switch h := listedHints(annotations); {
		case h == Hints{}:
			got = none
		case h.Complete():
			got = all
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A list that gives a manifest annotations that it does not have is contradicted by it.
func TestListThatAddsAnnotations(t *testing.T) {
	own := Hints{PredicateType: intoto.TestResultType}
	listed := Hints{PredicateType: intoto.TestResultType, Test: "scan", Created: attesttest.Noon, Envelope: attesttest.Coffee.String(), Payload: attesttest.Coffee.String()}
	var fields []string
	for _, err := range listed.differ(own) {
		fields = append(fields, attesttest.As[*fault.FieldError](t, err).Field)
	}
	want := []string{
		"annotations." + AnnotationTest, "annotations." + AnnotationCreated, "annotations." + AnnotationEnvelope, "annotations." + AnnotationPayload,
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
	if errs := (Hints{}).differ(listed); len(errs) > 0 {
		t.Error(errs)
	}
	half := listed // and yet complete: others were passed over because of it
	half.Test = "sca"
	if errs := half.differ(listed); len(errs) != 1 {
		t.Error(errs)
	}
}

// A list that says two things about one manifest says nothing. Lists that anybody may rewrite say nothing anyway.
func TestHintsThatContradictEachOther(t *testing.T) {
	a, b := Hints{Test: "a"}, Hints{Test: "b"}
	got := unionOfPointers([]Pointer{{Ref: "1", Hints: a}, {Ref: "2", Hints: a}, {Ref: "2", Hints: b}, {Ref: "3", Hints: a}, {Ref: "3", Hints: a}, {Ref: "4", Hints: Hints{}}, {Ref: "4", Hints: a}}, []Pointer{{Ref: "1"}, {Ref: "5"}})
	want := []Pointer{{Ref: "1", Hints: a}, {Ref: "2", Hints: Hints{}}, {Ref: "3", Hints: a}, {Ref: "4", Hints: Hints{}}, {Ref: "5", Hints: Hints{}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The same annotations are the same hints, however they spell a time.
func TestHintsAreComparable(t *testing.T) {
	annotations := map[string]string{AnnotationTest: "scan", AnnotationPredicateType: intoto.VulnsType, AnnotationCreated: "2026-03-01T14:17:00+02:17"}
	h := ReadHints(annotations)
	if h != ReadHints(annotations) || !h.Complete() || !h.Created.Equal(attesttest.Noon) {
		t.Errorf("got %+v", h)
	}
}
