package scan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/testdag/testdag/attest/intoto"
)

// osvMembers are what osv-scanner writes beside results.
var osvMembers = []string{
	"results", "experimental_config", "image_metadata", "license_summary", "experimental_generic_findings", "scanned_packages",
}

// An osvPackage is what osv-scanner --format json says of a package: models.PackageVulns of github.com/google/osv-scanner.
// Only when all of it is read is known what the groups say of the vulnerabilities.
type osvPackage struct {
	is struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		Ecosystem string `json:"ecosystem"`
		Commit    string `json:"commit"`
	}
	vulnerabilities []osvVulnerability
	groups          map[string]osvGroup // by id in it
}

type osvGroup struct {
	IDs      []string       `json:"ids"`
	Aliases  []string       `json:"aliases"`
	Severity jsontext.Value `json:"max_severity"`
}

// An osvVulnerability is an entry of the OSV schema.
type osvVulnerability struct {
	ID         string        `json:"id"`
	Aliases    []string      `json:"aliases"`
	Summary    string        `json:"summary"`
	Published  string        `json:"published"`
	Modified   string        `json:"modified"`
	Affected   []osvAffected `json:"affected"`
	Severity   []osvSeverity `json:"severity"`
	References []struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	} `json:"references"`

	// Database is what a database adds of its own, each in its own form.
	Database maybe[osvWord] `json:"database_specific"`
}

// An osvWord is the part that is read of objects which each database fills in its own way.
type osvWord struct {
	Severity jsontext.Value `json:"severity"`
}

// An osvSeverity is a CVSS vector, or a score in some databases; that of Ubuntu is a word.
type osvSeverity struct {
	Type  string         `json:"type"`
	Score jsontext.Value `json:"score"`
}

type osvAffected struct {
	Package struct {
		Name      string `json:"name"`
		Ecosystem string `json:"ecosystem"`
	} `json:"package"`
	Severity []osvSeverity `json:"severity"`
	Ranges   []osvRange    `json:"ranges"`

	// Ecosystem and Database are additions of an ecosystem and of a database for the package.
	Ecosystem maybe[osvWord] `json:"ecosystem_specific"`
	Database  maybe[osvWord] `json:"database_specific"`
}

// An osvRange is of versions, or of commits if its type is "GIT".
type osvRange struct {
	Type   string `json:"type"`
	Events []struct {
		Fixed        string `json:"fixed"`
		LastAffected string `json:"last_affected"`
	} `json:"events"`
}

// osvScanner reads models.VulnerabilityResults of github.com/google/osv-scanner.
//
// Many tools write an object with "results". If the list is empty, nothing in it says whose it is, so whatever else is
// there must be known.
func osvScanner(r *report) error {
	results := false
	var sources, generic int
	var strange string
	err := r.entries(func(name string) error {
		switch {
		case name == "results" && r.dec.PeekKind() != 'n':
			results = true
			return r.list(func() error {
				sources++
				return r.osvSource()
			})
		case name == "experimental_generic_findings": // of detectors: they are no entries of the schema
			return r.list(func() error {
				generic++
				return r.skip()
			})
		case !slices.Contains(osvMembers, name):
			strange = name
		}
		return r.skip()
	})
	switch {
	case err != nil:
		return err
	case generic > 0:
		err = fmt.Errorf("%d findings that are no vulnerabilities of packages are not understood; scan without detectors", generic)
		return &FormatError{r.format, "experimental_generic_findings", err}
	case !results:
		return &FormatError{r.format, "results", errors.New("missing; a scan that found nothing has an empty list")}
	case sources == 0 && strange != "":
		return &FormatError{r.format, "", fmt.Errorf("it has no results, and %.40q, which is not of this format", strange)}
	}
	return nil
}

// osvSource reads what was found in one lock file, list of packages or image, which may be named after its packages.
func (r *report) osvSource() error {
	var source struct {
		Path string `json:"path"`
	}
	packages := false
	first := len(r.scanner.Result)
	err := r.object(fields{
		"source": r.into(&source),
		"packages": func() error {
			packages = true
			return r.list(r.osvPackage)
		},
	})
	if err != nil {
		return err
	}
	if !packages {
		return r.fail(errors.New("without packages"))
	}
	complete(r.scanner.Result[first:], intoto.FindingLocation, source.Path)
	return nil
}

