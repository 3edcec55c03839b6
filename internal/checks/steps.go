package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// A step is one line of the table of checks. In the words of its commands {part} stands for the arguments of the part, or of
// all parts that run together. Tests run with -count=1: Go's own cache does not see all that a key holds.
type step struct {
	name     string
	budget   time.Duration // on an empty machine with two processors
	commands []string      // words apart by spaces, run one after the other
	env      []string
	parts    []part
	gate     bool // it belongs to the quick part
	always   bool // it has no parts and is never taken over
	together bool // all parts are packages that one go test runs
	sampled  bool // parts are left out when the budget is used up
}

// A part is what a step takes over or runs.
type part struct {
	name string
	args []string
	reads
}

// vetted are the packages that have code for other systems. scheduler/tekton has none, and a large tree.
const vetted = "./dag/... ./scheduler ./scheduler/process/... ./scheduler/schedulertest/... ./scheduler/pipelinerun/... ./scheduler/konflux/..."

// steps returns the table. A bare machine needs the time for builds too.
func steps(t *tree) []*step {
	return []*step{
		{name: "tests", gate: true, always: true, budget: 150 * time.Second, commands: []string{"go test -count=1 ./..."}},
		{name: "quickstart", gate: true, always: true, budget: 10 * time.Second, commands: []string{"go run ./examples/quickstart"}},
		{name: "corpus", always: true, budget: 20 * time.Second, commands: []string{
			"go test -count=1 ./attest/... ./dag/dagfile ./examples/konflux -run Corpus|Conforma|ProvenanceOfOthers|UpstreamSample -v",
		}},
		{name: "format", gate: true, always: true, budget: 5 * time.Second, commands: []string{"go run ./internal/checks format"}},
		{name: "vet", gate: true, always: true, budget: 20 * time.Second, commands: []string{"go vet ./..."}},
		{name: "staticcheck", gate: true, always: true, budget: 60 * time.Second, commands: []string{
			"go run -modfile internal/tools/go.mod honnef.co/go/tools/cmd/staticcheck ./...",
		}},
		{name: "modules", always: true, budget: 20 * time.Second, commands: []string{"go mod verify"}},
		{name: "race", gate: true, together: true, budget: 360 * time.Second, parts: t.raced(), commands: []string{"go test -count=1 -race -timeout 20m {part}"}},
		{name: "systems", budget: 70 * time.Second, parts: t.systems(), commands: []string{"env {part} go vet " + vetted}},
		{name: "histories of the rules", budget: 50 * time.Second, parts: t.one("scheduler"), commands: []string{
			"go test -count=1 ./scheduler -run Histories|DecisionRecord -rapid.checks=5000",
		}},
		{name: "histories of konflux", budget: 50 * time.Second, parts: t.one("scheduler/konflux"), commands: []string{
			"go test -count=1 ./scheduler/konflux -run Histories -v -timeout 20m -rapid.checks=2000",
		}},
		{name: "exploration", budget: 360 * time.Second, parts: t.one("scheduler"), commands: []string{
			"go test -count=1 ./scheduler -run Explore -timeout 20m -v -explore.long",
		}},
		t.nested("internal/konflux", 20*time.Second, reads{}),
		t.nested("internal/chains", 280*time.Second, reads{
			paths: []string{"attest/scan/testdata", "attest/provenance/testdata"},
		}),
		t.nested("internal/interop", 75*time.Second, reads{}),
		t.nested("internal/registries", 260*time.Second, reads{
			tools: []string{"docker-registry"}, programs: []string{"examples/attest-report", "examples/gate"},
			paths: []string{"internal/interop/go.mod", "internal/interop/go.sum"},
		}),
		t.nested("internal/rivals", 80*time.Second, reads{}),
		t.onCluster("internal/cluster", 780*time.Second),
		t.onCluster("examples/controller", 300*time.Second),
		t.mutations("scheduler", 72, 180*time.Second),
		t.mutations("scheduler/konflux", 20, 60*time.Second),
		t.mutations("scheduler/pipelinerun", 12, 30*time.Second),
		t.mutations("attest", 40, 90*time.Second),
		t.mutations("attest/policy", 32, 40*time.Second),
		t.mutations("attest/policy/report", 8, 20*time.Second),
		{name: "fuzz", sampled: true, budget: 150 * time.Second, parts: t.fuzzed(), commands: []string{
			"go {part} -fuzztime 6s -fuzzminimizetime 20x .",
		}},
	}
}

