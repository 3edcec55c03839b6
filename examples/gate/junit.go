package main

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
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"` // the code
		Name    string        `xml:"name,attr"`      // what it is about
		Failure *junitFailure `xml:"failure"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a suite for each image, and in it a case for each note: violations fail, warnings pass and say why in
// their output.
func writeJUnit(w io.Writer, images []judged) error {
	var all junitSuites
	for _, image := range images {
		s := suite(image)
		all.Suites = append(all.Suites, s)
		all.Tests += s.Tests
		all.Failures += s.Failures
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, xml.Header+string(text)+"\n")
	return err
}

func suite(image judged) junitSuite {
	r := image.report
	s := junitSuite{
		Name: image.name(), Failures: len(r.Violations), Timestamp: r.Time.UTC().Format("2006-01-02T15:04:05"),
		Tests: len(r.Violations) + len(r.Warnings) + len(r.Successes),
	}
	for _, n := range r.Violations {
		c := testcase(n)
		c.Failure = &junitFailure{Type: c.Class, Message: printable(n.Msg), Text: junitText(n)}
		s.Cases = append(s.Cases, c)
	}
	for _, n := range r.Warnings {
		c := testcase(n)
		c.Out = "warning: " + junitText(n)
		s.Cases = append(s.Cases, c)
	}
	for _, n := range r.Successes {
		s.Cases = append(s.Cases, testcase(n))
	}
	return s
}

func testcase(n policy.Note) junitCase {
	return junitCase{Class: string(n.Metadata.Code), Name: printable(subject(n))}
}

// junitText is what a note says, and under it its evidence. What is printable XML can hold.
func junitText(n policy.Note) string {
	all := []string{printable(n.Msg)}
	for _, s := range n.Evidence {
		all = append(all, printable(s.String()))
	}
	return strings.Join(all, "\n")
}
