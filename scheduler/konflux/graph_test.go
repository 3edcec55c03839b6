package konflux_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler/konflux"
)

func TestGraph(t *testing.T) {
	const none = dag.Profile(0)
	for name, tt := range map[string]struct {
		profile   dag.Profile
		scenarios []string
		group     string
		want      string
	}{
		"nothing":                  {want: ""},
		"no group":                 {scenarios: []string{"scan", "build"}, want: "build; scan"},
		"neither, ADR48":           {dag.ADR48, []string{"a", "b"}, `{"b":[{"name":"a"}]}`, "a; b after a"},
		"neither, ComponentGroup":  {dag.ComponentGroup, []string{"a", "b"}, `{"b":[{"name":"a"}]}`, "a; b after a (OnFinish)"},
		"onFail skip, no profile":  {none, []string{"a", "b"}, `{"b":[{"name":"a","onFail":"skip"}]}`, "a; b after a"},
		"onFail run, no profile":   {none, []string{"a", "b"}, `{"b":[{"name":"a","onFail":"run"}]}`, "a; b after a (OnFinish)"},
		"onFail beats the profile": {dag.ADR48, []string{"a", "b"}, `{"b":[{"name":"a","onFail":"run"}]}`, "a; b after a (OnFinish)"},
		"failFast true":            {dag.ComponentGroup, []string{"a", "b"}, `{"b":[{"name":"a","failFast":true}]}`, "a; b after a"},
		"failFast false":           {dag.ADR48, []string{"a", "b"}, `{"b":[{"name":"a","failFast":false}]}`, "a; b after a (OnFinish)"},
		"both, skip":               {none, []string{"a", "b"}, `{"b":[{"name":"a","onFail":"skip","failFast":true}]}`, "a; b after a"},
		"both, run":                {none, []string{"a", "b"}, `{"b":[{"name":"a","onFail":"run","failFast":false}]}`, "a; b after a (OnFinish)"},
		"null is neither":          {dag.ADR48, []string{"a", "b"}, `{"b":[{"name":"a","onFail":null,"failFast":null}]}`, "a; b after a"},
		"null list":                {none, []string{"a"}, `{"a":null}`, "a"},
		"empty list":               {none, []string{"a"}, `{"a":[]}`, "a"},
		"declared order":           {dag.ADR48, []string{"a", "b", "c"}, `{"c":[{"name":"b"},{"name":"a"}]}`, "a; b; c after b, a"},
		"one edge twice":           {dag.ADR48, []string{"a", "b"}, `{"b":[{"name":"a"},{"name":"a","onFail":"skip"}]}`, "a; b after a"},
		"implicit, not there":      {dag.ADR48, []string{"b"}, `{"b":[{"name":"a"}]}`, "b"},
		"key not there, bridged":   {dag.ADR48, []string{"a", "c"}, `{"b":[{"name":"a"}],"c":[{"name":"b"}]}`, "a; c after a"},
		"dependents":               {none, []string{"a before b,c", "b", "c"}, "", "a; b after a; c after a"},
		"dependents ask a pass":    {dag.ComponentGroup, []string{"a before b", "b"}, "", "a; b after a"},
		"dependents not there":     {none, []string{"a before b"}, "", "a"},
		"both ways, alike":         {dag.ADR48, []string{"a before b", "b"}, `{"b":[{"name":"a"}]}`, "a; b after a"},
		"both ways, two parents":   {dag.ADR48, []string{"a before c", "b", "c"}, `{"c":[{"name":"b"}]}`, "a; b; c after b, a"},
		"optional":                 {none, []string{"a optional", "b"}, "", "a optional; b"},
		"other context, bridged":   {none, []string{"a", "b in group", "c"}, `{"b":[{"name":"a","onFail":"run"}],"c":[{"name":"b","onFail":"skip"}]}`, "a; c after a"},
		"bridged, stricter first":  {none, []string{"a", "b in group", "c"}, `{"b":[{"name":"a","onFail":"skip"}],"c":[{"name":"b","onFail":"run"}]}`, "a; c after a"},
		"bridged, neither strict":  {none, []string{"a", "b in group", "c"}, `{"b":[{"name":"a","onFail":"run"}],"c":[{"name":"b","onFail":"run"}]}`, "a; c after a (OnFinish)"},
		"bridged over two":         {dag.ADR48, []string{"a", "b in group", "d"}, `{"b":[{"name":"a"}],"c":[{"name":"b"}],"d":[{"name":"c"}]}`, "a; d after a"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Profile = tt.profile
			g, err := konflux.Graph(scenarios(tt.scenarios...), group(tt.group), snapshot(), o)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "graph", drawing(g), tt.want)
		})
	}
}

func TestGraphRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		profile   dag.Profile
		scenarios []string
		group     string
		want      []string
	}{
		"no profile": {0, []string{"a", "b"}, `{"b":[{"name":"a"}]}`, []string{"konflux: testGraph: b[0]: " + (&dag.Error{Kind: dag.NoProfile}).Error()}},
		"contradictions": {dag.ADR48, []string{"a", "b"}, `{"b":[{"name":"a","onFail":"run","failFast":true},{"name":"a","onFail":"skip","failFast":false}]}`, []string{
			"konflux: testGraph: b[0]: failFast: true contradicts onFail: run; keep one of them",
			"konflux: testGraph: b[1]: failFast: false contradicts onFail: skip; keep one of them",
		}},
		"unknown onFail": {dag.ADR48, []string{"a", "b"}, `{"b":[{"name":"a","onFail":"Run"}],"a":[{"name":"b","onFail":""}]}`, []string{
			`konflux: testGraph: a[0]: unknown onFail ""; want run or skip`,
			`konflux: testGraph: b[0]: unknown onFail "Run"; want run or skip`,
		}},
		"missing name": {dag.ADR48, []string{"a"}, `{"a":[{},{"onFail":"run"}]}`, []string{
			"konflux: testGraph: a[0]: the name is missing", "konflux: testGraph: a[1]: the name is missing",
		}},
		"empty key":       {dag.ADR48, []string{"a"}, `{"":[{"name":"a"}]}`, []string{"dag: a scenario has an empty ID; give it a name"}},
		"waits for self":  {dag.ADR48, []string{"a"}, `{"a":[{"name":"a"}]}`, []string{`dag: "a" waits for itself; remove the edge`}},
		"dependent: self": {0, []string{"a before a"}, "", []string{`dag: "a" waits for itself; remove the edge`}},
		"cycle through one of another context": {dag.ADR48, []string{"a", "b in group"}, `{"a":[{"name":"b"}],"b":[{"name":"a"}]}`, []string{
			`dag: cycle: "a" waits for "b" waits for "a"`,
		}},
		"cycle through one that is not there": {dag.ADR48, []string{"a"}, `{"a":[{"name":"b"}],"b":[{"name":"a"}]}`, []string{
			`dag: cycle: "a" waits for "b" waits for "a"`,
		}},
		"cycle of both ways": {dag.ADR48, []string{"a before b", "b"}, `{"a":[{"name":"b"}]}`, []string{`dag: cycle: "a" waits for "b" waits for "a"`}},
		"conflict": {dag.ADR48, []string{"a", "b"}, `{"b":[{"name":"a","onFail":"run"},{"name":"a"}]}`, []string{
			`dag: "b" waits for "a" with different conditions (OnPass, OnFinish); keep one`,
		}},
		"conflict of both ways": {dag.ADR48, []string{"a before b", "b"}, `{"b":[{"name":"a","onFail":"run"}]}`, []string{
			`dag: "b" waits for "a" with different conditions (OnPass, OnFinish); keep one`,
		}},
		"all at once": {dag.ADR48, []string{"a", "b", "c"}, `{"c":[{"name":"c"},{"name":""}],"a":[{"name":"b"}],"b":[{"name":"a","onFail":"no"},{"name":"a"}]}`, []string{
			`konflux: testGraph: b[0]: unknown onFail "no"; want run or skip`,
			"konflux: testGraph: c[1]: the name is missing",
			`dag: "c" waits for itself; remove the edge`,
			`dag: cycle: "a" waits for "b" waits for "a"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Profile = tt.profile
			g, err := konflux.Graph(scenarios(tt.scenarios...), group(tt.group), snapshot(), o)
			equal(t, "mistakes of Graph", mistakes(err), tt.want)
			if g != nil {
				t.Errorf("a graph beside the error: %v", drawing(g))
			}
			for _, want := range tt.want { // the same, and perhaps more
				if got := mistakes(konflux.Validate(scenarios(tt.scenarios...), group(tt.group), o)); !slices.Contains(got, want) {
					t.Errorf("Validate does not report %q, only %q", want, got)
				}
			}
		})
	}
}

func TestGraphErrorTypes(t *testing.T) {
	_, err := konflux.Graph(scenarios("a"), group(`{"a":[{"name":"b","onFail":"no"}]}`), snapshot(), options())
	var node *konflux.NodeError
	if !errors.As(err, &node) || node.Child != "a" || node.Entry != 0 {
		t.Errorf("got %v; want a *NodeError about a[0]", err)
	}
	_, err = konflux.Graph(scenarios("a before a"), nil, snapshot(), options())
	if !errors.Is(err, dag.SelfEdge) {
		t.Errorf("got %v; want dag.SelfEdge", err)
	}
}

// kinds are Snapshots as the integration-service makes them.
var kinds = map[string]konflux.Snapshot{
	"by hand":          snapshot("type=component", "appstudio.openshift.io/component=web"),
	"push":             snapshot("type=component", "appstudio.openshift.io/component=web", "pac.test.appstudio.openshift.io/event-type=push", "pac.test.appstudio.openshift.io/pull-request="),
	"Push":             snapshot("type=component", "pac.test.appstudio.openshift.io/event-type=Push", "pac.test.appstudio.openshift.io/pull-request=7"),
	"incoming":         snapshot("type=component", "pac.test.appstudio.openshift.io/event-type=incoming"),
	"number, no event": snapshot("type=component", "pac.test.appstudio.openshift.io/pull-request=7"),
	"pull request":     snapshot("type=component", "appstudio.openshift.io/component=api", "pac.test.appstudio.openshift.io/event-type=pull_request", "pac.test.appstudio.openshift.io/pull-request=7"),
	"comment":          snapshot("type=component", "pac.test.appstudio.openshift.io/event-type=retest-comment", "pac.test.appstudio.openshift.io/pull-request=7"),
	"merge queue":      snapshot("type=component", "pac.test.appstudio.openshift.io/event-type=push", "@pac.test.appstudio.openshift.io/source-branch=refs/heads/gh-readonly-queue/main/pr-7"),
	"queue, short":     snapshot("type=component", "@pac.test.appstudio.openshift.io/source-branch=gh-readonly-queue/main/pr-7"),
	"queue, alike":     snapshot("type=component", "@pac.test.appstudio.openshift.io/source-branch=my/gh-readonly-queue/x"),
	"group":            snapshot("type=group"),
	"group, pushed":    snapshot("type=group", "pac.test.appstudio.openshift.io/event-type=push"),
	"override":         snapshot("type=override"),
	"nothing told":     snapshot(),
}

// Each context, and the kinds of Snapshots that belong to it.
func TestContexts(t *testing.T) {
	pushed := []string{"Push", "by hand", "incoming", "nothing told", "number, no event", "override", "push", "queue, alike"}
	pulled := []string{"comment", "group", "group, pushed", "merge queue", "pull request", "queue, short"}
	all := slices.Sorted(slices.Values(append(slices.Clone(pushed), pulled...)))
	for contexts, want := range map[string][]string{
		"":                                    all,
		" in application":                     all,
		" in all":                             all,
		" in push":                            pushed,
		" in pull_request":                    pulled,
		" in component":                       slices.DeleteFunc(slices.Clone(all), func(k string) bool { return strings.HasPrefix(k, "group") || k == "override" || k == "nothing told" }),
		" in component_web":                   {"by hand", "push"},
		" in component_api":                   {"pull request"},
		" in component_":                      nil,
		" in group":                           {"group", "group, pushed"},
		" in override":                        {"override"},
		" in disabled":                        nil,
		" in Push":                            nil, // names are as they are written
		" in unheard-of":                      nil,
		" in disabled,override,component_api": {"override", "pull request"}, // any of them is enough
		" in push,pull_request":               all,
	} {
		var got []string
		for kind, s := range kinds {
			g, err := konflux.Graph(scenarios("scan"+contexts), nil, s, options())
			if err != nil {
				t.Fatal(err)
			}
			if g.Len() > 0 {
				got = append(got, kind)
			}
		}
		slices.Sort(got)
		equal(t, "Snapshots of scan"+contexts, got, want)
	}
}

// Labels of before a migration count, where none of today is there.
func TestOlderLabels(t *testing.T) {
	o := options()
	o.Keys, o.LegacyKeys = newKeys, []konflux.Keys{oldKeys}
	both := scenario("both optional")
	both.Labels[newKeys.Test+"/optional"] = "false"
	today := scenario("today")
	today.Labels = map[string]string{newKeys.Test + "/optional": "true"}
	list := append(scenarios("before optional", "ours in group"), both, today)
	s := snapshot("type=group")
	for _, tt := range []struct {
		older []konflux.Keys
		want  string
	}{
		{nil, "before; both; today optional"},
		{[]konflux.Keys{oldKeys}, "before optional; both; ours; today optional"},
	} {
		o.LegacyKeys = tt.older
		g, err := konflux.Graph(list, nil, s, o)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "graph", drawing(g), tt.want)
	}
}

const labelWanted = "want a DNS-1035 label: lower-case letters, digits and '-', at most 63 characters, beginning with a letter"

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		scenarios []string
		group     string
		want      []string
	}{
		"right": {[]string{"a before b", "b", "c1-x"}, `{"c1-x":[{"name":"a"}]}`, nil},
		"names": {[]string{"1a", "A", "a-", "a_b", strings.Repeat("a", 63), strings.Repeat("b", 64)}, "", []string{
			`konflux: scenario "1a": ` + labelWanted, `konflux: scenario "A": ` + labelWanted, `konflux: scenario "a-": ` + labelWanted,
			`konflux: scenario "a_b": ` + labelWanted, `konflux: scenario "` + strings.Repeat("b", 64) + `": ` + labelWanted,
		}},
		"all":           {[]string{"all", "alls"}, "", []string{`konflux: scenario "all": the label of a rerun takes this name for all scenarios; choose another`}},
		"twice, thrice": {[]string{"a", "a", "b", "a"}, "", []string{`konflux: scenario "a": several scenarios have this name`}},
		"not there": {[]string{"a before x,y"}, `{"z":[{"name":"a"},{"name":"w"}],"a":null}`, []string{
			`konflux: testGraph names "w", and there is no IntegrationTestScenario of this name`,
			`konflux: testGraph names "z", and there is no IntegrationTestScenario of this name`,
			`konflux: dependents of a names "x", and there is no IntegrationTestScenario of this name`,
			`konflux: dependents of a names "y", and there is no IntegrationTestScenario of this name`,
		}},
		"optional parent": {[]string{"a optional before b", "b", "c", "d optional"}, `{"c":[{"name":"a","onFail":"run"}],"d":[{"name":"a"}]}`, []string{
			`konflux: "b" is required and waits for "a" to pass, which is optional; make both alike, or let it run all the same (onFail: run, failFast: false)`,
		}},
		"optional parent of a name that is not there": {[]string{"a optional"}, `{"b":[{"name":"a"}]}`, []string{
			`konflux: testGraph names "b", and there is no IntegrationTestScenario of this name`,
		}},
		"all at once": {[]string{"A", "o optional before r", "r before gone"}, `{"r":[{"name":"r"},{"name":""}],"x":[{"name":"y"}],"y":[{"name":"x"}]}`, []string{
			"konflux: testGraph: r[1]: the name is missing",
			`dag: "r" waits for itself; remove the edge`,
			`dag: cycle: "x" waits for "y" waits for "x"`,
			`konflux: scenario "A": ` + labelWanted,
			`konflux: testGraph names "x", and there is no IntegrationTestScenario of this name`,
			`konflux: testGraph names "y", and there is no IntegrationTestScenario of this name`,
			`konflux: dependents of r names "gone", and there is no IntegrationTestScenario of this name`,
			`konflux: "r" is required and waits for "o" to pass, which is optional; make both alike, or let it run all the same (onFail: run, failFast: false)`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			equal(t, "mistakes", mistakes(konflux.Validate(scenarios(tt.scenarios...), group(tt.group), options())), tt.want)
		})
	}
}

// The order in which scenarios come changes neither the graph nor the mistakes and their order.
func TestOrderOfScenariosDoesNotMatter(t *testing.T) {
	names := []string{"a", "b", "c", "d", "E", "f-"}
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(rapid.SampledFrom(names), 0, 3)
		lines := make([]string, 0, len(names))
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, len(names)).Draw(t, "scenarios") {
			line := name
			if rapid.Bool().Draw(t, "optional") {
				line += " optional"
			}
			if before := some.Draw(t, "before"); len(before) > 0 {
				line += " before " + strings.Join(before, ",")
			}
			if !slices.ContainsFunc(lines, func(l string) bool { return l != line && strings.HasPrefix(l, name) }) { // equal ones may come twice
				lines = append(lines, line)
			}
		}
		var g *konflux.ComponentGroup
		if rapid.Bool().Draw(t, "with a group") {
			g = chain("none")
			for _, child := range some.Draw(t, "children") {
				for _, parent := range some.Draw(t, "parents") {
					onFail := rapid.SampledFrom([]string{"run", "skip", "skip", "unheard-of"}).Draw(t, "onFail")
					g.Spec.TestGraph[child] = append(g.Spec.TestGraph[child], konflux.TestGraphNode{Name: parent, OnFail: &onFail})
				}
			}
		}
		list := scenarios(lines...)
		shuffled := rapid.Permutation(list).Draw(t, "shuffled")
		equal(t, "mistakes", mistakes(konflux.Validate(shuffled, g, options())), mistakes(konflux.Validate(list, g, options())))
		want, err := konflux.Graph(list, g, snapshot(), options())
		got, shuffledErr := konflux.Graph(shuffled, g, snapshot(), options())
		equal(t, "mistakes of Graph", mistakes(shuffledErr), mistakes(err))
		if err == nil && !got.Equal(want) {
			t.Errorf("graph %s; want %s", drawing(got), drawing(want))
		}
	})
}
