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
	return rapid.Custom(func(t *rapid.T) *dag.Graph { return build(drawn(t).scenarios(most)) })
}

// choose returns a number from 0 to n-1. The plainest choice is 0.
type choose func(n int) int

// drawn lets rapid choose.
func drawn(t *rapid.T) choose {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }
}

// read lets a text choose, one byte each time. At its end all choices are plain.
func read(text []byte) choose {
	return func(n int) int {
		if len(text) == 0 {
			return 0
		}
		i := int(text[0]) % n
		text = text[1:]
		return i
	}
}

// oneIn chooses true once in so many times.
func (c choose) oneIn(times int) bool { return c(times) == times-1 }

func oneOf[T any](c choose, list []T) T { return list[c(len(list))] }

func shuffled[T any](c choose, list []T) []T {
	list = slices.Clone(list)
	for i := range list[:max(0, len(list)-1)] {
		k := i + c(len(list)-i)
		list[i], list[k] = list[k], list[i]
	}
	return list
}

func (c choose) scenarios(most int) []dag.Scenario {
	ids := make([]dag.ID, most)
	for i := range ids {
		ids[i] = nameOf(i)
	}
	ids = shuffled(c, ids[:c(most+1)])
	sparse := 1 + c(4)
	list := make([]dag.Scenario, len(ids))
	for i, id := range ids {
		list[i] = dag.Scenario{ID: id, Optional: c.oneIn(5)}
		for _, parent := range ids[:i] {
			if c.oneIn(sparse) {
				list[i].After = append(list[i].After, dag.Parent{ID: parent, Condition: oneOf(c, conditions)})
			}
		}
		list[i].After = shuffled(c, list[i].After)
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

// build makes a graph of scenarios that cannot be wrong.
func build(list []dag.Scenario) *dag.Graph {
	g, err := dag.New(list...)
	if err != nil {
		panic(fmt.Sprintf("schedulertest: a graph without a mistake was refused: %v", err))
	}
	return g
}

// Snapshots returns a generator of snapshots of a graph: any at all, also those that no history leads to. There may be
// something in them of a scenario that is not in the graph. A basis and artifacts are in the form that [scheduler.Status] asks for.
func Snapshots(g *dag.Graph) *rapid.Generator[scheduler.Snapshot] {
	return rapid.Custom(func(t *rapid.T) scheduler.Snapshot {
		s := scheduler.Snapshot{}
		ids := append(slices.Collect(g.All()), stranger)
		c := drawn(t)
		for _, id := range ids {
			if st := c.status(ids); !c.oneIn(5) {
				s[id] = st
			}
		}
		return s
	})
}

// someArtifacts are what runs leave, in order.
var someArtifacts = []scheduler.Artifact{
	{URI: "quay.io/team/app", Digest: "sha256:01"}, {URI: "quay.io/team/app", Digest: "sha256:02"}, {URI: "quay.io/team/lib", Digest: "sha256:01"},
}

// artifacts chooses what news says that a run left: in any order, some of it twice, some of it nothing that can be kept.
func (c choose) artifacts() (list []scheduler.Artifact) {
	all := append([]scheduler.Artifact{{URI: "quay.io/team/app"}, {Digest: "sha256:01"}}, someArtifacts...)
	for range c(4) {
		list = append(list, oneOf(c, all))
	}
	return list
}

func (c choose) status(ids []dag.ID) scheduler.Status {
	run := func() int {
		if c.oneIn(50) {
			return oneOf(c, []int{-1, 1 << 30})
		}
		return c(4)
	}
	st := scheduler.Status{
		Run: run(), Phase: scheduler.Phase(c(int(scheduler.PhaseStopped) + 1)), Want: run(), Cancel: run(),
		Forced: c.oneIn(2), Force: c.oneIn(2),
	}
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if r := run(); r > 0 {
			st.Basis = append(st.Basis, scheduler.Ref{ID: id, Run: r})
		}
	}
	if st.Run > 0 && c.oneIn(3) {
		st.Artifacts = kept(c.artifacts())
	}
	return st
}

// Histories returns a generator of what may be observed of a graph, one event after the other, from nothing on: what
// happens when plans are carried out, in part or late, and runs report whatever they like; requests of people; news that
// comes late, twice, of runs that nobody heard of before or of scenarios that are not there; and events that make no
// sense. Some news tells what the run left. Many histories end at rest.
//
// What starts in a history is what the rules say.
func Histories(g *dag.Graph) *rapid.Generator[[]scheduler.Event] {
	return rapid.Custom(func(t *rapid.T) []scheduler.Event {
		list := slices.Collect(g.Scenarios())
		if list == nil {
			list = []dag.Scenario{}
		}
		var events []scheduler.Event
		c := drawn(t)
		for _, m := range c.story(list, kinds{odd: true, open: true}).moments() {
			for _, change := range m.changes {
				if change.graph != nil {
					continue
				}
				e := change.event
				if e.Kind == scheduler.EventNews && c.oneIn(3) {
					e.Artifacts = c.artifacts()
				}
				events = append(events, e)
			}
		}
		return events
	})
}
