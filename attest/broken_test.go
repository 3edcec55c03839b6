package attest

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"hash/fnv"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/testdag/testdag/attest/intoto"
)

// Ways in which an answer breaks off.
const (
	cutLength = iota // its body is shorter than its Content-Length
	cutChunks        // its body has no last chunk
	cutHeader        // it ends within the header
	reset            // the connection is reset before it
	waysToCut
)

// cuts breaks one answer in every n, after the registry has done what was asked. Which one and how depends on seed, on
// what was asked and on how often that was asked before, but not on the order of requests. Bodies says that only bodies
// break off.
func (w *world) cuts(seed, n int, bodies bool) {
	var mu sync.Mutex
	asked := map[string]int{}
	w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		what := r.Method + r.URL.Path
		asked[what]++
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %s %d", seed, what, asked[what])
		mu.Unlock()
		sum := h.Sum64() >> 16
		if sum%uint64(n) != 0 {
			return false
		}
		answer := httptest.NewRecorder()
		w.Inner.ServeHTTP(answer, r)
		ways := waysToCut
		if bodies {
			ways = cutHeader
		}
		how := int(sum / uint64(n) % uint64(ways))
		if answer.Body.Len() == 0 || r.Method == http.MethodHead {
			answer.Body.Reset()
			how = max(how, cutHeader)
		}
		if bodies && how == cutHeader { // it has no body
			maps.Copy(rw.Header(), answer.Header())
			rw.WriteHeader(answer.Code)
			return true
		}
		cut(rw, answer, how)
		return true
	})
}

// cut sends an answer that breaks off half-way.
func cut(rw http.ResponseWriter, answer *httptest.ResponseRecorder, how int) {
	conn, out, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	if how == reset {
		_ = conn.(*net.TCPConn).SetLinger(0)
		return
	}
	header, body := answer.Header().Clone(), answer.Body.Bytes()
	switch how {
	case cutChunks:
		header.Del("Content-Length")
		header.Set("Transfer-Encoding", "chunked")
	default:
		header.Set("Content-Length", fmt.Sprint(len(body)))
	}
	fmt.Fprintf(out, "HTTP/1.1 %d %s\r\n", answer.Code, http.StatusText(answer.Code))
	if how == cutHeader {
		fmt.Fprint(out, "Content-Le")
	} else {
		_ = header.Write(out)
		fmt.Fprint(out, "\r\n")
	}
	switch how {
	case cutLength:
		_, _ = out.Write(body[:len(body)/2])
	case cutChunks:
		fmt.Fprintf(out, "%x\r\n%s\r\n", len(body)/2+1, body[:len(body)/2+1])
	}
	_ = out.Flush()
}

// seeded is a key that is the same in every run, so that digests are.
func seeded(name string) *key {
	return &key{name: name, private: ed25519.NewKeyFromSeed([]byte(fmt.Sprintf("%-32.32s", name)))}
}

// An answer that breaks off is asked for again: of 64 writes and 160 reads none fails, with every tenth answer broken.
func TestAnswersThatBreakOff(t *testing.T) {
	for name, bodies := range map[string]bool{"one body in ten": true, "one answer in ten, in any way": false} {
		t.Run(name, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				w.cuts(1, 10, bodies)
				k := seeded("k")
				written := 0
				for i := range 24 {
					_, err := NewWriter(k, w.opts).Write(context.Background(), w.Image, fmt.Sprintf("test-%d", i%16), outcome(intoto.Passed, 0))
					if err != nil {
						t.Errorf("write %d: %v", i, err)
						continue
					}
					written++
				}
				read := 0
				for i := range 64 {
					e, err := w.newest(k, testResultOf(fmt.Sprintf("test-%d", i%16)))
					if err != nil || e.Result != intoto.Passed {
						t.Errorf("read %d: %s", i, answerOf(e, err))
						continue
					}
					read++
				}
				t.Logf("%d of 24 writes, %d of 64 reads", written, read)
			})
		})
	}
}
