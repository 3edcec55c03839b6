package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/provenance"
)

func TestParse(t *testing.T) {
	const everything = `
required_in_build:
  - effective_on: 2026-01-01T01:00:00+01:00
    tasks: [git-clone, init, [buildah, buildah-oci-ta]]
required:
  - tasks: [clair-scan]
  - effective_on: 2027-01-15
    tasks:
      - clair-scan
      - [a, b]
strict: true
vulnerabilities:
  with_fix: {deny: [critical, high]}
  without_fix: {deny: [], warn: [unknown]}
  leeway_days: {high: 36500, low: 0}
  max_db_age: 7d
  incomplete: deny
  exceptions:
    - {id: CVE-1, package: log4j-core, expires_on: 2026-12-31, reason: lookups are off}
waivers:
  - {task: clair-scan, images: ["quay.io/shop/*", "AAA"], from: 2026-02-01, until: 2026-12-31, who: ada, why: the scanner is down}
  - {finding: CVE-2, package: "pkg:npm/x", components: [api], until: 2026-12-31, who: ada, why: never reached}
  - {statement: "BBB", images: ["*"], until: 2026-12-31, who: ada, why: of a version to come}
skipped: warn
informative: [lint]
trust:
  builders: ["https://tekton.dev/chains/v2"]
  tasks:
    - {pattern: "oci://quay.io/konflux-ci/task-*", effective_on: 2026-01-01, expires_on: 2027-01-01}
    - {pattern: "oci://quay.io/konflux-ci/task-old*", deny: true}
`
	digests := strings.NewReplacer("AAA", "sha256:"+strings.Repeat("a", 64), "BBB", "sha256:"+strings.Repeat("b", 64))
	day := func(year, month, day int) time.Time {
		return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	}
	want := Policy{
		RequiredInBuild: []Entry{since(day(2026, 1, 1), "git-clone", "init", "buildah|buildah-oci-ta")},
		Required:        []Entry{since(time.Time{}, "clair-scan"), since(day(2027, 1, 15), "clair-scan", "a|b")},
		Strict:          true,
		Vulnerabilities: Vulnerabilities{
			WithFix:    Levels{Deny: []Level{Critical, High}},
			WithoutFix: Levels{Deny: []Level{}, Warn: []Level{Unknown}},
			LeewayDays: map[Level]int{High: 36500, Low: 0},
			MaxDBAge:   7 * 24 * time.Hour,
			Incomplete: Deny,
		},
		Skipped: Warn, Informative: []string{"lint"},
		Waivers: []Waiver{
			{
				Task: "clair-scan", Images: []string{"quay.io/shop/*",
					"sha256:" + strings.Repeat("a", 64)}, From: day(2026, 2, 1), Until: day(2026, 12, 31),
				Who: "ada", Why: "the scanner is down", Place: "waivers[0], line 21",
			},
			{
				Finding: "CVE-2", Package: "pkg:npm/x", Components: []string{"api"}, Until: day(2026, 12, 31),
				Who: "ada", Why: "never reached", Place: "waivers[1], line 22",
			},
			{
				Statement: v1.Hash{Algorithm: "sha256",
					Hex: strings.Repeat("b", 64)}, Images: []string{"*"}, Until: day(2026, 12, 31),
				Who: "ada", Why: "of a version to come", Place: "waivers[2], line 23",
			},
			{
				Finding: "CVE-1", Package: "log4j-core", Images: []string{"*"}, Until: day(2026, 12, 31),
				Who: "the author of the policy", Why: "lookups are off", Place: "vulnerabilities.exceptions[0], line 19",
			},
		},
		Trust: provenance.Trust{
			Builders: []string{"https://tekton.dev/chains/v2"},
			Tasks: []provenance.TaskRule{
				{Pattern: "oci://quay.io/konflux-ci/task-*", EffectiveOn: day(2026, 1, 1), ExpiresOn: day(2027, 1, 1)},
				{Pattern: "oci://quay.io/konflux-ci/task-old*", Deny: true},
			},
		},
	}
	required := Policy{Required: []Entry{since(time.Time{}, "a")}}
	for name, tt := range map[string]struct {
		text string
		want Policy
	}{
		"everything":       {everything, want},
		"the least":        {"required: [{tasks: [a]}]", required},
		"JSON":             {`{"required": [{"tasks": ["a"]}]}`, required},
		"another name":     {"required-test-tasks: [{tasks: [a]}]", required},
		"what is null":     {"required: [{tasks: [a], effective_on: null}]\nrequired_in_build: null\nstrict: ~\nvulnerabilities:\n", required},
		"an alias":         {"required: [{tasks: &t [a]}, {effective_on: 2027-01-01, tasks: *t}]", Policy{Required: []Entry{since(time.Time{}, "a"), since(day(2027, 1, 1), "a")}}},
		"a name in digits": {"required: [{tasks: [12]}]", Policy{Required: []Entry{since(time.Time{}, "12")}}},
		"an alias to alternatives": {
			"required: [{tasks: [&t [a, b]]}, {effective_on: 2027-01-01, tasks: [*t]}]",
			Policy{Required: []Entry{since(time.Time{}, "a|b"), since(day(2027, 1, 1), "a|b")}},
		},
		"builds by another name": {
			"required-tasks: [{tasks: [a]}]\ntrust: {builders: [b], tasks: [{pattern: p}]}",
			Policy{RequiredInBuild: []Entry{since(time.Time{}, "a")}, Trust: provenance.Trust{Builders: []string{"b"}, Tasks: []provenance.TaskRule{{Pattern: "p"}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(strings.NewReader(digests.Replace(tt.text)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Each mistake is told by its place and with what to do, all at once.
func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // in the error
	}{
		{"nothing", "", []string{"policy: file: empty"}},
		{"only a comment", "# nothing", []string{"policy: file: empty"}},
		{"no YAML", "required: [", []string{"policy: yaml"}},
		{"a tab", "required:\n\t- a", []string{"policy: yaml"}},
		{"two documents", "required: [{tasks: [a]}]\n---\nrequired: [{tasks: [b]}]", []string{"policy: file: more than one document"}},
		{"text", "required", []string{"policy: line 1: want a mapping of informative, required, required-tasks, " +
			"required-test-tasks, required_in_build, skipped, strict, trust, vulnerabilities, waivers"}},
		{"nothing required", "strict: true", []string{"policy: required: neither this nor required_in_build names a task"}},
		{"an empty list", "required: []", []string{"policy: line 1: required: neither"}},
		{"null", "required: null", []string{"policy: line 1: required: neither"}},
		{"an entry without tasks", "required: [{effective_on: 2026-01-01}]",
			[]string{"policy: line 1: required[0].tasks: required"}},
		{"an entry that is no mapping", "required: [a]",
			[]string{"policy: line 1: required[0]: want a mapping of effective_on, tasks"}},
		{"tasks that are no list", "required: [{tasks: a}]",
			[]string{"policy: line 1: required[0].tasks: want a list"}},
		{"a task that is a mapping", "required: [{tasks: [{name: a}]}]",
			[]string{"policy: line 1: required[0].tasks[0]: want text"}},
		{"a task without a name", "required: [{tasks: [~]}]",
			[]string{`policy: line 1: required[0].tasks[0]: no name of a task: required`}},
		{"a task with blanks around", "required: [{tasks: [' a']}]",
			[]string{`policy: line 1: required[0].tasks[0]: no name of a task: " a": U+0020 at byte 0 is a blank ` +
				`around the name`}},
		{"a task that cannot be printed", `required: [{tasks: ["a\nb"]}]`,
			[]string{`policy: line 1: required[0].tasks[0]: no name of a task: "a\nb": U+000A at byte 1 is a ` +
				`control character`}},
		{"a task that looks like another", `required: [{tasks: ["sc\u034fan"]}]`,
			[]string{`policy: line 1: required[0].tasks[0]: no name of a task: "sc\u034fan": U+034F at byte 2 is ` +
				`invisible`}},
		{"a task that is not in NFC", `required_in_build: [{tasks: ["cafe\u0301"]}]`,
			[]string{`policy: line 1: required_in_build[0].tasks[0]: no name of a task: "cafe\u0301": U+0301 at ` +
				`byte 4 is not in NFC`}},
		{"a task with a parameter", "required: [{tasks: ['a[B=c]']}]",
			[]string{`policy: line 1: required[0].tasks[0]: "a[B=c]": parameters of tasks are not looked at`}},
		{"no alternatives", "required: [{tasks: [[]]}]",
			[]string{"policy: line 1: required[0].tasks[0]: an empty list of alternatives"}},
		{"alternatives of alternatives", "required: [{tasks: [[a, [b]]]}]",
			[]string{"policy: line 1: required[0].tasks[0][1]: want text"}},
		{"a task twice", "required: [{tasks: [a, b, a]}]",
			[]string{"policy: line 1: required[0].tasks[2]: a is given twice"}},
		{"alternatives twice", "required: [{tasks: [[a, b], [b, a]]}]",
			[]string{"policy: line 1: required[0].tasks[1]: b or a is given twice"}},
		{"an alternative twice", "required: [{tasks: [[a, a]]}]",
			[]string{`policy: line 1: required[0].tasks[0]: "a" is given twice`}},
		{"two entries at once", "required: [{tasks: [a]}, {tasks: [b]}]",
			[]string{"policy: line 1: required[1].effective_on: the same as in required[0]"}},
		{
			"two entries at one instant", "required: [{effective_on: 2026-01-01, tasks: [a]}, {effective_on: 2026-01-01T02:00:00+02:00, tasks: [b]}]",
			[]string{"policy: line 1: required[1].effective_on: the same as in required[0]"},
		},
		{"a list under both names", "required: [{tasks: [a]}]\nrequired-test-tasks: [{tasks: [a]}]",
			[]string{"policy: line 2: required-test-tasks: the same as required, which is given too"}},
		{"a key twice", "strict: true\nstrict: false\nrequired: [{tasks: [a]}]",
			[]string{"line 2: strict: given twice"}},
		{"a key that is misspelled", "requird: [{tasks: [a]}]",
			[]string{"policy: line 1: requird: unknown field; is required meant?"}},
		{"another form of Conforma's", "pipeline-required-tasks: {docker: [{tasks: [a]}]}",
			[]string{"policy: line 1: pipeline-required-tasks: not read: it has a list for each kind of pipeline"}},
		{"a day that is none", "required: [{effective_on: 2026-02-30, tasks: [a]}]",
			[]string{"policy: line 1: required[0].effective_on: 2026-02-30 is not a time; write 2026-01-31"}},
		{"a year of five digits", "required: [{effective_on: '9999-12-31T23:59:59-05:00', tasks: [a]}]",
			[]string{"policy: line 1: required[0].effective_on: the year does not have four digits"}},
		{"an exception for ever", "required: [{tasks: [a]}]\n" +
			"vulnerabilities: {exceptions: [{id: a, reason: b, expires_on: '9999-12-31T23:59:59-05:00'}]}", []string{"policy: line 2: vulnerabilities.exceptions[0].expires_on: the year does not have four digits"}},
		{"builds without trust", "required_in_build: [{tasks: [a]}]", []string{"policy: trust: required by required_in_build"}},
		{"builds without builders", "required_in_build: [{tasks: [a]}]\ntrust: {tasks: [{pattern: p}]}",
			[]string{"policy: line 2: trust: required by required_in_build"}},
		{"builds without tasks", "required_in_build: [{tasks: [a]}]\ntrust: {builders: [b]}",
			[]string{"policy: line 2: trust: required by required_in_build"}},
		{"trust in builders alone", "required: [{tasks: [a]}]\ntrust: {builders: [b]}",
			[]string{"policy: line 2: trust: builders and tasks are needed both"}},
		{"trust in tasks alone", "required: [{tasks: [a]}]\ntrust: {tasks: [{pattern: p}]}",
			[]string{"policy: line 2: trust: builders and tasks are needed both"}},
		{"trust in everybody", "required: [{tasks: [a]}]\ntrust: {builders: ['*'], tasks: [{pattern: '*'}]}",
			[]string{"policy: line 2: trust.builders[0]: ", "policy: line 2: trust.tasks[0].pattern: "}},
		{"strict that is neither", "required: [{tasks: [a]}]\nstrict: very",
			[]string{"policy: line 2: strict: want true or false"}},
		{"strict that is a list", "required: [{tasks: [a]}]\nstrict: [true]",
			[]string{"policy: line 2: strict: want true or false"}},
		{"a level that is none", "required: [{tasks: [a]}]\nvulnerabilities: {with_fix: {deny: [crit]}}",
			[]string{`policy: line 2: vulnerabilities.with_fix.deny: "crit" is not one of [critical high medium low ` +
				`unknown]`}},
		{"a level in capitals", "required: [{tasks: [a]}]\nvulnerabilities: {without_fix: {warn: [HIGH]}}",
			[]string{`policy: line 2: vulnerabilities.without_fix.warn: "HIGH"`}},
		{"levels that are no list", "required: [{tasks: [a]}]\nvulnerabilities: {with_fix: {deny: critical}}",
			[]string{"policy: line 2: vulnerabilities.with_fix.deny: want a list"}},
		{"leeway that is no number", "required: [{tasks: [a]}]\nvulnerabilities: {leeway_days: {high: 2w}}",
			[]string{"policy: line 2: vulnerabilities.leeway_days.high: 2w is no number of days"}},
		{"leeway before", "required: [{tasks: [a]}]\nvulnerabilities: {leeway_days: {high: -1}}",
			[]string{"policy: line 2: vulnerabilities.leeway_days.high: -1 is not between"}},
		{"leeway for ever", "required: [{tasks: [a]}]\nvulnerabilities: {leeway_days: {high: 36501}}",
			[]string{"policy: line 2: vulnerabilities.leeway_days.high: 36501 is not between"}},
		{"mistakes in both lists", "required_in_build: [{tasks: ['']}]\nrequired: [{tasks: ['']}]",
			[]string{"policy: line 1: required_in_build[0].tasks[0]:", "policy: line 2: required[0].tasks[0]:"}},
		{"leeway for no level", "required: [{tasks: [a]}]\nvulnerabilities: {leeway_days: {worst: 1}}",
			[]string{"policy: line 2: vulnerabilities.leeway_days.worst: unknown field; want one of critical"}},
		{
			"an exception that says nothing", "required: [{tasks: [a]}]\nvulnerabilities: {exceptions: [{reason: ' '}]}",
			[]string{"policy: line 2: vulnerabilities.exceptions[0].id: required: the vulnerability",
				"policy: line 2: vulnerabilities.exceptions[0].reason: required", "policy: line 2: " +
					"vulnerabilities.exceptions[0].expires_on: required"},
		},
		{"a waiver of nothing", "required: [{tasks: [a]}]\nwaivers:\n  - images: [quay.io/x]\n" +
			"    until: 2026-12-31\n    who: ada", []string{
			"policy: line 3: waivers[0]: name one of task, finding and statement", "policy: line 3: waivers[0].why: " +
				"required: say why",
		}},
		{"a waiver that says little", "required: [{tasks: [a]}]\nwaivers:\n  - task: a", []string{
			"line 3: waivers[0].images: required, or components", "line 3: waivers[0].until: required", "line 3: waivers[0].who: required", "line 3: waivers[0].why: required",
		}},
		{"a waiver of a tag", "required: [{tasks: [a]}]\nwaivers:\n  - task: a\n" +
			"    images: [quay.io/x/*, 'quay.io/x:1']\n    until: 2026-12-31\n    who: ada\n    why: x", []string{
			"policy: line 4: waivers[0].images[1]: quay.io/x:1: has a tag, which can move; name the digest",
		}},
		{"merged fields", "required: [{tasks: &x [a]}]\nwaivers: [{<<: *x}]\nvulnerabilities: {<<: {skipped: allow}, max_db_age: 0d}", []string{
			"policy: line 2: waivers[0].<<: merge keys are not read: write the fields out",
			"policy: line 3: vulnerabilities.<<: merge keys are not read: write the fields out",
			"policy: line 3: vulnerabilities.max_db_age: 0d is no span of time",
		}},
		{"a waiver of no digest", "required: [{tasks: [a]}]\nwaivers: [{statement: sha256:ab}]",
			[]string{"policy: line 2: waivers[0].statement: sha256:ab is not a digest; want sha256: and 64 hex digits"}},
		{"a waiver that never holds", "required: [{tasks: [a]}]\n" +
			"waivers: [{task: a, images: ['*'], from: 2026-12-31, until: 2026-12-31, who: ada, why: x}]",
			[]string{"policy: line 2: waivers[0].until: not later than from, so it never holds"}},
		{"waivers in the wrong place", "required: [{tasks: [a]}]\nvulnerabilities: {waivers: []}",
			[]string{"policy: line 2: vulnerabilities.waivers: belongs beside vulnerabilities"}},
		{"exceptions in the wrong place", "required: [{tasks: [a]}]\nexceptions: []",
			[]string{"policy: line 2: exceptions: belongs under vulnerabilities"}},
		{"who may sign", "required: [{tasks: [a]}]\nsigning_identities: []",
			[]string{"policy: line 2: signing_identities: not read: a policy does not say who may sign; give that " +
				"to the gate"}},
		{"a field of a waiver that is misspelled",
			"required: [{tasks: [a]}]\nwaivers: [{task: a, untill: 2026-12-31, reason: x, image: y}]", []string{
				"waivers[0].untill: unknown field; is until meant?", "waivers[0].reason: unknown field; want one of " +
					"components,", "waivers[0].image: unknown field; is images meant?",
				"waivers[0].who: required", "waivers[0].why: required",
			}},
		{"a field in capitals", "REQUIRED: []",
			[]string{"policy: line 1: REQUIRED: unknown field; is required meant?"}},
		{"an effect that is none", "required: [{tasks: [a]}]\nskipped: ignore\nvulnerabilities: {incomplete: allow}",
			[]string{
				`policy: line 2: skipped: "ignore" is not one of [deny warn allow]`, `policy: line 3: ` +
					`vulnerabilities.incomplete: "allow" is not one of [deny warn]`,
			}},
		{"spans that are none", "required: [{tasks: [a]}]\nvulnerabilities: {max_db_age: week}",
			[]string{"policy: line 2: vulnerabilities.max_db_age: week is no span of time; write 7d or 36h"}},
		{"a span of no days", "required: [{tasks: [a]}]\nvulnerabilities: {max_db_age: 0d}",
			[]string{"0d is no span of time"}},
		{"a span of days gone by", "required: [{tasks: [a]}]\nvulnerabilities: {max_db_age: -7d}",
			[]string{"-7d is no span of time"}},
		{"a span of half a day", "required: [{tasks: [a]}]\nvulnerabilities: {max_db_age: 0.5d}",
			[]string{"0.5d is no span of time"}},
		{"a span for ever", "required: [{tasks: [a]}]\nvulnerabilities: {max_db_age: 36501d}",
			[]string{"36501d is no span of time"}},
		{"an informative test without a name", "required: [{tasks: [a]}]\ninformative: [a, '']",
			[]string{"policy: line 2: informative[1]: no name of a task: required"}},
		{"a list of text that holds a list", "required: [{tasks: [a]}]\ninformative: [[a]]",
			[]string{"policy: line 2: informative[0]: want text"}},
		{"mistakes of values and of meaning", "required:\n  - tasks: [' a']\n    effective_on: soon\nstrict: 7\n" +
			"vulnerabilities:\n  with_fix: {deny: [crit]}\n  leeway_days: {high: -1}\ntrust: {builders: ['*']}", []string{
			"policy: line 2: required[0].tasks[0]: no name of a task", "policy: line 3: required[0].effective_on: " +
				"soon is not a time",
			"policy: line 4: strict: want true or false", `policy: line 6: vulnerabilities.with_fix.deny: "crit" is ` +
				`not one of`,
			"policy: line 7: vulnerabilities.leeway_days.high: -1 is not between", "policy: line 8: trust: builders " +
				"and tasks are needed both",
			"policy: line 8: trust.builders[0]: ",
		}},
		{"several mistakes", "requird: 1\nstrict: 7\nrequired: a",
			[]string{"policy: line 1: requird: unknown field; is required meant?",
				"policy: line 2: strict: want true or false", "policy: line 3: required: want a list"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in\n%v", want, err)
				}
			}
		})
	}
}

// A mistake is told once: a value that cannot be read is not told to be missing too, nor is a field that is misspelled.
func TestParseTellsMistakesOnce(t *testing.T) {
	for text, want := range map[string][]string{
		"requird:\n  - tasks: [a]":   {"policy: line 1: requird: unknown field; is required meant?"},
		"required:\n  - tasks: a\n":  {"policy: line 2: required[0].tasks: want a list"},
		"required:\n  - task: [a]\n": {"policy: line 2: required[0].task: unknown field; is tasks meant?"},
		"pipeline-required-tasks: {docker: []}": {"policy: line 1: pipeline-required-tasks: not read: it has a list " +
			"for each kind of pipeline, " +
			"and only a label of the build says which counts; copy the one list of your pipeline to required_in_build"},
		"required: [{tasks: [a]}]\nwaivers:\n  - {task: a, images: ['*'], who: ada, why: x, until: soon}": {
			"policy: line 3: waivers[0].until: soon is not a time; write 2026-01-31 or 2026-01-31T12:00:00Z"},
		"required: [{tasks: [a]}]\nwaivers:\n  - {statement: ab, images: ['*'], who: ada, why: x, until: 2026-12-31}": {
			"policy: line 3: waivers[0].statement: ab is not a digest; want sha256: and 64 hex digits"},
		"required: [{tasks: [a]}]\nwaivers:\n  - {findng: CVE-1, images: ['*'], who: ada, why: x, until: 2026-12-31}": {
			"policy: line 3: waivers[0].findng: unknown field; is finding meant?"},
		"required: [{tasks: [a]}]\nstrict: 1\ntrust:\n  builders: ['*']\n  tasks:\n    - pattern: '*'\n" +
			"      digest: ab\n      expires_on: 0001-01-01": {
			"policy: line 2: strict: want true or false",
			`policy: line 4: trust.builders[0]: "*" has a * that is not behind scheme://host/`,
			`policy: line 6: trust.tasks[0].pattern: "*" has a * that is not behind scheme://host/`,
			`policy: line 7: trust.tasks[0].digest: "ab" is neither sha256 nor sha1 in lower-case hex`},
		"required: &r [{tasks: ['']}]\nrequired_in_build: *r\ntrust: {builders: [b], tasks: [{pattern: p}]}": {
			"policy: line 1: required_in_build[0].tasks[0]: no name of a task: required",
			"policy: line 1: required[0].tasks[0]: no name of a task: required"},
	} {
		_, err := Parse(strings.NewReader(text))
		if err == nil {
			t.Errorf("%s: no error", text)
			continue
		}
		if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestParseIsBounded(t *testing.T) {
	list := strings.TrimSuffix(strings.Repeat("a,", 500), ",")
	const most = "required: [{tasks: [a]}] #"
	for want, text := range map[string]string{
		"file: larger than 1048576 bytes":                                   most + strings.Repeat("x", mostBytes-len(most)+1),
		"line 1: required[0].tasks[199][296]: more than 100000 values":      "required: [{tasks: [&x [" + list + "]" + strings.Repeat(",*x", 500) + "]}]",
		"line 1: here is another mistake; mend those before and look again": "required: [" + strings.TrimSuffix(strings.Repeat("a,", 5000), ",") + "]",
	} {
		_, err := Parse(strings.NewReader(text))
		if err == nil || strings.Count(err.Error(), want) != 1 || strings.Count(err.Error(), "\n") > mostMistakes {
			t.Errorf("want %s, got %.200v", want, err)
		}
	}
	if _, err := Parse(strings.NewReader(most + strings.Repeat("x", mostBytes-len(most)))); err != nil {
		t.Errorf("the largest: %v", err)
	}
	aliases := "required: [{tasks: [a]}]\nvulnerabilities: {with_fix: {deny: &x [" + strings.TrimSuffix(strings.Repeat("high,", 500), ",") + "], warn: *x}}"
	if _, err := Parse(strings.NewReader(aliases)); err != nil {
		t.Errorf("few values: %v", err)
	}
	var names strings.Builder
	for i := range mostValues / 2 {
		fmt.Fprintf(&names, "t%d,", i)
	}
	_, err := Parse(strings.NewReader("required: [{tasks: [[" + names.String() + "]]}, {effective_on: 2027-01-01, tasks: [[x," + names.String() + "]]}]"))
	if err == nil || !strings.Contains(err.Error(), "more than 100000 values") {
		t.Errorf("got %.200v", err)
	}
	p, err := Parse(strings.NewReader("required: [{tasks: [[" + names.String()[:mostBytes/8] + "x]]}, {effective_on: 2027-01-01, tasks: [[y," + names.String()[:mostBytes/8] + "x]]}]"))
	if err != nil {
		t.Fatalf("many alternatives: %.200v", err)
	}
	if r := judged(t, p, nil); len(r.Violations) != 1 || len(r.Warnings) != 0 { // the new alternative is enough already
		t.Errorf("%d violations, %d warnings", len(r.Violations), len(r.Warnings))
	}
	if _, err := Parse(broken{}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// The list of required tasks that Conforma publishes as a sample can be read, but for what is there beside it.
func TestParseConforma(t *testing.T) {
	corpus := os.Getenv("TESTDAG_CORPUS")
	if corpus == "" {
		t.Skip("TESTDAG_CORPUS is not set; it names a folder with provenance/required_tasks.yml, a sample of Conforma")
	}
	text, err := os.ReadFile(filepath.Join(corpus, "provenance", "required_tasks.yml"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(text), "\nrequired-tasks:")
	if !ok {
		t.Fatal("the sample has no required-tasks")
	}
	p, err := Parse(strings.NewReader("trust: {builders: [b], tasks: [{pattern: p}]}\nrequired-tasks:" + list))
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{since(time.Date(2023, 8, 31, 0, 0, 0, 0, time.UTC),
		"clair-scan", "clamav-scan", "git-clone", "init", "prefetch-dependencies", "sast-snyk-check", "summary")}
	if diff := cmp.Diff(want, p.RequiredInBuild); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"required: [{tasks: [a, [b, c]], effective_on: 2026-01-01}]", "required: &a [*a]", "{required: [{tasks: [a]}], strict: yes}",
		"vulnerabilities: {with_fix: {deny: []}, leeway_days: {high: 1}, exceptions: [{id: a}]}", "? [a]\n: b", "<<: {required: []}",
		"required: [{tasks: [a]}]\n" +
			"waivers: [{task: a, finding: b, package: 'pkg:x', statement: sha256:ab, images: ['*', 'x@y'], " +
			"components: [c], from: 2026-01-01, until: 2026-01-02, who: w, why: y}]",
		"required: [{tasks: [a]}]\nskipped: warn\ninformative: [a]\n" +
			"vulnerabilities: {max_db_age: 7d, incomplete: deny, exceptions: [{id: a, expires_on: 2026-01-01, " +
			"reason: r}]}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			t.Errorf("parsed, and is not valid: %v", err)
		}
		judged(t, p, nil)
	})
}
