package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A go command that notes how it is called, and builds files that are no programs.
const fakeGo = `#!/bin/sh
echo "$@" >>"$CALLS"
case "$1" in
mod)
	printf '{"Version": "v1.2.3", "Dir": "%s"}' "$MODULE" ;;
build)
	sleep 0.2
	for last; do :; done
	[ "$last" != "$BROKEN" ] || { echo "$last is broken" >&2; exit 1; }
	while [ "$1" != -o ]; do shift; done
	echo "$last" >"$2" ;;
esac
`

// fake puts that command first in PATH and lets the cache be empty. It returns what reads the calls.
func fake(t *testing.T, broken string) (calls func() []string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	module := filepath.Join(dir, "module")
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "go"), []byte(fakeGo), 0o755),
		os.MkdirAll(filepath.Join(module, "config"), 0o755),
		os.WriteFile(filepath.Join(module, "config", "a.yaml"), []byte("kind: A"), 0o444),
	); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"PATH": dir + ":" + os.Getenv("PATH"), "XDG_CACHE_HOME": filepath.Join(dir, "cache"), "CALLS": log, "MODULE": module, "BROKEN": broken,
	} {
		t.Setenv(name, value)
	}
	return func() []string {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}

// However many build at once, each thing is built once, and what a builder that was killed has left is not used.
func TestBuildOnce(t *testing.T) {
	calls := fake(t, "")
	dir, err := pinOf(Tekton).dir()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(dir+".tmp", 0o755), os.WriteFile(filepath.Join(dir+".tmp", "half"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			var out bytes.Buffer
			if err := Build(t.Context(), &out, APIServer, Tekton); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	want := []string{
		"mod download -json k8s.io/kubernetes",
		"build -mod=readonly -buildvcs=false -ldflags -s -w -X k8s.io/component-base/version.gitVersion=v1.2.3" +
			" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=2" +
			" -o kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver",
		"mod download -json github.com/tektoncd/pipeline",
		"build -mod=readonly -buildvcs=false -ldflags -s -w -o tekton-pipelines-controller github.com/tektoncd/pipeline/cmd/controller",
		"build -mod=readonly -buildvcs=false -ldflags -s -w -o tekton-pipelines-resolvers github.com/tektoncd/pipeline/cmd/resolvers",
	}
	if diff := cmp.Diff(want, calls()); diff != "" {
		t.Error(diff)
	}
	found, err := filepath.Glob(dir + "*/*")
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		found[i] = strings.TrimPrefix(found[i], dir)
	}
	if diff := cmp.Diff([]string{"/config", "/go.mod", "/go.sum", "/tekton-pipelines-controller", "/tekton-pipelines-resolvers"}, found); diff != "" {
		t.Error(diff)
	}
}

// What fails to build is not there, the error says what the compiler said, and the next one tries again.
func TestBuildFails(t *testing.T) {
	calls := fake(t, "go.etcd.io/etcd/server/v3")
	for i := range 2 {
		err := Build(t.Context(), &bytes.Buffer{}, Etcd)
		if err == nil || !strings.Contains(err.Error(), "go.etcd.io/etcd/server/v3 is broken") || !strings.Contains(err.Error(), "building etcd") {
			t.Errorf("got %v", err)
		}
		if n := len(calls()); n != 2*(i+1) {
			t.Errorf("%d calls of go", n)
		}
	}
	dir, err := pinOf(Etcd).dir()
	if err != nil || exists(dir) {
		t.Errorf("%s is there, %v", dir, err)
	}
}

// Who waits for another builder stops waiting when its context ends.
func TestBuildWaits(t *testing.T) {
	fake(t, "")
	dir, err := pinOf(Etcd).dir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(t.Context(), dir+".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	patience := errors.New("no patience")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(patience)
	if err := Build(ctx, &bytes.Buffer{}, Etcd); !errors.Is(err, patience) {
		t.Errorf("got %v", err)
	}
}

// Each component has its pin, and all that the pin needs is there.
func TestPins(t *testing.T) {
	for _, c := range []Component{Etcd, APIServer, Tekton, Resolvers, Chains} {
		p := pinOf(c)
		mod, sum := p.files()
		if !bytes.Contains(mod, []byte(p.module+" v")) || !bytes.Contains(sum, []byte(p.module+" v")) {
			t.Errorf("%s: the pin %s has no version of %s", c, p.name, p.module)
		}
		for _, command := range p.packages {
			if !bytes.Contains(mod, fmt.Append(nil, command, "\n")) {
				t.Errorf("%s: %s is no tool of the pin %s", c, command, p.name)
			}
		}
	}
}

func TestComponentError(t *testing.T) {
	log := filepath.Join(t.TempDir(), "etcd.log")
	if err := os.WriteFile(log, []byte(strings.Repeat("early\n", 100)+"late\n"+strings.Repeat("x", 5000)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("it broke")
	err := (&process{component: Etcd, log: log}).failed(cause)
	text := err.Error()
	if !errors.Is(err, cause) || !strings.HasPrefix(text, "cluster: etcd: it broke; the last lines of "+log+":\n") || !strings.Contains(text, "\tlate\n") {
		t.Errorf("got %s", text)
	}
	if len(text) > 1000 || strings.Count(text, "early") > 14 {
		t.Errorf("%d bytes", len(text))
	}
}

// Contradictions are refused before anything is built or started.
func TestContradictions(t *testing.T) {
	fake(t, "")
	for _, opts := range []Options{{Bare: true, Chains: "in-toto"}, {Bare: true, Resolvers: true}} {
		if c, err := Start(t.Context(), opts); err == nil {
			t.Errorf("%+v is accepted", opts)
			_ = c.Close()
		}
	}
	if err := (&Cluster{}).Apply(t.Context(), []byte("kind: A\n---\n# nothing\n---\nkind: [")); err == nil || !strings.Contains(err.Error(), "manifest 2") {
		t.Errorf("got %v", err)
	}
}
