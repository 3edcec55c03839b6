package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// scanOf is a scan that ended a minute before noon, with a database of so long before its end.
func scanOf(age time.Duration, change func(*intoto.Vulns), found ...intoto.Finding) attest.Evidence {
	ended := noon.Add(-time.Minute)
	v := intoto.Vulns{Scanner: intoto.Scanner{Result: append([]intoto.Finding{}, found...)},
		Metadata: intoto.ScanMetadata{FinishedOn: ended}}
	v.Scanner.DB.LastUpdate = ended.Add(-age)
	if change != nil {
		change(&v)
	}
	return evidence(v, "scan", -time.Minute, nil)
}

// Each row shows a sentence about the fields of a policy that turn one effect into another.
func TestEffects(t *testing.T) {
	const day, min = 24 * time.Hour, time.Minute
	with := func(p Policy, change func(*Policy)) Policy {
		change(&p)
		return p
	}
	skipped := func(e Effect, p Policy) Policy { return with(p, func(p *Policy) { p.Skipped = e }) }
	informative := func(p Policy) Policy {
		return with(p,
			func(p *Policy) { p.Informative = []string{"lint", "scan"} })
	}
	incomplete := func(e Effect) Policy {
		return with(requires("scan"), func(p *Policy) { p.Vulnerabilities.Incomplete = e })
	}
	week := with(requires("scan"), func(p *Policy) { p.Vulnerabilities.MaxDBAge = 7 * day })
	weekInBuild := with(inBuild("scan"), func(p *Policy) { p.Vulnerabilities.MaxDBAge = 7 * day })
	unscanned := func(v *intoto.Vulns) { v.Unscanned = []string{"the packages of the OS fedora 41"} }
	eosl := func(v *intoto.Vulns) { v.Incomplete = []string{"the OS alpine 3.4.0 is out of support"} }
	skip := tested("scan", intoto.Skipped, 0)
	skipInBuild := built(0, task("scan", 0, "TEST_OUTPUT", testSkipped))
	failInBuild := built(0, task("scan", 0, "TEST_OUTPUT", testFailed))
	const counts = `{"vulnerabilities":{"critical":1}}`
	unverified := problem(&attest.Problem{Kind: attest.Unverified, Err: errBroken})
	critical := finding("CVE-1", "critical")
	for _, tt := range []struct {
		sentence string
		policy   Policy
		evidence []attest.Evidence
		builds   []attest.Build
		want     []string
	}{
		{"A test that was skipped denies.", requires("scan"), []attest.Evidence{skip}, nil,
			[]string{"violation test.skipped scan"}},
		{"skipped: deny says so.", skipped(Deny, requires("scan")), []attest.Evidence{skip}, nil,
			[]string{"violation test.skipped scan"}},
		{"skipped: warn warns of it.", skipped(Warn, requires("scan")), []attest.Evidence{skip}, nil,
			[]string{"warning test.skipped scan"}},
		{"skipped: allow allows it.", skipped(Allow, requires("scan")), []attest.Evidence{skip}, nil,
			[]string{"success test.skipped scan"}},
		{"A task of a build that was skipped denies.", inBuild("scan"), nil, []attest.Build{skipInBuild},
			[]string{"violation test.skipped scan"}},
		{"skipped: warn is for builds too.", skipped(Warn, inBuild("scan")), nil, []attest.Build{skipInBuild},
			[]string{"warning test.skipped scan"}},
		{"skipped: allow is for builds too.", skipped(Allow, inBuild("scan")), nil, []attest.Build{skipInBuild},
			[]string{"success required_in_build.found scan"}},
		{"skipped is for no other result.", skipped(Allow, requires("scan")),
			[]attest.Evidence{tested("scan", intoto.Errored, 0)}, nil,
			[]string{"violation test.errored scan"}},
		{"An older failure is no fallback for what was skipped.", skipped(Allow, requires("scan")),
			[]attest.Evidence{tested("scan", intoto.Failed, -min), skip}, nil, []string{"success test.skipped scan"}},

		{"An informative test that failed only warns.", informative(requires("scan")),
			[]attest.Evidence{tested("scan", intoto.Failed, 0)}, nil,
			[]string{"warning test.failed scan"}},
		{"So does one that could not tell.", informative(requires("scan")),
			[]attest.Evidence{tested("scan", intoto.Errored, 0)}, nil,
			[]string{"warning test.errored scan"}},
		{"So does one that was skipped.", informative(requires("scan")), []attest.Evidence{skip}, nil,
			[]string{"warning test.skipped scan"}},
		{"So does a scan that found something.", informative(requires("scan")),
			[]attest.Evidence{scanOf(0, nil, critical)}, nil,
			[]string{"warning vulnerability.denied CVE-1"}},
		{"So does one that did not look at everything.", informative(requires("scan")),
			[]attest.Evidence{scanOf(0, unscanned)}, nil,
			[]string{"warning vulnerability.incomplete scan"}},
		{"So does a task of a build.", informative(inBuild("scan")), nil, []attest.Build{failInBuild},
			[]string{"warning test.failed scan"}},
		{"So does one that ended badly.", informative(inBuild("scan")), nil,
			[]attest.Build{built(0, status("Failed", task("scan", 0)))},
			[]string{"warning test.failed scan"}},
		{"So do its counts.", informative(inBuild("scan")), nil,
			[]attest.Build{built(0, task("scan", 0, "SCAN_OUTPUT", counts))},
			[]string{"warning vulnerability.denied scan"}},
		{"An informative test must be there.", informative(requires("scan")), nil, nil,
			[]string{"violation required.missing scan"}},
		{"Its evidence must count.", informative(requires("scan")),
			[]attest.Evidence{tested("scan", intoto.Failed, 0, unverified)}, nil,
			[]string{"violation evidence.unverified scan"}},
		{"Its evidence must be about the image.", informative(inBuild("scan")), nil,
			[]attest.Build{built(0, task("scan", 0, "IMAGES_PROCESSED", `{"image":{"digests":[]}}`))},
			[]string{"violation test.errored scan"}},
		{"A test that passed stays one that passed.", informative(requires("scan")),
			[]attest.Evidence{tested("scan", intoto.Passed, 0)}, nil,
			[]string{"success test.passed scan"}},
		{"Other tests are not informative.", informative(requires("unit")),
			[]attest.Evidence{tested("unit", intoto.Failed, 0)}, nil,
			[]string{"violation test.failed unit"}},

		{"Of alternatives one that may be skipped is enough.", skipped(Allow, requires("scan|unit")), []attest.Evidence{skip}, nil,
			[]string{"success test.skipped scan"}},
		{"It is not enough beside one that failed.", skipped(Allow, requires("scan|unit")), []attest.Evidence{skip, tested("unit", intoto.Failed, 0)}, nil,
			[]string{"violation test.failed unit", "success test.skipped scan"}},
		{"That holds for builds too.", skipped(Warn, inBuild("scan|unit")), nil,
			[]attest.Build{built(0, task("scan", 0, "TEST_OUTPUT", testSkipped), task("unit", 0, "TEST_OUTPUT", testFailed))},
			[]string{"violation test.failed unit", "warning test.skipped scan"}},
		{"One that passed is.", skipped(Allow, requires("scan|unit")), []attest.Evidence{skip, tested("unit", intoto.Passed, 0)}, nil,
			[]string{"success test.passed unit", "success test.skipped scan"}},
		{"A task does not pass and fail at once.", requires("scan|unit"),
			[]attest.Evidence{tested("scan", intoto.Passed, 0), tested("scan", intoto.Failed, 0), tested("unit", intoto.Passed, 0)}, nil,
			[]string{"warning test.failed scan", "success test.passed unit"}},
		{"An informative alternative that failed is not enough beside another.", informative(requires("scan|unit")),
			[]attest.Evidence{tested("scan", intoto.Failed, 0), tested("unit", intoto.Failed, 0)}, nil,
			[]string{"violation test.failed unit", "warning test.failed scan"}},
		{"If it passed it is.", informative(requires("scan|unit")),
			[]attest.Evidence{tested("scan", intoto.Passed, 0), tested("unit", intoto.Failed, 0)}, nil,
			[]string{"warning test.failed unit", "success test.passed scan"}},

		{"What was not scanned at all denies.", requires("scan"), []attest.Evidence{scanOf(0, unscanned)}, nil,
			[]string{"violation vulnerability.incomplete scan"}},
		{"What was left out warns.", requires("scan"), []attest.Evidence{scanOf(0, eosl)}, nil,
			[]string{"warning vulnerability.incomplete scan", "success test.passed scan"}},
		{"incomplete: deny denies what was left out.", incomplete(Deny), []attest.Evidence{scanOf(0, eosl)}, nil,
			[]string{"violation vulnerability.incomplete scan"}},
		{"incomplete: deny denies what was not scanned.", incomplete(Deny), []attest.Evidence{scanOf(0, unscanned)},
			nil, []string{"violation vulnerability.incomplete scan"}},
		{"incomplete: warn warns of what was not scanned.", incomplete(Warn), []attest.Evidence{scanOf(0, unscanned)},
			nil, []string{"warning vulnerability.incomplete scan", "success test.passed scan"}},
		{"incomplete: warn warns of what was left out.", incomplete(Warn), []attest.Evidence{scanOf(0, eosl)}, nil,
			[]string{"warning vulnerability.incomplete scan", "success test.passed scan"}},
		{"A scan that says neither is whole.", incomplete(Deny), []attest.Evidence{scanOf(0, nil)}, nil,
			[]string{"success test.passed scan"}},
		{"A waiver of the task waives that.", waiving(requires("scan"), Waiver{Task: "scan"}),
			[]attest.Evidence{scanOf(0, unscanned)}, nil,
			[]string{"waived vulnerability.incomplete scan"}},

		{"A database of any age will do.", requires("scan"), []attest.Evidence{scanOf(1000*day, nil)}, nil,
			[]string{"success test.passed scan"}},
		{"max_db_age denies a scan with an older one.", week, []attest.Evidence{scanOf(7*day+1, nil)}, nil,
			[]string{"violation vulnerability.old_database scan"}},
		{"A database of just that age will do.", week, []attest.Evidence{scanOf(7*day, nil)}, nil,
			[]string{"success test.passed scan"}},
		{"The age is that at the end of the scan, however long ago that was.", week,
			[]attest.Evidence{evidence(intoto.Vulns{Scanner: intoto.Scanner{Result: []intoto.Finding{},
				DB: intoto.ScannerDB{LastUpdate: noon.Add(-107 * day)}}}, "scan", -100*day, nil)},
			nil, []string{"success test.passed scan"}},
		{"A database without a time is of unknown age.", week,
			[]attest.Evidence{scanOf(0, func(v *intoto.Vulns) { v.Scanner.DB.LastUpdate = time.Time{} })}, nil,
			[]string{"violation vulnerability.old_database scan"}},
		{"Nor does a time after the scan tell its age.", week, []attest.Evidence{scanOf(-6*min, nil)}, nil,
			[]string{"violation vulnerability.old_database scan"}},
		{"Clocks may differ a little.", week, []attest.Evidence{scanOf(-5*min, nil)}, nil,
			[]string{"success test.passed scan"}},
		{"Counts of a build do not tell it, which warns.", weekInBuild, nil,
			[]attest.Build{built(0, task("scan", 0, "SCAN_OUTPUT", `{"vulnerabilities":{}}`))},
			[]string{"warning vulnerability.old_database scan", "success required_in_build.found scan"}},
		{"It is no matter of a test result.", week, []attest.Evidence{tested("scan", intoto.Passed, 0)}, nil,
			[]string{"success test.passed scan"}},
	} {
		if diff := cmp.Diff(tt.want, brief(judged(t, tt.policy, tt.evidence, tt.builds...))); diff != "" {
			t.Errorf("%s %s", tt.sentence, diff)
		}
	}
}

