package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// valueBytes bounds one text of a report. JUnit XML has all that a test printed in one.
const valueBytes = 64 << 20

// settings are the arguments, checked.
type settings struct {
	image   name.Digest
	test    string
	report  string // file, "-" for standard input
	failed  string // why there is no report, empty if there should be one
	options scan.Options
	key     string
	form    intoto.Encoding
	results string
	prefix  string
	dryRun  bool
	timeout time.Duration
}

// A mistake is about one argument.
type mistake struct {
	flag    string
	problem string
}

func (m *mistake) Error() string {
	return fmt.Sprintf("-%s (or %s): %s", m.flag, variable(m.flag), m.problem)
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "ATTEST_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// formNames are the words for -form.
var formNames = map[string]intoto.Encoding{"envelope": intoto.EncodingEnvelope, "statement": intoto.EncodingStatement, "bundle": intoto.EncodingBundle}

// arguments are what was given, by flag, and what is wrong with it.
type arguments struct {
	texts    map[string]*string
	given    map[string]bool // as flags
	mistakes []error
}

// A text is the value of a flag, which may be given once.
type text struct {
	of     *arguments
	name   string
	isBool bool
}

func (t text) String() string {
	if t.of == nil {
		return ""
	}
	return *t.of.texts[t.name]
}

func (t text) IsBoolFlag() bool { return t.isBool }

func (t text) Set(value string) error {
	if before := *t.of.texts[t.name]; t.of.given[t.name] {
		t.of.wrong(t.name, "given twice, as %q and as %q", before, value)
	}
	*t.of.texts[t.name], t.of.given[t.name] = value, true
	return nil
}

// newFlags declares the flags. All are texts, so that every mistake is told and not only the first.
func newFlags(a *arguments) *flag.FlagSet {
	flags := flag.NewFlagSet("attest-report", flag.ContinueOnError)
	a.texts, a.given = map[string]*string{}, map[string]bool{}
	for _, f := range []struct{ name, value, usage string }{
		{"image", "", "`REPOSITORY@DIGEST` of the image that was tested"},
		{"report", "", "`FILE` with the report, - for standard input"},
		{"failed", "", "`REASON` why there is no report; with it none is read, and the evidence is ERROR"},
		{"name", "", "`NAME` of the test"},
		{"format", "", "`FORMAT` of the report; without it the content tells: trivy, grype, clair, quay, osv-scanner, sarif, clamav, test-output, junit or go-test"},
		{"key", "", "`FILE` with the private key of cosign, its password in COSIGN_PASSWORD, or URI of a key in a key management service"},
		{"form", "envelope", "`FORM` of what is stored: envelope; statement, which nobody signs, for Tekton Chains to vouch for; or bundle"},
		{"results", "", "`DIRECTORY` for the results of the Tekton task that lead Chains to the evidence"},
		{"prefix", "", "`PREFIX` of the result PREFIX_ARTIFACT_OUTPUTS"},
		{"timeout", "10m", "`DURATION` after which it gives up"},
		{"started", "", "`TIME` when the scan began, RFC 3339, if the report does not say"},
		{"finished", "", "`TIME` when the scan or the test ended, if the report does not say"},
		{"scanner", "", "`URI` of the scanner: pkg:github/aquasecurity/trivy@v0.69.0"},
		{"scanner-version", "", "`VERSION` of the scanner, if the report does not say"},
		{"db-uri", "", "`URI` of the vulnerability database, if the report does not say"},
		{"db-version", "", "`VERSION` of the vulnerability database, if the report does not say"},
		{"db-updated", "", "`TIME` of the last update of the vulnerability database, if the report does not say"},
	} {
		a.texts[f.name] = &f.value
		flags.Var(text{a, f.name, false}, f.name, f.usage)
	}
	for _, f := range []struct{ name, usage string }{
		{"any-image", "the report may name another image, as one of an index or of another registry does"},
		{"require-digest", "refuse a report that names no image by its digest"},
		{"dry-run", "print the statement and write nothing; needs neither key nor registry"},
	} {
		a.texts[f.name] = new(string)
		flags.Var(text{a, f.name, true}, f.name, f.usage)
	}
	return flags
}

const usage = `usage: attest-report -image REPOSITORY@DIGEST -report FILE -name NAME -key FILE [-results DIRECTORY]

Leaves the report of a scanner or a test on the image as evidence. Exit code:
  0  the evidence is on the image
  1  there is no report, or the test could not tell; evidence that says so, with the verdict ERROR, is on the image
  2  it did not work: nothing was written, unless the message says what was

Each flag has an environment variable: ATTEST_DB_UPDATED for -db-updated. A flag goes before its variable, and is given once.

`

// parse reads the arguments and the environment, and reports every mistake. help goes to out.
func parse(args []string, env func(string) (string, bool), out io.Writer) (*settings, error) {
	var a arguments
	flags := newFlags(&a)
	flags.SetOutput(io.Discard)
	a.parseAll(flags, args)
	if slices.ContainsFunc(a.mistakes, func(err error) bool { return errors.Is(err, flag.ErrHelp) }) {
		flags.SetOutput(out)
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
		return nil, flag.ErrHelp
	}
	for flag, text := range a.texts {
		if value, ok := env(variable(flag)); ok && value != "" && !a.given[flag] {
			*text = value
		}
	}
	s := a.settings()
	return s, errors.Join(a.mistakes...)
}

// parseAll reads every flag. It goes on after an unknown flag and an unexpected argument, so that a flag behind one
// counts.
func (a *arguments) parseAll(flags *flag.FlagSet, args []string) {
	for len(args) > 0 {
		err := flags.Parse(args)
		rest := flags.Args()
		switch {
		case err != nil:
			a.mistakes = append(a.mistakes, err)
			if len(rest) == len(args) { // bad syntax, which Parse leaves where it is
				rest = rest[1:]
			}
		case len(rest) > 0:
			a.mistakes = append(a.mistakes, fmt.Errorf("unexpected argument %q", rest[0]))
			rest = rest[1:]
		}
		args = rest
	}
}

// settings checks what was given.
func (a *arguments) settings() *settings {
	s := &settings{
		image: a.image(), test: a.required("name"), failed: a.failed(),
		key: *a.texts["key"], form: a.form(), results: *a.texts["results"], prefix: *a.texts["prefix"],
		dryRun: a.flag("dry-run"), timeout: a.duration("timeout"),
		options: scan.Options{
			Image:         a.scanned(),
			RequireDigest: a.flag("require-digest"),
			Format:        a.format(),
			Scanner: intoto.Scanner{
				URI: *a.texts["scanner"], Version: *a.texts["scanner-version"],
				DB: intoto.ScannerDB{URI: *a.texts["db-uri"], Version: *a.texts["db-version"], LastUpdate: a.time("db-updated")},
			},
			Started: a.time("started"), Finished: a.time("finished"),
			Limits: scan.Limits{ValueBytes: valueBytes},
		},
	}
	if s.failed == "" {
		s.report = a.required("report")
	}
	switch {
	case s.dryRun:
	case s.form == intoto.EncodingStatement && s.key != "":
		a.wrong("key", "nobody signs with -form statement; leave it out")
	case s.form != intoto.EncodingStatement && s.key == "":
		a.wrong("key", "required; only -form statement and -dry-run do without")
	}
	if s.results != "" && s.image != (name.Digest{}) && !s.dryRun {
		a.rehearse(s)
	}
	return s
}

func (a *arguments) wrong(flag, format string, args ...any) {
	a.mistakes = append(a.mistakes, &mistake{flag, fmt.Sprintf(format, args...)})
}

func (a *arguments) required(flag string) string {
	if *a.texts[flag] == "" {
		a.wrong(flag, "required")
	}
	return *a.texts[flag]
}

// failed is why there is no report. An empty reason is one too if the flag is given: the words of a scanner that failed
// without any.
func (a *arguments) failed() string {
	reason := *a.texts["failed"]
	if a.given["failed"] && strings.TrimSpace(reason) == "" {
		return "the step says that it failed, and gives no reason"
	}
	return reason
}

func (a *arguments) image() name.Digest {
	text := a.required("image")
	if text == "" {
		return name.Digest{}
	}
	image, err := name.NewDigest(text)
	if err != nil {
		a.wrong("image", "%q is not REPOSITORY@DIGEST: %v", text, err)
	}
	return image
}

// scanned is the digest that the report must be of, if it names one.
func (a *arguments) scanned() string {
	_, digest, _ := strings.Cut(*a.texts["image"], "@")
	if a.flag("any-image") {
		return ""
	}
	return digest
}

func (a *arguments) form() intoto.Encoding {
	form, ok := formNames[*a.texts["form"]]
	if !ok {
		a.wrong("form", "%q is not one of envelope, statement, bundle", *a.texts["form"])
	}
	return form
}

func (a *arguments) format() scan.Format {
	f := scan.Format(*a.texts["format"])
	switch f {
	case "", scan.Trivy, scan.Grype, scan.Clair, scan.Quay, scan.OSVScanner, scan.SARIF, scan.ClamAV, scan.TestOutput, scan.JUnit, scan.GoTest:
	default:
		a.wrong("format", "%q is not a format that is read; -h lists them", string(f))
	}
	return f
}

func (a *arguments) flag(flag string) bool {
	text := *a.texts[flag]
	if text == "" {
		return false
	}
	yes, err := strconv.ParseBool(text)
	if err != nil {
		a.wrong(flag, "%q is neither true nor false", text)
	}
	return yes
}

func (a *arguments) duration(flag string) time.Duration {
	text := *a.texts[flag]
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		a.wrong(flag, "%q is not a time that passes, as in 90s or 10m", text)
	}
	return d
}

