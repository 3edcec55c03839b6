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
	"github.com/testdag/testdag/internal/testname"
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

// unreadable returns evidence that could not be read. If hints that are believed say of which test it is, it is of no other:
// a call that does not ask for that test would not have tried to read it.
func (s *search) unreadable(err *CandidateError, h referrers.Hints) Evidence {
	e := Evidence{Image: s.image, Manifest: err.Manifest, Problem: err}
	if h.Complete() && !s.ignoresHints() {
		e.Test = intoto.Test{Name: h.Test, PredicateType: h.PredicateType}
	}
	return e
}

// fetch fetches a layer, if its predicate type is wanted, see sift. An error that is not grave is about the layer
// alone.
func fetch(ctx context.Context, r *referrers.Records, image name.Digest, l referrers.Lead, wanted func(string) bool) (Candidate, error) {
	media := string(l.Layer.MediaType)
	form := cmp.Or(intoto.FormOf(media), media)
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
		return []Evidence{s.unreadable(l.Unreadable(err), l.Hints)}, referrers.Grave(err)
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
	statement, err := intoto.ParseStatementWithin(c.decoded, s.opts.Limits.JSON())
	if err != nil {
		return []Evidence{s.unreadable(l.Unreadable(err), l.Hints)}
	}
	family := intoto.Family(statement.PredicateType)
	if family == "" || !statement.About(hexOf(s.image)) {
		s.opts.Logger.Debug("not evidence about the image",
			zap.Stringer("manifest", l.Manifest), zap.String("predicateType", statement.PredicateType))
		return nil
	}
	r := intoto.ReadPredicate(family, statement.Predicate, s.opts.Limits.JSON())
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

// unknownVersion says why a statement of a later version, or of an earlier one, does not count, and what to do. Such a
// version may give its fields another meaning, so nothing is believed but the name of the test.
func unknownVersion(predicateType, understood string, payload []byte) error {
	return fmt.Errorf("its predicate type %.100q is not read by this release, which reads %s: upgrade, or name the statement %s in "+
		"Options.UnsafeIgnoreStatements", predicateType, understood, registry.Describe(payload, "").Digest)
}

// brokenPromise returns an error if hints promise evidence and there is none. Others were passed over because of the promise.
func brokenPromise(h referrers.Hints, found []Evidence) error {
	if !h.Complete() || len(found) > 0 {
		return nil
	}
	return &intoto.FieldError{Field: "annotations", Problem: "they promise a statement that is not there"}
}

// contradicted says where the hints that led to a statement are wrong, if they say of which test it is and when it was
// made. Others may have been passed over because of them.
func contradicted(h referrers.Hints, predicateType string, r intoto.Reading) error {
	if !h.Complete() {
		return nil
	}
	if h.PredicateType != predicateType {
		problem := fmt.Sprintf("%q, and the statement says %q", h.PredicateType, predicateType)
		return &intoto.FieldError{Field: "annotations." + AnnotationPredicateType, Problem: problem}
	}
	var c fault.Checklist
	if h.Test != r.Test {
		c.Add("annotations."+AnnotationTest, fmt.Sprintf("%q, and the statement says %q", h.Test, r.Test))
	}
	if !h.Created.Equal(r.Time) {
		c.Add("annotations."+AnnotationCreated, fmt.Sprintf("%s, and the statement says %s", h.Created, r.Time))
	}
	return errors.Join(c...)
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

// checkName blames evidence for a name that no test may have. What is left of the name says for which test it counts
// too.
func (r *Resolver) checkName(e *Evidence) {
	problem := testname.Problem(e.Test.Name)
	if problem != "" {
		e.look = testname.Fold(e.Test.Name)
	}
	if testname.Problem(e.Declared) != "" {
		e.declaredLook = testname.Fold(e.Declared)
	}
	if e.Test.Name != "" && problem != "" {
		e.blame(&intoto.FieldError{Field: e.reading.Named, Problem: fmt.Sprintf("%s; run the test again under a good name, or name the statement %s in "+
			"Options.UnsafeIgnoreStatements", problem, e.Digest())})
	}
	if e.look == "" && problem != "" {
		e.Test.Name = "" // nothing of it can be seen
		err := &CandidateError{Manifest: e.Manifest, Err: errors.New("it does not say which test it is of")}
		e.Problem = errors.Join(err, e.Problem)
	}
}

// identify takes the name of the test from the provenance, if that is trusted. Anybody who may run a task can have a
// provenance signed about any record; it must neither turn evidence into that of another test nor give it another time.
// What else a signed provenance names is a claim: a rule of trust that is no longer in force must not hide a failure.
func (r *Resolver) identify(e *Evidence) {
	p, ok := e.bestProvenance()
	if !ok {
		return
	}
	e.Provenance = p.Provenance
	if p.untrusted == nil {
		e.maker = p.task
		r.rename(e, p.task.Name)
	}
	for _, p := range e.signed() {
		if name := p.task.Name; name != "" && name != e.Test.Name {
			e.claims = append(e.claims, name)
		}
	}
}

// rename makes evidence that of the test of a task. Which test it was of, if that could not be read, is still not known: the
// task may have named what others made.
func (r *Resolver) rename(e *Evidence, task string) {
	if task == "" || task == e.Test.Name {
		return
	}
	e.unnamed = e.Test.Name == "" && e.Problem != nil
	e.Declared, e.Test.Name = e.Test.Name, task
	r.opts.Logger.Info("the statement is of another test than it says", zap.Stringer("manifest", e.Manifest),
		zap.String("declared", e.Declared), zap.String("task", task))
}

// date tells the time by the first clock that knows it, and judges it.
func (r *Resolver) date(e *Evidence) {
	own := e.reading.Time
	for _, clock := range r.opts.Clocks {
		t := own
		if clock == ClockProvenance {
			t = e.maker.Finished
		}
		if !t.IsZero() {
			e.Time, e.Clock = t, clock
			break
		}
	}
	now, skew := r.opts.Now(), r.opts.Skew
	if e.Time.After(now.Add(skew)) {
		e.blame(&Problem{Kind: Future, Time: e.Time, Now: now, Within: skew})
	}
	if e.Time.IsZero() && e.Problem == nil {
		e.blame(&intoto.FieldError{Field: "Options.Clocks", Problem: "none of them knows the time of the statement"})
	}
	task := e.maker
	if task.Finished.IsZero() {
		task.Finished = e.firstEnd()
	}
	if !own.IsZero() && !task.Covers(own, skew) {
		e.blame(&Problem{Kind: Mistimed, Time: own, Started: task.Started, Finished: task.Finished, Within: skew})
	}
}
