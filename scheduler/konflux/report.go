package konflux

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// report returns the entries of the status annotation: the scenarios of the graph in canonical order, then those that are
// gone and have a live run, by name. Details have at most so many bytes.
func (d *decision) report(details int) []ScenarioStatus {
	d.details = details
	after := d.machine.Snapshot()
	g := d.plan.Graph
	d.plan.Scenarios = make([]Conclusion, 0, g.Len())
	list := make([]ScenarioStatus, 0, g.Len())
	for id := range g.All() {
		c := Conclusion{d.machine.Conclusion(id).Verdict, d.machine.Explain(id), d.status(id, after[id])}
		d.plan.Scenarios = append(d.plan.Scenarios, c)
		list = append(list, c.Status)
	}
	for _, id := range slices.Sorted(maps.Keys(after)) {
		if st := after[id]; !has(g, id) && st.Phase == scheduler.PhaseRunning {
			s := d.entry(id)
			d.tellRun(&s, st)
			list = append(list, d.stamp(s))
		}
	}
	return list
}

// entry returns an entry without anything that changes.
func (d *decision) entry(id dag.ID) ScenarioStatus {
	s := ScenarioStatus{Scenario: string(id), unknown: d.statuses[string(id)].unknown}
	if t, ok := d.plan.Graph.Scenario(id); ok {
		s.Optional = t.Optional
		for _, p := range t.After {
			s.RunAfter = append(s.RunAfter, string(p.ID))
		}
	}
	return s
}

// status returns the entry of a scenario of the graph.
func (d *decision) status(id dag.ID, st scheduler.Status) ScenarioStatus {
	s := d.entry(id)
	c := d.machine.Conclusion(id)
	live := st.Run > 0 && st.Phase == scheduler.PhaseRunning
	outside := c.Verdict == scheduler.VerdictCanceled && st.Phase == scheduler.PhaseCanceled && c.Cause == scheduler.Ref{ID: id, Run: st.Run}
	switch {
	case c.Verdict == scheduler.VerdictPassed, c.Verdict == scheduler.VerdictFailed, c.Verdict != scheduler.VerdictCanceled && live, outside:
		d.tellRun(&s, st)
	case c.Verdict == scheduler.VerdictCanceled:
		d.tellCanceled(&s, c.Cause)
	default:
		s.Status, s.Details = Pending, d.machine.Explain(id)
	}
	return d.stamp(s)
}

// tellRun tells of the newest run of a scenario. What was told of it when it ended stays.
func (d *decision) tellRun(s *ScenarioStatus, st scheduler.Status) {
	ref := scheduler.Ref{ID: dag.ID(s.Scenario), Run: st.Run}
	old := d.statuses[s.Scenario]
	s.RunName = d.nameOf(ref)
	same := old.RunName == s.RunName
	if same && st.Phase.Over() && old.tellsOf(st.Phase) {
		s.Status, s.Details, s.Started, s.Completed = old.Status, old.Details, old.Started, old.Completed
		return
	}
	seen := d.observed[ref]
	s.Started, s.Completed = d.now, d.now
	switch {
	case st.Phase == scheduler.PhaseRunning && same && !old.Started.IsZero(): // one write for the start of a run is enough
		s.Started = old.Started
	case seen != nil && seen.run.Status.StartTime != nil:
		s.Started = *seen.run.Status.StartTime
	case same && !old.Started.IsZero():
		s.Started = old.Started
	}
	if seen != nil && !seen.result.Ended.IsZero() {
		s.Completed = seen.result.Ended
	}
	s.Status, s.Details = d.told(ref, st.Phase)
	if s.Status == InProgress {
		s.Completed = time.Time{}
	}
}

// statusOf is what the status annotation says of a run that ended so.
var statusOf = map[pipelinerun.End]Status{
	pipelinerun.EndNone: InProgress, pipelinerun.EndPassed: TestPassed, pipelinerun.EndWarned: TestWarning,
	pipelinerun.EndFailed: TestFail, pipelinerun.EndCanceled: TestFail, pipelinerun.EndUnknown: TestInvalid, pipelinerun.EndDeleted: Deleted,
}

