package attest

import (
	"bytes"
	"context"
	"errors"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// A Verifier says who vouches for a statement.
type Verifier interface {
	// Verify returns the payload that is vouched for, and who vouches, which must have a Kind. Any error means that nobody
	// does. It must be safe for concurrent use, and must bind the statement to c.Image as its own rules demand.
	Verify(ctx context.Context, c Candidate) (payload []byte, by Identity, err error)
}

// A Identity is who vouches for a statement.
type Identity struct {
	Kind string // how: "key", "identity", "provenance"
	Name string // who: for a key the SHA-256 of its DER form, in hex; for an identity subject and issuer, for a provenance who signed that
}

// A Candidate is a statement as found at an image, before anybody vouched for it.
type Candidate struct {
	Image       name.Digest       // image whose statements are read
	Manifest    v1.Hash           // manifest that holds the statement
	MediaType   string            // of Bytes: intoto.EnvelopeType, a bundle's, or intoto.PayloadType for what nobody signed
	Bytes       []byte            // as stored; their digest has been checked
	Annotations map[string]string // of the layer, as the pusher wrote them

	decoded    []byte             // what Payload returns, if it was read before
	provenance []signedProvenance // what is attached to Manifest, if the verifier wants to know
	doubts     []error            // why some of that does not count
}

// Payload returns the statement inside, unverified. Selection and verification both stand on this one strict reading of
// the envelope: keys given twice or in another case, a payload type other than [intoto.PayloadType] and any base64 but
// the standard one are refused.
func (c Candidate) Payload() ([]byte, error) { return c.payload(registry.DefaultLimits) }

// Envelope returns the DSSE envelope around the statement: Bytes themselves, or what a sigstore bundle holds. A
// statement that nobody signed has none, which is an error.
func (c Candidate) Envelope() ([]byte, error) {
	return intoto.Envelope(c.MediaType, c.Bytes, registry.JSON(registry.DefaultLimits))
}

func (c Candidate) payload(limits Limits) ([]byte, error) {
	if c.decoded != nil {
		return c.decoded, nil
	}
	payload, err := intoto.Payload(c.MediaType, c.Bytes, registry.JSON(limits), limits.Signatures)
	if err != nil {
		return nil, err
	}
	if got := int64(len(payload)); got > limits.StatementBytes {
		return nil, &intoto.LimitError{What: "statement bytes", Limit: limits.StatementBytes, Got: got}
	}
	return payload, nil
}

// verify asks v who vouches for c, and makes sure that it vouches for the very payload that was looked at.
func verify(ctx context.Context, v Verifier, c Candidate, payload []byte) (Identity, error) {
	got, by, err := v.Verify(ctx, c)
	if err != nil {
		return Identity{}, err
	}
	if !bytes.Equal(got, payload) {
		return Identity{}, errors.New("the verifier vouches for another payload")
	}
	if by.Kind == "" {
		return Identity{}, errors.New("the verifier does not say how it knows who vouches")
	}
	return by, nil
}
