package schedulertest

import (
	"slices"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A rule is a sentence of the rules, as a broken one is reported.
type rule string

// The rules, in their order.
const (
	ruleLiveParent rule = "rule 1: no edge is met while the parent has a live run"
	rulePerson     rule = "rule 2: a person canceled it, or it was canceled from outside: it is canceled, a live run is " +
		"stopped, and only a later request lifts it"
	ruleBroken rule = "rule 3: any edge broken: it is canceled at once, without waiting for other parents, whatever its " +
		"last run said; a live run is stopped"
	ruleOpen      rule = "rule 4: any edge open: it waits"
	ruleGoesOn    rule = "rule 4: a live run goes on: it is not stopped because a parent is being run again"
	ruleWave      rule = "rules 4 and 5: in one wave each descendant runs once, on fresh parents"
	ruleCurrent   rule = "rule 5: the newest run is current, and its phase is the verdict"
	ruleStopFirst rule = "rule 5: a run that is not current is stopped first, if it is live"
	ruleNeverRun  rule = "rule 5: all edges met and never run: it starts"
	ruleOutOfDate rule = "rule 5: when a rerun is over, every child is out of date and runs again, whatever its last result"
	ruleAsked     rule = "rule 5: a rerun that was asked for is kept and honoured"
	ruleStopped   rule = "rule 5: a run that a plan stopped is not current: when all edges are met, it starts again"
	ruleNumber    rule = "rule 5: the run that starts is the one that was asked for, or the one after the newest"
	ruleBasis     rule = "rule 5: a run starts on the parents' newest runs"
	ruleForce     rule = "rule 6: a forced run counts its broken edges as met"
	ruleMark      rule = "rule 6: a run that a person forced says so, and no other does"

	ruleOneLive  rule = "one scenario has at most one live run"
	ruleOneDo    rule = "a plan has at most one action for each scenario"
	ruleRemoved  rule = "a removed scenario's live run is stopped, and nothing of it is started"
	ruleListed   rule = "a plan lists stops of scenarios no longer there by ID, then all in canonical order"
	ruleNotFinal rule = "the outcome is pending while anything is live or could still start"
	ruleAtRest   rule = "at rest every verdict is final, and so is the outcome"
	ruleOutcome  rule = "the outcome is failed if one failed, else canceled if one was canceled, else passed"
	ruleOptional rule = "a scenario marked optional changes the outcome of the whole, never the order"

	ruleCause rule = "rule 3: the verdict names its root cause: the scenario and run that really failed or was canceled " +
		"by a person, found through the first broken edge in declared order"

	ruleLate rule = "news of an older run, repeated news, news of an unknown scenario and events that make no sense " +
		"change nothing"
	ruleSame  rule = "the plan stays the same where nothing was done or observed"
	ruleOrder rule = "the plan follows from what was observed: the order of news of different scenarios, and when the plan is " +
		"asked for, change nothing"
	ruleLeft  rule = "what a run left is kept, and changes no plan"
	ruleBuilt rule = "one graph gives one plan, however it was built"
	ruleTotal rule = "there is no snapshot that is refused"
	ruleEnds  rule = "there is a plan for every snapshot, without waiting for anything"
)

// brokenRule names the rule that a plan breaks, judged by the plan alone. The plan differs from the right one.
func (t *telling) brokenRule(got scheduler.Plan) rule {
	does := map[dag.ID][]scheduler.Action{}
	order := slices.Collect(t.g.All())
	for _, a := range append(slices.Clone(got.Actions), t.plan.Actions...) {
		if !slices.Contains(order, a.Ref.ID) {
			order = append(order, a.Ref.ID)
		}
	}
	for _, a := range got.Actions {
		does[a.Ref.ID] = append(does[a.Ref.ID], a)
	}
	for _, id := range order {
		switch actions := does[id]; len(actions) {
		case 0:
			if r := t.brokenByAction(id, scheduler.Action{}); r != "" {
				return r
			}
		case 1:
			if r := t.brokenByAction(id, actions[0]); r != "" {
				return r
			}
		default:
			return ruleOneDo
		}
	}
	switch right := t.plan; {
	case got.Outcome == right.Outcome:
		return ruleListed
	case right.Outcome == scheduler.OutcomePending:
		return ruleNotFinal
	case got.Outcome == scheduler.OutcomePending:
		return ruleAtRest
	}
	return ruleOutcome
}

// brokenByAction names the rule that an action on a scenario breaks, "" if it is the right one. The zero action is none.
func (t *telling) brokenByAction(id dag.ID, got scheduler.Action) rule {
	c, there := t.of[id]
	var right scheduler.Action
	for _, a := range t.plan.Actions {
		if a.Ref.ID == id {
			right = a
		}
	}
	const nothing = scheduler.ActionKind(0)
	st := t.status[id]
	switch {
	case sameAction(got, right):
		return ""
	case !there:
		return ruleRemoved
	case got.Kind == right.Kind && got.Ref != right.Ref:
		return ruleNumber
	case got.Kind == right.Kind && got.Forced != right.Forced:
		return ruleMark
	case got.Kind == right.Kind:
		return ruleBasis
	case got.Kind == scheduler.Start && c.because == rulePerson, got.Kind == scheduler.Start && c.because == ruleBroken:
		return c.because
	case got.Kind == scheduler.Start && c.because == ruleOpen && st.Run > 0 && !live(st):
		return ruleWave
	case got.Kind == scheduler.Start && live(st) && c.because != ruleLiveParent && c.because != ruleOpen:
		return ruleOneLive
	case got.Kind == scheduler.Stop && right.Kind == nothing && live(st) && c.verdict == scheduler.VerdictWaiting:
		return ruleGoesOn
	}
	return c.because
}

// brokenByConclusion names the rule that conclusions break, "" if they are right, or there are none.
func (t *telling) brokenByConclusion(got []scheduler.Conclusion) rule {
	for i, c := range got {
		switch right := t.of[t.g.ID(i)]; {
		case c.Verdict != right.verdict:
			return right.because
		case c.Cause != right.cause:
			return ruleCause
		}
	}
	return ""
}

func sameAction(a, b scheduler.Action) bool {
	return a.Kind == b.Kind && a.Ref == b.Ref && a.Forced == b.Forced && slices.Equal(a.Basis, b.Basis)
}

func samePlan(a, b scheduler.Plan) bool {
	return a.Outcome == b.Outcome && slices.EqualFunc(a.Actions, b.Actions, sameAction)
}
