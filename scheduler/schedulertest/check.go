package schedulertest

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A Scheduler keeps in mind what was observed of a graph, and says what to do now. [scheduler.Machine] is one, and
// [Pure] makes one of a function.
//
// What Observe returns is not looked at: return what you like. A Scheduler that also has the method SetGraph(*dag.Graph) is tested with
// changes of the graph, too; of one that has Conclusion(dag.ID) scheduler.Conclusion, verdicts and their causes are judged
// as well.
type Scheduler interface {
	// Observe takes an event into account. What it returns is there so that a *scheduler.Machine is a Scheduler.
	Observe(scheduler.Event) bool

	// Plan returns what to do now.
	Plan() scheduler.Plan
}

// Pure makes a [Scheduler] of a function like [scheduler.Next]: it remembers the graph and a snapshot for it. Of nil it
// makes nil, which [CheckRules] reports.
func Pure(next func(*dag.Graph, scheduler.Snapshot) scheduler.Plan) func(*dag.Graph) Scheduler {
	if next == nil {
		return nil
	}
	return func(g *dag.Graph) Scheduler { return &pure{next: next, g: g} }
}

type pure struct {
	next     func(*dag.Graph, scheduler.Snapshot) scheduler.Plan
	g        *dag.Graph
	snapshot scheduler.Snapshot
}

func (p *pure) SetGraph(g *dag.Graph) { p.g = g }
func (p *pure) Plan() scheduler.Plan  { return p.next(p.g, p.snapshot) }

func (p *pure) Observe(e scheduler.Event) bool {
	p.snapshot = p.snapshot.Observe(e)
	return true
}

// CheckRules fails the test if a scheduler breaks a rule. It opens schedulers on graphs that it draws, tells them what
// happens, and holds each plan against the rules, told a second time in this package. What is given to it may be called
// from another goroutine than that of the test, one call at a time.
//
// The report names the broken rule, says what the scheduler planned and what is right, and prints the shortest history
// found that leads there, in the form of the scripts of package scheduler. A panic is reported in the same way. So is a
// call that does not come back within 10 seconds. The goroutine that waits for it is left behind; from then on, calls to
// other schedulers are made beside it.
//
// What is drawn differs each time: ten stories in each check of rapid, a thousand in the usual hundred. The flags of rapid say how much (-rapid.checks) and draw the same again
// (-rapid.seed); what failed is tried again first, until its file in testdata/rapid is removed (-rapid.nofailfile makes
// none).
func CheckRules(t *testing.T, open func(*dag.Graph) Scheduler) {
	t.Helper()
	c := &checker{open: open, patience: 10 * time.Second}
	if report := c.check(t); report != "" {
		t.Fatal(report)
	}
}

// A checker holds one kind of scheduler against the rules.
type checker struct {
	open     func(*dag.Graph) Scheduler
	patience time.Duration // how long a scheduler may take for one call

	edits  bool    // whether schedulers can be given another graph
	failed *breach // what was found
}

// check returns a report of what is broken, "" if nothing is.
func (c *checker) check(t rapid.TB) string {
	if c.open == nil {
		return "schedulertest: the function that opens a Scheduler, or the one given to Pure, is nil"
	}
	b, advice := c.find(t)
	if b == nil {
		return ""
	}
	if b.crash == crashNil {
		return crashNil
	}
	return b.report() + advice
}

const crashNil = "schedulertest: the function that opens a Scheduler returned nil"

// find returns a breach with the shortest story found, or nil; and how to see it again.
func (c *checker) find(t rapid.TB) (b *breach, advice string) {
	if b = c.judge(story{{graph: []dag.Scenario{}}}); b != nil {
		return b, ""
	}
	_, c.edits = c.open(&dag.Graph{}).(interface{ SetGraph(*dag.Graph) })
	quiet := &recorder{TB: t}
	quiet.run(func() { rapid.Check(quiet, c.property()) })
	switch {
	case c.failed != nil:
		return c.shortest(c.failed), quiet.advice()
	case quiet.Failed():
		t.Fatal(quiet.said.String())
	}
	return nil, ""
}

// property draws a story and judges a scheduler by it. It fails once, so that rapid does not shrink the story: there is
// a faster way that knows what a story is.
func (c *checker) property() func(*rapid.T) {
	return func(t *rapid.T) {
		for range storiesPerCheck {
			s := stories(kinds{most: mostScenarios, edits: c.edits, odd: true}).Draw(t, "story")
			if c.failed != nil {
				continue
			}
			if c.failed = c.judge(s); c.failed != nil {
				t.Fatal(c.failed.rule)
			}
		}
	}
}

// storiesPerCheck makes the usual hundred checks of rapid enough to find what takes four things to go wrong at once.
const storiesPerCheck = 10

// A breach is a rule that a scheduler breaks at the end of a story.
type breach struct {
	rule  rule
	story story
	told  *telling
	got   scheduler.Plan
	crash string // what happened instead of a plan
	how   string // how the story was told, if not in its own order

	conclusions []scheduler.Conclusion // if those are wrong, not the plan
}

