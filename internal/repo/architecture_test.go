package repo

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write .github/ARCHITECTURE.md anew from go list")

// .github/ARCHITECTURE.md shows the packages of the main module, and which imports which.
func TestArchitecture(t *testing.T) {
	const page = ".github/ARCHITECTURE.md"
	all := packages(t)
	got := read(t, page)
	want := between(t, got, "packages", rooms(all))
	want = between(t, want, "imports", imports(all))
	if *update {
		if err := os.WriteFile(filepath.Join(root, page), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs from go list (-want +got); run go test ./internal/repo -run Architecture -update:\n%s", page, diff)
	}
}

// between puts a text between two comments of a page, <!-- begin name --> and <!-- end name -->.
func between(t *testing.T, page, name, text string) string {
	t.Helper()
	before, rest, ok := strings.Cut(page, "<!-- begin "+name+" -->\n")
	_, after, found := strings.Cut(rest, "<!-- end "+name+" -->\n")
	if !ok || !found {
		t.Fatalf("the page has no place for %s", name)
	}
	return before + "<!-- begin " + name + " -->\n" + text + "<!-- end " + name + " -->\n" + after
}

// rooms says what each package is, with the first sentence of its comment.
func rooms(all []goPackage) string {
	var b strings.Builder
	for _, p := range all {
		sentence := strings.SplitN(p.doc, " ", 3) // Package, its name, the rest
		fmt.Fprintf(&b, "- `%s` %s\n", p.path, sentence[len(sentence)-1])
	}
	return b.String()
}

var notInName = regexp.MustCompile(`[^a-z0-9]`)

// imports draws the packages by folder of the top level, with an arrow to each package that one imports.
func imports(all []goPackage) string {
	var boxes, arrows strings.Builder
	name := func(path string) string { return notInName.ReplaceAllString(path, "_") }
	folder := ""
	for _, p := range all {
		if top, _, _ := strings.Cut(p.path, "/"); top != folder {
			if folder != "" {
				boxes.WriteString("    end\n")
			}
			folder = top
			fmt.Fprintf(&boxes, "    subgraph in_%s[\"%s/\"]\n", name(top), top)
		}
		fmt.Fprintf(&boxes, "        %s[\"%s\"]\n", name(p.path), p.path)
		for _, used := range p.uses {
			fmt.Fprintf(&arrows, "    %s --> %s\n", name(p.path), name(used))
		}
	}
	return "```mermaid\nflowchart TD\n" + boxes.String() + "    end\n" + arrows.String() + "```\n"
}
