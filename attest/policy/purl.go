package policy

import (
	"net/url"
	"strings"
)

// purlScheme is how every package URL begins.
const purlScheme = "pkg:"

// A purl is a package URL, by its parts: pkg:kind/path@version?qualifiers#subpath. The zero purl is none.
type purl struct{ kind, path, version, qualifiers string }

// parsePURL takes a package URL apart. Of text that is none it returns the zero purl.
func parsePURL(text string) purl {
	rest, ok := strings.CutPrefix(text, purlScheme)
	if !ok {
		return purl{}
	}
	var p purl
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest, p.qualifiers = rest[:i], rest[i:]
	}
	// The name is behind the last slash: pkg:npm/@scope/name has no version.
	if i := strings.LastIndexByte(rest, '@'); i > strings.LastIndexByte(rest, '/') {
		rest, p.version = rest[:i], unescaped(rest[i+1:])
	}
	kind, path, _ := strings.Cut(rest, "/")
	p.kind, p.path = strings.ToLower(kind), unescaped(path)
	return p
}

// unescaped is text without %-escapes, which one tool writes for an @ or a + and another does not.
func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// covers reports whether p names the package found. It may leave out the version and the qualifiers.
func (p purl) covers(found purl) bool {
	return p.path != "" && p.kind == found.kind && p.path == found.path &&
		(p.version == "" || p.version == found.version) && (p.qualifiers == "" || p.qualifiers == found.qualifiers)
}

// coordinates is the name that most scanners give a package of Maven: "group:artifact". It is empty for others.
func (p purl) coordinates() string {
	if p.kind != "maven" {
		return ""
	}
	return strings.Replace(p.path, "/", ":", 1)
}

// artifact is a name in the form "group:artifact" without the group, and empty for a name in another form.
func artifact(name string) string {
	group, artifact, _ := strings.Cut(name, ":")
	if group == "" || strings.Contains(artifact, ":") {
		return ""
	}
	return artifact
}
