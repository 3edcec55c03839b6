// Package policy judges an image by the newest evidence about it: whether all tests that it must pass are there, and
// passed.
//
//	p, err := policy.Parse(file)
//	if err != nil {
//		return err // every mistake, by line
//	}
//	release, err := p.GateAll(ctx, resolver, []policy.Image{{Digest: image}}, time.Now())
//	if err != nil {
//		return err // which image could not be judged, and why
//	}
//	if !release.Success {
//		return report.Write(os.Stdout, report.Table, release)
//	}
//
// [Policy.GateAll] calls [Policy.Gate] for each image. That asks the resolver and then [Policy.Judge], which is a pure
// function: it reads no registry, no file and no clock. [ParseImages] reads the images of a release, and package
// attest/policy/report writes what is decided. Program examples/gate is all of it.
//
// # The file
//
//	required_in_build:                      # also read: required-tasks
//	  - effective_on: 2026-01-01T00:00:00Z  # or a date; without it: from ever
//	    tasks: [git-clone, init, [buildah, buildah-oci-ta]]
//	required:                               # also read: required-test-tasks
//	  - tasks: [clair-scan, clamav-scan]
//	  - effective_on: 2027-01-15
//	    tasks: [clair-scan, clamav-scan, [sast-snyk-check, sast-coverity-check]]
//	strict: false
//	vulnerabilities:
//	  with_fix: {deny: [critical, high], warn: [unknown]}
//	  without_fix: {deny: [], warn: [critical, high, unknown]}
//	  leeway_days: {high: 14}
//	  exceptions:
//	    - {id: CVE-2021-44228, package: log4j-core, expires_on: 2026-12-31, reason: lookups are off}
//	trust:                                  # see attest.Trust
//	  builders: ["https://tekton.dev/chains/v2"]
//	  tasks:
//	    - {pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-*"}
//	    - {pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-old:*", deny: true, effective_on: 2026-06-01}
//
// # Required tasks
//
// A list has entries, each in force from an instant on in place of those before it. What the entry in force names and the
// last one does not is no longer enforced; what only the last one names warns, and its new alternatives are enough already. A list of names within the list is of
// alternatives: one that passes is enough.
//
// Tasks of required_in_build must be in the newest build of the image, by its provenance alone: evidence that an
// integration run left never meets them. Of two builds of the same instant both must have the task, but the provenance of a
// pipeline goes before that of single tasks.
//
// Tasks of required are met by a build or by evidence about the image, and the newest decides: a test that was moved from
// the build to an integration run, while another build still ran it, counts as it ended last. Of the same instant both
// count. Strict demands that both pass.
//
// # Evidence
//
// Of each test, and each type of predicate that tells of it, the newest counts, and all of those made at the same
// instant. Older evidence is never a fallback: if the newest failed, is malformed, or nobody vouches for it, the test has
// not passed. Evidence without a time may be the newest. A test-result does not count beside newer vulns of the same test: a
// scan that could not tell is answered by one that could. Vulns are answered by newer vulns alone.
//
// A statement of a version that is not read, and one whose name is not allowed and looks like that of a required test,
// blocks it like any other evidence that does not count. A test whose name differs from a required one only by letters of
// another script that look the same is another test, and a warning.
//
// A test-result passes if it is PASSED, and with a warning if it is WARNED; FAILED, SKIPPED and ERROR deny. Vulns are
// judged by each finding.
//
// A task of a build passes if it succeeded, or, where the provenance does not say how it ended, as that of a single TaskRun,
// if its TEST_OUTPUT says so, and its results do not say otherwise, as Konflux' tasks give them: TEST_OUTPUT is a test
// result, where failures deny and warnings warn whatever the result says; SCAN_OUTPUT counts vulnerabilities by level, with
// and without a fix; IMAGES_PROCESSED, if there, must list the image.
//
// # Vulnerabilities
//
// The level of a finding is the worst word that its severities hold, and only if there is none, that of the worst CVSS
// score. Words of others are read as ours: important and error as high, moderate and warning as medium, negligible, note,
// minor and none as low, and what nobody knows as unknown. Whether there is a fix is told by the annotation
// attest.FindingFix; without it a fix is assumed. A finding that would be denied only warns for as many days after
// attest.FindingPublished as its level has leeway; one without that date has none. An exception allows a finding by its id or one of attest.FindingAliases, until it expires, in every package
// or in the one that it gives: by its name, as the scanner spells it (org.apache.logging.log4j:log4j-core), or by its package
// URL, which may leave out the version and what stands behind it.
//
// # What it leaves out
//
// Whether evidence can be believed is decided before, by package attest: a policy takes Evidence.Problem and Build.Problem
// at their word. Provenance that is no build's, since it cannot be read or its signer, its builder or one of its tasks is not
// trusted, is passed over with a warning: anybody who may push or run a task can put some there. Whether newer evidence was
// deleted is told in each [Source] and demanded by [attest.Resolver.Expecting]; what is missing or gone denies, whatever else
// there is.
package policy
