package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// All evidence is of the day before the image is judged.
var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now  = noon.Add(12 * time.Hour)
)

// A world is a registry with an image, and the files that gate is given.
type world struct {
	*testing.T
	dir    string
	server *httptest.Server
	image  name.Digest
	signer intoto.Signer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	w := &world{T: t, dir: t.TempDir(), server: httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(quiet)))}
	t.Cleanup(w.server.Close)
	repo, err := name.NewRepository(strings.TrimPrefix(w.server.URL, "http://") + "/shop/app")
	if err != nil {
		t.Fatal(err)
	}
	img := labeled("app")
	w.image = repo.Digest(w.do(img.Digest()).String())
	if err := remote.Write(repo.Tag("v1"), img); err != nil {
		t.Fatal(err)
	}
	k, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	w.signer = k.signer
	w.file("cosign.pub", k.public)
	w.file("policy.yaml", "required: [{tasks: [unit-tests]}]")
	return w
}

// A pair is a key as two programs have it, with another public key that has nothing to do with it.
type pair struct {
	signer        intoto.Signer
	public, other string
}

// Keys are made once, since encrypting one takes a while on purpose.
var keys = sync.OnceValues(func() (pair, error) {
	private, public, err := cosign.GenerateKey([]byte("secret"))
	if err != nil {
		return pair{}, err
	}
	_, other, err := cosign.GenerateKey(nil)
	if err != nil {
		return pair{}, err
	}
	signer, err := cosign.LoadSigner(private, []byte("secret"))
	return pair{signer, string(public), string(other)}, err
})

func labeled(text string) v1.Image {
	img, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"name": text}})
	if err != nil {
		panic(err)
	}
	return img
}

// do is for what fails only if the test is wrong.
func (w *world) do(h v1.Hash, err error) v1.Hash {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	return h
}

func (w *world) file(name, text string) string {
	w.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	return path
}

// leave writes evidence about the image.
func (w *world) leave(test string, p intoto.Predicate) attest.Record {
	w.Helper()
	return w.leaveAt(w.image, test, p)
}

