package scan

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/internal/strictjson"
)

// goTest reads what go test -json prints. Each test counts, subtests too, under the name "package.Test".
//
// A package that failed although none of its tests did, since it was not built or exited, is a failure by its own name,
// and so is a build that failed for no package. A test that did not end has failed with its package. In a package that
// passed it could not tell, unless it is a benchmark, which has no end of its own. A package that did not end could not
// tell either, and so could its tests: the log was cut off. Lines that are no JSON come from go itself, on its standard
// error, and only what they say of failed packages counts.
//
// The time is that of the last event. The log has no end of its own: a cut between two packages cannot be seen, one
// within a package is.
//
// Source: go doc cmd/test2json, go help buildjson and what Go 1.20 to 1.26 print.
func goTest(in io.Reader, opts Options) (attest.Predicate, error) {
	l := goLog{tally: tally{limits: opts.Limits}, packages: map[string]*goPackage{}, builds: map[string]bool{}}
	if err := eachLine(in, opts.Limits, l.line); err != nil {
		return nil, err
	}
	if err := l.end(); err != nil {
		return nil, err
	}
	return l.predicate(GoTest, l.last, opts)
}

// A goEvent is a TestEvent of test2json or a BuildEvent of go build.
type goEvent struct {
	Time        string
	Action      string
	Package     string
	Test        string
	FailedBuild string
	ImportPath  string
}

type goLog struct {
	tally
	packages map[string]*goPackage
	builds   map[string]bool // those that failed, by ID; false if a package has failed for it
	last     time.Time
}

type goPackage struct {
	over   bool
	failed bool            // one of its tests did
	open   map[string]bool // tests that have not ended
}

// goFailed is how go test says on a line of its own that a package failed.
var goFailed = regexp.MustCompile(`^FAIL\t(\S+)`)

func (l *goLog) line(n int, line string) error {
	if line == "" || line[0] != '{' {
		return l.text(line)
	}
	var e goEvent
	err := strictjson.Decode([]byte(line), &e, strictjson.Limits{Depth: 8, Values: 100})
	at := parseTime(e.Time)
	if err == nil && e.Time != "" && at.IsZero() {
		err = fmt.Errorf("the time %.40q is not RFC 3339", e.Time)
	}
	if err != nil {
		return &FormatError{Format: GoTest, Where: fmt.Sprintf("line %d", n), Err: plain(err)}
	}
	if at.After(l.last) {
		l.last = at
	}
	switch {
	case e.Action == "build-fail":
		return l.build(e.ImportPath, false)
	case e.Package == "":
		return nil
	case e.Test == "":
		return l.ofPackage(e)
	}
	return l.ofTest(e)
}

// text reads a line that is no event.
func (l *goLog) text(line string) error {
	failed := goFailed.FindStringSubmatch(line)
	if failed == nil {
		return nil
	}
	return l.ofPackage(goEvent{Action: "fail", Package: failed[1]})
}

// build notes a build that failed, and whether a package has failed for it.
func (l *goLog) build(id string, noted bool) error {
	alone, known := l.builds[id]
	l.builds[id] = !noted && (alone || !known)
	if len(l.builds) > l.limits.Findings {
		return overFindings(l.limits, len(l.builds))
	}
	return nil
}

// at returns the package of that path.
func (l *goLog) at(path string) (*goPackage, error) {
	p, ok := l.packages[path]
	if ok {
		return p, nil
	}
	if len(l.packages) >= l.limits.Findings {
		return nil, overFindings(l.limits, len(l.packages)+1)
	}
	p = &goPackage{open: map[string]bool{}}
	l.packages[path] = p
	return p, nil
}

func (l *goLog) ofPackage(e goEvent) error {
	p, err := l.at(e.Package)
	if err != nil {
		return err
	}
	switch e.Action {
	case "start":
		p.over, p.failed = false, false
	case "pass", "skip":
		p.over = true
		return l.leave(e.Package, p, func(test string) error {
			if strings.HasPrefix(test, e.Package+".Benchmark") {
				return l.pass(test)
			}
			return l.error(test)
		})
	case "fail":
		p.over = true
		return l.failed(e, p)
	}
	return nil
}

// failed ends a package that failed, and finds out what in it did.
func (l *goLog) failed(e goEvent, p *goPackage) error {
	alone := len(p.open) == 0 && !p.failed
	p.failed = true
	err := l.leave(e.Package, p, l.fail)
	if alone {
		err = l.fail(e.Package)
	}
	if e.FailedBuild != "" {
		err = errors.Join(err, l.build(e.FailedBuild, true))
	}
	return err
}

// leave ends the tests that the end of their package has left open.
func (l *goLog) leave(path string, p *goPackage, how func(string) error) error {
	for _, test := range slices.Sorted(maps.Keys(p.open)) {
		if err := how(path + "." + test); err != nil {
			return err
		}
	}
	clear(p.open)
	return nil
}

func (l *goLog) ofTest(e goEvent) error {
	p, err := l.at(e.Package)
	if err != nil {
		return err
	}
	name := e.Package + "." + e.Test
	switch e.Action {
	case "run":
		if p.open[e.Test] = true; len(p.open) > l.limits.Findings {
			return overFindings(l.limits, len(p.open))
		}
		p.over = false
		return nil
	case "pass", "bench":
		err = l.pass(name)
	case "fail":
		p.failed = true
		err = l.fail(name)
	case "skip":
		l.skipped++
	default:
		return nil
	}
	delete(p.open, e.Test)
	return err
}

// end checks what only all lines together say.
func (l *goLog) end() error {
	for _, path := range slices.Sorted(maps.Keys(l.packages)) {
		p := l.packages[path]
		if p.over {
			continue
		}
		if err := errors.Join(l.leave(path, p, l.error), l.error(path)); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.builds)) {
		if !l.builds[id] {
			continue
		}
		if err := l.fail(id); err != nil {
			return err
		}
	}
	if r := l.result; r.Successes+r.Failures+l.skipped == 0 {
		return &NotRunError{Format: GoTest, Reason: "no test ran"}
	}
	return nil
}
