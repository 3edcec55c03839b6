package policy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
	"github.com/testdag/testdag/attest/scan"
)

// mostReports is how many reports about one image are read. Scans whose reports are left out are judged by their
// counts.
const mostReports = 64

// reportFormats are the formats of reports, by the media type under which the tasks of Konflux attach them.
var reportFormats = map[string]scan.Format{"application/vnd.redhat.clair-report+json": scan.Clair}

// A BuildReport is the report of a scan that ran in a build. The provenance has its digest in the result REPORTS.
type BuildReport struct {
	Image    v1.Hash          // that the report is about, by the provenance
	Manifest v1.Hash          // that holds the report, in the repository of the image
	Findings []intoto.Finding // of the scan
	Problem  error            // why it could not be read
}

// namedReports is a result REPORTS: the digest of the manifest of a report, by the digest of the image that it is
// about.
type namedReports map[v1.Hash]v1.Hash

// reportsOf returns the reports that a task names. It is false if the task has no such result.
func reportsOf(t provenance.Task) (named namedReports, ok bool, err error) {
	raw, ok := t.Results["REPORTS"]
	if ok {
		err = unpack(raw, &named)
	}
	return named, ok, err
}

// covering returns, by image, those that tell all that was found in an image: its own report, and those of the images that
// it lists. If it has none of its own, it returns none if another is missing, since what is missing may have found something.
func (named namedReports) covering(image v1.Hash, platforms []v1.Hash) namedReports {
	all := namedReports{}
	own, whole := named[image]
	if whole {
		all[image] = own
	}
	for _, p := range platforms {
		report, ok := named[p]
		switch {
		case ok:
			all[p] = report
		case !whole:
			return nil
		}
	}
	return all
}

// A reportReader reads the reports that builds of an image name.
type reportReader struct {
	resolver *attest.Resolver
	image    v1.Hash
	in       *Input
	listed   bool // in.Platforms has been asked for
}

