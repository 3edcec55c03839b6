package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/policy/report"
	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/dag/dagfile"
	"github.com/testdag/testdag/examples/internal/expected"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/process"
)

//go:embed graph.yaml policy.yaml reports
var files embed.FS

// A demonstration is one registry with one image, and a folder with keys and reports that the steps read.
type demonstration struct {
	story    *story
	file     *dagfile.File
	dir      string
	image    name.Digest
	password string
	parallel int
}

// demonstrate tells the whole story. With keep the registry then runs on, with the keys where they are, until ctx ends.
func demonstrate(ctx context.Context, parallel int, keep bool, out io.Writer) error {
	server := newRegistry()
	defer server.Close()
	dir, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d, err := prepare(ctx, dir, strings.TrimPrefix(server.URL, "http://"), out)
	if err != nil {
		return err
	}
	d.parallel = parallel
	if err := d.tell(ctx); err != nil || !keep {
		return err
	}
	d.story.heading("The registry runs until you interrupt this. From the root of the repository you can judge the image, add evidence of something critical, and judge again")
	fmt.Fprintf(out, "  go run ./examples/gate -image %s -policy examples/quickstart/policy.yaml -key %s/cosign.pub\n\n", d.image, dir)
	now := "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
	fmt.Fprintf(out, "  COSIGN_PASSWORD=%s go run ./examples/attest-report -image %s -name dast-tests -key %s/cosign.key \\\n"+
		"    -report examples/quickstart/reports/trivy.json -started %[4]s -finished %[4]s -db-updated %[4]s\n", d.password, d.image, dir, now)
	<-ctx.Done()
	return nil
}

// newRegistry starts a registry on loopback that keeps everything in memory.
func newRegistry() *httptest.Server {
	return httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
}

// prepare pushes the image, makes a key pair and lays out the reports.
func prepare(ctx context.Context, dir, host string, out io.Writer) (*demonstration, error) {
	f, err := files.Open("graph.yaml")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := dagfile.Parse(f, dag.ADR48, dagfile.Options{Name: "graph.yaml"})
	if err != nil {
		return nil, err
	}
	image, err := push(ctx, host+"/shop/operator")
	if err != nil {
		return nil, err
	}
	d := &demonstration{story: newStory(out, file.Graph), file: file, dir: dir, image: image, password: "quickstart"}
	private, public, err := cosign.GenerateKey([]byte(d.password))
	if err != nil {
		return nil, err
	}
	return d, errors.Join(
		os.WriteFile(filepath.Join(dir, "cosign.key"), private, 0o600),
		os.WriteFile(filepath.Join(dir, "cosign.pub"), public, 0o644),
		d.report("clamav-scan.log", "clamav-scan.log"),
		d.report("dast-tests.json", "dast-tests.json"),
	)
}

// push pushes a small image and returns its digest.
func push(ctx context.Context, repository string) (name.Digest, error) {
	tag, err := name.NewTag(repository + ":v1.0.0")
	if err != nil {
		return name.Digest{}, err
	}
	layer, err := random.Layer(1<<10, types.OCILayer)
	if err != nil {
		return name.Digest{}, err
	}
	image, err := mutate.AppendLayers(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1), layer)
	if err != nil {
		return name.Digest{}, err
	}
	image, err = mutate.Config(image, v1.Config{Labels: map[string]string{"name": "shop/operator", "version": "v1.0.0"}})
	if err != nil {
		return name.Digest{}, err
	}
	if err := remote.Write(tag, image, remote.WithContext(ctx)); err != nil {
		return name.Digest{}, err
	}
	digest, err := image.Digest()
	if err != nil {
		return name.Digest{}, err
	}
	return tag.Context().Digest(digest.String()), nil
}

// report lays one of the reports out as what the scanner of a scenario printed.
func (d *demonstration) report(from, to string) error {
	text, err := files.ReadFile("reports/" + from)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir, to), text, 0o644)
}

func (d *demonstration) tell(ctx context.Context) error {
	s := d.story
	s.heading("Six test scenarios (graph.yaml) for the image %s", d.image)
	s.graph()

	s.heading("First: the image is new, everything runs")
	snapshot, err := d.run(ctx, nil)
	if err != nil {
		return err
	}
	s.heading("How it ends")
	s.verdicts(snapshot)

	s.heading("The finding was a false alarm: the rules of the scanner are mended, and dast-tests alone is asked to run again")
	if err := d.report("dast-tests-fixed.json", "dast-tests.json"); err != nil {
		return err
	}
	snapshot = snapshot.Observe(scheduler.Rerun(snapshot.Newest("dast-tests")))
	if snapshot, err = d.run(ctx, snapshot); err != nil {
		return err
	}
	s.heading("How it ends")
	s.verdicts(snapshot)

	s.heading("The evidence of dast-tests on the image, newest first")
	if err := d.evidence(ctx, snapshot); err != nil {
		return err
	}

	s.heading("The image is judged by policy.yaml")
	release, err := judge(ctx, d.dir, d.image, snapshot)
	if err != nil {
		return err
	}
	if err := report.Write(s.out, report.Table, release); err != nil {
		return err
	}
	if !release.Success || scheduler.Next(s.g, snapshot).Outcome != scheduler.OutcomePassed {
		return errNotPassed
	}
	return nil
}

// run runs the graph from a snapshot on. Each scenario is this program again, as another process.
func (d *demonstration) run(ctx context.Context, from scheduler.Snapshot) (scheduler.Snapshot, error) {
	d.story.begin = time.Now()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	runner := process.Runner{Command: func(t scheduler.Task) (process.Command, error) {
		return process.Command{
			Args: []string{self, "step", "-image", d.image.String(), "-dir", d.dir, string(t.Ref.ID)},
			Env:  []string{"COSIGN_PASSWORD=" + d.password},
		}, nil
	}}
	return scheduler.Run(ctx, d.file.Graph, runner, scheduler.Options{Snapshot: from, Parallel: d.parallel, Observe: d.story.step})
}

// evidence tells what the image carries for dast-tests, and which of it decides. The runs in the snapshot say what must
// be there.
func (d *demonstration) evidence(ctx context.Context, snapshot scheduler.Snapshot) error {
	resolver, err := openResolver(d.dir)
	if err != nil {
		return err
	}
	resolver = resolver.Expecting(attest.ExpectRuns(d.image, expected.Runs(snapshot)...)...)
	newest, err := resolver.Newest(ctx, d.image, dastTests)
	if err != nil {
		return err
	}
	for e, err := range resolver.All(ctx, d.image) {
		if err != nil {
			return err
		}
		if e.Test != dastTests {
			continue
		}
		mark := "  older  "
		if e.Manifest == newest.Manifest {
			mark = "  decides"
		}
		fmt.Fprintf(d.story.out, "%s  %s  %.19s…  %s, signed by %s %.19s…\n",
			mark, e.Time.Format(time.RFC3339Nano), e.Manifest, findings(e), e.VerifiedBy.Kind, e.VerifiedBy.Name)
	}
	if newest.Completeness == attest.Expected {
		fmt.Fprintf(d.story.out, "\n  %s told which record it left, and that is the newest: none was deleted since\n", snapshot.Newest(dag.ID(dastTests.Name)))
	}
	return nil
}

func findings(e attest.Evidence) string {
	v, ok := e.Predicate.(intoto.Vulns)
	if e.Err() != nil || !ok {
		return "not to be believed"
	}
	if err := critical(v); err != nil {
		return err.Error()
	}
	return "nothing critical"
}
