package dagfile

import (
	"io"
	"iter"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/encoding"
	"gonum.org/v1/gonum/graph/encoding/dot"
	"gonum.org/v1/gonum/graph/iterator"

	"github.com/testdag/testdag/dag"
)

// WriteDOT writes g for Graphviz. Edges lead from parent to child and are labeled with their condition unless it is
// OnPass; optional scenarios are dashed. A node is named by its ID, quoted as in Go, and labeled where Graphviz would not
// show that name as the ID. Equal graphs make equal text, though not all that is in a graph is in it: the order in which
// parents were declared is not.
func WriteDOT(w io.Writer, g *dag.Graph) error {
	text, err := dot.Marshal(dotGraph{g}, "", "", "\t")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// A dotGraph is a graph whose nodes and edges have attributes of DOT.
type dotGraph struct{ *dag.Graph }

func (g dotGraph) Node(index int64) graph.Node {
	return dotNode{index: index, id: g.ID(int(index)), optional: g.OptionalAt(int(index))}
}

func (g dotGraph) Nodes() graph.Nodes {
	return g.nodes(g.Len(), func(yield func(int64) bool) {
		for i := range int64(g.Len()) {
			if !yield(i) {
				return
			}
		}
	})
}

func (g dotGraph) From(parent int64) graph.Nodes { return g.neighbors(g.ChildrenAt(int(parent))) }
func (g dotGraph) To(child int64) graph.Nodes    { return g.neighbors(g.ParentsAt(int(child))) }

func (g dotGraph) neighbors(list []dag.Neighbor) graph.Nodes {
	return g.nodes(len(list), func(yield func(int64) bool) {
		for _, n := range list {
			if !yield(int64(n.Index)) {
				return
			}
		}
	})
}

func (g dotGraph) nodes(n int, indices iter.Seq[int64]) graph.Nodes {
	nodes := make([]graph.Node, 0, n)
	for i := range indices {
		nodes = append(nodes, g.Node(i))
	}
	return iterator.NewOrderedNodes(nodes)
}

func (g dotGraph) Edge(parent, child int64) graph.Edge {
	for _, n := range g.ParentsAt(int(child)) {
		if int64(n.Index) == parent {
			return dotEdge{Edge: g.Graph.Edge(parent, child), condition: n.Condition}
		}
	}
	return nil
}

type dotNode struct {
	index    int64
	id       dag.ID
	optional bool
}

func (n dotNode) ID() int64     { return n.index }
func (n dotNode) DOTID() string { return strconv.Quote(string(n.id)) }

func (n dotNode) Attributes() []encoding.Attribute {
	var list []encoding.Attribute
	if strings.Trim(n.DOTID(), `"`) != string(n.id) || strings.Contains(string(n.id), "&") {
		list = append(list, encoding.Attribute{Key: "label", Value: `"` + dotEscapes(visible(n.id)) + `"`})
	}
	if n.optional {
		list = append(list, encoding.Attribute{Key: "style", Value: "dashed"})
	}
	return list
}

// dotEscapes escapes what labels take for more than itself. The names of characters, such as &lt;, are among that.
func dotEscapes(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "&", "&amp;").Replace(text)
}

type dotEdge struct {
	graph.Edge
	condition dag.Condition
}

func (e dotEdge) Attributes() []encoding.Attribute {
	if e.condition == dag.OnPass {
		return nil
	}
	return []encoding.Attribute{{Key: "label", Value: e.condition.String()}}
}
