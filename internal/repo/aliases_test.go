package repo

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// A user cannot read the documentation of an internal package. So the comment of a name that a package gives to an
// internal type names each of its exported fields.
func TestAliasesTellTheirFields(t *testing.T) {
	fields := map[string][]string{} // of a struct, by the path of its package and its name
	type alias struct{ place, target, comment string }
	var aliases []alias
	for _, p := range packages(t) {
		for _, file := range parse(t, token.NewFileSet(), p.path, p.files) {
			imports := importsOf(file)
			for spec, comment := range typesOf(file) {
				if s, ok := spec.Type.(*ast.StructType); ok {
					fields[p.path+"."+spec.Name.Name] = exportedFields(s)
				}
				target, ok := spec.Type.(*ast.SelectorExpr)
				if !ok || !spec.Assign.IsValid() || !spec.Name.IsExported() {
					continue
				}
				if from := imports[target.X.(*ast.Ident).Name]; isInternal(from) && !isInternal(p.path) {
					aliases = append(aliases, alias{p.path + "." + spec.Name.Name, from + "." + target.Sel.Name, comment})
				}
			}
		}
	}
	if len(aliases) < 5 {
		t.Fatalf("found %d aliases of internal types", len(aliases))
	}
	for _, a := range aliases {
		for _, field := range fields[a.target] {
			if !regexp.MustCompile(`\b` + field + `\b`).MatchString(a.comment) {
				t.Errorf("the comment of %s does not tell of its field %s", a.place, field)
			}
		}
	}
}

func isInternal(path string) bool { return strings.Contains("/"+path+"/", "/internal/") }

// importsOf returns the packages of the main module that a file imports, by the names that it has for them.
func importsOf(file *ast.File) map[string]string {
	all := map[string]string{}
	for _, spec := range file.Imports {
		for _, p := range inModule(strings.Trim(spec.Path.Value, `"`)) {
			name := path.Base(p)
			if spec.Name != nil {
				name = spec.Name.Name
			}
			all[name] = p
		}
	}
	return all
}

// typesOf returns the types of a file with their comments.
func typesOf(file *ast.File) map[*ast.TypeSpec]string {
	all := map[*ast.TypeSpec]string{}
	for _, decl := range file.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.TYPE {
			continue
		}
		for _, spec := range d.Specs {
			s := spec.(*ast.TypeSpec)
			all[s] = d.Doc.Text() + s.Doc.Text()
		}
	}
	return all
}

func exportedFields(s *ast.StructType) (names []string) {
	for _, field := range s.Fields.List {
		for _, name := range field.Names {
			if name.IsExported() {
				names = append(names, name.Name)
			}
		}
	}
	return names
}
