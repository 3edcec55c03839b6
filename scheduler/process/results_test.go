//go:build unix

package process_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/process"
)

var (
	digest1, digest2 = "sha256:" + strings.Repeat("0123abcd", 8), "sha256:" + strings.Repeat("4567cdef", 8)

	app1 = scheduler.Artifact{URI: "quay.io/team/app", Digest: digest1}
	lib2 = scheduler.Artifact{URI: "localhost:5000/lib", Digest: digest2}
)

// What a command says it left is read, however it ends; what cannot be read is named, and changes no verdict.
func TestResults(t *testing.T) {
	const (
		badURI    = "the URI is not a repository like quay.io/team/app, with a registry and without scheme, tag and digest"
		badDigest = "the digest is not sha256: and 64 hexadecimal digits in lower case"
		badObject = `want a JSON object with the strings "uri" and "digest", each once`
	)
	write := func(name, text string) string { return "printf '%s' '" + text + "' >$TESTDAG_RESULTS/" + name + "\n" }
	two := func(uri, digest string) string { return write("ARTIFACT_URI", uri) + write("ARTIFACT_DIGEST", digest) }
	object := func(a scheduler.Artifact) string {
		return `{"uri":"` + a.URI + `","digest":"` + a.Digest + `","isBuildArtifact":"true"}`
	}
	app := []scheduler.Artifact{app1}
	for _, tt := range []struct {
		name, script string
		want         scheduler.Result
	}{
		{"nothing", "exit 0", scheduler.Result{Phase: scheduler.PhasePassed}},
		{"strings", two(app1.URI, app1.Digest), scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: app}},
		{"strings as shells write them", two(app1.URI+"\n", " "+app1.Digest+"\n"), scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: app}},
		{"an object", write("ARTIFACT_OUTPUTS", object(app1)), scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: app}},
		{
			"what pipelinerun.WriteArtifact writes, twice",
			two(app1.URI, app1.Digest) + write("CLAMAV_ARTIFACT_OUTPUTS", object(app1)) + two(lib2.URI, lib2.Digest) + write("x-ARTIFACT_OUTPUTS", object(lib2)),
			scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{lib2, app1}},
		},
		{
			"also of a run that failed", two(app1.URI, app1.Digest) + "exit 3",
			scheduler.Result{Phase: scheduler.PhaseFailed, Reason: "exit status 3", Artifacts: app},
		},
		{
			"also of one that was killed", two(app1.URI, app1.Digest) + "kill -9 $$",
			scheduler.Result{Phase: scheduler.PhaseFailed, Reason: "killed by signal: killed", Artifacts: app},
		},
		{
			"other files", write("SCAN_OUTPUT", "{") + write("ARTIFACT_OUTPUTS.json", "{") + write("ARTIFACT_URIS", "x") + write("'a b ARTIFACT_OUTPUTS'", "{"),
			scheduler.Result{Phase: scheduler.PhasePassed},
		},
		{"a URI alone", write("ARTIFACT_URI", app1.URI), passes("ARTIFACT_URI and ARTIFACT_DIGEST: there is no ARTIFACT_DIGEST")},
		{"a digest alone", write("ARTIFACT_DIGEST", digest1) + "exit 3", scheduler.Result{
			Phase: scheduler.PhaseFailed, Reason: "exit status 3; results: ARTIFACT_URI and ARTIFACT_DIGEST: there is no ARTIFACT_URI",
		}},
		{"an empty URI", two("", digest1), passes("ARTIFACT_URI and ARTIFACT_DIGEST: " + badURI)},
		{"a tag", two(app1.URI+":v1", digest1), passes("ARTIFACT_URI and ARTIFACT_DIGEST: " + badURI)},
		{"a scheme", two("oci://"+app1.URI, digest1), passes("ARTIFACT_URI and ARTIFACT_DIGEST: " + badURI)},
		{"a digest in the URI", two(app1.URI+"@"+digest1, digest1), passes("ARTIFACT_URI and ARTIFACT_DIGEST: " + badURI)},
		{"no registry", two("alpine", digest1), passes("ARTIFACT_URI and ARTIFACT_DIGEST: " + badURI)},
		{"a long URI", two("quay.io/"+strings.Repeat("x", 248), digest1), passes("ARTIFACT_URI and ARTIFACT_DIGEST: " + badURI)},
		{"another digest", two(app1.URI, "sha1:0123"), passes("ARTIFACT_URI and ARTIFACT_DIGEST: " + badDigest)},
		{"upper case", two(app1.URI, strings.ToUpper(digest1)), passes("ARTIFACT_URI and ARTIFACT_DIGEST: " + badDigest)},
		{"a long digest", two(app1.URI, digest1+"0"), passes("ARTIFACT_URI and ARTIFACT_DIGEST: " + badDigest)},
		{
			"every mistake, and what is good",
			two(app1.URI, "") + write("A_ARTIFACT_OUTPUTS", "[]") + write("B_ARTIFACT_OUTPUTS", object(lib2)) +
				write("C_ARTIFACT_OUTPUTS", `{"uri":"a.b/c","uri":"a.b/d","digest":"`+digest1+`"}`) + write("D_ARTIFACT_OUTPUTS", `{"uri":"a.b/c"}`),
			scheduler.Result{
				Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{lib2},
				Reason: "results: ARTIFACT_URI and ARTIFACT_DIGEST: " + badDigest + "; A_ARTIFACT_OUTPUTS: " + badObject +
					"; C_ARTIFACT_OUTPUTS: " + badObject + "; D_ARTIFACT_OUTPUTS: " + badDigest,
			},
		},
		{
			"as large as may be", `{ cat <<-. ; head -c 4000 /dev/zero | tr '\0' ' '; } | head -c 4096 >$TESTDAG_RESULTS/ARTIFACT_OUTPUTS` + "\n" + object(app1) + "\n.\n",
			scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: app},
		},
		{
			"too large", `{ cat <<-. ; head -c 5000 /dev/zero | tr '\0' ' '; } | head -c 4097 >$TESTDAG_RESULTS/ARTIFACT_OUTPUTS` + "\n" + object(app1) + "\n.\n",
			passes("ARTIFACT_OUTPUTS: it has more than 4096 bytes"),
		},
		{"without end", "ln -s /dev/zero $TESTDAG_RESULTS/ARTIFACT_OUTPUTS", passes("ARTIFACT_OUTPUTS: path escapes from parent")},
		{"a link out", "ln -s ../../../../../etc/passwd $TESTDAG_RESULTS/ARTIFACT_OUTPUTS", passes("ARTIFACT_OUTPUTS: path escapes from parent")},
		{"a digest that is no file", write("ARTIFACT_URI", app1.URI) + "mkdir $TESTDAG_RESULTS/ARTIFACT_DIGEST", passes("ARTIFACT_URI and ARTIFACT_DIGEST: it is not a file")},
		{"a pipe", "mkfifo $TESTDAG_RESULTS/ARTIFACT_OUTPUTS", passes("ARTIFACT_OUTPUTS: it is not a file")},
		{"a directory", "mkdir $TESTDAG_RESULTS/ARTIFACT_OUTPUTS", passes("ARTIFACT_OUTPUTS: it is not a file")},
		{
			"many", "i=0; while [ $i -lt 64 ]; do echo '" + object(app1) + "' >$TESTDAG_RESULTS/$i-ARTIFACT_OUTPUTS; i=$((i+1)); done",
			scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: app},
		},
		{
			"too many", "i=0; while [ $i -lt 65 ]; do echo '" + object(app1) + "' >$TESTDAG_RESULTS/$i-ARTIFACT_OUTPUTS; i=$((i+1)); done",
			passes("65 files name artifacts; want at most 64"),
		},
		{
			"a crowd", two(app1.URI, app1.Digest) + "cd $TESTDAG_RESULTS; i=2; while [ $i -lt 1024 ]; do : >$i; i=$((i+1)); done",
			scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: app},
		},
		{"too large a crowd", "cd $TESTDAG_RESULTS; i=0; while [ $i -lt 1025 ]; do : >$i; i=$((i+1)); done", passes("the directory has more than 1024 files")},
		{"no directory any more", "rmdir $TESTDAG_RESULTS", passes("no such file or directory")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, err := run(t.Context(), t, process.Runner{}, shell(tt.script))
			check(t, res, err, tt.want)
		})
	}
}

