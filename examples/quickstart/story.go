package main

import (
	"fmt"
	"io"
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
	for sc := range s.g.Scenarios() {
		line := string(sc.ID)
		if sc.Optional {
			line += " (optional)"
		}
		if len(sc.After) > 0 {
			line = fmt.Sprintf("%-20s waits for %s", line, parents(sc.After))
		}
		fmt.Fprintln(s.out, "  "+line)
	}
}

func parents(after []dag.Parent) string {
	names := make([]string, len(after))
	for i, p := range after {
		names[i] = string(p.ID)
		if p.Condition != dag.OnPass {
			names[i] += fmt.Sprintf(" (%s)", p.Condition)
		}
	}
	return strings.Join(names, ", ")
}

// step tells one step of the scheduler: a start, an end with the last words of the process, and what it canceled.
func (s *story) step(step scheduler.Step) {
	switch e := step.Event; e.Phase {
	case scheduler.PhaseRunning:
		s.line("▶", "%s", e)
	case scheduler.PhasePassed:
		s.line("✔", "%s passed%s", e.Ref, lastLine(step.Result))
	case scheduler.PhaseFailed:
		s.line("✘", "%s failed (%s)%s", e.Ref, step.Result.Reason, lastLine(step.Result))
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
	m := scheduler.NewMachine(s.g, snapshot)
	for id := range s.g.All() {
		fmt.Fprintln(s.out, "  "+m.Explain(id))
	}
	fmt.Fprintf(s.out, "\n  outcome: %s\n", m.Plan().Outcome)
}

// lastLine returns the last line that a run printed, shortened, with a colon before it; nothing if it printed nothing.
func lastLine(r scheduler.Result) string {
	lines := strings.Split(strings.TrimSpace(string(r.Output)), "\n")
	last := []rune(strings.TrimSpace(lines[len(lines)-1]))
	const most = 160
	switch {
	case len(last) == 0:
		return ""
	case len(last) > most:
		return ": …" + string(last[len(last)-most:])
	}
	return ": " + string(last)
}
