package schedulertest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A Subject is a [scheduler.Runner] to be tested by [TestRunner], and what can be seen of the world in which its runs
// take place. Runner, Pass, Fail and Block are required. What else is given, more is tested by.
type Subject struct {
	// Runner is what is tested.
	Runner scheduler.Runner

	// Pass, Fail and Block are scenarios that the runner knows. A run of Pass passes and one of Fail fails, soon. A run
	// of Block goes on until it is stopped.
	Pass, Fail, Block dag.ID

	// Other is one more scenario like Block. Where it is given, both are live at once, and a stop of one leaves the other
	// alone.
	Other dag.ID

	// Again returns another Runner over the same world, as there is one after a crash of the process. It is given where
	// the world remembers runs: a run that is asked for again is then found, live or over, and its work is not begun a
	// second time. Without it nothing of this is tested. A scheduler.RunnerFunc has no such world.
	Again func() scheduler.Runner

	// Executions returns how often the work of a run was begun, as the world saw it: how often a script was entered,
	// how many objects were made. It is called while runs are live. Without it the work is not counted.
	Executions func(scheduler.Ref) int

	// Left returns what is still there of runs that are over and should not be: processes, goroutines, files. It is
	// called when no run is live. Without it nobody looks.
	Left func() []string
}

// TestRunner tests the contract that each [scheduler.Runner] keeps, in subtests; each opens a Subject of its own, in a
// world in which nothing has run. A runner that keeps it may be used by [scheduler.Run].
//
//   - A run passes or fails as its scenario does, without an error, and does so again when it is asked for again.
//   - A scenario that the runner does not know does not pass, and no panic comes of it.
//   - The Task is left as it was.
//   - A canceled context stops the run: Run returns an error. Where the context is canceled from the beginning, nothing
//     is begun (seen by Executions).
//   - After that, the runner goes on to serve: for the same run and for the next.
//   - Several runs are live at the same time, and a stop ends the one that it is about.
//   - A run that is asked for again by another Runner over the same world is the same run, live or over (where there is
//     Again): its work is not begun a second time (seen by Executions).
//   - One call begins the work of a run once (seen by Executions), and nothing of it stays (seen by Left).
//   - A result is the end of a run: passed, failed, or canceled by somebody else.
//   - What a result says the run left can be kept, as scheduler.Artifact tells.
//
// A call that does not return within a minute is reported; its goroutine is left behind.
func TestRunner(t *testing.T, open func(t *testing.T) Subject) {
	if open == nil {
		t.Fatal("schedulertest: the function that opens a Subject is nil")
	}
	var missing error
	for _, c := range clauses {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			if missing = s.missing(); missing != nil {
				t.Fatal(missing)
			}
			if c.needsAgain && s.Again == nil {
				t.Log("not tested: the Subject has no Again")
				return
			}
			if err := c.check(s, time.Minute); err != nil {
				t.Error(err)
			}
		})
		if missing != nil {
			return // the others would say the same
		}
	}
}

// missing tells what is required and not there.
func (s Subject) missing() error {
	switch {
	case s.Runner == nil:
		return errors.New("schedulertest: Subject.Runner is nil")
	case s.Pass == "" || s.Fail == "" || s.Block == "":
		return errors.New("schedulertest: Subject.Pass, Fail and Block must all be named")
	}
	return nil
}

// A clause is a part of the contract.
type clause struct {
	name       string
	needsAgain bool
	holds      func(*trial) error
}

var clauses = []clause{
	{name: "passes", holds: (*trial).passes},
	{name: "fails", holds: (*trial).fails},
	{name: "unknown scenario", holds: (*trial).unknownScenario},
	{name: "task is left as it was", holds: (*trial).taskIsLeft},
	{name: "stops", holds: (*trial).stops},
	{name: "canceled before it starts", holds: (*trial).canceledBefore},
	{name: "serves after a stop", holds: (*trial).servesAfterStop},
	{name: "several at once", holds: (*trial).severalAtOnce},
	{name: "finds a run that is over", needsAgain: true, holds: (*trial).findsOver},
	{name: "finds a live run", needsAgain: true, holds: (*trial).findsLive},
}

// check tries a clause, and looks at what is left.
func (c clause) check(s Subject, patience time.Duration) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // no run goes on after a clause that failed
	if err := c.holds(&trial{Subject: s, ctx: ctx, patience: patience}); err != nil {
		return err
	}
	if s.Left != nil {
		if left := s.Left(); len(left) > 0 {
			return fmt.Errorf("a runner leaves nothing behind; all calls of Run have returned, but there is %q", left)
		}
	}
	return nil
}

// A trial is a Subject under test.
type trial struct {
	Subject
	ctx      context.Context // of all calls
	patience time.Duration
}

// A call is a call of Run.
type call struct {
	task   scheduler.Task
	cancel context.CancelFunc
	end    chan end // receives once
}

// An end is what became of a call.
type end struct {
	result scheduler.Result
	err    error
	panics string
}

