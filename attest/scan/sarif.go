package scan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/testdag/testdag/attest/intoto"
)

// SARIF 2.1.0 is an OASIS standard; numbers below are its sections. Tools put what they like into it. Kept is what the
// standard names, and the property "security-severity", a CVSS score, that several share.

// mostExtensions bounds the extensions of a tool, since each result may be of any of them. Tools have about ten.
const mostExtensions = 100

// A sarifRun is one run of a tool (3.14). Its results may come before the rules they name.
type sarifRun struct {
	where       string
	driver      sarifTool
	extensions  []sarifTool
	results     []sarifResult
	complete    bool // it has a list of results, if an empty one
	invocations []sarifInvocation
	overrides   map[sarifOverride]string
	rules       int
}

// A sarifTool is a toolComponent (3.19), without its rules.
type sarifTool struct {
	name, version, semantic, uri string
	rules                        []sarifRule
	byID                         map[string]int
}

// A sarifRule is a reportingDescriptor (3.49).
type sarifRule struct {
	ID            string             `json:"id"`
	Title         sarifMessage       `json:"shortDescription"`
	Help          string             `json:"helpUri"`
	Configuration sarifConfiguration `json:"defaultConfiguration"`
	Properties    sarifProperties    `json:"properties"`
}

// A sarifMessage is a message (3.11), of which the first line is kept.
type sarifMessage struct {
	Text string `json:"text"`
}

// A sarifConfiguration is a reportingConfiguration (3.50).
type sarifConfiguration struct {
	Level string `json:"level"`
}

// A sarifResult is a result (3.27).
type sarifResult struct {
	RuleID    string         `json:"ruleId"`
	RuleIndex *int           `json:"ruleIndex"`
	Rule      sarifReference `json:"rule"`
	Level     string         `json:"level"`
	Kind      string         `json:"kind"`
	Message   sarifMessage   `json:"message"`
	Locations []struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct {
				StartLine int `json:"startLine"`
			} `json:"region"`
		} `json:"physicalLocation"`
	} `json:"locations"`
	Baseline     string             `json:"baselineState"`
	Suppressions []sarifSuppression `json:"suppressions"`
	Properties   sarifProperties    `json:"properties"`
	Provenance   struct {
		Invocation *int `json:"invocationIndex"`
	} `json:"provenance"`

	place string // file and line of the first location that has any
}

// A sarifReference is a reportingDescriptorReference (3.52).
type sarifReference struct {
	ID        string          `json:"id"`
	Index     *int            `json:"index"`
	Component *sarifComponent `json:"toolComponent"`
}

// A sarifComponent is a toolComponentReference (3.54).
type sarifComponent struct {
	Name  string `json:"name"`
	Index *int   `json:"index"`
}

// A sarifSuppression is a suppression (3.35): without a status it is accepted.
type sarifSuppression struct {
	Status string `json:"status"`
}

// A sarifInvocation says when the tool ran and how it ended (3.20).
type sarifInvocation struct {
	Start         string              `json:"startTimeUtc"`
	End           string              `json:"endTimeUtc"`
	Success       *bool               `json:"executionSuccessful"`
	ExitCode      *float64            `json:"exitCode"`
	ExitWhy       string              `json:"exitCodeDescription"`
	StartFailure  string              `json:"processStartFailureMessage"`
	Execution     []sarifNotification `json:"toolExecutionNotifications"`
	Configuration []sarifNotification `json:"toolConfigurationNotifications"`
	Overrides     []struct {
		Rule          sarifReference     `json:"descriptor"`
		Configuration sarifConfiguration `json:"configuration"`
	} `json:"ruleConfigurationOverrides"`
}

// A sarifNotification is a notification (3.58).
type sarifNotification struct {
	Level      string         `json:"level"`
	Message    sarifMessage   `json:"message"`
	Descriptor sarifReference `json:"descriptor"`
	Exception  jsontext.Value `json:"exception"` // an object if the tool failed in some way
}

// matters says whether something was not looked at.
func (n *sarifNotification) matters(text string) bool {
	level := strings.ToLower(n.Level)
	return level == "error" || n.Exception.Kind() == '{' ||
		level != "note" && level != "none" && skipped.MatchString(n.Descriptor.ID+" "+text)
}

// sarifProperties are what a property bag says of the severity: a CVSS score, and vectors under names of many kinds.
type sarifProperties struct {
	Score  jsontext.Value            `json:"security-severity"`
	Others map[string]jsontext.Value `json:",unknown"`
}

// prune drops what is no vector.
func (p *sarifProperties) prune() {
	maps.DeleteFunc(p.Others, func(_ string, v jsontext.Value) bool { return !strings.HasPrefix(string(v), `"CVSS:`) })
	if len(p.Others) == 0 {
		p.Others = nil
	}
}

