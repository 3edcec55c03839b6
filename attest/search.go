package attest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.uber.org/zap"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// A search looks for evidence about one image, in one call.
type search struct {
	*Resolver
	repo      *referrers.Records
	image     name.Digest
	referrers bool // the registry has the referrers API
	sources   Sources
	named     map[string]string // tag that names a record, by its digest

	mu      sync.Mutex
	read    map[[sha256.Size]byte]bool // layers that a record has led to, see first
	ignored []v1.Hash                  // statements that were passed over
}

// collect reads what answers q about image, and whatever is in the way of an answer. It verifies no statement. One
// statement found in several places, or signed by several, is one piece of evidence. None is the Evidence of a test
// without any: what is known of the search.
func (r *Resolver) collect(
	ctx context.Context, image name.Digest, q question,
) (all []Evidence, none Evidence, err error) {
	none.Image = image
	if err := errors.Join(checkImage(image), r.check()); err != nil {
		return nil, none, err
	}
	repo, err := r.open(ctx, image)
	if err != nil {
		return nil, none, err
	}
	s := &search{Resolver: r, repo: repo, image: image, read: map[[sha256.Size]byte]bool{}}
	found, err := s.run(ctx, q)
	if err != nil {
		return nil, none, err
	}
	slices.SortFunc(s.ignored, func(a, b v1.Hash) int { return cmp.Compare(a.Hex, b.Hex) })
	none.Sources, none.Ignored = s.sources, slices.Compact(s.ignored)
	all = merge(found)
	for i := range all {
		all[i].Sources, all[i].Ignored = none.Sources, none.Ignored
		r.settle(&all[i])
	}
	return all, none, nil
}

// check says what is wrong with how the Resolver was made, and what is expected.
func (r *Resolver) check() error {
	var c fault.Checklist
	c.Require("verifier", r.verifier != nil)
	for i, x := range r.expect {
		c.TestName(fmt.Sprintf("runs[%d].Test", i), x.Test)
		for j, record := range x.Records {
			if record.Algorithm != "sha256" {
				c.Add(fmt.Sprintf("runs[%d].Records[%d]", i, j), fmt.Sprintf("%q is not a SHA-256 digest", record))
			}
		}
		for j, a := range x.Elsewhere {
			if _, err := sha256Of(a); err != nil {
				c.Add(fmt.Sprintf("runs[%d].Elsewhere[%d]", i, j), err.Error())
			}
		}
	}
	for i, clock := range r.opts.Clocks {
		if clock != ClockProvenance && clock != ClockPredicate {
			c.Add(fmt.Sprintf("Options.Clocks[%d]", i), fmt.Sprintf("%q is not one of ClockProvenance, ClockPredicate", clock))
		}
	}
	r.opts.check(&c)
	return errors.Join(c...)
}

// run lists everything, picks by q, and reads that: first the records, then what only cosign's view shows.
func (s *search) run(ctx context.Context, q question) ([]Evidence, error) {
	l, err := s.survey(ctx)
	if err != nil {
		return nil, err
	}
	view := l.View
	s.referrers, s.sources = l.Referrers, l.Sources()
	s.named = l.NamedBy(s.image)
	pointers, layers := q.pick(l, view)
	found, err := registry.Gather(ctx, pointers, s.opts.Parallel, s.record)
	if err != nil {
		return nil, err
	}
	layers = slices.DeleteFunc(layers, func(l referrers.Lead) bool { return !s.first(l.Layer) })
	shown, err := registry.Gather(ctx, layers, s.opts.Parallel, s.statement)
	for _, broken := range []*CandidateError{view.Broken, l.Rubbish} {
		if broken != nil {
			shown = append(shown, s.unreadable(broken, referrers.Hints{}))
		}
	}
	return append(found, shown...), err
}

// first reports whether nothing has led to a layer before, see [referrers.LayerKey].
func (s *search) first(layer v1.Descriptor) bool {
	key := referrers.LayerKey(layer)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.read[key]
	s.read[key] = true
	return !before
}

// survey lists the record of the image.
func (s *search) survey(ctx context.Context) (referrers.Listing, error) {
	l, err := s.repo.List(ctx, s.image)
	if err == nil {
		err = s.repo.TooMany(len(l.View.Layers))
	}
	return l, err
}

// record reads the statements in one manifest, and who else vouches for it.
func (s *search) record(ctx context.Context, p referrers.Pointer) ([]Evidence, error) {
	e, err := s.repo.Follow(ctx, p, s.named[p.Ref])
	if err != nil {
		return nil, err
	}
	if registry.IsNotFound(e.Err) {
		return []Evidence{s.unreadable(&CandidateError{Manifest: e.Descriptor.Digest, Err: e.Err}, p.Hints)}, nil
	}
	if e.Err != nil {
		return []Evidence{s.unreadable(&CandidateError{Manifest: e.Descriptor.Digest, Err: e.Err}, referrers.Hints{})}, nil
	}
	if err := s.repo.Budget.Count(len(e.Statements), s.opts.Limits.Statements); err != nil {
		return nil, err
	}
	var found []Evidence
	for _, layer := range e.Statements {
		s.first(layer)
		statement, err := s.statement(ctx, referrers.Lead{Manifest: e.Descriptor.Digest, Layer: layer, Hints: p.Hints})
		if err != nil {
			return nil, err
		}
		found = append(found, statement...)
	}
	if err := brokenPromise(p.Hints, found); err != nil && len(s.opts.UnsafeIgnoreStatements) == 0 {
		found = append(found, s.unreadable(&CandidateError{Manifest: e.Descriptor.Digest, Err: err}, referrers.Hints{}))
	}
	return found, s.addProvenance(ctx, found, e.Descriptor.Digest)
}