// call calls a runner in a goroutine.
func (s *trial) call(r scheduler.Runner, task scheduler.Task) *call {
	ctx, cancel := context.WithCancel(s.ctx)
	return s.callWith(ctx, cancel, r, task)
}

func (s *trial) callWith(ctx context.Context, cancel context.CancelFunc, r scheduler.Runner, task scheduler.Task) *call {
	c := &call{task: task, cancel: cancel, end: make(chan end, 1)}
	go func() {
		var e end
		defer func() {
			if v := recover(); v != nil {
				e = end{panics: fmt.Sprintf("%v\n%s", v, debug.Stack())}
			}
			c.end <- e
		}()
		e.result, e.err = r.Run(ctx, task)
	}()
	return c
}

// wait waits for the end of a call. An error is about a call that has none, or one that no runner may have.
func (s *trial) wait(c *call) (end, error) {
	defer c.cancel()
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case e := <-c.end:
		switch phase := e.result.Phase; {
		case e.panics != "":
			return e, fmt.Errorf("the runner panicked at %s: %s", c.task.Ref, e.panics)
		case !canKeep(e.result.Artifacts):
			return e, fmt.Errorf("what a run left can be kept: at most 64 artifacts with a URI and a digest; %s left %q",
				c.task.Ref, e.result.Artifacts)
		case e.err != nil, phase == scheduler.PhasePassed, phase == scheduler.PhaseFailed, phase == scheduler.PhaseCanceled:
			return e, nil
		default:
			return e, fmt.Errorf("a result is a run that passed, failed or was canceled by somebody else; %s is %s",
				c.task.Ref, phase)
		}
	case <-timer.C:
		return end{}, fmt.Errorf("the call of Run with %s did not return within %s", c.task.Ref, s.patience)
	}
}

// canKeep reports whether all artifacts are kept, but for those named twice.
func canKeep(artifacts []scheduler.Artifact) bool {
	all := map[scheduler.Artifact]bool{}
	for _, a := range artifacts {
		all[a] = true
	}
	return len(kept(artifacts)) == len(all)
}

// ends waits for the end of a call that is to end in a phase.
func (s *trial) ends(c *call, want scheduler.Phase) error {
	e, err := s.wait(c)
	switch {
	case err != nil:
		return err
	case e.err != nil:
		return fmt.Errorf("%s is to end as %s, but Run returned the error: %w", c.task.Ref, want, e.err)
	case e.result.Phase != want:
		return fmt.Errorf("%s is to end as %s, but is %s (%s)", c.task.Ref, want, e.result.Phase, e.result.Reason)
	}
	return nil
}

// stop cancels a call and waits for the error.
func (s *trial) stop(c *call) error {
	c.cancel()
	e, err := s.wait(c)
	if err != nil {
		return err
	}
	if e.err == nil {
		return fmt.Errorf("a canceled context means stop: the call of Run with %s is to return an error, but says %s",
			c.task.Ref, e.result.Phase)
	}
	return nil
}

// begun waits until the work of a run has begun, as far as that can be seen.
func (s *trial) begun(c *call) error {
	if s.Executions == nil {
		time.Sleep(20 * time.Millisecond)
		return nil
	}
	for deadline := time.Now().Add(s.patience); s.Executions(c.task.Ref) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("the work of %s was not begun within %s", c.task.Ref, s.patience)
		}
	}
	return nil
}

// counted checks how often the work of a run was begun.
func (s *trial) counted(run scheduler.Ref, want int) error {
	if s.Executions == nil {
		return nil
	}
	if n := s.Executions(run); n != want {
		return fmt.Errorf("the work of %s was begun %d times, want %d", run, n, want)
	}
	return nil
}

func task(id dag.ID, run int) scheduler.Task {
	return scheduler.Task{Ref: scheduler.Ref{ID: id, Run: run}}
}

func (s *trial) passes() error { return s.endsEachTime(s.Pass, scheduler.PhasePassed) }
func (s *trial) fails() error  { return s.endsEachTime(s.Fail, scheduler.PhaseFailed) }

func (s *trial) endsEachTime(id dag.ID, want scheduler.Phase) error {
	for run := 1; run <= 2; run++ {
		if err := s.ends(s.call(s.Runner, task(id, run)), want); err != nil {
			return err
		}
		if err := s.counted(scheduler.Ref{ID: id, Run: run}, 1); err != nil {
			return err
		}
	}
	if err := s.ends(s.call(s.Runner, task(id, 1)), want); err != nil {
		return fmt.Errorf("asked for the same run again: %w", err)
	}
	return nil
}

func (s *trial) unknownScenario() error {
	c := s.call(s.Runner, task("a scenario that schedulertest made up", 1))
	e, err := s.wait(c)
	if err != nil {
		return err
	}
	if e.err == nil && e.result.Phase == scheduler.PhasePassed {
		return errors.New("a scenario that nobody knows passed")
	}
	return nil
}

