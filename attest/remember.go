package attest

import (
	"context"
	"errors"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/internal/testname"
)

// remember holds the newest evidence of a test against the checkpoint, and moves that on to the evidence that decides. An
// error is the checkpoint's.
func (r *Resolver) remember(ctx context.Context, e *Evidence, deciding Evidence) error {
	if r.opts.Checkpoint == nil || testname.Problem(e.Test.Name) != "" || e.Test.PredicateType == "" {
		return nil
	}
	seen, err := r.opts.Checkpoint.Seen(ctx, e.Image, e.Test)
	if err != nil {
		return fault.Wrap("checkpoint", err)
	}
	lost := lostReferrers(seen, *e) // of what is ignored too: it was seen in that list
	seen = seen.Without(r.opts.UnsafeIgnoreStatements)
	if err := errors.Join(rolledBack(seen, deciding), lost); err != nil {
		e.addProblem(err)
		return nil
	}
	if e.Completeness == Unproven && !seen.IsZero() {
		e.Completeness = Remembered
	}
	next := seen.Merge(deciding.mark())
	if next.Equal(seen) {
		return nil
	}
	if err := r.opts.Checkpoint.Advance(ctx, e.Image, e.Test, next); err != nil {
		return fault.Wrap("checkpoint", err)
	}
	return nil
}

// mark returns what to remember of the evidence: what is vouched for, has a time, and is not of the future.
func (e Evidence) mark() checkpoint.Mark {
	if errors.Is(e.Problem, Future) {
		return checkpoint.Mark{}
	}
	var vouched []Evidence
	for _, tied := range e.tied() {
		if tied.VerifiedBy != (Identity{}) && !tied.Time.IsZero() {
			vouched = append(vouched, tied)
		}
	}
	var m checkpoint.Mark
	for _, one := range vouched {
		m = m.Merge(checkpoint.Mark{
			Time: Evidence{Tied: vouched}.latest(), Statements: []v1.Hash{one.Digest()}, Referrers: one.Sources.Referrers == SourceAnswered,
		})
	}
	return m
}

// tied returns all evidence of the same time, this included.
func (e Evidence) tied() []Evidence {
	if e.Statement == nil {
		return nil
	}
	if len(e.Tied) == 0 {
		return []Evidence{e}
	}
	return e.Tied
}

// rolledBack returns a [RolledBack] problem if the mark is not among the newest evidence although nothing newer came.
// Evidence without a time may be newer, and has a problem of its own.
func rolledBack(m checkpoint.Mark, newest Evidence) error {
	timeless := newest.Statement != nil && newest.Time.IsZero()
	if m.IsZero() || timeless || newest.latest().After(m.Time) {
		return nil
	}
	var gone []v1.Hash
	for _, statement := range m.Statements {
		there := func(e Evidence) bool { return e.Digest() == statement } // whichever clock decides by now
		if !slices.ContainsFunc(newest.tied(), there) {
			gone = append(gone, statement)
		}
	}
	if len(gone) == 0 && len(m.Statements) > 0 {
		return nil
	}
	return &Problem{Kind: RolledBack, Seen: m.Time, Records: gone, Time: newest.Time}
}

// lostReferrers returns a [ListGone] problem if the registry had the referrers API before and has none now. What was
// copied, proxied or switched off then may hide newer evidence that only the API leads to.
func lostReferrers(m checkpoint.Mark, newest Evidence) error {
	if !m.Referrers || newest.Sources.Referrers != SourceAbsent {
		return nil
	}
	return &Problem{Kind: ListGone, Seen: m.Time}
}
