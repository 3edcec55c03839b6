package referrers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/testname"
)

// A Listing says which manifests may be in the record of an image.
type Listing struct {
	Referrers bool            // the registry has the referrers API
	listed    []Pointer       // by that
	index     bool            // the tag of the fallback index is free, or is one
	indexed   []Pointer       // in the fallback index, nil if there is none; with hints that only a Writer may use
	Rubbish   *CandidateError // why what is under the tag of the index could not be read
	View      View            // cosign's tag
	tags      []string        // of single records
	tagsRead  bool            // no tag of a record is missing in tags
	Pointers  []Pointer       // the union of all, by ref, each once
}

// A Pointer is what a list says of one manifest.
type Pointer struct {
	Ref   string // its digest, or the tag that a record has of its own
	Hints Hints  // only if the referrers API gave them: anybody who may push can rewrite a fallback index
}

// refs returns the digests and tags of pointers.
func refs(pointers []Pointer) []string {
	out := make([]string, len(pointers))
	for i, p := range pointers {
		out[i] = p.Ref
	}
	return out
}

// hinted returns the pointers with the hints of the fallback index, where the referrers API gives none. A Writer may
// use them to read less: what a wrong one does to the views, rewriting the views does as well.
func (l Listing) hinted() []Pointer {
	known := map[string]Hints{}
	for _, p := range l.indexed {
		known[p.Ref] = p.Hints
	}
	all := slices.Clone(l.Pointers)
	for i, p := range all {
		if p.Hints == (Hints{}) {
			all[i].Hints = known[p.Ref]
		}
	}
	return all
}

// unhinted returns pointers without what they say of a statement.
func unhinted(pointers []Pointer) []Pointer {
	out := make([]Pointer, len(pointers))
	for i, p := range pointers {
		out[i].Ref = p.Ref
	}
	return out
}

// Sources says which of the lists answered.
func (l Listing) Sources() Sources {
	answered := func(yes bool) Source {
		if yes {
			return SourceAnswered
		}
		return SourceAbsent
	}
	return Sources{
		Referrers: answered(l.Referrers),
		Index:     answered(l.indexed != nil || l.Rubbish != nil),
		View:      answered(l.View.exists()),
		Tags:      answered(l.tagsRead),
	}
}

// Hints are what annotations say of a statement that has not been read. The zero value says nothing.
type Hints struct {
	PredicateType     string
	Test              string
	Created           time.Time
	Envelope, Payload string
}

// Complete reports whether the hints say of which test the statement is, and when it was made. Without a test it was
// not a Writer of ours, and others give the time when they pushed. A name that no test may have, and a version of a
// predicate that is not understood, say nothing: other records must not be passed over because of them.
func (h Hints) Complete() bool {
	return intoto.Understands(h.PredicateType) && !h.Created.IsZero() && testname.Problem(h.Test) == ""
}

// Misnamed reports whether the hints give a name that no test may have. It may be meant for any.
func (h Hints) Misnamed() bool { return h.Test != "" && testname.Problem(h.Test) != "" }

// ReadHints returns what the annotations of a manifest say. A time that cannot be read is as if it were not there.
func ReadHints(annotations map[string]string) Hints {
	h := Hints{
		PredicateType: annotations[AnnotationPredicateType],
		Test:          annotations[AnnotationTest],
		Created:       intoto.ParseTime(annotations[AnnotationCreated]).UTC(), // so that == compares instants
		Envelope:      annotations[AnnotationEnvelope],
		Payload:       annotations[AnnotationPayload],
	}
	if h.PredicateType == "" {
		h.PredicateType = annotations[annotationBundleType]
	}
	return h
}

// Lists are places that lead to records of an image.
type Lists struct{ Referrers, Index, View, Tags bool }

// List reads the record of image from all places: the referrers API, the fallback index, cosign's tag, and the tags of
// single records.
func (r *Records) List(ctx context.Context, image name.Digest) (Listing, error) {
	return r.Read(ctx, image, Listing{}, Lists{Referrers: true, Index: true, View: true, Tags: true})
}

// Read reads some of the lists. The others stay as l has them.
func (r *Records) Read(ctx context.Context, image name.Digest, l Listing, which Lists) (Listing, error) {
	var found sought
	var reads []func(context.Context) error
	for _, each := range []struct {
		wanted bool
		read   func(context.Context) error
	}{
		{which.Referrers, func(ctx context.Context) (err error) {
			l.listed, err = r.referrers(ctx, image)
			l.Referrers = err == nil
			return unless(err, registry.ErrNoList)
		}},
		{which.Index, func(ctx context.Context) error { return l.setIndex(r.fallback(ctx, image)) }},
		{which.View, func(ctx context.Context) (err error) {
			l.View, err = r.view(ctx, image)
			return err
		}},
		{which.Tags, func(ctx context.Context) (err error) {
			found, err = r.seek(ctx, image)
			return err
		}},
	} {
		if each.wanted {
			reads = append(reads, each.read)
		}
	}
	err := registry.Parallel(ctx, len(reads), len(reads), func(ctx context.Context, i int) error { return reads[i](ctx) })
	if err != nil {
		return Listing{}, err
	}
	if which.Tags {
		if err := r.readTags(ctx, image, &l, found); err != nil {
			return Listing{}, err
		}
	}
	l.Pointers = l.union(l.View.named)
	return l, r.TooMany(len(l.Pointers))
}

