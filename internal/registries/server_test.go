package registries

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
)

// A kind is a registry that is tried.
type kind struct {
	name      string
	referrers bool                      // it has the referrers API
	binary    func(t *testing.T) string // nil if it runs in this process
}

var kinds = []kind{
	{"go-containerregistry, referrers API", true, nil},
	{"go-containerregistry", false, nil},
	{"docker-registry", false, docker},
	{"distribution", false, distribution},
}

// start starts a registry that stops when the test ends.
func (k kind) start(t *testing.T) *server { return k.startWith(t, nil) }

// startWith starts one that has a guard, if that is not nil.
func (k kind) startWith(t *testing.T, g *guard) *server {
	if k.binary == nil {
		return inMemory(t, k.referrers, g)
	}
	return onDisk(t, k.binary(t), g)
}

// each runs a test on each kind of registry.
func each(t *testing.T, f func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { f(t, k) })
	}
}

// A server is a registry that runs, at a loopback address.
type server struct {
	host  string
	guard *guard // nil if anybody may do anything, over plain HTTP

	// What runs as a command has these too.
	binary, config string
	stop           func()
}

func inMemory(t *testing.T, referrers bool, g *guard) *server {
	quiet := log.New(io.Discard, "", 0)
	handler := registry.New(registry.Logger(quiet), registry.WithReferrersSupport(referrers))
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = quiet
	if g == nil {
		s.Start()
	} else {
		s.Config.Handler = g.before(handler)
		s.TLS = g.serverConfig()
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return &server{host: s.Listener.Addr().String(), guard: g}
}

// docker returns the path of Debian's docker-registry command.
func docker(t *testing.T) string {
	path, err := exec.LookPath("docker-registry")
	if err == nil {
		return path
	}
	const advice = "docker-registry is not in PATH; Debian and Ubuntu have it in the package of that name"
	if os.Getenv("TESTDAG_REQUIRE_REGISTRIES") == "1" {
		t.Fatal(advice)
	}
	t.Skip(advice)
	return ""
}

// buildDir is removed by TestMain.
var buildDir string

var buildDistribution = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "registry")
	out, err := exec.Command("go", "build", "-o", path, "github.com/distribution/distribution/v3/cmd/registry").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// distribution returns the path of distribution's registry command, built from its module.
func distribution(t *testing.T) string {
	path, err := buildDistribution()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// onDisk runs a registry command that stores in a folder of the test's.
func onDisk(t *testing.T, binary string, g *guard) *server {
	dir := t.TempDir()
	s := &server{binary: binary, host: freeAddress(t), config: filepath.Join(dir, "config.yml"), guard: g}
	config := fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}
http: {addr: %q, secret: of these tests%s}
%s
`, filepath.Join(dir, "data"), s.host, g.tls(), g.auth())
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	return s
}

// freeAddress returns an address that nobody listened at a moment ago.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs the command until stop is called or the test ends.
func (s *server) start(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, s.binary, "serve", s.config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	s.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(s.stop)
	if err := s.await(ended); err != nil {
		s.stop()
		t.Fatalf("%s: %v\n%s", s.binary, err, &out)
	}
}

// await returns when the registry answers.
func (s *server) await(ended <-chan struct{}) error {
	client := &http.Client{Transport: s.guard.transport()}
	for range 200 {
		resp, err := client.Get(s.guard.scheme() + "://" + s.host + "/v2/")
		if err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("ended before it answered")
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("does not answer")
}

// collectGarbage stops the registry, has it delete all that no tag leads to, and starts it anew.
func (s *server) collectGarbage(t *testing.T) {
	s.stop()
	out, err := exec.Command(s.binary, "garbage-collect", "--delete-untagged=true", s.config).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.start(t)
}

func (s *server) repository(t *testing.T, path string) name.Repository {
	repo, err := name.NewRepository(s.host + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// delayed adds to each request.
type delayed struct {
	inner http.RoundTripper
	by    time.Duration
}

// RoundTrip waits, and then makes the request.
func (d delayed) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(d.by):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	return d.inner.RoundTrip(req)
}

// blind sees no views of an image: neither cosign's tag nor the fallback index. What is read through it comes from the
// record alone.
type blind struct {
	inner http.RoundTripper
	image name.Digest
}

// RoundTrip answers for the views, and passes on the rest.
func (b blind) RoundTrip(req *http.Request) (*http.Response, error) {
	index := "/manifests/" + strings.Replace(b.image.DigestStr(), ":", "-", 1)
	if !strings.HasSuffix(req.URL.Path, index) && !strings.HasSuffix(req.URL.Path, index+".att") {
		return b.inner.RoundTrip(req)
	}
	return &http.Response{
		StatusCode: http.StatusNotFound, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: req,
	}, nil
}
