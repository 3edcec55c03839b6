package registry

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
)

// ErrForeign is wrapped for a statement of a predicate type that is not asked for. Its predicate has not been parsed.
var ErrForeign = errors.New("attest: a statement of another kind")

// undecided is how much of a layer is kept as long as its predicate type is not known.
const undecided = 256 << 10

// Sift returns what a layer holds if its predicate type is wanted, or if it cannot be told: a strict reader then says
// why. It wraps [ErrForeign] if the type is another one. Of such a layer nothing is kept, and it may be larger than one
// that is wanted: an SBOM beside the evidence.
func (r *Repository) Sift(ctx context.Context, d v1.Descriptor, form string, wanted func(string) bool) ([]byte, error) {
	if limit := r.Options.Limits.ForeignBytes; d.Size > limit {
		return nil, &fault.LimitError{What: whatForeign, Limit: limit, Got: d.Size}
	}
	s := &sieve{layer: d, form: form, wanted: wanted, limits: r.Options.Limits}
	if len(d.Data) > 0 {
		_ = s.read(bytes.NewReader(d.Data)) // memory does not fail
	} else if err := r.stream(ctx, s); err != nil {
		return nil, err
	}
	switch {
	case s.mismatch() != nil:
		return nil, s.mismatch()
	case s.err == nil && !wanted(s.predicateType):
		return nil, fmt.Errorf("%w: %q", ErrForeign, s.predicateType)
	case s.size == int64(len(s.kept)):
		return s.kept, nil
	case s.err != nil && s.size > s.limits.EnvelopeBytes:
		return nil, s.err
	}
	return r.Content(ctx, d)
}

// stream reads the blob of a layer through a sieve. The transport does not see where the body breaks off, since it
// cannot hold it, so a request is made again here.
func (r *Repository) stream(ctx context.Context, s *sieve) error {
	digest := s.layer.Digest.String()
	a := Request{Op: "read blob", Ref: digest, URL: r.URL("blobs/" + digest)}
	return r.during(ctx, a, func(ctx context.Context) error {
		ctx = context.WithValue(ctx, intakeKey{}, intake{})
		again := func(err error) bool { return errors.As(err, new(*brokenError)) }
		_, err := Retry(ctx, r.Options, again, func() (struct{}, error) {
			resp, err := r.answer(ctx, a)
			if err != nil {
				return struct{}{}, err
			}
			defer resp.Body.Close()
			s.budget = r.Budget
			return struct{}{}, s.read(resp.Body)
		})
		return err
	})
}

// A sieve reads a layer to its end, checks its digest, tells its predicate type, and keeps its bytes as long as they
// may be wanted.
type sieve struct {
	layer  v1.Descriptor
	form   string // of the layer, see intoto.EncodingOf
	wanted func(predicateType string) bool
	limits Limits
	budget *budget // pays for what is read; nil if that has been paid for

	predicateType string
	err           error // why the type cannot be told

	sum  hash.Hash
	size int64
	over error  // a limit on the call
	kept []byte // the begin of the layer
	most int64  // how much is kept; 0 once nothing is
}

// read reads from the begin. What was kept of a body that broke off is given back. An error is about the reader or the
// budget.
func (s *sieve) read(in io.Reader) error {
	if s.budget != nil {
		s.budget.spent.Add(-int64(len(s.kept)))
	}
	s.sum, s.size, s.kept, s.most = sha256.New(), 0, nil, min(undecided, s.limits.EnvelopeBytes)
	body := &tap{in: io.LimitReader(in, s.layer.Size+1), sieve: s}
	s.predicateType, s.err = intoto.OuterType(body, s.form, s.decide)
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	return s.over
}

// decide is called with the predicate type as soon as it is known.
func (s *sieve) decide(predicateType string) {
	switch {
	case s.most == 0:
	case s.wanted(predicateType):
		s.most = s.limits.EnvelopeBytes
	default:
		s.drop()
	}
}

// drop keeps nothing any more.
func (s *sieve) drop() {
	if s.budget != nil {
		s.budget.spent.Add(-int64(len(s.kept)))
		s.over = cmp.Or(s.over, s.budget.pass(len(s.kept), s.limits.TotalForeignBytes))
	}
	s.kept, s.most = nil, 0
}

// take takes the next bytes of the layer.
func (s *sieve) take(b []byte) error {
	s.sum.Write(b)
	s.size += int64(len(b))
	if s.size > s.most {
		s.drop()
	}
	if s.most > 0 {
		s.kept = append(s.kept, b...)
	}
	switch {
	case s.budget == nil:
		return nil
	case s.most > 0:
		return s.budget.spend(len(b))
	}
	return s.budget.pass(len(b), s.limits.TotalForeignBytes)
}

// mismatch says where the bytes are not those of the layer's descriptor.
func (s *sieve) mismatch() error {
	if s.size > s.layer.Size {
		return longer(s.layer)
	}
	return described(s.layer, v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(s.sum.Sum(nil))}, s.size)
}

// A tap reads from in and hands what it reads to a sieve. Its error stays.
type tap struct {
	in    io.Reader
	sieve *sieve
	err   error
}

func (t *tap) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.in.Read(p)
	if err != nil && err != io.EOF {
		err = &brokenError{err}
	}
	if over := t.sieve.take(p[:n]); over != nil {
		err = over
	}
	t.err = err
	return n, err
}
