package attest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"go.uber.org/zap"
)

// A Resolver finds evidence about images. It is safe for concurrent use.
type Resolver struct {
	verifier Verifier
	registry *registry
	opts     Options
}

// NewResolver returns a Resolver that believes what v verifies. There is no default verifier on purpose.
func NewResolver(v Verifier, opts Options) *Resolver {
	r := newRegistry(opts, transport.PullScope)
	return &Resolver{verifier: v, registry: r, opts: r.opts}
}

// All returns an iterator over all evidence about image, newest first; what has no readable time comes before, since it
// may be the newest. Evidence that must not be believed is there too, with its Problem. Statements about other images,
// and statements of predicate types other than [Vulns] and [TestResult], are left out.
//
// An error ends the iteration: [ErrNoImage] if there is not even a repository; [*RegistryError] if anything could not be
// listed or fetched, [*LimitError], [*FieldError] if image is not a SHA-256 digest, or the end of ctx. Every walk reads
// the registry anew.
func (r *Resolver) All(ctx context.Context, image name.Digest) iter.Seq2[Evidence, error] {
	return func(yield func(Evidence, error) bool) {
		all, err := r.collect(ctx, image)
		if err != nil {
			yield(Evidence{}, err)
			return
		}
		slices.SortFunc(all, compareAge)
		for _, e := range all {
			e = r.vouch(ctx, e)
			if err := ctx.Err(); err != nil {
				yield(Evidence{}, fmt.Errorf("attest: verify: %w", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// collect reads everything about image that is or may be evidence, and verifies nothing. One statement found in several
// places, or signed by several, is one piece of evidence.
func (r *Resolver) collect(ctx context.Context, image name.Digest) ([]Evidence, error) {
	if h, err := v1.NewHash(image.DigestStr()); err != nil || h.Algorithm != "sha256" {
		return nil, &FieldError{"image", fmt.Sprintf("%q is not a SHA-256 digest", image.DigestStr())}
	}
	ctx, done := within(ctx, whatCall, r.opts.Limits.CallTime)
	defer done()
	repo, err := r.registry.repository(ctx, image.Context())
	if err != nil {
		return nil, err
	}
	found, broken, err := repo.candidates(ctx, image)
	if err != nil {
		return nil, err
	}
	read := make([]Evidence, len(found))
	err = parallel(ctx, len(found), r.opts.Parallel, func(ctx context.Context, i int) (err error) {
		read[i], err = r.read(ctx, repo, found[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	var all []Evidence
	for _, err := range broken {
		all = append(all, Evidence{Image: image, Manifest: err.Manifest, Problem: err})
	}
	return append(all, merge(read)...), nil
}

// A lead is a layer that should be a statement.
type lead struct {
	image    name.Digest
	manifest v1.Hash
	layer    v1.Descriptor
}

func (l lead) unreadable(err error) error {
	return &CandidateError{Manifest: l.manifest, Envelope: l.layer.Digest, Err: err}
}

// candidates returns the layers to read, from the record and from cosign's view, each digest once, and what could not be
// read.
func (r *repository) candidates(ctx context.Context, image name.Digest) (leads []lead, broken []*CandidateError, err error) {
	l, err := r.list(ctx, image, memory{})
	if err != nil {
		return nil, nil, err
	}
	seen := map[v1.Hash]bool{}
	add := func(manifest v1.Hash, layers []v1.Descriptor) {
		for _, layer := range layers {
			if !seen[layer.Digest] {
				seen[layer.Digest] = true
				leads = append(leads, lead{image, manifest, layer})
			}
		}
	}
	for _, e := range l.entries {
		if e.err != nil {
			broken = append(broken, &CandidateError{Manifest: e.descriptor.Digest, Err: e.err})
		}
		add(e.descriptor.Digest, e.statements)
	}
	view, digest, err := r.att(ctx, image)
	if err := grave(err); err != nil {
		return nil, nil, err
	}
	if err != nil {
		broken = append(broken, asCandidate(digest, err))
	}
	add(digest, view.Layers)
	if limit := r.opts.Limits.Statements; len(leads) > limit {
		return nil, nil, &LimitError{What: "statements", Limit: int64(limit), Got: int64(len(leads))}
	}
	return leads, broken, nil
}

func asCandidate(manifest v1.Hash, err error) *CandidateError {
	var c *CandidateError
	if errors.As(err, &c) {
		return c
	}
	return &CandidateError{Manifest: manifest, Err: err}
}

// read fetches and reads one candidate. The zero Evidence is a statement that is not evidence about the image.
func (r *Resolver) read(ctx context.Context, repo *repository, l lead) (Evidence, error) {
	e := Evidence{Image: l.image, Manifest: l.manifest}
	b, err := repo.blob(ctx, l.layer)
	if err != nil {
		e.Problem = l.unreadable(err)
		return e, grave(err)
	}
	c := Candidate{Image: l.image, Manifest: l.manifest, Bytes: b, Annotations: l.layer.Annotations}
	c.MediaType = cmp.Or(formOf(string(l.layer.MediaType)), string(l.layer.MediaType))
	e.payload, err = c.payload(r.opts.Limits.json())
	if errors.Is(err, errNoStatement) {
		return Evidence{}, nil
	}
	if err != nil {
		e.Problem = l.unreadable(err)
		return e, nil
	}
	if err := repo.budget.decode(e.payload, r.opts.Limits.TotalValues); err != nil {
		return Evidence{}, err
	}
	if e.Statement, err = parseStatement(e.payload, r.opts.Limits.json()); err != nil {
		e.Problem = l.unreadable(err)
		return e, nil
	}
	understand, ok := readers[e.Statement.PredicateType]
	if !ok || !e.Statement.about(hexOf(l.image)) {
		r.opts.Logger.Debug("not evidence about the image",
			zap.Stringer("manifest", l.manifest), zap.String("predicateType", e.Statement.PredicateType))
		return Evidence{}, nil
	}
	e.envelopes = []Candidate{c}
	e.Test.PredicateType = e.Statement.PredicateType
	r.fill(&e, understand(e.Statement.Predicate, r.opts.Limits.json()))
	if e.Test.Name == "" {
		e.Problem = errors.Join(l.unreadable(errors.New("it does not say which test it is of")), e.Problem)
	}
	return e, nil
}

// fill takes over what a predicate says, and judges its time.
func (r *Resolver) fill(e *Evidence, p reading) {
	e.Test.Name, e.Predicate, e.Time, e.Problem = p.test, p.predicate, p.time, p.problem
	if e.Time.IsZero() {
		return
	}
	e.Clock = ClockPredicate
	if now := r.opts.Now(); e.Time.After(now.Add(r.opts.Skew)) {
		e.blame(&FutureError{Time: e.Time, Now: now, Skew: r.opts.Skew})
	}
}

// merge makes equal statements one, with all the envelopes that were found around it, and drops what is no evidence.
func merge(read []Evidence) []Evidence {
	var all []Evidence
	at := map[[sha256.Size]byte]int{} // by the statement's bytes
	for _, e := range read {
		if e.Statement == nil && e.Problem == nil {
			continue
		}
		sum := sha256.Sum256(e.payload)
		if i, ok := at[sum]; ok && e.payload != nil {
			all[i].envelopes = append(all[i].envelopes, e.envelopes...)
			continue
		}
		if e.payload != nil {
			at[sum] = len(all)
		}
		all = append(all, e)
	}
	return all
}

// vouch asks the verifier about each envelope around the statement until one is vouched for. Only then, and if nothing
// else is wrong, the verdict counts.
func (r *Resolver) vouch(ctx context.Context, e Evidence) Evidence {
	if len(e.envelopes) == 0 {
		return e // it could not even be read
	}
	var errs []error
	for _, c := range e.envelopes {
		by, err := verify(ctx, r.verifier, c, e.payload)
		if err == nil {
			e.By, e.Manifest = by, c.Manifest
			if e.Problem == nil {
				e.Result, _ = e.Predicate.outcome()
			}
			return e
		}
		errs = append(errs, &VerifyError{Manifest: c.Manifest, Err: err})
	}
	e.blame(errors.Join(errs...))
	return e
}

func hexOf(image name.Digest) string {
	h, _ := v1.NewHash(image.DigestStr()) // collect has checked it
	return h.Hex
}
