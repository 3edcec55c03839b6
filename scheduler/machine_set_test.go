package scheduler

import (
	"testing"

	"pgregory.net/rapid"
)

// A set holds what was added to it and not removed, at any number of levels, and finds the least from any number on.
func TestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.SampledFrom([]int{0, 1, 63, 64, 65, 128, 4095, 4096, 4097, 300_000}).Draw(t, "bound")
		s, held := newSet(bound), map[int]bool{}
		// Few numbers, near each other and near the ends of words, so that words are filled and emptied.
		number := rapid.Custom(func(t *rapid.T) int {
			near := rapid.SampledFrom([]int{0, 63, 64, 4095, 4096, 64 * 4096, bound / 2, bound - 2}).Draw(t, "near")
			return near + rapid.IntRange(-1, 1).Draw(t, "beside")
		}).Filter(func(i int) bool { return i >= 0 && i < bound })
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			if bound > 0 {
				if i := number.Draw(t, "number"); rapid.Bool().Draw(t, "add") {
					s.add(i)
					held[i] = true
				} else {
					s.remove(i)
					delete(held, i)
				}
			}
			for _, from := range []int{0, 1, bound / 2, bound - 1, bound} {
				checkFrom(t, &s, held, max(0, from))
			}
			for i := range held {
				checkFrom(t, &s, held, i)
				checkFrom(t, &s, held, i+1)
			}
		}
	})
}

func checkFrom(t *rapid.T, s *set, held map[int]bool, from int) {
	want := -1
	for i := range held {
		if i >= from && (want < 0 || i < want) {
			want = i
		}
	}
	if got := s.from(from); got != want {
		t.Fatalf("from %d: %d, want %d of %v", from, got, want, held)
	}
}
