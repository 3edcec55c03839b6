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

	"github.com/testdag/testdag/attest"
)

// maxXMLDepth bounds elements within each other. Reports have about eight.
const maxXMLDepth = 64

// jUnit reads JUnit XML, which has no specification: testsuites or one testsuite, suites within suites, and in them
// testcases. A testcase with an error could not tell, one with a failure failed, one that was skipped or has the status
// notrun or disabled did not run, and one with a flakyFailure or flakyError failed first and passed when it was run
// again, which is a warning. A rerunFailure or rerunError is a further run that failed. An error or failure that
// belongs to a suite itself counts like one of a testcase. Names are "classname.name".
//
// The testcases count, not what the attributes of a suite sum up. But where those count more failures and errors than
// its testcases show, something is missing in the report, and what is missing counts as failed too: to refuse the
// report would leave nothing but an older result.
//
// The end of the latest suite is its timestamp plus its time. A timestamp without a zone, which many tools write, says
// no instant, and if only one is so the time is asked for.
//
// The report is read one element or text at a time; what a test has printed is one text, and Limits.ValueBytes must
// have room for it. Only UTF-8 is read. A document type is refused, and with it all entities but the five of XML.
//
// Source: surefire-test-report.xsd of Apache Maven Surefire with its page on tests that are run again; junit-10.xsd of
// the Jenkins xUnit plugin; what pytest and GoogleTest print.
func jUnit(in io.Reader, opts Options) (attest.Predicate, error) {
	r := jUnitReport{tally: tally{limits: opts.Limits}}
	if err := r.read(in); err != nil {
		return nil, err
	}
	if res := r.result; res.Successes+res.Warnings+res.Failures+r.skipped == 0 {
		return nil, &NotRunError{Format: JUnit, Reason: "it has no testcase"}
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
	kind string // "testsuites", "testsuite", "testcase", or anything else
	name string

	// Of a suite, those within counted in; of a testcase, what it holds.
	failures, errors         int
	claimed, claimedOfErrors int // failures and errors, and errors alone, by the attributes
	claimedTests, tests      int // by the attribute, and as they are there
	skipped, flaky           bool
}

func (e *jUnitElement) isSuite() bool { return e.kind == "testsuite" || e.kind == "testsuites" }

func (r *jUnitReport) read(in io.Reader) error {
	bounded := &tokenReader{in: bufio.NewReader(in)}
	dec := xml.NewDecoder(bounded)
	dec.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("it is in %.40q, and only UTF-8 is read", charset)
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
	var limit *attest.LimitError
	switch {
	case errors.Is(err, errLongToken):
		return overValue(r.limits)
	case reading != nil && !errors.Is(reading, io.EOF):
		return reading
	case errors.As(err, &limit):
		return err
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return &FormatError{Format: JUnit, Where: fmt.Sprintf("line %d", line), Err: err}
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
	e := &jUnitElement{kind: t.Name.Local}
	if len(r.open) >= maxXMLDepth {
		return &attest.LimitError{What: "XML depth", Limit: maxXMLDepth, Got: maxXMLDepth + 1}
	}
	var in *jUnitElement
	if len(r.open) > 0 {
		in = r.open[len(r.open)-1]
	}
	r.open = append(r.open, e)
	if name := twice(t.Attr); name != "" {
		return fmt.Errorf("attribute %.40q is given twice", name)
	}
	switch {
	case in == nil && (r.seen || !e.isSuite()):
		return fmt.Errorf("%.40q where testsuites or testsuite is expected", e.kind)
	case e.isSuite():
		return r.suite(e, t.Attr)
	case e.kind == "testcase":
		return e.testcase(in, t.Attr)
	}
	return r.mark(in, e.kind)
}

// attribute returns the value of an attribute, empty if it is not there.
func attribute(all []xml.Attr, name string) string {
	for _, a := range all {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// twice returns an attribute that is given twice, which the decoder lets pass.
func twice(all []xml.Attr) string {
	seen := map[xml.Name]bool{}
	for _, a := range all {
		if seen[a.Name] {
			return a.Name.Local
		}
		seen[a.Name] = true
	}
	return ""
}

// suite reads what a suite says of itself.
func (r *jUnitReport) suite(e *jUnitElement, all []xml.Attr) error {
	e.name = attribute(all, "name")
	count := func(name string) (int, error) {
		text := attribute(all, name)
		if text == "" {
			return 0, nil
		}
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			err = fmt.Errorf("%s of suite %.40q: %w", name, e.name, err)
		}
		return int(n), err
	}
	failures, err1 := count("failures")
	errs, err2 := count("errors")
	tests, err3 := count("tests")
	e.claimed, e.claimedOfErrors, e.claimedTests = failures+errs, errs, tests
	return errors.Join(err1, err2, err3, r.times(attribute(all, "timestamp"), attribute(all, "time")))
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

func (e *jUnitElement) testcase(in *jUnitElement, all []xml.Attr) error {
	if !in.isSuite() {
		return fmt.Errorf("a testcase in %.40q", in.kind)
	}
	e.name = attribute(all, "name")
	if class := attribute(all, "classname"); class != "" {
		e.name = class + "." + e.name
	}
	status := attribute(all, "status")
	e.skipped = status == "notrun" || status == "disabled"
	return nil
}

// mark reads an element that says how the one around it ended.
func (r *jUnitReport) mark(in *jUnitElement, kind string) error {
	switch {
	case in.kind == "testcase":
		in.mark(kind)
	case in.isSuite() && kind == "error":
		in.errors++
		return r.error(in.name)
	case in.isSuite() && kind == "failure":
		in.failures++
		return r.fail(in.name)
	}
	return nil
}

func (e *jUnitElement) mark(kind string) {
	switch kind {
	case "error", "rerunError":
		e.errors++
	case "failure", "rerunFailure":
		e.failures++
	case "skipped":
		e.skipped = true
	case "flakyError", "flakyFailure":
		e.flaky = true
	}
}

func (r *jUnitReport) end() error {
	e := r.open[len(r.open)-1]
	r.open = r.open[:len(r.open)-1]
	r.seen = len(r.open) == 0
	switch {
	case e.isSuite():
		r.closeSuite(e)
	case e.kind == "testcase":
		return r.closeCase(e)
	}
	return nil
}

// closeCase counts a testcase, once and as the worst that it says.
func (r *jUnitReport) closeCase(e *jUnitElement) error {
	suite := r.open[len(r.open)-1]
	suite.tests++
	switch {
	case e.errors > 0:
		suite.errors++
		return r.error(e.name)
	case e.failures > 0:
		suite.failures++
		return r.fail(e.name)
	case e.skipped:
		r.skipped++
		return nil
	case e.flaky:
		return r.warn(e.name)
	}
	return r.pass(e.name)
}

// closeSuite counts what a suite claims and does not show, and hands its counts on to the suite around it.
func (r *jUnitReport) closeSuite(e *jUnitElement) {
	if missing := e.claimed - e.failures - e.errors; missing > 0 {
		r.result.Failures += missing
		if e.claimedOfErrors > e.errors {
			e.errors += missing
			r.tally.errors += missing
		} else {
			e.failures += missing
		}
	}
	if missing := e.claimedTests - e.tests; missing > 0 && e.claimed <= e.failures+e.errors { // of those nothing is known
		r.tally.errors += missing
		e.tests += missing
	}
	if len(r.open) > 0 {
		around := r.open[len(r.open)-1]
		around.tests += e.tests
		around.failures += e.failures
		around.errors += e.errors
	}
}