// readReports fills in.Reports and in.Platforms by the builds that in holds, for the scans that the policy requires. An
// error is about the registry.
func (p Policy) readReports(ctx context.Context, r *attest.Resolver, in *Input) error {
	image, err := v1.NewHash(in.Image.DigestStr())
	if err != nil {
		return err
	}
	required := map[string]bool{}
	for _, e := range slices.Concat(p.RequiredInBuild, p.Required) {
		for _, name := range slices.Concat(flatten(e.Tasks)...) {
			required[name] = true
		}
	}
	reader := &reportReader{resolver: r, image: image, in: in}
	for _, b := range in.Builds {
		if b.Problem != nil || b.Provenance == nil {
			continue
		}
		for _, t := range b.Provenance.Tasks {
			if !required[t.Name] {
				continue
			}
			if err := reader.read(ctx, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads the reports of one task. A result that cannot be read is told of when the task is judged.
func (r *reportReader) read(ctx context.Context, t provenance.Task) error {
	named, ok, err := reportsOf(t)
	if !ok || err != nil {
		return nil
	}
	if _, own := named[r.image]; !own || len(named) > 1 {
		if err := r.list(ctx); err != nil {
			return err
		}
	}
	covering := named.covering(r.image, r.in.Platforms)
	for _, image := range slices.SortedFunc(maps.Keys(covering), compareHashes) {
		if len(r.in.Reports) == mostReports || r.in.report(image, covering[image]) != nil {
			continue
		}
		b := BuildReport{Image: image, Manifest: covering[image]}
		a, err := r.resolver.Attached(ctx, r.in.Image, b.Manifest)
		if err != nil {
			return err
		}
		b.Findings, b.Problem = findingsIn(a, image, t)
		r.in.Reports = append(r.in.Reports, b)
	}
	return nil
}

// report returns what was read of a report about an image, nil if it was not looked for. One that is named for two images is
// about one of them at most.
func (in Input) report(image, manifest v1.Hash) *BuildReport {
	for i, b := range in.Reports {
		if b.Image == image && b.Manifest == manifest {
			return &in.Reports[i]
		}
	}
	return nil
}

func compareHashes(a, b v1.Hash) int { return cmp.Compare(a.String(), b.String()) }

// list asks once which images the image lists. One that is not there lists none.
func (r *reportReader) list(ctx context.Context) error {
	if r.listed {
		return nil
	}
	platforms, err := r.resolver.Platforms(ctx, r.in.Image)
	if err != nil && !errors.Is(err, attest.ErrNoImage) {
		return err
	}
	for _, p := range platforms {
		h, err := v1.NewHash(p.Image.DigestStr())
		if err != nil {
			return err
		}
		r.in.Platforms = append(r.in.Platforms, h)
	}
	r.listed = true
	return nil
}

// findingsIn converts a report. The formats have no times and no version of a database. They must be given, so those of
// the task stand in for them, and are dropped with the rest.
func findingsIn(a attest.Attachment, image v1.Hash, t provenance.Task) ([]intoto.Finding, error) {
	if a.Problem != nil {
		return nil, a.Problem
	}
	format, ok := reportFormats[a.MediaType]
	if !ok {
		return nil, fmt.Errorf("the media type %.100q is of no report that is read", a.MediaType)
	}
	opts := scan.Options{Format: format, Image: image.String(), Started: t.Finished, Finished: t.Finished}
	opts.Scanner.DB.LastUpdate = t.Finished
	predicate, err := scan.Convert(bytes.NewReader(a.Bytes), opts)
	if err != nil {
		return nil, err
	}
	vulns, ok := predicate.(intoto.Vulns)
	if !ok {
		return nil, errors.New("not a report of vulnerabilities")
	}
	return vulns.Scanner.Result, nil
}

// scanned judges what a scan in a build found: by its reports if they tell all, otherwise by its counts.
func (t inBuildTask) scanned() verdict {
	var v verdict
	counts, counted := t.Results["SCAN_OUTPUT"]
	reports, reported, err := t.reports()
	switch {
	case !counted && !reported:
		return v
	case err == nil && len(reports) > 0:
		v.add(t.findings(reports))
	case !counted:
		const text = "there is no SCAN_OUTPUT, and no report about the image in REPORTS that can be read"
		v.violate(t.note(CodeErrored, text+because(err)))
	default:
		v.add(t.scanOutput(counts))
		if err != nil {
			v.warn(t.note(CodeUnreadable, "only its counts are judged, since a report cannot be read"+because(err)))
		}
	}
	if t.judge.policy.Vulnerabilities.MaxDBAge > 0 {
		v.warn(t.note(CodeOldDB, "nothing tells how old its vulnerability database was"))
	}
	return v
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + shownError(err)
}

// reports returns those that tell all that the task found in the image, none if one of them was not looked for. It is
// false if the task names none at all. An error is about the first that could not be read.
func (t inBuildTask) reports() (all []BuildReport, ok bool, err error) {
	named, ok, err := reportsOf(t.Task)
	if !ok || err != nil {
		return nil, ok, err
	}
	in := t.judge.in
	image, err := v1.NewHash(in.Image.DigestStr())
	if err != nil {
		return nil, true, err
	}
	covering := named.covering(image, in.Platforms)
	for _, image := range slices.SortedFunc(maps.Keys(covering), compareHashes) {
		report := in.report(image, covering[image])
		if report == nil {
			return nil, true, nil
		}
		all = append(all, *report)
		err = cmp.Or(err, report.Problem)
	}
	return all, true, err
}

// findings judges each finding of reports. What several platforms have in common is told once.
func (t inBuildTask) findings(reports []BuildReport) verdict {
	var v verdict
	sources := t.sources
	if len(reports) == 1 {
		report := sources[0]
		report.Manifest = reports[0].Manifest.String()
		sources = append(slices.Clone(sources), report)
	}
	for _, r := range reports {
		for _, f := range r.Findings {
			t.judge.finding(&v, t.Name, f, sources)
		}
	}
	return v
}
