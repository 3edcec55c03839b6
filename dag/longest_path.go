package dag

import (
	"math"
	"slices"
)

// LongestPath returns the heaviest path of the graph and its weight: the sum of the weights of its scenarios. It is the
// critical path when weights are durations. Among several it returns the one that comes first in canonical order at the
// first scenario in which they differ. Negative weights count as 0; a sum beyond math.MaxInt64 stays there. The path of
// an empty graph is empty.
func (g *Graph) LongestPath(weight func(ID) int64) (path []ID, total int64) {
	if g.Len() == 0 {
		return nil, 0
	}
	remaining := g.Remaining(weight)
	total = slices.Max(remaining)
	i := slices.Index(remaining, total)
	for {
		path = append(path, g.ids[i])
		next := -1
		for _, c := range g.children.of(i) {
			if next < 0 || remaining[c.Index] > remaining[next] {
				next = int(c.Index)
			}
		}
		if next < 0 {
			return path, total
		}
		i = next
	}
}

// Remaining returns for each scenario, by index, the weight of the heaviest path that starts there, its own weight
// included. Weights are as in [Graph.LongestPath].
func (g *Graph) Remaining(weight func(ID) int64) []int64 {
	remaining := make([]int64, g.Len())
	for i, id := range slices.Backward(g.ids) {
		below := int64(0)
		for _, c := range g.children.of(i) {
			below = max(below, remaining[c.Index])
		}
		own := max(0, weight(id))
		remaining[i] = own + min(below, math.MaxInt64-own)
	}
	return remaining
}
