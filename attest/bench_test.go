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

	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// fill puts n statements of ten tests into a world as a Writer would, but faster.
func fill(w *world, k *key, n int) {
	w.T.Helper()
	repo, ctx := w.repo(), context.Background()
	var view []v1.Descriptor
	for i := range n {
		test := testResultOf(fmt.Sprint("test-", i%10))
		p := outcome(intoto.Passed, -time.Duration(i)*time.Minute)
		payload, err := encode(w.Image, test.Name, p)
		if err != nil {
			w.T.Fatal(err)
		}
		envelope := w.sign(k, payload)
		d := referrers.Draft{Image: w.Image, Test: test.Name, PredicateType: test.PredicateType, Created: p.Timestamp, Payload: payload}
		d.Subject = v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: w.hash(), Size: 1}
		b, err := referrers.BuildRecord(d, referrers.Layout{InlineBytes: w.opts.withDefaults().InlineBytes}, registry.DefaultLimits.ManifestBytes, envelope)
		if err != nil {
			w.T.Fatal(err)
		}
		r := referrers.NewRecord(w.Image.Context(), b)
		if err := repo.Push(ctx, referrers.RecordTag(w.Image, r.Digest), types.OCIManifestSchema1, b, envelope); err != nil {
			w.T.Fatal(err)
		}
		l := statementIn(r)
		l.Data = nil
		view = append(view, l)
	}
	config := []byte(registry.EmptyConfig)
	b, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: registry.Describe(config, types.OCIConfigJSON), Layers: view,
	})
	if err != nil {
		w.T.Fatal(err)
	}
	if err := repo.Push(ctx, viewTag(w.Image), types.OCIManifestSchema1, b, config); err != nil {
		w.T.Fatal(err)
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
				w.Breaks(func(http.ResponseWriter, *http.Request) bool {
					time.Sleep(latency)
					return false
				})
				r := NewResolver(k, w.opts)
				w.Requests = nil
				b.ReportAllocs()
				for b.Loop() {
					if err := f(w, r); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(w.Requests))/float64(b.N), "requests/op")
			})
		}
	}
}

// The newest of each of ten tests.
func BenchmarkNewests(b *testing.B) {
	var tests []intoto.Test
	for i := range 10 {
		tests = append(tests, testResultOf(fmt.Sprint("test-", i)))
	}
	reads(b, func(w *world, r *Resolver) error {
		newest, err := r.NewestAll(b.Context(), w.Image, tests...)
		if err == nil {
			err = newest[0].Problem
		}
		return err
	})
}

// All statements, verified.
func BenchmarkAll(b *testing.B) {
	reads(b, func(w *world, r *Resolver) error {
		for e, err := range r.All(b.Context(), w.Image) {
			if err != nil || e.Problem != nil {
				return fmt.Errorf("%v %v", err, e.Problem)
			}
		}
		return nil
	})
}
