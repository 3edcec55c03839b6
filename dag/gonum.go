package dag

import (
	"cmp"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/graph"
)

var _ graph.Directed = (*Graph)(nil)

// Node returns the scenario at the given index as a gonum node, or nil if there is none. It has a method DOTID that
// gonum's encoder of DOT knows.
func (g *Graph) Node(index int64) graph.Node {
	if !g.has(index) {
		return nil
	}
	return node{index: index, id: g.ids[index]}
}

// Nodes returns all scenarios in canonical order.
func (g *Graph) Nodes() graph.Nodes {
	return &nodes{g: g, n: g.Len(), index: func(k int) int32 { return int32(k) }}
}

// From returns the children of the scenario at the given index.
func (g *Graph) From(index int64) graph.Nodes { return g.nodesOf(&g.children, index) }

// To returns the parents of the scenario at the given index.
func (g *Graph) To(index int64) graph.Nodes { return g.nodesOf(&g.parents, index) }

// HasEdgeFromTo reports whether the scenario at index child waits for the one at index parent.
func (g *Graph) HasEdgeFromTo(parent, child int64) bool {
	if !g.has(parent) || !g.has(child) {
		return false
	}
	_, found := slices.BinarySearchFunc(g.children.of(int(parent)), child, func(n Neighbor, child int64) int {
		return cmp.Compare(int64(n.Index), child)
	})
	return found
}

// HasEdgeBetween reports whether one of two scenarios waits for the other.
func (g *Graph) HasEdgeBetween(x, y int64) bool {
	return g.HasEdgeFromTo(x, y) || g.HasEdgeFromTo(y, x)
}

// Edge returns the edge from parent to child, by index, or nil if there is none.
func (g *Graph) Edge(parent, child int64) graph.Edge {
	if !g.HasEdgeFromTo(parent, child) {
		return nil
	}
	return gonumEdge{from: g.Node(parent), to: g.Node(child)}
}

func (g *Graph) has(index int64) bool { return index >= 0 && index < int64(g.Len()) }

func (g *Graph) nodesOf(a *adjacency, index int64) graph.Nodes {
	if !g.has(index) {
		return graph.Empty
	}
	list := a.of(int(index))
	return &nodes{g: g, n: len(list), index: func(k int) int32 { return list[k].Index }}
}

type node struct {
	index int64
	id    ID
}

func (n node) ID() int64 { return n.index }

// DOTID quotes always: gonum would take an ID like <b> for markup.
func (n node) DOTID() string { return strconv.Quote(string(n.id)) }

type gonumEdge struct{ from, to graph.Node }

func (e gonumEdge) From() graph.Node         { return e.from }
func (e gonumEdge) To() graph.Node           { return e.to }
func (e gonumEdge) ReversedEdge() graph.Edge { return gonumEdge{from: e.to, to: e.from} }

// nodes walks over n scenarios; index tells where the k-th stands in the graph.
type nodes struct {
	g     *Graph
	n     int
	index func(k int) int32
	at    int // nodes handed out
}

func (n *nodes) Len() int { return n.n - n.at }
func (n *nodes) Reset()   { n.at = 0 }

func (n *nodes) Next() bool {
	if n.at >= n.n {
		return false
	}
	n.at++
	return true
}

func (n *nodes) Node() graph.Node {
	if n.at == 0 {
		return nil
	}
	return n.g.Node(int64(n.index(n.at - 1)))
}
