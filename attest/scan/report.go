package scan

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/testdag/testdag/attest"
)

// A report is what has been read of the report of a scanner.
type report struct {
	*reader
	opts     Options
	spare    spare
	scanner  attest.Scanner // as the report has it; URI without a version if it is a package URL
	images   []string       // digests that it names the image by
	started  time.Time
	finished time.Time
}

// vulnerabilities returns a converter for reports of vulnerabilities, with what reads their insides. The source is that of
// the scanner, "pkg:github/aquasecurity/trivy", or empty if the report says it.
func vulnerabilities(format Format, source string, read func(*report) error) converter {
	return func(in io.Reader, opts Options) (attest.Predicate, error) {
		r := &report{reader: newReader(format, in, opts.Limits), opts: opts}
		r.scanner.URI = source
		r.scanner.Result = []attest.Finding{}
		if err := read(r); err != nil {
			return nil, err
		}
		return r.predicate()
	}
}

// spare is room for the short lists of findings to come.
type spare struct {
	severities  []attest.Severity
	annotations []map[string]any
}

// add adds a finding that was just read.
func (r *report) add(f finding) error {
	if f.id == "" {
		return r.fail(errors.New("a finding without an id"))
	}
	got := len(r.scanner.Result) + 1
	if got > r.limits.Findings {
		return &attest.LimitError{What: whatFindings, Limit: int64(r.limits.Findings), Got: int64(got)}
	}
	r.scanner.Result = append(r.scanner.Result, f.entry(&r.spare))
	return nil
}

// predicate returns what was read, filled up with what the options say.
func (r *report) predicate() (attest.Predicate, error) {
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
	v := attest.Vulns{Scanner: s, Metadata: attest.ScanMetadata{
		StartedOn:  cmp.Or(r.started, r.opts.Started),
		FinishedOn: cmp.Or(r.finished, r.opts.Finished),
	}}
	if err := r.lacks(v); err != nil {
		return nil, err
	}
	if err := mistakes(v); err != nil {
		return nil, err
	}
	return v, nil
}

// mistakes returns what report and options together say wrong: that the scan ended before it began. The findings are right
// as they are made.
func mistakes(v attest.Vulns) error {
	v.Scanner.Result = v.Scanner.Result[:0]
	return v.Validate()
}

// lacks returns a LackError for each field that neither the report nor the options say.
func (r *report) lacks(v attest.Vulns) error {
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
	if !strings.HasPrefix(uri, "pkg:") || number == "" || number[0] < '0' || number[0] > '9' || strings.ContainsAny(number, "@?#%/ ") {
		return uri
	}
	return uri + "@v" + number
}

// mostImages bounds the digests of one image. It has one in each repository that it was pulled from.
const mostImages = 100

// image reads how the report names the image. A reference without a digest says nothing: tags move.
func (r *report) image() error {
	var ref string
	err := r.text(&ref)
	r.named(ref)
	return err
}

func (r *report) named(ref string) {
	digest := ref[strings.LastIndexByte(ref, '@')+1:]
	if hex, ok := strings.CutPrefix(digest, "sha256:"); ok && len(hex) == 64 && len(r.images) < mostImages {
		r.images = append(r.images, digest)
	}
}

// notRun returns the error for a report that says that the scan did not run.
func (r *report) notRun(reason string) error { return &NotRunError{r.format, reason} }

// Keys of annotations that are not among those of attest.
const (
	findingStatus    = "status"         // the scanner's own word on the fix: "will_not_fix", "wont-fix"
	findingVendor    = "vendorSeverity" // words of others, divided by spaces: "nvd=medium redhat=low"
	findingEPSS      = "epss"           // probability that it is exploited within 30 days, by FIRST: "0.00056"
	findingExploited = "knownExploited" // true if it is in a list of those that are
)

// A finding gathers what a report says of one finding.
type finding struct {
	id     string
	word   attest.Severity // the scanner's own; none if its score is empty
	cvss   []attest.Severity
	notes  map[string]any
	recent *recent
}

// finding returns one with room for so many notes.
func (r *reader) finding(notes int) finding {
	return finding{notes: make(map[string]any, notes), recent: r.recent}
}

