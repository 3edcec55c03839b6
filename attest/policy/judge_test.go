package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// Each row shows a sentence of the decision record, of the design, or of the package comment.
func TestSentences(t *testing.T) {
	skip := tested("scan", intoto.Skipped, 0)
	overruled := &attest.Problem{Kind: attest.Overruled, Manifest: skip.Manifest, Result: intoto.Skipped}
	lenient := requires("scan")
	lenient.Skipped = Allow
	const min = time.Minute
	type list = []attest.Evidence
	critical := []intoto.Finding{finding("CVE-1", "critical", intoto.FindingFix, "2.0")}
	tomorrow, yesterday := noon.AddDate(0, 0, 1), noon.AddDate(0, 0, -1)
	strict := func(p Policy) Policy {
		p.Strict = true
		return p
	}
	untrusted := func(b attest.Build) attest.Build {
		b.Problem = &provenance.UntrustedError{Builder: "x", Reason: "not one of Trust.Builders"}
		return b
	}
	oneTask := func(b attest.Build) attest.Build {
		b.Provenance.Kind = "TaskRun"
		return b
	}
	timeless := func(b attest.Build) attest.Build {
		b.Provenance.Finished = time.Time{}
		return b
	}
	noTime := func(e *attest.Evidence) { e.Time, e.Clock = time.Time{}, "" }
	for _, tt := range []struct {
		sentence string
		policy   Policy
		evidence []attest.Evidence
		builds   []attest.Build
		want     []string
	}{
		// The record, Multiple Attestations.
		{
			"Integration test scenarios can be re-run which will result in duplicate attestations",
			requires("scan"), list{tested("scan", intoto.Failed, -2*min), tested("scan", intoto.Passed, -min)}, nil,
			[]string{"success test.passed scan"},
		},
		{
			"If there are multiple attestations for a given test, Conforma will always use the newest",
			requires("scan"), list{tested("scan", intoto.Passed, -2*min), tested("scan", intoto.Failed, -min)}, nil,
			[]string{"violation test.failed scan"},
		},
		{
			"the race: the test was moved from the build to an integration run, another build still ran it and it failed there; the newer integration run passed",
			requires("scan"), list{tested("scan", intoto.Passed, -min)}, []attest.Build{built(-5*min, task("scan", -6*min, "TEST_OUTPUT", testFailed))},
			[]string{"success test.passed scan"},
		},
		{
			"the race, the other way: it passed in the build, and the newer integration run failed",
			requires("scan"), list{tested("scan", intoto.Failed, -min)}, []attest.Build{built(-5*min, task("scan", -6*min, "TEST_OUTPUT", testPassed))},
			[]string{"violation test.failed scan"},
		},
		{
			"the race, with a build that ends after the integration run of an older build of the same image: the build's failure is newer",
			requires("scan"), list{tested("scan", intoto.Passed, -7*min)}, []attest.Build{built(-5*min, task("scan", -6*min, "TEST_OUTPUT", testFailed))},
			[]string{"violation test.failed scan"},
		},
		{
			"of the build and an integration run at the same instant both count",
			requires("scan"), list{tested("scan", intoto.Passed, -6*min)}, []attest.Build{built(-5*min, task("scan", -6*min, "TEST_OUTPUT", testFailed))},
			[]string{"violation test.failed scan"},
		},
		{
			"Strict: every origin must pass, here the older build does not",
			strict(requires("scan")), list{tested("scan", intoto.Passed, -min)}, []attest.Build{built(-5*min, task("scan", -6*min, "TEST_OUTPUT", testFailed))},
			[]string{"violation test.failed scan"},
		},
		{
			"Strict: every origin must pass, here the older integration run does not",
			strict(requires("scan")), list{tested("scan", intoto.Failed, -8*min)}, []attest.Build{built(-5*min, task("scan", -6*min, "TEST_OUTPUT", testPassed))},
			[]string{"violation test.failed scan"},
		},
		{
			"Strict: one origin is enough",
			strict(requires("scan")), list{tested("scan", intoto.Passed, -8*min)}, []attest.Build{built(-5*min, task("init", -6*min))},
			[]string{"success test.passed scan"},
		},

		// The record, Splitting up required tasks.
		{
			"Tasks like build and SBOM generation must be run at build-time",
			inBuild("buildah", "show-sbom"), list{tested("show-sbom", intoto.Passed, -min)}, []attest.Build{built(-5*min, task("buildah", -6*min))},
			[]string{"violation required_in_build.missing show-sbom", "success required_in_build.found buildah"},
		},
		{
			"required tasks can be run in the build pipeline",
			requires("scan"), nil, []attest.Build{built(-5*min, task("scan", -6*min))},
			[]string{"success test.passed scan"},
		},
		{
			"or in integration pipelines",
			requires("scan"), list{tested("scan", intoto.Passed, -min)}, nil,
			[]string{"success test.passed scan"},
		},
		{
			"a required task that ran nowhere is missing",
			requires("scan", "lint"), list{absentOf("lint"), absentOf("scan"), tested("unit", intoto.Failed, -min)}, []attest.Build{built(-5*min, task("init", -6*min))},
			[]string{"violation required.missing lint", "violation required.missing scan"},
		},
		{
			"a task in both lists must do both",
			Policy{RequiredInBuild: entries([]string{"scan"}), Required: entries([]string{"scan"})},
			list{tested("scan", intoto.Failed, -min)}, []attest.Build{built(-5*min, task("scan", -6*min))},
			[]string{"violation test.failed scan", "success required_in_build.found scan"},
		},

		// Newest.
		{
			"Bind to the image digest",
			requires("scan"), list{tested("scan", intoto.Passed, -min, func(e *attest.Evidence) { e.Image = other })}, nil,
			[]string{"violation required.missing scan"},
		},
		{
			"Bind to the image digest, builds too",
			inBuild("init"), nil, []attest.Build{func() attest.Build { b := built(-min, task("init", -min)); b.Image = other; return b }()},
			[]string{"violation required_in_build.missing init"},
		},
		{
			"to the digest alone: a mirror keeps the same image under another name, and what was built and tested there is about it",
			Policy{RequiredInBuild: entries([]string{"init"}), Required: entries([]string{"scan"})},
			list{tested("scan", intoto.Passed, -min, func(e *attest.Evidence) { e.Image = mirrored })},
			[]attest.Build{func() attest.Build { b := built(-min, task("init", -min)); b.Image = mirrored; return b }()},
			[]string{"success required_in_build.found init", "success test.passed scan"},
		},
		{
			"provenance of another image is no word about this one: what is wrong with it is not told either",
			inBuild("init"), nil, []attest.Build{built(-min, task("init", -min)), func() attest.Build {
				b := untrusted(built(0, task("init", 0)))
				b.Image = other
				return b
			}()},
			[]string{"success required_in_build.found init"},
		},
		{
			"group by test",
			requires("scan"), list{tested("scan", intoto.Passed, -2*min), tested("lint", intoto.Failed, -min)}, nil,
			[]string{"success test.passed scan"},
		},
		{
			"group by test, and by type of predicate, each of which must do",
			requires("scan"), list{scanned("scan", -2*min, critical), tested("scan", intoto.Passed, -min)}, nil,
			[]string{"violation vulnerability.denied CVE-1"},
		},
		{
			"take the newest, then check who vouches: a newest statement that is unverified blocks, with a reason of its own",
			requires("scan"), list{tested("scan", intoto.Passed, -2*min), tested("scan", intoto.Passed, -min, problem(&attest.Problem{Kind: attest.Unverified, Err: errBroken}))}, nil,
			[]string{"violation evidence.unverified scan"},
		},
		{
			"one that nobody vouches for and that is older does not matter",
			requires("scan"), list{tested("scan", intoto.Passed, -min), tested("scan", intoto.Failed, -2*min, problem(&attest.Problem{Kind: attest.Unverified, Err: errBroken}))}, nil,
			[]string{"success test.passed scan"},
		},
		{
			"so is one without a voucher, whoever made it",
			requires("scan"), list{tested("scan", intoto.Passed, -min, func(e *attest.Evidence) { e.VerifiedBy = attest.Identity{} })}, nil,
			[]string{"violation evidence.unverified scan"},
		},
		{
			"and a build without one",
			inBuild("init"), nil, []attest.Build{func() attest.Build { b := built(-min, task("init", -min)); b.VerifiedBy = attest.Identity{}; return b }()},
			[]string{"violation required_in_build.missing init", "warning build.passed_over"},
		},
		{
			"failed blocks",
			requires("scan"), list{tested("scan", intoto.Failed, -min), tested("scan", intoto.Passed, -2*min)}, nil,
			[]string{"violation test.failed scan"},
		},
		{
			"malformed blocks: no result is not the same as nothing found",
			requires("scan"), list{
				scanned("scan", -2*min, []intoto.Finding{}),
				scanned("scan", -min, nil, problem(&intoto.FieldError{Field: "scanner.result", Problem: "required"})),
			}, nil,
			[]string{"violation evidence.invalid scan"},
		},
		{
			"result: [] says that nothing was found",
			requires("scan"), list{scanned("scan", -min, []intoto.Finding{})}, nil,
			[]string{"success test.passed scan"},
		},
		{
			"what cannot be read may be the newest of any test",
			requires("scan"), list{tested("scan", intoto.Passed, -min), {Image: image, Problem: &attest.CandidateError{Err: errBroken}}}, nil,
			[]string{"violation evidence.unreadable", "success test.passed scan"},
		},
		{
			"and is no matter if only builds are asked about",
			inBuild("init"), list{{Image: image, Problem: &attest.CandidateError{Err: errBroken}}}, []attest.Build{built(-min, task("init", -min))},
			[]string{"success required_in_build.found init"},
		},
		{
			"and no matter as long as tests are only about to be required",
			Policy{RequiredInBuild: entries([]string{"init"}), Required: []Entry{since(tomorrow, "scan")}},
			list{tested("scan", intoto.Passed, -min), {Image: image, Problem: &attest.CandidateError{Err: errBroken}}},
			[]attest.Build{built(-min, task("init", -min))},
			[]string{"success required_in_build.found init"},
		},
		{
			"so may what has no time",
			requires("scan"), list{
				tested("scan", intoto.Passed, -min),
				tested("scan", intoto.Failed, -min, problem(&intoto.FieldError{Field: "timestamp", Problem: "required"}), noTime),
			}, nil,
			[]string{"violation evidence.invalid scan"},
		},
		{
			"so may a build that has no time",
			requires("scan"), list{tested("scan", intoto.Passed, -min)},
			[]attest.Build{func() attest.Build {
				b := built(0, status("Failed", task("scan", 0)))
				b.Provenance.Finished, b.Provenance.Tasks[0].Finished = time.Time{}, time.Time{}
				return b
			}()},
			[]string{"violation evidence.invalid scan", "violation test.failed scan"},
		},
		{
			"and it blocks, since nobody knows whether it is the newest",
			inBuild("init"), nil, []attest.Build{built(-min, status("Failed", task("init", -min))), timeless(built(0, task("init", 0)))},
			[]string{"violation evidence.invalid init"},
		},
		{
			"a build of a time to come blocks",
			inBuild("init"), nil, []attest.Build{built(-min, task("init", -min)), func() attest.Build {
				b := built(time.Hour, task("init", time.Hour))
				b.Problem = &attest.Problem{Kind: attest.Future, Time: noon.Add(time.Hour), Now: noon}
				return b
			}()},
			[]string{"violation evidence.future init"},
		},
		{
			"no task ends after its build",
			requires("scan"), list{tested("scan", intoto.Failed, -min)}, []attest.Build{built(-5*min, task("scan", time.Hour))},
			[]string{"violation test.failed scan"},
		},
		{
			"evidence without a time and a problem is not a Resolver's",
			requires("scan"), list{tested("scan", intoto.Passed, -min, noTime)}, nil,
			[]string{"violation evidence.invalid scan"},
		},
		{
			"Times are compared as instants: 13:59 in +02:00 is before 12:00 in UTC",
			requires("scan"), list{
				tested("scan", intoto.Passed, 0, func(e *attest.Evidence) { e.Time = noon }),
				tested("scan", intoto.Failed, 0, func(e *attest.Evidence) { e.Time = noon.Add(-min).In(time.FixedZone("", 7200)) }),
			}, nil,
			[]string{"success test.passed scan"},
		},
		{
			"Times are compared as instants: 14:00 in +02:00 and 12:00 in UTC are equal, so both count",
			requires("scan"), list{
				tested("scan", intoto.Passed, 0),
				tested("scan", intoto.Failed, 0, func(e *attest.Evidence) { e.Time = noon.In(time.FixedZone("", 7200)) }),
			}, nil,
			[]string{"violation test.failed scan"},
		},
		{
			"Later than now plus a skew: refused",
			requires("scan"), list{tested("scan", intoto.Passed, time.Hour, problem(&attest.Problem{Kind: attest.Future, Time: noon.Add(time.Hour), Now: noon}))}, nil,
			[]string{"violation evidence.future scan"},
		},
		{
			"Equal: all tied count and the worst wins",
			requires("scan"), list{tested("scan", intoto.Passed, -min), tested("scan", intoto.Failed, -min)}, nil,
			[]string{"violation test.failed scan"},
		},
		{
			"Equal: those that a Resolver hands on as tied, too",
			requires("scan"), list{scanned("scan", -min, nil, func(e *attest.Evidence) {
				e.Predicate = intoto.Vulns{Scanner: intoto.Scanner{Result: []intoto.Finding{}}}
				e.Tied = []attest.Evidence{*e, scanned("scan", -min, critical)}
			})}, nil,
			[]string{"violation vulnerability.denied CVE-1"},
		},
		{
			"a statement that calls itself another test than its provenance counts for the one, and blocks the other",
			requires("scan", "lint"), list{
				tested("lint", intoto.Passed, -2*min),
				tested("scan", intoto.Passed, -min, func(e *attest.Evidence) { e.Declared = "lint" }),
			}, nil,
			[]string{"violation evidence.misnamed lint", "success test.passed scan"},
		},
		{
			"also if it was asked for by the name that it gives itself",
			requires("scan", "lint"), list{
				tested("scan", intoto.Passed, -min, func(e *attest.Evidence) { e.Declared = "lint" }, problem(&attest.Problem{Kind: attest.Misnamed, Declared: "lint", Task: "scan"})),
				tested("scan", intoto.Passed, -min),
			}, nil,
			[]string{"violation evidence.misnamed lint", "success test.passed scan"},
		},
		{
			"missing evidence of a run that is over is a violation",
			requires("scan"), list{absentOf("scan", &attest.Problem{Kind: attest.Missing, Expect: attest.Expect{Test: "scan", Run: "scan#2"}})}, nil,
			[]string{"violation evidence.missing scan"},
		},
		{
			"also if the build tells of the test",
			requires("scan"), list{absentOf("scan", &attest.Problem{Kind: attest.Missing, Expect: attest.Expect{Test: "scan", Run: "scan#2"}})}, []attest.Build{built(-min, task("scan", -min))},
			[]string{"violation evidence.missing scan"},
		},
		{
			"also if newer evidence of another type is there, or a newer build",
			requires("scan"), list{
				tested("scan", intoto.Passed, -3*min, problem(&attest.Problem{Kind: attest.Missing, Expect: attest.Expect{Test: "scan", Run: "scan#2"}})),
				scanned("scan", -2*min, []intoto.Finding{}),
			}, []attest.Build{built(-min, task("scan", -min))},
			[]string{"violation evidence.missing scan"},
		},
		{
			"also if a newer build tells of the test, and what was seen is gone",
			requires("scan"), list{tested("scan", intoto.Passed, -3*min, problem(&attest.Problem{Kind: attest.RolledBack, Seen: noon}))}, []attest.Build{built(-min, task("scan", -min))},
			[]string{"violation evidence.gone scan"},
		},
		{
			"the newest that was seen before is gone",
			requires("scan"), list{tested("scan", intoto.Passed, -min, problem(&attest.Problem{Kind: attest.RolledBack, Seen: noon}))}, nil,
			[]string{"violation evidence.gone scan"},
		},
		{
			"all that was seen before is gone",
			requires("scan"), list{absentOf("scan", &attest.Problem{Kind: attest.RolledBack, Seen: noon})}, nil,
			[]string{"violation evidence.gone scan"},
		},
		{
			"evidence can be too old",
			requires("scan"), list{tested("scan", intoto.Passed, -min, problem(&attest.Problem{Kind: attest.Aged, Time: noon, Now: noon}))}, nil,
			[]string{"violation evidence.aged scan"},
		},
		{
			"an ERROR, which says that nothing is known, is answered by newer vulns",
			requires("scan"), list{tested("scan", intoto.Errored, -2*min), scanned("scan", -min, []intoto.Finding{})}, nil,
			[]string{"success test.passed scan"},
		},
		{
			"not by older evidence",
			requires("scan"), list{tested("scan", intoto.Errored, -min), scanned("scan", -2*min, []intoto.Finding{})}, nil,
			[]string{"violation test.errored scan"},
		},
		{
			"as any test-result is: the newest decides",
			requires("scan"), list{tested("scan", intoto.Failed, -2*min), scanned("scan", -min, []intoto.Finding{})}, nil,
			[]string{"success test.passed scan"},
		},
		{
			"vulns are answered by vulns alone",
			requires("scan"), list{tested("scan", intoto.Passed, -min), scanned("scan", -2*min, critical)}, nil,
			[]string{"violation vulnerability.denied CVE-1"},
		},
		{
			"a newer test-result that is no pass is told once, and the policy says what it means",
			requires("scan"), list{scanned("scan", -min, []intoto.Finding{}, problem(overruled)), skip}, nil,
			[]string{"violation test.skipped scan"},
		},
		{
			"... also that it is no harm, which answers no finding",
			lenient, list{scanned("scan", -min, critical, problem(overruled)), skip}, nil,
			[]string{"violation vulnerability.denied CVE-1"},
		},
		{
			"... and nothing else that is wrong with the vulns",
			lenient,
			list{scanned("scan", -min, []intoto.Finding{}, problem(errors.Join(overruled, errBroken))), skip}, nil,
			[]string{"violation evidence.invalid scan"},
		},
		{
			"... and it counts where the test-result is not handed on",
			lenient, list{scanned("scan", -min, []intoto.Finding{}, problem(overruled))}, nil,
			[]string{"violation evidence.invalid scan"},
		},
		{
			"vulns and a test-result of the same instant both count",
			requires("scan"), list{tested("scan", intoto.Failed, -min), scanned("scan", -min, []intoto.Finding{})}, nil,
			[]string{"violation test.failed scan"},
		},
		{
			"no result is not the same as nothing found, whoever made the evidence",
			requires("scan"), list{scanned("scan", -min, nil)}, nil,
			[]string{"violation evidence.invalid scan"},
		},

		// Policy.
		{
			"required_in_build is met by the build's provenance alone",
			inBuild("init"), list{tested("init", intoto.Passed, -min)}, nil,
			[]string{"violation required_in_build.missing init"},
		},
		{
			"a build whose tasks are not trusted is none",
			inBuild("init"), nil, []attest.Build{untrusted(built(-min, task("init", -min)))},
			[]string{"violation required_in_build.missing init", "warning build.passed_over"},
		},
		{
			"and does not stand for one that is",
			inBuild("init"), nil, []attest.Build{untrusted(built(-min, task("scan", -min))), built(-5*min, task("init", -6*min))},
			[]string{"warning build.passed_over", "success required_in_build.found init"},
		},
		{
			"nor tells of a test",
			requires("scan"), nil, []attest.Build{untrusted(built(-min, task("scan", -min)))},
			[]string{"violation required.missing scan", "warning build.passed_over"},
		},
		{
			"what nobody vouches for is no build",
			inBuild("init"), nil, []attest.Build{{Image: image, Problem: &attest.CandidateError{Err: errBroken}}},
			[]string{"violation required_in_build.missing init", "warning build.passed_over"},
		},
		{
			"the newest build decides",
			inBuild("init"), nil, []attest.Build{built(-min, task("buildah", -min)), built(-5*min, task("init", -6*min))},
			[]string{"violation required_in_build.missing init"},
		},
		{
			"the provenance of a pipeline goes before that of its last task, which may end in the same second",
			inBuild("init"), nil, []attest.Build{oneTask(built(-5*min, task("buildah", -5*min))), built(-5*min, task("init", -6*min))},
			[]string{"success required_in_build.found init"},
		},
		{
			"nor before a provenance of a kind that is not known, which may be of the whole build",
			inBuild("init"), nil, []attest.Build{built(-5*min, task("init", -6*min)), func() attest.Build {
				b := built(-5*min, task("buildah", -5*min))
				b.Provenance.Kind = ""
				return b
			}()},
			[]string{"violation required_in_build.missing init"},
		},
		{
			"but not before a task that was run later",
			inBuild("init"), nil, []attest.Build{oneTask(built(-min, task("buildah", -min))), built(-5*min, task("init", -6*min))},
			[]string{"violation required_in_build.missing init"},
		},
		{
			"a single task can be the build",
			inBuild("buildah"), nil, []attest.Build{oneTask(built(-min, task("buildah", -min)))},
			[]string{"success required_in_build.found buildah"},
		},
		{
			"whose provenance does not say how it ended, if its own result does",
			inBuild("buildah"), nil, []attest.Build{oneTask(built(-min, status("", task("buildah", -min, "TEST_OUTPUT", testPassed))))},
			[]string{"success required_in_build.found buildah"},
		},
		{
			"and not if that does not either",
			inBuild("buildah"), nil, []attest.Build{oneTask(built(-min, status("", task("buildah", -min))))},
			[]string{"violation test.errored buildah"},
		},
		{
			"but not if it failed",
			inBuild("buildah"), nil, []attest.Build{oneTask(built(-min, status("Failed", task("buildah", -min))))},
			[]string{"violation test.failed buildah"},
		},
		{
			"of two builds of the same instant each must have the task",
			inBuild("init"), nil, []attest.Build{built(-min, task("init", -min)), built(-min, task("buildah", -min))},
			[]string{"violation required_in_build.missing init"},
		},
		{
			"a task that did not succeed has not passed",
			inBuild("init"), nil, []attest.Build{built(-min, status("Failed", task("init", -min)))},
			[]string{"violation test.failed init"},
		},
		{
			"nor has one that still ran when the build was over",
			inBuild("init"), nil, []attest.Build{built(-min, status("Running", task("init", -min)))},
			[]string{"violation test.failed init"},
		},
		{
			"nor one of which the provenance does not say how it ended",
			inBuild("init"), nil, []attest.Build{built(-min, status("", task("init", -min)))},
			[]string{"violation test.errored init"},
		},
		{
			"of several runs of a task each must do",
			inBuild("init"), nil, []attest.Build{built(-min, task("init", -min), status("Failed", task("init", -2*min)))},
			[]string{"violation test.failed init"},
		},
		{
			"a task without a name meets nothing",
			inBuild("init"), nil, []attest.Build{built(-min, task("", -min))},
			[]string{"violation required_in_build.missing init"},
		},
		{
			"one of the alternatives is enough",
			requires("a|b"), list{tested("b", intoto.Passed, -min)}, nil,
			[]string{"success test.passed b"},
		},
		{
			"another that failed warns",
			requires("a|b"), list{tested("a", intoto.Failed, -min), tested("b", intoto.Passed, -min)}, nil,
			[]string{"warning test.failed a", "success test.passed b"},
		},
		{
			"and so does whatever else the other warns of: that it failed hides nothing",
			requires("a|b"), list{
				scanned("a", -min, []intoto.Finding{critical[0], finding("CVE-2", "unknown")}), tested("b", intoto.Passed, -min),
			}, nil,
			[]string{"warning vulnerability.denied CVE-1", "warning vulnerability.warned CVE-2", "success test.passed b"},
		},
		{
			"Strict: each that ran must pass",
			strict(requires("a|b|c")), list{tested("a", intoto.Failed, -min), tested("b", intoto.Passed, -min)}, nil,
			[]string{"violation test.failed a", "success test.passed b"},
		},
		{
			"none of the alternatives",
			requires("a|b"), nil, nil,
			[]string{"violation required.missing a|b"},
		},
		{
			"all alternatives failed",
			requires("a|b"), list{tested("a", intoto.Failed, -min), tested("b", intoto.Errored, -min)}, nil,
			[]string{"violation test.errored b", "violation test.failed a"},
		},
		{
			"alternatives in the build",
			inBuild("buildah|buildah-oci-ta"), nil, []attest.Build{built(-min, task("buildah-oci-ta", -min))},
			[]string{"success required_in_build.found buildah-oci-ta"},
		},
		{
			"An entry of the future warns",
			Policy{Required: []Entry{since(yesterday, "a"), since(tomorrow, "a", "b")}}, list{tested("a", intoto.Passed, -min)}, nil,
			[]string{"warning required.missing b", "success test.passed a"},
		},
		{
			"An entry of the future warns of builds too",
			Policy{RequiredInBuild: []Entry{since(yesterday, "a"), since(tomorrow, "a", "b")}}, nil, []attest.Build{built(-min, task("a", -min))},
			[]string{"warning required_in_build.missing b", "success required_in_build.found a"},
		},
		{
			"what will be required and is met needs no word",
			Policy{Required: []Entry{since(yesterday, "a"), since(tomorrow, "a", "b")}}, list{tested("a", intoto.Passed, -min), tested("b", intoto.Passed, -min)}, nil,
			[]string{"success test.passed a"},
		},
		{
			"an entry is in force from its instant on",
			Policy{Required: []Entry{since(noon, "a"), since(yesterday, "b")}}, nil, nil,
			[]string{"violation required.missing a"},
		},
		{
			"what later lists dropped is not enforced",
			Policy{Required: []Entry{since(yesterday, "a", "b"), since(tomorrow, "b")}}, nil, nil,
			[]string{"violation required.missing b"},
		},
		{
			"what is about to have more alternatives is enforced, and they are enough",
			Policy{Required: []Entry{since(yesterday, "a", "b"), since(tomorrow, "a|x", "b|y")}}, list{tested("x", intoto.Passed, -min)}, nil,
			[]string{"violation required.missing b|y", "success test.passed x"},
		},
		{
			"what is to come is not told of again if it is enforced already",
			Policy{Required: []Entry{since(yesterday, "a"), since(tomorrow, "a|x")}}, nil, nil,
			[]string{"violation required.missing a|x"},
		},
		{
			"what is about to have fewer is enforced as long as it has them",
			Policy{Required: []Entry{since(yesterday, "a|b"), since(tomorrow, "a")}}, list{tested("b", intoto.Passed, -min)}, nil,
			[]string{"warning required.missing a", "success test.passed b"},
		},
		{
			"alternatives are the same in any order",
			Policy{Required: []Entry{since(yesterday, "a|b"), since(tomorrow, "b|a")}}, nil, nil,
			[]string{"violation required.missing a|b"},
		},
		{
			"nothing is in force yet",
			Policy{Required: []Entry{since(tomorrow, "a")}}, nil, nil,
			[]string{"warning required.missing a", "warning required.nothing"},
		},

		// Results.
		{"PASSED", requires("a"), list{tested("a", intoto.Passed, -min)}, nil, []string{"success test.passed a"}},
		{"WARNED", requires("a"), list{tested("a", intoto.Warned, -min)}, nil, []string{"warning test.warned a"}},
		{"FAILED", requires("a"), list{tested("a", intoto.Failed, -min)}, nil, []string{"violation test.failed a"}},
		{"SKIPPED denies", requires("a"), list{tested("a", intoto.Skipped, -min)}, nil, []string{"violation test.skipped a"}},
		{"ERROR denies", requires("a"), list{tested("a", intoto.Errored, -min)}, nil, []string{"violation test.errored a"}},
		{"what is no result denies", requires("a"), list{tested("a", "GREEN", -min)}, nil, []string{"violation test.errored a"}},
		{
			"evidence without a predicate denies",
			requires("a"), list{tested("a", intoto.Passed, -min, func(e *attest.Evidence) { e.Predicate = nil })}, nil,
			[]string{"violation evidence.invalid a"},
		},

		// What tasks of a build tell.
		{"SUCCESS", requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", testPassed))}, []string{"success test.passed a"}},
		{"WARNING", requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", testWarned))}, []string{"warning test.warned a"}},
		{"FAILURE", inBuild("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", testFailed))}, []string{"violation test.failed a"}},
		{"SKIPPED", requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", testSkipped))}, []string{"violation test.skipped a"}},
		{"ERROR", requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", testErrored))}, []string{"violation test.errored a"}},
		{
			"failures deny whatever the result says",
			requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"SUCCESS","failures":2}`))},
			[]string{"violation test.failed a"},
		},
		{
			"a single one denies, however many warnings stand beside it",
			requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"SUCCESS","failures":1,"warnings":2}`))},
			[]string{"violation test.failed a"},
		},
		{
			"a number of failures that is none contradicts a success as well: no failures are 0",
			requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"SUCCESS","failures":-1}`))},
			[]string{"violation test.failed a"},
		},
		{
			"and warnings make a success one with warnings",
			requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"SUCCESS","failures":0,"warnings":2}`))},
			[]string{"warning test.warned a"},
		},
		{
			"failures deny warnings too",
			requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"WARNING","failures":2,"warnings":1}`))},
			[]string{"violation test.failed a"},
		},
		{
			"warnings do not mend a failure",
			requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"FAILURE","failures":0,"warnings":1}`))},
			[]string{"violation test.failed a"},
		},
		{
			"and ERROR stays what it is",
			requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"ERROR","failures":2}`))},
			[]string{"violation test.errored a"},
		},
		{
			"failures deny a skipped test too",
			requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"SKIPPED","failures":1}`))},
			[]string{"violation test.failed a"},
		},
		{
			"a result that is no TEST_OUTPUT's, which counts cannot correct",
			requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"PASSED","failures":2}`))},
			[]string{"violation test.errored a"},
		},
		{
			"TEST_OUTPUT that is no JSON", requires("a"), nil, []attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", "SUCCESS"))},
			[]string{"violation test.errored a"},
		},
		{
			"TEST_OUTPUT that can be read in two ways", requires("a"), nil,
			[]attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"FAILURE","result":"SUCCESS"}`))},
			[]string{"violation test.errored a"},
		},
		{
			"TEST_OUTPUT nested deeper than any task needs: what a task writes must not cost the reader", requires("a"), nil,
			[]attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"SUCCESS","note":`+strings.Repeat("[", 16)+strings.Repeat("]", 16)+`}`))},
			[]string{"violation test.errored a"},
		},
		{
			"TEST_OUTPUT of more values than any task needs", requires("a"), nil,
			[]attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", `{"result":"SUCCESS","note":[`+strings.Repeat("0,", 10_000)+`0]}`))},
			[]string{"violation test.errored a"},
		},
		{
			"SCAN_OUTPUT is judged by level, with and without a fix", requires("a"), nil,
			[]attest.Build{built(-min, task("a", -min, "TEST_OUTPUT", testPassed,
				"SCAN_OUTPUT", `{"vulnerabilities":{"critical":1,"high":0,"medium":7,"low":1,"unknown":2},"unpatched_vulnerabilities":{"critical":3}}`))},
			[]string{"violation vulnerability.denied a", "warning vulnerability.warned a", "warning vulnerability.warned a"},
		},
		{
			"SCAN_OUTPUT in other words", requires("a"), nil,
			[]attest.Build{built(-min, task("a", -min, "SCAN_OUTPUT", `{"vulnerabilities":{"Critical":1,"IMPORTANT":1,"who knows":1},"unpatched_vulnerabilities":{"critical":0}}`))},
			[]string{"violation vulnerability.denied a", "violation vulnerability.denied a", "warning vulnerability.warned a"},
		},
		{
			"SCAN_OUTPUT that counts nothing", requires("a"), nil, []attest.Build{built(-min, task("a", -min, "SCAN_OUTPUT", `{"critical":1}`))},
			[]string{"violation test.errored a"},
		},
		{
			"SCAN_OUTPUT that counts backwards", requires("a"), nil,
			[]attest.Build{built(-min, task("a", -min, "SCAN_OUTPUT", `{"vulnerabilities":{"critical":-1}}`))},
			[]string{"violation test.errored a"},
		},
		{
			"SCAN_OUTPUT that counts backwards what has no fix", requires("a"), nil,
			[]attest.Build{built(-min, task("a", -min, "SCAN_OUTPUT", `{"vulnerabilities":{},"unpatched_vulnerabilities":{"critical":-1}}`))},
			[]string{"violation test.errored a"},
		},
		{
			"SCAN_OUTPUT with a count that is null", requires("a"), nil,
			[]attest.Build{built(-min, task("a", -min, "SCAN_OUTPUT", `{"vulnerabilities":{"critical":null}}`))},
			[]string{"violation test.errored a"},
		},
		{
			"SCAN_OUTPUT that is no JSON", requires("a"), nil, []attest.Build{built(-min, task("a", -min, "SCAN_OUTPUT", "clean"))},
			[]string{"violation test.errored a"},
		},
		{
			"IMAGES_PROCESSED lists the image", requires("a"), nil,
			[]attest.Build{built(-min, task("a", -min, "IMAGES_PROCESSED", `{"image":{"pullspec":"x","digests":["`+other.DigestStr()+`","`+image.DigestStr()+`\n"]}}`))},
			[]string{"success test.passed a"},
		},
		{
			"IMAGES_PROCESSED lists another", requires("a"), nil,
			[]attest.Build{built(-min, task("a", -min, "IMAGES_PROCESSED", `{"image":{"pullspec":"x","digests":["`+other.DigestStr()+`"]}}`))},
			[]string{"violation test.errored a"},
		},
		{
			"of two builds that ran a test the newer decides", requires("a"), nil,
			[]attest.Build{built(-9*min, task("a", -10*min, "TEST_OUTPUT", testPassed)), built(-5*min, task("a", -6*min, "TEST_OUTPUT", testFailed))},
			[]string{"violation test.failed a"},
		},
		{
			"a build tells when it ended if a task does not", requires("a"), list{tested("a", intoto.Failed, -7*min)},
			[]attest.Build{built(-5*min, func() provenance.Task { a := task("a", 0); a.Finished = time.Time{}; return a }())},
			[]string{"success test.passed a"},
		},
		{
			"the last of several runs of a task tells when the build ran it", requires("a"), list{tested("a", intoto.Failed, -7*min)},
			[]attest.Build{built(-5*min, task("a", -6*min), task("a", -9*min))},
			[]string{"success test.passed a", "success test.passed a"},
		},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			r := judged(t, tt.policy, tt.evidence, tt.builds...)
			if diff := cmp.Diff(tt.want, brief(r)); diff != "" {
				t.Errorf("%s\n%+v", diff, r)
			}
			if r.Success != (len(r.Violations) == 0) {
				t.Errorf("success is %t with %d violations", r.Success, len(r.Violations))
			}
			for _, n := range r.Violations {
				if n.Msg == "" {
					t.Errorf("no message: %+v", n)
				}
			}
		})
	}
}

// The report names the evidence that it was concluded from, and which clock decided.
func TestSources(t *testing.T) {
	p := Policy{RequiredInBuild: entries([]string{"init"}), Required: entries([]string{"scan", "lint"})}
	scan := tested("scan", intoto.Passed, -time.Minute, func(e *attest.Evidence) {
		e.Clock, e.Completeness = attest.ClockProvenance, attest.Expected
		e.VerifiedBy = attest.Identity{Kind: "provenance", Name: "https://tekton.dev/chains/v2"}
	})
	lint := tested("lint", intoto.Warned, -2*time.Minute)
	r := judged(t, p, []attest.Evidence{scan, lint}, built(-time.Hour, task("init", -2*time.Hour)))
	at := func(d time.Duration) *time.Time {
		t := noon.Add(d)
		return &t
	}
	want := Report{
		Success: true, Image: image.String(), Time: noon, Violations: []Note{},
		Warnings: []Note{{
			Msg: "lint passed with warnings", Metadata: Metadata{Code: CodeWarned, Term: Term{"lint"}},
			Evidence: []Source{{
				Test: "lint", Origin: InIntegration, PredicateType: intoto.TestResultType, Manifest: lint.Manifest.String(),
				Time: at(-2 * time.Minute), Clock: attest.ClockPredicate, By: "key ours",
			}},
		}},
		Waived: []Note{},
		Successes: []Note{
			{
				Msg: "init passed in the build", Metadata: Metadata{Code: CodeFoundInBuild, Term: Term{"init"}},
				Evidence: []Source{{
					Test: "init", Origin: InBuild, Manifest: hash("build-1h0m0s").String(), Time: at(-2 * time.Hour), Clock: attest.ClockProvenance, By: "key chains",
				}},
			},
			{
				Msg: "scan passed", Metadata: Metadata{Code: CodePassed, Term: Term{"scan"}},
				Evidence: []Source{{
					Test: "scan", Origin: InIntegration, PredicateType: intoto.TestResultType, Manifest: scan.Manifest.String(),
					Time: at(-time.Minute), Clock: attest.ClockProvenance, By: "provenance https://tekton.dev/chains/v2", Completeness: attest.Expected,
				}},
			},
		},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
}

// What is passed over is named too, with the time that it has.
func TestSourcesOfWhatIsPassedOver(t *testing.T) {
	b := built(-time.Minute)
	b.Problem = errBroken
	timeless := built(0)
	timeless.Problem, timeless.Provenance.Finished = errBroken, time.Time{}
	unread := attest.Build{Image: image, Manifest: hash("unread"), Problem: errBroken}
	r := judged(t, inBuild("init"), nil, b, timeless, unread)
	at := noon.Add(-time.Minute)
	want := []Note{}
	for _, s := range []Source{
		{Origin: InBuild, Manifest: b.Manifest.String(), By: "key chains", Time: &at, Clock: attest.ClockProvenance},
		{Origin: InBuild, Manifest: timeless.Manifest.String(), By: "key chains"},
		{Origin: InBuild, Manifest: unread.Manifest.String()},
	} {
		want = append(want, Note{
			Msg:      "provenance at the image is not that of a build that counts: broken",
			Metadata: Metadata{Code: CodeNotABuild}, Evidence: []Source{s},
		})
	}
	if diff := cmp.Diff(sorted(want), r.Warnings); diff != "" {
		t.Error(diff)
	}
}

// Of a task whose end nobody knows no time is told.
func TestSourceWithoutTime(t *testing.T) {
	b := built(0, task("init", 0))
	b.Provenance.Finished = time.Time{}
	r := judged(t, inBuild("init"), nil, b)
	if got := r.Violations[0].Evidence[0]; got.Time != nil || got.Clock != "" || got.Manifest != b.Manifest.String() {
		t.Errorf("got %+v", got)
	}
}

// Counts of a scan are told by level; what there is none of is not.
func TestScanOutputIsTold(t *testing.T) {
	r := judged(t, requires("a"), nil, built(0, task("a", 0, "SCAN_OUTPUT",
		`{"vulnerabilities":{"critical":1,"high":0,"medium":7},"unpatched_vulnerabilities":{"critical":0,"high":3,"unknown":2}}`)))
	var got []string
	for _, n := range slices.Concat(r.Violations, r.Warnings) {
		got = append(got, n.Msg)
	}
	want := []string{
		"a in the build: 1 critical vulnerabilities with a fix", "a in the build: 2 unknown vulnerabilities without a fix",
		"a in the build: 3 high vulnerabilities without a fix",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A warning of what will be required says from when on.
func TestEffectiveOn(t *testing.T) {
	tomorrow := noon.AddDate(0, 0, 1)
	r := judged(t, Policy{Required: []Entry{since(tomorrow.Add(time.Hour), "a"), since(tomorrow, "b")}}, nil)
	if len(r.Warnings) != 2 {
		t.Fatalf("got %q", brief(r))
	}
	n := r.Warnings[0]
	if n.Metadata.EffectiveOn == nil || !n.Metadata.EffectiveOn.Equal(tomorrow.Add(time.Hour)) || n.Metadata.Term[0] != "a" {
		t.Errorf("got %+v", n)
	}
	if want := "nothing tells of the required test a; this will be a violation from 2026-03-02T13:00:00Z on"; n.Msg != want {
		t.Errorf("got %q, want %q", n.Msg, want)
	}
}

// Of several entries to come the first that will be enforced says from when on.
func TestEffectiveOnOfTheFirst(t *testing.T) {
	tomorrow := noon.AddDate(0, 0, 1)
	r := judged(t, Policy{Required: []Entry{since(tomorrow, "b"), since(tomorrow.AddDate(0, 0, 7), "b", "c")}}, nil)
	var got []string
	for _, n := range r.Warnings {
		got = append(got, n.Msg)
	}
	want := []string{
		"nothing tells of the required test b; this will be a violation from 2026-03-02T12:00:00Z on",
		"nothing tells of the required test c; this will be a violation from 2026-03-09T12:00:00Z on",
		"no task is required yet",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJudgeRefuses(t *testing.T) {
	md5 := image.Context().Digest("md5:d41d8cd98f00b204e9800998ecf8427e")
	for name, tt := range map[string]struct {
		policy Policy
		in     Input
		want   []string
	}{
		"nothing":         {Policy{}, Input{}, []string{"required", "image", "now"}},
		"no time":         {requires("a"), Input{Image: image}, []string{"now"}},
		"another digest":  {requires("a"), Input{Image: md5, Now: noon}, []string{"image"}},
		"a broken policy": {requires(""), Input{Image: image, Now: noon}, []string{"required[0].tasks[0]"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := tt.policy.Judge(tt.in)
			if diff := cmp.Diff(tt.want, fields(t, err)); diff != "" {
				t.Error(diff)
			}
			if r.Success {
				t.Error("success")
			}
		})
	}
}

// fields returns the fields of all mistakes in err.
func fields(t testing.TB, err error) []string {
	t.Helper()
	var all []string
	var walk func(error)
	walk = func(err error) {
		var joined interface{ Unwrap() []error }
		var mistake *FieldError
		var trust *intoto.FieldError
		switch {
		case err == nil:
		case errors.As(err, &joined):
			for _, one := range joined.Unwrap() {
				walk(one)
			}
		case errors.As(err, &mistake):
			all = append(all, mistake.Field)
		case errors.As(err, &trust):
			all = append(all, trust.Field)
		default:
			t.Errorf("untyped: %v", err)
		}
	}
	walk(err)
	return all
}

// What blocks says which test it blocks, and why.
func TestProblemsAreTold(t *testing.T) {
	named := func(e *attest.Evidence) { e.Declared = "lint" }
	for _, tt := range []struct {
		policy   Policy
		evidence attest.Evidence
		want     []string // messages of the violations
	}{
		{
			requires("scan"), tested("scan", intoto.Passed, 0, problem(errors.Join(errBroken, errBroken))),
			[]string{"scan: the newest evidence does not count: broken; broken"},
		},
		{requires("scan"), tested("scan", intoto.Errored, 0), []string{"scan could not tell"}},
		{requires("scan"), tested("scan", "GREEN\n", 0), []string{`scan has the result "GREEN\n", which is none`}},
		{requires("scan"), tested("scan", intoto.Skipped, 0), []string{"scan was skipped, so nothing is known"}},
		{
			requires("scan"), attest.Evidence{Image: image, Problem: errBroken},
			[]string{"nothing tells of the required test scan", "something at the image may be its newest evidence: broken"},
		},
		{
			requires("lint"), tested("scan", intoto.Passed, 0, named),
			[]string{`lint: the newest evidence does not count: attest: a statement that calls itself "lint" was made by the task "scan"`},
		},
		{
			requires("lint"), tested("scan", intoto.Passed, 0, named, problem(errBroken)),
			[]string{"lint: the newest evidence does not count: broken"},
		},
		{
			requires("scan"), tested("scan", intoto.Passed, 0, func(e *attest.Evidence) { e.VerifiedBy = attest.Identity{} }),
			[]string{"scan: the newest evidence does not count: nobody vouches for it"},
		},
		{inBuild("init"), attest.Evidence{Image: other}, []string{"nothing tells of the required test init in a build of the image that counts"}},
		{inBuild("a|b"), attest.Evidence{Image: other}, []string{"nothing tells of any of the required tests a or b in a build of the image that counts"}},
	} {
		var got []string
		for _, n := range judged(t, tt.policy, []attest.Evidence{tt.evidence}).Violations {
			got = append(got, n.Msg)
			if readable := tt.evidence.Statement != nil; readable != (len(n.Evidence) == 1 && n.Evidence[0].Manifest == tt.evidence.Manifest.String()) {
				t.Errorf("%s: from %v", n.Msg, n.Evidence)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Error(diff)
		}
	}
}
