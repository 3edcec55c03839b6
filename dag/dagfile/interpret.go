package dagfile

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/testdag/testdag/dag"
)

// An interpreter makes a graph of documents and collects mistakes on its way.
type interpreter struct {
	profile    dag.Profile
	options    Options
	mistakes   []*Error
	untold     int        // mistakes beyond the limit
	found      *yaml.Node // the graph
	noProfile  bool       // reported
	unreadable bool       // a scenario has a name that could not be read

	scenarios []dag.Scenario
	commands  map[dag.ID][]string
	defined   map[dag.ID][]*yaml.Node // where each scenario is defined
	edges     map[edge][]parentAt     // where each edge is given
}

type edge struct{ parent, child dag.ID }

type parentAt struct {
	node *yaml.Node
	dag.Parent
}

func newInterpreter(p dag.Profile, o Options) *interpreter {
	return &interpreter{
		profile: p, options: o,
		commands: map[dag.ID][]string{}, defined: map[dag.ID][]*yaml.Node{}, edges: map[edge][]parentAt{},
	}
}

func errorOf(n *yaml.Node, err error) *Error { return &Error{Line: n.Line, Column: n.Column, Err: err} }

func (in *interpreter) report(n *yaml.Node, err error) {
	if len(in.mistakes) == in.options.MaxMistakes {
		in.untold++
		return
	}
	e := errorOf(n, err)
	e.Name = in.options.Name
	in.mistakes = append(in.mistakes, e)
}

func (in *interpreter) reportf(n *yaml.Node, format string, args ...any) {
	in.report(n, fmt.Errorf(format, args...))
}

// documents reads the one document that has a graph.
func (in *interpreter) documents(documents []*yaml.Node) {
	for _, d := range documents {
		for _, root := range d.Content {
			in.document(root)
		}
	}
	if in.found == nil && len(in.mistakes) == 0 {
		in.mistakes = append(in.mistakes, &Error{Name: in.options.Name, Err: ErrNoGraph})
	}
}

func (in *interpreter) document(root *yaml.Node) {
	if isNull(root) {
		return
	}
	if root.Kind != yaml.MappingNode {
		in.wrong(root, "a mapping")
		return
	}
	kind := lookup(root, "kind")
	if kind == nil {
		in.bare(root)
		return
	}
	in.refuseAll(kind)
	if name, ok := in.text(kind, "the name of a kind"); ok && name == "ComponentGroup" {
		in.object(root)
	}
}

// bare reads a document that is nothing but a graph.
func (in *interpreter) bare(root *yaml.Node) {
	in.refuseAll(root)
	fields := in.fields(root, "scenarios", "testGraph")
	for _, key := range []string{"scenarios", "testGraph"} {
		in.graph(key, fields[key])
	}
}

// object reads the graph of a ComponentGroup. Foreign fields are not looked at, but what leads to the graph must be
// beyond doubt.
func (in *interpreter) object(root *yaml.Node) {
	in.refuse(root)
	if stray := lookup(root, "testGraph"); stray != nil {
		in.reportf(stray, "testGraph is not a field of a ComponentGroup; move it under spec")
	}
	spec := lookup(root, "spec")
	if spec == nil || isNull(spec) {
		return
	}
	in.refuse(spec)
	if spec.Kind != yaml.MappingNode {
		in.wrong(spec, "a mapping")
		return
	}
	if graph := lookup(spec, "testGraph"); graph != nil {
		in.refuseAll(graph)
		in.graph("testGraph", graph)
	}
}

// graph reads the value of a key that holds a graph, if there is one.
func (in *interpreter) graph(key string, n *yaml.Node) {
	if n == nil || isNull(n) {
		return
	}
	if in.found != nil {
		in.reportf(n, "a second graph; the first is on line %d", in.found.Line)
		return
	}
	in.found = n
	if key == "testGraph" {
		in.testGraph(n)
		return
	}
	in.plain(n)
}

func (in *interpreter) define(n *yaml.Node, s dag.Scenario) {
	in.scenarios = append(in.scenarios, s)
	in.defined[s.ID] = append(in.defined[s.ID], n)
}

// connect adds a parent to s. What is given again counts once.
func (in *interpreter) connect(s *dag.Scenario, n *yaml.Node, p dag.Parent) {
	e := edge{p.ID, s.ID}
	for _, given := range in.edges[e] {
		if given.Parent == p {
			return
		}
	}
	in.edges[e] = append(in.edges[e], parentAt{n, p})
	s.After = append(s.After, p)
}

