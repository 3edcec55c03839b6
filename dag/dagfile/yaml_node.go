package dagfile

import (
	"iter"

	"go.yaml.in/yaml/v3"
)

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Style&yaml.TaggedStyle == 0 && n.Anchor == ""
}

// pairs returns an iterator over keys and values of a mapping.
func pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// lookup returns the value of the first such key of a mapping, or nil.
func lookup(n *yaml.Node, name string) *yaml.Node {
	for key, value := range pairs(n) {
		if key.Kind == yaml.ScalarNode && key.Value == name {
			return value
		}
	}
	return nil
}

func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "null"
	case n.Tag == "!!str":
		return "a string"
	case n.Tag == "!!bool":
		return "true or false"
	case n.Tag == "!!timestamp":
		return "a date"
	}
	return "a number"
}

// refuseAll reports what refuse does, of n and everything in it.
func (in *interpreter) refuseAll(n *yaml.Node) {
	in.refuse(n)
	for _, child := range n.Content {
		in.refuseAll(child)
	}
}

// refuse reports what makes a text mean more than it says: anchors, aliases, tags, merge keys and duplicate keys.
func (in *interpreter) refuse(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		in.reportf(n, "the alias *%s is not supported; write out what it stands for", n.Value)
	case n.Anchor != "":
		in.reportf(n, "the anchor &%s is not supported; remove it", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		in.reportf(n, "the tag %s is not supported; remove it", n.Tag)
	}
	if n.Kind == yaml.MappingNode {
		in.refuseKeys(n)
	}
}

func (in *interpreter) refuseKeys(n *yaml.Node) {
	first := make(map[string]*yaml.Node, len(n.Content)/2)
	for key := range pairs(n) {
		if key.Kind != yaml.ScalarNode {
			continue
		}
		if key.Tag == "!!merge" {
			in.reportf(key, "the merge key << is not supported; write out what it stands for")
			continue
		}
		if again := first[key.Value]; again != nil {
			in.reportf(key, "duplicate key %q; the first is on line %d", key.Value, again.Line)
			continue
		}
		first[key.Value] = key
	}
}
