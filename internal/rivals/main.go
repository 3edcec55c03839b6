package main

import (
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
	if err := compare(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "rivals:", err)
		os.Exit(1)
	}
}

// Options are what the flags say.
type options struct {
	large, small []int
	only         string
	reps         int
	limit        time.Duration
	weight       float64
	write        bool
	readme       string
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("rivals", flag.ExitOnError)
	sizes := flags.String("sizes", "1e3,1e4,1e5,1e6", "`numbers` of scenarios, ascending")
	others := flags.String("shapes", "1e3,1e4", "the same for other shapes; only the last is told. Empty for none")
	flags.StringVar(&o.only, "only", "", "a regular `expression` for what to measure, like run/testdag; empty for all")
	flags.IntVar(&o.reps, "reps", 3, "how many `turns` everybody has")
	flags.DurationVar(&o.limit, "limit", 10*time.Second, "the `time` above which a size is left out")
	flags.Float64Var(&o.weight, "memory", 1e6, "the `number` of scenarios of the memory figure; 0 for none")
	flags.BoolVar(&o.write, "write", false, "put the table in the README instead of printing it")
	flags.StringVar(&o.readme, "readme", "../../README.md", "the `file` that -write changes")
	flags.Parse(args)
	if o.write && o.only != "" {
		return o, errPartial
	}
	if o.large, err = parseSizes(*sizes); err != nil {
		return o, err
	}
	o.small, err = parseSizes(*others)
	return o, err
}

var errPartial = errors.New("-write puts the whole table in the README, and -only measures a part of it: give one of them")

// compare is the whole program: it checks, measures, and prints or writes.
func compare(args []string, out, progress io.Writer) error {
	begin := time.Now()
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.write {
		if _, err := withSection(o.readme, ""); err != nil { // not only when all is measured
			return err
		}
	}
	r, err := newReport(o)
	if err != nil {
		return err
	}
	if err := r.measure(&meter{reps: o.reps, limit: o.limit, progress: progress}); err != nil {
		return err
	}
	r.took = time.Since(begin).Round(time.Second)
	if o.write {
		err = writeSection(o.readme, r.section())
	} else {
		_, err = io.WriteString(out, r.section())
	}
	fmt.Fprintf(out, "%s\nThe whole took %v.\n", r.details(), r.took)
	return err
}

// parseSizes reads numbers with commas between them.
func parseSizes(text string) ([]int, error) {
	var sizes []int
	for field := range strings.SplitSeq(text, ",") {
		if field == "" {
			continue
		}
		n, err := strconv.ParseFloat(field, 64)
		if err != nil || !(n >= 1 && n <= 1e7) {
			return nil, fmt.Errorf("%q is not a number of scenarios", field)
		}
		sizes = append(sizes, int(n))
	}
	if !slices.IsSorted(sizes) {
		return nil, fmt.Errorf("sizes must be ascending: %s", text)
	}
	return sizes, nil
}
