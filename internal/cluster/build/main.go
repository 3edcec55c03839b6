// Command build builds what the control plane is made of, unless it is there already: what tests and demos do by
// themselves, for those who want it to have happened before, with more time than a test is given.
//
//	go run ./build
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/testdag/testdag/internal/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := cluster.Build(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
