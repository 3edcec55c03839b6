package pipelinerun

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/testdag/testdag/internal/strictjson"
)

// testOutputNames are the results of a task that are a TEST_OUTPUT. The second name is the older one.
var testOutputNames = []string{"TEST_OUTPUT", "HACBS_TEST_OUTPUT"}

// What a TEST_OUTPUT says that a test came to.
const (
	ResultSuccess = "SUCCESS"
	ResultFailure = "FAILURE"
	ResultWarning = "WARNING"
	ResultSkipped = "SKIPPED"
	ResultError   = "ERROR" // the test could not tell
)

var results = []string{ResultSuccess, ResultFailure, ResultWarning, ResultSkipped, ResultError}

// A TestOutput is what a task says of its test in the result TEST_OUTPUT, in the form of decision record 30 of Konflux:
//
//	{"result":"FAILURE","timestamp":"2026-03-01T12:00:00Z","successes":1,"failures":2,"warnings":0}
//
// Its namespace and note are for people, and are not kept.
type TestOutput struct {
	Result                        string    // one of the constants here, if nothing else was written
	Time                          time.Time // when the test ended; zero if that is not said
	Successes, Failures, Warnings int
}

// Counted returns the result, or what the counts say if that is worse, as Conforma has it: with failures it is FAILURE,
// unless the test could not tell, and SUCCESS with warnings is WARNING. The integration-service does not look at the
// counts, and neither does [Judge].
func (o TestOutput) Counted() string {
	switch {
	case o.Failures != 0 && slices.Contains([]string{ResultSuccess, ResultWarning, ResultSkipped}, o.Result):
		return ResultFailure
	case o.Warnings != 0 && o.Result == ResultSuccess:
		return ResultWarning
	}
	return o.Result
}

// Format writes a TEST_OUTPUT, with the time in seconds. What [ParseTestOutput] would doubt is a *[FieldError].
func (o TestOutput) Format() (string, error) {
	text, err := json.Marshal(struct {
		Result    string    `json:"result"`
		Timestamp time.Time `json:"timestamp"`
		Successes int       `json:"successes"`
		Failures  int       `json:"failures"`
		Warnings  int       `json:"warnings"`
	}{o.Result, o.Time.UTC().Truncate(time.Second), o.Successes, o.Failures, o.Warnings})
	if err != nil {
		return "", err
	}
	if _, doubts, _ := ParseTestOutput(text); len(doubts) > 0 {
		return "", doubts[0]
	}
	return string(text), nil
}

