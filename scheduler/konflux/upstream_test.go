package konflux_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A story is a Snapshot on its way, and a controller that does what the plans say.
type story struct {
	t    *testing.T
	in   konflux.Objects
	o    konflux.Options
	now  time.Time
	plan *konflux.Plan // the newest
	done []string      // what the plans did since the last check
}

// tell begins a story with scenarios and a testGraph, and carries out what is planned first.
func tell(t *testing.T, testGraph string, lines ...string) *story {
	o := options()
	o.Profile = dag.ComponentGroup
	s := &story{t: t, in: konflux.Objects{Scenarios: scenarios(lines...), Group: group(testGraph), Snapshot: snapshot("type=component")}, o: o, now: noon}
	s.settle()
	return s
}

// settle carries out plans until nothing is left to do.
func (s *story) settle() {
	s.t.Helper()
	for range 20 {
		s.now = s.now.Add(time.Second)
		s.plan = next(s.t, s.in, s.o, s.now)
		s.done = append(s.done, doing(s.plan)...)
		s.in = obey(s.in, s.plan)
		if s.plan.Update.IsZero() && len(s.plan.Create)+len(s.plan.Cancel)+len(s.plan.Release) == 0 {
			return
		}
	}
	s.t.Fatal("it does not settle")
}

// end ends the newest run of a scenario.
func (s *story) end(scenario, status, reason string) {
	s.t.Helper()
	name := runName(scenario, s.plan.State.Runs[dag.ID(scenario)].Run)
	s.in = changed(s.in, name, ended(status, reason, s.now))
	s.settle()
}

func (s *story) pass(scenario string) { s.t.Helper(); s.end(scenario, "True", "Succeeded") }
func (s *story) fail(scenario string) { s.t.Helper(); s.end(scenario, "False", "Failed") }

func (s *story) rerun(value string) {
	s.t.Helper()
	s.in = labeled(s.in, rerunKey, value)
	s.settle()
}

// is checks what is told of the scenarios, in canonical order, and what was done since the last check, but for what was released.
func (s *story) is(told string, done ...string) {
	s.t.Helper()
	got := slices.DeleteFunc(s.done, func(what string) bool { return strings.HasPrefix(what, "release") })
	equal(s.t, "told", strings.Join(toldShort(s.plan), ", "), told)
	equal(s.t, "done", got, done, emptyIsNil)
	s.done = nil
}

func toldShort(p *konflux.Plan) []string {
	list := told(p)
	for i := range list {
		list[i] = strings.Replace(list[i], " Test", " ", 1)
	}
	return list
}

func (s *story) details(scenario string) string {
	for _, c := range s.plan.Scenarios {
		if c.Status.Scenario == scenario {
			return c.Status.Details
		}
	}
	return "not told"
}

const failFast = `{"b":[{"name":"a","failFast":true}]}`

// "Rule 3 absent: A fails, B cancelled-by-failFast (TestFail), A rerun passes => B never starts, snapshot stays failed."
func TestU1ARerunThatPassesTriggersChildren(t *testing.T) {
	s := tell(t, failFast, "a", "b")
	s.fail("a")
	s.is("a Fail, b Fail", "create a#1")
	s.rerun("a")
	s.is("a InProgress, b Pending", "create a#2")
	s.pass("a")
	s.is("a Passed, b InProgress", "create b#1")
	s.pass("b")
	equal(t, "outcome", s.plan.Outcome, scheduler.OutcomePassed)
}

// "run=all starts every scenario at once; no ordering on reruns at all."
func TestU2ARerunOfAllKeepsTheOrder(t *testing.T) {
	s := tell(t, failFast, "a", "b")
	s.pass("a")
	s.pass("b")
	s.is("a Passed, b Passed", "create a#1", "create b#1")
	s.rerun("all")
	s.is("a InProgress, b Pending", "create a#2")
	s.pass("a")
	s.is("a Passed, b InProgress", "create b#2")
}

// "Cascade stops at a failFast=false edge: A -ff-> B -run-> C: A fails, B cancelled (never ran), C starts."
func TestU3WhatNeverRanDidNotFinish(t *testing.T) {
	s := tell(t, `{"b":[{"name":"a","failFast":true}],"c":[{"name":"b","failFast":false}]}`, "a", "b", "c")
	s.fail("a")
	s.is("a Fail, b Fail, c Fail", "create a#1")
	equal(t, "details", s.details("c"), "Canceled: a#1 failed")
}

