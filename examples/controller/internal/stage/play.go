package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A Seen is what is seen of a graph: the annotations of its ConfigMap, and its PipelineRuns.
type Seen struct {
	Outcome  string // passed, failed, canceled; empty as long as not all is over
	Statuses []konflux.ScenarioStatus
	State    konflux.State
	Runs     []pipelinerun.PipelineRun
}

// Status returns what is said of a scenario.
func (s *Seen) Status(scenario string) konflux.ScenarioStatus {
	for _, t := range s.Statuses {
		if t.Scenario == scenario {
			return t
		}
	}
	return konflux.ScenarioStatus{}
}

// Works reports whether the newest run of a scenario is live, and has begun its work.
func (s *Seen) Works(scenario string) bool {
	now := s.Status(scenario)
	for _, run := range s.Runs {
		if now.Status == konflux.InProgress && run.Name == now.RunName {
			return len(run.Status.ChildReferences) > 0
		}
	}
	return false
}

// See looks at a graph.
func (g *Graph) See(ctx context.Context) (*Seen, error) {
	o, err := g.stage.Client.Resource(g.resource).Namespace(g.Namespace).Get(ctx, g.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	annotations := o.GetAnnotations()
	s := &Seen{Outcome: annotations[g.keys.Own+"/outcome"]}
	if s.Statuses, err = konflux.ParseStatuses(annotations[g.keys.Test+"/status"]); err != nil {
		return nil, err
	}
	if text, ok := annotations[g.keys.Own+"/state"]; ok {
		if s.State, err = konflux.ParseState(text); err != nil {
			return nil, err
		}
	}
	list, err := g.stage.Client.Resource(PipelineRuns).Namespace(g.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		text, err := list.Items[i].MarshalJSON()
		if err != nil {
			return nil, err
		}
		var run pipelinerun.PipelineRun
		if err := json.Unmarshal(text, &run); err != nil {
			return nil, err
		}
		s.Runs = append(s.Runs, run)
	}
	return s, nil
}

// Until looks until what is seen is as it should be, and returns it. That the API server is away is no end.
func (g *Graph) Until(ctx context.Context, what string, as func(*Seen) bool) (*Seen, error) {
	for {
		seen, err := g.See(ctx)
		if err == nil && as(seen) {
			return seen, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s/%s is not %s: %w, %v; seen last: %+v", g.Namespace, g.Name, what, context.Cause(ctx), err, seen)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// An Act is a part of the play: something is asked for, and then it is waited for what comes of it.
type Act struct {
	Heading string
	Ask     func(context.Context, *Graph) error
	What    string // is waited for
	As      func(*Seen) bool
	Last    string // event that tells of it: its reason, and how its note begins
}

const someHours = 3 * time.Hour // that a run takes which is to be stopped

// Acts are the play: a failure and its cascade, the rerun of one scenario, a live run that is stopped since its parent
// fails, and the wave after the last rerun. It ends with every scenario passed.
func Acts() []Act {
	return []Act{
		{
			"First: the image is new, everything runs",
			func(context.Context, *Graph) error { return nil },
			"failed", func(s *Seen) bool { return s.Outcome == "failed" },
			"Finished outcome: failed",
		},
		{
			"The finding was a false alarm: the rules of the scanner are mended, and dast-tests alone is asked to run again",
			func(ctx context.Context, g *Graph) error { return g.ask(ctx, true, someHours) },
			"verifying", func(s *Seen) bool { return s.Works("verify") },
			"Started verify ",
		},
		{
			"While verify runs, for hours, the database of the scanner is renewed, and dast-tests is asked to run again",
			func(ctx context.Context, g *Graph) error { return g.ask(ctx, false, someHours) },
			"failed", func(s *Seen) bool { return s.Outcome == "failed" },
			"Finished outcome: failed",
		},
		{
			"This finding was true: the operator is mended where it runs, and dast-tests is asked to run again",
			func(ctx context.Context, g *Graph) error { return g.ask(ctx, true, time.Second) },
			"passed", func(s *Seen) bool { return s.Outcome == "passed" },
			"Finished outcome: passed",
		},
	}
}

// ask has dast-tests pass or not, lets verify take so long, and asks for a rerun of dast-tests.
func (g *Graph) ask(ctx context.Context, pass bool, verify time.Duration) error {
	if err := g.Let(ctx, "dast-tests", pass, time.Second); err != nil {
		return err
	}
	if err := g.Let(ctx, "verify", true, verify); err != nil {
		return err
	}
	return g.Rerun(ctx, "dast-tests")
}

// Play plays all acts, and returns what is seen at the end.
func (g *Graph) Play(ctx context.Context) (seen *Seen, err error) {
	for _, act := range Acts() {
		if err := again(ctx, func() error { return act.Ask(ctx, g) }); err != nil {
			return nil, err
		}
		if seen, err = g.Until(ctx, act.What, act.As); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// again tries for as long as the API server may be away.
func again(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
