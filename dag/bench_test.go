package dag_test

import (
	"strconv"
	"testing"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/internal/shapes"
)

func BenchmarkNew(b *testing.B) {
	for _, s := range shapes.All {
		for _, n := range shapes.Sizes {
			b.Run(s.Name+"/"+strconv.Itoa(n), func(b *testing.B) {
				list := s.Of(n)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := dag.New(list...); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/scenario")
			})
		}
	}
}
