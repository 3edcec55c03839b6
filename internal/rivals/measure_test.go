package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

// sleepy returns an entry whose cost for each scenario is cost of the size.
func sleepy(name string, most int, cost func(n int) time.Duration) entry {
	return entry{work: run, name: name, most: most, prepare: func(g *graph, visit func(int)) (job, error) {
		return job{do: func() error {
			time.Sleep(cost(g.len()) * time.Duration(g.len()))
			for i := range g.names {
				visit(i)
			}
			return nil
		}}, nil
	}}
}

func rowsOf(list ...entry) []row {
	rows := make([]row, len(list))
	for k, e := range list {
		rows[k] = row{e, map[column]float64{}}
	}
	return rows
}

// Sizes are left out for an entry whose growth says that they take too long, and for one that is known to be too big.
func TestMeasureLeavesOut(t *testing.T) {
	rows := rowsOf(
		sleepy("steady", 0, func(int) time.Duration { return time.Microsecond }),
		sleepy("quadratic", 0, func(n int) time.Duration { return time.Duration(n) * time.Microsecond }),
		sleepy("big", 300, func(int) time.Duration { return time.Microsecond }),
	)
	m := &meter{reps: 2, limit: 200 * time.Millisecond, progress: io.Discard}
	if err := m.measure(shapes[0], rows, []int{300, 1000}); err != nil {
		t.Fatal(err)
	}
	for k, want := range [][2]bool{{true, true}, {true, false}, {true, false}} {
		for c, n := range []int{300, 1000} {
			ns, measured := rows[k].ns[column{"layered", n}]
			if measured != want[c] {
				t.Errorf("%s at %d: measured %t, want %t", rows[k].name, n, measured, want[c])
			}
			if measured && ns < 1000 {
				t.Errorf("%s at %d: %f ns, want at least 1000", rows[k].name, n, ns)
			}
		}
	}
}

func TestMeasureRefusesWrongWork(t *testing.T) {
	m := &meter{reps: 1, limit: time.Second, progress: io.Discard}
	err := m.measure(shapes[0], rowsOf(obey(run, func(order []int) []int { return order[1:] })), nil)
	wantMistake(t, "a run without its first scenario", err, "ran 0 times")
}

// The program as a whole, at a size that takes no time.
func TestCompare(t *testing.T) {
	var out strings.Builder
	err := compare([]string{
		"-sizes", "200", "-shapes", "100", "-reps", "1", "-memory", "1e3",
		"-only", "^(decide|cascade|build)/(testdag|state machine|csr, names)$",
	}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| | 200 |\n|---|--:|\n| **decide**: state machine (floor) | ", "| **testdag** | ", "| **build**: csr, names (floor)",
		"| | chain of 100 | fan of 100 |", "a `Machine` takes",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in\n%s", want, out.String())
		}
	}
}

func TestWeigh(t *testing.T) {
	f, err := weigh(20_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, bytes := range []float64{f.graph, f.machine, f.ran} {
		if bytes < 20 || bytes > 1000 {
			t.Errorf("bytes per scenario: %+v", f)
		}
	}
}
