package attest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/intoto"
)

func TestExpect(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		old := w.write(k, "scan", outcome(intoto.Passed, -time.Hour))
		newest := w.write(k, "scan", outcome(intoto.Failed, 0))
		other := w.write(k, "other", outcome(intoto.Passed, 0))
		for _, tt := range []struct {
			name    string
			expect  Expect
			missing int  // records
			met     bool // of all
		}{
			{"both records", Expect{Test: "scan", Records: []v1.Hash{old.Digest, newest.Digest}}, 0, true},
			{"an older record is there", Expect{Test: "scan", Records: []v1.Hash{old.Digest}}, 0, true},
			{"record that is nowhere", Expect{Test: "scan", Records: []v1.Hash{attesttest.Coffee, newest.Digest}}, 1, false},
			{"record of another test", Expect{Test: "scan", Records: []v1.Hash{other.Digest}}, 1, false},
			{"begun just then", Expect{Test: "scan", NotBefore: attesttest.Noon}, 0, true},
			{"begun later", Expect{Test: "scan", NotBefore: attesttest.Noon.Add(1)}, 0, false},
			{"record there, but the run began later", Expect{Test: "scan", Records: []v1.Hash{newest.Digest}, NotBefore: attesttest.Noon.Add(1)}, 0, false},
			{"left nothing", Expect{Test: "scan", Run: "scan#7"}, 0, false},
		} {
			e, err := NewResolver(k, w.opts).Expecting(tt.expect).Newest(t.Context(), w.Image, testResultOf("scan"))
			if err != nil {
				t.Fatal(err)
			}
			if tt.met {
				if e.Problem != nil || e.Completeness != Expected || e.Result != intoto.Failed {
					t.Errorf("%s: %v, %q, %s", tt.name, e.Problem, e.Completeness, e.Result)
				}
				continue
			}
			missing := wantProblem(t, Missing, e.Problem)
			if len(missing.Records) != tt.missing || e.Completeness != Unproven || e.Result != intoto.Unknown {
				t.Errorf("%s: %+v, %q, %s", tt.name, missing, e.Completeness, e.Result)
			}
		}
	})
}

func TestExpectIsAboutItsTestAlone(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Passed, 0))
	r := NewResolver(k, w.opts).Expecting(Expect{Test: "other", Run: "other#1"})
	if e, err := r.Newest(t.Context(), w.Image, testResultOf("scan")); err != nil || e.Problem != nil || e.Completeness != Unproven {
		t.Errorf("got %v, %v, %q", err, e.Problem, e.Completeness)
	}
	_, err := r.Newest(t.Context(), w.Image, testResultOf("other"))
	wantProblem(t, Missing, err)
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	all, err := r.NewestAll(t.Context(), w.Image)
	if err != nil || len(all) != 2 || all[0].Test.Name != "other" || all[0].Problem == nil || all[1].Problem != nil {
		t.Errorf("got %v, %v", all, err)
	}
	if e, err := NewResolver(k, w.opts).Newest(t.Context(), w.Image, testResultOf("scan")); err != nil || e.Problem != nil {
		t.Errorf("Expecting changed the Resolver it was called on: %v %v", err, e.Problem)
	}
}

// A test that is expected and found is answered once. A second answer, of no predicate type, would say that there is no
// evidence, and a policy that counts answers would deny what passed.
func TestExpectedTestIsAnsweredOnce(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	record := w.write(k, "scan", outcome(intoto.Passed, 0))
	r := NewResolver(k, w.opts).Expecting(Expect{Test: "scan", Records: []v1.Hash{record.Digest}})
	all, err := r.NewestAll(t.Context(), w.Image)
	if err != nil || len(all) != 1 || all[0].Test != testResultOf("scan") || all[0].Completeness != Expected {
		t.Errorf("got %+v, %v", all, err)
	}
}