func (w *world) leaveAt(image name.Digest, test string, p intoto.Predicate) attest.Record {
	w.Helper()
	r, err := attest.NewWriter(w.signer, attest.Options{Now: func() time.Time { return now }}).Write(w.Context(), image, test, p)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func ended(r intoto.Result, at time.Time) intoto.TestResult {
	return intoto.TestResult{Result: r, Timestamp: at}
}

func found(findings ...intoto.Finding) intoto.Vulns {
	return intoto.Vulns{
		Scanner: intoto.Scanner{
			URI: "pkg:generic/scanner", DB: intoto.ScannerDB{LastUpdate: noon}, Result: append([]intoto.Finding{}, findings...),
		},
		Metadata: intoto.ScanMetadata{StartedOn: noon, FinishedOn: noon.Add(time.Minute)},
	}
}

// finding is one of a vulnerability with a fix.
func finding(id, severity, pkg string) intoto.Finding {
	return intoto.Finding{
		ID: id, Severity: []intoto.Severity{{Method: "nvd", Score: severity}},
		Annotations: []map[string]any{{intoto.FindingPackage: pkg, intoto.FindingVersion: "1.0", intoto.FindingFix: "1.1"}},
	}
}

// args are those that every call needs. Of a flag that may be given once, the value in more counts.
func (w *world) args(more ...string) []string {
	args := w.argsOf(w.image.String())
	for _, name := range []string{"-policy", "-effective-time"} {
		if at := slices.Index(args, name); slices.Contains(more, name) {
			args = slices.Delete(args, at, at+2)
		}
	}
	return append(args, more...)
}

// argsOf are the same for another image.
func (w *world) argsOf(image string) []string {
	return []string{
		"-image", image, "-policy", filepath.Join(w.dir, "policy.yaml"), "-key", filepath.Join(w.dir, "cosign.pub"),
		"-effective-time", now.Format(time.RFC3339),
	}
}

// A call is what gate did.
type call struct {
	code           int
	stdout, stderr string
}

func nothing(string) string { return "" }

func (w *world) gate(args ...string) call {
	w.Helper()
	var out, err bytes.Buffer
	code := run(w.Context(), args, nothing, &out, &err)
	return call{code, out.String(), err.String()}
}

// wants checks a call. If no image could be judged it prints no report, and if all could be it prints no error.
func (w *world) wants(c call, code int, texts ...string) {
	w.Helper()
	if c.code != code {
		w.Errorf("exit code %d, want %d", c.code, code)
	}
	if (code == exitNotKnown) != (c.stdout == "") || (code == exitNotKnown) != strings.Contains(c.stderr, "could not judge") {
		w.Errorf("printed %q and %q", c.stdout, c.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(c.stdout+c.stderr, text) {
			w.Errorf("%q is not in\n%s%s", text, c.stdout, c.stderr)
		}
	}
}

func TestAllowed(t *testing.T) {
	w := newWorld(t)
	w.leave("unit-tests", ended(intoto.Passed, noon))
	w.wants(w.gate(w.args()...), 0, "is allowed", "✔ test.passed", "unit-tests passed")
}

func TestDenied(t *testing.T) {
	tests := []struct {
		name string
		do   func(w *world) []string // further arguments
		want string
	}{
		{"nothing is known", func(*world) []string { return nil }, "✘ required.missing"},
		{"the test failed", func(w *world) []string {
			w.leave("unit-tests", ended(intoto.Passed, noon))
			w.leave("unit-tests", ended(intoto.Failed, noon.Add(time.Hour)))
			return nil
		}, "✘ test.failed"},
		{"a vulnerability", func(w *world) []string {
			w.leave("unit-tests", found(finding("CVE-2021-44228", "critical", "log4j-core")))
			return nil
		}, "CVE-2021-44228 in log4j-core 1.0: critical, fixed in 1.1"},
		{"another key", func(w *world) []string {
			w.leave("unit-tests", ended(intoto.Passed, noon))
			k, _ := keys()
			w.file("cosign.pub", k.other)
			return nil
		}, "✘ evidence.unverified"},
		{"too old", func(w *world) []string {
			w.leave("unit-tests", ended(intoto.Passed, noon))
			return []string{"-max-age", "11h"}
		}, "✘ evidence.aged"},
		{"later than the instant that is judged", func(w *world) []string {
			w.leave("unit-tests", ended(intoto.Passed, noon))
			return []string{"-effective-time", noon.Add(-time.Hour).Format(time.RFC3339)}
		}, "✘ evidence.future"},
		{"no build", func(w *world) []string {
			w.file("policy.yaml", "{required_in_build: [{tasks: [clamav-scan]}], "+trusted+"}")
			return nil
		}, "✘ required_in_build.missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			more := test.do(w)
			w.wants(w.gate(w.args(more...)...), exitDenied, "is denied", test.want)
		})
	}
}

func TestNotKnown(t *testing.T) {
	stopped := httptest.NewServer(http.NotFoundHandler())
	stopped.Close()
	forbids := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer forbids.Close()
	nobody := "@sha256:" + strings.Repeat("0", 64)
	tests := []struct {
		name string
		args func(w *world) []string
		want []string
	}{
		{"a registry that is down", func(w *world) []string {
			return w.argsOf(strings.TrimPrefix(stopped.URL, "http://") + "/shop/app" + nobody)
		}, []string{"connection refused"}},
		{"a registry that wants credentials", func(w *world) []string {
			return w.argsOf(strings.TrimPrefix(forbids.URL, "http://") + "/shop/app" + nobody)
		}, []string{"This is about authentication", "docker login"}},
		{"no such image", func(w *world) []string { return w.argsOf(w.image.Context().Name() + nobody) }, []string{"no such image"}},
		{"no such repository", func(w *world) []string {
			return w.argsOf(w.image.Context().Registry.Name() + "/nobody" + nobody)
		}, []string{"no such image"}},
		{"no policy", func(w *world) []string { return w.args("-policy", filepath.Join(w.dir, "missing.yaml")) }, []string{"-policy: ", "missing.yaml"}},
		{"a policy that requires nothing", func(w *world) []string {
			return w.args("-policy", w.file("bad.yaml", "required: []"))
		}, []string{"bad.yaml", "would let everything pass"}},
		{"all files are wrong", func(w *world) []string {
			return w.args("-policy", w.file("bad.yaml", "requierd: []"), "-key", w.file("bad.pub", "no key"), "-key", "missing.pub",
				"-expect", w.file("bad.json", "{"), "-identity", "a", "-issuer", "b", "-trusted-root", w.file("root.json", "[]"))
		}, []string{"requierd", "-key " /* and its path */, "bad.pub", "-key: open missing.pub", "bad.json", "trusted root"}},
		{"no trusted root", func(w *world) []string {
			return w.args("-identity", "a", "-issuer", "b", "-trusted-root", "missing.json", "-expect", "missing.too")
		}, []string{"-trusted-root: open missing.json", "-expect: open missing.too"}},
		{"a folder that is not there", func(w *world) []string {
			return w.args("-output-file", filepath.Join(w.dir, "missing", "report.json"))
		}, []string{"missing", "no such file or directory"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.leave("unit-tests", ended(intoto.Passed, noon)) // it would be allowed
			w.wants(w.gate(test.args(w)...), exitNotKnown, test.want...)
		})
	}
}

// A registry that never answers does not hold a pipeline, and a signal ends the program.
func TestEnds(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	w := newWorld(t)
	image := strings.TrimPrefix(silent.URL, "http://") + "/shop/app@sha256:" + strings.Repeat("0", 64)
	args := append(w.argsOf(image), "-timeout", "50ms")
	w.wants(w.gate(args...), exitNotKnown, "not done within 50ms, see -timeout")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, err bytes.Buffer
	code := run(ctx, w.args(), nothing, &out, &err)
	w.wants(call{code, out.String(), err.String()}, exitNotKnown, "context canceled")
}

// trusted is the trust of a policy in what the recordings of Chains say.
const trusted = `trust: {builders: ["https://tekton.dev/chains/v2"], tasks: [{pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-*"}]}`

// A provenance of the build that the key signed meets what is required of the build.
func TestBuild(t *testing.T) {
	w := newWorld(t)
	w.file("policy.yaml", "{required_in_build: [{tasks: [clamav-scan]}], required: [{tasks: [clamav-scan]}], "+trusted+"}")
	w.built()
	w.wants(w.gate(w.args()...), exitAllowed, "✔ required_in_build.found", "✔ test.passed")

	// Evidence that the key itself signed counts as it does without trust.
	w.file("policy.yaml", "{required: [{tasks: [unit-tests]}], "+trusted+"}")
	w.leave("unit-tests", ended(intoto.Passed, noon))
	w.wants(w.gate(w.args()...), exitAllowed, "✔ test.passed", "unit-tests passed")
}

// A key that tests sign with is not good for a build, if that has a key of its own, nor the other way round.
func TestProvenanceKey(t *testing.T) {
	w := newWorld(t)
	w.built()
	w.leave("unit-tests", ended(intoto.Passed, noon))
	k, _ := keys()
	mine, other := filepath.Join(w.dir, "cosign.pub"), w.file("other.pub", k.other)
	judge := func(key, provenanceKey string) call {
		args := []string{"-image", w.image.String(), "-policy", filepath.Join(w.dir, "policy.yaml"), "-effective-time", now.Format(time.RFC3339)}
		return w.gate(append(args, "-key", key, "-provenance-key", provenanceKey)...)
	}
	w.wants(judge(mine, mine), exitNotKnown, "-provenance-key is of no use")

	w.file("policy.yaml", "{required_in_build: [{tasks: [clamav-scan]}], "+trusted+"}")
	w.wants(judge(other, mine), exitAllowed, "✔ required_in_build.found")
	w.wants(judge("", mine), exitAllowed, "✔ required_in_build.found")
	w.wants(judge(mine, other), exitDenied, "✘ required_in_build.missing")

	w.file("policy.yaml", "{required: [{tasks: [unit-tests]}], "+trusted+"}")
	w.wants(judge(mine, other), exitAllowed, "✔ test.passed")
	w.wants(judge(other, mine), exitDenied, "✘ evidence.unverified")
	w.wants(judge(mine, "missing.pub"), exitNotKnown, "-provenance-key: open missing.pub")
}

// What nobody signed counts by the provenance of the task that made it, as in Konflux.
func TestVouchedForByProvenance(t *testing.T) {
	w := newWorld(t)
	w.file("policy.yaml", "{required: [{tasks: [clamav-scan]}], "+trusted+"}")
	opts := attest.Options{Now: func() time.Time { return now }, Encoding: intoto.EncodingStatement}
	r, err := attest.NewWriter(nil, opts).Write(t.Context(), w.image, "clamav-scan", ended(intoto.Passed, noon.Add(-time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	w.wants(w.gate(w.args()...), exitDenied, "✘ evidence.unverified")
	w.made(r.Digest)
	w.wants(w.gate(w.args()...), exitAllowed, "✔ test.passed", "by the provenance", ", provenance ")
}

// built attaches provenance to the image.
func (w *world) built() {
	w.Helper()
	w.made(w.do(v1.NewHash(w.image.DigestStr())))
}

// made attaches to a manifest the provenance of a TaskRun that made it, as a recording of Chains has it.
func (w *world) made(manifest v1.Hash) {
	w.Helper()
	recorded, err := os.ReadFile("../../attest/provenance/testdata/taskrun-v2alpha3-slsa-tekton.json")
	if err != nil {
		w.Fatal(err)
	}
	coffee := strings.Repeat("c0ffee00", 8)
	if !bytes.Contains(recorded, []byte(coffee)) {
		w.Fatal("the recording is of something else")
	}
	envelope, err := w.signer.Sign(w.Context(), intoto.PayloadType, bytes.ReplaceAll(recorded, []byte(coffee), []byte(manifest.Hex)))
	if err != nil {
		w.Fatal(err)
	}
	held, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:       static.NewLayer(envelope, intoto.EnvelopeType),
		Annotations: map[string]string{attest.AnnotationPredicateType: intoto.ProvenanceType},
	})
	if err != nil {
		w.Fatal(err)
	}
	if err := remote.Write(w.image.Context().Tag("sha256-"+manifest.Hex+".att"), held); err != nil {
		w.Fatal(err)
	}
}

// The image's own evidence says nothing about the images of an index.
func TestPlatforms(t *testing.T) {
	w := newWorld(t)
	amd64, arm64 := labeled("amd64"), labeled("arm64")
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: amd64, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: arm64},
	)
	repo := w.image.Context()
	if err := remote.WriteIndex(repo.Tag("index"), index); err != nil {
		t.Fatal(err)
	}
	w.image = repo.Digest(w.do(index.Digest()).String())
	w.leave("unit-tests", ended(intoto.Passed, noon))
	w.leaveAt(repo.Digest(w.do(amd64.Digest()).String()), "unit-tests", ended(intoto.Passed, noon))
	w.wants(w.gate(w.args()...), exitAllowed, "is an index, and is judged alone", "the 2 images")

	for format, want := range map[string]string{
		"table": " (linux/amd64) is allowed at", "junit": ` (linux/amd64)" tests="1" failures="0"`, "sarif": `(linux/amd64)"`,
		"json": `"platform": "linux/amd64"`, "markdown": " (linux/amd64)` is allowed",
	} {
		w.wants(w.gate(w.args("-platforms", "-output", format)...), exitDenied, "required.missing", want)
	}
	w.wants(w.gate(w.args("-platforms")...), exitDenied, " (of no named platform) is denied at")

	w.leaveAt(repo.Digest(w.do(arm64.Digest()).String()), "unit-tests", ended(intoto.Warned, noon))
	out := filepath.Join(w.dir, "output")
	w.wants(w.gate(w.args("-platforms", "-test-output", out)...), exitAllowed, "! test.warned")
	w.holds(out, `{"result":"SUCCESS","timestamp":"2026-03-02T00:00:00Z","successes":2,"failures":0,"warnings":1}`)
}

