package attest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// version2 is a version of test-result that is not understood.
const version2 = "https://in-toto.io/attestation/test-result/v0.2"

// Every argument that names a test is held to the same rule, and is refused before the registry is asked.
func TestNamesAreRefusedWhereverTheyAreGiven(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	for _, name := range []string{"", "sc\u034fan", "scan\u3164", "cafe\u0301", "scan ", "scan\ue000", "scan\u0378", "sc\tan", "sc\xffan", strings.Repeat("x", 513)} {
		_, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, name, outcome(intoto.Passed, 0))
		attesttest.Field(t, err, "test")
		_, err = NewStatement(w.Image, name, vulns(0))
		attesttest.Field(t, err, "test")
		_, err = w.newest(k, testResultOf(name))
		attesttest.Field(t, err, "tests[0].Name")
		_, err = NewResolver(k, w.opts).Expecting(Expect{Test: name}).Newest(t.Context(), w.Image, testResultOf("scan"))
		attesttest.Field(t, err, "runs[0].Test")
		if name == "" {
			continue
		}
		result := outcome(intoto.Passed, 0)
		result.Configuration = []intoto.ResourceDescriptor{{Name: name}}
		attesttest.Field(t, result.Validate(), "configuration[0].name")
		scan := vulns(0)
		scan.Test = name
		attesttest.Field(t, scan.Validate(), intoto.TestField)
	}
	_, err := NewWriter(k, w.opts).Write(t.Context(), w.Image, "sc\u034fan\u200d", outcome(intoto.Passed, 0))
	want := `attest: test: "sc\u034fan\u200d": U+034F at byte 2 is invisible, U+200D at byte 6 is invisible; names are printable text in NFC`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if len(w.records()) != 0 {
		t.Error("something was written")
	}
}

// The name of vulns is its extension field, and without that the URI of the scanner. Each may be the one that is refused.
func TestNamesOfVulns(t *testing.T) {
	for _, tt := range []struct{ predicate, field, problem string }{
		{`{"scanner":{"uri":"scan\u200b"}}`, "scanner.uri", `U+200B at byte 4`},
		{`{"https://github.com/testdag/testdag/test":"scan\u200b","scanner":{"uri":"x"}}`, intoto.TestField, `U+200B at byte 4`},
	} {
		w := newWorld(t, true)
		k := newKey(t, "k")
		w.write(k, "scan", vulns(-time.Hour))
		w.attach(w.sign(k, w.statementOf(intoto.VulnsType, tt.predicate)), nil)
		e := w.mustNewest(k, intoto.Test{Name: "scan", PredicateType: intoto.VulnsType})
		if e.Problem == nil || !strings.Contains(e.Problem.Error(), tt.field+": ") || !strings.Contains(e.Problem.Error(), tt.problem) {
			t.Errorf("%s: got %v", tt.predicate, e.Problem)
		}
	}
}

// A call without tests shows what has a bad name under that name, each once, and with it the test that it looks like is
// blocked. What says of no test what it is blocks all.
func TestBadNamesAreShown(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		passedBefore(w, k)
		w.write(k, "other", outcome(intoto.Passed, 0))
		for i, name := range []string{"sc\u034fan", "scan\u200b", "lint\u200b"} {
			predicate := strings.Replace(resultNamed(name), "T12:00", fmt.Sprintf("T12:0%d", i), 1)
			w.attach(w.sign(k, w.statementOf(intoto.TestResultType, predicate)), nil)
		}
		w.attach(w.sign(k, w.statementOf(version2, strings.Replace(failedAs, "scan", "later", 1))), nil)
		shown := func() (names []string) {
			t.Helper()
			all, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range all {
				names = append(names, fmt.Sprintf("%+q %t", e.Test.Name, e.Problem == nil))
			}
			return names
		}
		// The test "scan" shows what is newest of those that look like it.
		want := []string{`"later" false`, `"lint\u200b" false`, `"other" true`, `"scan\u200b" false`, `"scan\u200b" false`, `"sc\u034fan" false`}
		if diff := cmp.Diff(want, shown()); diff != "" {
			t.Error(diff)
		}
		w.attach(w.sign(k, w.statementOf(intoto.TestResultType, resultNamed("\u3164"))), nil)
		want = []string{`"" false`, `"later" false`, `"lint\u200b" false`, `"other" false`, `"scan" false`, `"scan\u200b" false`, `"sc\u034fan" false`}
		if diff := cmp.Diff(want, shown()); diff != "" {
			t.Error(diff)
		}
	})
}

