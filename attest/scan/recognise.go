package scan

import (
	"bytes"
	"encoding/xml"
	"io"
	"slices"
)

// window is how much of a report is looked at to recognise it.
const window = 64 << 10

// known tells the JSON formats apart by the names at their top. A mark is a name that no other of them has, and that is
// seldom elsewhere; where none is in the window, all names there must be of the format. Order is from the most to the
// least telling.
var known = []struct {
	format       Format
	marks, names []string
}{
	{Trivy, []string{"SchemaVersion", "ArtifactName", "ArtifactType", "Results"},
		[]string{"Trivy", "ReportID", "CreatedAt", "ArtifactID", "Metadata"}},
	{Grype, []string{"matches", "ignoredMatches", "descriptor", "alertsByPackage"}, []string{"source", "distro"}},
	{Clair, []string{"manifest_hash", "package_vulnerabilities"},
		[]string{"packages", "distributions", "repository", "environments", "vulnerabilities", "enrichments"}},
	{SARIF, []string{"runs", "inlineExternalProperties"}, []string{"$schema", "version", "properties"}},
	{GoTest, []string{"Action"}, []string{"Time", "Package", "Test", "Elapsed", "Output", "ImportPath"}},
	{TestOutput, []string{"result"}, []string{"timestamp", "note", "namespace", "successes", "failures", "warnings"}},
	{Quay, nil, []string{"status", "data"}},
	{OSVScanner, nil, osvMembers},
}

// recognise returns the format of a report by how it begins, or no format. It may take something else for a report: that
// it is one is for the converter to see.
func recognise(begin []byte) Format {
	text := bytes.TrimLeft(begin, " \t\r\n")
	switch {
	case bytes.HasPrefix(text, []byte("{")):
		return recogniseJSON(text)
	case bytes.HasPrefix(text, []byte("<")):
		return recogniseXML(text)
	case isGoTest(text):
		return GoTest
	case isClamAV(text):
		return ClamAV
	}
	return ""
}

func recogniseJSON(text []byte) Format {
	names := members(text)
	if len(names) == 0 {
		return ""
	}
	for _, f := range known {
		if slices.ContainsFunc(names, func(name string) bool { return slices.Contains(f.marks, name) }) {
			return f.format
		}
	}
	for _, f := range known {
		if !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(f.names, name) }) {
			return f.format
		}
	}
	return ""
}

// members returns the names at the top of an object that may be cut off.
func members(text []byte) []string {
	var names []string
	r := newReader("", bytes.NewReader(text), Limits{ValueBytes: window, Findings: window})
	_ = r.entries(func(name string) error { // it may end anywhere
		names = append(names, name)
		return r.skip()
	})
	return names
}

// recogniseXML returns the format of the first element.
func recogniseXML(text []byte) Format {
	dec := xml.NewDecoder(bytes.NewReader(text))
	dec.CharsetReader = asIs
	for {
		token, err := dec.RawToken()
		if err != nil {
			return ""
		}
		if start, ok := token.(xml.StartElement); ok {
			if start.Name.Local == "testsuites" || start.Name.Local == "testsuite" {
				return JUnit
			}
			return ""
		}
	}
}

// asIs reads any encoding that has ASCII in it: only names of elements are looked at.
func asIs(_ string, in io.Reader) (io.Reader, error) { return in, nil }

// isGoTest looks for an event behind what the go command itself says: "go: downloading ...", "# package".
func isGoTest(text []byte) bool {
	for l := range bytes.Lines(text) {
		if bytes.HasPrefix(l, []byte("{")) {
			return recogniseJSON(l) == GoTest
		}
	}
	return false
}

// isClamAV looks for a line about a file, or the title of the summary.
func isClamAV(text []byte) bool {
	for l := range bytes.Lines(text) {
		l = bytes.TrimRight(l, "\r\n")
		if bytes.HasSuffix(l, []byte(": OK")) || bytes.HasSuffix(l, []byte(" FOUND")) || bytes.Contains(l, []byte("SCAN SUMMARY")) {
			return true
		}
	}
	return false
}
