// Package report writes what a policy says of images: for people, for CI systems, and for programs.
//
//	release, err := p.GateAll(ctx, resolver, images, time.Now())
//	if len(release.Images) > 0 {
//		err = errors.Join(err, report.Write(os.Stdout, report.Table, release))
//	}
//
// Every format shows every violation, warning and waived note of every image, and why an image could not be judged. A
// waived note stands with its waiver: who answers for it, until when, and why.
//
// # Text of others
//
// A report holds text that others wrote: names of packages, reasons, errors of registries. No format lets it be more than
// text. What is not printable is quoted, so a terminal obeys nothing and XML can hold it; in JSON and SARIF it is escaped,
// so a program reads it as it was. In Markdown it stands in code spans, where no markup, HTML, mention or link counts.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/testdag/testdag/attest/policy"
)

// A Format is a way to write a release.
type Format string

// The formats.
const (
	// Table is for people: at most 100 columns, with the first 12 digits of digests. It has no colour.
	Table Format = "table"

	// Color is Table for a terminal that shows colours.
	Color Format = "color"

	// Markdown is for the description of a pull request, a comment, or the summary of a job.
	Markdown Format = "markdown"

	// JSON is a [policy.Release], for programs.
	JSON Format = "json"

	// JUnit is XML as CI systems read it. Each image is a suite, and each note a test case: a violation is a failure, a
	// waived note is skipped, and a warning passes with output. An image that could not be judged is an error.
	JUnit Format = "junit"

	// SARIF is SARIF 2.1.0. Each note is a result; a waived one has a suppression. An image that could not be judged is a
	// notification, and the invocation was not successful.
	SARIF Format = "sarif"

	// TestOutput is the result TEST_OUTPUT of a Tekton task as Konflux reads it: SUCCESS, FAILURE, or ERROR if an image could
	// not be judged or there is none, with counts. Format: ADR 30 of konflux-ci/architecture.
	TestOutput Format = "test-output"
)

var writers = map[Format]func(io.Writer, policy.Release) error{
	Table: writeTable, Color: writeColor, Markdown: writeMarkdown, JSON: writeJSON, JUnit: writeJUnit, SARIF: writeSARIF,
	TestOutput: writeTestOutput,
}

// Write writes a release.
//
// Errors: those of w, and that there is no such format.
func Write(w io.Writer, f Format, r policy.Release) error {
	write := writers[f]
	if write == nil {
		return f.unknown()
	}
	return write(w, r)
}

// UnmarshalText reads the name of a format. An error names all of them.
func (f *Format) UnmarshalText(text []byte) error {
	named := Format(text)
	if writers[named] == nil {
		return named.unknown()
	}
	*f = named
	return nil
}

func (f Format) unknown() error {
	var names []string
	for name := range writers {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return fmt.Errorf("report: %q is no format; want one of %s", string(f), strings.Join(names, ", "))
}

// A part is the notes of a report that mean the same for the image.
type part struct {
	name  string // as it is counted
	mark  string
	color string // as a terminal takes it
	notes []policy.Note
}

// parts returns the notes, worst first.
func parts(r policy.Report) []part {
	return []part{
		{"violations", "✘", "31", r.Violations}, {"warnings", "!", "33", r.Warnings},
		{"waived", "~", "36", r.Waived}, {"successes", "✔", "32", r.Successes},
	}
}

// counts is how many notes of each kind there are: "violations 1, warnings 0, waived 0, successes 3".
func counts(r policy.Report) string {
	var all []string
	for _, p := range parts(r) {
		all = append(all, fmt.Sprintf("%s %d", p.name, len(p.notes)))
	}
	return strings.Join(all, ", ")
}

// A tally is how many images of a release there are of each kind.
type tally struct{ allowed, denied, failed int }

func count(r policy.Release) (t tally) {
	for _, image := range r.Images {
		switch {
		case image.Error != "":
			t.failed++
		case image.Success:
			t.allowed++
		default:
			t.denied++
		}
	}
	return t
}

func (t tally) String() string {
	all := t.allowed + t.denied + t.failed
	return fmt.Sprintf("images %d, allowed %d, denied %d, not judged %d", all, t.allowed, t.denied, t.failed)
}

// verdict is what is decided about all images.
func (t tally) verdict() string {
	switch {
	case t.failed > 0, t == tally{}:
		return "could not be judged"
	case t.denied > 0:
		return "is denied"
	}
	return "is allowed"
}

// verdict is what is decided about an image.
func verdict(image policy.Judged) string {
	switch {
	case image.Error != "":
		return "could not be judged"
	case image.Success:
		return "is allowed"
	}
	return "is denied"
}

// name names an image, and its component and platform if it has any: "quay.io/shop/api@sha256:... (api, linux/arm64)".
func name(image policy.Judged) string {
	var about []string
	if image.Component != "" {
		about = append(about, word(image.Component))
	}
	switch {
	case image.Platform != "":
		about = append(about, word(image.Platform))
	case image.Index != "":
		about = append(about, "of no named platform")
	}
	if len(about) == 0 {
		return printable(image.Image)
	}
	return printable(image.Image) + " (" + strings.Join(about, ", ") + ")"
}

// subject names what a note is about: its terms, or what it says if it has none.
func subject(n policy.Note) string {
	if len(n.Metadata.Term) == 0 {
		return n.Msg
	}
	return strings.Join(n.Metadata.Term, " or ")
}

// details is what stands under a note: its waiver, and its evidence.
func details(n policy.Note) []string {
	var all []string
	if n.Waiver != nil {
		all = append(all, printable(n.Waiver.String()))
	}
	for _, s := range n.Evidence {
		all = append(all, printable(s.String()))
	}
	return all
}

// unjudged says that images which an index lists were not asked about; empty if there are none.
func unjudged(image policy.Judged) string {
	if image.Unjudged == 0 {
		return ""
	}
	if image.Unjudged == 1 {
		return "it is an index, and is judged alone: the image that it lists is not"
	}
	return fmt.Sprintf("it is an index, and is judged alone: the %d images that it lists are not", image.Unjudged)
}
