package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest/internal/attesttest"
)

// A blobStore is a registry that takes blobs: a POST is answered with a location, and a PUT is noted.
type blobStore struct {
	location string
	got      []string // method, address, content type, credentials and body of each request but pings
}

func (b *blobStore) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}
	if req.URL.Path == "/v2/" {
		if req.Header.Get("Authorization") == "" {
			resp.Header.Set("WWW-Authenticate", `Basic realm="x"`)
			resp.StatusCode = http.StatusUnauthorized
		}
		return resp, nil
	}
	body := []byte{}
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	user, _, _ := req.BasicAuth()
	b.got = append(b.got, strings.TrimSpace(fmt.Sprint(req.Method, " ", req.URL, " ", req.Header.Get("Content-Type"), " ",
		user, " ", string(body))))
	if resp.StatusCode = http.StatusCreated; req.Method == http.MethodPost {
		resp.StatusCode = http.StatusAccepted
		resp.Header.Set("Location", b.location)
	}
	return resp, nil
}

// The bytes of a blob go where the registry says, in its own spelling, and credentials to the registry alone. The guard
// is that of redirects. No error tells the address, which may hold a signature.
func TestWhereBlobsAreSent(t *testing.T) {
	const begin = "https://registry.example.com/v2/team/app/blobs/uploads/"
	digest := url.QueryEscape(Describe([]byte("blob"), "").Digest.String())
	for _, tt := range []struct {
		name, location string
		to             string // empty: nowhere
		anonymous      bool
		problem        string
	}{
		{name: "a path", location: "/v2/team/app/blobs/uploads/1",
			to: "https://registry.example.com/v2/team/app/blobs/uploads/1?digest=" + digest},
		{name: "relative", location: "1", to: begin + "1?digest=" + digest},
		{name: "absolute", location: begin + "1", to: begin + "1?digest=" + digest},
		{name: "with a state", location: "/up?_state=a%2fb;c==&x",
			to: "https://registry.example.com/up?_state=a%2fb;c==&x&digest=" + digest},
		{name: "behind a proxy that ends TLS", location: "http://registry.example.com/up",
			to: "https://registry.example.com/up?digest=" + digest},
		{name: "another host", location: "https://store.example.com/up?sig=SECRET",
			to: "https://store.example.com/up?sig=SECRET&digest=" + digest, anonymous: true},
		{name: "a user", location: "https://mallory:pw@store.example.com/up",
			to: "https://store.example.com/up?digest=" + digest, anonymous: true},
		{name: "another host without TLS", location: "http://store.example.com/up?sig=SECRET",
			problem: "redirected from https to http"},
		{name: "this machine", location: "https://localhost/up?sig=SECRET", problem: "redirected to localhost"},
		{name: "this machine's network", location: "https://10.0.0.1/up?sig=SECRET", problem: "redirected to 10.0.0.1"},
		{name: "this machine in another spelling", location: "https://0x7f.1/up?sig=SECRET", problem: "redirected to 0x7f.1"},
		{name: "link-local", location: "https://[fe80::1]/up?sig=SECRET", problem: "redirected to fe80::1"},
		{name: "nowhere", location: "", problem: "does not say where to send the blob"},
		{name: "no address", location: "https://store.example.com:SECRET/%zz", problem: "does not say where to send the blob"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &blobStore{location: tt.location}
			repo, err := name.NewRepository("registry.example.com/team/app")
			if err != nil {
				t.Fatal(err)
			}
			opts := Options{Transport: store, Keychain: loggedIn{}, Attempts: 1}
			r, err := New(opts, "push,pull").Connect(t.Context(), repo)
			if err != nil {
				t.Fatal(err)
			}
			err = r.Upload(t.Context(), []byte("blob"))
			want := []string{"POST " + begin + "  user"}
			if tt.to != "" {
				want = append(want, "PUT "+tt.to+" application/octet-stream "+map[bool]string{false: "user"}[tt.anonymous]+" blob")
			}
			if diff := cmp.Diff(want, store.got); diff != "" {
				t.Error(diff)
			}
			if (err != nil) != (tt.to == "") || err != nil &&
				(!strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), "SECRET")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// loggedIn is a keychain with one user for every registry.
type loggedIn struct{}

func (loggedIn) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "user", Password: "password"}, nil
}

// A registry that sends uploads to another host is dialed with the guard of redirects, since a name may lead anywhere.
func TestUploadsToAnotherHostAreGuarded(t *testing.T) {
	begun, _ := url.Parse("https://registry.example.com/v2/")
	for location, guarded := range map[string]bool{"https://store.example.com/up": true, "/up": false} {
		ctx, _, err := uploadAddress(t.Context(), begun, location)
		if err != nil || (ctx.Value(elsewhereKey{}) != nil) != guarded {
			t.Errorf("%s: guarded %t, %v", location, !guarded, err)
		}
	}
}

// An upload waits as long as the registry asks for, and begins anew.
func TestUploadsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := answer{status: 429, header: retryIn("7")}
		begun := answer{status: 202, header: http.Header{"Location": {"/up"}}}
		s := &script{answers: []answer{{status: 200}, busy, begun, busy, begun, {status: 201}}}
		if err := elsewhere(t, Options{Transport: s, Backoff: time.Second}).Upload(context.Background(), []byte("blob")); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]time.Duration{0, 0, 7e9, 7e9, 14e9, 14e9}, s.asked); diff != "" {
			t.Error(diff)
		}
	})
}

// A wait that an upload has no time for is not begun, and said.
func TestUploadsDoNotWaitTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{status: 200}, {status: 503, header: retryIn("61")}}}
		err := elsewhere(t, Options{Transport: s}).Upload(context.Background(), []byte("blob"))
		if e := attesttest.As[*Error](t, err); e.Status != 503 || !strings.Contains(err.Error(), "asks to wait 1m1s") ||
			len(s.asked) != 2 {
			t.Errorf("asked at %v: %v", s.asked, err)
		}
	})
}