// push puts an image beside the one that is there already.
func (w *world) push(text string) name.Digest {
	w.Helper()
	img := labeled(text)
	if err := remote.Write(w.image.Context().Tag(text), img); err != nil {
		w.Fatal(err)
	}
	return w.image.Context().Digest(w.do(img.Digest()).String())
}

// A release goes on if every image may. What could not be judged does not keep the others from being judged and shown.
func TestRelease(t *testing.T) {
	w := newWorld(t)
	api, web, bad := w.image, w.push("web"), w.push("bad")
	nobody := w.image.Context().Digest("sha256:" + strings.Repeat("0", 64))
	other := w.image.Context().Digest("sha256:" + strings.Repeat("1", 64))
	w.leave("unit-tests", ended(intoto.Passed, noon))
	w.leaveAt(web, "unit-tests", ended(intoto.Passed, noon))
	w.leaveAt(bad, "unit-tests", ended(intoto.Failed, noon))
	const allowed, denied, notKnown = "is allowed at", "is denied at", "could not be judged at"
	for _, tt := range []struct {
		name   string
		images []name.Digest
		code   int
		order  []string // verdicts, as the table has them
		result string   // of TEST_OUTPUT
		errs   []string
	}{
		{"all allowed", []name.Digest{api, web}, exitAllowed, []string{"release is allowed", allowed, allowed}, "SUCCESS", nil},
		{"one denied", []name.Digest{api, bad, web}, exitDenied, []string{"release is denied", allowed, denied, allowed}, "FAILURE", nil},
		{"one not known", []name.Digest{nobody, api}, exitNotKnown,
			[]string{"release could not be judged", notKnown, allowed}, "ERROR", []string{nobody.String()}},
		{"one denied, two not known", []name.Digest{nobody, bad, other, api}, exitNotKnown,
			[]string{"release could not be judged", notKnown, denied, notKnown, allowed}, "ERROR",
			[]string{nobody.String(), other.String()}},
		{"none known", []name.Digest{nobody, other}, exitNotKnown, nil, "ERROR", []string{nobody.String(), other.String()}},
		{"one twice", []name.Digest{api, api}, exitAllowed, []string{allowed}, "SUCCESS", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "TEST_OUTPUT")
			args := append(w.args()[2:], "-test-output", out)
			for _, image := range tt.images {
				args = append(args, "-image", image.String())
			}
			c := w.gate(args...)
			if c.code != tt.code {
				t.Errorf("exit code %d, want %d: %s", c.code, tt.code, c.stderr)
			}
			rest := c.stdout
			for _, text := range tt.order {
				_, after, found := strings.Cut(rest, text)
				if !found {
					t.Fatalf("%q does not come in\n%s", text, c.stdout)
				}
				rest = after
			}
			if got := strings.Count(c.stdout, " at 2026-03-02T00:00:00Z:"); got != len(tt.order) {
				t.Errorf("%d verdicts, want %d\n%s", got, len(tt.order), c.stdout)
			}
			if (c.stderr == "") != (len(tt.errs) == 0) {
				t.Errorf("told %q", c.stderr)
			}
			for _, text := range tt.errs {
				if !strings.Contains(c.stderr, text+": attest: ") {
					t.Errorf("%q is not in %s", text, c.stderr)
				}
			}
			text, err := os.ReadFile(out)
			if err != nil || !strings.HasPrefix(string(text), `{"result":"`+tt.result+`"`) {
				t.Errorf("%v, %s", err, text)
			}
		})
	}
}

