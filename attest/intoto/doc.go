// Package intoto holds the formats in which a test says of an image how it ended: in-toto statements, their predicates,
// and the envelopes around them. It reads and writes bytes, and asks nothing and nobody.
//
// # From a result to bytes
//
// A [Statement] says something, its predicate, about subjects. Two predicates are evidence of a test: [Vulns], what a
// scanner found, and [TestResult], how a test ended. Both are a [Predicate], and name the [Test] that they are of. A
// [Signer] wraps the bytes of a statement in a DSSE envelope, a [BundleSigner] in a sigstore bundle, and a [Encoding] says
// which of these is stored.
//
// # From bytes to a result
//
// Each step reads strictly, once, and within limits: [Payload] takes the statement out of what is stored,
// [ParseStatement] decodes it, and [ReadPredicate] decodes what it says. A key that is given twice, or in another case,
// is refused everywhere, since two readers would see two statements. Fields that are not known are ignored, as in-toto
// demands.
//
// The functions that take [Limits] are for a reader that bounds what it reads, as attest.Limits does. [ParseStatement] needs
// none, and neither does a verifier, since attest.Candidate has both readings.
//
// [OuterType] tells the predicate type of a statement of any size while it passes by, so that an SBOM beside the
// evidence is never held. [Family] tells of which known predicate a type is a version or another spelling: a statement
// of a version that is not read here may be the newest of its test, and must not be taken for another kind.
//
// # Mistakes
//
// A [FieldError] names one mistake, a [LimitError] a limit that was reached. Several come joined.
//
// Formats: in-toto attestation framework, Statement v1, Vulnerabilities v0.2 and Test Result v0.1, with the fields that
// Konflux adds to the last; DSSE v1; sigstore bundle v0.3. What is written outlives a release, and golden tests pin it.
package intoto
