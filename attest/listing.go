package attest

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

	"github.com/testdag/testdag/internal/testname"
)

// A listing says which manifests may be in the record of an image.
type listing struct {
	referrers bool            // the registry has the referrers API
	listed    []pointer       // by that
	index     bool            // the tag of the fallback index is free, or is one
	indexed   []pointer       // in the fallback index, nil if there is none; with hints that only a Writer may use
	rubbish   *CandidateError // why what is under the tag of the index could not be read
	view      shownView       // cosign's tag
	tags      []string        // of single records
	tagsRead  bool            // no tag of a record is missing in tags
	pointers  []pointer       // the union of all, by ref, each once
}

// A pointer is what a list says of one manifest.
type pointer struct {
	ref   string // its digest, or the tag that a record has of its own
	hints hints  // only if the referrers API gave them: anybody who may push can rewrite a fallback index
}

// refs returns the digests and tags of pointers.
func refs(pointers []pointer) []string {
	out := make([]string, len(pointers))
	for i, p := range pointers {
		out[i] = p.ref
	}
	return out
}

// hinted returns the pointers with the hints of the fallback index, where the referrers API gives none. A Writer may
// use them to read less: what a wrong one does to the views, rewriting the views does as well.
func (l listing) hinted() []pointer {
	known := map[string]hints{}
	for _, p := range l.indexed {
		known[p.ref] = p.hints
	}
	all := slices.Clone(l.pointers)
	for i, p := range all {
		if p.hints == (hints{}) {
			all[i].hints = known[p.ref]
		}
	}
	return all
}

// unhinted returns pointers without what they say of a statement.
func unhinted(pointers []pointer) []pointer {
	out := make([]pointer, len(pointers))
	for i, p := range pointers {
		out[i].ref = p.ref
	}
	return out
}

// sources says which of the lists answered.
func (l listing) sources() Sources {
	answered := func(yes bool) Source {
		if yes {
			return SourceAnswered
		}
		return SourceAbsent
	}
	return Sources{
		Referrers: answered(l.referrers),
		Index:     answered(l.indexed != nil || l.rubbish != nil),
		View:      answered(l.view.exists()),
		Tags:      answered(l.tagsRead),
	}
}

// Hints are what annotations say of a statement that has not been read. The zero value says nothing.
type hints struct {
	predicateType     string
	test              string
	created           time.Time
	envelope, payload string
}

// complete reports whether the hints say of which test the statement is, and when it was made. Without a test it was
// not a Writer of ours, and others give the time when they pushed. A name that no test may have, and a version of a
// predicate that is not understood, say nothing: other records must not be passed over because of them.
func (h hints) complete() bool {
	return understands(h.predicateType) && !h.created.IsZero() && testname.Problem(h.test) == ""
}

// misnamed reports whether the hints give a name that no test may have. It may be meant for any.
func (h hints) misnamed() bool { return h.test != "" && testname.Problem(h.test) != "" }

func readHints(annotations map[string]string) hints {
	h := hints{
		predicateType: annotations[AnnotationPredicateType],
		test:          annotations[AnnotationTest],
		created:       parseTime(annotations[AnnotationCreated]).UTC(), // so that == compares instants
		envelope:      annotations[AnnotationEnvelope],
		payload:       annotations[AnnotationPayload],
	}
	if h.predicateType == "" {
		h.predicateType = annotations[annotationBundleType]
	}
	return h
}

// Lists are places that lead to records of an image.
type lists struct{ referrers, index, view, tags bool }

// list reads the record of image from all places: the referrers API, the fallback index, cosign's tag, and the tags of
// single records.
func (r *records) list(ctx context.Context, image name.Digest) (listing, error) {
	return r.read(ctx, image, listing{}, lists{referrers: true, index: true, view: true, tags: true})
}

// read reads some of the lists. The others stay as l has them.
func (r *records) read(ctx context.Context, image name.Digest, l listing, which lists) (listing, error) {
	var found sought
	var reads []func(context.Context) error
	for _, each := range []struct {
		wanted bool
		read   func(context.Context) error
	}{
		{which.referrers, func(ctx context.Context) (err error) {
			l.listed, err = r.referrers(ctx, image)
			l.referrers = err == nil
			return unless(err, errNoList)
		}},
		{which.index, func(ctx context.Context) error { return l.setIndex(r.fallback(ctx, image)) }},
		{which.view, func(ctx context.Context) (err error) {
			l.view, err = r.view(ctx, image)
			return err
		}},
		{which.tags, func(ctx context.Context) (err error) {
			found, err = r.seek(ctx, image)
			return err
		}},
	} {
		if each.wanted {
			reads = append(reads, each.read)
		}
	}
	err := parallel(ctx, len(reads), len(reads), func(ctx context.Context, i int) error { return reads[i](ctx) })
	if err != nil {
		return listing{}, err
	}
	if which.tags {
		if err := r.readTags(ctx, image, &l, found); err != nil {
			return listing{}, err
		}
	}
	l.pointers = l.union(l.view.named)
	return l, r.tooMany(len(l.pointers))
}

