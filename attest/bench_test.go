package attest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fill puts n statements of ten tests into a world as a Writer would, but faster.
func fill(w *world, k *key, n int) {
	w.t.Helper()
	repo, ctx := w.repo(), context.Background()
	var view []entry
	for i := range n {
		test := testResultOf(fmt.Sprint("test-", i%10))
		p := outcome(Passed, -time.Duration(i)*time.Minute)
		payload, err := encode(w.image, test.Name, p)
		if err != nil {
			w.t.Fatal(err)
		}
		envelope := w.sign(k, payload)
		d := draft{image: w.image, test: test.Name, predicateType: test.PredicateType, created: p.Timestamp, payload: payload}
		d.subject = v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: w.hash(), Size: 1}
		b, err := buildRecord(d, layout{inlineBytes: w.opts.withDefaults().InlineBytes}, defaultLimits.ManifestBytes, envelope)
		if err != nil {
			w.t.Fatal(err)
		}
		e := parseEntry(document{b, types.OCIManifestSchema1, describe(b, "").Digest}, defaultLimits)
		if err := repo.push(ctx, recordTag(w.image, e.descriptor.Digest), types.OCIManifestSchema1, b, envelope); err != nil {
			w.t.Fatal(err)
		}
		view = append(view, e)
	}
	config, err := attConfig(repo.envelopes(view))
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: describe(config, types.OCIConfigJSON), Layers: repo.envelopes(view),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := repo.push(ctx, viewTag(w.image), types.OCIManifestSchema1, b, config); err != nil {
		w.t.Fatal(err)
	}
}

// reads runs f for each number of statements of ten tests and each latency, and counts requests.
func reads(b *testing.B, f func(w *world, r *Resolver) error) {
	for _, n := range []int{1, 10, 100, 1000} {
		for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
			b.Run(fmt.Sprintf("%d/%s", n, latency), func(b *testing.B) {
				w := newWorld(b, true)
				k := newKey(b, "k")
				fill(w, k, n)
				w.breaks(func(http.ResponseWriter, *http.Request) bool {
					time.Sleep(latency)
					return false
				})
				r := NewResolver(k, w.opts)
				w.requests = nil
				b.ReportAllocs()
				for b.Loop() {
					if err := f(w, r); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(w.requests))/float64(b.N), "requests/op")
			})
		}
	}
}

// The newest of each of ten tests.
func BenchmarkNewests(b *testing.B) {
	var tests []Test
	for i := range 10 {
		tests = append(tests, testResultOf(fmt.Sprint("test-", i)))
	}
	reads(b, func(w *world, r *Resolver) error {
		newest, err := r.Newests(b.Context(), w.image, tests...)
		if err == nil {
			err = newest[0].Problem
		}
		return err
	})
}

// All statements, verified.
func BenchmarkAll(b *testing.B) {
	reads(b, func(w *world, r *Resolver) error {
		for e, err := range r.All(b.Context(), w.image) {
			if err != nil || e.Problem != nil {
				return fmt.Errorf("%v %v", err, e.Problem)
			}
		}
		return nil
	})
}
