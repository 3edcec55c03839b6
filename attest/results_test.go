package attest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/intoto"
)

func record(t *testing.T, repo string) Record {
	t.Helper()
	r, err := name.NewRepository(repo)
	if err != nil {
		t.Fatal(err)
	}
	return Record{Repository: r, Digest: v1.Hash{Algorithm: "sha256", Hex: attesttest.SomeHex}}
}

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
func TestWriteResults(t *testing.T) {
	for _, tt := range []struct{ prefix, file, repo, uri string }{
		{"CLAMAV", "CLAMAV_ARTIFACT_OUTPUTS", "quay.io/team/app", "quay.io/team/app"},
		{"", "ARTIFACT_OUTPUTS", "localhost:5000/app", "localhost:5000/app"},
		{"x", "x_ARTIFACT_OUTPUTS", "alpine", "index.docker.io/library/alpine"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "ARTIFACT_URI"), []byte("of an earlier attempt, and much longer than the new one"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := WriteResults(dir, tt.prefix, record(t, tt.repo)); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"ARTIFACT_URI":    tt.uri,
			"ARTIFACT_DIGEST": "sha256:" + attesttest.SomeHex,
			tt.file:           `{"uri":"` + tt.uri + `","digest":"sha256:` + attesttest.SomeHex + `","isBuildArtifact":"true"}`,
		}
		if diff := cmp.Diff(want, readAll(t, dir)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestWriteResultsRefuses(t *testing.T) {
	good := record(t, "quay.io/team/app")
	for name, tt := range map[string]struct {
		prefix string
		change func(*Record)
		want   []string
	}{
		"prefix that leaves the directory": {"../X", func(*Record) {}, []string{"prefix"}},
		"prefix with a space":              {"A B", func(*Record) {}, []string{"prefix"}},
		"prefix that begins with a digit":  {"1A", func(*Record) {}, []string{"prefix"}},
		"upper-case digest":                {"A", func(r *Record) { r.Digest.Hex = strings.ToUpper(attesttest.SomeHex) }, []string{"digest"}},
		"sha512":                           {"A", func(r *Record) { r.Digest.Algorithm = "sha512" }, []string{"digest"}},
		"SHA256":                           {"A", func(r *Record) { r.Digest.Algorithm = "SHA256" }, []string{"digest"}},
		"short digest":                     {"A", func(r *Record) { r.Digest.Hex = attesttest.SomeHex[:62] }, []string{"digest"}},
		"nothing":                          {"", func(r *Record) { *r = Record{} }, []string{"repository", "digest"}},
	} {
		r := good
		tt.change(&r)
		dir := t.TempDir()
		err := WriteResults(dir, tt.prefix, r)
		attesttest.Field(t, err, tt.want...)
		if got := readAll(t, dir); len(got) != 0 {
			t.Errorf("%s: left %v", name, got)
		}
	}
}

func TestResultsFitIntoTekton(t *testing.T) {
	fixed := len("sha256:"+attesttest.SomeHex) + len(`{"uri":"","digest":"sha256:`+attesttest.SomeHex+`","isBuildArtifact":"true"}`)
	long := func(uri int) Record {
		return record(t, strings.Repeat("a", uri-len(".example.com/app"))+".example.com/app")
	}
	most := (maxResultBytes - fixed) / 2
	if err := WriteResults(t.TempDir(), "A", long(most)); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	l := attesttest.As[*intoto.LimitError](t, WriteResults(dir, "A", long(most+1)))
	if l.Limit != 4096 || l.What != "result bytes" || len(readAll(t, dir)) != 0 {
		t.Errorf("got %+v", l)
	}
}

// If the last file cannot be put in place, the first ones go away again.
func TestResultsAreWholeOrNotThere(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "A_ARTIFACT_OUTPUTS", "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := WriteResults(dir, "A", record(t, "quay.io/team/app"))
	if err == nil || !strings.HasPrefix(err.Error(), "attest: results: ") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(map[string]string{"A_ARTIFACT_OUTPUTS": "a directory"}, readAll(t, dir)); diff != "" {
		t.Error(diff)
	}
	if err := WriteResults(filepath.Join(dir, "missing"), "A", record(t, "quay.io/team/app")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
