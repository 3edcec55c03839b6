package provenance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/strictjson"
)

const (
	clamavDigest = "sha256:63eb4a4c0cfb491276bff86fdad1c96bf238506388848e79001058450a8e843a"
	lintDigest   = "sha1:48df630394794f28142224295851a45eea5c63ae"
	clamavRepo   = "oci://quay.io/konflux-ci/tekton-catalog/task-clamav-scan"
	lintRepo     = "git+https://example.com/org/tasks.git"
)

func provenanceIn(t testing.TB, path string) *Provenance {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return provenanceOf(t, b)
}

func provenanceOf(t testing.TB, payload []byte) *Provenance {
	t.Helper()
	s, err := intoto.ParseStatement(payload)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func recording(t testing.TB, name string) *Provenance {
	t.Helper()
	return provenanceIn(t, filepath.Join("testdata", name+".json"))
}

// The recordings are what Chains v0.26.2 writes in each of its formats about a scan that attested coffee, and about a
// pipeline of that scan, a failed task from git and one that is written into the pipeline.
func TestProvenanceAsChainsWritesIt(t *testing.T) {
	begin := attesttest.Noon.Add(-2 * time.Minute)
	texts := map[string]json.RawMessage{
		"TEST_OUTPUT":     json.RawMessage(`"{\"result\":\"SUCCESS\"}"`),
		"ARTIFACT_URI":    json.RawMessage(`"quay.io/team/app"`),
		"ARTIFACT_DIGEST": json.RawMessage(`"` + attesttest.Coffee.String() + `"`),
	}
	everything := map[string]json.RawMessage{"CLAMAV_ARTIFACT_OUTPUTS": json.RawMessage(
		`{"digest":"` + attesttest.Coffee.String() + `","isBuildArtifact":"true","uri":"quay.io/team/app"}`)}
	for name, value := range texts {
		everything[name] = value
	}
	clamav := Task{
		Name: "clamav-scan", PipelineTask: "clamav", Ref: clamavRepo + ":0.3", Digest: clamavDigest,
		Started: begin, Finished: attesttest.Noon,
	}
	with := func(change func(*Task)) Task {
		task := clamav
		change(&task)
		return task
	}
	inFull := []Task{
		with(func(t *Task) { t.Status, t.Results = "Succeeded", everything }),
		{
			Name: "go-lint", PipelineTask: "lint", Ref: lintRepo + "//lint/lint.yaml", Digest: lintDigest,
			Status: "Failed", Started: begin, Finished: attesttest.Noon,
		},
		{PipelineTask: "notes", Status: "Succeeded", Started: begin, Finished: attesttest.Noon},
	}
	const v02, v1SLSA, v1Tekton = "tekton.dev/v1/", "https://tekton.dev/chains/v2/slsa", "https://tekton.dev/chains/v2/slsa-tekton"
	for _, tt := range []struct {
		name, buildType, kind string
		incomplete            bool
		tasks                 []Task
	}{
		{"taskrun-v1", v02 + "TaskRun", "TaskRun", false, []Task{with(func(t *Task) { t.Ref = clamavRepo })}},
		{"taskrun-v2alpha3-slsa", v1SLSA, "TaskRun", false, []Task{with(func(t *Task) { t.PipelineTask, t.Results = "", everything })}},
		{"taskrun-v2alpha3-slsa-tekton", v1Tekton, "TaskRun", false, []Task{with(func(t *Task) { t.Results = everything })}},
		{"taskrun-v2alpha4-slsa", v1SLSA, "TaskRun", false, []Task{with(func(t *Task) { t.PipelineTask, t.Results = "", texts })}},
		{"taskrun-v2alpha4-slsa-tekton", v1Tekton, "TaskRun", false, []Task{with(func(t *Task) { t.Results = texts })}},
		{"pipelinerun-v1", v02 + "PipelineRun", "PipelineRun", false, inFull},
		{"pipelinerun-v2alpha3-slsa", v1SLSA, "PipelineRun", true, []Task{{Ref: clamavRepo, Digest: clamavDigest}}},
		{"pipelinerun-v2alpha3-slsa-tekton", v1Tekton, "PipelineRun", false, inFull},
		{"pipelinerun-v2alpha4-slsa", v1SLSA, "PipelineRun", true, []Task{{Ref: clamavRepo, Digest: clamavDigest}}},
		{"pipelinerun-v2alpha4-slsa-tekton", v1Tekton, "PipelineRun", false, inFull},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := &Provenance{
				Subject: []intoto.ResourceDescriptor{{Name: "quay.io/team/app", Digest: map[string]string{"sha256": attesttest.Coffee.Hex}}},
				Builder: "https://tekton.dev/chains/v2", BuildType: tt.buildType, Kind: tt.kind,
				Started: begin, Finished: attesttest.Noon, Tasks: tt.tasks, Complete: !tt.incomplete,
			}
			got := recording(t, tt.name)
			if diff := cmp.Diff(want, got, cmp.Comparer(sameJSON)); diff != "" {
				t.Error(diff)
			}
			maker, ok := got.TaskOf(attesttest.Coffee)
			if ok == tt.incomplete {
				t.Fatalf("made by a known task: %t", ok)
			}
			if ok && maker.Name != "clamav-scan" {
				t.Errorf("made by %+v", maker)
			}
		})
	}
}

