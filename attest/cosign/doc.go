// Package cosign signs and verifies statements with cosign keys.
//
//	signer, err := cosign.LoadSigner(privatePEM, password)
//	verifier, err := cosign.LoadVerifier(publicPEM)
//	record, err := attest.NewWriter(signer, attest.Options{}).Write(ctx, image, "trivy-scan", predicate)
//	evidence, err := attest.NewResolver(verifier, attest.Options{}).Newest(ctx, image, test)
//
// What a Writer stores is accepted by cosign verify-attestation with the public key, and a Resolver finds what cosign
// attest stores. The CLI needs the whole predicate type, as in --type https://in-toto.io/attestation/vulns/v0.2; its
// short name vuln means another predicate.
//
// # Guarantees
//
// Keys, envelopes and claims are checked by cosign's own code, over statements that are already in memory. A statement
// must name the image among its subjects. Nothing here opens a connection.
//
// # What it leaves out
//
// The transparency log: a key says who signed, not when, so --insecure-ignore-tlog is needed with the CLI. Signing and
// verifying by identity, with certificates and the log, is not here yet. Of a sigstore bundle the envelope counts, and
// nothing else in it.
package cosign
