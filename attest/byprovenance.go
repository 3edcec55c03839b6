package attest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// ByProvenance returns a Verifier that believes a statement, signed or not, because of who made it: a SLSA provenance
// that signer vouches for, attached to the manifest of the statement's record, whose subject is that manifest, and
// whose builder and tasks are all trusted. Tekton Chains attaches one to what the results of a task point it to.
//
// Give it to [NewResolver] itself or within [AnyOf]: a Resolver then reads what is attached to each record, and takes
// time and test from a trusted provenance where there is one. It looks at every record for that, since annotations are
// the word of the task that is being judged. A provenance that is not trusted is shown, in [Evidence.Provenance], and
// decides neither: anybody who may run a task can have one signed. But if it names the task of another test, evidence
// blocks that test too as long as it is the newest, since a rule that expires must not hide a failure.
//
// Errors: [*intoto.FieldError] for each mistake in trust, and for a signer that is nil.
func ByProvenance(signer Verifier, trust provenance.Trust) (Verifier, error) {
	var c fault.Checklist
	c.Require("signer", signer != nil)
	if err := errors.Join(errors.Join(c...), trust.Validate()); err != nil {
		return nil, err
	}
	return &byProvenance{signer, trust}, nil
}

type byProvenance struct {
	signer Verifier
	trust  provenance.Trust
}

// Verify believes c if one provenance among those that the Resolver found is trusted.
func (v *byProvenance) Verify(_ context.Context, c Candidate) ([]byte, Identity, error) {
	payload, err := c.Payload()
	if err != nil {
		return nil, Identity{}, err
	}
	errs := slices.Clone(c.doubts)
	for _, p := range c.provenance {
		if p.untrusted == nil {
			return payload, Identity{Kind: "provenance", Name: p.by.Name}, nil
		}
		errs = append(errs, p.untrusted)
	}
	if len(errs) == 0 {
		errs = append(errs, noProvenance(c.Manifest))
	}
	return nil, Identity{}, errors.Join(errs...)
}

// noProvenance says what to do about it. Chains calls a run signed also when it has attached nothing.
func noProvenance(manifest v1.Hash) error {
	return fmt.Errorf("no provenance is attached to %s: wait until Tekton Chains has signed the run; if it has, let the task declare every result "+
		"of pipelinerun.WriteArtifact (format slsa/v2alpha4 ignores ARTIFACT_URI and needs the object ARTIFACT_OUTPUTS), and run it again", manifest)
}

// AnyOf returns a Verifier that believes what any of several believes, and names the first that does.
func AnyOf(verifiers ...Verifier) Verifier {
	return anyOf(slices.DeleteFunc(slices.Clone(verifiers), func(v Verifier) bool { return v == nil }))
}

type anyOf []Verifier

