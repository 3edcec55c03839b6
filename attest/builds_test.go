package attest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// buildFor is what Chains writes, in its format slsa/v1, about a pipeline that finished at noon plus d and built the image
// with this digest: first one task tells of it, then another hands it on.
func buildFor(image v1.Hash, d time.Duration) []byte {
	task := func(name, digest string) string {
		return fmt.Sprintf(`{"name": %[1]q, "status": "Succeeded", "results": [{"name": "IMAGE_DIGEST", "type": "string", "value": %[2]q}],
			"ref": {"resolver": "bundles", "params": [{"name": "name", "value": %[1]q}, {"name": "kind", "value": "task"},
				{"name": "bundle", "value": "quay.io/konflux-ci/tekton-catalog/task-%[1]s:0.1@%[3]s"}]}}`, name, digest, clamavDigest)
	}
	finished := attesttest.Noon.Add(d).Format(time.RFC3339)
	return fmt.Appendf(nil, `{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": %q, "subject": [{"name": "app", "digest": {"sha256": %q}}],
		"predicate": {"builder": {"id": "https://tekton.dev/chains/v2"}, "buildType": "tekton.dev/v1/PipelineRun",
			"metadata": {"buildStartedOn": "2026-03-01T10:00:00Z", "buildFinishedOn": %q},
			"buildConfig": {"tasks": [%s, %s, %s]}}}`, intoto.ProvenanceTypeV02, image.Hex, finished,
		task("init", ""), task("buildah", image.String()), task("build-image-index", image.String()))
}

func (w *world) builds(v Verifier) []Build {
	w.T.Helper()
	builds, err := NewResolver(v, w.opts).Builds(context.Background(), w.Image)
	if err != nil {
		w.T.Fatal(err)
	}
	return builds
}

func TestBuilds(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "chains")
		if got := w.builds(byChains(t, k)); len(got) != 0 {
			t.Errorf("of an image that nobody tells of there are %d", len(got))
		}
		w.write(k, "scan", outcome(intoto.Passed, 0))
		w.provenance(k, w.hash(), buildFor(w.hash(), -time.Minute))
		newer := w.attach(w.sign(k, buildFor(w.hash(), 0)), func(m *v1.Manifest) {
			m.Annotations = map[string]string{AnnotationPredicateType: intoto.ProvenanceTypeV02}
		})
		if err := NewWriter(k, w.opts).Repair(context.Background(), w.Image); err != nil { // lists it in the fallback index
			t.Fatal(err)
		}
		got := w.builds(AnyOf(k, byChains(t, k)))
		if len(got) != 2 {
			t.Fatalf("got %d", len(got))
		}
		for i, d := range []time.Duration{0, -time.Minute} {
			b := got[i]
			if b.Problem != nil || b.Image != w.Image || b.VerifiedBy != (Identity{"key", "chains"}) {
				t.Errorf("%d: got %+v", i, b)
			}
			if p := b.Provenance; !p.Finished.Equal(attesttest.Noon.Add(d)) || len(p.Tasks) != 3 || p.Tasks[0].Name != "init" {
				t.Errorf("%d: got %+v", i, p)
			}
		}
		att := w.get(viewTag(w.Image)).Digest
		if held := got[0].Manifest; held != newer && held != att || got[1].Manifest != att {
			t.Errorf("held by %s and %s, want %s or %s, and %s", held, got[1].Manifest, newer, att, att)
		}
	})
}

