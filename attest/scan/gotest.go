package scan

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/intoto"
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
// What go tool test2json prints, which names no package, is of one without a name.
//
// The time is that of the last event. The log has no end of its own: a cut between two packages cannot be seen, one
// within a package is.
//
// Source: go doc cmd/test2json, go help buildjson and what Go 1.20 to 1.26 print.
func goTest(in io.Reader, opts Options) (intoto.Predicate, error) {
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

// name is that of the test. Test2json knows the package only if it is told.
func (e goEvent) name() string { return strings.TrimPrefix(e.Package+"."+e.Test, ".") }

type goLog struct {
	tally
	packages map[string]*goPackage
	builds   map[string]bool // those that failed, by ID; false if a package has failed for it
	running  int             // tests that have not ended, of all packages
	last     time.Time
}

type goPackage struct {
	over   bool
	failed bool            // one of its tests did
	open   map[string]bool // tests that have not ended
}

// goFailed is how go test says on a line of its own that a package failed.
var goFailed = regexp.MustCompile(`^FAIL\t(\S+)`)

// goEnds are the actions that end a test.
var goEnds = map[string]intoto.Result{"pass": intoto.Passed, "bench": intoto.Passed, "fail": intoto.Failed, "skip": intoto.Skipped}

func (l *goLog) line(n int, line string) error {
	var e goEvent
	if !strings.HasPrefix(line, "{") {
		if failed := goFailed.FindStringSubmatch(line); failed != nil {
			e.Action, e.Package = "fail", failed[1]
		}
		return l.event(e)
	}
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
	return l.event(e)
}

func (l *goLog) event(e goEvent) error {
	how, ends := goEnds[e.Action]
	switch {
	case e.Action == "build-fail":
		return l.build(e.ImportPath, false)
	case e.Package == "" && !ends && e.Action != "run" && e.Action != "start": // not of a test
		return nil
	}
	p := l.packages[e.Package]
	if p == nil {
		p = &goPackage{open: map[string]bool{}}
		l.packages[e.Package] = p
	}
	if most := max(len(l.packages), l.running); most > l.limits.Findings {
		return overFindings(l.limits, most)
	}
	if e.Test == "" {
		return l.ofPackage(e, p)
	}
	switch {
	case e.Action == "run":
		if !p.open[e.Test] {
			l.running++
		}
		p.over, p.open[e.Test] = false, true
	case ends:
		if p.open[e.Test] {
			l.running--
		}
		delete(p.open, e.Test)
		p.failed = p.failed || how == intoto.Failed
		return l.count(how, e.name())
	}
	return nil
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

func (l *goLog) ofPackage(e goEvent, p *goPackage) error {
	switch e.Action {
	case "start":
		p.over, p.failed = false, false
	case "pass", "skip":
		p.over = true
		return l.leave(e.Package, p, intoto.Errored)
	case "fail":
		alone := len(p.open) == 0 && !p.failed
		p.over, p.failed = true, true
		err := l.leave(e.Package, p, intoto.Failed)
		if alone {
			err = l.count(intoto.Failed, e.Package)
		}
		if e.FailedBuild != "" {
			err = errors.Join(err, l.build(e.FailedBuild, true))
		}
		return err
	}
	return nil
}

// leave ends the tests that their package has left open. In one that passed they are those of benchmarks too.
func (l *goLog) leave(path string, p *goPackage, how intoto.Result) error {
	for _, test := range slices.Sorted(maps.Keys(p.open)) {
		how := how
		if p.over && how == intoto.Errored && strings.HasPrefix(test, "Benchmark") {
			how = intoto.Passed
		}
		if err := l.count(how, goEvent{Package: path, Test: test}.name()); err != nil {
			return err
		}
	}
	l.running -= len(p.open)
	clear(p.open)
	return nil
}

// end checks what only all lines together say.
func (l *goLog) end() error {
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(l.packages)) {
		if p := l.packages[path]; !p.over {
			errs = append(errs, l.leave(path, p, intoto.Errored), l.count(intoto.Errored, path))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.builds)) {
		if l.builds[id] {
			errs = append(errs, l.count(intoto.Failed, id))
		}
	}
	return cmp.Or(errs...)
}
