// Command attest-report is what a step of a pipeline runs after a scanner or a test: it turns the report into a
// statement, signs it, and leaves it on the image as evidence of the test.
//
//	attest-report -image quay.io/shop/operator@sha256:... -report trivy.json -name clair-scan -key cosign.key -results /tekton/results
//
// It reads what package scan reads: reports of Trivy, Grype, Clair, Quay, OSV-Scanner and ClamAV, SARIF, JUnit XML, go
// test
// -json and the TEST_OUTPUT of Konflux. What a report does not say has to be given, each with a flag of its own; the
// message says which. There is no word for now: when this program runs is not when the scan ended, so a step that needs
// it writes down date -u +%Y-%m-%dT%H:%M:%SZ right after the scanner.
//
// Each flag has an environment variable, ATTEST_IMAGE for -image and ATTEST_DB_UPDATED for -db-updated; a flag goes
// before its variable. A flag that is given twice is an error, since one of the two values would be lost. Credentials
// for the registry come from where docker and podman log in to, and in Tekton from the service account. task.yaml shows
// it as a task of Tekton.
//
// # No report
//
// Whatever stands where a report should stand becomes evidence: a test-result with the verdict ERROR under the name of
// the test, with the reason as its note. Otherwise an older pass would stay the newest. So it is if the file is
// missing, a folder, empty or cut off, if it is an HTML page, a log or a report that is not read, and if the report
// itself says that the scan did not run or looked at nothing. A step that knows that its scanner failed says so with
// -failed REASON; then no report is read. An empty reason counts too, as in -failed "$(cat log)". The ERROR is of the
// time of -finished, or else of now: that is when it was found out. A reader who asks for the newest vulns of that name
// is told of it, see attest.Overruled.
//
// Only a mistake that the caller can mend leaves nothing: flags that are wrong or missing, no key, a report of another
// image, and a registry that cannot be reached.
//
// # Which image
//
// If the report names its image by digest, it must be that of -image, unless -any-image is given. Many reports name
// none. They are taken to be of the image, which is told on standard error and in the note of the statement;
// -require-digest refuses them.
//
// # What decides
//
// After it has written, the program looks for newer evidence of the test, and tells its digest and time: then what was
// written does not decide.
//
// # Exit code
//
//	0  the evidence is on the image
//	1  there is no report, or the test could not tell; evidence that says so, with the verdict ERROR, is on the image
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

// attest does the work. notRun says why the evidence is an ERROR, and is nil if it is none.
func (p program) attest(ctx context.Context, s *settings) (notRun, err error) {
	signer, err := s.signer(ctx, p.env)
	if err != nil {
		return nil, err
	}
	predicate, notRun := p.convert(ctx, s)
	if predicate == nil {
		return nil, explain(notRun)
	}
	if note := noteOf(predicate); notRun == nil && note != "" {
		p.say("%s", note)
	}
	if s.dryRun {
		return notRun, p.show(s, predicate)
	}
	return notRun, p.write(ctx, s, signer, predicate)
}
