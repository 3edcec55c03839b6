package process

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/testdag/testdag/internal/strictjson"
	"github.com/testdag/testdag/scheduler"
)

// The files that are read, as Tekton tasks name their results. Files of other names are nobody's business.
const (
	fileURI    = "ARTIFACT_URI"
	fileDigest = "ARTIFACT_DIGEST"
)

var outputsName = regexp.MustCompile(`^[A-Za-z0-9._-]*ARTIFACT_OUTPUTS$`)

const (
	maxResultBytes = 4096 // of a file: what Tekton lets the results of a task have together
	maxResultFiles = 64   // that are read; each names no more than one artifact
	maxEntries     = 1024 // of the directory
)

var outputsLimits = strictjson.Limits{Depth: 8, Values: 64}

// What package attest writes, and Chains reads: a repository with its registry, and SHA-256.
var (
	repositoryForm = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?(/[a-z0-9._-]+)+$`)
	digestForm     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

const maxRepositoryBytes = 255

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
	var r results
	r.addStrings(root, names)
	for _, name := range names {
		if outputsName.MatchString(name) {
			a, err := readOutputs(root, name)
			r.add(name, a, err)
		}
	}
	return r.artifacts, errors.Join(r.mistakes...)
}

// resultNames returns the names of the files to be read, in order.
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
		if name := e.Name(); name == fileURI || name == fileDigest || outputsName.MatchString(name) {
			names = append(names, name)
		}
	}
	if len(names) > maxResultFiles {
		return nil, fmt.Errorf("%d files name artifacts; want at most %d", len(names), maxResultFiles)
	}
	slices.Sort(names)
	return names, nil
}

// A results is what was read.
type results struct {
	artifacts []scheduler.Artifact
	mistakes  []error
}

// add adds what a file says, or what is wrong with it.
func (r *results) add(file string, a scheduler.Artifact, err error) {
	if err = cmp.Or(err, check(a)); err != nil {
		r.mistakes = append(r.mistakes, fmt.Errorf("%s: %w", file, err))
		return
	}
	if !slices.Contains(r.artifacts, a) {
		r.artifacts = append(r.artifacts, a)
	}
}

// addStrings adds what the files say that hold nothing but a URI and a digest.
func (r *results) addStrings(root *os.Root, names []string) {
	hasURI, hasDigest := slices.Contains(names, fileURI), slices.Contains(names, fileDigest)
	var a scheduler.Artifact
	var err, errDigest error
	switch {
	case !hasURI && !hasDigest:
		return
	case !hasURI:
		err = fmt.Errorf("there is no %s", fileURI)
	case !hasDigest:
		err = fmt.Errorf("there is no %s", fileDigest)
	default:
		a.URI, err = readString(root, fileURI)
		a.Digest, errDigest = readString(root, fileDigest)
	}
	r.add(fileURI+" and "+fileDigest, a, cmp.Or(err, errDigest))
}

// readString returns what is in a file, without the space around it that shells like to write.
func readString(root *os.Root, name string) (string, error) {
	text, err := readFile(root, name)
	return strings.TrimSpace(string(text)), err
}

func readOutputs(root *os.Root, name string) (a scheduler.Artifact, err error) {
	text, err := readFile(root, name)
	if err != nil {
		return a, err
	}
	if strictjson.Decode(text, &a, outputsLimits) != nil {
		return a, errors.New(`want a JSON object with the strings "uri" and "digest", each once`)
	}
	return a, nil
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

// check says why nobody could find the artifact.
func check(a scheduler.Artifact) error {
	switch {
	case len(a.URI) > maxRepositoryBytes || !repositoryForm.MatchString(a.URI):
		return errors.New("the URI is not a repository like quay.io/team/app, with a registry and without scheme, tag and digest")
	case !digestForm.MatchString(a.Digest):
		return errors.New("the digest is not sha256: and 64 hexadecimal digits in lower case")
	}
	return nil
}
