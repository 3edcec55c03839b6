package dag_test

import (
	"iter"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/topo"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
)

// scenarios draws a graph of at most most scenarios whose IDs say nothing of the order.
func scenarios(most int) *rapid.Generator[[]dag.Scenario] {
	return rapid.Custom(func(t *rapid.T) []dag.Scenario {
		n := rapid.IntRange(0, most).Draw(t, "scenarios")
		names := rapid.Permutation(slices.Collect(func(yield func(dag.ID) bool) {
			for i := range n {
				yield(id(i))
			}
		})).Draw(t, "names")
		list := make([]dag.Scenario, n)
		for i := range list {
			list[i] = dag.Scenario{ID: names[i], Optional: rapid.Bool().Draw(t, "optional")}
			for p := range i {
				if rapid.IntRange(0, 2).Draw(t, "edge") == 0 {
					c := rapid.SampledFrom([]dag.Condition{dag.OnPass, dag.OnFinish, dag.Always}).Draw(t, "condition")
					list[i].After = append(list[i].After, dag.Parent{ID: names[p], Condition: c})
				}
			}
			list[i].After = rapid.Permutation(list[i].After).Draw(t, "parents")
		}
		return rapid.Permutation(list).Draw(t, "order")
	})
}

func mustNew(t interface{ Fatal(...any) }, list []dag.Scenario) *dag.Graph {
	g, err := dag.New(list...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestCanonicalOrder(t *testing.T) {
	g := mustParse(t, "z, b: z, a: z, c: a, d: z c, -y")
	if got, want := format(g), "-y, z, a: z, b: z, c: a, d: z c"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var layers [][]dag.ID
	for l := range g.Layers() {
		layers = append(layers, l)
	}
	if diff := cmp.Diff([][]dag.ID{{"y", "z"}, {"a", "b"}, {"c"}, {"d"}}, layers); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
}

// One graph has one canonical order however it was built: parents first, and the same graph again from its own scenarios.
func TestOrderDoesNotDependOnInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := scenarios(8).Draw(t, "graph")
		g := mustNew(t, list)
		shuffled := mustNew(t, rapid.Permutation(list).Draw(t, "shuffled"))
		if !g.Equal(shuffled) || format(g) != format(shuffled) {
			t.Fatalf("%s and %s", format(g), format(shuffled))
		}
		if again := mustNew(t, slices.Collect(g.Scenarios())); !g.Equal(again) {
			t.Fatalf("%s and %s", format(g), format(again))
		}
		for i := range g.Len() {
			if at, ok := g.Index(g.ID(i)); !ok || at != i {
				t.Fatalf("scenario %d has index %d", i, at)
			}
			for _, p := range g.ParentsAt(i) {
				if int(p.Index) >= i {
					t.Fatalf("%s stands before its parent %s", g.ID(i), g.ID(int(p.Index)))
				}
			}
			if !slices.IsSortedFunc(g.ChildrenAt(i), func(a, b dag.Neighbor) int { return int(a.Index - b.Index) }) {
				t.Fatalf("children of %s: %v", g.ID(i), g.ChildrenAt(i))
			}
		}
	})
}

