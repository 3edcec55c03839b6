package dag_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
)

// parse reads "a, b: a c?, d: b!" as scenarios: after the colon stand the parents, "?" is OnFinish, "!" is Always and
// "~" an unknown condition. A leading "-" makes a scenario optional.
func parse(text string) []dag.Scenario {
	var list []dag.Scenario
	for field := range strings.SplitSeq(text, ",") {
		id, parents, _ := strings.Cut(strings.TrimSpace(field), ":")
		s := dag.Scenario{ID: dag.ID(strings.TrimPrefix(id, "-")), Optional: strings.HasPrefix(id, "-")}
		for p := range strings.FieldsSeq(parents) {
			name := strings.TrimRight(p, "?!~")
			c := map[string]dag.Condition{"": dag.OnPass, "?": dag.OnFinish, "!": dag.Always, "~": 9}[p[len(name):]]
			s.After = append(s.After, dag.Parent{ID: dag.ID(name), Condition: c})
		}
		list = append(list, s)
	}
	return list
}

// format writes a graph as parse reads it, in canonical order.
func format(g *dag.Graph) string {
	var fields []string
	for s := range g.Scenarios() {
		text := string(s.ID)
		if s.Optional {
			text = "-" + text
		}
		for i, p := range s.After {
			if i == 0 {
				text += ":"
			}
			text += " " + string(p.ID) + [...]string{"", "?", "!"}[p.Condition]
		}
		fields = append(fields, text)
	}
	return strings.Join(fields, ", ")
}

