package attest

import (
	"context"
	"strings"
	"testing"

	"github.com/testdag/testdag/attest/intoto"
)

func TestEnvelopeIsReadOnceAndStrictly(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"good", `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"keyid":"","sig":"AA=="}]}`, ""},
		{"more fields", `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"AA==","cert":"x"}],"x":1}`, ""},
		{"payload type", `{"payloadType":"application/json","payload":"e30="}`, "payloadType"},
		{"no payload type", `{"payload":"e30="}`, "payloadType"},
		{"payload twice", `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","payload":"e31="}`, "given twice"},
		{"payload in another case", `{"payloadType":"application/vnd.in-toto+json","Payload":"e30="}`, "in case only"},
		{"payload is a number", `{"payload":5}`, "cannot unmarshal number"},
		{"URL alphabet", `{"payloadType":"application/vnd.in-toto+json","payload":"__4="}`, "not standard base64"},
		{"no padding", `{"payloadType":"application/vnd.in-toto+json","payload":"e30"}`, "not standard base64"},
		{"line break", `{"payloadType":"application/vnd.in-toto+json","payload":"e3\n0="}`, "not standard base64"},
		{"stray bits", `{"payloadType":"application/vnd.in-toto+json","payload":"e31="}`, "not standard base64"},
		{"many signatures", `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[` + strings.Repeat("{},", 32) + `{}]}`, "signatures: 33 is over the limit of 32"},
		{"as many signatures as may be", `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[` + strings.Repeat("{},", 31) + `{}]}`, ""},
		{"truncated", `{"payloadType":"application/vnd.in-toto+json","pay`, "unexpected EOF"},
		{"empty", ``, "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Candidate{MediaType: intoto.EnvelopeType, Bytes: []byte(tt.in)}.Payload()
			if tt.want == "" && (err != nil || string(got) != "{}") {
				t.Errorf("got %q, %v", got, err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPayloadOfOtherMediaTypes(t *testing.T) {
	if got, err := (Candidate{MediaType: intoto.PayloadType, Bytes: []byte("{}")}).Payload(); err != nil || string(got) != "{}" {
		t.Errorf("an unsigned statement is its own payload, got %q, %v", got, err)
	}
	if _, err := (Candidate{MediaType: "application/json", Bytes: []byte("{}")}).Payload(); err == nil {
		t.Error("another media type was read")
	}
}

type otherPayload struct{ Verifier }

func (o otherPayload) Verify(ctx context.Context, c Candidate) ([]byte, Identity, error) {
	payload, by, err := o.Verifier.Verify(ctx, c)
	return append(payload, ' '), by, err
}

// "What is handed on are the payload bytes that the verifier returned, and these must equal what selection was made on."
func TestVerifierMustVouchForWhatWasSelected(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Passed, 0))
	e := w.mustNewest(otherPayload{k}, testResultOf("scan"))
	wantProblem(t, Unverified, e.Problem)
	if e.VerifiedBy != (Identity{}) {
		t.Errorf("vouched for by %v", e.VerifiedBy)
	}
}
