package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
	"github.com/testdag/testdag/internal/testname"
)

// A Policy says what an image needs before it may go on.
type Policy struct {
	// RequiredInBuild lists tasks that must have run in the build of the image, Required those that may have run in the
	// build or in an integration run. Both at once must be satisfied.
	RequiredInBuild, Required []Entry

	// Strict demands more of Required: of a test that both the build and an integration run tell of, both must pass, and
	// of alternatives each that ran. Otherwise the newest decides, and one alternative is enough.
	Strict bool

	// Skipped is what becomes of an image if a required test was skipped. Empty: Deny.
	Skipped Effect

	// Informative names tests whose failures only warn: however they end, and whatever their scans find. They must be
	// there all the same if they are required, and their evidence must count.
	Informative []string

	Vulnerabilities Vulnerabilities

	// Waivers let images pass although something speaks against them. Their order does not matter.
	Waivers []Waiver

	// Trust says who may build, and with which tasks. Judge does not look at it: it is for who makes the verifier, see
	// [attest.ByProvenance].
	Trust provenance.Trust
}

// An Entry is a list of required tasks that is in force from an instant on, in place of those before it.
type Entry struct {
	EffectiveOn time.Time // zero: from ever
	Tasks       []AnyOf
}

// AnyOf names tasks of which one is enough. In text it is a name, or a list of names.
type AnyOf []string

// An Effect says what becomes of an image.
type Effect string

// The effects, worst first.
const (
	Deny  Effect = "deny"
	Warn  Effect = "warn"
	Allow Effect = "allow"
)

// A Level is how bad a vulnerability is.
type Level string

// The levels, worst first. Other words are read as the one of these that means the same; see the package comment.
const (
	Critical Level = "critical"
	High     Level = "high"
	Medium   Level = "medium"
	Low      Level = "low"
	Unknown  Level = "unknown" // nobody says
)

var levels = []Level{Critical, High, Medium, Low, Unknown}

// Vulnerabilities says which vulnerabilities an image may have. The zero value denies critical and high ones that have a
// fix, and warns of those that have none and of unknown ones.
type Vulnerabilities struct {
	WithFix    Levels // there is a version without it, or nobody knows
	WithoutFix Levels // the report says that there is no fix

	// LeewayDays is how many days after it was published a vulnerability of that level only warns.
	LeewayDays map[Level]int

	// MaxDBAge is how old the vulnerability database may be when a scan ends. Zero: of any age. How old the scan itself
	// may be is for [attest.Options.MaxAge].
	MaxDBAge time.Duration

	// Incomplete is what becomes of an image if a scan could not look at everything: Deny or Warn. Empty: a scan that
	// looked at nothing at all denies, and one that left something out warns.
	Incomplete Effect
}

// Levels says what becomes of a vulnerability by its level. Levels in neither list are allowed, and Deny goes before Warn.
// A nil list stands for the default, an empty one for no level.
type Levels struct {
	Deny, Warn []Level
}

// withDefaults puts in what empty fields and nil lists stand for. Vulnerabilities.Incomplete has two defaults.
func (p Policy) withDefaults() Policy {
	p.Skipped = cmp.Or(p.Skipped, Deny)
	p.Vulnerabilities = p.Vulnerabilities.withDefaults()
	return p
}

func (v Vulnerabilities) withDefaults() Vulnerabilities {
	v.WithFix = v.WithFix.or(Levels{Deny: []Level{Critical, High}, Warn: []Level{Unknown}})
	v.WithoutFix = v.WithoutFix.or(Levels{Warn: []Level{Critical, High, Unknown}})
	return v
}

func (l Levels) or(d Levels) Levels {
	if l.Deny == nil {
		l.Deny = d.Deny
	}
	if l.Warn == nil {
		l.Warn = d.Warn
	}
	return l
}

// A FieldError reports one mistake in a policy, or in what is asked about it. Several come joined by [errors.Join].
type FieldError struct {
	Line    int    // in the file; 0 if it is not of one, or is about the whole
	Field   string // path as in the file: "required[0].tasks[2]"; empty for the whole
	Problem string // what is wrong and what to do
}

func (e *FieldError) Error() string {
	text := "policy: "
	if e.Line > 0 {
		text += fmt.Sprintf("line %d: ", e.Line)
	}
	if e.Field != "" {
		text += shown(e.Field) + ": "
	}
	return text + e.Problem
}

// A checklist collects mistakes.
type checklist []*FieldError

func (c *checklist) add(field, problem string, args ...any) {
	*c = append(*c, &FieldError{Field: field, Problem: fmt.Sprintf(problem, args...)})
}