func (s *trial) taskIsLeft() error {
	basis := []scheduler.Ref{{ID: "a", Run: 1}, {ID: "b", Run: 2}, {ID: "z", Run: 3}}
	given := slices.Clone(basis)
	t := scheduler.Task{Ref: scheduler.Ref{ID: s.Pass, Run: 1}, Basis: given[:2], Forced: true}
	if err := s.ends(s.call(s.Runner, t), scheduler.PhasePassed); err != nil {
		return err
	}
	if !slices.Equal(basis, given) {
		return fmt.Errorf("the basis of the task was changed: it was %v, and is %v", basis, given)
	}
	return nil
}

func (s *trial) stops() error {
	atOnce := s.call(s.Runner, task(s.Block, 1))
	if err := s.stop(atOnce); err != nil {
		return fmt.Errorf("stopped at once: %w", err)
	}
	live := s.call(s.Runner, task(s.Block, 2))
	if err := s.begun(live); err != nil {
		return err
	}
	if err := s.stop(live); err != nil {
		return err
	}
	return s.counted(live.task.Ref, 1)
}

func (s *trial) canceledBefore() error {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	c := s.callWith(ctx, cancel, s.Runner, task(s.Block, 1))
	if err := s.stop(c); err != nil {
		return err
	}
	return s.counted(c.task.Ref, 0)
}

// servesAfterStop asks for a run that was stopped. Whether it starts again or is found to be over is not laid down; it can
// be stopped again and does not pass.
func (s *trial) servesAfterStop() error {
	for _, run := range []int{1, 1, 2} {
		c := s.call(s.Runner, task(s.Block, run))
		if run == 2 {
			if err := s.begun(c); err != nil {
				return err
			}
		}
		c.cancel()
		e, err := s.wait(c)
		switch {
		case err != nil:
			return fmt.Errorf("after %s was stopped: %w", c.task.Ref, err)
		case e.err == nil && e.result.Phase == scheduler.PhasePassed:
			return fmt.Errorf("%s was stopped, and passed when asked for again", c.task.Ref)
		}
	}
	return s.ends(s.call(s.Runner, task(s.Pass, 1)), scheduler.PhasePassed)
}

func (s *trial) severalAtOnce() error {
	for run := 1; run <= 3; run++ {
		block := s.call(s.Runner, task(s.Block, run))
		pass := s.call(s.Runner, task(s.Pass, run))
		fail := s.call(s.Runner, task(s.Fail, run))
		err := errors.Join(s.ends(pass, scheduler.PhasePassed), s.ends(fail, scheduler.PhaseFailed), s.begun(block), s.stop(block))
		if err != nil {
			return err
		}
	}
	return s.stopsOne()
}

// stopsOne stops one of two live runs.
func (s *trial) stopsOne() error {
	if s.Other == "" {
		return nil
	}
	one, other := s.call(s.Runner, task(s.Block, 4)), s.call(s.Runner, task(s.Other, 4))
	if err := errors.Join(s.begun(one), s.begun(other), s.stop(one)); err != nil {
		return err
	}
	select {
	case e := <-other.end:
		return fmt.Errorf("a stop ends one run: with %s, %s ended, too (%s, error: %v)", one.task.Ref, other.task.Ref,
			e.result.Phase, e.err)
	case <-time.After(20 * time.Millisecond): // to end it; if it takes longer, less is tested
	}
	return s.stop(other)
}

func (s *trial) findsOver() error {
	for id, phase := range map[dag.ID]scheduler.Phase{s.Pass: scheduler.PhasePassed, s.Fail: scheduler.PhaseFailed} {
		for _, r := range []scheduler.Runner{s.Runner, s.Again(), s.Runner} {
			if err := s.ends(s.call(r, task(id, 1)), phase); err != nil {
				return err
			}
		}
		if err := s.counted(scheduler.Ref{ID: id, Run: 1}, 1); err != nil {
			return fmt.Errorf("a run that is over is found when it is asked for again: %w", err)
		}
	}
	return nil
}

// findsLive asks for a run while it is live, as happens when the process that asked for it first has crashed: that one
// does nothing any more, but its run goes on.
func (s *trial) findsLive() error {
	first, second := s.call(s.Runner, task(s.Pass, 1)), s.call(s.Again(), task(s.Pass, 1))
	err := errors.Join(s.ends(first, scheduler.PhasePassed), s.ends(second, scheduler.PhasePassed),
		s.counted(first.task.Ref, 1))
	if err != nil {
		return fmt.Errorf("two asked for one run at once: %w", err)
	}
	crashed := s.call(s.Runner, task(s.Block, 1))
	if err := s.begun(crashed); err != nil {
		return err
	}
	next := s.call(s.Again(), task(s.Block, 1))
	time.Sleep(20 * time.Millisecond) // to find it; if it takes longer, less is tested
	if err := s.stop(next); err != nil {
		return err
	}
	crashed.cancel() // its run was stopped; what it says of that is its own business
	if _, err := s.wait(crashed); err != nil {
		return err
	}
	if err := s.counted(crashed.task.Ref, 1); err != nil {
		return fmt.Errorf("a live run is found when it is asked for again: %w", err)
	}
	return nil
}
