package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/internal/registries"
)

// An answer is what a reader found: the newest outcome of each test.
type answer struct {
	newest   map[string]attest.TestResult
	verified int // statements that were verified
}

// add takes over an outcome that was verified.
func (a *answer) add(r attest.TestResult) {
	if a.newest == nil {
		a.newest = map[string]attest.TestResult{}
	}
	a.verified++
	test := r.Configuration[0].Name
	if have, ok := a.newest[test]; !ok || r.Timestamp.After(have.Timestamp) {
		a.newest[test] = r
	}
}

// A reader is a way to find the newest statements.
type reader struct {
	name string
	all  bool // it verifies everything
	read func(ctx context.Context, s *stage, from shelf) (answer, error)
}

var readers = []reader{
	{"stock cosign, its `.att`", true, func(ctx context.Context, s *stage, from shelf) (answer, error) {
		return s.stock(ctx, from.stock, false)
	}},
	{"stock cosign, `.att` of `attest`", true, func(ctx context.Context, s *stage, from shelf) (answer, error) {
		return s.stock(ctx, from.image, false)
	}},
	{"stock cosign, bundles", true, func(ctx context.Context, s *stage, from shelf) (answer, error) {
		return s.stock(ctx, from.stock, true)
	}},
	{"`attest`, everything", true, everything},
	{"`attest`, newest of each test", false, newestOfEach},
}

// stock has cosign verify everything, as its command does it for --key.
func (s *stage) stock(ctx context.Context, image name.Digest, bundles bool) (a answer, err error) {
	checks, err := registries.Checks(s.public, ociremote.WithRemoteOptions(s.remote(ctx)...))
	if err != nil {
		return a, err
	}
	if bundles {
		checks.NewBundleFormat = true
		checks.TrustedMaterial = &root.BaseTrustedMaterial{} // with a key it is not looked at, but must be there
	}
	good, _, err := cosign.VerifyImageAttestations(ctx, image, checks)
	if err != nil {
		return a, err
	}
	for _, g := range good {
		envelope, err := g.Payload()
		if err != nil {
			return a, err
		}
		r, err := registries.Outcome(envelope)
		if err != nil {
			return a, err
		}
		a.add(r)
	}
	return a, nil
}

func everything(ctx context.Context, s *stage, from shelf) (a answer, err error) {
	for e, err := range s.resolver().All(ctx, from.image) {
		if err := a.believe(e, err); err != nil {
			return a, err
		}
	}
	return a, nil
}

func newestOfEach(ctx context.Context, s *stage, from shelf) (a answer, err error) {
	newest, err := s.resolver().Newests(ctx, from.image, from.tests()...)
	for _, e := range newest {
		if err := a.believe(e, err); err != nil {
			return a, err
		}
	}
	return a, err
}

func (s *stage) resolver() *attest.Resolver {
	return attest.NewResolver(s.verifier, attest.Options{Transport: s.transport})
}

// believe adds evidence if nothing is wrong with it.
func (a *answer) believe(e attest.Evidence, err error) error {
	if err := errors.Join(err, e.Problem); err != nil {
		return err
	}
	r, ok := e.Predicate.(attest.TestResult)
	if !ok {
		return fmt.Errorf("a %T is no test-result", e.Predicate)
	}
	a.add(r)
	return nil
}
