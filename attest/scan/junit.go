package scan

import (
	"bufio"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/intoto"
)

// maxXMLDepth bounds elements within each other. Reports have about eight.
const maxXMLDepth = 64

// jUnit reads JUnit XML, which has no specification: testsuites or one testsuite, suites within suites, and in them
// testcases. A testcase with an error could not tell, one with a failure failed, one that was skipped did not run, one with
// a warning, as PHPUnit writes it, passed with a warning, and so did one with a flakyFailure or flakyError, which failed
// first and passed when it was run again. A rerunFailure or rerunError is a further run that failed. If no element says that
// it failed, a word in the attributes status and result of the testcase may. An error or failure that belongs to a suite
// itself counts like one of a testcase. Names are "classname.name".
//
// Elements decide, and the attributes of a suite are held against them. A suite that counts more failures and errors than
// its elements explain has failed, and one that counts more tests has an error: something is missing in the report, and to
// refuse it would leave nothing but an older result. Fewer by the attributes is no matter. Producers count differently, so
// what an element explains depends on them:
//
//   - Maven Surefire and cargo-nextest: attributes may count each run of a test that ran again. So each flakyFailure,
//     flakyError, rerunFailure and rerunError explains one test, and one failure or error.
//   - Any: each failure and error of a testcase explains one, whichever of the two the attributes call it. pytest writes
//     one for each subtest that failed.
//   - Any: a test that was skipped or disabled by an attribute need have no testcase.
//   - pytest, by the names that it gives its suites: the attribute tests counts subtests that passed, which have no
//     testcase. mocha-junit-reporter, by the name "Mocha Tests": it counts pending tests, which have none either. Catch2, by
//     its hostname "tbd", and doctest, by its attributes: they count assertions. So more tests than testcases say nothing
//     there.
//
// The end of the latest suite is its timestamp plus its time. A timestamp without a zone, which many tools write, says
// no instant, and if only one is so the time is asked for.
//
// The report is read one element or text at a time; what a test has printed is one text, and Limits.ValueBytes must
// have room for it. Only UTF-8 is read. A document type is refused, and with it all entities but the five of XML.
//
// Source: surefire-test-report.xsd of Apache Maven Surefire with its page on tests that are run again; junit-10.xsd of
// the Jenkins xUnit plugin; _pytest/junitxml.py; JunitReporter of Catch2; JUnitReporter of doctest; index.js of mocha-junit-reporter;
// what pytest and GoogleTest print; nunit3-junit.xslt of NUnit and the reporter of Ginkgo for status.
func jUnit(in io.Reader, opts Options) (intoto.Predicate, error) {
	r := jUnitReport{tally: tally{limits: opts.Limits}}
	if err := r.read(in); err != nil {
		return nil, err
	}
	if r.unclear {
		r.last = time.Time{}
	}
	return r.tally.predicate(JUnit, r.last, opts)
}

type jUnitReport struct {
	tally
	open    []*jUnitElement // outermost first
	seen    bool            // the root is over
	last    time.Time       // the latest end of a suite
	unclear bool            // a timestamp is no instant
}

// A jUnitElement is one that has begun and not ended.
type jUnitElement struct {
	kind, name string      // kind is "testsuites", "testsuite", "testcase", or anything else
	has        jUnitCounts // of a suite, those within counted in
	claims     jUnitCounts // of a suite, by its attributes
	countsMore bool        // of a suite, its producer counts tests that have no testcase
	status     jUnitCounts // of a testcase, by its attributes
}

// jUnitCounts are what elements show, or attributes say. Flaky are runs that failed before one that passed.
type jUnitCounts struct{ tests, failures, errors, flaky, warnings, skipped int }

func (c *jUnitCounts) add(o jUnitCounts) {
	c.tests, c.failures, c.errors = c.tests+o.tests, c.failures+o.failures, c.errors+o.errors
	c.flaky, c.warnings, c.skipped = c.flaky+o.flaky, c.warnings+o.warnings, c.skipped+o.skipped
}

// jUnitMarks are the elements within a testcase that say how a run of it ended.
var jUnitMarks = map[string]jUnitCounts{
	"error": {errors: 1}, "rerunError": {errors: 1, tests: 1}, "flakyError": {flaky: 1, tests: 1},
	"failure": {failures: 1}, "rerunFailure": {failures: 1, tests: 1}, "flakyFailure": {flaky: 1, tests: 1},
	"warning": {warnings: 1}, "skipped": {skipped: 1},
}

