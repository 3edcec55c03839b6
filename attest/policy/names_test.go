package policy

import (
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// What has a name that no test may have counts for the test that it looks like, whether the resolver was asked for that
// test or for everything.
func TestNamesThatLookLikeTheTest(t *testing.T) {
	older := tested("scan", intoto.Passed, -time.Hour)
	for _, tt := range []struct {
		name     string
		evidence attest.Evidence
		want     []string
	}{
		{"newer", tested("sc\u034fan", intoto.Failed, 0, problem(errBroken)), []string{"violation evidence.misnamed scan"}},
		{"newer, in another case", tested("SCAN\u200b", intoto.Failed, 0, problem(errBroken)), []string{"violation evidence.misnamed scan"}},
		{"newer, without a problem", tested("scan ", intoto.Passed, 0), []string{"violation evidence.misnamed scan"}},
		{"newer, declared", tested("lint", intoto.Passed, 0, func(e *attest.Evidence) { e.Declared = "scan\u3164" }), []string{"violation evidence.misnamed scan"}},
		{"newer, declared, and of the test", tested("scan", intoto.Passed, 0, func(e *attest.Evidence) { e.Declared = "scan\u3164" }), []string{"success test.passed scan"}},
		{"older", tested("sc\u034fan", intoto.Failed, -2*time.Hour, problem(errBroken)), []string{"success test.passed scan"}},
		{"of another test", tested("lint\u034f", intoto.Failed, 0, problem(errBroken)), []string{"success test.passed scan"}},
		{"in another case alone", tested("Scan", intoto.Failed, 0), []string{"success test.passed scan"}},
	} {
		got := judged(t, requires("scan"), []attest.Evidence{older, tt.evidence})
		if diff := cmp.Diff(tt.want, brief(got)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	// A good name that differs by case alone is that of another test.
	declared := tested("scan", intoto.Passed, 0, func(e *attest.Evidence) { e.Declared = "Scan" })
	if diff := cmp.Diff([]string{"violation evidence.misnamed Scan"}, brief(judged(t, requires("Scan"), []attest.Evidence{declared}))); diff != "" {
		t.Error(diff)
	}
	got := judged(t, requires("scan"), []attest.Evidence{tested("sc\u034fan", intoto.Passed, 0)})
	want := `scan: the newest evidence does not count: "sc\u034fan": U+034F at byte 2 is invisible; names are printable text in NFC`
	if len(got.Violations) != 1 || got.Violations[0].Msg != want {
		t.Errorf("got %+v\nwant %s", got.Violations, want)
	}
}

// A test whose name only looks the same, in letters of another script, is another test. The report points it out, whether
// the required one is there or not, and wherever the other was found.
func TestAlikeNamesAreWarnings(t *testing.T) {
	cyrillic := "s\u0441an"
	passed := tested("scan", intoto.Passed, 0)
	for _, tt := range []struct {
		name     string
		policy   Policy
		evidence []attest.Evidence
		builds   []attest.Build
		want     []string
	}{
		{"beside it", requires("scan"), []attest.Evidence{passed, tested(cyrillic, intoto.Failed, 0)}, nil,
			[]string{"warning required.alike scan", "success test.passed scan"}},
		{"in its place", requires("scan"), []attest.Evidence{tested(cyrillic, intoto.Passed, 0)}, nil,
			[]string{"violation required.missing scan", "warning required.alike scan"}},
		{"by a resolver", requires("scan"), []attest.Evidence{tested("scan", intoto.Passed, 0, func(e *attest.Evidence) { e.Alike = []string{cyrillic} })}, nil,
			[]string{"warning required.alike scan", "success test.passed scan"}},
		{"by a resolver, without the test", requires("scan"), []attest.Evidence{func() attest.Evidence {
			e := absentOf("scan")
			e.Alike = []string{cyrillic}
			return e
		}()}, nil, []string{"violation required.missing scan", "warning required.alike scan"}},
		{"in the build", inBuild("scan"), nil, []attest.Build{built(0, task("scan", 0), task(cyrillic, 0))},
			[]string{"warning required.alike scan", "success required_in_build.found scan"}},
		{"required itself", requires(cyrillic), []attest.Evidence{passed}, nil,
			[]string{"violation required.missing " + cyrillic, "warning required.alike " + cyrillic}},
		{"of a task to come", Policy{Required: []Entry{since(time.Time{}, "a"), since(noon.Add(time.Hour), "a", "scan")}},
			[]attest.Evidence{tested("a", intoto.Passed, 0), tested(cyrillic, intoto.Passed, 0)}, nil,
			[]string{"warning required.alike scan", "warning required.missing scan", "success test.passed a"}},
		{"of none", requires("scan"), []attest.Evidence{passed, tested("Scan", intoto.Failed, 0), tested("scans", intoto.Failed, 0)}, nil,
			[]string{"success test.passed scan"}},
	} {
		got := judged(t, tt.policy, tt.evidence, tt.builds...)
		if diff := cmp.Diff(tt.want, brief(got)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		for _, n := range got.Warnings {
			if n.Metadata.Code == CodeAlike && !strings.Contains(n.Msg, `"s\u0441an" (U+0441 at byte 1)`) {
				t.Errorf("%s: %s", tt.name, n.Msg)
			}
		}
	}
}

// The gate is shut for a newer statement of a version that is not read, or of a name that looks like the test's, and says
// what to do. It says that another test looks alike.
func TestGateIsShut(t *testing.T) {
	for _, tt := range []struct {
		name, predicateType, predicate string
		want                           []string
		msg                            string
	}{
		{"a later version", "https://in-toto.io/attestation/test-result/v0.2", `{"configuration":[{"name":"scan"}]}`,
			[]string{"violation evidence.unreadable scan"}, "in Options.UnsafeIgnoreStatements"},
		{"a later version without a test", "https://in-toto.io/attestation/test-result/v0.2", `{}`,
			[]string{"violation evidence.unreadable scan"}, "in Options.UnsafeIgnoreStatements"},
		{"a later version of vulns", "https://in-toto.io/attestation/vulns/v1", `{"scanner":{"uri":"scan"}}`,
			[]string{"violation evidence.unreadable scan"}, "in Options.UnsafeIgnoreStatements"},
		{"a name that looks like it", intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"sc\u034fan"}],"timestamp":"2026-03-01T12:00:00Z"}`,
			[]string{"violation evidence.misnamed scan"}, "U+034F at byte 2 is invisible"},
		{"a name in another script", intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"s\u0441an"}],"timestamp":"2026-03-01T12:00:00Z"}`,
			[]string{"warning required.alike scan", "success test.passed scan"}, `"scan" and "s\u0441an" (U+0441 at byte 1) look alike`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
			defer server.Close()
			digest, err := empty.Image.Digest()
			if err != nil {
				t.Fatal(err)
			}
			image := imageOf(strings.TrimPrefix(server.URL, "http://") + "/team/app@" + digest.String())
			if err := remote.Write(image, empty.Image); err != nil {
				t.Fatal(err)
			}
			_, err = attest.NewWriter(nil, attest.Options{Encoding: intoto.EncodingStatement}).Write(t.Context(), image, "scan",
				intoto.TestResult{Result: intoto.Passed, Timestamp: noon.Add(-time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			statement := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + digest.Hex + `"}}],"predicateType":"` +
				tt.predicateType + `","predicate":` + tt.predicate + `}`
			refer(t, image, digest, statement)
			got, err := requires("scan").Gate(t.Context(), attest.NewResolver(believer{}, attest.Options{}),
				Input{Image: image, Now: noon})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, brief(got)); diff != "" {
				t.Error(diff)
			}
			if !slices.ContainsFunc(slices.Concat(got.Violations, got.Warnings), func(n Note) bool { return strings.Contains(n.Msg, tt.msg) }) {
				t.Errorf("%q is not in %+v", tt.msg, got)
			}
		})
	}
}

// refer puts a statement beside the image, as tools do that are not ours.
func refer(t *testing.T, image name.Digest, digest v1.Hash, statement string) {
	t.Helper()
	record := mutate.MediaType(mutate.ConfigMediaType(empty.Image, "application/vnd.oci.empty.v1+json"), types.OCIManifestSchema1)
	record, err := mutate.AppendLayers(record, static.NewLayer([]byte(statement), intoto.PayloadType))
	if err != nil {
		t.Fatal(err)
	}
	about := mutate.Subject(record, v1.Descriptor{MediaType: types.DockerManifestSchema2, Digest: digest, Size: 1}).(v1.Image)
	h, err := about.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(image.Context().Digest(h.String()), about); err != nil {
		t.Fatal(err)
	}
}