// A Snapshot and a list say the same, and count with -image.
func TestImageFiles(t *testing.T) {
	w := newWorld(t)
	web := w.push("web")
	w.leave("unit-tests", ended(intoto.Passed, noon))
	list := w.file("list", "# the release\n"+w.image.String()+" # api\n\n"+web.String()+"\n")
	snapshot := w.file("snapshot.yaml", "kind: Snapshot\nspec:\n  components:\n    - {name: api, containerImage: "+w.image.String()+"}\n"+
		"    - {name: web, containerImage: "+web.String()+"}\n")
	args := w.args()[2:]
	w.wants(w.gate(append(args, "-images", list)...), exitDenied, "images 2, allowed 1, denied 1")
	w.wants(w.gate(append(args, "-images", list, "-image", w.image.String())...), exitDenied, "images 2, allowed 1, denied 1")
	w.wants(w.gate(append(args, "-images", snapshot)...), exitDenied,
		"images 2, allowed 1, denied 1", " (api) is allowed", " (web) is denied")
	w.wants(w.gate(append(args, "-images", snapshot, "-images", list)...), exitDenied, "images 4, allowed 2, denied 2")
	w.wants(w.gate(append(args, "-images", w.file("empty", "# nothing\n"), "-images", "missing")...), exitNotKnown,
		"empty", "-images: open missing")
	w.wants(w.gate(append(args, "-images", list, "-expect", w.file("runs.json", `{"version": 1}`))...), exitNotKnown,
		"the runs are about one image, and there are 2")
}

