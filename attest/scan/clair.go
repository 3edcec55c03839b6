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

	"github.com/testdag/testdag/attest"
)

// A clairReport is what of a VulnerabilityReport of claircore is needed for findings. Its maps come in any order, so
// nothing can be said before all of it is read.
type clairReport struct {
	manifest        string
	failure, state  string // of an IndexReport, which is not a report of vulnerabilities
	packages        map[string]clairPackage
	vulnerabilities map[string]clairVulnerability
	places          map[string]string   // package: where it was found
	pairs           map[string][]string // package: its vulnerabilities
	scores          map[string]*cvss    // vulnerability: the highest, where there are several
	count           int                 // of pairs
	paired          bool
}

type clairPackage struct{ name, version string }

type clairVulnerability struct {
	name, title, source, updater, issued string
	vendor, word, fix                    string
}

// clair reads the VulnerabilityReport of github.com/quay/claircore.
func clair(r *report) error {
	c := clairReport{
		packages:        map[string]clairPackage{},
		vulnerabilities: map[string]clairVulnerability{},
		places:          map[string]string{},
		pairs:           map[string][]string{},
		scores:          map[string]*cvss{},
	}
	if err := r.whole(func(name []byte) error { return r.clairMember(name, &c) }); err != nil {
		return err
	}
	if err := r.clairDone(&c); err != nil {
		return err
	}
	return r.clairFindings(&c)
}

func (r *report) clairMember(name []byte, c *clairReport) error {
	switch string(name) {
	case "manifest_hash":
		return r.text(&c.manifest)
	case "err":
		return r.text(&c.failure)
	case "state":
		return r.text(&c.state)
	case "packages":
		return r.entries(func(id string) error {
			p, err := r.clairPackage()
			c.packages[id] = p
			return err
		})
	case "vulnerabilities":
		return r.entries(func(id string) error {
			v, err := r.clairVulnerability()
			c.vulnerabilities[id] = v
			return err
		})
	case "environments":
		return r.entries(func(id string) error { return r.clairPlace(id, c) })
	case "package_vulnerabilities":
		c.paired = !r.null()
		return r.entries(func(id string) error { return r.clairPairs(id, c) })
	case "enrichments":
		return r.object(func(name []byte) error { return r.clairEnrichment(name, c) })
	}
	return r.skip()
}

// entries calls each with each name of an object that is a map. It has to read the value.
func (r *reader) entries(each func(id string) error) error {
	return r.object(func(name []byte) error {
		r.kept = 0
		return each(string(name))
	})
}

func (r *report) clairPackage() (p clairPackage, err error) {
	err = r.element(func(name []byte) error {
		switch string(name) {
		case "name":
			return r.text(&p.name)
		case "version":
			return r.text(&p.version)
		}
		return r.skip()
	})
	return p, err
}

func (r *report) clairVulnerability() (v clairVulnerability, err error) {
	err = r.element(func(name []byte) error {
		switch string(name) {
		case "name":
			return r.text(&v.name)
		case "description":
			return r.title(&v.title)
		case "updater":
			return r.text(&v.updater)
		case "issued":
			return r.text(&v.issued)
		case "links":
			err := r.text(&v.source)
			first, _, _ := strings.Cut(strings.TrimSpace(v.source), " ")
			v.source = strings.Clone(first)
			return err
		case "severity":
			return r.text(&v.vendor)
		case "normalized_severity":
			return r.text(&v.word)
		case "fixed_in_version":
			return r.text(&v.fix)
		}
		return r.skip()
	})
	return v, err
}

// clairPlace reads the environments of a package and keeps where it was first found: in which package database, or which
// layer.
func (r *report) clairPlace(id string, c *clairReport) error {
	return r.list(func() error {
		var database, layer string
		err := r.element(func(name []byte) error {
			switch string(name) {
			case "package_db":
				return r.text(&database)
			case "introduced_in":
				return r.text(&layer)
			}
			return r.skip()
		})
		if c.places[id] == "" {
			c.places[id] = cmp.Or(database, layer)
		}
		return err
	})
}

func (r *report) clairPairs(id string, c *clairReport) error {
	return r.list(func() error {
		var vulnerability string
		if err := r.text(&vulnerability); err != nil {
			return err
		}
		if c.count++; c.count > r.limits.Findings {
			return &attest.LimitError{What: whatFindings, Limit: int64(r.limits.Findings), Got: int64(c.count)}
		}
		r.kept = 0
		c.pairs[id] = append(c.pairs[id], vulnerability)
		return nil
	})
}

