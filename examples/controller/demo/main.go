// Command demo shows the controller at work on a Kubernetes cluster, with nothing but Go on a Linux machine.
//
//	go run ./demo
//
// in examples/controller; from the root of the repository it is go -C examples/controller run ./demo. It starts etcd, a
// kube-apiserver and Tekton on loopback, builds them before if they are not there (that takes some minutes, once),
// starts the controller as a process of its own, and applies the six test scenarios of config/example. Then it tells
// what happens as it happens, by the events that the controller leaves on the cluster.
//
// The story is that of examples/quickstart, with PipelineRuns for processes: a scenario fails, and what depends on it is
// canceled. It alone is run again, by a label on the ConfigMap, and its children start by themselves. While one of them
// runs the scenario is run again and fails: the live run is stopped. At last everything passes.
//
// A kubelet of our own stands in for the nodes: no container is started, and each pod ends as its pipeline says. All
// else is real. Nothing is left when the program ends; Ctrl-C ends everything.
//
// It exits with 0 if the story came out as it should, and with 1 if not, if it was interrupted, or if it took longer
// than
// -timeout.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/testdag/testdag/examples/controller/internal/stage"
	"github.com/testdag/testdag/internal/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run builds what is missing and goes on in a network of its own, where there is nothing but loopback.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	timeout := flags.Duration("timeout", 5*time.Minute, "how long the story may take, without what is built before")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := cluster.Build(ctx, out, cluster.Etcd, cluster.APIServer, cluster.Tekton); err != nil {
		return err
	}
	if err := stage.Build(ctx); err != nil {
		return err
	}
	defer stage.Clean() //nolint:errcheck // of a temporary folder
	if err := cluster.Isolate(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("the story took longer than -timeout=%s", *timeout))
	defer cancel()
	return tell(ctx, out)
}
