package konflux

import (
	"slices"
	"strings"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// Recover rebuilds a state from a status annotation alone, for a Snapshot whose tests somebody else has ordered until now,
// or whose state was lost. What is final has one run, or the run that its name stands for, on the newest runs of its
// parents; so nothing that is over starts again. What was canceled, and what is pending, has none. What is in progress has
// one if its PipelineRun is among those given, and is started anew if it is not.
//
// An entry of no scenario of the graph that is marked as optional stood alone, as [State] has it.
//
// What the annotation cannot tell is lost: requests that were not yet honoured, which runs were forced, and which runs stood
// on which.
func Recover(g *dag.Graph, snapshot pipelinerun.Meta, statuses []ScenarioStatus, runs []pipelinerun.PipelineRun) State {
	names := make(map[string]bool, len(runs))
	for i := range runs {
		names[runs[i].Name] = true
	}
	s := State{Runs: make(scheduler.Snapshot, len(statuses))}
	for _, entry := range statuses {
		run, ours := pipelinerun.RunNumber(snapshot, dag.ID(entry.Scenario), entry.RunName)
		if id := dag.ID(entry.Scenario); entry.Optional && !has(g, id) {
			s.Alone = append(s.Alone, id)
		}
		switch phase := entry.recovered(names); {
		case phase != scheduler.PhaseNone:
			s.Runs[dag.ID(entry.Scenario)] = scheduler.Status{Run: max(run, 1), Phase: phase}
		case entry.Status == InProgress && ours:
			s.Runs[dag.ID(entry.Scenario)] = scheduler.Status{Want: run} // whatever an older run says
		}
	}
	for id := range g.All() {
		st := s.Runs[id]
		if st.Run == 0 {
			continue
		}
		for parent := range g.Parents(id) {
			if p := s.Runs[parent]; p.Run > 0 {
				st.Basis = append(st.Basis, scheduler.Ref{ID: parent, Run: p.Run})
			}
		}
		slices.SortFunc(st.Basis, func(a, b scheduler.Ref) int { return strings.Compare(string(a.ID), string(b.ID)) })
		s.Runs[id] = st
	}
	s.Alone = sortedIDs(s.Alone)
	return s
}

// recovered returns the phase of the run that an entry tells of, PhaseNone if it tells of none.
func (s *ScenarioStatus) recovered(runs map[string]bool) scheduler.Phase {
	switch s.Status {
	case InProgress:
		if runs[s.RunName] {
			return scheduler.PhaseRunning
		}
	case TestPassed, TestWarning:
		return scheduler.PhasePassed
	case Deleted:
		return scheduler.PhaseCanceled
	case TestFail:
		if s.canceled() && s.RunName == "" {
			return scheduler.PhaseNone
		}
		if s.canceled() {
			return scheduler.PhaseCanceled
		}
		return scheduler.PhaseFailed
	case TestInvalid, EnvironmentProvisionError, DeploymentError:
		return scheduler.PhaseFailed
	}
	return scheduler.PhaseNone
}

// cancelledPrefix begins the details of what the integration-service canceled.
const cancelledPrefix = "Cancelled on account of "

func (s *ScenarioStatus) canceled() bool {
	return strings.HasPrefix(s.Details, pipelinerun.CanceledPrefix) || strings.HasPrefix(s.Details, cancelledPrefix)
}
