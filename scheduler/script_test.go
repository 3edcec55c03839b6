package scheduler_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// The rules are told by scripts in testdata/rules. Each quotes the sentence it shows. The commands:
//
//	graph          one scenario a line: verify [optional] after scan, dast on finish, lint always
//	observe        one event a line: scan#1 passed, rerun scan#1, force scan#1, cancel scan#1,
//	               scan#1 running on build#1, scan#1 passed left quay.io/team/app@sha256:01; prints the plan, the verdicts and the outcome once it is final, and
//	               then carries out the starts of the plan
//	observe hold   the same, but carries out nothing
//	explain        one scenario a line
//	json           prints the snapshot
//
// go test ./scheduler -run Rules -rewrite writes what is printed into the scripts; read the diff before you commit it.
func TestRules(t *testing.T) {
	datadriven.Walk(t, "testdata/rules", func(t *testing.T, path string) {
		s := script{machine: scheduler.NewMachine(&dag.Graph{}, nil)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.do(t, d) })
	})
}

type script struct {
	g        *dag.Graph
	snapshot scheduler.Snapshot
	machine  *scheduler.Machine
}

func (s *script) do(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "graph":
		g, err := dag.New(parseGraph(t, d)...)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		s.g = g
		s.machine.SetGraph(g)
		return ""
	case "observe":
		for _, line := range lines(d.Input) {
			s.observe(parseEvent(t, d, line))
		}
		plan := s.plan(t, d)
		text := describe(s.g, s.snapshot, plan)
		for _, a := range plan.Actions {
			if a.Kind == scheduler.Start && !d.HasArg("hold") {
				s.observe(scheduler.Started(a))
			}
		}
		return text
	case "explain":
		var b strings.Builder
		for _, id := range lines(d.Input) {
			fmt.Fprintln(&b, scheduler.Explain(s.g, s.snapshot, dag.ID(id)))
		}
		return b.String()
	case "json":
		text, err := json.Marshal(s.snapshot)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return strings.ReplaceAll(string(text), `},{`, "},\n{") + "\n"
	}
	d.Fatalf(t, "unknown command %q", d.Cmd)
	return ""
}

func (s *script) observe(e scheduler.Event) {
	s.snapshot = s.snapshot.Observe(e)
	s.machine.Observe(e)
}

// plan checks on the way that a Machine says the same, and that a snapshot survives its JSON form.
func (s *script) plan(t *testing.T, d *datadriven.TestData) scheduler.Plan {
	plan := scheduler.Next(s.g, s.snapshot)
	if diff := cmp.Diff(plan, s.machine.Plan()); diff != "" {
		d.Fatalf(t, "the plan of the machine (-Next +Machine):\n%s", diff)
	}
	if known := s.machine.Snapshot(); !same(s.snapshot, known) {
		d.Fatalf(t, "the snapshot of the machine:\n%s", cmp.Diff(s.snapshot, known, cmpopts.EquateEmpty()))
	}
	if again := scheduler.Next(s.g, roundTrip(t, s.snapshot)); !cmp.Equal(plan, again) {
		d.Fatalf(t, "the plan after JSON:\n%s", cmp.Diff(plan, again))
	}
	return plan
}

func roundTrip(t interface{ Fatalf(string, ...any) }, s scheduler.Snapshot) scheduler.Snapshot {
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var back scheduler.Snapshot
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatalf("%v", err)
	}
	if diff := cmp.Diff(s, back, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the snapshot after JSON (-before +after):\n%s", diff)
	}
	return back
}

// describe tells a plan, the verdicts and the outcome.
func describe(g *dag.Graph, s scheduler.Snapshot, plan scheduler.Plan) string {
	var b strings.Builder
	for _, a := range plan.Actions {
		fmt.Fprintln(&b, a)
	}
	for i, c := range scheduler.Conclude(g, s) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", g.ID(i), c.Verdict)
		if c.Verdict == scheduler.VerdictCanceled {
			fmt.Fprintf(&b, " (%s)", c.Cause)
		}
	}
	if g.Len() > 0 {
		b.WriteByte('\n')
	}
	if plan.Outcome != scheduler.OutcomePending {
		fmt.Fprintln(&b, "outcome", plan.Outcome)
	}
	return b.String()
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

func parseGraph(t *testing.T, d *datadriven.TestData) []dag.Scenario {
	var list []dag.Scenario
	for _, line := range lines(d.Input) {
		head, parents, _ := strings.Cut(line, " after ")
		id, rest, _ := strings.Cut(strings.TrimSpace(head), " ")
		s := dag.Scenario{ID: dag.ID(id), Optional: strings.TrimSpace(rest) == "optional"}
		for p := range strings.SplitSeq(parents, ",") {
			name, condition, _ := strings.Cut(strings.TrimSpace(p), " ")
			if name == "" {
				continue
			}
			c, ok := map[string]dag.Condition{"": dag.OnPass, "on finish": dag.OnFinish, "always": dag.Always}[condition]
			if !ok {
				d.Fatalf(t, "unknown condition %q", condition)
			}
			s.After = append(s.After, dag.Parent{ID: dag.ID(name), Condition: c})
		}
		list = append(list, s)
	}
	return list
}

func parseEvent(t *testing.T, d *datadriven.TestData, line string) scheduler.Event {
	line, left, _ := strings.Cut(line, " left ")
	head, basis, _ := strings.Cut(line, " on ")
	words := strings.Fields(head)
	if len(words) != 2 {
		d.Fatalf(t, "%q is no event", line)
	}
	requests := map[string]func(scheduler.Ref) scheduler.Event{
		"rerun": scheduler.Rerun, "force": scheduler.Force, "cancel": scheduler.Cancel,
	}
	if request, ok := requests[words[0]]; ok {
		return request(parseRef(t, d, words[1]))
	}
	e := scheduler.Event{Ref: parseRef(t, d, words[0]), Phase: parsePhase(words[1])}
	if e.Phase == scheduler.PhaseNone {
		d.Fatalf(t, "unknown phase in %q", line)
	}
	for r := range strings.SplitSeq(basis, ",") {
		if r = strings.TrimSpace(r); r != "" {
			e.Basis = append(e.Basis, parseRef(t, d, r))
		}
	}
	for a := range strings.SplitSeq(left, ", ") {
		if uri, digest, ok := strings.Cut(a, "@"); ok {
			e.Artifacts = append(e.Artifacts, scheduler.Artifact{URI: uri, Digest: digest})
		}
	}
	return e
}

func parseRef(t *testing.T, d *datadriven.TestData, text string) scheduler.Ref {
	r, err := scheduler.ParseRef(text)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return r
}

func parsePhase(text string) scheduler.Phase {
	for p := scheduler.PhaseRunning; p <= scheduler.PhaseStopped; p++ {
		if p.String() == text {
			return p
		}
	}
	return scheduler.PhaseNone
}
