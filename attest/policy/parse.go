package policy

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.yaml.in/yaml/v3"

	"github.com/testdag/testdag/attest/provenance"
)

const (
	// mostBytes is how large a policy may be.
	mostBytes = 1 << 20

	// mostValues is how many values it may have, those behind aliases each time.
	mostValues = 100_000

	// mostMistakes is how many mistakes are told one by one.
	mostMistakes = 100
)

// Parse reads a policy as the package comment shows it, in YAML or JSON, of at most 1 MiB, and validates it. It reports
// every mistake at once, each a [*FieldError] with its line, joined. Unknown fields are mistakes: what is misspelled
// would not be required. So is required_in_build without trust, since anybody who may run a task has provenance.
func Parse(r io.Reader) (Policy, error) {
	data, err := io.ReadAll(io.LimitReader(r, mostBytes+1))
	if err != nil {
		return Policy{}, fmt.Errorf("policy: %w", err)
	}
	if len(data) > mostBytes {
		return Policy{}, &FieldError{Field: "file", Problem: fmt.Sprintf("larger than %d bytes", mostBytes)}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return Policy{}, &FieldError{Field: "file", Problem: "empty"}
	} else if err != nil {
		return Policy{}, fmt.Errorf("policy: %w", err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return Policy{}, &FieldError{Field: "file", Problem: "more than one document; a policy is one"}
	}
	in := reader{lines: map[string]int{}}
	p := in.policy(&doc)
	in.check(p)
	if len(in.mistakes) > 0 {
		return Policy{}, in.err()
	}
	return p, nil
}

// A reader walks over a document and collects mistakes.
type reader struct {
	mistakes checklist
	values   int
	path     string         // of the value that is read
	lines    map[string]int // by path
	unread   []string       // paths of values that could not be read
}

func (r *reader) mistake(n *yaml.Node, format string, args ...any) {
	if !r.full() {
		r.unread = append(r.unread, r.path)
		r.mistakes = append(r.mistakes, &FieldError{n.Line, r.path, fmt.Sprintf(format, args...)})
	}
}

// full reports whether there are more mistakes than are told.
func (r *reader) full() bool { return len(r.mistakes) > mostMistakes }

// check adds what is wrong with a policy that was read. A value that could not even be read has been told of, and may
// be all that is required.
func (r *reader) check(p Policy) {
	var c checklist
	c.policy(p)
	if len(p.RequiredInBuild) > 0 && (len(p.Trust.Builders) == 0 || len(p.Trust.Tasks) == 0) {
		c.add("trust", "required by required_in_build: say which builders and tasks may build")
	}
	c.trust(p.Trust)
	if r.values > mostValues {
		c = nil // the rest has not been read
	}
	for _, e := range c {
		told := func(path string) bool {
			return within(path, e.Field) || within(e.Field, path) || e.Field == "required"
		}
		if !r.full() && !slices.ContainsFunc(r.unread, told) {
			e.Line = r.line(e.Field)
			r.mistakes = append(r.mistakes, e)
		}
	}
}

// within reports whether a path is that of a value, or of a part of it. The empty path is that of the whole.
func within(path, value string) bool {
	rest, ok := strings.CutPrefix(path, value)
	return ok && (value == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// line returns the line of a value, or of what it would stand in.
func (r *reader) line(path string) int {
	for path != "" {
		if line, ok := r.lines[path]; ok {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// err returns the mistakes by line, those about the whole file first.
func (r *reader) err() error {
	slices.SortStableFunc(r.mistakes, func(a, b *FieldError) int { return cmp.Compare(a.Line, b.Line) })
	if r.full() {
		last := r.mistakes[mostMistakes]
		last.Field, last.Problem = "", "here is another mistake; mend those before and look again"
	}
	return r.mistakes.err()
}

// enter reads a part of a value, and remembers its line.
func (r *reader) enter(path string, line int, read func()) {
	outer := r.path
	r.path = path
	r.lines[path] = line
	read()
	r.path = outer
}

// value follows an alias, and counts.
func (r *reader) value(n *yaml.Node) (*yaml.Node, bool) {
	if r.values++; r.values > mostValues {
		if r.values == mostValues+1 {
			r.mistake(n, "more than %d values", mostValues)
		}
		return n, false
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n, n.ShortTag() != "!!null" // as if it were not there
}

// fields hands the value of each key of a mapping to what reads it.
func (r *reader) fields(n *yaml.Node, read map[string]func(*yaml.Node)) {
	n, ok := r.value(n)
	if !ok {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.mistake(n, "want a mapping of %s", strings.Join(slices.Sorted(maps.Keys(read)), ", "))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		path := key.Value
		if r.path != "" {
			path = r.path + "." + path
		}
		r.enter(path, key.Line, func() {
			switch field := read[key.Value]; {
			case field == nil:
				r.unknown(key, slices.Sorted(maps.Keys(read)))
			case seen[key.Value]:
				r.mistake(key, "given twice")
			default:
				field(n.Content[i+1])
			}
		})
		seen[key.Value] = true
	}
}

// unknown tells of a field that is none, and of the one that may be meant.
func (r *reader) unknown(key *yaml.Node, known []string) {
	if key.Value == mergeKey {
		r.unread = append(r.unread, strings.TrimSuffix(r.path, "."+mergeKey)) // what is missing may be in it
		r.mistake(key, "merge keys are not read: write the fields out")
		return
	}
	if why := notRead[r.path]; why != "" {
		r.mistake(key, "%s", why)
		return
	}
	if meant := nearest(key.Value, known); meant != "" {
		r.unread = append(r.unread, strings.TrimSuffix(r.path, key.Value)+meant)
		r.mistake(key, "unknown field; is %s meant?", meant)
		return
	}
	r.mistake(key, "unknown field; want one of %s", strings.Join(known, ", "))
}

// mergeKey is the key of YAML 1.1 that puts the fields of another mapping in. In a policy one field would win in silence.
const mergeKey = "<<"

// notRead says of fields that look right why they are not read, and what to do.
var notRead = map[string]string{
	"pipeline-required-tasks": "not read: it has a list for each kind of pipeline, and only a label of the build says " +
		"which counts; copy the one list of your pipeline to required_in_build",
	"signing_identities": "not read: a policy does not say who may sign; give that to the gate, with -key, or with " +
		"-identity, -issuer and -trusted-root",
	"trusted_tasks":           "not read: write trust.tasks, with a pattern for each task",
	"trusted_task_rules":      "not read: write trust.tasks, with a pattern for each rule",
	"informative_tests":       "not read: write informative",
	"cve_leeway":              "not read: write vulnerabilities.leeway_days",
	"exceptions":              "belongs under vulnerabilities",
	"with_fix":                "belongs under vulnerabilities",
	"without_fix":             "belongs under vulnerabilities",
	"leeway_days":             "belongs under vulnerabilities",
	"max_db_age":              "belongs under vulnerabilities",
	"incomplete":              "belongs under vulnerabilities",
	"vulnerabilities.waivers": "belongs beside vulnerabilities",
	"builders":                "belongs under trust",
	"tasks":                   "belongs into an entry of required or required_in_build, or under trust",
}

// nearest returns the known name that a word is most like, and nothing if it is like none.
func nearest(word string, known []string) string {
	best, least := "", 1+min(3, len(word)/3) // so many letters may be wrong
	for _, name := range known {
		if d := distance(strings.ToLower(word), name, least); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters must be put in, left out or exchanged to make one word another; or most, if there are
// more.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func (r *reader) list(n *yaml.Node, each func(*yaml.Node)) {
	n, ok := r.value(n)
	switch {
	case !ok:
	case n.Kind != yaml.SequenceNode:
		r.mistake(n, "want a list")
	default:
		for i, one := range n.Content {
			r.enter(fmt.Sprintf("%s[%d]", r.path, i), one.Line, func() { each(one) })
		}
	}
}

func (r *reader) text(into *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		n, ok := r.value(n)
		switch {
		case !ok:
		case n.Kind != yaml.ScalarNode:
			r.mistake(n, "want text")
		default:
			*into = n.Value
		}
	}
}

func (r *reader) texts(into *[]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, func(n *yaml.Node) {
			var text string
			r.text(&text)(n)
			*into = append(*into, text)
		})
	}
}

func (r *reader) effect(into *Effect) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var text string
		r.text(&text)(n)
		*into = Effect(text)
	}
}

func (r *reader) digest(into *v1.Hash) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var text string
		r.text(&text)(n)
		var err error
		if *into, err = v1.NewHash(text); text != "" && err != nil {
			r.mistake(n, "%s is not a digest; want sha256: and 64 hex digits", shown(text))
		}
	}
}

// days reads a time in days ("7d"), or as Go writes it ("36h").
func (r *reader) days(into *time.Duration) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var text string
		r.text(&text)(n)
		if text == "" {
			return
		}
		var err error
		if days, ok := strings.CutSuffix(text, "d"); ok {
			var count int
			if count, err = strconv.Atoi(days); err == nil && count > mostDays {
				err = strconv.ErrRange
			}
			*into = time.Duration(count) * 24 * time.Hour
		} else {
			*into, err = time.ParseDuration(text)
		}
		if err != nil || *into <= 0 {
			r.mistake(n, "%s is no span of time; write 7d or 36h", shown(text))
		}
	}
}

