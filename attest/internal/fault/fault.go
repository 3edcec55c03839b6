package fault

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/internal/strictjson"
)

// A FieldError reports one mistake in a statement, a predicate or an argument, or that bytes from a registry are not
// what was asked for. Several come joined by [errors.Join].
type FieldError struct {
	Field   string // path as in JSON, "scanner.result[0].id", or what was asked for, "blob sha256:..."
	Problem string // what is wrong: "required"
}

func (e *FieldError) Error() string { return fmt.Sprintf("attest: %s: %s", e.Field, e.Problem) }

// Without returns the text without what the text around it has said: the digest that both are about.
func (e *FieldError) Without(said []string) string {
	_, name, ok := strings.Cut(e.Field, " ")
	about := func(s string) bool { return s != "" && strings.HasSuffix(s, name) }
	if ok && slices.ContainsFunc(said, about) {
		return e.Problem
	}
	return e.Error()
}

// A LimitError reports that something is larger than it may be.
type LimitError struct {
	// What was counted: "manifest bytes", "page bytes", "link bytes", "envelope bytes", "statement bytes", "foreign bytes", "total
	// bytes", "total foreign bytes", "result bytes", "statements", "pages", "signatures", "log entries", "timestamps",
	// "view layers", "JSON depth", "JSON values", "total values", "request milliseconds", "call milliseconds". Of the
	// reports that attest/scan reads: "report bytes", "value bytes" (of one piece, a text or all that is kept of a
	// finding), "findings", "object names", "tool extensions", "XML depth".
	What  string
	Limit int64 // the most that is allowed
	Got   int64 // how much there is, or at least is, since reading stops at the limit
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("attest: %s: %d is over the limit of %d", e.What, e.Got, e.Limit)
}

// A wrappedError says what was going on.
type wrappedError struct {
	doing string
	err   error
}

// Wrap says what was going on when err happened: "envelope", "checkpoint". The name of the package stands before it.
func Wrap(doing string, err error) error { return &wrappedError{doing, err} }

func (e *wrappedError) Error() string { return "attest: " + e.doing + ": " + Cause(e.err) }

func (e *wrappedError) Unwrap() error { return e.err }

// prefix matches the name of the package where an error begins within a text.
var prefix = regexp.MustCompile(`(^|\n|: |; |\()(?:attest: )+`)

// Cause is the text of an error inside another one. It leaves out what the other says: the name of the package, and the
// ref or the digest that both are about.
func Cause(err error, said ...string) string {
	text := fmt.Sprint(err)
	if e, ok := err.(interface{ Without(said []string) string }); ok {
		text = e.Without(said)
	}
	return prefix.ReplaceAllString(text, "$1")
}

// Stamp returns a time as text: RFC 3339 in UTC, with as many digits of a second as it has.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Decode decodes JSON strictly into v, see [strictjson.Decode]. A limit that was hit is a [*LimitError].
func Decode(data []byte, v any, limits strictjson.Limits) error {
	err := strictjson.Decode(data, v, limits)
	var limit *strictjson.LimitError
	if errors.As(err, &limit) {
		return &LimitError{What: "JSON " + limit.What, Limit: int64(limit.Limit), Got: int64(limit.Limit) + 1}
	}
	return err
}
