package registries

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/testdag/testdag/attest/cosign"
)

// What a pipeline runs, on registries as companies have them: the commands themselves, TLS by an authority that the
// machine does not know but for SSL_CERT_FILE, and a password that docker login has left.
func TestProgramsBehindTLSAndPassword(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		p := newPipeline(t, k.startWith(t, newGuard(t)))
		p.scansAndIsJudged()

		anonymous := p.with("DOCKER_CONFIG=" + t.TempDir())
		wrong := p.with("DOCKER_CONFIG=" + dockerConfig(t, p.server.host, "guessed"))
		for _, p := range []pipeline{anonymous, wrong} {
			p.fails(p.report(criticalReport, 0), "authentic", "unauthorized")
			p.fails(p.gate(), "authentic", "unauthorized")
		}
		stranger := p.with("SSL_CERT_FILE=" + newGuard(t).ca)
		stranger.fails(stranger.report(criticalReport, 0), "certificate")
		stranger.fails(stranger.gate(), "certificate")
		p.ends(p.gate(), 0, "is allowed") // nothing of that was written
	})
}

// On loopback plain HTTP does.
func TestProgramsOverPlainHTTP(t *testing.T) {
	each(t, func(t *testing.T, k kind) { newPipeline(t, k.start(t)).scansAndIsJudged() })
}

// A pipeline has an image, and the environment that its steps run in.
type pipeline struct {
	*testing.T
	server *server
	dir    string
	image  name.Digest
	env    []string
}

func newPipeline(t *testing.T, s *server) pipeline {
	p := pipeline{T: t, server: s, dir: t.TempDir()}
	p.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "COSIGN_PASSWORD=" + password}
	if s.guard != nil {
		p.env = append(p.env, "DOCKER_CONFIG="+dockerConfig(t, s.host, password), "SSL_CERT_FILE="+s.guard.ca)
	}
	private, public, err := cosign.GenerateKey([]byte(password))
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.dir, "cosign.key", private)
	write(t, p.dir, "cosign.pub", public)
	write(t, p.dir, "policy.yaml", []byte("required: [{tasks: [trivy-scan]}]"))
	login := authn.Anonymous
	if s.guard != nil {
		login = authn.FromConfig(authn.AuthConfig{Username: user, Password: password})
	}
	p.image, err = PushImage(t.Context(), s.repository(t, "shop/app"), "v1", remote.WithTransport(s.guard.transport()), remote.WithAuth(login))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// with is the same pipeline in an environment that differs; the last word on a variable counts.
func (p pipeline) with(variable string) pipeline {
	p.env = append(p.env[:len(p.env):len(p.env)], variable)
	return p
}

// scansAndIsJudged is the story: nothing is known, then a critical vulnerability, then a version without it.
func (p pipeline) scansAndIsJudged() {
	p.Helper()
	p.ends(p.gate(), 1, "required.missing")
	p.ends(p.report(criticalReport, 2*time.Minute), 0)
	p.ends(p.gate(), 1, "vulnerability.denied", "CVE-2021-44228 in log4j-core 2.14.1: critical, fixed in 2.15.0")
	p.ends(p.report(cleanReport, time.Minute), 0)
	p.ends(p.gate(), 0, "is allowed")
}

// report runs attest-report on a report of Trivy of a scan that ended some time ago.
func (p pipeline) report(text string, ago time.Duration) ran {
	p.Helper()
	finished := time.Now().Add(-ago)
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	results, err := os.MkdirTemp(p.dir, "results-")
	if err != nil {
		p.Fatal(err)
	}
	return p.run("attest-report", "-image", p.image.String(), "-name", "trivy-scan", "-key", filepath.Join(p.dir, "cosign.key"),
		"-report", write(p.T, p.dir, "trivy.json", []byte(text)), "-results", results,
		"-started", stamp(finished.Add(-time.Minute)), "-finished", stamp(finished), "-db-updated", stamp(finished.Add(-time.Hour)))
}

func (p pipeline) gate() ran {
	p.Helper()
	return p.run("gate", "-image", p.image.String(), "-policy", filepath.Join(p.dir, "policy.yaml"), "-key", filepath.Join(p.dir, "cosign.pub"))
}

const cleanReport = `{"SchemaVersion": 2, "Trivy": {"Version": "0.69.0"}, "ArtifactType": "container_image",
	"Results": [{"Target": "app.jar", "Class": "lang-pkgs", "Type": "jar"}]}`

const criticalReport = `{"SchemaVersion": 2, "Trivy": {"Version": "0.69.0"}, "ArtifactType": "container_image",
	"Results": [{"Target": "app.jar", "Class": "lang-pkgs", "Type": "jar", "Vulnerabilities": [{
		"VulnerabilityID": "CVE-2021-44228", "PkgName": "log4j-core", "InstalledVersion": "2.14.1", "FixedVersion": "2.15.0",
		"SeveritySource": "nvd", "Severity": "CRITICAL"}]}]}`

// Ran is what a command did.
type ran struct {
	command string
	code    int
	out     string
}

func (p pipeline) run(command string, args ...string) ran {
	p.Helper()
	cmd := exec.CommandContext(p.Context(), program(p.T, command), args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	out, err := cmd.CombinedOutput()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		p.Fatal(err)
	}
	r := ran{command, cmd.ProcessState.ExitCode(), string(out)}
	p.Logf("%s: exit code %d\n%s", r.command, r.code, r.out)
	return r
}

// ends checks how a command ended, and that it said each of the texts.
func (p pipeline) ends(r ran, code int, texts ...string) {
	p.Helper()
	if r.code != code {
		p.Errorf("%s: exit code %d, want %d", r.command, r.code, code)
	}
	for _, text := range texts {
		if !strings.Contains(r.out, text) {
			p.Errorf("%s does not say %q", r.command, text)
		}
	}
}

// fails checks that a command says it did not work, and that it is for one of these reasons.
func (p pipeline) fails(r ran, reasons ...string) {
	p.Helper()
	p.ends(r, 2)
	for _, reason := range reasons {
		if strings.Contains(strings.ToLower(r.out), reason) {
			return
		}
	}
	p.Errorf("%s does not say that it is about %s", r.command, strings.Join(reasons, " or "))
}

var buildPrograms = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-o", buildDir+string(filepath.Separator), "./examples/attest-report", "./examples/gate")
	cmd.Dir = "../.." // with the dependencies that users get
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// program returns the path of one of our commands, built from this repository.
func program(t *testing.T, command string) string {
	t.Helper()
	if err := buildPrograms(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(buildDir, command)
}
