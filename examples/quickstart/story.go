package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A story tells what happens while it happens, a line each.
type story struct {
	out   io.Writer
	g     *dag.Graph
	begin time.Time
}

func newStory(out io.Writer, g *dag.Graph) *story {
	return &story{out: out, g: g, begin: time.Now()}
}

func (s *story) heading(format string, args ...any) { fmt.Fprintf(s.out, "\n"+format+"\n\n", args...) }

func (s *story) line(mark, format string, args ...any) {
	fmt.Fprintf(s.out, "  %5.2fs  %s %s\n", time.Since(s.begin).Seconds(), mark, fmt.Sprintf(format, args...))
}

// graph tells what waits for what.
func (s *story) graph() {
	for id := range s.g.All() {
		var parents []string
		for p := range s.g.Parents(id) {
			parents = append(parents, string(p))
		}
		if len(parents) == 0 {
			fmt.Fprintf(s.out, "  %s\n", id)
			continue
		}
		fmt.Fprintf(s.out, "  %-20s waits for %s\n", id, strings.Join(parents, ", "))
	}
}

// step tells one step of the scheduler: a start, an end with the last words of the process, and what it canceled.
func (s *story) step(step scheduler.Step) {
	switch e := step.Event; e.Phase {
	case scheduler.PhaseRunning:
		s.line("▶", "%s starts%s", e.Ref, standing(e.Basis))
	case scheduler.PhasePassed:
		s.line("✔", "%s passed: %s", e.Ref, lastLine(step.Result))
	case scheduler.PhaseFailed:
		s.line("✘", "%s failed: %s", e.Ref, lastLine(step.Result))
	case scheduler.PhaseCanceled, scheduler.PhaseStopped:
		s.line("■", "%s %s", e.Ref, e.Phase)
	}
	for _, c := range step.Changes {
		if c.To.Verdict == scheduler.VerdictCanceled && c.To.Cause.ID != c.ID {
			s.line("⊘", "%s is canceled because of %s", c.ID, c.To.Cause)
		}
	}
}

// verdicts tells how every scenario came out.
func (s *story) verdicts(snapshot scheduler.Snapshot) {
	for id := range s.g.All() {
		fmt.Fprintln(s.out, "  "+scheduler.Explain(s.g, snapshot, id))
	}
	fmt.Fprintf(s.out, "\n  outcome: %s\n", scheduler.Next(s.g, snapshot).Outcome)
}

func standing(basis []scheduler.Ref) string {
	if len(basis) == 0 {
		return ""
	}
	names := make([]string, len(basis))
	for i, r := range basis {
		names[i] = r.String()
	}
	return " on " + strings.Join(names, ", ")
}

// lastLine returns the last line that a run printed, or the reason if it printed nothing.
func lastLine(r scheduler.Result) string {
	lines := bytes.Split(bytes.TrimSpace(r.Output), []byte("\n"))
	for _, line := range slices.Backward(lines) {
		if text := strings.TrimSpace(string(line)); text != "" {
			return text
		}
	}
	return r.Reason
}
