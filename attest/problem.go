package attest

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
)

// A ProblemKind says in one word why evidence must not be believed. It is an error, so that
// errors.Is(evidence.Problem, attest.Unverified) asks for it.
type ProblemKind string

const (
	// Unverified: nobody whom the [Verifier] believes vouches for the statement. Manifest holds it; Err is what the
	// Verifier said.
	Unverified ProblemKind = "unverified"

	// Future: it says that it was made later than now. Believing it would pin it as the newest. Time is the statement's,
	// Now this machine's, Within how far clocks may differ.
	Future ProblemKind = "future"

	// Misnamed: it says that it is of one test, Declared, although a signed provenance says that the task of another made
	// it, Task. It counts for the other if that provenance is trusted, and otherwise for the one that it says. For the
	// test that it does not count for nothing is certain.
	Misnamed ProblemKind = "misnamed"

	// Mistimed: it gives a time outside the run of the task that made it, as the signed provenance has it. Time is the
	// statement's own; Started and Finished are the task's, only Finished, of another task that named it, if nothing says
	// when it ran; Within is how far clocks may differ.
	Mistimed ProblemKind = "mistimed"

	// Aged: the newest evidence is older than [Options.MaxAge], so the test has to run again. Time is the evidence's,
	// Within the age that is allowed.
	Aged ProblemKind = "aged"

	// Missing: a run is over and its evidence is not there: it was never written, or was deleted. Expect is the run,
	// Records are those that are not at the image, or are no evidence of the test, Time is of the evidence that is there,
	// zero if there is none.
	Missing ProblemKind = "missing"

	// Overruled: vulns do not count, since a test-result of the same test is not older and is no pass: the scan ran again
	// and could not tell, or failed. Newer vulns answer it. Manifest holds the test-result; Time and Result are what it
	// says, zero and [intoto.Unknown] if that cannot be told; Err is why it does not count either, nil if it does.
	Overruled ProblemKind = "overruled"

	// RolledBack: the newest evidence was seen before, by the Checkpoint, and is gone. Seen is the time of what was seen,
	// Records are the SHA-256 of the statements that are gone, or no longer count as newest, Time is of the evidence that
	// is there now, zero if there is none.
	RolledBack ProblemKind = "rolled back"

	// ListGone: the registry had the referrers API when the Checkpoint was moved on, and has none now. Newer evidence may
	// hide in it. Seen is the time of the newest evidence that was seen while it was there.
	ListGone ProblemKind = "list gone"
)

func (k ProblemKind) Error() string { return "attest: " + string(k) }

// A Problem is a reason not to believe evidence, or a [Build]. Its Kind says which of the other fields it fills.
// errors.Is tells whether an error holds one of a kind.
type Problem struct {
	Kind     ProblemKind
	Manifest v1.Hash
	Records  []v1.Hash
	Expect   Expect
	Result   intoto.Result

	Time, Now, Seen   time.Time
	Started, Finished time.Time
	Within            time.Duration

	Declared, Task string

	Err error
}

// Is reports whether target is the kind of the problem.
func (p *Problem) Is(target error) bool { return target == error(p.Kind) }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

func (p *Problem) Error() string {
	tell, ok := problems[p.Kind]
	if !ok {
		return p.Kind.Error()
	}
	return "attest: " + tell(p)
}

// problems says what each kind of problem is, and what to do.
var problems = map[ProblemKind]func(*Problem) string{
	Unverified: (*Problem).unverified,
	Future: func(p *Problem) string {
		return fmt.Sprintf("time %s is later than %s and a skew of %s", fault.Stamp(p.Time), fault.Stamp(p.Now), p.Within)
	},
	Misnamed: func(p *Problem) string {
		return fmt.Sprintf("a statement that calls itself %+q was made by the task %q", p.Declared, p.Task)
	},
	Mistimed: (*Problem).mistimed,
	Aged: func(p *Problem) string {
		return fmt.Sprintf("the newest evidence, of %s, is older than %s: the test has to run again", fault.Stamp(p.Time), p.Within)
	},
	Missing:    (*Problem).missing,
	Overruled:  (*Problem).overruled,
	RolledBack: (*Problem).rolledBack,
	ListGone: func(p *Problem) string {
		return fmt.Sprintf("the registry had a referrers API when evidence of %s was seen, and has none now: ask the registry itself rather "+
			"than a proxy or a copy of it, or begin a new Checkpoint if it has given the API up", fault.Stamp(p.Seen))
	},
}

func (p *Problem) unverified() string {
	digest := p.Manifest.String()
	// What is attached to the manifest speaks of it in the same words.
	why := strings.ReplaceAll(" "+fault.Cause(p.Err, digest), " "+digest, " the statement's manifest")
	return fmt.Sprintf("nobody vouches for the statement in manifest %s:%s", digest, why)
}

func (p *Problem) mistimed() string {
	if p.Started.IsZero() {
		return fmt.Sprintf("time %s is later than %s, when a task that named it had ended, and a skew of %s",
			fault.Stamp(p.Time), fault.Stamp(p.Finished), p.Within)
	}
	return fmt.Sprintf("time %s is not within the run of its task from %s to %s and a skew of %s",
		fault.Stamp(p.Time), fault.Stamp(p.Started), fault.Stamp(p.Finished), p.Within)
}

func (p *Problem) missing() string {
	run := cmp.Or(p.Expect.Run, "a run of "+p.Expect.Test)
	const remedy = ": copy it here if it is elsewhere, or run the test again"
	switch {
	case len(p.Records) > 0:
		return fmt.Sprintf("the evidence of %s is missing: record %s is not at the image, or is no evidence of %q",
			run, p.Records[0], p.Expect.Test) + remedy
	case !p.Expect.NotBefore.IsZero():
		return fmt.Sprintf("the evidence of %s is missing: there is none since %s", run, fault.Stamp(p.Expect.NotBefore)) + remedy
	case len(p.Expect.Elsewhere) > 0:
		first := p.Expect.Elsewhere[0]
		return fmt.Sprintf("%s is over and left no evidence that is known of: none of its artifacts is at the image, the first is %s@%s",
			run, first.URI, first.Digest) + remedy
	}
	return fmt.Sprintf("%s is over and left no evidence that is known of: let its results name the record, or run the test again", run)
}

func (p *Problem) overruled() string {
	text := "a test-result"
	if !p.Time.IsZero() {
		text += " of " + fault.Stamp(p.Time)
	}
	why, digest := "says "+string(p.Result)+": the scan has to run again", p.Manifest.String()
	if p.Err != nil {
		why = "does not count: " + fault.Cause(p.Err)
	}
	if !strings.Contains(why, digest) {
		text += " in manifest " + digest
	}
	return text + " is not older and " + why
}

func (p *Problem) rolledBack() string {
	text := fmt.Sprintf("evidence of %s was seen before and is gone", fault.Stamp(p.Seen))
	if len(p.Records) > 0 {
		text += " (statement " + p.Records[0].String() + ")"
	}
	return text + ": restore it, or run the test again"
}
