package konflux

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

func refOf(scenario string, run int) scheduler.Ref {
	return scheduler.Ref{ID: dag.ID(scenario), Run: run}
}

// An UnknownScenarioError reports a name of which there is no IntegrationTestScenario.
type UnknownScenarioError struct {
	Name   string
	Within string // what names it: "testGraph", "dependents of scan", "the label test.appstudio.openshift.io/run"
}

func (e *UnknownScenarioError) Error() string {
	return fmt.Sprintf("konflux: %s names %q, and there is no IntegrationTestScenario of this name", e.Within, e.Name)
}

// An OptionalParentError reports a required scenario that is canceled when an optional one fails: a failure that was not
// to matter then decides.
type OptionalParentError struct {
	Parent, Child string
}

func (e *OptionalParentError) Error() string {
	return fmt.Sprintf("konflux: %q is required and waits for %q to pass, which is optional; make both alike, or let it run all the same (onFail: run, failFast: false)", e.Child, e.Parent)
}

// A NodeError reports an entry of testGraph that cannot be read.
type NodeError struct {
	Child   string // the key
	Entry   int    // position in its list
	Problem string
}

func (e *NodeError) Error() string {
	return fmt.Sprintf("konflux: testGraph: %s[%d]: %s", e.Child, e.Entry, e.Problem)
}

// A NameError reports an IntegrationTestScenario whose name is no DNS-1035 label, that another one has, or that stands for all.
type NameError struct {
	Name    string
	Problem string
}

func (e *NameError) Error() string { return fmt.Sprintf("konflux: scenario %q: %s", e.Name, e.Problem) }

// Validate returns every mistake in the scenarios of a group or of an application and their order, for an admission
// webhook or a check of a pull request: those of [dag.New], a *[NodeError] for each entry that cannot be read, and
// what [Next] can live with: *[UnknownScenarioError], *[OptionalParentError], *[NameError]. The group may be nil.
func Validate(scenarios []IntegrationTestScenario, group *ComponentGroup, o Options) error {
	r := relate(scenarios, group, o)
	_, err := r.graph()
	return errors.Join(append(r.mistakes, append(unwrap(err), r.doubts()...)...)...)
}

// Graph returns the graph of the scenarios that are for a Snapshot. What waits for a scenario that is for others, or that
// is not there, waits for its parents instead. The group may be nil: then only dependents order the scenarios.
//
// Errors are those of [dag.New] and *[NodeError], each of them, joined.
func Graph(scenarios []IntegrationTestScenario, group *ComponentGroup, s Snapshot, o Options) (*dag.Graph, error) {
	r := relate(scenarios, group, o)
	g, err := r.graph()
	if err != nil || len(r.mistakes) > 0 {
		return nil, errors.Join(append(r.mistakes, err)...)
	}
	var out []dag.ID
	for id := range g.All() {
		if t, ok := r.byName[string(id)]; !ok || !o.applies(t, s) {
			out = append(out, id)
		}
	}
	return g.Without(out...), nil
}

// A relation is who waits for whom, before it is known to be a graph.
type relation struct {
	scenarios []IntegrationTestScenario
	byName    map[string]*IntegrationTestScenario
	group     *ComponentGroup
	options   Options
	after     map[string][]dag.Parent
	mistakes  []error
}

func relate(scenarios []IntegrationTestScenario, group *ComponentGroup, o Options) *relation {
	r := &relation{scenarios: scenarios, group: group, options: o,
		byName: make(map[string]*IntegrationTestScenario, len(scenarios)), after: make(map[string][]dag.Parent, len(scenarios))}
	for i := range scenarios {
		r.byName[scenarios[i].Name] = &scenarios[i]
		r.after[scenarios[i].Name] = nil
	}
	r.testGraph()
	r.dependents()
	return r
}

func (r *relation) testGraph() {
	if r.group == nil {
		return
	}
	graph := r.group.Spec.TestGraph
	for _, child := range slices.Sorted(maps.Keys(graph)) {
		r.after[child] = slices.Grow(r.after[child], len(graph[child]))
		for i, n := range graph[child] {
			c, err := r.options.Profile.Condition(n.OnFail, n.FailFast)
			if err == nil && n.Name == "" {
				err = errors.New("the name is missing")
			}
			if err != nil {
				r.mistakes = append(r.mistakes, &NodeError{child, i, err.Error()})
				continue
			}
			r.wait(child, dag.Parent{ID: dag.ID(n.Name), Condition: c})
		}
	}
}

func (r *relation) dependents() {
	for _, t := range r.sorted() {
		for _, child := range t.Spec.Dependents {
			r.wait(child, dag.Parent{ID: dag.ID(t.Name), Condition: dag.OnPass})
		}
	}
}

