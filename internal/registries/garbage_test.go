package registries

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// What registries delete that no tag leads to is nothing of ours, and the image can be written to as before.
func TestGarbageCollectionDeletesNothing(t *testing.T) {
	for _, k := range kinds {
		if k.binary == nil {
			continue // it collects no garbage
		}
		t.Run(k.name, func(t *testing.T) {
			s := k.start(t)
			b := newBench(t, s, 0)
			image, other := b.push("app"), b.push("other")
			b.untag(other.Context().Tag("other"), image)
			all := everyone()
			b.same("written", all, b.atOnce(b.write, image))
			s.collectGarbage(t)
			if b.exists(other) {
				t.Error("an image without a tag is still there, so no garbage was collected")
			}
			b.same("in the record", all, b.recorded(image))
			b.same("in the .att tag", all, b.shown(image))

			if err := b.write(image, "later"); err != nil {
				t.Error(err)
			}
			all["later"] = true
			b.same("in the record, with one more", all, b.recorded(image))
			b.same("in the .att tag, with one more", all, b.shown(image))
		})
	}
}

// untag leaves an image without its tag, which goes to another one.
func (b bench) untag(tag name.Tag, to name.Digest) {
	b.Helper()
	opts := []remote.Option{remote.WithTransport(b.transport), remote.WithContext(b.Context())}
	other, err := remote.Get(to, opts...)
	if err != nil {
		b.Fatal(err)
	}
	if err := remote.Tag(tag, other, opts...); err != nil {
		b.Fatal(err)
	}
}

// exists reports whether the registry has an image.
func (b bench) exists(image name.Digest) bool {
	b.Helper()
	_, err := remote.Head(image, remote.WithTransport(b.transport), remote.WithContext(b.Context()))
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return false
	}
	if err != nil {
		b.Fatal(err)
	}
	return true
}
