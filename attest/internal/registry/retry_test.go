package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest/internal/attesttest"
)

// A script answers requests from memory, one answer after the other, and notes when each was asked for.
type script struct {
	answers []answer
	asked   []time.Duration // since the first
	first   time.Time
}

// An answer is one of a registry. Its body breaks off if it is "cut".
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.first.IsZero() {
		s.first = time.Now()
	}
	s.asked = append(s.asked, time.Since(s.first))
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	a := s.answers[min(len(s.asked), len(s.answers))-1]
	if a.status == 0 {
		return nil, io.EOF
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	body := io.Reader(strings.NewReader(a.body))
	if a.body == "cut" {
		body = io.MultiReader(body, errReader{})
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(body), Request: req}, nil
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func retryIn(text string) http.Header {
	return http.Header{"Retry-After": {text}, "Date": {"Sun, 01 Mar 2026 12:00:00 GMT"}}
}

// Each answer is waited for as it says, or as Options.Backoff says.
func TestWaits(t *testing.T) {
	busy, good := answer{status: 503}, answer{status: 200, body: "good"}
	for _, tt := range []struct {
		name    string
		answers []answer
		waits   []time.Duration // before each further attempt; each may be half as long or half longer unless exact
		exact   bool
		status  int
	}{
		{"good", []answer{good}, nil, true, 200},
		{"transient", []answer{busy, busy, good}, []time.Duration{time.Second, 2 * time.Second}, false, 200},
		{"broken", []answer{{}, {}, good}, []time.Duration{time.Second, 2 * time.Second}, false, 200},
		{"cut", []answer{{status: 200, body: "cut"}, good}, []time.Duration{time.Second}, false, 200},
		{"cut error", []answer{{status: 404, body: "cut"}, {status: 404}}, []time.Duration{time.Second}, false, 404},
		{"for ever", []answer{busy}, []time.Duration{1e9, 2e9, 4e9, 8e9, 16e9}, false, 503},
		{"final", []answer{{status: 400, header: retryIn("5")}}, nil, true, 400},
		{"seconds", []answer{{status: 429, header: retryIn("7")}, good}, []time.Duration{7 * time.Second}, true, 200},
		{"seconds, several times", []answer{{status: 429, header: retryIn("7")}, {status: 503, header: retryIn("11")}, good},
			[]time.Duration{7 * time.Second, 11 * time.Second}, true, 200},
		{"date", []answer{{status: 503, header: retryIn("Sun, 01 Mar 2026 12:00:20 GMT")}, good},
			[]time.Duration{20 * time.Second}, true, 200},
		{"date in the past", []answer{{status: 503, header: retryIn("Sun, 01 Mar 2026 11:00:00 GMT")}, good},
			[]time.Duration{time.Second}, false, 200},
		{"rubbish", []answer{{status: 503, header: retryIn("soon")}, good}, []time.Duration{time.Second}, false, 200},
		{"negative", []answer{{status: 503, header: retryIn("-5")}, good}, []time.Duration{time.Second}, false, 200},
		{"nothing", []answer{{status: 503, header: retryIn("0")}, good}, []time.Duration{time.Second}, false, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers}
				opts := WithDefaults(Options{Transport: s, Backoff: time.Second})
				ctx, done := Within(t.Context(), WhatRequest, time.Minute)
				defer done()
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://registry.test/", nil)
				resp, err := resending{s, opts}.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != tt.status {
					t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
				}
				if body, err := io.ReadAll(resp.Body); err != nil || tt.status == 200 && string(body) != "good" {
					t.Errorf("body %q, %v", body, err)
				}
				if len(s.asked) != len(tt.waits)+1 {
					t.Fatalf("asked at %v", s.asked)
				}
				for i, want := range tt.waits {
					got := s.asked[i+1] - s.asked[i]
					if tt.exact && got != want || got < want/2 || got > want*3/2+1 {
						t.Errorf("wait %d is %s, want %s", i, got, want)
					}
				}
			})
		})
	}
}

// Clients that failed together do not come back together.
func TestWaitsDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 8 {
			s := &script{answers: []answer{{status: 503}, {status: 200}}}
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://registry.test/", nil)
			if _, err := (resending{s, WithDefaults(Options{Backoff: time.Second})}).RoundTrip(req); err != nil {
				t.Fatal(err)
			}
			seen[s.asked[1]] = true
		}
		if len(seen) < 2 {
			t.Errorf("all waited for %v", seen)
		}
	})
}

