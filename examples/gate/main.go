// Command gate lets an image go on or stops it: a release pipeline runs it after the tests and before the release.
//
//	gate -image REPOSITORY@DIGEST -policy policy.yaml -key cosign.pub
//
// It finds the newest evidence of every test that the policy names, and the provenance of the image's builds if the
// policy says whom to trust for that, judges the image by it with package attest/policy, and prints the report.
// policy.yaml beside this file is a policy to start from, task.yaml a Tekton Task that runs gate.
//
// Who holds a key of -key may vouch for evidence. Without -provenance-key it may sign provenance too, and so say that a
// trusted builder made the image; where tests sign with keys of their own, builds should have another.
//
// # Exit codes
//
//	0  the image is allowed
//	1  it is denied: there are violations, and the report tells them
//	2  it could not be judged, so nothing is known: arguments, policy, keys, registry, time or a signal; the error says which
//
// Anything but 0 stops the image, and 0 stands for nothing else: with -h, too, the code is 2. Under go run both 1 and 2 are 1; go build it to tell them apart.
//
// # Output
//
// The report is a table for people, or with -output JSON (see [policy.Report]), JUnit XML or SARIF 2.1.0. With
// -output-file that goes to a file and the table is still printed. -test-output writes the result of a Tekton task, as
// Konflux reads it. Files appear whole or not at all, and what an earlier call left there is gone first, so a call that
// could not judge leaves no report of another.
//
// # Indexes
//
// Evidence is about one digest. Of an image index the index alone is judged, and a line says so; with -platforms each
// image that it lists is judged too, by the same policy, and all must be allowed. Then the JSON is a list.
//
// # Deletion
//
// That the newest failure was deleted cannot be seen in what is left. Two flags help: -expect names a scheduler's
// snapshot, by which runs are over, so that evidence of -image which is missing denies; -checkpoint remembers the newest
// that was ever seen, in a folder that those who may write to the registry cannot write to.
//
// # Credentials
//
// Those of the registry come from the files that docker login and podman login write; DOCKER_CONFIG names the folder of
// another config.json.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/testdag/testdag/attest"
)

const (
	exitAllowed  = 0
	exitDenied   = 1
	exitNotKnown = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the whole program, and returns its exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	o, err := parse(args, getenv)
	if errors.Is(err, flag.ErrHelp) {
		usage(stdout)
		return exitNotKnown
	}
	err = errors.Join(err, o.clear())
	if err == nil {
		ctx, stop := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done within %v, see -timeout", o.timeout))
		defer stop()
		var images []judged
		if images, err = judge(ctx, o); err == nil {
			err = o.write(stdout, stderr, images)
		}
		if err == nil {
			return exitCode(images)
		}
	}
	err = errors.Join(err, o.writeTestOutput(nil))
	fmt.Fprintf(stderr, "gate: could not judge: %s\n", told(err))
	return exitNotKnown
}

func exitCode(images []judged) int {
	for _, image := range images {
		if !image.report.Success {
			return exitDenied
		}
	}
	return exitAllowed
}

// told is an error for people: a line for each mistake, which no terminal obeys, and what to do about credentials.
func told(err error) string {
	text := lines(err.Error())
	var answer *attest.RegistryError
	if errors.As(err, &answer) && (answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden) {
		text += "\nThis is about authentication: the registry did not take the credentials that it got, or got none. Log in with" +
			" docker login or podman login, or let DOCKER_CONFIG name the folder of a config.json that has them."
	}
	return text
}