// A denied component of a Snapshot goes on while a waiver holds, in sight in every format, and then no longer. Another
// that meets nothing in any image is told once.
func TestWaivedRelease(t *testing.T) {
	w := newWorld(t)
	web, worker := w.push("web"), w.push("worker")
	w.file("policy.yaml", `
required: [{tasks: [unit-tests]}]
waivers:
  - {task: unit-tests, components: [web], from: 2026-03-05, until: 2026-03-12, who: ada, why: the tests need a new database}
  - {finding: CVE-2020-1, images: ["*"], until: 2026-12-31, who: grace, why: it is never reached}
`)
	snapshot := w.file("snapshot.yaml", "spec:\n  components:\n")
	for component, image := range map[string]name.Digest{"api": w.image, "web": web, "worker": worker} {
		result := map[bool]intoto.Result{true: intoto.Failed, false: intoto.Passed}[component == "web"]
		w.leaveAt(image, "unit-tests", ended(result, noon))
		text, err := os.ReadFile(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		w.file("snapshot.yaml", string(text)+"    - {name: "+component+", containerImage: "+image.String()+"}\n")
	}
	args := func(at string, more ...string) []string {
		return append([]string{
			"-images", snapshot, "-policy", filepath.Join(w.dir, "policy.yaml"), "-key", filepath.Join(w.dir, "cosign.pub"),
			"-effective-time", at,
		}, more...)
	}
	w.wants(w.gate(args("2026-03-04")...), exitDenied, "images 3, allowed 2, denied 1", "✘ test.failed")
	w.wants(w.gate(args("2026-03-11")...), exitAllowed, "images 3, allowed 3, denied 0", "~ test.failed", "waived by ada until 2026-03-12T00:00:00Z: the tests need a new")
	w.wants(w.gate(args("2026-03-12")...), exitDenied, "images 3, allowed 2, denied 1", "✘ test.failed", "! waiver.expired")
	for _, format := range []string{"table", "color", "markdown", "json", "junit", "sarif"} {
		c := w.gate(args("2026-03-11", "-output", format)...)
		w.wants(c, exitAllowed, "ada", "grace", "unit-tests failed")
		expiring, unused := strings.Count(c.stdout, "ends on 2026-03-12"), strings.Count(c.stdout, "CVE-2020-1 meets nothing")
		if expiring != 1 || unused != 1 {
			t.Errorf("%s: %d and %d warnings about waivers\n%s", format, expiring, unused, c.stdout)
		}
	}
}

func (w *world) holds(path, want string) {
	w.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		w.Fatal(err)
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		w.Errorf("%s (-want +got):\n%s", filepath.Base(path), diff)
	}
}

