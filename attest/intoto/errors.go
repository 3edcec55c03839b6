package intoto

import "github.com/testdag/testdag/attest/internal/fault"

// A FieldError reports one mistake in a statement, a predicate or an argument, or that bytes from a registry are not
// what was asked for. Several come joined by [errors.Join].
type FieldError = fault.FieldError

// A LimitError reports that something is larger than it may be.
type LimitError = fault.LimitError
