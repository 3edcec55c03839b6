package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A report is what a run of this program has to tell.
type report struct {
	options
	rows []row
	took time.Duration
	footprint
}

// newReport returns a report with rows for all that is wanted, after checking that it does the same work.
func newReport(o options) (*report, error) {
	wanted, err := regexp.Compile(o.only)
	if err != nil {
		return nil, err
	}
	r := &report{options: o}
	if o.weight > 0 {
		if r.footprint, err = weigh(int(o.weight)); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		if !wanted.MatchString(e.String()) {
			continue
		}
		if err := check(e); err != nil {
			return nil, fmt.Errorf("not the same work: %w", err)
		}
		r.rows = append(r.rows, row{e, map[column]float64{}})
	}
	return r, nil
}

// section is what the README quotes.
func (r *report) section() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Nanoseconds per scenario, best of up to %d turns, and how many times the floor that is, on layered\n"+
		"random graphs. Everybody was checked to do the same work.\n\n", r.reps)
	b.WriteString(table(r.rows, r.layered(), true))
	fmt.Fprintf(&b, `
– would take longer than %v, or more memory than a common machine has. † finds no cycle when it builds; natessilva/dag
and go-workflow look for cycles when they run, natessilva/dag for names too. Terraform's cascade is a whole walk, with
its set-up. No library here can run a scenario again with what waits for it.
`, r.limit)
	if r.weight > 0 {
		fmt.Fprintf(&b, "\nA `Machine` takes %s bytes for a scenario of three parents, beside the graph, which takes %s without "+
			"its names.\n", number(max(r.machine, r.ran)), number(r.graph))
	}
	fmt.Fprintf(&b, "\n%s, %s/%s, %d processors, %s; the whole took %v.\n",
		strings.Replace(runtime.Version(), "go", "Go ", 1), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0),
		time.Now().UTC().Format(time.DateOnly), r.took)
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
		fmt.Fprintf(&b, "\nBytes per scenario: graph without names %.1f, new Machine %.1f, Machine after a run of everything %.1f.\n"+
			"A new Machine takes %s ns per scenario.\n", r.graph, r.machine, r.ran, number(r.making))
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

// withSection returns the text of a file with another section.
func withSection(file, section string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	changed, err := replaceSection(string(text), section)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return changed, nil
}

// writeSection puts a section in a file as it is now: somebody may have written in it while this program measured.
func writeSection(file, section string) error {
	changed, err := withSection(file, section)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(changed), 0o644)
}

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
