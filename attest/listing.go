package attest

import (
	"context"
	"encoding/json"
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
	index     bool      // the tag of the fallback index is free, or is one
	pointers  []pointer // by ref, each once
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

// holds reports whether the record of that manifest is in the listing.
func (l listing) holds(image name.Digest, manifest v1.Hash) bool {
	tag := recordTag(image, manifest)
	return slices.ContainsFunc(l.pointers, func(p pointer) bool { return p.ref == manifest.String() || p.ref == tag })
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

// list reads the record of image: what the referrers API says, the fallback index, and the tags of single records. Those
// are asked for where there is no such API, or where a fallback index shows that it does not list everything.
func (r *repository) list(ctx context.Context, image name.Digest) (listing, error) {
	l, more, err := r.attached(ctx, image)
	if err != nil || l.referrers && l.index && more == nil {
		return l, err
	}
	tags, err := r.recordTags(ctx, image)
	if err != nil {
		return listing{}, err
	}
	for _, tag := range unlisted(tags, l.pointers) {
		l.pointers = append(l.pointers, pointer{ref: tag})
	}
	return l, r.tooMany(len(l.pointers))
}

// attached is list without the tags of single records. It returns what the fallback index says too, nil if there is none.
func (r *repository) attached(ctx context.Context, image name.Digest) (l listing, more []pointer, err error) {
	var listed []pointer
	err = parallel(ctx, 2, 2, func(ctx context.Context, i int) (err error) {
		if i == 0 {
			listed, err = r.referrers(ctx, image)
			l.referrers = err == nil
			return unless(err, errNoList)
		}
		more, err = r.fallback(ctx, image)
		l.index = err == nil
		return unless(err, errNotIndex)
	})
	if err != nil {
		return listing{}, nil, err
	}
	l.pointers = unionOfPointers(listed, more)
	return l, more, r.tooMany(len(l.pointers))
}

// pointersTo lists what refers to a manifest that is no image: nothing has a tag of its own there.
func (r *repository) pointersTo(ctx context.Context, subject name.Digest, referrers bool) ([]pointer, error) {
	if referrers {
		l, _, err := r.attached(ctx, subject)
		return l.pointers, err
	}
	listed, err := r.fallback(ctx, subject)
	return listed, unless(err, errNotIndex)
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
	}, lacksReferrers, func(body []byte) error {
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
		listed = append(listed, pointer{ref: d.Digest})
	}
	return listed, nil
}

// recordTags lists the tags of single records. No number of tags is asked for, since what a registry then leaves out it
// does not always say.
func (r *repository) recordTags(ctx context.Context, image name.Digest) ([]string, error) {
	var refs []string
	err := r.pages(ctx, ask{op: "list tags", url: r.url("tags/list")}, isNotFound, func(body []byte) error {
		tags, err := parseTags(body, r.opts.Limits)
		for _, tag := range tags {
			if strings.HasPrefix(tag, viewTag(image)+".") {
				refs = append(refs, tag)
			}
		}
		return err
	})
	if errors.Is(err, errNoList) {
		_, err := r.subject(ctx, image) // a repository without tags has the image all the same
		return nil, err
	}
	return refs, err
}

// parseTags reads one page of tags. Some registries write null for none; what lacks the field is another document.
func parseTags(body []byte, limits Limits) ([]string, error) {
	var page map[string]json.RawMessage
	if err := decode(body, &page, limits.json()); err != nil {
		return nil, err
	}
	if page["tags"] == nil {
		return nil, &FieldError{"tags", "required"}
	}
	var tags []string
	return tags, json.Unmarshal(page["tags"], &tags)
}

// unlisted returns those tags of single records that are not of a manifest that is listed by its digest.
func unlisted(tags []string, listed []pointer) []string {
	known := map[string]bool{}
	for _, p := range listed {
		if _, hex, ok := strings.Cut(p.ref, ":"); ok && len(hex) >= shortHex {
			known[hex[:shortHex]] = true
		}
	}
	return slices.DeleteFunc(tags, func(tag string) bool {
		short, ok := shortDigest(tag)
		return ok && known[short]
	})
}