// UnmarshalJSONFrom refuses null: what stands for no suppression must not suppress.
func (s *sarifSuppression) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == 'n' {
		return errors.New("null, want an object")
	}
	type plain sarifSuppression
	return json.UnmarshalDecode(dec, (*plain)(s))
}

func sarif(r *report) error {
	var version string
	var tool *sarifTool
	runs := 0
	err := r.object(fields{
		"version": func() error {
			if err := r.element(&version); err != nil || version == "2.1.0" {
				return err
			}
			return r.sarifVersion(version) // before other mistakes: they follow from it
		},
		"inlineExternalProperties": func() error { return r.list(r.sarifApart) },
		"runs": func() error {
			return r.list(func() error {
				run := sarifRun{where: fmt.Sprintf("runs[%d]", runs)}
				runs++
				return r.sarifRun(&run, &tool)
			})
		},
	})
	switch {
	case err != nil:
		return err
	case version == "":
		return r.sarifVersion("")
	case runs == 0:
		return r.notRun("it has no runs")
	}
	r.scanner.Version = cmp.Or(tool.semantic, tool.version)
	if u, err := url.Parse(tool.uri); err == nil && u.IsAbs() {
		r.scanner.URI = tool.uri
	}
	return nil
}

func (r *report) sarifVersion(version string) error {
	return &FormatError{r.format, "version", fmt.Errorf("%.20q, want 2.1.0", version)}
}

// sarifApart reads what of a run is elsewhere (3.14.2, 4.3). Without taxonomies, or the properties of a scan, nothing is
// lost.
func (r *report) sarifApart() error {
	return r.entries(func(name string) error {
		switch name {
		case "results", "invocations", "driver", "extensions":
		default:
			return r.skip()
		}
		refuse := func() error {
			return r.fail(fmt.Errorf("%s apart from the run; have the tool write one file, all in its runs", name))
		}
		switch r.dec.PeekKind() {
		case 'n':
			return r.skip()
		case '[':
			return r.list(refuse)
		}
		return refuse()
	})
}

// sarifRun reads a run and adds its findings. All runs must be of one tool, since a predicate names one.
func (r *report) sarifRun(run *sarifRun, tool **sarifTool) error {
	err := r.object(fields{
		"tool": func() error {
			return r.object(fields{
				"driver": func() error { return r.sarifTool(&run.driver, run) },
				"extensions": func() error {
					return r.list(func() error {
						if len(run.extensions) == mostExtensions {
							return &intoto.LimitError{What: "tool extensions", Limit: mostExtensions, Got: mostExtensions + 1}
						}
						run.extensions = append(run.extensions, sarifTool{})
						return r.sarifTool(&run.extensions[len(run.extensions)-1], run)
					})
				},
			})
		},
		"invocations": each(r.reader, func(i *sarifInvocation) error { return r.sarifInvocation(run, i) }),
		"results": func() error {
			run.complete = true
			return each(r.reader, func(s *sarifResult) error { return r.sarifResult(run, s) })()
		},
		"externalPropertyFileReferences": r.sarifApart,
	})
	d := &run.driver
	switch {
	case err != nil:
		return err
	case d.name == "":
		return &FormatError{r.format, run.where + ".tool.driver.name", errors.New("missing")}
	case !run.complete: // 3.14.23
		return r.notRun(run.where + " has no results, not even an empty list: the tool failed to start, or did not look")
	case *tool == nil:
		*tool = d
	case (*tool).name != d.name || (*tool).version != d.version || (*tool).semantic != d.semantic:
		err := fmt.Errorf("%.40q in version %.40q is not the tool of the first run; make a report for each", d.name, d.version)
		return &FormatError{r.format, run.where + ".tool.driver", err}
	}
	return r.sarifFindings(run)
}

func (r *report) sarifTool(t *sarifTool, run *sarifRun) error {
	t.byID = map[string]int{}
	return r.object(fields{
		"name":            r.into(&t.name),
		"version":         r.into(&t.version),
		"semanticVersion": r.into(&t.semantic),
		"informationUri":  r.into(&t.uri),
		"rules": each(r.reader, func(rule *sarifRule) error {
			if _, there := t.byID[rule.ID]; !there {
				t.byID[rule.ID] = len(t.rules)
			}
			rule.Title.Text = line(rule.Title.Text)
			rule.Properties.prune()
			t.rules = append(t.rules, *rule)
			run.rules++
			return r.room(run.rules)
		}),
	})
}

// skipped is how tools warn of a file that they did not look at, or of a part of it.
var skipped = regexp.MustCompile(`(?i)\berrors?\b|\bpartial|\bskip|\bignor|\bfail|\bunable|time[ds]? ?out|(could|can) ?not|` +
	`(could|ca)n't|(not|un)[ -]?(scanned|parsed|supported|analy[sz]ed)`)

