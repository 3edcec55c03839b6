package konflux_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

var (
	oldKeys = konflux.Keys{
		Test: "test.appstudio.openshift.io", Pipelines: "pipelines.appstudio.openshift.io",
		Resource: "appstudio.openshift.io", PAC: "pac.test.appstudio.openshift.io", Own: "testdag.example.com",
	}
	newKeys = konflux.Keys{
		Test: "integration.konflux-ci.dev", Pipelines: "pipelines.konflux-ci.dev",
		Resource: "konflux-ci.dev", PAC: "pac.konflux-ci.dev", Own: "testdag.example.com",
	}

	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// options are those that most tests work with.
func options() konflux.Options {
	return konflux.Options{Keys: oldKeys, Profile: dag.ADR48, Skipped: pipelinerun.SkippedPasses}
}

// scenario reads a line: a name and what is said of it, "scan optional in push,group before report,deploy".
func scenario(line string) konflux.IntegrationTestScenario {
	words := strings.Split(line, " ")
	t := konflux.IntegrationTestScenario{Meta: pipelinerun.Meta{Name: words[0]}}
	t.Spec.ResolverRef = pipelinerun.ResolverRef{Resolver: "git", ResourceKind: "pipeline"}
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "optional":
			t.Labels = map[string]string{oldKeys.Test + "/optional": "true"}
		case "in":
			i++
			for name := range strings.SplitSeq(words[i], ",") {
				t.Spec.Contexts = append(t.Spec.Contexts, struct {
					Name string `json:"name"`
				}{name})
			}
		case "before":
			i++
			t.Spec.Dependents = strings.Split(words[i], ",")
		default:
			panic("unknown word in scenario: " + line)
		}
	}
	return t
}

func scenarios(lines ...string) []konflux.IntegrationTestScenario {
	list := make([]konflux.IntegrationTestScenario, len(lines))
	for i, line := range lines {
		list[i] = scenario(line)
	}
	return list
}

// group has a testGraph, as JSON; none if that is empty.
func group(testGraph string) *konflux.ComponentGroup {
	if testGraph == "" {
		return nil
	}
	g := new(konflux.ComponentGroup)
	if err := json.Unmarshal([]byte(testGraph), &g.Spec.TestGraph); err != nil {
		panic(err)
	}
	return g
}

// chain is a testGraph in which each scenario waits for the one before it.
func chain(names ...string) *konflux.ComponentGroup {
	g := new(konflux.ComponentGroup)
	g.Spec.TestGraph = map[string][]konflux.TestGraphNode{}
	for i, name := range names[1:] {
		g.Spec.TestGraph[name] = []konflux.TestGraphNode{{Name: names[i]}}
	}
	return g
}

// snapshot has labels and annotations, each "key=value"; annotations begin with "@". Keys without a prefix have the one of tests.
func snapshot(marks ...string) konflux.Snapshot {
	s := konflux.Snapshot{Meta: pipelinerun.Meta{Name: "app-x1", Namespace: "team", UID: "7e1f", Labels: map[string]string{}, Annotations: map[string]string{}}}
	for _, mark := range marks {
		key, value, _ := strings.Cut(mark, "=")
		key, annotation := strings.CutPrefix(key, "@")
		if !strings.Contains(key, "/") {
			key = oldKeys.Test + "/" + key
		}
		if annotation {
			s.Annotations[key] = value
		} else {
			s.Labels[key] = value
		}
	}
	return s
}

