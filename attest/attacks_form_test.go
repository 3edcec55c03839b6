package attest

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/intoto"
)

// unknownForm writes a failure in a layer of a media type that no release reads. The manifest, or else the layer, says of
// which test it is.
func unknownForm(artifact, media, created string, layer bool) attack {
	return attack{
		name: fmt.Sprintf("a failure in a layer of type %q in an artifact of type %q, created %q, annotated layer %t", media, artifact, created, layer),
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, failedAs)), func(m *v1.Manifest) {
				annotations := map[string]string{AnnotationPredicateType: intoto.TestResultType, AnnotationTest: "scan"}
				if created != "" {
					annotations[AnnotationCreated] = created
				}
				m.ArtifactType, m.Layers[0].MediaType = artifact, types.MediaType(media)
				m.Annotations, m.Layers[0].Annotations = annotations, nil
				if layer {
					m.Annotations, m.Layers[0].Annotations = nil, annotations
				}
			})
		},
		answer: "layers: ",
	}
}

// formAttacks hide a failure in a form that is not known, as a later release may write it.
var formAttacks = func() []attack {
	var all []attack
	for _, artifact := range []string{"", "application/vnd.dsse.envelope.v2+json", intoto.PayloadType} {
		for _, media := range []string{"application/vnd.dsse.envelope.v2+json", "application/octet-stream"} {
			for _, created := range []string{"", "2026-03-01T12:00:00Z"} {
				all = append(all, unknownForm(artifact, media, created, false), unknownForm(artifact, media, created, true))
			}
		}
	}
	return append(all, attack{
		name: "a layer of another kind beside it",
		do: func(w *world, ours, _ *key) {
			w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, failedAs)), func(m *v1.Manifest) {
				other := m.Layers[0]
				other.MediaType, other.Annotations = "text/plain", nil
				m.Layers = append(m.Layers, other)
			})
		},
		answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
	})
}()
