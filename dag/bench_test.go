package dag_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/testdag/testdag/dag"
)

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			list := make([]dag.Scenario, n)
			for i := range list { // layers of 100, each with about three parents in the layer above
				list[i].ID = id(i)
				if above := i / 100 * 100; above > 0 {
					for range 3 {
						list[i].After = append(list[i].After, dag.Parent{ID: list[above-1-random.IntN(100)].ID})
					}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := dag.New(list...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
