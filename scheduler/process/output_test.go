package process

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// What is kept does not depend on how the output was cut into writes.
func TestOutputKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		o := &output{limit: limit, log: runLog{}}
		var all []byte
		for _, p := range rapid.SliceOf(rapid.SliceOf(rapid.SampledFrom([]byte("abc\n")))).Draw(t, "writes") {
			all = append(all, p...)
			if n, err := o.Write(p); n != len(p) || err != nil {
				t.Fatalf("Write = %d, %v; want %d", n, err, len(p))
			}
			if most := 2 * limit; len(o.head)+len(o.tail) > most {
				t.Fatalf("%d bytes in memory; want at most %d", len(o.head)+len(o.tail), most)
			}
		}
		want := all
		if missing := len(all) - limit; missing > 0 {
			half := limit - limit/2
			want = bytes.Clone(all[:half])
			if want[half-1] != '\n' {
				want = append(want, '\n')
			}
			want = fmt.Appendf(want, "[... %d bytes are missing here ...]\n", missing)
			want = append(want, all[half+missing:]...)
		}
		if got := o.kept(); !bytes.Equal(got, want) {
			t.Fatalf("kept %q of %q; want %q", got, all, want)
		}
	})
}

// A copy that fails is given up, and nothing else is.
func TestOutputCopy(t *testing.T) {
	live := &brokenWriter{after: 1}
	o := &output{limit: 10, live: live, log: runLog{}}
	for range 3 {
		if n, err := o.Write([]byte("ab")); n != 2 || err != nil {
			t.Errorf("Write = %d, %v; want 2", n, err)
		}
	}
	if got := string(o.kept()); got != "ababab" || live.calls != 2 {
		t.Errorf("kept %q, with %d calls of a writer that fails at the second; want all, with 2", got, live.calls)
	}
}

type brokenWriter struct{ after, calls int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.calls++; w.calls > w.after {
		return 0, errors.New("broken")
	}
	return len(p), nil
}