func (r *reader) flag(into *bool) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n, ok := r.value(n); ok && n.Decode(into) != nil {
			r.mistake(n, "want true or false")
		}
	}
}

// moment reads RFC 3339, or a date, which stands for its first instant in UTC.
func (r *reader) moment(into *time.Time) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var text string
		r.text(&text)(n)
		if text == "" {
			return
		}
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if t, err := time.Parse(layout, text); err == nil {
				*into = t
				return
			}
		}
		r.mistake(n, "%s is not a time; write 2026-01-31 or 2026-01-31T12:00:00Z", shown(text))
	}
}

func (r *reader) policy(doc *yaml.Node) Policy {
	var p Policy
	var waivers, exceptions []Waiver
	inBuild, required := r.once("required_in_build", r.entries(&p.RequiredInBuild)), r.once("required", r.entries(&p.Required))
	r.fields(doc.Content[0], map[string]func(*yaml.Node){
		"required_in_build": inBuild, "required-tasks": inBuild,
		"required": required, "required-test-tasks": required,
		"strict":      r.flag(&p.Strict),
		"skipped":     r.effect(&p.Skipped),
		"informative": r.texts(&p.Informative),
		"waivers": func(n *yaml.Node) {
			r.list(n, func(n *yaml.Node) { waivers = append(waivers, r.waiver(n)) })
		},
		"vulnerabilities": func(n *yaml.Node) { p.Vulnerabilities, exceptions = r.vulnerabilities(n) },
		"trust":           func(n *yaml.Node) { p.Trust = r.trust(n) },
	})
	p.Waivers = append(waivers, exceptions...)
	return p
}

