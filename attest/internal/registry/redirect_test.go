package registry

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
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
	if err := CheckRedirect(req, []*http.Request{first}); err != nil {
		t.Fatal(err)
	}
	conn, err = dial(req.Context(), "tcp", l.Addr().String())
	if err == nil {
		conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "redirected to 127.0.0.1") {
		t.Errorf("got %v", err)
	}
	if err := CheckRedirect(first, []*http.Request{first}); err != nil || first.Context().Value(elsewhereKey{}) != nil {
		t.Errorf("the same host is guarded: %v", err)
	}
}

// The default transport is the guarded one.
func TestDefaultTransportDialsWithTheGuard(t *testing.T) {
	transport, ok := Options{}.WithDefaults().Transport.(*http.Transport)
	if !ok {
		t.Fatalf("got %T", Options{}.WithDefaults().Transport)
	}
	ctx := context.WithValue(t.Context(), elsewhereKey{}, true)
	if conn, err := transport.DialContext(ctx, "tcp", "localhost:1"); err == nil || !strings.Contains(err.Error(), "redirected to") {
		t.Errorf("got %v, %v", conn, err)
	}
}
