package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/testdag/testdag/attest/policy"
)

const root = "../.."

// An importer of the graph or of the rules must not pay for a cluster, a registry, a web server or gonum's parser of DOT:
// these packages go into controllers and into tests of other schedulers.
func TestDependencies(t *testing.T) {
	forbidden := regexp.MustCompile(`^(net/http|gonum\.org/v1/gonum/graph/.*|.*k8s\.io/.*|github\.com/(sigstore|tektoncd|google/go-containerregistry)/.*)$`)
	for _, pkg := range []string{"./dag", "./dag/dagfile", "./scheduler", "./scheduler/process", "./scheduler/pipelinerun", "./scheduler/konflux"} {
		deps := goList(t, "-deps", pkg)
		if len(deps) < 10 {
			t.Fatalf("go list -deps %s lists %d packages", pkg, len(deps))
		}
		for _, dep := range deps {
			if forbidden.MatchString(dep) {
				t.Errorf("%s depends on %s", pkg, dep)
			}
		}
	}
}

// cosign brings four hundred packages along; who does not verify with it must not get them. Adapters translate and never
// decide, so nothing of the core imports them.
func TestHomeOfCosign(t *testing.T) {
	for _, dep := range goList(t, "-deps", "./attest") {
		if strings.HasPrefix(dep, "github.com/sigstore/cosign/") {
			t.Errorf("attest depends on %s; attest/cosign is the only home of cosign", dep)
		}
	}
	for _, dep := range goList(t, "-deps", "./scheduler") {
		if strings.Contains(dep, "testdag/scheduler/") || strings.Contains(dep, "testdag/attest") {
			t.Errorf("scheduler depends on %s", dep)
		}
	}
}

// A client of Kubernetes is eighty packages that only who runs scenarios on a cluster needs.
func TestHomeOfKubernetes(t *testing.T) {
	const home = "github.com/testdag/testdag/scheduler/tekton"
	found := map[string]bool{}
	for _, edge := range goList(t, "-f", `{{$p := .ImportPath}}{{range .Deps}}{{$p}}:{{.}} {{end}}`, "./...") {
		if pkg, dep, _ := strings.Cut(edge, ":"); strings.Contains(dep, "k8s.io/") {
			found[pkg] = true
		}
	}
	if len(found) != 1 || !found[home] {
		t.Errorf("%v depend on Kubernetes; %s is its only home", slices.Sorted(maps.Keys(found)), home)
	}
}

// What konflux and tekton have in common is in pipelinerun, which knows neither. A Runner must not bring the rules for Konflux
// along.
func TestHomeOfPipelineRuns(t *testing.T) {
	const scheduler = "github.com/testdag/testdag/scheduler"
	for pkg, allowed := range map[string][]string{
		"pipelinerun": {"", "/pipelinerun"},
		"konflux":     {"", "/pipelinerun", "/konflux"},
		"tekton":      {"", "/pipelinerun", "/tekton"},
	} {
		for _, dep := range goList(t, "-deps", "./scheduler/"+pkg) {
			if below, ok := strings.CutPrefix(dep, scheduler); ok && !slices.Contains(allowed, below) {
				t.Errorf("scheduler/%s depends on %s", pkg, dep)
			}
		}
	}
}

// goList returns the words that go list prints.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	return strings.Fields(goListText(t, args...))
}

// Evidence knows no schedule, and the schedule no evidence: who knows both is an example, or a program.
func TestAttestAndSchedulerAreApart(t *testing.T) {
	const module = "github.com/testdag/testdag/"
	for pkg, other := range map[string]string{"attest": "scheduler", "scheduler": "attest"} {
		for _, dep := range goList(t, "-deps", "./"+pkg) {
			if below, ok := strings.CutPrefix(dep, module+other); ok && (below == "" || below[0] == '/') {
				t.Errorf("%s depends on %s", pkg, dep)
			}
		}
	}
}

// goListText returns the text that go list prints.
func goListText(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, &stderr)
	}
	return string(out)
}

// The top level is fixed; a newcomer reads it as a table of contents.
func TestLayout(t *testing.T) {
	fixed := []string{"dag", "scheduler", "attest", "examples", "internal", "go.mod", "go.sum", "LICENSE", "README.md"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(fixed, e.Name()) {
			t.Errorf("%s is not part of the layout %v", e.Name(), fixed)
		}
	}
	for _, name := range fixed {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
	}
}

