package scan

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/testdag/testdag/attest/intoto"
)

// A grypeMatch is a match of what grype -o json writes: models.Match of github.com/anchore/grype/grype/presenter/models.
type grypeMatch struct {
	Vulnerability struct {
		ID          string      `json:"id"`
		DataSource  string      `json:"dataSource"`
		Namespace   string      `json:"namespace"`
		Severity    string      `json:"severity"`
		Description string      `json:"description"`
		CVSS        []grypeCVSS `json:"cvss"`
		Fix         struct {
			Versions []string `json:"versions"`
			State    string   `json:"state"`
		} `json:"fix"`
		EPSS []struct {
			EPSS jsontext.Value `json:"epss"`
		} `json:"epss"`
		KnownExploited []jsontext.Value `json:"knownExploited"`
	} `json:"vulnerability"`

	// Related are records of the same vulnerability by others.
	Related []struct {
		ID        string      `json:"id"`
		Namespace string      `json:"namespace"`
		CVSS      []grypeCVSS `json:"cvss"`
	} `json:"relatedVulnerabilities"`

	Artifact struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		PURL      string `json:"purl"`
		Locations []struct {
			Path string `json:"path"`
		} `json:"locations"`
	} `json:"artifact"`
}

// A grypeCVSS is one CVSS, whose source is often told by the namespace of the record alone.
type grypeCVSS struct {
	Source  string `json:"source"`
	Version string `json:"version"`
	Vector  string `json:"vector"`
	Metrics struct {
		BaseScore *float64 `json:"baseScore"`
	} `json:"metrics"`
}

// A grypeSource is what was looked at. Its target is text if it is a directory or a file.
type grypeSource struct {
	Target maybe[struct {
		UserInput      string   `json:"userInput"`
		ManifestDigest string   `json:"manifestDigest"`
		RepoDigests    []string `json:"repoDigests"`
	}] `json:"target"`
}

// A grypeDescriptor names the tool, and tells of the database in two forms: flat up to version 5 of the schema, under
// "status" from 6 on.
type grypeDescriptor struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Timestamp string `json:"timestamp"`
	DB        struct {
		grypeDB
		Status grypeDB `json:"status"`
	} `json:"db"`
}

type grypeDB struct {
	Built         string         `json:"built"`
	From          string         `json:"from"`
	SchemaVersion jsontext.Value `json:"schemaVersion"`
	Valid         *bool          `json:"valid"`
	Error         jsontext.Value `json:"error"` // null or no text if there was none, an object in old versions
}

// A grypeAlerts is what is wrong with a package beside vulnerabilities.
type grypeAlerts struct {
	Alerts []struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"alerts"`
}

func grype(r *report) error {
	var source grypeSource
	var d grypeDescriptor
	matches := false
	err := r.object(fields{
		"matches": func() error {
			matches = true
			return each(r.reader, r.grypeMatch)()
		},
		"source":          r.into(&source),
		"descriptor":      r.into(&d),
		"alertsByPackage": r.grypeAlerts,
	})
	if err != nil {
		return err
	}
	target := source.Target.is
	r.named(target.UserInput, target.ManifestDigest)
	r.named(target.RepoDigests...)
	r.finished = parseTime(d.Timestamp)
	if !strings.HasPrefix(d.Version, "[") { // "[not provided]", by who built it
		r.scanner.Version = d.Version
	}
	switch {
	case d.Name != string(Grype):
		return &FormatError{r.format, "descriptor.name", fmt.Errorf("%q, want %q", d.Name, Grype)}
	case !matches:
		return &FormatError{r.format, "matches", errors.New("missing; a scan that found nothing has an empty list")}
	}
	return cmp.Or(r.grypeDB(d.DB.grypeDB), r.grypeDB(d.DB.Status))
}

// grypeDB notes what is known of the database. With one that is not good, nothing found says nothing.
func (r *report) grypeDB(db grypeDB) error {
	to := &r.scanner.DB
	to.LastUpdate = cmp.Or(to.LastUpdate, parseTime(db.Built))
	to.URI = cmp.Or(to.URI, withoutSecrets(db.From))
	to.Version = cmp.Or(to.Version, text(db.SchemaVersion))
	switch why := line(text(db.Error)); {
	case db.Valid != nil && !*db.Valid:
		return r.notRun("its database was not valid")
	case db.Error.Kind() == '{':
		return r.notRun("its database could not be used")
	case why != "":
		return r.notRun("its database: " + why)
	}
	return nil
}

// withoutSecrets drops what may be one from an address: user, password and query.
func withoutSecrets(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery = nil, ""
	if u.Scheme == "" && u.Host == "" {
		return address
	}
	return u.String()
}

// grypeAlerts tells which packages could not be looked at, or not well. Versions of the report have an object if there are
// none.
func (r *report) grypeAlerts() error {
	if r.dec.PeekKind() != '[' {
		return r.skip()
	}
	return each(r.reader, func(p *grypeAlerts) error {
		for _, alert := range p.Alerts {
			list := &r.incomplete
			if alert.Type == "distro-unknown" || alert.Type == "distro-disabled" {
				list = &r.unscanned
			}
			tell(list, strings.Trim(alert.Type+": "+alert.Message, ": "))
		}
		return nil
	})()
}

func (r *report) grypeMatch(m *grypeMatch) error {
	v := &m.Vulnerability
	f := finding{
		id: v.ID, by: string(Grype), word: v.Severity, scores: m.scores(), exploited: len(v.KnownExploited) > 0,
		pkg: m.Artifact.Name, version: m.Artifact.Version, purl: m.Artifact.PURL, title: v.Description, source: v.DataSource,
		fix: strings.Join(v.Fix.Versions, ", "), status: v.Fix.State,
		fixKnown: v.Fix.State == "not-fixed" || v.Fix.State == "wont-fix", // "unknown" says nothing
	}
	for _, e := range v.EPSS {
		f.epss = cmp.Or(text(e.EPSS), f.epss)
	}
	for _, l := range m.Artifact.Locations {
		f.location = cmp.Or(f.location, l.Path)
	}
	for _, related := range m.Related {
		f.aliases = append(f.aliases, related.ID)
	}
	return r.add(f)
}

// scores returns them by source, its own first, otherwise in the order of the report.
func (m *grypeMatch) scores() (list []intoto.Severity) {
	var order []string
	by := map[string]*cvss{}
	gather := func(scores []grypeCVSS, namespace string) {
		publisher, _, _ := strings.Cut(cmp.Or(namespace, m.Vulnerability.Namespace), ":") // "github" of "github:language:go"
		for _, one := range scores {
			source := strings.TrimSuffix(cmp.Or(one.Source, publisher, string(Grype)), "@nist.gov") // "nvd@nist.gov" in some reports
			if by[source] == nil {
				by[source] = new(cvss)
				order = append(order, source)
			}
			by[source].set(one.Version, one.Metrics.BaseScore, one.Vector)
		}
	}
	gather(m.Vulnerability.CVSS, "")
	for _, related := range m.Related {
		gather(related.CVSS, related.Namespace)
	}
	for _, source := range order {
		list = by[source].rate(list, source)
	}
	return list
}
