package referrers

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// A manifest is what is looked at in an image manifest or in an index. Fields that are not needed are not even decoded.
type manifest struct {
	MediaType    types.MediaType   `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Config       descriptor        `json:"config"`
	Annotations  map[string]string `json:"annotations"`
	Layers       []descriptor      `json:"layers"`    // nil in an index
	Manifests    []descriptor      `json:"manifests"` // nil in an image manifest
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    *platform         `json:"platform"`
	Data        []byte            `json:"data"` // the content itself
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant"`
}

// ParseManifest decodes an image manifest or an index. Its bytes tell which it is: no digest covers the media type that
// a registry serves it as. One that may be either, or neither, is an error and never an empty list.
func ParseManifest(b []byte, limits registry.Limits) (manifest, error) {
	var m manifest
	if err := fault.Decode(b, &m, registry.JSON(limits)); err != nil {
		return manifest{}, err
	}
	if (m.Layers == nil) == (m.Manifests == nil) {
		return manifest{}, &fault.FieldError{Field: "manifests", Problem: "there must be manifests or layers, and not both"}
	}
	return m, nil
}

// statements returns the layers that hold a statement. An index has no layers. That there should be one in a form which
// is not known, as a later release may write it, is an error.
func (m manifest) statements(limit int) ([]v1.Descriptor, error) {
	var out []v1.Descriptor
	for _, l := range m.Layers {
		if intoto.EncodingOf(l.MediaType) == "" {
			if promisesTest(l.Annotations) {
				return nil, noForm(l.MediaType)
			}
			continue
		}
		digest, err := v1.NewHash(l.Digest)
		if err != nil {
			return nil, &fault.FieldError{Field: "layers", Problem: err.Error()}
		}
		if len(out) == limit {
			return nil, &fault.LimitError{What: registry.WhatStatements, Limit: int64(limit), Got: int64(limit) + 1}
		}
		media := types.MediaType(l.MediaType)
		out = append(out, v1.Descriptor{MediaType: media, Digest: digest, Size: l.Size, Annotations: l.Annotations, Data: l.Data})
	}
	// A manifest without an artifact type has that of its config, as OCI has it.
	if artifact := cmp.Or(m.ArtifactType, m.Config.MediaType); len(out) == 0 && (intoto.EncodingOf(artifact) != "" || promisesTest(m.Annotations)) {
		return nil, &fault.FieldError{Field: "layers", Problem: "none holds a statement"}
	}
	return out, nil
}

// promisesTest reports whether annotations name a type that is understood, or a version of it.
func promisesTest(annotations map[string]string) bool {
	return intoto.Family(ReadHints(annotations).PredicateType) != ""
}

func noForm(media string) error {
	return &fault.FieldError{Field: "layers", Problem: fmt.Sprintf("the media type %.100q is none of a statement that this release reads: upgrade, or delete "+
		"the manifest if it is not yours", media)}
}

// A Draft is a statement that is to be recorded.
type Draft struct {
	Image         name.Digest
	Subject       v1.Descriptor
	Test          string
	PredicateType string
	Created       time.Time
	Payload       []byte
	Stored        []byte // the payload in the form that is stored
}

// BuildRecord makes the manifest for a statement that stored holds in the form that l says. The statement is in the
// manifest too if it has at most l.InlineBytes bytes, and the manifest with it at most that many.
func BuildRecord(d Draft, l Layout, most int64, stored []byte) ([]byte, error) {
	form := l.Encoding
	layer := registry.Describe(stored, form.MediaType())
	layer.Annotations = map[string]string{
		AnnotationPredicateType: d.PredicateType,
		AnnotationTest:          d.Test,
		AnnotationCreated:       d.Created.UTC().Format(time.RFC3339Nano),
	}
	annotations := maps.Clone(layer.Annotations)
	annotations[AnnotationEnvelope] = layer.Digest.String()
	annotations[AnnotationPayload] = registry.Describe(d.Payload, intoto.PayloadType).Digest.String()
	switch form {
	case intoto.EncodingEnvelope:
		layer.Annotations[annotationSignature] = ""
	case intoto.EncodingBundle:
		annotations[annotationBundleContent], annotations[annotationBundleType] = "dsse-envelope", d.PredicateType
	}
	m := v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  form.ArtifactType(),
		Config:        registry.Describe([]byte(registry.EmptyConfig), registry.EmptyConfigType),
		Layers:        []v1.Descriptor{layer},
		Subject:       &d.Subject,
		Annotations:   annotations,
	}
	if len(stored) > l.InlineBytes {
		return json.Marshal(m)
	}
	m.Layers[0].Data = stored
	b, err := json.Marshal(m)
	if err == nil && int64(len(b)) > most {
		m.Layers[0].Data = nil
		b, err = json.Marshal(m)
	}
	return b, err
}