// A statement whose test cannot be read blocks every test of its type. A test-result blocks vulns too, which it may overrule.
func TestVersionWithoutATest(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	passedBefore(w, k)
	w.write(k, "scan", vulns(0))
	w.write(k, "lint", outcome(intoto.Passed, 0))
	w.attach(w.sign(k, w.statementOf(version2, `{}`)), nil)
	for _, test := range []string{"scan", "lint"} {
		_, err := w.newest(k, testResultOf(test))
		attesttest.As[*CandidateError](t, err)
	}
	attesttest.As[*CandidateError](t, w.mustNewest(k, intoto.Test{Name: "scan", PredicateType: intoto.VulnsType}).Problem)
	w.attach(w.sign(k, w.statementOf("https://in-toto.io/attestation/vulns/v1", `{"scanner":[]}`)), nil)
	_, err := w.newest(k, intoto.Test{Name: "scan", PredicateType: intoto.VulnsType})
	attesttest.As[*CandidateError](t, err)
}

// Vulns whose test cannot be read block no test-result.
func TestVulnsVersionWithoutATest(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	passedBefore(w, k)
	w.attach(w.sign(k, w.statementOf("https://in-toto.io/attestation/vulns/v1", `{"scanner":[]}`)), nil)
	if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil {
		t.Error(e.Problem)
	}
}

// Evidence of a version that is not understood says which, and nothing else of its predicate.
func TestEvidenceOfAnotherVersion(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	payload := w.statementOf(version2, failedAs)
	manifest := w.attach(w.sign(k, payload), nil)
	e := w.mustNewest(k, testResultOf("scan"))
	if e.Test != testResultOf("scan") || e.Statement.PredicateType != version2 || e.Predicate != nil || !e.Time.IsZero() || e.Result != intoto.Unknown || e.VerifiedBy.Name != "k" {
		t.Errorf("got %+v", e)
	}
	if c := attesttest.As[*CandidateError](t, e.Problem); c.Manifest != manifest || !strings.Contains(c.Error(), registry.Describe(payload, "").Digest.String()) {
		t.Errorf("got %v", c)
	}
}

// A statement is ignored by its digest alone, wherever it is found, and that is logged.
func TestIgnoredStatements(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		core, logs := observer.New(zap.WarnLevel)
		w.opts.Logger = zap.New(core)
		k := newKey(t, "k")
		passedBefore(w, k)
		w.ignore(w.write(k, "scan", outcome(intoto.Failed, 0)))
		broken := []byte("no statement")
		w.attach(w.sign(k, broken), nil)
		w.opts.UnsafeIgnoreStatements = append(w.opts.UnsafeIgnoreStatements, registry.Describe(broken, "").Digest)
		for _, tests := range [][]intoto.Test{nil, {testResultOf("scan")}} {
			logs.TakeAll()
			all, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image, tests...)
			if err != nil || len(all) != 1 || all[0].Problem != nil || all[0].Result != intoto.Passed {
				t.Fatalf("got %+v, %v", all, err)
			}
			want := slices.Clone(w.opts.UnsafeIgnoreStatements)
			slices.SortFunc(want, func(a, b v1.Hash) int { return strings.Compare(a.String(), b.String()) })
			if diff := cmp.Diff(want, all[0].Ignored); diff != "" {
				t.Error(diff)
			}
			if got := logs.FilterMessage("ignoring a statement by its digest").Len(); got < 2 {
				t.Errorf("logged %d times", got)
			}
		}
		if all := w.all(k); len(all) != 1 || all[0].Problem != nil {
			t.Errorf("All returns %+v", all)
		}
	})
}