// That every expected run is there says more than that the checkpoint knows of nothing newer, so it is the one that is told.
func TestExpectedIsMoreThanRemembered(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.opts.Checkpoint = checkpoint.Dir(t.TempDir())
	record := w.write(k, "scan", outcome(intoto.Passed, 0))
	r := NewResolver(k, w.opts).Expecting(Expect{Test: "scan", Records: []v1.Hash{record.Digest}})
	for range 2 { // at first nothing is remembered
		if e, err := r.Newest(t.Context(), w.Image, testResultOf("scan")); err != nil || e.Completeness != Expected {
			t.Errorf("got %q, %v", e.Completeness, err)
		}
	}
}

// A run that passed and left no evidence is seen: from what is known of runs to the answer about the image.
func TestRunsTellWhatToExpect(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	record := w.write(k, "scan", outcome(intoto.Passed, 0))
	runs := ExpectRuns(w.Image,
		Run{Test: "silent", Name: "silent#1"},
		Run{Test: "scan", Name: "scan#2", Artifacts: []Artifact{{URI: w.Image.Context().Name(), Digest: record.Digest.String()}}},
		Run{Test: "broken", Name: "broken#3", Artifacts: []Artifact{{URI: "elsewhere.example.com/x", Digest: attesttest.Coffee.String()}}},
	)
	want := []Expect{
		{Test: "broken", Run: "broken#3", Elsewhere: []Artifact{{URI: "elsewhere.example.com/x", Digest: attesttest.Coffee.String()}}},
		{Test: "scan", Run: "scan#2", Records: []v1.Hash{record.Digest}},
		{Test: "silent", Run: "silent#1"},
	}
	if diff := cmp.Diff(want, runs); diff != "" {
		t.Fatal(diff)
	}
	all, err := NewResolver(k, w.opts).Expecting(runs...).NewestAll(t.Context(), w.Image, testResultOf("scan"), testResultOf("silent"))
	if err != nil {
		t.Fatal(err)
	}
	if all[0].Problem != nil || all[0].Completeness != Expected {
		t.Errorf("scan: %v, %q", all[0].Problem, all[0].Completeness)
	}
	if missing := wantProblem(t, Missing, all[1].Problem); missing.Error() != "attest: silent#1 is over and left no evidence that is known of: let its results name the record, or run the test again" {
		t.Errorf("silent: %v", missing)
	}
}

// Artifacts of other repositories are records of this image if it was copied from there, and anything else otherwise.
func TestArtifactsOfOtherRepositories(t *testing.T) {
	const origin, boms = "origin.example.com/team/app", "origin.example.com/team/sboms"
	at := func(uri string, digest v1.Hash) Artifact {
		return Artifact{URI: uri, Digest: digest.String()}
	}
	gone, sbom := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}, attesttest.Coffee
	last := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("f", 64)}
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		here := w.Image.Context().Name()
		old := w.write(k, "scan", outcome(intoto.Passed, -time.Hour)).Digest
		newest := w.write(k, "scan", outcome(intoto.Failed, 0)).Digest
		other := w.write(k, "other", outcome(intoto.Passed, 0)).Digest
		left := func(artifacts ...Artifact) Run { return Run{Test: "scan", Name: "scan#2", Artifacts: artifacts} }
		for _, tt := range []struct {
			name    string
			left    Run
			began   time.Time
			missing []v1.Hash // records
			met     bool
		}{
			{"a record that was copied here", left(at(origin, newest)), time.Time{}, nil, true},
			{"two of one repository", left(at(origin, newest), at(origin, old)), time.Time{}, nil, true},
			{"two of three of one repository are gone", left(at(origin, newest), at(origin, gone), at(origin, last)), time.Time{}, []v1.Hash{gone, last}, false},
			{"a record here, an SBOM elsewhere", left(at(here, newest), at(boms, sbom)), time.Time{}, nil, true},
			{"a copied record, an SBOM elsewhere", left(at(origin, newest), at(boms, sbom)), time.Time{}, nil, true},
			{"a record here is gone, an SBOM elsewhere", left(at(here, gone), at(boms, sbom)), time.Time{}, []v1.Hash{gone}, false},
			{"an SBOM elsewhere, and nothing more", left(at(boms, sbom)), time.Time{}, nil, false},
			{"the copied record is gone, an SBOM elsewhere", left(at(origin, gone), at(boms, sbom)), time.Time{}, nil, false},
			{"an SBOM elsewhere, the run began before", left(at(boms, sbom)), attesttest.Noon, nil, true},
			{"an SBOM elsewhere, the run began later", left(at(boms, sbom)), attesttest.Noon.Add(1), nil, false},
			{"a copied record of another test", left(at(origin, other)), time.Time{}, []v1.Hash{other}, false},
			{"the same record in two places", left(at(here, newest), at(origin, newest)), time.Time{}, nil, true},
		} {
			runs := ExpectRuns(w.Image, tt.left)
			runs[0].NotBefore = tt.began
			e, err := NewResolver(k, w.opts).Expecting(runs...).Newest(t.Context(), w.Image, testResultOf("scan"))
			if err != nil {
				t.Fatal(err)
			}
			if tt.met {
				if e.Problem != nil || e.Completeness != Expected || e.Result != intoto.Failed {
					t.Errorf("%s: %v, %q, %s", tt.name, e.Problem, e.Completeness, e.Result)
				}
				continue
			}
			missing := wantProblem(t, Missing, e.Problem)
			if diff := cmp.Diff(tt.missing, missing.Records); diff != "" || e.Result != intoto.Unknown {
				t.Errorf("%s: %s, %s", tt.name, diff, e.Result)
			}
		}
	})
}