// once reads a field that has two names.
func (r *reader) once(name string, read func(*yaml.Node)) func(*yaml.Node) {
	var given bool
	return func(n *yaml.Node) {
		if given {
			r.mistake(n, "the same as %s, which is given too", name)
			return
		}
		given = true
		r.enter(name, r.lines[r.path], func() { read(n) })
	}
}

func (r *reader) entries(into *[]Entry) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, func(n *yaml.Node) {
			var e Entry
			r.fields(n, map[string]func(*yaml.Node){
				"effective_on": r.moment(&e.EffectiveOn),
				"tasks":        func(n *yaml.Node) { r.list(n, func(n *yaml.Node) { e.Tasks = append(e.Tasks, r.anyOf(n)) }) },
			})
			*into = append(*into, e)
		})
	}
}

// anyOf reads a name, or a list of names.
func (r *reader) anyOf(n *yaml.Node) AnyOf {
	if n.Kind != yaml.SequenceNode && (n.Kind != yaml.AliasNode || n.Alias.Kind != yaml.SequenceNode) {
		name := ""
		r.text(&name)(n)
		return AnyOf{name}
	}
	var names AnyOf
	r.list(n, func(n *yaml.Node) {
		name := ""
		r.text(&name)(n)
		names = append(names, name)
	})
	return names
}

