package intoto

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/internal/strictjson"
	"github.com/testdag/testdag/internal/testname"
)

const (
	// StatementType is the _type of in-toto statements that are written.
	StatementType = "https://in-toto.io/Statement/v1"

	// statementTypeV01 is what cosign and older Chains formats write; it differs in the _type only.
	statementTypeV01 = "https://in-toto.io/Statement/v0.1"

	// PayloadType is the media type of an in-toto statement, and the type that DSSE signs it as.
	PayloadType = "application/vnd.in-toto+json"
)

// A Statement says something, the predicate, about subjects. Format: in-toto attestation framework, Statement v1.
type Statement struct {
	Type          string               `json:"_type"`         // StatementType; v0.1 is read too
	Subject       []ResourceDescriptor `json:"subject"`       // at least one; subjects match by digest alone
	PredicateType string               `json:"predicateType"` // TypeURI that says how to read Predicate
	Predicate     json.RawMessage      `json:"predicate"`     // as signed, byte for byte
}

// A ResourceDescriptor names an artifact. Format: in-toto attestation framework, ResourceDescriptor v1.
type ResourceDescriptor struct {
	Name             string            `json:"name,omitempty"`
	URI              string            `json:"uri,omitempty"`
	Digest           map[string]string `json:"digest,omitempty"` // algorithm to lower-case hex
	Content          []byte            `json:"content,omitempty"`
	DownloadLocation string            `json:"downloadLocation,omitempty"`
	MediaType        string            `json:"mediaType,omitempty"`
	Annotations      map[string]any    `json:"annotations,omitempty"`
}

// ParseStatement decodes a statement and checks it: _type v1 or v0.1, a predicate type, and subjects that each have a
// digest in lower-case hex. It reports every mistake, each a [*FieldError]. Unknown fields are ignored, as in-toto
// demands; a key given twice, a key that differs from a field in case only, and nesting deeper than 64 are refused,
// since two readers would see two statements.
func ParseStatement(payload []byte) (*Statement, error) {
	return ParseStatementWithin(payload, strictjson.Default)
}

// ParseStatementWithin is [ParseStatement] with other limits on the JSON. What is over one of them is a [*LimitError].
func ParseStatementWithin(payload []byte, limits Limits) (*Statement, error) {
	var s Statement
	if err := fault.Decode(payload, &s, limits); err != nil {
		return nil, fault.Wrap("statement", err)
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	return &s, nil
}

func (s *Statement) validate() error {
	c := s.wrongTypes()
	c.Require("subject", len(s.Subject) > 0)
	for i, subject := range s.Subject {
		c.Require(fmt.Sprintf("subject[%d].digest", i), len(subject.Digest) > 0)
		checkDigests(&c, fmt.Sprintf("subject[%d].digest", i), subject.Digest)
		checkAlgorithms(&c, fmt.Sprintf("subject[%d].digest", i), subject.Digest)
	}
	return errors.Join(c...)
}

// wrongTypes checks the types of statement and predicate.
func (s *Statement) wrongTypes() fault.Checklist {
	var c fault.Checklist
	if s.Type != StatementType && s.Type != statementTypeV01 {
		c.Add("_type", fmt.Sprintf("%q is not an in-toto statement", s.Type))
	}
	c.Require("predicateType", s.PredicateType != "")
	return c
}

var lowerHex = regexp.MustCompile(`^(?:[0-9a-f]{2})+$`)

func checkDigests(c *fault.Checklist, field string, digests map[string]string) {
	for _, algorithm := range slices.Sorted(maps.Keys(digests)) {
		value := digests[algorithm]
		if algorithm == "" || !lowerHex.MatchString(value) || algorithm == "sha256" && len(value) != 64 {
			c.Add(field+"."+algorithm, "not a digest in lower-case hex")
		}
	}
}

// sha256Form matches the spellings of the algorithm by which images are known.
var sha256Form = regexp.MustCompile(`^sha(?:-?2)?[-_]?256$`)

// checkAlgorithms refuses another spelling of sha256. A statement about the image must not be one about nothing to this
// reader.
func checkAlgorithms(c *fault.Checklist, field string, digests map[string]string) {
	for _, algorithm := range slices.Sorted(maps.Keys(digests)) {
		if algorithm != "sha256" && sha256Form.MatchString(testname.Fold(algorithm)) {
			c.Add(field+"."+algorithm, `another spelling of "sha256"`)
		}
	}
}

// About reports whether the statement has the image with that SHA-256 among its subjects.
func (s *Statement) About(sha256 string) bool {
	return slices.ContainsFunc(s.Subject, func(d ResourceDescriptor) bool { return d.Digest["sha256"] == sha256 })
}

const (
	// ProvenanceType is the predicate type of SLSA provenance v1: what Tekton Chains writes in its formats
	// slsa/v2alpha3 and slsa/v2alpha4.
	ProvenanceType = "https://slsa.dev/provenance/v1"

	// ProvenanceTypeV02 is that of SLSA provenance v0.2: what Chains writes in its formats slsa/v1 and in-toto.
	ProvenanceTypeV02 = "https://slsa.dev/provenance/v0.2"
)
