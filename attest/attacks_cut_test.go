package attest

import (
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/registrytest"
	"github.com/testdag/testdag/attest/intoto"
)

// otherSpellings are types that intoto.Family takes for a version of that of a test-result.
var otherSpellings = []string{
	"https://in-toto.io/attestation/test-result/v0.2",
	"http://in-toto.io/attestation/test-result/v0.1",
	"HTTPS://IN-TOTO.IO/attestation/Test-Result/V0.1",
	"https://in-toto.io/attestation/test_result/v0.2",
	"https://in-toto.io/attestation/test-\u200bresult/v0.1",
	"https://in-toto.io/attestation/test%2Dresult/v0.1",
	"https://in%2Dtoto.io/attestation/test-result/v0.1",
	"https://in-toto%2Eio/attestation/test%2Dresult/v0.1",
	"https://in-toto.io./attestation/test-result/v0.1",
	"https://in-toto.io:443/attestation/test-result/v0.1",
	"https://user@in-toto.io/attestation/test-result/v0.1",
	"https:////in-toto.io//attestation/./test-result/v0.1",
	"in-toto.io/attestation/test-result/v0.1",
	"https://in-toto.io/../attestation/test-result/v0.1",
	"https://../in-toto.io/attestation/test-result/v0.1",
}

// spelled writes an older pass, and a failure whose manifest gives its type in an annotation.
func (w *world) spelled(k *key, annotation, predicateType string) {
	w.T.Helper()
	passedBefore(w, k)
	w.annotated(k, w.statementOf(predicateType, failedAs), map[string]string{annotation: predicateType})
}

// cutAttacks hide a failure, or what vouches for one, behind half of its type in a list.
var cutAttacks = func() []attack {
	var all []attack
	for _, predicateType := range otherSpellings {
		for _, annotation := range []string{AnnotationPredicateType, annotationBundleType} {
			all = append(all, attack{
				name: "a failure as " + predicateType + " in a list that cuts " + annotation,
				do: func(w *world, ours, _ *key) {
					w.spelled(ours, annotation, predicateType)
					w.listsOtherwise(cutAfter(len(predicateType) * 3 / 4))
				},
				answer: "not read by this release",
			})
		}
	}
	return all
}()

// However much a list cuts off, a type in another spelling is not taken for one of another family.
func TestSpellingsInListsThatCut(t *testing.T) {
	for _, predicateType := range otherSpellings {
		w := newWorld(t, true)
		k := newKey(t, "k")
		w.spelled(k, AnnotationPredicateType, predicateType)
		for n := range len(predicateType) + 1 {
			w.listsOtherwise(cutAfter(n))
			if e, err := w.newest(k, testResultOf("scan")); err == nil && e.Problem == nil {
				t.Errorf("%q cut to %q: %s", predicateType, predicateType[:n], answerOf(e, err))
			}
		}
	}
	for _, other := range []string{
		"https://spdx.dev/Document", "https://cyclonedx.org/bom", "https://cosign.sigstore.dev/attestation/v1", intoto.ProvenanceType,
	} {
		if intoto.MayBeginFamily(other) {
			t.Errorf("%s may begin a type of a test", other)
		}
	}
}

// A provenance that a list gives half a type of is read.
func TestProvenanceInListsThatCut(t *testing.T) {
	for _, predicateType := range []string{intoto.ProvenanceType, intoto.ProvenanceTypeV02} {
		w := newWorld(t, true)
		k := newKey(t, "k")
		r := w.unsigned("scan", outcome(intoto.Passed, 0))
		at := &world{Host: &registrytest.Host{T: t, Image: w.Image.Context().Digest(r.Digest.String()), Inner: w.Inner, Referrers: true}, opts: w.opts}
		made := pipelineRun(r.Digest, 0, pipelineTask{name: "scan", from: -5 * time.Minute, record: r.Digest})
		at.attach(w.sign(k, made), func(m *v1.Manifest) {
			m.Annotations = map[string]string{AnnotationPredicateType: predicateType}
		})
		for n := range len(predicateType) + 1 {
			w.listsOtherwise(cutAfter(n))
			if e, err := w.newest(byChains(t, k), testResultOf("scan")); err != nil || e.Problem != nil || e.Result != intoto.Passed {
				t.Errorf("%s cut to %q: %s", predicateType, predicateType[:n], answerOf(e, err))
			}
		}
	}
}