// judge tells a story to a scheduler, also in other ways that are the same by the rules, and returns the first breach, or
// nil.
func (c *checker) judge(s story) *breach {
	if b := c.judgeInOrder(s); b != nil {
		return b
	}
	moments, w := s.follow()
	if w.unclear {
		return nil
	}
	for _, other := range []struct {
		rule    rule
		how     string
		moments []moment
	}{
		{ruleBuilt, "The graph was built of the same scenarios in reverse order.", mirrored(moments)},
		{ruleOrder, "It was told the same scenario by scenario, the last one first, and asked for its plan at the end.",
			regrouped(moments)},
		{ruleLeft, "All news also told of an artifact that the run left.", withArtifacts(moments)},
	} {
		for i, answer := range c.play(other.moments) {
			m := other.moments[i]
			if b := c.compare(s.until(m), m, answer); b != nil {
				b.how = other.how
				if b.crash == "" {
					b.rule = other.rule
				}
				return b
			}
		}
	}
	return nil
}

// judgeInOrder tells a story as it is. What is not laid down is not judged.
func (c *checker) judgeInOrder(s story) *breach {
	moments, w := s.follow()
	if w.unclear {
		return nil
	}
	answers := c.play(moments)
	for i, m := range moments {
		if b := c.compare(s.until(m), m, answers[i]); b != nil {
			b.rule = c.blame(b, moments[:i+1], answers[i])
			return b
		}
	}
	return nil
}

// compare holds an answer against the rules.
func (c *checker) compare(s story, m moment, a answer) *breach {
	b := &breach{story: s, told: m.told, got: a.plan, crash: a.crash}
	switch {
	case a.stuck:
		b.rule = ruleEnds
	case a.crash != "":
		b.rule = ruleTotal
	case !samePlan(a.plan, m.told.plan):
		b.rule = m.told.brokenRule(a.plan)
	case !samePlan(a.again, m.told.plan):
		b.rule, b.got, b.how = ruleSame, a.again, "It was asked a second time."
	default:
		b.rule, b.conclusions = m.told.brokenByConclusion(a.conclusions), a.conclusions
		if b.rule == "" {
			return nil
		}
	}
	return b
}

// blame names the broken rule. Some can be told only by trying what is the same by the rules: if the plan is right then,
// the difference is to blame.
func (c *checker) blame(b *breach, moments []moment, a answer) rule {
	if b.crash != "" || b.rule == ruleSame || b.conclusions != nil {
		return b.rule
	}
	right := func(moments []moment) bool {
		if moments == nil {
			return false
		}
		last := len(moments) - 1
		answer := c.play(moments)[last]
		return answer.crash == "" && samePlan(answer.plan, moments[last].told.plan)
	}
	again := c.play(moments)[len(moments)-1]
	switch {
	case !samePlan(again.plan, a.plan):
		return ruleSame
	case right(withoutIdle(moments)):
		return ruleLate
	case right(mirrored(moments)):
		return ruleBuilt
	case right(regrouped(moments)):
		return ruleOrder
	case right(allRequired(b.story)):
		return ruleOptional
	}
	return b.rule
}

// withoutIdle leaves out what changes nothing, nil if there is nothing of that.
func withoutIdle(moments []moment) []moment {
	busy := slices.DeleteFunc(slices.Clone(moments), func(m moment) bool { return m.idle })
	if len(busy) == len(moments) {
		return nil
	}
	return busy
}

// mirrored builds each graph of the same scenarios in reverse order.
func mirrored(moments []moment) []moment {
	moments = slices.Clone(moments)
	for i := range moments {
		moments[i].changes = slices.Clone(moments[i].changes)
		for k, c := range moments[i].changes {
			if c.graph != nil {
				c.graph = slices.Clone(c.graph)
				slices.Reverse(c.graph)
				moments[i].changes[k] = c
			}
		}
	}
	return moments
}

// regrouped tells, between two graphs, the events scenario by scenario, the last one first, and asks once at the end.
// What is known then is the same: no event is about two scenarios.
func regrouped(moments []moment) []moment {
	var all, group []change
	flush := func() {
		slices.SortStableFunc(group, func(a, b change) int { return -byID(a.event.Ref, b.event.Ref) })
		all, group = append(all, group...), nil
	}
	for _, m := range moments {
		for _, c := range m.changes {
			if c.graph == nil {
				group = append(group, c)
				continue
			}
			flush()
			all = append(all, c)
		}
	}
	flush()
	last := moments[len(moments)-1]
	last.changes = all
	return []moment{last}
}

// withArtifacts tells with all news of something that the run left.
func withArtifacts(moments []moment) []moment {
	moments = slices.Clone(moments)
	for i := range moments {
		moments[i].changes = slices.Clone(moments[i].changes)
		for k, c := range moments[i].changes {
			if c.graph == nil && c.event.Kind == scheduler.EventNews {
				moments[i].changes[k].event.Artifacts = someArtifacts[:1+i%2]
			}
		}
	}
	return moments
}