// readBeside are the paths that tests of a package read beside their own.
var readBeside = map[string][]string{
	"attest/policy/report": {"attest/policy/report.go"},
	"examples/gate":        {"attest/provenance/testdata"},
	"attest":               {"attest/provenance/testdata"},
	"attest/intoto":        {"attest/provenance/testdata"},
	"internal/checks":      {"."},
	"internal/repo":        {"."},
	"internal/mutation":    {"scheduler", "attest"},
}

// below are packages under one whose table of breakages is about them too. Their own tests run first.
var below = map[string][]string{
	"attest": {"attest/intoto", "attest/provenance", "attest/checkpoint", "attest/internal/registry", "attest/internal/referrers"},
}

// tools are the programs that tests of a package start.
var tools = map[string][]string{
	"examples/attest-report": {"sh"},
	"examples/quickstart":    {"sh"},
	"scheduler/process":      {"sh"},
}

// packageReads returns the reads of the tests of one package.
func (t *tree) packageReads(folder string) reads {
	return reads{module: t.moduleOf(folder), packages: []string{folder}, paths: readBeside[folder], tools: tools[folder]}
}

// one returns a step's only part: the tests of a package.
func (t *tree) one(folder string) []part { return []part{{reads: t.packageReads(folder)}} }

// raced returns a part for each package of the main module.
func (t *tree) raced() (parts []part) {
	for _, folder := range t.packagesOf(".") {
		r := t.packageReads(folder)
		r.tools = append([]string{"cc"}, r.tools...) // it links the race detector
		parts = append(parts, part{name: folder, args: []string{"./" + folder}, reads: r})
	}
	return parts
}

// systems returns a part for each system that only go vet looks at.
func (t *tree) systems() (parts []part) {
	folders := slices.DeleteFunc(t.packagesOf("."), func(folder string) bool {
		return folder == "scheduler/tekton" || !strings.HasPrefix(folder, "dag") && !strings.HasPrefix(folder, "scheduler")
	})
	for _, system := range []string{"darwin", "windows"} {
		parts = append(parts, part{name: system, args: []string{"GOOS=" + system}, reads: reads{packages: folders, vet: true}})
	}
	return parts
}

// nested returns the step of a nested module: go vet and all tests.
func (t *tree) nested(folder string, budget time.Duration, r reads) *step {
	r.module, r.packages = folder, t.packagesOf(folder)
	return &step{name: folder, budget: budget, parts: []part{{reads: r}}, commands: []string{
		"go -C " + folder + " vet ./...", "go -C " + folder + " test -count=1 -v -timeout 25m ./...",
	}}
}

// onCluster returns the step of a nested module whose tests need a control plane. It is built once and kept in the user's
// cache. Where there cannot be one, the tests fail.
func (t *tree) onCluster(folder string, budget time.Duration) *step {
	s := t.nested(folder, budget, reads{programs: []string{"internal/cluster/build"}})
	s.env = []string{"TESTDAG_CLUSTER=1"}
	s.commands = slices.Insert(s.commands, 0, "go -C internal/cluster run ./build")
	return s
}

// mutations returns the step that breaks a package on purpose, in as many parts as its table is cut into.
func (t *tree) mutations(folder string, slices int, budget time.Duration) *step {
	r := t.packageReads(folder)
	r.packages = append(r.packages, below[folder]...)
	r.paths = append(r.paths[:len(r.paths):len(r.paths)],
		"internal/mutation/mutation_test.go", "internal/mutation/testdata/"+path.Base(folder)+".txt")
	s := &step{name: "mutations of " + folder, sampled: true, budget: budget, commands: []string{
		"go test -count=1 ./internal/mutation -run Mutations -timeout 60m -v -mutate -of " + folder + " -slice {part}",
	}}
	for k := range slices {
		slice := fmt.Sprintf("%d/%d", k+1, slices)
		s.parts = append(s.parts, part{name: slice, args: []string{slice}, reads: r})
	}
	return s
}

// fuzzed returns a part for each fuzz target.
func (t *tree) fuzzed() (parts []part) {
	for _, f := range t.fuzz {
		name := path.Join(f.folder, f.name)
		args := []string{"-C", f.folder, "test", "-run", "^$", "-fuzz", "^" + f.name + "$"}
		parts = append(parts, part{name: name, args: args, reads: t.packageReads(f.folder)})
	}
	return parts
}
