package intoto

import (
	"io"
	"strings"
	"testing"
)

// A read of nothing takes nothing.
func TestStreamedReadsNothing(t *testing.T) {
	o := newOuter(strings.NewReader(`"ab\u0063d"`))
	err := o.stream(func(in io.Reader) {
		for _, want := range []string{"a", "b", "c", "d"} {
			if n, err := in.Read(nil); n != 0 || err != nil {
				t.Errorf("before %s: %d, %v", want, n, err)
			}
			one := make([]byte, 1)
			if _, err := io.ReadFull(in, one); err != nil || string(one) != want {
				t.Errorf("got %q, %v, want %s", one, err, want)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}
