package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"
)

func main() {
	if err := compare(os.Args[1:], "../../README.md", os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "rivals:", err)
		os.Exit(1)
	}
}

var errPartial = errors.New("-write needs the whole table, and -only measures a part of it: give one of them")

// compare is the whole program: it checks, measures, and prints the section of the README or writes it.
func compare(args []string, readme string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("rivals", flag.ExitOnError)
	only := flags.String("only", "", "a regular `expression` for entries, like run/testdag; empty for all")
	largest := flags.Int("largest", 1_000_000, "the `number` of scenarios up to which powers of ten are measured")
	write := flags.Bool("write", false, "put the table in the README instead of printing it")
	flags.Parse(args)
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	if *write {
		if *only != "" {
			return errPartial
		}
		if _, err := withSection(readme, ""); err != nil { // before a long measurement
			return err
		}
	}
	rows, err := checked(wanted)
	if err != nil {
		return err
	}
	weight, err := weigh(*largest)
	if err != nil {
		return err
	}
	sizes := sizesUpTo(*largest)
	if err := measureAll(rows, sizes, progress); err != nil {
		return err
	}
	text := section(table(rows, sizes), weight)
	if *write {
		return writeSection(readme, text)
	}
	_, err = io.WriteString(out, text)
	return err
}

// checked returns rows for the wanted entries, all of which do the same work.
func checked(wanted *regexp.Regexp) ([]row, error) {
	var rows []row
	for _, e := range entries {
		if !wanted.MatchString(e.String()) {
			continue
		}
		if err := check(e); err != nil {
			return nil, fmt.Errorf("not the same work: %w", err)
		}
		rows = append(rows, newRow(e))
	}
	return rows, nil
}

// section is the text in the README.
func section(table string, weight footprint) string {
	return fmt.Sprintf(`Nanoseconds per scenario, best of up to %d turns, and how many times the floor that is, on layered
random graphs. All were checked to do the same work.

%s
– would take longer than %v. † finds no cycle when it builds; natessilva/dag looks for cycles and for unknown names
when it runs. Terraform's cascade is a whole walk, with its set-up. No library here can run a scenario again with its
descendants.

A `+"`Machine`"+` takes %s bytes for a scenario of three parents, beside the graph, which takes %s without its names.

%s, %s/%s, %d processors, %s.
`, turns, table, limit, number(weight.machine), number(weight.graph),
		strings.Replace(runtime.Version(), "go", "Go ", 1), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0),
		time.Now().UTC().Format(time.DateOnly))
}

// The section of the README stands between these lines.
const (
	sectionBegin = "<!-- rivals -->\n"
	sectionEnd   = "<!-- /rivals -->\n"
)

var errNoSection = fmt.Errorf("there is no section to replace; put lines %q and %q where the table is to be",
	sectionBegin, sectionEnd)

// withSection returns the text of a file with another section.
func withSection(file, section string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	before, rest, begins := strings.Cut(string(text), sectionBegin)
	_, after, ends := strings.Cut(rest, sectionEnd)
	if !begins || !ends {
		return "", fmt.Errorf("%s: %w", file, errNoSection)
	}
	return before + sectionBegin + section + sectionEnd + after, nil
}

// writeSection replaces the section of a file as it is now, because the file may have changed during the measurement.
func writeSection(file, section string) error {
	changed, err := withSection(file, section)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(changed), 0o644)
}
