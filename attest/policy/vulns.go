package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/intoto"
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
func levelOf(f intoto.Finding) Level {
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
	several            bool // annotations name several packages, of which pkg and purl are the first
	fix                string
	fixKnown           bool // the report says which versions are without it, or that none is
	published          time.Time
	aliases            []string
}

// aboutOf reads all annotations. Where they differ, the first names the package, a fix is one, and the earliest date counts.
func aboutOf(f intoto.Finding) about {
	var a about
	for _, m := range f.Annotations {
		first := func(key string, into *string) (another, ok bool) {
			s, ok := m[key].(string)
			*into = cmp.Or(*into, s)
			return s != "" && s != *into, ok
		}
		otherPackage, _ := first(intoto.FindingPackage, &a.pkg)
		first(intoto.FindingVersion, &a.version)
		otherPURL, _ := first(intoto.FindingPURL, &a.purl)
		a.several = a.several || otherPackage || otherPURL
		_, ok := first(intoto.FindingFix, &a.fix)
		a.fixKnown = a.fixKnown || ok
		text, _ := m[intoto.FindingPublished].(string)
		t, err := time.Parse(time.RFC3339, text) // without a date there is no leeway
		if err == nil && (a.published.IsZero() || t.Before(a.published)) {
			a.published = t.UTC()
		}
		a.aliases = append(a.aliases, texts(m[intoto.FindingAliases])...)
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

// vulns judges a scan that ended at that time: what it looked at, by what, and each finding.
func (j *judge) vulns(test string, p intoto.Vulns, ended time.Time, sources []Source) verdict {
	var v verdict
	note := func(code Code, text string) Note {
		return Note{Msg: shown(test) + ": " + text, Metadata: Metadata{Code: code, Term: Term{test}}, Evidence: sources}
	}
	for _, what := range p.Unscanned {
		v.tell(cmp.Or(j.policy.Vulnerabilities.Incomplete, Deny), note(CodeIncomplete, "not scanned: "+shown(what)))
	}
	for _, why := range p.Incomplete {
		v.tell(cmp.Or(j.policy.Vulnerabilities.Incomplete, Warn),
			note(CodeIncomplete, "not everything was scanned: "+shown(why)))
	}
	if problem := j.policy.Vulnerabilities.databaseProblem(p.Scanner.DB.LastUpdate, ended); problem != "" {
		v.violate(note(CodeOldDB, problem))
	}
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

// dbSkew is how far the time of a database may be ahead of the end of the scan, since two clocks are compared.
const dbSkew = 5 * time.Minute

// databaseProblem says what is wrong with the age of the database at the end of a scan, if anything is.
func (v Vulnerabilities) databaseProblem(updated, ended time.Time) string {
	stamp := updated.UTC().Format(time.RFC3339)
	switch age := ended.Sub(updated); {
	case v.MaxDBAge == 0:
		return ""
	case updated.IsZero():
		return "the age of its vulnerability database is not known"
	case age > v.MaxDBAge:
		const text = "its vulnerability database of %s was older than %s when the scan ended; update it and scan again"
		return fmt.Sprintf(text, stamp, span(v.MaxDBAge))
	case age < -dbSkew:
		return fmt.Sprintf("its vulnerability database of %s is newer than the scan, so its age is not known", stamp)
	}
	return ""
}

func (j *judge) finding(v *verdict, test string, f intoto.Finding, sources []Source) {
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
	until, leeway := j.leeway(level, a)
	effect := Warn
	switch {
	case denied && leeway:
		n.Metadata.Code, n.Metadata.EffectiveOn = CodeLeeway, &until
		n.Msg += "; it will be denied from " + until.UTC().Format(time.RFC3339) + " on"
	case denied:
		n.Metadata.Code, effect = CodeDenied, Deny
	}
	if w := j.waivers.finding(f.ID, a); w != nil {
		v.waive(w, n)
		return
	}
	v.tell(effect, n)
}

// span is a duration as people say it.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

// leeway returns until when a finding only warns. A date in the future is no reason to wait longer.
func (j *judge) leeway(level Level, a about) (until time.Time, ok bool) {
	until = a.published.AddDate(0, 0, j.policy.Vulnerabilities.LeewayDays[level])
	return until, !a.published.After(j.in.Now) && j.in.Now.Before(until)
}
