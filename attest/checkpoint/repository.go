package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.uber.org/zap"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/strictjson"
)

// Access is how the registry is reached, the same type as attest.Access, which explains it: Keychain, Transport, Attempts,
// Backoff, Parallel, Limits and Logger. The zero value serves.
type Access = registry.Options

// Repository returns a [Store] in a repository of a registry, best another one than the images are in, with other
// credentials. Each mark is an immutable manifest, kept as
// records are (see attest.Record): its subject is an empty manifest for the image's digest and the test, which is
// pushed first. So writers do not undo each other here either. Lower marks are deleted where the registry allows that;
// where it does not, access.Limits.Statements is how many marks one test at one image can have.
//
// Marks of releases whose subject was no manifest, and was made of the repository's name too, are still read for an
// image in that repository, and are left as they are. A mirror of the image knows them as soon as newer evidence was
// seen in that repository.
func Repository(repo name.Repository, access Access) Store {
	return &checkpointRepository{repo, registry.New(access, transport.PushScope)}
}

// marks are the records of marks in the repository.
type marks struct{ *referrers.Records }

func (c *checkpointRepository) open(ctx context.Context) (marks, error) {
	repo, err := referrers.Open(ctx, c.registry, c.name, referrers.Layout{})
	return marks{repo}, err
}

type checkpointRepository struct {
	name     name.Repository
	registry *registry.Registry
}

const (
	markType    = "application/vnd.testdag.checkpoint.v1+json"         // of a mark, and the artifact type of its manifest
	subjectType = "application/vnd.testdag.checkpoint.subject.v1+json" // artifact type of what marks refer to
)

// A storedMark is a mark as JSON.
type storedMark struct {
	Image         string    `json:"image"` // its digest; earlier releases put the repository's name before it
	Test          string    `json:"test"`
	PredicateType string    `json:"predicateType"`
	Time          time.Time `json:"time"`
	Statements    []string  `json:"statements"`
	Referrers     bool      `json:"referrers,omitempty"`
}

// Seen reads the highest marks. One that is deleted in between was not the highest any more, so it looks again.
func (c *checkpointRepository) Seen(ctx context.Context, image name.Digest, test intoto.Test) (Mark, error) {
	ctx, done := registry.Within(ctx, registry.WhatCall, c.registry.Options.Limits.CallTime)
	defer done()
	repo, err := c.open(ctx)
	if err != nil {
		return Mark{}, err
	}
	subject, _, err := c.subject(image, test)
	if err != nil {
		return Mark{}, err
	}
	m, err := registry.Retry(ctx, repo.Options, registry.IsNotFound, func() (Mark, error) { return repo.seen(ctx, subject, c.oldSubject(image, test)) })
	return m, registry.Unfinished(ctx, "read manifest", repo.Name.Name(), err)
}

// seen returns the highest of the marks that refer to any of the subjects.
func (r marks) seen(ctx context.Context, subjects ...name.Digest) (Mark, error) {
	marks := make([]Mark, len(subjects))
	err := registry.Parallel(ctx, len(subjects), len(subjects), func(ctx context.Context, i int) error {
		l, err := r.List(ctx, subjects[i])
		if errors.Is(err, referrers.ErrNoImage) {
			return nil // the repository is made with the first mark
		}
		if err == nil {
			marks[i], err = r.highest(ctx, l.Pointers)
		}
		return err
	})
	return highestOf(marks), err
}

func highestOf(marks []Mark) Mark {
	var highest Mark
	for _, m := range marks {
		highest = highest.Merge(m)
	}
	return highest
}

// subject names what marks refer to: the manifest that buildSubject makes.
func (c *checkpointRepository) subject(image name.Digest, test intoto.Test) (name.Digest, []byte, error) {
	b, err := buildSubject(image, test)
	return c.name.Digest(registry.Describe(b, "").Digest.String()), b, err
}

// buildSubject makes the manifest that the marks of a test at an image refer to. It holds nothing but their names, and
// equal arguments give equal bytes, so that every writer and reader finds the same digest.
func buildSubject(image name.Digest, test intoto.Test) ([]byte, error) {
	nothing := registry.Describe([]byte(registry.EmptyConfig), registry.EmptyConfigType)
	return json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  subjectType,
		Config:        nothing,
		Layers:        []v1.Descriptor{nothing}, // there are registries that refuse a manifest without layers
		Annotations: map[string]string{
			annotationImage:                   image.DigestStr(),
			referrers.AnnotationTest:          test.Name,
			referrers.AnnotationPredicateType: test.PredicateType,
		},
	})
}