// passes is the result of a command that passes, with what is wrong with its results.
func passes(mistakes string) scheduler.Result {
	return scheduler.Result{Phase: scheduler.PhasePassed, Reason: "results: " + mistakes}
}

// What a command left before it was stopped is told, too.
func TestResultsOfAStoppedRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, err := run(ctx, t, process.Runner{Output: on("ready\n", cancel)}, shell(
		`printf '{"uri":"`+app1.URI+`","digest":"`+app1.Digest+`"}' >$TESTDAG_RESULTS/ARTIFACT_OUTPUTS; echo ready; sleep 1000`))
	if diff := cmp.Diff([]scheduler.Artifact{app1}, res.Artifacts); diff != "" || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; artifacts (-want +got):\n%s", err, diff)
	}
}

// The directory is an absolute path, whatever the command is told otherwise and wherever it is started; it is empty, the
// run's alone and gone afterwards, whatever is in it.
func TestResultsDirectory(t *testing.T) {
	temp := t.TempDir()
	t.Chdir(filepath.Dir(temp))
	t.Setenv("TMPDIR", filepath.Base(temp))
	t.Setenv("TESTDAG_RESULTS", "/of/another/run")
	c := shell(`cd "$TESTDAG_RESULTS" && ls -A && pwd && mkdir -p a/b && : >a/b/c`)
	c.Dir, c.Env = "/", []string{"TESTDAG_RESULTS=/nowhere"}
	seen := map[string]bool{}
	for range 2 {
		res, err := run(t.Context(), t, process.Runner{}, c)
		dir := strings.TrimSuffix(string(res.Output), "\n")
		if parent, _ := filepath.EvalSymlinks(temp); err != nil || filepath.Dir(dir) != parent || seen[dir] || res.Phase != scheduler.PhasePassed {
			t.Errorf("error %v, result %v, the directory is %q; want another one in %q", err, res, dir, parent)
		}
		seen[dir] = true
	}
	_, _ = run(t.Context(), t, process.Runner{}, process.Command{Args: []string{"/nowhere/scan"}})
	if left, err := os.ReadDir(temp); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	t.Setenv("TMPDIR", filepath.Join(temp, "missing"))
	res, err := run(t.Context(), t, process.Runner{}, shell("exit 0"))
	if !errors.Is(err, os.ErrNotExist) || res.Phase != scheduler.PhaseNone {
		t.Errorf("no room: result %v, error %v; want none, and that it does not exist", res, err)
	}
}

