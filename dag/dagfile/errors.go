package dagfile

import (
	"errors"
	"fmt"
)

// ErrNoGraph says that the input has no graph: it is empty, or holds only objects without one. A ComponentGroup
// without testGraph, or with null there, has none; one with an empty mapping has an empty graph.
var ErrNoGraph = errors.New("no graph; want scenarios, testGraph, or a ComponentGroup with spec.testGraph")

// An Error is one mistake and its place in the input.
type Error struct {
	Name   string // of the input, as Options gives it
	Line   int    // counted from 1; 0 if the mistake has no place
	Column int    // in characters, counted from 1; 0 if only the line is known
	Err    error
}

// Error tells the place as compilers do, graph.yaml:7:5, or only the line if the input has no name.
func (e *Error) Error() string { return e.place() + ": " + e.Err.Error() }

func (e *Error) place() string {
	switch {
	case e.Line == 0 && e.Name == "":
		return "dagfile"
	case e.Line == 0:
		return e.Name
	case e.Name == "":
		return fmt.Sprintf("line %d", e.Line)
	case e.Column == 0:
		return fmt.Sprintf("%s:%d", e.Name, e.Line)
	}
	return fmt.Sprintf("%s:%d:%d", e.Name, e.Line, e.Column)
}

// Unwrap returns the mistake without its place.
func (e *Error) Unwrap() error { return e.Err }

// A LimitError reports input beyond one of the limits of [Options].
type LimitError struct {
	Option string // the field of Options, such as MaxBytes
	Limit  int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the input is beyond the limit %s of %d; shorten it or raise the limit", e.Option, e.Limit)
}