func sameJSON(a, b json.RawMessage) bool {
	return len(a) == 0 && len(b) == 0 || len(a) > 0 && len(b) > 0 && attesttest.Compact(string(a)) == attesttest.Compact(string(b))
}

// Recordings of others: Chains of 2024 for three formats, and a real build of Konflux.
func TestProvenanceOfOthers(t *testing.T) {
	corpus := os.Getenv("TESTDAG_CORPUS")
	if corpus == "" {
		t.Skip("TESTDAG_CORPUS does not name a directory of samples")
	}
	const hacks, chains = "git+https://github.com/enterprise-contract/hacks.git", "oci://quay.io/lucarval/test-policies-chains"
	const commit = "sha1:4fceb2416020011e794105f113a3913ef659c8ee"
	clone := task{"mock-git-clone", "git-clone", hacks + "//provenance/task/mock-git-clone.yaml", commit, "Succeeded", 3}
	scan := task{"", "scan", "", "", "Succeeded", 1}
	avScan := task{"mock-av-scanner", "av-scan", "", "", "Succeeded", 1}
	for name, want := range map[string][]task{
		"01-SLSA-v0-2-Pipeline-in-cluster.json": {
			clone, scan, avScan,
			{"mock-build", "build", chains, "sha256:ae5952d5aac1664fbeae9191d9445244051792af903d28d3e0084e9d9b7cce61", "Succeeded", 2},
		},
		"03-SLSA-v1-0-plain-build-type-Pipeline-in-cluster.json": {
			{"", "", hacks, commit, "", 0},
			{"", "", chains, "sha256:fa857eafc053a12bba737d0600c6bcc8f84d4f07eff56ec581e7d64f2c90ec60", "", 0},
		},
		"05-SLSA-v1-0-tekton-build-type-Pipeline-in-cluster.json": {
			clone, scan, avScan,
			{"mock-build", "build", chains, "sha256:b766741b8b3e135e4e31281aa4b25899e951798b5f213cc4a5360d01eb9b6880", "Succeeded", 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := provenanceIn(t, filepath.Join(corpus, "provenance", name))
			if diff := cmp.Diff(want, tasksOf(p)); diff != "" {
				t.Error(diff)
			}
			if p.Builder != "https://tekton.dev/chains/v2" || p.Kind != "PipelineRun" || p.Finished.Year() != 2024 || !p.Started.Before(p.Finished) {
				t.Errorf("got %+v", p)
			}
			maker, ok := p.TaskOf(v1.Hash{Algorithm: "sha256", Hex: p.Subject[0].Digest["sha256"]})
			if ok != p.Complete || ok && maker.Name != "mock-build" {
				t.Errorf("made by %+v, %t", maker, ok)
			}
		})
	}
	t.Run("Konflux", func(t *testing.T) {
		b, err := os.ReadFile(filepath.Join(corpus, "provenance", "policy-input-golden-container.json"))
		if err != nil {
			t.Fatal(err)
		}
		var input struct {
			Attestations []struct{ Statement json.RawMessage }
		}
		if err := json.Unmarshal(b, &input); err != nil {
			t.Fatal(err)
		}
		p := provenanceOf(t, input.Attestations[0].Statement)
		if err := (Trust{
			Builders: []string{"https://tekton.dev/chains/v2"},
			Tasks:    []TaskRule{{Pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-*"}},
		}).Check(p, attesttest.Noon); err != nil || len(p.Tasks) < 10 {
			t.Errorf("%d tasks: %v", len(p.Tasks), err)
		}
		want := task{
			"init", "init", "oci://quay.io/konflux-ci/tekton-catalog/task-init:0.2",
			"sha256:63eb4a4c0cfb491276bff86fdad1c96bf238506388848e79001058450a8e843a", "Succeeded", 1,
		}
		if diff := cmp.Diff(want, tasksOf(p)[0]); diff != "" {
			t.Error(diff)
		}
	})
}

// A task is a Task without times, and with the number of its results.
type task struct {
	Name, PipelineTask, Ref, Digest, Status string
	Results                                 int
}

func tasksOf(p *Provenance) []task {
	var all []task
	for _, t := range p.Tasks {
		all = append(all, task{t.Name, t.PipelineTask, t.Ref, t.Digest, t.Status, len(t.Results)})
	}
	return all
}

// statementWith is a statement about coffee with a predicate given as JSON.
func statementWith(predicateType, predicate string) *intoto.Statement {
	return &intoto.Statement{
		Type: intoto.StatementType, PredicateType: predicateType, Predicate: json.RawMessage(predicate),
		Subject: []intoto.ResourceDescriptor{{Name: "quay.io/team/app", Digest: map[string]string{"sha256": attesttest.Coffee.Hex}}},
	}
}

// pipelineV02 is the provenance of a PipelineRun with the given tasks, as JSON.
func pipelineV02(t testing.TB, tasks ...string) *Provenance {
	t.Helper()
	p, err := Parse(statementWith(intoto.ProvenanceTypeV02, fmt.Sprintf(
		`{"builder":{"id":"b"},"buildType":"tekton.dev/v1/PipelineRun","buildConfig":{"tasks":[%s]}}`, strings.Join(tasks, ","))))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bundleRef(bundle string) string {
	return `"ref":{"resolver":"bundles","params":[{"name":"bundle","value":"` + bundle + `"}]}`
}

func gitRef(url, revision, file string) string {
	return fmt.Sprintf(`"ref":{"resolver":"git","params":[{"name":"url","value":%q},{"name":"revision","value":%q},{"name":"pathInRepo","value":%q}]}`,
		url, revision, file)
}

func configSource(uri, digest, entryPoint string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return fmt.Sprintf(`"invocation":{"configSource":{"uri":%q,"digest":{%q:%q},"entryPoint":%q}}`, uri, algorithm, hex, entryPoint)
}

// Where a definition is from is told by what was asked for and by what was resolved. What only looks like something else
// is not told at all, and so not trusted.
func TestRefOfATask(t *testing.T) {
	const quay, pinned = "quay.io/org/task-scan", "@" + clamavDigest
	const git = "https://example.com/org/tasks"
	commit := strings.TrimPrefix(lintDigest, "sha1:")
	for _, tt := range []struct{ name, in, ref, digest string }{
		{"nothing", ``, "", ""},
		{"name in the cluster", `"ref":{"name":"scan","kind":"Task"}`, "", ""},

		{"bundle with tag and digest", bundleRef(quay + ":0.3" + pinned), "oci://" + quay + ":0.3", clamavDigest},
		{"bundle with digest", bundleRef(quay + pinned), "oci://" + quay, clamavDigest},
		{"bundle with tag", bundleRef(quay + ":0.3"), "oci://" + quay + ":0.3", ""},
		{"bundle with port", bundleRef("localhost:5000/scan" + pinned), "oci://localhost:5000/scan", clamavDigest},
		{"bundle of v1beta1", `"ref":{"name":"scan","bundle":"` + quay + pinned + `"}`, "oci://" + quay, clamavDigest},
		{"bundle in upper case", bundleRef("quay.io/Org/task" + pinned), "", ""},
		{"bundle with a short digest", bundleRef(quay + "@sha256:63eb"), "", ""},
		{"bundle with another digest", bundleRef(quay + "@sha512:" + attesttest.SomeHex + attesttest.SomeHex), "", ""},
		{"bundle with two digests", bundleRef(quay + pinned + pinned), "", ""},
		{"bundle given twice", `"ref":{"resolver":"bundles","params":[{"name":"bundle","value":"` + quay + pinned + `"},{"name":"bundle","value":"quay.io/other/x` + pinned + `"}]}`, "", ""},
		{"bundle that is a list", `"ref":{"resolver":"bundles","params":[{"name":"bundle","value":["` + quay + pinned + `"]}]}`, "", ""},
		{"bundle of another resolver", `"ref":{"resolver":"mine","params":[{"name":"bundle","value":"` + quay + pinned + `"}]}`, "", ""},

		{"resolved bundle", configSource(quay, clamavDigest, "scan"), "oci://" + quay, clamavDigest},
		{"resolved bundle with scheme", configSource("oci://"+quay, clamavDigest, "scan"), "oci://" + quay, clamavDigest},
		{"asked by tag, resolved", bundleRef(quay+":0.3") + "," + configSource(quay, clamavDigest, "scan"), "oci://" + quay + ":0.3", clamavDigest},
		{"asked with pin, resolved the same", bundleRef(quay+pinned) + "," + configSource(quay, clamavDigest, "scan"), "oci://" + quay, clamavDigest},
		{"asked with pin, resolved another", bundleRef(quay+pinned) + "," + configSource(quay, "sha256:"+attesttest.SomeHex, "scan"), "", ""},
		{"asked one, resolved from another", bundleRef(quay+":0.3") + "," + configSource("quay.io/other/task-scan", clamavDigest, "scan"), "", ""},
		{"asked from docker, resolved in full", bundleRef("alpine") + "," + configSource("index.docker.io/library/alpine", clamavDigest, ""), "oci://index.docker.io/library/alpine", clamavDigest},

		{"git by commit", gitRef(git, commit, "scan.yaml"), "git+" + git + ".git//scan.yaml", lintDigest},
		{"git by branch", gitRef(git, "main", "scan.yaml"), "git+" + git + ".git//scan.yaml", ""},
		{"git by branch, resolved", gitRef(git, "main", "scan.yaml") + "," + configSource("git+"+git, lintDigest, "scan.yaml"), "git+" + git + ".git//scan.yaml", lintDigest},
		{"git, resolved with .git", gitRef(git, "main", "scan.yaml") + "," + configSource("git+"+git+".git", lintDigest, "scan.yaml"), "git+" + git + ".git//scan.yaml", lintDigest},
		{"git, resolved with a slash", gitRef(git+"/", "main", "scan.yaml") + "," + configSource("git+"+git+"/", lintDigest, "scan.yaml"), "git+" + git + ".git//scan.yaml", lintDigest},
		{"git, resolved to another commit", gitRef(git, commit, "scan.yaml") + "," + configSource("git+"+git, "sha1:"+strings.Repeat("0", 40), "scan.yaml"), "", ""},
		{"git, resolved to another file", gitRef(git, commit, "scan.yaml") + "," + configSource("git+"+git, lintDigest, "other.yaml"), "", ""},
		{"git by branch, resolved with the file", `"ref":{"resolver":"git","params":[{"name":"url","value":"` + git + `"}]},` + configSource("git+"+git, lintDigest, "scan.yaml"), "git+" + git + ".git//scan.yaml", lintDigest},
		{"git with gitCommit", configSource("git+"+git, "gitCommit:"+commit, "scan.yaml"), "git+" + git + ".git//scan.yaml", lintDigest},
		{"git by ssh", gitRef("git@example.com:org/tasks.git", commit, "scan.yaml"), "git+git@example.com:org/tasks.git//scan.yaml", lintDigest},
		{"git without URL", gitRef("", commit, "scan.yaml"), "", ""},
		{"git with dots", gitRef("https://example.com/org/../other/tasks", commit, "scan.yaml"), "", ""},
		{"git with a dot", gitRef("https://example.com/org/./tasks", commit, "scan.yaml"), "", ""},
		{"git with an empty segment", gitRef("https://example.com/org/tasks.git//good", commit, "scan.yaml"), "", ""},
		{"git with an escape", gitRef("https://example.com/org/%2e%2e/other", commit, "scan.yaml"), "", ""},
		{"git with a query", gitRef("https://example.com/org/tasks?x=", commit, "scan.yaml"), "", ""},
		{"git file with dots", gitRef(git, commit, "good/../scan.yaml"), "", ""},
		{"git file from the root", gitRef(git, commit, "/scan.yaml"), "", ""},

		{"cluster", configSource("/apis/tekton.dev/v1/namespaces/team/task/scan@3f", clamavDigest, ""), "/apis/tekton.dev/v1/namespaces/team/task/scan@3f", clamavDigest},
		{"http", configSource("https://example.com/scan.yaml", clamavDigest, ""), "https://example.com/scan.yaml", clamavDigest},
		{"http with dots", configSource("https://example.com/a/../scan.yaml", clamavDigest, ""), "", ""},
		{"digest of what nobody knows", configSource("", clamavDigest, ""), "", ""},
		{"upper-case digest", configSource(quay, strings.Replace(strings.ToUpper(clamavDigest), "SHA", "sha", 1), "scan"), "oci://" + quay, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := pipelineV02(t, "{"+tt.in+"}").Tasks[0]
			if got.Ref != tt.ref || got.Digest != tt.digest {
				t.Errorf("from %q at %q, want %q at %q", got.Ref, got.Digest, tt.ref, tt.digest)
			}
		})
	}
}

func TestNameOfATask(t *testing.T) {
	label := func(name string) string {
		return fmt.Sprintf(`"invocation":{"environment":{"labels":{"tekton.dev/task":%q}}}`, name)
	}
	param := func(name, value string) string { return fmt.Sprintf(`{"name":%q,"value":%q}`, name, value) }
	for _, tt := range []struct{ in, want string }{
		{``, ""},
		{label("scan"), "scan"},
		{label("scan") + `,"ref":{"name":"other","params":[` + param("name", "third") + `]}`, "scan"},
		{`"ref":{"name":"other","params":[` + param("name", "third") + `]}`, "third"},
		{`"ref":{"name":"other","params":[` + param("name", "") + `]}`, "other"},
		{`"ref":{"name":"other","params":[` + param("name", "a") + "," + param("name", "b") + `]}`, "other"},
		{`"ref":{"name":"other","kind":"Task"}`, "other"},
		{`"ref":{"name":"other","kind":"task"}`, "other"},
		{`"ref":{"name":"other","kind":"ClusterTask"}`, ""},
		{`"ref":{"name":"other","params":[` + param("kind", "pipeline") + `]}`, ""},
		{label("scan") + `,"ref":{"kind":"Approval"}`, ""},
		{`"ref":{"name":"scan[a=b]"}`, ""},
		{`"ref":{"params":[` + param("name", "scan[") + `]}`, ""},
		{label("scan[a=b]") + `,"ref":{"name":"scan"}`, ""},
		{label("scan ") + `,"ref":{"name":"scan"}`, ""},
		{label("scan\n"), ""},
		{label("-scan"), ""},
		{label("sc\u0430n"), ""},
		{label(strings.Repeat("a", 253)), strings.Repeat("a", 253)},
		{label(strings.Repeat("a", 254)), ""},
	} {
		if got := pipelineV02(t, "{"+tt.in+"}").Tasks[0].Name; got != tt.want {
			t.Errorf("%s: name %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestParseProvenanceRefuses(t *testing.T) {
	dependency := func(content string) string {
		return `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa-tekton","externalParameters":{"runSpec":{"pipelineRef":{}}},"resolvedDependencies":[{"name":"pipelineTask","content":"` +
			base64.StdEncoding.EncodeToString([]byte(content)) + `"}]}}`
	}
	for _, tt := range []struct{ name, predicateType, in, want string }{
		{"vulns", intoto.VulnsType, `{}`, `"https://in-toto.io/attestation/vulns/v0.2" is not SLSA provenance`},
		{"nothing", intoto.ProvenanceType, ``, "unexpected EOF"},
		{"nothing in v0.2", intoto.ProvenanceTypeV02, ``, "unexpected EOF"},
		{"a list", intoto.ProvenanceTypeV02, `[]`, "cannot unmarshal array"},
		{"a key twice", intoto.ProvenanceTypeV02, `{"builder":{"id":"a","id":"b"}}`, "given twice"},
		{"a key in another case", intoto.ProvenanceTypeV02, `{"builder":{"ID":"b"}}`, "in case only"},
		{"a time", intoto.ProvenanceTypeV02, `{"metadata":{"buildFinishedOn":"yesterday"}}`, "not a time of RFC 3339"},
		{"a key in another case in a task", intoto.ProvenanceTypeV02, `{"buildType":"tekton.dev/v1/PipelineRun","buildConfig":{"tasks":[{"Name":"x"}]}}`, "in case only"},
		{"a label that is no text", intoto.ProvenanceTypeV02, `{"buildType":"tekton.dev/v1/TaskRun","invocation":{"environment":{"labels":{"a":1}}}}`, "cannot unmarshal number"},
		{"a result twice", intoto.ProvenanceTypeV02, `{"buildType":"tekton.dev/v1/PipelineRun","buildConfig":{"tasks":[{"results":[{"name":"a"},{"name":"a"}]}]}}`,
			`buildConfig.tasks[0].results: result "a" is given twice`},
		{"labels that are no object", intoto.ProvenanceType, `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa","externalParameters":{"runSpec":{"taskRef":{}}},"internalParameters":{"labels":[]}}}`, "cannot unmarshal array"},
		{"parameters that are no object", intoto.ProvenanceType, `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa","externalParameters":[]}}`, "cannot unmarshal array"},
		{"content that is no base64", intoto.ProvenanceType, `{"buildDefinition":{"resolvedDependencies":[{"content":"?"}]}}`, "illegal base64"},
		{"a task that is no JSON", intoto.ProvenanceType, dependency("x"), "buildDefinition.resolvedDependencies[0].content: "},
		{"a task with a key twice", intoto.ProvenanceType, dependency(`{"spec":{},"spec":{}}`), "given twice"},
		{"a task with a key in another case", intoto.ProvenanceType, dependency(`{"Spec":{}}`), "in case only"},
		{"a task with a result in both versions", intoto.ProvenanceType, dependency(`{"status":{"results":[{"name":"a"}],"taskResults":[{"name":"a"}]}}`), `result "a" is given twice`},
		{"a deep task", intoto.ProvenanceType, dependency(`{"x":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`), "JSON depth: 65 is over the limit of 64"},
		{"a byproduct that is no JSON", intoto.ProvenanceType,
			`{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa","externalParameters":{"runSpec":{"taskRef":{}}}},"runDetails":{"byproducts":[{"name":"other"},{"name":"taskRunResults/a"}]}}`,
			"runDetails.byproducts[1].content: unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse(statementWith(tt.predicateType, tt.in))
			if p != nil || err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "attest: provenance: ") {
				t.Errorf("got %+v, %v, want an error with %q", p, err, tt.want)
			}
		})
	}
}

// Every task that cannot be read is reported.
func TestParseProvenanceReportsEveryTask(t *testing.T) {
	_, err := Parse(statementWith(intoto.ProvenanceType, `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa-tekton",
		"externalParameters":{"runSpec":{"pipelineSpec":{}}},
		"resolvedDependencies":[{"name":"pipelineTask","content":"eA=="},{"name":"other","content":"eA=="},{"name":"pipelineTask","content":"eA=="}]}}`))
	attesttest.Field(t, err, "buildDefinition.resolvedDependencies[0].content", "buildDefinition.resolvedDependencies[2].content")
}

// Each document inside is below the limits, all together are not.
func TestContentsShareALimit(t *testing.T) {
	one := `{"name":"pipelineTask","content":"` + base64.StdEncoding.EncodeToString([]byte(`{"x":[`+strings.Repeat("1,", 99)+`1]}`)) + `"}`
	build := func(n int) *intoto.Statement {
		return statementWith(intoto.ProvenanceType, `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa-tekton","externalParameters":{"runSpec":{"pipelineRef":{}}},"resolvedDependencies":[`+
			strings.TrimSuffix(strings.Repeat(one+",", n), ",")+`]}}`)
	}
	limits := strictjson.Default
	limits.Values = 500
	if _, err := ParseWithin(build(5), limits); err != nil {
		t.Error(err)
	}
	_, err := ParseWithin(statementWith(intoto.ProvenanceType, `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa-tekton","externalParameters":{"runSpec":{"pipelineRef":{}}},"resolvedDependencies":[`+
		content("", "", strings.Repeat("[", 65))+`]}}`), limits)
	if l := attesttest.As[*fault.LimitError](t, err); l.What != "JSON depth" {
		t.Errorf("got %+v", l)
	}
	_, err = ParseWithin(build(7), limits)
	if l := attesttest.As[*fault.LimitError](t, err); l.What != "JSON values" || l.Limit != 500 || l.Got <= 500 {
		t.Errorf("got %+v", l)
	}
}

func TestProvenanceOfAnotherBuilder(t *testing.T) {
	for predicateType, predicate := range map[string]string{
		intoto.ProvenanceTypeV02: `{"builder":{"id":"https://example.com/b"},"buildType":"https://example.com/t","invocation":5,"buildConfig":[],"metadata":{"buildFinishedOn":"2026-03-01T12:00:00Z"}}`,
		intoto.ProvenanceType:    `{"buildDefinition":{"buildType":"https://example.com/t","externalParameters":5},"runDetails":{"builder":{"id":"https://example.com/b"},"metadata":{"invocationID":"a","invocationId":"b","finishedOn":"2026-03-01T12:00:00Z"}}}`,
	} {
		s := statementWith(predicateType, predicate)
		got, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		want := &Provenance{Subject: s.Subject, Builder: "https://example.com/b", BuildType: "https://example.com/t", Finished: attesttest.Noon}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if _, ok := got.TaskOf(attesttest.Coffee); ok {
			t.Error("made by a known task")
		}
	}
}

// In v1 the build type is the same for both kinds of run, and what runs is told by the parameters.
func TestKindOfRunInV1(t *testing.T) {
	for spec, want := range map[string]string{
		`{"taskRef":{}}`: "TaskRun", `{"taskSpec":{"steps":[]}}`: "TaskRun",
		`{"pipelineRef":{}}`: "PipelineRun", `{"pipelineSpec":{}}`: "PipelineRun",
		`{"taskRef":{},"pipelineRef":{}}`: "", `{}`: "", `{"taskRef":null}`: "",
	} {
		p, err := Parse(statementWith(intoto.ProvenanceType,
			`{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa-tekton","externalParameters":{"runSpec":`+spec+`}}}`))
		if err != nil || p.Kind != want || p.Complete != (want != "") {
			t.Errorf("%s: %+v, %v, want kind %q", spec, p, err, want)
		}
	}
}

// content is a task of a PipelineRun as build type slsa-tekton has it.
func content(uri, digest, run string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return fmt.Sprintf(`{"name":"pipelineTask","uri":%q,"digest":{%q:%q},"content":%q}`, uri, algorithm, hex, base64.StdEncoding.EncodeToString([]byte(run)))
}

// pipelineV1 is the provenance of a PipelineRun with the given dependencies, as JSON.
func pipelineV1(t testing.TB, buildType string, dependencies ...string) *Provenance {
	t.Helper()
	p, err := Parse(statementWith(intoto.ProvenanceType, fmt.Sprintf(
		`{"buildDefinition":{"buildType":%q,"externalParameters":{"runSpec":{"pipelineRef":{}}},"resolvedDependencies":[%s]}}`,
		buildType, strings.Join(dependencies, ","))))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// As long as one task may be missing, no task is known to have made anything.
func TestTasksAreCompleteInFullOnly(t *testing.T) {
	made := content("quay.io/a/b", clamavDigest, `{"status":{"results":[{"name":"ARTIFACT_DIGEST","value":"`+attesttest.Coffee.String()+`"}]}}`)
	for _, tt := range []struct {
		buildType    string
		dependencies []string
		want         bool
	}{
		{"https://tekton.dev/chains/v2/slsa-tekton", []string{made}, true},
		{"https://tekton.dev/chains/v2/slsa-tekton", []string{made, `{"name":"pipelineTask","uri":"quay.io/c/d"}`}, false},
		{"https://tekton.dev/chains/v2/slsa", []string{made}, false},
		{"https://tekton.dev/chains/v2/slsa", nil, false},
	} {
		p := pipelineV1(t, tt.buildType, tt.dependencies...)
		if _, ok := p.TaskOf(attesttest.Coffee); p.Complete != tt.want || ok != tt.want {
			t.Errorf("%s with %s: %+v, made by a known task: %t", tt.buildType, tt.dependencies, p, ok)
		}
	}
}

// What the dependency says was resolved counts. The path inside comes from the run, if both mean the same repository.
func TestTaskInFull(t *testing.T) {
	run := func(uri string) string {
		return `{"status":{"conditions":[{"type":"Ready","status":"False"},{"type":"Succeeded","status":"Unknown"}],"provenance":{"refSource":{"uri":"` + uri + `","entryPoint":"scan.yaml"}}}}`
	}
	p := pipelineV1(t, "https://tekton.dev/chains/v2/slsa-tekton",
		content("git+https://example.com/x", lintDigest, run("git+https://example.com/x")),
		content("git+https://example.com/x", lintDigest, run("git+https://example.com/y")),
		content("", "", run("git+https://example.com/y")))
	want := []task{
		{Ref: "git+https://example.com/x.git//scan.yaml", Digest: lintDigest, Status: "Running"},
		{Ref: "git+https://example.com/x.git", Digest: lintDigest, Status: "Running"},
		{Status: "Running"},
	}
	if diff := cmp.Diff(want, tasksOf(p)); diff != "" {
		t.Error(diff)
	}
}

// A TaskRun of v1 has its path beside its definition.
func TestPathOfATaskRun(t *testing.T) {
	for repository, want := range map[string]string{"git+https://example.com/x": "//scan.yaml", "git+https://example.com/y": ""} {
		p, err := Parse(statementWith(intoto.ProvenanceType, `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa",
			"externalParameters":{"runSpec":{"taskRef":{"resolver":"git"}},"buildConfigSource":{"repository":"`+repository+`","path":"scan.yaml"}},
			"resolvedDependencies":[{"name":"task","uri":"git+https://example.com/x","digest":{"sha1":"48df630394794f28142224295851a45eea5c63ae"}}]}}`))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]task{{Ref: "git+https://example.com/x.git" + want, Digest: lintDigest}}, tasksOf(p)); diff != "" {
			t.Error(diff)
		}
	}
}

// Of two definitions nobody knows which one ran.
func TestTaskRunWithTwoDefinitions(t *testing.T) {
	p, err := Parse(statementWith(intoto.ProvenanceType, `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa",
		"externalParameters":{"runSpec":{"taskRef":{}}},
		"resolvedDependencies":[{"name":"task","uri":"quay.io/a/b","digest":{"sha256":"`+attesttest.SomeHex+`"}},{"name":"task","uri":"quay.io/c/d","digest":{"sha256":"`+attesttest.SomeHex+`"}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Task{{}}, p.Tasks); diff != "" {
		t.Error(diff)
	}
}

func TestTaskOf(t *testing.T) {
	named := func(name, results string) string { return fmt.Sprintf(`{"name":%q,"results":[%s]}`, name, results) }
	text := func(name, value string) string { return fmt.Sprintf(`{"name":%q,"value":%q}`, name, value) }
	object := func(name, digest string) string {
		return fmt.Sprintf(`{"name":%q,"value":{"uri":"quay.io/team/app","digest":%q}}`, name, digest)
	}
	other := named("other", text("ARTIFACT_DIGEST", "sha256:"+attesttest.SomeHex))
	digest := attesttest.Coffee.String()
	for _, tt := range []struct {
		name  string
		tasks []string
		want  string // empty if it cannot be told
	}{
		{"object", []string{other, named("a", object("X_ARTIFACT_OUTPUTS", digest))}, "a"},
		{"text", []string{other, named("a", text("X_ARTIFACT_DIGEST", digest))}, "a"},
		{"text with a line end", []string{other, named("a", text("ARTIFACT_DIGEST", digest+"\n"))}, "a"},
		{"image", []string{other, named("a", text("IMAGE_DIGEST", digest))}, "a"},
		{"images", []string{other, named("a", text("IMAGES", "quay.io/x@sha256:"+attesttest.SomeHex+", quay.io/team/app@"+digest+"\n"))}, "a"},
		{"nobody", []string{other}, ""},
		{"the only task, which names nothing", []string{named("a", "")}, ""},
		{"two tasks, the first to end last", []string{
			fmt.Sprintf(`{"name":"a","startedOn":"2026-03-01T11:00:00Z","finishedOn":"2026-03-01T12:00:00Z","results":[%s]}`, text("IMAGE_DIGEST", digest)),
			fmt.Sprintf(`{"name":"b","startedOn":"2026-03-01T11:00:00Z","finishedOn":"2026-03-01T11:30:00Z","results":[%s]}`, text("IMAGE_DIGEST", digest)),
		}, "b"},
		{"two tasks that end together, the first to start last", []string{
			fmt.Sprintf(`{"name":"a","startedOn":"2026-03-01T12:00:00Z","finishedOn":"2026-03-01T12:00:00Z","results":[%s]}`, text("IMAGE_DIGEST", digest)),
			fmt.Sprintf(`{"name":"b","startedOn":"2026-03-01T11:00:00Z","finishedOn":"2026-03-01T12:00:00Z","results":[%s]}`, text("IMAGE_DIGEST", digest)),
		}, "b"},
		{"two tasks, one without times", []string{
			fmt.Sprintf(`{"name":"a","startedOn":"2026-03-01T11:00:00Z","finishedOn":"2026-03-01T12:00:00Z","results":[%s]}`, text("IMAGE_DIGEST", digest)),
			named("b", object("ARTIFACT_OUTPUTS", digest)),
		}, "b"},
		{"images by line", []string{other, named("a", text("IMAGES", "quay.io/team/app@"+digest+"\nquay.io/x@sha256:"+attesttest.SomeHex))}, "a"},
		{"digest among other results", []string{named("a", text("IMAGES_PROCESSED", "x@"+digest)+","+text("REPORTS", digest))}, ""},
		{"object that is text", []string{named("a", text("ARTIFACT_OUTPUTS", `{"digest":"`+digest+`"}`))}, ""},
		{"object with a key in another case", []string{named("a", `{"name":"ARTIFACT_OUTPUTS","value":{"Digest":"`+digest+`"}}`)}, ""},
		{"part of a digest", []string{named("a", text("IMAGES", "quay.io/team/app@"+digest+"00"))}, ""},
		{"a list", []string{named("a", `{"name":"IMAGE_DIGEST","value":["`+digest+`"]}`)}, ""},
		{"no value", []string{named("a", `{"name":"IMAGE_DIGEST"},{"name":"IMAGES"},{"name":"ARTIFACT_OUTPUTS"}`)}, ""},
	} {
		got, ok := pipelineV02(t, tt.tasks...).TaskOf(attesttest.Coffee)
		if got.PipelineTask != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: made by %+v, %t", tt.name, got, ok)
		}
	}
	p := recording(t, "taskrun-v1")
	for _, h := range []v1.Hash{{}, {Algorithm: "sha256", Hex: attesttest.SomeHex}, {Algorithm: "sha512", Hex: attesttest.Coffee.Hex}} {
		if got, ok := p.TaskOf(h); ok {
			t.Errorf("%s, which is no subject, is made by %+v", h, got)
		}
	}
}

func FuzzParseProvenance(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("%v, no recordings", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	trust := Trust{Builders: []string{"https://tekton.dev/chains/v2"}, Tasks: []TaskRule{{Pattern: "oci://quay.io/konflux-ci/*"}, {Pattern: "git+https://example.com/org/*"}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := intoto.ParseStatement(b)
		if err != nil {
			s = &intoto.Statement{PredicateType: intoto.ProvenanceType, Predicate: b}
		}
		p, err := Parse(s)
		if (p == nil) == (err == nil) {
			t.Fatalf("provenance %v and error %v", p, err)
		}
		if err != nil {
			return
		}
		if trust.Check(p, attesttest.Noon) == nil {
			for _, task := range p.Tasks {
				if !pinnedDigest.MatchString(task.Digest) || strings.Contains(task.Ref, "/../") {
					t.Errorf("trusted %+v", task)
				}
			}
		}
		if task, ok := p.TaskOf(attesttest.Coffee); ok && strings.Contains(task.Name, "[") {
			t.Errorf("made by %+v", task)
		}
	})
}

// A run covers a time with a skew at both ends.
func TestRunCoversATime(t *testing.T) {
	run := Task{Started: attesttest.Noon, Finished: attesttest.Noon.Add(time.Minute)}
	for _, tt := range []struct {
		p    Task
		at   time.Duration
		want bool
	}{
		{run, -time.Second, true}, {run, -time.Second - 1, false}, {run, 61 * time.Second, true}, {run, 61*time.Second + 1, false},
		{Task{Started: attesttest.Noon}, time.Hour, true}, {Task{Started: attesttest.Noon}, -time.Hour, false},
		{Task{Finished: attesttest.Noon}, -time.Hour, true}, {Task{Finished: attesttest.Noon}, time.Hour, false},
	} {
		if got := tt.p.Covers(attesttest.Noon.Add(tt.at), time.Second); got != tt.want {
			t.Errorf("%s to %s covers noon and %s: %t", tt.p.Started, tt.p.Finished, tt.at, got)
		}
	}
}
