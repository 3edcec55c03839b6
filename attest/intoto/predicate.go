package intoto

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/testdag/testdag/attest/internal/fault"
)

// A Test is what evidence is grouped by.
type Test struct {
	// Name of a test-result is configuration[0].name, unless a trusted provenance gives another. A vulns predicate has no
	// name of its own: ours is the extension field named by TestField, and without that field the scanner.uri.
	//
	// A name is printable text of at most 512 bytes in Unicode's normal form NFC, without blanks around it and without
	// invisible characters. Names that differ only by case are different tests.
	Name          string
	PredicateType string // VulnsType or TestResultType
}

// A Predicate is a [Vulns] or a [TestResult]. Where one is read it is a value, not a pointer: p.(intoto.Vulns).
type Predicate interface {
	// PredicateType returns the TypeURI that goes into the statement.
	PredicateType() string

	// Validate returns every mistake that keeps the predicate from being written, each a [*FieldError].
	Validate() error

	// Named returns the predicate with its test's name written in.
	Named(test string) (Predicate, error)

	// check is Validate for what others wrote.
	check() error

	// When returns the time that decides what is newest, zero if there is none.
	When() time.Time

	// Outcome returns the verdict, if the predicate has one, and how much it found.
	Outcome() (Result, int)
}

// A Result is the verdict of a test.
type Result string

// The verdicts, worst last. Passed, Warned and Failed are those of test-result v0.1; Skipped and Errored are what Konflux
// adds to them.
const (
	Unknown Result = ""        // there is no verdict, as with Vulns, or nobody may believe it
	Passed  Result = "PASSED"  // also read: SUCCESS
	Warned  Result = "WARNED"  // also read: WARNING
	Skipped Result = "SKIPPED" // did not run, so nothing is known
	Failed  Result = "FAILED"  // also read: FAILURE
	Errored Result = "ERROR"   // could not tell
)

// Badness orders verdicts, worst highest. A text that is no verdict is like none.
func (r Result) Badness() int {
	return max(0, slices.Index([]Result{Passed, Unknown, Warned, Skipped, Failed, Errored}, r))
}

// UnmarshalText reads a verdict and turns the other spellings in use into ours. What it does not know it keeps, so that
// checking can name it.
func (r *Result) UnmarshalText(text []byte) error {
	switch string(text) {
	case "SUCCESS":
		*r = Passed
	case "WARNING":
		*r = Warned
	case "FAILURE":
		*r = Failed
	default:
		*r = Result(text)
	}
	return nil
}

// A Reading is a predicate as far as it can be understood. Even of a predicate that breaks its rules the test and the
// time are wanted, since it blocks that test.
type Reading struct {
	Test      string    // empty if it cannot be told
	Named     string    // field that names the test
	Time      time.Time // zero if it cannot be told
	Predicate Predicate // nil if problem says that it cannot be decoded
	Problem   error
}

// A reader understands one type of predicate.
type reader func(raw json.RawMessage, limits Limits) Reading

// readers lists the types of predicate that are evidence of a test.
var readers = map[string]reader{
	VulnsType:      readVulns,
	TestResultType: readTestResult,
}

// Understands reports whether statements of that predicate type are read as evidence of a test.
func Understands(predicateType string) bool { return readers[predicateType] != nil }

// ReadPredicate reads a predicate of a type that is understood, as far as that goes. Another type is the [Reading]'s
// Problem.
func ReadPredicate(predicateType string, raw json.RawMessage, limits Limits) Reading {
	read, ok := readers[predicateType]
	if !ok {
		return Reading{Problem: &FieldError{Field: "predicateType", Problem: fmt.Sprintf("%q is not one of VulnsType, TestResultType", predicateType)}}
	}
	return read(raw, limits)
}

// sketch decodes a few fields of raw into v, although other fields may have the wrong type.
func sketch(raw json.RawMessage, v any, limits Limits) bool {
	err := fault.Decode(raw, v, limits)
	var wrong *json.UnmarshalTypeError
	return err == nil || errors.As(err, &wrong)
}

// read decodes raw into the whole predicate p and checks it. Times have been checked before, by their spelling.
func read[P Predicate](r Reading, times fault.Checklist, raw json.RawMessage, limits Limits) Reading {
	var p P
	if len(times) > 0 {
		r.Problem = errors.Join(times...)
		return r
	}
	if err := fault.Decode(raw, &p, limits); err != nil {
		r.Problem = fault.Wrap("predicate", err)
		return r
	}
	r.Predicate, r.Problem = p, p.check()
	return r
}

// writable demands a time that evidence may have.
func writable(c *fault.Checklist, field string, t time.Time) {
	if t.IsZero() {
		c.Add(field, "required")
	} else if problem := yearProblem(t); problem != "" {
		c.Add(field, problem)
	}
}

// spelled refuses a time that is there and is not RFC 3339 to the letter, although package time reads it.
func spelled(c *fault.Checklist, field, text string) {
	if text == "" {
		return // it is required, or of another type, and is told as that
	}
	if _, err := parseInstant(text); err != nil {
		c.Add(field, err.Error())
	}
}