// Every query answers what a model that searches the list of scenarios answers.
func TestQueriesAgreeWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := scenarios(8).Draw(t, "graph")
		g := mustNew(t, list)
		byID := map[dag.ID]dag.Scenario{}
		for _, s := range list {
			byID[s.ID] = s
		}
		var above func(dag.ID) map[dag.ID]bool
		above = func(id dag.ID) map[dag.ID]bool {
			found := map[dag.ID]bool{}
			for _, p := range byID[id].After {
				found[p.ID] = true
				maps.Copy(found, above(p.ID))
			}
			return found
		}
		var depth func(dag.ID) int
		depth = func(id dag.ID) (d int) {
			for _, p := range byID[id].After {
				d = max(d, depth(p.ID)+1)
			}
			return d
		}
		order := slices.SortedFunc(maps.Keys(byID), func(a, b dag.ID) int {
			if d := depth(a) - depth(b); d != 0 {
				return d
			}
			if a < b {
				return -1
			}
			return 1
		})
		inOrder := func(keep func(dag.ID) bool) (kept []dag.ID) {
			for _, id := range order {
				if keep(id) {
					kept = append(kept, id)
				}
			}
			return kept
		}
		check := func(what string, got iter.Seq[dag.ID], keep func(dag.ID) bool) {
			if diff := cmp.Diff(inOrder(keep), slices.Collect(got)); diff != "" {
				t.Fatalf("%s of %s (-want +got):\n%s", what, format(g), diff)
			}
		}
		waits := func(child, parent dag.ID) bool {
			return slices.ContainsFunc(byID[child].After, func(p dag.Parent) bool { return p.ID == parent })
		}
		check("all", g.All(), func(dag.ID) bool { return true })
		check("roots", g.Roots(), func(id dag.ID) bool { return len(byID[id].After) == 0 })
		check("leaves", g.Leaves(), func(id dag.ID) bool {
			return !slices.ContainsFunc(order, func(c dag.ID) bool { return waits(c, id) })
		})
		layer := 0
		for l := range g.Layers() {
			check("layer", slices.Values(l), func(id dag.ID) bool { return depth(id) == layer })
			layer++
		}
		for _, id := range order {
			check("ancestors of "+string(id), g.Ancestors(id), func(a dag.ID) bool { return above(id)[a] })
			check("descendants of "+string(id), g.Descendants(id), func(d dag.ID) bool { return above(d)[id] })
			check("children of "+string(id), keys(g.Children(id)), func(c dag.ID) bool { return waits(c, id) })
			if s, ok := g.Scenario(id); !ok || !cmp.Equal(s, byID[id], equateEmpty) {
				t.Fatalf("scenario %s: %v", id, s)
			}
			var parents []dag.Parent
			for p, c := range g.Parents(id) {
				parents = append(parents, dag.Parent{ID: p, Condition: c})
			}
			if diff := cmp.Diff(byID[id].After, parents, equateEmpty); diff != "" {
				t.Fatalf("parents of %s (-want +got):\n%s", id, diff)
			}
		}
	})
}

var equateEmpty = cmp.Transformer("parents", func(p []dag.Parent) map[int]dag.Parent {
	m := map[int]dag.Parent{}
	for i := range p {
		m[i] = p[i]
	}
	return m
})

func keys[K, V any](s iter.Seq2[K, V]) iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range s {
			if !yield(k) {
				return
			}
		}
	}
}

func TestUnknownAndEmpty(t *testing.T) {
	for name, g := range map[string]*dag.Graph{"zero": {}, "empty": mustNew(t, nil)} {
		t.Run(name, func(t *testing.T) {
			for what, seq := range map[string]iter.Seq[dag.ID]{
				"all": g.All(), "roots": g.Roots(), "leaves": g.Leaves(), "ancestors": g.Ancestors("x"),
				"descendants": g.Descendants("x"), "parents": keys(g.Parents("x")), "children": keys(g.Children("x")),
			} {
				if got := slices.Collect(seq); len(got) > 0 {
					t.Errorf("%s: %v", what, got)
				}
			}
			for l := range g.Layers() {
				t.Errorf("layer %v", l)
			}
			if _, ok := g.Scenario("x"); ok {
				t.Error("there is a scenario x")
			}
			if path, total := g.LongestPath(func(dag.ID) int64 { return 1 }); path != nil || total != 0 {
				t.Errorf("longest path %v, %d", path, total)
			}
			if !g.Equal(&dag.Graph{}) || !g.Without("x").Equal(g) || !g.TransitiveReduction().Equal(g) {
				t.Error("not equal to the empty graph")
			}
		})
	}
}

