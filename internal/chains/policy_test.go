package chains

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tektoncd/chains/pkg/chains/objects"
	pipeline "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/policy"
	"github.com/testdag/testdag/attest/provenance"
)

// fromCatalog is a TaskRun of a task from the catalog's bundles.
func fromCatalog(name string, r ...pipeline.TaskRunResult) *pipeline.TaskRun {
	run := taskRun(name, name, r)
	run.Labels["tekton.dev/task"] = name
	repo := "quay.io/konflux-ci/tekton-catalog/task-" + name
	run.Spec.TaskRef = &pipeline.TaskRef{Kind: "Task", ResolverRef: pipeline.ResolverRef{Resolver: "bundles", Params: params(
		"bundle", repo+":0.1@sha256:"+bundleHex, "name", name, "kind", "task",
	)}}
	run.Status.Provenance = &pipeline.Provenance{RefSource: &pipeline.RefSource{
		URI: repo, Digest: map[string]string{"sha256": bundleHex}, EntryPoint: name,
	}}
	return run
}

// ofImage are the results by which Chains takes the image for what the run made.
func (b *bench) ofImage() []pipeline.TaskRunResult {
	return []pipeline.TaskRunResult{textResult("IMAGE_URL", b.image.Context().Name()), textResult("IMAGE_DIGEST", b.image.DigestStr())}
}

func (b *bench) judged(p policy.Policy) []string {
	b.t.Helper()
	key, err := cosign.LoadVerifier(b.public)
	if err != nil {
		b.t.Fatal(err)
	}
	verifier, err := attest.ByProvenance(key, p.Trust)
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := p.Gate(b.t.Context(), attest.NewResolver(verifier, attest.Options{}), policy.Input{Image: b.image, Now: time.Now()})
	if err != nil {
		b.t.Fatal(err)
	}
	var lines []string
	for kind, notes := range map[string][]policy.Note{"violation": r.Violations, "warning": r.Warnings, "success": r.Successes} {
		for _, n := range notes {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", kind, n.Metadata.Code, strings.Join(n.Metadata.Term, "|"))))
		}
	}
	return lines
}

// The tasks of a build are those of the provenance that Chains signs and stores at the image, in each of its formats.
func TestPolicyJudgesBuildsOfChains(t *testing.T) {
	entries := func(tasks ...policy.AnyOf) []policy.Entry { return []policy.Entry{{Tasks: tasks}} }
	failed := textResult("TEST_OUTPUT", `{"result":"FAILURE","timestamp":"2026-03-01T11:59:00+00:00","successes":0,"failures":1,"warnings":0}`)
	trust := provenance.Trust{Builders: []string{builder}, Tasks: []provenance.TaskRule{{Pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-*"}}}
	inBuild := policy.Policy{RequiredInBuild: entries(policy.AnyOf{"init"}, policy.AnyOf{"buildah", "buildah-oci-ta"}, policy.AnyOf{"show-sbom"}), Trust: trust}
	for _, f := range allFormats {
		for name, tt := range map[string]struct {
			policy policy.Policy
			run    func(b *bench) objects.TektonObject
			want   map[string]int // what the report says, if the format lists all tasks
		}{
			"a build": {inBuild, func(b *bench) objects.TektonObject {
				return pipelineRun(fromCatalog("buildah", b.ofImage()...), fromCatalog("init"), fromCatalog("build-image-index", b.ofImage()...))
			}, map[string]int{"success required_in_build.found init": 1, "success required_in_build.found buildah": 1, "violation required_in_build.missing show-sbom": 1}},
			"a test that failed in the build": {
				policy.Policy{Required: entries(policy.AnyOf{"sast"}), Trust: trust},
				func(b *bench) objects.TektonObject {
					return pipelineRun(fromCatalog("buildah", b.ofImage()...), fromCatalog("sast", failed))
				}, map[string]int{"violation test.failed sast": 1},
			},
			"a task that nobody trusts": {inBuild, func(b *bench) objects.TektonObject {
				return pipelineRun(fromCatalog("buildah", b.ofImage()...), fromCatalog("init"), fromCatalog("show-sbom"), lint())
			}, nothingBuilt},
			"only the pipeline names the image": {inBuild, func(b *bench) objects.TektonObject {
				run := pipelineRun(fromCatalog("init"), fromCatalog("buildah"), fromCatalog("show-sbom"))
				for _, r := range b.ofImage() {
					run.Status.Results = append(run.Status.Results, pipeline.PipelineRunResult{Name: r.Name, Value: r.Value})
				}
				return run
			}, nothingBuilt},
		} {
			t.Run(f.String()+"/"+name, func(t *testing.T) {
				b := newBench(t, cosignKey)
				b.sign(f, tt.run(b))
				got, want := map[string]int{}, tt.want
				for _, line := range b.judged(tt.policy) {
					got[line]++
				}
				if f.buildType == buildTypeSLSA { // it does not list the tasks
					want = nothingBuilt
					if tt.policy.Required != nil {
						want = map[string]int{"violation required.missing sast": 1, "warning build.passed_over": 1}
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// nothingBuilt is the answer if there is no build that counts.
var nothingBuilt = map[string]int{
	"violation required_in_build.missing init": 1, "violation required_in_build.missing buildah|buildah-oci-ta": 1,
	"violation required_in_build.missing show-sbom": 1, "warning build.passed_over": 1,
}
