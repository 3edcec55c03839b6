package intoto

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/testdag/testdag/attest/internal/fault"
)

const (
	// VulnsType is the predicate type of [Vulns].
	VulnsType = "https://in-toto.io/attestation/vulns/v0.2"

	// TestField is the extension field that names the test in a [Vulns] predicate, which has no field for it. The
	// parsing rules of in-toto let a producer add fields that are named by a TypeURI; other consumers ignore it.
	TestField = "https://github.com/testdag/testdag/test"

	// UnscannedField is the extension field that holds Unscanned of a [Vulns] predicate.
	UnscannedField = "https://github.com/testdag/testdag/unscanned"

	// IncompleteField is the extension field that holds Incomplete of a [Vulns] predicate.
	IncompleteField = "https://github.com/testdag/testdag/incomplete"
)

// Vulns is what a scanner found in the image. Format: in-toto attestation framework, predicate Vulnerabilities v0.2. It
// has no verdict, so attest.Evidence.Result is always [Unknown] for it; a policy judges it.
type Vulns struct {
	Test     string       `json:"https://github.com/testdag/testdag/test,omitempty"` // see TestField; attest.Writer.Write sets it
	Note     string       `json:"https://github.com/testdag/testdag/note,omitempty"` // for people; an extension field too
	Scanner  Scanner      `json:"scanner"`
	Metadata ScanMetadata `json:"metadata"`

	// Unscanned is what was there to be scanned and was not, at all: "the packages of the OS fedora 41: no Results are of
	// class os-pkgs". Each is one line for people. That nothing was found there says nothing, so a policy should deny it. It
	// is in the extension field UnscannedField, since the specification has none for it. Empty: the report tells of none.
	Unscanned []string `json:"https://github.com/testdag/testdag/unscanned,omitempty"`

	// Incomplete is why the scanner may have missed something in what it did scan: "the OS alpine 3.4.0 is out of support",
	// "a file was skipped". Each is one line for people. It is in the extension field IncompleteField. Empty: the report
	// tells of none.
	Incomplete []string `json:"https://github.com/testdag/testdag/incomplete,omitempty"`
}

// A Scanner says what looked for vulnerabilities, with which knowledge, and what it found.
type Scanner struct {
	URI     string    `json:"uri"` // ResourceURI of the scanner, required: "pkg:github/aquasecurity/trivy@v0.69.0"
	Version string    `json:"version,omitempty"`
	DB      ScannerDB `json:"db"`

	// Result is what was found. Empty says that the scanner found nothing; nil says that there is no result, and is
	// refused.
	Result []Finding `json:"result"`
}

// A ScannerDB is the vulnerability database that a scanner knew.
type ScannerDB struct {
	URI        string    `json:"uri,omitempty"`
	Version    string    `json:"version,omitempty"`
	LastUpdate time.Time `json:"lastUpdate"` // required; if a report lacks it, it must be asked for, never made up
}

// A Finding is one vulnerability.
type Finding struct {
	ID          string           `json:"id"`       // CVE, GHSA or the scanner's own, required
	Severity    []Severity       `json:"severity"` // required, may be empty
	Annotations []map[string]any `json:"annotations,omitempty"`
}

// Keys of the annotations of a [Finding]. The format leaves annotations to its users; attest/scan writes these, and
// attest/policy reads them. Values are text unless it says otherwise.
const (
	FindingPackage   = "package"          // name of the package
	FindingVersion   = "installedVersion" // of the package
	FindingFix       = "fixedVersion"     // versions without it, divided by ", "; empty: there is no fix; no such key: not known
	FindingPURL      = "purl"             // package URL, with version
	FindingClass     = "class"            // what it is if not a vulnerability of a package: "misconfiguration", "secret", "code"
	FindingLocation  = "location"         // file, layer or lock file where it was found
	FindingTitle     = "title"            // one line for people
	FindingSource    = "source"           // URL of the advisory
	FindingPublished = "published"        // RFC 3339 in UTC: when it became known
	FindingModified  = "modified"         // RFC 3339 in UTC: when the advisory last changed
	FindingAliases   = "aliases"          // list of text: other ids of the same vulnerability
)

// A Severity is one opinion on how bad a vulnerability is.
type Severity struct {
	Method string `json:"method"` // who says so, required: "nvd", "cvss_score"
	Score  string `json:"score"`  // what they say, required, numbers too as text: "high", "5.2"
}

