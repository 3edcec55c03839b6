package konflux

import (
	"slices"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// rerunAll is the value of the label that asks for a rerun of everything.
const rerunAll = "all"

// requests returns what the value of the label of a rerun asks for: "all" a rerun of every scenario of the graph, a
// name a forced run of that scenario: one that starts although a parent failed, as Konflux' documentation promises, and
// waits for parents that are not yet done. The error is an *[UnknownScenarioError].
func requests(value string, g *dag.Graph, s scheduler.Snapshot) ([]scheduler.Event, error) {
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

// asked returns the values of the labels of a rerun, each once. All count, those with older keys too, since all are removed.
func (d *decision) asked() (values []string) {
	for _, k := range d.o.all() {
		if value, ok := d.Snapshot.Labels[k.rerun()]; ok && !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return values
}

// rerun honours the labels of a rerun, which go with the same write that keeps the requests.
func (d *decision) rerun() {
	for _, value := range d.asked() {
		d.request(value)
	}
}

// request honours one label. A rerun of all is none of what stands alone.
func (d *decision) request(value string) {
	g := d.plan.Graph
	if value == rerunAll {
		g = d.base
	}
	events, err := requests(value, g, d.machine.Snapshot())
	if err != nil {
		d.plan.Problems = append(d.plan.Problems, err)
	}
	for _, e := range events {
		if !d.machine.Observe(e) && value != rerunAll && slices.Contains(d.live(), e.Ref) {
			d.plan.Problems = append(d.plan.Problems, &LiveRunError{e.Ref})
		}
	}
}
