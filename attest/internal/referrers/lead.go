package referrers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/registry"
)

// A Lead is a layer that should be a statement.
type Lead struct {
	Manifest v1.Hash // that holds it
	Layer    v1.Descriptor
	Hints    Hints // that led to it
}

// Unreadable returns the error that says of the layer why it could not be read.
func (l Lead) Unreadable(err error) *CandidateError {
	return &CandidateError{Manifest: l.Manifest, Envelope: l.Layer.Digest, Err: err}
}

// LayerKey is equal for layers with the same bytes and the same annotations of others. A certificate may be among
// those, and a copy of the layer can lack it.
func LayerKey(layer v1.Descriptor) [sha256.Size]byte {
	others := maps.Clone(layer.Annotations)
	maps.DeleteFunc(others, func(key, _ string) bool { return slices.Contains(ourAnnotations, key) })
	return sha256.Sum256(fmt.Appendf(nil, "%s %q", layer.Digest, others)) // sorted by name
}

// NamedBy returns the tags of image that name a record, by its digest.
func (l Listing) NamedBy(image name.Digest) map[string]string {
	named := map[string]string{}
	for _, p := range l.indexed {
		named[p.Ref] = TagBase(image)
	}
	for _, p := range l.View.named {
		named[p.Ref] = viewTag(image)
	}
	return named
}

// Follow reads the manifest that a list leads to. Entry.Err also says where the manifest is not as the list has it, or
// that it is missing although a tag names it; tag is empty if none does. Only an error that says nothing about the
// manifest is returned.
func (r *Records) Follow(ctx context.Context, p Pointer, tag string) (Entry, error) {
	e, err := r.entry(ctx, p.Ref)
	if err != nil {
		return Entry{}, err
	}
	if e.Err == nil {
		e.Err = errors.Join(p.Hints.differ(ReadHints(e.Descriptor.Annotations))...)
	}
	if tag != "" && registry.IsNotFound(e.Err) {
		e.Err = notCopied(tag, e.Err)
	}
	return e, nil
}

// notCopied says why a record is missing that a tag names, and what to do.
func notCopied(tag string, err error) error {
	return fmt.Errorf("tag %s names it and the repository lacks it, so this copy of the evidence is incomplete: copy the records too, "+
		"or delete the tag if the record is meant to be gone: %w", tag, err)
}

// Attached returns the layers at a manifest of whose type wanted reports that it may be asked for; the type is empty if
// no annotation gives it. They are in cosign's tag, or in manifests that refer to the manifest, of which the referrers
// API tells, if hasAPI. Doubts say why some of what is there could not be read.
func (r *Records) Attached(
	ctx context.Context, manifest name.Digest, hasAPI bool, wanted func(predicateType string) bool,
) (leads []Lead, doubts []error, err error) {
	var pointers []Pointer
	var view View
	err = registry.Parallel(ctx, 2, 2, func(ctx context.Context, i int) (err error) {
		if i == 0 {
			pointers, err = r.pointersTo(ctx, manifest, hasAPI)
			return err
		}
		view, err = r.view(ctx, manifest)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if view.Broken != nil {
		doubts = append(doubts, view.Broken)
	}
	add := func(manifest v1.Hash, layers []v1.Descriptor) {
		for _, layer := range layers {
			if wanted(ReadHints(layer.Annotations).PredicateType) {
				leads = append(leads, Lead{Manifest: manifest, Layer: layer})
			}
		}
	}
	add(view.Digest, view.Layers)
	for _, p := range pointers {
		if !wanted(p.Hints.PredicateType) {
			continue
		}
		e, err := r.entry(ctx, p.Ref)
		if err != nil {
			return nil, nil, err
		}
		if e.Err != nil {
			doubts = append(doubts, &CandidateError{Manifest: e.Descriptor.Digest, Err: e.Err})
		}
		add(e.Descriptor.Digest, e.Statements)
	}
	return leads, doubts, nil
}
