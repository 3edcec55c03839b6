package referrers

import (
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/internal/registrytest"
)

// The tag of the fallback index can be moved between a list and its repair. What is no index then stays as it is:
// written over, its layers would be gone.
func TestFallbackTagThatIsMovedBeforeItsRepair(t *testing.T) {
	h := registrytest.New(t, false)
	access := registry.Options{Backoff: time.Millisecond, Transport: registrytest.Plain}
	r, err := Open(t.Context(), registry.New(access, "push,pull"), h.Image.Context(), Layout{})
	if err != nil {
		t.Fatal(err)
	}
	image, err := r.Manifest(t.Context(), h.Image.DigestStr())
	if err != nil {
		t.Fatal(err)
	}
	envelope := []byte("{}")
	subject := v1.Descriptor{MediaType: image.Media, Digest: image.Digest, Size: int64(len(image.Bytes))}
	record, err := BuildRecord(Draft{Subject: subject}, Layout{}, registry.DefaultLimits.ManifestBytes, envelope)
	if err != nil {
		t.Fatal(err)
	}
	tag := RecordTag(h.Image, registry.Describe(record, "").Digest)
	if err := r.Push(t.Context(), tag, types.OCIManifestSchema1, record, envelope, []byte(registry.EmptyConfig)); err != nil {
		t.Fatal(err)
	}
	l, err := r.List(t.Context(), h.Image) // the index lacks the record
	if err != nil || !l.index || len(l.Pointers) != 1 {
		t.Fatal(l, err)
	}
	h.Retag(TagBase(h.Image), image.Media, image.Bytes)
	if _, err := r.Publication(h.Image, Memory{}, true).tryIndex(t.Context(), &l); err != nil || l.index {
		t.Errorf("its tag is free: %t, %v", l.index, err)
	}
	if got, err := r.Manifest(t.Context(), TagBase(h.Image)); err != nil || got.Digest != image.Digest {
		t.Errorf("the tag now is %s, %v", got.Digest, err)
	}
}
