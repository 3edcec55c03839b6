package dag

import (
	"cmp"
	"slices"
)

// searchSteps bounds the search for the shortest cycle of one component, in edges looked at. The bound is far beyond
// any graph a person writes; where it is reached, the shortest cycle found until then is reported.
const searchSteps = 1 << 24

// reportCycles reports one shortest cycle of each strongly connected component.
func (b *builder) reportCycles() {
	s := newCycleSearch(b)
	for _, component := range s.components() {
		path := s.shortestCycle(component)
		ids := make([]ID, len(path))
		for k, i := range path {
			ids[k] = b.ids[s.byID[i]]
		}
		b.cycles = append(b.cycles, &CycleError{Path: ids})
	}
}

// A cycleSearch numbers the scenarios by ascending ID, so that the smallest number is the smallest ID.
type cycleSearch struct {
	byID    []int32   // number in the builder
	parents adjacency // each list ascending
	member  []int32   // component, counted from 1; 0 before it is known
	from    []int32   // breadth-first search: the scenario that led here
	depth   []int32   // breadth-first search: distance from the start, valid if stamp fits
	stamp   []int32
}

func newCycleSearch(b *builder) *cycleSearch {
	n := len(b.ids)
	s := &cycleSearch{
		byID: make([]int32, n), member: make([]int32, n),
		from: make([]int32, n), depth: make([]int32, n), stamp: make([]int32, n),
	}
	for i := range s.byID {
		s.byID[i] = int32(i)
	}
	slices.SortFunc(s.byID, func(x, y int32) int { return cmp.Compare(b.ids[x], b.ids[y]) })
	rank := make([]int32, n)
	for r, i := range s.byID {
		rank[i] = int32(r)
	}
	s.parents = adjacent(n, b.edges, func(e edge) (int32, Neighbor) {
		return rank[e.child], Neighbor{Index: rank[e.parent]}
	})
	for i := range n {
		slices.SortFunc(s.parents.of(i), func(x, y Neighbor) int { return cmp.Compare(x.Index, y.Index) })
	}
	return s
}

// components returns the strongly connected components of two or more scenarios, each ascending, by Tarjan's algorithm
// without recursion: a graph may be a million scenarios deep.
func (s *cycleSearch) components() [][]int32 {
	n := len(s.byID)
	var (
		found   [][]int32
		low     = make([]int32, n) // counted from 1; 0 before the first visit
		number  = make([]int32, n)
		visited int32
		pending []int32 // visited, component not yet known
		path    []int32 // from the start to where we are
		next    = make([]int32, n)
	)
	for start := range int32(n) {
		if number[start] != 0 {
			continue
		}
		path = append(path[:0], start)
		for len(path) > 0 {
			i := path[len(path)-1]
			if number[i] == 0 {
				visited++
				number[i], low[i] = visited, visited
				pending = append(pending, i)
			}
			if parents := s.parents.of(int(i)); int(next[i]) < len(parents) {
				p := parents[next[i]].Index
				next[i]++
				if number[p] == 0 {
					path = append(path, p)
				} else if s.member[p] == 0 {
					low[i] = min(low[i], number[p])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				child := path[len(path)-1]
				low[child] = min(low[child], low[i])
			}
			if low[i] != number[i] {
				continue
			}
			at := len(pending) - 1
			for pending[at] != i {
				at--
			}
			component := slices.Clone(pending[at:])
			pending = pending[:at]
			for _, m := range component {
				s.member[m] = i + 1
			}
			if len(component) > 1 {
				slices.Sort(component)
				found = append(found, component)
			}
		}
	}
	return found
}

// shortestCycle returns the shortest cycle of a component; among several the one whose IDs come first. It looks for the
// shortest cycle through each scenario that has no smaller one, so that each cycle is found from its smallest ID.
func (s *cycleSearch) shortestCycle(component []int32) []int32 {
	var best []int32
	steps := 0
	for k, start := range component {
		if best != nil && (steps > searchSteps || len(best) == 2) {
			break
		}
		if path := s.cycleThrough(start, int32(k)+1, len(best), &steps); path != nil {
			best = path
		}
	}
	return best
}

// cycleThrough returns the shortest cycle through start and larger scenarios of its component that has fewer than limit
// elements, or nil. No limit is 0.
func (s *cycleSearch) cycleThrough(start, stamp int32, limit int, steps *int) []int32 {
	queue := []int32{start}
	s.depth[start], s.stamp[start] = 1, stamp
	for at := 0; at < len(queue); at++ {
		i := queue[at]
		if limit > 0 && int(s.depth[i]) >= limit {
			return nil
		}
		for _, p := range s.parents.of(int(i)) {
			*steps++
			if p.Index == start {
				return s.pathTo(i)
			}
			if p.Index > start && s.member[p.Index] == s.member[start] && s.stamp[p.Index] != stamp {
				s.stamp[p.Index], s.depth[p.Index], s.from[p.Index] = stamp, s.depth[i]+1, i
				queue = append(queue, p.Index)
			}
		}
	}
	return nil
}

func (s *cycleSearch) pathTo(i int32) []int32 {
	path := make([]int32, s.depth[i])
	for k := len(path) - 1; k >= 0; k-- {
		path[k] = i
		i = s.from[i]
	}
	return path
}
