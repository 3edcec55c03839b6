package scan

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/internal/jsonstream"
)

// grype reads what grype -o json writes: models.Document of github.com/anchore/grype/grype/presenter/models. Its descriptor
// names the tool, and tells of the database in two forms: flat up to version 5 of the schema, under "status" from 6 on.
func grype(r *report) error {
	var tool string
	var matches bool
	err := r.whole(func(name []byte) error {
		switch string(name) {
		case "matches":
			matches = !r.null()
			return r.list(r.grypeMatch)
		case "source":
			return r.object(r.grypeSource)
		case "descriptor":
			return r.object(func(name []byte) error { return r.grypeDescriptor(name, &tool) })
		}
		return r.skip()
	})
	switch {
	case err != nil:
		return err
	case tool != string(Grype):
		return &FormatError{r.format, "descriptor.name", fmt.Errorf("%q, want %q", tool, Grype)}
	case !matches:
		return &FormatError{r.format, "matches", errors.New("missing; a scan that found nothing has an empty list")}
	}
	return nil
}

// grypeSource reads which image was looked at.
func (r *report) grypeSource(name []byte) error {
	if string(name) != "target" {
		return r.skip()
	}
	if r.walk.Peek() != jsonstream.Object { // of a directory or a file it is text
		return r.skip()
	}
	return r.object(func(name []byte) error {
		switch string(name) {
		case "userInput", "manifestDigest":
			return r.image()
		case "repoDigests":
			return r.list(r.image)
		}
		return r.skip()
	})
}

func (r *report) grypeDescriptor(name []byte, tool *string) error {
	switch string(name) {
	case "name":
		return r.text(tool)
	case "version":
		err := r.text(&r.scanner.Version)
		if strings.HasPrefix(r.scanner.Version, "[") { // "[not provided]", by who built it
			r.scanner.Version = ""
		}
		return err
	case "timestamp":
		return r.time(&r.finished)
	case "db":
		return r.object(r.grypeDB)
	}
	return r.skip()
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

// grypeDB reads what is known of the database. With one that is not good, nothing found says nothing.
func (r *report) grypeDB(name []byte) error {
	switch string(name) {
	case "status":
		return r.object(r.grypeDB)
	case "built":
		return r.time(&r.scanner.DB.LastUpdate)
	case "from":
		err := r.text(&r.scanner.DB.URI)
		r.scanner.DB.URI = withoutSecrets(r.scanner.DB.URI)
		return err
	case "schemaVersion":
		return r.scalar(&r.scanner.DB.Version)
	case "valid":
		valid := true
		if err := r.truth(&valid); err != nil || valid {
			return err
		}
		return r.notRun("its database was not valid")
	case "error":
		return r.grypeDBError()
	}
	return r.skip()
}

// grypeDBError reads why the database was not good: null or no text if it was, an object in old versions.
func (r *report) grypeDBError() error {
	if r.walk.Peek() == jsonstream.Object {
		return r.notRun("its database could not be used")
	}
	var why string
	if err := r.text(&why); err != nil || why == "" {
		return err
	}
	return r.notRun("its database: " + r.line([]byte(why)))
}

func (r *report) grypeMatch() error {
	f := r.finding(12)
	var namespace string
	var scores grypeScores
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "vulnerability":
			return r.object(func(name []byte) error { return r.grypeVulnerability(name, &f, &namespace, &scores) })
		case "relatedVulnerabilities":
			return r.list(func() error { return r.grypeRelated(&f, &scores) })
		case "artifact":
			return r.object(func(name []byte) error { return r.grypeArtifact(name, &f) })
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	f.noteAliases(scores.ids...)
	scores.rate(&f, namespace)
	return r.add(f)
}

func (r *report) grypeVulnerability(name []byte, f *finding, namespace *string, scores *grypeScores) error {
	switch string(name) {
	case "id":
		return r.text(&f.id)
	case "namespace":
		return r.text(namespace)
	case "dataSource":
		return r.noted(f, attest.FindingSource)
	case "severity":
		var word string
		err := r.text(&word)
		f.say(string(Grype), word)
		return err
	case "description":
		return r.notedTitle(f)
	case "cvss":
		return r.list(func() error { return r.grypeCVSS(&scores.own) })
	case "fix":
		return r.grypeFix(f)
	case "epss":
		return r.list(func() error { return r.grypeEPSS(f) })
	case "knownExploited":
		return r.list(func() error {
			f.notes[findingExploited] = true
			return r.skip()
		})
	}
	return r.skip()
}

// grypeFix reads which versions fix it. That there is none is for the state to say; one that is unknown says nothing.
func (r *report) grypeFix(f *finding) error {
	var versions []string
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "versions":
			return r.texts(&versions)
		case "state":
			return r.noted(f, findingStatus)
		}
		return r.skip()
	})
	if state := f.notes[findingStatus]; len(versions) > 0 || state == "not-fixed" || state == "wont-fix" {
		f.noteFix(versions)
	}
	return err
}