func TestIteratorsStop(t *testing.T) {
	g := mustParse(t, "a, b, c: a b, d: a c")
	for _, seq := range []iter.Seq[dag.ID]{
		g.All(), g.Roots(), g.Leaves(), g.Ancestors("d"), g.Descendants("a"), keys(g.Parents("d")), keys(g.Children("a")),
	} {
		for range seq {
			break
		}
	}
	for range g.Layers() {
		break
	}
	for range g.Scenarios() {
		break
	}
}

func TestLongestPath(t *testing.T) {
	tests := []struct {
		name, graph string
		weight      map[dag.ID]int64
		path        []dag.ID
		total       int64
	}{
		{"by weight, not by length", "a, b: a, c: b, d: a", map[dag.ID]int64{"a": 1, "b": 2, "c": 3, "d": 9}, []dag.ID{"a", "d"}, 10},
		{"of equal ones the first", "a, b: a, c: a", map[dag.ID]int64{"a": 1, "b": 2, "c": 2}, []dag.ID{"a", "b"}, 3},
		{"starts anywhere", "a, b", map[dag.ID]int64{"a": 1, "b": 2}, []dag.ID{"b"}, 2},
		{"negative counts as nothing", "a, b: a", map[dag.ID]int64{"a": 5, "b": -9}, []dag.ID{"a", "b"}, 5},
		{"stays at the largest number", "a, b: a", map[dag.ID]int64{"a": math.MaxInt64, "b": 7}, []dag.ID{"a", "b"}, math.MaxInt64},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path, total := mustParse(t, test.graph).LongestPath(func(id dag.ID) int64 { return test.weight[id] })
			if !slices.Equal(path, test.path) || total != test.total {
				t.Errorf("got %v, %d, want %v, %d", path, total, test.path, test.total)
			}
		})
	}
}

