package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/internal/strictjson"
)

// CheckpointRepository returns a Checkpoint in a repository of a registry, best another one than the images are in, with
// other credentials. Each mark is an immutable manifest, kept as records are (see [Record]): its subject is the digest of
// the names of image and test. So writers do not undo each other here either.
func CheckpointRepository(repo name.Repository, opts Options) Checkpoint {
	return &checkpointRepository{repo, newRegistry(opts, transport.PushScope)}
}

type checkpointRepository struct {
	name     name.Repository
	registry *registry
}

// markType is the media type of a mark, and the artifact type of its manifest.
const markType = "application/vnd.testdag.checkpoint.v1+json"

// A storedMark is a mark as JSON.
type storedMark struct {
	Image         string    `json:"image"`
	Test          string    `json:"test"`
	PredicateType string    `json:"predicateType"`
	Time          time.Time `json:"time"`
	Statements    []string  `json:"statements"`
}

// Seen reads the highest marks.
func (c *checkpointRepository) Seen(ctx context.Context, image name.Digest, test Test) (Mark, error) {
	ctx, done := within(ctx, whatCall, c.registry.opts.Limits.CallTime)
	defer done()
	repo, err := c.registry.repository(ctx, c.name)
	if err != nil {
		return Mark{}, err
	}
	l, err := repo.list(ctx, c.subject(image, test))
	if errors.Is(err, ErrNoImage) {
		return Mark{}, nil // the repository is made with the first mark
	}
	if err != nil {
		return Mark{}, err
	}
	return repo.highest(ctx, l.pointers)
}

// subject is what marks refer to. No such manifest needs to exist.
func (c *checkpointRepository) subject(image name.Digest, test Test) name.Digest {
	_, key := markKey(image, test)
	return c.name.Digest("sha256:" + key)
}

// highest returns the highest of the marks, and reads no more of them than it must.
func (r *repository) highest(ctx context.Context, pointers []pointer) (Mark, error) {
	var newest time.Time
	for _, p := range pointers {
		if p.hints.created.After(newest) {
			newest = p.hints.created
		}
	}
	var m Mark
	for _, p := range pointers {
		if p.hints.complete() && p.hints.created.Before(newest) {
			continue
		}
		one, err := r.mark(ctx, p.ref)
		if err != nil {
			return Mark{}, err
		}
		m = m.Merge(one)
	}
	return m, nil
}

// mark reads one mark. What is none is the zero Mark.
func (r *repository) mark(ctx context.Context, ref string) (Mark, error) {
	doc, err := r.manifest(ctx, ref)
	if err != nil {
		return Mark{}, err
	}
	m, err := parseManifest(doc.bytes, r.opts.Limits)
	if err != nil || m.ArtifactType != markType || len(m.Layers) != 1 {
		return Mark{}, err
	}
	mark, err := parseStoredMark(m.Layers[0].Data, r.opts.Limits.json())
	if err != nil {
		return Mark{}, registryError("read manifest", r.ref(ref), err)
	}
	return mark, nil
}

func parseStoredMark(b []byte, limits strictjson.Limits) (Mark, error) {
	var stored storedMark
	if err := decode(b, &stored, limits); err != nil {
		return Mark{}, err
	}
	var c checklist
	c.require("time", !stored.Time.IsZero())
	m := Mark{Time: stored.Time}
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
	if merged := m.Merge(seen); merged.Time.Equal(seen.Time) && slices.Equal(merged.Statements, seen.Statements) {
		return nil
	}
	ctx, done := within(ctx, whatCall, c.registry.opts.Limits.CallTime)
	defer done()
	repo, err := c.registry.repository(ctx, c.name)
	if err != nil {
		return err
	}
	subject := c.subject(image, test)
	b, blob, err := buildMark(subject, image, test, m)
	if err != nil {
		return err
	}
	record := newRecord(c.name, b)
	// The tag of its own makes it found in a registry without the referrers API, and keeps it from being collected.
	err = repo.push(ctx, recordTag(subject, record.Digest), types.OCIManifestSchema1, b,
		layer(blob, markType), layer([]byte(emptyConfig), emptyConfigType))
	if err != nil {
		return err
	}
	_, err = repo.publish(ctx, subject, record, memory{})
	return err
}

func buildMark(subject, image name.Digest, test Test, m Mark) (manifest, blob []byte, err error) {
	stored := storedMark{Image: image.Name(), Test: test.Name, PredicateType: test.PredicateType, Time: m.Time.UTC()}
	for _, s := range m.Statements {
		stored.Statements = append(stored.Statements, s.String())
	}
	if blob, err = json.Marshal(stored); err != nil {
		return nil, nil, err
	}
	text, key := markKey(image, test)
	layer := describe(blob, markType)
	layer.Data = blob
	manifest, err = json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  markType,
		Config:        describe([]byte(emptyConfig), emptyConfigType),
		Layers:        []v1.Descriptor{layer},
		Subject: &v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Size: int64(len(text)), Digest: v1.Hash{Algorithm: "sha256", Hex: key},
		},
		Annotations: map[string]string{
			AnnotationTest:          test.Name,
			AnnotationPredicateType: test.PredicateType,
			AnnotationCreated:       stored.Time.Format(time.RFC3339Nano),
		},
	})
	return manifest, blob, err
}