// told says what a run comes to: what its PipelineRun says, if it is there and in that phase.
func (d *decision) told(ref scheduler.Ref, phase scheduler.Phase) (Status, string) {
	if why, ok := d.unmade[ref]; ok {
		return TestInvalid, why
	}
	if seen := d.observed[ref]; seen != nil && seen.result.Phase == phase {
		return statusOf[seen.result.End], seen.result.Details
	}
	switch phase {
	case scheduler.PhaseRunning:
		return InProgress, "started"
	case scheduler.PhasePassed:
		return TestPassed, "passed"
	case scheduler.PhaseFailed:
		return TestFail, "failed"
	}
	return TestFail, pipelinerun.CanceledPrefix + "from outside"
}

// tellsOf reports whether an entry says that a run ended in a phase.
func (s *ScenarioStatus) tellsOf(p scheduler.Phase) bool {
	return s.Status.Final() && s.recovered(nil) == p
}

// tellCanceled tells of a scenario that is canceled for the sake of another, or for a newer Snapshot. No run is behind
// that, though one may wind down.
func (d *decision) tellCanceled(s *ScenarioStatus, cause scheduler.Ref) {
	old := d.statuses[s.Scenario]
	why := cause.String() + " was canceled"
	switch {
	case string(cause.ID) == s.Scenario: // by supersede, the only one here who cancels
		why = "a newer Snapshot took the place of this one"
	case d.machine.Conclusion(cause.ID).Verdict == scheduler.VerdictFailed:
		why = cause.String() + " failed"
	}
	s.Status, s.Details, s.Completed = TestFail, pipelinerun.CanceledPrefix+why, d.now
	if old.Status == TestFail && old.RunName == "" && old.canceled() && !old.Completed.IsZero() {
		s.Completed = old.Completed
	}
}

// stamp sets the time of the last change: the one that was read, if nothing changed.
func (d *decision) stamp(s ScenarioStatus) ScenarioStatus {
	old := d.statuses[s.Scenario]
	s.Details = pipelinerun.Shorten(s.Details, d.details)
	s.Updated = old.Updated
	if !same(s, old) {
		s.Updated = d.now
	}
	return s
}

// same reports whether two entries are equal but for the zones of their times.
func same(a, b ScenarioStatus) bool {
	for _, t := range []*time.Time{&a.Updated, &a.Started, &a.Completed, &b.Updated, &b.Started, &b.Completed} {
		*t = t.UTC()
	}
	return reflect.DeepEqual(a, b)
}

// manyRuns is a number of a run as long as it gets by asking again and again.
const manyRuns = 99

// atRest returns entries as long as those of the graph are when all is over, with the least of details.
func (d *decision) atRest() []ScenarioStatus {
	long := d.now.Truncate(time.Second).Add(999 * time.Millisecond)
	list := make([]ScenarioStatus, 0, d.plan.Graph.Len())
	for id := range d.plan.Graph.All() {
		s := d.entry(id)
		s.Status, s.Updated, s.Started, s.Completed = TestWarning, long, long, long
		s.RunName = pipelinerun.RunName(d.Snapshot.Meta, scheduler.Ref{ID: id, Run: manyRuns})
		s.Details = strings.Repeat(".", leastDetails)
		list = append(list, s)
	}
	return list
}

// stateAtRest is the state when all is over.
func (d *decision) stateAtRest() State {
	s := State{Runs: make(scheduler.Snapshot, d.plan.Graph.Len())}
	for id := range d.plan.Graph.All() {
		st := scheduler.Status{Run: manyRuns, Want: manyRuns, Phase: scheduler.PhasePassed}
		for parent := range d.plan.Graph.Parents(id) {
			st.Basis = append(st.Basis, scheduler.Ref{ID: parent, Run: manyRuns})
		}
		s.Runs[id] = st
	}
	return s
}
