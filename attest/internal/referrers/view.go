package referrers

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

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// att reads cosign's tag. No tag is an empty view, and so is a manifest without layers to cosign. An error that is not
// grave is about what the tag holds, and the manifest beside it has the layers that can be told.
func (r *Records) att(ctx context.Context, image name.Digest) (v1.Manifest, v1.Hash, error) {
	doc, err := r.Manifest(ctx, viewTag(image))
	if registry.IsNotFound(err) {
		return emptyView(), v1.Hash{}, nil
	}
	if err != nil && IsFatal(err) != nil {
		return v1.Manifest{}, v1.Hash{}, err
	}
	var m v1.Manifest
	if err == nil {
		m, err = parseView(doc.Bytes, r.Options.Limits)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, howToReplace)
		return m, v1.Hash{}, &CandidateError{Manifest: doc.Digest, Err: err}
	}
	return m, doc.Digest, nil
}

func emptyView() v1.Manifest {
	return v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{}}
}

// parseView reads what is under cosign's tag. Anything may be there: an index, an image, no manifest at all.
func parseView(b []byte, limits registry.Limits) (v1.Manifest, error) {
	if _, err := ParseManifest(b, limits); err != nil {
		return v1.Manifest{}, err
	}
	var m v1.Manifest
	if err := fault.Decode(b, &m, registry.JSON(limits)); err != nil {
		return v1.Manifest{}, err
	}
	m.MediaType = cmp.Or(m.MediaType, types.OCIManifestSchema1)
	if m.Layers == nil || !m.MediaType.IsImage() {
		return v1.Manifest{}, errors.New("not an image manifest")
	}
	if len(m.Layers) > 0 && !slices.ContainsFunc(m.Layers, holdsStatement) {
		return v1.Manifest{}, errors.New("an image of something else: no layer holds a statement")
	}
	_, err := namedIn(m)
	return m, err
}

func holdsStatement(l v1.Descriptor) bool { return intoto.EncodingOf(string(l.MediaType)) != "" }

func viewOf(m v1.Manifest, digest v1.Hash) View {
	named, _ := namedIn(m) // it has been read, with m
	return View{Digest: digest, manifest: m, Layers: m.Layers, named: named}
}

// byWriter reports whether a Writer has written the tag.
func (v View) byWriter() bool {
	return len(v.named) > 0 || slices.ContainsFunc(v.Layers,
		func(l v1.Descriptor) bool { return l.Annotations[AnnotationTest] != "" })
}

// toRebuild returns the manifest to which statements are added. If the view may be replaced, what is no statement is
// left out, and replaced says so.
func (v View) toRebuild(replace bool) (m v1.Manifest, replaced bool, err error) {
	m = v.manifest
	switch {
	case !replace && v.Broken != nil:
		return m, false, v.Broken
	case !replace:
		return m, false, nil
	case v.Broken != nil && m.Layers == nil:
		return emptyView(), true, nil
	}
	before := len(m.Layers)
	m.Layers = slices.DeleteFunc(slices.Clone(m.Layers), func(l v1.Descriptor) bool { return !holdsStatement(l) })
	return withoutBadNames(m), v.Broken != nil || len(m.Layers) < before, nil
}

// maxViewLayers is how many statements cosign reads from its tag. With one more it reads none.
const maxViewLayers = 1000

// rebuildAtt adds to cosign's tag the statements that it lacks, and the names of the records that it cannot show.
func (p *Publication) rebuildAtt(ctx context.Context, l *Listing) (bool, *ViewError) {
	changed, err := p.tryAtt(ctx, l)
	return changed, viewError(viewTag(p.image), l.View.exists(), err)
}

func (p *Publication) tryAtt(ctx context.Context, l *Listing) (bool, error) {
	if l.View.Broken != nil && !p.ReplaceViews {
		return false, l.View.Broken
	}
	entries, err := p.Entries(ctx, l.View.lacks(l.hinted()), p.Known)
	if err != nil {
		return false, err
	}
	listed := l.View.manifest
	if changed, err := p.show(&listed, entries); !changed && !p.ReplaceViews {
		return false, err
	}
	if l.View, err = p.viewByNow(ctx, l.View); err != nil {
		return false, err
	}
	m, replaced, err := l.View.toRebuild(p.ReplaceViews)
	if err != nil {
		return false, err
	}
	before := len(m.Layers)
	changed, full := p.show(&m, entries)
	if !changed && !replaced {
		return false, full
	}
	p.full = viewError(viewTag(p.image), true, full)
	p.Options.Logger.Debug("rebuilding view",
		zap.String("tag", viewTag(p.image)), zap.Int("before", before), zap.Int("after", len(m.Layers)))
	return true, p.putAtt(ctx, l, m)
}

// viewByNow reads cosign's tag, unless it was just read.
func (p *Publication) viewByNow(ctx context.Context, read View) (View, error) {
	if p.viewRead {
		p.viewRead = false
		return read, nil
	}
	return p.view(ctx, p.image)
}

