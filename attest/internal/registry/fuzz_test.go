package registry

import (
	"strings"
	"testing"
)

// FuzzNextLink reads text as a Link header. What has no next page must not hide one.
func FuzzNextLink(f *testing.F) {
	for _, s := range []string{
		`</v2/x?n=1>; rel="next"`, `<a>; rel=first, <b>; rel=next`, `<a>;rel="prev next"; title="x, <y>; rel=next"`, `<a`, `rel=next`, `<a>; rel=next, <b>; rel=next`, `,,`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		next, err := nextLink(header)
		if err == nil && next != "" && !strings.Contains(header, "<"+next+">") {
			t.Errorf("%q is not in %q", next, header)
		}
		if err == nil && next == "" && strings.Contains(header, "; rel=next,") && !strings.Contains(header, `"`) {
			t.Errorf("missed the next page in %q", header)
		}
	})
}
