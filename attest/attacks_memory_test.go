package attest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registrytest"
	"github.com/testdag/testdag/attest/intoto"
)

// inDir remembers in a directory.
func inDir(w *world) checkpoint.Store { return checkpoint.Dir(w.T.(*testing.T).TempDir()) }

// inRepo remembers in a repository of the same registry.
func inRepo(w *world) checkpoint.Store {
	return checkpoint.Repository(w.beside("gate/marks"), w.opts.Access)
}

// beside names another repository of the same registry.
func (w *world) beside(path string) name.Repository {
	w.T.Helper()
	repo, err := name.NewRepository(w.Image.Context().RegistryStr() + "/" + path)
	if err != nil {
		w.T.Fatal(err)
	}
	return repo
}

// mirror goes on with a copy of the image in another repository, which has none of its evidence.
func (w *world) mirror() {
	w.T.Helper()
	copied := w.Push(w.beside("mirror/app"), "app")
	if copied.DigestStr() != w.Image.DigestStr() {
		w.T.Fatalf("%s is no copy of %s", copied, w.Image)
	}
	w.Image = copied
}

// seenFailing has a failure remembered that is newer than a pass.
func (w *world) seenFailing(k *key) Record {
	w.T.Helper()
	passedBefore(w, k)
	failed := w.write(k, "scan", outcome(intoto.Failed, 0))
	if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Failed {
		w.T.Errorf("at first: %v", e)
	}
	return failed
}

// copiedWithout copies the image and its older pass to a mirror, and leaves the newest failure behind.
func copiedWithout(name string, c func(*world) checkpoint.Store) attack {
	return attack{
		name: name,
		do: func(w *world, ours, _ *key) {
			w.opts.Checkpoint = c(w)
			w.seenFailing(ours)
			w.mirror()
			passedBefore(w, ours)
		},
		answer: "evidence of 2026-03-01T12:00:00Z was seen before and is gone",
	}
}

// collectOrphans deletes the marks whose subject is not there, as some registries do when they collect garbage.
func (w *world) collectOrphans(repo name.Repository) {
	w.T.Helper()
	marks := &world{Host: &registrytest.Host{T: w.T, Image: repo.Digest(w.Image.DigestStr()), Inner: w.Inner}, opts: w.opts}
	r := marks.repo()
	for _, tag := range marks.allTags() {
		doc := marks.get(tag)
		var m v1.Manifest
		if err := json.Unmarshal(doc.Bytes, &m); err != nil {
			w.T.Fatal(err)
		}
		if m.Subject == nil {
			continue
		}
		if _, err := r.Manifest(context.Background(), m.Subject.Digest.String()); err == nil {
			continue
		}
		for _, ref := range []string{tag, doc.Digest.String()} {
			if err := r.Remove(context.Background(), ref); err != nil {
				w.T.Fatal(err)
			}
		}
	}
}

// allTags lists all tags of the repository.
func (w *world) allTags() []string {
	w.T.Helper()
	answer := httptest.NewRecorder()
	w.Inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/v2/"+w.Image.Context().RepositoryStr()+"/tags/list",
		nil))
	var page struct{ Tags []string }
	if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil {
		w.T.Fatal(err)
	}
	return page.Tags
}

// listsOtherwise changes the annotations that the referrers API gives of a manifest.
func (w *world) listsOtherwise(change func(digest string, annotations map[string]string)) {
	w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if !w.Referrers || !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		answer := httptest.NewRecorder()
		w.Inner.ServeHTTP(answer, r)
		var index v1.IndexManifest
		if err := json.Unmarshal(answer.Body.Bytes(), &index); err != nil {
			w.T.Error(err)
		}
		for _, d := range index.Manifests {
			change(d.Digest.String(), d.Annotations)
		}
		rw.Header().Set("Content-Type", string(types.OCIImageIndex))
		if err := json.NewEncoder(rw).Encode(index); err != nil {
			w.T.Error(err)
		}
		return true
	})
}

// cutAfter cuts all values of annotations that are longer.
func cutAfter(n int) func(string, map[string]string) {
	return func(_ string, annotations map[string]string) {
		for key, value := range annotations {
			annotations[key] = value[:min(n, len(value))]
		}
	}
}

// drop leaves annotations out.
func drop(keys ...string) func(string, map[string]string) {
	return func(_ string, annotations map[string]string) {
		for _, key := range keys {
			delete(annotations, key)
		}
	}
}

// unlistedFailure writes an older pass that cosign's tag shows, and a failure that only the list leads to.
func (w *world) unlistedFailure(k *key, test string) Record {
	w.T.Helper()
	w.write(k, test, outcome(intoto.Passed, -time.Hour))
	w.opts.WithoutViews = true
	return w.write(k, test, outcome(intoto.Failed, 0))
}

