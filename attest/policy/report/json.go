package report

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/testdag/testdag/attest/policy"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

func writeJSON(w io.Writer, r policy.Release) error {
	if r.Images == nil {
		r.Images = []policy.Judged{}
	}
	return encode(w, r)
}

// encode writes JSON in which text that others wrote does nothing to the terminal that it is printed to: a rune that is
// not printable is escaped, beyond those that JSON escapes anyway.
func encode(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	b := make([]byte, 0, len(text)+1)
	for _, r := range string(text) { // outside of strings JSON is printable
		switch {
		case unicode.IsPrint(r) || r == '\n':
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func writeTestOutput(w io.Writer, r policy.Release) error {
	t := pipelinerun.TestOutput{Result: pipelinerun.ResultSuccess, Time: r.Time}
	switch all := count(r); {
	case all.failed > 0, all == tally{}:
		t.Result = pipelinerun.ResultError
	case all.denied > 0:
		t.Result = pipelinerun.ResultFailure
	}
	for _, image := range r.Images {
		t.Successes += len(image.Successes)
		t.Failures += len(image.Violations)
		t.Warnings += len(image.Warnings)
	}
	text, err := t.Format()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}
