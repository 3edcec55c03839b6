package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
	"github.com/testdag/testdag/scheduler/tekton"
)

// What a run is known by, and what says that Chains has dealt with it.
const (
	scopeLabel       = "testdag.dev/scope"
	scenarioLabel    = "testdag.dev/scenario"
	signedAnnotation = "chains.tekton.dev/signed"
)

const (
	scanTask    = "clamav-scan"                  // what the task is called, and so the test
	outputsName = "CLAMAV_ARTIFACT_OUTPUTS"      // the object that pipelinerun.WriteArtifact writes for it
	builderID   = "https://tekton.dev/chains/v2" // of Chains, unless it is configured otherwise
)

// A resultForm is what a task declares of the results that pipelinerun.WriteArtifact writes. The others are lost, as Tekton has it.
type resultForm map[string]map[string]any

func textForm() resultForm {
	return resultForm{"ARTIFACT_URI": {}, "ARTIFACT_DIGEST": {}}
}

func objectForm() resultForm {
	text := map[string]any{"type": "string"}
	return resultForm{outputsName: {"type": "object", "properties": map[string]any{"uri": text, "digest": text, "isBuildArtifact": text}}}
}

func bothForms() resultForm {
	both := textForm()
	maps.Copy(both, objectForm())
	return both
}

// What a scan finds is believed by who comes after it, because Chains has signed how it was made. Nobody else signs anything.
func TestEvidence(t *testing.T) {
	t.Run("in-toto", func(t *testing.T) {
		s := newStage(t, "in-toto")
		t.Run("text", func(t *testing.T) { s.story(t, textForm()).believed() })
		t.Run("object", func(t *testing.T) { s.story(t, objectForm()).believed() })
		t.Run("both", func(t *testing.T) { s.story(t, bothForms()).believed() })
		t.Run("late", func(t *testing.T) { s.story(t, bothForms()).signedLate() })
	})
	t.Run("slsa-v2alpha4", func(t *testing.T) {
		s := newStage(t, "slsa/v2alpha4")
		t.Run("text", func(t *testing.T) { s.story(t, textForm()).notVouchedFor() })
		t.Run("object", func(t *testing.T) { s.story(t, objectForm()).believed() })
		t.Run("both", func(t *testing.T) { s.story(t, bothForms()).believed() })
	})
}

// A stage is a cluster with Chains, on which the pods of stories run.
type stage struct {
	*bench
	mu      sync.Mutex
	stories map[string]*story // by scope
}

func newStage(t *testing.T, format string) *stage {
	t.Helper()
	s := &stage{stories: map[string]*story{}}
	s.bench = newBench(t, Options{Chains: format, Resolvers: true, Execute: s.execute})
	return s
}

func (s *stage) execute(ctx context.Context, pod *corev1.Pod) (map[string]string, int) {
	s.mu.Lock()
	story := s.stories[pod.Labels[scopeLabel]]
	s.mu.Unlock()
	if story == nil {
		return nil, 1
	}
	story.pods.Lock()
	defer story.pods.Unlock()
	switch pod.Labels[scenarioLabel] {
	case "scan":
		return story.scan(ctx)
	case "verify":
		return nil, story.verify(ctx)
	}
	return nil, 1
}

// A story is one image, a scan that leaves evidence about it, and a verification that judges the evidence.
type story struct {
	*bench
	scope  string
	form   resultForm
	image  name.Digest
	bundle name.Digest        // with the task of the scan
	during func()             // what happens while the scan runs
	runner *tekton.Runner     // for both scenarios
	end    scheduler.Snapshot // what came of them

	pods     sync.Mutex      // held while one of its pods runs
	record   attest.Record   // that the scan has left
	evidence attest.Evidence // that the verification has found
}

func (s *stage) story(t *testing.T, form resultForm) *story {
	t.Helper()
	scope := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	y := &story{bench: s.in(t), scope: scope, form: form, during: func() {}}
	y.image = y.push("team/" + scope)
	y.bundle = y.pushTask()
	y.runner = y.newRunner()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stories[scope] = y
	return y
}