// A failure that is deleted does not bring an older pass back, if it was seen before.
func TestCheckpoint(t *testing.T) {
	w := newWorld(t)
	remember := w.args("-checkpoint", filepath.Join(w.dir, "marks"))
	w.leave("unit-tests", ended(intoto.Passed, noon))
	w.wants(w.gate(remember...), exitAllowed)
	failure := w.leave("unit-tests", ended(intoto.Failed, noon.Add(time.Hour)))
	w.wants(w.gate(remember...), exitDenied, "test.failed")
	w.delete(failure)
	w.wants(w.gate(w.args()...), exitAllowed, "completeness unproven")
	w.wants(w.gate(remember...), exitDenied, "✘ evidence.gone")
}

// delete removes a record, and the tags that lead to it: of the fallback index, and cosign's.
func (w *world) delete(r attest.Record) {
	w.Helper()
	repo := w.image.Context()
	index := strings.Replace(w.image.DigestStr(), ":", "-", 1)
	for _, ref := range []name.Reference{repo.Digest(r.Digest.String()), repo.Tag(index), repo.Tag(index + ".att")} {
		if err := remote.Delete(ref); err != nil {
			w.Fatal(err)
		}
	}
}

// A run that is over and left nothing denies, whatever older evidence says.
func TestExpect(t *testing.T) {
	w := newWorld(t)
	first := w.leave("unit-tests", ended(intoto.Passed, noon))
	expect := func(run int, record attest.Record) string {
		s := scheduler.Snapshot{dag.ID("unit-tests"): {
			Run: run, Phase: scheduler.PhaseFailed, Artifacts: []scheduler.Artifact{{URI: record.Repository.Name(), Digest: record.Digest.String()}},
		}}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return w.file("snapshot.json", string(text))
	}
	w.wants(w.gate(w.args("-expect", expect(1, first))...), exitAllowed, "complete by expected")
	second := w.leave("unit-tests", ended(intoto.Failed, noon.Add(time.Hour)))
	w.delete(second)
	w.wants(w.gate(w.args("-expect", expect(2, second))...), exitDenied, "✘ evidence.missing", "unit-tests#2")
}