// Documentation is the page people read: one package comment for each package, and a comment for everything exported.
// Names that say nothing are no names.
func TestDocumentation(t *testing.T) {
	packages := map[string]int{} // directory: package comments
	walk(t, func(path string, file *ast.File) {
		dir := filepath.Dir(path)
		if file.Doc != nil {
			packages[dir]++
		} else {
			packages[dir] += 0
		}
		switch file.Name.Name {
		case "util", "utils", "common", "types", "helpers", "misc":
			t.Errorf("%s: package %s says nothing", path, file.Name.Name)
		}
		if file.Name.Name != "main" {
			undocumented(t, path, file)
		}
	})
	if len(packages) < 10 {
		t.Errorf("looked at %d packages", len(packages))
	}
	for dir, n := range packages {
		if n != 1 {
			t.Errorf("%s has %d package comments, want 1", dir, n)
		}
	}
}

func undocumented(t *testing.T, path string, file *ast.File) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil && !wellKnown(d) {
				t.Errorf("%s: %s has no comment", path, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
						t.Errorf("%s: type %s has no comment", path, s.Name.Name)
					}
				case *ast.ValueSpec:
					if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
						t.Errorf("%s: %s has no comment", path, s.Names[0].Name)
					}
				}
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	name, ok := typ.(*ast.Ident)
	return ok && name.IsExported()
}

// wellKnown reports methods that everybody knows: Error of an error.
func wellKnown(d *ast.FuncDecl) bool { return d.Recv != nil && d.Name.Name == "Error" }

// walk visits every file of the repository that is not a test.
func walk(t *testing.T, visit func(path string, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && path != root) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		visit(path, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The program in the README is the Example of package scheduler, which is run by its tests.
func TestReadmeShowsTheExample(t *testing.T) {
	readme := read(t, "README.md")
	_, code, ok := strings.Cut(readme, "```go\npackage main\n")
	code, _, _ = strings.Cut(code, "```")
	_, body, found := strings.Cut(code, "func main() {\n")
	if !ok || !found {
		t.Fatal("README.md has no Go program")
	}
	body = strings.TrimSuffix(strings.TrimSpace(body), "}")
	example := read(t, "scheduler/example_test.go")
	_, want, _ := strings.Cut(example, "func Example() {\n")
	want, output, _ := strings.Cut(want, "\t// Output:\n")
	if strings.TrimSpace(body) != strings.TrimSpace(want) {
		t.Errorf("README.md shows\n%s\nbut the Example is\n%s", body, want)
	}
	output, _, _ = strings.Cut(output, "\n}")
	output = strings.ReplaceAll(output, "\t// ", "")
	if !strings.Contains(readme, output) {
		t.Errorf("README.md does not show the output\n%s", output)
	}
}

// The fragment in the README that writes and reads evidence is part of an Example, so it compiles.
func TestReadmeShowsEvidence(t *testing.T) {
	_, code, ok := strings.Cut(read(t, "README.md"), "```go\nrecord, err := ")
	code, _, _ = strings.Cut(code, "\n```")
	example := strings.ReplaceAll(read(t, "attest/example_test.go"), "\n\t\t", "\n")
	if !ok || !strings.Contains(example, code+"\n") {
		t.Errorf("no Example of package attest has\n%s", code)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The policies in the README can be read.
func TestReadmeShowsPolicies(t *testing.T) {
	for _, begin := range []string{"required:", "required_in_build:"} {
		_, text, ok := strings.Cut(read(t, "README.md"), "```yaml\n"+begin)
		text, _, _ = strings.Cut(text, "```")
		p, err := policy.Parse(strings.NewReader(begin + text))
		if !ok || err != nil || len(p.Required)+len(p.RequiredInBuild) == 0 {
			t.Errorf("%s got %+v, %v", begin, p, err)
		}
	}
}

// What the README shows of a plan for Konflux is what the program prints.
func TestReadmeShowsThePlan(t *testing.T) {
	_, text, ok := strings.Cut(read(t, "README.md"), "was run again and failed:\n\n```\n")
	text, _, _ = strings.Cut(text, "```")
	if golden := read(t, "examples/konflux/testdata/running.golden"); !ok || !strings.Contains(golden, text) {
		t.Errorf("the program does not print\n%s", text)
	}
}
