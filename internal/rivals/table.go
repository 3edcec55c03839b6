package main

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// table writes rows in Markdown: each work under its floor and with ratios to it, rivals from the fastest to the
// slowest. Works that were not measured are left out, and baselines if brief is set.
func table(rows []row, columns []column, brief bool) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, c := range columns {
		b.WriteString(" " + c.head() + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(columns)) + "\n")
	for w := range work(len(works)) {
		block := slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
			return r.work != w || brief && r.role == baseline
		})
		if !slices.ContainsFunc(block, func(r row) bool { return r.measured(columns) }) {
			continue
		}
		slices.SortStableFunc(block, func(x, y row) int { return compareRows(x, y, columns) })
		var least map[column]float64
		for _, r := range block {
			if r.role == floor {
				least = r.ns
			}
		}
		for k, r := range block {
			label := r.label()
			if k == 0 {
				label = "**" + w.String() + "**: " + label
			}
			b.WriteString("| " + label + " |")
			for _, c := range columns {
				b.WriteString(" " + r.cell(c, least) + " |")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func (c column) head() string {
	if c.shape == shapes[0].name {
		return number(float64(c.n))
	}
	return c.shape + " of " + number(float64(c.n))
}

// compareRows puts the floor first, then other baselines and ours, then rivals by their time at the largest size that
// one of the two could do.
func compareRows(x, y row, columns []column) int {
	if x.role != rival || y.role != rival {
		return cmp.Compare(y.role, x.role)
	}
	for _, c := range slices.Backward(columns) {
		if order := cmp.Compare(x.at(c), y.at(c)); order != 0 {
			return order
		}
	}
	return 0
}

// measured tells whether there is anything in the columns.
func (r row) measured(columns []column) bool {
	return slices.ContainsFunc(columns, func(c column) bool { return r.ns[c] > 0 })
}

// at is the time in a column, endless if it was left out.
func (r row) at(c column) float64 {
	if ns, ok := r.ns[c]; ok {
		return ns
	}
	return math.Inf(1)
}

func (r row) label() string {
	switch {
	case r.role == floor:
		return r.name + " (floor)"
	case r.role == ours:
		return "**" + r.name + "**"
	case r.work == build && r.blind&cycle != 0:
		return r.name + " †"
	}
	return r.name
}

// cell is the time in a column, and how many times the least that is.
func (r row) cell(c column, least map[column]float64) string {
	ns, ok := r.ns[c]
	if !ok {
		return "–"
	}
	if base, ok := least[c]; ok && r.role != floor {
		return number(ns) + " (" + ratio(ns/base) + "×)"
	}
	return number(ns)
}

func ratio(x float64) string {
	if x < 9.95 {
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return number(x)
}

// number writes a number without fraction, its digits in groups of three.
func number(x float64) string {
	digits := strconv.FormatFloat(x, 'f', 0, 64)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
