package scan

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/intoto"
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
	// Format of the report. Default: it is recognised by its content. A report that is recognised as another one is refused.
	Format Format

	// Scanner says what the report lacks of the scanner: its version, and of its database URI, version and last update.
	// What the report says itself goes first. Only a URI given here counts before the one that follows from the format.
	// Result must be nil.
	Scanner intoto.Scanner

	// Image is the digest of the image that was scanned, "sha256:...". If the report says by digest which image it is of, it
	// must be this one; Trivy, Grype and Clair do. Empty: of any image.
	Image string

	// RequireDigest refuses a report that names no image by its digest. Otherwise it is taken to be of the image, and the
	// note of the predicate says so.
	RequireDigest bool

	// Started and Finished are when the scan or the test ran, where the report does not say.
	Started, Finished time.Time

	// Now is the time of an ERROR of [Evidence] without Finished. Default: time.Now.
	Now func() time.Time

	// Limits bound what is read.
	Limits Limits
}

// Limits bound a report, which may be hostile or broken. A zero field means its default. What is over one is an
// [*intoto.LimitError].
type Limits struct {
	ReportBytes int64 // the whole report; default 1 GiB
	ValueBytes  int64 // one line, or all that is kept of a finding, which as JSON may have 16 times that up to 64 MiB; default 1 MiB
	Findings    int   // findings, rules of a tool, names in one object, and names of tests; default 100,000
}

func (l Limits) withDefaults() Limits {
	return Limits{
		ReportBytes: cmp.Or(l.ReportBytes, 1<<30),
		ValueBytes:  cmp.Or(l.ValueBytes, 1<<20),
		Findings:    cmp.Or(l.Findings, 100_000),
	}
}

// A converter reads a report of one format, from its first byte on. The limits of its options are filled in, and that on
// the bytes of the report is kept by what it reads from.
type converter func(in io.Reader, opts Options) (intoto.Predicate, error)

var converters = map[Format]converter{
	Trivy:      vulnerabilities(Trivy, "pkg:github/aquasecurity/trivy", trivy),
	Grype:      vulnerabilities(Grype, "pkg:github/anchore/grype", grype),
	Clair:      vulnerabilities(Clair, "pkg:github/quay/clair", clair),
	Quay:       vulnerabilities(Quay, "pkg:github/quay/clair", quay),
	OSVScanner: vulnerabilities(OSVScanner, "pkg:github/google/osv-scanner", osvScanner),
	SARIF:      vulnerabilities(SARIF, "", sarif),
	ClamAV:     clamAV,
	TestOutput: testOutput,
	JUnit:      jUnit,
	GoTest:     goTest,
}

// byteOrderMark is what some tools put before UTF-8.
const byteOrderMark = "\ufeff"

// noDigest is the note of what may be of another image.
const noDigest = "the report names no image by its digest: it is taken to be of this one"

// Convert reads a report and returns what it says: an [intoto.Vulns] or an [intoto.TestResult], which attest.Writer
// can write under the name of the test.
//
// Errors: [*UnknownFormatError] if opts.Format is empty and the content is no report that is known, or if there is no such
// format; [*FormatError] for what is not a whole report of its format; [*NotRunError] if the report says that the scan did
// not run to its end, or looked at nothing; [*ImageError] if it is of another image than opts say, or of none;
// [*LackError] for each field that has to be given in opts, joined; [*TimeError] if report and opts together have a scan
// that ended before it began; [*intoto.FieldError] if opts has a result, or times that cannot be written;
// [*intoto.LimitError]; and those of r.
func Convert(r io.Reader, opts Options) (intoto.Predicate, error) {
	if opts.Scanner.Result != nil {
		return nil, &intoto.FieldError{Field: "opts.Scanner.Result", Problem: "must be nil: the report says what was found"}
	}
	opts.Limits = opts.Limits.withDefaults()
	in := bufio.NewReaderSize(&meter{inner: r, limit: opts.Limits.ReportBytes}, window)
	begin, err := in.Peek(window)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.HasPrefix(begin, []byte(byteOrderMark)) {
		begin = begin[len(byteOrderMark):]
		_, _ = in.Discard(len(byteOrderMark)) // of what was peeked at
	}
	seen := recognise(begin)
	format := cmp.Or(opts.Format, seen.format)
	convert, there := converters[format]
	if !there {
		begin = bytes.TrimSpace(begin)
		return nil, &UnknownFormatError{Format: opts.Format, Begin: string(begin[:min(len(begin), 40)]), Seen: seen.what, Help: seen.help}
	}
	other, isLog := mistaken(format, seen), format == ClamAV || format == GoTest
	if other != nil && !isLog {
		return nil, other
	}
	p, err := convert(in, opts)
	if isA[*FormatError](err) || isA[*NotRunError](err) {
		err = cmp.Or(other, err)
	}
	if err != nil {
		return nil, err
	}
	result, isTest := p.(intoto.TestResult)
	vulns, _ := p.(intoto.Vulns)
	if isTest {
		result.Note = noDigest // no format of tests has one
		p = result
	}
	if opts.RequireDigest && (isTest || vulns.Note == noDigest) {
		return nil, &ImageError{Format: format, Image: opts.Image}
	}
	return p, nil
}

// mistaken says what the report is if it is of another format than it is said to be. A log may begin with anything, so there
// it counts only if the report cannot be read.
func mistaken(format Format, seen sign) error {
	switch {
	case seen.format != "" && seen.format != format:
		return &FormatError{Format: format, Err: fmt.Errorf("it looks like a report of the format %s", seen.format)}
	case seen.format == "" && !strings.HasPrefix(seen.what, unknown):
		return &FormatError{Format: format, Err: fmt.Errorf("it is %s: %s", seen.what, seen.help)}
	}
	return nil
}
