package attest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// failedAs is a failure of the test "scan" at noon, as a predicate of test-result.
const failedAs = `{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`

// versioned makes an attack of a failure as another version of a predicate, or as another spelling of its type.
func versioned(name, predicateType, predicate, answer string) attack {
	return attack{
		name: "a failure as " + name,
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.attach(w.sign(ours, w.statementOf(predicateType, predicate)), nil)
		},
		answer: answer,
	}
}

// notRead is in the answer to a version that is not understood.
func notRead(predicateType string) string {
	return fmt.Sprintf("its predicate type %q is not read by this release, which reads %s: upgrade, or name the statement sha256:",
		predicateType, intoto.TestResultType)
}

// later makes a failure of a later version in a record of the forms that unsigned evidence has, and the provenance of a
// task of a name that made it. Its own time is long ago.
func (w *world) later(k *key, task, predicate string, at time.Duration) {
	w.T.Helper()
	record := w.attach(w.sign(k, w.statementOf("https://in-toto.io/attestation/test-result/v0.2", predicate)), nil)
	w.provenance(k, record, pipelineRun(record, at, pipelineTask{name: task, from: at - 5*time.Minute, to: at, record: record}))
}

// annotated writes a record that says of itself what annotations say, and holds something else.
func (w *world) annotated(k *key, payload []byte, annotations map[string]string) {
	w.T.Helper()
	w.attach(w.sign(k, payload), func(m *v1.Manifest) { m.Annotations = annotations })
}

const longAgo = `{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-02-01T12:00:00Z"}`

