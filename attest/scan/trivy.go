package scan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/testdag/testdag/attest/intoto"
)

// A trivyReport is what trivy --format json writes, schema 2, without its results: types.Report of
// github.com/aquasecurity/trivy/pkg/types.
type trivyReport struct {
	schema   jsontext.Value
	tool     struct{ Version string }
	created  string
	name     string
	kind     string // "container_image", "filesystem"
	metadata maybe[struct {
		OS struct {
			Family, Name string
			EOSL         bool
		}
		RepoDigests []string
	}]
	results int

	packages, system bool // were looked at; those of the OS were
}

// A trivyResult is what was found in one target, without its findings.
type trivyResult struct{ target, class, kind string }

type trivyVulnerability struct {
	VulnerabilityID, PkgName, InstalledVersion, FixedVersion, PkgPath, Status string
	SeveritySource, Severity, PrimaryURL, Title                               string
	PublishedDate, LastModifiedDate                                           string
	PkgIdentifier                                                             struct{ PURL string }
	VendorSeverity                                                            map[string]int
	CVSS                                                                      map[string]struct {
		V2Score, V3Score, V40Score    *float64
		V2Vector, V3Vector, V40Vector string
	}
}

type trivyMisconfiguration struct {
	ID, Title, Severity, Status, PrimaryURL string
	CauseMetadata                           struct{ StartLine int }
}

// A trivySecret lacks what matched: it may be the secret.
type trivySecret struct {
	RuleID, Title, Severity string
	StartLine               int
}

type trivyLicense struct{ Name, Severity, Category, PkgName, FilePath, Link string }

func trivy(r *report) error {
	var t trivyReport
	err := r.object(fields{
		"SchemaVersion": r.into(&t.schema),
		"Trivy":         r.into(&t.tool),
		"CreatedAt":     r.into(&t.created),
		"ArtifactName":  r.into(&t.name),
		"ArtifactType":  r.into(&t.kind),
		"Metadata":      r.into(&t.metadata),
		"Results":       func() error { return r.list(func() error { return r.trivyResult(&t) }) },
	})
	if err != nil {
		return err
	}
	r.scanner.Version = t.tool.Version
	r.finished = parseTime(t.created)
	r.named(t.name)
	r.named(t.metadata.is.RepoDigests...)
	if schema := text(t.schema); schema != "2" {
		return &FormatError{r.format, "SchemaVersion", fmt.Errorf("%.20q, want 2", schema)}
	}
	return r.trivyLooked(&t)
}

// trivyLooked says what was looked at. A report of files can be of their configuration alone.
func (r *report) trivyLooked(t *trivyReport) error {
	os := t.metadata.is.OS
	name := strings.TrimSpace(os.Family + " " + os.Name)
	files := t.kind == "filesystem" || t.kind == "repository"
	switch {
	case t.results == 0 && !files:
		return r.notRun("it has no Results, not even empty ones of what was looked at")
	case t.results == 0:
		tell(&r.unscanned, "all of it: the report has no Results, not even empty ones of what was looked at")
	case !t.packages && len(r.scanner.Result) == 0 && !files:
		return r.notRun("no Results are of class os-pkgs or lang-pkgs: nobody looked for vulnerabilities of packages, " +
			"and nothing else was found")
	}
	if name != "" && !t.system {
		tell(&r.unscanned, "the packages of the OS "+name+": no Results are of class os-pkgs")
	}
	if os.EOSL {
		tell(&r.incomplete, "the OS "+cmp.Or(name, "of the image")+" is out of support, so vulnerabilities of its packages "+
			"are not known")
	}
	return nil
}

