package attest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// unreadable returns the problems of what cannot be read and may be newer than evidence that can.
func (r *Resolver) unreadable(nameless, of []Evidence) error {
	if r.opts.UnsafeIgnoreUnverified {
		return nil
	}
	var errs []error
	for _, e := range nameless {
		if !e.isOlder(of) {
			errs = append(errs, e.Problem)
		}
	}
	return errors.Join(errs...)
}

// mayBeOf reports whether evidence may be of the test because it could not be read, or its name could not.
func (e Evidence) mayBeOf(test intoto.Test) bool {
	if e.Test == (intoto.Test{}) || e.Statement == nil && e.Test == test {
		return true
	}
	return e.Test.PredicateType == test.PredicateType && e.Test.Name != test.Name && (e.Test.Name == "" || e.unnamed)
}

// isOlder reports whether a trusted provenance says that evidence is older than the newest that is understood. Its own
// word is not enough, since what it means is not known.
func (e Evidence) isOlder(of []Evidence) bool {
	newer := func(o Evidence) bool { return o.Predicate != nil && e.Time.Before(o.Time) && !e.ties(o) }
	return e.Clock == ClockProvenance && slices.ContainsFunc(of, newer)
}

// unreadable returns evidence that could not be read. If hints that are believed say of which test it is, it is of no other:
// a call that does not ask for that test would not have tried to read it.
func (s *search) unreadable(err *CandidateError, h referrers.Hints) Evidence {
	e := Evidence{Image: s.image, Manifest: err.Manifest, Problem: err}
	if h.Complete() && !s.ignoresHints() {
		e.Test = intoto.Test{Name: h.Test, PredicateType: h.PredicateType}
	}
	return e
}

// unknownVersion says why a statement of a later version, or of an earlier one, does not count, and what to do. Such a
// version may give its fields another meaning, so nothing is believed but the name of the test.
func unknownVersion(predicateType, understood string, payload []byte) error {
	return fmt.Errorf("its predicate type %.100q is not read by this release, which reads %s: upgrade, or name the statement %s in "+
		"Options.UnsafeIgnoreStatements", predicateType, understood, registry.Describe(payload, "").Digest)
}

// brokenPromise returns an error if hints promise evidence and there is none. Others were passed over because of the
// promise.
func brokenPromise(h referrers.Hints, found []Evidence) error {
	if !h.Complete() || len(found) > 0 {
		return nil
	}
	return &intoto.FieldError{Field: "annotations", Problem: "they promise a statement that is not there"}
}

// contradicted says where the hints that led to a statement are wrong, if they say of which test it is and when it was
// made. Others may have been passed over because of them.
func contradicted(h referrers.Hints, predicateType string, r intoto.Reading) error {
	if !h.Complete() {
		return nil
	}
	if h.PredicateType != predicateType {
		problem := fmt.Sprintf("%q, and the statement says %q", h.PredicateType, predicateType)
		return &intoto.FieldError{Field: "annotations." + AnnotationPredicateType, Problem: problem}
	}
	var c fault.Checklist
	if h.Test != r.Test {
		c.Add("annotations."+AnnotationTest, fmt.Sprintf("%q, and the statement says %q", h.Test, r.Test))
	}
	if !h.Created.Equal(r.Time) {
		c.Add("annotations."+AnnotationCreated, fmt.Sprintf("%s, and the statement says %s", h.Created, r.Time))
	}
	return errors.Join(c...)
}
