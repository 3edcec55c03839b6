package scan

import (
	"fmt"
	"strings"
)

// An UnknownFormatError reports content that is no report of any known format, or a format that is not known.
type UnknownFormatError struct {
	Format Format // that was asked for, if any
	Begin  string // the first bytes of the content after white space; empty if there is nothing else
}

func (e *UnknownFormatError) Error() string {
	if e.Format != "" {
		return fmt.Sprintf("scan: no format is called %.40q", string(e.Format))
	}
	if e.Begin == "" {
		return "scan: the report is empty"
	}
	return fmt.Sprintf("scan: no report that is known begins with %.40q; name its format if it is one of those that are read", e.Begin)
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

// An ImageError reports a report of another image than the one it is to be evidence about.
type ImageError struct {
	Format Format
	Image  string   // digest of the image, as given in Options
	Named  []string // digests that the report names
}

func (e *ImageError) Error() string {
	return fmt.Sprintf("scan: the %s report is not of the image %s: it names %s", e.Format, e.Image, strings.Join(e.Named, ", "))
}

// A LackError reports something that a predicate must say and the report does not.
type LackError struct {
	Format Format
	Field  string // of the predicate, as in JSON: "scanner.db.lastUpdate"
	Option string // field of Options that says it: "Scanner.DB.LastUpdate"
}

func (e *LackError) Error() string {
	return fmt.Sprintf("scan: the %s report does not say %s; give Options.%s", e.Format, e.Field, e.Option)
}
