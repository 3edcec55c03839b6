package scan

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/intoto"
)

// clamAV reads what clamscan prints: a line for each file, unless it was told to print less, and a summary. Several
// logs may follow each other, as where each architecture of an image was scanned by itself; all count.
//
// Successes are the files without a virus, failures those with one, and a scan with errors could not tell, since it has
// not looked into every file. A file of which only signatures Heuristics.* are found is a warning, as Konflux' own task
// has it: they say that a file looks odd, or that a limit ended the scan of it.
//
// The summary gives the time of the end without a zone, so the time is asked for. clamdscan does not say how many files it
// looked at: of its log the lines are counted, so it must not be told to leave out those of clean files.
//
// The last line that counts is that with the time taken, so what was cut before it did not run. A cut between two logs
// cannot be seen.
//
// Source: clamscan/clamscan.c, clamscan/manager.c and clamdscan/clamdscan.c of Cisco-Talos/clamav, 0.96 to 1.4.
func clamAV(in io.Reader, opts Options) (intoto.Predicate, error) {
	l := clamLog{tally: tally{limits: opts.Limits}, viruses: map[string]bool{}}
	if err := eachLine(in, opts.Limits, l.line); err != nil {
		return nil, err
	}
	if err := l.end(); err != nil {
		return nil, err
	}
	return l.predicate(ClamAV, time.Time{}, opts)
}

// A clamLog is what has been read of one log or several.
type clamLog struct {
	tally
	summary   map[string]int // that is open, nil if none is
	over      bool           // a summary was the last
	clean     int            // lines of clean files in this log
	found     int            // lines of infected files in all logs
	heuristic int            // those of them with a signature Heuristics.*
	infected  int            // by all summaries

	viruses map[string]bool // the files in lines of infected ones, and whether a signature of another name was found there
}

var (
	clamTitle = regexp.MustCompile(`^-+ SCAN SUMMARY -+$`)
	clamTime  = regexp.MustCompile(`^Time: \d+\.\d+ sec \(\d+ m \d+ s\)$`)
	clamCount = regexp.MustCompile(`^(Known viruses|Scanned files|Infected files|Total errors): (.*)`)
	clamTail  = regexp.MustCompile(`^((Start|End) Date:|Executed-on:|$)`) // Konflux adds the last to each log
)

func (l *clamLog) line(n int, line string) error {
	switch {
	case clamTitle.MatchString(line):
		if l.summary != nil {
			return l.cut()
		}
		l.summary = map[string]int{}
	case l.summary != nil && clamTime.MatchString(line):
		return l.close()
	case l.summary != nil:
		return l.number(n, clamCount.FindStringSubmatch(line))
	case !clamTail.MatchString(line):
		l.over = false
		return l.file(line)
	}
	return nil
}

func (l *clamLog) cut() error {
	return &NotRunError{Format: ClamAV, Reason: "it ends without a whole summary, so it was cut off"}
}

// number reads a line of a summary, if it is one of those that matter.
func (l *clamLog) number(n int, found []string) error {
	if found == nil {
		return nil
	}
	number, err := strconv.ParseUint(found[2], 10, 31)
	if err != nil {
		err = fmt.Errorf("%.40q is no count", found[2])
	}
	if _, twice := l.summary[found[1]]; twice {
		err = errors.New("given twice")
	}
	if err != nil {
		return &FormatError{Format: ClamAV, Where: fmt.Sprintf("line %d: %s", n, found[1]), Err: err}
	}
	l.summary[found[1]] = int(number)
	return nil
}

// file reads the line of a file.
func (l *clamLog) file(line string) error {
	at := strings.LastIndex(line, ": ")
	switch {
	case strings.HasSuffix(line, " ERROR"), strings.HasSuffix(line, ": Access denied"), strings.HasPrefix(line, "ERROR: "),
		strings.HasPrefix(line, "WARNING: ") && strings.Contains(line, "Can't "): // it was not scanned, and is not counted
		l.errors++
	case at < 0:
	case line[at:] == ": OK":
		l.clean++
	case strings.HasSuffix(line[at:], " FOUND"):
		return l.virus(line[:at], strings.TrimSuffix(line[at+2:], " FOUND"))
	}
	return nil
}

func (l *clamLog) virus(path, signature string) error {
	l.found++
	list, heuristic := &l.result.FailedTests, strings.HasPrefix(signature, "Heuristics.")
	if heuristic {
		l.heuristic++
		list = &l.result.WarnedTests
	}
	l.viruses[path] = l.viruses[path] || !heuristic
	return l.name(list, path+": "+signature)
}

// close ends a log with its summary.
func (l *clamLog) close() error {
	infected, ok := l.summary["Infected files"]
	if !ok {
		return &FormatError{Format: ClamAV, Where: "summary", Err: errors.New("it does not say how many files are infected")}
	}
	scanned, ok := l.summary["Scanned files"]
	if !ok {
		scanned = l.clean + infected
	}
	viruses, ok := l.summary["Known viruses"]
	switch {
	case ok && viruses == 0:
		return &NotRunError{Format: ClamAV, Reason: "the scanner knew no virus"}
	case scanned == 0 && infected == 0:
		return &NotRunError{Format: ClamAV, Reason: "no file was scanned"}
	case infected > scanned:
		return &FormatError{Format: ClamAV, Where: "summary", Err: fmt.Errorf("%d infected of %d files", infected, scanned)}
	}
	l.infected += infected
	l.result.Successes += scanned - infected
	l.result.Failures += infected
	l.errors += l.summary["Total errors"]
	l.summary, l.over, l.clean = nil, true, 0
	return nil
}

// end checks what only all lines together say. The lines of infected files are compared with the summaries of all logs,
// since the name of a file may look like a summary. A file may have several lines, one for each signature, and may be
// scanned twice.
func (l *clamLog) end() error {
	if !l.over || l.summary != nil {
		return l.cut()
	}
	warned := 0
	for _, virus := range l.viruses {
		if !virus {
			warned++
		}
	}
	switch l.infected {
	case len(l.viruses):
	case l.found:
		warned = l.heuristic
	default:
		if l.found > 0 {
			return &FormatError{Format: ClamAV, Err: fmt.Errorf("lines name %d infected files, the summary counts %d", len(l.viruses), l.infected)}
		}
	}
	l.result.Warnings += warned
	l.result.Failures -= warned
	return nil
}