func (v anyOf) Verify(ctx context.Context, c Candidate) ([]byte, Identity, error) {
	var errs []error
	for _, one := range v {
		payload, by, err := one.Verify(ctx, c)
		if err == nil {
			return payload, by, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		errs = append(errs, errors.New("there is no verifier"))
	}
	return nil, Identity{}, errors.Join(joinKeys(errs)...)
}

// wantProvenance returns the parts of a verifier that need to know what is attached to a record.
func wantProvenance(v Verifier) []*byProvenance {
	switch v := v.(type) {
	case *byProvenance:
		return []*byProvenance{v}
	case anyOf:
		var all []*byProvenance
		for _, one := range v {
			all = append(all, wantProvenance(one)...)
		}
		return all
	}
	return nil
}

// A signedProvenance is one that a signer vouches for and whose subject is the manifest.
type signedProvenance struct {
	*provenance.Provenance
	payload   [sha256.Size]byte // digest of the statement
	held      v1.Hash           // manifest that holds it
	manifest  v1.Hash           // its subject
	task      provenance.Task   // that made the subject, zero if none is known to have
	by        Identity
	distrust  error // why builder or tasks are not trusted; nil if all are
	untrusted error // the same, or that no task is known to have made the subject
}

// bestProvenance returns the provenance that tells of the evidence: a trusted one if there is any, and of several the
// one whose task ended first, since what was made once can be handed on by later runs. One without times comes before
// all, since it may be the first, as with [provenance.Provenance.TaskOf].
//
// The order in which they were found decides nothing.
func (e *Evidence) bestProvenance() (signedProvenance, bool) {
	all := e.signed()
	if len(all) == 0 {
		return signedProvenance{}, false
	}
	return slices.MinFunc(all, func(a, b signedProvenance) int {
		return cmp.Or(
			cmp.Compare(btoi(a.untrusted != nil), btoi(b.untrusted != nil)),
			provenance.CompareEnd(a.task, b.task),
			cmp.Compare(a.manifest.Hex, b.manifest.Hex),
			bytes.Compare(a.payload[:], b.payload[:]),
		)
	}), true
}

// signed returns every signed provenance that is attached to a manifest of the evidence.
func (e *Evidence) signed() []signedProvenance {
	var all []signedProvenance
	for _, c := range e.envelopes {
		all = append(all, c.provenance...)
	}
	return all
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// addProvenance tells the evidence found in one manifest what vouches for that manifest.
func (s *search) addProvenance(ctx context.Context, found []Evidence, manifest v1.Hash) error {
	readable := func(e Evidence) bool { return e.Statement != nil }
	if len(s.provenance) == 0 || !slices.ContainsFunc(found, readable) {
		return nil
	}
	signed, doubts, err := s.provenances(ctx, manifest)
	for _, e := range found {
		for i := range e.envelopes {
			e.envelopes[i].provenance, e.envelopes[i].doubts = signed, doubts
		}
	}
	return err
}

// provenances reads what is attached to a manifest. Doubts say why some of it does not count.
func (s *search) provenances(ctx context.Context, manifest v1.Hash) (signed []signedProvenance, doubts []error, err error) {
	subject := s.image.Context().Digest(manifest.String())
	leads, doubts, err := s.repo.Attached(ctx, subject, s.referrers, mayBeProvenance)
	if err != nil {
		return nil, nil, err
	}
	if err := s.repo.Budget.Count(len(leads), s.opts.Limits.Statements); err != nil {
		return nil, nil, err
	}
	for _, l := range leads {
		c, err := fetch(ctx, s.repo, subject, l, isProvenance)
		if errors.Is(err, registry.ErrForeign) {
			continue
		}
		if err := referrers.IsFatal(err); err != nil {
			return nil, nil, err
		}
		if err != nil {
			doubts = append(doubts, l.Unreadable(err))
			continue
		}
		found, err := s.provenanceIn(ctx, c, manifest)
		if err != nil {
			doubts = append(doubts, l.Unreadable(err))
		}
		signed = append(signed, found...)
	}
	return signed, doubts, ctx.Err()
}

// mayBeProvenance reports whether a type that hints give leaves it open. What hides behind a wrong one vouches for
// nothing.
func mayBeProvenance(predicateType string) bool {
	return predicateType == "" || isProvenance(predicateType)
}

func isProvenance(predicateType string) bool {
	return predicateType == intoto.ProvenanceType || predicateType == intoto.ProvenanceTypeV02
}

// provenanceIn verifies and reads one candidate, for each verifier that wants provenance. It returns nothing for what
// is none, and an error if nobody vouches for it.
func (s *search) provenanceIn(ctx context.Context, c Candidate, manifest v1.Hash) ([]signedProvenance, error) {
	payload, err := c.payload(s.opts.Limits)
	if err != nil {
		return nil, err
	}
	c.decoded = payload
	if err := s.repo.Budget.Decode(payload, s.opts.Limits.TotalValues); err != nil {
		return nil, err
	}
	statement, err := intoto.ParseStatementWithin(payload, registry.JSON(s.opts.Limits))
	if err != nil || !isProvenance(statement.PredicateType) {
		return nil, err
	}
	if !statement.About(manifest.Hex) {
		return nil, fmt.Errorf("its subjects are not %s", manifest)
	}
	var signed []signedProvenance
	var errs []error
	for _, v := range s.provenance {
		by, err := verify(ctx, v.signer, c, payload)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p, err := provenance.ParseWithin(statement, registry.JSON(s.opts.Limits))
		if err != nil {
			return nil, err
		}
		one := signedProvenance{Provenance: p, payload: sha256.Sum256(payload), held: c.Manifest, manifest: manifest, by: by}
		one.distrust = v.trust.Check(p, s.opts.Now())
		one.untrusted = one.distrust
		var made bool
		if one.task, made = p.TaskOf(manifest); !made {
			one.untrusted = errors.Join(one.distrust, noTask(manifest))
		}
		signed = append(signed, one)
	}
	if len(signed) == 0 {
		return nil, errors.Join(errs...)
	}
	return signed, nil
}

// noTask says why a provenance does not stand for a manifest. That the manifest is a subject is not enough: the
// author of a pipeline can put any digest into its results. One of the tasks must have named it.
func noTask(manifest v1.Hash) error {
	return &provenance.UntrustedError{Reason: "it does not tell which task made " + manifest.String()}
}
