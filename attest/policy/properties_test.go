package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// A situation is what a policy is asked about.
type situation struct {
	policy   Policy
	evidence []attest.Evidence
	builds   []attest.Build
}

func (s situation) judge(t *rapid.T) Report {
	r, err := s.policy.Judge(Input{Image: image, Evidence: s.evidence, Builds: s.builds, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var names = rapid.SampledFrom([]string{"a", "b", "c"})

// minutes are few, so that there are ties, and are all before noon.
func minutes(t *rapid.T, label string) time.Duration {
	return -time.Duration(rapid.IntRange(1, 8).Draw(t, label)) * time.Minute
}

func drawEntries(t *rapid.T, label string) []Entry {
	var list []Entry
	for i := range rapid.IntRange(0, 3).Draw(t, label) {
		from := noon.AddDate(0, 0, []int{-2, 0, 3}[i])
		var tasks []string
		for range rapid.IntRange(1, 3).Draw(t, label+" tasks") {
			one := rapid.SampledFrom([]string{"a", "b", "c", "a|b", "b|c"}).Draw(t, "task")
			if !slices.Contains(tasks, one) {
				tasks = append(tasks, one)
			}
		}
		list = append(list, since(from, tasks...))
	}
	return list
}

func drawPolicy(t *rapid.T) Policy {
	p := Policy{RequiredInBuild: drawEntries(t, "required_in_build"), Required: drawEntries(t, "required"), Strict: rapid.Bool().Draw(t, "strict")}
	if len(p.RequiredInBuild)+len(p.Required) == 0 {
		p.Required = []Entry{since(time.Time{}, "a")}
	}
	for range rapid.IntRange(0, 3).Draw(t, "waivers") {
		p.Waivers = append(p.Waivers, drawWaiver(t))
	}
	return p
}

func drawEvidence(t *rapid.T, d time.Duration) attest.Evidence {
	test := names.Draw(t, "test")
	var changes []change
	switch rapid.IntRange(0, 9).Draw(t, "problem") {
	case 0:
		changes = append(changes, problem(&attest.Problem{Kind: attest.Unverified, Err: errBroken}))
	case 1:
		changes = append(changes, func(e *attest.Evidence) { e.Declared = "c" })
	}
	if rapid.Bool().Draw(t, "is a scan") {
		var found []intoto.Finding
		for _, id := range rapid.SliceOfN(rapid.SampledFrom([]string{"CVE-1", "CVE-2"}), 0, 2).Draw(t, "found") {
			found = append(found, finding(id, rapid.SampledFrom([]string{"critical", "low", ""}).Draw(t, "level")))
		}
		return scanned(test, d, found, changes...)
	}
	r := rapid.SampledFrom([]intoto.Result{intoto.Passed, intoto.Passed, intoto.Warned, intoto.Failed, intoto.Skipped, intoto.Errored}).Draw(t, "result")
	return tested(test, r, d, changes...)
}

func drawBuild(t *rapid.T, d time.Duration) attest.Build {
	var tasks []provenance.Task
	for _, name := range rapid.SliceOfNDistinct(names, 0, 3, rapid.ID).Draw(t, "tasks") {
		one := task(name, d-time.Second)
		switch rapid.IntRange(0, 4).Draw(t, "output") {
		case 0:
			one = task(name, d, "TEST_OUTPUT", testFailed)
		case 1:
			one = task(name, d, "TEST_OUTPUT", testPassed)
		case 2:
			one = status("Failed", one)
		}
		tasks = append(tasks, one)
	}
	b := built(d, tasks...)
	b.Manifest = hash(fmt.Sprint(d, tasks))
	if rapid.IntRange(0, 5).Draw(t, "untrusted") == 0 {
		b.Problem = errBroken
	}
	return b
}

func drawSituation(t *rapid.T) situation {
	s := situation{policy: drawPolicy(t)}
	for range rapid.IntRange(0, 8).Draw(t, "pieces of evidence") {
		s.evidence = append(s.evidence, drawEvidence(t, minutes(t, "time")))
	}
	for range rapid.IntRange(0, 3).Draw(t, "builds") {
		s.builds = append(s.builds, drawBuild(t, minutes(t, "time")))
	}
	return s
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		want := s.judge(t)
		s.evidence = rapid.Permutation(s.evidence).Draw(t, "evidence")
		s.builds = rapid.Permutation(s.builds).Draw(t, "builds")
		if diff := cmp.Diff(want, s.judge(t)); diff != "" {
			t.Error(diff)
		}
	})
}

// Evidence that is older than other evidence of the same test and type changes nothing, whatever it says.
func TestOlderEvidenceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		if len(s.evidence) == 0 {
			return
		}
		want := s.judge(t)
		newer := rapid.SampledFrom(s.evidence).Draw(t, "newer")
		if newer.Declared != "" {
			return // it is evidence of two tests
		}
		older := drawEvidence(t, newer.Time.Sub(noon)-time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds"))*time.Second)
		if older.Test.PredicateType != newer.Test.PredicateType || older.Declared != "" {
			return
		}
		older.Test = newer.Test
		s.evidence = append(s.evidence, older)
		if diff := cmp.Diff(want, s.judge(t)); diff != "" {
			t.Error(diff)
		}
	})
}