// pushTask pushes the task of the scan as a bundle, since a task is trusted only if it is known where it is from.
func (y *story) pushTask() name.Digest {
	y.t.Helper()
	var results []any
	for name, declared := range y.form {
		result := maps.Clone(declared)
		result["name"] = name
		results = append(results, result)
	}
	text, err := json.Marshal(map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": map[string]any{"name": scanTask},
		"spec": map[string]any{
			"results": results,
			"steps":   []any{map[string]any{"name": "scan", "image": "registry.test/clamav", "script": "scan"}},
		},
	})
	if err != nil {
		y.t.Fatal(err)
	}
	img, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer: static.NewLayer(text, types.OCIUncompressedLayer),
		Annotations: map[string]string{
			"dev.tekton.image.apiVersion": "v1", "dev.tekton.image.kind": "task", "dev.tekton.image.name": scanTask,
		},
	})
	if err != nil {
		y.t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		y.t.Fatal(err)
	}
	ref, err := name.NewDigest(y.Registry() + "/catalog/" + y.scope + "@" + digest.String())
	if err != nil {
		y.t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(y.t.Context())); err != nil {
		y.t.Fatal(err)
	}
	return ref
}

func (y *story) newRunner() *tekton.Runner {
	y.t.Helper()
	client, err := tekton.NewClient(y.client, y.namespace, tekton.Limits{})
	if err != nil {
		y.t.Fatal(err)
	}
	runner, err := tekton.NewRunner(y.t.Context(), client, tekton.Options{
		Scope: y.scope, Signed: true, Skipped: pipelinerun.SkippedFails,
		PipelineRun: tekton.PipelineRuns(map[dag.ID]pipelinerun.PipelineRunSpec{
			"scan": y.pipeline(map[string]any{"name": "scan", "taskRef": map[string]any{"resolver": "bundles", "params": []any{
				map[string]any{"name": "bundle", "value": y.bundle.Name()},
				map[string]any{"name": "name", "value": scanTask},
				map[string]any{"name": "kind", "value": "task"},
			}}}),
			"verify": y.pipeline(task{name: "verify"}.spec()),
		}),
	})
	if err != nil {
		y.t.Fatal(err)
	}
	return runner
}

func (y *story) pipeline(task map[string]any) pipelinerun.PipelineRunSpec {
	y.t.Helper()
	text, err := json.Marshal(map[string]any{"tasks": []any{task}})
	if err != nil {
		y.t.Fatal(err)
	}
	return pipelinerun.PipelineRunSpec{PipelineSpec: text}
}

// scan is what the pod of the scan does: it writes a statement that nobody signs, and says so to Chains.
func (y *story) scan(ctx context.Context) (map[string]string, int) {
	y.during()
	results, err := y.leave(ctx)
	if err != nil {
		y.t.Error(err)
		return nil, 1
	}
	return results, 0
}

func (y *story) leave(ctx context.Context) (results map[string]string, err error) {
	writer := attest.NewWriter(nil, attest.Options{Encoding: intoto.EncodingStatement})
	y.record, err = writer.Write(ctx, y.image, scanTask, intoto.TestResult{Result: intoto.Passed, Timestamp: time.Now()})
	if err != nil {
		return nil, err
	}
	dir := y.t.TempDir()
	if err := pipelinerun.WriteArtifact(dir, strings.TrimSuffix(outputsName, "_ARTIFACT_OUTPUTS"),
		scheduler.Artifact{URI: y.record.Repository.Name(), Digest: y.record.Digest.String()}); err != nil {
		return nil, err
	}
	results = map[string]string{}
	for name := range y.form {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		results[name] = string(text)
	}
	return results, nil
}

// verify is what the pod of the verification does: it passes if the newest evidence is believed and says so.
func (y *story) verify(ctx context.Context) (exitCode int) {
	var err error
	y.evidence, err = y.newest(ctx, y.PublicKey(), y.trust())
	if err != nil {
		y.t.Error(err)
		return 1
	}
	if y.evidence.Problem != nil || y.evidence.Result != intoto.Passed {
		return 1
	}
	return 0
}

// trust is in Chains and in the task of the scan.
func (y *story) trust() provenance.Trust {
	return provenance.Trust{
		Builders: []string{builderID},
		Tasks:    []provenance.TaskRule{{Pattern: "oci://" + y.Registry() + "/catalog/*", Digest: y.bundle.DigestStr()}},
	}
}

