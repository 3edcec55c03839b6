package attest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/intoto"
)

// What a tool attached is read whole, and held against its digests and the limits. What is wrong with it alone is part of
// the answer.
func TestAttached(t *testing.T) {
	const media, report = "application/vnd.example.report+json", `{"findings":[]}`
	eachRegistry(t, func(t *testing.T, w *world) {
		at := w.attachAs(media, []byte(report))
		read := func(at v1.Hash) (Attachment, error) {
			return NewResolver(newKey(t, "k"), w.opts).Attached(t.Context(), w.Image, at)
		}
		a, err := read(at)
		if err != nil || a.Problem != nil || a.MediaType != media || string(a.Bytes) != report {
			t.Errorf("got %+v, %v", a, err)
		}
		two := w.attach([]byte(report), func(m *v1.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) })
		if a, err := read(two); err != nil || a.Problem == nil || !strings.Contains(a.Problem.Error(), "want one, got 2") || a.Bytes != nil {
			t.Errorf("two layers: %+v, %v", a, err)
		}
		var missing *RegistryError
		if a, err := read(attesttest.Coffee); err != nil || !errors.As(a.Problem, &missing) || missing.Status != http.StatusNotFound {
			t.Errorf("nothing there: %+v, %v", a, err)
		}
		w.opts.Limits.AttachedBytes = int64(len(report)) - 1
		var limit *intoto.LimitError
		if a, err := read(at); err != nil || !errors.As(a.Problem, &limit) || limit.What != "attached bytes" || limit.Got != int64(len(report)) {
			t.Errorf("too large: %+v, %v", a, err)
		}
		w.opts.Limits.AttachedBytes = int64(len(report))
		if a, err := read(at); err != nil || a.Problem != nil {
			t.Errorf("just as large as allowed: %+v, %v", a, err)
		}
		for _, h := range []v1.Hash{{}, {Algorithm: "sha512", Hex: attesttest.Coffee.Hex}, {Algorithm: "sha256", Hex: "ab"}, {Algorithm: "sha256", Hex: strings.ToUpper(attesttest.Coffee.Hex)}} {
			_, err := read(h)
			attesttest.Field(t, err, "manifest")
		}
		w.Serves("/blobs/", types.OCILayer, `{"findings":[1]}`)
		if a, err := read(at); err != nil || !isA[*intoto.FieldError](a.Problem) || a.Bytes != nil {
			t.Errorf("other bytes: %+v, %v", a, err)
		}
		w.Serves("/manifests/"+at.String(), types.OCIManifestSchema1, `{"layers":[]}`)
		if a, err := read(at); err != nil || !isA[*intoto.FieldError](a.Problem) {
			t.Errorf("another manifest: %+v, %v", a, err)
		}
		w.opts.Attempts = 1
		w.Answers(http.StatusInternalServerError, func(*http.Request) bool { return true })
		var down *RegistryError
		if _, err := read(at); !errors.As(err, &down) || down.Status != http.StatusInternalServerError {
			t.Errorf("the registry is down: %v", err)
		}
		w.Breaks(nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := NewResolver(newKey(t, "k"), w.opts).Attached(ctx, w.Image, at); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
