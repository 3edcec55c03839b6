package scan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/testdag/testdag/attest/intoto"
)

// A clairReport is what of a VulnerabilityReport of claircore is needed for findings. Its maps come in any order, so
// nothing can be said before all of it is read.
type clairReport struct {
	manifest        string
	failure, state  string // of an IndexReport, which is not a report of vulnerabilities
	packages        map[string]clairPackage
	vulnerabilities map[string]clairVulnerability
	sources         int               // distributions and repositories, by which databases are chosen
	sourced         bool              // it has a list of distributions, if an empty one
	places          map[string]string // of a package: in which package database, or which layer, it was first found
	scores          map[string]cvss   // of a vulnerability, the highest of each version
	pairs           []clairPair
	paired          bool
}

type clairPackage struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type clairVulnerability struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Updater     string `json:"updater"`
	Issued      string `json:"issued"`
	Links       string `json:"links"`
	Severity    string `json:"severity"`
	Normalized  string `json:"normalized_severity"`
	Fixed       string `json:"fixed_in_version"`
}

type clairEnvironment struct {
	PackageDB string `json:"package_db"`
	Layer     string `json:"introduced_in"`
}

type clairScore struct {
	Version   string   `json:"version"`
	Vector    string   `json:"vectorString"`
	BaseScore *float64 `json:"baseScore"`
}

// A clairPair is what was found: a vulnerability in a package.
type clairPair struct{ in, what string }

// clair reads the VulnerabilityReport of github.com/quay/claircore.
func clair(r *report) error {
	c := clairReport{
		packages: map[string]clairPackage{}, vulnerabilities: map[string]clairVulnerability{},
		places: map[string]string{}, scores: map[string]cvss{},
	}
	count := func(string, *struct{}) error {
		c.sources++
		return nil
	}
	err := r.object(fields{
		"manifest_hash": r.into(&c.manifest),
		"err":           r.into(&c.failure),
		"state":         r.into(&c.state),
		"packages": eachNamed(r.reader, func(id string, p *clairPackage) error {
			c.packages[id] = *p
			return nil
		}),
		"vulnerabilities": eachNamed(r.reader, func(id string, v *clairVulnerability) error {
			v.Description, v.Links = line(v.Description), firstLink(v.Links)
			c.vulnerabilities[id] = *v
			return nil
		}),
		"distributions": func() error {
			c.sourced = true
			return eachNamed(r.reader, count)()
		},
		"repository": eachNamed(r.reader, count),
		"environments": eachNamed(r.reader, func(id string, all *[]clairEnvironment) error {
			for _, e := range *all {
				c.places[id] = cmp.Or(c.places[id], e.PackageDB, e.Layer)
			}
			return nil
		}),
		"package_vulnerabilities": func() error {
			c.paired = true
			return eachNamed(r.reader, func(in string, all *[]string) error {
				for _, what := range *all {
					c.pairs = append(c.pairs, clairPair{in, what})
				}
				return r.room(len(c.pairs))
			})()
		},
		"enrichments": func() error {
			return r.entries(func(kind string) error { return r.clairEnrichment(kind, &c) })
		},
	})
	if err != nil {
		return err
	}
	r.named(c.manifest)
	if err := r.clairDone(&c); err != nil {
		return err
	}
	return r.clairFindings(&c)
}

// clairEnrichment reads the CVSS that Clair adds to vulnerabilities. Enrichments of another kind are of no use here.
func (r *report) clairEnrichment(kind string, c *clairReport) error {
	if !strings.Contains(kind, "enricher=clair.cvss") {
		return r.skip()
	}
	return r.list(eachNamed(r.reader, func(id string, all *[]clairScore) error {
		var of cvss
		for _, one := range *all {
			of.set(one.Version, one.BaseScore, one.Vector)
		}
		c.scores[id] = of
		if most := max(r.limits.Findings, fewNames); len(c.scores) > most { // the lists that have them have no limit
			return &intoto.LimitError{What: whatNames, Limit: int64(most), Got: int64(len(c.scores))}
		}
		return nil
	}))
}

