package konflux_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A moment is all objects at one time. It is never changed: each write makes another.
type moment struct {
	version    int // resourceVersion of the Snapshot
	snapshot   konflux.Snapshot
	superseded bool
	scenarios  []konflux.IntegrationTestScenario
	group      *konflux.ComponentGroup
	runs       map[string]pipelinerun.PipelineRun
	tasks      map[string]pipelinerun.TaskRun
}

// A cluster is an API server and whoever works on it beside the controllers: Tekton, Chains, people, a pruner and the
// clock. It keeps every moment there was, since caches lag.
type cluster struct {
	t       *rapid.T
	random  *rand.Rand
	now     time.Time
	moments []moment
	o       konflux.Options
	told    map[string]int // what happened, and how often

	created map[string]scheduler.Ref       // all PipelineRuns there ever were
	refused map[string]bool                // by name: creation is refused for good
	ends    map[string][]scheduler.Phase   // by name: how a run may have ended; several where it depends on who looks when
	late    map[string]pipelinerun.TaskRun // not written yet
	states  []konflux.State                // that were written
}

// note tells what happened, in the order in which it did.
func (c *cluster) note(what string, details ...any) {
	c.told[what]++
	c.t.Log(append([]any{what}, details...)...)
}

const (
	testPrefix = "test.appstudio.openshift.io"
	ownPrefix  = "testdag.example.com"
)

var clusterKeys = konflux.Keys{Test: testPrefix, Pipelines: "pipelines.appstudio.openshift.io", Resource: "appstudio.openshift.io",
	PAC: "pac.test.appstudio.openshift.io", Own: ownPrefix}

func newCluster(t *rapid.T, seed, n uint64) *cluster {
	c := &cluster{t: t, random: rand.New(rand.NewPCG(seed, n)), now: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC), told: map[string]int{}, created: map[string]scheduler.Ref{},
		refused: map[string]bool{}, ends: map[string][]scheduler.Phase{}, late: map[string]pipelinerun.TaskRun{}}
	c.o = konflux.Options{Keys: clusterKeys, Profile: dag.ComponentGroup, Skipped: pipelinerun.SkippedPasses,
		Signed: c.chance(3), Patience: 5 * time.Minute}
	w := moment{version: 1, runs: map[string]pipelinerun.PipelineRun{}, tasks: map[string]pipelinerun.TaskRun{}}
	w.snapshot.Name, w.snapshot.UID = "snapshot", "6f2c"
	w.snapshot.Labels = map[string]string{testPrefix + "/type": "component"}
	for i := range 1 + c.pick(6) {
		w.scenarios = append(w.scenarios, c.scenario(i))
	}
	w.group = c.graph(w.scenarios)
	c.moments = []moment{w}
	return c
}

// pick returns a number below n, and chance is true once in n. All numbers are as likely, which rapid's are not: histories
// drawn by it are tame.
func (c *cluster) pick(n int) int    { return c.random.IntN(n) }
func (c *cluster) chance(n int) bool { return c.pick(n) == n-1 }

func (c *cluster) scenario(i int) (s konflux.IntegrationTestScenario) {
	s.Name = string(rune('a' + i))
	if c.chance(4) {
		s.Labels = map[string]string{testPrefix + "/optional": "true"}
	}
	if c.chance(5) {
		_ = json.Unmarshal([]byte(`[{"name":"group"}]`), &s.Spec.Contexts) // none of this Snapshot
	}
	return s
}

// graph makes later scenarios wait for earlier ones.
func (c *cluster) graph(scenarios []konflux.IntegrationTestScenario) *konflux.ComponentGroup {
	g := &konflux.ComponentGroup{}
	g.Spec.TestGraph = map[string][]konflux.TestGraphNode{}
	for i, child := range scenarios {
		for _, parent := range scenarios[:i] {
			if c.chance(2) {
				fast := !c.chance(3)
				g.Spec.TestGraph[child.Name] = append(g.Spec.TestGraph[child.Name], konflux.TestGraphNode{Name: parent.Name, FailFast: &fast})
			}
		}
	}
	return g
}

func (c *cluster) latest() moment { return c.moments[len(c.moments)-1] }

