package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/policy"
	"github.com/testdag/testdag/examples/internal/expected"
	"github.com/testdag/testdag/scheduler"
)

// mostBytes is how large a file may be that is read whole.
const mostBytes = 64 << 20

// A gate has read everything but the registry.
type gate struct {
	policy   policy.Policy
	resolver *attest.Resolver
	images   []policy.Image
	now      time.Time
}

// judge judges the images.
func judge(ctx context.Context, o options) (policy.Release, error) {
	g, err := open(o)
	if err != nil {
		return policy.Release{}, err
	}
	return g.policy.GateAll(ctx, g.resolver, g.images, g.now)
}

// trusts reports whether the policy says whose provenance is believed.
func trusts(p policy.Policy) bool { return len(p.Trust.Builders)+len(p.Trust.Tasks) > 0 }

// open reads the files that the arguments name, and reports every mistake in them.
func open(o options) (gate, error) {
	p, policyErr := readPolicy(o.policy)
	verifier, verifierErr := o.verifier(p)
	images, imagesErr := o.readImages()
	if err := errors.Join(policyErr, verifierErr, imagesErr); err != nil {
		return gate{}, err
	}
	if len(o.builderKeys) > 0 && !trusts(p) {
		return gate{}, fmt.Errorf("-provenance-key is of no use: %s has no trust, which says whose provenance counts", o.policy)
	}
	g := gate{policy: p, images: images, now: o.now}
	opts := attest.Options{MaxAge: o.maxAge}
	if o.now.IsZero() {
		g.now = time.Now()
	}
	opts.Now = func() time.Time { return g.now }
	if o.checkpoint != "" {
		opts.Checkpoint = checkpoint.Dir(o.checkpoint)
	}
	g.resolver = attest.NewResolver(verifier, opts)
	return g, nil
}

func readPolicy(path string) (policy.Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return policy.Policy{}, fmt.Errorf("-policy: %w", err)
	}
	defer f.Close()
	p, err := policy.Parse(f)
	if err != nil {
		return policy.Policy{}, fmt.Errorf("-policy %s: %w", path, err)
	}
	return p, nil
}

// verifier believes the keys and the identity, and provenance if the policy trusts any. Who may sign that can be
// somebody else: a key that tests sign with would otherwise be good for a build, too.
func (o options) verifier(p policy.Policy) (attest.Verifier, error) {
	all, err := loadKeys("-key", o.keys)
	builders, buildersErr := loadKeys("-provenance-key", o.builderKeys)
	var identityErr error
	if o.identity != "" {
		var v attest.Verifier
		v, identityErr = o.identityVerifier()
		all = append(all, v)
	}
	if err := errors.Join(err, buildersErr, identityErr); err != nil || !trusts(p) {
		return attest.AnyOf(all...), err
	}
	if len(builders) == 0 {
		builders = all
	}
	byProvenance, err := attest.ByProvenance(attest.AnyOf(builders...), p.Trust)
	return attest.AnyOf(append(slices.Clone(all), byProvenance)...), err
}

// loadKeys reads public keys, and reports each that is none.
func loadKeys(flag string, paths []string) (all []attest.Verifier, err error) {
	for _, path := range paths {
		pem, readErr := readFile(path)
		if readErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", flag, readErr))
			continue
		}
		v, keyErr := cosign.LoadVerifier(pem)
		if keyErr != nil {
			err = errors.Join(err, fmt.Errorf("%s %s: %w", flag, path, keyErr))
		}
		all = append(all, v)
	}
	return all, err
}

func (o options) identityVerifier() (attest.Verifier, error) {
	root, err := readFile(o.trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("-trusted-root: %w", err)
	}
	return cosign.LoadIdentityVerifier(root, cosign.Identity{Subject: o.identity, Issuer: o.issuer})
}

// readImages returns the images of the arguments and of the files that these name, with what is asked about each.
func (o options) readImages() ([]policy.Image, error) {
	var images []policy.Image
	for _, image := range o.images {
		images = append(images, policy.Image{Digest: image})
	}
	var errs []error
	for _, path := range o.imageFiles {
		some, err := readImageFile(path)
		images, errs = append(images, some...), append(errs, err)
	}
	runs, err := readRuns(o.expect)
	if err == nil && o.expect != "" && len(images) > 1 {
		err = fmt.Errorf("-expect %s: the runs are about one image, and there are %d; judge that one alone", o.expect,
			len(images))
	}
	for i := range images {
		images[i].Platforms = o.platforms
		images[i].Expect = attest.ExpectRuns(images[i].Digest, expected.Runs(runs)...)
	}
	return images, errors.Join(append(errs, err)...)
}

func readImageFile(path string) ([]policy.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("-images: %w", err)
	}
	defer f.Close()
	images, err := policy.ParseImages(f)
	if err != nil {
		return nil, fmt.Errorf("-images %s: %w", path, err)
	}
	return images, nil
}

// readRuns reads which runs are over.
func readRuns(path string) (runs scheduler.Snapshot, err error) {
	if path == "" {
		return nil, nil
	}
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("-expect: %w", err)
	}
	if err := json.Unmarshal(text, &runs); err != nil {
		return nil, fmt.Errorf("-expect %s: %w", path, err)
	}
	return runs, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err == nil && len(text) > mostBytes {
		err = fmt.Errorf("%s: larger than %d bytes", path, mostBytes)
	}
	return text, err
}