// A build counts if one of several verifiers trusts it, and is there once.
func TestBuildsOfSeveralVerifiers(t *testing.T) {
	w, k := newWorld(t, true), newKey(t, "chains")
	w.provenance(k, w.hash(), buildFor(w.hash(), 0))
	nobody, err := ByProvenance(k, provenance.Trust{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []Verifier{AnyOf(nobody, byChains(t, k)), AnyOf(byChains(t, k), nobody)} {
		if got := w.builds(v); len(got) != 1 || got[0].Problem != nil {
			t.Errorf("got %+v", got)
		}
	}
}

// What is at the image and is not the provenance of a build that is trusted comes with the reason.
func TestBuildsThatDoNotCount(t *testing.T) {
	for _, tt := range []struct {
		name   string
		attach func(w *world, k *key)
		want   func(t *testing.T, b Build)
	}{
		{"signed by somebody else", func(w *world, _ *key) {
			w.provenance(newKey(w.T, "mallory"), w.hash(), buildFor(w.hash(), 0))
		}, func(t *testing.T, b Build) {
			attesttest.As[*CandidateError](t, b.Problem)
			if b.Provenance != nil || b.VerifiedBy != (Identity{}) || b.Manifest == (v1.Hash{}) {
				t.Errorf("got %+v", b)
			}
		}},
		{"of another image", func(w *world, k *key) { w.provenance(k, w.hash(), buildFor(attesttest.Coffee, 0)) }, func(t *testing.T, b Build) {
			attesttest.As[*CandidateError](t, b.Problem)
		}},
		{"no task tells of the image, only the results of the pipeline do", func(w *world, k *key) {
			w.chainsBuild(k, `"IMAGE_DIGEST"`, `"DIGEST"`)
		}, func(t *testing.T, b Build) {
			if why := attesttest.As[*provenance.UntrustedError](t, b.Problem).Reason; why != "none of its tasks tells that it made "+b.Image.DigestStr() {
				t.Errorf("got %s", why)
			}
		}},
		{"a task that nobody trusts", func(w *world, k *key) { w.chainsBuild(k, "task-init", "../task-init") }, func(t *testing.T, b Build) {
			if e := attesttest.As[*provenance.UntrustedError](t, b.Problem); e.Task.PipelineTask != "init" {
				t.Errorf("got %+v", e)
			}
			if b.Provenance == nil || b.VerifiedBy.Name != "chains" {
				t.Errorf("got %+v", b)
			}
		}},
		{"another builder", func(w *world, k *key) { w.chainsBuild(k, "chains/v2", "chains/v3") }, func(t *testing.T, b Build) {
			if e := attesttest.As[*provenance.UntrustedError](t, b.Problem); e.Builder != "https://tekton.dev/chains/v3" {
				t.Errorf("got %+v", e)
			}
		}},
		{"later than now", func(w *world, k *key) { w.provenance(k, w.hash(), buildFor(w.hash(), time.Hour)) }, func(t *testing.T, b Build) {
			if e := wantProblem(t, Future, b.Problem); !e.Time.Equal(attesttest.Noon.Add(time.Hour)) || e.Within != 5*time.Minute {
				t.Errorf("got %+v", e)
			}
		}},
		{"no statement", func(w *world, k *key) { w.provenance(k, w.hash(), []byte("{")) }, func(t *testing.T, b Build) {
			attesttest.As[*CandidateError](t, b.Problem)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				k := newKey(t, "chains")
				tt.attach(w, k)
				got := w.builds(byChains(t, k))
				if len(got) != 1 {
					t.Fatalf("got %d", len(got))
				}
				tt.want(t, got[0])
			})
		})
	}
}

// chainsBuild attaches a build to the image in which some text is replaced.
func (w *world) chainsBuild(k *key, old, new string) {
	w.T.Helper()
	w.provenance(k, w.hash(), replaced(w.T, buildFor(w.hash(), 0), old, new))
}

// Within the skew of clocks a build may be later than now.
func TestBuildsWithinSkew(t *testing.T) {
	w, k := newWorld(t, true), newKey(t, "chains")
	w.provenance(k, w.hash(), buildFor(w.hash(), 5*time.Minute))
	if got := w.builds(byChains(t, k)); len(got) != 1 || got[0].Problem != nil {
		t.Errorf("got %+v", got)
	}
}

func TestBuildsErrors(t *testing.T) {
	w, k := newWorld(t, true), newKey(t, "chains")
	w.provenance(k, w.hash(), buildFor(w.hash(), 0))
	ctx := context.Background()
	if got, err := NewResolver(k, w.opts).Builds(ctx, w.Image); len(got) > 0 || err != nil {
		t.Errorf("without trust in anybody: %v, %v", got, err)
	}
	_, err := NewResolver(byChains(t, k), w.opts).Builds(ctx, w.Image.Context().Digest("md5:d41d8cd98f00b204e9800998ecf8427e"))
	attesttest.Field(t, err, "image")
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := NewResolver(byChains(t, k), w.opts).Builds(canceled, w.Image); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	few := w.opts
	few.Limits.Statements = 1
	w.attach(w.sign(k, buildFor(w.hash(), 0)), nil)
	_, err = NewResolver(byChains(t, k), few).Builds(ctx, w.Image)
	if e := attesttest.As[*intoto.LimitError](t, err); e.What != "statements" {
		t.Errorf("got %+v", e)
	}
	w.Answers(http.StatusForbidden, func(*http.Request) bool { return true })
	_, err = NewResolver(byChains(t, k), w.opts).Builds(ctx, w.Image)
	attesttest.As[*RegistryError](t, err)
}

// clamavDigest is the digest of the task's bundle in the recordings.
const clamavDigest = "sha256:63eb4a4c0cfb491276bff86fdad1c96bf238506388848e79001058450a8e843a"
