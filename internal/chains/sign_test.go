package chains

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	cryptox509 "crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ociTypes "github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tektoncd/chains/pkg/chains"
	"github.com/tektoncd/chains/pkg/chains/objects"
	"github.com/tektoncd/chains/pkg/chains/storage"
	"github.com/tektoncd/chains/pkg/chains/storage/oci"
	"github.com/tektoncd/chains/pkg/config"
	tektonfake "github.com/tektoncd/pipeline/pkg/client/clientset/versioned/fake"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// A bench is a registry with an image and a record at it, and a Chains that stores provenance there.
type bench struct {
	t      *testing.T
	image  name.Digest
	record attest.Record

	secrets string // directory with Chains' private key
	public  []byte // its public key
}

const testName = "clamav-scan"

func newBench(t *testing.T, key func(t *testing.T, dir string) []byte) *bench {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	server := httptest.NewUnstartedServer(registry.New(registry.Logger(quiet), registry.WithReferrersSupport(true)))
	server.Config.ErrorLog = quiet
	server.Start()
	t.Cleanup(server.Close)
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, ociTypes.OCIConfigJSON), ociTypes.OCIManifestSchema1)
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
	b := &bench{t: t, image: image, secrets: t.TempDir()}
	b.public = key(t, b.secrets)
	b.record = b.attest()
	return b
}

// attest writes a test result as the task would, with a key that is not Chains'.
func (b *bench) attest() attest.Record {
	b.t.Helper()
	signer, err := taskSigner()
	if err != nil {
		b.t.Fatal(err)
	}
	record, err := attest.NewWriter(signer, attest.Options{}).Write(context.Background(), b.image, testName, intoto.TestResult{
		Result: intoto.Passed, Timestamp: finished.Time,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return record
}

const password = "correct horse"

// Keys with a password take their time, so they are made once.
var (
	chainsKeys = sync.OnceValues(generate)
	taskSigner = sync.OnceValues(func() (intoto.Signer, error) {
		keys, err := generate()
		if err != nil {
			return nil, err
		}
		return cosign.LoadSigner(keys.private, []byte(password))
	})
)

type keyPair struct{ private, public []byte }

func generate() (keyPair, error) {
	private, public, err := cosign.GenerateKey([]byte(password))
	return keyPair{private, public}, err
}

// cosignKey and x509Key put a key where Chains looks for it, and return the public one.
func cosignKey(t *testing.T, dir string) []byte {
	t.Helper()
	keys, err := chainsKeys()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cosign.key"), keys.private)
	write(t, filepath.Join(dir, "cosign.password"), []byte(password))
	return keys.public
}

func x509Key(t *testing.T, dir string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := cryptox509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := cryptox509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "x509.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// sign does with a finished run what the Chains controller does, with the configuration that it would read from its
// ConfigMap.
func (b *bench) sign(f format, run objects.TektonObject) {
	b.t.Helper()
	settings := map[string]string{
		"artifacts.taskrun.format": f.payload, "artifacts.taskrun.storage": "oci", "artifacts.taskrun.signer": "x509",
		"artifacts.pipelinerun.format": f.payload, "artifacts.pipelinerun.storage": "oci", "artifacts.pipelinerun.signer": "x509",
		"artifacts.oci.storage": "oci", "artifacts.oci.signer": "x509",
		"builder.id": builder, "storage.oci.repository.insecure": "true", "transparency.enabled": "false",
	}
	if !f.isV02() {
		settings["builddefinition.buildtype"] = f.buildType
	}
	cfg, err := config.NewConfigFromMap(settings)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx := config.ToContext(context.Background(), cfg)
	cluster := fake.NewClientset(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "team"}})
	signer := chains.ObjectSigner{
		Backends:          map[string]storage.Backend{"oci": oci.NewStorageBackend(ctx, cluster, *cfg)},
		SecretPath:        b.secrets,
		Pipelineclientset: tekton(run),
	}
	if err := signer.Sign(ctx, run); err != nil {
		b.t.Fatal(err)
	}
}

// tekton is a cluster that has the run, and accepts that it is marked as signed.
func tekton(run objects.TektonObject) *tektonfake.Clientset {
	object := run.GetObject().(runtime.Object)
	client := tektonfake.NewSimpleClientset(object)
	client.PrependReactor("patch", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, object, nil })
	return client
}

