package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/internal/registrytest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/strictjson"
)

// eachCheckpoint runs a test with every implementation. Each call of open stands for another process.
func eachCheckpoint(t *testing.T, f func(t *testing.T, open func() Store)) {
	t.Helper()
	t.Run("directory", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "marks")
		f(t, func() Store { return Dir(dir) })
	})
	registrytest.Each(t, func(t *testing.T, w *registrytest.Host) {
		repo, err := name.NewRepository(w.Image.Context().RegistryStr() + "/gate/marks")
		if err != nil {
			t.Fatal(err)
		}
		f(t, func() Store { return Repository(repo, access) })
	})
}

func TestCheckpointKeepsTheHighestMark(t *testing.T) {
	eachCheckpoint(t, func(t *testing.T, open func() Store) {
		scan, other := testResultOf("scan"), testResultOf("other")
		see := func(test intoto.Test, want Mark) {
			t.Helper()
			got, err := open().Seen(t.Context(), someImage, test)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		see(scan, Mark{})
		for _, m := range []Mark{markAt(0, "a"), markAt(-time.Hour, "b"), markAt(0, "c"), markAt(0, "a")} {
			if err := open().Advance(t.Context(), someImage, scan, m); err != nil {
				t.Fatal(err)
			}
		}
		see(scan, markAt(0, "a", "c"))
		see(other, Mark{})
		if err := open().Advance(t.Context(), someImage, scan, markAt(time.Nanosecond, "d")); err != nil {
			t.Fatal(err)
		}
		see(scan, markAt(time.Nanosecond, "d"))
	})
}

// The form of a mark outlives a release.
func TestMarkAsWritten(t *testing.T) {
	w := registrytest.New(t, true)
	repo := w.Image.Context()
	m := markAt(time.Nanosecond, "a")
	if err := Repository(repo, access).Advance(t.Context(), someImage, testResultOf("scan"), m); err != nil {
		t.Fatal(err)
	}
	empty := attesttest.Compact(fmt.Sprintf(`{
		"schemaVersion": 2,
		"mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
		"layers": [{"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}],
		"annotations": {"io.github.testdag.image": %q, "io.github.testdag.test": "scan", "predicateType": "https://in-toto.io/attestation/test-result/v0.1"},
		"artifactType": "application/vnd.testdag.checkpoint.subject.v1+json"
	}`, attesttest.Coffee))
	subject := registry.Describe([]byte(empty), "")
	for _, at := range []string{subject.Digest.String(), "sha256-" + subject.Digest.Hex + ".subject"} {
		if diff := cmp.Diff(empty, w.ManifestAt(at)); diff != "" {
			t.Errorf("%s: %s", at, diff)
		}
	}
	l, err := connect(t, w).List(t.Context(), repo.Digest(subject.Digest.String()))
	if err != nil || len(l.Pointers) != 1 {
		t.Fatal(l, err)
	}
	mark := fmt.Sprintf(`{"image":%q,"test":"scan","predicateType":%q,"time":"2026-03-01T12:00:00.000000001Z","statements":[%q]}`,
		someImage.DigestStr(), intoto.TestResultType, registry.Describe([]byte("a"), "").Digest)
	want := attesttest.Compact(fmt.Sprintf(`{
		"schemaVersion": 2,
		"mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
		"layers": [{"mediaType": "application/vnd.testdag.checkpoint.v1+json", "size": %d, "digest": %q, "data": %q}],
		"annotations": {"io.github.testdag.test": "scan", "org.opencontainers.image.created": "2026-03-01T12:00:00.000000001Z", "predicateType": "https://in-toto.io/attestation/test-result/v0.1"},
		"subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": %d, "digest": %q},
		"artifactType": "application/vnd.testdag.checkpoint.v1+json"
	}`, len(mark), registry.Describe([]byte(mark), "").Digest, base64.StdEncoding.EncodeToString([]byte(mark)), subject.Size, subject.Digest))
	if diff := cmp.Diff(want, w.ManifestAt(l.Pointers[0].Ref)); diff != "" {
		t.Error(diff)
	}
	dir := t.TempDir()
	if err := Dir(dir).Advance(t.Context(), someImage, testResultOf("scan"), m); err != nil {
		t.Fatal(err)
	}
	_, key := markKey(someImage, testResultOf("scan"))
	path := filepath.Join(dir, key, "20260301T120000.000000001Z-"+m.Statements[0].Hex)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// The key outlives a release, and so does the one before it: under both there are marks in directories and registries.
func TestMarkKeyAsWritten(t *testing.T) {
	test := testResultOf("scan")
	for _, tt := range []struct {
		name              string
		key               func(name.Digest, intoto.Test) (text, hex string)
		wantText, wantHex string
	}{
		{"key", markKey,
			"sha256:c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00\nhttps://in-toto.io/attestation/test-result/v0.1\nscan\n",
			"5433a3237b313fa439704e470b71616c17be5a4b1853d6d327fd7d6fb2cbc3b7"},
		{"old key", oldMarkKey,
			"registry.example.com/team/app@sha256:c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00\nhttps://in-toto.io/attestation/test-result/v0.1\nscan\n",
			"95f4a69b451d5b2606db9407ecfd8e7d4d37dc77b1a3d65aecb55066f0af76dc"},
	} {
		if text, hex := tt.key(someImage, test); text != tt.wantText || hex != tt.wantHex {
			t.Errorf("%s: got %q, %s", tt.name, text, hex)
		}
	}
}

// A copy of an image in another repository has the marks of the original; another image and another test do not.
func TestMirrorKeepsItsMemory(t *testing.T) {
	eachCheckpoint(t, func(t *testing.T, open func() Store) {
		scan := testResultOf("scan")
		mirror := name.MustParseReference("mirror.example.org/copies/app").Context()
		if err := open().Advance(t.Context(), someImage, scan, markAt(0, "a")); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name  string
			image name.Digest
			test  intoto.Test
			want  Mark
		}{
			{"the image", someImage, scan, markAt(0, "a")},
			{"its mirror", mirror.Digest(attesttest.Coffee.String()), scan, markAt(0, "a")},
			{"another image", mirror.Digest("sha256:" + strings.Repeat("0", 64)), scan, Mark{}},
			{"another test", mirror.Digest(attesttest.Coffee.String()), testResultOf("lint"), Mark{}},
			{"another predicate", mirror.Digest(attesttest.Coffee.String()), intoto.Test{Name: "scan", PredicateType: intoto.VulnsType}, Mark{}},
		} {
			got, err := open().Seen(t.Context(), tt.image, tt.test)
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", tt.name, err, diff)
			}
		}
	})
}

