package schedulertest

import (
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A story is a history in the form of the scripts of package scheduler: block by block, the graph changes or events are
// observed, and then the starts of the plan are carried out. It depends on no scheduler: what starts in it is what the
// rules say. The first block has a graph.
type story []block

// A block is one observe command of a script, with the graph command before it, if there is one.
type block struct {
	graph  []dag.Scenario // nil: the graph stays
	events []scheduler.Event
	hold   bool // the starts of the plan are not carried out
}

// A moment is a point of a story at which a scheduler is asked for its plan: at the beginning of each block, and after
// each event.
type moment struct {
	block, events int      // after so many events of this block
	changes       []change // what there was since the moment before
	idle          bool     // by the rules that changes nothing
	told          *telling // what the rules say
}

// A change is a graph, or an event.
type change struct {
	graph []dag.Scenario
	event scheduler.Event
}

// A world is what a story has come to.
type world struct {
	told     *telling
	stopping map[scheduler.Ref]bool // what a plan stops
	been     map[dag.ID]bool        // scenarios that are or were in the graph
	past     []scheduler.Event
	changes  []change
	odd      int  // how many things happened that no well-behaved world brings
	unclear  bool // something was told of a scenario that nobody knows: it may be kept or not
}

func newWorld() *world {
	return &world{told: tell(&dag.Graph{}, nil), stopping: map[scheduler.Ref]bool{}, been: map[dag.ID]bool{}}
}

func (w *world) setGraph(list []dag.Scenario) {
	w.changes = append(w.changes, change{graph: list})
	w.told = tell(build(list), w.told.status)
	for id := range w.told.g.All() {
		w.been[id] = true
	}
}

func (w *world) observe(e scheduler.Event) (changed bool) {
	if w.isOdd(e) {
		w.odd++
	}
	w.changes = append(w.changes, change{event: e})
	w.past = append(w.past, e)
	s, changed := observe(w.told.status, e)
	if changed {
		w.told = tell(w.told.g, s)
	}
	if changed && !w.been[e.Ref.ID] { // no plan tells whether it was kept, if nothing is live and no graph ever has it
		w.unclear = w.unclear || e.Ref.ID != stranger || live(s[stranger])
	}
	return changed
}

// isOdd reports whether an event is none that a well-behaved world brings, even a late one. News of a run that was
// planned and not observed to start is not odd: both came at once.
func (w *world) isOdd(e scheduler.Event) bool {
	st := w.told.status[e.Ref.ID]
	if e.Kind != scheduler.EventNews {
		return e.Ref.Run != max(st.Run, st.Want, st.Cancel)
	}
	if !slices.Equal(e.Basis, sorted(e.Basis)) {
		return true
	}
	if e.Phase == scheduler.PhaseStopped && !w.stopping[e.Ref] {
		return true
	}
	planned := slices.ContainsFunc(w.told.plan.Actions, func(a scheduler.Action) bool {
		return a.Kind == scheduler.Start && a.Ref == e.Ref && slices.Equal(a.Basis, e.Basis) && a.Forced == e.Forced
	})
	return e.Ref.Run < 1 || e.Ref.Run > st.Run && !planned
}

// endBlock carries out what the plan says.
func (w *world) endBlock(hold bool) {
	for _, a := range w.told.plan.Actions {
		switch {
		case a.Kind == scheduler.Stop:
			w.stopping[a.Ref] = true
		case !hold:
			w.observe(scheduler.Started(a))
		}
	}
}

// moments tells what the rules say all along a story.
func (s story) moments() []moment {
	list, _ := s.follow()
	return list
}

func (s story) follow() ([]moment, *world) {
	w := newWorld()
	var list []moment
	seen := func(block, events int, idle bool) {
		list = append(list, moment{block: block, events: events, changes: w.changes, idle: idle, told: w.told})
		w.changes = nil
	}
	for i, b := range s {
		if b.graph != nil {
			w.setGraph(b.graph)
		}
		seen(i, 0, false)
		for k, e := range b.events {
			changed := w.observe(e)
			seen(i, k+1, !changed)
		}
		w.endBlock(b.hold)
	}
	return list, w
}

// until returns the story up to a moment.
func (s story) until(m moment) story {
	s = slices.Clone(s[:m.block+1])
	s[m.block].events = s[m.block].events[:m.events:m.events]
	s[m.block].hold = false
	return s
}

// kinds says what there is in a story beside runs, requests and what plans do.
type kinds struct {
	most  int  // scenarios
	edits bool // changes of the graph
	odd   bool // late and repeated news, news of what nobody planned, and senseless events
	open  bool // news of live runs of which the rules leave open what is to be done; such a story is not judged
}

// stories returns a generator of stories.
func stories(k kinds) *rapid.Generator[story] {
	return rapid.Custom(func(t *rapid.T) story {
		c := drawn(t)
		return c.story(c.scenarios(k.most), k)
	})
}

// mostScenarios is enough for every way in which three scenarios of a wave can meet, twice.
const mostScenarios = 6

func (c choose) story(list []dag.Scenario, k kinds) story {
	w := newWorld()
	var s story
	for i := range 1 + c(12) {
		b := block{hold: c.oneIn(5)}
		if i == 0 {
			b.graph = list
		} else if k.edits && c.oneIn(8) {
			b.graph = c.scenarios(k.most)
		}
		if b.graph != nil {
			w.setGraph(b.graph)
		}
		for range c(4) {
			if e, ok := w.event(c, k); ok {
				b.events = append(b.events, e)
				w.observe(e)
			}
		}
		w.endBlock(b.hold)
		s = append(s, b)
	}
	if c.oneIn(2) {
		s = append(s, w.rest(c)...)
	}
	return s
}

// rest goes on without requests until nothing is left to do.
func (w *world) rest(c choose) (s story) {
	for range 10 * mostScenarios {
		var b block
		if live := w.live(); len(live) > 0 {
			b.events = []scheduler.Event{w.end(c, oneOf(c, live))}
			w.observe(b.events[0])
		} else if len(w.told.plan.Actions) == 0 {
			return s
		}
		w.endBlock(false)
		s = append(s, b)
	}
	return s
}

// live returns the live runs by ID.
func (w *world) live() (refs []scheduler.Ref) {
	for _, id := range slices.Sorted(maps.Keys(w.told.status)) {
		if st := w.told.status[id]; live(st) {
			refs = append(refs, scheduler.Ref{ID: id, Run: st.Run})
		}
	}
	return refs
}

// event chooses what happens next, if there is anything that can; most often the end of a run.
func (w *world) event(c choose, k kinds) (e scheduler.Event, ok bool) {
	live, starts := w.live(), w.starts()
	var choices []string
	if len(live) > 0 {
		choices = append(choices, "end", "end", "end", "end", "end", "end")
	}
	if w.told.g.Len() > 0 {
		choices = append(choices, "rerun", "rerun", "force", "cancel")
	}
	if len(starts) > 0 {
		choices = append(choices, "start", "start")
	}
	if len(starts) > 0 && k.odd {
		choices = append(choices, "missed")
	}
	learns, jumps := w.learns(), w.jumps()
	if len(learns) > 0 && k.odd {
		choices = append(choices, "learn", "learn")
	}
	if k.odd {
		choices = append(choices, "late")
	}
	if len(jumps) > 0 && k.odd && c.oneIn(10) {
		choices = []string{"jump"}
	}
	if len(choices) == 0 {
		return e, false
	}
	switch kind := oneOf(c, choices); kind {
	case "end":
		return w.end(c, oneOf(c, live)), true
	case "start":
		return c.untidy(k, scheduler.Started(oneOf(c, starts))), true
	case "learn":
		return c.untidy(k, oneOf(c, learns)), true
	case "jump":
		return c.untidy(k, oneOf(c, jumps)), true
	case "missed":
		return w.end(c, oneOf(c, starts).Ref), true
	case "rerun", "force", "cancel":
		newest := w.newest(oneOf(c, slices.Collect(w.told.g.All())))
		return requests[kind](newest), true
	}
	return oneOf(c, w.lateNews(k)), true
}

var requests = map[string]func(scheduler.Ref) scheduler.Event{
	"rerun": scheduler.Rerun, "force": scheduler.Force, "cancel": scheduler.Cancel,
}

// end chooses how a run ends. One that is being stopped may come to its own end before.
func (w *world) end(c choose, run scheduler.Ref) scheduler.Event {
	last := scheduler.PhaseCanceled
	if w.stopping[run] {
		last = scheduler.PhaseStopped
	}
	phases := []scheduler.Phase{scheduler.PhasePassed, scheduler.PhasePassed, scheduler.PhasePassed,
		scheduler.PhaseFailed, scheduler.PhaseFailed, last}
	return scheduler.Finished(run, oneOf(c, phases))
}

// starts returns the starts that were not carried out, but for forced ones: scripts have no word for a forced run.
func (w *world) starts() (list []scheduler.Action) {
	for _, a := range w.told.plan.Actions {
		if a.Kind == scheduler.Start && !a.Forced {
			list = append(list, a)
		}
	}
	return list
}

// learns returns news that comes late of what runs were started on, and of force.
func (w *world) learns() (events []scheduler.Event) {
	for id := range w.told.g.All() {
		st, basis := w.told.status[id], w.told.start(id).Basis
		e := scheduler.Event{Ref: scheduler.Ref{ID: id, Run: st.Run}, Phase: scheduler.PhaseRunning, Basis: basis}
		if st.Run == 0 || len(basis) == 0 {
			continue
		}
		if len(st.Basis) == 0 {
			events = append(events, e)
		}
		if !st.Forced {
			e.Forced = true
			events = append(events, e)
		}
	}
	return events
}

// jumps returns news of runs with a number of two digits, or the last of one.
func (w *world) jumps() (events []scheduler.Event) {
	for id := range w.told.g.All() {
		for run := max(9, w.told.status[id].Run+1); run <= 11; run++ {
			e := scheduler.Event{Ref: scheduler.Ref{ID: id, Run: run}, Basis: w.told.start(id).Basis}
			for _, e.Phase = range []scheduler.Phase{scheduler.PhasePassed, scheduler.PhaseFailed, scheduler.PhaseRunning} {
				events = append(events, e)
			}
		}
	}
	return events
}

// untidy writes the basis of some news in another order, with older runs, and with what names no run.
func (c choose) untidy(k kinds, e scheduler.Event) scheduler.Event {
	if len(e.Basis) == 0 || !k.odd || !c.oneIn(4) {
		return e
	}
	basis := slices.Clone(e.Basis)
	for range c(3) {
		r := oneOf(c, e.Basis)
		basis = append(basis, oneOf(c, []scheduler.Ref{r, {ID: r.ID, Run: r.Run - 1}, {ID: r.ID, Run: -1}, {Run: 1}}))
	}
	e.Basis = shuffled(c, basis)
	return e
}

func (w *world) newest(id dag.ID) scheduler.Ref {
	st := w.told.status[id]
	return scheduler.Ref{ID: id, Run: max(st.Run, st.Want, st.Cancel)}
}

// lateNews returns what was said before, what was never true, and what makes no sense.
func (w *world) lateNews(k kinds) (events []scheduler.Event) {
	for _, e := range w.past {
		if !e.Forced {
			events = append(events, e)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.told.status)) {
		for run := range w.told.status[id].Run + 1 {
			run := scheduler.Ref{ID: id, Run: run}
			events = append(events, scheduler.Finished(run, scheduler.PhasePassed), scheduler.Finished(run, scheduler.PhaseFailed),
				scheduler.Finished(run, scheduler.PhaseRunning), scheduler.Finished(run, scheduler.PhaseStopped), scheduler.Rerun(run))
		}
		next := scheduler.Ref{ID: id, Run: nextRun(w.told.status[id])}
		events = append(events, scheduler.Finished(next, scheduler.PhaseRunning), scheduler.Finished(next, scheduler.PhaseFailed))
	}
	unknown := scheduler.Ref{ID: stranger, Run: 1}
	events = append(events, scheduler.Finished(unknown, scheduler.PhasePassed), scheduler.Rerun(unknown))
	if k.open {
		events = append(events, scheduler.Finished(unknown, scheduler.PhaseRunning))
	}
	for _, id := range append(slices.Collect(w.told.g.All()), "") {
		run := w.newest(id)
		events = append(events, scheduler.Finished(run, scheduler.PhaseNone), scheduler.Finished(run, scheduler.PhaseStopped+1),
			scheduler.Event{Kind: scheduler.EventCancel + 1, Ref: run},
			scheduler.Finished(scheduler.Ref{ID: id, Run: -1}, scheduler.PhasePassed))
	}
	return events
}
