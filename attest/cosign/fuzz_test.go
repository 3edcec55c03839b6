package cosign_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
)

// splice puts text in the place of cut bytes at some place. Each process that fuzzes has keys of its own, so what it
// fuzzes is a change of what these keys have signed.
func splice(b []byte, at, cut uint16, text []byte) []byte {
	from := min(int(at), len(b))
	return slices.Concat(b[:from], text, b[min(from+int(cut), len(b)):])
}

// everyByte cuts all of what is spliced.
const everyByte = 1<<16 - 1

// Whatever is pushed, in a bundle or in a layer with annotations, the answer is an error, or the very statement that was
// signed.
func FuzzVerifyIdentity(f *testing.F) {
	w := newWorld(f)
	a := w.now()
	a.timestamp, a.inCTLog = true, true
	d := w.do(a)
	verifiers := []attest.Verifier{w.verifier(trust{log: true, time: true, ct: true}), w.verifier(trust{time: true})}
	inBundle, inLayer := w.inBundle(d), w.inLayer(d)
	w.nonsense(&d)
	all := []attest.Candidate{inBundle, inLayer, w.inBundle(d), w.inLayer(d)}
	parts := []string{
		"", // the bytes
		"dev.sigstore.cosign/certificate", "dev.sigstore.cosign/bundle", "dev.sigstore.cosign/rfc3161timestamp",
	}

	for which := range all {
		for part, key := range parts {
			f.Add(uint8(which), uint8(part), uint16(0), uint16(0), []byte(nil))
			f.Add(uint8(which), uint8(part), uint16(0), uint16(everyByte), []byte("{}"))
			f.Add(uint8(which), uint8(part), uint16(0), uint16(everyByte), []byte(all[which].Annotations[key]))
		}
	}
	f.Add(uint8(0), uint8(0), uint16(0), uint16(everyByte), inBundle.Bytes)
	f.Add(uint8(1), uint8(0), uint16(0), uint16(everyByte), inLayer.Bytes)
	f.Fuzz(func(t *testing.T, which, part uint8, at, cut uint16, text []byte) {
		c := all[int(which)%len(all)]
		if key := parts[int(part)%len(parts)]; key == "" {
			c.Bytes = splice(c.Bytes, at, cut, text)
		} else {
			c.Annotations = maps.Clone(c.Annotations)
			if c.Annotations == nil {
				c.Annotations = map[string]string{}
			}
			c.Annotations[key] = string(splice([]byte(c.Annotations[key]), at, cut, text))
		}
		for _, v := range verifiers {
			payload, by, err := v.Verify(context.Background(), c)
			if err != nil && (payload != nil || by != (attest.Identity{})) {
				t.Errorf("got %q by %v beside %v", payload, by, err)
			}
			if err == nil && !bytes.Equal(payload, statement(imageHex)) {
				t.Errorf("believed %q by %v", payload, by)
			}
		}
	})
}

// Whatever a trusted root holds, it is refused, or there is a Verifier, which does not panic either.
func FuzzTrustedRoot(f *testing.F) {
	w := newWorld(f)
	a := w.now()
	a.timestamp, a.inCTLog = true, true
	d := w.do(a)
	found := []attest.Candidate{w.inBundle(d), w.inLayer(d)}
	good := w.trustedRoot(trust{log: true, time: true, ct: true})

	f.Add(uint16(0), uint16(0), []byte(nil))
	var parsed any
	w.check(json.Unmarshal(good, &parsed))
	for _, poorer := range without(parsed) {
		f.Add(uint16(0), uint16(everyByte), []byte(w.encode(poorer)))
	}
	f.Fuzz(func(t *testing.T, at, cut uint16, text []byte) {
		v, err := cosign.LoadIdentityVerifier(splice(good, at, cut, text), cosign.Identity{Subject: subject, Issuer: issuer})
		if (err == nil) == (v == nil) {
			t.Fatalf("got %v, %v", v, err)
		}
		if err != nil {
			return
		}
		for _, c := range found {
			if payload, _, err := v.Verify(context.Background(), c); err == nil && !bytes.Equal(payload, statement(imageHex)) {
				t.Errorf("believed %q", payload)
			}
		}
	})
}

// without returns a JSON value as it is with one part less: a key, or all that is in a list or object, at any depth.
func without(value any) []any {
	switch value := value.(type) {
	case map[string]any:
		all := []any{object{}}
		for key, part := range value {
			left := maps.Clone(value)
			delete(left, key)
			all = append(all, left)
			for _, poorer := range without(part) {
				left := maps.Clone(value)
				left[key] = poorer
				all = append(all, left)
			}
		}
		return all
	case []any:
		all := []any{[]any{}}
		for i, part := range value {
			for _, poorer := range without(part) {
				left := slices.Clone(value)
				left[i] = poorer
				all = append(all, left)
			}
		}
		return all
	case string:
		return []any{""}
	}
	return nil
}