// jUnitStatus are words in the attributes status and result of a testcase, in lower case, that say that it did not pass.
var jUnitStatus = map[string]jUnitCounts{
	"failed": {failures: 1}, "fail": {failures: 1}, "failure": {failures: 1},
	"error": {errors: 1}, "errored": {errors: 1}, "broken": {errors: 1}, "panicked": {errors: 1}, "crashed": {errors: 1},
	"aborted": {errors: 1}, "interrupted": {errors: 1}, "timedout": {errors: 1}, "timeout": {errors: 1},
	"warning": {warnings: 1}, "flaky": {warnings: 1},
	"notrun": {skipped: 1}, "disabled": {skipped: 1}, "skipped": {skipped: 1}, "skip": {skipped: 1}, "suppressed": {skipped: 1},
	"ignored": {skipped: 1}, "pending": {skipped: 1}, "untested": {skipped: 1}, "undefined": {skipped: 1}, "inconclusive": {skipped: 1},
}

// jUnitCountsMore are attributes of suites whose producer counts tests that have no testcase.
var jUnitCountsMore = []struct{ kind, attribute, value string }{
	{"testsuites", "name", "pytest tests"},
	{"testsuites", "name", "Mocha Tests"}, // mocha-junit-reporter, and so Cypress
	{"testsuite", "name", "pytest"},
	{"testsuite", "hostname", "tbd"},                                           // Catch2
	{"testsuite", attributeNames, "name errors failures tests"},                // doctest, told to leave out times
	{"testsuite", attributeNames, "name errors failures tests time timestamp"}, // doctest
}

// attributeNames stands for an attribute that has the names of all, in their order.
const attributeNames = ""

func (e *jUnitElement) isSuite() bool { return e.kind == "testsuite" || e.kind == "testsuites" }

func (r *jUnitReport) read(in io.Reader) error {
	bounded := &tokenReader{in: bufio.NewReader(in)}
	dec := xml.NewDecoder(bounded)
	dec.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(charset) {
		case "us-ascii", "ascii", "utf8": // UTF-8 by other names, or a part of it
			return in, nil
		}
		return nil, fmt.Errorf("it is in %.40q, and only UTF-8 is read; convert it, as with iconv, and its first line", charset)
	}
	for {
		bounded.left = r.limits.ValueBytes
		token, err := dec.Token()
		if errors.Is(err, io.EOF) && r.seen {
			return nil
		}
		if err == nil {
			err = r.token(token)
		}
		if err != nil {
			line, _ := dec.InputPos()
			return r.explain(err, bounded.err, line)
		}
	}
}

// explain says what an error of the decoder means, where reading may have failed.
func (r *jUnitReport) explain(err, reading error, line int) error {
	var limit *intoto.LimitError
	switch {
	case errors.Is(err, errLongToken):
		return overValue(r.limits)
	case reading != nil && !errors.Is(reading, io.EOF):
		return reading
	case errors.As(err, &limit):
		return err
	}
	return &FormatError{Format: JUnit, Where: fmt.Sprintf("line %d", line), Err: plain(err)}
}

// A tokenReader ends the reading of a token that is longer than left.
type tokenReader struct {
	in   *bufio.Reader
	left int64
	err  error // of in
}

var errLongToken = errors.New("token is too long")

// ReadByte is what a decoder reads with, so that it never reads beyond a token.
func (t *tokenReader) ReadByte() (byte, error) {
	if t.left--; t.left < 0 {
		return 0, errLongToken
	}
	b, err := t.in.ReadByte()
	if err != nil {
		t.err = err
	}
	return b, err
}

// Read is never called, since there is ReadByte.
func (t *tokenReader) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (r *jUnitReport) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.Directive:
		return errors.New("a document type is not read")
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		return r.end()
	case xml.CharData:
		if len(r.open) == 0 && strings.Trim(string(t), " \t\r\n\uFEFF") != "" {
			return errors.New("text outside of the report")
		}
	}
	return nil
}

