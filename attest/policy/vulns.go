package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/testdag/testdag/attest"
)

// words are what scanners and vendors say for our levels, in lower case.
var words = map[string]Level{
	"critical": Critical, "defcon1": Critical, "urgent": Critical, "severe": Critical, "fatal": Critical, "blocker": Critical,
	"very high": Critical, "high": High, "important": High, "error": High,
	"medium": Medium, "moderate": Medium, "warning": Medium,
	"low": Low, "note": Low, "negligible": Low, "minimal": Low, "unimportant": Low, "minor": Low, "none": Low, "info": Low,
	"informational": Low,
}

// wordFor returns what a word means, in whatever case. What ACS writes has a long end.
func wordFor(word string) (Level, bool) {
	level, ok := words[strings.TrimSuffix(strings.ToLower(strings.TrimSpace(word)), "_vulnerability_severity")]
	return level, ok
}

// levelOf returns the worst level that anybody gives in a word, and if nobody does, the worst by CVSS score.
func levelOf(f attest.Finding) Level {
	byWord, byScore := Unknown, Unknown
	for _, s := range f.Severity {
		if level, ok := wordFor(s.Score); ok {
			byWord = worse(byWord, level)
		} else if score, err := strconv.ParseFloat(strings.TrimSpace(s.Score), 64); err == nil && isCVSS(s.Method) {
			byScore = worse(byScore, rate(score))
		}
	}
	if byWord != Unknown {
		return byWord
	}
	return byScore
}

func worse(a, b Level) Level { return levels[min(slices.Index(levels, a), slices.Index(levels, b))] }

// isCVSS reports whether a number is a CVSS score. Whoever gives one without saying which kind means that; EPSS is a
// probability, of something else.
func isCVSS(method string) bool { return !strings.Contains(strings.ToLower(method), "epss") }

// rate is the qualitative scale of FIRST, CVSS v3.1 and v4.0, section "Qualitative Severity Rating Scale".
func rate(score float64) Level {
	switch {
	case score > 10:
		return Unknown
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	case score >= 0:
		return Low
	}
	return Unknown // less than nothing, or no number
}

// about is what annotations say of a finding.
type about struct {
	pkg, version, purl string
	fix                string
	fixKnown           bool // the report says which versions are without it, or that none is
	published          time.Time
	aliases            []string
}

// aboutOf reads all annotations. Where they differ, the first names the package, a fix is one, and the earliest date counts.
func aboutOf(f attest.Finding) about {
	var a about
	for _, m := range f.Annotations {
		first := func(key string, into *string) bool {
			s, ok := m[key].(string)
			if *into == "" {
				*into = s
			}
			return ok
		}
		first(attest.FindingPackage, &a.pkg)
		first(attest.FindingVersion, &a.version)
		first(attest.FindingPURL, &a.purl)
		a.fixKnown = first(attest.FindingFix, &a.fix) || a.fixKnown
		text, _ := m[attest.FindingPublished].(string)
		t, err := time.Parse(time.RFC3339, text) // without a date there is no leeway
		if err == nil && (a.published.IsZero() || t.Before(a.published)) {
			a.published = t.UTC()
		}
		a.aliases = append(a.aliases, texts(m[attest.FindingAliases])...)
	}
	return a
}

