package dag

import (
	"fmt"
	"strconv"
)

// A Profile says which condition an edge of a testGraph has that states neither onFail nor failFast. Two documents
// disagree: in the first decision record on ordered scenarios a child is canceled when its parent fails, and a
// ComponentGroup lets the child begin. The caller chooses; there is no default.
type Profile uint8

// The profiles. The zero Profile serves edges that state what they ask; otherwise it is refused with [NoProfile].
const (
	ADR48          Profile = iota + 1 // the child waits for a pass: OnPass
	ComponentGroup                    // the child waits for an end: OnFinish
)

// String returns the name of the constant, or Profile(n) if there is none.
func (p Profile) String() string {
	switch p {
	case ADR48:
		return "ADR48"
	case ComponentGroup:
		return "ComponentGroup"
	}
	return fmt.Sprintf("Profile(%d)", uint8(p))
}

// Condition returns the condition of an edge of a testGraph that states onFail and failFast, each nil if it is not
// stated: OnPass for onFail skip and failFast true, OnFinish for onFail run and failFast false. It fails with an
// [*Error] of the kind [NoProfile], [UnknownOnFail] or [Contradiction] that does not name the edge.
func (p Profile) Condition(onFail *string, failFast *bool) (Condition, error) {
	skip := p == ADR48
	switch {
	case onFail != nil && *onFail != "run" && *onFail != "skip":
		return 0, &Error{Kind: UnknownOnFail, Given: []string{*onFail}}
	case onFail != nil && failFast != nil && *failFast != (*onFail == "skip"):
		return 0, &Error{Kind: Contradiction, Given: []string{strconv.FormatBool(*failFast), *onFail}}
	case onFail != nil:
		skip = *onFail == "skip"
	case failFast != nil:
		skip = *failFast
	case p != ADR48 && p != ComponentGroup:
		return 0, &Error{Kind: NoProfile}
	}
	if skip {
		return OnPass, nil
	}
	return OnFinish, nil
}
