package scan

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/testdag/testdag/attest/intoto"
)

// A report is what has been read of the report of a scanner.
type report struct {
	*reader
	opts     Options
	scanner  intoto.Scanner // as the report has it; URI without a version if it is a package URL
	images   []string       // digests that it names the image by
	started  time.Time
	finished time.Time

	unscanned, incomplete []string
}

// vulnerabilities returns a converter for reports of vulnerabilities, with what reads their insides. The source is that of
// the scanner, "pkg:github/aquasecurity/trivy", or empty if the report says it.
func vulnerabilities(format Format, source string, read func(*report) error) converter {
	return func(in io.Reader, opts Options) (intoto.Predicate, error) {
		r := &report{reader: newReader(format, in, opts.Limits), opts: opts}
		r.scanner.URI = source
		r.scanner.Result = []intoto.Finding{}
		if err := cmp.Or(read(r), r.end()); err != nil {
			return nil, err
		}
		return r.predicate()
	}
}

// predicate returns what was read, filled up with what the options say.
func (r *report) predicate() (intoto.Predicate, error) {
	if image := r.opts.Image; image != "" && len(r.images) > 0 && !slices.Contains(r.images, image) {
		return nil, &ImageError{r.format, image, r.images}
	}
	told := r.opts.Scanner
	s := r.scanner
	s.Version = cmp.Or(s.Version, told.Version)
	s.URI = cmp.Or(told.URI, released(s.URI, s.Version))
	s.DB.URI = cmp.Or(s.DB.URI, told.DB.URI)
	s.DB.Version = cmp.Or(s.DB.Version, told.DB.Version)
	s.DB.LastUpdate = cmp.Or(s.DB.LastUpdate, told.DB.LastUpdate)
	v := intoto.Vulns{Scanner: s, Unscanned: r.unscanned, Incomplete: r.incomplete, Metadata: intoto.ScanMetadata{
		StartedOn:  cmp.Or(r.started, r.opts.Started),
		FinishedOn: cmp.Or(r.finished, r.opts.Finished),
	}}
	if len(r.images) == 0 {
		v.Note = noDigest
	}
	if err := r.lacks(v); err != nil {
		return nil, err
	}
	if err := contradiction(r.format, r.started, r.finished, v.Metadata); err != nil {
		return nil, err
	}
	if err := mistakes(v); err != nil {
		return nil, err
	}
	return v, nil
}

// mistakes returns what report and options together say wrong: that the scan ended before it began. The findings are right
// as they are made.
func mistakes(v intoto.Vulns) error {
	v.Scanner.Result = v.Scanner.Result[:0]
	return v.Validate()
}

// lacks returns a LackError for each field that neither the report nor the options say.
func (r *report) lacks(v intoto.Vulns) error {
	var errs []error
	for _, need := range []struct {
		lacks         bool
		field, option string
	}{
		{v.Scanner.URI == "", "scanner.uri", "Scanner.URI"},
		{v.Scanner.DB.LastUpdate.IsZero(), "scanner.db.lastUpdate", "Scanner.DB.LastUpdate"},
		{v.Metadata.StartedOn.IsZero(), "metadata.scanStartedOn", "Started"},
		{v.Metadata.FinishedOn.IsZero(), "metadata.scanFinishedOn", "Finished"},
	} {
		if need.lacks {
			errs = append(errs, &LackError{r.format, need.field, need.option})
		}
	}
	return errors.Join(errs...)
}

// released adds a version to a package URL of a repository, where releases are tagged v1.2.3.
func released(uri, version string) string {
	number := strings.TrimPrefix(version, "v")
	digit := number != "" && number[0] >= '0' && number[0] <= '9'
	if !strings.HasPrefix(uri, "pkg:") || !digit || strings.ContainsAny(number, "@?#%/ ") {
		return uri
	}
	return uri + "@v" + number
}

// mostImages bounds the digests of one image. It has one in each repository that it was pulled from.
const mostImages = 100

// named notes how the report names the image. A reference without a digest says nothing: tags move.
func (r *report) named(refs ...string) {
	for _, ref := range refs {
		digest := ref[strings.LastIndexByte(ref, '@')+1:]
		if hex, ok := strings.CutPrefix(digest, "sha256:"); ok && len(hex) == 64 && len(r.images) < mostImages {
			r.images = append(r.images, digest)
		}
	}
}

// notRun returns the error for a report that says that the scan did not run.
func (r *report) notRun(reason string) error { return &NotRunError{r.format, reason} }

// mostReasons bounds each list of what was not scanned.
const mostReasons = 20

// tell adds a reason to one of the lists of what was not scanned, each once.
func tell(list *[]string, reason string) {
	switch reason = line(reason); {
	case reason == "" || slices.Contains(*list, reason) || len(*list) > mostReasons:
	case len(*list) == mostReasons:
		*list = append(*list, "and more")
	default:
		*list = append(*list, reason)
	}
}

