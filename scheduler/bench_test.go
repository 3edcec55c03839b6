package scheduler_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// layered returns n scenarios in layers of 100, each with about three parents in the layer above.
func layered(b *testing.B, n int) *dag.Graph {
	random := rand.New(rand.NewPCG(1, 2))
	list := make([]dag.Scenario, n)
	for i := range list {
		list[i].ID = dag.ID(fmt.Sprintf("s%07d", i))
		if above := i / 100 * 100; above > 0 {
			for range 3 {
				list[i].After = append(list[i].After, dag.Parent{ID: list[above-1-random.IntN(100)].ID})
			}
		}
	}
	return graphOf(b, list...)
}

func BenchmarkNext(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			g := layered(b, n)
			m := scheduler.NewMachine(g, nil)
			for i := range n / 2 { // the upper half has passed
				id := g.ID(i)
				news := scheduler.Finished(scheduler.Ref{ID: id, Run: 1}, scheduler.PhasePassed)
				for p := range g.Parents(id) {
					news.Basis = append(news.Basis, scheduler.Ref{ID: p, Run: 1})
				}
				m.Observe(news)
			}
			s := m.Snapshot()
			b.ReportAllocs()
			for b.Loop() {
				scheduler.Next(g, s)
			}
		})
	}
}
