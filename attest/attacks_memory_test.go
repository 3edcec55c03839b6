package attest

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

// inDir remembers in a directory.
func inDir(w *world) Checkpoint { return CheckpointDir(w.t.(*testing.T).TempDir()) }

// inRepo remembers in a repository of the same registry.
func inRepo(w *world) Checkpoint { return CheckpointRepository(w.beside("gate/marks"), w.opts) }

// beside names another repository of the same registry.
func (w *world) beside(path string) name.Repository {
	w.t.Helper()
	repo, err := name.NewRepository(w.image.Context().RegistryStr() + "/" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	return repo
}

// mirror goes on with a copy of the image in another repository, which has none of its evidence.
func (w *world) mirror() {
	w.t.Helper()
	copied := w.push(w.beside("mirror/app"), "app")
	if copied.DigestStr() != w.image.DigestStr() {
		w.t.Fatalf("%s is no copy of %s", copied, w.image)
	}
	w.image = copied
}

// seenFailing has a failure remembered that is newer than a pass.
func (w *world) seenFailing(k *key) Record {
	w.t.Helper()
	passedBefore(w, k)
	failed := w.write(k, "scan", outcome(Failed, 0))
	if e := w.mustNewest(k, testResultOf("scan")); e.Result != Failed {
		w.t.Errorf("at first: %v", e)
	}
	return failed
}

// copiedWithout copies the image and its older pass to a mirror, and leaves the newest failure behind.
func copiedWithout(name string, c func(*world) Checkpoint) attack {
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

// memoryAttacks hide the newest failure from what remembers, expects or lists it.
var memoryAttacks = []attack{
	copiedWithout("the image copied without its newest failure, a directory remembers", inDir),
	copiedWithout("the image copied without its newest failure, a repository remembers", inRepo),
}
