package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/testdag/testdag/attest/policy"
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

// A testOutput is the result TEST_OUTPUT, with the time as the tasks of Konflux write it.
type testOutput struct {
	Result    string    `json:"result"`
	Timestamp time.Time `json:"timestamp"`
	Successes int       `json:"successes"`
	Failures  int       `json:"failures"`
	Warnings  int       `json:"warnings"`
}

func writeTestOutput(w io.Writer, r policy.Release) error {
	t := testOutput{Result: "SUCCESS", Timestamp: r.Time.UTC().Truncate(time.Second)}
	switch all := count(r); {
	case all.failed > 0, all == tally{}:
		t.Result = "ERROR"
	case all.denied > 0:
		t.Result = "FAILURE"
	}
	for _, image := range r.Images {
		t.Successes += len(image.Successes)
		t.Failures += len(image.Violations)
		t.Warnings += len(image.Warnings)
	}
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
