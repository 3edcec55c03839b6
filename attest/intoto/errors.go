package intoto

import (
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/internal/strictjson"
)

// A FieldError reports one mistake in a statement, a predicate or an argument, or that bytes from a registry are not
// what was asked for. Several come joined by [errors.Join].
type FieldError = fault.FieldError

// Limits bound a JSON document: how deep it is nested, and how many values it holds.
type Limits = strictjson.Limits

// A LimitError reports that something is larger than it may be.
type LimitError = fault.LimitError
