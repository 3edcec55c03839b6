package scheduler

import (
	"context"
	"fmt"
	"runtime/debug"
)

// A panicError reports that a function or method of the caller panicked.
type panicError struct {
	what  string
	value string
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("%s panicked: %s\n%s", e.what, e.value, e.stack)
}

// guard calls a function that is not of this package: a runner, an option, or a method of an error that one of them
// returned. A panic becomes a *panicError, so that it does not take other runs with it.
func guard(what string, call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{what, panicText(v), debug.Stack()}
		}
	}()
	return call()
}

// panicText returns the text of a value that was panicked with, whose methods may panic themselves.
func panicText(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a %T that panics when it is printed", v)
		}
	}()
	if err, ok := v.(error); ok {
		return err.Error()
	}
	return fmt.Sprint(v)
}

// A guardedError is an error of a runner or an option. Its text is taken once, under recovery. It wraps the error for the
// caller of Run; nothing else here calls a method of that.
type guardedError struct {
	text string
	err  error
}

func (e *guardedError) Error() string { return e.text }

// Unwrap returns the error as it was returned.
func (e *guardedError) Unwrap() error { return e.err }

// guarded wraps an error that is not of this package.
func guarded(err error) *guardedError {
	e := &guardedError{err: err}
	panicked := guard(fmt.Sprintf("method Error of a %T", err), func() error {
		e.text = err.Error()
		return nil
	})
	if panicked != nil {
		e.text = panicked.Error()
	}
	return e
}

// in says in which step the error was returned.
func (e *guardedError) in(step string) *guardedError {
	e.text = step + ": " + e.text
	return e
}

// maxWrapped bounds how many errors are looked at in the tree of one, which may have a cycle.
const maxWrapped = 1000

// saysStop reports whether the error says no more than that the context was canceled, as errors.Is does. Its methods may
// panic: that is an error.
func (e *guardedError) saysStop() (says bool, err error) {
	left := maxWrapped
	err = guard(fmt.Sprintf("a method of a %T", e.err), func() error {
		says = saysStop(e.err, &left)
		return nil
	})
	return says, err
}

func saysStop(err error, left *int) bool {
	for ; err != nil && *left > 0; *left-- {
		if err == context.Canceled || err == context.DeadlineExceeded {
			return true
		}
		if x, ok := err.(interface{ Is(error) bool }); ok && (x.Is(context.Canceled) || x.Is(context.DeadlineExceeded)) {
			return true
		}
		switch x := err.(type) {
		case interface{ Unwrap() error }:
			err = x.Unwrap()
		case interface{ Unwrap() []error }:
			*left--
			for _, one := range x.Unwrap() {
				if saysStop(one, left) {
					return true
				}
			}
			return false
		default:
			return false
		}
	}
	return false
}
