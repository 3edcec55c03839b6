package report

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/policy"
)

// writeMarkdown writes the verdict, a line for each image if there are several, and then a section for each image with its
// notes, worst first. Successes are folded. There is no table, since a cell cannot hold every text.
func writeMarkdown(w io.Writer, r policy.Release) error {
	m := markdown{bufio.NewWriter(w)}
	all := count(r)
	if len(r.Images) != 1 {
		fmt.Fprintf(m, "## %s Release %s\n\nAt %s: %s\n\n", all.mark(), all.verdict(), r.Time.Format(time.RFC3339), all)
		for _, image := range r.Images {
			fmt.Fprintf(m, "- %s %s %s: %s\n", mark(image), code(short(name(image))), verdict(image), counts(image.Report))
		}
	}
	for i, image := range r.Images {
		if i > 0 || len(r.Images) > 1 {
			fmt.Fprintln(m)
		}
		m.image(image)
	}
	return m.Flush()
}

type markdown struct{ *bufio.Writer }

func (m markdown) image(image policy.Judged) {
	fmt.Fprintf(m, "### %s %s %s\n\n", mark(image), code(name(image)), verdict(image))
	if image.Error != "" {
		fmt.Fprintln(m, code(short(image.Error)))
		return
	}
	fmt.Fprintf(m, "At %s: %s\n", image.Time.Format(time.RFC3339), counts(image.Report))
	if text := unjudged(image); text != "" {
		fmt.Fprintf(m, "\nBeware, %s.\n", text)
	}
	for _, p := range parts(image.Report) {
		if len(p.notes) == 0 {
			continue
		}
		folded := p.name == "successes"
		if folded {
			fmt.Fprintf(m, "\n<details><summary>%s: %d</summary>\n", p.name, len(p.notes))
		}
		fmt.Fprintln(m)
		for i, n := range p.notes {
			fmt.Fprintf(m, "- %s %s %s\n", p.mark, code(string(n.Metadata.Code)), code(short(n.Msg)))
			if next := i + 1; next < len(p.notes) && sameDetails(n, p.notes[next]) {
				continue
			}
			for _, text := range details(n) {
				fmt.Fprintf(m, "  - %s\n", code(short(text)))
			}
		}
		if folded {
			fmt.Fprint(m, "\n</details>\n")
		}
	}
}

func mark(image policy.Judged) string {
	return count(policy.Release{Images: []policy.Judged{image}}).mark()
}

func (t tally) mark() string {
	switch {
	case t.failed > 0, t == tally{}:
		return "❓"
	case t.denied > 0:
		return "✘"
	}
	return "✔"
}

// edges match text that needs a space on each side in a code span: one that is empty, begins or ends with a backtick, or
// would lose a space of its own on each side.
var edges = regexp.MustCompile("^$|^`|`$|^ .* $")

// code is text as a code span: between more backticks than the text has in a row, so nothing in it ends the span.
func code(text string) string {
	text = printable(text)
	longest, run := 0, 0
	for _, r := range text {
		if run++; r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	if edges.MatchString(text) {
		text = " " + text + " " // one space on each side is taken off again
	}
	return fence + text + fence
}