// Nor does a build that is older than another which ran the same tasks, however they ended.
func TestOlderBuildChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		if len(s.builds) == 0 {
			return
		}
		want := s.judge(t)
		newer := rapid.SampledFrom(s.builds).Draw(t, "newer")
		if newer.Problem != nil {
			return // it is passed over
		}
		d := newer.Provenance.Finished.Sub(noon) - time.Duration(rapid.IntRange(2, 100).Draw(t, "seconds"))*time.Second
		var tasks []provenance.Task
		for _, one := range newer.Provenance.Tasks {
			output := rapid.SampledFrom([]string{testPassed, testFailed, testErrored}).Draw(t, "older output")
			tasks = append(tasks, task(one.Name, d, "TEST_OUTPUT", output))
		}
		s.builds = append(s.builds, built(d, tasks...))
		if diff := cmp.Diff(want, s.judge(t)); diff != "" {
			t.Error(diff)
		}
	})
}

// Nothing new that is bad makes an image pass that did not, be it evidence or a build. A waiver of the task that fails is
// left out: of alternatives that a new build no longer runs, it could waive the one that is left.
func TestNewerFailureNeverHelps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		test := names.Draw(t, "fails")
		s.policy.Waivers = slices.DeleteFunc(s.policy.Waivers, func(w Waiver) bool { return w.Task == test })
		before := s.judge(t)
		bad := []attest.Evidence{
			tested(test, intoto.Failed, -time.Second), tested(test, intoto.Errored, -time.Second), tested(test, intoto.Skipped, -time.Second),
			scanned(test, -time.Second, []intoto.Finding{finding("CVE-9", "critical")}),
			tested(test, intoto.Passed, -time.Second, problem(&attest.Problem{Kind: attest.Unverified, Err: errBroken})),
			scanned(test, -time.Second, nil, problem(errBroken)),
			{Image: image, Problem: &attest.CandidateError{Err: errBroken}},
		}
		builds := []attest.Build{
			built(-time.Second, task(test, -time.Second, "TEST_OUTPUT", testFailed)), built(-time.Second, status("Failed", task(test, -time.Second))),
			{Image: image, Problem: errBroken},
		}
		switch i := rapid.IntRange(0, len(bad)+len(builds)-1).Draw(t, "which"); {
		case i < len(bad):
			s.evidence = append(s.evidence, bad[i])
		default:
			s.builds = append(s.builds, builds[i-len(bad)])
		}
		if after := s.judge(t); after.Success && !before.Success {
			t.Errorf("it helps: before\n%s\nafter\n%s", lines(before), lines(after))
		}
	})
}

// What is required in the build is met by builds alone.
func TestIntegrationNeverMeetsInBuild(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		if s.policy.RequiredInBuild == nil {
			return
		}
		s.policy.Required, s.policy.Waivers = nil, nil
		with := s.judge(t)
		s.evidence = nil
		if diff := cmp.Diff(s.judge(t), with); diff != "" {
			t.Errorf("evidence matters: %s", diff)
		}
		s.builds = nil
		demanded := map[string]bool{}
		for _, task := range at(s.policy.RequiredInBuild, noon).now {
			demanded[task.key()] = true
		}
		if r := s.judge(t); len(r.Violations) != len(demanded) || r.Success && len(demanded) > 0 {
			t.Errorf("without builds %d tasks are missing, and the report is\n%s", len(demanded), lines(r))
		}
	})
}

// Every report can be written, and tells in JSON what it holds.
func TestReportsAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawSituation(t).judge(t)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Success              bool
			Violations, Warnings []struct{ Metadata struct{ Code string } }
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if got.Success != (len(got.Violations) == 0) || len(got.Warnings) != len(r.Warnings) || got.Violations == nil {
			t.Errorf("got %s", b)
		}
	})
}

func lines(r Report) string { return strings.Join(brief(r), "\n") }

