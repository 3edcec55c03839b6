// Command quickstart shows testdag at work, with nothing but Go on the machine.
//
//	go run ./examples/quickstart
//
// It starts a registry on loopback, pushes an image, and runs the six test scenarios of graph.yaml on it as real
// processes. One of them reads a scanner's report with a critical vulnerability and fails; what depends on it is
// canceled. Then the scanner's rules are mended, that one scenario is run again, and its children start by themselves.
// Each scenario leaves signed evidence on the image, and the newest decides.
//
//	go run ./examples/quickstart -keep
//
// lets the registry run on, and shows how to look at the image with examples/gate and examples/attest-report.
//
//	go run ./examples/quickstart -graph FILE
//
// runs the commands of a graph of your own, in the plain form of package dagfile:
//
//	scenarios:
//	  - {name: build, command: go build ./...}
//	  - {name: test, after: [build], command: [go, test, ./...]}
//
// The program exits with 0 if all passed, with 1 if not, and with 2 if it could not tell, or was interrupted. Under go
// run both are 1; go build it to tell them apart.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// errNotPassed is returned when everything worked and the outcome is not a pass.
var errNotPassed = errors.New("the graph did not pass")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "step" {
		if err := step(ctx, os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	over := context.AfterFunc(ctx, func() { fmt.Fprintln(os.Stderr, "quickstart: stopping what runs") })
	err := run(ctx, os.Args[1:])
	over()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errNotPassed):
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	graph := flags.String("graph", "", "run the commands of this graph instead of the demonstration")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: quickstart [-graph FILE | -keep] [-parallel N]; exit code 0: passed, 1: not passed, 2: could not tell")
		flags.PrintDefaults()
	}
	keep := flags.Bool("keep", false, "let the registry of the demonstration run on afterwards, until interrupted")
	parallel := flags.Int("parallel", 4, "how many scenarios run at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *graph != "" && *keep {
		return errors.New("-keep is for the demonstration, not for -graph")
	}
	if *graph != "" {
		return runFile(ctx, *graph, *parallel, os.Stdout)
	}
	return demonstrate(ctx, *parallel, *keep, os.Stdout)
}
