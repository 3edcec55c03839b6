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
	packages        numbered[clairPackage]
	vulnerabilities numbered[clairVulnerability]
	pairs           []clairPair
	paired          bool
}

// numbered is what is said of each id, in the order in which ids were first named.
type numbered[T any] struct {
	number map[string]int
	ids    []string
	of     []T
}

// at returns the number of an id.
func (n *numbered[T]) at(id []byte) int {
	if i, there := n.number[string(id)]; there {
		return i
	}
	if n.number == nil {
		n.number = map[string]int{}
	}
	var nothing T
	n.ids = append(n.ids, string(id))
	n.of = append(n.of, nothing)
	n.number[n.ids[len(n.ids)-1]] = len(n.ids) - 1
	return len(n.ids) - 1
}

type clairPackage struct {
	listed        bool
	name, version string
	place         string // where it was found
}

type clairVulnerability struct {
	listed                               bool
	name, title, source, updater, issued string
	vendor, word, fix                    string
	scores                               cvss // the highest of each version
}

// A clairPair is what was found, as numbers of a package and a vulnerability.
type clairPair struct{ in, what int }

// clair reads the VulnerabilityReport of github.com/quay/claircore.
func clair(r *report) error {
	var c clairReport
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
		err := r.text(&c.manifest)
		r.named(c.manifest)
		return err
	case "err":
		return r.text(&c.failure)
	case "state":
		return r.text(&c.state)
	case "packages":
		return r.entries(func(id []byte) error {
			p := &c.packages.of[c.packages.at(id)]
			p.listed = true
			return r.clairPackage(p)
		})
	case "vulnerabilities":
		return r.entries(func(id []byte) error {
			v := &c.vulnerabilities.of[c.vulnerabilities.at(id)]
			v.listed = true
			return r.clairVulnerability(v)
		})
	case "environments":
		return r.entries(func(id []byte) error { return r.clairPlace(&c.packages.of[c.packages.at(id)]) })
	case "package_vulnerabilities":
		c.paired = !r.null()
		return r.entries(func(id []byte) error { return r.clairPairs(c.packages.at(id), c) })
	case "enrichments":
		return r.object(func(name []byte) error { return r.clairEnrichment(name, c) })
	}
	return r.skip()
}

// entries calls each with each name of an object that is a map.
func (r *reader) entries(each func(id []byte) error) error {
	return r.object(func(name []byte) error {
		r.kept = 0
		return each(name)
	})
}

func (r *report) clairPackage(p *clairPackage) error {
	return r.element(func(name []byte) error {
		switch string(name) {
		case "name":
			return r.text(&p.name)
		case "version":
			return r.text(&p.version)
		}
		return r.skip()
	})
}

func (r *report) clairVulnerability(v *clairVulnerability) error {
	return r.element(func(name []byte) error {
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
			return r.clairLink(&v.source)
		case "severity":
			return r.text(&v.vendor)
		case "normalized_severity":
			return r.text(&v.word)
		case "fixed_in_version":
			return r.text(&v.fix)
		}
		return r.skip()
	})
}

// clairLink reads the first of some links.
func (r *report) clairLink(to *string) error {
	var links string
	err := r.text(&links)
	first, _, _ := strings.Cut(strings.TrimSpace(links), " ")
	*to = r.recent.text([]byte(first)) // the rest of them may be long
	return err
}

// clairPlace reads the environments of a package and keeps where it was first found: in which package database, or which
// layer.
func (r *report) clairPlace(p *clairPackage) error {
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
		p.place = cmp.Or(p.place, database, layer)
		return err
	})
}

// clairPairs reads which vulnerabilities are in a package.
func (r *report) clairPairs(in int, c *clairReport) error {
	return r.list(func() error {
		var vulnerability string
		if err := r.text(&vulnerability); err != nil {
			return err
		}
		if got := len(c.pairs) + 1; got > r.limits.Findings {
			return &attest.LimitError{What: whatFindings, Limit: int64(r.limits.Findings), Got: int64(got)}
		}
		r.kept = 0
		c.pairs = append(c.pairs, clairPair{in, c.vulnerabilities.at([]byte(vulnerability))})
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
		return r.entries(func(id []byte) error { return r.clairScores(id, c) })
	})
}