func mustParse(t testing.TB, text string) *dag.Graph {
	t.Helper()
	g, err := dag.New(parse(text)...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestNewReportsEveryMistake(t *testing.T) {
	tests := []struct {
		name, graph string
		want        []string
	}{
		{"empty ID", "a, , ", []string{`2 scenarios have an empty ID; give each a name`}},
		{"one empty ID", "a, ", []string{`a scenario has an empty ID; give it a name`}},
		{"duplicate", "b, a, b, a, b", []string{`2 scenarios have the ID "a"; keep one`, `3 scenarios have the ID "b"; keep one`}},
		{"unknown parent", "a: x", []string{`"a" waits for "x", which is not a scenario; add it or correct the name`}},
		{"self edge", "a: a", []string{`"a" waits for itself; remove the edge`}},
		{"conflict", "a, b: a! a a? a", []string{`"b" waits for "a" with different conditions (OnPass, OnFinish, Always); keep one`}},
		{"same edge twice", "a, b: a a", nil},
		{"unknown condition", "a, b: a~", []string{`"b" waits for "a" with the unknown condition "Condition(9)"; want OnPass, OnFinish or Always`}},
		{"cycle of two", "b: a, a: b", []string{`cycle: "a" waits for "b" waits for "a"`}},
		{
			"innocent neighbors are not blamed", "before, y: x before, z: y, x: z, after: z",
			[]string{`cycle: "x" waits for "z" waits for "y" waits for "x"`},
		},
		{
			"the shortest cycle, from its smallest ID", "a: b, b: c, c: d, d: a c",
			[]string{`cycle: "c" waits for "d" waits for "c"`},
		},
		{
			"of equal cycles the first", "a: b c, b: a, c: a",
			[]string{`cycle: "a" waits for "b" waits for "a"`},
		},
		{
			"one cycle for each component", "d: c, c: d b, b: a, a: b",
			[]string{`cycle: "a" waits for "b" waits for "a"`, `cycle: "c" waits for "d" waits for "c"`},
		},
		{
			"conflicts within duplicates", "a, b: a! a, b: a? a, b: a? a",
			[]string{
				`3 scenarios have the ID "b"; keep one`,
				`"b" waits for "a" with different conditions (OnPass, Always); keep one`,
				`"b" waits for "a" with different conditions (OnPass, OnFinish); keep one`,
			},
		},
		{
			"everything at once", ", a: a x y, b: a c~, b, c: d, d: c, e: a a!",
			[]string{
				`a scenario has an empty ID; give it a name`,
				`2 scenarios have the ID "b"; keep one`,
				`"a" waits for itself; remove the edge`,
				`"a" waits for "x", which is not a scenario; add it or correct the name`,
				`"a" waits for "y", which is not a scenario; add it or correct the name`,
				`"b" waits for "c" with the unknown condition "Condition(9)"; want OnPass, OnFinish or Always`,
				`"e" waits for "a" with different conditions (OnPass, Always); keep one`,
				`cycle: "c" waits for "d" waits for "c"`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for shuffled := range shuffles(parse(test.graph)) {
				_, err := dag.New(shuffled...)
				var got []string
				if err != nil {
					got = strings.Split(err.Error(), "\n")
				}
				for i := range got {
					rest, ok := strings.CutPrefix(got[i], "dag: ")
					if !ok {
						t.Errorf("%q does not begin with the name of the package", got[i])
					}
					got[i] = rest
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Fatalf("mistakes of %v (-want +got):\n%s", shuffled, diff)
				}
			}
		})
	}
}

// shuffles yields the scenarios rotated, reversed and with their parents reversed.
func shuffles(list []dag.Scenario) func(func([]dag.Scenario) bool) {
	return func(yield func([]dag.Scenario) bool) {
		for k := range len(list) * 4 {
			l := slices.Concat(list[k%len(list):], list[:k%len(list)])
			if k >= len(list) {
				slices.Reverse(l)
			}
			if k >= 2*len(list) {
				for i := range l {
					l[i].After = slices.Clone(l[i].After)
					slices.Reverse(l[i].After)
				}
			}
			if !yield(l) {
				return
			}
		}
	}
}

func TestMistakesAreTyped(t *testing.T) {
	_, err := dag.New(parse(", a: a x, b, b, c: b b?, d: b~, e: f, f: e")...)
	want := []error{
		&dag.Error{Kind: dag.EmptyID, Count: 1},
		&dag.Error{Kind: dag.DuplicateID, ID: "b", Count: 2},
		&dag.Error{Kind: dag.SelfEdge, ID: "a", Parent: "a"},
		&dag.Error{Kind: dag.UnknownParent, ID: "a", Parent: "x"},
		&dag.Error{Kind: dag.ConflictingConditions, ID: "c", Parent: "b", Given: []string{"OnPass", "OnFinish"}},
		&dag.Error{Kind: dag.UnknownCondition, ID: "d", Parent: "b", Given: []string{"Condition(9)"}},
		&dag.CycleError{Path: []dag.ID{"e", "f"}},
	}
	if diff := cmp.Diff(want, err.(interface{ Unwrap() []error }).Unwrap()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, e := range want {
		if e, ok := e.(*dag.Error); ok && !errors.Is(err, e.Kind) {
			t.Errorf("errors.Is does not find %q in %v", e.Kind, err)
		}
	}
	if _, err := dag.New(parse("a: a")...); errors.Is(err, dag.UnknownParent) || err.Error() == string(dag.SelfEdge) {
		t.Errorf("a self edge is taken for an unknown parent, or told without its scenario: %v", err)
	}
}

// A ring of 100,000 scenarios, each of which also waits for the one before: found without recursion, and told in short.
func TestLongCycle(t *testing.T) {
	const n = 100_000
	list := make([]dag.Scenario, n)
	for i := range list {
		list[i] = dag.Scenario{ID: id(i), After: dag.After(id((i + 1) % n))}
	}
	_, err := dag.New(list...)
	var cycle *dag.CycleError
	if !errors.As(err, &cycle) {
		t.Fatalf("got %v", err)
	}
	if len(cycle.Path) != n || cycle.Path[0] != id(0) || cycle.Path[n-1] != id(n-1) {
		t.Errorf("path has %d elements, from %s", len(cycle.Path), cycle.Path[0])
	}
	if text := err.Error(); len(text) > 2000 || !strings.Contains(text, "99960 more") {
		t.Errorf("text of %d bytes: %.200s", len(text), text)
	}
}

func id(i int) dag.ID { return dag.ID(fmt.Sprintf("s%06d", i)) }

// Every reported cycle is one: each element waits for the next and the last for the first; it starts at its smallest ID,
// repeats nothing, no shorter one exists in its component, and there is one for each component.
func TestCyclesAreShortest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "scenarios")
		waits := make([][]bool, n)
		list := make([]dag.Scenario, n)
		for i := range n {
			waits[i] = make([]bool, n)
			list[i].ID = id(i)
			for p := range n {
				if p != i && rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
					waits[i][p] = true
					list[i].After = append(list[i].After, dag.Parent{ID: id(p)})
				}
			}
		}
		dist := distances(waits)
		want := map[int]int{} // smallest member of a component: length of its shortest cycle
		for i := range n {
			for j := range n {
				if dist[i][j] > 0 && dist[j][i] > 0 {
					smallest := i
					for k := range n {
						if dist[i][k] > 0 && dist[k][i] > 0 {
							smallest = min(smallest, k)
						}
					}
					if length, ok := want[smallest]; !ok || dist[i][i] < length {
						want[smallest] = dist[i][i]
					}
				}
			}
		}
		_, err := dag.New(list...)
		got := map[int]int{}
		for _, cycle := range cycles(err) {
			path := make([]int, len(cycle.Path))
			for k, at := range cycle.Path {
				path[k] = slices.IndexFunc(list, func(s dag.Scenario) bool { return s.ID == at })
			}
			for k := range path {
				if !waits[path[k]][path[(k+1)%len(path)]] {
					t.Fatalf("%v is no cycle", cycle)
				}
			}
			if slices.Min(path) != path[0] {
				t.Fatalf("%v does not start at its smallest ID", cycle)
			}
			smallest := path[0]
			for k := range n {
				if dist[path[0]][k] > 0 && dist[k][path[0]] > 0 {
					smallest = min(smallest, k)
				}
			}
			got[smallest] = len(path)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("length of the shortest cycle by component (-want +got):\n%s", diff)
		}
	})
}

