package dagfile_test

import (
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/dag/dagfile"
)

// "In quoted strings in DOT, the only escaped character is double-quote. That is, in quoted strings, the dyad \" is
// converted to "; all other characters are left unchanged. In particular, \\ remains \\."
//
// A reader of this grammar finds the same graph in the text, whatever the IDs are: scenarios in canonical order, each
// named by its ID quoted as in Go and shown as its ID, and every edge with its condition.
func TestDOTHoldsTheGraph(t *testing.T) {
	id := rapid.OneOf(
		rapid.SampledFrom(oddIDs()),
		rapid.Map(rapid.StringN(1, 8, -1), func(s string) dag.ID { return dag.ID(s) }),
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte("\"\\\n&;<>a\xff\x00")), 1, 6), func(b []byte) dag.ID { return dag.ID(b) }),
	)
	odd := []dag.Scenario{{ID: "root", Optional: true}}
	for _, id := range oddIDs() {
		odd = append(odd, dag.Scenario{ID: id, After: dag.After("root")})
	}
	checkDOT(t, mustNew(t, odd))
	rapid.Check(t, func(t *rapid.T) { checkDOT(t, graphsOf(id).Draw(t, "graph")) })
}

func checkDOT(t rapid.TB, g *dag.Graph) {
	text := string(write(t, dagfile.WriteDOT, g))
	nodes, edges, err := readDOT(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(nodes) != g.Len() {
		t.Fatalf("%d nodes of %d scenarios:\n%s", len(nodes), g.Len(), text)
	}
	for i, n := range nodes {
		if id, err := strconv.Unquote(`"` + strings.ReplaceAll(n.name, `"`, `\"`) + `"`); err != nil || dag.ID(id) != g.ID(i) {
			t.Fatalf("the name %s is not %q quoted: %v", n.name, g.ID(i), err)
		}
		if want := pictures(strings.ToValidUTF8(string(g.ID(i)), "␦")); n.shown(t) != want {
			t.Fatalf("%q is shown as %q, want %q:\n%s", g.ID(i), n.shown(t), want, text)
		}
		if (n.attributes["style"] == "dashed") != g.OptionalAt(i) {
			t.Fatalf("%q has the style %q:\n%s", g.ID(i), n.attributes["style"], text)
		}
	}
	index := func(name string) int {
		return slices.IndexFunc(nodes, func(n dotNode) bool { return n.name == name })
	}
	var got, want []string
	for _, e := range edges {
		got = append(got, fmt.Sprintln(index(e.parent), index(e.child), e.attributes["label"]))
	}
	for i := range g.Len() {
		for _, p := range g.ParentsAt(i) {
			label := strings.TrimPrefix(p.Condition.String(), "OnPass")
			want = append(want, fmt.Sprintln(p.Index, i, label))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || !utf8.ValidString(text) {
		t.Fatalf("edges (-want +got):\n%s\n%s", diff, text)
	}
}

type dotNode struct {
	name       string
	attributes map[string]string
}

// shown returns the text that Graphviz draws: the label or else the name, with its escapes and named characters read.
func (n dotNode) shown(t rapid.TB) string {
	text, ok := n.attributes["label"]
	if !ok {
		text = n.name
	}
	var b strings.Builder
	for at := 0; at < len(text); at++ {
		if text[at] != '\\' {
			b.WriteByte(text[at])
			continue
		}
		at++
		switch {
		case at < len(text) && text[at] == 'n':
			b.WriteByte('\n')
		case at < len(text) && text[at] == '\\':
			b.WriteByte('\\')
		default:
			t.Fatalf("%q has an escape that Graphviz replaces or drops", text)
		}
	}
	return html.UnescapeString(b.String())
}

type dotEdge struct {
	parent, child string
	attributes    map[string]string
}

// readDOT reads a strict digraph of nodes and edges. Every node comes before its edges.
func readDOT(text string) (nodes []dotNode, edges []dotEdge, err error) {
	tokens, err := dotTokens(text)
	if err != nil {
		return nil, nil, err
	}
	take := func(want ...string) bool {
		if len(tokens) < len(want) || !slices.Equal(tokens[:len(want)], want) {
			return false
		}
		tokens = tokens[len(want):]
		return true
	}
	next := func() (token string) {
		if len(tokens) > 0 {
			token, tokens = tokens[0], tokens[1:]
		}
		return token
	}
	if !take("strict", "digraph", "{") {
		return nil, nil, fmt.Errorf("it begins with %q", tokens)
	}
	for !take("}") {
		name, child := next(), ""
		if take("->") {
			child = next()
		}
		attributes := map[string]string{}
		for inside := take("["); inside && !take("]"); {
			key := next()
			if !take("=") {
				return nil, nil, fmt.Errorf("%q has no value", key)
			}
			attributes[key] = dotText(next())
		}
		if !take(";") {
			return nil, nil, fmt.Errorf("the statement of %s does not end before %q", name, tokens)
		}
		if child == "" {
			nodes = append(nodes, dotNode{dotText(name), attributes})
			continue
		}
		edges = append(edges, dotEdge{dotText(name), dotText(child), attributes})
	}
	if len(tokens) > 0 {
		return nil, nil, fmt.Errorf("after the end stands %q", tokens)
	}
	return nodes, edges, nil
}

// dotText returns the text of a word or, read, of a quoted string.
func dotText(token string) string { return strings.TrimPrefix(token, `"`) }

// dotTokens splits text. A quoted string keeps its first quotation mark and is read otherwise.
func dotTokens(text string) (tokens []string, err error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"
	for text = strings.TrimLeft(text, " \t\r\n"); text != ""; text = strings.TrimLeft(text, " \t\r\n") {
		size := len(text) - len(strings.TrimLeft(text, letters))
		switch {
		case size > 0:
		case strings.HasPrefix(text, "//"):
			_, text, _ = strings.Cut(text, "\n")
			continue
		case strings.HasPrefix(text, "->"):
			size = 2
		case strings.ContainsRune("{}[]=;,", rune(text[0])):
			size = 1
		case text[0] == '"':
			var token string
			if token, text, err = dotString(text[1:]); err != nil {
				return nil, err
			}
			tokens = append(tokens, `"`+token)
			continue
		default:
			return nil, fmt.Errorf("no token begins with %.20q", text)
		}
		tokens = append(tokens, text[:size])
		text = text[size:]
	}
	return tokens, nil
}

// dotString reads a quoted string after its first quotation mark. A pair of backslashes stays a pair, so that the second
// of them escapes nothing; a backslash at the end of a line joins it with the next.
func dotString(text string) (token, rest string, err error) {
	var b strings.Builder
	for at := 0; at < len(text); at++ {
		switch {
		case text[at] == '"':
			return b.String(), text[at+1:], nil
		case text[at] == 0:
			return "", "", fmt.Errorf("a string holds the character 0, where C ends it: %.20q", text)
		case strings.HasPrefix(text[at:], `\"`):
			b.WriteByte('"')
			at++
		case strings.HasPrefix(text[at:], `\\`):
			b.WriteString(`\\`)
			at++
		case strings.HasPrefix(text[at:], "\\\n"):
			at++
		default:
			b.WriteByte(text[at])
		}
	}
	return "", "", fmt.Errorf("no quotation mark ends %.20q", text)
}

// An optional scenario whose name is not shown as its ID has two attributes.
func TestDOTAttributes(t *testing.T) {
	g := mustNew(t, []dag.Scenario{{ID: `a\b`, Optional: true}, {ID: "<b>", After: []dag.Parent{{ID: `a\b`, Condition: dag.Always}}}})
	want := `strict digraph {
	// Node definitions.
	"a\\b" [label="a\\b" style=dashed];
	"<b>";

	// Edge definitions.
	"a\\b" -> "<b>" [label=Always];
}
`
	if diff := cmp.Diff(want, string(write(t, dagfile.WriteDOT, g))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
