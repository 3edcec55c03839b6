package registries

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

// Who reads while others write is told of no fault, and finds all that was written before it began.
func TestReadersAmongWriters(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		b := newBench(t, k.start(t), 0)
		reads := 0
		for i := range max(1, *rounds/4) {
			reads += b.readWhileWritten(b.push(fmt.Sprintf("read-%d", i)))
		}
		t.Logf("%d reads", reads)
	})
}

// readWhileWritten has one read again and again while all writers write, and returns how often.
func (b bench) readWhileWritten(image name.Digest) (reads int) {
	b.Helper()
	var mu sync.Mutex
	written := set{}
	note := func(image name.Digest, test string) error {
		err := b.write(image, test)
		mu.Lock()
		defer mu.Unlock()
		written[test] = err == nil
		return err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		b.atOnce(note, image)
	}()
	for ; ; reads++ {
		mu.Lock()
		before := maps.Clone(written)
		mu.Unlock()
		found, err := b.resolve(image, b.transport)
		if err != nil {
			b.Errorf("read %d: %v", reads, err)
		}
		for test, ok := range before {
			if ok && !found[test] && err == nil {
				b.Errorf("%s was written before read %d began, and not found", test, reads)
			}
		}
		select {
		case <-over:
			return reads
		default:
		}
	}
}