func TestRemaining(t *testing.T) {
	g := mustParse(t, "a, b: a, c: b, d: a")
	got := g.Remaining(func(id dag.ID) int64 { return map[dag.ID]int64{"a": 1, "b": 2, "c": 3, "d": 4}[id] })
	if want := []int64{6, 5, 4, 3}; !slices.Equal(got, want) { // a, b, d, c
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTransitiveReduction(t *testing.T) {
	tests := []struct{ name, graph, want string }{
		{"triangle", "a, b: a, c: a b", "a, b: a, c: b"},
		{"long way round", "a, b: a, c: b, d: a c b", "a, b: a, c: b, d: c"},
		{"the way asks less of a", "a, b: a?, c: a b", "a, b: a?, c: a b"},
		{"the way asks more of a", "a, b: a, c: a? b", "a, b: a, c: b"},
		{"b may be canceled before a is over", "a, b: a, c: a b!", "a, b: a, c: a b!"},
		{"b ran, so a is over", "a, b: a?, c: a? b?", "a, b: a?, c: b?"},
		{"Always first, then a run", "a, b: a!, c: a! b", "a, b: a!, c: b"},
		{"nothing to leave out", "a, b, c: a b", "a, b, c: a b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := format(mustParse(t, test.graph).TransitiveReduction()); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// With one condition, what is left is the smallest graph with the same ancestors.
func TestTransitiveReductionKeepsAncestors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := scenarios(8).Draw(t, "graph")
		for i := range list {
			for k := range list[i].After {
				list[i].After[k].Condition = dag.OnPass
			}
		}
		g := mustNew(t, list)
		r := g.TransitiveReduction()
		for id := range g.All() {
			if !slices.Equal(slices.Sorted(g.Ancestors(id)), slices.Sorted(r.Ancestors(id))) {
				t.Fatalf("%s became %s", format(g), format(r))
			}
			for p := range r.Parents(id) {
				for other := range r.Parents(id) {
					if slices.Contains(slices.Collect(r.Ancestors(other)), p) {
						t.Fatalf("%s became %s, where %s is implied", format(g), format(r), p)
					}
				}
			}
		}
	})
}

func TestWithout(t *testing.T) {
	tests := []struct {
		name, graph string
		gone        []dag.ID
		want        string
	}{
		{"bridge", "a, b: a, c: b", []dag.ID{"b"}, "a, c: a"},
		{"the stricter condition, above", "a, b: a, c: b!", []dag.ID{"b"}, "a, c: a"},
		{"the stricter condition, below", "a, b: a!, c: b?", []dag.ID{"b"}, "a, c: a?"},
		{"several in a row", "a, b: a?, c: b!, d: c!", []dag.ID{"b", "c"}, "a, d: a?"},
		{"several ways: the strictest", "a, b: a!, c: a?, d: b! c!", []dag.ID{"b", "c"}, "a, d: a?"},
		{"a way beside an edge", "a, b: a, c: b a!", []dag.ID{"b"}, "a, c: a"},
		{"declared order", "x, y, b: y, c: x b, d: y c", []dag.ID{"c", "b"}, "x, y, d: y x"},
		{"a root", "a, b: a", []dag.ID{"a"}, "b"},
		{"a leaf", "a, b: a", []dag.ID{"b"}, "a"},
		{"unknown", "a, -b: a", []dag.ID{"x"}, "a, -b: a"},
		{"all", "a, b: a", []dag.ID{"a", "b"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := format(mustParse(t, test.graph).Without(test.gone...)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// Order is never lost: of what is kept, everything has the ancestors it had. Leaving out one after the other, in any
// order, is the same as leaving out all at once, but for the declared order of parents.
func TestWithoutKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := mustNew(t, scenarios(8).Draw(t, "graph"))
		var gone []dag.ID
		for id := range g.All() {
			if rapid.Bool().Draw(t, "gone") {
				gone = append(gone, id)
			}
		}
		h := g.Without(gone...)
		for id := range h.All() {
			want := slices.DeleteFunc(slices.Sorted(g.Ancestors(id)), func(a dag.ID) bool { return slices.Contains(gone, a) })
			if got := slices.Sorted(h.Ancestors(id)); !slices.Equal(got, want) {
				t.Fatalf("%s without %v: ancestors of %s are %v, want %v", format(g), gone, id, got, want)
			}
		}
		step := g
		for _, id := range rapid.Permutation(gone).Draw(t, "one by one") {
			step = step.Without(id)
		}
		d := dag.Diff(h, step)
		d.Reordered = nil
		if diff := cmp.Diff(dag.Difference{}, d); diff != "" {
			t.Fatalf("%s without %v: %s at once, %s one by one", format(g), gone, format(h), format(step))
		}
	})
}

func TestDiff(t *testing.T) {
	from := mustParse(t, "a, b: a, c: a b, x: a, e")
	to := mustParse(t, "a, b: a?, c: b a, y: a, -e")
	want := dag.Difference{
		Removed: []dag.ID{"x"}, Added: []dag.ID{"y"},
		RemovedEdges: []dag.Edge{{Parent: "a", Child: "b"}, {Parent: "a", Child: "x"}},
		AddedEdges:   []dag.Edge{{Parent: "a", Child: "b", Condition: dag.OnFinish}, {Parent: "a", Child: "y"}},
		Optional:     []dag.ID{"e"},
		Reordered:    []dag.ID{"c"},
	}
	if diff := cmp.Diff(want, dag.Diff(from, to)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Two graphs differ exactly when they are not equal.
func TestDiffIsEmptyForEqualGraphs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := mustNew(t, scenarios(3).Draw(t, "first"))
		h := mustNew(t, scenarios(3).Draw(t, "second"))
		if empty := cmp.Equal(dag.Diff(g, h), dag.Difference{}); empty != g.Equal(h) || empty != (format(g) == format(h)) {
			t.Fatalf("%s, %s: %+v", format(g), format(h), dag.Diff(g, h))
		}
	})
}

// gonum's own algorithms run on the view: its order is one of ours, its edges are ours.
func TestGonum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := mustNew(t, scenarios(8).Draw(t, "graph"))
		v := g.Gonum()
		sorted, err := topo.SortStabilized(v, nil)
		if err != nil || len(sorted) != g.Len() {
			t.Fatalf("%d of %d sorted: %v", len(sorted), g.Len(), err)
		}
		nodes := graph.NodesOf(v.Nodes())
		if len(nodes) != g.Len() {
			t.Fatalf("%d nodes of %d", len(nodes), g.Len())
		}
		for i, n := range nodes {
			if n.ID() != int64(i) || v.Node(n.ID()) != n {
				t.Fatalf("node %d is %v", i, n)
			}
			checkNeighbors(t, "to", g.ParentsAt(i), v.To(n.ID()))
			checkNeighbors(t, "from", g.ChildrenAt(i), v.From(n.ID()))
			for _, m := range nodes {
				_, waits := maps.Collect(g.Parents(g.ID(int(m.ID()))))[g.ID(i)]
				edge := v.Edge(n.ID(), m.ID())
				if v.HasEdgeFromTo(n.ID(), m.ID()) != waits || (edge != nil) != waits {
					t.Fatalf("edge from %v to %v", n, m)
				}
				if waits && (edge.From() != n || edge.To() != m || edge.ReversedEdge().From() != m || edge.ReversedEdge().To() != n) {
					t.Fatalf("edge from %v to %v is %v", n, m, edge)
				}
				if waits && (!v.HasEdgeBetween(n.ID(), m.ID()) || !v.HasEdgeBetween(m.ID(), n.ID())) {
					t.Fatalf("no edge between %v and %v", n, m)
				}
			}
		}
	})
}

