package dagfile

import (
	"strings"
	"unicode"

	"github.com/testdag/testdag/dag"
)

// substitute is shown for what is not a character.
const substitute = '␦'

// visible returns an ID as it may be shown to people: UTF-8 without control characters other than line feeds. Control
// characters of ASCII become their pictures.
func visible(id dag.ID) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || !unicode.IsControl(r):
			return r
		case r < ' ':
			return '\u2400' + r
		case r == 0x7f:
			return '\u2421'
		}
		return substitute
	}, strings.ToValidUTF8(string(id), string(substitute)))
}
