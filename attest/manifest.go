package attest

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
)

// An entry is one manifest of the record of an image.
type entry struct {
	descriptor v1.Descriptor
	bytes      []byte
	statements []v1.Descriptor // layers that hold a statement
	err        error           // why it could not be read
}

// A memory holds manifests already read in this call, by digest or by the tag that names their digest.
type memory map[string]entry

// entries fetches the manifests behind tags and digests, and keeps those that hold statements and those that cannot be
// read.
func (r *records) entries(ctx context.Context, refs []string, known memory) ([]entry, error) {
	all := make([]entry, len(refs))
	err := parallel(ctx, len(refs), r.opts.Parallel, func(ctx context.Context, i int) (err error) {
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
	var keep []entry
	for i, e := range all {
		if e.err == nil {
			known[refs[i]] = e
		}
		if e.err != nil || len(e.statements) > 0 {
			keep = append(keep, e)
		}
	}
	return keep, nil
}

// entry fetches one manifest. Only an error that says nothing about the manifest is returned; others are part of the
// entry.
func (r *records) entry(ctx context.Context, ref string) (entry, error) {
	short, tagged := shortDigest(ref)
	digest, err := v1.NewHash(ref)
	if err != nil && !tagged {
		return entry{err: &FieldError{"manifests", err.Error()}}, nil
	}
	doc, err := r.listed(ctx, ref, tagged)
	if err != nil {
		return entry{descriptor: v1.Descriptor{Digest: digest}, err: err}, grave(err)
	}
	if err := r.budget.decode(doc.bytes, r.opts.Limits.TotalValues); err != nil {
		return entry{}, err
	}
	e := parseEntry(doc, r.opts.Limits)
	if tagged && !strings.HasPrefix(doc.digest.Hex, short) {
		e.err = &FieldError{"tag " + ref, fmt.Sprintf("was moved to %s", doc.digest)}
	}
	return e, nil
}

// listed reads a manifest that a list names. Registries list a tag a moment before they can read it, so what has a tag
// of its own and is not found is asked for again.
func (r *records) listed(ctx context.Context, ref string, tagged bool) (document, error) {
	again := func(err error) bool { return tagged && isNotFound(err) }
	doc, err := retry(ctx, r.opts, again, func() (document, error) { return r.manifest(ctx, ref) })
	return doc, unfinished(ctx, "read manifest", r.ref(ref), err)
}

// grave returns err if it is about the registry or this call, nil if it is about the one thing that was asked for.
func grave(err error) error {
	var limit *LimitError
	if errors.As(err, &limit) && slices.Contains([]string{whatTotal, whatPassed, whatValues, whatRequest, whatCall}, limit.What) {
		return err
	}
	var registry *RegistryError
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

// parseManifest decodes an image manifest or an index. Its bytes tell which it is: no digest covers the media type that
// a registry serves it as. One that may be either, or neither, is an error and never an empty list.
func parseManifest(b []byte, limits Limits) (manifest, error) {
	var m manifest
	if err := decode(b, &m, limits.json()); err != nil {
		return manifest{}, err
	}
	if (m.Layers == nil) == (m.Manifests == nil) {
		return manifest{}, &FieldError{"manifests", "there must be manifests or layers, and not both"}
	}
	return m, nil
}

func parseEntry(doc document, limits Limits) entry {
	e := entry{
		descriptor: v1.Descriptor{MediaType: doc.media, Digest: doc.digest, Size: int64(len(doc.bytes))},
		bytes:      doc.bytes,
	}
	var m manifest
	if m, e.err = parseManifest(doc.bytes, limits); e.err != nil {
		return e
	}
	e.descriptor.MediaType = cmp.Or(m.MediaType, doc.media)
	e.descriptor.ArtifactType, e.descriptor.Annotations = m.ArtifactType, m.Annotations
	e.statements, e.err = m.statements(limits.Statements)
	return e
}

// statements returns the layers that hold a statement. An index has no layers. That there should be one in a form which
// is not known, as a later release may write it, is an error.
func (m manifest) statements(limit int) ([]v1.Descriptor, error) {
	var out []v1.Descriptor
	for _, l := range m.Layers {
		if formOf(l.MediaType) == "" {
			if promisesTest(l.Annotations) {
				return nil, noForm(l.MediaType)
			}
			continue
		}
		digest, err := v1.NewHash(l.Digest)
		if err != nil {
			return nil, &FieldError{"layers", err.Error()}
		}
		if len(out) == limit {
			return nil, &LimitError{What: whatStatements, Limit: int64(limit), Got: int64(limit) + 1}
		}
		media := types.MediaType(l.MediaType)
		out = append(out, v1.Descriptor{MediaType: media, Digest: digest, Size: l.Size, Annotations: l.Annotations, Data: l.Data})
	}
	// A manifest without an artifact type has that of its config, as OCI has it.
	if artifact := cmp.Or(m.ArtifactType, m.Config.MediaType); len(out) == 0 && (formOf(artifact) != "" || promisesTest(m.Annotations)) {
		return nil, &FieldError{"layers", "none holds a statement"}
	}
	return out, nil
}

// promisesTest reports whether annotations name a type that is understood, or a version of it.
func promisesTest(annotations map[string]string) bool {
	return familyOf(readHints(annotations).predicateType) != ""
}

func noForm(media string) error {
	return &FieldError{"layers", fmt.Sprintf("the media type %.100q is none of a statement that this release reads: upgrade, or delete "+
		"the manifest if it is not yours", media)}
}
