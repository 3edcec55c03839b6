package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The modules that the binaries are built in: a go.mod and a go.sum for each, under names that make them no modules of
// this repository.
//
//go:embed pins
var pins embed.FS

// A pin is a module that pins what is built of it.
type pin struct {
	name       string // of its files in pins
	module     string // what it is about; its version and folder are asked for
	components []Component
	packages   []string                    // the command of each component
	ldflags    func(version string) string // nil if it needs none
	config     string                      // folder of the module with the manifests to install, if it has any
}

func allPins() []pin {
	return []pin{
		{
			name: "etcd", module: "go.etcd.io/etcd/server/v3",
			components: []Component{Etcd}, packages: []string{"go.etcd.io/etcd/server/v3"},
		},
		{
			name: "kubernetes", module: "k8s.io/kubernetes",
			components: []Component{APIServer}, packages: []string{"k8s.io/kubernetes/cmd/kube-apiserver"},
			ldflags: kubernetesVersion,
		},
		{
			name: "tekton", module: "github.com/tektoncd/pipeline", config: "config",
			components: []Component{Tekton, Resolvers},
			packages:   []string{"github.com/tektoncd/pipeline/cmd/controller", "github.com/tektoncd/pipeline/cmd/resolvers"},
		},
		{
			name: "chains", module: "github.com/tektoncd/chains", config: "config",
			components: []Component{Chains}, packages: []string{"github.com/tektoncd/chains/cmd/controller"},
		},
	}
}

// kubernetesVersion tells the API server its version. One that does not know it is refused by Tekton.
func kubernetesVersion(version string) string {
	const pkg = "k8s.io/component-base/version"
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return fmt.Sprintf(" -X %s.gitVersion=%s -X %s.gitMajor=%s -X %s.gitMinor=%s", pkg, version, pkg, parts[0], pkg, parts[1])
}

// pinOf returns the pin that a component is built of.
func pinOf(c Component) pin {
	for _, p := range allPins() {
		if slices.Contains(p.components, c) {
			return p
		}
	}
	panic("cluster: no component " + string(c))
}

// files returns the go.mod and the go.sum of a pin.
func (p pin) files() (mod, sum []byte) {
	mod, err := pins.ReadFile("pins/" + p.name + ".mod")
	if err != nil {
		panic(err) // it is embedded
	}
	sum, err = pins.ReadFile("pins/" + p.name + ".sum")
	if err != nil {
		panic(err)
	}
	return mod, sum
}

// dir returns the folder where the binaries of a pin are, once they are built. It is another one whenever something that
// they are made of changes.
func (p pin) dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cluster: %w", err)
	}
	mod, sum := p.files()
	h := sha256.New()
	fmt.Fprintf(h, "1 %s %s %q %q %q", runtime.GOOS, runtime.GOARCH, p.packages, mod, sum)
	return filepath.Join(cache, "testdag-cluster", fmt.Sprintf("%s-%x", p.name, h.Sum(nil)[:8])), nil
}

// Build builds what the components need, all of them if none is named, into a folder of the user's cache, and tells w what
// it does. What is there already is not built again. Two that build at once wait for one another, and one that is killed
// leaves nothing that could be taken for a binary.
//
// From nothing it takes 15 to 20 minutes of processor time, some gigabytes of module and build cache, and the network.
func Build(ctx context.Context, w io.Writer, components ...Component) error {
	if len(components) == 0 {
		components = []Component{Etcd, APIServer, Tekton, Resolvers, Chains}
	}
	for _, p := range allPins() {
		if !slices.ContainsFunc(p.components, func(c Component) bool { return slices.Contains(components, c) }) {
			continue
		}
		if err := p.build(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func (p pin) build(ctx context.Context, w io.Writer) error {
	dir, err := p.dir()
	if err != nil || exists(dir) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return fmt.Errorf("cluster: waiting for another build of %s: %w", p.name, err)
	}
	defer unlock()
	if exists(dir) { // the other one has built it
		return nil
	}
	begin := time.Now()
	fmt.Fprintf(w, "cluster: building %s, once; it will be kept in %s\n", p.name, dir)
	temp := dir + ".tmp"
	if err := os.RemoveAll(temp); err != nil { // of one that was killed
		return fmt.Errorf("cluster: %w", err)
	}
	spent, err := p.buildIn(ctx, temp)
	if err != nil {
		return fmt.Errorf("cluster: building %s, tried for %s: %w", p.name, time.Since(begin).Round(time.Second), err)
	}
	if err := os.Rename(temp, dir); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	fmt.Fprintf(w, "cluster: built %s in %s, %s of processor time\n", p.name, time.Since(begin).Round(time.Second), spent.Round(time.Second))
	return nil
}

// buildIn builds in a new folder, and returns what it spent of processor time.
func (p pin) buildIn(ctx context.Context, dir string) (time.Duration, error) {
	mod, sum := p.files()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o644),
		os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o644),
	); err != nil {
		return 0, err
	}
	out, spent, err := goCommand(ctx, dir, "mod", "download", "-json", p.module)
	if err != nil {
		return spent, err
	}
	var module struct{ Version, Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return spent, err
	}
	if p.config != "" { // copied, so that the module cache may go
		if err := os.CopyFS(filepath.Join(dir, "config"), os.DirFS(filepath.Join(module.Dir, p.config))); err != nil {
			return spent, err
		}
	}
	flags := "-s -w"
	if p.ldflags != nil {
		flags += p.ldflags(module.Version)
	}
	for i, c := range p.components {
		_, used, err := goCommand(ctx, dir, "build", "-mod=readonly", "-buildvcs=false", "-ldflags", flags, "-o", string(c), p.packages[i])
		spent += used
		if err != nil {
			return spent, err
		}
	}
	return spent, nil
}

// goCommand runs the go command in dir, and returns what it prints and what it spent of processor time.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, time.Duration, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "PWD="+dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // then it ends its compilers
	cmd.WaitDelay = 10 * time.Second
	runtime.LockOSThread() // the child is killed when this thread ends, so that it writes nothing where another one builds
	defer runtime.UnlockOSThread()
	dieWithParent(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var spent time.Duration
	if s := cmd.ProcessState; s != nil {
		spent = s.UserTime() + s.SystemTime()
	}
	if err != nil {
		err = fmt.Errorf("go %s: %w\n%s", args[0], errors.Join(err, context.Cause(ctx)), lastLines(stderr.Bytes()))
	}
	return out, spent, err
}

// lock takes a lock that ends with this process at the latest.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		taken, err := tryLock(f)
		if taken {
			return func() { _ = f.Close() }, nil
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
