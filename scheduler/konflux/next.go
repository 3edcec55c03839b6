package konflux

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// Next says what to do now about the tests of a Snapshot: it is [scheduler.Next] for the objects of Konflux. It is a pure
// function; now is the time that it writes where something changed, and from which it waits. Equal arguments give equal
// plans, and once a plan is carried out, the next one is empty until something happens.
//
// It fails if it cannot know what is true or cannot write it: with *[OptionError], the errors of [Graph], *[StateError],
// *[StatusError] if there is no state either, *[SizeError]. Nothing is planned then, and what is held stays held until
// somebody mends what the error names.
func Next(in Objects, o Options, now time.Time) (*Plan, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	d := &decision{Objects: in, o: o, now: now.UTC().Truncate(time.Millisecond), tasks: pipelinerun.ByName(in.TaskRuns)}
	if err := d.read(); err != nil {
		return nil, err
	}
	d.observe()
	d.supersede()
	d.rerun()
	d.start()
	d.act()
	if err := d.write(); err != nil {
		return nil, err
	}
	return &d.plan, nil
}

// A decision is one call of Next on its way.
type decision struct {
	Objects
	o   Options
	now time.Time

	tasks    map[string]*pipelinerun.TaskRun
	byName   map[string]*IntegrationTestScenario
	statuses map[string]ScenarioStatus // as read, by scenario
	before   State                     // as read
	alone    []dag.ID
	base     *dag.Graph // without what stands alone
	machine  *scheduler.Machine

	observed map[scheduler.Ref]*observation
	names    map[string]bool          // of all PipelineRuns
	details  int                      // how many bytes of them are told of each scenario
	unmade   map[scheduler.Ref]string // runs that cannot be created: why

	removedRuns []string // PipelineRuns of this Snapshot that are held, over, and no run that is known
	plan        Plan
}

// An observation is a PipelineRun of this Snapshot, and what it comes to.
type observation struct {
	run    *pipelinerun.PipelineRun
	result pipelinerun.Result
}

// read reads the annotations and makes the graph.
func (d *decision) read() error {
	d.byName = make(map[string]*IntegrationTestScenario, len(d.Objects.Scenarios))
	for i := range d.Objects.Scenarios {
		d.byName[d.Objects.Scenarios[i].Name] = &d.Objects.Scenarios[i]
	}
	g, err := Graph(d.Objects.Scenarios, d.Group, d.Snapshot, d.o)
	if err != nil {
		return err
	}
	text, _ := d.o.find(d.Snapshot.Annotations, Keys.status)
	list, statusErr := ParseStatuses(text)
	d.statuses = make(map[string]ScenarioStatus, len(list))
	for _, s := range list {
		d.statuses[s.Scenario] = s
	}
	if text := d.stateText(); text != "" {
		if d.before, err = ParseState(text); err != nil {
			return fmt.Errorf("%w; if nobody can mend it, remove the annotation, and it is rebuilt from the status annotation", err)
		}
		d.plan.Problems = append(d.plan.Problems, unwrap(statusErr)...)
	} else {
		if statusErr != nil {
			return statusErr
		}
		d.before = Recover(g, d.Snapshot.Meta, list, d.PipelineRuns)
	}
	d.alone = slices.Clone(d.before.Alone)
	for _, value := range d.asked() {
		if id := dag.ID(value); value != rerunAll && d.byName[value] != nil && !has(g, id) {
			d.alone = sortedIDs(append(d.alone, id))
		}
	}
	d.base, d.plan.Graph = g, d.with(g)
	d.machine = scheduler.NewMachine(d.plan.Graph, d.before.Runs)
	return nil
}

// stateText is the state annotation, empty if there is no state. An empty one is none: it can be lost that way.
func (d *decision) stateText() string {
	text, _ := d.o.find(d.Snapshot.Annotations, Keys.state)
	return text
}

func has(g *dag.Graph, id dag.ID) bool {
	_, ok := g.Index(id)
	return ok
}

// with returns the graph with what was asked for outside of it.
func (d *decision) with(g *dag.Graph) *dag.Graph {
	list := slices.Collect(g.Scenarios())
	for _, id := range d.alone {
		if !has(g, id) && d.byName[string(id)] != nil {
			list = append(list, dag.Scenario{ID: id, Optional: true})
		}
	}
	if len(list) == g.Len() {
		return g
	}
	extended, err := dag.New(list...)
	if err != nil { // a scenario without edges makes no mistake
		return g
	}
	return extended
}

