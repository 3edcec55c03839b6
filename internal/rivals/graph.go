package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// A graph is what every entry is given: the names of the scenarios, and for each the names of its parents.
// Parents come before their children.
type graph struct {
	names   []string
	after   [][]string // by scenario, names of its parents
	parents [][]int32  // the same by number
}

// A shape makes a graph of n scenarios.
type shape struct {
	name string
	make func(n int) *graph
}

// The shapes on which the work is checked. It is measured on layered graphs.
var shapes = []shape{{"layered", layered}, {"chain", chain}, {"fan", fan}, {"scattered", scattered}}

// layered puts scenario 0 above layers about as wide as there are of them. A scenario below has one to five parents in
// the layer above, three on average.
func layered(n int) *graph {
	width := 1
	for width*width < n {
		width++
	}
	random := rand.New(rand.NewPCG(1, uint64(n)))
	parents := make([][]int32, n)
	for i := 1; i < n; i++ {
		layer := (i - 1) / width
		if layer == 0 {
			parents[i] = []int32{0}
			continue
		}
		above := 1 + (layer-1)*width
		parents[i] = some(random, above, width, 1+random.IntN(5))
	}
	return newGraph(parents)
}

// chain makes each scenario wait for the one before it.
func chain(n int) *graph {
	parents := make([][]int32, n)
	for i := 1; i < n; i++ {
		parents[i] = []int32{int32(i - 1)}
	}
	return newGraph(parents)
}

// fan makes all but the first wait for the first, and the last wait for all the others.
func fan(n int) *graph {
	parents := make([][]int32, n)
	for i := 1; i < n; i++ {
		parents[i] = []int32{0}
	}
	if n > 2 {
		parents[n-1] = make([]int32, n-1)
		for i := range parents[n-1] {
			parents[n-1][i] = int32(i)
		}
	}
	return newGraph(parents)
}

// scattered has several roots, and only some of its scenarios wait for scenario 0.
func scattered(n int) *graph {
	random := rand.New(rand.NewPCG(2, uint64(n)))
	parents := make([][]int32, n)
	for i := 2; i < n; i++ {
		parents[i] = some(random, 0, i, random.IntN(3))
	}
	return newGraph(parents)
}

// some draws up to k different numbers from width of them that begin at from.
func some(random *rand.Rand, from, width, k int) []int32 {
	k = min(k, width)
	drawn := make([]int32, 0, k)
	for len(drawn) < k {
		if p := int32(from + random.IntN(width)); !slices.Contains(drawn, p) {
			drawn = append(drawn, p)
		}
	}
	return drawn
}

func newGraph(parents [][]int32) *graph {
	g := &graph{names: make([]string, len(parents)), after: make([][]string, len(parents)), parents: parents}
	for i := range g.names {
		g.names[i] = name(i)
	}
	for i, list := range parents {
		for _, p := range list {
			g.after[i] = append(g.after[i], g.names[p])
		}
	}
	return g
}

// name names a scenario. The names are in no order, so that a library that sorts by them does not find it done.
func name(i int) string { return fmt.Sprintf("test-%07x", uint32(i)*scatter%maxNames) }

// numberOf tells which scenario a name was made for. It takes no map, so that its cost does not matter.
func numberOf(name string) int {
	var x uint32
	for _, digit := range []byte(name[len("test-"):]) {
		if digit >= 'a' {
			digit -= 'a' - '9' - 1
		}
		x = x<<4 + uint32(digit-'0')
	}
	return int(x * gather % maxNames)
}

const (
	scatter  uint32 = 0x9e3779b1
	gather   uint32 = 0x0e8b2f51 // scatter * gather = 1
	maxNames        = 1 << 28
)

func (g *graph) len() int { return len(g.names) }

func (g *graph) edges() int {
	total := 0
	for _, list := range g.parents {
		total += len(list)
	}
	return total
}

// below tells which scenarios wait for scenario 0, directly or not; it counts as one of them.
func (g *graph) below() []bool {
	found := make([]bool, g.len())
	found[0] = true
	for i, list := range g.parents {
		found[i] = found[i] || slices.ContainsFunc(list, func(p int32) bool { return found[p] })
	}
	return found
}

// leaves returns the scenarios that nothing waits for.
func (g *graph) leaves() []int32 {
	waited := make([]bool, g.len())
	for _, list := range g.parents {
		for _, p := range list {
			waited[p] = true
		}
	}
	var leaves []int32
	for i, w := range waited {
		if !w {
			leaves = append(leaves, int32(i))
		}
	}
	return leaves
}

// cyclic is the graph that must be refused: three scenarios wait for one another, one waits for them, one for nothing.
func cyclic() *graph {
	return newGraph([][]int32{{}, {3, 0}, {1}, {2}, {3}})
}

// unknown is the other one: a scenario waits for a name that is none.
func unknown() *graph {
	g := newGraph([][]int32{{}, {0}})
	g.after[1] = []string{"no-such-test"}
	return g
}