// overwritten makes an attack by something else under cosign's tag, which alone led to the newest failure.
func overwritten(with string, media types.MediaType, body, problem string) attack {
	return attack{
		name: "the tag that led to the newest failure overwritten with " + with,
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.stock(w.sign(ours, w.statementOf(intoto.TestResultType,
				`{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)))
			w.Serves("/manifests/"+viewTag(w.Image), media, body)
		},
		answer: problem,
	}
}

// shortened makes an attack by a list that changes annotations.
func shortened(name, test string, change func(string, map[string]string)) attack {
	return attack{
		name: "the newest failure behind a list " + name, test: test,
		do: func(w *world, ours, _ *key) {
			w.unlistedFailure(ours, test)
			w.listsOtherwise(change)
		},
		answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
	}
}

// memoryAttacks hide the newest failure from what remembers, expects or lists it.
var memoryAttacks = []attack{
	copiedWithout("the image copied without its newest failure, a directory remembers", inDir),
	copiedWithout("the image copied without its newest failure, a repository remembers", inRepo),
	{
		name: "the newest deleted after the registry collected marks without a subject",
		do: func(w *world, ours, _ *key) {
			w.opts.Checkpoint = inRepo(w)
			failed := w.seenFailing(ours)
			w.collectOrphans(w.beside("gate/marks"))
			w.remove(failed)
		},
		answer: "evidence of 2026-03-01T12:00:00Z was seen before and is gone",
	}, {
		name: "the newest deleted, marks are in a registry that refuses those without a subject",
		do: func(w *world, ours, _ *key) {
			w.opts.Checkpoint = inRepo(w)
			passedBefore(w, ours)
			failed := w.write(ours, "scan", outcome(intoto.Failed, 0))
			w.NeedsSubjects()
			_, _ = w.newest(ours, testResultOf("scan"))
			w.remove(failed)
		},
		answer: "evidence of 2026-03-01T12:00:00Z was seen before and is gone",
	},
	{
		name: "the newest deleted from a mirror, its run left it in the origin",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.remove(w.write(ours, "scan", outcome(intoto.Failed, 0)))
		},
		ask: func(w *world, r *Resolver) *Resolver {
			over := Run{Test: "scan", Name: "scan#2", Artifacts: []Artifact{{URI: "origin.example.com/team/app", Digest: attesttest.Coffee.String()}}}
			return r.Expecting(ExpectRuns(w.Image, over)...)
		},
		answer: "scan#2 is over and left no evidence that is known of",
	}, {
		name: "one of two deleted from a mirror, their run left both in the origin",
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", vulns(0))
			w.remove(w.write(ours, "scan", outcome(intoto.Failed, 0)))
			passedBefore(w, ours)
		},
		ask: func(w *world, r *Resolver) *Resolver {
			over := Run{Test: "scan", Name: "scan#2", Artifacts: []Artifact{{URI: "origin.example.com/team/app", Digest: attesttest.Coffee.String()}}}
			for _, e := range w.records() {
				if e.Descriptor.Annotations[AnnotationPredicateType] == intoto.VulnsType {
					over.Artifacts = append(over.Artifacts, Artifact{URI: "origin.example.com/team/app",
						Digest: e.Descriptor.Digest.String()})
				}
			}
			return r.Expecting(ExpectRuns(w.Image, over)...)
		},
		answer: "the evidence of scan#2 is missing: record sha256:c0ffee",
	}, {
		name: "a copied image whose run left its failure in the origin",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.write(ours, "scan", outcome(intoto.Failed, 0))
		},
		ask: func(w *world, r *Resolver) *Resolver {
			over := Run{Test: "scan", Name: "scan#2", Artifacts: []Artifact{{URI: "origin.example.com/team/sboms", Digest: attesttest.Coffee.String()}}}
			for _, e := range w.records() {
				if e.Descriptor.Annotations[AnnotationCreated] == fault.Stamp(attesttest.Noon) {
					over.Artifacts = append(over.Artifacts, Artifact{URI: "origin.example.com/team/app",
						Digest: e.Descriptor.Digest.String()})
				}
			}
			return r.Expecting(ExpectRuns(w.Image, over)...)
		},
		answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
	},
	overwritten("a page of text", types.OCIManifestSchema1, "<html>404</html>", "invalid character '<'"),
	overwritten("an empty index", types.OCIImageIndex,
		`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`,
		"not an image manifest: Writer.Repair with Options.ReplaceViews replaces it"),
	overwritten("an image of something else", types.OCIManifestSchema1, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
		"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
		"annotations":{"predicateType":"https://spdx.dev/Document"}}]}`, "no layer holds a statement: Writer.Repair with Options.ReplaceViews replaces it"),
	{
		name: "the fallback index overwritten with a page of text",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.rubbish(referrers.TagBase(w.Image), types.OCIImageIndex, "<html>404</html>")
		},
		answer: "looking for beginning of value: Writer.Repair with Options.ReplaceViews replaces it",
	},
	shortened("that cuts values after 3 bytes", "scan", cutAfter(3)),
	shortened("that cuts values after 32 bytes", "scan", cutAfter(32)),
	shortened("that cuts values after 64 bytes", longTest, cutAfter(64)),
	shortened("that cuts values after 80 bytes", longTest, cutAfter(80)),
	shortened("that drops the test", "scan", drop(AnnotationTest)),
	shortened("that drops all but the predicate's type and cuts it", "scan", func(_ string, annotations map[string]string) {
		drop(AnnotationTest, AnnotationCreated, AnnotationEnvelope, AnnotationPayload)("", annotations)
		cutAfter(40)("", annotations)
	}),
	shortened("that drops the digests and cuts after 2 bytes", "scan", func(_ string, annotations map[string]string) {
		drop(AnnotationEnvelope, AnnotationPayload)("", annotations)
		annotations[AnnotationTest] = annotations[AnnotationTest][:2]
	}),
}

// longTest is longer than a digest.
var longTest = "integration/" + strings.Repeat("a", 90)
