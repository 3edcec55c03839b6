package interop

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
)

const password = "correct horse"

// command builds cosign once, into a folder that TestMain removes. Go's build cache makes the second time quick.
var command = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "cosign")
	out, err := exec.Command("go", "build", "-o", path, "github.com/sigstore/cosign/v2/cmd/cosign").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

var buildDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "interop-")
	if err != nil {
		log.Fatal(err)
	}
	buildDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// The command that is tried is the version that the library is built with.
func TestVersionIsTheLibrarys(t *testing.T) {
	ours, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`github\.com/sigstore/cosign/v2 (v\S+)`).FindSubmatch(ours)
	if want == nil {
		t.Fatal("the library does not need cosign")
	}
	got, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/sigstore/cosign/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(got)) != string(want[1]) {
		t.Errorf("the command is %s, the library has %s", got, want[1])
	}
}

// A bench is a registry with an image, and two key pairs in files.
type bench struct {
	t     *testing.T
	dir   string
	image name.Digest
	ours  string // key files are ours.key and ours.pub
}

func newBench(t *testing.T, referrers bool) *bench {
	t.Helper()
	server := httptest.NewUnstartedServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers)))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := name.NewDigest(strings.TrimPrefix(server.URL, "http://") + "/team/app@" + h.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(image, img); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, dir: t.TempDir(), image: image}
	for _, who := range []string{"ours", "theirs"} {
		private, public, err := cosign.GenerateKey([]byte(password))
		if err != nil {
			t.Fatal(err)
		}
		b.file(who+".key", private)
		b.file(who+".pub", public)
	}
	return b
}

func (b *bench) file(name string, content []byte) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *bench) read(name string) []byte {
	b.t.Helper()
	content, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return content
}

// run runs cosign without any network but the loopback.
func (b *bench) run(args ...string) (string, error) {
	b.t.Helper()
	path, err := command()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD="+password, "SIGSTORE_ROOT_FILE=/dev/null", "HOME="+b.dir)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, log.String())
	}
	return out.String(), nil
}

// verify has cosign verify the image's attestations of a type, and returns the payloads.
func (b *bench) verify(key, predicateType string) ([]string, error) {
	b.t.Helper()
	out, err := b.run("verify-attestation", "--key", key, "--type", predicateType, "--insecure-ignore-tlog=true", b.image.Name())
	if err != nil {
		return nil, err
	}
	var payloads []string
	for line := range strings.Lines(out) {
		var e struct{ Payload string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			b.t.Fatalf("%v: %s", err, line)
		}
		payload, err := base64.StdEncoding.DecodeString(e.Payload)
		if err != nil {
			b.t.Fatal(err)
		}
		payloads = append(payloads, string(payload))
	}
	return payloads, nil
}

func (b *bench) writer() *attest.Writer {
	b.t.Helper()
	signer, err := cosign.LoadSigner(b.read("ours.key"), []byte(password))
	if err != nil {
		b.t.Fatal(err)
	}
	return attest.NewWriter(signer, attest.Options{})
}

func (b *bench) newest(key string, test intoto.Test) attest.Evidence {
	b.t.Helper()
	verifier, err := cosign.LoadVerifier(b.read(key))
	if err != nil {
		b.t.Fatal(err)
	}
	e, err := attest.NewResolver(verifier, attest.Options{}).Newest(context.Background(), b.image, test)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

func vulns(finished time.Time, ids ...string) intoto.Vulns {
	v := intoto.Vulns{
		Scanner:  intoto.Scanner{URI: "pkg:github/aquasecurity/trivy@v0.69.0", DB: intoto.ScannerDB{LastUpdate: finished.Add(-time.Hour)}, Result: []intoto.Finding{}},
		Metadata: intoto.ScanMetadata{StartedOn: finished.Add(-time.Minute), FinishedOn: finished},
	}
	for _, id := range ids {
		v.Scanner.Result = append(v.Scanner.Result, intoto.Finding{ID: id, Severity: []intoto.Severity{{Method: "nvd", Score: "high"}}})
	}
	return v
}

func each(t *testing.T, f func(t *testing.T, b *bench)) {
	for name, referrers := range map[string]bool{"referrers API": true, "no referrers API": false} {
		t.Run(name, func(t *testing.T) { f(t, newBench(t, referrers)) })
	}
}

var scan = intoto.Test{Name: "scan", PredicateType: intoto.VulnsType}

func TestCosignVerifiesWhatWeWrite(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		if _, err := b.writer().Write(t.Context(), b.image, "scan", vulns(time.Now(), "CVE-2026-1")); err != nil {
			t.Fatal(err)
		}
		payloads, err := b.verify("ours.pub", intoto.VulnsType)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(b.newest("ours.pub", scan).Statement)
		if err != nil {
			t.Fatal(err)
		}
		if len(payloads) != 1 || payloads[0] != string(want) {
			t.Errorf("cosign verified %q, we wrote %s", payloads, want)
		}
		var exit *exec.ExitError
		if _, err := b.verify("theirs.pub", intoto.VulnsType); !errors.As(err, &exit) || !strings.Contains(err.Error(), "no matching attestations") {
			t.Errorf("with another key: %v", err)
		}
		if b.newest("theirs.pub", scan).Problem == nil {
			t.Error("we accept another key")
		}
	})
}

