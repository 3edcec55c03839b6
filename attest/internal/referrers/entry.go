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

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
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
		return Entry{Descriptor: v1.Descriptor{Digest: digest}, Err: err}, IsFatal(err)
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

// IsFatal returns err if it is about the registry or this call, nil if it is about the one thing that was asked for.
func IsFatal(err error) error {
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
