package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/dag/dagfile"
)

// TestMain lets the test binary be the program that the scenarios run.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "step" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestStory(t *testing.T) {
	var out strings.Builder
	if err := demonstrate(t.Context(), 4, false, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	// Each line comes after the one before it; between them other scenarios tell theirs.
	rest := out.String()
	for _, want := range []string{
		`verify +waits for clamav-scan, dast-tests, operator-scorecard`,
		`dast-tests#1 running\n`,
		`dast-tests#1 failed \(exit status 1\): 1 critical: CVE-2021-44228\n`,
		`verify is canceled because of dast-tests#1\n`,
		`e2e-test is canceled because of dast-tests#1\n`,
		`e2e-test is canceled because dast-tests#1 failed\.\n`,
		`outcome: failed\n`,
		`dast-tests alone is asked to run again`,
		`dast-tests#2 running\n`,
		`dast-tests#2 passed: findings: 1, none critical\n`,
		`verify#1 running on clamav-scan#1, dast-tests#2, operator-scorecard#1\n`,
		`verify#1 passed: the newest evidence of clamav-scan and dast-tests is signed and good\n`,
		`e2e-test#1 running on verify#1\n`,
		`e2e-test#1 passed: every layer is what its digest says\n`,
		`outcome: passed\n`,
		`decides  \S+  sha256:\S+  nothing critical, signed by key \S+\n`,
		`older    \S+  sha256:\S+  1 critical: CVE-2021-44228, signed by key \S+\n\n`,
		`dast-tests#2 told which record it left, and that is the newest: none was deleted since\n`,
		`The image is judged by policy.yaml`,
		`is allowed at \S+:\s+violations 0, warnings 0, waived 0, successes 2\n`,
		`✔ test.passed +clamav-scan passed\n +integration, test-result/v0.1, \S+ by the predicate,\s+sha256:\S+,\s+key \S+,\s+complete by expected\n`,
		`✔ test.passed +dast-tests passed: findings: 1, none denied\n +integration, vulns/v0.2, \S+ by the predicate,\s+\S+,\s+key \S+,\s+complete by expected\n$`,
	} {
		at := regexp.MustCompile(want).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("%q does not come here:\n%s\nin\n%s", want, rest, &out)
		}
		rest = rest[at[1]:]
	}
	_, first, _ := strings.Cut(out.String(), "everything runs")
	for range 3 { // the roots start together, before any of them ends
		line, rest, _ := strings.Cut(strings.TrimSpace(first), "\n")
		if !strings.HasSuffix(line, "#1 running") {
			t.Errorf("%q comes before all roots started:\n%s", line, &out)
		}
		first = rest
	}
	for _, never := range []string{"clamav-scan#2", "operator-deployment#2", "operator-scorecard#2", "verify#2"} {
		if strings.Contains(out.String(), never) {
			t.Errorf("%s was run without need:\n%s", never, &out)
		}
	}
}

// With -keep the registry can be asked after the story, until the context ends.
func TestKeep(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := demonstrate(ctx, 4, true, out)
		_ = out.CloseWithError(io.EOF)
		done <- err
	}()
	gate := regexp.MustCompile(`examples/gate -image (\S+) -policy examples/quickstart/policy.yaml -key (\S+)`)
	var asked bool
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if m := gate.FindStringSubmatch(lines.Text()); m != nil {
			image, err := name.NewDigest(m[1])
			if err != nil {
				t.Fatal(err)
			}
			release, err := judge(ctx, filepath.Dir(m[2]), image, nil)
			if err != nil || !release.Success {
				t.Errorf("got %+v, %v", release, err)
			}
			asked = true
		}
		if strings.Contains(lines.Text(), "-report examples/quickstart/reports/trivy.json") {
			cancel()
		}
	}
	if err := <-done; err != nil || !asked {
		t.Errorf("asked %t, ended with %v", asked, err)
	}
}