// versionAttacks make a failure a statement that this release does not understand.
var versionAttacks = []attack{
	versioned("a later version", "https://in-toto.io/attestation/test-result/v0.2", failedAs, notRead("https://in-toto.io/attestation/test-result/v0.2")),
	versioned("a version far later", "https://in-toto.io/attestation/test-result/v1", failedAs, notRead("https://in-toto.io/attestation/test-result/v1")),
	versioned("a type with a slash at its end", intoto.TestResultType+"/", failedAs, notRead(intoto.TestResultType+"/")),
	versioned("a type with http:", "http://in-toto.io/attestation/test-result/v0.1", failedAs, notRead("http://in-toto.io/attestation/test-result/v0.1")),
	versioned("a type in upper case", "HTTPS://IN-TOTO.IO/attestation/Test-Result/V0.1", failedAs, notRead("HTTPS://IN-TOTO.IO/attestation/Test-Result/V0.1")),
	versioned("a type with an underscore", "https://in-toto.io/attestation/test_result/v0.1", failedAs, "not read by this release"),
	versioned("a type with an invisible character", "https://in-toto.io/attestation/test-\u200bresult/v0.1", failedAs, "not read by this release"),
	versioned("a type with a blank at its end", intoto.TestResultType+" ", failedAs, "not read by this release"),
	versioned("a type with an escape", "https://in-toto.io/attestation/test%2Dresult/v0.1", failedAs, "not read by this release"),
	versioned("a type without version", "https://in-toto.io/attestation/test-result", failedAs, "not read by this release"),
	versioned("a later version in which no test can be read", "https://in-toto.io/attestation/test-result/v0.2", `{"results":[]}`, "it does not say which test it is of"),
	versioned("a later version that is not even an object", "https://in-toto.io/attestation/test-result/v0.2", `[]`, "it does not say which test it is of"),
	versioned("a later version whose own time is long ago", "https://in-toto.io/attestation/test-result/v0.2", longAgo, "not read by this release"),
	{
		name: "a later version of another test",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.attach(w.sign(ours, w.statementOf("https://in-toto.io/attestation/test-result/v0.2", strings.Replace(failedAs, "scan", "lint", 1))), nil)
		},
		answer: "PASSED at 2026-03-01T11:00:00Z by predicate",
	},
	versioned("a later version of another predicate", "https://in-toto.io/attestation/vulns/v0.3", `{"scanner":{}}`, "PASSED at 2026-03-01T11:00:00Z by predicate"),
	versioned("a predicate of cosign", "https://cosign.sigstore.dev/attestation/vuln/v1", `{"scanner":{}}`, "PASSED at 2026-03-01T11:00:00Z by predicate"),
	versioned("a predicate of in-toto that is no test", "https://in-toto.io/attestation/test-result-summary/v0.1", failedAs, "PASSED at 2026-03-01T11:00:00Z by predicate"),
	{
		name: "findings as a later version of vulns", vulns: true,
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", vulns(-time.Hour))
			w.attach(w.sign(ours, w.statementOf("https://in-toto.io/attestation/vulns/v0.3", `{"https://github.com/testdag/testdag/test":"scan"}`)), nil)
		},
		answer: `its predicate type "https://in-toto.io/attestation/vulns/v0.3" is not read by this release, which reads ` + intoto.VulnsType,
	}, {
		name: "findings as an earlier version of vulns, in which no test can be read", vulns: true,
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", vulns(-time.Hour))
			w.attach(w.sign(ours, w.statementOf("http://in-toto.io/attestation/vulns/v0.1", `{"scanner":"trivy"}`)), nil)
		},
		answer: "it does not say which test it is of",
	}, {
		name: "findings as a predicate of cosign", vulns: true,
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", vulns(-time.Hour))
			w.attach(w.sign(ours, w.statementOf("https://cosign.sigstore.dev/attestation/vuln/v1", `{"scanner":{"uri":"scan"}}`)), nil)
		},
		answer: " at 2026-03-01T11:00:00Z by predicate",
	}, {
		name: "a failure as a later version that nobody vouches for",
		do: func(w *world, ours, theirs *key) {
			passedBefore(w, ours)
			w.attach(w.sign(theirs, w.statementOf("https://in-toto.io/attestation/test-result/v0.2", failedAs)), nil)
		},
		answer: notRead("https://in-toto.io/attestation/test-result/v0.2"),
	}, {
		name: "a later version that a trusted provenance shows to be older",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.later(ours, "scan", failedAs, -2*time.Hour)
		},
		ask:    byKeyOrProvenance,
		answer: "PASSED at 2026-03-01T11:00:00Z by predicate",
	}, {
		name: "a later version without a test that a trusted provenance shows to be older",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.later(ours, "", `{}`, -2*time.Hour)
		},
		ask:    byKeyOrProvenance,
		answer: "PASSED at 2026-03-01T11:00:00Z by predicate",
	}, {
		name: "a later version that a trusted provenance shows to be newer",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.later(ours, "scan", longAgo, -time.Minute)
		},
		ask:    byKeyOrProvenance,
		answer: notRead("https://in-toto.io/attestation/test-result/v0.2"),
	}, {
		name: "a later version without a test that a trusted provenance shows to be newer",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.later(ours, "", `{}`, -time.Minute)
		},
		ask:    byKeyOrProvenance,
		answer: "it does not say which test it is of",
	}, {
		name: "a later version that a provenance which is not trusted shows to be older",
		do: func(w *world, ours, theirs *key) {
			passedBefore(w, ours)
			record := w.attach(w.sign(ours, w.statementOf("https://in-toto.io/attestation/test-result/v0.2", failedAs)), nil)
			w.provenance(theirs, record, pipelineRun(record, -2*time.Hour,
				pipelineTask{name: "scan", from: -3 * time.Hour, to: -2 * time.Hour, record: record}))
		},
		ask:    byKeyOrProvenance,
		answer: notRead("https://in-toto.io/attestation/test-result/v0.2"),
	}, {
		name: "a later version in annotations that say it is of another test",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			const type2 = "https://in-toto.io/attestation/test-result/v0.2"
			w.annotated(ours, w.statementOf(type2, failedAs), map[string]string{
				AnnotationPredicateType: type2, AnnotationTest: "lint", AnnotationCreated: "2026-02-01T12:00:00Z",
			})
		},
		answer: notRead("https://in-toto.io/attestation/test-result/v0.2"),
	}, {
		name: "a later version in annotations, and a failure inside",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.annotated(ours, w.statementOf(intoto.TestResultType, failedAs), map[string]string{
				AnnotationPredicateType: "http://in-toto.io/attestation/test-result/v0.1", AnnotationTest: "scan", AnnotationCreated: "2026-02-01T12:00:00Z",
			})
		},
		answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
	}, {
		name: "a later version in annotations, newer than the failure, and nothing inside",
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", outcome(intoto.Failed, -time.Hour))
			w.annotated(ours, w.statementOf("https://spdx.dev/Document", `{}`), map[string]string{
				AnnotationPredicateType: "https://in-toto.io/attestation/test-result/v0.2", AnnotationTest: "scan", AnnotationCreated: "2026-03-01T12:00:00Z",
			})
		},
		answer: "FAILED at 2026-03-01T11:00:00Z by predicate",
	}, {
		name: "a later version that is ignored by its digest",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			payload := w.statementOf("https://in-toto.io/attestation/test-result/v0.2", failedAs)
			w.attach(w.sign(ours, payload), nil)
			w.opts.UnsafeIgnoreStatements = []v1.Hash{registry.Describe(payload, "").Digest}
		},
		answer: "PASSED at 2026-03-01T11:00:00Z by predicate, completeness unproven",
	}, {
		name: "a newer pass that is ignored by its digest, and the failure that it hid",
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", outcome(intoto.Failed, -time.Hour))
			pass := w.write(ours, "scan", outcome(intoto.Passed, 0))
			w.ignore(pass)
		},
		answer: "FAILED at 2026-03-01T11:00:00Z by predicate, completeness unproven",
	}, {
		name: "fields that a later version adds",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.attach(w.sign(ours, w.statementOf(intoto.TestResultType,
				`{"result":"FAILED","configuration":[{"name":"scan","later":1}],"timestamp":"2026-03-01T12:00:00Z","later":{"a":[1]}}`)), nil)
		},
		answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
	},
}

