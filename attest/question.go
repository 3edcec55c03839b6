package attest

import (
	"slices"
	"time"

	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/testname"
)

// A question says what a call wants to know of an image.
type question struct {
	tests    []intoto.Test   // none: everything
	manifest map[string]bool // records that are looked at in any case, by digest
	everyAge bool            // not only the newest
	noHints  bool            // annotations are not to be believed
}

func (r *Resolver) ask(tests []intoto.Test) question {
	q := question{tests: tests, manifest: map[string]bool{}}
	for _, x := range r.expect {
		if len(tests) > 0 && !slices.ContainsFunc(tests, func(t intoto.Test) bool { return t.Name == x.Test }) {
			continue
		}
		for _, digest := range x.Records {
			q.manifest[digest.String()] = true
		}
		for _, a := range x.Elsewhere {
			q.manifest[a.Digest] = true
		}
	}
	q.noHints = r.ignoresHints()
	q.everyAge = r.opts.UnsafeIgnoreUnverified
	return q
}

// ignoresHints reports whether everything is read. A record that is ignored must not be what others are passed over
// for.
func (r *Resolver) ignoresHints() bool {
	return len(r.provenance)+len(r.opts.UnsafeIgnoreStatements) > 0
}

// pick returns what may be, or may hold, an answer. It passes over what hints say to be of another test, or older than
// a record of the same. A record that others were passed over for must hold what it promises, see search.record;
// cosign's view, which anybody may rewrite, is nothing to pass over a record for.
func (q question) pick(l referrers.Listing, view referrers.View) (pointers []referrers.Pointer, layers []referrers.Lead) {
	newest := map[intoto.Test]time.Time{}
	for _, p := range l.Pointers {
		if t := (intoto.Test{Name: p.Hints.Test, PredicateType: p.Hints.PredicateType}); p.Hints.Created.After(newest[t]) {
			newest[t] = p.Hints.Created
		}
	}
	for _, p := range l.Pointers {
		if q.manifest[p.Ref] || q.wants(p.Hints, newest) {
			pointers = append(pointers, p)
		}
	}
	for _, layer := range view.Layers {
		if h := referrers.ReadHints(layer.Annotations); q.wants(h, newest) {
			layers = append(layers, referrers.Lead{Manifest: view.Digest, Layer: layer, Hints: h})
		}
	}
	return pointers, layers
}

func (q question) wants(h referrers.Hints, newest map[intoto.Test]time.Time) bool {
	if q.noHints || h.PredicateType == "" {
		return true
	}
	family := intoto.Family(h.PredicateType)
	if family == "" {
		return false
	}
	if family != h.PredicateType || h.Misnamed() {
		return true // it may be of any test, and newer than all
	}
	if len(q.tests) == 0 {
		return q.everyAge || !h.Complete() || !h.Created.Before(newest[intoto.Test{Name: h.Test, PredicateType: h.PredicateType}])
	}
	if !h.Complete() {
		return slices.ContainsFunc(q.tests, func(t intoto.Test) bool {
			return t.PredicateType == h.PredicateType || overrules(h.PredicateType, t)
		})
	}
	t := intoto.Test{Name: h.Test, PredicateType: h.PredicateType}
	recent := func(than intoto.Test) bool { return q.everyAge || !h.Created.Before(newest[than]) }
	return recent(t) && slices.ContainsFunc(q.tests, func(test intoto.Test) bool {
		return test == t || testname.Alike(test.Name, t.Name) || test.Name == t.Name && overrules(t.PredicateType, test) && recent(test)
	})
}

// overrules reports whether evidence of that predicate type can overrule the newest of the test, see Resolver.overrule.
func overrules(predicateType string, test intoto.Test) bool {
	return predicateType == intoto.TestResultType && test.PredicateType == intoto.VulnsType
}
