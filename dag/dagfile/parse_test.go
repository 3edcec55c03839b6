package dagfile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/dag/dagfile"
)

// parse reads input as graph.yaml and returns the graph as a line, or the mistakes as lines.
func parse(input string, p dag.Profile, o dagfile.Options) (graph, mistakes string) {
	o.Name = "graph.yaml"
	f, err := dagfile.Parse(strings.NewReader(input), p, o)
	if err != nil {
		return "", strings.ReplaceAll(err.Error(), "graph.yaml:", "")
	}
	return format(f.Graph), ""
}

// format writes "a, b: a c?, d: b!": after the colon stand the parents, "?" is OnFinish, "!" is Always. A leading "-"
// marks an optional scenario.
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

func TestParse(t *testing.T) {
	const profile = dag.Profile(0)
	tests := []struct {
		name, input string
		profile     dag.Profile
		want        string
	}{
		{"plain", "scenarios:\n- name: a\n- name: b\n  after: [a]\n", profile, "a, b: a"},
		{"conditions", "scenarios: [name: a, name: b, name: c, {name: d, after: [{name: a, condition: Always}, {name: b, condition: OnFinish}, {name: c, condition: OnPass}]}]", profile, "a, b, c, d: a! b? c"},
		{"condition left out", "scenarios: [name: a, {name: b, after: [name: a]}]", profile, "a, b: a"},
		{"declared order", "scenarios: [name: a, name: b, {name: c, after: [b, a]}]", profile, "a, b, c: b a"},
		{"optional", "scenarios: [{name: a, optional: true}, {name: b, optional: false, after: null}]", profile, "-a, b"},
		{"given twice", "scenarios: [name: a, {name: b, after: [a, name: a, a]}]", profile, "a, b: a"},
		{"no scenario", "scenarios: []", profile, ""},
		{"byte order mark", "\ufeffscenarios: [name: a]", profile, "a"},
		{"byte order mark and JSON", "\ufeff{\"scenarios\": [{\"name\": \"\\ud83d\\ude00\"}]}", profile, "😀"},
		{"directive and comments", "%YAML 1.1\n# hello\n---\nscenarios: [name: a] # there\n...\n", profile, "a"},
		{"other words for booleans", "scenarios: [{name: yes, optional: TRUE}, name: off]", profile, "off, -yes"},

		{"the key waits", "testGraph: {b: [{name: a, onFail: skip}]}", profile, "a, b: a"},
		{"run and skip", "testGraph: {c: [{name: b, onFail: run}, {name: a, onFail: skip}]}", profile, "a, b, c: b? a"},
		{"failFast", "testGraph: {c: [{name: b, failFast: false}, {name: a, failFast: true}]}", profile, "a, b, c: b? a"},
		{"both, in agreement", "testGraph: {c: [{name: b, failFast: false, onFail: run}, {name: a, failFast: true, onFail: skip}]}", profile, "a, b, c: b? a"},
		{"nothing said, ADR48", "testGraph: {b: [name: a]}", dag.ADR48, "a, b: a"},
		{"nothing said, ComponentGroup", "testGraph: {b: [name: a]}", dag.ComponentGroup, "a, b: a?"},
		{"the profile is no override", "testGraph: {b: [{name: a, onFail: skip}], c: [{name: a, failFast: true}]}", dag.ComponentGroup, "a, b: a, c: a"},
		{"without parents", "testGraph:\n  a:\n  b: []\n  c: null\n", profile, "a, b, c"},
		{"no scenario at all", "testGraph: {}", profile, ""},
		{"a merge sign in quotes", "testGraph: {\"<<\": []}", profile, "<<"},

		{"one of several documents", "---\n# none\n---\nkind: Namespace\n---\ntestGraph: {a: }\n---\n", profile, "a"},
		{"a foreign object may have anchors", "kind: X\na: &a [b]\nc: *a\n---\nscenarios: [name: a]", profile, "a"},
		{"an object without a graph beside one with", "kind: ComponentGroup\n---\nkind: ComponentGroup\nspec: {}\n---\nkind: ComponentGroup\nspec:\n---\nkind: ComponentGroup\nspec: {testGraph: }\n---\nscenarios: [name: a]", profile, "a"},
		{"an object as JSON", `{"kind": "ComponentGroup", "apiVersion": "v1", "spec": {"x": [1.5e3, true, null, {}, []], "testGraph": {"b": [{"name": "a", "failFast": true}]}}}`, profile, "a, b: a"},

		{"JSON with tabs", "{\n\t\"scenarios\":\t[\n\t\t{\"name\":\t\"a\"}\n\t]\n}\n", profile, "a"},
		{"JSON escapes", `{"scenarios": [{"name": "\u0061\/\ud83d\ude00\"\\u\n"}]}`, profile, "a/😀\"\\u\n"},
		{"JSON on Windows", "{\r\n\"scenarios\": [{\"name\": \"a\"}]\r\n}", profile, "a"},
		{"YAML with braces", "{scenarios: [{name: a, after: [],},]}", profile, "a"},
		{"YAML with braces and quotes", "{\"scenarios\": [{\"name\": 'a'}]} # not JSON", profile, "a"},
		{"JSON as one of several documents", "{\"kind\": \"X\"}\n---\n{\"scenarios\": [{\"name\": \"a\"}]}", profile, "a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, mistakes := parse(test.input, test.profile, dagfile.Options{})
			if mistakes != "" {
				t.Fatal(mistakes)
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestParseMistakes(t *testing.T) {
	tests := []struct{ name, input, want string }{
		{"two graphs in one document", "scenarios: [name: a]\ntestGraph: {}", "2:12: a second graph; the first is on line 1"},
		{"two graphs in two documents", "testGraph: {}\n---\nkind: ComponentGroup\nspec:\n  testGraph:\n    a: []\n", "6:5: a second graph; the first is on line 1"},
		{"a list", "\n- a", "2:1: want a mapping, not a list"},
		{"a word", "a", "1:1: want a mapping, not a string"},
		{"unknown field of the file", "scenarios: []\nscenaros: []", "2:1: unknown field \"scenaros\"; want one of scenarios, testGraph"},
		{"scenarios of another type", "scenarios: {a: b}", "1:12: want a list of scenarios, not a mapping"},
		{"testGraph of another type", "testGraph: [a]", "1:12: want a mapping from each scenario to the list of its parents, not a list"},
		{"spec of another type", "kind: ComponentGroup\nspec: [a]", "2:7: want a mapping, not a list"},
		{"misplaced testGraph", "kind: ComponentGroup\ntestGraph:\n  a: []\n", "3:3: testGraph is not a field of a ComponentGroup; move it under spec"},
		{"duplicate spec", "kind: ComponentGroup\nspec: {testGraph: {}}\nspec: {}", "3:1: duplicate key \"spec\"; the first is on line 2"},
		{"duplicate testGraph", "kind: ComponentGroup\nspec:\n  testGraph: {}\n  testGraph: {}", "4:3: duplicate key \"testGraph\"; the first is on line 3"},
		{"merged spec", "kind: ComponentGroup\nspec: {<<: {testGraph: {}}}", "2:8: the merge key << is not supported; write out what it stands for"},
		{"spec by alias", "kind: ComponentGroup\nx: &x {}\nspec: *x", "3:7: the alias *x is not supported; write out what it stands for"},

		{"unknown fields", "scenarios:\n- name: a\n  needs: []\n- name: b\n  after:\n  - name: a\n    on: x", strings.Join([]string{
			"3:3: unknown field \"needs\"; want one of name, after, optional, command",
			"7:5: unknown field \"on\"; want one of name, condition",
		}, "\n")},
		{"unknown field in testGraph", "testGraph:\n  b:\n  - name: a\n    onFail: run\n    fialFast: true", "5:5: unknown field \"fialFast\"; want one of name, onFail, failFast"},
		{"duplicate keys", "scenarios:\n- name: a\n  name: b\n", "3:3: duplicate key \"name\"; the first is on line 2"},
		{"duplicate keys in testGraph", "testGraph:\n  a: []\n  b: []\n  \"a\": []\n", "4:3: duplicate key \"a\"; the first is on line 2"},
		{"duplicate keys in JSON", "{\"scenarios\": [\n\t{\"name\": \"ä\", \"name\": \"b\"}]}", "2:16: duplicate key \"name\"; the first is on line 2"},

		{"names that are not strings", "scenarios: [name: 1, name: true, name: 2024-01-01, name: 1.5,\n name: ~, name: , name: [a]]", strings.Join([]string{
			`1:19: 1 is not a string; quote it: "1"`,
			`1:28: true is not a string; quote it: "true"`,
			`1:40: 2024-01-01 is not a string; quote it: "2024-01-01"`,
			`1:58: 1.5 is not a string; quote it: "1.5"`,
			`2:8: ~ is not a string; quote it: "~"`,
			`2:15: want a name, not null`,
			`2:25: want a name, not a list`,
		}, "\n")},
		{"keys that are not strings", "testGraph:\n  1: []\n  ? [a]\n  : []\n", "2:3: 1 is not a string; quote it: \"1\"\n3:5: want a name, not a list"},
		{"a number in JSON", "{\"scenarios\": [\n  {\"name\": 12}]}", "2:12: 12 is not a string; quote it: \"12\""},
		{"names of parents", "scenarios: [name: a, {name: b, after: [1, {name: 2}, {condition: Always}, [a]]}]", strings.Join([]string{
			`1:40: 1 is not a string; quote it: "1"`,
			`1:50: 2 is not a string; quote it: "2"`,
			`1:54: the field name is missing`,
			`1:75: want a name, not a list`,
		}, "\n")},
		{"empty names", "scenarios:\n- name: ''\n- optional: true\n- a\n", strings.Join([]string{
			"2:9: dag: a scenario has an empty ID; give it a name",
			"3:3: the field name is missing",
			"4:3: want a mapping with the fields name, after, optional and command, not a string",
		}, "\n")},
		{"a kind of another type", "kind: [ComponentGroup]\nscenarios: [{name: a}]\n---\nkind: &g ComponentGroup\n---\nkind: *g\n---\nkind: 1", strings.Join([]string{
			"1:7: want the name of a kind, not a list", "4:7: the anchor &g is not supported; remove it",
			"6:7: the alias *g is not supported; write out what it stands for",
			`8:7: 1 is not a string; quote it: "1"`,
		}, "\n")},
		{"parents of another type", "scenarios:\n- {name: a, after: b}\n- name: b\n", "2:20: want a list of parents, as in [build], not a string"},
		{"items of another type", "testGraph:\n  a: [b]\n  c: d\n  e: [{}]\n", strings.Join([]string{
			"2:7: want a mapping with the field name, not a string",
			"3:6: want a list of parents, not a string",
			"4:7: the field name is missing",
			"4:7: neither onFail nor failFast is given, and the program chose no profile; set one of them, or parse with ADR48 or ComponentGroup",
		}, "\n")},
		{"optional of another type", "scenarios: [{name: a, optional: yes}, {name: b, optional: \"true\"}, {name: c, optional: }]", strings.Join([]string{
			"1:33: want true or false, not a string", "1:59: want true or false, not a string", "1:88: want true or false, not null",
		}, "\n")},
		{"commands", "scenarios: [{name: a, command: []}, {name: b, command: [x, 1]}, {name: c, command: ''}, {name: d, command: {}}, {name: e, command: ['']}, {name: f, command: 5}]", strings.Join([]string{
			"1:32: the command is empty; leave it out or name a program",
			"1:60: 1 is not a string; quote it: \"1\"",
			"1:84: the command is empty; leave it out or name a program",
			"1:108: want a string or a list of strings, not a mapping",
			"1:133: the command is empty; leave it out or name a program",
			"1:158: 5 is not a string; quote it: \"5\"",
		}, "\n")},
		{"condition", "scenarios: [name: a, {name: b, after: [{name: a, condition: onpass}, {name: a, condition: 1}, {name: a, condition: }]}]", strings.Join([]string{
			`1:61: dag: "b" waits for "a" with the unknown condition "onpass"; want OnPass, OnFinish or Always`,
			`1:91: 1 is not a string; quote it: "1"`,
			`1:116: want a condition, not null`,
		}, "\n")},
		{"onFail and failFast", "testGraph:\n  a:\n  - {name: b, onFail: stop}\n  - {name: c, onFail: true}\n  - {name: d, failFast: 'true'}\n  - {name: e, failFast: true, onFail: run}\n  - {name: f, failFast: false, onFail: skip}\n  - {name: g, failFast: }", strings.Join([]string{
			`3:23: unknown onFail "stop"; want run or skip`,
			`4:23: true is not a string; quote it: "true"`,
			`5:25: want true or false, not a string`,
			`6:25: failFast: true contradicts onFail: run; keep one of them`,
			`7:25: failFast: false contradicts onFail: skip; keep one of them`,
			`8:25: want true or false, not null`,
		}, "\n")},
		{"onFail and failFast, both wrong or one unreadable", "testGraph:\n  a:\n  - {name: b, onFail: stop, failFast: 'true'}\n  - {name: c, onFail: 1, failFast: 2}\n  - {name: d, onFail: [], failFast: true}\n  - {name: e}\n", strings.Join([]string{
			`3:23: unknown onFail "stop"; want run or skip`,
			`3:39: want true or false, not a string`,
			`4:23: 1 is not a string; quote it: "1"`,
			`4:36: want true or false, not a number`,
			`5:23: want run or skip, not a list`,
			`6:5: neither onFail nor failFast is given, and the program chose no profile; set one of them, or parse with ADR48 or ComponentGroup`,
		}, "\n")},
		{"half of an edge is no edge", "testGraph:\n  a:\n  - {name: b, onFail: 1, failFast: true}\n  - {name: b, onFail: run}\n", `3:23: 1 is not a string; quote it: "1"`},
		{"no profile, told once", "testGraph:\n  a: [name: b, name: c]\n", "2:7: neither onFail nor failFast is given, and the program chose no profile; set one of them, or parse with ADR48 or ComponentGroup"},

		{"anchors, aliases, tags", "scenarios:\n- &a {name: x}\n- *a\n- !!map {name: !!str y}\n- name: !!int 1\n  optional: !x true\n", strings.Join([]string{
			"2:3: the anchor &a is not supported; remove it",
			"3:3: the alias *a is not supported; write out what it stands for",
			"4:3: the tag !!map is not supported; remove it",
			"4:16: the tag !!str is not supported; remove it",
			"5:9: the tag !!int is not supported; remove it",
			"6:13: the tag !x is not supported; remove it",
		}, "\n")},
		{"merge keys", "testGraph:\n  <<: {a: []}\n  b: []", "2:3: the merge key << is not supported; write out what it stands for"},
		{"null with an anchor", "testGraph: &a\n", "1:12: the anchor &a is not supported; remove it\n1:12: want a mapping from each scenario to the list of its parents, not null"},
		{"an alias inside testGraph to outside", "kind: ComponentGroup\nspec:\n  x: &x [name: y]\n  testGraph: {a: *x}", "4:18: the alias *x is not supported; write out what it stands for"},

		{"unknown parent", "scenarios:\n- name: a\n  after:\n  - b\n  - name: c\n", "4:5: dag: \"a\" waits for \"b\", which is not a scenario; add it or correct the name\n5:11: dag: \"a\" waits for \"c\", which is not a scenario; add it or correct the name"},
		{"no unknown parent where a name is unreadable", "scenarios:\n- name: a\n  after: [b]\n- name: [b]\n", "4:9: want a name, not a list"},
		{"duplicate scenario", "scenarios:\n- name: a\n- name: a\n- name: a\n", "3:9: dag: 3 scenarios have the ID \"a\"; keep one"},
		{"self edge", "testGraph:\n  a:\n  - onFail: skip\n    name: a\n", "4:11: dag: \"a\" waits for itself; remove the edge"},
		{"conflict", "scenarios: [name: a, {name: b, after: [a, {name: a, condition: OnPass}, {name: a, condition: Always}]}]", `1:80: dag: "b" waits for "a" with different conditions (OnPass, Always); keep one`},
		{"cycle", "testGraph:\n  c: [{name: b, onFail: run}]\n  b: [{name: a, onFail: run}]\n  a: [{name: x, onFail: run}, {name: c, onFail: run}]\n", `4:38: dag: cycle: "a" waits for "c" waits for "b" waits for "a"`},
		{"everything in the order of the file", "scenarios:\n- name: a\n  after: [b]\n- name: b\n  after: [a, x]\n- nam: c\n- name: c\n  optional: 1\n", strings.Join([]string{
			`3:11: dag: cycle: "a" waits for "b" waits for "a"`,
			`6:3: unknown field "nam"; want one of name, after, optional, command`,
			`6:3: the field name is missing`,
			`8:13: want true or false, not a number`,
		}, "\n")},

		{"not UTF-8", "a: b\nä: \xff", "2:4: not UTF-8"},
		{"UTF-16", "\xff\xfea\x00", "1:1: not UTF-8"},
		{"control character", "a: b\nc: ä\x01", "2:5: not YAML: control characters are not allowed"},
		{"flow that is not closed", "\n\na: [b}", "3: not YAML: did not find expected ',' or ']'"},
		{"indentation", "scenarios:\n - name: a\n  - name: b\n", "2: not YAML: did not find expected '-' indicator"},
		{"no colon", "a: 1\nb\nc: 2\n", "2: not YAML: could not find expected ':'"},
		{"on the first line", "a: b: c", "1: not YAML: mapping values are not allowed in this context"},
		{"on a later line", "\na: b: c", "2: not YAML: mapping values are not allowed in this context"},
		{"unknown anchor", "\na: *b", " not YAML: unknown anchor 'b' referenced"},
		{"broken JSON", "{\"scenarios\": [\n  {\"name\": \"ä\" \"\\ud83d\\ude00\"}]}", "2:16: not JSON: invalid character '\"' after object key:value pair"},
		{"JSON that ends early", "{\"scenarios\": [", "1:15: not JSON: unexpected end of JSON input"},
		{"more than one JSON value", "{\"scenarios\": []}\n{}", "2:1: not JSON: invalid character '{' after top-level value"},
		{"half a pair", `{"scenarios": [{"name": "a\\\ud83d"}]}`, "1:25: half a pair of surrogates is escaped; write both, or the character itself"},
		{"the wrong half", `{"scenarios": [{"name": "\ude00\ud83d"}]}`, "1:25: half a pair of surrogates is escaped; write both, or the character itself"},

		{"nothing", "", " no graph; want scenarios, testGraph, or a ComponentGroup with spec.testGraph"},
		{"only comments", "# a\n---\n# b\n", " no graph; want scenarios, testGraph, or a ComponentGroup with spec.testGraph"},
		{"null", "scenarios:", " no graph; want scenarios, testGraph, or a ComponentGroup with spec.testGraph"},
		{"empty object", "{}", " no graph; want scenarios, testGraph, or a ComponentGroup with spec.testGraph"},
		{"only other objects", "kind: Namespace\nspec: {testGraph: {}}", " no graph; want scenarios, testGraph, or a ComponentGroup with spec.testGraph"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, got := parse(test.input, 0, dagfile.Options{}); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	small := dagfile.Options{MaxBytes: 1000, MaxDepth: 3, MaxDocuments: 2, MaxName: 3, MaxMistakes: 2}
	deep := func(open, shut string, n int) string {
		return "kind: X\nx: " + strings.Repeat(open, n) + strings.Repeat(shut, n) + "\n---\nscenarios: [{name: a}]"
	}
	tests := []struct {
		name, input string
		options     dagfile.Options
		want        string // option, or nothing
		line        int
	}{
		{"bytes", "scenarios: []" + strings.Repeat("\n", 987), small, "", 0},
		{"too many bytes", "scenarios: []" + strings.Repeat("\n", 988), small, "MaxBytes", 0},
		{"16 MiB by default", "{\"scenarios\": []}" + strings.Repeat(" ", 16<<20-17), dagfile.Options{}, "", 0},
		{"more than 16 MiB", "{\"scenarios\": []}" + strings.Repeat(" ", 16<<20-16), dagfile.Options{}, "MaxBytes", 0},
		{"depth", "scenarios: [{name: a}]", small, "", 0},
		{"too deep", "scenarios:\n- name: a\n  after:\n  - b\n", small, "MaxDepth", 4},
		{"too deep in JSON", "{\"scenarios\": [{\n\"after\": [1]}]}", small, "MaxDepth", 2},
		{"100 deep by default", deep("[", "]", 99), dagfile.Options{}, "", 0},
		{"more than 100 deep", deep("[", "]", 100), dagfile.Options{}, "MaxDepth", 2},
		{"at most 10000 deep", deep("[", "]", 10001), dagfile.Options{MaxDepth: 1 << 30}, "MaxDepth", 2},
		{"deep in JSON", `{"kind": ` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}", dagfile.Options{}, "MaxDepth", 1},
		{"deeper than any JSON", `{"kind": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}", dagfile.Options{}, "MaxDepth", 1},
		{"nothing but brackets", strings.Repeat("[", 16<<20), dagfile.Options{}, "MaxDepth", 1},
		{"nothing but braces", strings.Repeat("{a: ", 1<<18), dagfile.Options{}, "MaxDepth", 1},
		{"nothing but dashes", strings.Repeat("- ", 1<<19), dagfile.Options{}, "MaxDepth", 1},
		{"nothing but question marks", strings.Repeat("? ", 1<<19), dagfile.Options{}, "MaxDepth", 1},
		{"dashes, then brackets", strings.Repeat("- ", 9999) + strings.Repeat("[", 9999) + strings.Repeat("]", 9999), dagfile.Options{}, "MaxDepth", 1},
		{"documents", "---\n---\nscenarios: []", small, "", 0},
		{"too many documents", "---\n---\n---\nscenarios: []", small, "MaxDocuments", 3},
		{"name", "scenarios: [{name: abc}]", small, "", 0},
		{"too long a name", "scenarios: [{name: abcd}]", small, "MaxName", 1},
		{"1024 by default", "scenarios: [{name: " + strings.Repeat("n", 1024) + "}]", dagfile.Options{}, "", 0},
		{"longer than 1024", "scenarios: [{name: " + strings.Repeat("n", 1025) + "}]", dagfile.Options{}, "MaxName", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := dagfile.Parse(strings.NewReader(test.input), 0, test.options)
			var limit *dagfile.LimitError
			var at *dagfile.Error
			if errors.As(err, &limit); test.want == "" && err != nil || test.want != "" && (limit == nil || limit.Option != test.want) {
				t.Fatalf("got %v, want a limit of %q", err, test.want)
			}
			if errors.As(err, &at); at != nil && at.Line != test.line {
				t.Errorf("on line %d, want %d", at.Line, test.line)
			}
		})
	}
}

func TestMistakesAreCountedBeyondALimit(t *testing.T) {
	_, got := parse("scenarios:\n- 1\n- 2\n- name: b\n  after: [c, d]\n", 0, dagfile.Options{MaxMistakes: 1})
	want := "2:3: want a mapping with the fields name, after, optional and command, not a number\n 1 more mistakes"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var many strings.Builder
	many.WriteString("scenarios:\n- name: " + strings.Repeat("n", 1024) + "\n  after:\n")
	for i := range 20_000 {
		fmt.Fprintf(&many, "  - p%d\n", i)
	}
	_, got = parse(many.String(), 0, dagfile.Options{})
	if !strings.HasSuffix(got, "\n 19000 more mistakes") || strings.Count(got, "\n") != 1000 {
		t.Errorf("got %d lines that end in %q", strings.Count(got, "\n"), got[max(0, len(got)-100):])
	}
}

func TestMistakesAreTyped(t *testing.T) {
	const input = `
scenarios:
- name: a
  after: [b, a, x]
- name: b
  after: [a, {name: c, condition: Never}]
- name: c
  after: [b, {name: b, condition: Always}]
- name: d
- name: d
- name: ""
`
	_, err := dagfile.Parse(strings.NewReader(input), 0, dagfile.Options{Name: "graph.yaml"})
	if !errors.As(err, new(*dagfile.Error)) || !errors.As(err, new(*dag.CycleError)) {
		t.Errorf("no place or no cycle in:\n%v", err)
	}
	for _, kind := range []dag.Kind{dag.SelfEdge, dag.UnknownCondition, dag.ConflictingConditions, dag.DuplicateID, dag.EmptyID} {
		if !errors.Is(err, kind) {
			t.Errorf("no %s in:\n%v", kind, err)
		}
	}
	_, err = dagfile.Parse(strings.NewReader("scenarios: [{name: a, after: [b]}]"), 0, dagfile.Options{Name: "graph.yaml"})
	var unknown *dag.Error
	if !errors.As(err, &unknown) || !cmp.Equal(*unknown, dag.Error{Kind: dag.UnknownParent, ID: "a", Parent: "b"}) {
		t.Errorf("got %#v", unknown)
	}
	var at *dagfile.Error
	if !errors.As(err, &at) || at.Name != "graph.yaml" || at.Line != 1 || at.Column != 31 {
		t.Errorf("got %#v", at)
	}
	for input, want := range map[string]error{"": dagfile.ErrNoGraph, "testGraph: {a: [name: b]}": dag.NoProfile} {
		for _, p := range []dag.Profile{0, 9} {
			if _, err := dagfile.Parse(strings.NewReader(input), p, dagfile.Options{}); !errors.Is(err, want) {
				t.Errorf("%q: got %v, want %v", input, err, want)
			}
		}
	}
	broken := errors.New("broken")
	if _, err := dagfile.Parse(iotest.ErrReader(broken), 0, dagfile.Options{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestErrorTellsItsPlace(t *testing.T) {
	for want, e := range map[string]dagfile.Error{
		"g.yaml:7:5: oops": {Name: "g.yaml", Line: 7, Column: 5},
		"g.yaml:7: oops":   {Name: "g.yaml", Line: 7},
		"g.yaml: oops":     {Name: "g.yaml"},
		"line 7: oops":     {Line: 7, Column: 5},
		"dagfile: oops":    {},
	} {
		e.Err = errors.New("oops")
		if got := e.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestCommands(t *testing.T) {
	const input = `
scenarios:
- {name: a, command: go test ./...}
- {name: b, command: [sh, -c, "", "1"]}
- {name: c}
`
	f, err := dagfile.Parse(strings.NewReader(input), 0, dagfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[dag.ID][]string{"a": {"sh", "-c", "go test ./..."}, "b": {"sh", "-c", "", "1"}}
	if diff := cmp.Diff(want, f.Commands); diff != "" {
		t.Error(diff)
	}
}

func TestComponentGroup(t *testing.T) {
	for profile, want := range map[dag.Profile]string{
		dag.ADR48:          "license-check, load-test, rollout, style-check, virus-scan, quality-score: rollout, smoke-test: virus-scan?, acceptance: virus-scan load-test quality-score?",
		dag.ComponentGroup: "license-check, load-test, rollout, style-check, virus-scan, quality-score: rollout, smoke-test: virus-scan?, acceptance: virus-scan? load-test quality-score?",
	} {
		got := format(parseFile(t, filepath.Join("testdata", "componentgroup.yaml"), profile))
		if got != want {
			t.Errorf("%v:\ngot  %s\nwant %s", profile, got, want)
		}
	}
}

// The upstream sample of a ComponentGroup is not ours to keep here.
func TestUpstreamSample(t *testing.T) {
	corpus := os.Getenv("TESTDAG_CORPUS")
	if corpus == "" {
		t.Skip("TESTDAG_CORPUS is not set; it names a folder with konflux/componentgroup.yaml, the sample of the integration service")
	}
	g := parseFile(t, filepath.Join(corpus, "konflux", "componentgroup.yaml"), dag.ComponentGroup)
	want := "clamav-scan, dast-tests, deployment, e2e-test: clamav-scan?, operator-scorecard: deployment, verify: clamav-scan? dast-tests operator-scorecard?"
	if got := format(g); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func parseFile(t *testing.T, path string, p dag.Profile) *dag.Graph {
	t.Helper()
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := dagfile.Parse(r, p, dagfile.Options{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	return f.Graph
}
