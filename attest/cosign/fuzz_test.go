package cosign_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
)

// Whatever is pushed, in a bundle or in a layer with annotations, the answer is an error, or the very statement that was
// signed.
func FuzzVerifyIdentity(f *testing.F) {
	w := newWorld(f)
	a := w.now()
	a.timestamp, a.inCTLog = true, true
	d := w.do(a)
	verifiers := []attest.Verifier{w.verifier(trust{log: true, time: true, ct: true}), w.verifier(trust{time: true})}

	f.Add(w.inBundle(d).Bytes, "", "", "")
	l := w.inLayer(d)
	cert, entry, stamp := "dev.sigstore.cosign/certificate", "dev.sigstore.cosign/bundle", "dev.sigstore.cosign/rfc3161timestamp"
	f.Add(l.Bytes, l.Annotations[cert], l.Annotations[entry], l.Annotations[stamp])
	w.nonsense(&d)
	f.Add(w.inBundle(d).Bytes, "", "", "")
	f.Add(l.Bytes, l.Annotations[cert], w.inLayer(d).Annotations[entry], "")
	f.Fuzz(func(t *testing.T, stored []byte, certText, entryText, stampText string) {
		c := attest.Candidate{Image: image(t), MediaType: attest.EnvelopeType, Bytes: stored, Annotations: map[string]string{}}
		for key, text := range map[string]string{cert: certText, entry: entryText, stamp: stampText} {
			if text != "" {
				c.Annotations[key] = text
			}
		}
		if len(c.Annotations) == 0 {
			c.MediaType = attest.BundleType
		}
		for _, v := range verifiers {
			payload, by, err := v.Verify(context.Background(), c)
			if err != nil && (payload != nil || by != (attest.Voucher{})) {
				t.Errorf("got %q by %v beside %v", payload, by, err)
			}
			if err == nil && !bytes.Equal(payload, statement(imageHex)) {
				t.Errorf("believed %q by %v", payload, by)
			}
		}
	})
}

// Whatever a trusted root holds, it is refused, or there is a Verifier with which even what it should believe does not
// panic.
func FuzzTrustedRoot(f *testing.F) {
	w := newWorld(f)
	a := w.now()
	a.timestamp, a.inCTLog = true, true
	d := w.do(a)
	found := []attest.Candidate{w.inBundle(d), w.inLayer(d)}
	for _, names := range []trust{everything, {log: true, time: true, ct: true}, {time: true}} {
		f.Add(w.trustedRoot(names))
	}
	f.Fuzz(func(t *testing.T, trustedRoot []byte) {
		v, err := cosign.LoadIdentityVerifier(trustedRoot, cosign.Identity{Subject: subject, Issuer: issuer})
		if (err == nil) == (v == nil) {
			t.Fatalf("got %v, %v", v, err)
		}
		for _, c := range found {
			if v == nil {
				continue
			}
			if payload, _, err := v.Verify(context.Background(), c); err == nil && !bytes.Equal(payload, statement(imageHex)) {
				t.Errorf("believed %q", payload)
			}
		}
	})
}