// "Node filtered out by context is dropped without bridging: A->B->C with B not applicable => A and C start together."
func TestU4WhatIsLeftOutIsBridged(t *testing.T) {
	s := tell(t, `{"b":[{"name":"a"}],"c":[{"name":"b"}]}`, "a", "b in group", "c")
	s.is("a InProgress, c Pending", "create a#1")
	s.pass("a")
	s.is("a Passed, c InProgress", "create c#1")
}

// "Dead-lock: testGraph set to null mid-flight + failed parent => child Pending forever (runAfter stays in the annotation)."
func TestU5AGraphThatIsTakenAwayHoldsNobody(t *testing.T) {
	s := tell(t, failFast, "a", "b")
	s.is("a InProgress, b Pending", "create a#1")
	s.in.Group = group(`null`)
	s.settle()
	s.is("a InProgress, b InProgress", "create b#1")
	s.fail("a")
	s.pass("b")
	s.is("a Fail, b Passed")
}

// "Dead-lock: parent ITS deleted and child's key removed from testGraph => child waits for an unknown parent forever."
func TestU6NobodyWaitsForWhatIsGone(t *testing.T) {
	for _, testGraph := range []string{`{}`, failFast} {
		s := tell(t, failFast, "a", "b")
		s.in.Scenarios, s.in.Group = scenarios("b"), group(testGraph)
		s.settle()
		s.is("b InProgress", "create a#1", "create b#1", "cancel a#1")
		s.end("a", "False", "Cancelled")
		s.pass("b")
		s.is("b Passed")
		equal(t, "outcome", s.plan.Outcome, scheduler.OutcomePassed)
	}
}

// "Creation error (even transient, requeued) => TestInvalid; nothing retries it because only Pending is eligible; failFast
// children are failed with it."
func TestU7ACreationThatFailedIsTriedAgain(t *testing.T) {
	s := tell(t, failFast, "a", "b")
	s.in.PipelineRuns = nil // what was created was not, for the API server did not answer
	s.settle()
	s.is("a InProgress, b Pending", "create a#1", "create a#1")

	// One that will never succeed fails the run, and a rerun tries again.
	s.in.PipelineRuns, s.in.Refused = nil, map[string]string{runName("a", 1): `admission webhook "validation" denied the request`}
	s.settle()
	s.is("a Invalid, b Fail")
	equal(t, "details", s.details("a"), `its PipelineRun was refused: admission webhook "validation" denied the request`)
	s.in.Refused = nil
	s.rerun("a")
	s.pass("a")
	s.is("a Passed, b InProgress", "create a#2", "create b#1")
}

// "Parent rerun fails while child's run is live => child slot set to TestFail "Cancelled..." but the PipelineRun is not
// cancelled and later overwrites the slot."
func TestU8AChildThatIsCanceledStops(t *testing.T) {
	s := tell(t, failFast, "a", "b")
	s.pass("a")
	s.rerun("a")
	s.is("a InProgress, b InProgress", "create a#1", "create b#1", "create a#2")
	s.fail("a")
	s.is("a Fail, b Fail", "cancel b#1")
	s.pass("b") // by itself, in spite of that
	s.is("a Fail, b Fail")
	equal(t, "phase", s.plan.State.Runs["b"].Phase, passed)
	equal(t, "details", s.details("b"), "Canceled: a#2 failed")
}

// "Lost update: whole-annotation merge patch without optimistic lock; PLR controller's TestPassed overwritten by a stale
// snapshot-controller write, no conflict reported, RetryOnConflict useless."
func TestU9AStaleWriteLosesNothing(t *testing.T) {
	s := tell(t, ``, "a", "b")
	stale := s.in
	s.pass("a")
	s.is("a Passed, b InProgress", "create a#1", "create b#1")

	// Without the lock a stale controller writes what it knows: of b, and not of a. The next call puts it right, since what
	// was there is still there.
	overwritten := s.in
	late := changed(stale, runName("b", 1), ended("True", "Succeeded", s.now))
	p := next(t, late, s.o, s.now)
	overwritten.Snapshot = obey(late, p).Snapshot
	overwritten.PipelineRuns = slices.Concat(s.in.PipelineRuns[:1], late.PipelineRuns[1:])
	p = next(t, overwritten, s.o, s.now)
	equal(t, "told", toldShort(p), []string{"a Passed", "b Passed"})
}

