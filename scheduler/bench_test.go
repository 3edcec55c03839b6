package scheduler_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

var sizes = []int{1_000, 10_000, 100_000, 1_000_000}

// A shape makes a graph of n scenarios, whose first is a root from which all others can be reached.
type shape struct {
	name string
	of   func(n int) []dag.Scenario
}

var shapes = []shape{{"chain", chain}, {"fan", fan}, {"layered", layered}}

func name(i int) dag.ID { return dag.ID(fmt.Sprintf("scenario-%07d", i)) }

// chain returns n scenarios, each after the one before.
func chain(n int) []dag.Scenario {
	list := make([]dag.Scenario, n)
	for i := range list {
		list[i].ID = name(i)
		if i > 0 {
			list[i].After = dag.After(name(i - 1))
		}
	}
	return list
}

// fan returns one scenario, n-2 that wait for it, and one that waits for all of those.
func fan(n int) []dag.Scenario {
	list := make([]dag.Scenario, n)
	for i := range list {
		list[i].ID = name(i)
		if 0 < i && i < n-1 {
			list[i].After = dag.After(name(0))
			list[n-1].After = append(list[n-1].After, dag.Parent{ID: name(i)})
		}
	}
	return list
}

// layered returns a root and layers of about the square root of n, in which each scenario waits for three of the layer
// above, or for the root.
func layered(n int) []dag.Scenario {
	random := rand.New(rand.NewPCG(1, 2))
	width := 1
	for width*width < n {
		width++
	}
	list := make([]dag.Scenario, n)
	for i := range list {
		list[i].ID = name(i)
		layer := (i + width - 1) / width // the root, then 1 to width, and so on
		switch {
		case layer == 1:
			list[i].After = dag.After(name(0))
		case layer > 1:
			for k := range 3 {
				list[i].After = append(list[i].After, dag.Parent{ID: name((layer-2)*width + 1 + (random.IntN(width/3)*3+k)%width)})
			}
		}
	}
	return list
}

// everySize runs a benchmark for each shape and size, and reports the time for one scenario.
func everySize(b *testing.B, run func(b *testing.B, list []dag.Scenario)) {
	for _, s := range shapes {
		for _, n := range sizes {
			b.Run(s.name+"/"+strconv.Itoa(n), func(b *testing.B) {
				list := s.of(n)
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