// clairEnrichment reads the CVSS that Clair adds to vulnerabilities. The name of an enrichment says of what kind it is;
// others are of no use here.
func (r *report) clairEnrichment(name []byte, c *clairReport) error {
	if !strings.Contains(string(name), "enricher=clair.cvss") {
		return r.skip()
	}
	return r.list(func() error {
		return r.entries(func(id string) error {
			c.scores[id] = new(cvss)
			return r.list(func() error { return r.clairScore(c.scores[id]) })
		})
	})
}

func (r *report) clairScore(to *cvss) error {
	var version string
	var score *float64
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "version":
			return r.text(&version)
		case "baseScore":
			return r.number(&score)
		}
		return r.skip()
	})
	to.set(version, score)
	return err
}

// clairDone says whether it is the report of a scan that was done, and hangs together.
func (r *report) clairDone(c *clairReport) error {
	switch {
	case c.failure != "" || c.state == "IndexError":
		return r.notRun(cmp.Or(line([]byte(c.failure)), c.state))
	case c.manifest == "":
		return &FormatError{r.format, "manifest_hash", errors.New("missing: it is not said what was looked at")}
	case !c.paired: // an IndexReport has none, for one: it lists packages before anybody looked for vulnerabilities
		return &FormatError{r.format, "package_vulnerabilities", errors.New("missing; a scan that found nothing has an empty object")}
	case len(c.packages) == 0:
		return r.notRun("it has no packages, so nothing was looked at")
	}
	return r.clairLost(c)
}

// clairLost returns which ids lead nowhere.
func (r *report) clairLost(c *clairReport) error {
	const most = 10
	lost := map[string]bool{}
	for id, vulnerabilities := range c.pairs {
		if _, there := c.packages[id]; !there {
			lost[fmt.Sprintf("packages[%.80q]", id)] = true
		}
		for _, id := range vulnerabilities {
			if _, there := c.vulnerabilities[id]; !there {
				lost[fmt.Sprintf("vulnerabilities[%.80q]", id)] = true
			}
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
	return &FormatError{r.format, "package_vulnerabilities", fmt.Errorf("leads to what is not there: %s%s", strings.Join(names, ", "), more)}
}

// clairFindings adds a finding for each pair, in an order of their own: that of the maps says nothing.
func (r *report) clairFindings(c *clairReport) error {
	for _, id := range slices.Sorted(maps.Keys(c.pairs)) {
		for _, vulnerability := range c.pairs[id] {
			v := c.vulnerabilities[vulnerability]
			f, err := v.finding()
			if err != nil {
				return &FormatError{r.format, fmt.Sprintf("vulnerabilities[%.80q]", vulnerability), err}
			}
			f.note(attest.FindingPackage, c.packages[id].name)
			f.note(attest.FindingVersion, c.packages[id].version)
			f.note(attest.FindingLocation, c.places[id])
			if scores := c.scores[vulnerability]; scores != nil {
				f.rateBy("nvd", *scores) // where the enricher has them from
			}
			if err := r.add(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// Names of Clair can have an id in them: "pyup.io-38 (CVE-2014-3007)", "RHSA-2021:4464: dnf update (Moderate)".
var (
	pyup   = regexp.MustCompile(`^\S+ \(([A-Za-z]+-[^()\s]+)\)$`)
	redHat = regexp.MustCompile(`^(RH[A-Z]A-\d+:\d+): `)
)

// clairAliases keeps the id in a name.
func (f *finding) clairAliases() {
	for _, form := range []*regexp.Regexp{pyup, redHat} {
		if parts := form.FindStringSubmatch(f.id); parts != nil {
			f.noteAliases(parts[1])
		}
	}
}

func (v clairVulnerability) finding() (finding, error) {
	f := finding{id: v.name, notes: make(map[string]any, 12)}
	if v.name == "" {
		return f, errors.New("without a name")
	}
	f.clairAliases()
	f.say(string(Clair), v.word)
	f.note(attest.FindingTitle, v.title)
	f.note(attest.FindingSource, v.source)
	f.noteTime(attest.FindingPublished, v.issued)
	if v.vendor != "" {
		f.note(findingVendor, strings.TrimPrefix(v.updater+"="+strings.ToLower(v.vendor), "="))
	}
	f.notes[attest.FindingFix] = clairFix(v.fix)
	return f, nil
}

// clairFix returns the version that fixes it. Where a database knows ranges, Clair writes them as a query: that of OSV has
// "fixed=1.2.3&introduced=0", and no "fixed" where there is no fix.
func clairFix(s string) string {
	if !strings.Contains(s, "=") {
		return s
	}
	q, err := url.ParseQuery(s)
	if err != nil || !q.Has("fixed") && !q.Has("introduced") && !q.Has("lastAffected") {
		return s
	}
	return strings.Join(q["fixed"], ", ")
}
