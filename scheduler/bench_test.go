package scheduler_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/internal/shapes"
	"github.com/testdag/testdag/scheduler"
)

// everySize runs a benchmark for each shape and size, and reports the time for one scenario.
func everySize(b *testing.B, run func(b *testing.B, list []dag.Scenario)) {
	for _, s := range shapes.All {
		for _, n := range shapes.Sizes {
			b.Run(s.Name+"/"+strconv.Itoa(n), func(b *testing.B) {
				list := s.Of(n)
				b.ReportAllocs()
				run(b, list)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/scenario")
			})
		}
	}
}

func BenchmarkNext(b *testing.B) {
	everySize(b, func(b *testing.B, list []dag.Scenario) {
		g := graphOf(b, list...)
		m := scheduler.NewMachine(g, nil)
		for i := range m.Todo() { // the upper half has passed
			if i >= g.Len()/2 {
				break
			}
			m.StartedAt(i)
			m.FinishedAt(i, scheduler.PhasePassed)
		}
		s := m.Snapshot()
		for b.Loop() {
			scheduler.Next(g, s)
		}
	})
}

// pass runs everything that is to be run, and asks what is to be done after each event.
func pass(m *scheduler.Machine) {
	for i := range m.Todo() {
		m.StartedAt(i)
		m.FinishedAt(i, scheduler.PhasePassed)
	}
}

func BenchmarkMachine(b *testing.B) {
	b.Run("build", func(b *testing.B) {
		everySize(b, func(b *testing.B, list []dag.Scenario) {
			g := graphOf(b, list...)
			for b.Loop() {
				scheduler.NewMachine(g, nil)
			}
		})
	})
	b.Run("run", func(b *testing.B) {
		everySize(b, func(b *testing.B, list []dag.Scenario) {
			g := graphOf(b, list...)
			for b.Loop() {
				b.StopTimer()
				m := scheduler.NewMachine(g, nil)
				b.StartTimer()
				pass(m)
			}
		})
	})
	b.Run("cascade", func(b *testing.B) { // the root fails, is run again, and fails
		everySize(b, func(b *testing.B, list []dag.Scenario) {
			m := scheduler.NewMachine(graphOf(b, list...), nil)
			for b.Loop() {
				b.StopTimer()
				m.Observe(scheduler.Rerun(m.Newest(list[0].ID)))
				m.StartedAt(0)
				b.StartTimer()
				m.FinishedAt(0, scheduler.PhaseFailed)
			}
		})
	})
	b.Run("wave", func(b *testing.B) { // the root is run again and passes
		everySize(b, func(b *testing.B, list []dag.Scenario) {
			m := scheduler.NewMachine(graphOf(b, list...), nil)
			pass(m)
			for b.Loop() {
				m.Observe(scheduler.Rerun(m.Newest(list[0].ID)))
				pass(m)
			}
		})
	})
	b.Run("event", func(b *testing.B) { // the last scenario is started or over, by name, and asked for again
		everySize(b, func(b *testing.B, list []dag.Scenario) {
			m := scheduler.NewMachine(graphOf(b, list...), nil)
			pass(m)
			last := list[len(list)-2].ID
			i, _ := m.Graph().Index(last)
			for b.Loop() {
				m.Observe(scheduler.Rerun(m.Newest(last)))
				m.StartedAt(i)
				m.Observe(scheduler.Finished(m.Newest(last), scheduler.PhaseFailed))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/3, "ns/event")
		})
	})
}

func BenchmarkRun(b *testing.B) {
	everySize(b, func(b *testing.B, list []dag.Scenario) {
		g := graphOf(b, list...)
		passed := scheduler.RunnerFunc(func(context.Context, scheduler.Task) (scheduler.Result, error) {
			return scheduler.Result{Phase: scheduler.PhasePassed}, nil
		})
		for b.Loop() {
			b.StopTimer()
			m := scheduler.NewMachine(g, nil)
			b.StartTimer()
			if err := m.Run(b.Context(), passed, scheduler.Options{Parallel: 1000}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
