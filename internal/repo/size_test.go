package repo

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A size counts the exported types, functions and variables of a package, without methods, constants and error
// variables; and the lines of its files, without tests.
type size struct{ names, lines int }

// most bounds the size of each package of the main module. A package that grows needs an edit here, and its commit says
// why. The bound of a package that shrinks may be lowered at any time. With -v the test prints the lines to put here.
var most = map[string]size{
	"attest":                       {31, 2883},
	"attest/checkpoint":            {5, 589},
	"attest/cosign":                {7, 879},
	"attest/internal/attesttest":   {5, 68},
	"attest/internal/fault":        {7, 122},
	"attest/internal/referrers":    {28, 2215},
	"attest/internal/registry":     {25, 1503},
	"attest/internal/registrytest": {4, 300},
	"attest/intoto":                {32, 1361},
	"attest/policy":                {23, 3581},
	"attest/policy/report":         {2, 954},
	"attest/provenance":            {8, 970},
	"attest/scan":                  {11, 3902},
	"dag":                          {15, 1349},
	"dag/dagfile":                  {8, 1312},
	"examples/attest-report":       {0, 698},
	"examples/gate":                {0, 705},
	"examples/internal/expected":   {1, 24},
	"examples/konflux":             {1, 548},
	"examples/quickstart":          {0, 770},
	"internal/checks":              {0, 980},
	"internal/mutation":            {0, 4},
	"internal/pattern":             {2, 32},
	"internal/repo":                {0, 3},
	"internal/shapes":              {6, 87},
	"internal/strictjson":          {5, 231},
	"internal/testname":            {6, 223},
	"scheduler":                    {36, 3601},
	"scheduler/konflux":            {30, 2032},
	"scheduler/pipelinerun":        {30, 959},
	"scheduler/process":            {3, 791},
	"scheduler/schedulertest":      {8, 2734},
	"scheduler/tekton":             {14, 1562},
}

// mostPairs bounds how many pairs of files of attest know each other, in one direction or in both.
const mostPairs = 87

func TestSize(t *testing.T) {
	var all size
	sizes := map[string]size{}
	for _, p := range packages(t) {
		s := sizeOf(t, p)
		sizes[p.path] = s
		all.names, all.lines = all.names+s.names, all.lines+s.lines
	}
	for _, path := range slices.Sorted(maps.Keys(sizes)) {
		s, bound := sizes[path], most[path]
		t.Logf("\t%q: {%d, %d},", path, s.names, s.lines)
		if s.names > bound.names || s.lines > bound.lines {
			t.Errorf("%s has %d names and %d lines, at most %d and %d are allowed", path, s.names, s.lines, bound.names, bound.lines)
		}
	}
	t.Logf("all: %d names, %d lines", all.names, all.lines)
	for _, path := range slices.Sorted(maps.Keys(most)) {
		if sizes[path] == (size{}) {
			t.Errorf("there is no package %s: remove its bound", path)
		}
	}
}

// sizeOf counts files for all systems.
func sizeOf(t *testing.T, p goPackage) (s size) {
	t.Helper()
	set := token.NewFileSet()
	for _, file := range parse(t, set, p.path, p.files) {
		s.names += names(file)
		s.lines += set.File(file.FileStart).LineCount()
	}
	return s
}

// names counts the exported names of a file.
func names(file *ast.File) (n int) {
	count := func(name *ast.Ident) {
		if name.IsExported() {
			n++
		}
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				count(d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					count(s.Name)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						if d.Tok == token.VAR && !strings.HasPrefix(name.Name, "Err") {
							count(name)
						}
					}
				}
			}
		}
	}
	return n
}

// A method, a constant and an error are not counted, and nothing that is not exported.
func TestNames(t *testing.T) {
	const text = `package p
type A struct{}
type ( B int; c int )
func (A) Method() {}
func F() {}
func g() {}
const C = 1
var V, W, x = 1, 2, 3
var ErrE = error(nil)
`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", text, parser.SkipObjectResolution)
	if n := names(file); err != nil || n != 5 {
		t.Errorf("got %d names (%v), want A, B, F, V and W", n, err)
	}
}

func TestFilesUseEachOther(t *testing.T) {
	pairs, possible := filePairs(t, "attest")
	for _, pair := range pairs {
		t.Logf("%s uses %s", pair[0], pair[1])
	}
	t.Logf("%d of %d pairs of files of attest know each other", len(pairs), possible)
	if len(pairs) > mostPairs {
		t.Errorf("%d pairs of files of attest know each other, at most %d are allowed; -v lists them", len(pairs), mostPairs)
	}
}

// filePairs returns the pairs of files of a package of which one uses what the other declares, and how many there could be.
func filePairs(t *testing.T, path string) (pairs [][2]string, possible int) {
	t.Helper()
	exports := map[string]string{}
	for line := range strings.Lines(goListText(t, "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./"+path)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[name] = file
	}
	set := token.NewFileSet()
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	conf := types.Config{Importer: importer.ForCompiler(set, "gc", lookup)}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	files := parse(t, set, path, goList(t, "-f", `{{join .GoFiles " "}}`, "./"+path))
	pkg, err := conf.Check(module+"/"+path, set, files, info)
	if err != nil {
		t.Fatal(err)
	}
	uses := map[[2]string]bool{}
	file := func(pos token.Pos) string { return filepath.Base(set.Position(pos).Filename) }
	for name, object := range info.Uses {
		if object.Pkg() == pkg && object.Pos().IsValid() {
			uses[[2]string{file(name.Pos()), file(object.Pos())}] = true
		}
	}
	for use := range uses {
		if back := [2]string{use[1], use[0]}; use[0] < use[1] || use[0] > use[1] && !uses[back] {
			pairs = append(pairs, use)
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return pairs, len(files) * (len(files) - 1) / 2
}

// parse parses files of a folder.
func parse(t *testing.T, set *token.FileSet, folder string, names []string) (files []*ast.File) {
	t.Helper()
	for _, name := range names {
		file, err := parser.ParseFile(set, filepath.Join(root, folder, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
