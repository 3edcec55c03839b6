package scheduler

// A record is a [Status] without the basis and the artifacts: what was observed of one scenario, and of it alone.
type record struct {
	run, want, cancel int
	phase             Phase
	forced, force     bool
}

// fit takes numbers that no run can have as the nearest ones, or as 0, which is no run.
func (r *record) fit() {
	for _, n := range []*int{&r.run, &r.want, &r.cancel} {
		*n = min(max(0, *n), maxNumber)
	}
}

// live reports whether the newest run is not known to be over.
func (r *record) live() bool { return r.run > 0 && r.phase == PhaseRunning }

// newest is the number of the newest run there is: started, asked for, or canceled before it started.
func (r *record) newest() int { return max(r.run, r.want, r.cancel) }

// next is the number of the run to start: the one that was asked for, or the one after the newest. Nothing comes after
// maxNumber.
func (r *record) next() int { return max(r.want, min(max(r.run, r.cancel), maxNumber-1)+1) }

// asked reports whether a person asked for a newer run than there is.
func (r *record) asked() bool { return r.want > r.run }

// canceled returns the run that a person canceled, unless a newer one was asked for.
func (r *record) canceled() (run int, ok bool) {
	switch {
	case r.cancel > 0 && r.cancel >= r.run && r.cancel >= r.want:
		return r.cancel, true
	case r.run > 0 && r.phase == PhaseCanceled && !r.asked():
		return r.run, true
	}
	return 0, false
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
