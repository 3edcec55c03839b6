package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A report is what a run of this program has to tell.
type report struct {
	rows   []row
	large  []int // sizes of layered graphs
	small  []int // sizes of the other shapes
	limit  time.Duration
	weight int // scenarios of the footprint
	footprint
}

// section is what the README quotes.
func (r *report) section() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Nanoseconds per scenario, best repetition, and how many times the floor that is. Layered random\n"+
		"graphs with about 3 parents each; everybody was checked to do the same work, and measured in turns. %s,\n"+
		"%s/%s, %d cores, %s.\n\n",
		strings.Replace(runtime.Version(), "go", "Go ", 1), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0),
		time.Now().UTC().Format(time.DateOnly))
	b.WriteString(table(r.rows, r.layered(), true))
	fmt.Fprintf(&b, "\n– would take longer than %v, or more memory than a common machine has. † takes a cyclic graph\n"+
		"without a word. None of the libraries can run a scenario again with what waits for it.\n", r.limit)
	if r.weight > 0 {
		fmt.Fprintf(&b, "With %s scenarios, a graph takes %s bytes for each, and a `Machine` %s more; it takes\n%s ns to make.\n",
			number(float64(r.weight)), number(r.graph), number(max(r.machine, r.ran)), number(r.making))
	}
	return b.String()
}

// details is what it does not quote: baselines that do less than a state machine, and other shapes.
func (r *report) details() string {
	var b strings.Builder
	b.WriteString("\nAll rows:\n\n" + table(r.rows, r.layered(), false))
	if len(r.small) > 0 {
		b.WriteString("\nOther shapes:\n\n" + table(r.rows, r.others(), false))
	}
	if r.weight > 0 {
		fmt.Fprintf(&b, "\nBytes per scenario: graph %.1f, new Machine %.1f, Machine after a run of everything %.1f.\n",
			r.graph, r.machine, r.ran)
	}
	return b.String()
}

// The section of the README stands between these lines.
const (
	sectionBegin = "<!-- rivals -->\n"
	sectionEnd   = "<!-- /rivals -->\n"
)

var errNoSection = fmt.Errorf("there is no section to replace; put lines %q and %q where the table is to be",
	sectionBegin, sectionEnd)

// replaceSection returns the text with another section.
func replaceSection(text, section string) (string, error) {
	before, rest, begins := strings.Cut(text, sectionBegin)
	_, after, ends := strings.Cut(rest, sectionEnd)
	if !begins || !ends {
		return "", errNoSection
	}
	return before + sectionBegin + section + sectionEnd + after, nil
}

// measure fills in the rows: all works on layered graphs, and those that differ by shape on the other shapes. What has
// to come late has all of that after the others.
func (r *report) measure(m *meter) error {
	for _, late := range []bool{false, true} {
		for k, s := range shapes {
			sizes := r.small
			if k == 0 {
				sizes = r.large
			}
			for w := range work(len(works)) {
				if len(sizes) == 0 || k > 0 && (w == decide || w == wave) {
					continue
				}
				rows := slices.DeleteFunc(slices.Clone(r.rows), func(r row) bool { return r.work != w || r.late != late })
				if err := m.measure(s, rows, sizes); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// layered are the columns of the big table.
func (r *report) layered() []column {
	var columns []column
	for _, n := range r.large {
		columns = append(columns, column{shapes[0].name, n})
	}
	return columns
}

// others are the columns of the table of the other shapes.
func (r *report) others() []column {
	var columns []column
	for _, s := range shapes[1:] {
		columns = append(columns, column{s.name, slices.Max(r.small)})
	}
	return columns
}
