package pattern

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A pattern means what the regular expression means in which each * is .* and all else is itself.
func TestMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab.*?]{0,8}`).Draw(t, "pattern")
		text := rapid.StringMatching(`[ab.*?]{0,10}`).Draw(t, "text")
		if rapid.Bool().Draw(t, "likely") {
			text = strings.ReplaceAll(pattern, "*", rapid.StringMatching(`[ab]{0,3}`).Draw(t, "star"))
		}
		oracle := regexp.MustCompile(`^` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`) + `$`)
		if got := Matches(pattern, text); got != oracle.MatchString(text) {
			t.Errorf("Matches(%q, %q) is %t", pattern, text, got)
		}
	})
}

func TestMatchesInOrder(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"a*b", "ab", true}, {"a*b", "axb", true}, {"a*b", "axbx", false}, {"a*b", "xab", false},
		{"a*", "a/b:c", true}, {"*a", "ba", true}, {"*a", "ab", false}, {"*", "", true}, {"", "", true}, {"", "a",
			false},
		{"a*a", "a", false}, {"ab*bc", "abc", false}, {"a*b*c", "a-c-b-c", true}, {"a*b*c", "a-c-b", false}, {"a**b",
			"ab", true},
		{"a", "ab", false}, {"a.b", "axb", false}, {"[ab]", "a", false}, {"a?", "ab", false},
	} {
		if got := Matches(tt.pattern, tt.text); got != tt.want {
			t.Errorf("Matches(%q, %q) is %t", tt.pattern, tt.text, got)
		}
	}
}

// What grows with every star in a naive matcher takes no time here.
func TestMatchesManyStars(t *testing.T) {
	if Matches(strings.Repeat("a*", 10000)+"b", strings.Repeat("a", 100000)) {
		t.Error("matches")
	}
}

func TestAnchored(t *testing.T) {
	for pattern, want := range map[string]bool{
		"oci://quay.io/*": true, "https://tekton.dev/chains/v2": true, "git+https://example.com/*": true, "no star": true,
		"": false, "*": false, "oci://quay.io*": false, "oci://*/task": false, "quay.io/*": false, "*/task": false,
	} {
		if got := Anchored(pattern); got != want {
			t.Errorf("Anchored(%q) is %t", pattern, got)
		}
	}
}