// setIndex notes what is under the tag of the fallback index. That it is no index is no error, and neither is rubbish.
func (l *listing) setIndex(indexed []pointer, err error) error {
	l.indexed, l.index, l.rubbish = indexed, err == nil, nil
	if errors.As(err, &l.rubbish) {
		return nil
	}
	return unless(err, errNotIndex)
}

// union returns what is in any of the lists, and named, each once.
func (l listing) union(named []pointer) []pointer {
	all := unionOfPointers(l.listed, slices.Concat(unhinted(l.indexed), named))
	for _, tag := range unlisted(slices.Clone(l.tags), all) {
		all = append(all, pointer{ref: tag})
	}
	return all
}

// pointersTo lists what refers to a manifest that is no image: nothing has a tag of its own there.
func (r *records) pointersTo(ctx context.Context, subject name.Digest, referrers bool) ([]pointer, error) {
	l, err := r.read(ctx, subject, listing{}, lists{referrers: referrers, index: true})
	if err == nil && l.rubbish != nil {
		err = l.rubbish
	}
	return l.pointers, err
}

// unless returns err if it is not about to be expected.
func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func (r *records) tooMany(statements int) error {
	if limit := r.opts.Limits.Statements; statements > limit {
		return &LimitError{What: whatStatements, Limit: int64(limit), Got: int64(statements)}
	}
	return nil
}

// unionOfPointers returns both, sorted. Only the first may hold hints; where it says two things about one manifest it
// says nothing.
func unionOfPointers(listed, more []pointer) []pointer {
	all := slices.Concat(listed, more)
	slices.SortStableFunc(all, func(a, b pointer) int { return strings.Compare(a.ref, b.ref) })
	var out []pointer
	for i, p := range all {
		switch last := len(out) - 1; {
		case i == 0 || out[last].ref != p.ref:
			out = append(out, p)
		case p.hints != (hints{}) && p.hints != out[last].hints:
			out[last].hints = hints{}
		}
	}
	return out
}

// referrers lists the manifests that refer to image, over all pages.
func (r *records) referrers(ctx context.Context, image name.Digest) ([]pointer, error) {
	var listed []pointer
	err := r.pages(ctx, ask{
		op: "list referrers", ref: image.DigestStr(), url: r.url("referrers/" + image.DigestStr()),
		header: http.Header{"Accept": {string(types.OCIImageIndex)}},
	}, r.opts.Limits.Pages, lacksReferrers, func(body []byte) error {
		m, err := parseManifest(body, r.opts.Limits)
		if err == nil && m.Manifests == nil {
			err = errNotIndex
		}
		for _, d := range m.Manifests {
			listed = append(listed, pointer{d.Digest, listedHints(d.Annotations)})
		}
		return errors.Join(err, r.tooMany(len(listed)))
	})
	return listed, err
}

var errNotIndex = errors.New("not an image index")

// lacksReferrers reports whether a registry answers as those without the referrers API do. 403, 429 and 5xx say nothing
// about it.
func lacksReferrers(err error) bool {
	var e *RegistryError
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
func (r *records) fallback(ctx context.Context, image name.Digest) ([]pointer, error) {
	indexed, _, err := r.readIndex(ctx, image)
	return indexed, err
}

// errIsImage is what readIndex returns if the tag leads to the image itself: cosign copy puts it there, and some
// registries answer so.
var errIsImage = fmt.Errorf("%w: it is the image itself", errNotIndex)

// readIndex reads the fallback index. A *CandidateError says that the tag holds neither an index nor an image.
func (r *records) readIndex(ctx context.Context, image name.Digest) ([]pointer, document, error) {
	doc, err := r.manifest(ctx, tagBase(image))
	if isNotFound(err) {
		return nil, document{}, nil
	}
	if grave(err) != nil {
		return nil, document{}, err
	}
	if doc.digest.String() == image.DigestStr() {
		return nil, doc, errIsImage
	}
	var listed []pointer
	if err == nil {
		listed, err = parseIndex(doc.bytes, r.opts.Limits)
	}
	if err != nil && !errors.Is(err, errNotIndex) {
		err = fmt.Errorf("tag %s: %w: %s", tagBase(image), err, howToReplace)
		return nil, doc, &CandidateError{Manifest: doc.digest, Err: err}
	}
	return listed, doc, err
}

// howToReplace is what to do about rubbish under a tag that writers share.
const howToReplace = "Writer.Repair with Options.ReplaceViews replaces it"

func parseIndex(b []byte, limits Limits) ([]pointer, error) {
	m, err := parseManifest(b, limits)
	if err != nil {
		return nil, err
	}
	if m.Manifests == nil {
		return nil, errNotIndex
	}
	listed := []pointer{}
	for _, d := range m.Manifests {
		if _, err := v1.NewHash(d.Digest); err != nil {
			return nil, &FieldError{"manifests", err.Error()}
		}
		listed = append(listed, pointer{d.Digest, readHints(d.Annotations)})
	}
	return listed, nil
}