// observe takes the PipelineRuns into account, and what was refused.
func (d *decision) observe() {
	d.observed = make(map[scheduler.Ref]*observation, len(d.PipelineRuns))
	d.names = make(map[string]bool, len(d.PipelineRuns))
	d.unmade = map[scheduler.Ref]string{}
	rules := d.o.rules()
	for i := range d.PipelineRuns {
		d.names[d.PipelineRuns[i].Name] = true
	}
	for i := range d.PipelineRuns {
		run := &d.PipelineRuns[i]
		ref, ok := d.refOf(run)
		if !ok {
			d.removed(run)
			continue
		}
		r := pipelinerun.Judge(run, d.tasks, rules, d.now)
		d.observed[ref] = &observation{run, r}
		_, forced := d.o.find(run.Annotations, Keys.forced)
		basis, _ := d.o.find(run.Annotations, Keys.basis)
		d.machine.Observe(scheduler.Event{Ref: ref, Phase: r.Phase, Basis: parseBasis(basis), Forced: forced})
	}
	for _, ref := range d.live() {
		switch reason, refused := d.Refused[d.nameOf(ref)]; {
		case d.observed[ref] != nil:
			d.wake(d.observed[ref].result.Wake)
		case refused:
			d.fail(ref, "its PipelineRun was refused: "+reason)
		}
	}
}

// removed releases a PipelineRun of this Snapshot that is no run, such as an earlier one that others created. Nothing is
// learned from it, so it need not be kept first.
func (d *decision) removed(run *pipelinerun.PipelineRun) {
	if d.ofSnapshot(run) && run.Done() && d.holds(run) {
		d.removedRuns = append(d.removedRuns, run.Name)
	}
}

// ofSnapshot reports whether a PipelineRun is of a scenario, for this Snapshot.
func (d *decision) ofSnapshot(run *pipelinerun.PipelineRun) bool {
	scenario, _ := d.o.find(run.Labels, Keys.scenario)
	return scenario != "" && d.o.is(run.Labels, Keys.snapshot, d.Snapshot.Name)
}

// wake keeps the earliest time at which an answer changes.
func (d *decision) wake(at time.Time) {
	if !at.IsZero() && (d.plan.Wake.IsZero() || at.Before(d.plan.Wake)) {
		d.plan.Wake = at
	}
}

// refOf returns the run that a PipelineRun is: by its name, or, of one that others created, by the name that was adopted. Others, of other Snapshots and copies of ours, are none.
func (d *decision) refOf(run *pipelinerun.PipelineRun) (scheduler.Ref, bool) {
	if !d.ofSnapshot(run) {
		return scheduler.Ref{}, false
	}
	scenario, _ := d.o.find(run.Labels, Keys.scenario)
	if n, ok := pipelinerun.RunNumber(d.Snapshot.Meta, dag.ID(scenario), run.Name); ok {
		return refOf(scenario, n), true
	}
	first := refOf(scenario, 1)
	return first, d.adoptedName(scenario) == run.Name && !d.names[pipelinerun.RunName(d.Snapshot.Meta, first)]
}

// adoptedName returns the name of the PipelineRun that others created for a scenario, empty if there is none: the state
// keeps it, before that the status annotation.
func (d *decision) adoptedName(scenario string) string {
	if name := d.before.Adopted[dag.ID(scenario)]; name != "" {
		return name
	}
	name := d.statuses[scenario].RunName
	if _, ours := pipelinerun.RunNumber(d.Snapshot.Meta, dag.ID(scenario), name); ours {
		return ""
	}
	return name
}

// adopted returns the names of what others created, with those that are seen now.
func (d *decision) adopted() map[dag.ID]string {
	names := maps.Clone(d.before.Adopted)
	for ref, seen := range d.observed {
		if ref.Run != 1 || seen.run.Name == pipelinerun.RunName(d.Snapshot.Meta, ref) {
			continue
		}
		if names == nil {
			names = map[dag.ID]string{}
		}
		names[ref.ID] = seen.run.Name
	}
	return names
}

// nameOf returns the name of the PipelineRun of a run: that of the one there is, and of one that others created and that is
// over its own.
func (d *decision) nameOf(ref scheduler.Ref) string {
	if seen := d.observed[ref]; seen != nil {
		return seen.run.Name
	}
	if name := d.adoptedName(string(ref.ID)); ref.Run == 1 && name != "" && d.before.Runs[ref.ID].Phase.Over() {
		return name
	}
	return pipelinerun.RunName(d.Snapshot.Meta, ref)
}

