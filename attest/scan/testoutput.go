package scan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/strictjson"
)

// konfluxOutput is the value of TEST_OUTPUT. Its namespace and note are not kept.
type konfluxOutput struct {
	Result    intoto.Result   `json:"result"`
	Timestamp json.RawMessage `json:"timestamp"`
	Successes *int            `json:"successes"`
	Failures  *int            `json:"failures"`
	Warnings  *int            `json:"warnings"`
}

// testOutput reads the result that Konflux tasks give as TEST_OUTPUT. It counts and names nothing.
//
// Failures make it a failure whatever the result says, as Conforma denies them, and warnings make a success a warning. The
// timestamp is RFC 3339 or seconds since 1970, as text or as a number. Tasks that put several results together begin
// with "0", so that counts as no timestamp.
//
// Source: ADR 30 of konflux-ci/architecture; package test of conforma/policy; clamav-scan 0.3 and roxctl-scan 0.1 of
// konflux-ci/konflux-test-tasks for the timestamps.
func testOutput(in io.Reader, opts Options) (intoto.Predicate, error) {
	text, err := io.ReadAll(io.LimitReader(in, opts.Limits.ValueBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > opts.Limits.ValueBytes {
		return nil, overValue(opts.Limits)
	}
	var o konfluxOutput
	if err := strictjson.Decode(text, &o, strictjson.Limits{Depth: 16, Values: 1000}); err != nil {
		return nil, &FormatError{Format: TestOutput, Err: plain(err)}
	}
	reported, err := o.time()
	if err := errors.Join(o.check(), err); err != nil {
		return nil, err
	}
	result := intoto.TestResult{Result: o.verdict(), Successes: *o.Successes, Failures: *o.Failures, Warnings: *o.Warnings}
	return timed(result, TestOutput, reported, opts)
}

// check reports every mistake.
func (o konfluxOutput) check() error {
	var mistakes []error
	wrong := func(field, format string, args ...any) {
		mistakes = append(mistakes, &FormatError{Format: TestOutput, Where: field, Err: fmt.Errorf(format, args...)})
	}
	switch o.Result {
	case intoto.Passed, intoto.Warned, intoto.Skipped, intoto.Failed, intoto.Errored:
	default:
		wrong("result", "%.40q is not one of SUCCESS, FAILURE, WARNING, SKIPPED, ERROR", string(o.Result))
	}
	for _, c := range []struct {
		field string
		count *int
	}{{"successes", o.Successes}, {"failures", o.Failures}, {"warnings", o.Warnings}} {
		switch {
		case c.count == nil:
			wrong(c.field, "required")
		case *c.count < 0:
			wrong(c.field, "negative")
		}
	}
	return errors.Join(mistakes...)
}

// verdict is the result, or what the counts say if that is worse.
func (o konfluxOutput) verdict() intoto.Result {
	switch {
	case o.Result != intoto.Errored && *o.Failures > 0:
		return intoto.Failed
	case o.Result == intoto.Passed && *o.Warnings > 0:
		return intoto.Warned
	}
	return o.Result
}

// seconds is how seconds since 1970 are written: up to the year 5138, and not as milliseconds.
var seconds = regexp.MustCompile(`^[0-9]{1,11}$`)

// time returns the timestamp, zero if there is none.
func (o konfluxOutput) time() (time.Time, error) {
	text := string(o.Timestamp)
	if text != "" && text[0] == '"' {
		if err := json.Unmarshal(o.Timestamp, &text); err != nil {
			return time.Time{}, &FormatError{Format: TestOutput, Where: "timestamp", Err: plain(err)}
		}
	}
	text = strings.TrimSpace(text) // of date +%s
	var t time.Time
	switch {
	case text == "" || text == "null" || text == "0":
		return t, nil
	case seconds.MatchString(text):
		n, err := strconv.ParseInt(text, 10, 64)
		return time.Unix(n, 0), err
	case t.UnmarshalText([]byte(text)) == nil:
		return t, nil
	}
	return t, &FormatError{Format: TestOutput, Where: "timestamp", Err: fmt.Errorf("%.40q is neither RFC 3339 nor seconds since 1970", text)}
}
