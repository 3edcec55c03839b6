package pipelinerun

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/scheduler"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			b = []byte("a directory")
		}
		got[e.Name()] = string(b)
	}
	return got
}

// Chains reads these names and this form, and no other.
func TestWriteArtifact(t *testing.T) {
	for _, tt := range []struct{ prefix, file, uri string }{
		{"CLAMAV", "CLAMAV_ARTIFACT_OUTPUTS", "quay.io/team/app"},
		{"", "ARTIFACT_OUTPUTS", "localhost:5000/app"},
		{"x", "x_ARTIFACT_OUTPUTS", "index.docker.io/library/alpine"},
		{"y", "y_ARTIFACT_OUTPUTS", "registry:5000/app"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "ARTIFACT_URI"), []byte("of an earlier attempt, and much longer than the new one"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := WriteArtifact(dir, tt.prefix, scheduler.Artifact{URI: tt.uri, Digest: someDigest}); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"ARTIFACT_URI":    tt.uri,
			"ARTIFACT_DIGEST": someDigest,
			tt.file:           `{"uri":"` + tt.uri + `","digest":"` + someDigest + `","isBuildArtifact":"true"}`,
		}
		if diff := cmp.Diff(want, readAll(t, dir)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestWriteArtifactRefuses(t *testing.T) {
	good := scheduler.Artifact{URI: "quay.io/team/app", Digest: someDigest}
	for name, tt := range map[string]struct {
		prefix string
		change func(*scheduler.Artifact)
		want   []string
	}{
		"prefix that leaves the directory": {"../X", func(*scheduler.Artifact) {}, []string{"prefix"}},
		"prefix with a space":              {"A B", func(*scheduler.Artifact) {}, []string{"prefix"}},
		"prefix that begins with a digit":  {"1A", func(*scheduler.Artifact) {}, []string{"prefix"}},
		"upper-case digest":                {"A", func(a *scheduler.Artifact) { a.Digest = "sha256:" + strings.ToUpper(someDigest[7:]) }, []string{"digest"}},
		"sha512":                           {"A", func(a *scheduler.Artifact) { a.Digest = "sha512:" + someDigest[7:] }, []string{"digest"}},
		"SHA256":                           {"A", func(a *scheduler.Artifact) { a.Digest = "SHA256:" + someDigest[7:] }, []string{"digest"}},
		"short digest":                     {"A", func(a *scheduler.Artifact) { a.Digest = someDigest[:len(someDigest)-2] }, []string{"digest"}},
		"a tag":                            {"A", func(a *scheduler.Artifact) { a.URI += ":latest" }, []string{"uri"}},
		"a scheme":                         {"A", func(a *scheduler.Artifact) { a.URI = "https://" + a.URI }, []string{"uri"}},
		"no registry":                      {"A", func(a *scheduler.Artifact) { a.URI = "team/app" }, []string{"uri"}},
		"no registry, and a dot behind it": {"A", func(a *scheduler.Artifact) { a.URI = "team/app.v1" }, []string{"uri"}},
		"nothing":                          {"", func(a *scheduler.Artifact) { *a = scheduler.Artifact{} }, []string{"uri", "digest"}},
	} {
		a := good
		tt.change(&a)
		dir := t.TempDir()
		err := WriteArtifact(dir, tt.prefix, a)
		var got []string
		joined, _ := errors.Unwrap(err).(interface{ Unwrap() []error })
		if joined == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, one := range joined.Unwrap() {
			got = append(got, one.(*FieldError).Field)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if got := readAll(t, dir); len(got) != 0 {
			t.Errorf("%s: left %v", name, got)
		}
	}
}

// A repository may have 255 bytes, so that the results of a prefix as long as a name may be fit into what Tekton
// carries.
func TestResultsFitIntoTekton(t *testing.T) {
	long := scheduler.Artifact{URI: strings.Repeat("a", maxRepositoryBytes-len(".example.com/app")) + ".example.com/app", Digest: someDigest}
	if err := WriteArtifact(t.TempDir(), "A", long); err != nil {
		t.Error(err)
	}
}

// If the last file cannot be put in place, the first ones go away again.
func TestResultsAreWholeOrNotThere(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "A_ARTIFACT_OUTPUTS", "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := WriteArtifact(dir, "A", scheduler.Artifact{URI: "quay.io/team/app", Digest: someDigest})
	if err == nil || !strings.HasPrefix(err.Error(), "results: ") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(map[string]string{"A_ARTIFACT_OUTPUTS": "a directory"}, readAll(t, dir)); diff != "" {
		t.Error(diff)
	}
	if err := WriteArtifact(filepath.Join(dir, "missing"), "A", scheduler.Artifact{URI: "quay.io/team/app", Digest: someDigest}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