// live returns the runs that are live, by scenario.
func (d *decision) live() (refs []scheduler.Ref) {
	for id, st := range d.machine.Snapshot() {
		if st.Run > 0 && st.Phase == scheduler.PhaseRunning {
			refs = append(refs, scheduler.Ref{ID: id, Run: st.Run})
		}
	}
	slices.SortFunc(refs, func(a, b scheduler.Ref) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return refs
}

// fail ends a run that cannot be created.
func (d *decision) fail(ref scheduler.Ref, why string) {
	d.machine.Observe(scheduler.Finished(ref, scheduler.PhaseFailed))
	d.unmade[ref] = pipelinerun.Shorten(why, pipelinerun.MaxWhy)
}

// supersede cancels everything when a newer Snapshot took the place of this one, once, and afterwards what came new.
func (d *decision) supersede() {
	if !d.Superseded {
		return
	}
	for id := range d.plan.Graph.All() {
		if newest := d.machine.Newest(id); !d.before.superseded() || newest.Run == 0 {
			d.machine.Observe(scheduler.Cancel(newest))
		}
	}
}

// start takes every start as done: it is written before it is carried out. A scenario that the cluster holds to be invalid
// cannot be started, and its run fails.
func (d *decision) start() {
	for i, do := range d.machine.Todo() {
		if do != scheduler.Start {
			continue
		}
		a := d.machine.ActionAt(i)
		d.machine.Observe(scheduler.Started(a))
		if why, ok := d.invalid(a.Ref.ID); ok {
			d.fail(a.Ref, why)
		}
	}
}

func (d *decision) invalid(id dag.ID) (why string, ok bool) {
	for _, c := range d.byName[string(id)].Status.Conditions {
		if c.Type == "IntegrationTestScenarioValid" && c.Status == "False" {
			return "the IntegrationTestScenario is invalid: " + c.Message, true
		}
	}
	return "", false
}

// act tells what to create, to cancel and to release.
func (d *decision) act() {
	plan := d.machine.Plan()
	d.plan.Outcome = plan.Outcome
	stop := map[scheduler.Ref]bool{}
	for _, a := range plan.Actions {
		stop[a.Ref] = a.Kind == scheduler.Stop
	}
	after := d.machine.Snapshot()
	for _, ref := range d.live() {
		if d.observed[ref] == nil {
			d.create(ref, after[ref.ID], stop[ref])
		}
	}
	for ref, seen := range d.observed {
		st := after[ref.ID]
		ended := st.Run > ref.Run || st.Run == ref.Run && st.Phase.Over()
		if (stop[ref] || ended) && !seen.run.Ending() {
			d.plan.Cancel = append(d.plan.Cancel, pipelinerun.Cancellation{
				Name: seen.run.Name, Status: pipelinerun.CancelStatus, Annotations: map[string]string{d.o.Keys.stopped(): "true"},
			})
		}
		if d.kept(ref) && seen.run.Done() && d.holds(seen.run) {
			d.plan.Release = append(d.plan.Release, seen.run.Name)
		}
	}
	d.plan.Release = append(d.plan.Release, d.removedRuns...)
	for _, k := range d.o.all() {
		if name := k.finalizer(); len(d.plan.Release) > 0 && !slices.Contains(d.plan.Finalizers, name) {
			d.plan.Finalizers = append(d.plan.Finalizers, name)
		}
	}
	slices.SortFunc(d.plan.Create, func(a, b pipelinerun.PipelineRun) int { return d.compare(a, b) })
	slices.SortFunc(d.plan.Cancel, func(a, b pipelinerun.Cancellation) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(d.plan.Release)
}

func (d *decision) compare(a, b pipelinerun.PipelineRun) int {
	i, _ := d.plan.Graph.Index(dag.ID(a.Labels[d.o.Keys.scenario()]))
	j, _ := d.plan.Graph.Index(dag.ID(b.Labels[d.o.Keys.scenario()]))
	return cmp.Or(cmp.Compare(i, j), strings.Compare(a.Name, b.Name))
}

// kept reports whether the end of a run is in the state that was read.
func (d *decision) kept(ref scheduler.Ref) bool {
	st := d.before.Runs[ref.ID]
	return d.stateText() != "" && (st.Run > ref.Run || st.Run == ref.Run && st.Phase.Over())
}

func (d *decision) holds(run *pipelinerun.PipelineRun) bool {
	return slices.ContainsFunc(d.o.all(), func(k Keys) bool { return slices.Contains(run.Finalizers, k.finalizer()) })
}

// create makes the PipelineRun of a run that is in the state and not seen. One that is to be stopped is created all the
// same, and canceled from the start: it may be there and not seen yet, or another controller may be about to create it.
// When its name is taken, and its end is seen, it is over for everybody.
func (d *decision) create(ref scheduler.Ref, st scheduler.Status, stop bool) {
	name := d.nameOf(ref)
	if d.names[name] {
		d.plan.Problems = append(d.plan.Problems, &TakenNameError{name, ref})
		return
	}
	run := d.pipelineRun(name, ref.ID)
	if len(st.Basis) > 0 {
		run.Annotations[d.o.Keys.basis()] = formatBasis(st.Basis)
	}
	if st.Forced {
		run.Annotations[d.o.Keys.forced()] = "true"
	}
	if stop {
		run.Annotations[d.o.Keys.stopped()] = "true"
		run.Spec = canceledSpec()
	} else {
		run.Spec = d.spec(d.byName[string(ref.ID)])
	}
	d.plan.Create = append(d.plan.Create, run)
}

// formatBasis writes what a run stands on: "build#1,lint#2". Names of scenarios hold no comma.
func formatBasis(basis []scheduler.Ref) string {
	names := make([]string, len(basis))
	for i, r := range basis {
		names[i] = r.String()
	}
	return strings.Join(names, ",")
}

// parseBasis reads what formatBasis wrote. What is no run is passed over: then the run stands on less, and starts again.
func parseBasis(text string) (basis []scheduler.Ref) {
	for name := range strings.SplitSeq(text, ",") {
		if ref, err := scheduler.ParseRef(name); err == nil {
			basis = append(basis, ref)
		}
	}
	return basis
}
