package scheduler_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// underRace reports whether the race detector is on, with which everything takes ten times as long.
func underRace() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			return true
		}
	}
	return false
}

// A use is how much memory is live, and how many goroutines.
type use struct {
	heap       int64
	goroutines int
}

func measure() use {
	runtime.GC()
	runtime.GC() // the first one leaves what has a finalizer
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return use{int64(stats.HeapAlloc), runtime.NumGoroutine()}
}

// check holds what is live after many waves against what was after a few.
func (before use) check(t *testing.T, after use, runs int) {
	t.Helper()
	const mostHeap, mostGoroutines = 2 << 20, 100
	t.Logf("%d runs: %d KiB and %d goroutines more", runs, (after.heap-before.heap)>>10, after.goroutines-before.goroutines)
	if more := after.heap - before.heap; more > mostHeap {
		t.Errorf("%d bytes more are live after %d runs; want at most %d", more, runs, mostHeap)
	}
	if more := after.goroutines - before.goroutines; more > mostGoroutines {
		t.Errorf("%d goroutines more are there after %d runs; want at most %d", more, runs, mostGoroutines)
	}
}

// A million runs take no more memory and goroutines than some thousands: in a Machine that is kept, and in one call of Run
// that hears requests, stops runs, and has timeouts that end some of them.
func TestMemory(t *testing.T) {
	waves, few := 1000, 50
	if underRace() {
		waves /= 10
	}
	const wide = 997
	list := []dag.Scenario{{ID: "root"}, {ID: "stopped", After: dag.After("root")}, {ID: "slow", After: dag.After("root")}}
	last := dag.Scenario{ID: "last", After: []dag.Parent{{ID: "stopped", Condition: dag.Always}, {ID: "slow", Condition: dag.OnFinish}}}
	for i := range wide {
		s := dag.Scenario{ID: dag.ID(fmt.Sprint("wide", i)), After: dag.After("root")}
		list = append(list, s)
		last.After = append(last.After, dag.Parent{ID: s.ID})
	}
	g := graphOf(t, append(list, last)...)

	t.Run("machine", func(t *testing.T) {
		m := scheduler.NewMachine(g, nil)
		var before use
		for wave := range waves {
			m.Observe(scheduler.Rerun(m.Newest("root")))
			pass(m)
			if wave == few {
				before = measure()
			}
		}
		before.check(t, measure(), m.Newest("last").Run*g.Len())
		if m.Newest("last").Run != waves {
			t.Errorf("last is at %s", m.Newest("last"))
		}
	})

	t.Run("run", func(t *testing.T) {
		requests := make(chan scheduler.Event)
		var before, after use
		passed := scheduler.Result{Phase: scheduler.PhasePassed}
		runner := scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
			wave := task.Ref.Run
			switch task.Ref.ID {
			case "stopped":
				requests <- scheduler.Cancel(task.Ref)
				<-ctx.Done()
				return scheduler.Result{}, ctx.Err()
			case "slow":
				<-ctx.Done()
				return scheduler.Result{}, ctx.Err()
			case "last": // nothing else is live
				if wave == few {
					before = measure()
				}
				if wave == waves {
					after = measure()
					close(requests)
					return passed, nil
				}
				requests <- scheduler.Rerun(scheduler.Ref{ID: "root", Run: wave})
				requests <- scheduler.Rerun(scheduler.Ref{ID: "stopped", Run: wave})
			}
			return passed, nil
		})
		m := scheduler.NewMachine(g, nil)
		err := m.Run(t.Context(), runner, scheduler.Options{
			Parallel: 100, Requests: requests, Timeout: func(id dag.ID) time.Duration {
				if id == "slow" {
					return 1
				}
				return time.Hour
			},
		})
		if err != nil || m.Newest("last").Run != waves {
			t.Fatalf("%v, last is at %s", err, m.Newest("last"))
		}
		before.check(t, after, waves*g.Len())
		for id, phase := range map[dag.ID]scheduler.Phase{"stopped": scheduler.PhaseStopped, "slow": scheduler.PhaseFailed, "last": scheduler.PhasePassed} {
			if st := m.Snapshot()[id]; st.Run != waves || st.Phase != phase {
				t.Errorf("%s: %+v", id, st)
			}
		}
	})
}
