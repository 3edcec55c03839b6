package intoto

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode"

	"github.com/testdag/testdag/internal/testname"
)

// familyForm matches every version of the types of predicate that are understood, in the spelling that plainURI
// returns.
var familyForm = regexp.MustCompile(`^(?:https?:)?/?(?:[^/@]*@)?in-toto\.io\.?(?::[0-9]*)?` +
	`/attestation/(vuln|test-?result)s?(?:$|[^a-z-]|-?v?[0-9])`)

// Family returns the type that is understood and of which predicateType is a version, or is another spelling. It is
// empty for a predicate of another family.
//
// Types are compared loosely. A statement whose type a reader takes for that of a test must not be one that another
// reader has never seen.
func Family(predicateType string) string {
	if readers[predicateType] != nil {
		return predicateType
	}
	m := familyForm.FindStringSubmatch(plainURI(predicateType))
	switch {
	case m == nil:
		return ""
	case m[1] == "vuln":
		return VulnsType
	}
	return TestResultType
}

// familyHost is the host of the types that are understood.
const familyHost = "in-toto.io"

// MayBeginFamily reports whether a type of another family may be the beginning of one that is understood, in any
// spelling. As long as the host may go on, a user may stand before it, and an escape that is cut off is no escape. All
// of another family that have the same host may begin one.
func MayBeginFamily(predicateType string) bool {
	if Family(predicateType) != "" {
		return false
	}
	uri := plainURI(predicateType)
	for _, scheme := range []string{"https:", "http:"} {
		uri = strings.TrimPrefix(uri, scheme)
	}
	host, _, ended := strings.Cut(strings.TrimPrefix(uri, "/"), "/")
	host, _, _ = strings.Cut(host[strings.LastIndex(host, "@")+1:], ":")
	return !ended || strings.TrimSuffix(host, ".") == familyHost || strings.Contains(predicateType, "%")
}

// plainURI returns a spelling that is common to URIs which differ only by case, compatibility characters, invisible
// characters, blanks, escapes, dashes, or the number of slashes. It leaves out query and fragment. Dots lead to a folder
// above, and never above the host: https://in-toto.io/../x is https://in-toto.io/x.
func plainURI(uri string) string {
	if unescaped, err := url.PathUnescape(uri); err == nil {
		uri = unescaped
	}
	uri = strings.Map(func(r rune) rune {
		switch {
		case r == '_', r == '\u2212', unicode.Is(unicode.Pd, r):
			return '-'
		case r == '\u3002':
			return '.'
		case r == '\\':
			return '/'
		}
		return r
	}, testname.Fold(uri))
	if end := strings.IndexAny(uri, "?#"); end >= 0 {
		uri = uri[:end]
	}
	scheme := schemeForm.FindString(uri)
	host, rest, ended := strings.Cut(uri[len(scheme):], "/")
	if scheme = strings.TrimRight(scheme, "./"); !ended {
		return scheme + "/" + host
	}
	return scheme + "/" + host + path.Clean("/"+rest)
}

// schemeForm matches all that is before the host: slashes, and dots that lead nowhere.
var schemeForm = regexp.MustCompile(`^(?:https?:)?(?:\.{0,2}/)*`)

// IsEvidence reports whether statements of that predicate type are evidence of a test, or of a version of such a type.
func IsEvidence(predicateType string) bool { return Family(predicateType) != "" }
