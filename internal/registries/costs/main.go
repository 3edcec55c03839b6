// Command costs measures what it costs to find and verify the newest of many statements at an image, with stock cosign
// and with attest. Both read from the same registry, go-containerregistry's with the referrers API, in memory.
//
//	go -C internal/registries run ./costs           # prints the table
//	go -C internal/registries run ./costs -write    # puts it in the README
//
// # What is measured
//
// An image has statements of ten tests. Everybody has to say which is the newest of each, signed with the right key.
// Stock cosign has no question for that: it verifies everything, and its user looks for the newest. Before anything is
// measured everybody must give the same answer, and those who read everything must have verified everything.
//
// The same statements are there as attest writes them, records and an .att tag that shows them, and in another repository
// as stock cosign does: in an .att tag, and as sigstore bundles. Requests are counted, and delayed, by a handler before the
// registry, so that it is the same for all. Connections are kept for everybody.
//
// The median of several turns counts. What would take longer than the limit, as its cost at the size before tells, is
// left out.
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
)

func main() {
	if err := compare(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "costs:", err)
		os.Exit(1)
	}
}

// Options are what the flags say.
type options struct {
	sizes  []int
	delays []time.Duration
	turns  int
	limit  time.Duration
	write  bool
	readme string
}

func parse(args []string, usage io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("costs", flag.ContinueOnError)
	flags.SetOutput(usage)
	sizes := flags.String("sizes", "1,10,100,1000", "`numbers` of statements, ascending; cosign reads 1000 at most")
	delays := flags.String("delays", "0,20ms", "`times` that are added to each request")
	flags.IntVar(&o.turns, "turns", 5, "how `often` each is measured")
	flags.DurationVar(&o.limit, "limit", 15*time.Second, "the `time` above which a size is left out")
	flags.BoolVar(&o.write, "write", false, "put the table in the README instead of printing it")
	flags.StringVar(&o.readme, "readme", "../../README.md", "the `file` that -write changes")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if o.sizes, err = parseList(*sizes, strconv.Atoi); err != nil {
		return o, err
	}
	if o.delays, err = parseList(*delays, time.ParseDuration); err != nil {
		return o, err
	}
	return o, o.validate()
}

func (o options) validate() error {
	switch {
	case !slices.IsSorted(o.sizes) || o.sizes[0] < 1 || o.sizes[len(o.sizes)-1] > 1000:
		return errors.New("sizes must be ascending, from 1 to 1000")
	case slices.Min(o.delays) < 0:
		return errors.New("a delay cannot be negative")
	case o.turns < 1:
		return errors.New("there must be at least one turn")
	}
	return nil
}

// parseList reads values with commas between them, at least one.
func parseList[T any](text string, parse func(string) (T, error)) ([]T, error) {
	var list []T
	for field := range strings.SplitSeq(text, ",") {
		value, err := parse(field)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}

// compare is the whole program: it fills a registry, checks, measures, and prints or writes.
func compare(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.write {
		if _, err := withSection(o.readme, ""); err != nil { // not only when all is measured
			return err
		}
	}
	s, err := newStage()
	if err != nil {
		return err
	}
	defer s.close()
	m := newMeter(o, s, progress)
	if err := m.measure(ctx); err != nil {
		return err
	}
	if o.write {
		return writeSection(o.readme, m.section())
	}
	_, err = io.WriteString(out, m.section())
	return err
}