// provenance returns the envelopes in cosign's tag of the record's manifest.
func (b *bench) provenance() []attest.Candidate {
	b.t.Helper()
	manifest := b.record.Repository.Digest(b.record.Digest.String())
	att, err := remote.Image(b.record.Repository.Tag("sha256-" + b.record.Digest.Hex + ".att"))
	if err != nil {
		b.t.Fatal(err)
	}
	layers, err := att.Layers()
	if err != nil {
		b.t.Fatal(err)
	}
	h, err := att.Digest()
	if err != nil {
		b.t.Fatal(err)
	}
	var all []attest.Candidate
	for _, layer := range layers {
		all = append(all, attest.Candidate{Image: manifest, Manifest: h, MediaType: mediaType(b.t, layer), Bytes: content(b.t, layer)})
	}
	return all
}

func mediaType(t *testing.T, layer v1.Layer) string {
	t.Helper()
	m, err := layer.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	return string(m)
}

func content(t *testing.T, layer v1.Layer) []byte {
	t.Helper()
	r, err := layer.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// From the results that a task leaves, Chains signs provenance of the record and stores it at the record, and with
// Chains' public key it is believed there and nowhere else.
func TestSignedProvenanceOfARecord(t *testing.T) {
	kinds := map[string]func(*bench) objects.TektonObject{
		"TaskRun": func(b *bench) objects.TektonObject {
			return objects.NewTaskRunObjectV1(clamav(results(b.t, b.record)))
		},
		"PipelineRun": func(b *bench) objects.TektonObject {
			return pipelineRun(clamav(results(b.t, b.record)), lint())
		},
	}
	for kind, run := range kinds {
		for _, f := range allFormats {
			t.Run(kind+"/"+f.String(), func(t *testing.T) {
				b := newBench(t, cosignKey)
				b.sign(f, run(b))
				p := b.verified(b.public)
				want := []intoto.ResourceDescriptor{{
					Name: b.record.Repository.Name(), Digest: map[string]string{"sha256": b.record.Digest.Hex},
				}}
				if diff := cmp.Diff(want, p.Subject); diff != "" {
					t.Error(diff)
				}
				if p.Builder != builder || p.Kind != kind || !p.Finished.Equal(finished.Time) || !f.isV02() && p.BuildType != f.buildType {
					t.Errorf("got %+v", p)
				}
				if p.Complete != (kind == "TaskRun" || f.buildType != buildTypeSLSA) {
					t.Errorf("complete: %t", p.Complete)
				}
				maker, ok := p.TaskOf(b.record.Digest)
				if ok != p.Complete || ok && (maker.Digest != "sha256:"+bundleHex || !strings.HasPrefix(maker.Ref, "oci://"+bundleRepo)) {
					t.Errorf("made by %+v, %t", maker, ok)
				}
			})
		}
	}
}

// verified returns the only provenance at the record, which the key must vouch for.
func (b *bench) verified(public []byte) *provenance.Provenance {
	b.t.Helper()
	found := b.provenance()
	if len(found) != 1 || found[0].MediaType != intoto.EnvelopeType {
		b.t.Fatalf("found %d statements: %+v", len(found), found)
	}
	verifier, err := cosign.LoadVerifier(public)
	if err != nil {
		b.t.Fatal(err)
	}
	payload, by, err := verifier.Verify(context.Background(), found[0])
	if err != nil {
		b.t.Fatal(err)
	}
	if by.Kind != "key" || by.Name == "" {
		b.t.Errorf("vouched for by %+v", by)
	}
	elsewhere := found[0]
	elsewhere.Image = b.image
	if _, _, err := verifier.Verify(context.Background(), elsewhere); err == nil {
		b.t.Error("the provenance of the record is believed of the image")
	}
	return parse(b.t, payload)
}

// Chains signs with a bare key too.
func TestSignedWithABareKey(t *testing.T) {
	b := newBench(t, x509Key)
	b.sign(allFormats[0], objects.NewTaskRunObjectV1(clamav(results(t, b.record))))
	if p := b.verified(b.public); p.Builder != builder {
		t.Errorf("got %+v", p)
	}
}

func TestSignedByAnotherKeyIsNotBelieved(t *testing.T) {
	b := newBench(t, cosignKey)
	b.sign(allFormats[0], objects.NewTaskRunObjectV1(clamav(results(t, b.record))))
	verifier, err := cosign.LoadVerifier(x509Key(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := verifier.Verify(context.Background(), b.provenance()[0]); err == nil {
		t.Error("believed")
	}
}

// The provenance at a record does not disturb who reads the image.
func TestProvenanceOfARecordIsNoEvidenceAboutTheImage(t *testing.T) {
	b := newBench(t, cosignKey)
	b.sign(allFormats[0], objects.NewTaskRunObjectV1(clamav(results(t, b.record))))
	verifier, err := cosign.LoadVerifier(b.public)
	if err != nil {
		t.Fatal(err)
	}
	var manifests []v1.Hash
	for e, err := range attest.NewResolver(verifier, attest.Options{}).All(context.Background(), b.image) {
		if err != nil {
			t.Fatal(err)
		}
		manifests = append(manifests, e.Manifest)
	}
	if diff := cmp.Diff([]v1.Hash{b.record.Digest}, manifests); diff != "" {
		t.Error(diff)
	}
}

// A statement that nobody signed counts once Chains has signed provenance of its record, if the tasks are trusted and all
// are known, and not before.
func TestResolverBelievesBecauseOfChains(t *testing.T) {
	tasks := []provenance.TaskRule{{Pattern: "oci://quay.io/konflux-ci/tekton-catalog/*"}, {Pattern: "git+https://example.com/org/*"}}
	for _, f := range allFormats {
		t.Run(f.String(), func(t *testing.T) {
			b := newBench(t, cosignKey)
			b.record = b.attestUnsigned()
			test := intoto.Test{Name: testName, PredicateType: intoto.TestResultType}
			if e := b.newest(tasks, test); e.Problem == nil || e.Result != intoto.Unknown {
				t.Fatalf("believed before Chains signed: %+v", e)
			}
			b.sign(f, pipelineRun(clamav(results(t, b.record)), lint()))
			e := b.newest(tasks, test)
			if f.buildType == buildTypeSLSA {
				if e.Problem == nil {
					t.Error("believed although tasks may be missing")
				}
				return
			}
			if e.Problem != nil || e.Result != intoto.Passed || e.Manifest != b.record.Digest || e.VerifiedBy.Kind != "provenance" {
				t.Fatalf("got %+v", e)
			}
			if e.Clock != attest.ClockProvenance || !e.Time.Equal(finished.Time) {
				t.Errorf("time %s by %s", e.Time, e.Clock)
			}
			if e := b.newest(tasks[:1], test); e.Problem == nil || e.Result != intoto.Unknown {
				t.Errorf("believed although the lint task is not trusted: %+v", e)
			}
		})
	}
}

// attestUnsigned replaces the bench's image by one whose only statement is unsigned.
func (b *bench) attestUnsigned() attest.Record {
	b.t.Helper()
	img, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"unsigned": "yes"}})
	if err != nil {
		b.t.Fatal(err)
	}
	h, err := img.Digest()
	if err != nil {
		b.t.Fatal(err)
	}
	b.image = b.image.Context().Digest(h.String())
	if err := remote.Write(b.image, img); err != nil {
		b.t.Fatal(err)
	}
	record, err := attest.NewWriter(nil, attest.Options{Encoding: intoto.EncodingStatement}).Write(b.t.Context(), b.image, testName,
		intoto.TestResult{Result: intoto.Passed, Timestamp: finished.Time})
	if err != nil {
		b.t.Fatal(err)
	}
	return record
}

// newest is the newest evidence for who believes Chains, its builder and tasks.
func (b *bench) newest(tasks []provenance.TaskRule, test intoto.Test) attest.Evidence {
	b.t.Helper()
	key, err := cosign.LoadVerifier(b.public)
	if err != nil {
		b.t.Fatal(err)
	}
	verifier, err := attest.ByProvenance(key, provenance.Trust{Builders: []string{builder}, Tasks: tasks})
	if err != nil {
		b.t.Fatal(err)
	}
	e, err := attest.NewResolver(verifier, attest.Options{}).Newest(b.t.Context(), b.image, test)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}