func (r *report) grypeEPSS(f *finding) error {
	return r.object(func(name []byte) error {
		if string(name) != "epss" {
			return r.skip()
		}
		var s string
		err := r.scalar(&s)
		f.note(findingEPSS, s)
		return err
	})
}

// grypeRelated reads a record of the same vulnerability by somebody else.
func (r *report) grypeRelated(f *finding, scores *grypeScores) error {
	var id, namespace string
	first := len(scores.related)
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "id":
			return r.text(&id)
		case "namespace":
			return r.text(&namespace)
		case "cvss":
			return r.list(func() error { return r.grypeCVSS(&scores.related) })
		}
		return r.skip()
	})
	for i := first; i < len(scores.related); i++ {
		s := &scores.related[i]
		s.source = cmp.Or(s.source, publisher(namespace))
	}
	scores.ids = append(scores.ids, id)
	return err
}

// grypeCVSS reads one CVSS, whose source is often told by the namespace of the record alone.
func (r *report) grypeCVSS(to *[]grypeScore) error {
	var source, version string
	var base score
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "source":
			return r.text(&source)
		case "version":
			return r.text(&version)
		case "metrics":
			return r.object(func(name []byte) error {
				if string(name) == "baseScore" {
					return r.number(&base)
				}
				return r.skip()
			})
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	*to = append(*to, grypeScore{source, version, base})
	return r.keep(64) // a list of empty ones is not free
}

func (r *report) grypeArtifact(name []byte, f *finding) error {
	switch string(name) {
	case "name":
		return r.noted(f, attest.FindingPackage)
	case "version":
		return r.noted(f, attest.FindingVersion)
	case "purl":
		return r.noted(f, attest.FindingPURL)
	case "locations":
		return r.list(func() error {
			return r.object(func(name []byte) error {
				if _, there := f.notes[attest.FindingLocation]; there || string(name) != "path" {
					return r.skip()
				}
				return r.noted(f, attest.FindingLocation)
			})
		})
	}
	return r.skip()
}

// grypeScores are the CVSS of a vulnerability and its related records, and the ids of these.
type grypeScores struct {
	own, related []grypeScore
	ids          []string
}

type grypeScore struct {
	source, version string
	score           score
}

// rate adds them to f, its own sources first, otherwise in the order of the report. Some reports name NVD "nvd@nist.gov".
func (s grypeScores) rate(f *finding, namespace string) {
	var order []string
	by := map[string]*cvss{}
	for _, one := range slices.Concat(s.own, s.related) {
		source := cmp.Or(one.source, publisher(namespace), string(Grype))
		if source == "nvd@nist.gov" {
			source = "nvd"
		}
		if by[source] == nil {
			by[source] = new(cvss)
			order = append(order, source)
		}
		by[source].set(one.version, one.score)
	}
	for _, source := range order {
		f.rateBy(source, *by[source])
	}
}

// publisher returns who a namespace of Grype belongs to: "github" of "github:language:go".
func publisher(namespace string) string {
	who, _, _ := strings.Cut(namespace, ":")
	return who
}
