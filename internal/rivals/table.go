package main

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// table writes rows in Markdown: each work under its floor and with ratios to it, the fastest rival first.
func table(rows []row, sizes []int) string {
	sizes = slices.DeleteFunc(slices.Clone(sizes), func(n int) bool { return n < 1000 })
	var b strings.Builder
	b.WriteString("| |")
	for _, n := range sizes {
		b.WriteString(" " + number(float64(n)) + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(sizes)) + "\n")
	for w := range work(len(works)) {
		block := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.work != w })
		slices.SortStableFunc(block, func(x, y row) int { return compareRows(x, y, sizes) })
		for k, r := range block {
			label := r.label()
			if k == 0 {
				label = "**" + w.String() + "**: " + label
			}
			b.WriteString("| " + label + " |")
			for _, n := range sizes {
				b.WriteString(" " + r.cell(n, block[0]) + " |")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// compareRows puts the floor first, then ours, then rivals by their time at the largest size that one of the two could
// do.
func compareRows(x, y row, sizes []int) int {
	if x.role != rival || y.role != rival {
		return cmp.Compare(y.role, x.role)
	}
	for _, n := range slices.Backward(sizes) {
		if order := cmp.Compare(x.at(n), y.at(n)); order != 0 {
			return order
		}
	}
	return 0
}

// at is the time at a size, endless if it was left out.
func (r row) at(n int) float64 {
	if ns, ok := r.ns[n]; ok {
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
	case r.takesCycles:
		return r.name + " †"
	}
	return r.name
}

// cell is the time at a size, and how many times that of the floor it is, if the first row is the floor.
func (r row) cell(n int, first row) string {
	ns, ok := r.ns[n]
	if !ok {
		return "–"
	}
	if first.role == floor && r.role != floor {
		return number(ns) + " (" + ratio(ns/first.ns[n]) + "×)"
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
