package intoto

import "github.com/google/go-containerregistry/pkg/v1/types"

// A Form is how a writer stores a statement. A reader reads all of them.
type Encoding string

const (
	// EncodingEnvelope is a signed DSSE envelope. Its record's artifact type is that of a statement, and cosign's .att tag
	// shows it.
	EncodingEnvelope Encoding = ""

	// EncodingStatement is the statement alone, signed by nobody. It counts for nothing until somebody else vouches for its
	// record, as Tekton Chains does with a provenance, see attest.ByProvenance. Conforma reads this form. cosign's .att
	// tag only names it, in an annotation, as it does a bundle.
	EncodingStatement Encoding = "statement"

	// EncodingBundle is a sigstore bundle, for which the [Signer] must be a [BundleSigner]. Beware: where one bundle refers to
	// an image, cosign and Conforma read bundles only, and no longer look at its .att tag.
	EncodingBundle Encoding = "bundle"
)

// BundleType is the media type of a sigstore bundle, of the version that is written.
const BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Valid reports whether f is one of the three forms.
func (f Encoding) Valid() bool {
	return f == EncodingEnvelope || f == EncodingStatement || f == EncodingBundle
}

// MediaType returns that of the layer.
func (f Encoding) MediaType() types.MediaType {
	switch f {
	case EncodingStatement:
		return PayloadType
	case EncodingBundle:
		return BundleType
	}
	return EnvelopeType
}

// ArtifactType returns that of the record, by which readers filter.
func (f Encoding) ArtifactType() string {
	if f == EncodingBundle {
		return BundleType
	}
	return PayloadType
}
