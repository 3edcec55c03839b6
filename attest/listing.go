package attest

import (
	"context"
	"errors"
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
	referrers bool      // the registry has the referrers API
	listed    []pointer // by that
	index     bool      // the tag of the fallback index is free, or is one
	indexed   []pointer // in the fallback index, nil if there is none; with hints that only a Writer may use
	view      shownView // cosign's tag
	tags      []string  // of single records
	tagsRead  bool      // no tag of a record is missing in tags
	pointers  []pointer // the union of all, by ref, each once
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

// with returns a listing that also holds a manifest.
func (l listing) with(manifest v1.Hash) listing {
	l.pointers = unionOfPointers(l.pointers, []pointer{{ref: manifest.String()}})
	return l
}

// hinted returns the pointers with the hints of the fallback index, where the referrers API gives none. A Writer may use
// them to read less: what a wrong one does to the views, rewriting the views does as well.
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
		Index:     answered(l.indexed != nil),
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

// complete reports whether the hints say of which test the statement is, and when it was made. Without a test it was not
// a Writer of ours, and others give the time when they pushed. A name that no test may have, and a version of a predicate
// that is not understood, say nothing: other records must not be passed over because of them.
func (h hints) complete() bool {
	return readers[h.predicateType] != nil && !h.created.IsZero() && testname.Problem(h.test) == ""
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

// list reads the record of image from all places: the referrers API, the fallback index, cosign's tag, and the tags of
// single records.
func (r *repository) list(ctx context.Context, image name.Digest) (listing, error) {
	var l listing
	var view shownView
	var found sought
	err := parallel(ctx, 3, 3, func(ctx context.Context, i int) (err error) {
		switch i {
		case 0:
			l, err = r.attached(ctx, image)
		case 1:
			view, err = r.view(ctx, image)
		case 2:
			found, err = r.seek(ctx, image)
		}
		return err
	})
	if err != nil {
		return listing{}, err
	}
	l.view = view
	if err := r.readTags(ctx, image, &l, found); err != nil {
		return listing{}, err
	}
	l.pointers = unionOfPointers(l.listed, slices.Concat(unhinted(l.indexed), view.named))
	for _, tag := range unlisted(slices.Clone(l.tags), l.pointers) {
		l.pointers = append(l.pointers, pointer{ref: tag})
	}
	return l, r.tooMany(len(l.pointers))
}

// attached asks the referrers API and reads the fallback index.
func (r *repository) attached(ctx context.Context, image name.Digest) (l listing, err error) {
	err = parallel(ctx, 2, 2, func(ctx context.Context, i int) (err error) {
		if i == 0 {
			l.listed, err = r.referrers(ctx, image)
			l.referrers = err == nil
			return unless(err, errNoList)
		}
		l.indexed, err = r.fallback(ctx, image)
		l.index = err == nil
		return unless(err, errNotIndex)
	})
	return l, err
}

// pointersTo lists what refers to a manifest that is no image: nothing has a tag of its own there.
func (r *repository) pointersTo(ctx context.Context, subject name.Digest, referrers bool) ([]pointer, error) {
	if !referrers {
		indexed, err := r.fallback(ctx, subject)
		return unhinted(indexed), unless(err, errNotIndex)
	}
	l, err := r.attached(ctx, subject)
	if err != nil {
		return nil, err
	}
	all := unionOfPointers(l.listed, unhinted(l.indexed))
	return all, r.tooMany(len(all))
}

// unless returns err if it is not about to be expected.
func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func (r *repository) tooMany(statements int) error {
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
func (r *repository) referrers(ctx context.Context, image name.Digest) ([]pointer, error) {
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

// fallback reads the index that clients keep where there is no referrers API, nil if there is none. Some registries
// answer with the image itself.
func (r *repository) fallback(ctx context.Context, image name.Digest) ([]pointer, error) {
	doc, err := r.manifest(ctx, tagBase(image))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if doc.digest.String() == image.DigestStr() {
		return nil, errNotIndex
	}
	m, err := parseManifest(doc.bytes, r.opts.Limits)
	if err != nil {
		return nil, registryError("read manifest", r.ref(tagBase(image)), err)
	}
	if m.Manifests == nil {
		return nil, errNotIndex
	}
	listed := []pointer{}
	for _, d := range m.Manifests {
		listed = append(listed, pointer{d.Digest, readHints(d.Annotations)})
	}
	return listed, nil
}
