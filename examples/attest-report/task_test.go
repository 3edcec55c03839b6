package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// A task is what of task.yaml matters here.
type task struct {
	Spec struct {
		Params []struct {
			Name string `yaml:"name"`
		} `yaml:"params"`
		Results []result `yaml:"results"`
		Steps   []step   `yaml:"steps"`
	} `yaml:"spec"`
}

type result struct {
	Name       string                       `yaml:"name"`
	Type       string                       `yaml:"type"`
	Properties map[string]map[string]string `yaml:"properties"`
}

type step struct {
	Name   string
	Env    []struct{ Name, Value string }
	Script string
}

func readTask(t *testing.T) task {
	t.Helper()
	text, err := os.ReadFile("task.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all task
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func (t task) step(name string) step {
	for _, s := range t.Spec.Steps {
		if s.Name == name {
			return s
		}
	}
	return step{}
}

// The task declares the results that are written, with the types that Tekton wants for them.
func TestTaskDeclaresItsResults(t *testing.T) {
	s := newStage(t, true)
	s.run(exitWritten, s.args("failed.json", "-results", s.path("results"), "-prefix", "SCAN")...)
	entries, err := os.ReadDir(s.path("results"))
	s.must(err)
	text := map[string]string{"type": "string"}
	want := map[string]result{}
	for _, e := range entries {
		want[e.Name()] = result{Name: e.Name()}
	}
	want["SCAN_ARTIFACT_OUTPUTS"] = result{
		Name: "SCAN_ARTIFACT_OUTPUTS", Type: "object",
		Properties: map[string]map[string]string{"uri": text, "digest": text, "isBuildArtifact": text},
	}
	got := map[string]result{}
	for _, r := range readTask(t).Spec.Results {
		got[r.Name] = r
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The flags and variables that the step uses exist, and so do the parameters.
func TestTaskUsesWhatExists(t *testing.T) {
	var a arguments
	flags := newFlags(&a)
	variables := map[string]bool{"SIGN": true, "KEYS": true, "RESULT": true}
	flags.VisitAll(func(f *flag.Flag) { variables[variable(f.Name)] = true })
	all := readTask(t)
	attestStep := all.step("attest")
	used := regexp.MustCompile(`(?m) -([a-z-]{3,})`).FindAllStringSubmatch(attestStep.Script, -1)
	if len(used) < 7 {
		t.Errorf("only %d flags are found", len(used))
	}
	for _, m := range used {
		if flags.Lookup(m[1]) == nil {
			t.Errorf("no flag -%s", m[1])
		}
	}
	for _, e := range attestStep.Env {
		if !variables[e.Name] {
			t.Errorf("no variable %s", e.Name)
		}
	}
	params := map[string]bool{}
	for _, p := range all.Spec.Params {
		params[p.Name] = true
	}
	text, err := os.ReadFile("task.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\$\(params\.([^)]*)\)`).FindAllStringSubmatch(string(text), -1) {
		if !params[m[1]] {
			t.Errorf("no parameter %s", m[1])
		}
	}
}

// scannerVersion is what trivy version --format json prints, where the database is not the only one.
const scannerVersion = `{"Version":"0.69.0","VulnerabilityDB":{"Version":2,"NextUpdate":"2026-03-02T06:00:00Z","UpdatedAt":"2026-03-01T06:00:00.5Z","DownloadedAt":"2026-03-01T10:00:00Z"},"JavaDB":{"Version":1,"UpdatedAt":"2026-02-01T06:00:00Z"}}`

// play runs the scripts of the task, with a scanner that ends with code. If that is not 0 the task fails too, once the
// evidence is there.
func (s *stage) play(code string, env ...string) {
	s.t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		s.t.Skip("no shell")
	}
	self, err := os.Executable()
	s.must(err)
	s.must(os.MkdirAll(s.path("bin"), 0o755))
	s.must(os.MkdirAll(s.path("work"), 0o755))
	trivy := "#!/bin/sh\nif [ $1 = version ]; then echo '" + scannerVersion + "'; exit; fi\nwhile [ $1 != --output ]; do shift; done\ncp " + s.path("trivy.json") + " $2\nexit " + code + "\n"
	s.must(os.WriteFile(s.path("bin/trivy"), []byte(trivy), 0o755))
	_ = os.Remove(s.path("bin/attest-report"))
	s.must(os.Symlink(self, s.path("bin/attest-report")))
	for _, name := range []string{"scan", "attest"} {
		cmd := exec.CommandContext(s.t.Context(), sh, "-c", readTask(s.t).step(name).Script)
		cmd.Dir = s.path("work")
		cmd.Env = append([]string{
			"PATH=" + s.path("bin") + string(filepath.ListSeparator) + os.Getenv("PATH"), "HOME=" + s.dir, "BE_ATTEST_REPORT=1",
			"IMAGE=" + s.image.String(), "REPORT=report.json", "ATTEST_REPORT=report.json", "ATTEST_IMAGE=" + s.image.String(),
			"ATTEST_NAME=scan", "RESULT=" + s.path("results/ARTIFACT_URI"), "SIGN=false", "KEYS=",
		}, env...)
		out, err := cmd.CombinedOutput()
		if failed := name == "attest" && code != "0"; failed != (err != nil) {
			s.t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestTaskRuns(t *testing.T) {
	s := newStage(t, true)
	s.encryptedKeys()
	s.file("cosign.password", password)
	s.play("0", "SIGN=true", "KEYS="+s.dir)
	v := s.newest(intoto.VulnsType).Predicate.(intoto.Vulns)
	if want := noon.Add(-6*time.Hour + time.Second/2); !v.Scanner.DB.LastUpdate.Equal(want) {
		t.Errorf("the database is of %s, want %s", v.Scanner.DB.LastUpdate, want)
	}
	if v.Metadata.StartedOn.After(v.Metadata.FinishedOn) {
		t.Errorf("%+v", v.Metadata)
	}
	if _, err := os.Stat(s.path("results/SCAN_ARTIFACT_OUTPUTS")); err != nil {
		t.Error(err)
	}
	s.play("1", "SIGN=true", "KEYS="+s.dir)
	if e := s.newest(intoto.TestResultType); e.Result != intoto.Errored {
		t.Errorf("a scanner that failed is %s", e.Result)
	}
}

// Without a key the statement is there for Chains.
func TestTaskRunsWithoutKey(t *testing.T) {
	s := newStage(t, false)
	s.play("0")
	var found int
	for e, err := range attest.NewResolver(s.verifier, attest.Options{}).All(t.Context(), s.image) {
		s.must(err)
		found++
		digest, err := os.ReadFile(s.path("results/ARTIFACT_DIGEST"))
		if err != nil || string(digest) != e.Manifest.String() || !strings.HasPrefix(e.Test.Name, "scan") {
			t.Errorf("%s, %v: the results lead to %q, %v", e.Manifest, e.Test, digest, err)
		}
	}
	if found != 1 {
		t.Errorf("%d statements", found)
	}
}
