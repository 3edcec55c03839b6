package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest/policy"
)

// The parts of SARIF that are written. Format: OASIS SARIF 2.1.0; the sections named are those of that.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"` // empty, not absent, if there is nothing (3.14.23)
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string    `json:"id"`
		ShortDescription sarifText `json:"shortDescription"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool `json:"executionSuccessful"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Kind         string            `json:"kind"`
		Level        string            `json:"level"` // "none" unless kind is "fail" (3.27.10)
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   sarifProperties   `json:"properties"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
	sarifProperties struct {
		Term     policy.Term     `json:"term,omitempty"`
		Evidence []policy.Source `json:"evidence,omitempty"`
	}
)

// fingerprint is the name of our partial fingerprint, with its version.
const fingerprint = "testdagNote/v1"

// writeSARIF writes one run with a result for each note of each image, and a rule for each code that they have.
func writeSARIF(w io.Writer, images []judged) error {
	s := sarif{rules: rules(images), results: []sarifResult{}, seen: map[string]int{}}
	for _, image := range images {
		r := image.report
		s.add(image, r.Violations, "fail", "error")
		s.add(image, r.Warnings, "fail", "warning")
		s.add(image, r.Successes, "pass", "none")
	}
	return encode(w, sarifLog{
		Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{{
			Tool:        sarifTool{sarifDriver{Name: "testdag", InformationURI: "https://github.com/testdag/testdag", Rules: s.rules}},
			Invocations: []sarifInvocation{{ExecutionSuccessful: true}},
			Results:     s.results,
		}},
	})
}

// rules returns the codes that are used, in order.
func rules(images []judged) []sarifRule {
	used := map[policy.Code]bool{}
	for _, image := range images {
		for _, n := range slices.Concat(image.report.Violations, image.report.Warnings, image.report.Successes) {
			used[n.Metadata.Code] = true
		}
	}
	all := []sarifRule{}
	for _, code := range slices.Sorted(maps.Keys(used)) {
		all = append(all, sarifRule{ID: string(code), ShortDescription: sarifText{meanings[code]}})
	}
	return all
}

// A sarif gathers results.
type sarif struct {
	rules   []sarifRule
	results []sarifResult
	seen    map[string]int // how often there was a note that is alike
}

func (s *sarif) add(image judged, notes []policy.Note, kind, level string) {
	for _, n := range notes {
		code := string(n.Metadata.Code)
		s.results = append(s.results, sarifResult{
			RuleID:    code,
			RuleIndex: slices.IndexFunc(s.rules, func(r sarifRule) bool { return r.ID == code }),
			Kind:      kind, Level: level, Message: sarifText{n.Msg},
			Locations: []sarifLocation{{
				Physical: sarifPhysical{sarifArtifact{"oci://" + image.report.Image}},
				Logical:  []sarifLogical{{Name: image.name(), Kind: "image"}},
			}},
			Fingerprints: map[string]string{fingerprint: s.fingerprint(image, n)},
			Properties:   sarifProperties{n.Metadata.Term, n.Evidence},
		})
	}
}

// fingerprint stays the same from one image of a repository to the next, whatever the digests and times: who is told of
// the same again can see that. Notes that are alike are counted.
func (s *sarif) fingerprint(image judged, n policy.Note) string {
	repository, _ := name.NewDigest(image.report.Image)
	parts := []any{repository.Context().Name(), image.platform, n.Metadata.Code, n.Metadata.Term}
	for _, source := range n.Evidence {
		parts = append(parts, source.Test, source.Origin, source.PredicateType)
	}
	text, _ := json.Marshal(parts) // of text and lists of it
	s.seen[string(text)]++
	sum := sha256.Sum256(append(text, strconv.Itoa(s.seen[string(text)])...))
	return hex.EncodeToString(sum[:])
}

// meanings say what the codes of notes mean.
var meanings = map[policy.Code]string{
	policy.CodeMissingInBuild: "No build of the image ran the required task.",
	policy.CodeFoundInBuild:   "The build ran the required task, and it succeeded.",
	policy.CodeMissing:        "Nothing tells of the required test.",
	policy.CodeAlike:          "Another test has a name that looks the same.",
	policy.CodeNothing:        "No entry of the policy is in force yet.",
	policy.CodePassed:         "The test passed.",
	policy.CodeWarned:         "The test passed with warnings.",
	policy.CodeSkipped:        "The test was skipped, so nothing is known.",
	policy.CodeFailed:         "The test failed.",
	policy.CodeErrored:        "The test could not tell.",
	policy.CodeDenied:         "The policy denies the vulnerability.",
	policy.CodeWarnedOf:       "The policy warns of the vulnerability.",
	policy.CodeLeeway:         "The vulnerability will be denied when its leeway is over.",
	policy.CodeExcepted:       "An exception allows the vulnerability.",
	policy.CodeUnverified:     "Nobody vouches for the newest evidence.",
	policy.CodeUnreadable:     "Something that may be the newest evidence could not be read.",
	policy.CodeFuture:         "The newest evidence says that it was made later than now.",
	policy.CodeMisnamed:       "The newest evidence calls itself another test than its provenance does.",
	policy.CodeMissingRun:     "A run is over and its evidence is not there.",
	policy.CodeRolledBack:     "What was the newest evidence is gone.",
	policy.CodeAged:           "The newest evidence is older than it may be.",
	policy.CodeInvalid:        "The newest evidence breaks the rules of its format, or has no time.",
	policy.CodeNotABuild:      "Something at the image is provenance, and not that of a trusted build.",
}