func (r *relation) wait(child string, p dag.Parent) {
	if _, ok := r.after[string(p.ID)]; !ok {
		r.after[string(p.ID)] = nil
	}
	r.after[child] = append(r.after[child], p)
}

// sorted returns the scenarios by name.
func (r *relation) sorted() []IntegrationTestScenario {
	return slices.SortedStableFunc(slices.Values(r.scenarios), func(a, b IntegrationTestScenario) int { return cmp.Compare(a.Name, b.Name) })
}

// graph returns the graph of all names.
func (r *relation) graph() (*dag.Graph, error) {
	list := make([]dag.Scenario, 0, len(r.after))
	for _, name := range slices.Sorted(maps.Keys(r.after)) {
		t, ok := r.byName[name]
		list = append(list, dag.Scenario{ID: dag.ID(name), After: r.after[name], Optional: ok && r.options.isOptional(t)})
	}
	return dag.New(list...)
}

func (o *Options) isOptional(t *IntegrationTestScenario) bool {
	return o.is(t.Labels, Keys.optional, "true")
}

const maxName = 63 // of a DNS-1035 label

var namePattern = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)

// doubts returns the mistakes that do not keep the graph from being made.
func (r *relation) doubts() (found []error) {
	count := map[string]int{}
	for _, t := range r.sorted() {
		if count[t.Name]++; count[t.Name] == 2 {
			found = append(found, &NameError{t.Name, "several scenarios have this name"})
		}
		if t.Name == rerunAll {
			found = append(found, &NameError{t.Name, "the label of a rerun takes this name for all scenarios; choose another"})
		}
		if len(t.Name) > maxName || !namePattern.MatchString(t.Name) {
			found = append(found, &NameError{t.Name, "want a DNS-1035 label: lower-case letters, digits and '-', at most 63 characters, beginning with a letter"})
		}
	}
	if r.group != nil {
		for _, name := range slices.Sorted(maps.Keys(r.testGraphNames())) {
			found = append(found, r.unknown(name, "testGraph")...)
		}
	}
	for _, t := range r.sorted() {
		for _, name := range t.Spec.Dependents {
			found = append(found, r.unknown(name, "dependents of "+t.Name)...)
		}
	}
	return append(found, r.optionalParents()...)
}

func (r *relation) testGraphNames() map[string]bool {
	names := map[string]bool{}
	for child, parents := range r.group.Spec.TestGraph {
		names[child] = true
		for _, p := range parents {
			names[p.Name] = p.Name != "" || names[p.Name]
		}
	}
	delete(names, "")
	return names
}

func (r *relation) unknown(name, within string) []error {
	if r.byName[name] != nil {
		return nil
	}
	return []error{&UnknownScenarioError{name, within}}
}

func (r *relation) optionalParents() (found []error) {
	for _, child := range slices.Sorted(maps.Keys(r.after)) {
		t, ok := r.byName[child]
		if !ok || r.options.isOptional(t) {
			continue
		}
		for _, p := range r.after[child] {
			if parent, ok := r.byName[string(p.ID)]; ok && p.Condition == dag.OnPass && r.options.isOptional(parent) {
				found = append(found, &OptionalParentError{string(p.ID), child})
			}
		}
	}
	return found
}

func unwrap(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// applies reports whether a scenario is for a Snapshot: whether any of its contexts is, or it has none.
func (o *Options) applies(t *IntegrationTestScenario, s Snapshot) bool {
	if len(t.Spec.Contexts) == 0 {
		return true
	}
	for _, c := range t.Spec.Contexts {
		if o.inContext(c.Name, s) {
			return true
		}
	}
	return false
}

// inContext reports whether a Snapshot belongs to a context. The names, and what they ask of a Snapshot, are those of the
// integration-service; a name that it does not know, such as disabled, is a context that no Snapshot belongs to.
func (o *Options) inContext(name string, s Snapshot) bool {
	if component, ok := strings.CutPrefix(name, "component_"); ok {
		return o.is(s.Labels, Keys.component, component)
	}
	switch name {
	case "application", "all":
		return true
	case "component", "group", "override":
		return o.is(s.Labels, Keys.kind, name)
	case "push":
		return o.pushed(s)
	case "pull_request":
		return !o.pushed(s)
	}
	return false
}

// pushed reports whether a Snapshot was made after a push, or by hand: neither for a pull request nor in a merge queue.
func (o *Options) pushed(s Snapshot) bool {
	branch, _ := o.find(s.Annotations, Keys.branch)
	if strings.HasPrefix(strings.TrimPrefix(branch, "refs/heads/"), "gh-readonly-queue/") || o.is(s.Labels, Keys.kind, "group") {
		return false
	}
	event, told := o.find(s.Labels, Keys.event)
	_, pull := o.find(s.Labels, Keys.pull)
	return !told || !pull || event == "push" || event == "Push"
}
