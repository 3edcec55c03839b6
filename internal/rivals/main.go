package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
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

// compare is the whole program: it checks, measures, and prints or writes.
func compare(args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("rivals", flag.ExitOnError)
	var (
		sizes  = flags.String("sizes", "1e3,1e4,1e5,1e6", "`numbers` of scenarios, ascending")
		others = flags.String("shapes", "1e3,1e4", "the same for other shapes; only the last is told. Empty for none")
		only   = flags.String("only", "", "a regular `expression` for what to measure, like run/testdag; empty for all")
		reps   = flags.Int("reps", 5, "how many `turns` everybody has")
		limit  = flags.Duration("limit", 15*time.Second, "the `time` above which a size is left out")
		weight = flags.Float64("memory", 1e6, "the `number` of scenarios of the memory figure; 0 for none")
		write  = flags.Bool("write", false, "put the table in the README instead of printing it")
		readme = flags.String("readme", "../../README.md", "the `file` that -write changes")
	)
	flags.Parse(args)
	large, err := parseSizes(*sizes)
	if err != nil {
		return err
	}
	small, err := parseSizes(*others)
	if err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(*readme)
	if *write && err != nil {
		return err
	}
	if _, err := replaceSection(string(text), ""); *write && err != nil {
		return fmt.Errorf("%s: %w", *readme, err)
	}

	r := &report{large: large, small: small, limit: *limit, weight: int(*weight)}
	if r.weight > 0 {
		if r.footprint, err = weigh(r.weight); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if !wanted.MatchString(e.String()) {
			continue
		}
		if err := check(e); err != nil {
			return fmt.Errorf("not the same work: %w", err)
		}
		r.rows = append(r.rows, row{e, map[column]float64{}})
	}
	m := &meter{reps: *reps, limit: *limit, progress: progress}
	if err := r.measure(m); err != nil {
		return err
	}
	if !*write {
		_, err = io.WriteString(out, r.section()+r.details())
		return err
	}
	changed, err := replaceSection(string(text), r.section())
	if err != nil {
		return err
	}
	io.WriteString(out, r.details())
	return os.WriteFile(*readme, []byte(changed), 0o644)
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
