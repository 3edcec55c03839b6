// Command gate lets images go on or stops them: a release pipeline runs it after the tests and before the release.
//
//	gate -image REPOSITORY@DIGEST -policy policy.yaml -key cosign.pub
//	gate -images snapshot.yaml -policy policy.yaml -key cosign.pub
//
// It finds the newest evidence of every test that the policy names, and the provenance of the builds if the policy says
// whom to trust for that, judges each image by it with package attest/policy, and prints one report about all of them
// with package attest/policy/report. policy.yaml beside this file is a policy to start from, task.yaml a Tekton Task
// that runs gate.
//
// Who holds a key of -key may vouch for evidence. Without -provenance-key it may sign provenance too, and so say that a
// trusted builder made the image; where tests sign with keys of their own, builds should have another.
//
// # Images
//
// A release is all images of one call: each -image, and those of each file of -images. Such a file is a Snapshot of
// Konflux, in YAML or JSON, or a list with an image in each line and # for comments. The name of a component of a
// Snapshot is the name by which a waiver of the policy may be for it. An image that is given twice is judged once,
// unless two components have it: a waiver may be for one of them. A plain -image is of no component. Keys may be given
// several times too; any other flag that is given twice is an error.
//
// # Exit codes
//
//	0  every image is allowed
//	1  at least one is denied: there are violations, and the report tells them
//	2  at least one could not be judged, so nothing is known of it: arguments, policy, keys, registry, time or a signal; the
//	   error says which. The code is 2 also if another image is denied
//
// Anything but 0 stops the release, and 0 stands for nothing else: with -h, too, the code is 2. Under go run both 1 and
// 2 are 1; go build it to tell them apart.
//
// # Output
//
// The report is a table for people, or with -output JSON (see [policy.Release]), JUnit XML, SARIF 2.1.0, or Markdown
// for a pull request. With -output-file that goes to a file and the table is still printed. The table has colours on a
// terminal, unless the environment has NO_COLOR. -test-output writes the result of a Tekton task, as Konflux reads it.
// Files appear whole or not at all, and files of an earlier call are removed first, so a call that could not judge
// leaves no report of another. If some images could be judged and some could not, there is a report, which says so; the
// code is 2.
//
// # Indexes
//
// Evidence is about one digest. Of an image index the index alone is judged, and a line says so; with -platforms each
// image that it lists is judged too, by the same policy, and all must be allowed.
//
// # Deletion
//
// That the newest failure was deleted cannot be seen in the evidence that is left. Two flags help: -expect names a
// scheduler's snapshot, by which runs are over, so that missing evidence of the image denies; -checkpoint remembers the
// newest that was ever seen, in a folder that those who may write to the registry cannot write to.
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
	"slices"
	"syscall"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/policy"
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
	var r policy.Release
	if err = errors.Join(err, o.clear()); err == nil {
		ctx, stop := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done within %v, see -timeout", o.timeout))
		defer stop()
		r, err = judge(ctx, o)
	}
	known := slices.ContainsFunc(r.Images, func(image policy.Judged) bool { return image.Error == "" })
	if known {
		writeErr := o.write(stdout, r)
		err, known = errors.Join(err, writeErr), writeErr == nil
	}
	if !known {
		err = errors.Join(err, o.writeTestOutput(policy.Release{}))
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "gate: could not judge: %s\n", told(err))
		return exitNotKnown
	case !r.Success:
		return exitDenied
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