// sarifInvocation notes when the tool ran, whether it ran to its end, and what it did not look at.
func (r *report) sarifInvocation(run *sarifRun, i *sarifInvocation) error {
	if i.Success == nil || !*i.Success || i.StartFailure != "" {
		return r.notRun(i.unsuccessful())
	}
	if t := parseTime(i.Start); !t.IsZero() && (r.started.IsZero() || t.Before(r.started)) {
		r.started = t
	}
	if t := parseTime(i.End); t.After(r.finished) {
		r.finished = t
	}
	for _, n := range slices.Concat(i.Execution, i.Configuration) {
		text := cmp.Or(line(n.Message.Text), n.Descriptor.ID)
		if n.matters(text) {
			tell(&r.incomplete, "the tool says: "+cmp.Or(text, "an error, without a message"))
		}
	}
	i.Execution, i.Configuration = nil, nil
	run.invocations = append(run.invocations, *i)
	return r.room(len(run.invocations))
}

func (i *sarifInvocation) unsuccessful() string {
	reason := "executionSuccessful is false"
	switch {
	case i.Success == nil: // it is required
		reason = "an invocation does not say executionSuccessful"
	case *i.Success:
		reason = "executionSuccessful is true, and the tool did not start"
	}
	if i.ExitCode != nil {
		reason += fmt.Sprintf(", exit code %v", *i.ExitCode)
	}
	if why := line(cmp.Or(i.ExitWhy, i.StartFailure)); why != "" {
		reason += ": " + why
	}
	return reason
}

// sarifResult keeps a result until the rules are known. Nothing is known yet of what is open, or waits for somebody to look
// at it, so these are findings.
func (r *report) sarifResult(run *sarifRun, s *sarifResult) error {
	for _, l := range s.Locations {
		if file := l.Physical.Artifact.URI; s.place == "" && file != "" {
			s.place = file + place(l.Physical.Region.StartLine)
		}
	}
	s.Message.Text, s.Locations = line(s.Message.Text), nil
	s.Properties.prune()
	run.results = append(run.results, *s)
	return r.room(len(r.scanner.Result) + len(run.results))
}

// counts says whether a result is a finding.
func (s *sarifResult) counts() bool {
	switch s.Kind { // 3.27.9
	case "pass", "informational", "notApplicable":
		return false
	}
	open := func(one sarifSuppression) bool { return one.Status != "" && one.Status != "accepted" } // 3.27.23
	suppressed := len(s.Suppressions) > 0 && !slices.ContainsFunc(s.Suppressions, open)
	return s.Baseline != "absent" && !suppressed
}

func (r *report) sarifFindings(run *sarifRun) error {
	if err := r.sarifOverrides(run); err != nil {
		return err
	}
	for i := range run.results {
		s := &run.results[i]
		if !s.counts() {
			continue
		}
		s.Rule.ID = cmp.Or(s.RuleID, s.Rule.ID)
		if s.RuleIndex != nil && *s.RuleIndex >= 0 { // -1 stands for none (3.27.6)
			s.Rule.Index = s.RuleIndex
		}
		rule := run.rule(s.Rule)
		id := cmp.Or(s.Rule.ID, rule.ID)
		if id == "" {
			err := errors.New("neither ruleId nor a rule names what was found")
			return &FormatError{r.format, fmt.Sprintf("%s.results[%d]", run.where, i), err}
		}
		f := finding{id: id, title: cmp.Or(rule.Title.Text, s.Message.Text), source: rule.Help, location: s.place}
		f.by = strings.ToLower(run.driver.name)
		f.word, f.scores = run.severity(s, rule, f.by)
		if err := r.add(f); err != nil {
			return err
		}
	}
	return nil
}

// rule returns the rule that a reference names: that of its index, unless it has another id; otherwise that of its id. Rules
// can be left out of a report.
func (run *sarifRun) rule(ref sarifReference) *sarifRule {
	t := run.component(ref.Component)
	if i := ref.Index; t != nil && i != nil && *i >= 0 && *i < len(t.rules) && isUnder(ref.ID, t.rules[*i].ID) {
		return &t.rules[*i]
	}
	if t != nil {
		if rule := t.named(ref.ID); rule != nil {
			return rule
		}
	}
	for i := range run.extensions {
		if rule := run.extensions[i].named(ref.ID); rule != nil {
			return rule
		}
	}
	return &sarifRule{}
}

// component returns the part of the tool that a rule is of: the driver, if it does not say.
func (run *sarifRun) component(ref *sarifComponent) *sarifTool {
	switch {
	case ref == nil || (ref.Index == nil || *ref.Index < 0) && (ref.Name == "" || ref.Name == run.driver.name):
		return &run.driver
	case ref.Index != nil && *ref.Index >= 0 && *ref.Index < len(run.extensions):
		return &run.extensions[*ref.Index]
	}
	for i := range run.extensions {
		if run.extensions[i].name == ref.Name {
			return &run.extensions[i]
		}
	}
	return nil
}