func (r *jUnitReport) start(t xml.StartElement) error {
	if len(r.open) >= maxXMLDepth {
		return &intoto.LimitError{What: "XML depth", Limit: maxXMLDepth, Got: maxXMLDepth + 1}
	}
	attributes := map[string]string{}
	var order []string
	seen := map[xml.Name]bool{}
	for _, a := range t.Attr {
		if seen[a.Name] {
			return fmt.Errorf("attribute %.40q is given twice", a.Name.Local) // the decoder lets it pass
		}
		if seen[a.Name] = true; a.Name.Space == "" {
			attributes[a.Name.Local] = a.Value
			order = append(order, a.Name.Local)
		}
	}
	attributes[attributeNames] = strings.Join(order, " ")
	e := &jUnitElement{kind: t.Name.Local, name: attributes["name"]}
	in := &jUnitElement{}
	if len(r.open) > 0 {
		in = r.open[len(r.open)-1]
	}
	r.open = append(r.open, e)
	switch {
	case len(r.open) == 1 && (r.seen || !e.isSuite()):
		return fmt.Errorf("%.40q where testsuites or testsuite is expected", e.kind)
	case e.isSuite():
		return r.suite(e, in, attributes)
	case e.kind == "testcase" && !in.isSuite():
		return fmt.Errorf("a testcase in %.40q", in.kind)
	case e.kind == "testcase" && attributes["internalid"] != "":
		return errors.New("a list of test cases by TestLink, which has no results")
	case e.kind == "testcase":
		if class := attributes["classname"]; class != "" {
			e.name = class + "." + e.name
		}
		e.has.tests = 1
		e.status.add(jUnitStatus[strings.ToLower(attributes["status"])])
		e.status.add(jUnitStatus[strings.ToLower(attributes["result"])])
	case in.kind == "testcase":
		in.has.add(jUnitMarks[e.kind])
	case in.isSuite() && e.kind == "error":
		in.has.errors++
		return r.count(intoto.Errored, in.name)
	case in.isSuite() && e.kind == "failure":
		in.has.failures++
		return r.count(intoto.Failed, in.name)
	}
	return nil
}

// suite reads what a suite says of itself.
func (r *jUnitReport) suite(e, in *jUnitElement, attributes map[string]string) error {
	e.countsMore = in.countsMore
	for _, p := range jUnitCountsMore {
		e.countsMore = e.countsMore || e.kind == p.kind && attributes[p.attribute] == p.value
	}
	disabled := 0
	for name, to := range map[string]*int{
		"tests": &e.claims.tests, "failures": &e.claims.failures, "errors": &e.claims.errors, "skipped": &e.claims.skipped, "disabled": &disabled,
	} {
		n, err := strconv.ParseUint(cmp.Or(attributes[name], "0"), 10, 31)
		if err != nil {
			return fmt.Errorf("%s of suite %.40q: %.40q is no count", name, e.name, attributes[name])
		}
		*to = int(n)
	}
	e.claims.skipped += disabled
	return r.times(attributes["timestamp"], attributes["time"])
}

// times remembers the end of a suite.
func (r *jUnitReport) times(timestamp, took string) error {
	if timestamp == "" {
		return nil
	}
	var at time.Time
	if at.UnmarshalText([]byte(timestamp)) != nil {
		r.unclear = true
		return nil
	}
	seconds, err := strconv.ParseFloat(cmp.Or(strings.ReplaceAll(took, ",", ""), "0"), 64) // surefire writes 1,234.5
	if err != nil || !(seconds >= 0 && seconds < 1e9) {
		return fmt.Errorf("%.40q is no time that a suite takes", took)
	}
	if at = at.Add(time.Duration(seconds * float64(time.Second))); at.After(r.last) {
		r.last = at
	}
	return nil
}

func (r *jUnitReport) end() error {
	e := r.open[len(r.open)-1]
	r.open = r.open[:len(r.open)-1]
	r.seen = len(r.open) == 0
	if e.isSuite() {
		r.closeSuite(e)
	}
	if e.has.failures+e.has.errors == 0 {
		e.has.add(e.status)
	}
	if e.kind == "testcase" {
		e.has.skipped = min(e.has.skipped, 1) // it may say so twice
	}
	if len(r.open) > 0 && (e.isSuite() || e.kind == "testcase") {
		r.open[len(r.open)-1].has.add(e.has)
	}
	if e.kind == "testcase" {
		return r.count(e.verdict(), e.name)
	}
	return nil
}

// verdict is how a testcase ended, as the worst that it says.
func (e *jUnitElement) verdict() intoto.Result {
	switch {
	case e.has.errors > 0:
		return intoto.Errored
	case e.has.failures > 0:
		return intoto.Failed
	case e.has.skipped > 0:
		return intoto.Skipped
	case e.has.flaky+e.has.warnings > 0:
		return intoto.Warned
	}
	return intoto.Passed
}

// closeSuite counts what a suite claims and its elements do not explain.
func (r *jUnitReport) closeSuite(e *jUnitElement) {
	claims, has := e.claims, &e.has
	missing := claims.failures + claims.errors - has.failures - has.errors - has.flaky
	absent := claims.tests - has.tests - max(0, claims.skipped-has.skipped)
	switch {
	case missing > 0 && claims.errors > has.errors+has.flaky:
		has.errors += missing
		r.tally.errors += missing
		r.result.Failures += missing
	case missing > 0:
		has.failures += missing
		r.result.Failures += missing
	case absent > 0 && !e.countsMore: // nothing is known of those
		r.tally.errors += absent
	}
	has.tests, has.skipped = max(has.tests, claims.tests), max(has.skipped, claims.skipped)
}
