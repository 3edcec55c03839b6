package attest

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

	"github.com/testdag/testdag/internal/strictjson"
)

// CheckpointRepository returns a Checkpoint in a repository of a registry, best another one than the images are in,
// with other credentials. Each mark is an immutable manifest, kept as records are (see [Record]): its subject is an
// empty manifest for the image's digest and the test, which is pushed first. So writers do not undo each other here
// either. Lower marks are deleted where the registry allows that; where it does not, Limits.Statements is how many
// marks one test at one image can have.
//
// Marks of releases whose subject was no manifest, and was made of the repository's name too, are still read for an
// image in that repository, and are left as they are. A mirror of the image knows them as soon as newer evidence was
// seen in that repository.
func CheckpointRepository(repo name.Repository, access Access) Checkpoint {
	return &checkpointRepository{repo, newRegistry(access.withDefaults(), transport.PushScope)}
}

// marks are the records of marks in the repository.
type marks struct{ *records }

func (c *checkpointRepository) open(ctx context.Context) (marks, error) {
	repo, err := openRecords(ctx, c.registry, c.name, layout{})
	return marks{repo}, err
}

type checkpointRepository struct {
	name     name.Repository
	registry *registry
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
func (c *checkpointRepository) Seen(ctx context.Context, image name.Digest, test Test) (Mark, error) {
	ctx, done := within(ctx, whatCall, c.registry.opts.Limits.CallTime)
	defer done()
	repo, err := c.open(ctx)
	if err != nil {
		return Mark{}, err
	}
	subject, _, err := c.subject(image, test)
	if err != nil {
		return Mark{}, err
	}
	m, err := retry(ctx, repo.opts, isNotFound, func() (Mark, error) { return repo.seen(ctx, subject, c.oldSubject(image, test)) })
	return m, unfinished(ctx, "read manifest", repo.name.Name(), err)
}

// seen returns the highest of the marks that refer to any of the subjects.
func (r marks) seen(ctx context.Context, subjects ...name.Digest) (Mark, error) {
	marks := make([]Mark, len(subjects))
	err := parallel(ctx, len(subjects), len(subjects), func(ctx context.Context, i int) error {
		l, err := r.list(ctx, subjects[i])
		if errors.Is(err, ErrNoImage) {
			return nil // the repository is made with the first mark
		}
		if err == nil {
			marks[i], err = r.highest(ctx, l.pointers)
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
func (c *checkpointRepository) subject(image name.Digest, test Test) (name.Digest, []byte, error) {
	b, err := buildSubject(image, test)
	return c.name.Digest(describe(b, "").Digest.String()), b, err
}

// buildSubject makes the manifest that the marks of a test at an image refer to. It holds nothing but their names, and
// equal arguments give equal bytes, so that every writer and reader finds the same digest.
func buildSubject(image name.Digest, test Test) ([]byte, error) {
	nothing := describe([]byte(emptyConfig), emptyConfigType)
	return json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  subjectType,
		Config:        nothing,
		Layers:        []v1.Descriptor{nothing}, // there are registries that refuse a manifest without layers
		Annotations: map[string]string{
			annotationImage:         image.DigestStr(),
			AnnotationTest:          test.Name,
			AnnotationPredicateType: test.PredicateType,
		},
	})
}

// annotationImage says at the subject of marks which image they are of.
const annotationImage = "io.github.testdag.image"

// oldSubject names what the marks of earlier releases refer to: the digest of a key, of which there is no manifest.
func (c *checkpointRepository) oldSubject(image name.Digest, test Test) name.Digest {
	_, key := oldMarkKey(image, test)
	return c.name.Digest("sha256:" + key)
}

// pushSubject makes sure that the subject of marks is there: there are registries that refuse a manifest without its
// subject, do not list it, or collect it as garbage. A tag keeps the subject itself from being collected.
func (r marks) pushSubject(ctx context.Context, subject name.Digest, b []byte) error {
	tag := tagBase(subject) + ".subject"
	if doc, err := r.manifest(ctx, tag); err == nil && doc.digest.String() == subject.DigestStr() {
		return nil
	}
	if err := r.storeConfig(ctx); err != nil {
		return err
	}
	pushed := r.putStored(ctx, tag, types.OCIManifestSchema1, b, []byte(emptyConfig))
	if pushed == nil {
		return nil
	}
	// Another writer may have pushed the same bytes to a tag that cannot be written twice.
	if _, err := r.manifest(ctx, subject.DigestStr()); err == nil {
		return nil
	}
	return pushed
}

// highest returns the highest of the marks, and reads no more of them than it must: a mark that annotations say to be
// higher must be there, and be as high.
func (r marks) highest(ctx context.Context, pointers []pointer) (Mark, error) {
	var newest time.Time
	for _, p := range pointers {
		if p.hints.created.After(newest) {
			newest = p.hints.created
		}
	}
	pointers = slices.DeleteFunc(slices.Clone(pointers), func(p pointer) bool {
		return !p.hints.created.IsZero() && p.hints.created.Before(newest)
	})
	marks := make([]Mark, len(pointers))
	err := parallel(ctx, len(pointers), r.opts.Parallel, func(ctx context.Context, i int) (err error) {
		marks[i], err = r.mark(ctx, pointers[i])
		return err
	})
	return highestOf(marks), err
}

// mark reads one mark.
func (r marks) mark(ctx context.Context, p pointer) (Mark, error) {
	doc, err := r.manifest(ctx, p.ref)
	if err != nil {
		return Mark{}, err
	}
	mark, err := parseMarkManifest(doc.bytes, r.opts.Limits)
	if err == nil && !p.hints.created.IsZero() && !mark.Time.Equal(p.hints.created) {
		err = &FieldError{"annotations." + AnnotationCreated, fmt.Sprintf("%s, and the mark says %s", p.hints.created, mark.Time)}
	}
	if err != nil {
		return Mark{}, registryError("read manifest", r.ref(p.ref), err)
	}
	return mark, nil
}

func parseMarkManifest(b []byte, limits Limits) (Mark, error) {
	m, err := parseManifest(b, limits)
	if err != nil {
		return Mark{}, err
	}
	if m.ArtifactType != markType || len(m.Layers) != 1 {
		problem := fmt.Sprintf("%q with %d layers is no mark: delete it if no Checkpoint wrote it", m.ArtifactType, len(m.Layers))
		return Mark{}, &FieldError{"artifactType", problem}
	}
	return parseStoredMark(m.Layers[0].Data, limits.json())
}

func parseStoredMark(b []byte, limits strictjson.Limits) (Mark, error) {
	var stored storedMark
	if err := decode(b, &stored, limits); err != nil {
		return Mark{}, err
	}
	var c checklist
	c.require("time", !stored.Time.IsZero())
	m := Mark{Time: stored.Time, Referrers: stored.Referrers}
	for i, s := range stored.Statements {
		digest, err := v1.NewHash(s)
		if err != nil {
			c.add(fmt.Sprintf("statements[%d]", i), err.Error())
		}
		m.Statements = append(m.Statements, digest)
	}
	return m, errors.Join(c...)
}

// Advance stores the mark, if it is not below what is there.
func (c *checkpointRepository) Advance(ctx context.Context, image name.Digest, test Test, m Mark) error {
	seen, err := c.Seen(ctx, image, test)
	if err != nil {
		return err
	}
	if m.Merge(seen).equal(seen) {
		return nil
	}
	m.Referrers = m.Referrers || seen.Referrers // the mark that says so is about to be pruned
	ctx, done := within(ctx, whatCall, c.registry.opts.Limits.CallTime)
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
	b, blob, err := buildMark(describe(empty, types.OCIManifestSchema1), image, test, m)
	if err != nil {
		return err
	}
	record := newRecord(c.name, b)
	// The tag of its own makes it found in a registry without the referrers API, and keeps it from being collected.
	if err := repo.upload(ctx, blob); err != nil {
		return err
	}
	err = repo.putStored(ctx, recordTag(subject, record.Digest), types.OCIManifestSchema1, b, blob, []byte(emptyConfig))
	if err != nil {
		return err
	}
	p := repo.publication(subject, memory{}, false)
	p.record, p.tagged[record.Digest] = record, true
	l, err := p.run(ctx, listing{referrers: true}) // if it has the API: the first look tells
	if err != nil {
		// A higher mark of another process may have taken its place, and pruned it. Marks may be pruned during this look too.
		if seen, seenErr := c.Seen(ctx, image, test); seenErr == nil && m.Merge(seen).equal(seen) {
			return nil
		}
		return err
	}
	if repo.prune(ctx, subject, l.pointers, m) {
		m.Referrers = true
		return c.Advance(ctx, image, test, m)
	}
	return nil
}

// prune deletes lower marks, where the registry lets it. What stays does no harm. It keeps a lower mark that alone has
// seen the referrers API, and returns true: the highest has to say so first.
func (r marks) prune(ctx context.Context, subject name.Digest, pointers []pointer, highest Mark) bool {
	var more atomic.Bool
	_ = parallel(ctx, len(pointers), r.opts.Parallel, func(ctx context.Context, i int) error {
		mark, err := r.mark(ctx, pointers[i])
		if err != nil || !mark.Time.Before(highest.Time) {
			return nil
		}
		if mark.Referrers && !highest.Referrers {
			more.Store(true)
			return nil
		}
		err = r.remove(ctx, pointers[i].ref)
		if digest, hashErr := v1.NewHash(pointers[i].ref); hashErr == nil {
			err = errors.Join(r.remove(ctx, recordTag(subject, digest)), err)
		}
		r.opts.Logger.Debug("deleted a lower mark", zap.String("manifest", pointers[i].ref), zap.Error(err))
		return nil
	})
	return more.Load()
}

func buildMark(subject v1.Descriptor, image name.Digest, test Test, m Mark) (manifest, blob []byte, err error) {
	stored := storedMark{
		Image: image.DigestStr(), Test: test.Name, PredicateType: test.PredicateType, Time: m.Time.UTC(), Referrers: m.Referrers,
	}
	for _, s := range m.Statements {
		stored.Statements = append(stored.Statements, s.String())
	}
	if blob, err = json.Marshal(stored); err != nil {
		return nil, nil, err
	}
	layer := describe(blob, markType)
	layer.Data = blob
	manifest, err = json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  markType,
		Config:        describe([]byte(emptyConfig), emptyConfigType),
		Layers:        []v1.Descriptor{layer},
		Subject:       &subject,
		Annotations: map[string]string{
			AnnotationTest:          test.Name,
			AnnotationPredicateType: test.PredicateType,
			AnnotationCreated:       stored.Time.Format(time.RFC3339Nano),
		},
	})
	return manifest, blob, err
}
