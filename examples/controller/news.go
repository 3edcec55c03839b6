package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
)

// A news is what is told of an object as an event of Kubernetes. Those of one reason and one action are counted
// together, and only the first note is told.
type news struct {
	Warning bool
	Reason  string // Started, Passed, Failed, Canceled, Finished or Problem
	Action  string // what of, as in "Start scan"
	Note    string
}

// whatChanges tells what a plan changes, scenario by scenario in canonical order. It is compared with the status
// annotation that was read: whoever writes the change is the only one who tells of it.
func whatChanges(annotation string, p *konflux.Plan) (all []news) {
	list, _ := konflux.ParseStatuses(annotation) // one that cannot be read is written anew, and is among the problems
	before := make(map[string]konflux.ScenarioStatus, len(list))
	for _, s := range list {
		before[s.Scenario] = s
	}
	for _, c := range p.Scenarios {
		all = append(all, change(before[c.Status.Scenario], c)...)
	}
	if err := errors.Join(p.Problems...); err != nil {
		all = append(all, problem(err))
	}
	return all
}

func problem(err error) news { return news{true, "Problem", "Decide", err.Error()} }

// change tells what is new about a scenario.
func change(old konflux.ScenarioStatus, c konflux.Conclusion) (all []news) {
	now := c.Status
	if now.RunName != "" && now.RunName != old.RunName {
		all = append(all, news{false, "Started", "Start " + now.Scenario, fmt.Sprintf("%s is started as %s", now.Scenario, now.RunName)})
	}
	if !now.Status.Final() || now.Status == old.Status && now.RunName == old.RunName {
		return all
	}
	switch c.Verdict {
	case scheduler.VerdictPassed:
		return append(all, news{false, "Passed", "Judge " + now.Scenario, c.Explanation})
	case scheduler.VerdictCanceled:
		return append(all, news{true, "Canceled", "Cancel " + now.Scenario, c.Explanation})
	}
	return append(all, news{true, "Failed", "Judge " + now.Scenario, c.Explanation + " (" + strings.TrimPrefix(now.Details, "failed: ") + ")"})
}
