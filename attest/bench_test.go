package attest

import (
	"context"
	"fmt"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The newest of so many statements, from a registry in memory.
func BenchmarkNewest(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, true)
			k := newKey(b, "k")
			for i := range n {
				at := noon.Add(-time.Duration(i) * time.Second).Format(time.RFC3339)
				w.attach(w.sign(k, w.statementOf(TestResultType, fmt.Sprintf(`{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":%q}`, at))), func(*v1.Manifest) {})
			}
			r := NewResolver(k, w.opts)
			b.ReportAllocs()
			for b.Loop() {
				if e, err := r.Newest(context.Background(), w.image, testResultOf("scan")); err != nil || e.Problem != nil {
					b.Fatal(err, e.Problem)
				}
			}
		})
	}
}
