// Package attest writes what tests found about container images beside the images, signed, and finds the newest of it.
//
// A few names do most of it: [NewWriter] and [Writer.Write] store an [intoto.TestResult] or [intoto.Vulns];
// [NewResolver] and [Resolver.Newest] return the newest [Evidence].
//
//	record, err := attest.NewWriter(signer, attest.Options{}).Write(ctx, image, "clamav-scan", intoto.TestResult{
//		Result:    intoto.Passed,
//		Timestamp: finished,
//	})
//
//	evidence, err := attest.NewResolver(verifier, attest.Options{}).Newest(ctx, image,
//		intoto.Test{Name: "clamav-scan", PredicateType: intoto.TestResultType})
//	if err = errors.Join(err, evidence.Err()); err != nil {
//		return err // nothing there, or it must not be believed
//	}
//	if evidence.Result != intoto.Passed {
//		// not passed
//	}
//
// Signers and verifiers that use cosign's keys and identities are in attest/cosign, with an example that runs. This
// package does not import cosign.
//
// # Packages below
//
// This package writes, finds and weighs evidence. It uses packages of its own, none of which imports this one:
//
//   - attest/intoto: the formats, statements, predicates and envelopes. No I/O.
//   - attest/provenance: the SLSA provenance that Tekton Chains signs, and whom to trust. No I/O.
//   - attest/checkpoint: the memory of what was seen, in a directory or a repository.
//   - attest/internal/referrers: the records of one image and the lists that lead to them.
//   - attest/internal/registry: bounded requests to a registry.
//
// # Writing
//
// An [intoto.Statement] says of an image, known by its digest, what an [intoto.Predicate] holds: [intoto.Vulns] what a
// scanner found, [intoto.TestResult] how a test ended. Each statement becomes one immutable OCI manifest with a layer
// that holds it in a form ([intoto.Encoding]), and with the image as its subject: its [Record]. No two writers touch the
// same object, so none loses what another wrote. pipelinerun.WriteArtifact points Tekton Chains to a record, by the
// name of its Repository and its Digest.
//
// Each record is in two lists before Write reports it, since APIs are switched off, cached and mirrored, and tags are
// rewritten:
//
//   - In a registry with the referrers API: that, and the fallback index under the tag sha256-<image>.
//   - In a registry without it: a tag of the record's own, and the fallback index.
//   - If the tag of the index is taken (cosign copy puts the image there), or the registry does not let it be
//     rewritten: a tag of the record's own in place of the index. The same with Options.WithoutViews, which writes none
//     of the tags that writers share. Without the referrers API that tag is then the only list besides cosign's tag,
//     and with WithoutViews the only one.
//
// What many writers share is only derived from the records: the fallback index, and cosign's tag sha256-<image>.att,
// which cosign verify-attestation reads. Records are authoritative. Each Write adds to the shared tags every record
// that they lack, its own or not. Then it lists the records again, until there is none that the shared tags lack, so of
// writers that undo each other the last one sees it. [Writer.Repair] does only that. cosign's tag can show signed
// envelopes alone, so it names the other records in an annotation, [AnnotationNotShown]. If there is nothing to show
// yet it has no layers, which cosign reads as no attestation, just as if there was no tag.
//
// # Reading
//
// A [Resolver] takes the union of all lists: the referrers API with every page, the fallback index, cosign's tag with
// the records that it names, and the tags of single records. [Evidence.Sources] says which of them answered. A registry
// that answers 400, 404, 405, 406 or 501 for referrers has no such API, and the others are the lists. The Resolver then
// drops what is not about the image, groups by [intoto.Test], takes the newest, and only then asks the [Verifier] about
// that one.
//
// It looks for tags of records behind a name, and believes only an answer that is in byte order and holds the tags
// which must be in it. Other registries are asked for all their tags, in each call. So:
//
//   - Older evidence is never a fallback, unless Options.UnsafeIgnoreStatements names what is newer. A newest
//     statement that failed, is malformed, or that nobody vouches for, blocks.
//   - What is there and cannot be read blocks too, since it may be the newest. So does a statement from the future.
//   - A statement of a version of a predicate that this release does not read blocks the test that it names, or every
//     test of its type if it names none. So does a record that says it is of a test and holds no form that is read.
//   - A test has one spelling, see [intoto.Test]. A statement whose name has another counts for the test that it looks like,
//     and blocks it if it is the newest. Names in letters of another script are other tests, listed in
//     [Evidence.Alike].
//   - What a list names and the registry lacks blocks: this copy of the evidence is incomplete, or something was
//     deleted.
//   - What could not be listed, to the last page, is an error. An empty answer means that everything was read and
//     nothing was there.
//   - Times are compared as instants. Of several statements of the same instant the worst counts.
//   - Annotations save requests and decide nothing else, see [Resolver.Newest]. Media types that a registry serves
//     things as decide nothing at all.
//   - Bytes are checked against their digests, and tags of records against what they name. Each envelope and statement
//     is decoded once, strictly.
//   - A statement of a predicate of another family, such as an SBOM, blocks nothing: only its predicate type is read,
//     strictly, and its bytes are checked against their digest and not kept, see ForeignBytes of [Limits].
//   - Reading is bounded in bytes, values, number, depth and time, see [Limits], and ends when the context does.
//
// # Who vouches
//
// A [Verifier] says who stands behind a statement: the holder of a key or an identity that signed it, or, with
// [ByProvenance], the builder that ran the task which made it. Tekton Chains signs a SLSA provenance whose subject is
// the manifest of a record, and [provenance.Trust] says which builders and which definitions of tasks are good for
// that. A signed provenance also tells when the statement was made, and a trusted one of which test it is, with a
// better word than the statement's own: what that says is then only reported, as [Evidence.Declared].
//
// # What deletion can do
//
// Whoever may add to the repository can block a test, but cannot make it pass. Whoever may delete from it can: that the
// newest failure is gone cannot be seen in what is left. A tag that is moved or overwritten is as good as deleted: that
// the tag of a record was moved is seen, but what other tools wrote, and only the fallback index or cosign's tag leads
// to, is gone with it. About what there is the registry itself is believed.
//
// Two things outside the repository help, and [Evidence.Completeness] says whether they did. [Expect] names runs that
// are known to be over, as [ExpectRuns] makes it from what a scheduler knows, so that evidence which is missing is
// seen, also if it was never written. A [checkpoint.Store] remembers the newest that was ever seen, so that its
// deletion is, and that the registry had the referrers API, so that a registry or copy without it is told ([ListGone]).
// Both go by digest, so they serve a copy of the image in another repository too.
//
// To delete a record on purpose, delete each list that leads to it too: the tag of its own, the tag of the fallback
// index and cosign's tag. Then call [Writer.Repair], which builds the shared tags anew from the records that are left.
// Otherwise the record is still listed and cannot be read, and blocks every test of the image.
//
// # Copies
//
// A copy of an image can lack evidence as if it was deleted. This is the answer at the copy if a signed envelope says
// that a test passed, and a newer record, in one of the forms, says that it failed:
//
//	command                                      envelope   bundle     statement  provenance again
//	cosign copy                                  found      blocked    blocked    no         old pass
//	cosign copy -f                               found      blocked    blocked    no         the same
//	crane copy                                   nothing    nothing    nothing    no         the same
//	crane copy -a                                found      found      found      yes        the same
//	crane copy -a -n                             found      found      found      yes        old pass
//	oras cp                                      nothing    nothing    nothing    no         the same
//	oras cp -r                                   found      found      found      no         the same
//	regctl image copy                            nothing    nothing    nothing    no         the same
//	regctl image copy --referrers                found      found      found      no         the same
//	regctl image copy --digest-tags              found      found      found      yes        the same
//	regctl image copy --digest-tags --referrers  found      found      found      yes        the same
//
// The commands are cosign 2.6.5, crane 0.22.1, oras 1.3.6 and regctl 0.11.7, between registries with and without the
// referrers API.
//
//   - found: the newer record is the answer.
//   - blocked: cosign's tag names a record that was not copied, so the copy is seen to be incomplete.
//   - nothing: the image alone was copied, and [Resolver.Newest] says [ErrNotFound].
//   - provenance: whether the provenance of a record is copied too. Chains stores it under cosign's tag of the record.
//     Without it, evidence that counts only [ByProvenance] blocks.
//   - again: the answer if an earlier copy, made before the failure, is already there. "Old pass": the command leaves
//     tags that exist. cosign copy then ends with an error. crane copy -a -n does not, and the answer is wrong only if
//     the source has the referrers API.
//
// So crane copy -a and regctl image copy --digest-tags are safe, and oras cp -r and regctl image copy --referrers are
// if no evidence needs a provenance. Run the same command for each copy, and treat its error as a failure: a copy of
// the image alone leaves older evidence at the target as it is, and no reader sees that.
//
// cosign's tag alone can deceive if it names less than there is. That happens in three cases:
//
//   - A record was written with Options.WithoutViews.
//   - Tags are immutable.
//   - cosign attest --replace has replaced every layer of the tag. It drops the layers of one predicate type, and the
//     annotations of the manifest. The names are also in a layer of each other type, so they are lost only if there is
//     none, and then older evidence of that type is gone from the tag too: a copy of the tag has the new attestation
//     alone.
//
// The next Write, or [Writer.Repair], enters the names again. cosign attest without that flag keeps them.
//
// # What stays
//
// Manifests, tags, annotations, predicates and marks outlive a release: what one version writes later ones read. The
// formats are pinned by tests.
//
// # What it leaves out
//
// Whether vulnerabilities are bad enough to stop a release is for a policy to say. Without provenance the time is that
// of the predicate, so it is as good as the signer's word. The time that a transparency log or a timestamp authority
// gives is no clock here. A registry that lists a tag and can never serve it blocks the image until the tag is gone,
// since it may have been the newest failure.
package attest