// mostParts bounds how many parts an id may have behind that of its rule. They are two or three.
const mostParts = 20

// named returns the rule of an id. An id may be that of a rule and then, after a slash, say more (3.27.5).
func (t *sarifTool) named(id string) *sarifRule {
	for parts := 0; id != "" && parts <= mostParts; parts++ {
		if i, there := t.byID[id]; there {
			return &t.rules[i]
		}
		id = id[:max(0, strings.LastIndexByte(id, '/'))]
	}
	return nil
}

// isUnder says whether id is that of a rule, or begins with it. No id is under all.
func isUnder(id, rule string) bool {
	return id == "" || id == rule || strings.HasPrefix(id, rule+"/")
}

// levels are the levels of SARIF, and the CVSS score from which on one of them says nothing worse.
var levels = map[string]float64{"none": 0, "note": 0.1, "warning": 4, "error": 7}

// least returns the score of a level, in any case. A word that is none of SARIF's, such as "critical", is not less than an
// error.
func least(level string) float64 {
	if score, known := levels[strings.ToLower(level)]; known || level == "" {
		return score
	}
	return levels["error"]
}

// byScore are tools whose level says something else where there is a score: that of CodeQL is of quality, as GitHub's
// documentation of properties.problem.severity has it.
var byScore = map[string]bool{"codeql": true}

// severity returns how bad the tool says a result is: by score, by level, or by both if the level is worse.
func (run *sarifRun) severity(s *sarifResult, rule *sarifRule, tool string) (word string, scores []intoto.Severity) {
	level := cmp.Or(s.Level, run.configured(s, rule))
	word = cmp.Or(level, "warning")
	if cmp.Or(s.Kind, "fail") != "fail" && (s.Level == "" || strings.EqualFold(s.Level, "none")) {
		word = "unknown" // what is not decided has no level (3.27.10), and that must not look harmless
	}
	score, list, given := s.Properties.score(tool)
	if ofRule, its, gives := rule.Properties.score(tool); score == 0 && gives {
		score, list, given = ofRule, its, true
	}
	switch {
	case !given:
		return word, nil
	case level != "" && least(word) > score && least(word) >= levels["warning"] && !byScore[tool]:
		return word, list
	case list == nil:
		return "unknown", nil
	}
	return "", list
}

// score returns the score in a property bag, if there is one, and as severities. A score of 0 is how Trivy and Grype write
// that it is not known, and one that is none is not known either; a word in its place is kept.
func (p *sarifProperties) score(tool string) (score float64, list []intoto.Severity, given bool) {
	var c cvss
	for _, raw := range p.Others {
		c.set("", nil, text(raw))
	}
	number, vector := number(p.Score), c.highest()
	switch word := text(p.Score); {
	case isScore(number):
		return *number, rated(nil, "cvss", tool, *number), true
	case vector != nil:
		return *vector, c.rate(nil, tool), true
	case word == "":
		return 0, nil, false
	case number == nil:
		return 0, []intoto.Severity{{Method: tool, Score: strings.ToLower(word)}}, true
	}
	return 0, nil, true
}

// A sarifOverride is of a rule, and of an invocation of the run; -1 stands for the worst of all.
type sarifOverride struct {
	rule       string
	invocation int
}

// sarifOverrides notes which levels the invocations give to rules (3.20.5).
func (r *report) sarifOverrides(run *sarifRun) error {
	run.overrides = map[sarifOverride]string{}
	for i, invocation := range run.invocations {
		for _, o := range invocation.Overrides {
			id := cmp.Or(run.rule(o.Rule).ID, o.Rule.ID)
			run.overrides[sarifOverride{id, i}] = o.Configuration.Level
			if worst := (sarifOverride{id, -1}); least(o.Configuration.Level) > least(run.overrides[worst]) {
				run.overrides[worst] = o.Configuration.Level
			}
			if err := r.room(len(run.overrides) / 2); err != nil {
				return err
			}
		}
	}
	return nil
}

// configured returns the level of a rule as the run configured it (3.27.10). An override of an invocation that the result
// does not name counts if it is worse.
func (run *sarifRun) configured(s *sarifResult, rule *sarifRule) string {
	id := cmp.Or(rule.ID, s.Rule.ID)
	if i := s.Provenance.Invocation; i != nil && run.overrides[sarifOverride{id, *i}] != "" {
		return run.overrides[sarifOverride{id, *i}]
	}
	level := rule.Configuration.Level
	if worst := run.overrides[sarifOverride{id, -1}]; least(worst) > least(cmp.Or(level, "warning")) {
		return worst
	}
	return level
}
