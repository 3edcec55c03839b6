package attest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.uber.org/zap"
)

// att reads cosign's tag. No tag is an empty view, and so is a manifest without layers to cosign. An error that is not
// grave is about what the tag holds, and the manifest beside it has the layers that can be told.
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
		return m, v1.Hash{}, &CandidateError{Manifest: doc.digest, Err: err}
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
	if _, err := namedIn(m); err != nil {
		delete(m.Annotations, AnnotationNotShown)
		return m, err
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
	if err != nil && m.Layers == nil {
		return emptyView(), true, nil
	}
	before := len(m.Layers)
	m.Layers = slices.DeleteFunc(m.Layers, func(l v1.Descriptor) bool { return !holdsStatement(l) })
	return m, err != nil || len(m.Layers) < before, nil
}

// maxViewLayers is how many statements cosign reads from its tag. With one more it reads none.
const maxViewLayers = 1000

// rebuildAtt adds to cosign's tag the statements that it lacks, and the names of the records that it cannot show.
func (p *publication) rebuildAtt(ctx context.Context, l listing) (bool, *ViewError) {
	changed, err := p.tryAtt(ctx, l)
	return changed, viewError(viewTag(p.image), l.view.exists(), err)
}

func (p *publication) tryAtt(ctx context.Context, l listing) (bool, error) {
	if l.view.broken != nil && !p.replaceViews {
		return false, l.view.broken
	}
	entries, err := p.entries(ctx, l.view.lacks(l.hinted()), p.known)
	if err != nil {
		return false, err
	}
	listed := v1.Manifest{Layers: l.view.layers, Annotations: map[string]string{AnnotationNotShown: l.view.names()}}
	if changed, err := p.show(&listed, entries); !changed && !p.replaceViews {
		return false, err
	}
	m, replaced, err := p.viewToRebuild(ctx, p.image) // as it is by now
	if err != nil {
		return false, err
	}
	before := len(m.Layers)
	changed, full := p.show(&m, entries)
	if !changed && !replaced {
		return false, full
	}
	p.full = viewError(viewTag(p.image), true, full)
	config, err := attConfig(m.Layers)
	if err != nil {
		return false, err
	}
	m.Config = describe(config, types.OCIConfigJSON)
	b, err := json.Marshal(m)
	if err != nil {
		return false, err
	}
	p.opts.Logger.Debug("rebuilding view",
		zap.String("tag", viewTag(p.image)), zap.Int("before", before), zap.Int("after", len(m.Layers)))
	return true, p.push(ctx, viewTag(p.image), m.MediaType, b, config)
}

// show adds to a view what it can show of entries, and names the others. An error says that there are too many, and
// does not keep the view from being written.
func (r *repository) show(m *v1.Manifest, entries []entry) (changed bool, err error) {
	before := len(m.Layers)
	m.Layers = union(m.Layers, r.envelopes(entries))
	if all := len(m.Layers); all > maxViewLayers {
		err = &LimitError{What: "view layers", Limit: maxViewLayers, Got: int64(all)}
		m.Layers = m.Layers[:max(before, maxViewLayers)]
	}
	names := m.Annotations[AnnotationNotShown]
	if all := withNames(names, missingIn(m.Layers, entries)); all != names {
		m.Annotations = maps.Clone(m.Annotations)
		if m.Annotations == nil {
			m.Annotations = map[string]string{}
		}
		m.Annotations[AnnotationNotShown] = all
		changed = true
	}
	return changed || len(m.Layers) > before, err
}

// missingIn returns the digests of the entries that hold a statement which is not among layers.
func missingIn(layers []v1.Descriptor, entries []entry) []string {
	shown := map[v1.Hash]bool{}
	for _, l := range layers {
		shown[l.Digest] = true
	}
	var missing []string
	for _, e := range entries {
		hidden := func(statement v1.Descriptor) bool { return !shown[statement.Digest] }
		if e.err == nil && slices.ContainsFunc(e.statements, hidden) {
			missing = append(missing, e.descriptor.Digest.String())
		}
	}
	return missing
}

// withNames adds digests to the value of AnnotationNotShown.
func withNames(names string, more []string) string {
	all := more
	if names != "" {
		all = slices.Concat(strings.Split(names, ","), more)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ",")
}

// namedIn returns the records that a view names because it cannot show them.
func namedIn(m v1.Manifest) ([]pointer, error) {
	names := m.Annotations[AnnotationNotShown]
	if names == "" {
		return nil, nil
	}
	var named []pointer
	for _, digest := range strings.Split(names, ",") {
		if _, err := v1.NewHash(digest); err != nil {
			return nil, &FieldError{"annotations." + AnnotationNotShown, err.Error()}
		}
		named = append(named, pointer{ref: digest})
	}
	return named, nil
}

// names is the value of AnnotationNotShown.
func (v shownView) names() string { return strings.Join(refs(v.named), ",") }

// lacks returns the manifests whose statement the view may neither show nor name. No others need to be read.
func (v shownView) lacks(pointers []pointer) []string {
	known := map[string]bool{}
	for _, l := range v.layers {
		known[l.Digest.String()] = true
	}
	for _, p := range v.named {
		known[p.ref] = true
	}
	var out []string
	for _, p := range pointers {
		if !known[p.hints.envelope] && !known[p.ref] {
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
	c := v1.ConfigFile{RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}}}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.Digest)
	}
	return json.Marshal(c)
}

// rebuildIndex adds to the fallback index the records that it lacks.
func (p *publication) rebuildIndex(ctx context.Context, l listing) (bool, *ViewError) {
	changed, err := p.tryIndex(ctx, l)
	return changed, viewError(tagBase(p.image), l.indexed != nil, err)
}

func (p *publication) tryIndex(ctx context.Context, l listing) (bool, error) {
	entries, err := p.entries(ctx, l.notIndexed(), p.known)
	if err != nil {
		return false, err
	}
	var record []v1.Descriptor
	for _, e := range entries {
		if d := e.descriptor; e.err == nil {
			d.Annotations = shortAnnotations(d.Annotations)
			record = append(record, d)
		}
	}
	if len(record) == 0 {
		return false, nil
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	doc, err := p.manifest(ctx, tagBase(p.image)) // as it is by now
	if err == nil {
		err = decode(doc.bytes, &index, p.opts.Limits.json())
	}
	if err == nil && index.Manifests == nil {
		err = errNotIndex
	}
	if err != nil && !isNotFound(err) {
		return false, err
	}
	before := len(index.Manifests)
	index.MediaType = cmp.Or(index.MediaType, types.OCIImageIndex)
	index.Manifests = union(index.Manifests, record)
	if len(index.Manifests) == before {
		return false, nil
	}
	b, err := json.Marshal(index)
	if err != nil {
		return false, err
	}
	return true, p.push(ctx, tagBase(p.image), index.MediaType, b)
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
