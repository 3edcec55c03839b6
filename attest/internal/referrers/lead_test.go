package referrers

import (
	"strings"
	"testing"
	"time"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/internal/registrytest"
)

// A record that is missing is told as one that was not copied only if a tag names it.
func TestFollowTellsWhyARecordIsMissing(t *testing.T) {
	h := registrytest.New(t, true)
	access := registry.Options{Backoff: time.Millisecond, Transport: registrytest.Plain}
	r, err := Open(t.Context(), registry.New(access, "pull"), h.Image.Context(), Layout{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"", viewTag(h.Image)} {
		e, err := r.Follow(t.Context(), Pointer{Ref: attesttest.Coffee.String()}, tag)
		if err != nil || !registry.IsNotFound(e.Err) {
			t.Fatal(e.Err, err)
		}
		if got := strings.Contains(e.Err.Error(), "copy the records too"); got != (tag != "") {
			t.Errorf("named by %q: %v", tag, e.Err)
		}
	}
}
