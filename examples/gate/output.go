package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/testdag/testdag/attest/policy"
	"github.com/testdag/testdag/attest/policy/report"
)

// write puts the report where it was asked for. It is made before anything is written, so that there is all of it or
// nothing.
func (o options) write(stdout io.Writer, r policy.Release) error {
	var shown, kept bytes.Buffer
	if err := errors.Join(report.Write(&shown, o.printed(stdout), r), report.Write(&kept, o.output, r)); err != nil {
		return err
	}
	if o.outputFile != "" {
		if err := replace(o.outputFile, kept.Bytes()); err != nil {
			return err
		}
	}
	if err := o.writeTestOutput(r); err != nil {
		return err
	}
	if _, err := stdout.Write(shown.Bytes()); err != nil {
		return errors.Join(err, o.clear())
	}
	return nil
}

// printed is the format of what is printed.
func (o options) printed(stdout io.Writer) report.Format {
	switch {
	case o.output != report.Table && o.outputFile == "":
		return o.output
	case o.colors && isTerminal(stdout):
		return report.Color
	}
	return report.Table
}

// isTerminal reports whether w is a terminal, or another device that people look at.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// writeTestOutput writes the result of the task. Without images it could not be judged.
func (o options) writeTestOutput(r policy.Release) error {
	if o.testOutput == "" {
		return nil
	}
	if r.Time = o.now; r.Time.IsZero() {
		r.Time = time.Now()
	}
	var text bytes.Buffer
	if err := report.Write(&text, report.TestOutput, r); err != nil {
		return err
	}
	return replace(o.testOutput, text.Bytes())
}

// clear removes what an earlier call left.
func (o options) clear() error {
	var errs []error
	for _, path := range []string{o.outputFile, o.testOutput} {
		if path == "" {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// replace writes a file that appears whole or not at all.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".gate-")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// printable is text that others wrote, in one line that no terminal obeys.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(text)
	}
	return text
}

// lines is printable text whose lines stay.
func lines(text string) string {
	all := strings.Split(text, "\n")
	for i, line := range all {
		all[i] = printable(line)
	}
	return strings.Join(all, "\n")
}