// A message about a scan says what was not looked at, and how old the database was.
func TestEffectMessages(t *testing.T) {
	p := requires("scan")
	p.Vulnerabilities.MaxDBAge, p.Vulnerabilities.Incomplete = 36*time.Hour, Deny
	p.Informative = []string{"scan"}
	r := judged(t, p, []attest.Evidence{scanOf(37*time.Hour, func(v *intoto.Vulns) {
		v.Unscanned, v.Incomplete = []string{"the OS\n"}, []string{"a file was skipped"}
	})})
	want := []string{
		`scan: not everything was scanned: a file was skipped; the test is informative`,
		`scan: not scanned: "the OS\n"; the test is informative`,
		"scan: its vulnerability database of 2026-02-27T22:59:00Z was older than 36h0m0s when the scan ended; " +
			"update it and scan again; the test is informative",
	}
	var got []string
	for _, n := range r.Warnings {
		got = append(got, n.Msg)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	p.Vulnerabilities.MaxDBAge, p.Informative = 24*time.Hour, nil
	if r := judged(t, p, []attest.Evidence{scanOf(37*time.Hour, nil)}); !strings.Contains(r.Violations[0].Msg,
		"was older than 1 day when") {
		t.Errorf("got %s", r.Violations[0].Msg)
	}
}

// A database without a time is not told to be old: nothing is known of it.
func TestDatabaseWithoutTime(t *testing.T) {
	p := requires("scan")
	p.Vulnerabilities.MaxDBAge = time.Hour
	for want, change := range map[string]func(*intoto.Vulns){
		"scan: the age of its vulnerability database is not known": func(v *intoto.Vulns) {
			v.Scanner.DB.LastUpdate = time.Time{}
		},
		"scan: its vulnerability database of 2026-03-01T12:59:00Z is newer than the scan, so its age is not known": func(v *intoto.Vulns) {
			v.Scanner.DB.LastUpdate = noon.Add(59 * time.Minute)
		},
	} {
		if r := judged(t, p, []attest.Evidence{scanOf(0,
			change)}); len(r.Violations) != 1 || r.Violations[0].Msg != want {
			t.Errorf("got %+v, want %s", r.Violations, want)
		}
	}
}

// Go code that makes a policy by hand is held to the same rules as a file.
func TestEffectsAreValid(t *testing.T) {
	p := requires("scan")
	p.Skipped, p.Informative = "ignore", []string{"lint", "sc\u034fan", ""}
	p.Vulnerabilities.MaxDBAge, p.Vulnerabilities.Incomplete = -1, Allow
	want := []string{"skipped", "informative[1]", "informative[2]", "vulnerabilities.max_db_age",
		"vulnerabilities.incomplete"}
	if diff := cmp.Diff(want, fields(t, p.Validate())); diff != "" {
		t.Error(diff)
	}
}
