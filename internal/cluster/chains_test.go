package cluster

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestChains(t *testing.T) {
	b := newBench(t, Options{Chains: "in-toto"})
	image := b.push("app")
	b.buildsImage("signed", image)
	b.signed("signed", image)

	t.Run("killed", func(t *testing.T) {
		b := b.in(t)
		if err := b.Kill(Chains); err != nil {
			t.Fatal(err)
		}
		image := b.push("other")
		b.buildsImage("unsigned", image)
		_ = pause(t.Context(), time.Second)
		run := b.until(taskRuns, taskRun("unsigned", "build"), "there", func(*unstructured.Unstructured) bool { return true })
		if run.GetAnnotations()["chains.tekton.dev/signed"] != "" {
			t.Error("signed by nobody")
		}
		if err := b.StartAgain(t.Context(), Chains); err != nil {
			t.Fatal(err)
		}
		b.signed("unsigned", image)
	})
}

// push pushes an image.
func (b *bench) push(repository string) name.Digest {
	b.t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		b.t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		b.t.Fatal(err)
	}
	ref, err := name.NewDigest(b.Registry() + "/" + repository + "@" + digest.String())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(b.t.Context())); err != nil {
		b.t.Fatal(err)
	}
	return ref
}

// buildsImage runs a pipeline whose results say that it has built an image.
func (b *bench) buildsImage(run string, image name.Digest) {
	b.t.Helper()
	results, err := json.Marshal(map[string]string{"ARTIFACT_URI": image.Context().Name(), "ARTIFACT_DIGEST": image.DigestStr()})
	if err != nil {
		b.t.Fatal(err)
	}
	b.create(run, []task{{
		name: "build", annotations: map[string]string{AnnotationResults: string(results)}, results: []string{"ARTIFACT_URI", "ARTIFACT_DIGEST"},
	}}, nil)
	if end, _ := b.ended(run); end != "True Succeeded" {
		b.t.Fatalf("%s ended %s", run, end)
	}
}

// signed waits until Chains has signed the TaskRun that built an image, and checks that there is a provenance of it.
func (b *bench) signed(run string, image name.Digest) {
	b.t.Helper()
	begin := time.Now()
	b.until(taskRuns, taskRun(run, "build"), "signed", func(o *unstructured.Unstructured) bool {
		return o.GetAnnotations()["chains.tekton.dev/signed"] == "true"
	})
	b.t.Logf("signed after %s", time.Since(begin).Round(time.Millisecond))
	tag := image.Context().Tag(strings.Replace(image.DigestStr(), ":", "-", 1) + ".att")
	img, err := remote.Image(tag, remote.WithContext(b.t.Context()))
	if err != nil {
		b.t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		b.t.Fatalf("layers %v, %v", layers, err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		b.t.Fatal(err)
	}
	defer content.Close()
	var envelope struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct{ Sig []byte }
	}
	if err := json.NewDecoder(content).Decode(&envelope); err != nil {
		b.t.Fatal(err)
	}
	message := fmt.Sprintf("DSSEv1 %d %s %d %s", len(envelope.PayloadType), envelope.PayloadType, len(envelope.Payload), envelope.Payload)
	hash := sha256.Sum256([]byte(message))
	block, _ := pem.Decode(b.PublicKey())
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(envelope.Signatures) != 1 || !ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), hash[:], envelope.Signatures[0].Sig) {
		b.t.Errorf("the provenance is not signed with the key: %s", envelope.Payload)
	}
	if !strings.Contains(string(envelope.Payload), strings.TrimPrefix(image.DigestStr(), "sha256:")) {
		b.t.Errorf("the provenance is of something else: %s", envelope.Payload)
	}
}

// The resolver "cluster" finds a pipeline by name.
func TestResolvers(t *testing.T) {
	b := newBench(t, Options{Resolvers: true})
	pipeline := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": map[string]any{"name": "scan", "namespace": b.namespace},
		"spec": map[string]any{"tasks": []any{task{name: "scan"}.spec()}},
	}}
	text, err := json.Marshal(pipeline)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Apply(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	run := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": map[string]any{"name": "resolved"},
		"spec": map[string]any{"pipelineRef": map[string]any{"resolver": "cluster", "params": []any{
			map[string]any{"name": "kind", "value": "pipeline"},
			map[string]any{"name": "name", "value": "scan"},
			map[string]any{"name": "namespace", "value": b.namespace},
		}}},
	}}
	if _, err := b.client.Resource(pipelineRuns).Namespace(b.namespace).Create(t.Context(), run, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if end, _ := b.ended("resolved"); end != "True Succeeded" {
		t.Errorf("ended %s", end)
	}
}
