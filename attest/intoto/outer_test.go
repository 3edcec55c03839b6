package intoto

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"
)

// A read of nothing takes nothing.
func TestStreamedReadsNothing(t *testing.T) {
	o := newOuter(strings.NewReader(`"ab\u0063d"`))
	err := o.stream(func(in io.Reader) {
		for _, want := range []string{"a", "b", "c", "d"} {
			if n, err := in.Read(nil); n != 0 || err != nil {
				t.Errorf("before %s: %d, %v", want, n, err)
			}
			one := make([]byte, 1)
			if _, err := io.ReadFull(in, one); err != nil || string(one) != want {
				t.Errorf("got %q, %v, want %s", one, err, want)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// An escape that JSON does not have is an error, wherever it stands in a payload that would be whole without it.
func TestWrongEscapesInAPayload(t *testing.T) {
	statement := `{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://spdx.dev/Document","predicate":{}}`
	payload := base64.StdEncoding.EncodeToString([]byte(statement))
	read := func(payload string) (string, error) {
		in := `{"payloadType":"application/vnd.in-toto+json","payload":"` + payload + `","signatures":[]}`
		return OuterType(strings.NewReader(in), EnvelopeType, func(string) {})
	}
	if got, err := read(payload); err != nil || got != "https://spdx.dev/Document" {
		t.Fatalf("got %q, %v", got, err)
	}
	for _, escape := range []string{`\q`, `\u12`, `\uzzzz`, `\x41`} {
		for _, at := range []int{0, 8, len(payload)} {
			if got, err := read(payload[:at] + escape + payload[at:]); err == nil {
				t.Errorf("%s at %d: got %q and no error", escape, at, got)
			}
		}
	}
}
