package jsonstream

import (
	"fmt"
	"io"
)

// A SyntaxError reports what is not JSON, or not JSON with one reading.
type SyntaxError struct {
	Path    string // where it is, as [Walker.Path] has it
	Offset  int64  // bytes before it
	Problem string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s%s at byte %d", at(e.Path), e.Problem, e.Offset)
}

// A KindError reports a value of another kind than was asked for.
type KindError struct {
	Path string // where it is, as [Walker.Path] has it
	Got  Kind
	Want string // "text", "true or false"
}

func (e *KindError) Error() string { return fmt.Sprintf("%s%s, want %s", at(e.Path), e.Got, e.Want) }

// A LimitError reports something that is over one of the [Limits].
type LimitError struct {
	Path  string // where it is, as [Walker.Path] has it
	What  Limit
	Limit int64 // the most that is allowed
	Got   int64 // what was there when it was given up, which may be less than there is
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s%d %s, over the limit of %d", at(e.Path), e.Got, e.What, e.Limit)
}

// A Limit is what a [LimitError] counts.
type Limit string

// What is limited.
const (
	ValueBytes Limit = "value bytes"
	NameBytes  Limit = "name bytes"
	Names      Limit = "object names"
	Depth      Limit = "levels"
)

func at(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// wrong returns the error for what is at index i of the window.
func (w *Walker) wrong(i int, format string, args ...any) error {
	return &SyntaxError{Path: w.Path(), Offset: w.before + int64(i), Problem: fmt.Sprintf(format, args...)}
}

// unexpected returns the error for the next byte, or why there is none.
func (w *Walker) unexpected(want string) error {
	switch {
	case w.at < w.end:
		return w.wrong(w.at, "%q, want %s", w.buf[w.at], want)
	case w.err != nil && w.err != io.EOF:
		return w.err
	}
	return w.wrong(w.at, "it ends too early")
}

// cut returns why a value does not go on.
func (w *Walker) cut() error {
	if w.err != io.EOF {
		return w.err
	}
	return w.wrong(w.end, "it ends too early")
}

func (w *Walker) over(what Limit, limit, got int) error {
	return &LimitError{Path: w.Path(), What: what, Limit: int64(limit), Got: int64(got)}
}
