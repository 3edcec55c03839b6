package scan

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/testdag/testdag/attest"
)

// sarif reads SARIF 2.1.0, the OASIS standard; numbers below are its sections. Tools put what they like into it. Kept is
// what the standard names, and the property "security-severity", a CVSS score, that several share.
func sarif(r *report) error {
	var version string
	var external bool
	var tool *sarifTool
	var runs int
	err := r.whole(func(name []byte) error {
		switch string(name) {
		case "version":
			return r.text(&version)
		case "inlineExternalProperties":
			external = !r.null()
			return r.skip()
		case "runs":
			return r.list(func() error {
				run := sarifRun{where: fmt.Sprintf("runs[%d]", runs)}
				runs++
				return r.sarifRun(&run, &tool)
			})
		}
		return r.skip()
	})
	switch {
	case err != nil:
		return err
	case version != "2.1.0":
		return &FormatError{r.format, "version", fmt.Errorf("%.20q, want 2.1.0", version)}
	case external: // 3.13.5: results, rules or invocations may be among them
		return &FormatError{r.format, "inlineExternalProperties", errors.New("parts of the runs are apart from them; have the tool write them into the runs")}
	case runs == 0:
		return r.notRun("it has no runs")
	}
	return r.sarifTool(tool)
}

// mostExtensions bounds the extensions of a tool, since each result may be of any of them. Tools have about ten.
const mostExtensions = 100

// A sarifRun is one run of a tool (3.14). Its results may come before the rules they name.
type sarifRun struct {
	where      string
	driver     sarifTool
	extensions []sarifTool
	results    []sarifResult
	complete   bool // it has a list of results, if an empty one
	elsewhere  bool // parts of it are in other files
	rules      int
}

// A sarifTool is a toolComponent (3.19).
type sarifTool struct {
	name, version, semantic, uri string
	rules                        []sarifRule
	byID                         map[string]int
}

// A sarifRule is a reportingDescriptor (3.49).
type sarifRule struct {
	id, title, help, level string
	danger                 score
}

// A sarifResult is a result (3.27).
type sarifResult struct {
	ruleID       string
	rule         sarifReference
	level, kind  string
	message      string
	place        string
	baseline     string
	suppressions []string
	danger       score
}

// A sarifReference is a reportingDescriptorReference (3.52).
type sarifReference struct {
	id         string
	index      int
	components bool   // it says which component
	component  string // name of it
	extension  int
}

// sarifRun reads a run and adds its findings. All runs must be of one tool, since a predicate names one.
func (r *report) sarifRun(run *sarifRun, tool **sarifTool) error {
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "tool":
			return r.object(func(name []byte) error { return r.sarifTools(name, run) })
		case "invocations":
			return r.list(r.sarifInvocation)
		case "results":
			run.complete = !r.null()
			return r.list(func() error { return r.sarifResult(run) })
		case "externalPropertyFileReferences":
			run.elsewhere = !r.null()
		}
		return r.skip()
	})
	switch {
	case err != nil:
		return err
	case run.driver.name == "":
		return &FormatError{r.format, run.where + ".tool.driver.name", errors.New("missing")}
	case run.elsewhere: // 3.14.2: results, rules or invocations may be among them
		return &FormatError{r.format, run.where + ".externalPropertyFileReferences", errors.New("parts of the run are in other files; have the tool write one file")}
	case !run.complete: // 3.14.23
		return r.notRun(run.where + " has no results, not even an empty list: the tool failed to start, or did not look")
	case *tool == nil:
		*tool = &run.driver
	case (*tool).name != run.driver.name || (*tool).version != run.driver.version || (*tool).semantic != run.driver.semantic:
		return &FormatError{r.format, run.where + ".tool.driver", fmt.Errorf("%.40q in version %.40q is not the tool of the first run", run.driver.name, run.driver.version)}
	}
	return r.sarifFindings(run)
}

// sarifTool says which scanner it was.
func (r *report) sarifTool(t *sarifTool) error {
	r.scanner.Version = cmp.Or(t.semantic, t.version)
	if u, err := url.Parse(t.uri); err == nil && u.IsAbs() {
		r.scanner.URI = t.uri
	}
	return nil
}

func (r *report) sarifTools(name []byte, run *sarifRun) error {
	switch string(name) {
	case "driver":
		return r.sarifComponent(&run.driver, run)
	case "extensions":
		return r.list(func() error {
			if len(run.extensions) == mostExtensions {
				return &attest.LimitError{What: "tool extensions", Limit: mostExtensions, Got: mostExtensions + 1}
			}
			var t sarifTool
			err := r.sarifComponent(&t, run)
			run.extensions = append(run.extensions, t)
			return err
		})
	}
	return r.skip()
}

