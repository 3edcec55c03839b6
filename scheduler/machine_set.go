package scheduler

import "math/bits"

// A set holds numbers below a bound, one bit each, and finds the least from any number on in a few steps: each bit of a
// level says that the word of 64 bits below it is not empty.
type set struct {
	levels [][]uint64 // the numbers themselves first, a single word last
}

func newSet(bound int) set {
	var s set
	for {
		bound = (bound + 63) / 64
		s.levels = append(s.levels, make([]uint64, bound))
		if bound <= 1 {
			return s
		}
	}
}

func (s *set) add(i int) {
	for _, level := range s.levels {
		word := &level[i>>6]
		was := *word
		*word |= 1 << (i & 63)
		if was != 0 {
			return
		}
		i >>= 6
	}
}

func (s *set) remove(i int) {
	for _, level := range s.levels {
		word := &level[i>>6]
		*word &^= 1 << (i & 63)
		if *word != 0 {
			return
		}
		i >>= 6
	}
}

// from returns the least number of the set that is not below i, or -1.
func (s *set) from(i int) int {
	for at := 0; at < len(s.levels); at++ {
		if i>>6 >= len(s.levels[at]) {
			return -1
		}
		if rest := s.levels[at][i>>6] >> (i & 63); rest != 0 {
			return s.down(at, i+bits.TrailingZeros64(rest))
		}
		i = i>>6 + 1
	}
	return -1
}

// down returns the least number below bit i of a level.
func (s *set) down(at, i int) int {
	for at--; at >= 0; at-- {
		i = i<<6 + bits.TrailingZeros64(s.levels[at][i])
	}
	return i
}