// What an earlier release has kept by the name of the repository still counts for an image of that name, is merged with
// what is kept now, and moves on to the mirrors with the next mark.
func TestMarksOfEarlierReleases(t *testing.T) {
	scan := testResultOf("scan")
	mirror := name.MustParseReference("mirror.example.org/copies/app").Context().Digest(attesttest.Coffee.String())
	for _, tt := range []struct {
		name              string
		old, advance      Mark
		atImage, atMirror Mark
	}{
		{"alone", markAt(0, "a"), Mark{}, markAt(0, "a"), Mark{}},
		{"lower than the new one", markAt(0, "a"), markAt(time.Second, "b"), markAt(time.Second, "b"), markAt(time.Second, "b")},
		{"higher than a new one", markAt(time.Second, "b"), markAt(0, "a"), markAt(time.Second, "b"), markAt(0, "a")},
		{"of the same time", markAt(0, "a"), markAt(0, "b"), markAt(0, "a", "b"), markAt(0, "b")},
	} {
		check := func(t *testing.T, c Store) {
			t.Helper()
			if !tt.advance.IsZero() {
				if err := c.Advance(t.Context(), mirror, scan, tt.advance); err != nil {
					t.Fatal(err)
				}
			}
			for _, at := range []struct {
				image name.Digest
				want  Mark
			}{{someImage, tt.atImage}, {mirror, tt.atMirror}} {
				got, err := c.Seen(t.Context(), at.image, scan)
				if diff := cmp.Diff(at.want, got); err != nil || diff != "" {
					t.Errorf("%s: %v %s", at.image.Context(), err, diff)
				}
			}
			// A reader that has seen the old mark hands it on to the mirror with the next one.
			seen := markAt(time.Minute, "c").Merge(tt.atImage)
			if err := c.Advance(t.Context(), someImage, scan, seen); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Seen(t.Context(), mirror, scan); err != nil || !got.Equal(seen) {
				t.Errorf("later, at the mirror: %v, %v", got, err)
			}
		}
		t.Run(tt.name+"/directory", func(t *testing.T) {
			dir := t.TempDir()
			oldDirMark(t, dir, someImage, scan, tt.old)
			check(t, Dir(dir))
		})
		registrytest.Each(t, func(t *testing.T, w *registrytest.Host) {
			oldRepoMark(w, w.Image.Context(), someImage, scan, tt.old)
			check(t, Repository(w.Image.Context(), access))
		})
	}
}