// texts returns a list of text, as Go code makes it or as JSON gives it.
func texts(v any) []string {
	switch v := v.(type) {
	case []string:
		return v
	case []any:
		var all []string
		for _, one := range v {
			if s, ok := one.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

func (a about) where() string {
	where := strings.TrimSpace(a.pkg + " " + a.version)
	if where == "" {
		where = a.purl
	}
	if where == "" {
		return ""
	}
	return " in " + shown(where)
}

func (a about) fixed() string {
	switch {
	case !a.fixKnown:
		return "whether there is a fix is not known"
	case a.fix == "":
		return "there is no fix"
	}
	return "fixed in " + shown(a.fix)
}

// vulns judges each finding of a scan.
func (j *judge) vulns(test string, p attest.Vulns, sources []Source) verdict {
	var v verdict
	for _, f := range p.Scanner.Result {
		j.finding(&v, test, f, sources)
	}
	if v.met() {
		v.succeed(Note{
			Msg:      fmt.Sprintf("%s passed: findings: %d, none denied", shown(test), len(p.Scanner.Result)),
			Metadata: Metadata{Code: CodePassed, Term: Term{test}}, Evidence: sources,
		})
	}
	return v
}

func (j *judge) finding(v *verdict, test string, f attest.Finding, sources []Source) {
	level, a := levelOf(f), aboutOf(f)
	rules := j.policy.Vulnerabilities.WithFix
	if a.fixKnown && a.fix == "" {
		rules = j.policy.Vulnerabilities.WithoutFix
	}
	denied := slices.Contains(rules.Deny, level)
	if !denied && !slices.Contains(rules.Warn, level) {
		return
	}
	n := Note{
		Msg:      fmt.Sprintf("%s: %s%s: %s, %s", shown(test), shown(f.ID), a.where(), level, a.fixed()),
		Metadata: Metadata{Code: CodeWarnedOf, Term: Term{f.ID}}, Evidence: sources,
	}
	x, excepted, expired := j.exception(f.ID, a)
	until, leeway := j.leeway(level, a)
	switch {
	case excepted:
		n.Metadata.Code = CodeExcepted
		n.Msg += fmt.Sprintf("; allowed before %s: %s", x.ExpiresOn.UTC().Format(time.RFC3339), shown(x.Reason))
		v.succeed(n)
		return
	case expired:
		n.Msg += "; the exception for it expired on " + x.ExpiresOn.UTC().Format(time.RFC3339)
	default:
		n.Msg += j.elsewhere(f.ID)
	}
	switch {
	case denied && leeway:
		n.Metadata.Code, n.Metadata.EffectiveOn = CodeLeeway, &until
		n.Msg += "; it will be denied from " + until.UTC().Format(time.RFC3339) + " on"
		v.warn(n)
	case denied:
		n.Metadata.Code = CodeDenied
		v.violate(n)
	default:
		v.warn(n)
	}
}

// exception returns the exception that holds longest of those for a finding, and whether it is in force or has expired.
func (j *judge) exception(id string, a about) (x Exception, inForce, expired bool) {
	for _, id := range append([]string{id}, a.aliases...) {
		for _, one := range j.exceptions[id] {
			if one.covers(a) && one.ExpiresOn.After(x.ExpiresOn) {
				x = one
			}
		}
	}
	if x.ID == "" {
		return x, false, false
	}
	inForce = j.in.Now.Before(x.ExpiresOn)
	return x, inForce, !inForce
}

// elsewhere says that there are exceptions for a vulnerability, all in other packages: one may be misspelled.
func (j *judge) elsewhere(id string) string {
	all := j.exceptions[id]
	if len(all) == 0 {
		return ""
	}
	return "; the exception for it is for package " + shown(all[0].Package)
}

// covers reports whether the exception is for the package.
func (x Exception) covers(a about) bool {
	if x.Package == "" || x.Package == a.pkg || x.Package == a.purl {
		return true
	}
	bare := a.purl
	if i := strings.IndexAny(bare, "?#"); i >= 0 {
		bare = bare[:i] // what qualifies it: distribution, architecture
	}
	unversioned := bare
	if i := strings.LastIndexByte(bare, '@'); i > strings.LastIndexByte(bare, '/') { // pkg:npm/@scope/name has no version
		unversioned = bare[:i]
	}
	return x.Package == bare || x.Package == unversioned
}

// leeway returns until when a finding only warns. A date in the future is no reason to wait longer.
func (j *judge) leeway(level Level, a about) (until time.Time, ok bool) {
	until = a.published.AddDate(0, 0, j.policy.Vulnerabilities.LeewayDays[level])
	return until, !a.published.After(j.in.Now) && j.in.Now.Before(until)
}
