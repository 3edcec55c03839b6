// Command attest-report is what a step of a pipeline runs after a scanner or a test: it turns the report into a
// statement, signs it, and leaves it on the image as evidence of the test.
//
//	attest-report -image quay.io/shop/operator@sha256:... -report trivy.json -name clair-scan -key cosign.key -results /tekton/results
//
// It reads what package scan reads: reports of Trivy, Grype, Clair, OSV-Scanner and ClamAV, SARIF, JUnit XML, go test
// -json and the TEST_OUTPUT of Konflux. What a report does not say has to be given, each with a flag of its own; the
// message says which. There is no word for now: when this program runs is not when the scan ended, so a step that needs
// it writes down date -u +%Y-%m-%dT%H:%M:%SZ right after the scanner.
//
// Each flag has an environment variable, ATTEST_IMAGE for -image and ATTEST_DB_UPDATED for -db-updated; a flag goes
// before its variable. Credentials for the registry come from where docker and podman log in to, and in Tekton from the
// service account. task.yaml shows it as a task of Tekton.
//
// # A scan that did not run
//
// If the report says that the scan did not run to its end, or looked at nothing, or if it is empty or cut off, a
// test-result with the verdict ERROR is written under the name of the test, since otherwise an older pass would stay the
// newest evidence. It says the time of -finished, or else that of the clock: of this it is the program itself that found
// out. Evidence is newest among its own predicate type, so who judges a scan of vulnerabilities asks for the test-result of
// that name too, as package attest/policy does. A report file that is not there is a mistake in the arguments.
//
// # Exit code
//
//	0  the evidence is on the image
//	1  the scan did not run, or could not tell; evidence that says so, with the verdict ERROR, is on the image
//	2  it did not work: nothing was written, unless the message says what was
//
// 0 stands for nothing else: with -h, too, the code is 2. With -dry-run the same codes tell what would be.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/scan"
)

const (
	exitWritten = 0
	exitNotRun  = 1
	exitFailed  = 2
)

// A program is what run works with.
type program struct {
	env         func(string) (string, bool)
	in          io.Reader
	out, errOut io.Writer
	now         func() time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	p := program{env: os.LookupEnv, in: os.Stdin, out: os.Stdout, errOut: os.Stderr, now: time.Now}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// run is the whole program. It returns the exit code.
func (p program) run(ctx context.Context, args []string) int {
	s, err := parse(args, p.env, p.out)
	if errors.Is(err, flag.ErrHelp) {
		return exitFailed // nothing was written
	}
	if err != nil {
		return p.failed(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("it took longer than -timeout %s", s.timeout))
	defer cancel()
	notRun, err := p.attest(ctx, s)
	switch {
	case err != nil && ctx.Err() != nil:
		return p.failed(fmt.Errorf("%w: %w", cause(ctx), err))
	case err != nil:
		return p.failed(err)
	case notRun != nil:
		p.say("%v", notRun)
		return exitNotRun
	}
	return exitWritten
}

// cause is why ctx has ended.
func cause(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return errors.New("interrupted")
	}
	return context.Cause(ctx)
}

// failed tells each mistake on a line of its own.
func (p program) failed(err error) int {
	for line := range strings.Lines(err.Error()) {
		p.say("%s", strings.TrimSuffix(line, "\n"))
	}
	return exitFailed
}

func (p program) say(format string, args ...any) {
	fmt.Fprintf(p.errOut, "attest-report: "+format+"\n", args...)
}

// attest does the work. notRun says why the evidence is that nobody can tell, and is nil if it is another.
func (p program) attest(ctx context.Context, s *settings) (notRun, err error) {
	signer, err := s.signer(ctx, p.env)
	if err != nil {
		return nil, err
	}
	predicate, err := p.convert(ctx, s)
	if tellsOfNoScan(err) {
		predicate, notRun, err = p.couldNotTell(s), err, nil
	}
	if err != nil {
		return nil, explain(err)
	}
	if r, ok := predicate.(attest.TestResult); ok && r.Result == attest.Errored && notRun == nil {
		notRun = errors.New("the report says ERROR: the test could not tell")
	}
	if s.dryRun {
		return notRun, p.show(s, predicate)
	}
	return notRun, p.write(ctx, s, signer, predicate)
}

// tellsOfNoScan reports whether a report is that of a scan that did not run, or is broken: what is empty, was cut off or is
// too large was not written by a scan that went well. Text of a format that nobody knows says nothing of the scan.
func tellsOfNoScan(err error) bool {
	var notRun *scan.NotRunError
	var format *scan.FormatError
	var unknown *scan.UnknownFormatError
	var limit *attest.LimitError
	return errors.As(err, &notRun) || errors.As(err, &format) || errors.As(err, &limit) ||
		errors.As(err, &unknown) && unknown.Begin == ""
}

// couldNotTell is the evidence of a scan that did not run.
func (p program) couldNotTell(s *settings) attest.Predicate {
	at := s.options.Finished
	if at.IsZero() {
		at = p.now()
	}
	return attest.TestResult{Result: attest.Errored, Timestamp: at}
}
