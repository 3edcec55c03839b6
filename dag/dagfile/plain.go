package dagfile

import (
	"go.yaml.in/yaml/v3"

	"github.com/testdag/testdag/dag"
)

// plain reads the value of scenarios.
func (in *interpreter) plain(n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		in.wrong(n, "a list of scenarios")
		return
	}
	for _, item := range n.Content {
		in.scenario(item)
	}
}

func (in *interpreter) scenario(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		in.unreadable = true
		in.wrong(n, "a mapping with the fields name, after, optional and command")
		return
	}
	fields := in.fields(n, "name", "after", "optional", "command")
	id, ok := in.required(n, fields["name"])
	s := dag.Scenario{ID: id}
	if v := fields["optional"]; v != nil {
		s.Optional, _ = in.boolean(v)
	}
	for _, item := range in.list(fields["after"], "a list of parents, as in [build]") {
		in.parent(&s, item)
	}
	command := in.command(fields["command"])
	if !ok {
		in.unreadable = true
		return
	}
	in.define(fields["name"], s)
	if len(command) > 0 {
		in.commands[id] = command
	}
}

// parent reads an item of after.
func (in *interpreter) parent(s *dag.Scenario, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		if id, ok := in.id(n); ok {
			in.connect(s, n, dag.Parent{ID: id})
		}
		return
	}
	fields := in.fields(n, "name", "condition")
	id, named := in.required(n, fields["name"])
	c, known := in.condition(fields["condition"], id, s.ID)
	if named && known {
		in.connect(s, fields["name"], dag.Parent{ID: id, Condition: c})
	}
}

func (in *interpreter) condition(n *yaml.Node, parent, child dag.ID) (c dag.Condition, ok bool) {
	if n == nil {
		return dag.OnPass, true
	}
	text, ok := in.text(n, "a condition")
	if !ok {
		return 0, false
	}
	if err := c.UnmarshalText([]byte(text)); err != nil {
		in.report(n, &dag.Error{Kind: dag.UnknownCondition, ID: child, Parent: parent, Given: []string{text}})
		return 0, false
	}
	return c, true
}

func (in *interpreter) command(n *yaml.Node) []string {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		line := in.word(n, true)
		return []string{"sh", "-c", line}
	}
	if len(n.Content) == 0 {
		in.reportf(n, "the command is empty; leave it out or name a program")
	}
	var command []string
	for i, w := range n.Content {
		command = append(command, in.word(w, i == 0))
	}
	return command
}

// word reads one word of a command.
func (in *interpreter) word(n *yaml.Node, first bool) string {
	word, ok := in.text(n, "a string or a list of strings")
	if ok && first && word == "" {
		in.reportf(n, "the command is empty; leave it out or name a program")
	}
	return word
}