func (r *report) sarifComponent(t *sarifTool, run *sarifRun) error {
	return r.element(func(name []byte) error {
		switch string(name) {
		case "name":
			return r.text(&t.name)
		case "version":
			return r.text(&t.version)
		case "semanticVersion":
			return r.text(&t.semantic)
		case "informationUri":
			return r.text(&t.uri)
		case "rules":
			return r.list(func() error { return r.sarifRule(t, run) })
		}
		return r.skip()
	})
}

func (r *report) sarifRule(t *sarifTool, run *sarifRun) error {
	var rule sarifRule
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "id":
			return r.text(&rule.id)
		case "shortDescription":
			return r.sarifMessage(&rule.title)
		case "helpUri":
			return r.text(&rule.help)
		case "defaultConfiguration":
			return r.object(func(name []byte) error {
				if string(name) == "level" {
					return r.text(&rule.level)
				}
				return r.skip()
			})
		case "properties":
			return r.sarifDanger(&rule.danger)
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if run.rules++; run.rules > r.limits.Findings {
		return &attest.LimitError{What: whatFindings, Limit: int64(r.limits.Findings), Got: int64(run.rules)}
	}
	if t.byID == nil {
		t.byID = map[string]int{}
	}
	if _, there := t.byID[rule.id]; !there {
		t.byID[rule.id] = len(t.rules)
	}
	t.rules = append(t.rules, rule)
	return nil
}

// sarifMessage reads the first line of a message (3.11).
func (r *report) sarifMessage(to *string) error {
	return r.object(func(name []byte) error {
		if string(name) == "text" {
			return r.title(to)
		}
		return r.skip()
	})
}

// sarifDanger reads the property security-severity, a number as text. What is no number says nothing.
func (r *report) sarifDanger(to *score) error {
	return r.object(func(name []byte) error {
		if string(name) != "security-severity" {
			return r.skip()
		}
		var s string
		err := r.scalar(&s)
		if f, bad := strconv.ParseFloat(s, 64); bad == nil && f >= 0 && f <= 10 {
			*to = score{f, true}
		}
		return err
	})
}

// sarifInvocation reads when the tool ran and whether it ran to its end (3.20).
func (r *report) sarifInvocation() error {
	var started, finished time.Time
	var code score
	var why string
	var success, said bool
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "startTimeUtc":
			return r.time(&started)
		case "endTimeUtc":
			return r.time(&finished)
		case "executionSuccessful":
			said = !r.null()
			return r.truth(&success)
		case "exitCode":
			return r.number(&code)
		case "exitCodeDescription", "processStartFailureMessage":
			return r.title(&why)
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if !success {
		return r.notRun(unsuccessful(said, code, why))
	}
	if !started.IsZero() && (r.started.IsZero() || started.Before(r.started)) {
		r.started = started
	}
	if finished.After(r.finished) {
		r.finished = finished
	}
	return nil
}

func unsuccessful(said bool, code score, why string) string {
	reason := "executionSuccessful is false"
	if !said { // it is required
		reason = "an invocation does not say executionSuccessful"
	}
	if code.given {
		reason += fmt.Sprintf(", exit code %v", code.value)
	}
	if why != "" {
		reason += ": " + why
	}
	return reason
}