func TestGraphFile(t *testing.T) {
	tests := []struct {
		name, graph string
		want        []string // in what is printed or in the error
		passed      bool
	}{
		{
			"passes", `scenarios: [{name: a, command: [sh, -c, "echo hello $TESTDAG_SCENARIO"]}, {name: b, after: [a], command: ["true"]}]`,
			[]string{"a#1 passed: hello a", "b#1 running on a#1", "outcome: passed"}, true,
		},
		{
			"fails", `scenarios: [{name: a, command: [sh, -c, "echo broken; exit 3"]}, {name: b, after: [a], command: ["true"]}]`,
			[]string{"a#1 failed (exit status 3): broken", "b is canceled because of a#1", "outcome: failed", "did not pass"}, false,
		},
		{
			"no commands", `scenarios: [{name: a}, {name: b, after: [a]}]`,
			[]string{"no scenario has a command"}, false,
		},
		{
			"a command is missing", `scenarios: [{name: a}, {name: b, command: "true"}, {name: c}]`,
			[]string{"graph.yaml: without a command: a, c;"}, false,
		},
		{"no scenarios", "scenarios: []", []string{"graph.yaml: the graph has no scenarios"}, false},
		{"a testGraph", "testGraph: {a: []}", []string{"a testGraph cannot have any"}, false},
		{
			"optional, and other conditions", `scenarios: [{name: a, optional: true, command: "false"}, {name: b, after: [{name: a, condition: OnFinish}], command: "true"}]`,
			[]string{"a (optional)\n", "waits for a (OnFinish)", "a#1 failed (exit status 1)\n", "b#1 passed\n", "outcome: passed"}, true,
		},
		{
			"a line without end", `scenarios: [{name: a, command: "head -c 300000 /dev/zero | tr '\\0' x"}]`,
			[]string{"a#1 passed: …xxx"}, true,
		},
		{"a cycle", "scenarios:\n- {name: a, after: [b]}\n- {name: b, after: [a]}\n", []string{`graph.yaml:`, `cycle: "a" waits for "b" waits for "a"`}, false},
		{"no YAML", "scenarios: [", []string{"graph.yaml:"}, false},
		{"no program", `scenarios: [{name: a, command: [no-such-program-anywhere]}]`, []string{"a#1 failed", "no-such-program-anywhere"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "graph.yaml")
			if err := os.WriteFile(path, []byte(test.graph), 0o644); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err := runFile(t.Context(), path, 2, &out)
			if (err == nil) != test.passed {
				t.Errorf("error: %v", err)
			}
			told := out.String()
			if err != nil {
				told += err.Error()
			}
			for _, want := range test.want {
				if !strings.Contains(told, want) {
					t.Errorf("%q is not in\n%s", want, told)
				}
			}
		})
	}
}