func (c *cluster) write(w moment) { c.moments = append(c.moments, w) }

// put writes a PipelineRun.
func (c *cluster) put(run pipelinerun.PipelineRun) {
	w := c.latest()
	w.runs = maps.Clone(w.runs)
	w.runs[run.Name] = run
	c.write(w)
}

func (c *cluster) remove(name string) {
	w := c.latest()
	w.runs = maps.Clone(w.runs)
	delete(w.runs, name)
	c.write(w)
}

func over(run pipelinerun.PipelineRun) bool { return run.Status.CompletionTime != nil }

// some returns one of the PipelineRuns that are like that.
func (c *cluster) some(like func(pipelinerun.PipelineRun) bool) (run pipelinerun.PipelineRun, ok bool) {
	var found []pipelinerun.PipelineRun
	for _, run := range c.latest().runs {
		if like(run) {
			found = append(found, run)
		}
	}
	if len(found) == 0 {
		return run, false
	}
	slices.SortFunc(found, func(a, b pipelinerun.PipelineRun) int { return compare(a.Name, b.Name) })
	return found[c.pick(len(found))], true
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// act lets somebody other than the controllers do something.
func (c *cluster) act(pending func(string) bool) {
	switch c.pick(12) {
	case 0, 1, 2, 3:
		if run, ok := c.some(func(r pipelinerun.PipelineRun) bool { return !over(r) }); ok {
			c.end(run)
		}
	case 4:
		c.now = c.now.Add(time.Duration(1+c.pick(4)) * time.Minute)
	case 5:
		c.lateTask()
	case 6:
		if run, ok := c.some(func(r pipelinerun.PipelineRun) bool {
			return over(r) && r.Annotations["chains.tekton.dev/signed"] == ""
		}); ok {
			c.sign(run)
		}
	case 7:
		c.label()
	case 8:
		c.edit()
	case 9:
		c.meddle()
	case 10:
		// The one thing asked of the surroundings: nothing vanishes while a controller is about to create it.
		if run, ok := c.some(func(r pipelinerun.PipelineRun) bool { return vanishing(r) && !pending(r.Name) }); ok {
			c.note("pruned", run.Name)
			c.remove(run.Name)
		}
	case 11:
		if c.chance(6) {
			w := c.latest()
			w.superseded = !w.superseded
			c.note("superseded", w.superseded)
			c.write(w)
		}
	}
}

var outputs = []string{"SUCCESS", "FAILURE", "WARNING", "SKIPPED", "ERROR"}

// end ends a run: as it was asked to, or by itself.
func (c *cluster) end(run pipelinerun.PipelineRun) {
	marked := run.Annotations[ownPrefix+"/stopped"] != ""
	cond := pipelinerun.Condition{Type: "Succeeded", Status: "True", Reason: "Succeeded"}
	phase := scheduler.PhasePassed
	now := c.now
	switch {
	case run.Spec.Status != "" && !c.chance(3):
		cond.Status, cond.Reason = "False", "Cancelled"
		if phase = scheduler.PhaseCanceled; marked {
			phase = scheduler.PhaseStopped
		}
	case c.chance(4):
		cond.Status, cond.Reason, phase = "False", "Failed", scheduler.PhaseFailed
	default:
		out := outputs[c.pick(len(outputs))]
		if out == "FAILURE" || out == "ERROR" {
			phase = scheduler.PhaseFailed
		}
		task := run.Name + "-task"
		run.Status.ChildReferences = []pipelinerun.ChildReference{{Name: task, PipelineTaskName: "task"}}
		var t pipelinerun.TaskRun
		t.Name = task
		value, _ := json.Marshal(`{"result":"` + out + `","timestamp":"1700000000","successes":1,"failures":0,"warnings":0}`)
		t.Status.Results = []pipelinerun.TaskRunResult{{Name: "TEST_OUTPUT", Value: value}}
		c.late[task] = t
		if !c.chance(3) {
			c.lateTask()
		}
	}
	run.Status.Conditions = []pipelinerun.Condition{cond}
	run.Status.CompletionTime = &now
	c.ends[run.Name] = append(c.ends[run.Name], phase)
	if len(run.Status.ChildReferences) > 0 {
		c.ends[run.Name] = append(c.ends[run.Name], scheduler.PhaseFailed) // should its TaskRun be seen too late
	}
	c.note("ended", run.Name, phase)
	c.put(run)
}

// vanishing reports whether a run can be removed: it is over, or was deleted, and nothing holds it.
func vanishing(run pipelinerun.PipelineRun) bool {
	return len(run.Finalizers) == 0 && (over(run) || run.DeletionTimestamp != nil)
}

func (c *cluster) lateTask() {
	names := slices.Sorted(maps.Keys(c.late))
	if len(names) == 0 {
		return
	}
	name := names[c.pick(len(names))]
	w := c.latest()
	w.tasks = maps.Clone(w.tasks)
	w.tasks[name] = c.late[name]
	delete(c.late, name)
	c.write(w)
}

func (c *cluster) sign(run pipelinerun.PipelineRun) {
	run.Annotations = maps.Clone(run.Annotations)
	if run.Annotations == nil {
		run.Annotations = map[string]string{}
	}
	run.Annotations["chains.tekton.dev/signed"] = "true"
	c.put(run)
}

// label asks for a rerun.
func (c *cluster) label() {
	w := c.latest()
	value := "all"
	if !c.chance(3) {
		value = string(rune('a' + c.pick(7))) // perhaps of none, or of one that is outside the context
	}
	w.snapshot.Labels = maps.Clone(w.snapshot.Labels)
	w.snapshot.Labels[testPrefix+"/run"] = value
	w.version++
	c.note("labels", value)
	c.write(w)
}

// edit changes the scenarios or their order.
func (c *cluster) edit() {
	w := c.latest()
	switch i := c.pick(6); {
	case c.chance(2):
		w.group = c.graph(w.scenarios)
	case i < len(w.scenarios) && c.chance(2):
		w.scenarios = slices.Delete(slices.Clone(w.scenarios), i, i+1)
	default:
		w.scenarios = slices.DeleteFunc(slices.Clone(w.scenarios), func(s konflux.IntegrationTestScenario) bool { return s.Name == string(rune('a'+i)) })
		w.scenarios = append(w.scenarios, c.scenario(i))
		slices.SortFunc(w.scenarios, func(a, b konflux.IntegrationTestScenario) int { return compare(a.Name, b.Name) })
	}
	c.note("edits", w.group.Spec.TestGraph, len(w.scenarios))
	c.write(w)
}

// meddle deletes or cancels a run, past all plans.
func (c *cluster) meddle() {
	run, ok := c.some(func(r pipelinerun.PipelineRun) bool { return !over(r) && r.DeletionTimestamp == nil })
	if !ok {
		return
	}
	c.note("meddled", run.Name)
	if c.chance(2) {
		run.Spec.Status = "Cancelled"
		c.put(run)
		return
	}
	now := c.now
	run.DeletionTimestamp = &now
	gone := scheduler.PhaseCanceled
	if run.Annotations[ownPrefix+"/stopped"] != "" {
		gone = scheduler.PhaseStopped
	}
	c.ends[run.Name] = append(c.ends[run.Name], gone)
	c.put(run)
}

// What the API server answers.
var (
	errConflict = fmt.Errorf("conflict")
	errLost     = fmt.Errorf("no answer")
	errRefused  = fmt.Errorf("refused")
)

// update writes the metadata of the Snapshot, if the version is the newest.
func (c *cluster) update(version int, u pipelinerun.Update, plan *konflux.Plan) error {
	w := c.latest()
	if w.version != version {
		c.note("conflicts")
		return errConflict
	}
	if u.IsZero() {
		return nil
	}
	before := c.state()
	w.snapshot.Annotations = maps.Clone(w.snapshot.Annotations)
	if w.snapshot.Annotations == nil {
		w.snapshot.Annotations = map[string]string{}
	}
	maps.Copy(w.snapshot.Annotations, u.Annotations)
	label, asked := w.snapshot.Labels[testPrefix+"/run"]
	w.snapshot.Labels = maps.Clone(w.snapshot.Labels)
	for _, key := range u.RemoveLabels {
		delete(w.snapshot.Labels, key)
	}
	w.version++
	c.note("written", w.snapshot.Annotations[ownPrefix+"/state"])
	c.write(w)
	c.states = append(c.states, c.state())
	if asked && len(u.RemoveLabels) > 0 {
		c.honoured(label, before, plan)
	}
	c.begun(before, plan)
	return nil
}

// state returns what is written.
func (c *cluster) state() konflux.State {
	text := c.latest().snapshot.Annotations[ownPrefix+"/state"]
	if text == "" {
		return konflux.State{}
	}
	s, err := konflux.ParseState(text)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// honoured checks that the request that a label made is in the state that the label went with.
func (c *cluster) honoured(label string, before konflux.State, plan *konflux.Plan) {
	after := c.state().Runs
	for _, s := range plan.Scenarios {
		id := dag.ID(s.Status.Scenario)
		if label != "all" && label != string(id) || label == "all" && slices.Contains(plan.State.Alone, id) {
			continue
		}
		st := after[id]
		if live := st.Phase == scheduler.PhaseRunning; !live && st.Want <= before.Runs[id].Run && st.Run <= before.Runs[id].Run {
			c.t.Fatalf("the label %q is gone, and %s is %+v, and was %+v", label, id, st, before.Runs[id])
		}
	}
}

// begun checks the runs that a write begins: the parents are over, and their evidence is there.
func (c *cluster) begun(before konflux.State, plan *konflux.Plan) {
	for id, st := range c.state().Runs {
		if st.Phase != scheduler.PhaseRunning || st.Run <= before.Runs[id].Run {
			continue
		}
		if _, seen := c.created[pipelinerun.RunName(c.latest().snapshot.Meta, scheduler.Ref{ID: id, Run: st.Run})]; seen {
			continue // somebody else began it
		}
		for parent := range plan.Graph.Parents(id) {
			c.isOver(id, parent)
		}
		c.isOver(id, id)
	}
}

func (c *cluster) isOver(child, parent dag.ID) {
	for name, run := range c.latest().runs {
		switch ref := c.created[name]; {
		case ref.ID != parent || run.DeletionTimestamp != nil || run.Annotations[ownPrefix+"/stopped"] != "" && child != parent:
		case !over(run):
			c.t.Fatalf("%s begins and %s is not over", child, ref)
		case c.o.Signed && child != parent && run.Annotations["chains.tekton.dev/signed"] == "" && c.now.Before(run.Status.CompletionTime.Add(c.o.Patience)) &&
			c.state().Runs[parent].Run == ref.Run:
			c.t.Fatalf("%s begins and %s is not signed", child, ref)
		}
	}
}

// create makes a PipelineRun, unless there is one of that name.
func (c *cluster) create(run pipelinerun.PipelineRun) error {
	w := c.latest()
	if _, ok := w.runs[run.Name]; ok {
		c.told["found"]++
		return nil
	}
	if _, ok := c.created[run.Name]; ok {
		c.t.Fatalf("%s is created again", run.Name)
	}
	ref := scheduler.Ref{ID: dag.ID(run.Labels[testPrefix+"/scenario"])}
	for st := c.state().Runs[ref.ID]; ref.Run <= st.Run; ref.Run++ {
		if pipelinerun.RunName(w.snapshot.Meta, ref) == run.Name {
			break
		}
	}
	if ref.Run > c.state().Runs[ref.ID].Run {
		c.t.Fatalf("%s is created and not in the state", run.Name)
	}
	if c.refused[run.Name] || c.chance(25) {
		c.refused[run.Name] = true
		c.ends[run.Name] = []scheduler.Phase{scheduler.PhaseFailed}
		c.note("refused", run.Name)
		return errRefused
	}
	if run.Spec.Status != "" {
		c.note("created to be canceled", run.Name)
	}
	c.created[run.Name] = ref
	c.note("created", run.Name)
	c.put(run)
	return nil
}

// cancel asks for the end of a run.
func (c *cluster) cancel(x pipelinerun.Cancellation) {
	run, ok := c.latest().runs[x.Name]
	if !ok || over(run) {
		return
	}
	if run.DeletionTimestamp != nil { // whoever sees both cannot tell which was first
		c.ends[x.Name] = append(c.ends[x.Name], scheduler.PhaseStopped)
	}
	run.Spec.Status = x.Status
	run.Annotations = maps.Clone(run.Annotations)
	maps.Copy(run.Annotations, x.Annotations)
	c.note("canceled", x.Name)
	c.put(run)
}

// release takes the finalizer away.
func (c *cluster) release(name string) {
	run, ok := c.latest().runs[name]
	if !ok {
		return
	}
	if st := c.state().Runs[c.created[name].ID]; st.Run < c.created[name].Run || st.Run == c.created[name].Run && !st.Phase.Over() {
		c.t.Fatalf("%s is released and its end is not in the state", name)
	}
	run.Finalizers = nil
	c.put(run)
}

// A controller carries out plans on what its caches show. Each lags on its own.
type controller struct {
	c                            *cluster
	snapshot, config, runs, work int // the moments that its caches show
	refused                      map[string]string
	requests                     []func() error // that are left of a plan
	creating                     []string       // of a plan whose update is written
}

// refresh lets the caches catch up, each a little, and never go back.
func (k *controller) refresh(all bool) {
	newest := len(k.c.moments) - 1
	for _, at := range []*int{&k.snapshot, &k.config, &k.runs, &k.work} {
		if all || k.c.chance(2) {
			*at = newest
			continue
		}
		*at += k.c.pick(newest - *at + 1)
	}
	if k.snapshot < newest {
		k.c.told["stale"]++
	}
}

// crash forgets everything. What is read anew may be older than what was known before.
func (k *controller) crash() {
	newest := len(k.c.moments)
	*k = controller{c: k.c, snapshot: k.c.pick(newest), config: k.c.pick(newest), runs: k.c.pick(newest), work: k.c.pick(newest), refused: map[string]string{}}
	k.c.note("crashes")
}

// objects are what the caches show.
func (k *controller) objects() (konflux.Objects, int) {
	w := k.c.moments[k.snapshot]
	config := k.c.moments[k.config]
	return konflux.Objects{
		Scenarios: config.scenarios, Group: config.group, Snapshot: w.snapshot, Superseded: w.superseded,
		PipelineRuns: slices.Collect(maps.Values(k.c.moments[k.runs].runs)), TaskRuns: slices.Collect(maps.Values(k.c.moments[k.work].tasks)),
		Refused: k.refused,
	}, w.version
}

// step does one request, or makes a plan.
func (k *controller) step(faults bool) {
	if faults && k.c.chance(20) {
		k.crash()
		return
	}
	if len(k.requests) == 0 {
		k.creating = nil
		k.refresh(!faults)
		k.plan()
		return
	}
	request := k.requests[0]
	k.requests = k.requests[1:]
	if faults && k.c.chance(15) { // without effect
		k.drop()
		return
	}
	err := request()
	if faults && k.c.chance(15) {
		k.c.note("answers lost")
		err = errLost
	}
	if err != nil {
		k.drop()
	}
}

func (k *controller) drop() { k.requests, k.creating = nil, nil }

// plan makes the requests of a plan, in their order.
func (k *controller) plan() *konflux.Plan {
	objects, version := k.objects()
	p, err := konflux.Next(objects, k.c.o, k.c.now)
	if err != nil {
		k.c.t.Fatal(err)
	}
	k.c.told["plans"]++
	if !p.Update.IsZero() || len(p.Create)+len(p.Cancel) > 0 {
		k.requests = append(k.requests, func() error {
			err := k.c.update(version, p.Update, p)
			if err == nil {
				for _, run := range p.Create {
					k.creating = append(k.creating, run.Name)
				}
			}
			return err
		})
	}
	for _, run := range p.Create {
		k.requests = append(k.requests, func() error {
			err := k.c.create(run)
			if err == errRefused {
				k.refused[run.Name] = "denied"
				return nil
			}
			return err
		})
	}
	for _, x := range p.Cancel {
		k.requests = append(k.requests, func() error { k.c.cancel(x); return nil })
	}
	for _, name := range p.Release {
		k.requests = append(k.requests, func() error { k.c.release(name); return nil })
	}
	return p
}
