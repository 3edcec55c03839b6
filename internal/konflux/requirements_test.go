package konflux

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	compare "github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

const (
	library  = "github.com/testdag/testdag"
	registry = "github.com/google/go-containerregistry"
)

// bumps are the requirements of the integration-service that become newer when it imports the library. All follow from
// the first, which has guards of token servers, redirects, uploads and error bodies that the older version lacks.
var bumps = map[string]string{
	registry:                          "v0.20.7 to v0.22.1",
	"go.opentelemetry.io/otel":        "v1.40.0 to v1.41.0",
	"go.opentelemetry.io/otel/metric": "v1.40.0 to v1.41.0",
	"go.opentelemetry.io/otel/trace":  "v1.40.0 to v1.41.0",
	"golang.org/x/crypto":             "v0.50.0 to v0.55.0",
	"golang.org/x/mod":                "v0.35.0 to v0.39.0",
	"golang.org/x/net":                "v0.53.0 to v0.58.0",
	"golang.org/x/sync":               "v0.20.0 to v0.22.0",
	"golang.org/x/sys":                "v0.43.0 to v0.47.0",
	"golang.org/x/term":               "v0.42.0 to v0.45.0",
	"golang.org/x/text":               "v0.36.0 to v0.41.0",
	"golang.org/x/tools":              "v0.44.0 to v0.49.0",
}

// An import of the library moves no version of zap, yaml, Kubernetes or controller-runtime. Each version that it moves
// is one that go-containerregistry asks for, directly or through a module that becomes newer with it.
func TestBumps(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	ours := requirements(t, "go.mod", text)
	got := bumped(t, ours)
	if diff := compare.Diff(bumps, got); diff != "" {
		t.Errorf("an import of the library moves (-want +got):\n%s", diff)
	}
	alone := bumped(t, []module.Version{{Path: registry, Version: versionOf(t, ours, registry)}})
	if diff := compare.Diff(got, alone); diff != "" {
		t.Errorf("not for go-containerregistry (-all +for go-containerregistry):\n%s", diff)
	}
}

// bumped returns which requirements of the integration-service become newer when it gets more requirements. As in the
// go command, the newest version counts, and a module that becomes newer brings requirements of its own.
func bumped(t *testing.T, more []module.Version) map[string]string {
	t.Helper()
	before, now, all := theirRequirements(t), theirRequirements(t), map[string]string{}
	for ; len(more) > 0; more = more[1:] {
		m := more[0]
		if old := now[m.Path]; old != "" && semver.Compare(m.Version, old) > 0 {
			now[m.Path], all[m.Path] = m.Version, before[m.Path]+" to "+m.Version
			more = append(more, requirementsOf(t, m)...)
		}
	}
	return all
}

// theirRequirements returns the requirements of the integration-service that the library or go-containerregistry has
// too, and its others of Kubernetes, OpenTelemetry and golang.org/x. They are of commit 0006ee69, from June 2026 or
// later, which module proxies do not have.
func theirRequirements(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		path, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		all[path] = version
	}
	return all
}

func requirements(t *testing.T, name string, text []byte) (all []module.Version) {
	t.Helper()
	file, err := modfile.Parse(name, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range file.Require {
		all = append(all, r.Mod)
	}
	return all
}

// requirementsOf returns what a module asks for.
func requirementsOf(t *testing.T, m module.Version) []module.Version {
	t.Helper()
	name := strings.TrimSpace(string(goList(t, "-m", "-f", "{{.GoMod}}", m.String())))
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return requirements(t, name, text)
}

func versionOf(t *testing.T, all []module.Version, path string) string {
	t.Helper()
	for _, m := range all {
		if m.Path == path {
			return m.Version
		}
	}
	t.Fatalf("%s is not required", path)
	return ""
}

func goList(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, &stderr)
	}
	return out
}
