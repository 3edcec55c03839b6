package main

import (
	"io"
	"testing"
)

func rowsOf(list ...entry) []row {
	var rows []row
	for _, e := range list {
		rows = append(rows, newRow(e))
	}
	return rows
}

// A rival is left out of a size if the cost so far, growing as it grew, makes it too long. So it is of all larger ones.
// No other entry is left out.
func TestEnter(t *testing.T) {
	const n = 1000
	most := float64(limit) / n // nanoseconds per scenario
	for _, test := range []struct {
		name         string
		role         role
		before, took float64
		out          bool
	}{
		{"first", rival, 0, 0, false},
		{"steady", rival, most / 10, most / 10, false},
		{"falling", rival, most / 2, most / 10, false},
		{"slow", rival, most * 1.1, most * 1.1, true},
		{"growing", rival, most / 20, most / 2, true},
		{"growing little", rival, most / 20, most / 10, false},
		{"disturbed", rival, most / 1000, most / 11, false},
		{"ours", ours, most * 1.1, most * 1.1, false},
		{"floor", floor, most / 20, most / 2, false},
	} {
		c := contender{before: test.before, took: test.took}
		c.role = test.role
		c.enter(n)
		if c.out != test.out {
			t.Errorf("%s: left out %t, want %t", test.name, c.out, test.out)
		}
		c.enter(10 * n)
		if test.out && !c.out {
			t.Errorf("%s is in again", test.name)
		}
	}
}

// A size that is left out has no figure.
func TestMeasureLeavesOut(t *testing.T) {
	rows := rowsOf(obey(run, right), obey(run, right))
	contenders := []contender{{row: rows[0]}, {row: rows[1], took: float64(limit)}}
	if err := takeTurns(contenders, 1000, io.Discard); err != nil {
		t.Fatal(err)
	}
	if len(rows[0].ns) != 1 || len(rows[1].ns) != 0 {
		t.Errorf("figures %v and %v, want one and none", rows[0].ns, rows[1].ns)
	}
}

func TestMeasureRefusesWrongWork(t *testing.T) {
	err := measureAll(rowsOf(obey(run, func(order []int) []int { return order[1:] })), sizesUpTo(10), io.Discard)
	wantMistake(t, "a run without its first scenario", err, "ran 0 times")
}

func TestWeigh(t *testing.T) {
	f, err := weigh(100_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, bytes := range []float64{f.graph, f.machine} {
		if bytes < 20 || bytes > 1000 {
			t.Errorf("bytes per scenario: %+v", f)
		}
	}
}