// A wait that the request has no time for is not begun.
func TestWaitsThatAreTooLong(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header http.Header
		want   string
	}{
		{"more than the request's time", retryIn("61"), "asks to wait 1m1s, which is longer than a request may take"},
		{"a date", retryIn("Sun, 01 Mar 2026 13:00:00 GMT"), "asks to wait 1h0m0s, which is longer than a request may take"},
		{"longer than can be counted", retryIn("2147483647"), "which is longer than a request may take"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				s := &script{answers: []answer{{status: 200}, {status: 429, header: tt.header}}}
				_, err := elsewhere(t, Options{Transport: s}).Manifest(t.Context(), "tag")
				if e := attesttest.As[*Error](t, err); e.Status != 429 || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("status %d: %v", e.Status, err)
				}
				if len(s.asked) != 2 || time.Since(begin) != 0 {
					t.Errorf("asked at %v, returned after %s", s.asked, time.Since(begin))
				}
			})
		})
	}
}

// The last answer is told, not that there was no time for another.
func TestNoTimeForAnotherAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{status: 200}, {status: 502}}}
		_, err := elsewhere(t, Options{Transport: s, Backoff: 2 * time.Minute}).Manifest(t.Context(), "tag")
		if e := attesttest.As[*Error](t, err); e.Status != 502 || len(s.asked) != 2 {
			t.Errorf("asked at %v: %v", s.asked, err)
		}
	})
}

// The end of a context ends every wait.
func TestContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone home")
		ctx, cancel := context.WithCancelCause(t.Context())
		begin := time.Now()
		time.AfterFunc(3*time.Second, func() { cancel(gone) })
		s := &script{answers: []answer{{status: 200}, {status: 503, header: retryIn("30")}}}
		_, err := elsewhere(t, Options{Transport: s}).Manifest(ctx, "tag")
		if !errors.Is(err, gone) || time.Since(begin) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
	})
}

// A request is sent again with all of its body.
func TestBodiesAreSentAgain(t *testing.T) {
	var sent []string
	transport := roundTripper(func(req *http.Request) (*http.Response, error) {
		b, err := io.ReadAll(req.Body)
		if sent = append(sent, string(b)); len(sent) < 3 {
			return nil, io.EOF
		}
		return &http.Response{StatusCode: 200, Body: http.NoBody}, err
	})
	opts := WithDefaults(Options{Backoff: time.Millisecond})
	for _, body := range []io.Reader{bytes.NewReader([]byte("all")), io.MultiReader(strings.NewReader("all"))} {
		sent = nil
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://registry.test/", body)
		_, err := resending{transport, opts}.RoundTrip(req)
		want := []string{"all", "all", "all"}
		if req.GetBody == nil {
			want = []string{"all"}
		}
		if diff := cmp.Diff(want, sent); diff != "" || (err != nil) != (req.GetBody == nil) {
			t.Errorf("%v\n%s", err, diff)
		}
	}
}

// Each answer is closed, also if the request cannot be repeated.
func TestAnswersAreClosed(t *testing.T) {
	for _, body := range []io.Reader{bytes.NewReader([]byte("all")), io.MultiReader(strings.NewReader("all"))} {
		opened, closed := 0, 0
		transport := roundTripper(func(*http.Request) (*http.Response, error) {
			opened++
			return &http.Response{StatusCode: http.StatusBadGateway, Body: closer(func() { closed++ })}, nil
		})
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://registry.test/", body)
		resp, err := resending{transport, WithDefaults(Options{Backoff: time.Millisecond})}.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		if opened == 0 || opened != closed {
			t.Errorf("%d answers, %d closed: %v", opened, closed, err)
		}
	}
}

// A closer is an empty body that tells when it is closed.
type closer func()

func (closer) Read([]byte) (int, error) { return 0, io.EOF }

func (c closer) Close() error {
	c()
	return nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// elsewhere is a repository of a registry that is not there: what it answers comes from Options.Transport.
func elsewhere(t *testing.T, opts Options) *Repository {
	t.Helper()
	repo, err := name.NewRepository("registry.test/team/app")
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(opts, "push,pull").Connect(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
