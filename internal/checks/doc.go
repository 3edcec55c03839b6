// Command checks runs every check of this repository; .ci/run starts it.
//
//	.ci/run        # everything
//	.ci/run gate   # the quick part: tests, format, vet, staticcheck, the race detector, the quickstart
//	.ci/run fuzz   # one step, or several, by name
//
// A check is a step of the table in steps.go. It has one or more parts: packages, fuzz targets, slices of a table of
// breakages, systems. The first step that fails ends the run.
//
// # Taking over
//
// A part that passed is not run again while everything it depends on is the same. A key stands for that: a hash of
//
//   - the content of the files that the part reads: of its packages with their tests and testdata, of all packages of this
//     repository that those import or build, of the folders that its tests read beside, and of go.mod and go.sum
//   - the commands and the variables that they are given
//   - the Go version, its settings, and the variables of package rapid
//   - the programs that the table names for it: docker-registry, sh, cc
//   - the corpus, for parts whose tests mention it
//
// Files count by content, never by time, so a new clone has the keys of the old one, and a change that is not committed has a
// key of its own. A file belongs to the nearest package folder above it: testdata, embedded files and manifests change the
// key of their package. A key is kept if it is still the same after the part passed, with the time and how long it took.
//
// Keys are kept for 30 days in the folder testdag-checks of the user's cache. With TESTDAG_FRESH=1 every part runs.
//
// # Time
//
// Each step has a budget on an empty machine with two processors, builds included; the sum of them is at most an hour. The
// table at the end shows what each step used. A step that is sampled spends its budget and leaves the rest of its parts out.
// The content of the repository chooses the sample. The same content runs no further sample; each further commit spends a
// fifth of the budget on parts that were left out, until every part passed under its key.
//
// If the steps before a sampled one took longer than planned, it gets less, but never less than a fifth of its budget. After 85
// minutes the run is ended.
package main
