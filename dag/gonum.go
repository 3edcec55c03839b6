package dag

import (
	"cmp"
	"slices"

	"gonum.org/v1/gonum/graph"
)

// Gonum returns a view of g on which gonum's algorithms run. Nothing is copied, and the view changes nothing. The ID of
// a node is the index of its scenario: [Graph.Index] and [Graph.ID] lead there and back. Edges lead from parent to
// child.
func (g *Graph) Gonum() graph.Directed { return view{g} }

type view struct{ *Graph }

// Node returns the scenario at the given index, or nil if there is none.
func (v view) Node(index int64) graph.Node {
	if !v.has(index) {
		return nil
	}
	return node(index)
}

// Nodes returns all scenarios in canonical order.
func (v view) Nodes() graph.Nodes {
	return &nodes{n: v.Len(), index: func(k int) int32 { return int32(k) }}
}

// From returns the children of the scenario at the given index.
func (v view) From(index int64) graph.Nodes { return v.nodesOf(&v.children, index) }

// To returns the parents of the scenario at the given index.
func (v view) To(index int64) graph.Nodes { return v.nodesOf(&v.parents, index) }

// HasEdgeFromTo reports whether the scenario at index child waits for the one at index parent.
func (v view) HasEdgeFromTo(parent, child int64) bool {
	if !v.has(parent) {
		return false
	}
	_, found := slices.BinarySearchFunc(v.ChildrenAt(int(parent)), child, func(n Neighbor, child int64) int {
		return cmp.Compare(int64(n.Index), child)
	})
	return found
}

// HasEdgeBetween reports whether one of two scenarios waits for the other.
func (v view) HasEdgeBetween(x, y int64) bool {
	return v.HasEdgeFromTo(x, y) || v.HasEdgeFromTo(y, x)
}

// Edge returns the edge from parent to child, by index, or nil if there is none.
func (v view) Edge(parent, child int64) graph.Edge {
	if !v.HasEdgeFromTo(parent, child) {
		return nil
	}
	return gonumEdge{from: node(parent), to: node(child)}
}

func (v view) has(index int64) bool { return index >= 0 && index < int64(v.Len()) }

func (v view) nodesOf(a *adjacency, index int64) graph.Nodes {
	if !v.has(index) {
		return graph.Empty
	}
	list := a.of(int(index))
	return &nodes{n: len(list), index: func(k int) int32 { return list[k].Index }}
}

// A node is the index of a scenario.
type node int64

func (n node) ID() int64 { return int64(n) }

type gonumEdge struct{ from, to node }

func (e gonumEdge) From() graph.Node         { return e.from }
func (e gonumEdge) To() graph.Node           { return e.to }
func (e gonumEdge) ReversedEdge() graph.Edge { return gonumEdge{from: e.to, to: e.from} }

// nodes walks over n scenarios; index tells where the k-th stands in the graph.
type nodes struct {
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
	return node(n.index(n.at - 1))
}