// clairScores reads the CVSS of a vulnerability.
func (r *report) clairScores(id []byte, c *clairReport) error {
	v := &c.vulnerabilities.of[c.vulnerabilities.at(id)]
	if most := 2 * max(r.limits.Findings, fewNames); len(c.vulnerabilities.of) > most { // the lists that have them have no limit
		return &attest.LimitError{What: whatNames, Limit: int64(most), Got: int64(len(c.vulnerabilities.of))}
	}
	v.scores = cvss{}
	return r.list(func() error { return r.clairScore(&v.scores) })
}

func (r *report) clairScore(to *cvss) error {
	var version string
	var base score
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "version":
			return r.text(&version)
		case "baseScore":
			return r.number(&base)
		}
		return r.skip()
	})
	to.set(version, base)
	return err
}

// clairDone says whether it is the report of a scan that was done, and hangs together.
func (r *report) clairDone(c *clairReport) error {
	switch {
	case c.failure != "" || c.state == "IndexError":
		return r.notRun(cmp.Or(r.line([]byte(c.failure)), c.state))
	case c.manifest == "":
		return &FormatError{r.format, "manifest_hash", errors.New("missing: it is not said what was looked at")}
	case !c.paired: // an IndexReport has none, for one: it lists packages before anybody looked for vulnerabilities
		return &FormatError{r.format, "package_vulnerabilities", errors.New("missing; a scan that found nothing has an empty object")}
	case !slices.ContainsFunc(c.packages.of, func(p clairPackage) bool { return p.listed }):
		return r.notRun("it has no packages, so nothing was looked at")
	case len(c.pairs) == 0 && len(c.vulnerabilities.ids) > 0:
		return &FormatError{r.format, "package_vulnerabilities", errors.New("empty, although there are vulnerabilities")}
	}
	return r.clairLost(c)
}

// clairLost returns which ids lead nowhere.
func (r *report) clairLost(c *clairReport) error {
	const most = 10
	lost := map[string]bool{}
	for _, pair := range c.pairs {
		if !c.packages.of[pair.in].listed {
			lost[fmt.Sprintf("packages[%.80q]", c.packages.ids[pair.in])] = true
		}
		if !c.vulnerabilities.of[pair.what].listed {
			lost[fmt.Sprintf("vulnerabilities[%.80q]", c.vulnerabilities.ids[pair.what])] = true
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
	slices.SortStableFunc(c.pairs, func(a, b clairPair) int {
		return strings.Compare(c.packages.ids[a.in], c.packages.ids[b.in])
	})
	for _, pair := range c.pairs {
		p, v := &c.packages.of[pair.in], &c.vulnerabilities.of[pair.what]
		if v.name == "" {
			where := fmt.Sprintf("vulnerabilities[%.80q]", c.vulnerabilities.ids[pair.what])
			return &FormatError{r.format, where, errors.New("without a name")}
		}
		if err := r.add(r.clairFinding(p, v)); err != nil {
			return err
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
	if !strings.Contains(f.id, " ") {
		return
	}
	for _, form := range []*regexp.Regexp{pyup, redHat} {
		if parts := form.FindStringSubmatch(f.id); parts != nil {
			f.noteAliases(parts[1])
		}
	}
}

// clairFinding returns the finding of a vulnerability in a package.
func (r *report) clairFinding(p *clairPackage, v *clairVulnerability) finding {
	f := r.finding(12)
	f.id = v.name
	f.clairAliases()
	f.say(string(Clair), v.word)
	f.note(attest.FindingTitle, v.title)
	f.note(attest.FindingSource, v.source)
	f.noteTime(attest.FindingPublished, v.issued)
	if v.vendor != "" {
		f.note(findingVendor, strings.TrimPrefix(v.updater+"="+r.recent.lower(v.vendor), "="))
	}
	f.notes[attest.FindingFix] = r.recent.boxed(clairFix(v.fix))
	f.note(attest.FindingPackage, p.name)
	f.note(attest.FindingVersion, p.version)
	f.note(attest.FindingLocation, p.place)
	f.rateBy("nvd", v.scores) // where the enricher has them from
	return f
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
