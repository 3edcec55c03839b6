package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"go.yaml.in/yaml/v3"

	"github.com/testdag/testdag/attest/policy"
	"github.com/testdag/testdag/attest/policy/report"
)

const someImage = "quay.io/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000000"

func TestAllMistakesAtOnce(t *testing.T) {
	dir := t.TempDir()
	_, err := parse([]string{
		"-image", "quay.io/team/app:latest", "-nonsense", "extra", "-output=yaml", "-max-age", "-1h", "-effective-time", "yesterday",
		"-platforms=perhaps", "-issuer", "https://example.com", "---", "-output-file", dir, "-test-output", "/dev/null", "-timeout",
	}, nothing)
	if err == nil {
		t.Fatal("no mistake")
	}
	for _, want := range []string{
		"-image:", "-nonsense", `unexpected argument "extra"`, "want one of color, json, junit, markdown, sarif, table",
		"want more than nothing", "yesterday",
		`"perhaps"`, "-policy is required", "-identity, -issuer and -trusted-root", "bad flag syntax: ---", `-output-file: there is something`,
		"-test-output: there is something", "needs an argument: -timeout",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

func TestRequiredArguments(t *testing.T) {
	_, err := parse([]string{"-output-file", "x", "-test-output", "x"}, nothing)
	want := []string{
		"-image is required, as REPOSITORY@DIGEST, or -images", "-policy is required",
		"-key is required, or -provenance-key, or -identity with -issuer and -trusted-root: who may vouch for evidence",
		"-output-file and -test-output name the same file",
	}
	if err == nil {
		t.Fatal("no mistake")
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
}

// Each flag has its variable, and flags win.
func TestEnvironment(t *testing.T) {
	image, err := name.NewDigest(someImage)
	if err != nil {
		t.Fatal(err)
	}
	const divider = string(filepath.ListSeparator)
	env := map[string]string{
		"GATE_IMAGE": someImage, "GATE_IMAGES": "l" + divider + "m", "GATE_POLICY": "p", "GATE_KEY": "a" + divider + "b",
		"GATE_IDENTITY": "i", "GATE_PROVENANCE_KEY": "c" + divider + "d",
		"GATE_ISSUER": "s", "GATE_TRUSTED_ROOT": "r", "GATE_EXPECT": "e", "GATE_CHECKPOINT": "c", "GATE_MAX_AGE": "1h",
		"GATE_EFFECTIVE_TIME": "2026-03-02T00:00:00Z", "GATE_TIMEOUT": "2m", "GATE_OUTPUT": "json", "GATE_OUTPUT_FILE": "o",
		"GATE_TEST_OUTPUT": "t", "GATE_PLATFORMS": "true",
	}
	new(options).flags().VisitAll(func(f *flag.Flag) {
		if env[variable(f.Name)] == "" {
			t.Errorf("-%s is not tried", f.Name)
		}
	})
	want := options{
		images: []name.Digest{image}, imageFiles: []string{"l", "m"}, colors: true, policy: "p",
		keys: []string{"a", "b"}, builderKeys: []string{"c", "d"}, identity: "i", issuer: "s", trustedRoot: "r",
		expect: "e", checkpoint: "c",
		maxAge: time.Hour, now: now, timeout: 2 * time.Minute, output: "json", outputFile: "o", testOutput: "t", platforms: true,
	}
	check := func(args []string) {
		t.Helper()
		got, err := parse(args, func(key string) string { return env[key] })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{}), cmp.Comparer(func(a, b name.Digest) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
	}
	check(nil)
	want.policy, want.keys, want.platforms, want.timeout, want.output = "q", []string{"c"}, false, time.Minute, "sarif"
	check([]string{"-policy", "q", "-key=c", "-platforms=false", "-timeout", "1m", "-output", "sarif"})

	env["GATE_EFFECTIVE_TIME"], env["GATE_TIMEOUT"] = "noon", "0s"
	if _, err := parse(nil, func(key string) string { return env[key] }); err == nil ||
		!strings.Contains(err.Error(), "GATE_EFFECTIVE_TIME") || !strings.Contains(err.Error(), "GATE_TIMEOUT") {
		t.Errorf("got %v", err)
	}
}

// The effective time is a time, or a date, which stands for its first instant in UTC.
func TestEffectiveTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-12-31": "2026-12-31T00:00:00Z", "2026-12-31T01:00:00+02:00": "2026-12-30T23:00:00Z", "2028-02-29": "2028-02-29T00:00:00Z",
		"2026-02-29": "", "2026-12": "", "31.12.2026": "", "2026-12-31 12:00": "", "now": "", "1700000000": "",
	} {
		got, err := parse([]string{"-image", someImage, "-policy", "p", "-key", "k", "-effective-time", text}, nothing)
		switch {
		case want == "":
			if err == nil || !strings.Contains(err.Error(), "want 2026-01-31 or 2026-01-31T12:00:00Z") {
				t.Errorf("%s: %v", text, err)
			}
		case err != nil || got.now.UTC().Format(time.RFC3339) != want:
			t.Errorf("%s: got %s, %v", text, got.now, err)
		}
	}
}

// A parameter of a Task that was not given comes as an empty value.
func TestEmptyValues(t *testing.T) {
	var args []string
	new(options).flags().VisitAll(func(f *flag.Flag) { args = append(args, "-"+f.Name+"=") })
	args = append(args, "-image", someImage, "-policy", "p", "-key", "k")
	got, err := parse(args, nothing)
	if err != nil || got.output != report.Table || got.timeout != defaultTimeout || got.maxAge != 0 || len(got.keys) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A second value would win in silence, so it is refused with both. Images and keys add up. An empty value is none.
func TestGivenTwice(t *testing.T) {
	values := map[string][2]string{
		"image": {someImage, strings.Replace(someImage, "0", "1", 1)}, "platforms": {"true", "false"},
		"max-age": {"1h", "2h"}, "timeout": {"1m", "2m"},
		"effective-time": {"2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"}, "output": {"json", "sarif"},
	}
	count := map[string]func(options) int{
		"image": func(o options) int { return len(o.images) }, "images": func(o options) int { return len(o.imageFiles) },
		"key": func(o options) int { return len(o.keys) }, "provenance-key": func(o options) int { return len(o.builderKeys) },
	}
	for name := range count {
		if !repeated[name] {
			t.Errorf("-%s does not add up", name)
		}
	}
	new(options).flags().VisitAll(func(f *flag.Flag) {
		v, ok := values[f.Name]
		if !ok {
			v = [2]string{"first", "second"}
		}
		for _, second := range []string{v[1], v[0], ""} {
			o, err := parse([]string{"-" + f.Name + "=" + v[0], "-" + f.Name + "=" + second}, nothing)
			told := err != nil && strings.Contains(err.Error(), fmt.Sprintf("given before, with the value %q", v[0])) &&
				strings.Contains(err.Error(), fmt.Sprintf("value %q for", second))
			if n := count[f.Name]; n != nil {
				if want := len(strings.Fields(v[0] + " " + second)); n(o) != want || told {
					t.Errorf("-%s: %d values count, %v", f.Name, n(o), err)
				}
			} else if told != (second != "") {
				t.Errorf("-%s %s and then %q: %v", f.Name, v[0], second, err)
			}
		}
	})
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"-nonsense", "--help"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, nothing, &out, &errs); code != exitNotKnown || errs.Len() > 0 {
			t.Errorf("exit code %d: %s", code, &errs)
		}
		new(options).flags().VisitAll(func(f *flag.Flag) {
			if !strings.Contains(out.String(), "\n  -"+f.Name) {
				t.Errorf("-%s is not in\n%s", f.Name, &out)
			}
		})
		for _, want := range []string{
			"gate -images FILE", "sarif or test-output", "0  every image is allowed", "1  at least one is denied", "2  at least one could not be judged", "GATE_MAX_AGE",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in\n%s", want, &out)
			}
		}
	}
}

