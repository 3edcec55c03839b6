package scan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/internal/jsonstream"
)

// trivy reads what trivy --format json writes, schema 2: types.Report of github.com/aquasecurity/trivy/pkg/types.
func trivy(r *report) error {
	var schema string
	var results int
	var packages bool // were looked at
	err := r.whole(func(name []byte) error {
		switch string(name) {
		case "SchemaVersion":
			return r.scalar(&schema)
		case "Trivy":
			return r.object(r.trivyTool)
		case "CreatedAt":
			return r.time(&r.finished)
		case "ArtifactName":
			return r.image()
		case "Metadata":
			if r.walk.Peek() != jsonstream.Object { // nothing else of it matters
				return r.skip()
			}
			return r.object(func(name []byte) error {
				if string(name) == "RepoDigests" {
					return r.list(r.image)
				}
				return r.skip()
			})
		case "Results":
			return r.list(func() error {
				results++
				return r.trivyResult(&packages)
			})
		}
		return r.skip()
	})
	switch {
	case err != nil:
		return err
	case schema != "2":
		return &FormatError{r.format, "SchemaVersion", fmt.Errorf("%q, want 2", schema)}
	case results == 0:
		return r.notRun("it has no Results, not even empty ones of what was looked at")
	case !packages && len(r.scanner.Result) == 0:
		return r.notRun("no Results are of class os-pkgs or lang-pkgs: nobody looked for vulnerabilities of packages, and nothing else was found")
	}
	return nil
}

func (r *report) trivyTool(name []byte) error {
	if string(name) == "Version" {
		return r.text(&r.scanner.Version)
	}
	return r.skip()
}

// trivyResult reads what was found in one target, which may be named after the findings.
func (r *report) trivyResult(packages *bool) error {
	var target, class, kind string
	var vulnerabilities bool
	first := len(r.scanner.Result)
	var places []string // where in the target each finding is
	found := func(read func() (finding, string, bool, error)) func() error {
		return func() error {
			f, place, counts, err := read()
			if err != nil || !counts {
				return err
			}
			places = append(places, place)
			return r.add(f)
		}
	}
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "Target":
			return r.text(&target)
		case "Class":
			return r.text(&class)
		case "Type":
			return r.text(&kind)
		case "Vulnerabilities":
			vulnerabilities = !r.null()
			return r.list(found(r.trivyVulnerability))
		case "Misconfigurations":
			return r.list(found(r.trivyMisconfiguration))
		case "Secrets":
			return r.list(found(r.trivySecret))
		case "Licenses":
			return r.list(found(r.trivyLicense))
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if target == "" && class == "" && kind == "" {
		return r.fail(errors.New("a result of nothing: it has no Target, Class or Type"))
	}
	*packages = *packages || class == "os-pkgs" || class == "lang-pkgs" || class == "" || vulnerabilities // old versions know no class
	for i, place := range places {
		f := &r.scanner.Result[first+i]
		if f.Annotations == nil {
			f.Annotations = []map[string]any{{}}
		}
		if _, there := f.Annotations[0][attest.FindingLocation]; !there && target != "" {
			f.Annotations[0][attest.FindingLocation] = target + place
		}
	}
	return nil
}

// trivyVulnerability reads a types.DetectedVulnerability.
func (r *report) trivyVulnerability() (f finding, place string, counts bool, err error) {
	var severity, source, fixed, vendors string
	f = r.finding(12)
	err = r.element(func(name []byte) error {
		switch string(name) {
		case "VulnerabilityID":
			return r.text(&f.id)
		case "PkgName":
			return r.noted(&f, attest.FindingPackage)
		case "InstalledVersion":
			return r.noted(&f, attest.FindingVersion)
		case "FixedVersion":
			return r.text(&fixed)
		case "PkgIdentifier":
			return r.object(func(name []byte) error {
				if string(name) == "PURL" {
					return r.noted(&f, attest.FindingPURL)
				}
				return r.skip()
			})
		case "PkgPath":
			return r.noted(&f, attest.FindingLocation)
		case "Status":
			return r.noted(&f, findingStatus)
		case "SeveritySource":
			return r.text(&source)
		case "Severity":
			return r.text(&severity)
		case "VendorSeverity":
			return r.trivyVendors(&vendors)
		case "CVSS":
			return r.trivyCVSS(&f)
		case "PrimaryURL":
			return r.noted(&f, attest.FindingSource)
		case "Title":
			return r.notedTitle(&f)
		case "PublishedDate":
			return r.notedTime(&f, attest.FindingPublished)
		case "LastModifiedDate":
			return r.notedTime(&f, attest.FindingModified)
		}
		return r.skip()
	})
	switch status := f.notes[findingStatus]; { // others do not say that there is no fix
	case fixed != "", status == "affected", status == "will_not_fix", status == "fix_deferred", status == "end_of_life":
		f.notes[attest.FindingFix] = f.recent.boxed(fixed)
	}
	f.note(findingVendor, vendors)
	f.say(cmp.Or(source, string(Trivy)), severity)
	return f, "", true, err
}