func (a *arguments) time(flag string) time.Time {
	text := *a.texts[flag]
	var t time.Time
	if text != "" && t.UnmarshalText([]byte(text)) != nil {
		a.wrong(flag, "%q is not RFC 3339, as in 2026-03-01T12:00:00Z", text)
	}
	return t
}

// rehearse writes results beside their place, since it is too late to find that they cannot be written when the
// evidence is there.
func (a *arguments) rehearse(s *settings) {
	dir, err := os.MkdirTemp(s.results, ".attest-report-")
	if err != nil {
		a.wrong("results", "%v", err)
		return
	}
	defer os.RemoveAll(dir)
	err = pipelinerun.WriteArtifact(dir, s.prefix, scheduler.Artifact{URI: s.image.Context().Name(), Digest: s.image.DigestStr()})
	var field *pipelinerun.FieldError
	switch {
	case errors.As(err, &field) && field.Field == "prefix":
		a.wrong("prefix", "%s", field.Problem)
	case err != nil:
		a.wrong("results", "%v", err)
	}
}

// signer returns who signs, nil if nobody does.
func (s *settings) signer(ctx context.Context, env func(string) (string, bool)) (intoto.Signer, error) {
	if s.dryRun || s.form == intoto.EncodingStatement {
		return nil, nil
	}
	if strings.Contains(s.key, "://") {
		signer, err := cosign.LoadKMS(ctx, s.key)
		if err != nil {
			return nil, &mistake{"key", err.Error()}
		}
		return signer, nil
	}
	if strings.Contains(s.key, "-----BEGIN") {
		return nil, &mistake{"key", "it is a key itself, not the file of one; write it to a file"} // and is not told here
	}
	pem, err := os.ReadFile(s.key)
	if err != nil {
		return nil, &mistake{"key", err.Error()}
	}
	password, _ := env("COSIGN_PASSWORD")
	signer, err := cosign.LoadSigner(pem, []byte(password))
	if err != nil {
		return nil, &mistake{"key", fmt.Sprintf("%s: %v; COSIGN_PASSWORD holds its password", s.key, err)}
	}
	return signer, nil
}
