package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// Reads are the files and programs that a part of a step depends on.
type reads struct {
	module   string   // folder of its module; "" is the main module
	packages []string // folders whose tests it runs; all that they import counts too
	programs []string // folders of programs that it builds, with all that they import
	paths    []string // further files, and folders with everything below
	tools    []string // programs that it starts
	vet      bool     // it only looks at the code of the tests: neither testdata nor the corpus counts
}

// A machine is what keys hold of the machine: its Go, its programs and its corpus.
type machine struct {
	settings []string                          // of Go, and variables that tests look at
	corpus   string                            // hash of the corpus, "" if there is none
	tool     func(name string) (string, error) // hash of a program
}

// thisMachine returns the machine that this program runs on, with the corpus in a folder, which may be "".
func thisMachine(corpus string) (*machine, error) {
	out, err := exec.Command("go", "env", "-json", "GOVERSION", "GOOS", "GOARCH", "GOFLAGS", "GOEXPERIMENT", "GOAMD64", "GOARM64",
		"CGO_ENABLED", "CC", "GODEBUG", "GOWORK").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	var settings map[string]string
	if err := json.Unmarshal(out, &settings); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	m := &machine{tool: hashTool}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		m.settings = append(m.settings, name+"="+settings[name])
	}
	for _, variable := range slices.Sorted(slices.Values(os.Environ())) {
		if strings.HasPrefix(variable, "RAPID_") { // those of this repository follow from tools and corpus
			m.settings = append(m.settings, variable)
		}
	}
	if corpus != "" {
		m.corpus, err = hashFolder(os.DirFS(corpus))
	}
	return m, err
}

func hashTool(name string) (string, error) {
	found, err := exec.LookPath(name)
	if err != nil {
		return "missing", nil // the part runs without it, or fails and says so
	}
	f, err := os.Open(found)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

func hashFolder(folder fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(folder, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(folder, file)
		fmt.Fprintf(h, "%q %x\n", file, sha256.Sum256(text))
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// key returns the key of a part: equal keys, equal results.
func (t *tree) key(m *machine, s *step, p part) (string, error) {
	var lines bytes.Buffer
	fmt.Fprintf(&lines, "1 %q %q %q %q %q\n", s.name, s.commands, s.env, p.args, m.settings)
	if !p.vet && slices.ContainsFunc(p.packages, func(folder string) bool { return t.packages[folder] != nil && t.packages[folder].corpus }) {
		fmt.Fprintf(&lines, "corpus %s\n", m.corpus)
	}
	for _, name := range p.tools {
		hash, err := m.tool(name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(&lines, "tool %s %s\n", name, hash)
	}
	for _, file := range t.files(p.reads) {
		fmt.Fprintf(&lines, "%q %s\n", file, t.hash[file])
	}
	sum := sha256.Sum256(lines.Bytes())
	return hex.EncodeToString(sum[:]), nil
}

// files returns the files that are read, sorted.
func (t *tree) files(r reads) []string {
	packages := t.closure(r.packages, r.programs)
	modules := map[string]bool{".": true, path.Clean(r.module): true} // every module is built with the main one
	for folder := range packages {
		modules[t.moduleOf(folder)] = true
	}
	read := func(file string) bool {
		owner := t.ownerOf(file)
		switch {
		case isBelow(file, r.paths):
			return true
		case path.Base(file) == "go.mod", path.Base(file) == "go.sum":
			return modules[path.Dir(file)]
		case isTestdata(path.Dir(file)):
			return !r.vet && slices.Contains(r.packages, owner)
		case strings.HasSuffix(file, "_test.go"):
			return slices.Contains(r.packages, owner)
		}
		return packages[owner]
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(t.hash)), func(file string) bool { return !read(file) })
}

// isBelow reports whether a file is one of the paths or in a folder that is.
func isBelow(file string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return p == "." || file == p || strings.HasPrefix(file, p+"/") })
}

// sum returns a hash of the whole content. It is another one for another commit.
func (t *tree) sum() [32]byte {
	h := sha256.New()
	for _, file := range slices.Sorted(maps.Keys(t.hash)) {
		fmt.Fprintf(h, "%q %s\n", file, t.hash[file])
	}
	return [32]byte(h.Sum(nil))
}
