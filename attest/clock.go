package attest

import (
	"time"

	"github.com/testdag/testdag/attest/intoto"
)

// A Clock says whose word a time is.
type Clock string

const (
	// ClockProvenance is when the task ended that made the statement, by a signed and trusted provenance: the word of the
	// cluster, in whole seconds. The pipeline around the task may end hours later and is no clock: a provenance that does
	// not tell when that task ended gives no time. Of several the first counts, and one without a time may be the first.
	ClockProvenance Clock = "provenance"

	// ClockPredicate is the time that the statement itself gives: scanFinishedOn, or timestamp. It is as good as who
	// vouches for it.
	ClockPredicate Clock = "predicate"
)

// latest returns the latest time of evidence that is tied: Time, or one in the same second.
func (e Evidence) latest() time.Time {
	latest := e.Time
	for _, tied := range e.Tied {
		if tied.Time.After(latest) {
			latest = tied.Time
		}
	}
	return latest
}

// compareTime is compareAge by time alone.
func compareTime(a, b Evidence) int {
	if a.Time.IsZero() != b.Time.IsZero() {
		if a.Time.IsZero() {
			return -1
		}
		return 1
	}
	return b.Time.Compare(a.Time)
}

// ties reports whether evidence that is not newer than another may be as new. A provenance tells whole seconds and leaves
// the rest out, so what it dates may be as new as all of that second.
func (e Evidence) ties(newest Evidence) bool {
	inSecond := e.Clock == ClockProvenance && e.Time.Equal(newest.Time.Truncate(time.Second))
	return inSecond || e.Time.Equal(newest.Time)
}

// age blames evidence that is older than it may be.
func (r *Resolver) age(e *Evidence) {
	now, most := r.opts.Now(), r.opts.MaxAge
	if most > 0 && !e.Time.IsZero() && e.Time.Before(now.Add(-most)) {
		e.addProblem(&Problem{Kind: Aged, Time: e.Time, Now: now, Within: most})
	}
}

// date tells the time by the first clock that knows it, and judges it.
func (r *Resolver) date(e *Evidence) {
	own := e.reading.Time
	for _, clock := range r.opts.Clocks {
		t := own
		if clock == ClockProvenance {
			t = e.maker.Finished
		}
		if !t.IsZero() {
			e.Time, e.Clock = t, clock
			break
		}
	}
	now, skew := r.opts.Now(), r.opts.Skew
	if e.Time.After(now.Add(skew)) {
		e.addProblem(&Problem{Kind: Future, Time: e.Time, Now: now, Within: skew})
	}
	if e.Time.IsZero() && e.Problem == nil {
		e.addProblem(&intoto.FieldError{Field: "Options.Clocks", Problem: "none of them knows the time of the statement"})
	}
	task := e.maker
	if task.Finished.IsZero() {
		task.Finished = e.firstEnd()
	}
	if !own.IsZero() && !task.Covers(own, skew) {
		e.addProblem(&Problem{Kind: Mistimed, Time: own, Started: task.Started, Finished: task.Finished, Within: skew})
	}
}

// firstEnd returns when the first task ended of those that tell when, and that a trusted provenance says to have named the
// evidence. It was there by then.
func (e *Evidence) firstEnd() (first time.Time) {
	for _, p := range e.signed() {
		if p.untrusted != nil {
			continue
		}
		for _, task := range p.Makers(p.manifest) {
			if end := task.Finished; !end.IsZero() && (first.IsZero() || end.Before(first)) {
				first = end
			}
		}
	}
	return first
}
