package scan

import (
	"errors"
	"fmt"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/internal/jsonstream"
)

// quay reads the form of Quay's security API, /api/v1/repository/{repository}/manifest/{ref}/security?vulnerabilities=true.
func quay(r *report) error {
	var status string
	var layer, features bool
	err := r.whole(func(name []byte) error {
		switch string(name) {
		case "status":
			return r.text(&status)
		case "data":
			return r.object(func(name []byte) error {
				if string(name) != "Layer" {
					return r.skip()
				}
				layer = !r.null()
				return r.object(func(name []byte) error { return r.quayLayer(name, &features) })
			})
		}
		return r.skip()
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

func (r *report) quayLayer(name []byte, features *bool) error {
	if string(name) != "Features" {
		return r.skip()
	}
	return r.list(func() error {
		*features = true
		return r.quayFeature()
	})
}

// quayFeature reads a package, which may be named after its vulnerabilities.
func (r *report) quayFeature() error {
	var name, version, layer string
	first := len(r.scanner.Result)
	err := r.element(func(member []byte) error {
		switch string(member) {
		case "Name":
			return r.text(&name)
		case "Version":
			return r.text(&version)
		case "AddedBy":
			return r.text(&layer)
		case "Vulnerabilities":
			return r.list(r.quayVulnerability)
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if name == "" {
		return r.fail(errors.New("a feature without a name"))
	}
	for _, entry := range r.scanner.Result[first:] {
		f := r.again(entry)
		f.note(attest.FindingPackage, name)
		f.note(attest.FindingVersion, version)
		f.note(attest.FindingLocation, layer)
	}
	return nil
}

func (r *report) quayVulnerability() error {
	f := r.finding(12)
	var fix string
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "Name":
			return r.text(&f.id)
		case "Severity":
			var word string
			err := r.text(&word)
			f.say(string(Quay), word)
			return err
		case "FixedBy":
			return r.text(&fix)
		case "Description":
			return r.notedTitle(&f)
		case "Link":
			var link string
			err := r.clairLink(&link)
			f.note(attest.FindingSource, link)
			return err
		case "Metadata":
			return r.object(func(name []byte) error { return r.quayMetadata(name, &f) })
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	f.notes[attest.FindingFix] = clairFix(fix)
	f.clairAliases()
	return r.add(f)
}

// quayMetadata reads the scores of NVD.
func (r *report) quayMetadata(name []byte, f *finding) error {
	if string(name) != "NVD" {
		return r.skip()
	}
	var c cvss
	base := func(to *score) error {
		return r.object(func(name []byte) error {
			if string(name) != "Score" || r.walk.Peek() != jsonstream.Number { // Quay writes "" where it has none
				return r.skip()
			}
			return r.number(to)
		})
	}
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "CVSSv2":
			return base(&c.v2)
		case "CVSSv3":
			return base(&c.v3)
		}
		return r.skip()
	})
	f.rateBy("nvd", c)
	return err
}
