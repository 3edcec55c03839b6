package main

import (
	"errors"
	"strings"
	"testing"
)

func TestSameWork(t *testing.T) {
	for _, e := range entries {
		t.Run(e.String(), func(t *testing.T) {
			if err := check(e); err != nil {
				t.Error(err)
			}
		})
	}
}

// obey returns an entry that visits scenarios in the order in which they are given, which is right, but for what amend
// does to that order.
func obey(w work, amend func(order []int) []int) entry {
	return entry{work: w, name: "amended", prepare: func(g *graph, visit func(int)) (job, error) {
		var order []int
		for i, below := range g.below() {
			if w != wave || below {
				order = append(order, i)
			}
		}
		order = amend(order)
		return job{do: func() error {
			for _, i := range order {
				visit(i)
			}
			return nil
		}}, nil
	}}
}

func right(order []int) []int { return order }

func TestCheckFindsWrongRuns(t *testing.T) {
	for _, w := range []work{run, decide, wave} {
		if err := check(obey(w, right)); err != nil {
			t.Errorf("a right one: %v", err)
		}
		for _, wrong := range []struct {
			name, says string
			amend      func(order []int) []int
		}{
			{"forgets one", "ran 0 times", func(order []int) []int { return order[:len(order)-1] }},
			{"runs one twice", "ran 2 times", func(order []int) []int { return append(order, order[len(order)-1]) }},
			{"starts a child too early", "begins before", func(order []int) []int {
				last := len(order) - 1
				order[0], order[last] = order[last], order[0]
				return order
			}},
		} {
			wantMistake(t, w.String()+" that "+wrong.name, check(obey(w, wrong.amend)), wrong.says)
		}
	}
}

func wantMistake(t *testing.T, who string, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: the check says %v, want %q", who, err, says)
	}
}

// A child whose parents have begun but not ended must not begin: the check watches ends, from several goroutines.
func TestCheckFindsOverlap(t *testing.T) {
	all := entry{work: run, name: "all at once", prepare: func(g *graph, visit func(int)) (job, error) {
		return job{do: func() error {
			ended := make(chan struct{})
			for i := range g.names {
				go func() { visit(i); ended <- struct{}{} }()
			}
			for range g.names {
				<-ended
			}
			return nil
		}}, nil
	}}
	wantMistake(t, "everything at once", check(all), "begins before")
}

func TestCheckFindsWrongCascades(t *testing.T) {
	for name, canceled := range map[string]func(g *graph, i int) bool{
		"cancels nothing":    func(*graph, int) bool { return false },
		"cancels all others": func(_ *graph, i int) bool { return i != 0 },
		"cancels all":        func(*graph, int) bool { return true },
		"stops at children":  func(g *graph, i int) bool { return len(g.parents[i]) > 0 && g.parents[i][0] == 0 },
	} {
		e := entry{work: cascade, name: name, prepare: func(g *graph, _ func(int)) (job, error) {
			return job{do: func() error { return nil }, canceled: func(i int) bool { return canceled(g, i) }}, nil
		}}
		wantMistake(t, name, check(e), "is canceled")
	}
}

func TestCheckFindsWrongBuilds(t *testing.T) {
	builds := func(edges int, err error) entry {
		return entry{work: build, name: "lenient", prepare: func(g *graph, _ func(int)) (job, error) {
			return job{do: func() error { return err }, size: func() (int, int) { return g.len(), g.edges() + edges }}, nil
		}}
	}
	wantMistake(t, "a build that takes everything", check(builds(0, nil)), "takes a cycle: true, want false")
	wantMistake(t, "a build that takes everything", check(builds(0, nil)), "takes an unknown name: true, want false")
	wantMistake(t, "a build that forgets an edge", check(builds(-1, nil)), "edges, want")
	wantMistake(t, "a build that refuses everything", check(builds(0, errors.New("refused"))), "refused")
}

// What measuring looks at afterwards: less than the check, but on the very graph.
func TestDone(t *testing.T) {
	g := layered(4)
	for tally, right := range map[[4]int32]bool{{1, 1, 1, 1}: true, {1, 1, 0, 1}: false, {1, 2, 1, 1}: false} {
		if err := done(run, g, job{}, tally[:]); (err == nil) != right {
			t.Errorf("runs %v: %v", tally, err)
		}
	}
	for _, canceled := range []func(int) bool{func(int) bool { return true }, func(int) bool { return false }} {
		if done(cascade, g, job{canceled: canceled}, nil) == nil {
			t.Error("a wrong cascade is not noticed")
		}
	}
}

// A run of a cyclic graph is an error, except with go-taskflow, which runs the scenario that waits for nothing.
func TestCyclesAtRun(t *testing.T) {
	for _, e := range entries {
		if e.work != run {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			ran := make([]int, 5)
			j, err := e.prepare(cyclic(), func(i int) { ran[i]++ })
			if err == nil {
				err = j.do()
			}
			if e.name != taskflowName {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			if err != nil || ran[0] != 1 || ran[1]+ran[2]+ran[3]+ran[4] != 0 {
				t.Errorf("error %v, runs %v; want none, and only the first to run", err, ran)
			}
		})
	}
}

// A build whose library does not say how much it holds has a run, which shows it.
func TestBuildsAreLookedAt(t *testing.T) {
	runs := map[string]bool{}
	for _, e := range entries {
		runs[e.name] = runs[e.name] || e.work == run
	}
	for _, e := range entries {
		if e.work != build || runs[e.name] {
			continue
		}
		j, err := e.prepare(layered(3), func(int) {})
		if err != nil || j.size == nil {
			t.Errorf("%v tells no size, and there is no run of it: %v", e, err)
		}
	}
}