// annotationImage says at the subject of marks which image they are of.
const annotationImage = "io.github.testdag.image"

// oldSubject names what the marks of earlier releases refer to: the digest of a key, of which there is no manifest.
func (c *checkpointRepository) oldSubject(image name.Digest, test intoto.Test) name.Digest {
	_, key := oldMarkKey(image, test)
	return c.name.Digest("sha256:" + key)
}

// pushSubject makes sure that the subject of marks is there: there are registries that refuse a manifest without its
// subject, do not list it, or collect it as garbage. A tag keeps the subject itself from being collected.
func (r marks) pushSubject(ctx context.Context, subject name.Digest, b []byte) error {
	tag := referrers.TagBase(subject) + ".subject"
	if doc, err := r.Manifest(ctx, tag); err == nil && doc.Digest.String() == subject.DigestStr() {
		return nil
	}
	if err := r.StoreConfig(ctx); err != nil {
		return err
	}
	pushed := r.PutStored(ctx, tag, types.OCIManifestSchema1, b, []byte(registry.EmptyConfig))
	if pushed == nil {
		return nil
	}
	// Another writer may have pushed the same bytes to a tag that cannot be written twice.
	if _, err := r.Manifest(ctx, subject.DigestStr()); err == nil {
		return nil
	}
	return pushed
}

// highest returns the highest of the marks, and reads no more of them than it must: a mark that annotations say to be
// higher must be there, and be as high.
func (r marks) highest(ctx context.Context, pointers []referrers.Pointer) (Mark, error) {
	var newest time.Time
	for _, p := range pointers {
		if p.Hints.Created.After(newest) {
			newest = p.Hints.Created
		}
	}
	pointers = slices.DeleteFunc(slices.Clone(pointers), func(p referrers.Pointer) bool {
		return !p.Hints.Created.IsZero() && p.Hints.Created.Before(newest)
	})
	marks := make([]Mark, len(pointers))
	err := registry.Parallel(ctx, len(pointers), r.Options.Parallel, func(ctx context.Context, i int) (err error) {
		marks[i], err = r.mark(ctx, pointers[i])
		return err
	})
	return highestOf(marks), err
}

// mark reads one mark.
func (r marks) mark(ctx context.Context, p referrers.Pointer) (Mark, error) {
	doc, err := r.Manifest(ctx, p.Ref)
	if err != nil {
		return Mark{}, err
	}
	mark, err := parseMarkManifest(doc.Bytes, r.Options.Limits)
	if err == nil && !p.Hints.Created.IsZero() && !mark.Time.Equal(p.Hints.Created) {
		err = &fault.FieldError{Field: "annotations." + referrers.AnnotationCreated, Problem: fmt.Sprintf("%s, and the mark says %s", p.Hints.Created, mark.Time)}
	}
	if err != nil {
		return Mark{}, registry.Wrap("read manifest", r.Ref(p.Ref), err)
	}
	return mark, nil
}

func parseMarkManifest(b []byte, limits registry.Limits) (Mark, error) {
	m, err := referrers.ParseManifest(b, limits)
	if err != nil {
		return Mark{}, err
	}
	if m.ArtifactType != markType || len(m.Layers) != 1 {
		problem := fmt.Sprintf("%q with %d layers is no mark: delete it if no Checkpoint wrote it", m.ArtifactType, len(m.Layers))
		return Mark{}, &fault.FieldError{Field: "artifactType", Problem: problem}
	}
	return parseStoredMark(m.Layers[0].Data, registry.JSON(limits))
}

func parseStoredMark(b []byte, limits strictjson.Limits) (Mark, error) {
	var stored storedMark
	if err := fault.Decode(b, &stored, limits); err != nil {
		return Mark{}, err
	}
	var c fault.Checklist
	c.Require("time", !stored.Time.IsZero())
	m := Mark{Time: stored.Time, Referrers: stored.Referrers}
	for i, s := range stored.Statements {
		digest, err := v1.NewHash(s)
		if err != nil {
			c.Add(fmt.Sprintf("statements[%d]", i), err.Error())
		}
		m.Statements = append(m.Statements, digest)
	}
	return m, errors.Join(c...)
}

