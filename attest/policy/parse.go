package policy

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/testdag/testdag/attest"
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
// every mistake, each a [*FieldError] or one of [attest.Trust.Validate], joined. Unknown fields are mistakes: what is
// misspelled would not be required. So is required_in_build without trust, since anybody who may run a task has
// provenance.
func Parse(r io.Reader) (Policy, error) {
	data, err := io.ReadAll(io.LimitReader(r, mostBytes+1))
	if err != nil {
		return Policy{}, fmt.Errorf("policy: %w", err)
	}
	if len(data) > mostBytes {
		return Policy{}, &FieldError{"file", fmt.Sprintf("larger than %d bytes", mostBytes)}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return Policy{}, &FieldError{"file", "empty"}
	} else if err != nil {
		return Policy{}, fmt.Errorf("policy: %w", err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return Policy{}, &FieldError{"file", "more than one document; a policy is one"}
	}
	var in reader
	p := in.policy(&doc)
	if len(in.mistakes) == 0 {
		in.demandTrust(p)
		return p, errors.Join(errors.Join(in.mistakes...), p.Validate())
	}
	return Policy{}, errors.Join(in.mistakes...)
}

func (r *reader) demandTrust(p Policy) {
	if len(p.RequiredInBuild) > 0 && (len(p.Trust.Builders) == 0 || len(p.Trust.Tasks) == 0) {
		r.mistakes.add("trust", "required by required_in_build: say which builders and tasks may build")
	}
}

// A reader walks over a document and collects mistakes.
type reader struct {
	mistakes checklist
	values   int
}

func (r *reader) mistake(n *yaml.Node, format string, args ...any) {
	switch at := fmt.Sprintf("line %d", n.Line); {
	case len(r.mistakes) < mostMistakes:
		r.mistakes.add(at, format, args...)
	case len(r.mistakes) == mostMistakes:
		r.mistakes.add(at, "here is another mistake; mend those before and look again")
	}
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
		field := read[key.Value]
		switch {
		case field == nil:
			r.mistake(key, "unknown field %s; want one of %s", shown(key.Value), strings.Join(slices.Sorted(maps.Keys(read)), ", "))
		case seen[key.Value]:
			r.mistake(key, "%s is given twice", key.Value)
		default:
			field(n.Content[i+1])
		}
		seen[key.Value] = true
	}
}

func (r *reader) list(n *yaml.Node, each func(*yaml.Node)) {
	n, ok := r.value(n)
	switch {
	case !ok:
	case n.Kind != yaml.SequenceNode:
		r.mistake(n, "want a list")
	default:
		for _, one := range n.Content {
			each(one)
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
	inBuild, required := r.once("required_in_build", r.entries(&p.RequiredInBuild)), r.once("required", r.entries(&p.Required))
	r.fields(doc.Content[0], map[string]func(*yaml.Node){
		"required_in_build": inBuild, "required-tasks": inBuild,
		"required": required, "required-test-tasks": required,
		"strict":          r.flag(&p.Strict),
		"vulnerabilities": func(n *yaml.Node) { p.Vulnerabilities = r.vulnerabilities(n) },
		"trust":           func(n *yaml.Node) { p.Trust = r.trust(n) },
	})
	return p
}

// once reads a field that has two names.
func (r *reader) once(name string, read func(*yaml.Node)) func(*yaml.Node) {
	var given bool
	return func(n *yaml.Node) {
		if given {
			r.mistake(n, "%s is given under two names", name)
			return
		}
		given = true
		read(n)
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

func (r *reader) vulnerabilities(n *yaml.Node) Vulnerabilities {
	var v Vulnerabilities
	r.fields(n, map[string]func(*yaml.Node){
		"with_fix":    func(n *yaml.Node) { v.WithFix = r.levels(n) },
		"without_fix": func(n *yaml.Node) { v.WithoutFix = r.levels(n) },
		"leeway_days": func(n *yaml.Node) { v.LeewayDays = r.leeway(n) },
		"exceptions": func(n *yaml.Node) {
			r.list(n, func(n *yaml.Node) { v.Exceptions = append(v.Exceptions, r.exception(n)) })
		},
	})
	return v
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
				r.mistake(n, "%s is no number of days", shown(text))
			}
			leeway[level] = days
		}
	}
	r.fields(n, read)
	return leeway
}

func (r *reader) exception(n *yaml.Node) Exception {
	var x Exception
	r.fields(n, map[string]func(*yaml.Node){
		"id": r.text(&x.ID), "package": r.text(&x.Package), "expires_on": r.moment(&x.ExpiresOn), "reason": r.text(&x.Reason),
	})
	return x
}

func (r *reader) trust(n *yaml.Node) attest.Trust {
	var t attest.Trust
	r.fields(n, map[string]func(*yaml.Node){
		"builders": func(n *yaml.Node) {
			r.list(n, func(n *yaml.Node) {
				var builder string
				r.text(&builder)(n)
				t.Builders = append(t.Builders, builder)
			})
		},
		"tasks": func(n *yaml.Node) { r.list(n, func(n *yaml.Node) { t.Tasks = append(t.Tasks, r.rule(n)) }) },
	})
	return t
}

func (r *reader) rule(n *yaml.Node) attest.TaskRule {
	var rule attest.TaskRule
	r.fields(n, map[string]func(*yaml.Node){
		"pattern": r.text(&rule.Pattern), "digest": r.text(&rule.Digest), "deny": r.flag(&rule.Deny),
		"effective_on": r.moment(&rule.EffectiveOn), "expires_on": r.moment(&rule.ExpiresOn),
	})
	return rule
}