// trivyResult reads what was found in one target, which may be named after the findings.
func (r *report) trivyResult(t *trivyReport) error {
	var in trivyResult
	var vulnerabilities bool
	var summary struct{ Failures int } // of misconfigurations
	failures := 0
	first := len(r.scanner.Result)
	var places []string // where in the target each finding is
	add := func(line int, f finding) error {
		places = append(places, place(line))
		f.by = cmp.Or(f.by, string(Trivy))
		return r.add(f)
	}
	t.results++
	err := r.object(fields{
		"Target": r.into(&in.target),
		"Class":  r.into(&in.class),
		"Type":   r.into(&in.kind),
		"Vulnerabilities": func() error {
			vulnerabilities = true
			return each(r.reader, func(v *trivyVulnerability) error { return add(0, v.finding()) })()
		},
		"MisconfSummary": r.into(&summary),
		"Misconfigurations": each(r.reader, func(m *trivyMisconfiguration) error {
			if m.Status == "PASS" || m.Status == "EXCEPTION" {
				return nil
			}
			failures++
			f := finding{id: m.ID, word: m.Severity, class: "misconfiguration", title: m.Title, source: m.PrimaryURL}
			return add(m.CauseMetadata.StartLine, f)
		}),
		"Secrets": each(r.reader, func(s *trivySecret) error {
			return add(s.StartLine, finding{id: s.RuleID, word: s.Severity, class: "secret", title: s.Title})
		}),
		"Licenses": each(r.reader, func(l *trivyLicense) error {
			return add(0, finding{
				id: l.Name, word: l.Severity, class: "license", title: l.Category, pkg: l.PkgName, location: l.FilePath, source: l.Link,
			})
		}),
	})
	if err != nil {
		return err
	}
	switch {
	case in == (trivyResult{}):
		return r.fail(errors.New("a result of nothing: it has no Target, Class or Type"))
	case summary.Failures > failures:
		return r.fail(fmt.Errorf("MisconfSummary counts %d failures, and Misconfigurations has %d", summary.Failures, failures))
	}
	t.system = t.system || in.class == "os-pkgs" || in.class == "" // old versions know no class
	t.packages = t.packages || t.system || in.class == "lang-pkgs" || vulnerabilities
	for i, place := range places {
		if in.target != "" {
			complete(r.scanner.Result[first+i:][:1], intoto.FindingLocation, in.target+place)
		}
	}
	return nil
}

// place is the end of a place: ":3" is the third line.
func place(line int) string {
	if line <= 0 {
		return ""
	}
	return ":" + strconv.Itoa(line)
}

// trivyUnfixed are the states of a vulnerability that has no fix. Others do not say so.
var trivyUnfixed = []string{"affected", "will_not_fix", "fix_deferred", "end_of_life"}

func (v *trivyVulnerability) finding() finding {
	return finding{
		id: v.VulnerabilityID, by: v.SeveritySource, word: v.Severity, scores: v.scores(), vendors: v.vendors(),
		pkg: v.PkgName, version: v.InstalledVersion, purl: v.PkgIdentifier.PURL, location: v.PkgPath,
		fix: v.FixedVersion, fixKnown: slices.Contains(trivyUnfixed, v.Status), status: v.Status,
		title: v.Title, source: v.PrimaryURL, published: v.PublishedDate, modified: v.LastModifiedDate,
	}
}

func (v *trivyVulnerability) scores() (list []intoto.Severity) {
	for _, source := range slices.Sorted(maps.Keys(v.CVSS)) {
		var c cvss
		by := v.CVSS[source]
		c.set("2", by.V2Score, by.V2Vector)
		c.set("3", by.V3Score, by.V3Vector)
		c.set("4", by.V40Score, by.V40Vector)
		list = c.rate(list, source)
	}
	return list
}

// vendors returns which severity each source gives, as Trivy numbers them, in one text.
func (v *trivyVulnerability) vendors() string {
	words := [...]string{"unknown", "low", "medium", "high", "critical"}
	vendors := make([]string, 0, len(v.VendorSeverity))
	for source, n := range v.VendorSeverity {
		if n >= 0 && n < len(words) {
			vendors = append(vendors, source+"="+words[n])
		}
	}
	slices.Sort(vendors)
	return strings.Join(vendors, " ")
}
