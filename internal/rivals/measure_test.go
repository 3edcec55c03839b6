package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func rowsOf(list ...entry) []row {
	rows := make([]row, len(list))
	for k, e := range list {
		rows[k] = row{e, map[column]float64{}}
	}
	return rows
}

// A rival is left out of a size if the cost so far, growing as it grew, makes it too long, or if it is known to be too
// big. So it is of all larger ones. Nobody else is left out.
func TestEnter(t *testing.T) {
	for _, test := range []struct {
		name         string
		role         role
		most         int
		before, took float64
		out          bool
	}{
		{"first", rival, 0, 0, 0, false},
		{"steady", rival, 0, 1000, 1000, false},
		{"falling", rival, 0, 5000, 1000, false},
		{"slow", rival, 0, 11_000, 11_000, true},
		{"growing", rival, 0, 500, 5000, true},
		{"growing little", rival, 0, 500, 1000, false},
		{"disturbed", rival, 0, 1, 900, false},
		{"known", rival, 500, 1, 1, true},
		{"known to do", rival, 1000, 1, 1, false},
		{"ours", ours, 0, 11_000, 11_000, false},
		{"floor", floor, 0, 500, 5000, false},
	} {
		c := contender{n: 100, beforeN: 10, before: test.before, took: test.took}
		c.role, c.most = test.role, test.most
		c.enter(1000, 10*time.Millisecond)
		if c.out != test.out {
			t.Errorf("%s: left out %t, want %t", test.name, c.out, test.out)
		}
		c.enter(2000, time.Hour)
		if test.out && !c.out {
			t.Errorf("%s is in again", test.name)
		}
	}
}

// What is left out is in no column.
func TestMeasureLeavesOut(t *testing.T) {
	rows := rowsOf(obey(run, right), obey(run, right))
	rows[1].most = 300
	m := &meter{reps: 2, limit: time.Minute, progress: io.Discard}
	if err := m.measure(shapes[0], rows, []int{300, 1000}); err != nil {
		t.Fatal(err)
	}
	for k, want := range []int{4, 3} {
		if got := len(rows[k].ns); got != want { // two of them to warm up
			t.Errorf("row %d has %d columns, want %d: %v", k, got, want, rows[k].ns)
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
		"| | chain of 100 | fan of 100 |", "A `Machine` takes ", "without its names", "; the whole took ", "\nThe whole took ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in\n%s", want, out.String())
		}
	}
}

func TestWeigh(t *testing.T) {
	f, err := weigh(100_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, bytes := range []float64{f.graph, f.machine, f.ran} {
		if bytes < 20 || bytes > 1000 {
			t.Errorf("bytes per scenario: %+v", f)
		}
	}
}

func TestWrite(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	fails := func(want error, args ...string) {
		t.Helper()
		args = append(args, "-write", "-readme", readme)
		if err := compare(args, io.Discard, io.Discard); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", args, err, want)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(readme, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fails(os.ErrNotExist)
	write("no markers\n")
	fails(errNoSection)
	write(sectionBegin + sectionEnd + "the rest\n")
	fails(errPartial, "-only", "^rerun")
	if err := writeSection(readme, "new\n"); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(readme)
	if want := sectionBegin + "new\n" + sectionEnd + "the rest\n"; err != nil || string(written) != want {
		t.Errorf("%v, written:\n%s", err, written)
	}
}