// fetch fetches a layer, if its predicate type is wanted, see sift. An error that is not grave is about the layer
// alone.
func fetch(ctx context.Context, r *referrers.Records, image name.Digest, l referrers.Lead, wanted func(string) bool) (Candidate, error) {
	media := string(l.Layer.MediaType)
	form := cmp.Or(intoto.EncodingOf(media), media)
	b, err := r.Sift(ctx, l.Layer, form, wanted)
	return Candidate{Image: image, Manifest: l.Manifest, MediaType: form, Bytes: b, Annotations: l.Layer.Annotations}, err
}

// statement fetches and reads one candidate. It returns nothing if that is not evidence about the image.
func (s *search) statement(ctx context.Context, l referrers.Lead) ([]Evidence, error) {
	c, err := fetch(ctx, s.repo, s.image, l, intoto.IsEvidence)
	if errors.Is(err, registry.ErrForeign) || errors.Is(err, intoto.ErrNoStatement) {
		s.opts.Logger.Debug("not evidence", zap.Stringer("manifest", l.Manifest), zap.Error(err))
		return nil, nil
	}
	if err != nil {
		return []Evidence{s.unreadable(l.Unreadable(err), l.Hints)}, referrers.IsFatal(err)
	}
	payload, err := c.payload(s.opts.Limits)
	if errors.Is(err, intoto.ErrNoStatement) {
		return nil, nil
	}
	if err != nil {
		return []Evidence{s.unreadable(l.Unreadable(err), l.Hints)}, nil
	}
	if s.ignores(payload) {
		s.opts.Logger.Warn("ignoring a statement by its digest",
			zap.Stringer("manifest", l.Manifest), zap.Stringer("statement", registry.Describe(payload, "").Digest))
		return nil, nil
	}
	if err := s.repo.Budget.Decode(payload, s.opts.Limits.TotalValues); err != nil {
		return nil, err
	}
	c.decoded = payload
	return s.evidence(l, c), nil
}

// evidence reads the statement in a candidate whose payload has been decoded.
func (s *search) evidence(l referrers.Lead, c Candidate) []Evidence {
	statement, err := intoto.ParseStatementWithin(c.decoded, registry.JSON(s.opts.Limits))
	if err != nil {
		return []Evidence{s.unreadable(l.Unreadable(err), l.Hints)}
	}
	family := intoto.Family(statement.PredicateType)
	if family == "" || !statement.About(hexOf(s.image)) {
		s.opts.Logger.Debug("not evidence about the image",
			zap.Stringer("manifest", l.Manifest), zap.String("predicateType", statement.PredicateType))
		return nil
	}
	r := intoto.ReadPredicate(family, statement.Predicate, registry.JSON(s.opts.Limits))
	if family != statement.PredicateType {
		err := unknownVersion(statement.PredicateType, family, c.decoded)
		r = intoto.Reading{Test: r.Test, Named: r.Named, Problem: &CandidateError{Manifest: l.Manifest, Err: err}}
	}
	if err := contradicted(l.Hints, statement.PredicateType, r); err != nil {
		return []Evidence{s.unreadable(l.Unreadable(err), referrers.Hints{})}
	}
	return []Evidence{{
		Test: intoto.Test{Name: r.Test, PredicateType: family}, Image: s.image, Manifest: l.Manifest, Statement: statement,
		payload: c.decoded, envelopes: []Candidate{c}, reading: r,
	}}
}

// ignores reports whether the options name the statement as one that is passed over, and remembers it.
func (s *search) ignores(payload []byte) bool {
	named := s.opts.UnsafeIgnoreStatements
	if len(named) == 0 {
		return false
	}
	statement := registry.Describe(payload, "").Digest
	if !slices.Contains(named, statement) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ignored = append(s.ignored, statement)
	return true
}

// merge makes equal statements one, with all the envelopes that were found around it.
func merge(read []Evidence) []Evidence {
	var all []Evidence
	at := map[[sha256.Size]byte]int{} // by the statement's bytes
	for _, e := range read {
		sum := sha256.Sum256(e.payload)
		if i, ok := at[sum]; ok {
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

// settle says of which test the evidence is and when it was made, and what is wrong so far.
func (r *Resolver) settle(e *Evidence) {
	if e.Statement == nil {
		return // it could not be read
	}
	e.Predicate, e.Problem = e.reading.Predicate, e.reading.Problem
	r.identify(e)
	r.date(e)
	r.checkName(e)
}
