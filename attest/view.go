package attest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.uber.org/zap"
)

// maxRounds bounds how often a view is rebuilt by one writer. 16 writers at once need two or three.
const maxRounds = 32

// repair brings the views of image up to its record, as listed last.
//
// A view is one object that every writer rewrites, and no registry knows conditional writes, so any write can undo
// another. But the record loses nothing, and every write of a view is followed by a look at record and view. Whoever
// writes last sees what it has undone.
func (r *repository) repair(ctx context.Context, image name.Digest, known memory, l listing) error {
	for range maxRounds {
		changed, err := r.rebuild(ctx, image, known, l)
		if err != nil || !changed {
			return err
		}
		if l, err = r.list(ctx, image); err != nil {
			return &ViewError{Tag: viewTag(image), Err: err}
		}
	}
	return &ViewError{Tag: viewTag(image), Err: fmt.Errorf("others rewrote it %d times", maxRounds)}
}

// rebuild adds to each view what it lacks. That one cannot be written does not keep it from the other.
func (r *repository) rebuild(ctx context.Context, image name.Digest, known memory, l listing) (changed bool, err error) {
	changed, err = r.rebuildAtt(ctx, image, known, l)
	if err != nil {
		err = &ViewError{Tag: viewTag(image), Err: err}
	}
	if l.referrers || !l.index {
		return changed, err
	}
	also, indexErr := r.rebuildIndex(ctx, image, known, l)
	if indexErr != nil {
		err = errors.Join(err, &ViewError{Tag: tagBase(image), Err: indexErr})
	}
	return changed || also, err
}

// att reads cosign's tag. No tag is an empty view. An error that is not grave is about what the tag holds.
func (r *repository) att(ctx context.Context, image name.Digest) (v1.Manifest, v1.Hash, error) {
	doc, err := r.manifest(ctx, viewTag(image))
	if isNotFound(err) {
		return emptyView(), v1.Hash{}, nil
	}
	if err != nil && grave(err) != nil {
		return v1.Manifest{}, v1.Hash{}, err
	}
	var m v1.Manifest
	if err == nil {
		m, err = parseView(doc.bytes, r.opts.Limits)
	}
	if err != nil {
		err = fmt.Errorf("%w: Writer.Repair with Options.ReplaceViews replaces it", err)
		return v1.Manifest{}, v1.Hash{}, &CandidateError{Manifest: doc.digest, Err: err}
	}
	return m, doc.digest, nil
}

func emptyView() v1.Manifest {
	return v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{}}
}

// parseView reads what is under cosign's tag. Anything may be there: an index, an image, no manifest at all.
func parseView(b []byte, limits Limits) (v1.Manifest, error) {
	if _, err := parseManifest(b, limits); err != nil {
		return v1.Manifest{}, err
	}
	var m v1.Manifest
	if err := decode(b, &m, limits.json()); err != nil {
		return v1.Manifest{}, err
	}
	m.MediaType = cmp.Or(m.MediaType, types.OCIManifestSchema1)
	if m.Layers == nil || !m.MediaType.IsImage() {
		return v1.Manifest{}, errors.New("not an image manifest")
	}
	if len(m.Layers) > 0 && !slices.ContainsFunc(m.Layers, holdsStatement) {
		return v1.Manifest{}, errors.New("an image of something else: no layer holds a statement")
	}
	return m, nil
}

func holdsStatement(l v1.Descriptor) bool { return formOf(string(l.MediaType)) != "" }

// viewToRebuild reads cosign's tag. If it may be replaced, what is no statement is left out, and replaced says so.
func (r *repository) viewToRebuild(ctx context.Context, image name.Digest) (m v1.Manifest, replaced bool, err error) {
	m, _, err = r.att(ctx, image)
	if !r.replaceViews || grave(err) != nil {
		return m, false, err
	}
	if err != nil {
		return emptyView(), true, nil
	}
	before := len(m.Layers)
	m.Layers = slices.DeleteFunc(m.Layers, func(l v1.Descriptor) bool { return !holdsStatement(l) })
	return m, len(m.Layers) < before, nil
}

// maxViewLayers is how many statements cosign reads from its tag. With one more it reads none.
const maxViewLayers = 1000

