// Package testname says which names a test may have, and which names look like one another.
//
// Two names that look the same to people must not be two tests: the failure of one would leave an older pass of the other
// the newest. So a name has one spelling ([Problem]), a name with another spelling counts for the test that it looks like
// ([Fold]), and names that differ by letters of another script can be pointed out ([Alike]).
package testname

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Max is how long a name may be, in bytes.
const Max = 512

// maxFolded is how much of a name Fold looks at, in bytes that show something. No name of at most Max bytes looks like one
// that has more.
const maxFolded = 64 << 10

// mostTold bounds how many code points of one name Problem tells of.
const mostTold = 5

// Problem says why a test must not have the name, with the code points of its first Max bytes and their places. It is empty
// if the name is good: UTF-8 of at most Max bytes, in NFC, of visible characters, without blanks around it and with no other
// blank than U+0020.
func Problem(name string) string {
	if name == "" {
		return "required"
	}
	var all []string
	if len(name) > Max {
		all = append(all, fmt.Sprintf("%d bytes are over the limit of %d", len(name), Max))
	}
	last := len(strings.TrimRightFunc(name, unicode.IsSpace))
	first := len(name) - len(strings.TrimLeftFunc(name, unicode.IsSpace))
	for at, r := range name {
		if at >= Max || len(all) == mostTold {
			break
		}
		why := refusal(r)
		if why == "" && (at < first || at >= last) {
			why = "is a blank around the name"
		}
		if why != "" {
			all = append(all, fmt.Sprintf("%U at byte %d %s", r, at, why))
		}
	}
	if len(all) == 0 && !norm.NFC.IsNormalString(name) {
		at := denormal(name)
		r, _ := utf8.DecodeRuneInString(name[at:])
		all = append(all, fmt.Sprintf("%U at byte %d is not in NFC", r, at))
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("%+.40q: %s; names are printable text in NFC", name, strings.Join(all, ", "))
}

// unseen are characters that take part in no word and show nothing, although Unicode has them as symbols or marks: the
// blank of Braille, the filler of Khitan and the null notehead of music.
var unseen = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x16fe4, Hi: 0x16fe4, Stride: 1}, {Lo: 0x1d159, Hi: 0x1d159, Stride: 1}},
}

// refusal says why no name may have the character, and nothing if it may. Default-ignorable characters of Unicode are
// those of the first two tables and format characters.
func refusal(r rune) string {
	switch {
	case r == utf8.RuneError:
		return "is not UTF-8, or stands for what was not"
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Cf, unseen):
		return "is invisible"
	case unicode.IsPrint(r):
		return ""
	case unicode.Is(unicode.Cc, r):
		return "is a control character"
	case unicode.Is(unicode.Co, r):
		return "is of private use"
	case unicode.IsSpace(r):
		return "is a blank other than U+0020"
	}
	return "is not assigned"
}

// denormal returns the place of the first character that normalization changes, or that changes the one before it.
func denormal(name string) int {
	normal := norm.NFC.String(name)
	same := 0
	for same < min(len(name), len(normal)) && name[same] == normal[same] {
		same++
	}
	for same > 0 && same < len(name) && !utf8.RuneStart(name[same]) {
		same--
	}
	if i := strings.IndexFunc(name[same:], func(r rune) bool { return r >= utf8.RuneSelf }); i >= 0 {
		return same + i // ASCII is in every normal form
	}
	return same
}

// Fold returns the form that names have in common if they differ only by case, by compatibility characters (NFKC), by
// blanks, and by characters that no name may have. It is empty if nothing visible is left.
func Fold(name string) string {
	for range 2 { // what is dropped may have kept apart what is composed
		name = norm.NFD.String(visible(name))
		name = norm.NFKC.String(cases.Fold().String(name))
	}
	return visible(name)
}

// visible drops blanks, characters that no name may have, and all behind maxFolded bytes of others.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsSpace(r) || refusal(r) != "" {
			continue
		}
		if b.Len() >= maxFolded {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// An Index finds the names that are alike without comparing each with each.
type Index map[string][]look

type look struct {
	name    string
	foreign bool
}

// NewIndex returns an Index of names.
func NewIndex(names []string) Index {
	x := Index{}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if len(name) <= Max {
			key := skeleton(name)
			x[key] = append(x[key], look{name, Foreign(name) != ""})
		}
	}
	return x
}

// Alike returns those names of the Index, sorted, of which Alike says that they look like a name.
func (x Index) Alike(name string) (alike []string) {
	if len(name) > Max {
		return nil
	}
	foreign := Foreign(name) != ""
	for _, other := range x[skeleton(name)] {
		if name != other.name && (foreign || other.foreign) {
			alike = append(alike, other.name)
		}
	}
	return alike
}

// Alike reports whether two different names differ only by letters of another script that look alike. It is false for
// names of more than Max bytes.
func Alike(a, b string) bool {
	return a != b && max(len(a), len(b)) <= Max && (Foreign(a) != "" || Foreign(b) != "") && skeleton(a) == skeleton(b)
}

// Foreign lists the letters of a name that look like Latin ones and are not: "U+0441 at byte 1". It is empty for a name of
// more than Max bytes.
func Foreign(name string) string {
	if len(name) > Max {
		return ""
	}
	var all []string
	for at, r := range name {
		if r < utf8.RuneSelf {
			continue
		}
		base, _ := utf8.DecodeRuneInString(norm.NFD.String(string(r)))
		if latin[base] != 0 && len(all) < mostTold {
			all = append(all, fmt.Sprintf("%U at byte %d", r, at))
		}
	}
	return strings.Join(all, ", ")
}

// skeleton puts Latin letters in the place of those that look like them.
func skeleton(name string) string {
	letters := strings.Map(func(r rune) rune {
		if l := latin[r]; l != 0 {
			return l
		}
		return r
	}, norm.NFD.String(visible(name)))
	return norm.NFC.String(letters)
}
