package dagfile_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/dag/dagfile"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// writers are the forms that can be written, by the extension of their golden files.
func writers() map[string]func(io.Writer, *dag.Graph) error {
	return map[string]func(io.Writer, *dag.Graph) error{
		"json": dagfile.WriteJSON, "dot": dagfile.WriteDOT, "mmd": dagfile.WriteMermaid,
	}
}

func write(t interface{ Fatal(...any) }, form func(io.Writer, *dag.Graph) error, g *dag.Graph) []byte {
	var b bytes.Buffer
	if err := form(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	odd := []dag.Scenario{{ID: "root"}}
	for _, id := range oddIDs() {
		odd = append(odd, dag.Scenario{ID: id, After: dag.After("root")})
	}
	odd = append(odd, dag.Scenario{ID: "last", Optional: true, After: []dag.Parent{
		{ID: "1. x", Condition: dag.OnFinish}, {ID: `"quoted"`, Condition: dag.Always}, {ID: "<b>bold</b>"},
	}})
	graphs := map[string]*dag.Graph{
		"empty":          new(dag.Graph),
		"odd":            mustNew(t, odd),
		"componentgroup": parseFile(t, filepath.Join("testdata", "componentgroup.yaml"), dag.ADR48),
	}
	for name, g := range graphs {
		for extension, form := range writers() {
			path := filepath.Join("testdata", name+"."+extension)
			got := write(t, form, g)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got; accept with -update):\n%s", path, diff)
			}
		}
	}
}

// oddIDs are IDs that are taken for something else where they are not escaped.
func oddIDs() []dag.ID {
	return []dag.ID{
		"-", "- x", "1", "1. x", "1e3", "0x1f", "null", "~", "true", "yes", "<<", "*a", "&a", "!a", "#a", "a #b", "a: b", "%a", "@a",
		"'", `"`, `"quoted"`, `\`, `\"`, `\N`, "`code`", "`", "$x$", "[x]", "(x)", "{x}", "|", "<b>bold</b>", "<b>", "&lt;", "#lt;", "#35;",
		"_x_", "**x**", "http://a.example/b?c=d#e", "end", "graph", "subgraph", "node", "n0", "%%", ";", ",", " ", "  two  ", "\t", "\n", "a\nb", "\r\n",
		"\x00", "\x1b[31m", "\x7f", "\u0085", "\u00a0", "\u2028", "\ufeff", "\ufffd", "\ufffe", "é", "e\u0301", "日本", "😀", "\u202eabc", "e2e-test/v1.2",
	}
}

func mustNew(t interface{ Fatal(...any) }, list []dag.Scenario) *dag.Graph {
	g, err := dag.New(list...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// graphs draws a graph with odd IDs, all of them UTF-8.
func graphs() *rapid.Generator[*dag.Graph] {
	return graphsOf(rapid.OneOf(
		rapid.SampledFrom(oddIDs()),
		rapid.Map(rapid.StringN(1, 8, -1), func(s string) dag.ID { return dag.ID(strings.ToValidUTF8(s, "?")) }),
	))
}

func graphsOf(id *rapid.Generator[dag.ID]) *rapid.Generator[*dag.Graph] {
	return rapid.Custom(func(t *rapid.T) *dag.Graph {
		list := []dag.Scenario{}
		for i, id := range rapid.SliceOfNDistinct(id, 0, 8, rapid.ID[dag.ID]).Draw(t, "names") {
			s := dag.Scenario{ID: id, Optional: rapid.Bool().Draw(t, "optional")}
			for _, p := range rapid.Permutation(list[:i]).Draw(t, "parents") {
				if rapid.Bool().Draw(t, "edge") {
					c := rapid.SampledFrom([]dag.Condition{dag.OnPass, dag.OnFinish, dag.Always}).Draw(t, "condition")
					s.After = append(s.After, dag.Parent{ID: p.ID, Condition: c})
				}
			}
			list = append(list, s)
		}
		return mustNew(t, list)
	})
}

func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphs().Draw(t, "graph")
		text := write(t, dagfile.WriteJSON, g)
		f, err := dagfile.Parse(bytes.NewReader(text), 0, dagfile.Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !f.Graph.Equal(g) {
			t.Fatalf("another graph:\n%s", text)
		}
		if again := write(t, dagfile.WriteJSON, f.Graph); !bytes.Equal(text, again) {
			t.Fatalf("another text:\n%s\n%s", text, again)
		}
	})
}

// What stands in a label of Mermaid is letters, digits, a few marks between two of them, and characters by number.
func TestMermaidLabelsAreHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphs().Draw(t, "graph")
		lines := strings.Split(string(write(t, dagfile.WriteMermaid, g)), "\n")
		for i := range g.Len() {
			label, ok := strings.CutPrefix(lines[1+i], "    n"+strconv.Itoa(i)+`["`)
			label, ok2 := strings.CutSuffix(label, `"]`)
			if !ok || !ok2 {
				t.Fatalf("no node: %q", lines[1+i])
			}
			if got := mermaidText(t, label); got != pictures(string(g.ID(i))) {
				t.Fatalf("%q reads as %q", label, got)
			}
		}
	})
}