// clairDone says whether it is the report of a scan that was done, and hangs together.
func (r *report) clairDone(c *clairReport) error {
	switch {
	case c.failure != "" || c.state == "IndexError":
		return r.notRun(cmp.Or(line(c.failure), c.state))
	case c.manifest == "":
		return &FormatError{r.format, "manifest_hash", errors.New("missing: it is not said what was looked at")}
	case !c.paired: // an IndexReport has none, for one: it lists packages before anybody looked for vulnerabilities
		err := errors.New("missing; a scan that found nothing has an empty object")
		return &FormatError{r.format, "package_vulnerabilities", err}
	case len(c.packages) == 0:
		return r.notRun("it has no packages, so nothing was looked at")
	case len(c.pairs) == 0 && len(c.vulnerabilities) > 0:
		return &FormatError{r.format, "package_vulnerabilities", errors.New("empty, although there are vulnerabilities")}
	case c.sourced && c.sources == 0:
		tell(&r.unscanned, "the packages: they are of no distribution and no repository that Clair knows")
	}
	return r.clairLost(c)
}

// clairLost returns which ids lead nowhere.
func (r *report) clairLost(c *clairReport) error {
	const most = 10
	lost := map[string]bool{}
	for _, pair := range c.pairs {
		if _, there := c.packages[pair.in]; !there {
			lost[fmt.Sprintf("packages[%.80q]", pair.in)] = true
		}
		if _, there := c.vulnerabilities[pair.what]; !there {
			lost[fmt.Sprintf("vulnerabilities[%.80q]", pair.what)] = true
		}
	}
	if len(lost) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(lost))
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	err := fmt.Errorf("leads to what is not there: %s%s", strings.Join(names, ", "), more)
	return &FormatError{r.format, "package_vulnerabilities", err}
}

// clairFindings adds a finding for each pair, in an order of their own: that of the maps says nothing.
func (r *report) clairFindings(c *clairReport) error {
	slices.SortStableFunc(c.pairs, func(a, b clairPair) int { return strings.Compare(a.in, b.in) })
	for _, pair := range c.pairs {
		v := c.vulnerabilities[pair.what]
		if v.Name == "" {
			return &FormatError{r.format, fmt.Sprintf("vulnerabilities[%.80q]", pair.what), errors.New("without a name")}
		}
		scores := c.scores[pair.what]
		if scores == (cvss{}) {
			scores.set("", nil, v.Severity) // that of an updater can be a vector
		}
		id, aliases := clairID(v.Name)
		p := c.packages[pair.in]
		f := finding{
			id: id, aliases: aliases, by: string(Clair), word: v.Normalized,
			scores: scores.rate(nil, "nvd"), // where the enricher has them from
			pkg:    p.Name, version: p.Version, location: c.places[pair.in], fix: clairFix(v.Fixed), fixKnown: true,
			title: v.Description, source: v.Links, published: v.Issued,
		}
		if v.Severity != "" {
			f.vendors = strings.TrimPrefix(v.Updater+"="+strings.ToLower(v.Severity), "=")
		}
		if err := r.add(f); err != nil {
			return err
		}
	}
	return nil
}

// Names of Clair can have an id in them.
var (
	// "CVE-2005-2541 tar", "CVE-2009-5155 on Ubuntu 18.04 - low."
	clairCVE = regexp.MustCompile(`^(CVE-\d+-\d+)[\s:]`)

	// "pyup.io-38 (CVE-2014-3007)", "RHSA-2021:4464: dnf update"
	clairIDs = regexp.MustCompile(`^\S+ \(([A-Za-z]+-[^()\s]+)\)$|^(RH[A-Z]A-\d+:\d+): `)
)

// clairID returns the id in a name, and what else a vulnerability is called. An advisory can be of several CVEs, so it keeps
// its name.
func clairID(name string) (id string, aliases []string) {
	if parts := clairCVE.FindStringSubmatch(name); parts != nil {
		return parts[1], []string{name}
	}
	if parts := clairIDs.FindStringSubmatch(name); parts != nil {
		return name, parts[1:]
	}
	return name, nil
}

// clairNoFix is how updaters write that there is no fix: Debian's "0:0".
var clairNoFix = regexp.MustCompile(`^[0:.~+\s-]*$`)

// clairFix returns the version that fixes it. Where a database knows ranges, Clair writes them as a query: that of OSV has
// "fixed=1.2.3&introduced=0", and no "fixed" where there is no fix.
func clairFix(s string) string {
	fixes := []string{s}
	q, err := url.ParseQuery(s)
	if strings.Contains(s, "=") && err == nil && (q.Has("fixed") || q.Has("introduced") || q.Has("lastAffected")) {
		fixes = q["fixed"]
	}
	return strings.Join(slices.DeleteFunc(fixes, clairNoFix.MatchString), ", ")
}

// firstLink returns the first of some links.
func firstLink(links string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(links), " ")
	return first
}
