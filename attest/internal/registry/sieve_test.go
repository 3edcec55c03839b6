package registry

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/testdag/testdag/attest/intoto"
)

// A layer that is read again after its body broke off is paid for once.
func TestLayerReadAgainIsPaidOnce(t *testing.T) {
	body := []byte(`{"predicateType":"` + intoto.TestResultType + `","predicate":{}}`)
	b := &budget{limit: int64(len(body))}
	s := &sieve{
		layer: Describe(body, intoto.PayloadType), form: intoto.PayloadType, wanted: intoto.IsEvidence,
		limits: DefaultLimits, budget: b,
	}
	broken := io.MultiReader(bytes.NewReader(body[:len(body)-1]), iotest.ErrReader(io.ErrUnexpectedEOF))
	if err := s.read(broken); !errors.As(err, new(*brokenError)) {
		t.Errorf("got %v", err)
	}
	if err := s.read(bytes.NewReader(body)); err != nil || !bytes.Equal(s.kept, body) || b.spent.Load() != int64(len(body)) {
		t.Errorf("%v: kept %d bytes, paid for %d, of %d", err, len(s.kept), b.spent.Load(), len(body))
	}
}
