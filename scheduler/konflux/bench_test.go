package konflux_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// wide are so many scenarios in layers of 50, each of which waits for two of the layer before.
func wide(n int) konflux.Objects {
	name := func(i int) string { return fmt.Sprintf("scenario-%03d", i) }
	in := konflux.Objects{Group: group("{}"), Snapshot: snapshot("type=group")}
	for i := range n {
		in.Scenarios = append(in.Scenarios, scenario(name(i)))
		if i >= 50 {
			in.Group.Spec.TestGraph[name(i)] = []konflux.TestGraphNode{{Name: name(i - 50)}, {Name: name((i/50-1)*50 + (i+1)%50)}}
		}
	}
	return in
}

// inFlight returns objects in whose first half all has passed and the layer after is live, with two TaskRuns for each
// PipelineRun, and the time of the next call.
func inFlight(t testing.TB, in konflux.Objects) (konflux.Objects, time.Time) {
	now := noon
	for len(in.PipelineRuns) <= len(in.Scenarios)/2 {
		now = now.Add(time.Minute)
		for i := range in.PipelineRuns {
			run := &in.PipelineRuns[i]
			if len(run.Status.Conditions) == 0 {
				pass(&in, run, now)
			}
		}
		in = obey(in, next(t, in, options(), now))
	}
	return in, now
}

// pass ends a PipelineRun with two TaskRuns that say SUCCESS.
func pass(in *konflux.Objects, run *pipelinerun.PipelineRun, at time.Time) {
	ended("True", "Succeeded", at)(run)
	for i := range 2 {
		task := pipelinerun.TaskRun{Meta: pipelinerun.Meta{Name: fmt.Sprint(run.Name, "-task-", i)}}
		task.Status.Results = []pipelinerun.TaskRunResult{{Name: "TEST_OUTPUT", Value: output(`{"result":"SUCCESS","timestamp":"1772366400","successes":1,"failures":0,"warnings":0}`)}}
		in.TaskRuns = append(in.TaskRuns, task)
		run.Status.ChildReferences = append(run.Status.ChildReferences, pipelinerun.ChildReference{Name: task.Name})
	}
}

// roomy are options for more scenarios than the default of StateBytes is for.
func roomy() konflux.Options {
	o := options()
	o.StateBytes = 256 << 10
	return o
}

func BenchmarkNext(b *testing.B) {
	for _, n := range []int{50, 500, 650} {
		b.Run(fmt.Sprintf("first/%d", n), func(b *testing.B) {
			in := wide(n)
			b.ReportAllocs()
			for b.Loop() {
				next(b, in, roomy(), noon)
			}
		})
		b.Run(fmt.Sprintf("inflight/%d", n), func(b *testing.B) {
			in, now := inFlight(b, wide(n))
			b.ReportAllocs()
			for b.Loop() {
				next(b, in, roomy(), now)
			}
		})
	}
}

// atRest returns objects in which all has passed and nothing but the state is left of it: the most that is ever written.
func atRest(t testing.TB, n int) konflux.Objects {
	in := wide(n)
	g, err := konflux.Graph(in.Scenarios, in.Group, in.Snapshot, options())
	if err != nil {
		t.Fatal(err)
	}
	s := konflux.State{Runs: scheduler.Snapshot{}}
	for id := range g.All() {
		st := scheduler.Status{Run: 1, Phase: scheduler.PhasePassed}
		for parent := range g.Parents(id) {
			st.Basis = append(st.Basis, scheduler.Ref{ID: parent, Run: 1})
		}
		s.Runs[id] = st
	}
	text, err := s.Format()
	if err != nil {
		t.Fatal(err)
	}
	in.Snapshot.Annotations[oldKeys.Own+"/state"] = text
	return in
}

