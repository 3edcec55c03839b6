package scheduler

import (
	"maps"
	"slices"
	"strings"
)

// An EventKind tells news of a run from the requests of a person.
type EventKind uint8

// The kinds of events.
const (
	EventNews   EventKind = iota // a run was seen in a phase
	EventRerun                   // a person asks for a new run
	EventForce                   // a person asks for a new run, even if an edge is broken
	EventCancel                  // a person cancels a scenario
)

var eventNames = [...]string{EventNews: "news of", EventRerun: "rerun", EventForce: "force", EventCancel: "cancel"}

// String returns the name of the kind in lower case.
func (k EventKind) String() string { return name(k, eventNames[:], "EventKind") }

// An Event is news of a run, or a request of a person. It names the run it is about, so that late and repeated events
// change nothing. The functions [Started], [Finished], [Rerun], [Force] and [Cancel] make them.
type Event struct {
	Kind   EventKind
	Ref    Ref
	Phase  Phase // of news
	Basis  []Ref // of news: what the run was started on; news that follows on earlier news may leave it out
	Forced bool  // of news: the run was started although an edge was broken; as Basis

	// Artifacts are, of news, what the run left. All that news of the newest run brings is kept: of more than 64 artifacts
	// those that come first by URI and digest, so that the order of news does not matter. News may leave them out.
	Artifacts []Artifact
}

// Started is the news that the run of a [Start] action was started. Of another action it is no news.
func Started(a Action) Event {
	if a.Kind != Start {
		return Event{Kind: EventNews, Ref: a.Ref}
	}
	return Event{Kind: EventNews, Ref: a.Ref, Phase: PhaseRunning, Basis: a.Basis, Forced: a.Forced}
}

// Finished is the news that a run is over. It says nothing of the basis, so it must follow on the news that the run was
// started: a run of which the basis is not known stands on nothing, and is out of date if its scenario has parents.
func Finished(run Ref, phase Phase) Event { return Event{Kind: EventNews, Ref: run, Phase: phase} }

// Rerun asks for a run after the given one, which is the newest ([Snapshot.Newest]). It starts as soon as the parents
// allow it, and lifts a cancellation by a person. A rerun of a live run changes nothing, unless a person canceled it; a
// run that is being stopped because a parent failed is live until it is over.
func Rerun(run Ref) Event { return Event{Kind: EventRerun, Ref: run} }

// Force is a [Rerun] that starts although an edge is broken: although a parent failed or was canceled. It still waits
// for parents that are not yet there.
func Force(run Ref) Event { return Event{Kind: EventForce, Ref: run} }

// Cancel cancels a scenario, whose newest run is the given one ([Snapshot.Newest]), whether it runs, is over or has not
// started. It stays canceled until a later [Rerun] or [Force].
func Cancel(run Ref) Event { return Event{Kind: EventCancel, Ref: run} }

// String returns the event as people say it: "scan#1 passed", "rerun scan#1".
func (e Event) String() string {
	if e.Kind != EventNews {
		return e.Kind.String() + " " + e.Ref.String()
	}
	text := e.Ref.String() + " " + e.Phase.String()
	if e.Forced {
		text += " by force"
	}
	return text + on(e.Basis)
}

func on(basis []Ref) string {
	if len(basis) == 0 {
		return ""
	}
	names := make([]string, len(basis))
	for i, r := range basis {
		names[i] = r.String()
	}
	return " on " + strings.Join(names, ", ")
}

// Observe returns the snapshot with an event taken into account. It adds no rule, and changes nothing for news of an
// older run, repeated news, and events that make no sense: without an ID, a run or a phase.
//
// It does not know the graph: an event about a scenario that is not there is kept, and no plan looks at it except to stop
// a live run. It copies the snapshot. A [Machine] does not, and tells whether an event changed anything.
func (s Snapshot) Observe(e Event) Snapshot {
	st, changed := s[e.Ref.ID].observe(e)
	if !changed {
		return s
	}
	s = maps.Clone(s)
	if s == nil {
		s = Snapshot{}
	}
	s[e.Ref.ID] = st
	return s
}

func (st Status) observe(e Event) (after Status, changed bool) {
	if e.Ref.ID == "" {
		return st, false
	}
	e.Basis, st.Basis = cleanBasis(e.Basis), cleanBasis(st.Basis)
	r := st.record()
	c := r.observe(&e, len(st.Basis) > 0)
	if c&changedRun != 0 {
		st.Basis, st.Artifacts = nil, nil
	}
	if c&changedBasis != 0 {
		st.Basis = slices.Clone(e.Basis)
	}
	if len(e.Artifacts) > 0 && r.hears(&e) {
		before := unite(nil, st.Artifacts)
		if st.Artifacts = unite(before, e.Artifacts); !slices.Equal(st.Artifacts, before) {
			c |= changedArtifacts
		}
	}
	st.setRecord(r)
	return st, c != 0
}

// A change tells what an event changed.
type change uint8

const (
	changedRecord    change = 1 << iota // the record
	changedRun                          // there is a newer run, of which no basis and no artifact is known yet
	changedBasis                        // the basis became known
	changedArtifacts                    // more of what the run left became known
)

// maxRun bounds the numbers of runs that events may bring. The next run is always accepted, so counting goes on.
const maxRun = 1 << 30

// observe takes an event into account. It is told whether the basis of the newest run is known.
func (r *record) observe(e *Event, based bool) change {
	if e.Ref.Run < 0 || e.Ref.Run > max(maxRun, r.next()) {
		return 0
	}
	switch e.Kind {
	case EventNews:
		c := r.news(e.Ref.Run, e.Phase, e.Forced)
		if len(e.Basis) > 0 && (c&changedRun != 0 || !based) && r.hears(e) {
			c |= changedBasis
		}
		return c
	case EventRerun:
		return r.rerun(e.Ref.Run, false)
	case EventForce:
		return r.rerun(e.Ref.Run, true)
	case EventCancel:
		return r.withdraw(e.Ref.Run)
	}
	return 0
}

// hears reports whether an event that was observed is news of the newest run.
func (r *record) hears(e *Event) bool {
	return e.Kind == EventNews && e.Ref.Run > 0 && e.Ref.Run == r.run && e.Phase.known()
}

func (r *record) news(run int, phase Phase, forced bool) (c change) {
	if run == 0 || run < r.run || !phase.known() {
		return 0
	}
	if run > r.run {
		r.run, r.phase, r.forced = run, phase, false
		r.force = r.force && r.asked()
		c = changedRecord | changedRun
	}
	if r.phase == PhaseRunning && phase.Over() {
		r.phase = phase
		c |= changedRecord
	}
	if forced && !r.forced {
		r.forced = true
		c |= changedRecord
	}
	return c
}

func (r *record) rerun(run int, force bool) change {
	_, canceled := r.canceled()
	if run < max(r.run, r.cancel) || r.live() && !canceled && !r.asked() {
		return 0
	}
	switch want := r.next(); {
	case r.want < want:
		r.want, r.force = want, force
		return changedRecord
	case force && !r.force:
		r.force = true
		return changedRecord
	}
	return 0
}

func (r *record) withdraw(run int) change {
	if newest := max(r.newest(), 1); run >= r.newest() && r.cancel < newest {
		r.cancel = newest
		return changedRecord
	}
	return 0
}
