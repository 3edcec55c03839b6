package scan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/internal/jsonstream"
)

// osvMembers are what osv-scanner writes beside results.
var osvMembers = []string{"results", "experimental_config", "image_metadata", "license_summary", "experimental_generic_findings", "scanned_packages"}

// osvScanner reads what osv-scanner --format json writes: models.VulnerabilityResults of github.com/google/osv-scanner. The
// vulnerabilities in it are entries of the OSV schema.
//
// Many tools write an object with "results". If the list is empty, nothing in it says whose it is, so whatever else is
// there must be known.
func osvScanner(r *report) error {
	var results bool
	var sources, generic int
	var strange string
	err := r.whole(func(name []byte) error {
		if string(name) == "results" {
			results = !r.null()
			return r.list(func() error {
				sources++
				return r.osvSource()
			})
		}
		if string(name) == "experimental_generic_findings" { // of detectors: they are no entries of the schema
			return r.list(func() error {
				generic++
				return r.skip()
			})
		}
		if !slices.Contains(osvMembers, string(name)) {
			strange = string(name)
		}
		return r.skip()
	})
	switch {
	case err != nil:
		return err
	case generic > 0:
		return &FormatError{r.format, "experimental_generic_findings", fmt.Errorf("%d findings that are no vulnerabilities of packages are not understood; scan without detectors", generic)}
	case !results:
		return &FormatError{r.format, "results", errors.New("missing; a scan that found nothing has an empty list")}
	case sources == 0 && strange != "":
		return &FormatError{r.format, "", fmt.Errorf("it has no results, and %.40q, which is not of this format", strange)}
	}
	return nil
}

// osvSource reads what was found in one lock file, list of packages or image, which may be named after its packages.
func (r *report) osvSource() error {
	var path string
	var packages bool
	first := len(r.scanner.Result)
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "source":
			return r.object(func(name []byte) error {
				if string(name) == "path" {
					return r.text(&path)
				}
				return r.skip()
			})
		case "packages":
			packages = !r.null()
			return r.list(r.osvPackage)
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if !packages {
		return r.fail(errors.New("without packages"))
	}
	for _, entry := range r.scanner.Result[first:] {
		f := r.again(entry)
		f.note(attest.FindingLocation, path)
	}
	return nil
}

// An osvPackage gathers what belongs to one package. Only when all of it is read is known what the groups say of the
// vulnerabilities.
type osvPackage struct {
	name, version, ecosystem, commit string
	vulnerabilities                  []osvVulnerability
	groups                           map[string]osvGroup // id: the group it is in
}

type osvGroup struct {
	ids, aliases []string
	severity     string
}

type osvVulnerability struct {
	finding
	affected []osvAffected
}

type osvAffected struct {
	name, ecosystem string
	ranged, git     bool
	fixed, commits  []string // versions, and commits of GIT ranges
}

func (r *report) osvPackage() error {
	p := osvPackage{groups: map[string]osvGroup{}}
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "package":
			return r.object(func(name []byte) error { return r.osvName(name, &p) })
		case "vulnerabilities":
			return r.list(func() error { return r.osvVulnerability(&p) })
		case "groups":
			return r.list(func() error { return r.osvGroup(&p) })
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if p.name == "" && p.commit == "" {
		return r.fail(errors.New("a package without name and commit"))
	}
	if len(p.vulnerabilities) == 0 && len(p.groups) > 0 {
		return r.fail(errors.New("a package with groups of vulnerabilities, and without vulnerabilities"))
	}
	for _, v := range p.vulnerabilities {
		if err := r.add(v.of(&p)); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) osvName(name []byte, p *osvPackage) error {
	switch string(name) {
	case "name":
		return r.text(&p.name)
	case "version":
		return r.text(&p.version)
	case "ecosystem":
		return r.text(&p.ecosystem)
	case "commit":
		return r.text(&p.commit)
	}
	return r.skip()
}

func (r *report) osvGroup(p *osvPackage) error {
	var g osvGroup
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "ids":
			return r.texts(&g.ids)
		case "aliases":
			return r.texts(&g.aliases)
		case "max_severity":
			return r.scalar(&g.severity)
		}
		return r.skip()
	})
	for _, id := range g.ids {
		p.groups[id] = g
	}
	return err
}