func checkNeighbors(t *rapid.T, what string, want []dag.Neighbor, got graph.Nodes) {
	if got.Len() != len(want) {
		t.Fatalf("%s: %d nodes, want %d", what, got.Len(), len(want))
	}
	for range 2 {
		k := 0
		for ; got.Next(); k++ {
			if got.Node().ID() != int64(want[k].Index) || got.Len() != len(want)-k-1 {
				t.Fatalf("%s: node %d is %v", what, k, got.Node())
			}
		}
		if k != len(want) {
			t.Fatalf("%s: %d nodes, want %d", what, k, len(want))
		}
		got.Reset()
	}
}

func TestGonumRefusesUnknownIndices(t *testing.T) {
	v := mustParse(t, "a, b: a").Gonum()
	for _, i := range []int64{-1, 2, math.MaxInt64} {
		if v.Node(i) != nil || v.From(i).Len() != 0 || v.To(i).Len() != 0 || v.HasEdgeFromTo(0, i) || v.HasEdgeFromTo(i, 1) || v.Edge(i, 0) != nil {
			t.Errorf("index %d is taken for a scenario", i)
		}
	}
	if v.Nodes().Node() != nil {
		t.Error("a node before the first Next")
	}
}

// A view copies nothing: it costs the same for any graph.
func TestGonumIsAView(t *testing.T) {
	g := mustParse(t, "a, b: a")
	if n := testing.AllocsPerRun(10, func() { _ = g.Gonum() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := new(dag.Graph).Gonum().Nodes().Len(); n != 0 {
		t.Errorf("the zero Graph has %d nodes", n)
	}
}

// Within a layer the order is that of the IDs byte by byte, whatever they have in common.
func TestOrderWithinLayer(t *testing.T) {
	ids := []dag.ID{
		"\x00", "\x00\x00", "a", "a\x00", "a\x00b", "ab", "abcdefgh", "abcdefgh\x00", "abcdefgha", "abcdefghb", "abcdefgi", "b", "ä", "\xff",
	}
	for _, prefix := range []dag.ID{"", "x", "shared by all of them/"} {
		var list []dag.Scenario
		var want []dag.ID
		for _, id := range ids {
			want = append(want, prefix+id)
			list = append([]dag.Scenario{{ID: prefix + id}}, list...)
		}
		g, err := dag.New(list...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, slices.Collect(g.All())); diff != "" {
			t.Errorf("prefix %q (-want +got):\n%s", prefix, diff)
		}
	}
}