// The subject of marks is pushed before them, and once. It may be there already, under a tag that cannot be written twice.
func TestMarksHaveASubject(t *testing.T) {
	registrytest.Each(t, func(t *testing.T, w *registrytest.Host) {
		c := Repository(w.Image.Context(), access)
		w.NeedsSubjects()
		for i := range 3 {
			if err := c.Advance(t.Context(), someImage, testResultOf("scan"), markAt(time.Duration(i), fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.Count("PUT", ".subject"); got != 1 {
			t.Errorf("pushed the subject %d times", got)
		}
		w.Answers(http.StatusConflict, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ".subject") })
		if err := c.Advance(t.Context(), someImage, testResultOf("scan"), markAt(time.Second, "x")); err != nil {
			t.Errorf("with the subject there: %v", err)
		}
		err := c.Advance(t.Context(), someImage, testResultOf("other"), markAt(0, "a"))
		if e := attesttest.As[*registry.Error](t, err); e.Op != "write manifest" || e.Status != http.StatusConflict || !strings.HasSuffix(e.Ref, ".subject") {
			t.Errorf("without it: %v", err)
		}
		w.Breaks(nil)
		scan := "sha256-" + registry.Describe(subjectBytes(t, "scan"), "").Digest.Hex + ".subject"
		w.Retag(scan, types.OCIManifestSchema1, subjectBytes(t, "other")) // the tag is moved
		if err := c.Advance(t.Context(), someImage, testResultOf("scan"), markAt(time.Minute, "y")); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(subjectBytes(t, "scan")), w.ManifestAt(scan)); diff != "" {
			t.Error(diff)
		}
	})
}

func subjectBytes(t *testing.T, test string) []byte {
	t.Helper()
	b, err := buildSubject(someImage, testResultOf(test))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// oldDirMark puts a mark into a directory as earlier releases did.
func oldDirMark(t *testing.T, dir string, image name.Digest, test intoto.Test, m Mark) {
	t.Helper()
	text := image.Name() + "\n" + test.PredicateType + "\n" + test.Name + "\n"
	folder := filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256([]byte(text))))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, statement := range m.Statements {
		file := m.Time.UTC().Format("20060102T150405.000000000Z") + "-" + statement.Hex
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// oldRepoMark puts a mark into a repository as earlier releases did: with a subject that is no manifest.
func oldRepoMark(w *registrytest.Host, repo name.Repository, image name.Digest, test intoto.Test, m Mark) {
	w.T.Helper()
	text := image.Name() + "\n" + test.PredicateType + "\n" + test.Name + "\n"
	subject := registry.Describe([]byte(text), types.OCIManifestSchema1)
	stored := storedMark{Image: image.Name(), Test: test.Name, PredicateType: test.PredicateType, Time: m.Time.UTC()}
	for _, s := range m.Statements {
		stored.Statements = append(stored.Statements, s.String())
	}
	blob, err := json.Marshal(stored)
	if err != nil {
		w.T.Fatal(err)
	}
	l := registry.Describe(blob, markType)
	l.Data = blob
	b, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: markType, Subject: &subject,
		Config: registry.Describe([]byte(registry.EmptyConfig), registry.EmptyConfigType), Layers: []v1.Descriptor{l},
		Annotations: map[string]string{
			referrers.AnnotationTest: test.Name, referrers.AnnotationPredicateType: test.PredicateType, referrers.AnnotationCreated: stored.Time.Format(time.RFC3339Nano),
		},
	})
	if err != nil {
		w.T.Fatal(err)
	}
	to, err := registry.New(access, "push,pull").Connect(context.Background(), repo)
	if err != nil {
		w.T.Fatal(err)
	}
	tag := referrers.RecordTag(repo.Digest(subject.Digest.String()), registry.Describe(b, "").Digest)
	if err := to.Push(context.Background(), tag, types.OCIManifestSchema1, b, blob, []byte(registry.EmptyConfig)); err != nil {
		w.T.Fatal(err)
	}
}