// most returns the greatest number of scenarios for which plan gives no error, and the error that it gives for one more.
func most(t *testing.T, plan func(n int) (*konflux.Plan, error)) (int, error) {
	t.Helper()
	fits := func(n int) error {
		p, err := plan(n)
		if (p == nil) != (err != nil) {
			t.Fatalf("%d scenarios: a plan %v with %v", n, p != nil, err)
		}
		return err
	}
	good, bad := 500, 999 // found by halving
	for bad-good > 1 {
		if n := (good + bad) / 2; fits(n) == nil {
			good = n
		} else {
			bad = n
		}
	}
	return good, fits(bad)
}

// A state has at most 100 bytes a scenario, and as many scenarios as an object has room for are planned; one more gives
// an error that says so, and no plan. That is told before anything begins: what has begun has room for its end.
func TestSize(t *testing.T) {
	for _, n := range []int{50, 500, 650} {
		in := atRest(t, n)
		state := len(in.Snapshot.Annotations[oldKeys.Own+"/state"])
		if state > 100*n {
			t.Errorf("%d scenarios: a state of %d bytes; want at most 100 for each", n, state)
		}
		p, err := konflux.Next(in, roomy(), noon)
		if err != nil {
			t.Logf("%d scenarios: state %d bytes, %d each; %v", n, state, state/n, err)
			continue
		}
		if p.Outcome != scheduler.OutcomePassed {
			t.Errorf("%d scenarios: %v; want them at rest", n, p.Outcome)
		}
		status := len(p.Update.Annotations[oldKeys.Test+"/status"])
		t.Logf("%d scenarios: state %d bytes, %d each; status annotation %d bytes, %d each", n, state, state/n, status, status/n)
	}

	first := func(n int) (*konflux.Plan, error) { return konflux.Next(wide(n), roomy(), noon) }
	last := func(n int) (*konflux.Plan, error) { return konflux.Next(atRest(t, n), roomy(), noon) }
	begun, err := most(t, first)
	var e *konflux.SizeError
	if !errors.As(err, &e) {
		t.Fatalf("%d scenarios: got %v; want a *SizeError", begun+1, err)
	}
	if e.Annotation != "" || e.Limit != 256<<10 || e.Bytes <= e.Limit || e.Bytes > e.Limit+1000 {
		t.Errorf("got %#v; want one about all annotations, and a scenario more than fits", e)
	}
	t.Logf("%d scenarios are begun; %v", begun, err)
	ended, err := most(t, last)
	t.Logf("%d scenarios can end; %v", ended, err)
	if ended < begun || !errors.As(err, &e) {
		t.Errorf("%d scenarios are begun and %d can end, then %v; want room for the end of each that is begun", begun, ended, err)
	}
	for _, n := range []int{1000, 3000} { // the status annotation alone is over the limit
		if _, err := last(n); !errors.As(err, &e) {
			t.Errorf("%d scenarios: got %v; want a *SizeError", n, err)
		}
	}
}

// What was the most of all is what a history of runs comes to, too.
func TestSizeOfHistory(t *testing.T) {
	in, now := inFlight(t, wide(150))
	for p := next(t, in, options(), now); p.Outcome == scheduler.OutcomePending; p = next(t, in, options(), now) {
		now = now.Add(time.Minute)
		in = obey(in, p)
		for i := range in.PipelineRuns {
			if run := &in.PipelineRuns[i]; len(run.Status.Conditions) == 0 {
				pass(&in, run, now)
			}
		}
	}
	in = obey(in, next(t, in, options(), now))
	still := atRest(t, 150)
	still = obey(still, next(t, still, options(), noon))
	for _, key := range []string{"/state", "/status"} {
		prefix := map[string]string{"/state": oldKeys.Own, "/status": oldKeys.Test}[key]
		if got, want := len(in.Snapshot.Annotations[prefix+key]), len(still.Snapshot.Annotations[prefix+key]); got != want {
			t.Errorf("%s has %d bytes after the runs, and %d without them", key, got, want)
		}
	}
	equal(t, "graph", len(in.PipelineRuns), 150)
	equal(t, "first", in.PipelineRuns[0].Name, pipelinerun.RunName(in.Snapshot.Meta, scheduler.Ref{ID: dag.ID("scenario-000"), Run: 1}))
}