// A process that never ends, with a child that does not either, ends with the context.
func TestGraphFileCanceled(t *testing.T) {
	dir := t.TempDir()
	path, mark := filepath.Join(dir, "graph.yaml"), filepath.Join(dir, "mark")
	graph := `scenarios: [{name: forever, command: [sh, -c, "sleep 3600 & echo $! > ` + mark + `; wait"]}]`
	if err := os.WriteFile(path, []byte(graph), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for { // until the process has written its mark, or the test is over
			if text, err := os.ReadFile(mark); err == nil && len(text) > 0 || ctx.Err() != nil {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var out strings.Builder
	if err := runFile(ctx, path, 1, &out); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	pid, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
	if err == nil && !regexp.MustCompile(`\) [ZX] `).Match(stat) {
		t.Errorf("a process is left: %s", stat)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"extra"}, {"-keep", "-graph", "x.yaml"}, {"-nonsense"}, {"-graph", filepath.Join(t.TempDir(), "missing.yaml")}} {
		if err := run(t.Context(), args); err == nil || errors.Is(err, errNotPassed) {
			t.Errorf("%v: got %v", args, err)
		}
	}
}

// Each mistake of the surroundings is told by name, and leaves nothing on the image.
func TestStepTellsWhatIsWrong(t *testing.T) {
	stopped := httptest.NewServer(http.NotFoundHandler())
	stopped.Close()
	down := strings.TrimPrefix(stopped.URL, "http://")
	tests := []struct {
		name    string
		prepare func(t *testing.T, d *demonstration)
		step    string
		want    string
	}{
		{"a report that is not JSON", func(t *testing.T, d *demonstration) { write(t, d, "dast-tests.json", "<html>") }, "dast-tests", "dast-tests.json is not a report: invalid character '<'"},
		{"a log that is cut off", func(t *testing.T, d *demonstration) { write(t, d, "clamav-scan.log", "/etc/passwd: OK\n") }, "clamav-scan", "the clamav report is of a scan that did not run"},
		{"no log", func(t *testing.T, d *demonstration) { remove(t, d, "clamav-scan.log") }, "clamav-scan", "clamav-scan.log: no such file"},
		{"no report", func(t *testing.T, d *demonstration) { remove(t, d, "dast-tests.json") }, "dast-tests", "dast-tests.json: no such file"},
		{"a report without a date of the database", func(t *testing.T, d *demonstration) {
			write(t, d, "dast-tests.json", `{"scanner":"pkg:generic/zap","findings":[]}`)
		}, "dast-tests", "scanner.db.lastUpdate"},
		{"no key", func(t *testing.T, d *demonstration) { remove(t, d, "cosign.key") }, "dast-tests", "cosign.key: no such file"},
		{"a key that is none", func(t *testing.T, d *demonstration) { write(t, d, "cosign.key", "secret") }, "dast-tests", "key"},
		{"no such image", func(t *testing.T, d *demonstration) {
			d.image = d.image.Context().Digest("sha256:" + strings.Repeat("0", 64))
		}, "dast-tests", "no such image"},
		{"a registry that is down", func(t *testing.T, d *demonstration) {
			var err error
			if d.image, err = name.NewDigest(down + "/shop/operator@" + d.image.DigestStr()); err != nil {
				t.Fatal(err)
			}
		}, "dast-tests", "connection refused"},
		{"evidence that is not there", func(*testing.T, *demonstration) {}, "verify", "required.missing: nothing tells of the required test clamav-scan"},
		{"an unknown scenario", func(*testing.T, *demonstration) {}, "nonsense", `unknown scenario "nonsense"`},
	}
	original := prepared(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, image := original.copy(t), original.image
			test.prepare(t, d)
			t.Setenv("COSIGN_PASSWORD", d.password)
			err := step(t.Context(), []string{"-dir", d.dir, "-image", d.image.String(), test.step}, &strings.Builder{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
			resolver, err := openResolver(original.dir)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := resolver.Newest(t.Context(), image, dastTests); !errors.Is(err, attest.ErrNotFound) {
				t.Errorf("on the image: %v", err)
			}
		})
	}
}

// Evidence that another key signed does not let the image pass.
func TestVerifyRefusesAnotherKey(t *testing.T) {
	d := prepared(t)
	_, key, err := cosign.GenerateKey([]byte(d.password))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COSIGN_PASSWORD", d.password)
	args := func(scenario string) []string { return []string{"-dir", d.dir, "-image", d.image.String(), scenario} }
	if err := d.report("dast-tests-fixed.json", "dast-tests.json"); err != nil {
		t.Fatal(err)
	}
	for _, scenario := range []string{"clamav-scan", "dast-tests", "verify"} {
		if err := step(t.Context(), args(scenario), &strings.Builder{}); err != nil {
			t.Fatal(err)
		}
	}
	write(t, d, "cosign.pub", string(key))
	err = step(t.Context(), args("verify"), &strings.Builder{})
	if err == nil || !strings.Contains(err.Error(), "evidence.unverified: clamav-scan: the newest evidence does not count: attest: nobody vouches") {
		t.Errorf("got %v", err)
	}
}

// copy returns a demonstration with a folder of its own, on the same registry.
func (d *demonstration) copy(t *testing.T) *demonstration {
	t.Helper()
	c := *d
	c.dir = t.TempDir()
	if err := os.CopyFS(c.dir, os.DirFS(d.dir)); err != nil {
		t.Fatal(err)
	}
	return &c
}

func prepared(t *testing.T) *demonstration {
	t.Helper()
	server := newRegistry()
	t.Cleanup(server.Close)
	d, err := prepare(t.Context(), t.TempDir(), strings.TrimPrefix(server.URL, "http://"), &strings.Builder{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func write(t *testing.T, d *demonstration, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, d *demonstration, file string) {
	t.Helper()
	if err := os.Remove(filepath.Join(d.dir, file)); err != nil {
		t.Fatal(err)
	}
}

// graph.yaml holds the six scenarios of the story.
func TestGraphYAML(t *testing.T) {
	f, err := files.Open("graph.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := dagfile.Parse(f, dag.ADR48, dagfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []dag.ID{"clamav-scan", "dast-tests", "operator-deployment", "operator-scorecard", "verify", "e2e-test"} {
		if _, ok := file.Graph.Index(id); !ok {
			t.Errorf("%s is missing", id)
		}
	}
	if file.Graph.Len() != 6 {
		t.Errorf("there are %d scenarios", file.Graph.Len())
	}
}
