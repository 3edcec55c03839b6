package dagfile

import (
	"errors"

	"go.yaml.in/yaml/v3"

	"github.com/testdag/testdag/dag"
)

// testGraph reads the value of testGraph.
func (in *interpreter) testGraph(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		in.wrong(n, "a mapping from each scenario to the list of its parents")
		return
	}
	for key, value := range pairs(n) {
		if key.Tag == "!!merge" {
			continue // refused
		}
		id, ok := in.id(key)
		s := dag.Scenario{ID: id}
		for _, item := range in.list(value, "a list of parents") {
			in.testGraphParent(&s, item)
		}
		if ok && in.defined[id] == nil {
			in.define(key, s)
		}
	}
	in.defineParents()
}

func (in *interpreter) testGraphParent(s *dag.Scenario, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		in.wrong(n, "a mapping with the field name")
		return
	}
	fields := in.fields(n, "name", "onFail", "failFast")
	id, named := in.required(n, fields["name"])
	c, known := in.testGraphCondition(n, fields["onFail"], fields["failFast"])
	if named && known {
		in.connect(s, fields["name"], dag.Parent{ID: id, Condition: c})
	}
}

// testGraphCondition asks the profile, and reports once that there is none.
func (in *interpreter) testGraphCondition(n, onFail, failFast *yaml.Node) (dag.Condition, bool) {
	text, textOK := in.onFail(onFail)
	fast, fastOK := in.failFast(failFast)
	if text == nil && fast == nil && !(textOK && fastOK) {
		return 0, false
	}
	c, err := in.profile.Condition(text, fast)
	switch {
	case errors.Is(err, dag.NoProfile) && in.noProfile:
	case errors.Is(err, dag.NoProfile):
		in.noProfile = true
		in.report(n, err)
	case errors.Is(err, dag.Contradiction):
		in.report(failFast, err)
	case err != nil:
		in.report(onFail, err)
	}
	return c, err == nil && textOK && fastOK
}

// onFail returns nil if there is nothing, or nothing that can be read.
func (in *interpreter) onFail(n *yaml.Node) (text *string, ok bool) {
	if n == nil {
		return nil, true
	}
	value, ok := in.text(n, "run or skip")
	if !ok {
		return nil, false
	}
	return &value, true
}

// failFast returns nil if there is nothing, or nothing that can be read.
func (in *interpreter) failFast(n *yaml.Node) (fast *bool, ok bool) {
	if n == nil {
		return nil, true
	}
	value, ok := in.boolean(n)
	if !ok {
		return nil, false
	}
	return &value, true
}

// defineParents makes scenarios of the names that appear only as parents.
func (in *interpreter) defineParents() {
	for _, s := range in.scenarios {
		for _, p := range s.After {
			if in.defined[p.ID] == nil {
				in.define(in.edges[edge{p.ID, s.ID}][0].node, dag.Scenario{ID: p.ID})
			}
		}
	}
}
