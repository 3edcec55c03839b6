package attest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/intoto"
)

// What NewStatement returns is what a Writer stores.
func TestNewStatementIsWhatIsWritten(t *testing.T) {
	for _, p := range []intoto.Predicate{outcome(intoto.Errored, 0), vulns(0, "CVE-2026-1")} {
		w := newWorld(t, true)
		want, err := NewStatement(w.Image, "scan", p)
		if err != nil {
			t.Fatal(err)
		}
		w.unsigned("scan", p)
		for _, e := range w.all(newKey(t, "k")) {
			if diff := cmp.Diff(want, e.Statement); diff != "" {
				t.Error(diff)
			}
		}
	}
	w := newWorld(t, true)
	_, err := NewStatement(w.Image, "", outcome(intoto.Passed, 0))
	attesttest.Field(t, err, "test")
}
