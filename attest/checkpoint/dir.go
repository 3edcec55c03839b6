package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
)

// Dir returns a [Store] in a directory, which is made when it is needed. Each test at an image has a folder there, and
// each statement that was newest a file named by its time and digest. Files are only ever added, and lower ones
// removed, so several processes can share the directory, and a crash loses nothing that Advance has returned for.
//
// Folders of releases that named them by the repository too are still read for an image in that repository, and are left
// as they are. A mirror of the image knows their marks as soon as newer evidence was seen in that repository.
func Dir(dir string) Store { return checkpointDir(dir) }

type checkpointDir string

// referrersFile says that Mark.Referrers is set. Releases that do not know it pass over hidden files.
const referrersFile = ".referrers"

// markTime is how the name of a file spells a time in UTC, so that names sort as times do.
const markTime = "20060102T150405.000000000Z"

// Seen reads the names of the files.
func (c checkpointDir) Seen(_ context.Context, image name.Digest, test intoto.Test) (Mark, error) {
	if c == "" {
		return Mark{}, &fault.FieldError{Field: "checkpoint.Dir", Problem: "the name of the directory is empty"}
	}
	_, key := markKey(image, test)
	_, old := oldMarkKey(image, test)
	m, err := c.highest(key)
	before, oldErr := c.highest(old)
	if err = errors.Join(err, oldErr); err != nil {
		return Mark{}, err
	}
	return m.Merge(before), nil
}

// highest returns the highest mark in one folder.
func (c checkpointDir) highest(key string) (Mark, error) {
	files, err := os.ReadDir(filepath.Join(string(c), key))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Mark{}, err
	}
	var m Mark
	for _, f := range files {
		m.Referrers = m.Referrers || f.Name() == referrersFile
		if strings.HasPrefix(f.Name(), ".") {
			continue // file systems keep things of their own there
		}
		one, err := parseMark(f.Name())
		if err != nil {
			return Mark{}, err
		}
		m = m.Merge(one)
	}
	return m, nil
}

// Advance adds a file for each statement, and then removes those of lower marks.
func (c checkpointDir) Advance(_ context.Context, image name.Digest, test intoto.Test, m Mark) error {
	if c == "" {
		return &fault.FieldError{Field: "checkpoint.Dir", Problem: "the name of the directory is empty"}
	}
	text, key := markKey(image, test)
	dir := filepath.Join(string(c), key)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if m.Referrers {
		if err := touch(filepath.Join(dir, referrersFile), text); err != nil {
			return err
		}
	}
	for _, statement := range m.Statements {
		if err := touch(filepath.Join(dir, markFile(m.Time, statement)), text); err != nil {
			return err
		}
	}
	for _, d := range []string{dir, string(c), filepath.Dir(string(c))} { // the folders may be new, too
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return c.prune(key)
}

// prune removes the lower marks of one folder.
func (c checkpointDir) prune(key string) error {
	highest, err := c.highest(key)
	if err != nil {
		return err
	}
	dir := filepath.Join(string(c), key)
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if m, err := parseMark(f.Name()); err == nil && m.Time.Before(highest.Time) {
			_ = os.Remove(filepath.Join(dir, f.Name())) // another process may have done it
		}
	}
	return nil
}

// touch makes a file. Its name is what counts; the text is for people.
func touch(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func markFile(at time.Time, statement v1.Hash) string {
	return at.UTC().Format(markTime) + "-" + statement.Hex
}

func parseMark(file string) (Mark, error) {
	at, hex, _ := strings.Cut(file, "-")
	t, err := time.Parse(markTime, at)
	digest, hashErr := v1.NewHash("sha256:" + hex)
	if err = errors.Join(err, hashErr); err != nil {
		return Mark{}, fmt.Errorf("%q is not the name of a mark, and may be one that is damaged: restore its name, or move it away if it never was one: %w", file, err)
	}
	return Mark{Time: t, Statements: []v1.Hash{digest}}, nil
}