// osvVulnerability reads an entry of the OSV schema.
func (r *report) osvVulnerability(p *osvPackage) error {
	v := osvVulnerability{finding: r.finding(12)}
	var database, other string
	var aliases []string
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "id":
			return r.text(&v.id)
		case "aliases":
			return r.texts(&aliases)
		case "summary":
			return r.notedTitle(&v.finding)
		case "published":
			return r.notedTime(&v.finding, attest.FindingPublished)
		case "modified":
			return r.notedTime(&v.finding, attest.FindingModified)
		case "affected":
			return r.list(func() error { return r.osvAffected(&v) })
		case "severity":
			return r.list(func() error { return r.osvSeverity(&other) })
		case "references":
			return r.list(func() error { return r.osvReference(&v.finding) })
		case "database_specific":
			return r.osvDatabase(&database)
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if got := len(r.scanner.Result) + len(p.vulnerabilities) + 1; got > r.limits.Findings {
		return &attest.LimitError{What: whatFindings, Limit: int64(r.limits.Findings), Got: int64(got)}
	}
	v.say("osv", cmp.Or(database, other))
	v.noteAliases(aliases...)
	p.vulnerabilities = append(p.vulnerabilities, v)
	return nil
}

// osvDatabase reads the word on the severity from what a database adds of its own. Each does so in its own form.
func (r *report) osvDatabase(to *string) error {
	if r.walk.Peek() != jsonstream.Object {
		return r.skip()
	}
	return r.object(func(name []byte) error {
		if string(name) == "severity" && r.walk.Peek() == jsonstream.Text {
			return r.text(to)
		}
		return r.skip()
	})
}

// osvSeverity reads a severity that is a word: that of Ubuntu is. All others are CVSS vectors, and it is for the groups to
// say what they come to.
func (r *report) osvSeverity(to *string) error {
	var kind, score string
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "type":
			return r.text(&kind)
		case "score":
			return r.scalar(&score)
		}
		return r.skip()
	})
	if kind == "Ubuntu" {
		*to = score
	}
	return err
}

// osvReference keeps the first reference that is an advisory.
func (r *report) osvReference(f *finding) error {
	var kind, link string
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "type":
			return r.text(&kind)
		case "url":
			return r.text(&link)
		}
		return r.skip()
	})
	if _, there := f.notes[attest.FindingSource]; !there && kind == "ADVISORY" {
		f.note(attest.FindingSource, link)
	}
	return err
}

func (r *report) osvAffected(v *osvVulnerability) error {
	var a osvAffected
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "package":
			return r.object(func(name []byte) error {
				switch string(name) {
				case "name":
					return r.text(&a.name)
				case "ecosystem":
					return r.text(&a.ecosystem)
				}
				return r.skip()
			})
		case "ranges":
			return r.list(func() error { return r.osvRange(&a) })
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	v.affected = append(v.affected, a)
	return r.keep(64) // a list of empty ones is not free
}

func (r *report) osvRange(a *osvAffected) error {
	var kind string
	var fixed []string
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "type":
			return r.text(&kind)
		case "events":
			return r.list(func() error {
				return r.object(func(name []byte) error {
					if string(name) != "fixed" {
						return r.skip()
					}
					var version string
					if err := r.text(&version); err != nil {
						return err
					}
					fixed = append(fixed, version)
					return r.keep(16)
				})
			})
		}
		return r.skip()
	})
	if kind == "GIT" {
		a.git = true
		a.commits = append(a.commits, fixed...)
		return err
	}
	a.ranged = true
	a.fixed = append(a.fixed, fixed...)
	return err
}

// of returns the finding in package p.
func (v osvVulnerability) of(p *osvPackage) finding {
	f := v.finding
	f.note(attest.FindingPackage, cmp.Or(p.name, p.commit))
	f.note(attest.FindingVersion, cmp.Or(p.version, p.commit))
	group := p.groups[f.id]
	f.noteAliases(group.ids...)
	f.noteAliases(group.aliases...)
	if group.severity != "" {
		f.cvss = append(f.cvss, attest.Severity{Method: "cvss:" + string(OSVScanner), Score: group.severity})
	}
	var known bool
	var versions []string
	for _, a := range v.affected {
		ranged, fixed := a.fixes(p)
		known = known || ranged
		for _, version := range fixed {
			if !slices.Contains(versions, version) {
				versions = append(versions, version)
			}
		}
	}
	if known {
		f.noteFix(versions)
	}
	return f
}

// fixes says whether a has ranges of p, and which versions fix it. Commits are of use only to who has a commit.
func (a osvAffected) fixes(p *osvPackage) (ranged bool, versions []string) {
	if p.name == "" {
		return a.git, a.commits
	}
	if a.name != p.name || family(a.ecosystem) != family(p.ecosystem) {
		return false, nil
	}
	return a.ranged, a.fixed
}

// family returns an ecosystem without its release: "Debian" of "Debian:12".
func family(ecosystem string) string {
	name, _, _ := strings.Cut(ecosystem, ":")
	return name
}
