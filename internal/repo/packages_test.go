package repo

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/testdag/testdag"

// A goPackage is a package of the main module.
type goPackage struct {
	path  string   // without the path of the module, as those of uses
	doc   string   // the first sentence of its comment
	files []string // that are no tests, for all systems
	uses  []string // packages of the main module that it imports
}

// packages returns the packages of the main module in the order of their paths.
func packages(t *testing.T) (all []goPackage) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(goListText(t, "-json=ImportPath,Doc,GoFiles,IgnoredGoFiles,Imports", "./...")))
	for {
		var p struct {
			ImportPath, Doc                  string
			GoFiles, IgnoredGoFiles, Imports []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		files := append(p.GoFiles, p.IgnoredGoFiles...)
		files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
		all = append(all, goPackage{inModule(p.ImportPath)[0], p.Doc, files, inModule(p.Imports...)})
	}
	if len(all) < 10 {
		t.Fatalf("go list lists %d packages", len(all))
	}
	return all
}

// inModule returns those of some import paths that are of the main module, without its path.
func inModule(paths ...string) (all []string) {
	for _, path := range paths {
		if inside, ok := strings.CutPrefix(path, module+"/"); ok {
			all = append(all, inside)
		}
	}
	return all
}