// "Late event of an older run overwrites the slot (no run-name/attempt comparison)."
func TestU10AnOlderRunSaysNothing(t *testing.T) {
	s := tell(t, ``, "a")
	s.pass("a")
	s.rerun("a")
	s.fail("a")
	s.is("a Fail", "create a#1", "create a#2")
	s.in = changed(s.in, runName("a", 1), func(r *pipelinerun.PipelineRun) {
		r.Annotations = map[string]string{"chains.tekton.dev/signed": "true"}
	})
	slices.Reverse(s.in.PipelineRuns) // the older one is told last
	s.settle()
	s.is("a Fail")
	equal(t, "run", s.plan.Scenarios[0].Status.RunName, runName("a", 2))
}

// "Create succeeds, annotation write fails => second run on next reconcile (GenerateName, no idempotency key)."
func TestU11ARunIsCreatedOnce(t *testing.T) {
	in := konflux.Objects{Scenarios: scenarios("a"), Snapshot: snapshot()}
	first := next(t, in, options(), noon)
	after := obey(in, first)

	unwritten := after
	unwritten.Snapshot = in.Snapshot // it was created, and the write came to nothing
	p := next(t, unwritten, options(), noon)
	equal(t, "done", doing(p), []string{})
	equal(t, "run", p.State.Runs["a"].Run, 1)

	unseen := after
	unseen.PipelineRuns = nil // it was written and created, and is not seen yet
	p = next(t, unseen, options(), noon)
	equal(t, "created again", len(p.Create), 1)
	equal(t, "by the same name", p.Create[0], first.Create[0])
}

// "Optional-only graph: snapshot marked Passed on first reconcile, after which EnsureIntegrationPipelineRunsExist returns
// early => dependents never start. Same for optional children once all required ones are final."
func TestU12TheOutcomeWaitsForWhatCanStart(t *testing.T) {
	s := tell(t, failFast, "a optional", "b optional")
	equal(t, "outcome", s.plan.Outcome, scheduler.OutcomePending)
	s.pass("a")
	s.is("a Passed, b InProgress", "create a#1", "create b#1")
	equal(t, "outcome", s.plan.Outcome, scheduler.OutcomePending)
	equal(t, "done", s.plan.Done(), false)
	s.fail("b")
	equal(t, "outcome", s.plan.Outcome, scheduler.OutcomePassed)
	equal(t, "done", s.plan.Done(), true)

	s = tell(t, failFast, "a", "b optional")
	s.pass("a")
	s.is("a Passed, b InProgress", "create a#1", "create b#1")
	equal(t, "outcome", s.plan.Outcome, scheduler.OutcomePending)
}

// "Reason text depends on map order when two failFast parents failed (174:26 in 200 tries)."
func TestU13TheReasonIsTheFirstParent(t *testing.T) {
	s := tell(t, `{"c":[{"name":"b","failFast":true},{"name":"a","failFast":true}]}`, "a", "b", "c")
	s.in = changed(s.in, runName("a", 1), ended("False", "Failed", s.now))
	s.in = changed(s.in, runName("b", 1), ended("False", "Failed", s.now))
	for range 200 {
		p := next(t, s.in, s.o, s.now)
		equal(t, "details", p.Scenarios[2].Status.Details, "Canceled: b#1 failed")
	}
}

// "Validation: cycles only. Dangling names, duplicate edges with conflicting failFast (first one wins) are accepted."
func TestU14ValidationTellsEveryMistake(t *testing.T) {
	err := konflux.Validate(scenarios("a", "b", "d optional"), group(`{
		"a":[{"name":"b"}], "b":[{"name":"a"}, {"name":"d","failFast":true}],
		"d":[{"name":"typo"}, {"name":"typo","failFast":true}], "a2":[{"name":"a","onFail":"maybe"}]}`), konflux.Options{Keys: oldKeys, Profile: dag.ComponentGroup})
	var cycle *dag.CycleError
	var node *konflux.NodeError
	var unknown *konflux.UnknownScenarioError
	var optional *konflux.OptionalParentError
	for _, target := range []any{&cycle, &node, &unknown, &optional} {
		if !errors.As(err, target) {
			t.Errorf("no %T in %v", target, err)
		}
	}
	if !errors.Is(err, dag.ConflictingConditions) {
		t.Errorf("no conflict in %v", err)
	}
	equal(t, "mistakes", len(mistakes(err)), 6)
}