// trivyVendors reads which severity each source gives, as Trivy numbers them, and returns them as one text.
func (r *report) trivyVendors(to *string) error {
	words := [...]string{"unknown", "low", "medium", "high", "critical"}
	vendors := make([]string, 0, 8)
	err := r.object(func(name []byte) error {
		n := -1
		if err := r.integer(&n); err != nil {
			return err
		}
		if n >= 0 && n < len(words) {
			r.made = append(append(append(r.made[:0], name...), '='), words[n]...)
			vendors = append(vendors, r.recent.text(r.made))
		}
		return r.keep(len(name))
	})
	slices.Sort(vendors)
	r.made = r.made[:0]
	for i, vendor := range vendors {
		if i > 0 {
			r.made = append(r.made, ' ')
		}
		r.made = append(r.made, vendor...)
	}
	*to = r.recent.text(r.made)
	return err
}

// trivyCVSS reads the CVSS of each source.
func (r *report) trivyCVSS(f *finding) error {
	type scored struct {
		source string
		cvss
	}
	scores := make([]scored, 0, 4)
	err := r.object(func(name []byte) error {
		c := scored{source: r.recent.text(name)}
		err := r.object(func(name []byte) error {
			switch string(name) {
			case "V2Score":
				return r.number(&c.v2)
			case "V3Score":
				return r.number(&c.v3)
			case "V40Score":
				return r.number(&c.v4)
			}
			return r.skip()
		})
		if err != nil {
			return err
		}
		scores = append(scores, c)
		return r.keep(len(c.source))
	})
	slices.SortFunc(scores, func(a, b scored) int { return strings.Compare(a.source, b.source) })
	for _, c := range scores {
		f.rateBy(c.source, c.cvss)
	}
	return err
}

// trivyMisconfiguration reads a types.DetectedMisconfiguration. What passed is none.
func (r *report) trivyMisconfiguration() (f finding, place string, counts bool, err error) {
	var severity, status string
	f = r.finding(6)
	f.notes[attest.FindingClass] = "misconfiguration"
	err = r.element(func(name []byte) error {
		switch string(name) {
		case "ID":
			return r.text(&f.id)
		case "Title":
			return r.notedTitle(&f)
		case "Severity":
			return r.text(&severity)
		case "Status":
			return r.text(&status)
		case "PrimaryURL":
			return r.noted(&f, attest.FindingSource)
		case "CauseMetadata":
			return r.object(func(name []byte) error { return r.startLine(name, &place) })
		}
		return r.skip()
	})
	f.say(string(Trivy), severity)
	return f, place, status != "PASS" && status != "EXCEPTION", err
}

// startLine reads a line number of Trivy as the end of a place: ":3".
func (r *report) startLine(name []byte, place *string) error {
	if string(name) != "StartLine" {
		return r.skip()
	}
	var n int
	err := r.integer(&n)
	if n > 0 {
		*place = ":" + strconv.Itoa(n)
	}
	return err
}

// trivySecret reads a types.DetectedSecret. What matched is not kept: it may be the secret.
func (r *report) trivySecret() (f finding, place string, counts bool, err error) {
	var severity string
	f = r.finding(6)
	f.notes[attest.FindingClass] = "secret"
	err = r.element(func(name []byte) error {
		switch string(name) {
		case "RuleID":
			return r.text(&f.id)
		case "Title":
			return r.notedTitle(&f)
		case "Severity":
			return r.text(&severity)
		}
		return r.startLine(name, &place)
	})
	f.say(string(Trivy), severity)
	return f, place, true, err
}

// trivyLicense reads a types.DetectedLicense.
func (r *report) trivyLicense() (f finding, place string, counts bool, err error) {
	var severity string
	f = r.finding(6)
	f.notes[attest.FindingClass] = "license"
	err = r.element(func(name []byte) error {
		switch string(name) {
		case "Name":
			return r.text(&f.id)
		case "Severity":
			return r.text(&severity)
		case "Category":
			return r.notedTitle(&f)
		case "PkgName":
			return r.noted(&f, attest.FindingPackage)
		case "FilePath":
			return r.noted(&f, attest.FindingLocation)
		case "Link":
			return r.noted(&f, attest.FindingSource)
		}
		return r.skip()
	})
	f.say(string(Trivy), severity)
	return f, "", true, err
}
