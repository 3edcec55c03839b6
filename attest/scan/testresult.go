package scan

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"math"
	"strings"
	"time"

	"github.com/testdag/testdag/attest"
)

// A tally is what a report says of tests, one after the other.
type tally struct {
	limits  Limits
	result  attest.TestResult
	errors  int // tests that could not tell; they count as failures too, since a test-result has no number for them
	skipped int
	names   int
}

func (t *tally) pass(name string) error {
	t.result.Successes++
	return t.name(&t.result.PassedTests, name)
}

func (t *tally) warn(name string) error {
	t.result.Warnings++
	return t.name(&t.result.WarnedTests, name)
}

func (t *tally) fail(name string) error {
	t.result.Failures++
	return t.name(&t.result.FailedTests, name)
}

func (t *tally) error(name string) error {
	t.errors++
	return t.fail(name)
}

// name adds to one of the lists, which are bounded together.
func (t *tally) name(list *[]string, name string) error {
	if t.names++; t.names > t.limits.Findings {
		return overFindings(t.limits, t.names)
	}
	*list = append(*list, strings.ToValidUTF8(name, "\uFFFD"))
	return nil
}

func overFindings(limits Limits, got int) error {
	return &attest.LimitError{What: "findings", Limit: int64(limits.Findings), Got: int64(got)}
}

// verdict is the worst of what was counted. Tests that were skipped beside others do not change it.
func (t *tally) verdict() attest.Result {
	switch r := t.result; {
	case t.errors > 0:
		return attest.Errored
	case r.Failures > 0:
		return attest.Failed
	case r.Warnings > 0:
		return attest.Warned
	case r.Successes > 0:
		return attest.Passed
	}
	return attest.Skipped
}

// predicate returns what was counted, of a test that ended at the time that the report says, zero if it does not.
func (t *tally) predicate(format Format, reported time.Time, opts Options) (attest.Predicate, error) {
	ended, err := endOf(format, reported, opts)
	if err != nil {
		return nil, err
	}
	t.result.Result, t.result.Timestamp = t.verdict(), ended
	return t.result, nil
}

// endOf is when a test ended: what the report says, otherwise what the caller does.
func endOf(format Format, reported time.Time, opts Options) (time.Time, error) {
	switch {
	case !reported.IsZero():
		return reported.UTC(), nil
	case !opts.Finished.IsZero():
		return opts.Finished.UTC(), nil
	}
	return time.Time{}, &LackError{Format: format, Field: "timestamp", Option: "Finished"}
}

// eachLine calls visit for each line, without its end, counted from 1. Where in fails within a line, visit gets the
// part before that, so the failure goes before whatever visit says of it.
func eachLine(in io.Reader, limits Limits, visit func(n int, line string) error) error {
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, int(min(limits.ValueBytes, math.MaxInt-1))+1)
	for n := 1; sc.Scan(); n++ {
		if err := visit(n, sc.Text()); err != nil {
			return cmp.Or(sc.Err(), err)
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return overValue(limits)
	}
	return sc.Err()
}

func overValue(limits Limits) error {
	return &attest.LimitError{What: "value bytes", Limit: limits.ValueBytes, Got: limits.ValueBytes + 1}
}