func (r *repository) rebuildAtt(ctx context.Context, image name.Digest, known memory, l listing) (bool, error) {
	m, replaced, err := r.viewToRebuild(ctx, image)
	if err != nil {
		return false, err
	}
	entries, err := r.entries(ctx, notShown(m.Layers, l.pointers), known)
	if err != nil {
		return false, err
	}
	before := len(m.Layers)
	m.Layers = union(m.Layers, r.envelopes(entries))
	if all := len(m.Layers); all > maxViewLayers {
		err = &LimitError{What: "view layers", Limit: maxViewLayers, Got: int64(all)}
		m.Layers = m.Layers[:max(before, maxViewLayers)]
	}
	if len(m.Layers) == before && !replaced {
		return false, err
	}
	config, err := attConfig(m.Layers)
	if err != nil {
		return false, err
	}
	m.Config = describe(config, types.OCIConfigJSON)
	b, err := json.Marshal(m)
	if err != nil {
		return false, err
	}
	r.opts.Logger.Debug("rebuilding view",
		zap.String("tag", viewTag(image)), zap.Int("before", before), zap.Int("after", len(m.Layers)))
	return true, r.push(ctx, viewTag(image), m.MediaType, b, layer(config, types.OCIConfigJSON))
}

// notShown returns the manifests whose statement may not be among layers. No others need to be read.
func notShown(layers []v1.Descriptor, pointers []pointer) []string {
	shown := map[string]bool{}
	for _, l := range layers {
		shown[l.Digest.String()] = true
	}
	var out []string
	for _, p := range pointers {
		if !shown[p.hints.envelope] {
			out = append(out, p.ref)
		}
	}
	return out
}

// envelopes returns the layers that cosign's tag can show: it knows signed statements only, and fails as a whole if one
// is too large.
func (r *repository) envelopes(entries []entry) []v1.Descriptor {
	var out []v1.Descriptor
	for _, e := range entries {
		for _, l := range e.statements {
			if l.MediaType != EnvelopeType || l.Size > r.opts.Limits.EnvelopeBytes {
				continue
			}
			l.Annotations, l.Data = attAnnotations(l.Annotations), nil
			out = append(out, l)
		}
	}
	return out
}

// maxAnnotation is how long an annotation may be for a view to show it: a chain of certificates is.
const maxAnnotation = 16 << 10

// shortAnnotations returns those annotations that a view can show without growing too large for everybody: those that
// somebody is known to read.
func shortAnnotations(annotations map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range annotations {
		if len(v) <= maxAnnotation && (slices.Contains(ourAnnotations, k) || strings.HasPrefix(k, "dev.sigstore.")) {
			out[k] = v
		}
		if len(out) == 2*len(ourAnnotations) {
			break
		}
	}
	return out
}

var ourAnnotations = []string{
	AnnotationPredicateType, AnnotationTest, AnnotationCreated, AnnotationEnvelope, AnnotationPayload, annotationSignature,
}

// attAnnotations adds the one without which cosign does not read a layer.
func attAnnotations(annotations map[string]string) map[string]string {
	out := shortAnnotations(annotations)
	out[annotationSignature] = ""
	return out
}

// attConfig is an image config for those layers, which are not compressed. cosign needs one to append to the view.
func attConfig(layers []v1.Descriptor) ([]byte, error) {
	c := v1.ConfigFile{RootFS: v1.RootFS{Type: "layers"}}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.Digest)
	}
	return json.Marshal(c)
}

func (r *repository) rebuildIndex(ctx context.Context, image name.Digest, known memory, l listing) (bool, error) {
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	doc, err := r.manifest(ctx, tagBase(image))
	if err == nil {
		err = decode(doc.bytes, &index, r.opts.Limits.json())
	}
	if err == nil && index.Manifests == nil {
		err = errNotIndex
	}
	if err != nil && !isNotFound(err) {
		return false, err
	}
	entries, err := r.entries(ctx, refs(l.pointers), known)
	if err != nil {
		return false, err
	}
	before := len(index.Manifests)
	var record []v1.Descriptor
	for _, e := range entries {
		if d := e.descriptor; e.err == nil {
			d.Annotations = shortAnnotations(d.Annotations)
			record = append(record, d)
		}
	}
	index.MediaType = cmp.Or(index.MediaType, types.OCIImageIndex)
	index.Manifests = union(index.Manifests, record)
	if len(index.Manifests) == before {
		return false, nil
	}
	b, err := json.Marshal(index)
	if err != nil {
		return false, err
	}
	return true, r.push(ctx, tagBase(image), index.MediaType, b)
}

// union returns have with those of more that it lacks.
func union(have, more []v1.Descriptor) []v1.Descriptor {
	seen := map[v1.Hash]bool{}
	for _, d := range have {
		seen[d.Digest] = true
	}
	for _, d := range more {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			have = append(have, d)
		}
	}
	return have
}
