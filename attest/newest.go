package attest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
)

// Newest returns the newest evidence of test for image. What is bound to the image is grouped by test, the newest of it
// is taken, and only then verified. Older evidence is never a fallback: if the newest is malformed, or nobody vouches
// for it, it is returned as it is, with its Problem. So look at both, the error and Evidence.Problem. Evidence whose
// time cannot be told counts as newest, and of several made at the same instant the worst counts.
//
// Errors: one that wraps [ErrNotFound] if there is no statement of the test at all; [*FieldError] if test names nothing
// that can be found; [*CandidateError], several joined, if anything at the image could not be read that may be a newer
// statement of the test; and those of [Resolver.All].
func (r *Resolver) Newest(ctx context.Context, image name.Digest, test Test) (Evidence, error) {
	if err := test.validate(); err != nil {
		return Evidence{}, err
	}
	all, err := r.collect(ctx, image)
	if err != nil {
		return Evidence{}, err
	}
	of, err := group(all, test)
	if err != nil {
		return Evidence{}, err
	}
	if len(of) == 0 {
		return Evidence{}, fmt.Errorf("attest: %w of %q (%s) for %s", ErrNotFound, test.Name, test.PredicateType, image)
	}
	tied := youngest(of)
	for i := range tied {
		tied[i] = r.vouch(ctx, tied[i])
	}
	if err := ctx.Err(); err != nil {
		return Evidence{}, fmt.Errorf("attest: verify: %w", err)
	}
	slices.SortFunc(tied, compareWorst)
	worst := tied[0]
	if len(tied) > 1 {
		worst.Tied = tied
	}
	return worst, nil
}

// validate refuses a test of which there can be no evidence. That none was found would tell nothing.
func (t Test) validate() error {
	var c checklist
	c.require("test.Name", t.Name != "")
	if _, ok := readers[t.PredicateType]; !ok {
		c.add("test.PredicateType", fmt.Sprintf("%q is not one of VulnsType, TestResultType", t.PredicateType))
	}
	return errors.Join(c...)
}

// group returns the evidence of test. What may be of the test and cannot be read is an error.
func group(all []Evidence, test Test) ([]Evidence, error) {
	var of []Evidence
	var errs []error
	slices.SortFunc(all, compareAge)
	for _, e := range all {
		switch {
		case e.Test == test:
			of = append(of, e)
		case e.Test == Test{} || e.Test == Test{PredicateType: test.PredicateType}:
			errs = append(errs, e.Problem)
		}
	}
	return of, errors.Join(errs...)
}

// youngest returns those that share the latest instant, or all without a time if there are any.
func youngest(of []Evidence) []Evidence {
	slices.SortFunc(of, compareAge)
	n := 1
	for n < len(of) && of[n].Time.Equal(of[0].Time) {
		n++
	}
	return slices.Clone(of[:n])
}