// err joins the mistakes, nil if there are none.
func (c checklist) err() error {
	all := make([]error, len(c))
	for i, e := range c {
		all[i] = e
	}
	return errors.Join(all...)
}

// Validate returns every mistake, each a [*FieldError].
func (p Policy) Validate() error {
	var c checklist
	c.policy(p)
	c.trust(p.Trust)
	return c.err()
}

func (c *checklist) policy(p Policy) {
	c.entries("required_in_build", p.RequiredInBuild)
	c.entries("required", p.Required)
	if len(p.RequiredInBuild)+len(p.Required) == 0 {
		c.add("required", "neither this nor required_in_build names a task; a policy that requires nothing would let everything pass")
	}
	c.effect("skipped", p.Skipped, Deny, Warn, Allow)
	for i, name := range p.Informative {
		if problem := testname.Problem(name); problem != "" {
			c.add(fmt.Sprintf("informative[%d]", i), "no name of a task: %s", problem)
		}
	}
	c.vulnerabilities(p.Vulnerabilities)
	for i, w := range p.Waivers {
		c.waiver(i, w)
	}
}

// trust adds the mistakes of [provenance.Trust] by the names that the file has for its fields.
func (c *checklist) trust(t provenance.Trust) {
	if (len(t.Builders) == 0) != (len(t.Tasks) == 0) {
		c.add("trust", "builders and tasks are needed both; with one alone nothing is trusted")
	}
	joined, _ := t.Validate().(interface{ Unwrap() []error })
	if joined == nil {
		return
	}
	for _, err := range joined.Unwrap() {
		var e *intoto.FieldError
		if errors.As(err, &e) {
			c.add("trust."+trustFields.Replace(e.Field), "%s", e.Problem)
		}
	}
}

var trustFields = strings.NewReplacer(
	"Builders", "builders", "Tasks", "tasks", "Pattern", "pattern", "Digest", "digest",
	"EffectiveOn", "effective_on", "ExpiresOn", "expires_on",
)

func (c *checklist) effect(field string, e Effect, allowed ...Effect) {
	if e != "" && !slices.Contains(allowed, e) {
		c.add(field, "%q is not one of %v", e, allowed)
	}
}

func (c *checklist) entries(field string, entries []Entry) {
	instants := map[time.Time]int{} // in UTC, to the entry that has it
	for i, e := range entries {
		at := fmt.Sprintf("%s[%d]", field, i)
		if len(e.Tasks) == 0 {
			c.add(at+".tasks", "required: name at least one task")
		}
		if first, given := instants[e.EffectiveOn.UTC()]; given {
			c.add(at+".effective_on", "the same as in %s[%d]; it would not be clear which holds", field, first)
		}
		instants[e.EffectiveOn.UTC()] = i
		if !writable(e.EffectiveOn) {
			c.add(at+".effective_on", yearProblem)
		}
		given := map[string]bool{}
		for j, task := range e.Tasks {
			c.anyOf(fmt.Sprintf("%s.tasks[%d]", at, j), task)
			if given[task.key()] {
				c.add(fmt.Sprintf("%s.tasks[%d]", at, j), "%s is given twice", task)
			}
			given[task.key()] = true
		}
	}
}

const yearProblem = "the year does not have four digits"

// writable reports whether RFC 3339 can spell a time.
func writable(t time.Time) bool {
	year := t.UTC().Year()
	return 0 <= year && year <= 9999
}

