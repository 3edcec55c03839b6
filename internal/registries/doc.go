// Package registries holds tests of what attest promises, against registries that people run: go-containerregistry's own
// with and without the referrers API, Debian's docker-registry, and CNCF distribution. It is a module of its own, so that
// a registry's dependencies never reach users of the library.
//
//	go -C internal/registries test -v .                                     # statements lost, beside stock cosign
//	go -C internal/registries test -run '^$' -bench Newest -timeout 30m .   # the cost of reading, beside stock cosign
//
// # What is tested
//
// Sixteen writers write to one image at once, again and again. What each was told is written must be found in the record,
// with every view hidden from the reader, and stock cosign must verify it in the image's .att tag. The same with a delay
// in each request, and with writers that are processes and get killed at random moments: then what they said must be
// there, and one more writer must bring the .att tag up to the record. At last the registries that collect garbage
// delete everything untagged, and nothing of ours may be gone.
//
// The commands of examples run as a pipeline runs them, on each registry behind TLS and a password and over plain HTTP:
// attest-report leaves what a scanner found, and gate lets the image go on or stops it. Without credentials, and with a
// certificate that nobody trusts, both say so and do nothing.
//
// Each way to find the newest statements, of attest and of stock cosign, gives the same answer and needs as many requests
// as the README says.
//
// Commands of other projects copy an image with its evidence, and a reader at a new copy never takes an old pass for
// the newest. The documentation of attest shows the same table of commands and answers as the test.
//
// Stock cosign's own way, to append to .att, is tried beside it on the same registries. How much of it is left is
// reported, and nothing is asked of it.
//
// # What it needs
//
// Distribution, crane, cosign, oras and regctl are built from their modules, which takes minutes the first time: cosign
// in the module of internal/interop, oras and regctl at the versions that the files in pins fix. The docker-registry
// command comes from Debian's package of that name and must be in PATH. Without it the tests that need it are skipped,
// unless TESTDAG_REQUIRE_REGISTRIES is 1: then they fail.
//
// The commands are built while the tests run, which go test does not see: after a change to one of them alone it repeats
// what it remembers, unless it is told -count=1.
package registries
