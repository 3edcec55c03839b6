package attest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/internal/strictjson"
)

// EnvelopeType is the media type of a signed statement: a DSSE envelope.
const EnvelopeType = "application/vnd.dsse.envelope.v1+json"

// A Signer signs statements.
//
// A Signer that is a [Verifier] too, and believes itself, lets a [Writer] find a statement that it has written before,
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

// A Verifier says who vouches for a statement.
type Verifier interface {
	// Verify returns the payload that is vouched for, and who vouches, which must have a Kind. Any error means that nobody
	// does. It must be safe for concurrent use, and must bind the statement to c.Image as its own rules demand.
	Verify(ctx context.Context, c Candidate) (payload []byte, by Voucher, err error)
}

// A Voucher is who vouches for a statement.
type Voucher struct {
	Kind string // how: "key", "identity", "provenance"
	Name string // who: for a key the SHA-256 of its DER form, in hex; for an identity subject and issuer, for a provenance who signed that
}

// A Candidate is a statement as found at an image, before anybody vouched for it.
type Candidate struct {
	Image       name.Digest       // image whose statements are read
	Manifest    v1.Hash           // manifest that holds the statement
	MediaType   string            // of Bytes: EnvelopeType, a bundle's, or PayloadType for what nobody signed
	Bytes       []byte            // as stored; their digest has been checked
	Annotations map[string]string // of the layer, as the pusher wrote them

	decoded    []byte             // what Payload returns, if it was read before
	provenance []signedProvenance // what is attached to Manifest, if the verifier wants to know
	doubts     []error            // why some of that does not count
}

// Payload returns the statement inside, unverified. Selection and verification both stand on this one strict reading of
// the envelope: keys given twice or in another case, a payload type other than [PayloadType] and any base64 but the
// standard one are refused.
func (c Candidate) Payload() ([]byte, error) { return c.payload(defaultLimits) }

// Envelope returns the DSSE envelope around the statement: Bytes themselves, or what a sigstore bundle holds. A
// statement that nobody signed has none, which is an error.
func (c Candidate) Envelope() ([]byte, error) { return c.envelope(defaultLimits.json()) }

func (c Candidate) payload(limits Limits) ([]byte, error) {
	if c.decoded != nil {
		return c.decoded, nil
	}
	payload := c.Bytes
	if c.MediaType != PayloadType {
		envelope, err := c.envelope(limits.json())
		if err != nil {
			return nil, err
		}
		if payload, err = openEnvelope(envelope, limits); err != nil {
			return nil, err
		}
	}
	if got := int64(len(payload)); got > limits.StatementBytes {
		return nil, &LimitError{What: "statement bytes", Limit: limits.StatementBytes, Got: got}
	}
	return payload, nil
}

func (c Candidate) envelope(limits strictjson.Limits) ([]byte, error) {
	switch {
	case c.MediaType == PayloadType:
		return nil, errors.New("attest: nobody signed the statement; it counts only by a provenance, see ByProvenance")
	case c.MediaType == EnvelopeType:
		return c.Bytes, nil
	case isBundle(c.MediaType):
		return openBundle(c.Bytes, limits)
	}
	return nil, fmt.Errorf("attest: media type %q is not that of a signed statement", c.MediaType)
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

// formOf returns the form of a statement that a media type stands for: [EnvelopeType], [PayloadType], or the type itself
// if it is a bundle's, or one of in-toto's that is not read here. It is empty for what holds no statement.
func formOf(mediaType string) string {
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

// errNoStatement is wrapped for what is signed but is no statement: a bundle that signs the image itself, an SBOM.
var errNoStatement = errors.New("attest: no statement")

func openBundle(b []byte, limits strictjson.Limits) ([]byte, error) {
	var bundle struct {
		Envelope json.RawMessage `json:"dsseEnvelope"`
		Message  json.RawMessage `json:"messageSignature"`
	}
	if err := decode(b, &bundle, limits); err != nil {
		return nil, wrap("bundle", err)
	}
	switch {
	case bundle.Envelope != nil:
		return bundle.Envelope, nil
	case bundle.Message != nil:
		return nil, fmt.Errorf("%w: the bundle signs a message", errNoStatement)
	}
	return nil, &FieldError{"dsseEnvelope", "required"}
}

func openEnvelope(b []byte, limits Limits) ([]byte, error) {
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     string `json:"payload"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   string `json:"sig"`
		} `json:"signatures"`
	}
	if err := decode(b, &e, limits.json()); err != nil {
		return nil, wrap("envelope", err)
	}
	if err := checkPayloadType(e.PayloadType); err != nil {
		return nil, err
	}
	if len(e.Signatures) > limits.Signatures {
		return nil, &LimitError{What: "signatures", Limit: int64(limits.Signatures), Got: int64(len(e.Signatures))}
	}
	if strings.ContainsAny(e.Payload, "\r\n") {
		return nil, &FieldError{"payload", "not standard base64"}
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return nil, &FieldError{"payload", "not standard base64"}
	}
	return payload, nil
}

// checkPayloadType refuses what cannot be read as a statement. What may be one all the same, to another reader, is not
// errNoStatement.
func checkPayloadType(payloadType string) error {
	switch {
	case payloadType == PayloadType:
		return nil
	case payloadType == "":
		return &FieldError{"payloadType", "required"}
	case isInToto(payloadType):
		return &FieldError{"payloadType", fmt.Sprintf("%q is not %q", payloadType, PayloadType)}
	}
	return fmt.Errorf("%w: payloadType is %q", errNoStatement, payloadType)
}

// verify asks v who vouches for c, and makes sure that it vouches for the very payload that was looked at.
func verify(ctx context.Context, v Verifier, c Candidate, payload []byte) (Voucher, error) {
	got, by, err := v.Verify(ctx, c)
	if err != nil {
		return Voucher{}, err
	}
	if !bytes.Equal(got, payload) {
		return Voucher{}, errors.New("the verifier vouches for another payload")
	}
	if by.Kind == "" {
		return Voucher{}, errors.New("the verifier does not say how it knows who vouches")
	}
	return by, nil
}
