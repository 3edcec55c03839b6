package referrers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// An Entry is one manifest of the record of an image.
type Entry struct {
	Descriptor v1.Descriptor
	bytes      []byte
	Statements []v1.Descriptor // layers that hold a statement
	Err        error           // why it could not be read
}

// A Memory holds manifests already read in this call, by digest or by the tag that names their digest.
type Memory map[string]Entry

// Entries fetches the manifests behind tags and digests, and keeps those that hold statements and those that cannot be
// read.
func (r *Records) Entries(ctx context.Context, refs []string, known Memory) ([]Entry, error) {
	all := make([]Entry, len(refs))
	err := registry.Parallel(ctx, len(refs), r.Options.Parallel, func(ctx context.Context, i int) (err error) {
		e, ok := known[refs[i]]
		if !ok {
			e, err = r.entry(ctx, refs[i])
		}
		all[i] = e
		return err
	})
	if err != nil {
		return nil, err
	}
	var keep []Entry
	for i, e := range all {
		if e.Err == nil {
			known[refs[i]] = e
		}
		if e.Err != nil || len(e.Statements) > 0 {
			keep = append(keep, e)
		}
	}
	return keep, nil
}

// entry fetches one manifest. Only an error that says nothing about the manifest is returned; others are part of the
// Entry.
func (r *Records) entry(ctx context.Context, ref string) (Entry, error) {
	short, tagged := shortDigest(ref)
	digest, err := v1.NewHash(ref)
	if err != nil && !tagged {
		return Entry{Err: &fault.FieldError{Field: "manifests", Problem: err.Error()}}, nil
	}
	doc, err := r.listed(ctx, ref, tagged)
	if err != nil {
		return Entry{Descriptor: v1.Descriptor{Digest: digest}, Err: err}, Grave(err)
	}
	if err := r.Budget.Decode(doc.Bytes, r.Options.Limits.TotalValues); err != nil {
		return Entry{}, err
	}
	e := parseEntry(doc, r.Options.Limits)
	if tagged && !strings.HasPrefix(doc.Digest.Hex, short) {
		e.Err = &fault.FieldError{Field: "tag " + ref, Problem: fmt.Sprintf("was moved to %s", doc.Digest)}
	}
	return e, nil
}

// listed reads a manifest that a list names. Registries list a tag a moment before they can read it, so what has a tag
// of its own and is not found is asked for again.
func (r *Records) listed(ctx context.Context, ref string, tagged bool) (registry.Document, error) {
	again := func(err error) bool { return tagged && registry.IsNotFound(err) }
	doc, err := registry.Retry(ctx, r.Options, again, func() (registry.Document, error) { return r.Manifest(ctx, ref) })
	return doc, registry.Unfinished(ctx, "read manifest", r.Ref(ref), err)
}

// Grave returns err if it is about the registry or this call, nil if it is about the one thing that was asked for.
func Grave(err error) error {
	var limit *fault.LimitError
	if errors.As(err, &limit) && slices.Contains([]string{registry.WhatTotal, registry.WhatPassed, registry.WhatValues, registry.WhatRequest, registry.WhatCall}, limit.What) {
		return err
	}
	var registry *registry.Error
	if errors.As(err, &registry) && registry.Status != http.StatusNotFound {
		return err
	}
	return nil
}

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
	if err := fault.Decode(b, &m, limits.JSON()); err != nil {
		return manifest{}, err
	}
	if (m.Layers == nil) == (m.Manifests == nil) {
		return manifest{}, &fault.FieldError{Field: "manifests", Problem: "there must be manifests or layers, and not both"}
	}
	return m, nil
}

// parseEntry reads what a manifest holds. What is wrong with it is in Entry.Err.
func parseEntry(doc registry.Document, limits registry.Limits) Entry {
	e := Entry{
		Descriptor: v1.Descriptor{MediaType: doc.Media, Digest: doc.Digest, Size: int64(len(doc.Bytes))},
		bytes:      doc.Bytes,
	}
	var m manifest
	if m, e.Err = ParseManifest(doc.Bytes, limits); e.Err != nil {
		return e
	}
	e.Descriptor.MediaType = cmp.Or(m.MediaType, doc.Media)
	e.Descriptor.ArtifactType, e.Descriptor.Annotations = m.ArtifactType, m.Annotations
	e.Statements, e.Err = m.statements(limits.Statements)
	return e
}

// statements returns the layers that hold a statement. An index has no layers. That there should be one in a form which
// is not known, as a later release may write it, is an error.
func (m manifest) statements(limit int) ([]v1.Descriptor, error) {
	var out []v1.Descriptor
	for _, l := range m.Layers {
		if intoto.FormOf(l.MediaType) == "" {
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
	if artifact := cmp.Or(m.ArtifactType, m.Config.MediaType); len(out) == 0 && (intoto.FormOf(artifact) != "" || promisesTest(m.Annotations)) {
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
