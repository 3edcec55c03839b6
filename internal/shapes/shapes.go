// Package shapes makes large graphs to measure with: the shapes that schedulers find easy and hard.
package shapes

import (
	"fmt"
	"math/rand/v2"

	"github.com/testdag/testdag/dag"
)

// A Shape makes a graph of n scenarios. The first is a root from which all others can be reached.
type Shape struct {
	Name string
	Of   func(n int) []dag.Scenario
}

// All holds the shapes.
var All = []Shape{{"chain", Chain}, {"fan", Fan}, {"layered", Layered}}

// Sizes are the numbers of scenarios to measure with.
var Sizes = []int{1_000, 10_000, 100_000, 1_000_000}

func name(i int) dag.ID { return dag.ID(fmt.Sprintf("scenario-%07d", i)) }

// Chain returns n scenarios, each after the one before.
func Chain(n int) []dag.Scenario {
	list := make([]dag.Scenario, n)
	for i := range list {
		list[i].ID = name(i)
		if i > 0 {
			list[i].After = dag.After(list[i-1].ID)
		}
	}
	return list
}

// Fan returns one scenario, n-2 that wait for it, and one that waits for all of those.
func Fan(n int) []dag.Scenario {
	list := make([]dag.Scenario, n)
	for i := range list {
		list[i].ID = name(i)
		if 0 < i && i < n-1 {
			list[i].After = dag.After(list[0].ID)
			list[n-1].After = append(list[n-1].After, dag.Parent{ID: list[i].ID})
		}
	}
	return list
}

// Layered returns a root, and layers of about the square root of n in which each scenario waits for three random ones of
// the layer above, or for the root. Equal n give equal graphs.
func Layered(n int) []dag.Scenario {
	random := rand.New(rand.NewPCG(1, 2))
	width := 3
	for width*width < n {
		width++
	}
	list := make([]dag.Scenario, n)
	for i := range list {
		list[i].ID = name(i)
		above := i - (i-1)%width - width // the first of the layer above
		switch {
		case i == 0:
		case above < 1:
			list[i].After = dag.After(list[0].ID)
		default:
			for _, k := range three(random, width) {
				list[i].After = append(list[i].After, dag.Parent{ID: list[above+k].ID})
			}
		}
	}
	return list
}

// three returns three different numbers below n.
func three(random *rand.Rand, n int) [3]int {
	x, y, z := random.IntN(n), random.IntN(n-1), random.IntN(n-2)
	if y >= x {
		y++
	}
	for _, taken := range []int{min(x, y), max(x, y)} {
		if z >= taken {
			z++
		}
	}
	return [3]int{x, y, z}
}