// cosign attest stores a bundle where it is told to, and from version 3 on by default.
func TestWeFindBundles(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		v := vulns(time.Now(), "BUNDLED")
		v.Test = "scan"
		predicate, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.run("attest", "--key", "ours.key", "--predicate", b.file("predicate.json", predicate), "--type", intoto.VulnsType,
			"--tlog-upload=false", "--yes", "--new-bundle-format", b.image.Name()); err != nil {
			t.Fatal(err)
		}
		if e := b.newest("ours.pub", scan); e.Problem != nil || e.Predicate.(intoto.Vulns).Scanner.Result[0].ID != "BUNDLED" {
			t.Errorf("got %v, %v", e.Predicate, e.Problem)
		}
		if b.newest("theirs.pub", scan).Problem == nil {
			t.Error("we accept another key")
		}
	})
}

// A bundle of ours needs a trusted root, which may be empty: the key is all that is trusted.
func TestCosignVerifiesOurBundles(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		signer, err := cosign.LoadSigner(b.read("ours.key"), []byte(password))
		if err != nil {
			t.Fatal(err)
		}
		w := attest.NewWriter(signer, attest.Options{Encoding: intoto.EncodingBundle})
		if _, err := w.Write(t.Context(), b.image, "scan", vulns(time.Now(), "BUNDLED")); err != nil {
			t.Fatal(err)
		}
		root := b.file("root.json", []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`))
		verify := func(key string) (string, error) {
			return b.run("verify-attestation", "--new-bundle-format", "--trusted-root", root, "--key", key, "--type", intoto.VulnsType,
				"--insecure-ignore-tlog=true", b.image.Name())
		}
		if out, err := verify("ours.pub"); err != nil || strings.Count(out, "payloadType") != 1 {
			t.Errorf("cosign verified %q, %v", out, err)
		}
		var exit *exec.ExitError
		if out, err := verify("theirs.pub"); !errors.As(err, &exit) || !strings.Contains(err.Error(), "no matching attestations") {
			t.Errorf("with another key: %q, %v", out, err)
		}
		if e := b.newest("ours.pub", scan); e.Problem != nil {
			t.Error(e.Problem)
		}
	})
}

// Keys need not be cosign's own, and not on P-256.
func TestCosignVerifiesOtherKeys(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for hash, key := range map[string]crypto.Signer{"sha256": edwards, "sha384": p384} {
		t.Run(hash, func(t *testing.T) {
			b := newBench(t, true)
			signer, err := cosign.NewSigner(key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := attest.NewWriter(signer, attest.Options{}).Write(t.Context(), b.image, "scan", vulns(time.Now())); err != nil {
				t.Fatal(err)
			}
			der, err := x509.MarshalPKIXPublicKey(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			b.file("other.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
			if _, err := b.run("verify-attestation", "--key", "other.pub", "--signature-digest-algorithm", hash, "--type", intoto.VulnsType,
				"--insecure-ignore-tlog=true", b.image.Name()); err != nil {
				t.Error(err)
			}
			if e := b.newest("other.pub", scan); e.Problem != nil {
				t.Error(e.Problem)
			}
		})
	}
}

func TestWeFindWhatCosignWrites(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		now := time.Now().UTC()
		attestAs := func(key string, v intoto.Vulns) {
			t.Helper()
			v.Test = "scan"
			predicate, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			file := b.file("predicate.json", predicate)
			if _, err := b.run("attest", "--key", key, "--predicate", file, "--type", intoto.VulnsType, "--tlog-upload=false", "--yes", b.image.Name()); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(why string, id string, problem bool) {
			t.Helper()
			e := b.newest("ours.pub", scan)
			if (e.Problem != nil) != problem {
				t.Errorf("%s: problem %v", why, e.Problem)
			}
			if got := e.Predicate.(intoto.Vulns).Scanner.Result[0].ID; got != id {
				t.Errorf("%s: the newest is %s, want %s", why, got, id)
			}
		}
		if _, err := b.writer().Write(t.Context(), b.image, "scan", vulns(now.Add(-time.Hour), "OURS")); err != nil {
			t.Fatal(err)
		}
		attestAs("ours.key", vulns(now.Add(-2*time.Hour), "OLDER"))
		expect("cosign wrote later, about an older scan", "OURS", false)
		attestAs("ours.key", vulns(now.Add(-time.Minute), "NEWER"))
		expect("cosign wrote about a newer scan", "NEWER", false)
		if _, err := b.writer().Write(t.Context(), b.image, "scan", vulns(now, "OURS AGAIN")); err != nil {
			t.Fatal(err)
		}
		expect("we wrote the newest", "OURS AGAIN", false)
		payloads, err := b.verify("ours.pub", intoto.VulnsType)
		if err != nil || len(payloads) != 4 {
			t.Errorf("cosign verifies %d, %v, want all 4", len(payloads), err)
		}
		attestAs("theirs.key", vulns(now.Add(time.Second), "FOREIGN"))
		expect("somebody else wrote the newest", "FOREIGN", true)
	})
}
