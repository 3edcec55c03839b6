package konflux

import (
	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// rerunAll is the value of the label that asks for a rerun of everything.
const rerunAll = "all"

// Requests returns what the value of the label of a rerun asks for: "all" a rerun of every scenario of the graph, a name a
// forced run of that scenario: one that starts although a parent failed, as Konflux' documentation promises, and waits for
// parents that are not yet done. The error is an *[UnknownScenarioError].
func Requests(value string, g *dag.Graph, s scheduler.Snapshot) ([]scheduler.Event, error) {
	if value == rerunAll {
		events := make([]scheduler.Event, 0, g.Len())
		for id := range g.All() {
			events = append(events, scheduler.Rerun(s.Newest(id)))
		}
		return events, nil
	}
	if id := dag.ID(value); has(g, id) {
		return []scheduler.Event{scheduler.Force(s.Newest(id))}, nil
	}
	return nil, &UnknownScenarioError{value, "the label of a rerun"}
}

// asked returns the one scenario that the label of a rerun names.
func (d *decision) asked() (dag.ID, bool) {
	value, ok := d.o.find(d.Snapshot.Labels, Keys.rerun)
	return dag.ID(value), ok && value != "" && value != rerunAll
}

// rerun honours the label of a rerun, which goes with the same write that keeps the request. A rerun of all is none of what
// stands alone.
func (d *decision) rerun() {
	value, ok := d.o.find(d.Snapshot.Labels, Keys.rerun)
	if !ok {
		return
	}
	g := d.plan.Graph
	if value == rerunAll {
		g = d.base
	}
	events, err := Requests(value, g, d.machine.Snapshot())
	if err != nil {
		d.plan.Problems = append(d.plan.Problems, err)
	}
	for _, e := range events {
		d.machine.Observe(e)
	}
}
