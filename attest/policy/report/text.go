package report

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// printable is text that others wrote, in one line that no terminal obeys.
func printable(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return text
	}
	return strconv.Quote(text)
}

// mostOfWord is how many bytes of a name that others gave are shown.
const mostOfWord = 100

var plain = regexp.MustCompile(`^[\pL\pM\pN._/:+-]+$`)

// word is a name that others gave, as it may stand in a sentence: quoted if it could be taken for more of the sentence.
func word(text string) string {
	if len(text) > mostOfWord {
		text = strings.ToValidUTF8(text[:mostOfWord], "") + "…"
	}
	if plain.MatchString(strings.TrimSuffix(text, "…")) {
		return text
	}
	return strconv.Quote(text)
}

var digests = regexp.MustCompile(`\b([0-9a-f]{12})[0-9a-f]{52}\b`)

// short leaves the first 12 digits of SHA-256 digests, which tell those of one report apart.
func short(text string) string { return digests.ReplaceAllString(text, "$1") }

// columnsOf is how many columns a terminal needs for text.
func columnsOf(text string) int {
	n := 0
	for _, r := range text {
		n += columnsOfRune(r)
	}
	return n
}

func columnsOfRune(r rune) int {
	if unicode.Is(unicode.M, r) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// wrap breaks text into lines of so many columns at most: between words, and within a word that is longer than a line.
func wrap(text string, columns int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range strings.Split(text, " ") {
		n := columnsOf(word)
		if line != "" && used+1+n <= columns {
			line, used = line+" "+word, used+1+n
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for n > columns {
			head := prefix(word, columns)
			lines = append(lines, head)
			word = word[len(head):]
			n = columnsOf(word)
		}
		line, used = word, n
	}
	return append(lines, line)
}

// prefix is as much of a word as fits.
func prefix(word string, columns int) string {
	used := 0
	for i, r := range word {
		if used += columnsOfRune(r); used > columns {
			return word[:i]
		}
	}
	return word
}