// A finding is what a report says of one. Text that is empty was not said.
type finding struct {
	id       string
	by, word string            // how bad it is, in the scanner's own word, and by whom
	scores   []intoto.Severity // and by others

	pkg, version, purl, class, location, title, source string // see intoto.FindingPackage and its neighbours
	published, modified                                string // times, as the report writes them
	aliases                                            []string

	fix      string
	fixKnown bool // without a fix there is none

	status, vendors, epss string
	exploited             bool
}

// mostAliases bounds the other ids of one finding. Vulnerabilities have about five; with fewer an exception covers less.
const mostAliases = 50

// add adds a finding.
func (r *report) add(f finding) error {
	if f.id == "" {
		return r.fail(errors.New("a finding without an id"))
	}
	about := make(map[string]any, 12)
	size := len(f.id)
	for _, note := range [...]struct{ key, value string }{
		{intoto.FindingPackage, f.pkg}, {intoto.FindingVersion, f.version}, {intoto.FindingPURL, f.purl},
		{intoto.FindingClass, f.class}, {intoto.FindingLocation, f.location}, {intoto.FindingSource, f.source},
		{intoto.FindingTitle, line(f.title)}, {intoto.FindingPublished, date(f.published)},
		{intoto.FindingModified, date(f.modified)}, {intoto.FindingFix, f.fix},
		{findingStatus, f.status}, {findingVendor, f.vendors}, {findingEPSS, f.epss},
	} {
		if note.value != "" || note.key == intoto.FindingFix && f.fixKnown {
			about[note.key] = note.value
			size += len(note.value)
		}
	}
	if f.exploited {
		about[findingExploited] = true
	}
	malware := isMalware(f.id)
	var aliases []any
	for _, alias := range f.aliases {
		malware = malware || isMalware(alias)
		if alias != "" && alias != f.id && len(aliases) < mostAliases && !slices.Contains(aliases, any(alias)) {
			aliases = append(aliases, alias)
			about[intoto.FindingAliases] = aliases
			size += len(alias)
		}
	}
	if most := r.limits.ValueBytes; int64(size) > most {
		return &intoto.LimitError{What: whatValue, Limit: most, Got: int64(size)}
	}
	entry := intoto.Finding{ID: f.id, Severity: []intoto.Severity{}}
	if malware { // it has no severity of its own, and none is worse
		entry.Severity = append(entry.Severity, intoto.Severity{Method: "malware", Score: "critical"})
	}
	if f.word != "" {
		entry.Severity = append(entry.Severity, intoto.Severity{Method: f.by, Score: strings.ToLower(f.word)})
	}
	entry.Severity = append(entry.Severity, f.scores...)
	if len(about) > 0 {
		entry.Annotations = []map[string]any{about}
	}
	r.scanner.Result = append(r.scanner.Result, entry)
	return r.room(len(r.scanner.Result))
}

// complete notes what is said of findings after they were added, unless it is known.
func complete(findings []intoto.Finding, key, value string) {
	if value == "" {
		return
	}
	for i := range findings {
		f := &findings[i]
		if f.Annotations == nil {
			f.Annotations = []map[string]any{{}}
		}
		if _, known := f.Annotations[0][key]; !known {
			f.Annotations[0][key] = value
		}
	}
}

// isMalware says whether an id is of the OSV database of malicious packages, which scanners have from there.
func isMalware(id string) bool { return strings.HasPrefix(id, "MAL-") }

// Keys of annotations that are not among those of attest.
const (
	findingStatus    = "status"         // the scanner's own word on the fix: "will_not_fix", "wont-fix"
	findingVendor    = "vendorSeverity" // words of others, divided by spaces: "nvd=medium redhat=low"
	findingEPSS      = "epss"           // probability that it is exploited within 30 days, by FIRST: "0.00056"
	findingExploited = "knownExploited" // true if it is in a list of those that are
)

// line returns the first line of text for people, or what fits of it.
func line(s string) string {
	const most = 256
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if s = strings.TrimSpace(s); len(s) <= most {
		return s
	}
	end := most
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// parseTime returns a time. What is no time, or the zero time that Go writes for none, is as if it were not there: it will
// be asked for.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if y := t.UTC().Year(); err != nil || y < 1 || y > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// date returns a time as annotations have it, empty if it is none.
func date(s string) string {
	t := parseTime(s)
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// rated adds a base score of a version of CVSS, "cvss_v3", unless the same is there.
func rated(list []intoto.Severity, version, source string, score float64) []intoto.Severity {
	s := intoto.Severity{Method: version + ":" + source, Score: strconv.FormatFloat(score, 'f', -1, 64)}
	if len(list) < 100 && slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
