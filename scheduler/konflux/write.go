package konflux

import (
	"errors"
	"maps"
	"slices"
)

// detailSteps are how many bytes of details are told of each scenario: as many as there is room for.
var detailSteps = []int{400, 80, leastDetails}

const leastDetails = 24 // enough for pipelinerun.CanceledPrefix, which is read again

// write tells what to write into the Snapshot.
func (d *decision) write() error {
	d.plan.State = State{Runs: d.machine.Snapshot(), Alone: d.alone, Adopted: d.adopted(), Superseded: d.before.Superseded}
	if d.Superseded != d.before.superseded() {
		d.plan.State.Superseded++
	}
	state, err := d.plan.State.Format()
	if err != nil {
		return err
	}
	d.remove()
	if err := d.reserve(); err != nil {
		return err
	}
	for _, details := range detailSteps {
		if err = d.annotate(state, details); !isSize(err) {
			break
		}
	}
	return err
}

func isSize(err error) bool {
	var e *SizeError
	return errors.As(err, &e)
}

// remove removes the label of a rerun, and what was written with older keys.
func (d *decision) remove() {
	u := &d.plan.Update
	for _, k := range d.o.LegacyKeys {
		for key, now := range map[string]string{k.status(): d.o.Keys.status(), k.state(): d.o.Keys.state()} {
			if _, ok := d.Snapshot.Annotations[key]; ok && key != now {
				u.RemoveAnnotations = append(u.RemoveAnnotations, key)
			}
		}
	}
	for _, k := range d.o.all() {
		if _, ok := d.Snapshot.Labels[k.rerun()]; ok {
			u.RemoveLabels = append(u.RemoveLabels, k.rerun())
		}
	}
	slices.Sort(u.RemoveAnnotations)
	u.RemoveAnnotations = slices.Compact(u.RemoveAnnotations)
	slices.Sort(u.RemoveLabels)
	u.RemoveLabels = slices.Compact(u.RemoveLabels)
}

// annotate sets the annotations, with so many bytes of details of each scenario.
func (d *decision) annotate(state string, details int) error {
	statuses, err := writeStatuses(d.report(details))
	if err != nil {
		return err
	}
	d.plan.Update.Annotations = map[string]string{}
	d.set(d.o.Keys.state(), state)
	d.set(d.o.Keys.status(), statuses)
	if err := d.sizes(len(state), d.plan.Update.Annotations); err != nil { // first: what is too large cannot be read either
		return err
	}
	_, err = ParseStatuses(statuses)
	return err
}

// set writes an annotation that is not there yet. Where nothing is tested and nothing was said, nothing is written.
func (d *decision) set(key, value string) {
	old, ok := d.Snapshot.Annotations[key]
	if ok && old == value || !ok && len(d.plan.Scenarios) == 0 && len(d.plan.State.Runs) == 0 {
		return
	}
	d.plan.Update.Annotations[key] = value
}

// reserve reports, before anything is started, that what there will be to write when all is over would be too large: a
// Snapshot must not be stuck half way.
func (d *decision) reserve() error {
	if len(d.before.Runs) > 0 {
		return nil
	}
	state, err := d.stateAtRest().Format()
	if err != nil {
		return err
	}
	statuses, err := writeStatuses(d.atRest())
	if err != nil {
		return err
	}
	return d.sizes(len(state), map[string]string{d.o.Keys.state(): state, d.o.Keys.status(): statuses})
}

// sizes reports annotations that would be too large.
func (d *decision) sizes(state int, written map[string]string) error {
	var err error
	if state > d.o.StateBytes {
		err = &SizeError{d.o.Keys.state(), state, d.o.StateBytes}
	}
	all := maps.Clone(d.Snapshot.Annotations)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, written)
	for _, key := range d.plan.Update.RemoveAnnotations {
		delete(all, key)
	}
	total := 0
	for key, value := range all {
		total += len(key) + len(value)
	}
	if total > maxAnnotations {
		err = errors.Join(err, &SizeError{"", total, maxAnnotations})
	}
	return err
}
