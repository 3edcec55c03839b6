// Package policy judges an image by the newest evidence about it: whether all tests that it must pass are there, and
// passed.
//
//	p, err := policy.Parse(file)
//	if err != nil {
//		return err // every mistake, with its line
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
//	  - tasks: [trivy-scan, clamav-scan]
//	  - effective_on: 2027-01-15
//	    tasks: [trivy-scan, clamav-scan, [sast-snyk-check, sast-coverity-check]]
//	strict: false
//	skipped: deny                           # or warn, allow
//	informative: [sast-coverity-check]      # its failures only warn
//	vulnerabilities:
//	  with_fix: {deny: [critical, high], warn: [unknown]}
//	  without_fix: {deny: [], warn: [critical, high, unknown]}
//	  leeway_days: {high: 14}
//	  max_db_age: 7d                        # of the scanner's database; without it: of any age
//	  incomplete: warn                      # or deny
//	waivers:
//	  - finding: CVE-2021-44228             # or task, or statement: sha256:...
//	    package: log4j-core                 # without it: in every package
//	    images: ["quay.io/shop/*"]          # digests, repositories, both; or components: [api]
//	    from: 2026-11-01                    # without it: from ever
//	    until: 2026-12-31
//	    who: ada@example.com
//	    why: lookups are off
//	trust:                                  # see provenance.Trust
//	  builders: ["https://tekton.dev/chains/v2"]
//	  tasks:
//	    - {pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-*"}
//	    - {pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-old:*", deny: true, effective_on: 2026-06-01}
//
// # Required tasks
//
// A list has entries, each in force from an instant on in place of those before it. What the entry in force names and the
// last one does not is no longer enforced; what only the last one names warns, and its new alternatives are enough
// already. A list of names within the list is of alternatives: one that passes is enough.
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
// scan that could not tell is answered by one that could. Vulns are answered by newer vulns alone. If one of several
// statements of a test denies, the report does not tell what another of them passed.
//
// A statement of a version that is not read, and one whose name is not allowed and looks like that of a required test,
// blocks it like any other evidence that does not count. A test whose name differs from a required one only by letters of
// another script that look the same is another test, and a warning.
//
// A test-result passes if it is PASSED, and with a warning if it is WARNED; FAILED and ERROR deny, and SKIPPED as the
// policy says. Vulns are judged by each finding.
//
// A task of a build passes if it succeeded, or, where the provenance does not say how it ended, as that of a single TaskRun,
// if its TEST_OUTPUT says so, and its results do not say otherwise, as Konflux' tasks give them: TEST_OUTPUT is a test
// result, where failures deny and warnings warn whatever the result says; SCAN_OUTPUT counts vulnerabilities by level, with
// and without a fix; IMAGES_PROCESSED, if there, must list the image.
//
// REPORTS names the report of a scan, by digest, for each image that it looked at. Policy.Gate reads it, and its findings are
// judged in place of the counts: that of the image, and if the image is an index those of all images that it lists. An index
// with a report of its own may lack those. Otherwise, if one of them is missing or cannot be read, the counts are judged,
// which no leeway and no waiver of a finding changes; without counts that denies. Reports of Clair are read.
//
// # Vulnerabilities
//
// The level of a finding is the worst word that its severities hold, and only if there is none, that of the worst CVSS
// score. Words of others are read as ours: important and error as high, moderate and warning as medium, negligible, note,
// minor and none as low, and what nobody knows as unknown. Whether there is a fix is told by the annotation
// intoto.FindingFix; without it a fix is assumed. A finding that would be denied only warns for as many days after
// intoto.FindingPublished as its level has leeway; one without that date has none.
//
// The vulnerability database may be as old as max_db_age when the scan ends, by the time that decides which evidence is the
// newest. It is not the age of today: an old scan with a database that was fresh then is a matter of attest.Options.MaxAge. A
// database without a time, or of a time after the scan, is of unknown age, which denies. Scans in a build
// do not tell it, which warns.
//
// A scan tells what it did not look at (intoto.Vulns.Unscanned), which denies, and why it may have missed something in
// the rest (intoto.Vulns.Incomplete), which warns. With incomplete both deny, or both warn.
//
// # Skipped and informative tests
//
// A required test that was skipped denies, since nothing is known. With skipped it only warns, or counts as passed.
//
// The failures of an informative test only warn: that it failed, was skipped or could not tell, what its scan found,
// and what that did not look at. If it is required it must be there all the same, and its evidence must count.
//
// Of alternatives one that was skipped, or failed and is informative, is enough alone, but not beside another that failed.
//
// # Waivers
//
// A waiver lets images pass although one thing speaks against them. It says which thing, for which images, until when,
// who answers for it, and why. What it meets moves from the violations and the warnings of a report to those that are
// waived.
//
//   - A waiver of a task waives everything about that task: that it is missing, that it failed, each finding of its
//     scan, and evidence about it that does not count, also if it is not verified.
//   - A waiver of a finding waives that alone, in scans of any task.
//   - A waiver of a statement passes over it, whatever it says; Policy.Gate asks the resolver to. It is the one way to
//     pass over evidence that may be of any task.
//
// Images are named by digest, by repository, by both, or by the component that the caller gives. A waiver is in force
// from an instant until before another. A date is its first instant in UTC. Three things are warned about, at images
// that the waiver is for: that it ends within 14 days, that it has ended, and that it meets nothing in any image
// of the release.
//
// Exceptions of vulnerabilities are another spelling of waivers, for every image and by the author of the policy:
//
//	vulnerabilities:
//	  exceptions:
//	    - {id: CVE-2021-44228, package: log4j-core, expires_on: 2026-12-31, reason: lookups are off}
//
// A package is named by its name, by its name without the group of Maven (log4j-core for
// org.apache.logging.log4j:log4j-core), or by its package URL, which may leave out the version and the qualifiers.
// A finding that names several packages is waived only without a package, since one of them is not all.
//
// # Rule data of Conforma
//
// required-tasks and required-test-tasks are read as other names of required_in_build and required. Parse refuses other
// fields of that data by name and says what to write: pipeline-required-tasks, since it has a list for each kind of
// pipeline and only a label of the build says which counts, so that one of them has to be copied; signing_identities,
// since who may sign is told to the verifier.
//
// # What it leaves out
//
// Whether evidence can be believed is decided before, by package attest: a policy takes Evidence.Problem and Build.Problem
// at their word. Provenance that is no build's, since it cannot be read or its signer, its builder or one of its tasks is not
// trusted, is passed over with a warning: anybody who may push or run a task can put some there. Whether newer evidence was
// deleted is told in each [Source] and demanded by [attest.Resolver.Expecting]; what is missing or gone denies, whatever else
// there is.
package policy