// ScanMetadata says when the scan ran. Both times are required. Sub-second digits are kept, and what is written is in
// UTC.
type ScanMetadata struct {
	StartedOn  time.Time `json:"scanStartedOn"`
	FinishedOn time.Time `json:"scanFinishedOn"`
}

// PredicateType returns [VulnsType].
func (v Vulns) PredicateType() string { return VulnsType }

// Validate returns every mistake, each a [*FieldError].
func (v Vulns) Validate() error {
	var c fault.Checklist
	if v.Metadata.FinishedOn.Before(v.Metadata.StartedOn) && !v.Metadata.FinishedOn.IsZero() {
		c.Add("metadata.scanFinishedOn", "earlier than scanStartedOn")
	}
	if v.Test != "" {
		c.TestName(TestField, v.Test)
	}
	return errors.Join(append(c, v.check())...)
}

func (v Vulns) check() error {
	var c fault.Checklist
	c.Require("scanner.uri", v.Scanner.URI != "")
	writable(&c, "scanner.db.lastUpdate", v.Scanner.DB.LastUpdate)
	c.Require("scanner.result", v.Scanner.Result != nil)
	for i, f := range v.Scanner.Result {
		f.validate(&c, fmt.Sprintf("scanner.result[%d]", i))
	}
	writable(&c, "metadata.scanStartedOn", v.Metadata.StartedOn)
	writable(&c, "metadata.scanFinishedOn", v.Metadata.FinishedOn)
	for i, reason := range v.Unscanned {
		c.Require(fmt.Sprintf("%s[%d]", UnscannedField, i), reason != "")
	}
	for i, reason := range v.Incomplete {
		c.Require(fmt.Sprintf("%s[%d]", IncompleteField, i), reason != "")
	}
	return errors.Join(c...)
}

func (f Finding) validate(c *fault.Checklist, field string) {
	c.Require(field+".id", f.ID != "")
	c.Require(field+".severity", f.Severity != nil)
	for i, s := range f.Severity {
		c.Require(fmt.Sprintf("%s.severity[%d].method", field, i), s.Method != "")
		c.Require(fmt.Sprintf("%s.severity[%d].score", field, i), s.Score != "")
	}
}

// MarshalJSON writes times in UTC.
func (v Vulns) MarshalJSON() ([]byte, error) {
	type plain Vulns
	v.Scanner.DB.LastUpdate = v.Scanner.DB.LastUpdate.UTC()
	v.Metadata.StartedOn = v.Metadata.StartedOn.UTC()
	v.Metadata.FinishedOn = v.Metadata.FinishedOn.UTC()
	return json.Marshal(plain(v))
}

// Named returns v with the test in its field Test. A name that is there and is another is a [*FieldError].
func (v Vulns) Named(test string) (Predicate, error) {
	if v.Test != "" && v.Test != test {
		return nil, &FieldError{Field: TestField, Problem: fmt.Sprintf("%q is not the test %q", v.Test, test)}
	}
	v.Test = test
	return v, nil
}

// When returns the time at which the scan ended.
func (v Vulns) When() time.Time { return v.Metadata.FinishedOn }

// Outcome returns [Unknown], since there is no verdict, and the number of findings.
func (v Vulns) Outcome() (Result, int) { return Unknown, len(v.Scanner.Result) }

// readVulns reads a vulns predicate as far as that goes.
func readVulns(raw json.RawMessage, limits Limits) Reading {
	var s struct {
		Test    json.RawMessage `json:"https://github.com/testdag/testdag/test"`
		Scanner struct {
			URI string `json:"uri"`
			DB  struct {
				LastUpdate string `json:"lastUpdate"`
			} `json:"db"`
		} `json:"scanner"`
		Metadata struct {
			StartedOn  string `json:"scanStartedOn"`
			FinishedOn string `json:"scanFinishedOn"`
		} `json:"metadata"`
	}
	r := Reading{Named: "scanner.uri"}
	var times fault.Checklist
	if sketch(raw, &s, limits) {
		spelled(&times, "scanner.db.lastUpdate", s.Scanner.DB.LastUpdate)
		spelled(&times, "metadata.scanStartedOn", s.Metadata.StartedOn)
		spelled(&times, "metadata.scanFinishedOn", s.Metadata.FinishedOn)
		r.Test, r.Time = s.Scanner.URI, ParseTime(s.Metadata.FinishedOn)
	}
	if s.Test != nil {
		r.Test, r.Named = "", TestField
		_ = json.Unmarshal(s.Test, &r.Test) // what is not text names no test
	}
	return read[Vulns](r, times, raw, limits)
}
