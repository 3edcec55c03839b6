package intoto

import (
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/internal/strictjson"
)

// A FieldError reports one mistake in a statement, a predicate or an argument, or that bytes from a registry are not
// what was asked for. Field is its path as in JSON, such as "scanner.result[0].id", and Problem says what is wrong. Several
// come joined by [errors.Join].
type FieldError = fault.FieldError

// Limits bound a JSON document: how deep it is nested, and how many values it holds. A 0 allows nothing. attest.Limits.JSON
// returns those of a Resolver.
type Limits = strictjson.Limits

// A LimitError reports that something is larger than it may be: What was counted, such as "statement bytes", the Limit, and
// Got, how much there is at least, since reading stops at the limit.
type LimitError = fault.LimitError