func (c *checklist) anyOf(field string, task AnyOf) {
	if len(task) == 0 {
		c.add(field, "an empty list of alternatives, which nothing could satisfy")
	}
	given := map[string]bool{}
	for _, name := range task {
		switch problem := testname.Problem(name); {
		case problem != "":
			c.add(field, "no name of a task: %s", problem)
		case strings.ContainsAny(name, "[]"):
			c.add(field, "%q: parameters of tasks are not looked at; name the task alone", name)
		case given[name]:
			c.add(field, "%q is given twice", name)
		}
		given[name] = true
	}
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// mostDays is how long a leeway or the age of a database may be.
const mostDays = 36500

func (c *checklist) vulnerabilities(v Vulnerabilities) {
	for _, list := range []struct {
		field string
		named []Level
	}{
		{"with_fix.deny", v.WithFix.Deny}, {"with_fix.warn", v.WithFix.Warn},
		{"without_fix.deny", v.WithoutFix.Deny}, {"without_fix.warn", v.WithoutFix.Warn},
		{"leeway_days", slices.Sorted(maps.Keys(v.LeewayDays))},
	} {
		for _, level := range list.named {
			if !slices.Contains(levels, level) {
				c.add("vulnerabilities."+list.field, "%q is not one of %v", level, levels)
			}
		}
	}
	for _, level := range slices.Sorted(maps.Keys(v.LeewayDays)) {
		if days := v.LeewayDays[level]; days < 0 || days > mostDays {
			c.add("vulnerabilities.leeway_days."+string(level), "%d is not between 0 and %d", days, mostDays)
		}
	}
	if v.MaxDBAge < 0 {
		c.add("vulnerabilities.max_db_age", "negative; 0 means of any age")
	}
	c.effect("vulnerabilities.incomplete", v.Incomplete, Deny, Warn)
}

// key is the same for the same tasks in another order.
func (a AnyOf) key() string {
	if len(a) == 1 {
		return a[0]
	}
	return strings.Join(slices.Sorted(slices.Values(a)), "\x00")
}

// String names the tasks: "a", or "a or b".
func (a AnyOf) String() string { return strings.Join(a, " or ") }

// A demand is the tasks that a list asks for at one time.
type demand struct {
	now   []AnyOf
	later []coming
}

// A coming is tasks that will be asked for, and are not yet.
type coming struct {
	AnyOf
	from time.Time // when they will be
}

// at returns what a list asks for. The newest entry in force does, but for what the last of all entries no longer names:
// it is about to be dropped, and nobody should mend it now. What only the last one names warns, and is asked for as soon as
// an entry before it names it too; new alternatives are enough already.
func at(entries []Entry, now time.Time) demand {
	if len(entries) == 0 {
		return demand{}
	}
	byAge := slices.SortedStableFunc(slices.Values(entries), func(a, b Entry) int { return a.EffectiveOn.Compare(b.EffectiveOn) })
	latest := byAge[len(byAge)-1]
	last := latest.index()
	var d demand
	from := map[string]time.Time{}
	for _, e := range byAge {
		if !e.EffectiveOn.After(now) {
			d.now = e.within(last)
			continue
		}
		for _, task := range e.within(last) {
			if _, before := from[task.key()]; !before {
				from[task.key()] = e.EffectiveOn.UTC()
			}
		}
	}
	asked := map[string]bool{}
	for _, task := range d.now {
		asked[task.key()] = true
	}
	for _, task := range latest.Tasks {
		if !asked[task.key()] {
			d.later = append(d.later, coming{task, from[task.key()]})
		}
	}
	return d
}

// within returns the tasks of an entry that are enforced while another is about to come.
func (e Entry) within(last index) []AnyOf {
	var tasks []AnyOf
	for _, task := range e.Tasks {
		if kept, ok := task.within(last); ok {
			tasks = append(tasks, kept)
		}
	}
	return tasks
}

// An index is the tasks of an entry, and which of them have a name.
type index struct {
	tasks []AnyOf
	keys  map[string]bool
	named map[string][]int
}

func (e Entry) index() index {
	all := index{e.Tasks, map[string]bool{}, map[string][]int{}}
	for i, task := range e.Tasks {
		all.keys[task.key()] = true
		for _, name := range task {
			all.named[name] = append(all.named[name], i)
		}
	}
	return all
}

// within returns the alternatives that are enough while another entry is about to come: those of both that name one in
// common. It is false if the entry names none of them any more.
func (a AnyOf) within(last index) (AnyOf, bool) {
	if last.keys[a.key()] {
		return a, true
	}
	common := map[int]bool{}
	for _, name := range a {
		for _, i := range last.named[name] {
			common[i] = true
		}
	}
	both := slices.Clone(a)
	for i := range common {
		both = append(both, last.tasks[i]...)
	}
	slices.Sort(both)
	return slices.Compact(both), len(common) > 0
}

// Tests returns the tests that the policy asks about in any of its entries, those of builds left out: what to ask
// [attest.Resolver.NewestAll] for, unless there are none, which would ask it for everything. Each comes with every type of
// predicate, by name.
func (p Policy) Tests() []intoto.Test {
	var names []string
	for _, e := range p.Required {
		names = append(names, slices.Concat(flatten(e.Tasks)...)...)
	}
	slices.Sort(names)
	var tests []intoto.Test
	for _, name := range slices.Compact(names) {
		tests = append(tests, intoto.Test{Name: name, PredicateType: intoto.TestResultType}, intoto.Test{Name: name, PredicateType: intoto.VulnsType})
	}
	return tests
}

func flatten(tasks []AnyOf) [][]string {
	names := make([][]string, len(tasks))
	for i, t := range tasks {
		names[i] = t
	}
	return names
}