func (r *report) osvPackage() error {
	p := osvPackage{groups: map[string]osvGroup{}}
	var licenses []string // that are not allowed
	err := r.object(fields{
		"package": r.into(&p.is),
		"vulnerabilities": each(r.reader, func(v *osvVulnerability) error {
			p.vulnerabilities = append(p.vulnerabilities, *v)
			return r.room(len(r.scanner.Result) + len(p.vulnerabilities))
		}),
		"license_violations": each(r.reader, func(license *string) error {
			licenses = append(licenses, *license)
			return r.room(len(r.scanner.Result) + len(licenses))
		}),
		"groups": each(r.reader, func(g *osvGroup) error {
			for _, id := range g.IDs {
				p.groups[id] = *g
			}
			return r.room(len(p.groups))
		}),
	})
	if err != nil {
		return err
	}
	if p.is.Name == "" && p.is.Commit == "" {
		return r.fail(errors.New("a package without name and commit"))
	}
	if len(p.vulnerabilities) == 0 && len(p.groups) > 0 {
		return r.fail(errors.New("a package with groups of vulnerabilities, and without vulnerabilities"))
	}
	for _, license := range licenses {
		f := p.finding(license, string(OSVScanner), "unknown")
		f.class = "license"
		if err := r.add(f); err != nil {
			return err
		}
	}
	for _, v := range p.vulnerabilities {
		if err := r.osvFinding(&p, &v); err != nil {
			return err
		}
	}
	return nil
}

// finding returns a finding in the package, and how bad it is in whose word.
func (p *osvPackage) finding(id, by, word string) finding {
	return finding{
		id: id, by: by, word: word,
		pkg: cmp.Or(p.is.Name, p.is.Commit), version: cmp.Or(p.is.Version, p.is.Commit),
	}
}

// osvFinding adds the finding of a vulnerability in a package. The score is that of its group; a vector that is worse, which
// old versions did not understand, counts beside it.
func (r *report) osvFinding(p *osvPackage, v *osvVulnerability) error {
	group := p.groups[v.ID]
	f := p.finding(v.ID, "osv", text(v.Database.is.Severity))
	f.title, f.published, f.modified = v.Summary, v.Published, v.Modified
	f.aliases = slices.Concat(v.Aliases, group.IDs, group.Aliases)
	for _, link := range v.References {
		if link.Type == "ADVISORY" {
			f.source = cmp.Or(f.source, link.URL)
		}
	}
	severity := v.Severity
	var versions []string
	ends := false
	for _, a := range v.Affected {
		if !a.is(p) {
			continue
		}
		severity = append(severity, a.Severity...)
		f.word = cmp.Or(f.word, text(a.Ecosystem.is.Severity), text(a.Database.is.Severity))
		for _, one := range a.Ranges {
			if (one.Type == "GIT") == (p.is.Name == "") { // commits are of use only to who has a commit
				versions, f.fixKnown = one.fixes(versions), true
				ends = ends || one.ends()
			}
		}
	}
	f.fix, f.fixKnown = strings.Join(versions, ", "), f.fixKnown && !ends
	var c cvss
	for _, s := range severity {
		c.set(strings.TrimPrefix(s.Type, "CVSS_V"), number(s.Score), text(s.Score))
		if s.Type == "Ubuntu" {
			f.word = cmp.Or(f.word, text(s.Score))
		}
	}
	f.scores = c.rate(nil, string(OSVScanner))
	switch most := number(group.Severity); {
	case isScore(most):
		if vector := c.highest(); vector == nil || *vector <= *most {
			f.scores = nil
		}
		f.scores = rated(f.scores, "cvss", string(OSVScanner), *most)
	case most == nil:
		f.word = cmp.Or(f.word, text(group.Severity))
	}
	return r.add(f)
}

// is says whether a is of the package.
func (a *osvAffected) is(p *osvPackage) bool {
	return p.is.Name == "" || a.Package.Name == p.is.Name && family(a.Package.Ecosystem) == family(p.is.Ecosystem)
}

// mostFixes bounds the versions that fix one vulnerability. There is one for each branch.
const mostFixes = 1000

// fixes adds the versions that fix it, each once.
func (r *osvRange) fixes(versions []string) []string {
	for _, event := range r.Events {
		if event.Fixed != "" && len(versions) < mostFixes && !slices.Contains(versions, event.Fixed) {
			versions = append(versions, event.Fixed)
		}
	}
	return versions
}

// ends says whether a version is the last that is affected. Then there is one without it, and nothing says which.
func (r *osvRange) ends() bool {
	for _, event := range r.Events {
		if event.LastAffected != "" {
			return true
		}
	}
	return false
}

// family returns an ecosystem without its release: "Debian" of "Debian:12".
func family(ecosystem string) string {
	name, _, _ := strings.Cut(ecosystem, ":")
	return name
}
