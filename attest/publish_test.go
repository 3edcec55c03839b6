package attest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// "Any write can undo another. But no record is lost from a view." A slow writer puts a view that lacks what a quick
// one has put since. The quick one does not look again, so the slow one has to see in the record lists what it has
// undone.
func TestWriterThatUndoesAnother(t *testing.T) {
	for _, view := range []string{"cosign's tag", "the fallback index"} {
		t.Run(view, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				tag := map[string]string{"cosign's tag": viewTag(w.Image), "the fallback index": referrers.TagBase(w.Image)}[view]
				k := newKey(t, "k")
				w.write(k, "first", outcome(intoto.Passed, 0))
				held, goOn := w.halts(func(r *http.Request) bool {
					return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, tag)
				})
				slow := w.writes(k, "slow")
				<-held
				w.write(k, "quick", outcome(intoto.Passed, 0))
				close(goOn)
				if err := <-slow; err != nil {
					t.Fatal(err)
				}
				w.shows(3)
			})
		})
	}
}

// A record that the registry did not list when its writer wrote the views may have been undone by another writer that
// could not see it. So the views count for nothing before the record has a tag of its own.
func TestViewsBeforeARecordIsListed(t *testing.T) {
	w := newWorld(t, true)
	taken(w) // no index leads to the record
	listsNothing(w)
	k := newKey(t, "k")
	third := w.attach(w.sign(k, w.statementOf(intoto.TestResultType, failedAs)), nil)
	var puts atomic.Int32
	atView, putView := w.halts(func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, viewTag(w.Image)) && puts.Add(1) == 2
	})
	other := w.writes(k, "other")
	<-atView // it puts cosign's tag once more, for the third record, and has not seen ours
	w.untag(referrers.RecordTag(w.Image, third))
	atTag, putTag := w.halts(func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, viewTag(w.Image)+".")
	})
	ours := w.writes(k, "ours")
	<-atTag // our views are written, and only now ours gets the tag by which others see it
	close(putView)
	if err := <-other; err != nil {
		t.Fatal(err)
	}
	close(putTag)
	if err := <-ours; err != nil {
		t.Fatal(err)
	}
	if got := w.attLayers(); len(got) != 3 {
		t.Errorf("cosign's tag shows %d of 3", len(got))
	}
}

// halts keeps the first request that f picks from the registry until goOn is closed.
func (w *world) halts(f func(r *http.Request) bool) (held, goOn chan struct{}) {
	held, goOn = make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	w.also(func(_ http.ResponseWriter, r *http.Request) bool {
		if f(r) && once.CompareAndSwap(false, true) {
			close(held)
			<-goOn
		}
		return false
	})
	return held, goOn
}

// writes writes a pass meanwhile.
func (w *world) writes(s intoto.Signer, test string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := NewWriter(s, w.opts).Write(w.T.Context(), w.Image, test, outcome(intoto.Passed, 0))
		done <- err
	}()
	return done
}

// shows wants so many statements in both views.
func (w *world) shows(n int) {
	w.T.Helper()
	if got, index := len(w.attLayers()), len(w.fallback()); got != n || index != n {
		w.T.Errorf("cosign's tag shows %d, and the index names %d of %d", got, index, n)
	}
}

// Blobs are those that each repository was given, as in most registries.
type blobs struct {
	*world
	given sync.Map // of repository and digest
	code  string   // of the refusal of a manifest whose blobs are not there; empty if none is refused
}

func (b *blobs) has(blob string) bool {
	_, given := b.given.Load(blob)
	return given
}

func (b *blobs) serve(rw http.ResponseWriter, r *http.Request) bool {
	repo, rest, _ := strings.Cut(r.URL.Path, "/blobs/")
	switch digest := r.URL.Query().Get("digest"); {
	case r.Method == http.MethodPut && digest != "":
		b.given.Store(repo+digest, true)
	case r.Method == http.MethodHead && rest != "" && !b.has(repo+rest):
		rw.WriteHeader(http.StatusNotFound)
		return true
	case r.Method == http.MethodPut && b.code != "":
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		var m v1.Manifest
		_ = json.Unmarshal(body, &m)
		repo, _, _ := strings.Cut(r.URL.Path, "/manifests/")
		for _, d := range append(m.Layers, m.Config) {
			if d.Digest.Hex != "" && !b.has(repo+d.Digest.String()) {
				rw.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(rw, `{"errors":[{"code":%q}]}`, b.code)
				return true
			}
		}
	}
	return false
}

// The config that all records share is there after a write: the first of a repository, and one that finds cosign's tag
// copied without the records that made it.
func TestConfigIsThereAfterAWrite(t *testing.T) {
	for _, code := range []string{"", "MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_INVALID"} {
		for _, without := range []bool{false, true} {
			t.Run(fmt.Sprintf("refused with %q, without views %t", code, without), func(t *testing.T) {
				eachRegistry(t, func(t *testing.T, w *world) {
					b := &blobs{world: w}
					w.Breaks(b.serve)
					w.Image = w.Push(w.Image.Context(), "app") // again, so that its blobs are given
					k := newKey(t, "k")
					config := registry.Describe([]byte(registry.EmptyConfig), "").Digest
					check := func(when string) {
						t.Helper()
						if !b.has("/v2/" + w.Image.Context().RepositoryStr() + config.String()) {
							t.Errorf("%s: the config is not there", when)
						}
					}
					b.code = code
					w.write(k, "first", outcome(intoto.Passed, 0))
					check("first write")
					b.code = ""
					byTag(w)
					b.given.Delete("/v2/" + w.Image.Context().RepositoryStr() + config.String())
					b.code, w.opts.WithoutViews = code, without
					w.write(k, "second", outcome(intoto.Passed, 0))
					check("at a copy")
				})
			})
		}
	}
}

// Equal statements leave one record, in each form, with and without views, although the signer signs otherwise each
// time.
func TestSameStatementTwiceInEachForm(t *testing.T) {
	for _, form := range []intoto.Encoding{intoto.EncodingEnvelope, intoto.EncodingBundle, intoto.EncodingStatement} {
		for _, without := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q, without views %t", form, without), func(t *testing.T) {
				eachRegistry(t, func(t *testing.T, w *world) {
					k := newKey(t, "k")
					k.salted = true
					w.opts.Encoding, w.opts.WithoutViews = form, without
					first := w.write(bundler{k}, "scan", outcome(intoto.Passed, 0))
					w.write(bundler{k}, "other", outcome(intoto.Passed, 0))
					if again := w.write(bundler{k}, "scan", outcome(intoto.Passed, 0)); again.Digest != first.Digest || len(w.records()) != 2 {
						t.Errorf("%d records, another for the same: %t", len(w.records()), again.Digest != first.Digest)
					}
				})
			})
		}
	}
}