// again returns one that is in the predicate already, to note more.
func (r *reader) again(entry attest.Finding) finding {
	return finding{id: entry.ID, notes: entry.Annotations[0], recent: r.recent}
}

// entry returns it as the predicate has it.
func (f finding) entry(room *spare) attest.Finding {
	severity := cut(&room.severities, 1+len(f.cvss))
	if f.word.Score != "" {
		severity = append(severity, f.word)
	}
	entry := attest.Finding{ID: f.id, Severity: append(severity, f.cvss...)}
	if len(f.notes) > 0 {
		entry.Annotations = append(cut(&room.annotations, 1), f.notes)
	}
	return entry
}

// say sets the scanner's own word.
func (f *finding) say(method, word string) {
	f.word = attest.Severity{Method: method, Score: f.recent.lower(word)}
}

// note keeps what is not empty.
func (f *finding) note(key, value string) {
	if value != "" {
		f.notes[key] = f.recent.boxed(value)
	}
}

// noted reads text that is kept as it is.
func (r *reader) noted(f *finding, key string) error {
	var s string
	err := r.text(&s)
	f.note(key, s)
	return err
}

// notedTitle reads the title.
func (r *reader) notedTitle(f *finding) error {
	var s string
	err := r.title(&s)
	f.note(attest.FindingTitle, s)
	return err
}

// notedTime reads a time.
func (r *reader) notedTime(f *finding, key string) error {
	var s string
	err := r.text(&s)
	f.noteTime(key, s)
	return err
}

// noteTime keeps a time that is one.
func (f *finding) noteTime(key, value string) {
	if t := parseTime(value); !t.IsZero() {
		var text [len(time.RFC3339Nano)]byte
		f.note(key, f.recent.text(t.AppendFormat(text[:0], time.RFC3339Nano)))
	}
}

// noteFix keeps the versions that fix it. None are told from not known.
func (f *finding) noteFix(versions []string) {
	f.notes[attest.FindingFix] = f.recent.boxed(strings.Join(versions, ", "))
}

// mostAliases bounds the other ids of one finding. Vulnerabilities have about five.
const mostAliases = 50

// noteAliases keeps the other ids, each once.
func (f *finding) noteAliases(ids ...string) {
	old, _ := f.notes[attest.FindingAliases].([]any)
	for _, id := range ids {
		if len(old) == mostAliases {
			break // with fewer an exception covers less
		}
		if id != "" && id != f.id && !slices.Contains(old, any(id)) {
			old = append(old, f.recent.boxed(id))
		}
	}
	if len(old) > 0 {
		f.notes[attest.FindingAliases] = old
	}
}

// rate adds a base score of a version of CVSS, "cvss_v3:", unless the same is there.
func (f *finding) rate(version, source string, score float64) {
	var text [40]byte
	s := attest.Severity{
		Method: f.recent.text(append(append(text[:0], version...), source...)),
		Score:  f.recent.text(strconv.AppendFloat(text[:0], score, 'f', -1, 64)),
	}
	if !slices.Contains(f.cvss, s) {
		f.cvss = append(f.cvss, s)
	}
}

// A cvss is the base scores that one source gives, by the major version of CVSS.
type cvss struct{ v2, v3, v4 score }

// rateBy adds the scores of a source. Version 2 counts only where there is no later one: it is what scores were before.
func (f *finding) rateBy(source string, c cvss) {
	if c.v4.given {
		f.rate("cvss_v4:", source, c.v4.value)
	}
	if c.v3.given {
		f.rate("cvss_v3:", source, c.v3.value)
	}
	if c.v2.given && !c.v3.given && !c.v4.given {
		f.rate("cvss_v2:", source, c.v2.value)
	}
}

// set takes a score of a version, "3.1".
func (c *cvss) set(version string, s score) {
	switch major, _, _ := strings.Cut(version, "."); major {
	case "2":
		c.v2 = higher(c.v2, s)
	case "3":
		c.v3 = higher(c.v3, s)
	case "4":
		c.v4 = higher(c.v4, s)
	}
}

// higher returns the higher of two scores, either of which may be missing.
func higher(a, b score) score {
	if !a.given || b.given && b.value > a.value {
		return b
	}
	return a
}