// putAtt writes cosign's tag. The blobs of its layers are there, the one of the record since a moment ago.
func (p *Publication) putAtt(ctx context.Context, l *Listing, m v1.Manifest) error {
	config, err := attConfig(m.Layers)
	if err != nil {
		return err
	}
	m.Config = registry.Describe(config, types.OCIConfigJSON)
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := p.Upload(ctx, config); err != nil {
		return err
	}
	blobs := [][]byte{config}
	if p.stored != nil {
		blobs = append(blobs, p.stored)
	}
	if err := p.PutStored(ctx, viewTag(p.image), m.MediaType, b, blobs...); err != nil {
		return err
	}
	l.View = viewOf(m, registry.Describe(b, "").Digest)
	return nil
}

// show adds to a view what it can show of entries, and names the others. An error says that there are too many, and
// does not keep the view from being written.
func (r *Records) show(m *v1.Manifest, entries []Entry) (changed bool, err error) {
	before := len(m.Layers)
	m.Layers = union(slices.Clone(m.Layers), r.envelopes(entries))
	if all := len(m.Layers); all > maxViewLayers {
		err = &fault.LimitError{What: "view layers", Limit: maxViewLayers, Got: int64(all)}
		m.Layers = m.Layers[:max(before, maxViewLayers)]
	}
	named, _ := namedIn(*m)
	changed = setNames(m, withNames(refs(named), missingIn(m.Layers, entries)))
	return changed || len(m.Layers) > before, err
}

// missingIn returns the digests of the entries that hold a statement which is not among layers.
func missingIn(layers []v1.Descriptor, entries []Entry) []string {
	shown := map[v1.Hash]bool{}
	for _, l := range layers {
		shown[l.Digest] = true
	}
	var missing []string
	for _, e := range entries {
		hidden := func(statement v1.Descriptor) bool { return !shown[statement.Digest] }
		if e.Err == nil && slices.ContainsFunc(e.Statements, hidden) {
			missing = append(missing, e.Descriptor.Digest.String())
		}
	}
	return missing
}

// withNames makes the value of AnnotationNotShown.
func withNames(names, more []string) string {
	all := slices.Concat(names, more)
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ",")
}

// setNames writes names into the annotations of a view, and of one layer of each predicate type in it. cosign attest
// --replace drops the annotations of the manifest and the layers of one type, and keeps other layers as they are.
func setNames(m *v1.Manifest, names string) (changed bool) {
	if names == "" {
		return false
	}
	m.Annotations, changed = withAnnotation(m.Annotations, names)
	done := map[string]bool{}
	for i, l := range m.Layers {
		predicateType := l.Annotations[AnnotationPredicateType]
		if done[predicateType] || !holdsStatement(l) {
			continue
		}
		done[predicateType] = true
		var also bool
		m.Layers[i].Annotations, also = withAnnotation(l.Annotations, names)
		changed = changed || also
	}
	return changed
}

func withAnnotation(annotations map[string]string, names string) (map[string]string, bool) {
	if annotations[AnnotationNotShown] == names {
		return annotations, false
	}
	out := map[string]string{AnnotationNotShown: names}
	for k, v := range annotations {
		if k != AnnotationNotShown {
			out[k] = v
		}
	}
	return out, true
}

// namedIn returns the records that a view names because it cannot show them, all that any annotation names. An error
// says that an annotation is none of names.
func namedIn(m v1.Manifest) ([]Pointer, error) {
	digests, err := namesIn("annotations", m.Annotations)
	errs := []error{err}
	for i, l := range m.Layers {
		more, err := namesIn(fmt.Sprintf("layers[%d].annotations", i), l.Annotations)
		digests, errs = append(digests, more...), append(errs, err)
	}
	slices.Sort(digests)
	var named []Pointer
	for _, digest := range slices.Compact(digests) {
		named = append(named, Pointer{Ref: digest})
	}
	return named, errors.Join(errs...)
}

// namesIn returns the digests that annotations name. One of them that is none is an error, and then none counts.
func namesIn(field string, annotations map[string]string) ([]string, error) {
	names := annotations[AnnotationNotShown]
	if names == "" {
		return nil, nil
	}
	digests := strings.Split(names, ",")
	for _, digest := range digests {
		if _, err := v1.NewHash(digest); err != nil {
			return nil, &fault.FieldError{Field: field + "." + AnnotationNotShown, Problem: err.Error()}
		}
	}
	return digests, nil
}

// withoutBadNames returns a view without the annotations that should name records and do not.
func withoutBadNames(m v1.Manifest) v1.Manifest {
	m.Annotations = goodNames(m.Annotations)
	for i, l := range m.Layers {
		m.Layers[i].Annotations = goodNames(l.Annotations)
	}
	return m
}

func goodNames(annotations map[string]string) map[string]string {
	if _, err := namesIn("", annotations); err == nil {
		return annotations
	}
	out := maps.Clone(annotations)
	delete(out, AnnotationNotShown)
	return out
}

