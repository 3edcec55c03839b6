package dagfile

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/testdag/testdag/dag"
)

// WriteDOT writes g for Graphviz. Edges lead from parent to child and are labeled with their condition unless it is
// OnPass; optional scenarios are dashed. A node is named by its ID, quoted as in Go, and labeled where Graphviz would not
// show that name as the ID. Equal graphs make equal text, though not all that is in a graph is in it: the order in which
// parents were declared is not.
func WriteDOT(w io.Writer, g *dag.Graph) error {
	var nodes, edges bytes.Buffer
	for i := range g.Len() {
		name := strconv.Quote(string(g.ID(i)))
		fmt.Fprintf(&nodes, "\t%s%s;\n", name, dotNodeAttributes(g, i))
		for _, c := range g.ChildrenAt(i) {
			fmt.Fprintf(&edges, "\t%s -> %q%s;\n", name, g.ID(int(c.Index)), dotEdgeAttributes(c.Condition))
		}
	}
	var b bytes.Buffer
	b.WriteString("strict digraph {\n")
	if nodes.Len() > 0 {
		b.WriteString("\t// Node definitions.\n")
		b.Write(nodes.Bytes())
	}
	if edges.Len() > 0 {
		b.WriteString("\n\t// Edge definitions.\n")
		b.Write(edges.Bytes())
	}
	b.WriteString("}\n")
	_, err := w.Write(b.Bytes())
	return err
}

// dotNodeAttributes gives a node a label unless Graphviz shows its name as the ID. Graphviz gives backslashes and
// ampersands in a name a meaning; an ID that Go quotes without a backslash has none, nor quotes or control characters.
func dotNodeAttributes(g *dag.Graph, i int) string {
	id := string(g.ID(i))
	var list []string
	if strconv.Quote(id) != `"`+id+`"` || strings.Contains(id, "&") {
		list = append(list, `label="`+dotEscapes(visible(g.ID(i)))+`"`)
	}
	if g.OptionalAt(i) {
		list = append(list, "style=dashed")
	}
	if len(list) == 0 {
		return ""
	}
	return " [" + strings.Join(list, " ") + "]"
}

func dotEdgeAttributes(c dag.Condition) string {
	if c == dag.OnPass {
		return ""
	}
	return " [label=" + c.String() + "]"
}

// dotEscapes escapes what labels take for more than itself. The names of characters, such as &lt;, are among that.
func dotEscapes(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "&", "&amp;").Replace(text)
}
