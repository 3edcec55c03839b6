package report

import (
	"encoding/xml"
	"io"
	"strings"

	"github.com/testdag/testdag/attest/policy"
)

// The parts of JUnit's XML that CI systems read. There is no specification; this is what the schemas of Jenkins' xUnit
// plugin and of Maven Surefire have in common.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Timestamp string      `xml:"timestamp,attr"` // ISO 8601 in UTC, without zone
		Cases     []junitCase `xml:"testcase"`
		Out       string      `xml:"system-out,omitempty"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"` // the code
		Name    string        `xml:"name,attr"`      // what it is about
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
		Skipped *junitSkipped `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

func writeJUnit(w io.Writer, r policy.Release) error {
	var all junitSuites
	for _, image := range r.Images {
		s := suite(image)
		all.Suites = append(all.Suites, s)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, xml.Header+string(text)+"\n")
	return err
}

func suite(image policy.Judged) junitSuite {
	r := image.Report
	s := junitSuite{
		Name: name(image), Failures: len(r.Violations), Skipped: len(r.Waived), Out: unjudged(image),
		Timestamp: image.Time.UTC().Format("2006-01-02T15:04:05"),
	}
	for _, n := range r.Violations {
		c := testcase(n)
		c.Failure = &junitProblem{Type: c.Class, Message: printable(n.Msg), Text: junitText(n)}
		s.Cases = append(s.Cases, c)
	}
	for _, n := range r.Warnings {
		c := testcase(n)
		c.Out = "warning: " + junitText(n)
		s.Cases = append(s.Cases, c)
	}
	for _, n := range r.Waived {
		c := testcase(n)
		c.Skipped = &junitSkipped{junitText(n)}
		s.Cases = append(s.Cases, c)
	}
	for _, n := range r.Successes {
		s.Cases = append(s.Cases, testcase(n))
	}
	if image.Error != "" {
		s.Errors = 1
		problem := junitProblem{"gate", printable(image.Error), printable(image.Error)}
		s.Cases = append(s.Cases, junitCase{Class: "gate", Name: "the image could not be judged", Error: &problem})
	}
	s.Tests = len(s.Cases)
	return s
}

func testcase(n policy.Note) junitCase {
	return junitCase{Class: printable(string(n.Metadata.Code)), Name: printable(subject(n))}
}

// junitText is what a note says, and under it its waiver and its evidence. XML can hold whatever is printable.
func junitText(n policy.Note) string {
	return strings.Join(append([]string{printable(n.Msg)}, details(n)...), "\n")
}