// mermaidText reads a label as a browser shows it.
func mermaidText(t *rapid.T, label string) string {
	var b strings.Builder
	for len(label) > 0 {
		r, size := utf8.DecodeRuneInString(label)
		switch {
		case strings.HasPrefix(label, "<br>"):
			b.WriteByte('\n')
			size = 4
		case r == '#':
			number, _, ok := strings.Cut(label[1:], ";")
			n, err := strconv.Atoi(number)
			if !ok || err != nil {
				t.Fatalf("no number at %q", label)
			}
			b.WriteRune(rune(n))
			size = len(number) + 2
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune(" -_./", r):
			b.WriteRune(r)
		default:
			t.Fatalf("%q stands by itself", r)
		}
		label = label[size:]
	}
	return b.String()
}

func pictures(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || !unicode.IsControl(r):
			return r
		case r < 0x20:
			return 0x2400 + r
		case r == 0x7f:
			return '␡'
		}
		return '␦'
	}, id)
}

func TestTextDependsOnTheGraphAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphs().Draw(t, "graph")
		same := mustNew(t, rapid.Permutation(slices.Collect(g.Scenarios())).Draw(t, "order"))
		for extension, form := range writers() {
			if a, b := write(t, form, g), write(t, form, same); !bytes.Equal(a, b) {
				t.Fatalf("%s:\n%s\n%s", extension, a, b)
			}
		}
	})
}

func TestIDsThatAreNotUTF8(t *testing.T) {
	g := mustNew(t, []dag.Scenario{{ID: "a\xff"}, {ID: "a\xfe", After: dag.After("a\xff")}})
	err := dagfile.WriteJSON(io.Discard, g)
	if err == nil || !strings.Contains(err.Error(), `the ID "a\xff" is not UTF-8`) {
		t.Errorf("got %v", err)
	}
	want := "flowchart TD\n    n0[\"a#9254;\"]\n    n1[\"a#9254;\"]\n    n0 --> n1\n"
	if diff := cmp.Diff(want, string(write(t, dagfile.WriteMermaid, g))); diff != "" {
		t.Error(diff)
	}
	want = `strict digraph {
	// Node definitions.
	"a\xff" [label="a␦"];
	"a\xfe" [label="a␦"];

	// Edge definitions.
	"a\xff" -> "a\xfe";
}
`
	if diff := cmp.Diff(want, string(write(t, dagfile.WriteDOT, g))); diff != "" {
		t.Error(diff)
	}
}

type brokenWriter struct{ error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.error }

func TestWriteErrorsAreReturned(t *testing.T) {
	broken := brokenWriter{errors.New("broken")}
	for extension, form := range writers() {
		if err := form(broken, new(dag.Graph)); !errors.Is(err, broken.error) {
			t.Errorf("%s: got %v", extension, err)
		}
	}
}
