package repo

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The layers of package scheduler, each in files of its own. A layer uses the ones before it and not the ones after it.
var layers = []struct {
	name  string
	files func(name string) bool
}{
	{"the rules", func(name string) bool {
		return slices.Contains([]string{"doc.go", "rules.go", "event.go", "snapshot.go", "plan.go", "next.go", "explain.go", "json.go"}, name)
	}},
	{"the machine", func(name string) bool { return strings.HasPrefix(name, "machine_") }},
	{"the executor", func(name string) bool { return strings.HasPrefix(name, "run_") }},
}

// layerOf returns the layer of a file, or -1.
func layerOf(name string) int {
	for i, layer := range layers {
		if layer.files(filepath.Base(name)) {
			return i
		}
	}
	return -1
}

// Seven files of package scheduler tell the rules to a newcomer. The machine makes them incremental and the executor
// carries them out: neither the rules nor the machine know the executor, and the executor changes no state but its own.
func TestLayersOfTheScheduler(t *testing.T) {
	files, uses := checkScheduler(t)
	for _, f := range files.names {
		if layerOf(f) < 0 {
			t.Errorf("%s belongs to no layer; the files are the seven of the rules, machine_*.go and run_*.go", f)
		}
	}
	executor := len(layers) - 1
	seen := map[int]int{}
	for id, obj := range uses {
		if obj.Pkg() == nil || obj.Pkg().Path() != files.pkg.Path() {
			continue
		}
		at, home := files.set.Position(id.Pos()), files.set.Position(obj.Pos())
		user, owner := layerOf(at.Filename), layerOf(home.Filename)
		seen[user]++
		if user < owner {
			t.Errorf("%s: %s uses %s, which belongs to %s (%s)", at, layers[user].name, id.Name, layers[owner].name, home)
		}
		if field, ok := obj.(*types.Var); ok && field.IsField() && !field.Exported() && user == executor && owner != executor {
			t.Errorf("%s: %s reads or writes the field %s of %s (%s); ask by a method", at, layers[user].name, id.Name, layers[owner].name, home)
		}
	}
	for i, layer := range layers {
		if seen[i] < 100 {
			t.Errorf("%s use %d names of the package; the files were not read", layer.name, seen[i])
		}
	}
}

// A source is the files of a package that was checked.
type source struct {
	set   *token.FileSet
	names []string
	pkg   *types.Package
}

// checkScheduler returns package scheduler, and what each name in it stands for.
func checkScheduler(t *testing.T) (source, map[*ast.Ident]types.Object) {
	t.Helper()
	exports := map[string]string{}
	for _, line := range goList(t, "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", "./scheduler") {
		path, file, _ := strings.Cut(line, "=")
		exports[path] = file
	}
	s := source{set: token.NewFileSet()}
	paths, err := filepath.Glob(root + "/scheduler/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(s.set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files, s.names = append(files, file), append(s.names, filepath.Base(path))
	}
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(s.set, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	if s.pkg, err = conf.Check("github.com/testdag/testdag/scheduler", s.set, files, &info); err != nil {
		t.Fatal(err)
	}
	return s, info.Uses
}
