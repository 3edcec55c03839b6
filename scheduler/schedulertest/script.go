package schedulertest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// report tells a breach to a person: the rule, and a script that leads to it.
func (b *breach) report() string {
	var text strings.Builder
	fmt.Fprintf(&text, "The scheduler breaks a rule.\n\n%s%s\n", b.rule.comment(), b.story.script())
	for line := range strings.Lines(b.mark()) {
		fmt.Fprintf(&text, "# %s", line)
	}
	return text.String()
}

// comment writes a rule as a comment of a script, in lines that are short enough where go test indents them.
func (r rule) comment() string {
	const width = 100
	text, line := "", "#"
	for _, word := range strings.Fields(string(r)) {
		if len(line)+1+len(word) > width {
			text, line = text+line+"\n", "#"
		}
		line += " " + word
	}
	return text + line + "\n"
}

// mark says what is wrong with the plan at the end of the script.
func (b *breach) mark() string {
	var text strings.Builder
	for _, block := range b.story {
		for _, e := range block.events {
			if !speakable(e) {
				fmt.Fprintf(&text, "Scripts have no words for the event %q.\n", e)
			}
		}
	}
	if b.how != "" {
		fmt.Fprintln(&text, b.how)
	}
	if b.crash != "" {
		fmt.Fprintln(&text, strings.TrimSpace(b.crash))
		return text.String()
	}
	right, got := planLines(b.told.plan), planLines(b.got)
	if b.conclusions != nil {
		right, got = append(right, verdictLine(b.told.g, b.told.conclusions())), append(got, verdictLine(b.told.g, b.conclusions))
	}
	fmt.Fprintln(&text, "The plan of the scheduler; + is wrong there, - is missing:")
	for _, line := range difference(right, got) {
		fmt.Fprintln(&text, line)
	}
	return text.String()
}

// script prints a story as a script of package scheduler, with what the rules say.
func (s story) script() string {
	var text strings.Builder
	moments := s.moments()
	for i, b := range s {
		if b.graph != nil {
			text.WriteString("graph\n")
			for sc := range build(b.graph).Scenarios() {
				fmt.Fprintln(&text, scenarioLine(sc))
			}
			text.WriteString("----\n\n")
		}
		text.WriteString("observe")
		if b.hold {
			text.WriteString(" hold")
		}
		text.WriteString("\n")
		for _, e := range b.events {
			fmt.Fprintln(&text, e)
		}
		text.WriteString("----\n")
		for _, m := range moments { // the last one of the block
			if m.block == i && m.events == len(b.events) {
				text.WriteString(m.told.describe())
			}
		}
		if i < len(s)-1 {
			text.WriteString("\n")
		}
	}
	return text.String()
}

// speakable reports whether the reader of scripts understands an event as it is printed.
func speakable(e scheduler.Event) bool {
	isNews := e.Kind == scheduler.EventNews && e.Phase > scheduler.PhaseNone && e.Phase <= scheduler.PhaseStopped && !e.Forced
	isRequest := e.Kind > scheduler.EventNews && e.Kind <= scheduler.EventCancel
	isName := func(r scheduler.Ref) bool { return r.ID != "" && r.Run >= 0 }
	return isName(e.Ref) && (isNews || isRequest) && !slices.ContainsFunc(e.Basis, func(r scheduler.Ref) bool { return !isName(r) })
}

func scenarioLine(s dag.Scenario) string {
	line := string(s.ID)
	if s.Optional {
		line += " optional"
	}
	for i, p := range s.After {
		line += map[bool]string{true: " after ", false: ", "}[i == 0] + string(p.ID) + map[dag.Condition]string{
			dag.OnFinish: " on finish", dag.Always: " always"}[p.Condition]
	}
	return line
}

// describe tells the plan, the verdicts and the outcome, as scripts do.
func (t *telling) describe() string {
	lines := planLines(t.plan)
	at := len(t.plan.Actions)
	outcome := lines[at]
	lines = lines[:at]
	if t.g.Len() > 0 {
		lines = append(lines, verdictLine(t.g, t.conclusions()))
	}
	if t.plan.Outcome != scheduler.OutcomePending {
		lines = append(lines, outcome)
	}
	text := ""
	for _, line := range lines {
		text += line + "\n"
	}
	return text
}

// conclusions are in the words of package scheduler what the rules conclude.
func (t *telling) conclusions() (list []scheduler.Conclusion) {
	for id := range t.g.All() {
		list = append(list, scheduler.Conclusion{Verdict: t.of[id].verdict, Cause: t.of[id].cause})
	}
	return list
}

// verdictLine tells the verdicts.
func verdictLine(g *dag.Graph, conclusions []scheduler.Conclusion) string {
	verdicts := make([]string, len(conclusions))
	for i, c := range conclusions {
		verdicts[i] = fmt.Sprintf("%s %s", g.ID(i), c.Verdict)
		if c.Verdict == scheduler.VerdictCanceled || c.Cause != (scheduler.Ref{}) {
			verdicts[i] += fmt.Sprintf(" (%s)", c.Cause)
		}
	}
	return strings.Join(verdicts, ", ")
}

// planLines tells a plan: each action, and the outcome.
func planLines(p scheduler.Plan) []string {
	var lines []string
	for _, a := range p.Actions {
		lines = append(lines, a.String())
	}
	return append(lines, "outcome "+p.Outcome.String())
}

// difference marks the lines that only one of two lists has: - of the first, + of the second. It keeps as many lines in
// common as there are.
func difference(from, to []string) (lines []string) {
	common := make([][]int, len(from)+1) // common[i][k] is how many lines from[i:] and to[k:] have in common
	for i := range common {
		common[i] = make([]int, len(to)+1)
	}
	for i := len(from) - 1; i >= 0; i-- {
		for k := len(to) - 1; k >= 0; k-- {
			common[i][k] = max(common[i+1][k], common[i][k+1])
			if from[i] == to[k] {
				common[i][k] = common[i+1][k+1] + 1
			}
		}
	}
	i, k := 0, 0
	for i < len(from) || k < len(to) {
		switch {
		case i < len(from) && k < len(to) && from[i] == to[k]:
			lines = append(lines, "  "+from[i])
			i, k = i+1, k+1
		case k == len(to) || i < len(from) && common[i+1][k] >= common[i][k+1]:
			lines = append(lines, "- "+from[i])
			i++
		default:
			lines = append(lines, "+ "+to[k])
			k++
		}
	}
	return lines
}
