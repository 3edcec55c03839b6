package checkpoint

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/intoto"
)

// A Store remembers the newest evidence that was ever seen of each test at an image. A reader that has one
// notices when that is gone: the newest of what is left is then older. It must be kept where those who may delete
// evidence cannot write.
//
// A mark belongs to the digest of an image, the predicate type and the name of a test. The repository is no part of
// that: a copy of the image in another repository keeps the marks of the original.
//
// Implementations are safe for concurrent use, by several processes too: a Mark that Advance has taken is never lost to
// another. [Dir] and [Repository] are two.
type Store interface {
	// Seen returns the highest mark of the test at the image, the zero Mark if there is none.
	Seen(ctx context.Context, image name.Digest, test intoto.Test) (Mark, error)

	// Advance keeps the mark, unless a higher one is kept. Of equal times it keeps the statements of both.
	Advance(ctx context.Context, image name.Digest, test intoto.Test, m Mark) error
}

// A Mark is the newest that was seen of one test. A [Store] keeps all of its fields; one that drops Referrers only
// does not notice that the referrers API is gone.
type Mark struct {
	Time       time.Time // of the statements
	Statements []v1.Hash // SHA-256 of each payload that was newest at that time, in ascending order
	Referrers  bool      // the registry had the referrers API, then or before
}

// IsZero reports whether nothing was seen.
func (m Mark) IsZero() bool { return m.Time.IsZero() }

// Merge returns the higher of two marks, and of equal times the statements of both. Referrers is set if either has it.
// Merge is commutative, associative and idempotent, so marks can be gathered in any order.
func (m Mark) Merge(other Mark) Mark {
	referrers := m.Referrers || other.Referrers
	switch c := m.Time.Compare(other.Time); {
	case c < 0:
		m = other
	case c == 0:
		m.Statements = slices.Concat(m.Statements, other.Statements)
		slices.SortFunc(m.Statements, compareHash)
		m.Statements = slices.Compact(m.Statements)
	}
	m.Referrers = referrers
	return m
}

// Equal reports whether both marks are of the same instant and hold the same.
func (m Mark) Equal(other Mark) bool {
	return m.Time.Equal(other.Time) && slices.Equal(m.Statements, other.Statements) && m.Referrers == other.Referrers
}

// compareHash orders hashes as text.
func compareHash(a, b v1.Hash) int { return cmp.Compare(a.String(), b.String()) }

// Without returns the mark without those statements. Which lists there were is no matter of them.
func (m Mark) Without(ignored []v1.Hash) Mark {
	isIgnored := func(s v1.Hash) bool { return slices.Contains(ignored, s) }
	if !slices.ContainsFunc(m.Statements, isIgnored) {
		return m
	}
	left := slices.DeleteFunc(slices.Clone(m.Statements), isIgnored)
	if len(left) == 0 {
		return Mark{Referrers: m.Referrers}
	}
	return Mark{Time: m.Time, Statements: left, Referrers: m.Referrers}
}

// markKey names a test at an image, in words that are the same for ever, and the SHA-256 of them in hex. The name of
// the repository is not among them, so that a mirror of the image keeps its memory.
func markKey(image name.Digest, test intoto.Test) (text, hex string) {
	return markKeyOf(image.DigestStr(), test)
}

// oldMarkKey is markKey as releases spelled it that put the repository's name before the digest. Nothing is written
// under it any more; marks under it are read beside the others.
func oldMarkKey(image name.Digest, test intoto.Test) (text, hex string) {
	return markKeyOf(image.Name(), test)
}

func markKeyOf(image string, test intoto.Test) (text, hex string) {
	text = fmt.Sprintf("%s\n%s\n%s\n", image, test.PredicateType, test.Name)
	return text, fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
}
