package dag

import "fmt"

// A Condition is what an edge asks of the parent before the child may begin.
type Condition uint8

// The conditions, strictest first: the smaller of two is met in fewer cases.
const (
	OnPass   Condition = iota // the parent passed
	OnFinish                  // the parent passed or failed: it ran to an end
	Always                    // the parent passed, failed or was canceled: nothing more is expected of it
)

var conditionNames = [...]string{OnPass: "OnPass", OnFinish: "OnFinish", Always: "Always"}

// String returns the name of the constant, or Condition(n) if there is none.
func (c Condition) String() string {
	if !c.valid() {
		return fmt.Sprintf("Condition(%d)", uint8(c))
	}
	return conditionNames[c]
}

// MarshalText returns the name of the constant. It fails with an [*Error] of kind [UnknownCondition] if there is none.
func (c Condition) MarshalText() ([]byte, error) {
	if !c.valid() {
		return nil, &Error{Kind: UnknownCondition, Given: []string{c.String()}}
	}
	return []byte(c.String()), nil
}

// UnmarshalText accepts what MarshalText returns, and fails with an [*Error] of kind [UnknownCondition] on
// anything else.
func (c *Condition) UnmarshalText(text []byte) error {
	for i, name := range conditionNames {
		if name == string(text) {
			*c = Condition(i)
			return nil
		}
	}
	return &Error{Kind: UnknownCondition, Given: []string{string(text)}}
}

func (c Condition) valid() bool { return int(c) < len(conditionNames) }