// file makes the graph and reports the mistakes that package dag finds, each in its place.
func (in *interpreter) file() *File {
	in.dropUnknown()
	g, err := dag.New(in.scenarios...)
	if err == nil {
		return &File{Graph: g, Commands: in.commands}
	}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		in.report(in.placeOf(err), err)
	}
	return nil
}

// dropUnknown reports parents that are not scenarios, as package dag does, but in time linear in what is given. Where
// the name of a scenario could not be read, that may be the one, and nothing is said.
func (in *interpreter) dropUnknown() {
	for i := range in.scenarios {
		s := &in.scenarios[i]
		s.After = slices.DeleteFunc(s.After, func(p dag.Parent) bool {
			unknown := in.defined[p.ID] == nil
			if unknown && !in.unreadable {
				in.report(in.edges[edge{p.ID, s.ID}][0].node, &dag.Error{Kind: dag.UnknownParent, ID: s.ID, Parent: p.ID})
			}
			return unknown
		})
	}
}

// placeOf returns where a mistake of package dag begins.
func (in *interpreter) placeOf(err error) *yaml.Node {
	switch err := err.(type) {
	case *dag.CycleError:
		return in.edges[edge{err.Path[1], err.Path[0]}][0].node
	case *dag.Error:
		return in.placeOfKind(err)
	}
	return in.found
}

func (in *interpreter) placeOfKind(err *dag.Error) *yaml.Node {
	given := in.edges[edge{err.Parent, err.ID}]
	switch err.Kind {
	case dag.DuplicateID:
		return in.defined[err.ID][1]
	case dag.SelfEdge:
		return given[0].node
	case dag.ConflictingConditions:
		for _, p := range given {
			if p.Condition != given[0].Condition {
				return p.node
			}
		}
	}
	return in.found
}

// required reads the field name of n.
func (in *interpreter) required(n, field *yaml.Node) (dag.ID, bool) {
	if field == nil {
		in.reportf(n, "the field name is missing")
		return "", false
	}
	return in.id(field)
}

func (in *interpreter) id(n *yaml.Node) (dag.ID, bool) {
	text, ok := in.text(n, "a name")
	switch {
	case !ok:
		return "", false
	case text == "":
		in.report(n, &dag.Error{Kind: dag.EmptyID, Count: 1})
		return "", false
	case len(text) > in.options.MaxName:
		in.report(n, &LimitError{Option: "MaxName", Limit: int64(in.options.MaxName)})
		return "", false
	}
	return dag.ID(text), true
}

func (in *interpreter) text(n *yaml.Node, want string) (string, bool) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return n.Value, true
	}
	if n.Kind == yaml.ScalarNode && n.Value != "" && n.Style&yaml.TaggedStyle == 0 && n.Tag != "!!merge" {
		in.reportf(n, "%s is not a string; quote it: %q", n.Value, n.Value)
		return "", false
	}
	in.wrong(n, want)
	return "", false
}

func (in *interpreter) boolean(n *yaml.Node) (value, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		in.wrong(n, "true or false")
		return false, false
	}
	return strings.EqualFold(n.Value, "true"), true
}

// list returns the items of a list, none if there is nothing.
func (in *interpreter) list(n *yaml.Node, want string) []*yaml.Node {
	if n == nil || isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		in.wrong(n, want)
		return nil
	}
	return n.Content
}

// fields returns the values of a mapping by field, and reports fields that are not known. Of duplicates, which refuse
// reports, it returns the first.
func (in *interpreter) fields(n *yaml.Node, known ...string) map[string]*yaml.Node {
	values := make(map[string]*yaml.Node, len(known))
	for key, value := range pairs(n) {
		field, ok := in.text(key, "a field")
		switch {
		case !ok:
		case !slices.Contains(known, field):
			in.reportf(key, "unknown field %q; want one of %s", field, strings.Join(known, ", "))
		case values[field] == nil:
			values[field] = value
		}
	}
	return values
}

// wrong reports that n is not what is wanted, unless refuse has reported it.
func (in *interpreter) wrong(n *yaml.Node, want string) {
	if n.Kind == yaml.AliasNode || n.Style&yaml.TaggedStyle != 0 || n.Tag == "!!merge" {
		return
	}
	in.reportf(n, "want %s, not %s", want, describe(n))
}
