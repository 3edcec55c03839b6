// Package registries holds tests of what attest promises, against registries that people run: go-containerregistry's
// own with and without the referrers API, Debian's docker-registry, and CNCF distribution. It is a module of its own,
// so that a registry's dependencies never reach users of the library.
//
//	go -C internal/registries test -v .                                     # statements lost, beside stock cosign
//	go -C internal/registries test -run '^$' -bench Newest -timeout 30m .   # the cost of reading, beside stock cosign
//
// # What is tested
//
// Sixteen writers write to one image at once, again and again. What each was told is written must be found in the
// record, with every view hidden from the reader, and stock cosign must verify it in the image's .att tag. The same
// with a delay in each request, and with writers that are processes and get killed at random moments: then what they
// said must be there, and one more writer must bring the .att tag up to the record. At last the registries that collect
// garbage delete everything untagged, and nothing of ours may be gone.
//
// The commands of examples run as a pipeline runs them, on each registry behind TLS and a password and over plain HTTP:
// attest-report leaves what a scanner found, and gate lets the image go on or stops it. Without credentials, and with a
// certificate that nobody trusts, both say so and do nothing.
//
// Each way to find the newest statements, of attest and of stock cosign, gives the same answer and needs as many
// requests as the README says.
//
// Commands of other projects copy an image with its evidence, and a reader at a new copy never takes an old pass for
// the newest. The documentation of attest shows the same table of commands and answers as the test.
//
// A write, and a reader of ten tests, make so many requests in a repository with many tags of other images. None of the
// registries has the referrers API. docker-registry ignores n and last and returns all tags at once. The shuffled one
// returns them in no order, so each list of its tags is read to the end.
//
//	registry                          tags  a write  bytes of tags  newest of 10  bytes of tags
//	docker-registry 2.8.2           10,000       15        453,802            15        453,802
//	                               100,100       15      4,530,828            15      4,530,828
//	distribution 3.1.2              10,000       15          8,161            15          8,161
//	                               100,100       15          8,162            15          8,162
//	go-containerregistry            10,000       15          8,160            15          8,160
//	                               100,100       15          8,161            15          8,161
//	go-containerregistry, shuffled  10,000       26        498,567            26        498,567
//	                               100,100      116      4,578,505           116      4,578,505
//
// The same was measured before attest sought tags, uploaded blobs itself, repeated requests whose answer breaks off,
// and read the predicate type of a statement first:
//
//	                                                 before                now
//	requests of a write among 10,000 tags               339                 15
//	requests for the newest of 10 tests among them      105                 15
//	a call among 100,100 tags                         fails  the same requests
//	failed of 64 writes, one body in ten broken          27                  0
//	failed of 160 reads, one body in ten broken          44                  0
//	tests that an SBOM of 12,000 packages blocks        all               none
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
// The commands are built while the tests run, which go test does not see: after a change to one of them alone it
// repeats what it remembers, unless it is told -count=1.
package registries