func (y *story) newest(ctx context.Context, public []byte, trust provenance.Trust) (attest.Evidence, error) {
	verifier, err := attest.ByProvenance(publicKey(public), trust)
	if err != nil {
		return attest.Evidence{}, err
	}
	return attest.NewResolver(verifier, attest.Options{}).Newest(ctx, y.image, intoto.Test{Name: scanTask, PredicateType: intoto.TestResultType})
}

// A publicKey in PEM believes what was signed with its private half. attest/cosign has better ones; that they believe Chains
// is tested in internal/chains, and here they would bring all of cosign into the module.
type publicKey []byte

func (k publicKey) Verify(_ context.Context, c attest.Candidate) ([]byte, attest.Identity, error) {
	payload, err := c.Payload()
	if err != nil {
		return nil, attest.Identity{}, err
	}
	envelope, err := c.Envelope()
	if err != nil {
		return nil, attest.Identity{}, err
	}
	var signed struct{ Signatures []struct{ Sig []byte } }
	if err := json.Unmarshal(envelope, &signed); err != nil {
		return nil, attest.Identity{}, err
	}
	block, _ := pem.Decode(k)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, attest.Identity{}, err
	}
	message := fmt.Sprintf("DSSEv1 %d %s %d %s", len(intoto.PayloadType), intoto.PayloadType, len(payload), payload)
	hash := sha256.Sum256([]byte(message))
	for _, s := range signed.Signatures {
		if ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), hash[:], s.Sig) {
			return payload, attest.Identity{Kind: "key", Name: fmt.Sprintf("%x", sha256.Sum256(block.Bytes))}, nil
		}
	}
	return nil, attest.Identity{}, errors.New("not signed with the key")
}

// believed tells the story in which the evidence counts, for whoever believes Chains and the task, and for nobody else.
func (y *story) believed() {
	y.t.Helper()
	y.carryOut()
	y.ends(map[dag.ID]scheduler.Phase{"scan": scheduler.PhasePassed, "verify": scheduler.PhasePassed})
	y.counts()

	_, _, other, err := newKey()
	if err != nil {
		y.t.Fatal(err)
	}
	y.unbelieved("signed with another key", other, y.trust())
	elsewhere := y.trust()
	elsewhere.Tasks[0].Pattern = "oci://" + y.Registry() + "/elsewhere/*"
	y.unbelieved("made by a task from elsewhere", y.PublicKey(), elsewhere)
}