// What names no manifest cannot be looked for. A digest of a kind that records do not have is a mistake if it is the
// caller's, and no record if a run left it elsewhere.
func TestArtifactsThatAreNoRecords(t *testing.T) {
	w := newWorld(t, true)
	long := Artifact{URI: "elsewhere.example.com/x", Digest: "sha512:" + attesttest.SomeHex + attesttest.SomeHex}
	over := Run{Test: "scan", Name: "scan#1", Artifacts: []Artifact{long, {URI: "elsewhere.example.com/x", Digest: "latest"}}}
	want := []Expect{{Test: "scan", Run: "scan#1"}}
	if diff := cmp.Diff(want, ExpectRuns(w.Image, over)); diff != "" {
		t.Error(diff)
	}
	r := NewResolver(newKey(t, "k"), w.opts).Expecting(Expect{Test: "scan", Elsewhere: []Artifact{long}})
	_, err := r.Newest(t.Context(), w.Image, testResultOf("scan"))
	attesttest.Field(t, err, "runs[0].Elsewhere[0]")
}

// What is missing is told with the run, the reason and the way out.
func TestMissingTellsWhatToDo(t *testing.T) {
	const remedy = ": copy it here if it is elsewhere, or run the test again"
	for want, e := range map[string]*Problem{
		"attest: the evidence of scan#2 is missing: record " + attesttest.Coffee.String() + ` is not at the image, or is no evidence of "scan"` + remedy: {
			Kind: Missing, Expect: Expect{Test: "scan", Run: "scan#2", NotBefore: attesttest.Noon}, Records: []v1.Hash{attesttest.Coffee},
		},
		"attest: the evidence of a run of scan is missing: there is none since 2026-03-01T12:00:00Z" + remedy: {
			Kind: Missing, Expect: Expect{Test: "scan", NotBefore: attesttest.Noon, Elsewhere: []Artifact{{URI: "x", Digest: "y"}}},
		},
		"attest: scan#2 is over and left no evidence that is known of: none of its artifacts is at the image, the first is example.com/x@sha256:y" + remedy: {
			Kind: Missing, Expect: Expect{Test: "scan", Run: "scan#2", Elsewhere: []Artifact{{URI: "example.com/x", Digest: "sha256:y"}}},
		},
		"attest: scan#2 is over and left no evidence that is known of: let its results name the record, or run the test again": {
			Kind: Missing, Expect: Expect{Test: "scan", Run: "scan#2"},
		},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}
