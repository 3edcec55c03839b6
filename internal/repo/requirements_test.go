package repo

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asCosign is the reason of a version that the go.mod of cosign asks for too. The go command selects no older one.
const asCosign = ""

// direct lists the direct requirements. A why other than asCosign stands in go.mod too, as the comment of the line.
var direct = []struct{ module, version, why string }{
	{"github.com/cenkalti/backoff/v5", "v5.0.3", asCosign},
	{"github.com/cockroachdb/datadriven", "v1.0.2", "the oldest version; tests only"},
	{"github.com/go-json-experiment/json", "v0.0.0-20250725192818-e39067aee2d2", "tags need Go 1.26; later commits repeat all names as aliases"},
	{"github.com/go-logr/logr", "v1.4.3", asCosign},
	{"github.com/google/certificate-transparency-go", "v1.3.2", asCosign},
	{"github.com/google/go-cmp", "v0.7.0", asCosign},
	{"github.com/google/go-containerregistry", "v0.22.1", "guards token servers, redirects, uploads and error bodies; v0.20.7 does not"},
	{"github.com/pandatix/go-cvss", "v0.6.3", "v0.6.2 scores CVSS 4.0 as 0 although modified metrics say otherwise"},
	{"github.com/secure-systems-lab/go-securesystemslib", "v0.9.1", asCosign},
	{"github.com/sigstore/cosign/v2", "v2.6.5", "its go.mod is what the others are compared with"},
	{"github.com/sigstore/protobuf-specs", "v0.5.0", asCosign},
	{"github.com/sigstore/sigstore", "v1.10.3", asCosign},
	{"github.com/sigstore/sigstore-go", "v1.1.4", asCosign},
	{"go.uber.org/zap", "v1.27.1", asCosign},
	{"go.yaml.in/yaml/v3", "v3.0.4", asCosign},
	{"golang.org/x/text", "v0.32.0", asCosign},
	{"gonum.org/v1/gonum", "v0.16.0", "asked for by grpc, which cosign asks for"},
	{"google.golang.org/protobuf", "v1.36.11", asCosign},
	{"k8s.io/apimachinery", "v0.34.1", asCosign},
	{"k8s.io/client-go", "v0.34.1", asCosign},
	{"pgregory.net/rapid", "v1.3.0", "the oldest version that keeps no failures if the environment says so"},
}

// indirect lists the indirect requirements that neither cosign nor go-containerregistry asks for.
var indirect = map[string]string{
	"gotest.tools/v3": "v3.5.2", // for tests of docker/cli, which has no go.mod
}

// Every importer inherits go.mod. So each requirement is the oldest version that builds, passes and is safe.
func TestRequirements(t *testing.T) {
	ours := requirements(t, filepath.Join(root, "go.mod"))
	cosign := requirements(t, goMod(t, "github.com/sigstore/cosign/v2"))
	registry := requirements(t, goMod(t, "github.com/google/go-containerregistry"))
	want := map[string]requirement{}
	for _, d := range direct {
		want[d.module] = requirement{d.version, d.why}
		if as := cosign[d.module].version == d.version; as != (d.why == asCosign) {
			t.Errorf("%s %s has the reason %q, and cosign asks for %q", d.module, d.version, d.why, cosign[d.module].version)
		}
	}
	got := maps.Clone(ours)
	maps.DeleteFunc(got, func(_ string, r requirement) bool { return r.comment == "indirect" })
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(requirement{})); diff != "" {
		t.Errorf("direct requirements of go.mod (-want +got):\n%s", diff)
	}
	for _, module := range slices.Sorted(maps.Keys(ours)) {
		r := ours[module]
		asked := []string{cosign[module].version, registry[module].version, indirect[module]}
		if r.comment == "indirect" && !slices.Contains(asked, r.version) {
			t.Errorf("%s %s is not what cosign or go-containerregistry asks for (%q): list it in indirect, with the reason",
				module, r.version, asked)
		}
	}
}

type requirement struct{ version, comment string }

var requireLine = regexp.MustCompile(`(?m)^\t(\S+) (v\S+)(?: // (.+))?$`)

// requirements returns the lines of the require blocks of a go.mod.
func requirements(t *testing.T, file string) map[string]requirement {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]requirement{}
	for _, m := range requireLine.FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = requirement{m[2], m[3]}
	}
	if len(all) < 10 {
		t.Fatalf("%s has %d requirements", file, len(all))
	}
	return all
}

// goMod returns the go.mod of a module that the main module requires.
func goMod(t *testing.T, module string) string {
	t.Helper()
	return strings.Join(goList(t, "-m", "-f", "{{.GoMod}}", module), " ")
}
