package dag_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/testdag/testdag/dag"
)

func TestProfileCondition(t *testing.T) {
	const none = dag.Profile(0)
	run, skip, odd, yes, no := "run", "skip", "Run", true, false
	profiles := []dag.Profile{none, dag.ADR48, dag.ComponentGroup, 3}
	tests := map[string]struct {
		onFail   *string
		failFast *bool
		want     string // with each of the profiles, if it is one text
		each     []string
	}{
		"run":              {&run, nil, "OnFinish", nil},
		"skip":             {&skip, nil, "OnPass", nil},
		"not fast":         {nil, &no, "OnFinish", nil},
		"fast":             {nil, &yes, "OnPass", nil},
		"run, not fast":    {&run, &no, "OnFinish", nil},
		"skip, fast":       {&skip, &yes, "OnPass", nil},
		"run, fast":        {&run, &yes, "contradiction: failFast: true contradicts onFail: run; keep one of them", nil},
		"skip, not fast":   {&skip, &no, "contradiction: failFast: false contradicts onFail: skip; keep one of them", nil},
		"unknown":          {&odd, nil, `unknown onFail: unknown onFail "Run"; want run or skip`, nil},
		"unknown and fast": {&odd, &yes, `unknown onFail: unknown onFail "Run"; want run or skip`, nil},
		"neither":          {nil, nil, "", []string{noProfile, "OnPass", "OnFinish", noProfile}},
	}
	for name, test := range tests {
		for i, p := range profiles {
			want := test.want
			if test.each != nil {
				want = test.each[i]
			}
			c, err := p.Condition(test.onFail, test.failFast)
			got := c.String()
			var e *dag.Error
			if errors.As(err, &e) {
				got = fmt.Sprintf("%s: %v", e.Kind, err)
			}
			if got != want {
				t.Errorf("%s, %v:\ngot  %s\nwant %s", name, p, got, want)
			}
		}
	}
}

const noProfile = "no profile: neither onFail nor failFast is given, and the program chose no profile; " +
	"set one of them, or parse with ADR48 or ComponentGroup"

func TestProfileNames(t *testing.T) {
	got := fmt.Sprint(dag.ADR48, dag.ComponentGroup, dag.Profile(0))
	if want := "ADR48 ComponentGroup Profile(0)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
