package attest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	"go.uber.org/zap"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/testname"
)

// Newest returns the newest evidence of test for image. What is bound to the image is grouped by test, the newest of it
// is taken, and only then verified. Older evidence is never a fallback: if the newest is malformed, or nobody vouches
// for it, it is returned as it is, with its Problem. So look at both: errors.Join(err, e.Err()), see [Evidence.Err].
// Evidence whose time cannot be told counts as newest, and of several made at the same instant the worst counts.
//
// Vulns have no word for a scan that could not tell, so its evidence is a [intoto.TestResult]. Vulns therefore do not
// count, and their Problem holds an [Overruled] one, if a test-result of the same name is as new or newer and is no
// pass. A test-result that is a pass changes nothing: it does not say what was found.
//
// Evidence that may be of the test counts for it too, and its Problem says what is wrong: a statement of another
// version of the predicate, which is of any test if no name can be read from it; and one whose name is not allowed (see
// [intoto.Test]) and becomes the test's without case, compatibility characters, blanks and invisible characters. The
// time of another version is not believed, so only a trusted provenance can show that it is older. A statement also
// counts so for the test of each task that a signed provenance, trusted or not, says to have made it, see [Misnamed].
//
// Annotations of records save reading all of them: what the referrers API says to be of another test, or older, is
// passed over. They are as good as the statement inside, since they come from its writer and nobody can change them in
// place; what was read because of them and contradicts them blocks. What they say to be of a test and cannot be read
// blocks that test alone. A list that drops or shortens them costs requests and hides nothing. A registry without that
// API has only lists that anybody who may push can rewrite, so there
// everything is read, and with [ByProvenance] too, which takes no task's word.
//
// A record that only one of the lists names is read too, and one that is named and missing blocks: see
// [Evidence.Sources] for the lists that answered. A list that the registry has and that cannot be read is an error.
//
// Errors: one that wraps [ErrNotFound] if there is no statement of the test at all; [*intoto.FieldError] if test names
// nothing that can be found; [*CandidateError], several joined, if anything at the image could not be read that may be
// a newer statement of the test; those of [Resolver.All] and of the Checkpoint.
func (r *Resolver) Newest(ctx context.Context, image name.Digest, test intoto.Test) (Evidence, error) {
	all, err := r.NewestAll(ctx, image, test)
	if err != nil {
		return Evidence{failed: true}, err
	}
	if newest := all[0]; newest.Statement != nil {
		return newest, nil
	}
	return Evidence{failed: true}, all[0].Problem
}

// NewestAll is [Resolver.Newest] for several tests in one go: the evidence comes in the order of tests. Of a test without
// any, and of one that something unreadable may be of, the Evidence holds no Statement, and Problem says what
// [Resolver.Newest] has as its error.
//
// Without tests it returns the newest evidence of every test that is found or expected (see [Resolver.Expecting]), by
// name and predicate type. Evidence with a name that no test may have comes under that name too, with its Problem. A
// test of which everything was deleted is not among them, Checkpoint or not: a caller that knows which tests there must
// be names them.
func (r *Resolver) NewestAll(ctx context.Context, image name.Digest, tests ...intoto.Test) ([]Evidence, error) {
	if err := validate(tests); err != nil {
		return nil, err
	}
	ctx, done := registry.Within(ctx, registry.WhatCall, r.opts.Limits.CallTime)
	defer done()
	all, none, err := r.collect(ctx, image, r.ask(tests))
	if err != nil {
		return nil, err
	}
	if len(tests) == 0 {
		tests = r.testsIn(all)
	}
	newest := make([]Evidence, len(tests))
	slices.SortFunc(all, compareAge)
	names := testNames(all)
	err = registry.Parallel(ctx, len(tests), r.opts.Parallel, func(ctx context.Context, i int) (err error) {
		e := none
		e.Test = tests[i]
		newest[i], err = r.answer(ctx, e, all, names)
		return err
	})
	return newest, registry.Overtime(ctx, err)
}

// validate refuses tests of which there can be no evidence. That none was found would tell nothing.
func validate(tests []intoto.Test) error {
	var c fault.Checklist
	for i, t := range tests {
		c.TestName(fmt.Sprintf("tests[%d].Name", i), t.Name)
		if !intoto.Understands(t.PredicateType) {
			c.Add(fmt.Sprintf("tests[%d].PredicateType", i), fmt.Sprintf("%q is not one of intoto.VulnsType, intoto.TestResultType", t.PredicateType))
		}
	}
	return errors.Join(c...)
}

// testsIn returns the tests that there is evidence of, and the expected ones that there is none of.
func (r *Resolver) testsIn(all []Evidence) []intoto.Test {
	var tests []intoto.Test
	for _, e := range all {
		if e.Statement == nil && r.opts.UnsafeIgnoreUnverified {
			continue
		}
		tests = append(tests, e.Test)
		if e.Declared != "" {
			tests = append(tests, intoto.Test{Name: e.Declared, PredicateType: e.Test.PredicateType})
		}
	}
	for _, x := range r.expect {
		if !slices.ContainsFunc(tests, func(t intoto.Test) bool { return t.Name == x.Test }) {
			tests = append(tests, intoto.Test{Name: x.Test})
		}
	}
	slices.SortFunc(tests, func(a, b intoto.Test) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.PredicateType, b.PredicateType))
	})
	return slices.Compact(tests)
}

