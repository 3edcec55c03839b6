package konflux_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// Two controllers with caches that lag, faults between any two requests, and people who do what they like: no run is lost
// and none is carried out twice, and what comes of it is what scheduler.Next says of the facts.
func TestHistories(t *testing.T) {
	told := map[string]int{}
	histories := 0
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		for i := range uint64(historiesEach) {
			c := newCluster(t, seed, i)
			c.history()
			histories++
			for what, n := range c.told {
				told[what] += n
			}
		}
	})
	t.Logf("%d histories: %v", histories, told)
	for _, what := range []string{"created", "canceled", "created to be canceled", "conflicts", "crashes", "stale", "answers lost", "refused", "found", "pruned", "superseded", "labels", "edits", "meddled"} {
		if told[what] < histories/1000+1 {
			t.Errorf("%s: only %d times in %d histories", what, told[what], histories)
		}
	}
}

// historiesEach is how many histories one check of rapid is.
const historiesEach = 5

// history lets everybody work for a while, and then everything come to rest.
func (c *cluster) history() {
	a := &controller{c: c, refused: map[string]string{}}
	b := &controller{c: c, refused: map[string]string{}}
	pending := func(name string) bool { return slices.Contains(a.creating, name) || slices.Contains(b.creating, name) }
	for range 20 + c.pick(80) {
		switch c.pick(5) {
		case 0, 1:
			a.step(true)
		case 2, 3:
			b.step(true)
		default:
			c.act(pending)
		}
	}
	c.rest(a, b)
	c.grows()
}

// rest lets everything come to an end, and looks at what came of it.
func (c *cluster) rest(a, b *controller) {
	rounds := 20 * (len(c.latest().scenarios) + 10)
	for range rounds {
		c.settle()
		quiet := true
		for _, k := range []*controller{a, b} {
			k.drop()
			k.refresh(true)
			p := k.plan()
			quiet = quiet && len(k.requests) == 0 && p.Outcome != scheduler.OutcomePending
			for len(k.requests) > 0 {
				k.step(false)
			}
		}
		if quiet {
			c.judge(a)
			c.judge(b)
			return
		}
	}
	c.t.Fatalf("no rest after %d rounds: %v", rounds, c.latest().snapshot.Annotations)
}

// settle ends all runs, and lets time pass.
func (c *cluster) settle() {
	for name, run := range c.latest().runs {
		if vanishing(run) {
			c.remove(name)
		}
	}
	for {
		run, ok := c.some(func(r pipelinerun.PipelineRun) bool { return !over(r) })
		if !ok {
			break
		}
		c.end(run)
	}
	for len(c.late) > 0 {
		c.lateTask()
	}
	c.now = c.now.Add(10 * time.Minute)
}

var samePlan = cmp.Options{cmpopts.EquateEmpty(), cmp.AllowUnexported(konflux.ScenarioStatus{}), cmpopts.IgnoreFields(konflux.Plan{}, "Graph")}

// judge looks at what is at rest.
func (c *cluster) judge(k *controller) {
	objects, _ := k.objects()
	p, err := konflux.Next(objects, c.o, c.now)
	if err != nil {
		c.t.Fatal(err)
	}
	again, _ := konflux.Next(objects, c.o, c.now)
	if diff := cmp.Diff(p, again, samePlan); diff != "" {
		c.t.Fatalf("asked again, it says otherwise: %s", diff)
	}
	if !p.Done() {
		c.t.Fatalf("at rest, and not done: %+v", p)
	}
	if _, asked := c.latest().snapshot.Labels[testPrefix+"/run"]; asked {
		c.t.Fatal("the label is still there")
	}
	facts := c.facts()
	want := scheduler.Conclude(p.Graph, facts)
	for i, s := range p.Scenarios {
		if s.Verdict != want[i].Verdict || !s.Verdict.Final() {
			c.t.Errorf("%s is %v, want %v: %s", s.Status.Scenario, s.Verdict, want[i].Verdict, s.Explanation)
		}
		c.reported(s)
	}
	if next := scheduler.Next(p.Graph, facts); next.Outcome != p.Outcome || len(next.Actions) > 0 {
		c.t.Errorf("got %v, want %v, and nothing to do: %v", p.Outcome, next.Outcome, next.Actions)
	}
	for name, run := range c.latest().runs {
		if len(run.Finalizers) > 0 {
			c.t.Errorf("%s is held for ever", name)
		}
	}
}

// facts is what is true: what people asked for, as it was kept, and of each scenario its newest run, with an end that it
// really had.
func (c *cluster) facts() scheduler.Snapshot {
	facts := scheduler.Snapshot{}
	for id, st := range c.state().Runs {
		newest := 0
		for _, ref := range c.created {
			if ref.ID == id {
				newest = max(newest, ref.Run)
			}
		}
		if newest > st.Run {
			c.t.Errorf("%s has run %d, and %d is known", id, newest, st.Run)
		}
		name := pipelinerun.RunName(c.latest().snapshot.Meta, scheduler.Ref{ID: id, Run: st.Run})
		if st.Run > 0 && !slices.Contains(c.ends[name], st.Phase) {
			c.t.Errorf("%s ended as %v, and %v is known", name, c.ends[name], st.Phase)
		}
		facts[id] = st
	}
	return facts
}

// reported compares a verdict with what is written of it.
func (c *cluster) reported(s konflux.Conclusion) {
	ok := map[scheduler.Verdict][]konflux.Status{
		scheduler.VerdictPassed:   {konflux.TestPassed, konflux.TestWarning},
		scheduler.VerdictFailed:   {konflux.TestFail, konflux.TestInvalid},
		scheduler.VerdictCanceled: {konflux.TestFail, konflux.Deleted},
	}
	if !slices.Contains(ok[s.Verdict], s.Status.Status) || s.Status.Completed.IsZero() {
		c.t.Errorf("%s is %v, and written as %+v", s.Status.Scenario, s.Verdict, s.Status)
	}
}

// grows looks at states that were written: an older one knows nothing that the newest does not.
func (c *cluster) grows() {
	if len(c.states) < 2 {
		return
	}
	older, newest := c.states[c.pick(len(c.states))], c.states[len(c.states)-1]
	for id, was := range older.Runs {
		is := newest.Runs[id]
		if is.Run < was.Run || is.Want < was.Want || is.Cancel < was.Cancel || is.Run == was.Run && is.Phase < was.Phase {
			c.t.Errorf("%s was known as %+v, and is known as %+v", id, was, is)
		}
	}
	for _, id := range older.Alone {
		if !slices.Contains(newest.Alone, id) {
			c.t.Errorf("%s stood alone, and does not any more", id)
		}
	}
	for id, name := range older.Adopted {
		if newest.Adopted[id] != name {
			c.t.Errorf("%s had run %s of others, and has %q", id, name, newest.Adopted[id])
		}
	}
	if newest.Superseded < older.Superseded {
		c.t.Errorf("superseded %d times, and later %d", older.Superseded, newest.Superseded)
	}
}