// counts checks what the verification has found.
func (y *story) counts() {
	y.t.Helper()
	e := y.evidence
	if e.Problem != nil || e.Provenance == nil {
		y.t.Fatalf("provenance %v, problem: %v", e.Provenance, e.Problem)
	}
	type found struct{ Manifest, Test, By, Clock, Result, Kind, Task, Digest string }
	maker, _ := e.Provenance.TaskOf(y.record.Digest)
	got := found{
		e.Manifest.String(), e.Test.Name, e.VerifiedBy.Kind, string(e.Clock), string(e.Result), e.Provenance.Kind, maker.Ref, maker.Digest,
	}
	want := found{
		y.record.Digest.String(), scanTask, "provenance", string(attest.ClockProvenance), string(intoto.Passed),
		"TaskRun", "oci://" + y.bundle.Context().Name(), y.bundle.DigestStr(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		y.t.Error(diff)
	}
}

func (y *story) unbelieved(why string, public []byte, trust provenance.Trust) {
	y.t.Helper()
	e, err := y.newest(y.t.Context(), public, trust)
	if err != nil {
		y.t.Fatal(err)
	}
	if !errors.Is(e.Problem, attest.Unverified) || e.Result != intoto.Unknown {
		y.t.Errorf("believed although %s: %s, problem: %v", why, e.Result, e.Problem)
	}
}

// notVouchedFor tells the story in which Chains calls the scan signed, and has put no provenance into the registry.
func (y *story) notVouchedFor() {
	y.t.Helper()
	y.carryOut()
	y.ends(map[dag.ID]scheduler.Phase{"scan": scheduler.PhasePassed, "verify": scheduler.PhaseFailed})
	e := y.evidence
	y.t.Logf("the problem: %v", e.Problem)
	if !errors.Is(e.Problem, attest.Unverified) || e.Provenance != nil || e.Result != intoto.Unknown {
		y.t.Fatalf("%s by provenance %v, problem: %v", e.Result, e.Provenance, e.Problem)
	}
	if diff := cmp.Diff(y.record.Digest, e.Manifest); diff != "" {
		y.t.Error(diff)
	}
	for _, words := range []string{y.record.Digest.String(), "no provenance is attached to", "declare", "ARTIFACT_OUTPUTS", "slsa/v2alpha4"} {
		if !strings.Contains(e.Problem.Error(), words) {
			y.t.Errorf("the problem does not mention %q", words)
		}
	}
}

// signedLate tells the story in which Chains is away while the scan ends, and the verification waits for it all the same.
func (y *story) signedLate() {
	y.t.Helper()
	y.during = func() {
		if err := y.Kill(Chains); err != nil {
			y.t.Error(err)
		}
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		y.carryOut()
	}()
	defer func() { <-told }()
	y.ended(y.runner.Name(scheduler.Ref{ID: "scan", Run: 1}))
	_ = pause(y.t.Context(), 2*time.Second)
	y.absent(pipelineRuns, y.runner.Name(scheduler.Ref{ID: "verify", Run: 1}))
	if err := y.StartAgain(y.t.Context(), Chains); err != nil {
		y.t.Error(err)
	}
	<-told
	y.ends(map[dag.ID]scheduler.Phase{"scan": scheduler.PhasePassed, "verify": scheduler.PhasePassed})
	y.counts()
}

// carryOut carries the graph out, and checks that the verification was created when the scan was signed, and not before.
func (y *story) carryOut() {
	g, err := dag.New(dag.Scenario{ID: "scan"}, dag.Scenario{ID: "verify", After: dag.After("scan")})
	if err != nil {
		y.t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(y.t.Context(), 2*time.Minute)
	defer cancel()
	order := make(chan error, 1)
	go func() { order <- y.follow(ctx) }()
	if y.end, err = scheduler.Run(ctx, g, y.runner, scheduler.Options{}); err != nil {
		y.t.Error(err)
	}
	if err := <-order; err != nil {
		y.t.Error(err)
	}
	y.pods.Lock() // they are over, and what they have left is seen here from now on
	defer y.pods.Unlock()
}

// follow watches the PipelineRuns until the verification is there, and returns an error if the scan was not signed then.
// The API server tells of changes in the order in which they were made.
func (y *story) follow(ctx context.Context) error {
	changes, err := y.client.Resource(pipelineRuns).Namespace(y.namespace).Watch(ctx, metav1.ListOptions{LabelSelector: scopeLabel + "=" + y.scope})
	if err != nil {
		return err
	}
	defer changes.Stop()
	var over, signed time.Time
	for event := range changes.ResultChan() {
		run, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			return apierrors.FromObject(event.Object)
		}
		if run.GetLabels()[scenarioLabel] == "verify" {
			if signed.IsZero() {
				return errors.New("the verification was created before the scan was signed")
			}
			y.t.Logf("signed %s after the end of the scan, verification created %s after that",
				signed.Sub(over).Round(time.Millisecond), time.Since(signed).Round(time.Millisecond))
			return nil
		}
		if status, _ := condition(run); over.IsZero() && (status == "True" || status == "False") {
			over = time.Now()
		}
		if signed.IsZero() && run.GetAnnotations()[signedAnnotation] == "true" {
			signed = time.Now()
		}
	}
	return fmt.Errorf("the verification was not seen to be created: %w", errors.Join(errors.New("the watch ended"), ctx.Err()))
}

// ends checks what came of the scenarios, and that the scan is known to have left the record.
func (y *story) ends(want map[dag.ID]scheduler.Phase) {
	y.t.Helper()
	got := map[dag.ID]scheduler.Phase{}
	for id, status := range y.end {
		got[id] = status.Phase
	}
	if diff := cmp.Diff(want, got); diff != "" {
		y.t.Fatalf("phases: %s", diff)
	}
	left := []scheduler.Artifact{{URI: y.image.Context().Name(), Digest: y.record.Digest.String()}}
	if diff := cmp.Diff(left, y.end["scan"].Artifacts); diff != "" {
		y.t.Errorf("artifacts: %s", diff)
	}
}
