package cosign

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/strictjson"
)

// annotationLimits bound what is in an annotation. The longest has eight values.
var annotationLimits = strictjson.Limits{Depth: 4, Values: 32}

// maxProofs bounds the log entries of a bundle, and its timestamps. A layer has at most one of each. Every one is parsed,
// and some of them are verified, before it is known that any counts.
const maxProofs = 32

// open returns a candidate as sigstore verifies it, and what to verify it with. Cosign's own check of a layer is not
// used: it panics over a timestamp that does not verify, and over a log entry without a body.
func open(material root.TrustedMaterial, c attest.Candidate) (root.TrustedMaterial, verify.SignedEntity, error) {
	switch c.MediaType {
	case intoto.PayloadType:
		return nil, nil, errors.New("a statement that nobody signed")
	case intoto.EnvelopeType:
		l, err := newLayer(c)
		if err != nil {
			return nil, nil, err
		}
		return overEnvelope{material, c.Bytes}, l, nil
	}
	b, err := openBundle(c.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("bundle: %w", err)
	}
	return material, b, nil
}

func openBundle(stored []byte) (*bundle.Bundle, error) {
	b := new(protobundle.Bundle)
	if err := protojson.Unmarshal(stored, b); err != nil {
		return nil, err
	}
	material := b.GetVerificationMaterial()
	if n := len(material.GetTlogEntries()); n > maxProofs {
		return nil, &intoto.LimitError{What: "log entries", Limit: maxProofs, Got: int64(n)}
	}
	if n := len(material.GetTimestampVerificationData().GetRfc3161Timestamps()); n > maxProofs {
		return nil, &intoto.LimitError{What: "timestamps", Limit: maxProofs, Got: int64(n)}
	}
	return bundle.NewBundle(b)
}

// A layer is an envelope with what cosign attest writes into the annotations beside it.
type layer struct {
	certificate *bundle.Certificate
	envelope    *bundle.Envelope
	entries     []*tlog.Entry
	timestamps  [][]byte
}

func newLayer(c attest.Candidate) (*layer, error) {
	l := &layer{envelope: &bundle.Envelope{Envelope: new(dsse.Envelope)}}
	if err := json.Unmarshal(c.Bytes, l.envelope.Envelope); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		annotation string
		read       func(string) error
	}{
		{static.CertificateAnnotationKey, l.readCertificate},
		{static.BundleAnnotationKey, l.readEntry},
		{static.RFC3161TimestampAnnotationKey, l.readTimestamp},
	} {
		text, ok := c.Annotations[part.annotation]
		if !ok {
			continue
		}
		if err := part.read(text); err != nil {
			return nil, &intoto.FieldError{Field: part.annotation, Problem: err.Error()}
		}
	}
	if l.certificate == nil {
		return nil, &intoto.FieldError{Field: static.CertificateAnnotationKey, Problem: "required: it is not signed by identity"}
	}
	return l, nil
}

func (l *layer) readCertificate(text string) error {
	certs, err := cryptoutils.UnmarshalCertificatesFromPEM([]byte(text))
	if err != nil {
		return err
	}
	if len(certs) != 1 {
		return fmt.Errorf("one certificate is required, there are %d", len(certs))
	}
	l.certificate = bundle.NewCertificate(certs[0])
	return nil
}

func (l *layer) readEntry(text string) error {
	var in struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           string `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
	if err := strictjson.Decode([]byte(text), &in, annotationLimits); err != nil {
		return err
	}
	body, err := base64.StdEncoding.DecodeString(in.Payload.Body)
	if err != nil {
		return err
	}
	log, err := hex.DecodeString(in.Payload.LogID)
	if err != nil {
		return err
	}
	//lint:ignore SA1019 it reads entries of the first Rekor only, and there are no others here
	entry, err := tlog.NewEntry(body, in.Payload.IntegratedTime, in.Payload.LogIndex, log, in.SignedEntryTimestamp, nil)
	if err != nil {
		return err
	}
	l.entries = []*tlog.Entry{entry}
	return nil
}

func (l *layer) readTimestamp(text string) error {
	var in struct{ SignedRFC3161Timestamp []byte }
	if err := strictjson.Decode([]byte(text), &in, annotationLimits); err != nil {
		return err
	}
	if len(in.SignedRFC3161Timestamp) == 0 {
		return errors.New("no timestamp")
	}
	l.timestamps = [][]byte{in.SignedRFC3161Timestamp}
	return nil
}

// What follows is [verify.SignedEntity].

func (l *layer) HasInclusionPromise() bool                                { return len(l.entries) > 0 }
func (l *layer) HasInclusionProof() bool                                  { return false }
func (l *layer) Timestamps() ([][]byte, error)                            { return l.timestamps, nil }
func (l *layer) TlogEntries() ([]*tlog.Entry, error)                      { return l.entries, nil }
func (l *layer) SignatureContent() (verify.SignatureContent, error)       { return l.envelope, nil }
func (l *layer) VerificationContent() (verify.VerificationContent, error) { return l.certificate, nil }

// Version is that of the oldest bundles. With it signatures count that hash with SHA-256 whatever the key, as cosign's do.
func (l *layer) Version() (string, error) { return "v0.1", nil }

// overEnvelope is trusted material for a layer: its timestamp is over the envelope as stored, that of a bundle over the
// signature alone.
type overEnvelope struct {
	root.TrustedMaterial
	envelope []byte
}

func (o overEnvelope) TimestampingAuthorities() []root.TimestampingAuthority {
	var all []root.TimestampingAuthority
	for _, a := range o.TrustedMaterial.TimestampingAuthorities() {
		all = append(all, envelopeAuthority{a, o.envelope})
	}
	return all
}

type envelopeAuthority struct {
	root.TimestampingAuthority
	envelope []byte
}

func (a envelopeAuthority) Verify(timestamp, _ []byte) (*root.Timestamp, error) {
	return a.TimestampingAuthority.Verify(timestamp, a.envelope)
}