// What cannot be read is logged, and no log and no reason quotes what is in a file.
func TestResultsKeepSecrets(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	res, err := run(t.Context(), t, process.Runner{Logger: zap.New(core)}, shell(`cd $TESTDAG_RESULTS
		echo secret >ARTIFACT_URI; echo secret >ARTIFACT_DIGEST
		echo secret >A_ARTIFACT_OUTPUTS; echo '{"secret":1,"secret":2}' >B_ARTIFACT_OUTPUTS; echo '{"uri":"secret","digest":"secret"}' >C_ARTIFACT_OUTPUTS`))
	if err != nil || strings.Contains(res.Reason, "secret") || strings.Count(res.Reason, ": ") != 5 {
		t.Errorf("error %v, reason %s", err, res.Reason)
	}
	if logs.FilterMessage("results cannot be read").FilterField(zap.Stringer("run", task.Ref)).Len() != 1 {
		t.Errorf("logged %v", logs.All())
	}
	for _, entry := range logs.All() {
		for name, value := range entry.ContextMap() {
			if text, ok := value.(string); ok && strings.Contains(text, "secret") {
				t.Errorf("logged %s %q", name, text)
			}
		}
	}
}

// What a command left is in the snapshot of the whole graph.
func TestResultsInASnapshot(t *testing.T) {
	g, err := dag.New(dag.Scenario{ID: "scan"})
	if err != nil {
		t.Fatal(err)
	}
	r := process.Runner{Command: func(t scheduler.Task) (process.Command, error) {
		return shell("echo " + app1.URI + " >$TESTDAG_RESULTS/ARTIFACT_URI; echo " + app1.Digest + " >$TESTDAG_RESULTS/ARTIFACT_DIGEST"), nil
	}}
	s, err := scheduler.Run(t.Context(), g, r, scheduler.Options{})
	want := scheduler.Snapshot{"scan": {Run: 1, Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{app1}}}
	if diff := cmp.Diff(want, s); diff != "" || err != nil {
		t.Errorf("error %v; snapshot (-want +got):\n%s", err, diff)
	}
}