// answer returns the newest evidence of the test that e is of, among all sorted by age. Their names are those that it may
// be alike. An error is about the call.
func (r *Resolver) answer(ctx context.Context, e Evidence, all []Evidence, names testname.Index) (Evidence, error) {
	test := e.Test
	of, nameless := group(all, test)
	if e.Problem = r.unreadable(nameless, of); e.Problem != nil {
		return e, nil
	}
	if len(of) > 0 {
		e = r.newest(ctx, of)
	} else {
		e.addProblem(notFound(e.Image, test))
	}
	if err := ctx.Err(); err != nil {
		return Evidence{}, fault.Wrap("verify", err) // a verifier that was cut off has said nothing
	}
	e.Alike = names.Alike(test.Name)
	r.age(&e)
	if e.Test != test { // it only says that it is of the test, and runs and marks of its own test are another question
		e.Result = intoto.Unknown
		return e, nil
	}
	r.expected(&e, all)
	deciding := r.overrule(ctx, &e, all)
	err := errors.Join(r.remember(ctx, &e, deciding), ctx.Err())
	if e.Problem != nil {
		e.Result = intoto.Unknown
	}
	return e, err
}

// overrule adds a problem to vulns if a test-result of the same test is not older and is no pass. It returns the evidence
// that decides, which is what a Checkpoint remembers: if the test-result is deleted, the vulns must not count again.
func (r *Resolver) overrule(ctx context.Context, e *Evidence, all []Evidence) Evidence {
	if e.Test.PredicateType != intoto.VulnsType || e.Statement == nil {
		return *e
	}
	of, nameless := group(all, intoto.Test{Name: e.Test.Name, PredicateType: intoto.TestResultType})
	if err := r.unreadable(nameless, append(of, *e)); err != nil {
		e.addProblem(err)
		return *e
	}
	of = slices.DeleteFunc(of, func(o Evidence) bool { return !o.ties(*e) && compareTime(o, *e) > 0 })
	if len(of) == 0 {
		return *e
	}
	newer := r.newest(ctx, of)
	isPass := newer.Problem == nil && (newer.Result == intoto.Passed || newer.Result == intoto.Warned)
	if isPass || r.opts.UnsafeIgnoreUnverified && r.ignored(newer) {
		return *e
	}
	result, _ := newer.outcome()
	e.addProblem(&Problem{Kind: Overruled, Manifest: newer.Manifest, Time: newer.Time, Result: result, Err: newer.Problem})
	return newer
}

// testNames returns the names of all tests, and those that statements give themselves.
func testNames(all []Evidence) testname.Index {
	var names []string
	for _, e := range all {
		names = append(names, e.Test.Name, e.Declared)
	}
	return testname.NewIndex(names)
}

func notFound(image name.Digest, test intoto.Test) error {
	of := fmt.Sprintf("%q", test.Name)
	if test.PredicateType != "" {
		of += " (" + test.PredicateType + ")"
	}
	return fmt.Errorf("attest: %w of %s for %s", ErrNotFound, of, image)
}

// group returns the evidence of test, sorted by age. What only says that it is of the test is there too, with a
// problem: otherwise a provenance that is made for the newest failure could turn it into one of another test. So is
// what has a name that no test may have and looks like the test's. Nameless is what may be of the test and cannot be
// read.
func group(all []Evidence, test intoto.Test) (of, nameless []Evidence) {
	fold := testname.Fold(test.Name)
	if testname.Problem(test.Name) != "" {
		fold = "" // names like this one were found too, and each is asked for
	}
	means := func(name, look string) bool { return name == test.Name || look != "" && look == fold }
	for _, e := range all {
		switch {
		case e.mayBeOf(test):
			nameless = append(nameless, e)
		case e.Test.PredicateType != test.PredicateType || e.Statement == nil:
		case means(e.Test.Name, e.look):
			of = append(of, e)
		case e.Declared != "" && means(e.Declared, e.declaredLook):
			e.addProblem(&Problem{Kind: Misnamed, Declared: e.Declared, Task: e.Test.Name})
			of = append(of, e)
		case slices.Contains(e.claims, test.Name):
			e.addProblem(&Problem{Kind: Misnamed, Declared: cmp.Or(e.Declared, e.Test.Name), Task: test.Name})
			of = append(of, e)
		}
	}
	return of, nameless
}

// newest verifies those that share the latest instant and returns the worst of them.
func (r *Resolver) newest(ctx context.Context, of []Evidence) Evidence {
	for {
		tied, older := youngest(of)
		for i := range tied {
			tied[i] = r.verifyOne(ctx, tied[i])
		}
		if !r.opts.UnsafeIgnoreUnverified {
			return worst(tied)
		}
		verified := slices.DeleteFunc(slices.Clone(tied), r.ignored)
		if len(verified) == len(tied) || len(verified)+len(older) == 0 { // or there is nothing to pass them over for
			return worst(tied)
		}
		of = append(verified, older...) // what was tied with one that is ignored may be older than these
		slices.SortStableFunc(of, compareAge)
	}
}

// ignored reports whether evidence is passed over although it may be the newest.
func (r *Resolver) ignored(e Evidence) bool {
	if e.VerifiedBy != (Identity{}) {
		return false
	}
	r.opts.Logger.Warn("ignoring unverified evidence", zap.Stringer("manifest", e.Manifest), zap.String("test", e.Test.Name))
	return true
}

func worst(tied []Evidence) Evidence {
	slices.SortFunc(tied, compareWorst)
	e := tied[0]
	if len(tied) > 1 {
		e.Tied = tied
	}
	return e
}

// youngest returns those that share the latest instant, or all without a time if there are any, and the others. Both are
// sorted by age.
func youngest(of []Evidence) (tied, older []Evidence) {
	for _, e := range of {
		if e.ties(of[0]) {
			tied = append(tied, e)
		} else {
			older = append(older, e)
		}
	}
	return tied, older
}
