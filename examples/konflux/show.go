package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/dag/dagfile"
	"github.com/testdag/testdag/scheduler/konflux"
)

// show prints a plan: the graph, what is concluded, what is to be done, and what is to be written.
func show(w io.Writer, s konflux.Snapshot, p *konflux.Plan, k konflux.Keys) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "Snapshot %s: %s\n", s.Name, p.Outcome)
	showGraph(out, p.Graph)
	showVerdicts(out, p)
	showActions(out, p, k)
	showAnnotations(out, s, p, k)
	return out.Flush()
}

func showGraph(out io.Writer, g *dag.Graph) {
	fmt.Fprintf(out, "\nGraph: %d scenarios\n\n", g.Len())
	for s := range g.Scenarios() {
		line := string(s.ID)
		if s.Optional {
			line += " (optional)"
		}
		for i, p := range s.After {
			line += []string{" waits for ", ", "}[min(i, 1)] + fmt.Sprintf("%s (%s)", p.ID, p.Condition)
		}
		fmt.Fprintf(out, "  %s\n", line)
	}
	var chart strings.Builder
	_ = dagfile.WriteMermaid(&chart, g) // a Builder takes everything
	fmt.Fprintf(out, "\n```mermaid\n%s```\n", chart.String())
}

func showVerdicts(out io.Writer, p *konflux.Plan) {
	fmt.Fprint(out, "\nVerdicts\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range p.Scenarios {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", c.Verdict, c.Status.Scenario, c.Explanation)
	}
	table.Flush()
}

func showActions(out io.Writer, p *konflux.Plan, k konflux.Keys) {
	fmt.Fprint(out, "\nActions\n\n")
	if p.Changes.IsZero() {
		fmt.Fprintln(out, "  nothing to do")
	}
	if !p.Update.IsZero() {
		fmt.Fprintln(out, "  write the annotations below")
	}
	for _, key := range p.Update.RemoveAnnotations {
		fmt.Fprintf(out, "  remove the annotation %s\n", key)
	}
	for _, key := range p.Update.RemoveLabels {
		fmt.Fprintf(out, "  remove the label %s\n", key)
	}
	for _, run := range p.Create {
		line := "create"
		if run.Spec.Status != "" {
			line = "create, canceled from the start,"
		}
		line += fmt.Sprintf(" %s for %s", run.Name, run.Labels[k.Test+"/scenario"])
		if basis := run.Annotations[k.Own+"/basis"]; basis != "" {
			line += " on " + strings.ReplaceAll(basis, ",", ", ")
		}
		fmt.Fprintf(out, "  %s\n", line)
	}
	for _, c := range p.Cancel {
		fmt.Fprintf(out, "  cancel %s\n", c.Name)
	}
	for _, name := range p.Release {
		fmt.Fprintf(out, "  release %s\n", name)
	}
	for _, problem := range p.Problems {
		fmt.Fprintf(out, "  problem: %s\n", strings.TrimPrefix(problem.Error(), "konflux: "))
	}
	if !p.Wake.IsZero() {
		fmt.Fprintf(out, "  look again at %s\n", p.Wake.UTC().Format("2006-01-02T15:04:05Z07:00"))
	}
}

func showAnnotations(out io.Writer, s konflux.Snapshot, p *konflux.Plan, k konflux.Keys) {
	status, state := k.Test+"/status", k.Own+"/state"
	text := cmp.Or(p.Update.Annotations[status], s.Annotations[status])
	fmt.Fprintf(out, "\n%s: %d bytes\n\n", status, len(text))
	var pretty bytes.Buffer
	if json.Indent(&pretty, []byte(text), "  ", "  ") == nil { // otherwise it is empty: nothing is tested
		fmt.Fprintf(out, "  %s\n", pretty.String())
	}
	text = cmp.Or(p.Update.Annotations[state], s.Annotations[state])
	fmt.Fprintf(out, "\n%s: %d bytes\n\n  %s\n", state, len(text), text)
}
