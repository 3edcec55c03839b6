package scan

import (
	"hash/maphash"
	"strings"
	"unicode/utf8"
)

// recent remembers texts that came before. Most of what a report says of one finding it says of others too: a severity,
// the name of a database, the version of a package. Such text is in memory once. It holds as many texts as it has places.
type recent struct {
	seed   maphash.Seed
	places [512]struct {
		text  string
		boxed any // text, or nil before somebody asks for it
	}
}

// mostRecalled is how long a text can be to be remembered: a title fits.
const mostRecalled = 300

func newRecent() *recent { return &recent{seed: maphash.MakeSeed()} }

// text returns b as text.
func (r *recent) text(b []byte) string {
	if len(b) > mostRecalled {
		return string(b)
	}
	p := &r.places[maphash.Bytes(r.seed, b)%uint64(len(r.places))]
	if p.text != string(b) {
		p.text, p.boxed = string(b), nil
	}
	return p.text
}

// boxed returns s as annotations have it.
func (r *recent) boxed(s string) any {
	if len(s) > mostRecalled {
		return s
	}
	p := &r.places[maphash.String(r.seed, s)%uint64(len(r.places))]
	if p.text != s {
		p.text, p.boxed = s, nil
	}
	if p.boxed == nil {
		p.boxed = s
	}
	return p.boxed
}

// lower returns a word in lower case.
func (r *recent) lower(word string) string {
	var room [32]byte
	lower := append(room[:0], word...)
	for i, c := range lower {
		if c >= utf8.RuneSelf {
			return strings.ToLower(word)
		}
		if 'A' <= c && c <= 'Z' {
			lower[i] = c - 'A' + 'a'
		}
	}
	return r.text(lower)
}

// cut takes a list with room for n from a long one. What is made of many short lists is made at once.
func cut[T any](from *[]T, n int) []T {
	if len(*from) < n {
		*from = make([]T, max(n, 1024))
	}
	list := (*from)[:0:n]
	*from = (*from)[n:]
	return list
}
