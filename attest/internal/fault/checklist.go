package fault

import "github.com/testdag/testdag/internal/testname"

// A Checklist collects mistakes.
type Checklist []error

// MostMistakes bounds what is said of one thing: what others wrote may have a mistake in every byte.
const MostMistakes = 1000

// Add notes a [*FieldError]. Behind [MostMistakes] it notes that no more are looked at, once.
func (c *Checklist) Add(field, problem string) {
	switch {
	case len(*c) < MostMistakes:
		*c = append(*c, &FieldError{field, problem})
	case len(*c) == MostMistakes:
		*c = append(*c, &FieldError{field, "wrong, and what follows is not looked at"})
	}
}

// TestName demands a name that a test may have, so that no two names look the same.
func (c *Checklist) TestName(field, name string) {
	if problem := testname.Problem(name); problem != "" {
		c.Add(field, problem)
	}
}

// Require notes that a field is required, unless ok.
func (c *Checklist) Require(field string, ok bool) {
	if !ok {
		c.Add(field, "required")
	}
}
