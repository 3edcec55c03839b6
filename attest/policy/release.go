package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
)

// imagesAtOnce is how many images of a release are judged at the same time. Each of them has some ten requests in flight.
const imagesAtOnce = 16

// An Image is one of the images of a release.
type Image struct {
	Digest    name.Digest
	Component string // see [Input.Component]; optional

	// Platforms asks for a report about each image that Digest lists, if it is an index, beside the report about the index.
	// Evidence is about one digest: that of an index says nothing about the images that the index lists.
	Platforms bool

	// Expect are runs that are over, whose evidence must be at Digest, see [attest.Resolver.Expecting]. Nothing is expected
	// of the images that it lists.
	Expect []attest.Expect
}

// A Release is the reports about images that go on together or not at all. In JSON it has the field names of Conforma's
// reports, like [Report].
type Release struct {
	Success bool      `json:"success"` // every image was judged, and none is denied
	Time    time.Time `json:"effective-time"`
	Images  []Judged  `json:"components"` // in the order of the images that were given, those of an index behind it
}

// A Judged is an image of a [Release] and the report about it.
type Judged struct {
	Report

	Index    string `json:"index,omitempty"`    // digest of the index that lists the image, if the index was asked about
	Platform string `json:"platform,omitempty"` // as the index has it: "linux/arm64"; empty if it does not say
	Unjudged int    `json:"unjudged,omitempty"` // how many images it lists that the caller did not ask about
	Error    string `json:"error,omitempty"`    // why the image could not be judged; then the report is empty
}

// GateAll judges the images of a release, several at the same time. An image that is given twice, with the same component,
// is judged once; the same image as two components is judged as each, since a waiver may be for one of them.
//
// A waiver that meets nothing in one image and something in another is used. If it meets nothing in any, the first report
// says so.
//
// Errors: those of [Policy.Validate], and a [*FieldError] for each image without SHA-256 digest, if there is no image, or no
// time; then nothing is judged. Otherwise an error names each image that could not be judged, and why, as
// [attest.Resolver.Platforms] and [Policy.Gate] say it; an image that does not exist is such a one. The Release is complete
// all the same: it holds the reports about the other images, and the error of each in its place.
func (p Policy) GateAll(ctx context.Context, r *attest.Resolver, images []Image, now time.Time) (Release, error) {
	if err := errors.Join(p.Validate(), validateImages(images, now)); err != nil {
		return Release{}, err
	}
	images = distinct(images)
	listed := make([][]target, len(images))
	atOnce(len(images), func(i int) { listed[i] = targetsOf(ctx, r, images[i]) })
	var targets []target
	for _, some := range listed {
		targets = append(targets, some...)
	}
	atOnce(len(targets), func(i int) { targets[i].judge(ctx, p, r, now) })

	release := Release{Success: true, Time: now.UTC()}
	var errs []error
	for _, t := range targets {
		if t.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.image, t.err))
		}
		release.Success = release.Success && t.Success
		release.Images = append(release.Images, t.Judged)
	}
	tellUnusedOnce(release.Images)
	return release, errors.Join(errs...)
}

func validateImages(images []Image, now time.Time) error {
	var c checklist
	if len(images) == 0 {
		c.add("images", "required: name at least one image")
	}
	for i, image := range images {
		if h, err := v1.NewHash(image.Digest.DigestStr()); err != nil || h.Algorithm != "sha256" {
			c.add(fmt.Sprintf("images[%d]", i), "%q is not a SHA-256 digest", image.Digest.DigestStr())
		}
	}
	if now.IsZero() {
		c.add("now", "required: the time to judge at")
	}
	return c.err()
}

// distinct returns each image once, with all that is asked about it.
func distinct(images []Image) []Image {
	type key struct{ image, component string }
	first := map[key]int{}
	var once []Image
	for _, image := range images {
		k := key{image.Digest.Name(), image.Component}
		at, given := first[k]
		if !given {
			first[k] = len(once)
			once = append(once, image)
			continue
		}
		once[at].Platforms = once[at].Platforms || image.Platforms
		once[at].Expect = append(once[at].Expect[:len(once[at].Expect):len(once[at].Expect)], image.Expect...)
	}
	return once
}

// A target is one digest to judge, and then the verdict.
type target struct {
	image     name.Digest
	component string
	expect    []attest.Expect
	err       error
	Judged
}

// targetsOf returns the image, and those that it lists if they are asked for. Asking for the list also tells an image that
// does not exist from an image without evidence.
func targetsOf(ctx context.Context, r *attest.Resolver, image Image) []target {
	self := target{image: image.Digest, component: image.Component, expect: image.Expect}
	platforms, err := r.Platforms(ctx, image.Digest)
	if err != nil {
		self.err = err
		return []target{self}
	}
	if !image.Platforms {
		self.Unjudged = len(platforms)
		return []target{self}
	}
	all := []target{self}
	for _, p := range platforms {
		listed := Judged{Index: image.Digest.DigestStr(), Platform: p.Name}
		all = append(all, target{image: p.Image, component: image.Component, Judged: listed})
	}
	return all
}

func (t *target) judge(ctx context.Context, p Policy, r *attest.Resolver, now time.Time) {
	if t.err == nil {
		t.Report, t.err = p.gate(ctx, r.Expecting(t.expect...), Input{Image: t.image, Component: t.component, Now: now})
	}
	if t.err != nil {
		t.Error = shownError(t.err)
		t.Report = Report{
			Image: t.image.String(), Component: t.component, Time: now.UTC(),
			Violations: sorted(nil), Warnings: sorted(nil), Waived: sorted(nil), Successes: sorted(nil),
		}
	}
}

// tellUnusedOnce removes the warning that a waiver meets nothing if it meets something in another image, or if the report
// about another image has the warning already.
func tellUnusedOnce(images []Judged) {
	told := map[string]bool{} // by the place of the waiver
	for _, image := range images {
		for _, n := range slices.Concat(image.Waived, image.Warnings) {
			if n.Waiver != nil && n.Metadata.Code != CodeWaiverUnused {
				told[n.Waiver.Place] = true
			}
		}
	}
	for i := range images {
		var kept []Note
		for _, n := range images[i].Warnings {
			if n.Metadata.Code == CodeWaiverUnused && n.Waiver != nil {
				if told[n.Waiver.Place] {
					continue
				}
				told[n.Waiver.Place] = true
			}
			kept = append(kept, n)
		}
		images[i].Warnings = sorted(kept)
	}
}

// atOnce calls f(0) to f(n-1), imagesAtOnce of them at the same time.
func atOnce(n int, f func(int)) {
	slots := make(chan struct{}, imagesAtOnce)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
