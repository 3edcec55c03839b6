// Command checks runs every check of this repository; .ci/run starts it.
//
//	.ci/run        # everything
//	.ci/run gate   # the quick part: tests, format, vet, staticcheck, the race detector, the quickstart
//
// A check is a step of the table in steps.go. It has one or more parts: packages, fuzz targets, systems.
//
// # Taking over
//
// A part that passed is not run again while everything it depends on is the same. A key stands for that: a hash of
//
//   - the content of the files that the part reads: of its packages, of all packages of this repository that those import, of
//     their testdata, of the folders that its tests read beside, and of go.mod and go.sum
//   - the commands and the variables that they are given
//   - the Go version, its settings, and the programs that the part starts
//   - the corpus, for parts that read it
//
// Files count by content, never by time, so a new clone has the keys of the old one, and a change that is not committed has a
// key of its own. A file belongs to the nearest package folder above it: testdata, embedded files and manifests change the
// key of their package. A key is recorded if it is still the same after the part passed.
//
// Keys are kept for 30 days in the folder testdag-checks of the user's cache. With TESTDAG_FRESH=1 every part runs.
//
// # Time
//
// Each step has a budget on an empty machine with two processors, builds included; the sum of them is at most an hour. A
// step that is sampled spends its budget and leaves the rest of its parts, or of its table, out. The content of the repository
// chooses the sample, so that another commit tries others. If steps before it took longer than planned, a sampled step gets
// less, but never less than a fifth of its budget. After 85 minutes the run is ended.
package main
