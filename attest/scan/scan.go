package scan

import (
	"io"
	"time"

	"github.com/testdag/testdag/attest"
)

// A Format is a kind of report.
type Format string

// The formats that are read.
const (
	Trivy      Format = "trivy"       // trivy --format json, schema 2
	Grype      Format = "grype"       // grype -o json, with the descriptors of its versions 5 and 6
	Clair      Format = "clair"       // a VulnerabilityReport of claircore, as clair-action --format clair writes it
	Quay       Format = "quay"        // the form of Quay's API, as clair-action --format quay writes it
	OSVScanner Format = "osv-scanner" // osv-scanner --format json
	SARIF      Format = "sarif"       // SARIF 2.1.0 by OASIS: Snyk, CodeQL and others
	ClamAV     Format = "clamav"      // what clamscan prints, with its summary
	TestOutput Format = "test-output" // the TEST_OUTPUT of Konflux tasks, JSON
	JUnit      Format = "junit"       // JUnit XML
	GoTest     Format = "go-test"     // go test -json
)

// Options say what a report does not. The zero value takes everything from the report.
type Options struct {
	// Format of the report. Default: it is recognised by its content.
	Format Format

	// Scanner says what the report lacks of the scanner: its version, and of its database URI, version and last update.
	// What the report says itself goes first. Only a URI given here counts before the one that follows from the format.
	// Result must be nil.
	Scanner attest.Scanner

	// Started and Finished are when the scan or the test ran, where the report does not say.
	Started, Finished time.Time

	// Limits bound what is read.
	Limits Limits
}

// Limits bound a report, which may be hostile or broken. A zero field means its default. What is over one is an
// [*attest.LimitError].
type Limits struct {
	ReportBytes int64 // the whole report; default 1 GiB
	ValueBytes  int64 // one piece of it: a text, a line, a finding; default 1 MiB
	Findings    int   // findings, packages of a Clair report, and names of failed tests; default 100,000
}

// Convert reads a report and returns what it says: an [attest.Vulns] or an [attest.TestResult], which [attest.Writer]
// can write under the name of the test.
//
// Errors: [*UnknownFormatError] if opts.Format is empty and the content is no report that is known; [*FormatError] for
// what is not a whole report of its format; [*NotRunError] if the report says that the scan did not run to its end, or
// looked at nothing; [*LackError] for each field that has to be given in opts, joined; [*attest.LimitError]; and those of
// r.
func Convert(r io.Reader, opts Options) (attest.Predicate, error) {
	panic("not yet")
}
