package dagfile

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/testdag/testdag/dag"
)

// WriteMermaid writes g as a flowchart of Mermaid. Edges lead from parent to child and are labeled with their condition
// unless it is OnPass; optional scenarios are dashed. Nodes are named n0, n1 and so on in canonical order and labeled
// with their IDs, escaped so that no ID is taken for markup. Equal graphs make equal text.
func WriteMermaid(w io.Writer, g *dag.Graph) error {
	var b bytes.Buffer
	b.WriteString("flowchart TD\n")
	var optional []string
	for i := range g.Len() {
		fmt.Fprintf(&b, "    n%d[\"%s\"]\n", i, mermaidEscapes(visible(g.ID(i))))
		if g.OptionalAt(i) {
			optional = append(optional, fmt.Sprintf("n%d", i))
		}
	}
	for i := range g.Len() {
		for _, p := range g.ParentsAt(i) {
			fmt.Fprintf(&b, "    n%d %s n%d\n", p.Index, mermaidArrow(p.Condition), i)
		}
	}
	if len(optional) > 0 {
		b.WriteString("    classDef optional stroke-dasharray: 5 5\n")
		fmt.Fprintf(&b, "    class %s optional\n", strings.Join(optional, ","))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func mermaidArrow(c dag.Condition) string {
	if c == dag.OnPass {
		return "-->"
	}
	return "-->|" + c.String() + "|"
}

// mermaidEscapes writes everything by number but letters, digits, and a few marks between two of them: Mermaid reads
// labels as Markdown and as HTML, and takes "1. x" for a list and `x` for code.
func mermaidEscapes(text string) string {
	var b strings.Builder
	runes := []rune(text)
	for i, r := range runes {
		switch {
		case alphanumeric(r), strings.ContainsRune(" -_./", r) && between(runes, i):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString("<br>")
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}

func between(runes []rune, i int) bool {
	return i > 0 && i+1 < len(runes) && alphanumeric(runes[i-1]) && alphanumeric(runes[i+1])
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
