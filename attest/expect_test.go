package attest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

func TestExpect(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		old := w.write(k, "scan", outcome(Passed, -time.Hour))
		newest := w.write(k, "scan", outcome(Failed, 0))
		other := w.write(k, "other", outcome(Passed, 0))
		for _, tt := range []struct {
			name    string
			expect  Expect
			missing int  // records
			met     bool // of all
		}{
			{"both records", Expect{Test: "scan", Records: []v1.Hash{old.Digest, newest.Digest}}, 0, true},
			{"an older record is there", Expect{Test: "scan", Records: []v1.Hash{old.Digest}}, 0, true},
			{"record that is nowhere", Expect{Test: "scan", Records: []v1.Hash{coffee, newest.Digest}}, 1, false},
			{"record of another test", Expect{Test: "scan", Records: []v1.Hash{other.Digest}}, 1, false},
			{"begun just then", Expect{Test: "scan", NotBefore: noon}, 0, true},
			{"begun later", Expect{Test: "scan", NotBefore: noon.Add(1)}, 0, false},
			{"record there, but the run began later", Expect{Test: "scan", Records: []v1.Hash{newest.Digest}, NotBefore: noon.Add(1)}, 0, false},
			{"left nothing", Expect{Test: "scan", Run: "scan#7"}, 0, false},
		} {
			e, err := NewResolver(k, w.opts).Expecting(tt.expect).Newest(t.Context(), w.image, testResultOf("scan"))
			if err != nil {
				t.Fatal(err)
			}
			if tt.met {
				if e.Problem != nil || e.Completeness != Expected || e.Result != Failed {
					t.Errorf("%s: %v, %q, %s", tt.name, e.Problem, e.Completeness, e.Result)
				}
				continue
			}
			missing := wantAs[*MissingError](t, e.Problem)
			if len(missing.Records) != tt.missing || e.Completeness != Unproven || e.Result != Unknown {
				t.Errorf("%s: %+v, %q, %s", tt.name, missing, e.Completeness, e.Result)
			}
		}
	})
}

func TestExpectIsAboutItsTestAlone(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(Passed, 0))
	r := NewResolver(k, w.opts).Expecting(Expect{Test: "other", Run: "other#1"})
	if e, err := r.Newest(t.Context(), w.image, testResultOf("scan")); err != nil || e.Problem != nil || e.Completeness != Unproven {
		t.Errorf("got %v, %v, %q", err, e.Problem, e.Completeness)
	}
	_, err := r.Newest(t.Context(), w.image, testResultOf("other"))
	wantAs[*MissingError](t, err)
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	all, err := r.Newests(t.Context(), w.image)
	if err != nil || len(all) != 2 || all[0].Test.Name != "other" || all[0].Problem == nil || all[1].Problem != nil {
		t.Errorf("got %v, %v", all, err)
	}
	if e, err := NewResolver(k, w.opts).Newest(t.Context(), w.image, testResultOf("scan")); err != nil || e.Problem != nil {
		t.Errorf("Expecting changed the Resolver it was called on: %v %v", err, e.Problem)
	}
}

// A test that is expected and found is answered once. A second answer, of no predicate type, would say that there is no
// evidence, and a policy that counts answers would deny what passed.
func TestExpectedTestIsAnsweredOnce(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	record := w.write(k, "scan", outcome(Passed, 0))
	r := NewResolver(k, w.opts).Expecting(Expect{Test: "scan", Records: []v1.Hash{record.Digest}})
	all, err := r.Newests(t.Context(), w.image)
	if err != nil || len(all) != 1 || all[0].Test != testResultOf("scan") || all[0].Completeness != Expected {
		t.Errorf("got %+v, %v", all, err)
	}
}

// That every expected run is there says more than that the checkpoint knows of nothing newer, so it is the one that is told.
func TestExpectedIsMoreThanRemembered(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.opts.Checkpoint = CheckpointDir(t.TempDir())
	record := w.write(k, "scan", outcome(Passed, 0))
	r := NewResolver(k, w.opts).Expecting(Expect{Test: "scan", Records: []v1.Hash{record.Digest}})
	for range 2 { // at first nothing is remembered
		if e, err := r.Newest(t.Context(), w.image, testResultOf("scan")); err != nil || e.Completeness != Expected {
			t.Errorf("got %q, %v", e.Completeness, err)
		}
	}
}

// A run that passed and left no evidence is seen: from the news of runs to the answer about the image.
func TestSnapshotTellsWhatToExpect(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	record := w.write(k, "scan", outcome(Passed, 0))
	over := func(id string, run int, phase scheduler.Phase, left ...scheduler.Artifact) scheduler.Event {
		e := scheduler.Finished(scheduler.Ref{ID: dag.ID(id), Run: run}, phase)
		e.Artifacts = left
		return e
	}
	var s scheduler.Snapshot
	for _, e := range []scheduler.Event{
		over("scan", 2, scheduler.PhasePassed, scheduler.Artifact{URI: w.image.Context().Name(), Digest: record.Digest.String()}),
		over("silent", 1, scheduler.PhasePassed),
		over("broken", 3, scheduler.PhaseFailed, scheduler.Artifact{URI: "elsewhere.example.com/x", Digest: coffee.String()}),
		over("stopped", 1, scheduler.PhaseStopped),
		over("canceled", 1, scheduler.PhaseCanceled),
		over("running", 1, scheduler.PhaseRunning),
	} {
		s = s.Observe(e)
	}
	runs := ExpectRuns(s, w.image)
	want := []Expect{
		{Test: "broken", Run: "broken#3"},
		{Test: "scan", Run: "scan#2", Records: []v1.Hash{record.Digest}},
		{Test: "silent", Run: "silent#1"},
	}
	if diff := cmp.Diff(want, runs); diff != "" {
		t.Fatal(diff)
	}
	all, err := NewResolver(k, w.opts).Expecting(runs...).Newests(t.Context(), w.image, testResultOf("scan"), testResultOf("silent"))
	if err != nil {
		t.Fatal(err)
	}
	if all[0].Problem != nil || all[0].Completeness != Expected {
		t.Errorf("scan: %v, %q", all[0].Problem, all[0].Completeness)
	}
	if missing := wantAs[*MissingError](t, all[1].Problem); missing.Error() != "attest: silent#1 is over and left no evidence that is known of" {
		t.Errorf("silent: %v", missing)
	}
}