// drawWaiver draws a waiver of something that is likely to be found, for some image, that has ended, holds, or begins
// later.
func drawWaiver(t *rapid.T) Waiver {
	w := Waiver{Images: []string{rapid.SampledFrom([]string{"*", "registry.example/team/*", "registry.example/other",
		image.DigestStr(), other.DigestStr()}).Draw(t, "images")}}
	w.Who, w.Why = rapid.SampledFrom([]string{"ada", "bob"}).Draw(t, "who"), "x"
	w.From = noon.AddDate(0, 0, rapid.IntRange(-20, 2).Draw(t, "from"))
	w.Until = w.From.AddDate(0, 0, rapid.IntRange(1, 30).Draw(t, "days"))
	w.Place = rapid.StringMatching(`place [1-9]`).Draw(t, "place")
	if rapid.Bool().Draw(t, "waives a task") {
		w.Task = names.Draw(t, "waived")
		return w
	}
	w.Finding = rapid.SampledFrom([]string{"CVE-1", "CVE-2"}).Draw(t, "waived finding")
	w.Package = rapid.SampledFrom([]string{"", "", "openssl"}).Draw(t, "waived package")
	return w
}

// holds reports whether a waiver is for the image and in force.
func (w Waiver) holds() bool {
	return w.isFor(Input{Image: image}) && !noon.Before(w.From) && noon.Before(w.Until)
}

// own tells the warnings about waivers from the rest of a report.
func own(r Report) (about []Note, rest Report) {
	rest = r
	rest.Warnings = nil
	for _, n := range r.Warnings {
		if n.Waiver != nil {
			about = append(about, n)
		} else {
			rest.Warnings = append(rest.Warnings, n)
		}
	}
	return about, rest
}

// A waiver never makes a report worse, and to take one out never makes it better: all that it does is to move notes
// from the violations to the warnings, and from both to those that are waived.
func TestWaiversOnlyMoveNotes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		_, without := own(s.judge(t))
		s.policy.Waivers = append(s.policy.Waivers, drawWaiver(t))
		_, with := own(s.judge(t))
		if without.Success && !with.Success {
			t.Error("it is denied with one more waiver")
		}
		text := func(notes []Note) map[string]bool {
			all := map[string]bool{}
			for _, n := range notes {
				n.Waiver = nil
				b, _ := json.Marshal(n)
				all[string(b)] = true
			}
			return all
		}
		violations, warnings := text(without.Violations), text(without.Warnings)
		waivedBefore, successes := text(without.Waived), text(without.Successes)
		for n := range text(with.Violations) {
			if !violations[n] {
				t.Errorf("a new violation: %s", n)
			}
		}
		for n := range text(with.Warnings) {
			// Beside an alternative that passes with the waiver, a violation only warns.
			if !warnings[n] && !violations[n] {
				t.Errorf("a new warning: %s", n)
			}
		}
		for n := range text(with.Waived) {
			if !violations[n] && !warnings[n] && !waivedBefore[n] {
				t.Errorf("waived out of nothing: %s", n)
			}
		}
		for n := range successes {
			if !text(with.Successes)[n] {
				t.Errorf("no success any more: %s", n)
			}
		}
		for n := range violations {
			if !text(with.Violations)[n] && !text(with.Waived)[n] && !text(with.Warnings)[n] {
				t.Errorf("a violation is not told of any more: %s", n)
			}
		}
	})
}

// A waiver that has ended, or has not begun, changes nothing but the warnings about it, and neither does one for
// another image, which is not even told of.
func TestWaiversThatDoNotHoldChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		before, want := own(s.judge(t))
		w := drawWaiver(t)
		if w.holds() {
			return
		}
		s.policy.Waivers = append(s.policy.Waivers, w)
		after, got := own(s.judge(t))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		ended := w.isFor(Input{Image: image}) && !noon.Before(w.Until)
		if more := len(after) - len(before); more < 0 || more > 1 || more == 1 && !ended {
			t.Errorf("%d warnings about waivers became %d, and ended is %t", len(before), len(after), ended)
		}
	})
}

// A waiver of a finding moves notes about that finding alone: never what a test did, and never evidence that does not
// count. A waiver of a task moves no note that names no task.
func TestWaiversKeepToTheirSubject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		s.policy.Waivers = append(s.policy.Waivers, drawWaiver(t))
		s.evidence = append(s.evidence, attest.Evidence{Image: image, Problem: &attest.CandidateError{Err: errBroken}})
		for _, n := range s.judge(t).Waived {
			if len(n.Metadata.Term) == 0 {
				t.Errorf("it is about no task, and is waived: %+v", n)
			}
			about := strings.HasPrefix(string(n.Metadata.Code), "vulnerability.") && n.Metadata.Term[0] == n.Waiver.Finding
			if n.Waiver.Finding != "" && !about {
				t.Errorf("the waiver of %s moves %+v", n.Waiver.Finding, n)
			}
		}
	})
}

func TestOrderOfWaiversDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t)
		want := s.judge(t)
		s.policy.Waivers = rapid.Permutation(s.policy.Waivers).Draw(t, "waivers")
		if diff := cmp.Diff(want, s.judge(t)); diff != "" {
			t.Error(diff)
		}
	})
}
