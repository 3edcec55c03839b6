package cosign

import (
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore-go/pkg/bundle"
)

// No input is known that the strict reading and sigstore's take for two statements. If there is one, it is refused.
func TestStatementThatIsReadInTwoWays(t *testing.T) {
	l := &layer{envelope: &bundle.Envelope{Envelope: &dsse.Envelope{Payload: "e30=", Signatures: []dsse.Signature{{Sig: "c2ln"}}}}}
	if err := sameStatement(l, []byte("{}")); err != nil {
		t.Error(err)
	}
	if err := sameStatement(l, []byte("{ }")); err == nil || !strings.Contains(err.Error(), "in two ways") {
		t.Errorf("got %v", err)
	}
}
