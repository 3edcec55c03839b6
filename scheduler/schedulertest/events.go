package schedulertest

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/testdag/testdag/scheduler"
)

// observe tells what an event changes in what was observed: a second telling of scheduler.Snapshot.Observe. It returns
// another snapshot, and whether it differs.
func observe(s scheduler.Snapshot, e scheduler.Event) (after scheduler.Snapshot, changed bool) {
	st := counted(s[e.Ref.ID])
	if e.Ref.ID == "" || e.Ref.Run < 0 || e.Ref.Run > max(1<<30, nextRun(st)) {
		return s, false
	}
	switch e.Kind {
	case scheduler.EventNews:
		st, changed = news(st, e)
	case scheduler.EventRerun:
		st, changed = request(st, e.Ref.Run, false)
	case scheduler.EventForce:
		st, changed = request(st, e.Ref.Run, true)
	case scheduler.EventCancel:
		st, changed = cancel(st, e.Ref.Run)
	}
	if !changed {
		return s, false
	}
	after = scheduler.Snapshot{}
	maps.Copy(after, s)
	after[e.Ref.ID] = st
	return after, true
}

// news: of an older run, repeated, or of no phase it changes nothing. A run that is over stays as it ended. What a run
// stands on, that it was forced, and what it left may be learned later than the run itself; what it left, bit by bit.
func news(st scheduler.Status, e scheduler.Event) (scheduler.Status, bool) {
	run := e.Ref.Run
	phases := []scheduler.Phase{scheduler.PhaseRunning, scheduler.PhasePassed, scheduler.PhaseFailed,
		scheduler.PhaseCanceled, scheduler.PhaseStopped}
	if run < 1 || run < st.Run || !slices.Contains(phases, e.Phase) {
		return st, false
	}
	basis, artifacts := sorted(e.Basis), kept(e.Artifacts)
	if run > st.Run {
		st = scheduler.Status{Run: run, Phase: e.Phase, Forced: e.Forced, Basis: basis, Artifacts: artifacts,
			Want: st.Want, Force: st.Force && st.Want > run, Cancel: st.Cancel}
		return st, true
	}
	changed := false
	if live(st) && e.Phase != scheduler.PhaseRunning {
		st.Phase, changed = e.Phase, true
	}
	if e.Forced && !st.Forced {
		st.Forced, changed = true, true
	}
	if len(st.Basis) == 0 && len(basis) > 0 {
		st.Basis, changed = basis, true
	}
	if all := kept(append(slices.Clone(st.Artifacts), artifacts...)); !slices.Equal(all, st.Artifacts) {
		st.Artifacts, changed = all, true
	}
	return st, changed
}

// request: a rerun, or a forced one, of the newest run. Of an older run it changes nothing, nor does one of a live run
// that no person canceled. One that was forced stays so when it is asked for again.
func request(st scheduler.Status, run int, force bool) (scheduler.Status, bool) {
	isOlder := run < max(st.Run, st.Cancel)
	goesOn := live(st) && canceledByPerson(st) == 0 && !asked(st)
	if isOlder || goesOn {
		return st, false
	}
	if next := nextRun(st); st.Want < next {
		st.Want, st.Force = next, force
		return st, true
	}
	if force && !st.Force {
		st.Force = true
		return st, true
	}
	return st, false
}

// cancel: of the newest run, whether it was started, asked for or canceled before; of a scenario without one it takes
// run 1.
func cancel(st scheduler.Status, run int) (scheduler.Status, bool) {
	newest := max(st.Run, st.Want, st.Cancel)
	if run < newest || st.Cancel >= max(newest, 1) {
		return st, false
	}
	st.Cancel = max(newest, 1)
	return st, true
}

// kept returns what is kept of artifacts: by URI and digest, each once, at most 64, without those that are not what they
// should be.
func kept(artifacts []scheduler.Artifact) (list []scheduler.Artifact) {
	for _, a := range artifacts {
		uri, digest := len(a.URI), len(a.Digest)
		if uri < 1 || uri > 512 || digest < 1 || digest > 256 || !utf8.ValidString(a.URI) || !utf8.ValidString(a.Digest) {
			continue
		}
		at, found := slices.BinarySearchFunc(list, a, byURI)
		if !found {
			list = slices.Insert(list, at, a)
		}
	}
	return list[:min(len(list), 64)]
}

func byURI(a, b scheduler.Artifact) int {
	if a.URI != b.URI {
		return strings.Compare(a.URI, b.URI)
	}
	return strings.Compare(a.Digest, b.Digest)
}

// sorted returns a basis by ascending ID, of several runs of one scenario the newest, without what names no run.
func sorted(basis []scheduler.Ref) []scheduler.Ref {
	newest := scheduler.Snapshot{}
	for _, r := range basis {
		if r.ID == "" || r.Run < 1 {
			continue
		}
		newest[r.ID] = scheduler.Status{Run: max(r.Run, newest[r.ID].Run)}
	}
	var list []scheduler.Ref
	for id, st := range newest {
		list = append(list, scheduler.Ref{ID: id, Run: st.Run})
	}
	slices.SortFunc(list, byID)
	return list
}
