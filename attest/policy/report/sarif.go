package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	ref "github.com/google/go-containerregistry/pkg/name"

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
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Kind         string             `json:"kind"`
		Level        string             `json:"level"` // "none" unless kind is "fail" (3.27.10)
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Properties   sarifProperties    `json:"properties"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`   // "external": not in the source (3.35.2)
		Status        string `json:"status"` // "accepted": it is in force (3.35.3)
		Justification string `json:"justification"`
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
		Waiver   *policy.Waiver  `json:"waiver,omitempty"`
	}
)

// fingerprint is the name of our partial fingerprint, with its version.
const fingerprint = "testdagNote/v1"

// writeSARIF writes one run with a result for each note of each image, and a rule for each code that they have.
func writeSARIF(w io.Writer, r policy.Release) error {
	s := sarif{rules: rules(r), results: []sarifResult{}, seen: map[string]int{}}
	invocation := sarifInvocation{ExecutionSuccessful: true}
	for _, image := range r.Images {
		for _, p := range parts(image.Report) {
			s.add(image, p)
		}
		if image.Error != "" {
			invocation.ExecutionSuccessful = false
			invocation.notify("error", image, "it could not be judged: "+printable(image.Error))
		}
		if text := unjudged(image); text != "" {
			invocation.notify("note", image, text)
		}
	}
	return encode(w, sarifLog{
		Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{{
			Tool:        sarifTool{sarifDriver{Name: "testdag", InformationURI: "https://github.com/testdag/testdag", Rules: s.rules}},
			Invocations: []sarifInvocation{invocation},
			Results:     s.results,
		}},
	})
}

func (i *sarifInvocation) notify(level string, image policy.Judged, text string) {
	n := sarifNotification{level, message(name(image) + ": " + text), locations(image)}
	i.Notifications = append(i.Notifications, n)
}

// rules returns the codes that are used, in order.
func rules(r policy.Release) []sarifRule {
	used := map[policy.Code]bool{}
	for _, image := range r.Images {
		for _, p := range parts(image.Report) {
			for _, n := range p.notes {
				used[n.Metadata.Code] = true
			}
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

// kinds are the kind and the level of results. A waived one is a note to a reader that does not know suppressions.
var kinds = map[string][2]string{
	"violations": {"fail", "error"}, "warnings": {"fail", "warning"},
	"waived": {"fail", "note"}, "successes": {"pass", "none"},
}

func (s *sarif) add(image policy.Judged, p part) {
	for _, n := range p.notes {
		code := string(n.Metadata.Code)
		result := sarifResult{
			RuleID:    code,
			RuleIndex: slices.IndexFunc(s.rules, func(r sarifRule) bool { return r.ID == code }),
			Kind:      kinds[p.name][0], Level: kinds[p.name][1], Message: message(n.Msg),
			Locations:    locations(image),
			Fingerprints: map[string]string{fingerprint: s.fingerprint(image, n)},
			Properties:   sarifProperties{n.Metadata.Term, n.Evidence, n.Waiver},
		}
		if p.name == "waived" {
			result.Suppressions = suppression(n)
		}
		s.results = append(s.results, result)
	}
}

// suppression says that a note does not count, and who waived it.
func suppression(n policy.Note) []sarifSuppression {
	why := "waived"
	if n.Waiver != nil {
		why = n.Waiver.String()
	}
	return []sarifSuppression{{Kind: "external", Status: "accepted", Justification: why}}
}

var (
	placeholder = regexp.MustCompile(`\{[0-9]+\}`)
	braces      = strings.NewReplacer("{", "{{", "}", "}}")
	brackets    = strings.NewReplacer("[", `\[`, "]", `\]`)
)

// message is text without placeholders (3.11.5) and links (3.11.6): {0} and [text](target) in a message are some. Other text
// stays as it is, since many readers show it so.
func message(text string) sarifText {
	if placeholder.MatchString(text) {
		text = braces.Replace(text)
	}
	if strings.Contains(text, "](") {
		text = brackets.Replace(text)
	}
	return sarifText{text}
}

func locations(image policy.Judged) []sarifLocation {
	return []sarifLocation{{
		Physical: sarifPhysical{sarifArtifact{"oci://" + image.Image}},
		Logical:  []sarifLogical{{Name: name(image), Kind: "image"}},
	}}
}

// fingerprint stays the same from one image of a repository to the next, whatever the digests and times, so a reader sees
// that it is told of the same again. Notes that are alike are counted.
func (s *sarif) fingerprint(image policy.Judged, n policy.Note) string {
	digest, _ := ref.NewDigest(image.Image)
	parts := []any{digest.Context().Name(), image.Platform, n.Metadata.Code, n.Metadata.Term}
	if image.Component != "" {
		parts = append(parts, "component", image.Component)
	}
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
	policy.CodeOldDB:          "The scanner's vulnerability database was too old, or its age is not known.",
	policy.CodeIncomplete:     "The scan could not look at everything.",
	policy.CodeUnverified:     "Nobody vouches for the newest evidence.",
	policy.CodeUnreadable:     "Something that may be the newest evidence could not be read.",
	policy.CodeFuture:         "The newest evidence says that it was made later than now.",
	policy.CodeMisnamed:       "The newest evidence calls itself another test than its provenance does.",
	policy.CodeMissingRun:     "A run is over and its evidence is not there.",
	policy.CodeRolledBack:     "What was the newest evidence is gone.",
	policy.CodeAged:           "The newest evidence is older than it may be.",
	policy.CodeInvalid:        "The newest evidence breaks the rules of its format, or has no time.",
	policy.CodeIgnored:        "A waiver lets the policy pass over the statement.",
	policy.CodeWaiverExpiring: "A waiver ends soon.",
	policy.CodeWaiverExpired:  "A waiver has ended, and what it waived counts again.",
	policy.CodeWaiverUnused:   "A waiver meets nothing.",
	policy.CodeNotABuild:      "Something at the image is provenance, and not that of a trusted build.",
}
