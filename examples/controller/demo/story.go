package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/testdag/testdag/examples/controller/internal/stage"
	"github.com/testdag/testdag/internal/cluster"
)

const namespace = "shop"

// A story tells what happens while it happens, a line each.
type story struct {
	out   io.Writer
	begin time.Time
	told  []string // the events: reason and note
}

// tell tells the whole story.
func tell(ctx context.Context, out io.Writer) (err error) {
	s := &story{out: out, begin: time.Now()}
	s.heading("A control plane on loopback: etcd, kube-apiserver and Tekton")
	st, err := stage.Open(ctx, cluster.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	s.line("it is up")
	controller, err := st.Start("controller", "-leader-election-namespace="+namespace, "-namespaces="+namespace)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, controller.Kill()) }()
	g, err := s.begins(ctx, st, controller)
	if err != nil {
		return err
	}
	seen, err := s.acts(ctx, g, st)
	if err != nil {
		return err
	}
	s.ends(ctx, seen, controller)
	return errors.Join(s.complete(), controller.Stop())
}

// begins applies the graph and tells what waits for what.
func (s *story) begins(ctx context.Context, st *stage.Stage, controller *stage.Controller) (*stage.Graph, error) {
	if err := st.Namespace(ctx, namespace); err != nil { // the controller has its lease there
		return nil, err
	}
	if err := controller.Ready(ctx); err != nil {
		return nil, err
	}
	s.line("the controller is ready")
	g, err := st.Graph(ctx, namespace)
	if err != nil {
		return nil, err
	}
	seen, err := g.Until(ctx, "begun", func(seen *stage.Seen) bool { return len(seen.Statuses) > 0 })
	if err != nil {
		return nil, err
	}
	s.heading("Six test scenarios, each a PipelineRun (config/example), in the ConfigMap %s/%s", g.Namespace, g.Name)
	for _, scenario := range seen.Statuses {
		line := scenario.Scenario
		if len(scenario.RunAfter) > 0 {
			line = fmt.Sprintf("%-20s waits for %s", line, strings.Join(scenario.RunAfter, ", "))
		}
		fmt.Fprintln(s.out, "  "+line)
	}
	return g, nil
}

// acts plays the acts and tells what the controller tells of them.
func (s *story) acts(ctx context.Context, g *stage.Graph, st *stage.Stage) (seen *stage.Seen, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := st.Follow(ctx, g)
	for i, act := range stage.Acts() {
		s.heading("%s", act.Heading)
		s.begin = time.Now()
		if i > 0 {
			fmt.Fprintf(s.out, "  $ kubectl -n %s label configmap %s testdag.dev/run=dast-tests\n", g.Namespace, g.Name)
		}
		if err := act.Ask(ctx, g); err != nil {
			return nil, err
		}
		if err := s.listen(ctx, events, act.Last); err != nil {
			return nil, err
		}
		if seen, err = g.Until(ctx, act.What, act.As); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// listen tells events until the last one that is expected.
func (s *story) listen(ctx context.Context, events <-chan stage.Event, last string) error {
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %q: %w", last, context.Cause(ctx))
		case e := <-events:
			s.event(e)
			if strings.HasPrefix(e.Reason+" "+e.Note, last) {
				return nil
			}
		}
	}
}

var marks = map[string]string{"Started": "▶", "Passed": "✔", "Failed": "✘", "Canceled": "⊘", "Finished": "●", "Problem": "!"}

func (s *story) event(e stage.Event) {
	s.told = append(s.told, e.Reason+" "+e.Note)
	mark := marks[e.Reason]
	if strings.Contains(e.Note, "is being stopped") {
		mark = "■"
	}
	fmt.Fprintf(s.out, "  %5.2fs  %s %s\n", max(0, e.Time.Sub(s.begin).Seconds()), mark, e.Note)
}

// ends tells how every scenario came out, and what it cost.
func (s *story) ends(ctx context.Context, seen *stage.Seen, controller *stage.Controller) {
	s.heading("How it ends")
	for _, scenario := range seen.Statuses {
		fmt.Fprintf(s.out, "  %-11s %-20s %s\n", scenario.Status, scenario.Scenario, scenario.RunName)
	}
	fmt.Fprintf(s.out, "\n  outcome: %s\n", seen.Outcome)
	m, err := controller.Metrics(ctx)
	_, most, noMemory := controller.Memory()
	if errors.Join(err, noMemory) != nil {
		return // it is no part of the story
	}
	fmt.Fprintf(s.out, "\n  %d PipelineRuns; the controller decided %g times, made %g requests and took at most %d MiB\n",
		len(seen.Runs), m["testdag_decision_seconds_count"], m["rest_client_requests_total"], most>>20)
}

// complete reports what the story lacks.
func (s *story) complete() error {
	var missing []error
	for _, want := range []string{
		"Started clamav-scan is started", "Started dast-tests is started", "Started operator-deployment is started", "Failed dast-tests#1 failed",
		"Canceled verify is canceled because dast-tests#1 failed", "Canceled e2e-test is canceled because dast-tests#1 failed",
		"Passed dast-tests#2 passed", "Started verify is started as verify-1-", "Failed dast-tests#3 failed",
		"Canceled verify is canceled because dast-tests#3 failed. verify#1 is being stopped", "Passed dast-tests#4 passed",
		"Started verify is started as verify-2-", "Passed verify#2 passed", "Passed e2e-test#1 passed", "Finished outcome: passed",
	} {
		if !s.has(want) {
			missing = append(missing, fmt.Errorf("nothing told of %q", want))
		}
	}
	return errors.Join(missing...)
}

func (s *story) has(want string) bool {
	for _, told := range s.told {
		if strings.HasPrefix(told, want) {
			return true
		}
	}
	return false
}

func (s *story) heading(format string, args ...any) { fmt.Fprintf(s.out, "\n"+format+"\n\n", args...) }

func (s *story) line(format string, args ...any) {
	fmt.Fprintf(s.out, "  %5.2fs  %s\n", time.Since(s.begin).Seconds(), fmt.Sprintf(format, args...))
}
