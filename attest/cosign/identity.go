package cosign

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// An Identity is somebody who signs with short-lived certificates instead of a key: a person or a machine that an OpenID
// Connect issuer vouched for when Fulcio made the certificate. Subject and issuer are both needed, each either exactly
// or as a regular expression, which must match the whole.
type Identity struct {
	Subject       string // subject alternative name: "ci@example.com", "https://github.com/acme/app/.github/workflows/scan.yml@refs/heads/main"
	SubjectRegexp string // instead of Subject
	Issuer        string // "https://token.actions.githubusercontent.com"
	IssuerRegexp  string // instead of Issuer
}

// LoadIdentityVerifier returns a Verifier that believes what was signed with a certificate of one of the identities. All
// trust comes from a sigstore trusted root, as JSON (application/vnd.dev.sigstore.trustedroot+json;version=0.1): nothing
// is asked over the network, and nothing is fetched that the root lacks. What it names is demanded:
//
//   - The certificate is issued by one of its certificate authorities, and is in one of its certificate transparency
//     logs if it names any.
//   - The signature is in one of its transparency logs if it names any.
//   - There is a trusted time, from an entry of a transparency log or from a timestamp authority, and every one there is
//     lies within the validity of the certificate. Whether the certificate is valid now says nothing.
//
// The statement comes as a sigstore bundle, or as an envelope with annotations as cosign attest puts on a layer of the
// .att tag: the certificate, the log entry and the timestamp. Such an entry must hold the signature, as those of the kinds
// dsse and intoto 0.0.2 do, and the chain in the annotations is not looked at. A statement with fields that in-toto
// does not know beside the predicate is refused. So is a bundle with more than 32 log entries or 32 timestamps, with an
// [intoto.LimitError]. An [intoto.FieldError] names the annotation that cannot be read, or lacks the certificate.
//
// Mistakes in the arguments are reported all at once, each as an [intoto.FieldError].
func LoadIdentityVerifier(trustedRoot []byte, identities ...Identity) (attest.Verifier, error) {
	material, rootErr := loadRoot(trustedRoot)
	wanted, err := policies(identities)
	if err := errors.Join(rootErr, err); err != nil {
		return nil, err
	}
	return &identityVerifier{root: material, demands: demands(material), wanted: wanted}, nil
}

func loadRoot(trustedRoot []byte) (root.TrustedMaterial, error) {
	material, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		return nil, &intoto.FieldError{Field: "trustedRoot", Problem: err.Error()}
	}
	var errs []error
	if len(material.FulcioCertificateAuthorities()) == 0 {
		errs = append(errs, &intoto.FieldError{Field: "trustedRoot.certificateAuthorities", Problem: "required"})
	}
	if len(material.RekorLogs())+len(material.TimestampingAuthorities()) == 0 {
		errs = append(errs, &intoto.FieldError{Field: "trustedRoot.tlogs", Problem: "required where there are no timestampAuthorities"})
	}
	return material, errors.Join(errs...)
}

// demands are what a trusted root makes it possible to ask for.
func demands(material root.TrustedMaterial) []verify.VerifierOption {
	all := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if len(material.RekorLogs()) > 0 {
		all = append(all, verify.WithTransparencyLog(1))
	}
	if len(material.CTLogs()) > 0 {
		all = append(all, verify.WithSignedCertificateTimestamps(1))
	}
	return all
}

func policies(identities []Identity) ([]verify.PolicyOption, error) {
	if len(identities) == 0 {
		return nil, &intoto.FieldError{Field: "identities", Problem: "at least one is required"}
	}
	var all []verify.PolicyOption
	var errs []error
	for i, id := range identities {
		field := fmt.Sprintf("identities[%d].", i)
		subject, subjectErr := pattern(field+"subject", id.Subject, id.SubjectRegexp)
		issuer, issuerErr := pattern(field+"issuer", id.Issuer, id.IssuerRegexp)
		if err := errors.Join(subjectErr, issuerErr); err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, verify.WithCertificateIdentity(verify.CertificateIdentity{
			SubjectAlternativeName: verify.SubjectAlternativeNameMatcher{Regexp: *subject},
			Issuer:                 verify.IssuerMatcher{Regexp: *issuer},
			Extensions:             certificate.Extensions{},
		}))
	}
	return all, errors.Join(errs...)
}

