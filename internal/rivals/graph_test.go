package main

import (
	"slices"
	"testing"
)

func TestShapes(t *testing.T) {
	for _, s := range shapes {
		for _, n := range []int{1, 2, 3, 10, 1000} {
			g := s.make(n)
			if g.len() != n {
				t.Errorf("%s of %d has %d scenarios", s.name, n, g.len())
			}
			if s.name == "layered" && slices.Contains(g.below(), false) {
				t.Errorf("%s of %d: not everything is below scenario 0", s.name, n)
			}
			for i, list := range g.parents {
				for k, p := range list {
					if int(p) >= i || slices.Contains(list[:k], p) {
						t.Fatalf("%s of %d: scenario %d has parents %v", s.name, n, i, list)
					}
				}
			}
		}
	}
	if g := layered(10_000); g.edges() < 28_000 || g.edges() > 32_000 {
		t.Errorf("layered of 10000 has %d edges, want about three each", g.edges())
	}
	if g := scattered(100); !slices.Contains(g.below()[1:], true) || !slices.Contains(g.below(), false) {
		t.Error("scattered: want some below scenario 0 and some not")
	}
}

func TestNames(t *testing.T) {
	for _, i := range []int{0, 1, 2, 99, 1_000_000, maxNames - 1} {
		if got := numberOf(name(i)); got != i {
			t.Errorf("%s is %d, want %d", name(i), got, i)
		}
	}
}