func (r *reader) vulnerabilities(n *yaml.Node) (v Vulnerabilities, exceptions []Waiver) {
	r.fields(n, map[string]func(*yaml.Node){
		"with_fix":    func(n *yaml.Node) { v.WithFix = r.levels(n) },
		"without_fix": func(n *yaml.Node) { v.WithoutFix = r.levels(n) },
		"leeway_days": func(n *yaml.Node) { v.LeewayDays = r.leeway(n) },
		"max_db_age":  r.days(&v.MaxDBAge),
		"incomplete":  r.effect(&v.Incomplete),
		"exceptions": func(n *yaml.Node) {
			r.list(n, func(n *yaml.Node) { exceptions = append(exceptions, r.exception(n)) })
		},
	})
	return v, exceptions
}

func (r *reader) levels(n *yaml.Node) Levels {
	var l Levels
	read := func(into *[]Level) func(*yaml.Node) {
		return func(n *yaml.Node) {
			if n, ok := r.value(n); ok && n.Kind == yaml.SequenceNode {
				*into = []Level{} // not nil, which stands for the default
			}
			r.list(n, func(n *yaml.Node) {
				var level string
				r.text(&level)(n)
				*into = append(*into, Level(level))
			})
		}
	}
	r.fields(n, map[string]func(*yaml.Node){"deny": read(&l.Deny), "warn": read(&l.Warn)})
	return l
}

func (r *reader) leeway(n *yaml.Node) map[Level]int {
	leeway := map[Level]int{}
	read := map[string]func(*yaml.Node){}
	for _, level := range levels {
		read[string(level)] = func(n *yaml.Node) {
			var text string
			r.text(&text)(n)
			days, err := strconv.Atoi(text)
			if err != nil {
				r.mistake(n, "%s is no number of days", shown(cmp.Or(text, "null")))
			}
			leeway[level] = days
		}
	}
	r.fields(n, read)
	return leeway
}

func (r *reader) waiver(n *yaml.Node) Waiver {
	w := Waiver{Place: r.place(n)}
	r.fields(n, map[string]func(*yaml.Node){
		"task": r.text(&w.Task), "finding": r.text(&w.Finding), "package": r.text(&w.Package),
		"statement": r.digest(&w.Statement),
		"images":    r.texts(&w.Images), "components": r.texts(&w.Components),
		"from": r.moment(&w.From), "until": r.moment(&w.Until), "who": r.text(&w.Who), "why": r.text(&w.Why),
	})
	return w
}

// place is where the value is that is read.
func (r *reader) place(n *yaml.Node) string { return fmt.Sprintf("%s, line %d", r.path, n.Line) }

// exception reads another spelling of a waiver: of a finding, for every image, by the author of the policy.
func (r *reader) exception(n *yaml.Node) Waiver {
	w := Waiver{Place: r.place(n), Images: []string{everyImage}, Who: "the author of the policy"}
	r.fields(n, map[string]func(*yaml.Node){
		"id": r.text(&w.Finding), "package": r.text(&w.Package),
		"expires_on": r.moment(&w.Until), "reason": r.text(&w.Why),
	})
	return w
}

func (r *reader) trust(n *yaml.Node) provenance.Trust {
	var t provenance.Trust
	r.fields(n, map[string]func(*yaml.Node){
		"builders": r.texts(&t.Builders),
		"tasks":    func(n *yaml.Node) { r.list(n, func(n *yaml.Node) { t.Tasks = append(t.Tasks, r.rule(n)) }) },
	})
	return t
}

func (r *reader) rule(n *yaml.Node) provenance.TaskRule {
	var rule provenance.TaskRule
	r.fields(n, map[string]func(*yaml.Node){
		"pattern": r.text(&rule.Pattern), "digest": r.text(&rule.Digest), "deny": r.flag(&rule.Deny),
		"effective_on": r.moment(&rule.EffectiveOn), "expires_on": r.moment(&rule.ExpiresOn),
	})
	return rule
}