func (r *report) sarifResult(run *sarifRun) error {
	s := sarifResult{kind: "fail", rule: sarifReference{index: -1, extension: -1}}
	err := r.element(func(name []byte) error {
		switch string(name) {
		case "ruleId":
			return r.text(&s.ruleID)
		case "ruleIndex":
			return r.integer(&s.rule.index)
		case "rule":
			return r.object(func(name []byte) error { return r.sarifReference(name, &s.rule) })
		case "level":
			return r.text(&s.level)
		case "kind":
			return r.text(&s.kind)
		case "message":
			return r.sarifMessage(&s.message)
		case "locations":
			return r.list(func() error { return r.sarifLocation(&s.place) })
		case "baselineState":
			return r.text(&s.baseline)
		case "suppressions":
			return r.list(func() error { return r.sarifSuppression(&s) })
		case "properties":
			return r.sarifDanger(&s.danger)
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if got := len(r.scanner.Result) + len(run.results) + 1; got > r.limits.Findings {
		return &attest.LimitError{What: whatFindings, Limit: int64(r.limits.Findings), Got: int64(got)}
	}
	run.results = append(run.results, s)
	return nil
}

func (r *report) sarifReference(name []byte, to *sarifReference) error {
	switch string(name) {
	case "id":
		return r.text(&to.id)
	case "index":
		return r.integer(&to.index)
	case "toolComponent":
		to.components = !r.null()
		return r.object(func(name []byte) error {
			switch string(name) {
			case "name":
				return r.text(&to.component)
			case "index":
				return r.integer(&to.extension)
			}
			return r.skip()
		})
	}
	return r.skip()
}

// sarifLocation keeps file and line of the first location that has any.
func (r *report) sarifLocation(to *string) error {
	var file string
	var line int
	err := r.object(func(name []byte) error {
		if string(name) != "physicalLocation" {
			return r.skip()
		}
		return r.object(func(name []byte) error {
			switch string(name) {
			case "artifactLocation":
				return r.object(func(name []byte) error {
					if string(name) == "uri" {
						return r.text(&file)
					}
					return r.skip()
				})
			case "region":
				return r.object(func(name []byte) error {
					if string(name) == "startLine" {
						return r.integer(&line)
					}
					return r.skip()
				})
			}
			return r.skip()
		})
	})
	switch {
	case *to != "" || file == "":
	case line > 0:
		*to = file + ":" + strconv.Itoa(line)
	default:
		*to = file
	}
	return err
}

// sarifSuppression reads the state of a suppression (3.35): without one it is accepted.
func (r *report) sarifSuppression(s *sarifResult) error {
	status := "accepted"
	if r.null() {
		return r.fail(errors.New("null, want an object"))
	}
	err := r.object(func(name []byte) error {
		if string(name) == "status" {
			return r.text(&status)
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	s.suppressions = append(s.suppressions, status)
	return r.keep(16)
}

// counts says whether a result is a finding. Nothing is known yet of what is open, or waits for somebody to look at it, so
// these are.
func (s sarifResult) counts() bool {
	switch s.kind { // 3.27.9
	case "pass", "informational", "notApplicable":
		return false
	}
	suppressed := len(s.suppressions) > 0 && // 3.27.23
		!slices.ContainsFunc(s.suppressions, func(status string) bool { return status != "accepted" })
	return s.baseline != "absent" && !suppressed
}

func (r *report) sarifFindings(run *sarifRun) error {
	for i, s := range run.results {
		if !s.counts() {
			continue
		}
		rule := run.rule(s)
		f := r.sarifFinding(s, rule, strings.ToLower(run.driver.name))
		if f.id == "" {
			return &FormatError{r.format, fmt.Sprintf("%s.results[%d]", run.where, i), errors.New("neither ruleId nor a rule names what was found")}
		}
		if err := r.add(f); err != nil {
			return err
		}
	}
	run.results = nil
	return nil
}

// rule returns the rule of a result: that of its index, unless it has another id; otherwise that of its id. Rules can be
// left out of a report.
func (run *sarifRun) rule(s sarifResult) sarifRule {
	id := cmp.Or(s.ruleID, s.rule.id)
	t := run.component(s.rule)
	if i := s.rule.index; t != nil && i >= 0 && i < len(t.rules) && isUnder(id, t.rules[i].id) {
		return t.rules[i]
	}
	if t != nil {
		if rule, there := t.named(id); there {
			return rule
		}
	}
	for i := range run.extensions {
		if rule, there := run.extensions[i].named(id); there {
			return rule
		}
	}
	return sarifRule{}
}

// component returns the part of the tool that the rule is of: the driver, if it does not say.
func (run *sarifRun) component(ref sarifReference) *sarifTool {
	switch {
	case !ref.components || ref.extension < 0 && (ref.component == "" || ref.component == run.driver.name):
		return &run.driver
	case ref.extension >= 0 && ref.extension < len(run.extensions):
		return &run.extensions[ref.extension]
	}
	for i := range run.extensions {
		if run.extensions[i].name == ref.component {
			return &run.extensions[i]
		}
	}
	return nil
}

// named returns the rule of an id. An id may be that of a rule and then, after a slash, say more (3.27.5).
func (t *sarifTool) named(id string) (sarifRule, bool) {
	for id != "" {
		if i, there := t.byID[id]; there {
			return t.rules[i], true
		}
		id = id[:max(0, strings.LastIndexByte(id, '/'))]
	}
	return sarifRule{}, false
}

// isUnder says whether id is that of a rule, or begins with it. No id is under all.
func isUnder(id, rule string) bool {
	return id == "" || id == rule || strings.HasPrefix(id, rule+"/")
}

func (r *report) sarifFinding(s sarifResult, rule sarifRule, tool string) finding {
	f := r.finding(4)
	f.id = cmp.Or(s.ruleID, s.rule.id, rule.id)
	if danger := cmp.Or(s.danger, rule.danger); danger.given {
		f.rate("cvss:", tool, danger.value)
	} else {
		f.say(tool, s.word(rule))
	}
	f.note(attest.FindingTitle, cmp.Or(rule.title, s.message))
	f.note(attest.FindingSource, rule.help)
	f.note(attest.FindingLocation, s.place)
	return f
}

// word returns how bad the tool says it is (3.27.10). What is not decided has no level, and that must not look harmless.
func (s sarifResult) word(rule sarifRule) string {
	if s.kind != "fail" && (s.level == "" || s.level == "none") {
		return "unknown"
	}
	return cmp.Or(s.level, rule.level, "warning")
}