// drawing tells a graph in canonical order: "build; scan after build; deploy after scan (OnFinish)".
func drawing(g *dag.Graph) string {
	var lines []string
	for s := range g.Scenarios() {
		line := string(s.ID)
		if s.Optional {
			line += " optional"
		}
		for i, p := range s.After {
			line += []string{" after ", ", "}[min(i, 1)] + string(p.ID)
			if p.Condition != dag.OnPass {
				line += " (" + p.Condition.String() + ")"
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

// next returns the plan of objects that make no mistake.
func next(t testing.TB, in konflux.Objects, o konflux.Options, now time.Time) *konflux.Plan {
	t.Helper()
	p, err := konflux.Next(in, o, now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// obey returns the objects after a plan was carried out.
func obey(in konflux.Objects, p *konflux.Plan) konflux.Objects {
	in.Snapshot.Annotations = maps.Clone(in.Snapshot.Annotations)
	if in.Snapshot.Annotations == nil {
		in.Snapshot.Annotations = map[string]string{}
	}
	maps.Copy(in.Snapshot.Annotations, p.Update.Annotations)
	for _, key := range p.Update.RemoveAnnotations {
		delete(in.Snapshot.Annotations, key)
	}
	in.Snapshot.Labels = maps.Clone(in.Snapshot.Labels)
	for _, key := range p.Update.RemoveLabels {
		delete(in.Snapshot.Labels, key)
	}
	in.PipelineRuns = append(slices.Clone(in.PipelineRuns), p.Create...)
	for _, c := range p.Cancel {
		in = changed(in, c.Name, func(r *pipelinerun.PipelineRun) {
			r.Spec.Status = c.Status
			r.Annotations = maps.Clone(r.Annotations)
			maps.Copy(r.Annotations, c.Annotations)
		})
	}
	for _, name := range p.Release {
		in = changed(in, name, func(r *pipelinerun.PipelineRun) { r.Finalizers = nil })
	}
	return in
}

// changed returns the objects with a PipelineRun changed.
func changed(in konflux.Objects, name string, change func(*pipelinerun.PipelineRun)) konflux.Objects {
	in.PipelineRuns = slices.Clone(in.PipelineRuns)
	for i := range in.PipelineRuns {
		if in.PipelineRuns[i].Name == name {
			change(&in.PipelineRuns[i])
		}
	}
	return in
}

// ended returns a change that ends a PipelineRun: True, or False with a reason.
func ended(status, reason string, at time.Time) func(*pipelinerun.PipelineRun) {
	return func(r *pipelinerun.PipelineRun) {
		r.Status.Conditions = []pipelinerun.Condition{{Type: "Succeeded", Status: status, Reason: reason}}
		r.Status.CompletionTime = &at
	}
}

// output is text as the value of a result.
func output(text string) json.RawMessage {
	value, _ := json.Marshal(text)
	return value
}

// Shorthands for the tables of all tests.
const (
	running  = scheduler.PhaseRunning
	passed   = scheduler.PhasePassed
	failed   = scheduler.PhaseFailed
	canceled = scheduler.PhaseCanceled
	stopped  = scheduler.PhaseStopped
)

// runName names a run of the Snapshot that all tests have.
func runName(scenario string, run int) string {
	return pipelinerun.RunName(snapshot().Meta, scheduler.Ref{ID: dag.ID(scenario), Run: run})
}

// told returns what the status annotation of a plan says: "scan TestPassed".
func told(p *konflux.Plan) []string {
	list := make([]string, len(p.Scenarios))
	for i, c := range p.Scenarios {
		list[i] = fmt.Sprintf("%s %s", c.Status.Scenario, c.Status.Status)
	}
	return list
}

// doing returns what a plan does: "create scan#1", "cancel scan#1", "release scan#1", in its order.
func doing(p *konflux.Plan) []string {
	names := map[string]string{}
	for id, st := range p.State.Runs {
		for run := range st.Run {
			names[runName(string(id), run+1)] = fmt.Sprintf("%s#%d", id, run+1)
		}
	}
	known := func(name string) string {
		if short, ok := names[name]; ok {
			return short
		}
		return name
	}
	list := []string{}
	for _, r := range p.Create {
		list = append(list, "create "+known(r.Name))
	}
	for _, c := range p.Cancel {
		list = append(list, "cancel "+known(c.Name))
	}
	for _, name := range p.Release {
		list = append(list, "release "+known(name))
	}
	return list
}

// mistakes returns the messages of joined errors, in order.
func mistakes(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

// equal compares, and reports what differs.
func equal(t reporter, what string, got, want any, o ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, o...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// A reporter is a *testing.T or a *rapid.T.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// emptyIsNil compares without the difference between no list and an empty one.
var emptyIsNil = cmpopts.EquateEmpty()