// ignore has the statement of a record passed over.
func (w *world) ignore(r Record) {
	w.T.Helper()
	var m v1.Manifest
	if err := json.Unmarshal(r.Bytes, &m); err != nil {
		w.T.Fatal(err)
	}
	digest, err := v1.NewHash(m.Annotations[AnnotationPayload])
	if err != nil {
		w.T.Fatal(err)
	}
	w.opts.UnsafeIgnoreStatements = append(w.opts.UnsafeIgnoreStatements, digest)
}

// disguised makes an attack of a failure whose name looks like that of the test "scan", or like another one that is given.
func disguised(what, name, answer string) attack {
	return attack{
		name: "a failure of a name " + what,
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, resultNamed(name))), nil)
		},
		answer: answer,
	}
}

func resultNamed(name string) string {
	b, err := json.Marshal(map[string]any{
		"result": "FAILED", "configuration": []map[string]string{{"name": name}}, "timestamp": "2026-03-01T12:00:00Z",
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

const oldPass = "PASSED at 2026-03-01T11:00:00Z by predicate"

// nameAttacks make a failure one of another test whose name looks the same.
var nameAttacks = []attack{
	disguised("with an invisible mark", "sc\u034fan", `configuration[0].name: "sc\u034fan": U+034F at byte 2 is invisible; names are printable text in NFC; run the test again`),
	disguised("with a filler of Hangul", "scan\u3164", "U+3164 at byte 4 is invisible"),
	disguised("with a variation selector", "scan\ufe0f", "U+FE0F at byte 4 is invisible"),
	disguised("with a joiner of no width", "sc\u200dan", "U+200D at byte 2 is invisible"),
	disguised("with a joiner of no width, in upper case", "SC\u200dAN", "U+200D at byte 2 is invisible"),
	disguised("with a blank at its end", "scan ", "U+0020 at byte 4 is a blank around the name"),
	disguised("with a blank that does not break", "\u00a0scan", "U+00A0 at byte 0 is a blank other than U+0020"),
	disguised("of full width and with an invisible character", "ｓｃａｎ\u2060", "U+2060 at byte 12 is invisible"),
	disguised("with a character of private use", "scan\ue000", "U+E000 at byte 4 is of private use"),
	disguised("with a character that is not assigned", "scan\u0378", "U+0378 at byte 4 is not assigned"),
	disguised("with a control character", "scan\x00", "U+0000 at byte 4 is a control character"),
	disguised("with the blank of Braille", "scan\u2800", "U+2800 at byte 4 is invisible"),
	disguised("with so many invisible characters that it is too long", "scan"+strings.Repeat("\u200b", 200), "604 bytes are over the limit of 512"),
	disguised("of nothing that can be seen", "\u200b", "it does not say which test it is of"),
	disguised("in another case, which is another test", "Scan", oldPass),
	disguised("of full width, which is another test", "ｓｃａｎ", oldPass),
	disguised("of another script, which is another test", "s\u0441an", oldPass),
	disguised("with an invisible character, of another test", "lint\u200b", oldPass),
	{
		name: "a failure of a name that is not in NFC", test: "café",
		do: func(w *world, ours, _ *key) {
			w.write(ours, "café", outcome(intoto.Passed, -time.Hour))
			w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, resultNamed("cafe\u0301"))), nil)
		},
		answer: `"cafe\u0301": U+0301 at byte 4 is not in NFC`,
	}, {
		name: "a failure with an invisible character in its name, older than the pass",
		do: func(w *world, ours, _ *key) {
			w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, strings.Replace(resultNamed("sc\u034fan"), "T12:", "T10:", 1))), nil)
			passedBefore(w, ours)
		},
		answer: oldPass,
	}, {
		name: "a failure with an invisible character in its name, without a time",
		do: func(w *world, ours, _ *key) {
			w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"sc\u034fan"}]}`)), nil)
			passedBefore(w, ours)
		},
		answer: "U+034F at byte 2 is invisible",
	}, {
		name: "a failure with an invisible character in its name, as a later version",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.attach(w.sign(ours, w.statementOf("https://in-toto.io/attestation/test-result/v0.2", resultNamed("sc\u034fan"))), nil)
		},
		answer: "not read by this release",
	}, {
		name: "a failure with an invisible character in the annotation of its name alone",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.annotated(ours, w.statementOf(intoto.TestResultType, failedAs), map[string]string{
				AnnotationPredicateType: intoto.TestResultType, AnnotationTest: "sc\u034fan", AnnotationCreated: "2026-03-01T12:00:00Z",
			})
		},
		answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
	}, {
		name: "a failure with an invisible character in the annotation of its name, and another type",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.annotated(ours, w.statementOf(intoto.TestResultType, failedAs), map[string]string{
				AnnotationPredicateType: intoto.VulnsType, AnnotationTest: "sc\u034fan", AnnotationCreated: "2026-03-01T12:00:00Z",
			})
		},
		answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
	}, {
		name: "a failure with an invisible character in its name, ignored by its digest",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			payload := w.statementOf(intoto.TestResultType, resultNamed("sc\u034fan"))
			w.attach(w.sign(ours, payload), nil)
			w.opts.UnsafeIgnoreStatements = []v1.Hash{registry.Describe(payload, "").Digest}
		},
		answer: oldPass,
	}, {
		name: "a failure of a task with an invisible character in its name",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			failed := w.unsigned("scan", outcome(intoto.Failed, 0))
			w.provenance(ours, failed.Digest, pipelineRun(failed.Digest, 0, pipelineTask{name: "sc\u034fan", from: -time.Minute, to: 0, record: failed.Digest}))
		},
		ask:    byKeyOrProvenance,
		answer: "is not trusted: nothing says where its definition is from",
	}, {
		name: "a failure with an invisible character in its name, handed on by a task of another test",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			failed := w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, resultNamed("sc\u034fan"))), nil)
			w.provenance(ours, failed, pipelineRun(failed, 0, pipelineTask{name: "lint", from: -time.Minute, to: 0, record: failed}))
		},
		ask:    byKeyOrProvenance,
		answer: `a statement that calls itself "sc\u034fan" was made by the task "lint"`,
	}, {
		name: "a failure with an invisible character in its name, of the test by its task",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			failed := w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, resultNamed("sc\u034fan"))), nil)
			w.provenance(ours, failed, pipelineRun(failed, 0, pipelineTask{name: "scan", from: -time.Minute, to: 0, record: failed}))
		},
		ask:    byKeyOrProvenance,
		answer: "FAILED at 2026-03-01T12:00:00Z by provenance",
	},
}

// A version of a family is told by its type, however that is spelled.
func TestFamilyOf(t *testing.T) {
	for _, version := range []string{
		"https://in-toto.io/attestation/%s/v0.1", "https://in-toto.io/attestation/%s/v0.1/", "http://in-toto.io/attestation/%s/v9", "in-toto.io/attestation/%s",
		"//in-toto.io/attestation/%s", "https://in-toto.io./attestation/%s/v0.1", "https://in-toto.io:443/attestation/%s", "https://In-Toto.IO//attestation///%s",
		" https://in-toto.io/attestation/%s\n", "https:///in-toto.io/attestation/%s#v2", "https://in-toto.io/attestation/%s?x=/../..", "\ufeffhttps://in-toto.io/attestation/%s/v0.1",
		"https://in-toto.io/attestation/%s@v0.1", "https://in-toto.io/attestation/%s-v2", "https://in-toto.io/attestation/./%s",
		"https:\\\\in-toto.io\\attestation\\%s", "https://in\u2010toto.io/attestation/%s", "https://in-toto\u3002io/attestation/%s", "https://in-toto.io/attestation/ｖ/../%s",
		"https://user@in-toto.io/attestation/%s", "https://in-toto.io/attestation%%2F%s",
		"https://in-toto.io/../attestation/%s", "https://in-toto.io/../../attestation/%s/v0.1", "in-toto.io/../attestation/%s",
		"https://in-toto.io/x/../../attestation/%s", "https://in-toto.io/%%2e%%2E/attestation/%s", "//in-toto.io\\..\\attestation/%s",
		"https://user@in-toto.io:443/../attestation/%s", "https://../in-toto.io/attestation/%s", "https://./../in-toto.io/attestation/%s",
	} {
		for name, want := range map[string]string{
			"vulns": intoto.VulnsType, "vuln": intoto.VulnsType, "VULNS": intoto.VulnsType,
			"test-result": intoto.TestResultType, "test-results": intoto.TestResultType, "test_result": intoto.TestResultType, "testresult": intoto.TestResultType, "Test\u2011Result": intoto.TestResultType,
		} {
			if spelled := fmt.Sprintf(version, name); intoto.Family(spelled) != want {
				t.Errorf("%q is of %q", spelled, intoto.Family(spelled))
			}
		}
	}
	for _, other := range []string{
		"", "https://cosign.sigstore.dev/attestation/vuln/v1", "https://slsa.dev/provenance/v1", "https://spdx.dev/Document", "https://cyclonedx.org/bom",
		"https://in-toto.io/attestation/release/v0.1", "https://in-toto.io/attestation/scai/v0.3", "https://in-toto.io/attestation/vulnerable", "https://in-toto.io/attestation/",
		"https://in-toto.io/attestation/link/v0.3", "https://in-toto.io/attestation/test-result-summary/v0.1", "https://example.com/in-toto.io/attestation/vulns/v0.2",
		"https://in-toto.io.example.com/attestation/vulns", "https://example.com/?in-toto.io/attestation/vulns", "ftp://in-toto.io/attestation/vulns/v0.2",
		"https://example.com/../in-toto.io/attestation/vulns", "https://example.com/../../https:/in-toto.io/attestation/vulns",
		"https://example.com/%2e%2e/in-toto.io/attestation/vulns", "example.com/../in-toto.io/attestation/vulns",
		"https://in-toto.io/../in-toto.io/attestation/vulns", "https://in-toto.io/attestation/../vulns",
	} {
		if got := intoto.Family(other); got != "" {
			t.Errorf("%q is of %q", other, got)
		}
	}
}
