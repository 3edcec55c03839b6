package provenance

import (
	"strings"

	"github.com/testdag/testdag/internal/pattern"
)

// denies returns what a pattern denies of a definition, and nothing if it does not. Case makes no difference: there are
// hosts of git to which it makes none.
func denies(rule, ref string) string {
	base, at, divider := splitRef(ref)
	denied := func(text string) bool { return pattern.Matches(strings.ToLower(rule), strings.ToLower(text)) }
	switch {
	case denied(ref):
		return "it"
	case at != "" && denied(base):
		return base + ", whatever its tag or path"
	case at == "" && beginsWith(strings.ToLower(rule), strings.ToLower(base+divider)):
		return "some tags or paths of it, and nothing says which one this is"
	}
	return ""
}

// splitRef takes the tag off a bundle, and the path off a file in git. The divider is what stands before it.
func splitRef(ref string) (base, at, divider string) {
	scheme, rest, _ := strings.Cut(ref, "://")
	divider = "//"
	if scheme+"://" == bundleScheme {
		divider = ":"
	}
	cut := strings.Index(rest, divider)
	if divider == ":" { // a host may have a port
		slash := strings.LastIndex(rest, "/")
		if cut = strings.Index(rest[slash+1:], divider); cut >= 0 {
			cut += slash + 1
		}
	}
	if cut < 0 {
		return ref, "", divider
	}
	cut += len(scheme) + len("://")
	return ref[:cut], ref[cut:], divider
}

// beginsWith reports whether a pattern matches some text that begins so.
func beginsWith(rule, text string) bool {
	for end := range len(rule) {
		if pattern.Matches(rule[:end+1], text) {
			return true
		}
	}
	return false
}