// Processes that advance at the same time do not undo each other.
func TestCheckpointLosesNoMark(t *testing.T) {
	eachCheckpoint(t, func(t *testing.T, open func() Store) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		want := Mark{}
		for i := range 16 {
			wg.Go(func() {
				m := markAt(time.Duration(i/4)*time.Second, fmt.Sprint(i))
				if err := open().Advance(t.Context(), someImage, testResultOf("scan"), m); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				want = want.Merge(m)
			})
		}
		wg.Wait()
		got, err := open().Seen(t.Context(), someImage, testResultOf("scan"))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	})
}

// Marks can be merged in any order, as often as one likes.
func TestMarksMerge(t *testing.T) {
	marks := rapid.Custom(func(t *rapid.T) Mark {
		m := markAt(time.Duration(rapid.IntRange(0, 2).Draw(t, "seconds"))*time.Second, rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, "statements")...)
		return rapid.SampledFrom([]Mark{m, {}}).Draw(t, "mark")
	})
	equal := func(t *rapid.T, law string, a, b Mark) {
		if len(a.Statements)+len(b.Statements) == 0 {
			a.Statements, b.Statements = nil, nil
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatalf("%s: %s", law, diff)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := marks.Draw(t, "a"), marks.Draw(t, "b"), marks.Draw(t, "c")
		equal(t, "commutative", a.Merge(b), b.Merge(a))
		equal(t, "associative", a.Merge(b).Merge(c), a.Merge(b.Merge(c)))
		equal(t, "idempotent", a.Merge(a).Merge(b), a.Merge(b))
		if a.Merge(b).Time.Before(a.Time) {
			t.Fatal("went back")
		}
	})
}

// What is not a mark in the directory is an error: it may be one that is damaged.
func TestDamagedMarkIsAnError(t *testing.T) {
	dir := t.TempDir()
	c := Dir(dir)
	if err := c.Advance(t.Context(), someImage, testResultOf("scan"), markAt(0, "a")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if want := someImage.DigestStr() + "\n" + intoto.TestResultType + "\nscan\n"; err != nil || string(text) != want {
		t.Errorf("it says %q, %v", text, err)
	}
	if err := os.Rename(files[0], files[0]+"x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Seen(t.Context(), someImage, testResultOf("scan")); err == nil || !strings.Contains(err.Error(), "is not the name of a mark") {
		t.Errorf("got %v", err)
	}
}

// A place that cannot be read is not an empty one. Read as such, it would make a checkpoint forget all that it has seen.
func TestCheckpointThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	_, key := markKey(someImage, testResultOf("scan"))
	if err := os.WriteFile(filepath.Join(dir, key), nil, 0o644); err != nil { // no folder
		t.Fatal(err)
	}
	if m, err := Dir(dir).Seen(t.Context(), someImage, testResultOf("scan")); err == nil {
		t.Errorf("directory: saw %v", m)
	}
	registrytest.Each(t, func(t *testing.T, w *registrytest.Host) {
		c := Repository(w.Image.Context(), access)
		if err := c.Advance(t.Context(), someImage, testResultOf("scan"), markAt(0, "a")); err != nil {
			t.Fatal(err)
		}
		w.Answers(http.StatusForbidden, func(r *http.Request) bool {
			return strings.Contains(r.URL.Path, "/referrers/") || strings.HasSuffix(r.URL.Path, "/tags/list")
		})
		m, err := c.Seen(t.Context(), someImage, testResultOf("scan"))
		if e := attesttest.As[*registry.Error](t, err); e.Status != http.StatusForbidden || !m.IsZero() {
			t.Errorf("saw %v, %v", m, err)
		}
	})
}