// "Manual run of a scenario outside the applicable set: its status entry is deleted in the same reconcile by InitStatuses
// and re-created at completion."
func TestU15WhatIsAskedForAloneStays(t *testing.T) {
	s := tell(t, failFast, "a in group", "b")
	s.is("b InProgress", "create b#1")
	s.rerun("a")
	s.is("a InProgress, b InProgress", "create a#1")
	s.fail("a")
	s.pass("b")
	s.is("a Fail, b Passed")
	equal(t, "outcome", s.plan.Outcome, scheduler.OutcomePassed)
}

// "Child may start when the parent PLR is finished but Chains has not signed it."
func TestU16EvidenceComesBeforeWhoJudgesIt(t *testing.T) {
	s := tell(t, failFast, "a", "b")
	s.o.Signed = true
	s.pass("a")
	s.is("a InProgress, b Pending", "create a#1")
	s.in = changed(s.in, runName("a", 1), func(r *pipelinerun.PipelineRun) { r.Annotations["chains.tekton.dev/signed"] = "true" })
	s.settle()
	s.is("a Passed, b InProgress", "create b#1")

	s = tell(t, failFast, "a", "b")
	s.o.Signed, s.o.Patience = true, time.Minute
	over := s.now
	s.pass("a")
	equal(t, "when to look again", s.plan.Wake, over.Add(time.Minute))
	s.now = s.plan.Wake
	s.settle()
	s.is("a Passed, b InProgress", "create a#1", "create b#1")
	equal(t, "details", s.details("a"), "passed; Tekton Chains did not sign it within 1m0s")
}

// "No "cancelled" in the vocabulary; forges show cascade victims as plain failures."
func TestU17CanceledIsToldFromFailed(t *testing.T) {
	s := tell(t, failFast, "a", "b", "c")
	s.fail("a")
	s.end("c", "False", "Cancelled")
	s.is("a Fail, c Fail, b Fail", "create a#1", "create c#1")
	for scenario, want := range map[string]string{"a": "failed: Failed", "b": "Canceled: a#1 failed", "c": "Canceled: Cancelled"} {
		equal(t, scenario, s.details(scenario), want)
	}
	equal(t, "the run behind b", s.plan.Scenarios[2].Status.RunName, "")
}

// A controller that dies after any request, at every step of a story, and reads anew, comes to the same end.
func TestDeathAfterEachRequest(t *testing.T) {
	begin := func() konflux.Objects {
		return konflux.Objects{Scenarios: scenarios("a", "b", "c", "d"), Snapshot: snapshot(),
			Group: group(`{"b":[{"name":"a","failFast":true}],"c":[{"name":"b"}],"d":[{"name":"a"},{"name":"b"}]}`)}
	}
	steps := []func(konflux.Objects) konflux.Objects{same, ends("a", 1, "False", "Failed"), asks("a"), ends("a", 2, "True", ""), ends("b", 1, "True", ""), asks("all"),
		ends("a", 3, "True", ""), ends("b", 2, "False", "Failed"), ends("d", 2, "True", ""), ends("d", 3, "True", ""), ends("c", 1, "True", ""), ends("c", 2, "True", "")}
	o := options()
	o.Profile = dag.ComponentGroup
	tell := func(survived int) (string, int) {
		in, created := begin(), map[string]bool{}
		for _, step := range steps {
			in = step(in)
			for quiet := false; !quiet; {
				p := next(t, in, o, noon)
				equal(t, "asked again", summary(next(t, copied(t, in), o, noon)), summary(p))
				quiet = p.Update.IsZero() && len(doing(p)) == 0
				in = partly(in, p, survived, created)
			}
		}
		return in.Snapshot.Annotations[statusKey], len(created)
	}
	want, runs := tell(1000)
	for survived := 1; survived < 4; survived++ {
		got, n := tell(survived)
		equal(t, "what is told at the end", got, want)
		equal(t, "runs", n, runs)
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(want), &list); err != nil || len(list) != 4 || runs != 8 {
		t.Errorf("%d runs, %d entries, %v", runs, len(list), err)
	}
}

// partly carries out the first requests of a plan.
func partly(in konflux.Objects, p *konflux.Plan, requests int, created map[string]bool) konflux.Objects {
	cut := konflux.Plan{State: p.State}
	if !p.Update.IsZero() {
		cut.Update = p.Update
		requests--
	}
	n := min(requests, len(p.Create))
	cut.Create, requests = p.Create[:n], requests-n
	n = min(requests, len(p.Cancel))
	cut.Cancel, requests = p.Cancel[:n], requests-n
	cut.Release = p.Release[:min(requests, len(p.Release))]
	for _, run := range cut.Create {
		created[run.Name] = true
	}
	return obey(in, &cut)
}
