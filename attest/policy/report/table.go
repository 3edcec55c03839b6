package report

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/policy"
)

// widest is how many columns a table has at most.
const widest = 100

func writeTable(w io.Writer, r policy.Release) error { return tabulate(w, r, false) }
func writeColor(w io.Writer, r policy.Release) error { return tabulate(w, r, true) }

// A table is written line by line. Its writer keeps the first error.
type table struct {
	*bufio.Writer
	color bool
}

// tabulate writes what is decided about all images, if there are several, and then a table for each.
func tabulate(w io.Writer, r policy.Release, color bool) error {
	t := table{bufio.NewWriter(w), color}
	if len(r.Images) != 1 {
		all := count(r)
		t.line("", "1", "", fmt.Sprintf("release %s at %s: %s", all.verdict(), r.Time.Format(time.RFC3339), all), 2)
	}
	for i, image := range r.Images {
		if i > 0 || len(r.Images) > 1 {
			fmt.Fprintln(t)
		}
		t.image(image)
	}
	return t.Flush()
}

// image writes what is decided, then a line for each note, worst first, and under it the evidence that it was concluded
// from, once for all notes in a row that stand on the same.
func (t table) image(image policy.Judged) {
	head := fmt.Sprintf("%s %s at %s:", short(name(image)), verdict(image), image.Time.Format(time.RFC3339))
	tail := counts(image.Report)
	if image.Error != "" {
		tail = short(printable(image.Error))
	}
	if all := head + " " + tail; columnsOf(all) <= widest {
		t.line("", "1", "", all, 2)
	} else {
		t.line("", "1", "", head, 2)
		t.line("", "", "  ", tail, 2)
	}
	if image.Error != "" {
		return
	}
	if text := unjudged(image); text != "" {
		t.line("", "33", "  ", text, 2)
	}
	indent := indentOf(image.Report)
	for _, p := range parts(image.Report) {
		for i, n := range p.notes {
			t.note(p, n, indent)
			if next := i + 1; next < len(p.notes) && sameDetails(n, p.notes[next]) {
				continue
			}
			for _, text := range details(n) {
				t.line("", "", strings.Repeat(" ", indent+2), short(text), indent+4)
			}
		}
	}
}

func sameDetails(a, b policy.Note) bool {
	return reflect.DeepEqual(a.Evidence, b.Evidence) && reflect.DeepEqual(a.Waiver, b.Waiver)
}

// indentOf is the column of messages: behind the longest code, within reason.
func indentOf(r policy.Report) int {
	longest := 0
	for _, p := range parts(r) {
		for _, n := range p.notes {
			longest = max(longest, columnsOf(printable(string(n.Metadata.Code))))
		}
	}
	return min(longest, 30) + 4
}

func (t table) note(p part, n policy.Note, indent int) {
	code, msg := printable(string(n.Metadata.Code)), short(printable(n.Msg))
	start := p.mark + " " + code
	if columnsOf(start)+2 > indent { // no code of ours
		t.line(p.mark, p.color, " ", code+" "+msg, indent)
		return
	}
	t.line(start, p.color, strings.Repeat(" ", indent-columnsOf(start)), msg, indent)
}

// line writes a line that begins with start in a colour, and further ones, indented, for text that does not fit. Without
// start the text has the colour.
func (t table) line(start, color, gap, text string, indent int) {
	paint := func(s string) string {
		if !t.color || color == "" || s == "" {
			return s
		}
		return "\x1b[" + color + "m" + s + "\x1b[0m"
	}
	lines := wrap(text, widest-max(indent, columnsOf(start+gap)))
	for i, line := range lines {
		if start == "" {
			line = paint(line)
		}
		if i == 0 {
			fmt.Fprintf(t, "%s%s%s\n", paint(start), gap, line)
		} else {
			fmt.Fprintf(t, "%s%s\n", strings.Repeat(" ", indent), line)
		}
	}
}