// A mark without hints may be the highest. It is read, however high the hints of others are: a registry that gets the API
// later lists what is older by its tag alone.
func TestMarkWithoutHintsIsRead(t *testing.T) {
	w := registrytest.New(t, true)
	var pointers []referrers.Pointer
	for i, h := range []referrers.Hints{{PredicateType: intoto.TestResultType, Test: "scan", Created: attesttest.Noon}, {}} {
		b, _, err := buildMark(registry.Describe([]byte(registry.EmptyConfig), types.OCIManifestSchema1), someImage, testResultOf("scan"), markAt(time.Duration(i)*time.Hour, "a"))
		if err != nil {
			t.Fatal(err)
		}
		ref := registry.Describe(b, "").Digest.String()
		w.Retag(ref, types.OCIManifestSchema1, b)
		pointers = append(pointers, referrers.Pointer{Ref: ref, Hints: h})
	}
	got, err := marks{connect(t, w)}.highest(t.Context(), pointers)
	if diff := cmp.Diff(markAt(time.Hour, "a"), got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// A manifest counts as a mark only if it is one to the letter.
func TestManifestsThatAreNoMarks(t *testing.T) {
	w := registrytest.New(t, true)
	good, _, err := buildMark(registry.Describe([]byte(registry.EmptyConfig), types.OCIManifestSchema1), someImage, testResultOf("scan"), markAt(0, "a"))
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(m *v1.Manifest)) []byte {
		var m v1.Manifest
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		f(&m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, tt := range []struct {
		name, field string
		manifest    []byte
		hinted      time.Duration
	}{
		{"good", "", good, 0},
		{"another artifact type", "artifactType", change(func(m *v1.Manifest) { m.ArtifactType = intoto.PayloadType }), 0},
		{"two layers", "artifactType", change(func(m *v1.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) }), 0},
		{"annotated as higher", "annotations." + referrers.AnnotationCreated, good, 1},
		{"without a time", "time", change(func(m *v1.Manifest) { m.Layers[0].Data = []byte(`{"statements":[]}`) }), 0},
		{"a statement that is no digest", "statements[0]", change(func(m *v1.Manifest) {
			m.Layers[0].Data = []byte(`{"time":"2026-03-01T12:00:00Z","statements":["x"]}`)
		}), 0},
	} {
		ref := registry.Describe(tt.manifest, "").Digest.String()
		w.Serves("/manifests/"+ref, types.OCIManifestSchema1, string(tt.manifest))
		h := referrers.Hints{PredicateType: intoto.TestResultType, Test: "scan", Created: attesttest.Noon.Add(tt.hinted)}
		_, err := marks{connect(t, w)}.mark(t.Context(), referrers.Pointer{Ref: ref, Hints: h})
		if tt.field == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		attesttest.Field(t, err, tt.field)
	}
}

// A directory without a name would be the one that the program runs in.
func TestDirNeedsAName(t *testing.T) {
	_, err := Dir("").Seen(t.Context(), someImage, testResultOf("scan"))
	attesttest.Field(t, err, "checkpoint.Dir")
	attesttest.Field(t, Dir("").Advance(t.Context(), someImage, testResultOf("scan"), markAt(0, "a")), "checkpoint.Dir")
}

// Somebody advances, and prunes the mark that was just listed.
func TestMarkThatIsPrunedWhileReading(t *testing.T) {
	registrytest.Each(t, func(t *testing.T, w *registrytest.Host) {
		c := Repository(w.Image.Context(), access)
		if err := c.Advance(t.Context(), someImage, testResultOf("scan"), markAt(0, "a")); err != nil {
			t.Fatal(err)
		}
		gone := false
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if gone || !strings.Contains(r.URL.Path, "/manifests/sha256:") {
				return false
			}
			gone = true
			rw.WriteHeader(http.StatusNotFound)
			return true
		})
		got, err := c.Seen(t.Context(), someImage, testResultOf("scan"))
		if diff := cmp.Diff(markAt(0, "a"), got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	})
}

// What a file system keeps of a file that is open and was removed is no mark.
func TestHiddenFilesAreNoMarks(t *testing.T) {
	dir := t.TempDir()
	c := Dir(dir)
	if err := c.Advance(t.Context(), someImage, testResultOf("scan"), markAt(0, "a")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(filepath.Join(files[0], ".nfs0001"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := c.Seen(t.Context(), someImage, testResultOf("scan"))
	if diff := cmp.Diff(markAt(0, "a"), got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// Old marks do not pile up in a directory, and are not read from a repository.
func TestOldMarksCostNothing(t *testing.T) {
	dir := t.TempDir()
	w := registrytest.New(t, true)
	inDir, inRepo := Dir(dir), Repository(w.Image.Context(), access)
	for i := range 5 {
		m := markAt(time.Duration(i)*time.Second, fmt.Sprint(i))
		if err := errors.Join(inDir.Advance(t.Context(), someImage, testResultOf("scan"), m), inRepo.Advance(t.Context(), someImage, testResultOf("scan"), m)); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*", "*")); err != nil || len(files) != 1 {
		t.Errorf("files %q, %v", files, err)
	}
	w.Gets()
	if _, err := inRepo.Seen(t.Context(), someImage, testResultOf("scan")); err != nil {
		t.Fatal(err)
	}
	if manifests, blobs := w.Gets(); manifests != 1 || blobs != 0 {
		t.Errorf("read %d manifests and %d blobs", manifests, blobs)
	}
	for _, m := range []Mark{markAt(4*time.Second, "4"), markAt(0, "0")} {
		if err := inRepo.Advance(t.Context(), someImage, testResultOf("scan"), m); err != nil || w.Count("PUT", "") > 0 {
			t.Errorf("%v, and wrote %q", err, w.Requests)
		}
	}
}

// A lower mark that alone has seen the API is not pruned before the highest says so.
func TestPrunedMarkHandsOnReferrers(t *testing.T) {
	w := registrytest.New(t, true)
	c := Repository(w.Image.Context(), access).(*checkpointRepository)
	lower, higher := markAt(0, "a"), markAt(time.Second, "b")
	lower.Referrers = true
	subject, _, err := c.subject(w.Image, testResultOf("scan"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Advance(t.Context(), w.Image, testResultOf("scan"), lower); err != nil {
		t.Fatal(err)
	}
	l, err := connect(t, w).List(t.Context(), subject)
	if err != nil || len(l.Pointers) != 1 {
		t.Fatal(l, err)
	}
	if more := (marks{connect(t, w)}).prune(t.Context(), subject, l.Pointers, higher); !more {
		t.Error("it is lost")
	}
	if got, err := c.Seen(t.Context(), w.Image, testResultOf("scan")); err != nil || !got.Referrers {
		t.Errorf("%+v, %v", got, err)
	}
	higher.Referrers = true
	if more := (marks{connect(t, w)}).prune(t.Context(), subject, l.Pointers, higher); more {
		t.Error("the highest says so")
	}
	if got, err := c.Seen(t.Context(), w.Image, testResultOf("scan")); err != nil || !got.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

// FuzzMark reads text as the name of a mark's file.
func FuzzMark(f *testing.F) {
	f.Add("20260301T120000.000000000Z-" + attesttest.SomeHex)
	f.Add("20260301T120000Z-")
	f.Fuzz(func(t *testing.T, file string) {
		m, err := parseMark(file)
		if err != nil {
			return
		}
		if again := markFile(m.Time, m.Statements[0]); !strings.EqualFold(again, file) && len(file) == len(again) {
			t.Errorf("%q is %s, whose name is %q", file, m.Time.Format(time.RFC3339Nano), again)
		}
	})
}

// FuzzStoredMark reads bytes as a mark in a repository.
func FuzzStoredMark(f *testing.F) {
	f.Add([]byte(`{"time":"2026-03-01T12:00:00Z","statements":["sha256:` + attesttest.SomeHex + `"]}`))
	b, _, err := buildMark(v1.Descriptor{}, someImage, testResultOf("scan"), markAt(0, "a"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseStoredMark(b, strictjson.Default)
		if mark, err := parseMarkManifest(b, registry.DefaultLimits); err == nil && len(mark.Statements) > 0 && mark.Time.IsZero() {
			t.Errorf("mark without a time: %q", b)
		}
	})
}

// Marks of both kinds are read, and what one of them has seen stays seen.
func TestMarkRemembersReferrers(t *testing.T) {
	eachCheckpoint(t, func(t *testing.T, open func() Store) {
		scan := testResultOf("scan")
		old, with := markAt(0, "a"), markAt(time.Second, "b")
		with.Referrers = true
		for _, m := range []Mark{old, with, markAt(2*time.Second, "c")} {
			if err := open().Advance(t.Context(), someImage, scan, m); err != nil {
				t.Fatal(err)
			}
		}
		want := markAt(2*time.Second, "c")
		want.Referrers = true
		got, err := open().Seen(t.Context(), someImage, scan)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	})
}

// The bit outlives a release, and a release that does not know it passes over it: hidden files, and unknown fields.
func TestMarkWithReferrersAsWritten(t *testing.T) {
	m := markAt(0, "a")
	m.Referrers = true
	_, blob, err := buildMark(v1.Descriptor{}, someImage, testResultOf("scan"), m)
	want := fmt.Sprintf(`{"image":%q,"test":"scan","predicateType":%q,"time":"2026-03-01T12:00:00Z","statements":[%q],"referrers":true}`,
		someImage.DigestStr(), intoto.TestResultType, registry.Describe([]byte("a"), "").Digest)
	if diff := cmp.Diff(want, string(blob)); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	dir := t.TempDir()
	if err := Dir(dir).Advance(t.Context(), someImage, testResultOf("scan"), m); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", ".referrers"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if got, err := Dir(dir).Seen(t.Context(), someImage, testResultOf("scan")); err != nil || got.Referrers ||
		got.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

// A mark that is no mark must not hide others by its annotations.
func TestCheckpointRepositoryLured(t *testing.T) {
	w := registrytest.New(t, true)
	c := Repository(w.Image.Context(), access)
	if err := c.Advance(t.Context(), w.Image, testResultOf("scan"), markAt(0, "a")); err != nil {
		t.Fatal(err)
	}
	empty, err := buildSubject(w.Image, testResultOf("scan"))
	if err != nil {
		t.Fatal(err)
	}
	subject := registry.Describe(empty, types.OCIManifestSchema1)
	b, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: intoto.PayloadType, Layers: []v1.Descriptor{},
		Config: registry.Describe([]byte(registry.EmptyConfig), registry.EmptyConfigType), Subject: &subject,
		Annotations: map[string]string{
			referrers.AnnotationPredicateType: intoto.TestResultType, referrers.AnnotationTest: "scan",
			referrers.AnnotationCreated: "2026-03-01T12:01:00Z",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Retag("lure", types.OCIManifestSchema1, b)
	m, err := c.Seen(t.Context(), w.Image, testResultOf("scan"))
	if err == nil {
		t.Errorf("remembered %v", m)
	}
	attesttest.Field(t, err, "artifactType")
}

// access is how the registries of these tests are reached.
var access = registry.Options{Backoff: time.Millisecond, Transport: registrytest.Plain}

// connect gives access to what is stored.
func connect(t *testing.T, h *registrytest.Host) *referrers.Records {
	t.Helper()
	r, err := referrers.Open(t.Context(), registry.New(access, "push,pull"), h.Image.Context(), referrers.Layout{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var someImage = name.MustParseReference("registry.example.com/team/app").Context().Digest(attesttest.Coffee.String())

func testResultOf(test string) intoto.Test {
	return intoto.Test{Name: test, PredicateType: intoto.TestResultType}
}

func markAt(d time.Duration, statements ...string) Mark {
	m := Mark{Time: attesttest.Noon.Add(d)}
	for _, s := range statements {
		m = m.Merge(Mark{Time: m.Time, Statements: []v1.Hash{registry.Describe([]byte(s), "").Digest}})
	}
	return m
}