// A Resolver can be told to pass over a statement at one image alone. A test without other evidence tells of it too,
// and a statement that is not at the image is not told of.
func TestIgnoringForOneImage(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Failed, 0))
	r := NewResolver(k, w.opts)
	newest := func(r *Resolver) Evidence {
		all, err := r.NewestAll(t.Context(), w.Image, testResultOf("scan"))
		if err != nil {
			t.Fatal(err)
		}
		return all[0]
	}
	failure := newest(r)
	ignored := newest(r.UnsafeIgnoring(attesttest.Coffee, failure.Digest()))
	if !errors.Is(ignored.Problem, ErrNotFound) || !slices.Equal(ignored.Ignored,
		[]v1.Hash{failure.Digest()}) || ignored.Digest() != (v1.Hash{}) {
		t.Errorf("got %+v", ignored)
	}
	if again := newest(r); again.Result != intoto.Failed || again.Ignored != nil {
		t.Errorf("got %+v", again)
	}
}

func TestIgnoredStatementsAreDigests(t *testing.T) {
	w := newWorld(t, true)
	good := registry.Describe(nil, "").Digest
	w.opts.UnsafeIgnoreStatements = []v1.Hash{good, {}, {Algorithm: "sha512", Hex: good.Hex}, {Algorithm: "sha256", Hex: "ab"}, {Algorithm: "sha256", Hex: strings.ToUpper(good.Hex)}}
	_, err := w.newest(newKey(t, "k"), testResultOf("scan"))
	attesttest.Field(t, err, "Options.UnsafeIgnoreStatements[1]", "Options.UnsafeIgnoreStatements[2]", "Options.UnsafeIgnoreStatements[3]", "Options.UnsafeIgnoreStatements[4]")
}

// What is ignored is not missed either. Statements of the same time that are not ignored still are.
func TestIgnoredStatementsAreNotMissed(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.opts.Checkpoint = checkpoint.Dir(t.TempDir())
	passedBefore(w, k)
	failed := w.write(k, "scan", outcome(intoto.Failed, 0))
	errored := w.write(k, "scan", outcome(intoto.Errored, 0))
	if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Errored {
		t.Fatalf("got %+v", e)
	}
	w.remove(errored)
	w.ignore(failed)
	e := w.mustNewest(k, testResultOf("scan"))
	if gone := wantProblem(t, RolledBack, e.Problem); len(gone.Records) != 1 {
		t.Errorf("gone are %v", gone.Records)
	}
	w.ignore(errored)
	if e := w.mustNewest(k, testResultOf("scan")); e.Problem != nil || e.Result != intoto.Passed || e.Completeness != Unproven {
		t.Errorf("got %+v", e)
	}
}

// Evidence without a time is not remembered, since nothing could be compared with it, and nothing is said to be gone
// because of it.
func TestEvidenceWithoutATimeIsNotRemembered(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	checkpoint := checkpoint.Dir(t.TempDir())
	w.opts.Checkpoint = checkpoint
	passedBefore(w, k)
	w.mustNewest(k, testResultOf("scan"))
	before, err := checkpoint.Seen(t.Context(), w.Image, testResultOf("scan"))
	if err != nil || before.IsZero() {
		t.Fatal(before, err)
	}
	w.attach(w.sign(k, w.statementOf(version2, failedAs)), nil)
	w.attach(w.sign(k, w.statementOf(version2, strings.Replace(failedAs, "scan", "lint", 1))), nil)
	for _, test := range []string{"scan", "lint"} {
		e := w.mustNewest(k, testResultOf(test))
		attesttest.As[*CandidateError](t, e.Problem)
		if errors.Is(e.Problem, RolledBack) {
			t.Error(e.Problem)
		}
	}
	after, err := checkpoint.Seen(t.Context(), w.Image, testResultOf("scan"))
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if m, err := checkpoint.Seen(t.Context(), w.Image, testResultOf("lint")); err != nil || len(m.Statements) > 0 {
		t.Errorf("remembered %+v, %v", m, err)
	}
}

// Names in letters of another script are other tests. The answer says that they are there, also if nothing else is.
func TestAlikeNames(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		for _, name := range []string{"s\u0441an", "sc\u0430n", "Scan", "other"} {
			w.write(k, name, outcome(intoto.Failed, 0))
		}
		want := []string{"sc\u0430n", "s\u0441an"}
		for range 2 {
			all, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image, testResultOf("scan"), testResultOf("other"))
			if err != nil || !slices.Equal(all[0].Alike, want) || all[1].Alike != nil {
				t.Errorf("got %+q and %+q, %v", all[0].Alike, all[1].Alike, err)
			}
			w.write(k, "scan", outcome(intoto.Passed, 0))
		}
	})
}
