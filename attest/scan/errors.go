package scan

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/intoto"
)

// An UnknownFormatError reports content that is no report of any known format, or a format that is not known.
type UnknownFormatError struct {
	Format Format // that was asked for, if any
	Begin  string // the first bytes of the content after white space; empty if there is nothing else
	Seen   string // what the content is instead: "an HTML page"
	Help   string // how to come to a report that is read: "run snyk with --sarif"
}

func (e *UnknownFormatError) Error() string {
	if e.Format != "" {
		return fmt.Sprintf("scan: no format is called %.40q", string(e.Format))
	}
	return fmt.Sprintf("scan: the report is %s: %s", e.Seen, e.Help)
}

// A FormatError reports something that is not a whole report of its format.
type FormatError struct {
	Format Format
	Where  string // path in the report, "Results[0].Vulnerabilities[2]", or line; empty if it is about the whole
	Err    error  // why
}

func (e *FormatError) Error() string {
	where := ""
	if e.Where != "" {
		where = e.Where + ": "
	}
	return fmt.Sprintf("scan: not a %s report: %s%v", e.Format, where, e.Err)
}

// Unwrap returns the cause.
func (e *FormatError) Unwrap() error { return e.Err }

// A NotRunError reports that the scan did not run to its end, or looked at nothing, so that what was not found tells
// nothing.
type NotRunError struct {
	Format Format
	Reason string // what in the report says so
}

func (e *NotRunError) Error() string {
	return fmt.Sprintf("scan: the %s report is of a scan that did not run: %s", e.Format, e.Reason)
}

// An ImageError reports a report of another image than the one it is to be evidence about, or one that names no image
// although Options.RequireDigest is set.
type ImageError struct {
	Format Format
	Image  string   // digest of the image, as given in Options
	Named  []string // digests that the report names
}

func (e *ImageError) Error() string {
	if len(e.Named) == 0 {
		return fmt.Sprintf("scan: the %s report names no image by its digest, so it may be of any", e.Format)
	}
	return fmt.Sprintf("scan: the %s report is not of the image %s: it names %s", e.Format, e.Image, strings.Join(e.Named, ", "))
}

// A LackError reports something that a predicate must say and the report does not.
type LackError struct {
	Format Format
	Field  string // of the predicate, as in JSON: "scanner.db.lastUpdate"
	Option string // field of Options that says it: "Scanner.DB.LastUpdate"
}

// lacking are the options that a report may lack, in words.
var lacking = map[string]string{
	"Scanner.URI":           "which scanner wrote it",
	"Scanner.DB.LastUpdate": "when the vulnerability database was last updated",
	"Started":               "when the scan began",
	"Finished":              "when it ended",
}

// Lacks returns in words what the report does not say: "when the scan began".
func (e *LackError) Lacks() string { return lacking[e.Option] }

func (e *LackError) Error() string {
	return fmt.Sprintf("scan: the %s report does not say %s; give Options.%s", e.Format, e.Lacks(), e.Option)
}

// A TimeError reports a scan that ended before it began, by what the report and Options say together.
type TimeError struct {
	Format            Format
	Started, Finished time.Time

	// StartedBy and FinishedBy are the fields of the report that say so: "CreatedAt". Empty: Options do.
	StartedBy, FinishedBy string
}

func (e *TimeError) Error() string { return "scan: " + e.Says("Options.Started", "Options.Finished") }

// Says returns the contradiction, for a caller that has names of its own for Options.Started and Options.Finished.
func (e *TimeError) Says(started, finished string) string {
	say := func(by, option string, t time.Time) string {
		if by == "" {
			return fmt.Sprintf("%s is %s", option, t.Format(time.RFC3339Nano))
		}
		return fmt.Sprintf("the %s report says %s %s", e.Format, by, t.Format(time.RFC3339Nano))
	}
	return fmt.Sprintf("the scan ended before it began: %s, and %s", say(e.FinishedBy, finished, e.Finished), say(e.StartedBy, started, e.Started))
}

// began and ended are the fields of reports that say when the scan did.
var (
	began = map[Format]string{SARIF: "startTimeUtc"}
	ended = map[Format]string{SARIF: "endTimeUtc", Trivy: "CreatedAt", Grype: "descriptor.timestamp"}
)

// contradiction returns the error of a scan that ended before it began. Started and finished are zero if the report does
// not say. What it says of both is its own mistake.
func contradiction(format Format, started, finished time.Time, m intoto.ScanMetadata) error {
	if m.StartedOn.IsZero() || m.FinishedOn.IsZero() || !m.FinishedOn.Before(m.StartedOn) {
		return nil
	}
	e := &TimeError{Format: format, Started: m.StartedOn, Finished: m.FinishedOn}
	if !started.IsZero() {
		e.StartedBy = began[format]
	}
	if !finished.IsZero() {
		e.FinishedBy = ended[format]
	}
	if e.StartedBy != "" && e.FinishedBy != "" {
		return &FormatError{Format: format, Err: errors.New(e.Says("", ""))}
	}
	return e
}

// plain returns an error of a decoder in words of the report. What Go calls things is of no use to its reader.
func plain(err error) error {
	var kind *json.UnmarshalTypeError
	var bad *json.SyntaxError
	var markup *xml.SyntaxError
	switch {
	case errors.As(err, &kind):
		got, _, _ := strings.Cut(kind.Value, " ")
		return fmt.Errorf("%s: %s, want %s", cmp.Or(kind.Field, "at its top"), cmp.Or(jsonKinds[got], got), types[kind.Type.Kind()])
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &markup) && strings.Contains(markup.Msg, "unexpected EOF"):
		return errors.New("it ends too early")
	case errors.As(err, &bad):
		return fmt.Errorf("no JSON at byte %d", bad.Offset)
	case markup != nil:
		return errors.New(markup.Msg)
	case strings.HasPrefix(err.Error(), "xml: ") && errors.Unwrap(err) != nil:
		return errors.Unwrap(err)
	}
	return err
}

// jsonKinds are the kinds of values as package json names them, in words.
var jsonKinds = map[string]string{"string": "text", "number": "a number", "bool": "true or false", "array": "a list", "object": "an object"}