// A FieldError reports a field of a TEST_OUTPUT that is missing, or holds a value that it cannot have.
type FieldError struct {
	Field   string
	Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// ParseTestOutput reads a TEST_OUTPUT. The error is that of package json, or tells why the text can be read in two ways.
//
// What is in doubt keeps nobody from the rest, and each reader decides for itself: a result that is not known, counts
// that are missing, which are 0, or negative, a time that cannot be read, which is zero. Doubts are in that order.
//
// The time is RFC 3339 or seconds since 1970, as text or as a number. Tasks that put several results together begin with
// "0", so that counts as no time.
//
// Source: ADR 30 of konflux-ci/architecture; package test of conforma/policy; clamav-scan 0.3 and roxctl-scan 0.1 of
// konflux-ci/konflux-test-tasks for the timestamps.
func ParseTestOutput(text []byte) (o TestOutput, doubts []*FieldError, err error) {
	form, err := parseForm(text)
	if err != nil {
		return o, nil, err
	}
	o.Result, doubts = form.Result, form.doubts()
	for _, c := range form.counts(&o) {
		if c.given != nil {
			*c.kept = *c.given
		}
	}
	timestamp := strings.TrimSpace(asText(form.Timestamp)) // of date +%s
	var ok bool
	if o.Time, ok = readTime(timestamp); !ok {
		doubts = append(doubts, &FieldError{"timestamp", fmt.Sprintf("%.40q is neither RFC 3339 nor seconds since 1970", timestamp)})
	}
	return o, doubts, nil
}

// A testOutputForm is a TEST_OUTPUT as it is written.
type testOutputForm struct {
	Result    string          `json:"result"`
	Timestamp json.RawMessage `json:"timestamp"`
	Namespace json.RawMessage `json:"namespace"`
	Note      json.RawMessage `json:"note"`
	Successes *int            `json:"successes"`
	Failures  *int            `json:"failures"`
	Warnings  *int            `json:"warnings"`
}

var testOutputLimits = strictjson.Limits{Depth: 16, Values: 10_000}

func parseForm(text []byte) (form testOutputForm, err error) {
	err = strictjson.Decode(text, &form, testOutputLimits)
	return form, err
}

// A count is one of the three, as it is given and where it is kept.
type count struct {
	field string
	given *int
	kept  *int
}

func (form *testOutputForm) counts(o *TestOutput) []count {
	return []count{
		{"successes", form.Successes, &o.Successes}, {"failures", form.Failures, &o.Failures}, {"warnings", form.Warnings, &o.Warnings},
	}
}

// doubts returns what is wrong with the result and the counts.
func (form *testOutputForm) doubts() (all []*FieldError) {
	if !slices.Contains(results, form.Result) {
		all = append(all, &FieldError{"result", fmt.Sprintf("%.40q is not one of %s", form.Result, strings.Join(results, ", "))})
	}
	for _, c := range form.counts(&TestOutput{}) {
		switch {
		case c.given == nil:
			all = append(all, &FieldError{c.field, "required"})
		case *c.given < 0:
			all = append(all, &FieldError{c.field, "negative"})
		}
	}
	return all
}

// seconds is how seconds since 1970 are written: up to the year 5138, and not as milliseconds.
var seconds = regexp.MustCompile(`^[0-9]{1,11}$`)

// readTime returns the time that a timestamp tells, zero if there is none.
func readTime(timestamp string) (t time.Time, ok bool) {
	switch {
	case timestamp == "" || timestamp == "null" || timestamp == "0":
		return t, true
	case seconds.MatchString(timestamp):
		n, err := strconv.ParseInt(timestamp, 10, 64)
		return time.Unix(n, 0), err == nil
	}
	err := t.UnmarshalText([]byte(timestamp))
	return t, err == nil
}

// asText returns the text that a value is, or any other value as it is written.
func asText(value json.RawMessage) string {
	text := string(value)
	if json.Unmarshal(value, &text) != nil {
		return string(value)
	}
	return text
}

// acceptedTime takes what the integration-service takes: seconds since 1970, or RFC 3339 with or without a zone.
var acceptedTime = regexp.MustCompile(`^([0-9]{10}|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})?)$`)

// acceptedResult reads the value of a TEST_OUTPUT as the integration-service does: each field must be there and be
// right, and the timestamp, the namespace and the note must be text.
func acceptedResult(value json.RawMessage) (result string, err error) {
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return "", errors.New("it is not text")
	}
	form, err := parseForm([]byte(text))
	if err != nil {
		return "", err
	}
	if doubts := form.doubts(); len(doubts) > 0 {
		return "", doubts[0]
	}
	var timestamp string
	for _, f := range []struct {
		field string
		value json.RawMessage
		into  *string
	}{{"timestamp", form.Timestamp, &timestamp}, {"namespace", form.Namespace, new(string)}, {"note", form.Note, new(string)}} {
		if len(f.value) == 0 {
			continue
		}
		if err := json.Unmarshal(f.value, f.into); err != nil {
			return "", fmt.Errorf("%s: %w", f.field, err)
		}
	}
	if !acceptedTime.MatchString(timestamp) {
		return "", &FieldError{"timestamp", "missing, or neither seconds since 1970 nor RFC 3339"}
	}
	return form.Result, nil
}
