package attest

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// A Completeness says what shows that nothing newer has been deleted.
type Completeness string

const (
	// Unproven: nothing does. What was deleted cannot be seen in what is left.
	Unproven Completeness = ""

	// Remembered: the newest that the Checkpoint has seen is there, or something newer is. What was never seen may have
	// been deleted.
	Remembered Completeness = "checkpoint"

	// Expected: the evidence of every run of the test that was expected is there, and is not newer than this.
	Expected Completeness = "expected"
)

// Evidence is a statement found at an image, with who vouches for it and when it was made.
//
// It counts only if Problem is nil, see [Evidence.Err]. The other fields are filled as far as they can be told, so that
// the reason can be shown.
type Evidence struct {
	Test       intoto.Test // its name is that of the task in a trusted provenance, if that tells one; its type one that is understood
	Declared   string      // name that the statement gives itself, if that is another
	Image      name.Digest
	Manifest   v1.Hash           // manifest that holds the statement: its record, or cosign's .att manifest if it has no record
	Statement  *intoto.Statement // nil if it could not be read; its PredicateType may be a version that is not understood
	Predicate  intoto.Predicate  // an intoto.Vulns or an intoto.TestResult, no pointer to one; nil if it could not be decoded
	Result     intoto.Result     // verdict of an intoto.TestResult; intoto.Unknown for Vulns, and while Problem is not nil
	Time       time.Time         // zero if there is none
	Clock      Clock             // where Time comes from, empty if Time is zero
	VerifiedBy Identity          // who vouches for it, zero if nobody does

	// Provenance is the signed one that is attached to Manifest, trusted or not; nil if there is none, or if the Resolver
	// was not asked to look, see [ByProvenance].
	Provenance *provenance.Provenance

	// Sources are the lists that were read to find it.
	Sources Sources

	// Ignored are the statements that are at the image and were passed over, since Options.UnsafeIgnoreStatements or
	// [Resolver.UnsafeIgnoring] names them, in the order of their digests.
	Ignored []v1.Hash

	// Completeness says what is known of newer evidence that may have been deleted. It is set by [Resolver.Newest] and
	// [Resolver.NewestAll].
	Completeness Completeness

	// Alike names other tests found at the image, vouched for or not, whose names differ from that of the test only by
	// letters of another script that look the same, as a Cyrillic "a" does. They are other tests, but perhaps by mistake.
	// It is set by [Resolver.Newest] and [Resolver.NewestAll].
	Alike []string

	// Problem is why the evidence must not be believed, several joined: a *CandidateError if it could not be read, a
	// *intoto.FieldError for each mistake in it, a *Problem of each kind that applies. errors.Is asks for a
	// [ProblemKind], and errors.As for a type.
	Problem error

	// Tied holds all evidence of the same time, this included and worst first, if there is more than one. What a provenance
	// dates, in whole seconds, has the same time as all of that second. Two vulns have no verdict to compare, so a policy
	// judges each.
	Tied []Evidence

	payload   []byte
	envelopes []Candidate    // every envelope found around payload
	reading   intoto.Reading // of the predicate

	look, declaredLook string          // what Test.Name and Declared look like if no test may have them
	maker              provenance.Task // by a trusted Provenance: it decides test and time. Zero if there is none
	unnamed            bool            // the name is that of maker alone, since none could be read
	claims             []string        // names of other tasks that a signed provenance, trusted or not, says to have made it
	failed             bool            // there is none, and the error beside it says why
}

// Err returns why the evidence must not be believed: Problem. The zero Evidence gives an error that wraps
// [ErrNotFound], unless a call returned it with an error, which then says all. So errors.Join(err, e.Err()) is all that
// a caller of [Resolver.Newest] or [Resolver.All] looks at, and e.Err() for each element that [Resolver.NewestAll]
// returns.
func (e Evidence) Err() error {
	if e.Problem != nil || e.Statement != nil || e.failed {
		return e.Problem
	}
	return fault.Wrap("evidence", ErrNotFound)
}

// Digest returns the SHA-256 digest of the statement, by which [Options.UnsafeIgnoreStatements] names it; zero if it
// could not be read.
func (e Evidence) Digest() v1.Hash {
	if e.payload == nil {
		return v1.Hash{}
	}
	return registry.Describe(e.payload, "").Digest
}

// compareAge orders evidence newest first. What has no time may be the newest, so it comes before all.
func compareAge(a, b Evidence) int {
	return cmp.Or(compareTime(a, b), compareWorst(a, b))
}

// compareWorst orders evidence worst first: what has a problem, then by verdict, then by how much was found. The last
// resort only makes the order fixed.
func compareWorst(a, b Evidence) int {
	if (a.Problem != nil) != (b.Problem != nil) {
		if a.Problem != nil {
			return -1
		}
		return 1
	}
	aVerdict, aFound := a.outcome()
	bVerdict, bFound := b.outcome()
	return cmp.Or(
		cmp.Compare(bVerdict.Badness(), aVerdict.Badness()),
		cmp.Compare(bFound, aFound),
		cmp.Compare(a.Manifest.Hex, b.Manifest.Hex),
		slices.Compare(a.payload, b.payload),
	)
}

// outcome is the predicate's own, believed or not.
func (e Evidence) outcome() (intoto.Result, int) {
	if e.Predicate == nil {
		return intoto.Unknown, 0
	}
	return e.Predicate.Outcome()
}

// addProblem adds a problem.
func (e *Evidence) addProblem(err error) { e.Problem = errors.Join(e.Problem, err) }