// allRequired makes no scenario of a story optional, nil if none is.
func allRequired(s story) []moment {
	s = slices.Clone(s)
	found := false
	for i := range s {
		s[i].graph = slices.Clone(s[i].graph)
		for k := range s[i].graph {
			found = found || s[i].graph[k].Optional
			s[i].graph[k].Optional = false
		}
	}
	if !found {
		return nil
	}
	return s.moments()
}

// An answer is what a scheduler said at a moment.
type answer struct {
	plan, again scheduler.Plan
	conclusions []scheduler.Conclusion // in canonical order; nil if the scheduler tells none
	crash       string                 // what happened instead
	stuck       bool                   // nothing happened
}

// play tells a scheduler what happens, and asks it at each moment. After an answer that is not a plan there is none.
func (c *checker) play(moments []moment) []answer {
	var mu sync.Mutex
	answers := make([]answer, len(moments))
	done, returned := make(chan struct{}), false
	at := 0
	start := time.Now()
	var began atomic.Int64 // when the newest call to the scheduler began, counted from start
	calls := func() { began.Store(int64(time.Since(start))) }
	go func() {
		defer close(done)
		defer func() {
			crash := ""
			switch v := recover(); {
			case v == crashNil:
				crash = crashNil
			case v != nil:
				crash = fmt.Sprintf("It panicked: %v\n%s", v, debug.Stack())
			case !returned:
				crash = "It ended its goroutine, as t.Fatal and runtime.Goexit do."
			}
			mu.Lock()
			defer mu.Unlock()
			answers[at].crash = crash
		}()
		var s Scheduler
		for i, m := range moments {
			for _, change := range m.changes {
				calls()
				s = tellChange(s, c.open, change)
			}
			var a answer
			calls()
			a.plan = copied(s.Plan())
			calls()
			a.again = copied(s.Plan())
			if s, ok := s.(interface {
				Conclusion(dag.ID) scheduler.Conclusion
			}); ok {
				for id := range m.told.g.All() {
					calls()
					a.conclusions = append(a.conclusions, s.Conclusion(id))
				}
			}
			mu.Lock()
			answers[i] = a
			at = min(i+1, len(moments)-1)
			mu.Unlock()
		}
		returned = true
	}()
	for left := c.patience; left > 0; left = c.patience - time.Since(start) + time.Duration(began.Load()) {
		select {
		case <-done:
			return answers
		case <-time.After(left):
		}
	}
	mu.Lock()
	defer mu.Unlock()
	until := slices.Clone(answers) // others may be given later
	until[at] = answer{stuck: true, crash: fmt.Sprintf("It did not come back within %s.", c.patience)}
	return until
}

func tellChange(s Scheduler, open func(*dag.Graph) Scheduler, c change) Scheduler {
	switch {
	case c.graph == nil:
		e := c.event
		e.Basis, e.Artifacts = slices.Clone(e.Basis), slices.Clone(e.Artifacts) // the scheduler may do with it what it likes
		s.Observe(e)
	case s == nil:
		if s = open(build(c.graph)); s == nil {
			panic(crashNil)
		}
	default:
		s.(interface{ SetGraph(*dag.Graph) }).SetGraph(build(c.graph))
	}
	return s
}

// copied returns a plan that stays as it is when the scheduler uses its memory again.
func copied(p scheduler.Plan) scheduler.Plan {
	p.Actions = slices.Clone(p.Actions)
	for i := range p.Actions {
		p.Actions[i].Basis = slices.Clone(p.Actions[i].Basis)
	}
	return p
}

// A recorder keeps what rapid says, instead of failing the test. The report says it in the words of the rules.
type recorder struct {
	rapid.TB
	said   strings.Builder
	failed bool
}

// enough is how a recorder ends what it runs.
type enough struct{}

func (r *recorder) run(f func()) {
	defer func() {
		if v := recover(); v != nil && v != (enough{}) {
			panic(v)
		}
	}()
	f()
}

func (r *recorder) Log(args ...any)                 {}
func (r *recorder) Logf(format string, args ...any) {}
func (r *recorder) Fail()                           { r.failed = true }
func (r *recorder) Failed() bool                    { return r.failed }
func (r *recorder) FailNow()                        { r.Fail(); panic(enough{}) }

func (r *recorder) Error(args ...any) {
	r.Fail()
	fmt.Fprintln(&r.said, args...)
}

func (r *recorder) Errorf(format string, args ...any) { r.Error(fmt.Sprintf(format, args...)) }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	r.FailNow()
}

func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

// advice is what rapid says about how to see the failure again.
func (r *recorder) advice() string {
	for line := range strings.Lines(r.said.String()) {
		if _, flags, ok := strings.Cut(line, "reproduce, specify "); ok {
			return "\nTo see it again, run go test with " + flags
		}
	}
	return ""
}
