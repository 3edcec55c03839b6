package intoto

import (
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/internal/strictjson"
)

// A FieldError reports one mistake in a statement, a predicate or an argument, or that bytes from a registry are not
// what was asked for. Several come joined by errors.Join. Field is the path as in JSON, "scanner.result[0].id", or
// what was asked for, "blob sha256:...". Problem says what is wrong: "required".
type FieldError = fault.FieldError

// Limits bound a JSON document: Depth is how deep objects and lists may be nested, Values how many values of all kinds it
// may hold. A 0 allows nothing.
type Limits = strictjson.Limits

// A LimitError reports that something is larger than it may be. What names the thing that was counted, such as
// "manifest bytes", "statements", "JSON depth" or "call milliseconds". Limit is the most that is allowed. Got is how
// much there is, or at least is, since reading stops at the limit.
type LimitError = fault.LimitError
