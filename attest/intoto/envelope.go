package intoto

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/testdag/testdag/attest/internal/fault"
)

// EnvelopeType is the media type of a signed statement: a DSSE envelope.
const EnvelopeType = "application/vnd.dsse.envelope.v1+json"

// A Signer signs statements.
//
// A Signer that is a verifier too, and believes itself, lets a writer find a statement that it has written before,
// so that writing again leaves one.
type Signer interface {
	// Sign returns a DSSE envelope, as JSON, around payload.
	Sign(ctx context.Context, payloadType string, payload []byte) (envelope []byte, err error)
}

// A BundleSigner is a Signer that can wrap what it signs in a sigstore bundle.
type BundleSigner interface {
	Signer
	// SignBundle returns a sigstore bundle v0.3, as JSON, around a DSSE envelope around payload.
	SignBundle(ctx context.Context, payloadType string, payload []byte) (bundle []byte, err error)
}

// Envelope returns the DSSE envelope in what is stored with a media type.
func Envelope(mediaType string, b []byte, limits Limits) ([]byte, error) {
	switch {
	case mediaType == PayloadType:
		return nil, errors.New("attest: nobody signed the statement; it counts only by a provenance, see ByProvenance")
	case mediaType == EnvelopeType:
		return b, nil
	case isBundle(mediaType):
		return openBundle(b, limits)
	}
	return nil, fmt.Errorf("attest: media type %q is not that of a signed statement", mediaType)
}

// isBundle reports whether a media type is one of those that sigstore bundles have had:
// "application/vnd.dev.sigstore.bundle.v0.3+json".
func isBundle(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.dev.sigstore.bundle")
}

// isInToto reports whether a media type is one of in-toto's: "application/vnd.in-toto.vulns+dsse".
func isInToto(mediaType string) bool {
	return strings.HasPrefix(bare(mediaType), "application/vnd.in-toto")
}

// EncodingOf returns the form of a statement that a media type stands for: [EnvelopeType], [PayloadType], or the type itself
// if it is a bundle's, or one of in-toto's that is not read here. It is empty for what holds no statement.
func EncodingOf(mediaType string) string {
	media := bare(mediaType)
	switch {
	case media == EnvelopeType, isInToto(media) && strings.HasSuffix(media, "+dsse"):
		return EnvelopeType
	case isInToto(media) && strings.HasSuffix(media, "+json"):
		return PayloadType
	case isInToto(media), isBundle(media):
		return media
	}
	return ""
}

// bare returns a media type in lower case and without parameters.
func bare(mediaType string) string {
	media, _, _ := strings.Cut(strings.ToLower(mediaType), ";")
	return strings.TrimSpace(media)
}

// ErrNoStatement is wrapped for what is signed but is no statement: a bundle that signs the image itself, an SBOM.
var ErrNoStatement = errors.New("attest: no statement")

func openBundle(b []byte, limits Limits) ([]byte, error) {
	var bundle struct {
		Envelope json.RawMessage `json:"dsseEnvelope"`
		Message  json.RawMessage `json:"messageSignature"`
	}
	if err := fault.Decode(b, &bundle, limits); err != nil {
		return nil, fault.Wrap("bundle", err)
	}
	switch {
	case bundle.Envelope != nil:
		return bundle.Envelope, nil
	case bundle.Message != nil:
		return nil, fmt.Errorf("%w: the bundle signs a message", ErrNoStatement)
	}
	return nil, &FieldError{Field: "dsseEnvelope", Problem: "required"}
}

// Payload returns the statement in what is stored with a media type, unverified. It wraps [ErrNoStatement] if what is
// signed is no statement; it returns a [*FieldError] if the payload type or the base64 is not to the letter, and a
// [*LimitError] for more than that many signatures.
func Payload(mediaType string, b []byte, limits Limits, signatures int) ([]byte, error) {
	if mediaType == PayloadType {
		return b, nil
	}
	envelope, err := Envelope(mediaType, b, limits)
	if err != nil {
		return nil, err
	}
	return open(envelope, limits, signatures)
}

func open(b []byte, limits Limits, signatures int) ([]byte, error) {
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     string `json:"payload"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   string `json:"sig"`
		} `json:"signatures"`
	}
	if err := fault.Decode(b, &e, limits); err != nil {
		return nil, fault.Wrap("envelope", err)
	}
	if err := checkPayloadType(e.PayloadType); err != nil {
		return nil, err
	}
	if len(e.Signatures) > signatures {
		return nil, &LimitError{What: "signatures", Limit: int64(signatures), Got: int64(len(e.Signatures))}
	}
	if strings.ContainsAny(e.Payload, "\r\n") {
		return nil, &FieldError{Field: "payload", Problem: "not standard base64"}
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return nil, &FieldError{Field: "payload", Problem: "not standard base64"}
	}
	return payload, nil
}

// checkPayloadType refuses what cannot be read as a statement. What may be one all the same, to another reader, is not
// ErrNoStatement.
func checkPayloadType(payloadType string) error {
	switch {
	case payloadType == PayloadType:
		return nil
	case payloadType == "":
		return &FieldError{Field: "payloadType", Problem: "required"}
	case isInToto(payloadType):
		return &FieldError{Field: "payloadType", Problem: fmt.Sprintf("%q is not %q", payloadType, PayloadType)}
	}
	return fmt.Errorf("%w: payloadType is %q", ErrNoStatement, payloadType)
}
