package scan

import (
	"errors"
	"io"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// testOutput reads the result that Konflux tasks give as TEST_OUTPUT. It counts and names nothing.
//
// Failures make it a failure whatever the result says, as Conforma denies them, and warnings make a success a warning.
func testOutput(in io.Reader, opts Options) (intoto.Predicate, error) {
	text, err := io.ReadAll(io.LimitReader(in, opts.Limits.ValueBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > opts.Limits.ValueBytes {
		return nil, overValue(opts.Limits)
	}
	o, doubts, err := pipelinerun.ParseTestOutput(text)
	if err != nil {
		return nil, &FormatError{Format: TestOutput, Err: plain(err)}
	}
	var mistakes []error
	for _, d := range doubts {
		mistakes = append(mistakes, &FormatError{Format: TestOutput, Where: d.Field, Err: errors.New(d.Problem)})
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	result := intoto.TestResult{Successes: o.Successes, Failures: o.Failures, Warnings: o.Warnings}
	if err := result.Result.UnmarshalText([]byte(o.Counted())); err != nil {
		return nil, err
	}
	return timed(result, TestOutput, o.Time, opts)
}
