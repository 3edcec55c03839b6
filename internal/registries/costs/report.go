package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// section is what the README quotes.
func (m *meter) section() string {
	var b strings.Builder
	fmt.Fprintf(&b, `To find and verify the newest statement of each of %d tests: requests, and milliseconds, the median of up to %d turns.
The registry is go-containerregistry's, with the referrers API, in memory.

`, tests, m.turns)
	b.WriteString(m.table())
	fmt.Fprintf(&b, `
– would take longer than %v. Stock cosign has no way to ask for the newest, so it verifies everything. Where a registry
has no referrers API, `+"`attest`"+` reads everything too.
`, m.limit)
	fmt.Fprintf(&b, "\n%s, %s/%s, %d processors, %s; the whole took %v.\n",
		strings.Replace(runtime.Version(), "go", "Go ", 1), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0),
		time.Now().UTC().Format(time.DateOnly), time.Since(m.begin).Round(time.Second))
	return b.String()
}

// table has three rows for each reader: its requests, and its time for each delay.
func (m *meter) table() string {
	var b strings.Builder
	b.WriteString("| statements at the image | |")
	for _, size := range m.sizes {
		b.WriteString(" " + number(size) + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("--:|", len(m.sizes)) + "\n")
	for i, r := range readers {
		fmt.Fprintf(&b, "| **%s** | requests |", r.name)
		for _, c := range m.cells[i] {
			b.WriteString(" " + number(c.requests) + " |")
		}
		b.WriteString("\n")
		for k, delay := range m.delays {
			fmt.Fprintf(&b, "| | %s |", label(delay))
			for _, c := range m.cells[i] {
				b.WriteString(" " + milliseconds(c.times[k]) + " |")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func label(delay time.Duration) string {
	if delay == 0 {
		return "ms"
	}
	return fmt.Sprintf("ms, %v more a request", delay)
}

// milliseconds writes a time with two digits that count, or more.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case d == 0:
		return "–"
	case ms < 9.95:
		return strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return number(int(ms + 0.5))
}

// number writes thousands apart; 0 is what was not measured.
func number(n int) string {
	switch {
	case n == 0:
		return "–"
	case n < 1000:
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", number(n/1000), n%1000)
}

// The section of the README stands between these lines.
const (
	sectionBegin = "<!-- evidence -->\n"
	sectionEnd   = "<!-- /evidence -->\n"
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

// writeSection puts a section in a file as it is now: somebody may have written in it while this program measured.
func writeSection(file, section string) error {
	changed, err := withSection(file, section)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(changed), 0o644)
}
