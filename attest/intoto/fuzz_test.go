package intoto

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/internal/strictjson"
)

// seed adds JSON of each kind that is read, and what is nearly that.
func seed(f *testing.F) {
	f.Helper()
	for _, s := range []string{
		`{}`, `[`, `null`, `{"layers":null}`, `{"manifests":[],"layers":[]}`,
		`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + attesttest.SomeHex + `"}}],"predicateType":"p","predicate":{}}`,
		`{"scanner":{"uri":"x","result":[{"severity":[null]}]},"configuration":[null]}`,
		`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"eA=="}]}`,
		`{"mediaType":"` + BundleType + `","dsseEnvelope":{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}}`,
		`{"messageSignature":{}}`,
		`{"artifactType":"application/vnd.in-toto+json","layers":[{"mediaType":"application/vnd.dsse.envelope.v1+json","digest":"sha256:` + attesttest.SomeHex + `","size":2,"data":"e30="}]}`,
		`{"manifests":[{"digest":"sha256:` + attesttest.SomeHex + `","annotations":{"predicateType":"p","io.github.testdag.test":"t","org.opencontainers.image.created":"2026-03-01T12:00:00Z"}}]}`,
		`{"name":"x","tags":["sha256-` + attesttest.SomeHex + `.att.0123"]}`, `{"tags":null}`,
	} {
		f.Add([]byte(s))
	}
	recordings, err := filepath.Glob("../provenance/testdata/*.json")
	if err != nil || len(recordings) == 0 {
		f.Fatal(recordings, err)
	}
	for _, path := range recordings {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// FuzzStatement reads bytes as each of the things that a signature may be over.
func FuzzStatement(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range readers {
			r := read(b, strictjson.Default)
			if r.Predicate == nil && r.Problem == nil {
				t.Errorf("neither predicate nor problem for %q", b)
			}
			if r.Problem == nil && (r.Test == "" && r.Predicate.PredicateType() == TestResultType || r.Time.IsZero()) {
				t.Errorf("no problem, and test %q at %s for %q", r.Test, r.Time, b)
			}
		}
		s, err := ParseStatement(b)
		if (s == nil) == (err == nil) {
			t.Errorf("statement %v and error %v", s, err)
		}
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseStatement(again); err != nil {
			t.Errorf("written again it is refused: %v (%s)", err, again)
		}
	})
}

// FuzzEnvelope reads bytes as envelope and as bundle. What is accepted has one payload, whoever decodes it.
func FuzzEnvelope(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, media := range []string{EnvelopeType, BundleType, PayloadType, ""} {
			payload, err := Payload(media, b, strictjson.Default, 32)
			if err != nil || media == PayloadType {
				continue
			}
			envelope, err := Envelope(media, b, strictjson.Default)
			if err != nil {
				t.Fatal(err)
			}
			var loose struct{ PayloadType, Payload string }
			if err := json.Unmarshal(envelope, &loose); err != nil {
				t.Fatal(err)
			}
			decoded, err := base64.StdEncoding.DecodeString(loose.Payload)
			if err != nil || !bytes.Equal(decoded, payload) || loose.PayloadType != PayloadType {
				t.Errorf("another reader sees %q of type %q, %v, we see %q", decoded, loose.PayloadType, err, payload)
			}
		}
	})
}

// FuzzOuterType reads bytes as a statement in each form. What is passed over is evidence to no strict reader.
func FuzzOuterType(f *testing.F) {
	seed(f)
	f.Add([]byte(`{"payloadType":"application\/vnd.in-toto+json","payload":"e3\u0030=","x":[{"\\\"":"]"},-1e9,true , null]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, form := range []string{PayloadType, EnvelopeType, BundleType} {
			got, gotErr := OuterType(bytes.NewReader(b), form, func(string) {})
			payload, err := Payload(form, b, strictjson.Default, 32)
			if err != nil {
				continue
			}
			s, err := ParseStatement(payload)
			if err == nil && (gotErr != nil || got != s.PredicateType) {
				t.Errorf("%s: got %q, %v, want %q", b, got, gotErr, s.PredicateType)
			}
		}
	})
}
