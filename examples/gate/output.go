package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/testdag/testdag/attest/policy"
)

// formats are the values of -output.
var formats = map[string]func(o options, w io.Writer, images []judged) error{
	"table": func(_ options, w io.Writer, images []judged) error { return writeTable(w, images) },
	"json":  writeJSON,
	"junit": func(_ options, w io.Writer, images []judged) error { return writeJUnit(w, images) },
	"sarif": func(_ options, w io.Writer, images []judged) error { return writeSARIF(w, images) },
}

// write puts the report where it was asked for. It is made before anything is written, so that there is all of it or
// nothing.
func (o options) write(stdout, stderr io.Writer, images []judged) error {
	var report, table bytes.Buffer
	err := errors.Join(formats[o.output](o, &report, images), writeTable(&table, images))
	if err != nil {
		return err
	}
	for _, image := range images {
		if image.unjudged > 0 {
			fmt.Fprintf(stderr, "gate: %s is an index, and is judged alone; -platforms judges the %d images that it lists too\n",
				printable(image.report.Image), image.unjudged)
		}
	}
	printed := report
	if o.outputFile != "" {
		if err := replace(o.outputFile, report.Bytes()); err != nil {
			return err
		}
		printed = table
	}
	if err := o.writeTestOutput(images); err != nil {
		return err
	}
	if _, err := stdout.Write(printed.Bytes()); err != nil {
		return errors.Join(err, o.clear())
	}
	return nil
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

func writeTable(w io.Writer, images []judged) error {
	for i, image := range images {
		if i > 0 {
			fmt.Fprintf(w, "\n%s:\n", cmp.Or(printable(image.platform), "of no named platform"))
		}
		if err := image.report.WriteTable(w); err != nil {
			return err
		}
	}
	return nil
}

// writeJSON writes one report, or a list of them if platforms were asked for, whether there are any or not.
func writeJSON(o options, w io.Writer, images []judged) error {
	if !o.platforms {
		return encode(w, images[0].report)
	}
	var reports []policy.Report
	for _, image := range images {
		reports = append(reports, image.report)
	}
	return encode(w, reports)
}

// A testOutput is the result TEST_OUTPUT of a Tekton task. Format: Konflux ADR 30, with the time as its tasks write it.
type testOutput struct {
	Result    string    `json:"result"` // SUCCESS, FAILURE or ERROR
	Timestamp time.Time `json:"timestamp"`
	Successes int       `json:"successes"`
	Failures  int       `json:"failures"`
	Warnings  int       `json:"warnings"`
}

// writeTestOutput writes the result of the task. Without images it could not be judged.
func (o options) writeTestOutput(images []judged) error {
	if o.testOutput == "" {
		return nil
	}
	t := testOutput{Result: "ERROR", Timestamp: o.now}
	if o.now.IsZero() {
		t.Timestamp = time.Now()
	}
	t.Timestamp = t.Timestamp.UTC().Truncate(time.Second)
	for _, image := range images {
		t.Result = "SUCCESS"
		t.Successes += len(image.report.Successes)
		t.Failures += len(image.report.Violations)
		t.Warnings += len(image.report.Warnings)
	}
	if exitCode(images) == exitDenied {
		t.Result = "FAILURE"
	}
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return replace(o.testOutput, text)
}

// encode writes JSON in which text that others wrote does nothing to the terminal that it is printed to: what is not
// printable, beyond what JSON escapes anyway, is escaped too.
func encode(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	var b []byte
	for _, r := range string(text) { // outside of strings JSON is printable
		switch {
		case unicode.IsPrint(r) || r == '\n':
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// printable is text that others wrote, in one line that no terminal obeys.
func printable(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return text
	}
	return strconv.Quote(text)
}

// lines is printable text whose lines stay.
func lines(text string) string {
	all := strings.Split(text, "\n")
	for i, line := range all {
		all[i] = printable(line)
	}
	return strings.Join(all, "\n")
}

// subject names what a note is about: its terms, or what it says if it has none.
func subject(n policy.Note) string {
	if len(n.Metadata.Term) == 0 {
		return n.Msg
	}
	return strings.Join(n.Metadata.Term, " or ")
}

// name names the image, and its platform if it is one of several.
func (j judged) name() string {
	if j.platform == "" {
		return printable(j.report.Image)
	}
	return printable(j.report.Image) + " (" + printable(j.platform) + ")"
}
