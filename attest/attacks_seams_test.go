package attest

import (
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// artifact makes an attack of a failure that no annotation names, in a layer of a media type of its own, as oras attach
// writes one without a type. The artifact type, or that of the config in its place, says that it is a statement.
func artifact(artifactType, config, media, answer string) attack {
	return attack{
		name: fmt.Sprintf("a failure in a layer of type %q, in an artifact of type %q with a config of type %q", media, artifactType, config),
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.attach(w.sign(ours, w.statementOf(TestResultType, failedAs)), func(m *v1.Manifest) {
				m.ArtifactType, m.Config.MediaType, m.Layers[0].MediaType = artifactType, types.MediaType(config), types.MediaType(media)
				m.Annotations, m.Layers[0].Annotations = nil, nil
			})
		},
		answer: answer,
	}
}

// ofSubject makes an attack of a failure whose subject spells the algorithm of its digest in a way of its own.
func ofSubject(algorithm, answer string) attack {
	return attack{
		name: fmt.Sprintf("a failure of a subject with a digest by %q", algorithm),
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			payload := strings.Replace(string(w.statementOf(TestResultType, failedAs)), `"sha256"`, fmt.Sprintf("%q", algorithm), 1)
			w.attach(w.sign(ours, []byte(payload)), nil)
		},
		answer: answer,
	}
}

// seamAttacks are made where two rules meet.
var seamAttacks = []attack{
	artifact(EnvelopeType, emptyConfigType, "application/vnd.oci.image.layer.v1.tar", "layers: none holds a statement"),
	artifact(BundleType, emptyConfigType, "application/octet-stream", "layers: none holds a statement"),
	artifact("", PayloadType, "application/octet-stream", "layers: none holds a statement"),
	artifact("", EnvelopeType, "application/json", "layers: none holds a statement"),
	artifact("", BundleType, "application/json", "layers: none holds a statement"),
	// What is no statement by any of its types blocks nothing: a chart, a signature, another manifest's artifact type.
	artifact("", "application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "PASSED at 2026-03-01T11:00:00Z"),
	artifact("application/vnd.cncf.notary.signature", emptyConfigType, "application/jose+json", "PASSED at 2026-03-01T11:00:00Z"),
	artifact("application/spdx+json", PayloadType, "application/spdx+json", "PASSED at 2026-03-01T11:00:00Z"),

	ofSubject("SHA256", `subject[0].digest.SHA256: another spelling of "sha256"`),
	ofSubject("sha-256", `subject[0].digest.sha-256: another spelling of "sha256"`),
	ofSubject("Sha2-256", `subject[0].digest.Sha2-256: another spelling of "sha256"`),
	ofSubject("sha\u200b256", `another spelling of "sha256"`),
	ofSubject("sha3_256", "PASSED at 2026-03-01T11:00:00Z"),
	ofSubject("gitCommit", "PASSED at 2026-03-01T11:00:00Z"),
}

// An index lists what a runtime may run. An annotation alone does not take an image out of it.
func TestPlatformsThatAnAnnotationHides(t *testing.T) {
	const hidden = `"annotations":{"vnd.docker.reference.type":"attestation-manifest"}`
	w := newWorld(t, true)
	for platform, want := range map[string]int{
		`"platform":{"os":"unknown","architecture":"unknown"},`:                0,
		`"platform":{"os":"linux","architecture":"amd64"},`:                    1,
		`"platform":{"os":"unknown","architecture":"amd64"},`:                  1,
		`"platform":{"os":"unknown","architecture":"unknown","variant":"v8"},`: 1,
		``: 1,
	} {
		b := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"digest":%q,%s%s}]}`, types.OCIImageIndex, w.hash(), platform, hidden)
		digest := describe(b, "").Digest.String()
		w.retag(digest, types.OCIImageIndex, b)
		got, err := NewResolver(newKey(t, "k"), w.opts).Platforms(t.Context(), w.image.Context().Digest(digest))
		if err != nil || len(got) != want {
			t.Errorf("%s: %v, %v", platform, got, err)
		}
	}
}

