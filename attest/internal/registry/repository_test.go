package registry

import "testing"

// RFC 8288, and what must not be taken for the last page.
func TestNextLink(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{``, ``}, {` , `, ``},
		{`</a>; rel="next"`, `/a`}, {`</a>;rel=next`, `/a`}, {`</a>; rel = "next"`, `/a`},
		{`</a>; rel="Next"`, `/a`}, {`</a>; Rel="next"`, `/a`}, {`</a>; rel="prev next"`, `/a`},
		{`</a>; title="a, b"; rel="next"`, `/a`}, {`</a>; title="x; rel=prev\""; rel=next`, `/a`},
		{`</a>; rel="first", </b>; rel="next", </c>; rel=last`, `/b`}, {`</a,b;c>; rel=next`, `/a,b;c`},
		{`</a>; rel="https://example.com/next"`, ``}, {`</a>; rel=prev`, ``},
		{`</a>; rel='next'`, `malformed`}, {`</a>; rel="next`, `malformed`}, {`garbage`, `malformed`}, {`</a`, `malformed`},
		{`</a>`, `malformed`}, {`</a>; rel`, `malformed`}, {`</a>; rel=""`, `malformed`}, {`</a> rel=next`, `malformed`},
		{`</a>; rel=prev; rel=next`, `malformed`}, {`</a>; rel=next, </b>; rel=next`, `malformed`},
		{`</a>; rel=prev </b>; rel=next`, `malformed`}, {`<>; rel=next`, `malformed`},
		{`<>; rel=next, </b>; rel=next`, `malformed`},
	} {
		got, err := nextLink(tt.in)
		if err != nil {
			got = "malformed"
		}
		if got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}