// setIndex notes what is under the tag of the fallback index. That it is no index is no error, and neither is rubbish.
func (l *Listing) setIndex(indexed []Pointer, err error) error {
	l.indexed, l.index, l.Rubbish = indexed, err == nil, nil
	if errors.As(err, &l.Rubbish) {
		return nil
	}
	return unless(err, errNotIndex)
}

// union returns what is in any of the lists, and named, each once.
func (l Listing) union(named []Pointer) []Pointer {
	all := unionOfPointers(l.listed, slices.Concat(unhinted(l.indexed), named))
	for _, tag := range unlisted(slices.Clone(l.tags), all) {
		all = append(all, Pointer{Ref: tag})
	}
	return all
}

// pointersTo lists what refers to a manifest that is no image: nothing has a tag of its own there.
func (r *Records) pointersTo(ctx context.Context, subject name.Digest, referrers bool) ([]Pointer, error) {
	l, err := r.Read(ctx, subject, Listing{}, Lists{Referrers: referrers, Index: true})
	if err == nil && l.Rubbish != nil {
		err = l.Rubbish
	}
	return l.Pointers, err
}

// unless returns err if it is another than the one that is expected.
func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// TooMany returns a [*fault.LimitError] if there are more statements than Limits.Statements.
func (r *Records) TooMany(statements int) error {
	if limit := r.Options.Limits.Statements; statements > limit {
		return &fault.LimitError{What: registry.WhatStatements, Limit: int64(limit), Got: int64(statements)}
	}
	return nil
}

// unionOfPointers returns both, sorted. Only the first may hold hints; where it says two things about one manifest it
// says nothing.
func unionOfPointers(listed, more []Pointer) []Pointer {
	all := slices.Concat(listed, more)
	slices.SortStableFunc(all, func(a, b Pointer) int { return strings.Compare(a.Ref, b.Ref) })
	var out []Pointer
	for i, p := range all {
		switch last := len(out) - 1; {
		case i == 0 || out[last].Ref != p.Ref:
			out = append(out, p)
		case p.Hints != (Hints{}) && p.Hints != out[last].Hints:
			out[last].Hints = Hints{}
		}
	}
	return out
}

// referrers lists the manifests that refer to image, over all pages.
func (r *Records) referrers(ctx context.Context, image name.Digest) ([]Pointer, error) {
	var listed []Pointer
	err := r.Pages(ctx, registry.Request{
		Op: "list referrers", Ref: image.DigestStr(), URL: r.URL("referrers/" + image.DigestStr()),
		Header: http.Header{"Accept": {string(types.OCIImageIndex)}},
	}, r.Options.Limits.Pages, lacksReferrers, func(body []byte) error {
		m, err := ParseManifest(body, r.Options.Limits)
		if err == nil && m.Manifests == nil {
			err = errNotIndex
		}
		for _, d := range m.Manifests {
			listed = append(listed, Pointer{d.Digest, listedHints(d.Annotations)})
		}
		return errors.Join(err, r.TooMany(len(listed)))
	})
	return listed, err
}

var errNotIndex = errors.New("not an image index")

// lacksReferrers reports whether a registry answers as those without the referrers API do. 403, 429 and 5xx say nothing
// about it.
func lacksReferrers(err error) bool {
	var e *registry.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed,
		http.StatusNotAcceptable, http.StatusNotImplemented:
		return true
	}
	return false
}

// fallback reads the index that clients keep where there is no referrers API, nil if there is none.
func (r *Records) fallback(ctx context.Context, image name.Digest) ([]Pointer, error) {
	indexed, _, err := r.readIndex(ctx, image)
	return indexed, err
}

// errIsImage is what readIndex returns if the tag leads to the image itself: cosign copy puts it there, and some
// registries answer so.
var errIsImage = fmt.Errorf("%w: it is the image itself", errNotIndex)

// readIndex reads the fallback index. A *CandidateError says that the tag holds neither an index nor an image.
func (r *Records) readIndex(ctx context.Context, image name.Digest) ([]Pointer, registry.Document, error) {
	doc, err := r.Manifest(ctx, TagBase(image))
	if registry.IsNotFound(err) {
		return nil, registry.Document{}, nil
	}
	if IsFatal(err) != nil {
		return nil, registry.Document{}, err
	}
	if doc.Digest.String() == image.DigestStr() {
		return nil, doc, errIsImage
	}
	var listed []Pointer
	if err == nil {
		listed, err = parseIndex(doc.Bytes, r.Options.Limits)
	}
	if err != nil && !errors.Is(err, errNotIndex) {
		err = fmt.Errorf("tag %s: %w: %s", TagBase(image), err, howToReplace)
		return nil, doc, &CandidateError{Manifest: doc.Digest, Err: err}
	}
	return listed, doc, err
}

// howToReplace is what to do about rubbish under a tag that writers share.
const howToReplace = "Writer.Repair with Options.ReplaceViews replaces it"

func parseIndex(b []byte, limits registry.Limits) ([]Pointer, error) {
	m, err := ParseManifest(b, limits)
	if err != nil {
		return nil, err
	}
	if m.Manifests == nil {
		return nil, errNotIndex
	}
	listed := []Pointer{}
	for _, d := range m.Manifests {
		if _, err := v1.NewHash(d.Digest); err != nil {
			return nil, &fault.FieldError{Field: "manifests", Problem: err.Error()}
		}
		listed = append(listed, Pointer{d.Digest, ReadHints(d.Annotations)})
	}
	return listed, nil
}