func cycles(err error) []*dag.CycleError {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var found []*dag.CycleError
	for _, e := range joined.Unwrap() {
		if cycle, ok := e.(*dag.CycleError); ok {
			found = append(found, cycle)
		}
	}
	return found
}

// distances returns the number of edges on the shortest way of at least one edge, or 0 if there is none.
func distances(waits [][]bool) [][]int {
	n := len(waits)
	dist := make([][]int, n)
	for i := range n {
		dist[i] = make([]int, n)
		for j := range n {
			if waits[i][j] {
				dist[i][j] = 1
			}
		}
	}
	for k := range n {
		for i := range n {
			for j := range n {
				if a, b := dist[i][k], dist[k][j]; a > 0 && b > 0 && (dist[i][j] == 0 || a+b < dist[i][j]) {
					dist[i][j] = a + b
				}
			}
		}
	}
	return dist
}

func TestConditionText(t *testing.T) {
	for _, c := range []dag.Condition{dag.OnPass, dag.OnFinish, dag.Always} {
		text, err := c.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back dag.Condition
		if err := back.UnmarshalText(text); err != nil || back != c {
			t.Errorf("%s reads back as %v, %v", text, back, err)
		}
	}
	_, err := dag.Condition(3).MarshalText()
	if diff := cmp.Diff(error(&dag.Error{Kind: dag.UnknownCondition, Given: []string{"Condition(3)"}}), err); diff != "" {
		t.Errorf("Condition(3) (-want +got):\n%s", diff)
	}
	err = new(dag.Condition).UnmarshalText([]byte("onpass"))
	if want := `dag: unknown condition "onpass"; want OnPass, OnFinish or Always`; !errors.Is(err, dag.UnknownCondition) || err.Error() != want {
		t.Errorf("onpass: got %v, want %s", err, want)
	}
}
