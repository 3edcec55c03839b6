package schedulertest

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// Graphs returns a generator of graphs with at most so many scenarios, of any shape: with all conditions, with optional
// scenarios, with parents declared in any order. Scenarios are named a, b, c and so on, in no relation to their order.
// It shrinks toward few scenarios, few edges and [dag.OnPass].
func Graphs(most int) *rapid.Generator[*dag.Graph] {
	return rapid.Custom(func(t *rapid.T) *dag.Graph { return build(drawScenarios(t, most)) })
}

func drawScenarios(t *rapid.T, most int) []dag.Scenario {
	ids := make([]dag.ID, most)
	for i := range ids {
		ids[i] = nameOf(i)
	}
	ids = ids[:rapid.IntRange(0, most).Draw(t, "scenarios")]
	if len(ids) > 1 {
		ids = rapid.Permutation(ids).Draw(t, "IDs")
	}
	list := make([]dag.Scenario, len(ids))
	sparse := rapid.IntRange(1, 4).Draw(t, "sparse")
	for i, id := range ids {
		list[i] = dag.Scenario{ID: id, Optional: oneIn(t, 5, "optional")}
		for _, parent := range ids[:i] {
			if oneIn(t, sparse, "edge") {
				list[i].After = append(list[i].After, dag.Parent{ID: parent, Condition: rapid.SampledFrom(conditions).Draw(t, "condition")})
			}
		}
		if len(list[i].After) > 1 {
			list[i].After = rapid.Permutation(list[i].After).Draw(t, "declared order")
		}
	}
	return list
}

// conditions are all there are, the most usual one twice.
var conditions = []dag.Condition{dag.OnPass, dag.OnPass, dag.OnFinish, dag.Always}

// nameOf names the scenarios: a to y, then s25 and so on. No scenario is ever named z.
func nameOf(i int) dag.ID {
	if i < 25 {
		return dag.ID(rune('a' + i))
	}
	return dag.ID(fmt.Sprintf("s%d", i))
}

// stranger is a scenario that no graph has.
const stranger = dag.ID("z")

// oneIn draws true once in so many times, and shrinks toward false.
func oneIn(t *rapid.T, times int, label string) bool {
	return rapid.IntRange(0, times-1).Draw(t, label) == times-1
}

// build makes a graph of scenarios that cannot be wrong.
func build(list []dag.Scenario) *dag.Graph {
	g, err := dag.New(list...)
	if err != nil {
		panic(fmt.Sprintf("schedulertest: a graph without a mistake was refused: %v", err))
	}
	return g
}

// Snapshots returns a generator of snapshots of a graph: any at all, also those that no history leads to. There may be
// something in them of a scenario that is not in the graph. A basis is in the form that [scheduler.Status] asks for.
func Snapshots(g *dag.Graph) *rapid.Generator[scheduler.Snapshot] {
	return rapid.Custom(func(t *rapid.T) scheduler.Snapshot {
		s := scheduler.Snapshot{}
		ids := append(slices.Collect(g.All()), stranger)
		for _, id := range ids {
			if st := drawStatus(t, ids); !oneIn(t, 5, "nothing") {
				s[id] = st
			}
		}
		return s
	})
}

func drawStatus(t *rapid.T, ids []dag.ID) scheduler.Status {
	run := func(label string) int {
		if oneIn(t, 50, "odd") {
			return rapid.SampledFrom([]int{-1, 1 << 30}).Draw(t, label)
		}
		return rapid.IntRange(0, 3).Draw(t, label)
	}
	st := scheduler.Status{
		Run: run("run"), Phase: scheduler.Phase(rapid.IntRange(0, int(scheduler.PhaseStopped)).Draw(t, "phase")),
		Want: run("want"), Cancel: run("cancel"),
		Forced: rapid.Bool().Draw(t, "forced"), Force: rapid.Bool().Draw(t, "force"),
	}
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if r := run("basis"); r > 0 {
			st.Basis = append(st.Basis, scheduler.Ref{ID: id, Run: r})
		}
	}
	return st
}

// Histories returns a generator of what may be observed of a graph, one event after the other, from nothing on: what
// happens when plans are carried out, in part or late, and runs report whatever they like; requests of people; news that
// comes late, twice, of runs that nobody heard of before or of scenarios that are not there; and events that make no
// sense. Many histories end at rest.
//
// What starts in a history is what the rules say.
func Histories(g *dag.Graph) *rapid.Generator[[]scheduler.Event] {
	return rapid.Custom(func(t *rapid.T) []scheduler.Event {
		list := slices.Collect(g.Scenarios())
		if list == nil {
			list = []dag.Scenario{}
		}
		var events []scheduler.Event
		for _, m := range drawStory(t, list, kinds{odd: true}).moments() {
			for _, c := range m.changes {
				if c.graph == nil {
					events = append(events, c.event)
				}
			}
		}
		return events
	})
}
