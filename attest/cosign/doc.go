// Package cosign signs statements with keys, and verifies what was signed with keys or by identities, as cosign does.
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
// # Keys
//
// A private key is PEM, encrypted as cosign does it or plain ([LoadSigner]), anything that signs ([NewSigner]), or in a
// key management service ([LoadKMS]). The hash is that of sigstore's registry of algorithms. The CLI hashes with SHA-256
// unless told otherwise, so it needs --signature-digest-algorithm sha384 for a key on P-384, and sha512 on P-521.
//
// [LoadVerifier] believes whatever cosign has signed with a key: with the hash of the registry or with SHA-256, and with
// Ed25519 over the message or over its hash, which is what cosign attest does and cosign verify-attestation refuses.
//
// # Bundles
//
// Every signer is an [intoto.BundleSigner], so [intoto.EncodingBundle] works with all of them. The CLI accepts such a bundle
// with --new-bundle-format, the public key, and a trusted root that may be empty:
//
//	echo '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}' >root.json
//	cosign verify-attestation --new-bundle-format --trusted-root root.json --key cosign.pub --insecure-ignore-tlog=true --type URI IMAGE
//
// # Identities
//
// [LoadIdentityVerifier] believes whoever signed with a short-lived certificate of Fulcio for one of the identities that
// it is given, by a sigstore trusted root that it is given too. It believes several identities at once, and a regular
// expression must match the whole of a subject or issuer; cosign's match any part.
//
// # Guarantees
//
// Keys, envelopes, certificates, log entries, timestamps and claims are checked by the code of cosign and sigstore-go,
// over statements that are already in memory. A statement must name the image among its subjects. Nothing here opens a
// connection, but for LoadKMS and what it returns.
//
// A key says who signed, not when: the transparency log is not asked, so --insecure-ignore-tlog is needed with the CLI,
// and of a sigstore bundle and of annotations the envelope counts alone. An identity does not count without a time that
// somebody else vouches for.
//
// # What it leaves out
//
// Signing by identity, which needs Fulcio and a log. Entering a log with a key. Fetching a trusted root. The claims that
// a certificate of Fulcio makes beyond subject and issuer.
package cosign
