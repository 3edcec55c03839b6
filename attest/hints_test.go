package attest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/intoto"
)

// An annotation that a list leaves out is no contradiction of the manifest. One that differs is, unless it is the
// beginning of the manifest's and the hints are not complete.
func TestListAgainstManifest(t *testing.T) {
	change := func(key, value string) func(string, map[string]string) {
		return func(_ string, annotations map[string]string) { annotations[key] = value }
	}
	const failed, blocked = "FAILED at 2026-03-01T12:00:00Z by predicate", "the registry lists "
	for _, tt := range []struct {
		name   string
		change func(digest string, annotations map[string]string)
		want   string
		field  string
	}{
		{"as written", func(string, map[string]string) {}, failed, ""},
		{"nothing", func(_ string, annotations map[string]string) { clear(annotations) }, failed, ""},
		{"no predicate", drop(AnnotationPredicateType), failed, ""},
		{"no test", drop(AnnotationTest), failed, ""},
		{"no time", drop(AnnotationCreated), failed, ""},
		{"no envelope", drop(AnnotationEnvelope), failed, ""},
		{"no payload", drop(AnnotationPayload), failed, ""},
		{"half a time", change(AnnotationCreated, "2026-03-01T12:"), failed, ""},
		{"half a test, nothing else", func(_ string, annotations map[string]string) {
			clear(annotations)
			annotations[AnnotationTest] = "sca"
		}, failed, ""},
		{"a later time", change(AnnotationCreated, "2026-03-01T12:00:01Z"), blocked, AnnotationCreated},
		{"another envelope", change(AnnotationEnvelope, attesttest.Coffee.String()), blocked, AnnotationEnvelope},
		{"another payload", change(AnnotationPayload, attesttest.Coffee.String()), blocked, AnnotationPayload},
		{"another test, and no time", func(_ string, annotations map[string]string) {
			delete(annotations, AnnotationCreated)
			annotations[AnnotationTest] = "lint"
		}, blocked, AnnotationTest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				k := newKey(t, "k")
				w.unlistedFailure(k, "scan")
				w.listsOtherwise(tt.change)
				e, err := w.newest(k, testResultOf("scan"))
				want := tt.want
				if !w.Referrers { // no annotations of a list are believed
					want = failed
				}
				if got := answerOf(e, err); !strings.Contains(got, want) {
					t.Errorf("got %s", got)
				}
				if want == blocked {
					c := attesttest.As[*CandidateError](t, err)
					if f := attesttest.As[*intoto.FieldError](t, c); f.Field != "annotations."+tt.field {
						t.Errorf("got %v", f)
					}
				}
			})
		})
	}
}

// However much a list cuts off, the newest failure is found, and so is a statement that was written before.
func TestListsThatCut(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	k.salted = true                                                            // a second record of the statement would be another
	for _, test := range []string{"scan", longTest, strings.Repeat("ü", 50)} { // what is cut within a character is no text
		failed := w.unlistedFailure(k, test)
		for n := range len(longTest) + 2 {
			w.listsOtherwise(cutAfter(n))
			if e, err := w.newest(k, testResultOf(test)); err != nil || e.Result != intoto.Failed {
				t.Errorf("%.9s cut after %d bytes: %s", test, n, answerOf(e, err))
			}
			if again := w.write(k, test, outcome(intoto.Failed, 0)); again.Digest != failed.Digest {
				t.Errorf("%.9s cut after %d bytes: written again", test, n)
			}
		}
		for _, key := range []string{AnnotationPredicateType, AnnotationTest, AnnotationCreated, AnnotationEnvelope, AnnotationPayload} {
			w.listsOtherwise(drop(key))
			if again := w.write(k, test, outcome(intoto.Failed, 0)); again.Digest != failed.Digest {
				t.Errorf("%.9s without %s: written again", test, key)
			}
		}
		w.Breaks(nil)
		w.opts.WithoutViews = false
	}
}

// Marks are listed by registries that shorten, too.
func TestMarksInListsThatCut(t *testing.T) {
	w := newWorld(t, true)
	c := checkpoint.Repository(w.Image.Context(), w.opts.Access)
	w.Answers(http.StatusMethodNotAllowed, func(r *http.Request) bool { return r.Method == http.MethodDelete }) // lower marks stay
	for i := range 3 {
		if err := c.Advance(t.Context(), someImage, testResultOf("scan"), markAt(time.Duration(i)*time.Second, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 80 {
		w.listsOtherwise(cutAfter(n))
		got, err := c.Seen(t.Context(), someImage, testResultOf("scan"))
		if diff := cmp.Diff(markAt(2*time.Second, "2"), got); err != nil || diff != "" {
			t.Errorf("cut after %d bytes: %v %s", n, err, diff)
		}
	}
}
