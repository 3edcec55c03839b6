package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

const (
	maxResultBytes = 4096 // of a file: what Tekton lets the results of a task have together
	maxResultFiles = 64   // that are read; each names no more than one artifact
	maxEntries     = 1024 // of the directory
)

// newResults makes a directory for what a command says it left. Its name holds also where the command is started
// elsewhere.
func newResults() (string, error) {
	dir, err := os.MkdirTemp("", "testdag-results-")
	if err != nil {
		return "", fmt.Errorf("process: cannot make a directory for results: %w", err)
	}
	return filepath.Abs(dir)
}

// readResults returns the artifacts that the files of a directory name, each once, and every mistake in them. No mistake
// quotes what is in a file: it may be a secret.
func readResults(dir string) ([]scheduler.Artifact, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, cause(err)
	}
	defer root.Close()
	names, err := resultNames(root)
	if err != nil {
		return nil, err
	}
	return pipelinerun.ReadArtifacts(names, func(name string) (string, error) {
		text, err := readFile(root, name)
		return string(text), err
	})
}

// resultNames returns the names of the files to be read, in order. Files of other names are nobody's business.
func resultNames(root *os.Root) (names []string, err error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, cause(err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxEntries + 1)
	if err != nil && err != io.EOF {
		return nil, cause(err)
	}
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("the directory has more than %d files", maxEntries)
	}
	for _, e := range entries {
		if name := e.Name(); pipelinerun.NamesArtifact(name) {
			names = append(names, name)
		}
	}
	if len(names) > maxResultFiles {
		return nil, fmt.Errorf("%d files name artifacts; want at most %d", len(names), maxResultFiles)
	}
	slices.Sort(names)
	return names, nil
}

// readFile reads a file without following links out of the directory, and without waiting for what is no file.
func readFile(root *os.Root, name string) ([]byte, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|dontWait, 0)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, cause(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxResultBytes+1))
	switch {
	case err != nil:
		return nil, cause(err)
	case len(text) > maxResultBytes:
		return nil, fmt.Errorf("it has more than %d bytes", maxResultBytes)
	}
	return text, nil
}
