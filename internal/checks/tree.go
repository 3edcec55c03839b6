package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// module is the path of the main module. Nested modules are named after their folders.
const module = "github.com/testdag/testdag"

// A tree is the content of the repository. Its paths are relative to the top, with slashes; the top itself is ".".
type tree struct {
	hash     map[string]string   // of each file, by path
	packages map[string]*imports // by folder
	modules  []string            // folders with a go.mod
	fuzz     []target
}

// Imports are the folders of this repository that a package imports.
type imports struct {
	code   []string
	tests  []string // of its tests, beside those
	corpus bool     // its tests mention the corpus
}

// A target is a fuzz target.
type target struct{ folder, name string }

var fuzzTargets = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// readTree reads a repository.
func readTree(repository fs.FS) (*tree, error) {
	t := &tree{hash: map[string]string{}, packages: map[string]*imports{}}
	err := fs.WalkDir(repository, ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || strings.HasSuffix(file, "testdata/rapid")):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		return t.add(repository, file)
	})
	slices.Sort(t.modules)
	return t, err
}

func (t *tree) add(repository fs.FS, file string) error {
	text, err := fs.ReadFile(repository, file)
	if err != nil {
		return err
	}
	info, err := fs.Stat(repository, file)
	if err != nil {
		return err
	}
	t.hash[file] = fmt.Sprintf("%x %t", sha256.Sum256(text), info.Mode()&0o111 != 0)
	folder, name := path.Dir(file), path.Base(file)
	switch {
	case name == "go.mod":
		t.modules = append(t.modules, folder)
	case strings.HasSuffix(name, ".go") && !isTestdata(folder):
		return t.addSource(file, text)
	}
	return nil
}

func isTestdata(folder string) bool { return strings.Contains("/"+folder+"/", "/testdata/") }

// addSource notes the imports and the fuzz targets of a Go file.
func (t *tree) addSource(file string, text []byte) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
	if err != nil {
		return err
	}
	folder, test := path.Dir(file), strings.HasSuffix(file, "_test.go")
	p := t.packages[folder]
	if p == nil {
		p = &imports{}
		t.packages[folder] = p
	}
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: import %s: %w", file, spec.Path.Value, err)
		}
		to, ok := strings.CutPrefix(name+"/", module+"/")
		if !ok {
			continue
		}
		if to = path.Clean(to); test {
			p.tests = append(p.tests, to)
		} else {
			p.code = append(p.code, to)
		}
	}
	if test {
		p.corpus = p.corpus || bytes.Contains(text, []byte(corpusVariable))
		for _, match := range fuzzTargets.FindAllSubmatch(text, -1) {
			t.fuzz = append(t.fuzz, target{folder, string(match[1])})
		}
	}
	return nil
}

// packagesOf returns the package folders of a module.
func (t *tree) packagesOf(module string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(t.packages)), func(folder string) bool { return t.moduleOf(folder) != module })
}

// moduleOf returns the folder of the module that a folder is in.
func (t *tree) moduleOf(folder string) string {
	return nearest(folder, func(folder string) bool { _, ok := t.hash[path.Join(folder, "go.mod")]; return ok })
}

// ownerOf returns the package folder that a file belongs to, or "." if there is none above it.
func (t *tree) ownerOf(file string) string {
	return nearest(path.Dir(file), func(folder string) bool { return t.packages[folder] != nil })
}

// nearest returns the first of a folder and those above it that is wanted, or the top.
func nearest(folder string, wanted func(string) bool) string {
	for folder != "." && !wanted(folder) {
		folder = path.Dir(folder)
	}
	return folder
}

// closure returns all packages that are built for programs, and for the packages that are tested.
func (t *tree) closure(tested, programs []string) map[string]bool {
	all := map[string]bool{}
	var follow func(folders []string)
	follow = func(folders []string) {
		for _, folder := range folders {
			if p := t.packages[folder]; p != nil && !all[folder] {
				all[folder] = true
				follow(p.code)
			}
		}
	}
	follow(tested)
	follow(programs)
	for _, folder := range tested {
		if p := t.packages[folder]; p != nil {
			follow(p.tests)
		}
	}
	return all
}
