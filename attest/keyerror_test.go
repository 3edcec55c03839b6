package attest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// failing is a verifier that returns an error.
type failing struct{ error }

func (r failing) Verify(context.Context, Candidate) ([]byte, Identity, error) {
	return nil, Identity{}, r.error
}

// Several keys that did not sign are told in one error, where the first of them stands; other errors stay.
func TestKeyErrorsAreJoined(t *testing.T) {
	broken := errors.New("broken")
	one := func(key string) error { return &KeyError{Claimed: []string{"theirs"}, Trusted: []string{key}} }
	for _, tt := range []struct {
		errs []error
		want string
	}{
		{[]error{one("a")}, `attest: signed by key "theirs", and not by the trusted key a`},
		{[]error{one("a"), broken, one("b"), one("c")},
			`attest: signed by key "theirs", and none of the trusted keys a, b, c` + "\nbroken"},
		{[]error{broken, one("a"), one("b")},
			"broken\n" + `attest: signed by key "theirs", and none of the trusted keys a, b`},
		{[]error{broken, broken}, "broken\nbroken"},
	} {
		var verifiers []Verifier
		for _, err := range tt.errs {
			verifiers = append(verifiers, failing{err})
		}
		for range 2 { // the errors of the parts are left as they are
			_, _, err := AnyOf(verifiers...).Verify(t.Context(), Candidate{})
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		}
	}
}

// An id is text that the signer wrote: quoted, and of it and of many only the beginning.
func TestKeyErrorIsBounded(t *testing.T) {
	for want, claimed := range map[string][]string{
		`signed by a key that the signature does not name, and`:        nil,
		`signed by key "a", "b\x1b[2J\n", and`:                         {"a", "b\x1b[2J\n"},
		`signed by key "a", "b", "c", and`:                             {"a", "b", "c", "d", "e"},
		`signed by key "` + strings.Repeat("x", 100) + `", and not by`: {strings.Repeat("x", 5000)},
	} {
		got := (&KeyError{Claimed: claimed, Trusted: []string{"ours"}}).Error()
		if !strings.HasPrefix(got, "attest: "+want) {
			t.Errorf("got %q", got)
		}
	}
	several := &KeyError{Claimed: []string{"a"}, Trusted: []string{"b", "c"}}
	if diff := cmp.Diff(`attest: signed by key "a", and none of the trusted keys b, c`, several.Error()); diff != "" {
		t.Error(diff)
	}
}
