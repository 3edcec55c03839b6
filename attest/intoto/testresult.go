package intoto

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/testdag/testdag/attest/internal/fault"
)

// TestResultType is the predicate type of [TestResult].
const TestResultType = "https://in-toto.io/attestation/test-result/v0.1"

// TestResult is how a test ended. Format: in-toto attestation framework, predicate Test Result v0.1, with the fields
// that Konflux adds to it: a timestamp, without which nobody could say which result is the newest, counts, and a note.
//
// A run that was skipped or could not tell must leave one too, or an older pass stays the newest. The specification has no
// word for that; the two that Konflux uses are written, and in-toto's own types read them, since there a result is any text.
type TestResult struct {
	Result        Result               `json:"result"`        // Passed, Warned, Skipped, Failed or Errored
	Configuration []ResourceDescriptor `json:"configuration"` // what was run; the name of the first is the name of the test
	URL           string               `json:"url,omitempty"`
	PassedTests   []string             `json:"passedTests,omitempty"`
	WarnedTests   []string             `json:"warnedTests,omitempty"`
	FailedTests   []string             `json:"failedTests,omitempty"`

	Timestamp time.Time `json:"timestamp"` // when the test ended, required; written in UTC
	Successes int       `json:"successes"`
	Failures  int       `json:"failures"` // more than 0 contradicts Passed and Warned
	Warnings  int       `json:"warnings"`
	Note      string    `json:"note,omitempty"` // for people: why the result is what it is
}

// PredicateType returns [TestResultType].
func (r TestResult) PredicateType() string { return TestResultType }

// Validate returns every mistake, each a [*FieldError].
func (r TestResult) Validate() error {
	var c fault.Checklist
	if len(r.Configuration) > 0 && r.Configuration[0].Name != "" {
		c.TestName("configuration[0].name", r.Configuration[0].Name)
	}
	return errors.Join(append(c, r.check())...)
}

func (r TestResult) check() error {
	var c fault.Checklist
	switch r.Result {
	case Passed, Warned, Failed, Errored, Skipped:
	case Unknown:
		c.Add("result", "required")
	default:
		c.Add("result", fmt.Sprintf("%q is not one of PASSED, WARNED, SKIPPED, FAILED, ERROR", r.Result))
	}
	c.Require("configuration", len(r.Configuration) > 0)
	for i, d := range r.Configuration {
		d.validate(&c, fmt.Sprintf("configuration[%d]", i))
	}
	c.Require("configuration[0].name", len(r.Configuration) == 0 || r.Configuration[0].Name != "")
	writable(&c, "timestamp", r.Timestamp)
	r.checkCounts(&c)
	return errors.Join(c...)
}

// checkCounts refuses a verdict that its own numbers contradict: one reader would believe the verdict, another the
// numbers.
func (r TestResult) checkCounts(c *fault.Checklist) {
	for _, n := range []struct {
		field string
		count int
	}{{"successes", r.Successes}, {"failures", r.Failures}, {"warnings", r.Warnings}} {
		if n.count < 0 {
			c.Add(n.field, "negative")
		}
	}
	if (r.Result == Passed || r.Result == Warned) && (r.Failures > 0 || len(r.FailedTests) > 0) {
		c.Add("result", fmt.Sprintf("%s although tests failed", r.Result))
	}
}

func (d ResourceDescriptor) validate(c *fault.Checklist, field string) {
	if d.Name == "" && d.URI == "" && len(d.Digest) == 0 && len(d.Content) == 0 {
		c.Add(field, "names nothing")
	}
	checkDigests(c, field+".digest", d.Digest)
}

// MarshalJSON writes the timestamp in UTC.
func (r TestResult) MarshalJSON() ([]byte, error) {
	type plain TestResult
	r.Timestamp = r.Timestamp.UTC()
	return json.Marshal(plain(r))
}

// Named returns r with the test in configuration[0].name. A name that is there and is another is a [*FieldError].
func (r TestResult) Named(test string) (Predicate, error) {
	if len(r.Configuration) == 0 {
		r.Configuration = []ResourceDescriptor{{Name: test}}
	}
	if name := r.Configuration[0].Name; name != test {
		return nil, &FieldError{Field: "configuration[0].name", Problem: fmt.Sprintf("%q is not the test %q", name, test)}
	}
	return r, nil
}

// When returns the timestamp.
func (r TestResult) When() time.Time { return r.Timestamp }

// Outcome returns the result, and how many tests failed.
func (r TestResult) Outcome() (Result, int) { return r.Result, r.Failures }

// readTestResult reads a test-result as far as that goes.
func readTestResult(raw json.RawMessage, limits Limits) Reading {
	var s struct {
		Configuration []struct {
			Name string `json:"name"`
		} `json:"configuration"`
		Timestamp string `json:"timestamp"`
	}
	r := Reading{Named: "configuration[0].name"}
	var times fault.Checklist
	if sketch(raw, &s, limits) {
		spelled(&times, "timestamp", s.Timestamp)
		r.Time = ParseTime(s.Timestamp)
		if len(s.Configuration) > 0 {
			r.Test = s.Configuration[0].Name
		}
	}
	return read[TestResult](r, times, raw, limits)
}