// lacks returns the manifests whose statement the view may neither show nor name. No others need to be read.
func (v View) lacks(pointers []Pointer) []string {
	known := map[string]bool{}
	for _, l := range v.Layers {
		known[l.Digest.String()] = true
	}
	for _, p := range v.named {
		known[p.Ref] = true
	}
	var out []string
	for _, p := range pointers {
		if !known[p.Hints.Envelope] && !known[p.Ref] {
			out = append(out, p.Ref)
		}
	}
	return out
}

// envelopes returns the layers that cosign's tag can show: it knows signed statements only, and fails as a whole if one
// is too large.
func (r *Records) envelopes(entries []Entry) []v1.Descriptor {
	var out []v1.Descriptor
	for _, e := range entries {
		for _, l := range e.Statements {
			if l.MediaType != intoto.EnvelopeType || l.Size > r.Options.Limits.EnvelopeBytes {
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

// ourAnnotations are those that a writer puts at the layer of a statement, or at its manifest.
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
func (p *Publication) rebuildIndex(ctx context.Context, l *Listing) (bool, *ViewError) {
	changed, err := p.tryIndex(ctx, l)
	return changed, viewError(TagBase(p.image), l.indexed != nil, err)
}

// tryIndex is rebuildIndex. Its error is about the index or the registry.
func (p *Publication) tryIndex(ctx context.Context, l *Listing) (bool, error) {
	index, replaced, err := p.indexToRebuild(ctx, l)
	if err := p.ensureConfig(ctx, *l); err != nil {
		return false, err
	}
	if err != nil || index == nil {
		return false, err
	}
	entries, err := p.Entries(ctx, l.notIndexed(), p.Known)
	if err != nil {
		return false, err
	}
	var record []v1.Descriptor
	for _, e := range entries {
		if d := e.Descriptor; e.Err == nil {
			d.Annotations = shortAnnotations(d.Annotations)
			record = append(record, d)
		}
	}
	before := len(index.Manifests)
	index.MediaType = cmp.Or(index.MediaType, types.OCIImageIndex)
	index.Manifests = union(index.Manifests, record)
	if len(index.Manifests) == before && !replaced {
		return false, nil
	}
	b, err := json.Marshal(index)
	if err != nil {
		return false, err
	}
	if err := p.Put(ctx, TagBase(p.image), index.MediaType, b); err != nil {
		return true, err
	}
	return true, l.setIndex(parseIndex(b, p.Options.Limits))
}

// indexToRebuild reads the fallback index as it is by now. It is nil if the tag leads to an image, which stays there.
// If the index may be replaced, it is empty in place of rubbish, and of any image but the one that it is about.
func (p *Publication) indexToRebuild(ctx context.Context, l *Listing) (index *v1.IndexManifest, replaced bool,
	err error) {
	indexed, doc, taken := p.readIndex(ctx, p.image)
	if err := l.setIndex(indexed, taken); err != nil {
		return nil, false, err
	}
	p.unite(l)
	index = &v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{}}
	if indexed != nil {
		err = fault.Decode(doc.Bytes, index, registry.JSON(p.Options.Limits))
	} else if l.Rubbish != nil {
		err = l.Rubbish
	}
	switch {
	case taken == nil && err == nil:
		return index, false, nil
	case p.ReplaceViews && !errors.Is(taken, errIsImage):
		l.index = true
		return &v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{}}, true, nil
	}
	return nil, false, err
}

// ensureConfig makes sure that the config of the record is there. Each Writer does before it writes the index, so one
// that names a record shows that it is.
func (p *Publication) ensureConfig(ctx context.Context, l Listing) error {
	byWriter := func(indexed Pointer) bool { return indexed.Hints.Payload != "" }
	if p.Configured || p.Record.Bytes == nil || slices.ContainsFunc(l.indexed, byWriter) {
		return nil
	}
	p.Configured = true
	return p.StoreConfig(ctx)
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

// A View is what cosign's tag holds.
type View struct {
	Digest   v1.Hash
	manifest v1.Manifest // empty if there is none; of a broken one, what can be told
	Layers   []v1.Descriptor
	named    []Pointer       // records that it names because it cannot show them
	Broken   *CandidateError // why it could not be read
}

// exists reports whether there is anything under the tag.
func (v View) exists() bool { return v.Digest != (v1.Hash{}) || v.Broken != nil }

// view reads cosign's tag. That it cannot be read is part of the answer, unless the registry is to blame.
func (r *Records) view(ctx context.Context, image name.Digest) (View, error) {
	m, digest, err := r.att(ctx, image)
	if err := IsFatal(err); err != nil {
		return View{}, err
	}
	if err != nil {
		broken := asCandidate(digest, err)
		err = fmt.Errorf("tag %s: %w", viewTag(image), broken.Err)
		return View{manifest: m, Broken: &CandidateError{Manifest: broken.Manifest, Err: err}}, nil
	}
	return viewOf(m, digest), nil
}

func asCandidate(manifest v1.Hash, err error) *CandidateError {
	var c *CandidateError
	if errors.As(err, &c) {
		return c
	}
	return &CandidateError{Manifest: manifest, Err: err}
}