// Any of several keys may vouch, and an identity beside them.
func TestSeveralVouch(t *testing.T) {
	w := newWorld(t)
	w.leave("unit-tests", ended(intoto.Passed, noon))
	k, _ := keys()
	another := w.file("other.pub", k.other)
	w.wants(w.gate(append([]string{"-key", another}, w.args()...)...), exitAllowed)

	root := w.file("root.json", trustedRoot(t))
	identity := []string{"-identity", "ci@example.com", "-issuer", "https://issuer.example.com", "-trusted-root", root}
	w.wants(w.gate(w.args(identity...)...), exitAllowed)
	alone := append([]string{"-image", w.image.String(), "-policy", filepath.Join(w.dir, "policy.yaml")}, identity...)
	w.wants(w.gate(alone...), exitDenied, "✘ evidence.unverified")
}

// A report names the keys that were tried, in one sentence, and nothing of thresholds.
func TestOtherKeys(t *testing.T) {
	w := newWorld(t)
	w.leave("unit-tests", ended(intoto.Passed, noon))
	k, _ := keys()
	w.file("cosign.pub", k.other)
	_, third, err := cosign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, more := range map[string][]string{
		"signed by a key that the signature does not name, and not by the trusted key ":   nil,
		"signed by a key that the signature does not name, and none of the trusted keys ": {"-key", w.file("third.pub", string(third))},
	} {
		c := w.gate(w.args(append(more, "-output", "json")...)...)
		w.wants(c, exitDenied, "evidence.unverified", want)
		if strings.Contains(c.stdout, "threshold") || strings.Count(c.stdout, "signed by") != 1 {
			t.Errorf("got %s", c.stdout)
		}
	}
}

// trustedRoot is a trusted root of somebody who has signed nothing.
func trustedRoot(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotBefore: noon, NotAfter: now}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	b64, id := base64.StdEncoding.EncodeToString, sha256.Sum256(public)
	return fmt.Sprintf(`{
		"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"certificateAuthorities": [{
			"uri": "https://fulcio.example.com", "subject": {"organization": "x", "commonName": "x"},
			"certChain": {"certificates": [{"rawBytes": %q}]}, "validFor": {"start": "2026-01-01T00:00:00Z"}
		}],
		"tlogs": [{
			"baseUrl": "https://rekor.example.com", "hashAlgorithm": "SHA2_256", "logId": {"keyId": %q},
			"publicKey": {"rawBytes": %q, "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": {"start": "2026-01-01T00:00:00Z"}}
		}]
	}`, b64(certificate), b64(id[:]), b64(public))
}