// Advance stores the mark, if it is not below what is there.
func (c *checkpointRepository) Advance(ctx context.Context, image name.Digest, test intoto.Test, m Mark) error {
	seen, err := c.Seen(ctx, image, test)
	if err != nil {
		return err
	}
	if m.Merge(seen).Equal(seen) {
		return nil
	}
	m.Referrers = m.Referrers || seen.Referrers // the mark that says so is about to be pruned
	ctx, done := registry.Within(ctx, registry.WhatCall, c.registry.Options.Limits.CallTime)
	defer done()
	repo, err := c.open(ctx)
	if err != nil {
		return err
	}
	subject, empty, err := c.subject(image, test)
	if err != nil {
		return err
	}
	if err := repo.pushSubject(ctx, subject, empty); err != nil {
		return err
	}
	b, blob, err := buildMark(registry.Describe(empty, types.OCIManifestSchema1), image, test, m)
	if err != nil {
		return err
	}
	record := referrers.NewRecord(c.name, b)
	// The tag of its own makes it found in a registry without the referrers API, and keeps it from being collected.
	if err := repo.Upload(ctx, blob); err != nil {
		return err
	}
	err = repo.PutStored(ctx, referrers.RecordTag(subject, record.Digest), types.OCIManifestSchema1, b, blob, []byte(registry.EmptyConfig))
	if err != nil {
		return err
	}
	p := repo.Publication(subject, referrers.Memory{}, false)
	p.Record, p.Tagged[record.Digest] = record, true
	l, err := p.Run(ctx, referrers.Listing{Referrers: true}) // if it has the API: the first look tells
	if err != nil {
		// A higher mark of another process may have taken its place, and pruned it. Marks may be pruned during this look too.
		if seen, seenErr := c.Seen(ctx, image, test); seenErr == nil && m.Merge(seen).Equal(seen) {
			return nil
		}
		return err
	}
	if repo.prune(ctx, subject, l.Pointers, m) {
		m.Referrers = true
		return c.Advance(ctx, image, test, m)
	}
	return nil
}

// prune deletes lower marks, where the registry lets it. What stays does no harm. It keeps a lower mark that alone has
// seen the referrers API, and returns true: the highest has to say so first.
func (r marks) prune(ctx context.Context, subject name.Digest, pointers []referrers.Pointer, highest Mark) bool {
	var more atomic.Bool
	_ = registry.Parallel(ctx, len(pointers), r.Options.Parallel, func(ctx context.Context, i int) error {
		mark, err := r.mark(ctx, pointers[i])
		if err != nil || !mark.Time.Before(highest.Time) {
			return nil
		}
		if mark.Referrers && !highest.Referrers {
			more.Store(true)
			return nil
		}
		err = r.Remove(ctx, pointers[i].Ref)
		if digest, hashErr := v1.NewHash(pointers[i].Ref); hashErr == nil {
			err = errors.Join(r.Remove(ctx, referrers.RecordTag(subject, digest)), err)
		}
		r.Options.Logger.Debug("deleted a lower mark", zap.String("manifest", pointers[i].Ref), zap.Error(err))
		return nil
	})
	return more.Load()
}

// buildMark makes the manifest of a mark that refers to subject, and the blob that is its one layer.
func buildMark(subject v1.Descriptor, image name.Digest, test intoto.Test, m Mark) (manifest, blob []byte, err error) {
	stored := storedMark{
		Image: image.DigestStr(), Test: test.Name, PredicateType: test.PredicateType, Time: m.Time.UTC(), Referrers: m.Referrers,
	}
	for _, s := range m.Statements {
		stored.Statements = append(stored.Statements, s.String())
	}
	if blob, err = json.Marshal(stored); err != nil {
		return nil, nil, err
	}
	layer := registry.Describe(blob, markType)
	layer.Data = blob
	manifest, err = json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  markType,
		Config:        registry.Describe([]byte(registry.EmptyConfig), registry.EmptyConfigType),
		Layers:        []v1.Descriptor{layer},
		Subject:       &subject,
		Annotations: map[string]string{
			referrers.AnnotationTest:          test.Name,
			referrers.AnnotationPredicateType: test.PredicateType,
			referrers.AnnotationCreated:       stored.Time.Format(time.RFC3339Nano),
		},
	})
	return manifest, blob, err
}
