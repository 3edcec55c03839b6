package scan

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"math"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/intoto"
)

// A tally is what a report says of tests, one after the other.
type tally struct {
	limits  Limits
	result  intoto.TestResult
	errors  int // tests that could not tell; they count as failures too, since a test-result has no number for them
	skipped int
	names   int
}

// count counts a test that ended so. The names are bounded together.
func (t *tally) count(how intoto.Result, name string) error {
	number, names := &t.result.Successes, &t.result.PassedTests
	switch how {
	case intoto.Skipped:
		t.skipped++
		return nil
	case intoto.Warned:
		number, names = &t.result.Warnings, &t.result.WarnedTests
	case intoto.Errored:
		t.errors++
		fallthrough
	case intoto.Failed:
		number, names = &t.result.Failures, &t.result.FailedTests
	}
	*number++
	return t.name(names, name)
}

func (t *tally) name(list *[]string, name string) error {
	if t.names++; t.names > t.limits.Findings {
		return overFindings(t.limits, t.names)
	}
	*list = append(*list, strings.ToValidUTF8(name, "\uFFFD"))
	return nil
}

func overFindings(limits Limits, got int) error {
	return &intoto.LimitError{What: "findings", Limit: int64(limits.Findings), Got: int64(got)}
}

// verdict is the worst of what was counted. Tests that were skipped beside others do not change it.
func (t *tally) verdict() intoto.Result {
	switch r := t.result; {
	case t.errors > 0:
		return intoto.Errored
	case r.Failures > 0:
		return intoto.Failed
	case r.Warnings > 0:
		return intoto.Warned
	case r.Successes > 0:
		return intoto.Passed
	}
	return intoto.Skipped
}

// predicate returns what was counted, of a test that ended at the time that the report says, zero if it does not.
func (t *tally) predicate(format Format, reported time.Time, opts Options) (intoto.Predicate, error) {
	if r := t.result; r.Successes+r.Warnings+r.Failures+t.skipped == 0 {
		return nil, &NotRunError{Format: format, Reason: "no test ran"}
	}
	t.result.Result = t.verdict()
	return timed(t.result, format, reported, opts)
}

// timed returns a result with its time: that of the report, otherwise that of the caller. A test that could not tell is no
// reason to ask for one, since its evidence must not wait.
func timed(r intoto.TestResult, format Format, reported time.Time, opts Options) (intoto.Predicate, error) {
	r.Timestamp = cmp.Or(reported, opts.Finished).UTC()
	switch {
	case !r.Timestamp.IsZero():
		return r, nil
	case r.Result == intoto.Errored:
		return nil, &NotRunError{Format: format, Reason: "it says that the test could not tell, and not when"}
	}
	return nil, &LackError{Format: format, Field: "timestamp", Option: "Finished"}
}

// eachLine calls visit for each line, without its end, counted from 1. Where in fails within a line, visit gets the
// part before that, so the failure goes before whatever visit says of it.
func eachLine(in io.Reader, limits Limits, visit func(n int, line string) error) error {
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, int(min(limits.ValueBytes, math.MaxInt-1))+1)
	for n := 1; sc.Scan(); n++ {
		if err := visit(n, strings.TrimSuffix(sc.Text(), "\r")); err != nil {
			return cmp.Or(sc.Err(), err)
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return overValue(limits)
	}
	return sc.Err()
}

func overValue(limits Limits) error {
	return &intoto.LimitError{What: "value bytes", Limit: limits.ValueBytes, Got: limits.ValueBytes + 1}
}
