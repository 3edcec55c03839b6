package registry

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// A name may resolve to an address inside this machine's own network. The registry itself may be there, what it redirects
// to may not.
func TestRedirectsAreCheckedWhereTheyAreDialed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	req := httptest.NewRequest(http.MethodGet, "https://cdn.example.com/blob", nil)
	first := httptest.NewRequest(http.MethodGet, "https://registry.example.com/v2/", nil)
	if err := checkRedirect(req, []*http.Request{first}); err != nil {
		t.Fatal(err)
	}
	conn, err = dial(req.Context(), "tcp", l.Addr().String())
	if err == nil {
		conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "redirected to 127.0.0.1") {
		t.Errorf("got %v", err)
	}
	if err := checkRedirect(first, []*http.Request{first}); err != nil || first.Context().Value(elsewhereKey{}) != nil {
		t.Errorf("the same host is guarded: %v", err)
	}
}

// The default transport is the guarded one.
func TestDefaultTransportDialsWithTheGuard(t *testing.T) {
	transport, ok := WithDefaults(Options{}).Transport.(*http.Transport)
	if !ok {
		t.Fatalf("got %T", WithDefaults(Options{}).Transport)
	}
	ctx := context.WithValue(t.Context(), elsewhereKey{}, true)
	if conn, err := transport.DialContext(ctx, "tcp", "localhost:1"); err == nil || !strings.Contains(err.Error(), "redirected to") {
		t.Errorf("got %v, %v", conn, err)
	}
}

func TestRedirects(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		ok       bool
	}{
		{"https://registry.example.com/v2/", "https://cdn.example.com/x", true},
		{"https://registry.example.com/v2/", "http://cdn.example.com/x", false},
		{"https://registry.example.com/v2/", "https://169.254.169.254/x", false},
		{"https://registry.example.com/v2/", "https://10.1.2.3/x", false},
		{"https://registry.example.com/v2/", "https://[::1]/x", false},
		{"https://registry.example.com/v2/", "https://0.0.0.0/x", false},
		{"https://registry.example.com/v2/", "https://[fe80::1%25eth0]/x", false},
		{"https://registry.example.com/v2/", "https://[::ffff:10.1.2.3]/x", false},
		{"https://registry.example.com/v2/", "https://100.64.0.1/x", false},
		{"https://registry.example.com/v2/", "https://224.0.0.1/x", false},
		{"https://registry.example.com/v2/", "https://localhost/x", false},
		{"https://registry.example.com/v2/", "https://foo.LOCALHOST./x", false},
		{"https://registry.example.com/v2/", "https://2130706433/x", false},
		{"https://registry.example.com/v2/", "https://0x7f.1/x", false},
		{"https://registry.example.com/v2/", "https://192.0.2.1/x", true},
		{"https://registry.example.com/v2/", "https://s3.r2.example.com/x", true},
		{"http://127.0.0.1:5000/v2/", "http://127.0.0.1:5000/x", true},
	} {
		from, _ := http.NewRequest(http.MethodGet, tt.from, nil)
		to, _ := http.NewRequest(http.MethodGet, tt.to, nil)
		if err := checkRedirect(to, []*http.Request{from}); (err == nil) != tt.ok {
			t.Errorf("%s to %s: %v", tt.from, tt.to, err)
		}
	}
	from, _ := http.NewRequest(http.MethodGet, "https://a.example.com", nil)
	if checkRedirect(from, slices.Repeat([]*http.Request{from}, 5)) == nil {
		t.Error("redirects without end")
	}
}