// The policy to start from is one, and so is what it has commented out.
func TestPolicyYAML(t *testing.T) {
	text, err := os.ReadFile("policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Required) != 2 || len(p.Waivers) != 1 || trusts(p) {
		t.Errorf("%+v", p)
	}
	code := regexp.MustCompile(`(?m)^# ((required_in_build|trust):|  .*)$`).ReplaceAll(text, []byte("$1"))
	p, err = policy.Parse(bytes.NewReader(code))
	if err != nil {
		t.Fatalf("%v in\n%s", err, code)
	}
	if len(p.RequiredInBuild) != 1 || !trusts(p) {
		t.Errorf("%+v", p)
	}
}

// What task.yaml hands to gate is what gate takes.
func TestTaskYAML(t *testing.T) {
	text, err := os.ReadFile("task.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var task struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Spec       struct {
			Params     []struct{ Name, Default string }
			Workspaces []struct{ Name string }
			Results    []struct{ Name string }
			Steps      []struct {
				Image         string
				Command, Args []string
				Env           []struct{ Name, Value string }
			}
		}
	}
	if err := yaml.Unmarshal(text, &task); err != nil {
		t.Fatal(err)
	}
	if task.APIVersion != "tekton.dev/v1" || task.Kind != "Task" || len(task.Spec.Steps) != 1 {
		t.Fatalf("%+v", task)
	}
	known := map[string]string{"params.image": someImage}
	for _, p := range task.Spec.Params {
		if p.Name != "image" {
			known["params."+p.Name] = p.Default
		}
	}
	dir := t.TempDir()
	for _, w := range task.Spec.Workspaces {
		known["workspaces."+w.Name+".path"] = filepath.Join(dir, w.Name)
		if err := os.Mkdir(filepath.Join(dir, w.Name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range task.Spec.Results {
		known["results."+r.Name+".path"] = filepath.Join(dir, r.Name)
	}
	if env := task.Spec.Steps[0].Env; len(env) != 1 || env[0].Name != "DOCKER_CONFIG" || env[0].Value != "$(workspaces.registry.path)" {
		t.Errorf("env %v: without the workspace DOCKER_CONFIG must be empty", env)
	}
	var args []string
	for _, arg := range task.Spec.Steps[0].Args {
		args = append(args, regexp.MustCompile(`\$\(([^)]*)\)`).ReplaceAllStringFunc(arg, func(v string) string {
			value, ok := known[v[2:len(v)-1]]
			if !ok {
				t.Errorf("%s is not declared", v)
			}
			return value
		}))
	}
	o, err := parse(args, nothing)
	if err != nil {
		t.Fatal(err)
	}
	if o.testOutput != filepath.Join(dir, "TEST_OUTPUT") || o.output != report.SARIF || o.platforms || len(o.keys) != 1 || len(o.builderKeys) != 0 {
		t.Errorf("%+v", o)
	}
}
