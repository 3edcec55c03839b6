package pipelinerun_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// taskRun is a TaskRun with results, given as name and JSON.
func taskRun(name string, results ...string) (task pipelinerun.TaskRun) {
	task.Name = name
	for i := 0; i < len(results); i += 2 {
		task.Status.Results = append(task.Status.Results, pipelinerun.TaskRunResult{Name: results[i], Value: json.RawMessage(results[i+1])})
	}
	return task
}

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func outputs(uri, digest string) string { return fmt.Sprintf(`{"uri":%q,"digest":%q}`, uri, digest) }

func TestArtifacts(t *testing.T) {
	app := scheduler.Artifact{URI: "quay.io/team/app", Digest: digest("a")}
	lib := scheduler.Artifact{URI: "registry.example.com:5000/lib", Digest: digest("b")}
	var many []pipelinerun.TaskRun
	for i := range 70 {
		many = append(many, taskRun(fmt.Sprintf("t%02d", i), "ARTIFACT_OUTPUTS", outputs("quay.io/team/app", "sha256:"+fmt.Sprintf("%064x", i))))
	}
	for name, test := range map[string]struct {
		tasks    []pipelinerun.TaskRun
		want     []scheduler.Artifact
		mistakes string
	}{
		"none": {[]pipelinerun.TaskRun{taskRun("a", "TEST_OUTPUT", `"{}"`)}, nil, ""},
		"two strings": {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_URI", `"quay.io/team/app\n"`, "ARTIFACT_DIGEST", `"`+digest("a")+`\n"`)},
			[]scheduler.Artifact{app}, ""},
		"object":         {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_OUTPUTS", outputs(app.URI, app.Digest))}, []scheduler.Artifact{app}, ""},
		"as Chains says": {[]pipelinerun.TaskRun{taskRun("a", "TEST_OUTPUT_ARTIFACT_OUTPUTS", `{"uri":"quay.io/team/app","digest":"`+app.Digest+`","isBuildArtifact":"true"}`)}, []scheduler.Artifact{app}, ""},
		"both forms": {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_URI", `"quay.io/team/app"`, "ARTIFACT_DIGEST", `"`+digest("a")+`"`,
			"SCAN_ARTIFACT_OUTPUTS", outputs(app.URI, app.Digest))}, []scheduler.Artifact{app}, ""},
		"several tasks": {[]pipelinerun.TaskRun{taskRun("b", "ARTIFACT_OUTPUTS", outputs(app.URI, app.Digest)), taskRun("a", "ARTIFACT_OUTPUTS", outputs(lib.URI, lib.Digest))},
			[]scheduler.Artifact{lib, app}, ""},
		"other names":   {[]pipelinerun.TaskRun{taskRun("a", "MY_ARTIFACT_URI", `"x"`, "ARTIFACT_OUTPUTS_2", `{}`, "IMAGE_URL", `"x"`)}, nil, ""},
		"no digest":     {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_URI", `"x"`)}, nil, "ARTIFACT_URI and ARTIFACT_DIGEST of a: there is no ARTIFACT_DIGEST"},
		"no URI":        {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_DIGEST", `"x"`)}, nil, "ARTIFACT_URI and ARTIFACT_DIGEST of a: there is no ARTIFACT_URI"},
		"no text":       {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_URI", `["x"]`, "ARTIFACT_DIGEST", `"x"`)}, nil, "ARTIFACT_URI and ARTIFACT_DIGEST of a: want text"},
		"no object":     {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_OUTPUTS", `"secret"`)}, nil, `ARTIFACT_OUTPUTS of a: want a JSON object with the strings "uri" and "digest", each once`},
		"a key twice":   {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_OUTPUTS", `{"uri":"quay.io/a/b","uri":"quay.io/a/c","digest":"`+digest("a")+`"}`)}, nil, `ARTIFACT_OUTPUTS of a: want a JSON object with the strings "uri" and "digest", each once`},
		"empty strings": {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_OUTPUTS", outputs("", ""))}, nil, "ARTIFACT_OUTPUTS of a: the URI is not a repository like quay.io/team/app, with a registry and without scheme, tag and digest"},
		"a tag":         {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_OUTPUTS", outputs("quay.io/team/app:v1", digest("a")))}, nil, "ARTIFACT_OUTPUTS of a: the URI is not a repository like quay.io/team/app, with a registry and without scheme, tag and digest"},
		"a long URI":    {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_OUTPUTS", outputs("quay.io/"+strings.Repeat("a", 300), digest("a")))}, nil, "ARTIFACT_OUTPUTS of a: the URI is not a repository like quay.io/team/app, with a registry and without scheme, tag and digest"},
		"another hash":  {[]pipelinerun.TaskRun{taskRun("a", "ARTIFACT_OUTPUTS", outputs("quay.io/team/app", "md5:1"))}, nil, "ARTIFACT_OUTPUTS of a: the digest is not sha256: and 64 hexadecimal digits in lower case"},
		"a mistake does not hide the rest": {[]pipelinerun.TaskRun{taskRun("a", "A_ARTIFACT_OUTPUTS", `1`, "B_ARTIFACT_OUTPUTS", outputs(app.URI, app.Digest)), taskRun("b", "ARTIFACT_URI", `"x"`)},
			[]scheduler.Artifact{app}, "A_ARTIFACT_OUTPUTS of a: want a JSON object with the strings \"uri\" and \"digest\", each once\nARTIFACT_URI and ARTIFACT_DIGEST of b: there is no ARTIFACT_DIGEST"},
		"many": {many, nil, "there are 70 artifacts; 64 are kept"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pipelinerun.Artifacts(test.tasks)
			if name == "many" {
				if len(got) != 64 {
					t.Errorf("%d are kept", len(got))
				}
			} else if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			mistakes := ""
			if err != nil {
				mistakes = err.Error()
			}
			if mistakes != test.mistakes {
				t.Errorf("mistakes %q; want %q", mistakes, test.mistakes)
			}
		})
	}
}
