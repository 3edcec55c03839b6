// Package pattern matches text with patterns in which a * stands for any text.
package pattern

import (
	"regexp"
	"strings"
)

// anchored is a pattern whose first * is behind a host, or that has none.
var anchored = regexp.MustCompile(`^(?:[^*]+|[a-z0-9+]+://[^/*]+/.*)$`)

// Anchored reports whether the first * of a pattern, if it has one, stands behind "scheme://host/". A * in the host
// would match the hosts of others too.
func Anchored(pattern string) bool { return anchored.MatchString(pattern) }

// Matches reports whether text is pattern, in which each * stands for any text, also for none and for one with slashes.
// The leftmost place is right for every piece between two stars, so nothing is tried twice.
func Matches(pattern, text string) bool {
	pieces := strings.Split(pattern, "*")
	first, rest := pieces[0], pieces[1:]
	if len(rest) == 0 {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	last := rest[len(rest)-1]
	for _, piece := range rest[:len(rest)-1] {
		var found bool
		_, text, found = strings.Cut(text, piece)
		ok = ok && found
	}
	return ok && strings.HasSuffix(text, last)
}