// pattern returns what matches the whole of a text: exactly, or with a regular expression.
func pattern(field, exact, expr string) (*regexp.Regexp, error) {
	switch {
	case exact == "" && expr == "":
		return nil, &intoto.FieldError{Field: field, Problem: "required, or a regular expression in its place"}
	case exact != "" && expr != "":
		return nil, &intoto.FieldError{Field: field, Problem: "given twice, exactly and as a regular expression"}
	case exact != "":
		expr = regexp.QuoteMeta(exact)
	}
	// By itself first: "a)|(b" is none, and would be one within parentheses.
	if _, err := regexp.Compile(expr); err != nil {
		return nil, &intoto.FieldError{Field: field + "Regexp", Problem: err.Error()}
	}
	whole, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return nil, &intoto.FieldError{Field: field + "Regexp", Problem: err.Error()}
	}
	return whole, nil
}

type identityVerifier struct {
	root    root.TrustedMaterial
	demands []verify.VerifierOption
	wanted  []verify.PolicyOption
}

// Verify has sigstore check certificate, log, time, signature and identity, and that the image is a subject.
func (v *identityVerifier) Verify(ctx context.Context, c attest.Candidate) ([]byte, attest.Identity, error) {
	if err := ctx.Err(); err != nil {
		return nil, attest.Identity{}, err
	}
	// The strict reading comes first, and what sigstore verifies must be the same.
	payload, err := c.Payload()
	if err != nil {
		return nil, attest.Identity{}, err
	}
	by, err := v.vouch(c, payload)
	if err != nil {
		return nil, attest.Identity{}, err
	}
	return payload, by, nil
}

// verifyOne turns a panic into an error. What it reads was written by anybody and goes through many decoders, and
// sigstore-go's do panic: over an entry of a trusted log whose verifier is not PEM, for one.
func (v *identityVerifier) vouch(c attest.Candidate, payload []byte) (by attest.Identity, err error) {
	defer func() {
		if r := recover(); r != nil {
			by, err = attest.Identity{}, fmt.Errorf("attest: verify identity: panic: %v", r)
		}
	}()
	material, entity, err := open(v.root, c)
	if err != nil {
		return attest.Identity{}, err
	}
	if err := sameStatement(entity, payload); err != nil {
		return attest.Identity{}, err
	}
	return v.check(material, entity, c)
}

// sameStatement refuses an entity whose statement is not payload, or has no signature to look for. Without one the log
// entry of anything would do, and sigstore-go panics over kinds of entry that have no signature either.
func sameStatement(entity verify.SignedEntity, payload []byte) error {
	content, err := entity.SignatureContent()
	if err != nil {
		return err
	}
	envelope := content.EnvelopeContent()
	if envelope == nil {
		return errors.New("no envelope")
	}
	got, err := envelope.RawEnvelope().DecodeB64Payload()
	if err != nil {
		return err
	}
	if !bytes.Equal(got, payload) {
		return errors.New("the envelope can be read in two ways")
	}
	if n := len(envelope.RawEnvelope().Signatures); n != 1 {
		return fmt.Errorf("one signature is required, there are %d", n)
	}
	if len(content.Signature()) == 0 {
		return errors.New("the signature is empty, or no base64")
	}
	return nil
}

func (v *identityVerifier) check(material root.TrustedMaterial, entity verify.SignedEntity, c attest.Candidate) (attest.Identity, error) {
	image, err := v1.NewHash(c.Image.DigestStr())
	if err != nil {
		return attest.Identity{}, err
	}
	digest, err := hex.DecodeString(image.Hex)
	if err != nil {
		return attest.Identity{}, err
	}
	verifier, err := verify.NewVerifier(material, v.demands...)
	if err != nil {
		return attest.Identity{}, err
	}
	result, err := verifier.Verify(entity, verify.NewPolicy(verify.WithArtifactDigest(image.Algorithm, digest), v.wanted...))
	if err != nil {
		return attest.Identity{}, err
	}
	signer := result.Signature.Certificate
	return attest.Identity{Kind: "identity", Name: fmt.Sprintf("%s (%s)", signer.SubjectAlternativeName, signer.Issuer)}, nil
}
