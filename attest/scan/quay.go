package scan

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/testdag/testdag/attest/intoto"
)

// A quayVulnerability is one in the form of Quay's security API,
// /api/v1/repository/{repository}/manifest/{ref}/security?vulnerabilities=true.
type quayVulnerability struct {
	Name, Severity, FixedBy, Description, Link string
	Metadata                                   struct {
		NVD struct{ CVSSv2, CVSSv3 quayScore }
	}
}

// A quayScore has "" for a score that it does not have.
type quayScore struct{ Score, Vectors jsontext.Value }

func quay(r *report) error {
	var status string
	layer, features := false, false
	err := r.object(fields{
		"status": r.into(&status),
		"data": func() error {
			return r.object(fields{"Layer": func() error {
				layer = true
				return r.object(fields{"Features": func() error {
					return r.list(func() error {
						features = true
						return r.quayFeature()
					})
				}})
			}})
		},
	})
	switch {
	case err != nil:
		return err
	case status != "" && status != "scanned": // "queued", "failed", "unsupported"
		return r.notRun(fmt.Sprintf("its status is %.40q", status))
	case !layer:
		return &FormatError{r.format, "data.Layer", errors.New("missing")}
	case !features:
		return r.notRun("data.Layer has no Features, so nothing was looked at")
	}
	return nil
}

// quayFeature reads a package, which may be named after its vulnerabilities.
func (r *report) quayFeature() error {
	var name, version, layer string
	first := len(r.scanner.Result)
	err := r.object(fields{
		"Name":            r.into(&name),
		"Version":         r.into(&version),
		"AddedBy":         r.into(&layer),
		"Vulnerabilities": each(r.reader, r.quayVulnerability),
	})
	if err != nil {
		return err
	}
	if name == "" {
		return r.fail(errors.New("a feature without a name"))
	}
	found := r.scanner.Result[first:]
	complete(found, intoto.FindingPackage, name)
	complete(found, intoto.FindingVersion, version)
	complete(found, intoto.FindingLocation, layer)
	return nil
}

func (r *report) quayVulnerability(v *quayVulnerability) error {
	var c cvss
	c.set("2", number(v.Metadata.NVD.CVSSv2.Score), text(v.Metadata.NVD.CVSSv2.Vectors))
	c.set("3", number(v.Metadata.NVD.CVSSv3.Score), text(v.Metadata.NVD.CVSSv3.Vectors))
	id, aliases := clairID(v.Name)
	return r.add(finding{
		id: id, aliases: aliases, by: string(Quay), word: v.Severity, scores: c.rate(nil, "nvd"),
		fix: clairFix(v.FixedBy), fixKnown: true, title: v.Description, source: firstLink(v.Link),
	})
}
